/*
 * recorder/port/serve_offer.c - GET /v1/streams/NODE/IFACE/EPOCH/packets
 *
 * One section with the packets behind `after`, a gap, or, after `wait`,
 * nothing.  It is made whole before the answer begins, as its digest stands
 * in the head.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/text.h"
#include "base/zip.h"
#include "recorder/port/offer.h"
#include "recorder/port/pulling.h"
#include "recorder/port/request_impl.h"

#define BYTES_MIN	((size_t)64 << 10)
/* An extent, and the header of its file, which need no second look. */
#define BYTES_MAX	((size_t)2 << 20)
#define PCAPNG_TYPE	"application/x-pcapng"
/* Two numbers and two signs each, and a NUL. */
#define NEXT_BYTES	(PB_PIECE_ENDS_MAX * (19 + 10 + 2) + 1)
_Static_assert(NEXT_BYTES <= PB_ANSWER_VALUE_MAX, "all of it is said");

struct giving {
	struct pulling	 pulling;
	struct pb_offer_want want;
	struct pb_sifts	*sifts;
	size_t		 bytes_max;	/* of the answer's section */
	struct pb_offer	 offer;		/* what was found; of its memory, the */
	size_t		 skip;		/* answer's now, what is none of it */
	struct pb_buf	 bytes;
};

static int	head(struct pb_request *, struct pb_err *);
static int	parse(const struct pb_request *, struct pb_offer_want *,
		    struct pb_err *);
static int	parse_fork(const struct pb_request_head *, uint64_t,
		    struct pb_offer_want *, struct pb_err *);
static void	end(struct pb_request *);
static void	dress(struct pb_request *);
static void	put_next(struct pb_request *, const struct pb_offer *);
static void	shape(struct pb_request *, struct pb_shaper *);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static void	drop(void *);
static int	find_sift(struct giving *, struct pb_err *);
static void	put_payload(struct giving *, struct pb_buf *);
static void	stuck(const struct giving *, const struct pb_err *);
static void	put_expired(const struct giving *, struct pb_buf *);

const struct pb_handler serve_offer = {
	.pulls = true, .head = head, .end = end,
};

static int
head(struct pb_request *request, struct pb_err *err)
{
	struct pb_offer_want want;
	uint64_t wait_ms;
	int rc = pulling_wait(request, &wait_ms, err);

	return rc < 0 ? rc : parse(request, &want, err);
}

static int
parse(const struct pb_request *request, struct pb_offer_want *out,
    struct pb_err *err)
{
	const struct pb_request_head *head = request->head;
	uint64_t after = 0, max = BYTES_MAX;

