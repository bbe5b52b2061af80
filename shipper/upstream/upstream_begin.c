/*
 * shipper/upstream/upstream_begin.c - what is remembered before it is sent
 *
 * Who cannot be asked what it has is sent packets only when it is durable
 * how far the stream is; where nothing is sent twice, also which packets are
 * about to go.  So a crash repeats one unit of a stream at most; or leaves
 * one of which it is not known whether it was sent.  What was left out of
 * those before is counted in the same commit.
 *
 * Limit: one commit at a time, with all that waits meanwhile in the next.
 */
#include <string.h>

#include "base/clock.h"
#include "shipper/upstream/upstream_impl.h"

static void	give(struct pb_upstream *);
static void	write_begins(void *);
static void	written(void *);

void
upstream_begins_init(struct pb_upstream *u)
{
	STAILQ_INIT(&u->begins.waiting);
	STAILQ_INIT(&u->begins.written);
}

void
upstream_begin(struct slot *slot)
{
	struct upstream_begins *begins = &slot->upstream->begins;

	STAILQ_INSERT_TAIL(&begins->waiting, slot, link);
	if (!begins->busy)
		give(slot->upstream);
}

void
upstream_begins_end(struct pb_upstream *u)
{
	if (u->begins.busy)
		pb_worker_cancel(u->env.keeper, &u->begins.job);
	u->begins.busy = false;
	pb_news_finish(&u->begins.news);
	upstream_begins_init(u);
}

/* The rows of all that waits, as they are now. */
static void
give(struct pb_upstream *u)
{
	struct upstream_begins *begins = &u->begins;
	uint64_t now_ns = pb_clock_real_ns();
	struct pb_ship_cursor cursor;
	struct slot *slot;

	STAILQ_CONCAT(&begins->written, &begins->waiting);
	STAILQ_FOREACH(slot, &begins->written, link)
		pb_ship_begins(u->ship, slot->request.action.request);
	STAILQ_FOREACH(slot, &begins->written, link)
		if (pb_ship_cursor(u->ship, slot->request.action.stream,
		    &cursor))
			upstream_report_cursor(u, &begins->news, &cursor,
			    now_ns);
	upstream_report_left_out(u, &begins->news, now_ns);
	begins->busy = true;
	begins->job = (struct pb_job){ .run = write_begins, .done = written,
	    .arg = u };
	pb_worker_give(u->env.keeper, &begins->job);
}

static void
write_begins(void *arg)
{
	struct pb_upstream *u = arg;

	u->begins.rc = pb_news_write(&u->begins.news, u->env.state,
	    &u->begins.err);
}

static void
written(void *arg)
{
	struct pb_upstream *u = arg;
	struct upstream_begins *begins = &u->begins;
	struct slot *slot;

	begins->busy = false;
	if (begins->rc < 0)
		u->row.written_ns = 0;
	while ((slot = STAILQ_FIRST(&begins->written)) != NULL) {
		STAILQ_REMOVE_HEAD(&begins->written, link);
		/* That says nothing of the packets. */
		upstream_submit(slot, begins->rc < 0 ? PB_ESYS : 0,
		    &begins->err);
	}
	if (!STAILQ_EMPTY(&begins->waiting))
		give(u);
}
