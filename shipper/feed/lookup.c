/*
 * shipper/feed/lookup.c - what only a file can say, found off the loop
 */
#include "shipper/feed/lookup.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/store/read/hunt.h"
#include "recorder/store/read/peek.h"

static void	run(void *);
static void	done(void *);
static bool	is_of(const struct pb_lookup *, const struct pb_lookup *);
static bool	answers(const struct pb_lookup *, const struct pb_lookup *);
static int	hunt_letter(struct pb_lookup *, struct pb_err *);
static struct pb_lookup *place_of(struct pb_lookups *,
		    const struct pb_lookup *);

const struct pb_lookup *
pb_lookup(struct pb_lookups *all, const struct pb_lookup *want)
{
	struct pb_lookup *search;

	if (all->running == PB_LOOKUPS_MAX)
		return NULL;
	search = place_of(all, want);
	if (search == NULL || search->running)
		return NULL;
	if (search->want.owner != NULL && answers(search, want)) {
		search->want.owner = NULL;
		return search;
	}
	if (want->want.known)
		return NULL;
	*search = *want;
	search->all = all;
	search->running = true;
	all->running++;
	search->job.run = run;
	search->job.done = done;
	search->job.arg = search;
	pb_worker_give(all->opts.worker, &search->job);
	return NULL;
}

/* Its own, or a free one, or that of what nobody has asked for yet, who will
 * have to ask again.  Not all of them are being looked for.  NULL: nothing
 * is known of it, and nothing is to be begun. */
static struct pb_lookup *
place_of(struct pb_lookups *all, const struct pb_lookup *want)
{
	struct pb_lookup *empty = NULL, *at;

	for (unsigned i = 0; i < all->used; i++) {
		at = &all->search[i];
		if (is_of(at, want))
			return at;
		if (at->want.owner == NULL && empty == NULL)
			empty = at;
	}
	if (want->want.known)
		return NULL;
	if (empty == NULL && all->used < PB_LOOKUPS_MAX)
		empty = &all->search[all->used++];
	for (unsigned i = 0; empty == NULL && i < PB_LOOKUPS_MAX; i++) {
		at = &all->search[all->turn++ % PB_LOOKUPS_MAX];
		if (at->running)
			continue;
		at->want.owner = NULL;
		empty = at;
	}
	return empty;
}

void
pb_lookups_cancel(struct pb_lookups *all, const void *owner)
{
	for (unsigned i = 0; i < all->used; i++) {
		struct pb_lookup *search = &all->search[i];

		if (search->want.owner == NULL ||
		    (owner != NULL && search->want.owner != owner))
			continue;
		pb_worker_cancel(all->opts.worker, &search->job);
		all->running -= search->running ? 1u : 0u;
		search->want.owner = NULL;
		search->running = false;
	}
}

/* Packets in their turn, late ones, and proofs: one at a time each. */
static bool
is_of(const struct pb_lookup *search, const struct pb_lookup *want)
{
	bool piece = want->kind <= PB_LOOKUP_LETTER;

	return search->want.owner == want->want.owner &&
	    search->want.id == want->want.id &&
	    search->want.late == want->want.late && (piece ?
	    search->kind <= PB_LOOKUP_LETTER : search->kind == want->kind);
}

/* Is what was found what is wanted now? */
static bool
answers(const struct pb_lookup *search, const struct pb_lookup *want)
{
	const struct pb_piece *piece = &search->piece;

	if (search->kind != want->kind || search->from != want->from ||
	    search->want.captured != want->want.captured ||
	    pb_clock_mono_ms() > search->done_ms + PB_LOOKUP_AGE_MS)
		return false;
	if (want->kind > PB_LOOKUP_LETTER)
		return true;
	return piece->segment_seq == want->piece.segment_seq &&
	    (search->rc < 0 || (piece->last <= want->piece.last &&
	    (piece->first == piece->last || (size_t)piece->bytes +
	    piece->header_bytes <= want->want.bytes_max)));
}

static void
done(void *arg)
{
	struct pb_lookup *search = arg;
	const struct pb_feed_opts *opts = &search->all->opts;

	search->running = false;
	search->done_ms = pb_clock_mono_ms();
	search->all->running--;
	opts->found(opts->arg, search->want.owner, search->want.id);
}

/* --- on the worker's thread --------------------------------------------- */

static void
run(void *arg)
{
	struct pb_lookup *search = arg;
	struct pb_lookups *all = search->all;
	struct pb_err *err = &search->err;

	switch (search->kind) {
	case PB_LOOKUP_EXTENT:
		search->rc = pb_hunt_extent(all->opts.store, &search->key,
		    &search->extent, search->want.bytes_max, &all->bytes,
		    &search->piece, err);
		break;
	case PB_LOOKUP_LETTER:
		search->rc = hunt_letter(search, err);
		break;
	case PB_LOOKUP_BELOW:
		search->rc = pb_peek_cut(all->opts.index, all->opts.store,
		    &search->key, search->stream, search->from,
		    search->want.captured, &search->print, err);
		break;
	case PB_LOOKUP_ABOVE:
		search->rc = pb_peek_above(all->opts.index, all->opts.store,
		    &search->key, search->stream, search->from,
		    &search->print, err);
		break;
	}
}

static int
hunt_letter(struct pb_lookup *search, struct pb_err *err)
{
	const struct pb_letter *letter = &search->letter;
	struct pb_buf *bytes = &search->all->bytes;
	size_t max = search->want.bytes_max;
	int rc, fd = pb_section_open(search->all->opts.store, &search->key,
	    letter->segment_seq, letter->upstream, true, err);

	if (fd < 0)
		return fd;
	search->piece.first = search->from;
	search->piece.last = letter->last;
	rc = pb_hunt_file(fd, search->offset, max, bytes, &search->piece,
	    err);
	/* A file that was mended since has it elsewhere. */
	if (rc == PB_EFORMAT && search->offset != letter->header_bytes)
		rc = pb_hunt_file(fd, letter->header_bytes, max, bytes,
		    &search->piece, err);
	close(fd);
	return rc < 0 ? pb_err_prefix(err, rc, "dead letter %020" PRIu64,
	    letter->segment_seq) : 0;
}