	if (head->after != NULL && pb_parse_u64(head->after, 0,
	    PB_SEQ_MAX - 1, &after, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "after");
	if (head->max_bytes != NULL && pb_parse_u64(head->max_bytes, 1,
	    UINT64_MAX, &max, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "max_bytes");
	*out = (struct pb_offer_want){ .from = after + 1,
	    .bytes_max = max > BYTES_MAX ? BYTES_MAX : max < BYTES_MIN ?
	    BYTES_MIN : (size_t)max };
	return parse_fork(head, after, out, err);
}

/* What another epoch has it under, and where that ends. */
static int
parse_fork(const struct pb_request_head *head, uint64_t after,
    struct pb_offer_want *out, struct pb_err *err)
{
	out->to = UINT64_MAX;
	if (head->to != NULL && pb_parse_u64(head->to, after + 1, PB_SEQ_MAX,
	    &out->to, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "to");
	if (head->as != NULL && (pb_parse_hex64(head->as, &out->epoch, NULL) <
	    0 || out->epoch == 0))
		return pb_err_set(err, PB_EINVAL, "as: an epoch has 16 hex "
		    "digits, not all 0");
	return 0;
}

static void
end(struct pb_request *request)
{
	const char *accept = request->head->accept;
	struct giving *giving = calloc(1, sizeof(*giving));
	uint64_t wait_ms = 0;

	if (giving == NULL) {
		request_fail(request, PB_ENOMEM, "no memory");
		return;
	}
	(void)pulling_wait(request, &wait_ms, NULL);
	(void)parse(request, &giving->want, NULL);
	pulling_init(&giving->pulling, request, wait_ms);
	giving->want.store = request->service->opts.store;
	giving->want.key = request->route.key;
	giving->want.upstream = request->puller->name;
	giving->sifts = request->service->sifts;
	giving->want.next_max = SIZE_MAX;
	if (giving->pulling.shaper != NULL) {
		giving->want.bytes_max = pb_shaper_bytes(giving->pulling.
		    shaper, giving->want.bytes_max, BYTES_MIN);
		giving->want.next_max = pb_shaper_second(giving->pulling.
		    shaper);
	}
	giving->bytes_max = giving->want.bytes_max;
	if (accept != NULL && strcasestr(accept, "zstd") != NULL)
		giving->offer.payload.level = PB_ZIP_LEVEL_MIN;
	pb_buf_init(&giving->bytes, PB_FEED_EXTENT_MAX);
	request_make_held(request, &(struct pb_maker){ .make = make,
	    .drop = drop, .arg = giving, .looks = true }, dress, wait_ms,
	    giving->bytes_max);
}

/* --- on a reader's thread ------------------------------------------------- */

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct giving *giving = arg;
	int rc;

	pulling_begin(&giving->pulling, reading);
	if (pulling_closed(&giving->pulling))
		return pulling_waits(&giving->pulling) ? PB_MADE_WAIT :
		    PB_MADE_END;
	rc = find_sift(giving, err);
	if (rc < 0)
		return rc;
	rc = pb_offer_make(&giving->want, &giving->offer, &giving->bytes,
	    err);
	pb_sift_unref(giving->offer.payload.sift);
	pb_buf_finish(&giving->bytes);
	pb_buf_init(&giving->bytes, PB_FEED_EXTENT_MAX);
	if (rc == 0 && giving->offer.piece.kind == PB_PIECE_PACKETS)
		put_payload(giving, piece);
	else if (rc == 0 && giving->offer.piece.kind == PB_PIECE_GAP &&
	    giving->offer.piece.reason == PB_GAP_EXPIRED)
		put_expired(giving, piece);
	else if (rc == 0 && giving->offer.piece.kind == PB_PIECE_NONE &&
	    pulling_waits(&giving->pulling))
		return PB_MADE_WAIT;
	pb_payload_finish(&giving->offer.payload);
	if (rc != PB_EDIGEST)
		return rc < 0 ? rc : PB_MADE_END;
	stuck(giving, err);
	return PB_EBUSY;
}

static void
drop(void *arg)
{
	struct giving *giving = arg;

	pulling_end(&giving->pulling);
	pb_payload_finish(&giving->offer.payload);
	pb_buf_finish(&giving->bytes);
	free(giving);
}

/* What the puller is not to get of the stream.  As much is read as an answer
 * may have, and what is left over ends where it asked for no more: else one of
 * whom little passes would ask for each little. */
static int
find_sift(struct giving *giving, struct pb_err *err)
{
	struct pb_sift **sift = &giving->offer.payload.sift;
	struct pb_stream_info stream = { .linktype = 0 };
	struct pb_index *index = pb_store_hold(giving->want.store, err);
	int rc;

	*sift = NULL;
	if (index == NULL)
		return PB_ESYS;
	rc = pb_index_stream(index, &giving->want.key, &stream, err);
	pb_store_let_go(giving->want.store);
	/* Where there is none, what is made next says so. */
	if (rc == 1 && pb_sifts_find(giving->sifts, giving->want.upstream,
	    stream.linktype, sift, err) < 0) {
		stuck(giving, err);
		return PB_EBUSY;
	}
	giving->want.bytes_max = *sift != NULL ? BYTES_MAX :
	    giving->bytes_max;
	giving->offer.payload.sifted_max = giving->bytes_max;
	return rc < 0 ? rc : 0;
}

/* The answer's memory is that of what was read. */
static void
put_payload(struct giving *giving, struct pb_buf *piece)
{
	struct pb_offer *offer = &giving->offer;

	pb_payload_move(&offer->payload, piece, &giving->skip);
	pb_pulls_gave(pb_offers_pulls(giving->pulling.offers),
	    giving->pulling.puller, &giving->want.key, offer->piece.first,
	    offer->piece.last, offer->payload.left.filtered);
}

/* It cannot be given what it asks for: the shipper is told why. */
static void
stuck(const struct giving *giving, const struct pb_err *err)
{
	pb_pulls_stuck(pb_offers_pulls(giving->pulling.offers),
	    giving->pulling.puller, &giving->want.key, err->text);
}

static void
put_expired(const struct giving *giving, struct pb_buf *piece)
{
	struct pb_json json;

	pb_json_init(&json, piece);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "error", "these packets have expired");
	pb_json_u64(&json, "first", giving->offer.piece.last + 1);
	pb_json_end(&json);
}

/* --- on the ingest thread ------------------------------------------------- */

static void
dress(struct pb_request *request)
{
	const struct giving *giving = request->made;
	const struct pb_piece *piece = &giving->offer.piece;

	request->answer.type = PCAPNG_TYPE;
	if (piece->kind == PB_PIECE_NONE) {
		request->answer.status = 204;
	} else if (piece->kind == PB_PIECE_PACKETS) {
		request_field(request, "PB-First", "%" PRIu64, piece->first);
		request_field(request, "PB-Last", "%" PRIu64, piece->last);
		request_field(request, "PB-Digest", DIGEST_PREFIX
		    "%016" PRIx64, giving->offer.payload.digest);
		put_next(request, &giving->offer);
		request->answer.skip = giving->skip;
		if (giving->offer.payload.packed)
			request_field(request, "Content-Encoding", "zstd");
		shape(request, giving->pulling.shaper);
	} else if (piece->reason == PB_GAP_EXPIRED) {
		request->answer.status = 410;
		request->answer.type = JSON_TYPE;
	} else {
		request_field(request, "PB-Gap", "%" PRIu64 "-%" PRIu64
		    "; reason=%s", piece->first, piece->last,
		    pb_gap_reason_name(piece->reason));
	}
}

static void
put_next(struct pb_request *request, const struct pb_offer *offer)
{
	char text[NEXT_BYTES] = "";
	size_t len = 0;

	for (unsigned i = 0; i < offer->nexts; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s%" PRIu64 "/%" PRIu32, i > 0 ? "," : "",
		    offer->next[i].last, offer->next[i].bytes);
	if (len > 0)
		request_field(request, "PB-Next", "%s", text);
}

static void
shape(struct pb_request *request, struct pb_shaper *shaper)
{
	char stream[PB_STREAM_NAME_MAX];

	request->answer.is_shaped = shaper != NULL && pb_shaped_begin(
	    &request->shaped, shaper, pb_stream_name(stream,
	    &request->route.key), request_wake, request);
}
