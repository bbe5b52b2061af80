/*
 * recorder/port/serve_offer.c - GET /v1/streams/NODE/IFACE/EPOCH/packets
 *
 * One section with the packets behind `after`, a gap, or, after `wait`,
 * nothing.  It is made whole before the answer begins, as its digest stands
 * in the head.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "base/zip.h"
#include "recorder/port/offer.h"
#include "recorder/port/pulling.h"
#include "recorder/port/request_impl.h"

#define BYTES_MIN	((size_t)64 << 10)
/* An extent, and the header of its file, which need no second look. */
#define BYTES_MAX	((size_t)2 << 20)
/* A packet may be larger than what is asked for. */
#define PACKET_ROOM	((size_t)2 << 20)
#define PCAPNG_TYPE	"application/x-pcapng"

struct giving {
	struct pulling	 pulling;
	struct pb_offer_want want;
	bool		 zstd;		/* it takes that */
	/* What was found. */
	struct pb_piece	 piece;
	struct pb_section section;
	struct pb_buf	 bytes;
	uint64_t	 digest;
	bool		 packed;
};

static int	head(struct pb_request *, struct pb_err *);
static int	parse(const struct pb_request *, struct pb_offer_want *,
		    struct pb_err *);
static int	parse_fork(const struct pb_request_head *, uint64_t,
		    struct pb_offer_want *, struct pb_err *);
static void	end(struct pb_request *);
static void	dress(struct pb_request *);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static void	drop(void *);
static int	put_section(struct giving *, struct pb_buf *, struct pb_err *);
static bool	pack(struct giving *, struct pb_buf *);
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
	giving->zstd = accept != NULL && strcasestr(accept, "zstd") != NULL;
	pb_buf_init(&giving->bytes, PB_FEED_EXTENT_MAX);
	request_make_held(request, &(struct pb_maker){ .make = make,
	    .drop = drop, .arg = giving, .looks = true }, dress, wait_ms,
	    giving->want.bytes_max);
}

/* --- on a reader's thread ------------------------------------------------- */

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct giving *giving = arg;
	int rc;

	pulling_begin(&giving->pulling, reading);
	rc = pb_offer_make(&giving->want, &giving->piece, &giving->section,
	    &giving->bytes, err);
	pb_buf_finish(&giving->bytes);
	pb_buf_init(&giving->bytes, PB_FEED_EXTENT_MAX);
	if (rc == 0 && giving->piece.kind == PB_PIECE_PACKETS)
		rc = put_section(giving, piece, err);
	else if (rc == 0 && giving->piece.kind == PB_PIECE_GAP &&
	    giving->piece.reason == PB_GAP_EXPIRED)
		put_expired(giving, piece);
	else if (rc == 0 && giving->piece.kind == PB_PIECE_NONE &&
	    pulling_waits(&giving->pulling))
		return PB_MADE_WAIT;
	pb_section_finish(&giving->section);
	if (rc != PB_EDIGEST)
		return rc < 0 ? rc : PB_MADE_END;
	pb_pulls_stuck(pb_offers_pulls(giving->pulling.offers),
	    giving->pulling.puller, &giving->want.key, err->text);
	return PB_EBUSY;
}

static void
drop(void *arg)
{
	struct giving *giving = arg;

	pulling_end(&giving->pulling);
	pb_section_finish(&giving->section);
	pb_buf_finish(&giving->bytes);
	free(giving);
}

/* The one piece of this answer is as long as that. */
static int
put_section(struct giving *giving, struct pb_buf *piece, struct pb_err *err)
{
	const struct pb_section *section = &giving->section;

	piece->max = giving->want.bytes_max + PACKET_ROOM;
	giving->digest = pb_digest(section->data, section->len);
	giving->packed = giving->zstd && pack(giving, piece);
	if (!giving->packed)
		pb_buf_put(piece, section->data, section->len);
	return piece->failed ? pb_err_set(err, PB_ENOMEM, "no memory for %zu "
	    "bytes", section->len) : 0;
}

/* Where it shrinks. */
static bool
pack(struct giving *giving, struct pb_buf *piece)
{
	if (pb_zip_pack(piece, giving->section.data, giving->section.len) ==
	    0 && piece->len < giving->section.len)
		return true;
	pb_buf_clear(piece);
	return false;
}

static void
put_expired(const struct giving *giving, struct pb_buf *piece)
{
	struct pb_json json;

	pb_json_init(&json, piece);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "error", "these packets have expired");
	pb_json_u64(&json, "first", giving->piece.last + 1);
	pb_json_end(&json);
}

/* --- on the ingest thread ------------------------------------------------- */

static void
dress(struct pb_request *request)
{
	const struct giving *giving = request->made;
	const struct pb_piece *piece = &giving->piece;

	request->answer.type = PCAPNG_TYPE;
	if (piece->kind == PB_PIECE_NONE) {
		request->answer.status = 204;
	} else if (piece->kind == PB_PIECE_PACKETS) {
		request_field(request, "PB-First", "%" PRIu64, piece->first);
		request_field(request, "PB-Last", "%" PRIu64, piece->last);
		request_field(request, "PB-Digest", DIGEST_PREFIX
		    "%016" PRIx64, giving->digest);
		if (giving->packed)
			request_field(request, "Content-Encoding", "zstd");
	} else if (piece->reason == PB_GAP_EXPIRED) {
		request->answer.status = 410;
		request->answer.type = JSON_TYPE;
	} else {
		request_field(request, "PB-Gap", "%" PRIu64 "-%" PRIu64
		    "; reason=%s", piece->first, piece->last,
		    pb_gap_reason_name(piece->reason));
	}
}
