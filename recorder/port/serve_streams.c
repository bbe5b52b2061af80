/*
 * recorder/port/serve_streams.c - GET /v1/streams, and /v1/streams/NODE
 *
 * A row a stream that the puller may take and that has changed since its
 * cursor; rows of packets that came late since; and a cursor.  Where there is
 * nothing to tell, it waits.  Of one node, for who may bring its streams: a
 * row each, and the cursor, at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "recorder/port/pulling.h"
#include "recorder/port/request_impl.h"

#define FILLS_PAGE	16	/* rows of a page fit in half a piece */
#define ROW_BYTES_MAX	4096u	/* of a stream's */
#define NDJSON_TYPE	"application/x-ndjson"

enum part { BEGIN, STREAMS, FILLS };

struct listing {
	struct pulling	 pulling;
	struct pb_store	*store;
	struct pb_sifts	*sifts;		/* NULL: all of this node */
	char		 node[PB_NAME_BYTES_MAX + 1];
	struct pb_offers_cursor since, until;
	enum part	 part;
	uint32_t	 stream;	/* the last one told */
};

static int	head(struct pb_request *, struct pb_err *);
static void	end(struct pb_request *);
static void	end_of(struct pb_request *);
static void	dress(struct pb_request *);
static bool	parse_cursor(const char *, struct pb_offers_cursor *);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static void	drop(void *);
static int	begin(struct listing *, struct pb_err *);
static bool	next(const struct listing *, uint32_t, struct pb_offer_row *);
static bool	may(const struct listing *, const struct pb_stream_key *);
static void	put_streams(struct listing *, struct pb_buf *);
static int	put_fills(struct listing *, struct pb_buf *, struct pb_err *);
static int	read_fills(struct listing *, struct pb_fill_info *,
		    struct pb_err *);
static void	put_row(struct pb_json *, struct pb_buf *,
		    const struct pb_offer_row *);
static void	end_row(struct pb_json *, struct pb_buf *);
static void	put_cursor(const struct listing *, struct pb_buf *);

const struct pb_handler serve_streams = {
	.pulls = true, .head = head, .end = end,
};

const struct pb_handler serve_streams_of = {
	.end = end_of,
};

static int
head(struct pb_request *request, struct pb_err *err)
{
	uint64_t wait_ms;

	return pulling_wait(request, &wait_ms, err);
}

static void
end(struct pb_request *request)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	uint64_t wait_ms = 0;

	if (listing == NULL) {
		request_fail(request, PB_ENOMEM, "no memory");
		return;
	}
	(void)pulling_wait(request, &wait_ms, NULL);
	pulling_init(&listing->pulling, request, wait_ms);
	listing->store = request->service->opts.store;
	listing->sifts = request->service->sifts;
	if (request->head->since == NULL || !parse_cursor(
	    request->head->since, &listing->since))
		memset(&listing->since, 0, sizeof(listing->since));
	request_make_held(request, &(struct pb_maker){ .make = make,
	    .drop = drop, .arg = listing, .looks = true }, dress, wait_ms, 0);
}

static void
end_of(struct pb_request *request)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (listing == NULL) {
		request_fail(request, PB_ENOMEM, "no memory");
		return;
	}
	pulling_init(&listing->pulling, request, 0);
	listing->store = request->service->opts.store;
	strcpy(listing->node, request->route.key.node);
	request_make(request, &(struct pb_maker){ .make = make, .drop = drop,
	    .arg = listing, .looks = true }, NDJSON_TYPE);
}

static void
dress(struct pb_request *request)
{
	request->answer.type = NDJSON_TYPE;
}

static bool
parse_cursor(const char *text, struct pb_offers_cursor *out)
{
	int len = 0;

	return strlen(text) < 64 && sscanf(text, "%16" SCNx64 ".%" SCNu64
	    ".%" SCNu64 "%n", &out->life, &out->serial, &out->fill,
	    &len) == 3 && text[len] == '\0';
}

/* --- on a reader's thread ------------------------------------------------- */

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct listing *listing = arg;
	int rc = 0;

	pulling_begin(&listing->pulling, reading);
	if (listing->part == BEGIN)
		rc = begin(listing, err);
	if (rc < 0 || listing->part == BEGIN)
		return rc < 0 ? rc : PB_MADE_WAIT;
	if (listing->part == STREAMS)
		put_streams(listing, piece);
	while (rc == 0 && listing->part == FILLS &&
	    piece->len < PB_PIECE_BYTES / 2) {
		rc = put_fills(listing, piece, err);
		if (rc == 1)
			put_cursor(listing, piece);
	}
	return rc < 0 ? rc : rc == 1 ? PB_MADE_END : PB_MADE_MORE;
}

static void
drop(void *arg)
{
	struct listing *listing = arg;

	pulling_end(&listing->pulling);
	free(listing);
}

