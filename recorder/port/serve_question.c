/*
 * recorder/port/serve_question.c - GET /v1/streams/NODE/IFACE/EPOCH
 *
 * Which packet is the last, up to `?at=N` where that is asked; the intake
 * knows when that can be told, and a reader looks, where the intake does not
 * know it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "recorder/port/request_impl.h"

/* A question that is looked for in files. */
struct search {
	struct pb_store	*store;
	struct pb_look	look;
	uint64_t	acked;
};

static int	head(struct pb_request *, struct pb_err *);
static void	end(struct pb_request *);
static void	settled(struct pb_request *);
static int	look(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static void	tell(struct pb_buf *, uint64_t,
		    const struct pb_fingerprint *);

const struct pb_handler serve_question = {
	.pulls_too = true, .head = head, .end = end, .settled = settled,
};

static int
head(struct pb_request *request, struct pb_err *err)
{
	const char *at = request->head->at;
	const char *captured = request->head->captured;
	uint64_t bytes = 0;

	if (at != NULL && pb_parse_u64(at, 1, PB_SEQ_MAX, &request->load.at,
	    err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "at");
	/* Without `at` there is none to be compared. */
	if (at != NULL && captured != NULL && pb_parse_u64(captured, 1,
	    PB_CAPLEN_MAX, &bytes, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "captured");
	request->load.captured = (uint32_t)bytes;
	return 0;
}

static void
end(struct pb_request *request)
{
	struct pb_intake *intake = request->service->intake;
	struct pb_err err = { 0 };
	int rc = pb_intake_begin(intake, &request->load, &request->route.key,
	    &err);

	request->load.ask = true;
	if (rc < 0)
		request_fail(request, rc, err.text);
	else
		pb_intake_offer(intake, &request->load,
		    request->service->now_ms);
}

static void
settled(struct pb_request *request)
{
	const struct pb_load *load = &request->load;
	struct search *search;

	/* Bodies may say what was left out of them; and of a packet that was
	 * cut it is said how many bytes were captured. */
	request->answer.takes = "filtered, cut";
	if (load->look.stream == NULL) {
		tell(&request->answer.body, load->acked, &load->last_packet);
		request_answer(request, 200, JSON_TYPE);
		return;
	}
	search = malloc(sizeof(*search));
	if (search == NULL) {
		request_fail(request, PB_ENOMEM, "no memory");
		return;
	}
	*search = (struct search){ request->service->opts.store, load->look,
	    load->acked };
	request_make(request, &(struct pb_maker){ .make = look, .drop = free,
	    .arg = search, .looks = true }, JSON_TYPE);
}

static int
look(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	const struct search *search = arg;
	struct pb_fingerprint last;
	int rc = pb_look(search->store, &search->look, &last, err);

	(void)reading;
	if (rc < 0)
		return rc;
	tell(piece, search->acked, &last);
	return PB_MADE_END;
}

static void
tell(struct pb_buf *out, uint64_t acked, const struct pb_fingerprint *last)
{
	struct pb_json json;
	char digest[32];

	pb_json_init(&json, out);
	pb_json_object(&json, NULL);
	pb_json_u64(&json, "acked", acked);
	if (last->seq != 0) {
		snprintf(digest, sizeof(digest), DIGEST_PREFIX "%016" PRIx64,
		    last->digest);
		pb_json_object(&json, "last");
		pb_json_u64(&json, "seq", last->seq);
		pb_json_text(&json, "digest", digest);
		if (last->captured != 0)
			pb_json_u64(&json, "captured", last->captured);
		pb_json_end(&json);
	}
	pb_json_end(&json);
}
