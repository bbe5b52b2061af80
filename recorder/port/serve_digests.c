/*
 * recorder/port/serve_digests.c - GET /v1/streams/NODE/IFACE/EPOCH/digests
 *
 * What this node has of the numbers `?first=A&last=B`, in up to `parts=N`
 * parts of equal length, told by digests (store/read/digests.h): a node that
 * has the same packets makes the same, and asks on only where they differ.
 *
 * A reader makes them, an extent at a time, so that others have their turn,
 * and ends the answer when it has read DIGESTS_BYTES_MAX: its last part says
 * up to which number it has come, and who asked goes on behind it.  DIGESTS_MAX
 * answers are made at a time, however many ask.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "recorder/port/request_impl.h"
#include "recorder/store/read/absent.h"
#include "recorder/store/read/digests.h"

#define DIGESTS_MAX		4u
#define DIGESTS_BYTES_MAX	(128u << 20)

struct making {
	struct pb_service	*service;
	struct pb_index_lender	lender;
	struct pb_stream_key	key;
	struct pb_digests_ask	ask;
	struct pb_digests	*digests;	/* NULL: not begun */
	uint64_t		next, step;	/* numbers */
	struct pb_buf		text;		/* until all of it is there */
	struct pb_json		json;
};

static int	head(struct pb_request *, struct pb_err *);
static void	end(struct pb_request *);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static int	begin(struct making *, struct pb_err *);
static int	tell_absent(struct making *, struct pb_err *);
static int	go_on(struct making *, struct pb_err *);
static void	tell_part(struct making *, const struct pb_digests_part *);
static void	drop(void *);

const struct pb_handler serve_digests = {
	.pulls_too = true, .head = head, .end = end,
};

static int
head(struct pb_request *request, struct pb_err *err)
{
	const struct pb_digests_words *words = &request->head->digests;
	struct pb_digests_ask *ask = &request->digests;
	const struct {
		const char	*name, *text;
		uint64_t	min, max, *out;
	} rows[] = {
		{ "first", words->first, 1, PB_SEQ_MAX, &ask->first },
		{ "last", words->last, 1, PB_SEQ_MAX, &ask->last },
		{ "parts", words->parts, 1, PB_DIGESTS_PARTS_MAX,
		    &ask->parts },
		{ "snaplen", words->snaplen, 1, PB_CAPLEN_MAX,
		    &ask->snaplen },
		{ "why", words->why, 0, 1, &ask->why },
	};

	*ask = (struct pb_digests_ask){ .first = 1, .last = PB_SEQ_MAX,
	    .parts = 1 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].text != NULL && pb_parse_u64(rows[i].text,
		    rows[i].min, rows[i].max, rows[i].out, err) < 0)
			return pb_err_prefix(err, PB_EINVAL, "%s",
			    rows[i].name);
	if (ask->first > ask->last)
		return pb_err_set(err, PB_EINVAL, "first %" PRIu64 " is past "
		    "last %" PRIu64, ask->first, ask->last);
	return 0;
}

static void
end(struct pb_request *request)
{
	struct pb_service *service = request->service;
	struct making *making = NULL;

	if (atomic_fetch_add(&service->digests, 1) < DIGESTS_MAX)
		making = calloc(1, sizeof(*making));
	if (making == NULL) {
		atomic_fetch_sub(&service->digests, 1);
		request_fail(request, PB_EBUSY, "others ask for digests");
		return;
	}
	making->service = service;
	making->lender = pb_store_lender(service->opts.store);
	making->key = request->route.key;
	making->ask = request->digests;
	pb_buf_init(&making->text, PB_PIECE_BYTES);
	request_make(request, &(struct pb_maker){ .make = make, .drop = drop,
	    .arg = making, .looks = true }, JSON_TYPE);
}

/* All of it at once, when it is there: it has one piece. */
static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct making *making = arg;
	int rc = making->digests == NULL ? begin(making, err) :
	    go_on(making, err);

	(void)reading;
	if (rc != PB_MADE_END)
		return rc;
	pb_json_end(&making->json);
	pb_json_end(&making->json);
	pb_buf_put(piece, making->text.data, making->text.len);
	piece->failed |= making->text.failed;
	return PB_MADE_END;
}

