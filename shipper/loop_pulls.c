/*
 * shipper/loop_pulls.c - upstreams that come for their packets themselves
 *
 * The recorder serves them and says who asks, and what that has; it may say so
 * before this loop has seen the commit that made it durable.
 */
#include <string.h>

#include "base/clock.h"
#include "shipper/loop_impl.h"

static void	said(void *, const struct pb_pull_news *);

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

static void
said(void *arg, const struct pb_pull_news *news)
{
	struct pb_loop *loop = arg;
	uint64_t now_ms = pb_clock_mono_ms();
	struct pb_stream_info stream;
	struct pb_err err;

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
		else
			pb_upstream_acked(u, &stream, news, now_ms);
	}
}
