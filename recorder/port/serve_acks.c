/*
 * recorder/port/serve_acks.c - POST /v1/streams/NODE/IFACE/EPOCH/acks
 *
 * What a puller has durably.  The recorder looks whether that can be, and
 * gives it to the shipper, who keeps it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "recorder/port/offers.h"
#include "recorder/port/request_impl.h"

struct giving {
	struct pb_store	*store;
	struct pb_offers *offers;
	struct pb_pull_news ack;
	bool		past;		/* what is durable */
};

static size_t	body_max(const struct pb_request *);
static void	end(struct pb_request *);
static int	parse(const struct pb_request *, struct pb_pull_news *,
		    struct pb_err *);
static void	dress(struct pb_request *);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static int	find_durable(const struct giving *, uint64_t *,
		    struct pb_err *);

const struct pb_handler serve_acks = {
	.pulls = true, .body_max = body_max, .end = end,
};

static size_t
body_max(const struct pb_request *request)
{
	(void)request;
	return PB_JSON_BODY_MAX;
}

static void
end(struct pb_request *request)
{
	struct giving *giving = calloc(1, sizeof(*giving));
	struct pb_err err = { .code = 0 };
	int rc = giving == NULL ? pb_err_set(&err, PB_ENOMEM, "no memory") :
	    parse(request, &giving->ack, &err);

	if (rc < 0) {
		request_fail(request, rc == PB_EINVAL ? PB_EFORMAT : rc,
		    err.text);
		free(giving);
		return;
	}
	giving->store = request->service->opts.store;
	giving->offers = request->service->offers;
	request_make_held(request, &(struct pb_maker){ .make = make,
	    .drop = free, .arg = giving, .looks = true }, dress, 0, 0);
}

static int
parse(const struct pb_request *request, struct pb_pull_news *out,
    struct pb_err *err)
{
	struct pb_json_doc doc;

	if (request->room.len == 0)
		return pb_err_set(err, PB_EINVAL, "the body is empty");
	pb_json_doc_open(&doc, (const char *)request->room.data,
	    request->room.len, err);
	pb_json_doc_text(&doc, "upstream", out->upstream,
	    sizeof(out->upstream));
	out->acked = pb_json_doc_u64(&doc, "acked");
	if (pb_json_doc_has(&doc, "first"))
		out->first = pb_json_doc_u64(&doc, "first");
	pb_json_doc_close(&doc);
	if (doc.rc < 0)
		return doc.rc;
	out->key = request->route.key;
	if (strcmp(out->upstream, request->puller->name) != 0)
		return pb_err_set(err, PB_EACCES, "%s may not say what %s has",
		    request->puller->name, out->upstream);
	if (out->first > out->acked || out->acked > PB_SEQ_MAX)
		return pb_err_set(err, PB_EINVAL, "acked, and first where it "
		    "is given: numbers, first not past acked");
	return 0;
}

/* --- on a reader's thread ------------------------------------------------- */

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct giving *giving = arg;
	struct pb_json json;
	uint64_t durable = 0;
	int rc = find_durable(giving, &durable, err);

	(void)reading;
	giving->past = rc == 0 && giving->ack.acked > durable;
	if (rc < 0)
		return rc;
	/* It is this node that is not ready, not the stream. */
	if (!giving->past && pb_pulls_ack(pb_offers_pulls(giving->offers),
	    &giving->ack, err) < 0)
		return PB_EBUSY;
	pb_json_init(&json, piece);
	pb_json_object(&json, NULL);
	if (giving->past) {
		pb_json_u64(&json, "acked", durable);
		pb_json_text(&json, "error", "past what was ever durable "
		    "here");
	} else {
		pb_json_u64(&json, "acked", giving->ack.acked);
	}
	pb_json_end(&json);
	return PB_MADE_END;
}

static int
find_durable(const struct giving *giving, uint64_t *out, struct pb_err *err)
{
	struct pb_index *index = pb_store_hold(giving->store, err);
	struct pb_stream_info stream;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	rc = pb_index_stream(index, &giving->ack.key, &stream, err);
	pb_store_let_go(giving->store);
	if (rc == 0)
		return pb_err_set(err, PB_ENOENT, "no such stream here");
	*out = stream.last_seq;
	return rc < 0 ? rc : 0;
}

/* --- on the ingest thread ------------------------------------------------- */

static void
dress(struct pb_request *request)
{
	const struct giving *giving = request->made;

	request->answer.type = JSON_TYPE;
	if (giving->past)
		request->answer.status = 409;
}