static int
begin(struct making *making, struct pb_err *err)
{
	struct pb_digests_ask *ask = &making->ask;
	struct pb_holding holding;
	int rc = pb_holding_find(&making->lender, &making->key, &holding,
	    err);

	if (rc == 0)
		rc = pb_digests_create(&making->digests, &making->lender,
		    &making->key, ask->first, (uint32_t)ask->snaplen, err);
	if (rc < 0)
		return rc;
	pb_json_init(&making->json, &making->text);
	pb_json_object(&making->json, NULL);
	pb_json_u64(&making->json, "acked", holding.last_seq);
	pb_json_u64(&making->json, "first", holding.first_seq);
	if (ask->last > holding.last_seq)
		ask->last = holding.last_seq;
	making->next = ask->first;
	making->step = ask->last < ask->first ? 1 :
	    (ask->last - ask->first) / ask->parts + 1;
	if (ask->why != 0 && ask->first <= ask->last)
		rc = tell_absent(making, err);
	pb_json_array(&making->json, "parts");
	return rc < 0 ? rc : ask->first <= ask->last ? PB_MADE_MORE :
	    PB_MADE_END;
}

static int
tell_absent(struct making *making, struct pb_err *err)
{
	struct pb_digests_ask *ask = &making->ask;
	struct pb_absent absent[PB_ABSENT_MAX];
	struct pb_json *json = &making->json;
	int n = pb_absent(&making->lender, &making->key, ask->first,
	    &ask->last, absent, err);

	pb_json_array(json, "absent");
	for (int i = 0; i < n; i++) {
		const char *reason = pb_gap_reason_name(absent[i].reason);

		pb_json_object(json, NULL);
		pb_json_u64(json, "first", absent[i].first);
		pb_json_u64(json, "last", absent[i].last);
		pb_json_text(json, "reason", reason != NULL ? reason :
		    "unknown");
		if (absent[i].since_ns != 0)
			pb_json_time(json, "since", absent[i].since_ns);
		pb_json_end(json);
	}
	pb_json_end(json);
	return n < 0 ? n : 0;
}

/* An extent more. */
static int
go_on(struct making *making, struct pb_err *err)
{
	const struct pb_digests_ask *ask = &making->ask;
	struct pb_digests_part part;
	int rc;

	do {
		uint64_t last = ask->last - making->next < making->step ?
		    ask->last : making->next + making->step - 1;

		rc = pb_digests_next(making->digests, last, &part, err);
		if (rc == 1)
			tell_part(making, &part);
		if (rc == 1 && part.last == ask->last)
			return PB_MADE_END;
	} while (rc == 1);
	if (rc < 0)
		return rc;
	if (pb_digests_bytes(making->digests) < DIGESTS_BYTES_MAX)
		return PB_MADE_MORE;
	if (pb_digests_cut(making->digests, &part))
		tell_part(making, &part);
	return PB_MADE_END;
}

static void
tell_part(struct making *making, const struct pb_digests_part *part)
{
	struct pb_json *json = &making->json;
	char digest[17];

	pb_json_object(json, NULL);
	pb_json_u64(json, "last", part->last);
	pb_json_u64(json, "packets", part->packets);
	if (part->packets > 0) {
		pb_hex64(part->digest, digest);
		pb_json_text(json, "xxh3", digest);
	}
	if (making->ask.snaplen != 0)
		pb_json_u64(json, "longer", part->longer);
	if (part->damaged != 0)
		pb_json_u64(json, "damaged", part->damaged);
	if (making->ask.why != 0 && part->first == part->last &&
	    part->packets > 0) {
		pb_json_time(json, "time", part->time_ns);
		pb_json_u64(json, "captured", part->caplen);
		pb_json_u64(json, "length", part->origlen);
	}
	pb_json_end(json);
	making->next = part->last + 1;
}

static void
drop(void *arg)
{
	struct making *making = arg;

	pb_digests_destroy(making->digests);
	pb_buf_finish(&making->text);
	atomic_fetch_sub(&making->service->digests, 1);
	free(making);
}
