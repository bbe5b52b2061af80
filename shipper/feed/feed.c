/*
 * shipper/feed/feed.c - what stands at a sequence number
 */
#include "shipper/feed/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/feed/lookup.h"

#define PLACES		64u	/* remembered */

/* Where a piece of a letter began, for the next time it is wanted. */
struct place {
	struct pb_stream_key key;
	uint64_t	 segment_seq;
	uint64_t	 seq, offset;	/* seq 0: none */
};

struct pb_feed {
	char		 store[PATH_MAX];
	struct pb_lookups searches;
	struct place	 place[PLACES];	/* a ring */
	unsigned	 places;
};

static int	piece_packets(struct pb_feed *, const struct pb_stream_info *,
		    const struct pb_extent_info *, const struct pb_feed_want *,
		    struct pb_piece *, struct pb_err *);
static int	find_piece(struct pb_feed *, struct pb_lookup *,
		    const struct pb_feed_want *, struct pb_piece *,
		    struct pb_err *);
static uint64_t	place_of(const struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_letter *, uint64_t);
static void	remember(struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_piece *);

int
pb_feed_create(struct pb_feed **out, const struct pb_feed_opts *opts,
    struct pb_err *err)
{
	struct pb_feed *feed = calloc(1, sizeof(*feed));

	*out = feed;
	if (feed == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	snprintf(feed->store, sizeof(feed->store), "%s", opts->store);
	feed->searches.opts = *opts;
	feed->searches.opts.store = feed->store;
	pb_buf_init(&feed->searches.bytes, PB_FEED_EXTENT_MAX);
	return 0;
}

void
pb_feed_destroy(struct pb_feed *feed)
{
	if (feed == NULL)
		return;
	pb_lookups_cancel(&feed->searches, NULL);
	pb_buf_finish(&feed->searches.bytes);
	free(feed);
}

void
pb_feed_cancel(struct pb_feed *feed, const void *owner)
{
	pb_lookups_cancel(&feed->searches, owner);
}

int
pb_feed_look(struct pb_feed *feed, const struct pb_stream_info *stream,
    uint64_t from, uint64_t to, const struct pb_feed_want *want,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc = pb_piece_look(feed->searches.opts.index, stream, from, to,
	    out, &extent, err);

	if (rc < 0 || out->kind != PB_PIECE_PACKETS || want->mark == NULL)
		return rc;
	return piece_packets(feed, stream, &extent, want, out, err);
}

int
pb_feed_packet(struct pb_feed *feed, const struct pb_stream_info *stream,
    uint64_t at, bool below, const struct pb_feed_want *want,
    struct pb_fingerprint *out, struct pb_err *err)
{
	struct pb_lookup search = { .want = *want,
	    .kind = below ? PB_LOOKUP_BELOW : PB_LOOKUP_ABOVE,
	    .key = stream->key, .stream = stream->id, .from = at };
	const struct pb_lookup *found = pb_lookup(&feed->searches, &search);

	if (found == NULL)
		return PB_SHIP_SOON;
	*out = found->print;
	if (found->rc < 0 && err != NULL)
		*err = found->err;
	return found->rc;
}

/* Of `extent`, from out->first to out->last, within want->bytes_max. */
static int
piece_packets(struct pb_feed *feed, const struct pb_stream_info *stream,
    const struct pb_extent_info *extent, const struct pb_feed_want *want,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_lookup search;
	int rc = pb_piece_begin(feed->searches.opts.index, extent,
	    want->mark, want->bytes_max, out, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	search = (struct pb_lookup){ .kind = PB_LOOKUP_EXTENT,
	    .key = stream->key, .extent = *extent, .piece = *out };
	return find_piece(feed, &search, want, out, err);
}

int
pb_feed_letter(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_letter *letter, uint64_t from,
    const struct pb_feed_want *want, struct pb_piece *out,
    struct pb_err *err)
{
	const struct pb_mark *mark = want->mark;
	struct pb_lookup search;
	int rc;

	memset(out, 0, sizeof(*out));
	if (from < letter->first || from > letter->last)
		return 0;
	*out = (struct pb_piece){ .kind = PB_PIECE_PACKETS, .first = from,
	    .last = letter->last, .segment_seq = letter->segment_seq,
	    .header_bytes = letter->header_bytes, .complete = true,
	    .letter = true };
	if (mark == NULL)
		return 0;
	search = (struct pb_lookup){ .kind = PB_LOOKUP_LETTER, .key = *key,
	    .letter = *letter, .offset = place_of(feed, key, letter, from),
	    .piece = *out };
	if (mark->seq == from && mark->segment_seq == letter->segment_seq &&
	    mark->offset >= letter->offset)
		search.offset = mark->offset;
	rc = find_piece(feed, &search, want, out, err);
	if (rc == 0 && out->kind == PB_PIECE_PACKETS)
		remember(feed, key, out);
	return rc;
}

/* What `search` begins with is `*out`; its blocks are found in the file. */
static int
find_piece(struct pb_feed *feed, struct pb_lookup *search,
    const struct pb_feed_want *want, struct pb_piece *out,
    struct pb_err *err)
{
	const struct pb_lookup *found;

	search->want = *want;
	search->want.mark = NULL;	/* has been looked at */
	search->from = out->first;
	found = pb_lookup(&feed->searches, search);
	if (found == NULL)
		*out = (struct pb_piece){ .kind = PB_PIECE_SOON };
	else if (found->rc == 0)
		*out = found->piece;
	else if (err != NULL)
		*err = found->err;
	return found != NULL ? found->rc : 0;
}

/* The nearest place at or before `from` that is known. */
static uint64_t
place_of(const struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_letter *letter, uint64_t from)
{
	uint64_t offset = letter->offset;

	for (unsigned i = 0; i < PLACES; i++) {
		const struct place *place = &feed->place[i];

		if (place->seq != 0 && place->seq <= from &&
		    place->offset > offset &&
		    place->segment_seq == letter->segment_seq &&
		    pb_stream_key_same(&place->key, key))
			offset = place->offset;
	}
	return offset;
}

static void
remember(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_piece *piece)
{
	feed->place[feed->places++ % PLACES] = (struct place){ .key = *key,
	    .segment_seq = piece->segment_seq, .seq = piece->first,
	    .offset = piece->offset };
}
