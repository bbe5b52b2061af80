/*
 * recorder/port/pulling.c - what answers to pullers have in common
 */
#include "recorder/port/pulling.h"

#include "base/clock.h"
#include "base/text.h"
#include "recorder/port/request_impl.h"

int
pulling_wait(const struct pb_request *request, uint64_t *wait_ms,
    struct pb_err *err)
{
	const char *wait = request->head->wait;
	uint64_t seconds = 0;

	if (wait != NULL && pb_parse_u64(wait, 0, UINT64_MAX, &seconds,
	    err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "wait, in seconds");
	if (seconds > PB_PULL_WAIT_S_MAX)
		seconds = PB_PULL_WAIT_S_MAX;
	*wait_ms = seconds * 1000;
	return 0;
}

void
pulling_init(struct pulling *pulling, const struct pb_request *request,
    uint64_t wait_ms)
{
	*pulling = (struct pulling){ .offers = request->service->offers,
	    .wait_ms = wait_ms,
	    .until_ms = request->service->now_ms + wait_ms };
	if (request->puller == NULL)
		return;
	pulling->puller = request->puller->name;
	pulling->shaper = pb_sifts_shaper(request->service->sifts,
	    pulling->puller);
}

void
pulling_begin(struct pulling *pulling, struct pb_reading *reading)
{
	if (pulling->begun)
		return;
	pulling->begun = true;
	if (pulling->puller != NULL)
		pb_pulls_asks(pb_offers_pulls(pulling->offers),
		    pulling->puller, pulling->wait_ms);
	if (pulling->wait_ms > 0)
		pb_offers_wait(pulling->offers, &pulling->poll, reading);
}

bool
pulling_closed(const struct pulling *pulling)
{
	return pulling->shaper != NULL &&
	    pb_shaper_closed(pulling->shaper, pb_clock_real_ns());
}

bool
pulling_waits(const struct pulling *pulling)
{
	return pulling->wait_ms > 0 && !pb_offers_ended(pulling->offers) &&
	    pb_clock_mono_ms() < pulling->until_ms;
}

void
pulling_end(struct pulling *pulling)
{
	pb_offers_leave(pulling->offers, &pulling->poll);
}
