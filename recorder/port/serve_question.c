/*
 * recorder/port/serve_question.c - GET /v1/streams/NODE/IFACE/EPOCH
 *
 * Which packet is the last, up to `?at=N` where that is asked; the intake
 * knows when that can be told.
 */
#include "base/text.h"
#include "recorder/port/request_impl.h"

static int	head(struct pb_request *, const struct pb_request_head *,
		    struct pb_err *);
static void	end(struct pb_request *);

const struct pb_handler serve_question = { .head = head, .end = end };

static int
head(struct pb_request *request, const struct pb_request_head *given,
    struct pb_err *err)
{
	if (given->at != NULL && pb_parse_u64(given->at, 1, PB_SEQ_MAX,
	    &request->load.at, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "at");
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
