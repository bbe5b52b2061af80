/*
 * shipper/loop_report.c - how it goes: into the state, and into the log
 *
 * How upstreams and edges do is gathered by the loop and written by the keeper:
 * one report at a time.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shipper/loop_impl.h"

/* A turn of back-off is reported at once, but not more often than this. */
#define TURN_MS	100u

static void	write_report(void *);
static void	reported(void *);

void
loop_report(struct pb_loop *loop)
{
	uint64_t now_ms = pb_clock_mono_ms(), now_ns = pb_clock_real_ns();
	bool news = false;

	if (loop->state == NULL || loop->reporting)
		return;
	loop->report_ms = now_ms;
	for (size_t i = 0; i < loop->upstreams; i++)
		news |= pb_upstream_report(loop->upstream[i], &loop->news,
		    now_ms, now_ns);
	if (loop->edges != NULL)
		news |= pb_edges_report(loop->edges, &loop->news, now_ms,
		    now_ns);
	if (!news)
		return;
	loop->reporting = true;
	loop->report_job = (struct pb_job){ .run = write_report,
	    .done = reported, .arg = loop };
	pb_worker_give(loop->keeper, &loop->report_job);
}

bool
loop_report_due(const struct pb_loop *loop, uint64_t now_ms)
{
	if (now_ms >= loop->report_ms + PB_REPORT_MS)
		return true;
	if (now_ms < loop->report_ms + TURN_MS)
		return false;
	for (size_t i = 0; i < loop->upstreams; i++)
		if (pb_upstream_turned(loop->upstream[i]))
			return true;
	return false;
}

void
loop_report_last(struct pb_loop *loop)
{
	pb_worker_drain(loop->keeper);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_ship_touch(pb_upstream_ship(loop->upstream[i]), true);
	loop_report(loop);
	pb_worker_drain(loop->keeper);
}

void
loop_report_end(struct pb_loop *loop)
{
	if (loop->reporting)
		pb_worker_cancel(loop->keeper, &loop->report_job);
	loop->reporting = false;
	pb_news_finish(&loop->news);
}

void
loop_say(struct pb_loop *loop, const char *text)
{
	if (strcmp(loop->said, text) == 0)
		return;
	snprintf(loop->said, sizeof(loop->said), "%s", text);
	pb_log(PB_LOG_WARN, "shipper", "%s", text);
}

static void
write_report(void *arg)
{
	struct pb_loop *loop = arg;

	loop->report_rc = pb_news_write(&loop->news, loop->state,
	    &loop->report_err);
}

static void
reported(void *arg)
{
	struct pb_loop *loop = arg;

	loop->reporting = false;
	if (loop->report_rc == 0)
		return;
	loop_say(loop, loop->report_err.text);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_report_again(loop->upstream[i]);
	if (loop->edges != NULL)
		pb_edges_report_again(loop->edges);
}
