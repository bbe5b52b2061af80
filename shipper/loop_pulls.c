/*
 * shipper/loop_pulls.c - upstreams that come for their packets themselves
 *
 * The recorder serves them and says who asks, and what that has; it may say so
 * before this loop has seen the commit that made it durable.
 */
#include <string.h>

#include "base/clock.h"
#include "shipper/loop_impl.h"

static pb_hear_said said;

int
loop_pulls_open(struct pb_loop *loop, struct pb_err *err)
{
	return pb_hear_create(&loop->hear, loop->store, err);
}

void
loop_pulls_close(struct pb_loop *loop)
{
	pb_hear_destroy(loop->hear);
	loop->hear = NULL;
}

void
loop_pulls_run(struct pb_loop *loop)
{
	/* Until then it waits in the socket. */
	if (loop->hear != NULL && loop->feed != NULL)
		pb_hear_run(loop->hear, said, loop);
}

/* What it has of late packets is kept by number, once they are letters. */
static bool
said(void *arg, const struct pb_pull_news *news)
{
	struct pb_loop *loop = arg;
	uint64_t now_ms = pb_clock_mono_ms();
	struct pb_stream_info stream;
	struct pb_err err;

	if (news->first != 0 && loop->letters != NULL && (loop->fills_busy ||
	    loop->fills_commits != pb_index_commits(loop->index)))
		return false;
	for (size_t i = 0; i < loop->upstreams; i++) {
		struct pb_upstream *u = loop->upstream[i];

		if (strcmp(pb_upstream_conf(u)->name, news->upstream) != 0)
			continue;
		if (news->key.epoch == 0)
			pb_upstream_asks(u, news->wait_ms, now_ms);
		else if (pb_index_stream(loop->index, &news->key, &stream,
		    &err) != 1)
			continue;
		else if (news->error[0] != '\0')
			pb_upstream_stuck(u, &stream, news->error, now_ms);
		else if (!pb_upstream_acked(u, &stream, news, now_ms))
			return false;
	}
	return true;
}