/* Is there anything to tell? */
static int
begin(struct listing *listing, struct pb_err *err)
{
	struct pb_offers_cursor *since = &listing->since;
	struct pb_offers_cursor *until = &listing->until;
	struct pb_offer_row row;
	bool closed, news;
	int rc = pb_offers_look(listing->pulling.offers, until, err);

	if (rc < 0)
		return rc;
	if (since->life != until->life)
		*since = (struct pb_offers_cursor){ .life = until->life };
	closed = pulling_closed(&listing->pulling);
	/* Those who are told of late packets come for them, once. */
	if (closed)
		until->fill = since->fill;
	news = next(listing, 0, &row) || since->fill < until->fill;
	if ((news && !closed) || !pulling_waits(&listing->pulling))
		listing->part = STREAMS;
	else if (!news)
		*since = *until;
	return 0;
}

static bool
next(const struct listing *listing, uint32_t stream, struct pb_offer_row *out)
{
	while (pb_offers_next(listing->pulling.offers, stream,
	    listing->since.serial, listing->until.serial, out)) {
		if (may(listing, &out->key))
			return true;
		stream = out->stream;
	}
	return false;
}

static bool
may(const struct listing *listing, const struct pb_stream_key *key)
{
	return listing->sifts == NULL ? strcmp(listing->node, key->node) ==
	    0 : pb_sifts_offers(listing->sifts, listing->pulling.puller, key);
}

static void
put_streams(struct listing *listing, struct pb_buf *piece)
{
	struct pb_offer_row row;
	struct pb_json json;

	while (piece->len + ROW_BYTES_MAX < PB_PIECE_BYTES) {
		if (!next(listing, listing->stream, &row)) {
			listing->part = FILLS;
			return;
		}
		listing->stream = row.stream;
		put_row(&json, piece, &row);
		end_row(&json, piece);
	}
}

/* Some of them: 1 where there are no more. */
static int
put_fills(struct listing *listing, struct pb_buf *piece, struct pb_err *err)
{
	struct pb_fill_info fill[FILLS_PAGE];
	int count = read_fills(listing, fill, err);
	struct pb_offer_row row;
	struct pb_json json;

	for (int i = 0, to; i < count; i = to) {
		to = i + 1;
		if (!pb_offers_find(listing->pulling.offers, fill[i].stream,
		    &row) || !may(listing, &row.key))
			continue;
		put_row(&json, piece, &row);
		pb_json_array(&json, "late");
		for (to = i; to < count && fill[to].stream == row.stream;
		    to++) {
			pb_json_array(&json, NULL);
			pb_json_u64(&json, NULL, fill[to].first);
			pb_json_u64(&json, NULL, fill[to].last);
			pb_json_end(&json);
		}
		pb_json_end(&json);
		end_row(&json, piece);
	}
	return count < 0 ? count : count == 0;
}

/* Behind those that were told, up to where the cursor is to be. */
static int
read_fills(struct listing *listing, struct pb_fill_info *out,
    struct pb_err *err)
{
	struct pb_fill_info after = { .number = listing->since.fill };
	struct pb_index *index;
	int count;

	if (listing->since.fill >= listing->until.fill ||
	    listing->sifts == NULL)
		return 0;
	index = pb_store_hold(listing->store, err);
	if (index == NULL)
		return PB_ESYS;
	count = pb_index_rows(index, PB_TABLE_FILLS, &after, out, FILLS_PAGE,
	    err);
	pb_store_let_go(listing->store);
	while (count > 0 && out[count - 1].number > listing->until.fill)
		count--;
	listing->since.fill = count > 0 ? out[count - 1].number :
	    listing->until.fill;
	return count;
}

static void
put_row(struct pb_json *json, struct pb_buf *piece,
    const struct pb_offer_row *row)
{
	char epoch[17];

	pb_hex64(row->key.epoch, epoch);
	pb_json_init(json, piece);
	pb_json_object(json, NULL);
	pb_json_text(json, "node", row->key.node);
	pb_json_text(json, "interface", row->key.interface);
	pb_json_text(json, "epoch", epoch);
	pb_json_u64(json, "durable", row->durable);
	pb_json_u64(json, "first", row->first);
	pb_json_u64(json, "link_type", row->linktype);
}

static void
end_row(struct pb_json *json, struct pb_buf *piece)
{
	pb_json_end(json);
	pb_buf_str(piece, "\n");
}

static void
put_cursor(const struct listing *listing, struct pb_buf *piece)
{
	const struct pb_offers_cursor *at = &listing->until;
	struct pb_sifts_words gets;
	struct pb_json json;
	char text[64];

	snprintf(text, sizeof(text), "%016" PRIx64 ".%" PRIu64 ".%" PRIu64,
	    at->life, at->serial, at->fill);
	pb_json_init(&json, piece);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "cursor", text);
	if (listing->sifts != NULL) {
		pb_sifts_say(listing->sifts, listing->pulling.puller, &gets);
		if (gets.filter[0] != '\0')
			pb_json_text(&json, "filter", gets.filter);
		if (gets.snaplen < PB_CAPLEN_MAX)
			pb_json_u64(&json, "snaplen", gets.snaplen);
	}
	end_row(&json, piece);
}
