/*
 * shipper/loop_conf.c - the configuration is read again
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shipper/loop_impl.h"

#define FILTER_MS	100u	/* for names in filters, at a reload */

static bool	goes_on(const struct pb_upstream *, const struct pb_conf *);
static void	take_conf(struct pb_loop *, struct pb_conf *);

void
loop_reload(struct pb_loop *loop)
{
	struct pb_conf *conf;
	struct pb_err err;

	int rc = pb_conf_load(&conf, loop->conf->file, &err);

	if (rc == 0) {
		rc = pb_sink_check(conf, loop->conf, FILTER_MS, &err);
		if (rc == 0)
			rc = pb_edges_check(conf, &err);
		if (rc < 0)
			pb_conf_destroy(conf);
	}
	if (rc < 0) {
		pb_log(PB_LOG_ERROR, "shipper", "the configuration stays as it "
		    "was: %s", err.text);
		return;
	}
	if (strcmp(conf->store.path, loop->store) != 0)
		pb_log(PB_LOG_WARN, "shipper", "[store] path: takes effect "
		    "with a restart");
	for (size_t i = 0; i < loop->upstreams; i++)
		if (!goes_on(loop->upstream[i], conf))
			pb_upstream_stop(loop->upstream[i]);
	loop_report_last(loop);
	take_conf(loop, conf);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_ship_hurry(pb_upstream_ship(loop->upstream[i]));
	pb_log(PB_LOG_INFO, "shipper", "configuration read again upstreams=%zu "
	    "edges=%zu", loop->conf->upstreams, loop->conf->edges);
}

/* Is it as it was, or different in what it takes while it goes on? */
static bool
goes_on(const struct pb_upstream *u, const struct pb_conf *conf)
{
	const struct pb_conf_upstream *is = pb_upstream_conf(u);
	const struct pb_conf_upstream *want = pb_conf_upstream(conf,
	    is->name);

	return want != NULL && pb_upstream_changes(u, want);
}

/* Upstreams go on where they can; the others end or begin. */
static void
take_conf(struct pb_loop *loop, struct pb_conf *conf)
{
	size_t kept = 0, before;
	struct pb_err err;

	for (size_t i = 0; i < loop->upstreams; i++) {
		struct pb_upstream *u = loop->upstream[i];

		if (!goes_on(u, conf)) {
			pb_upstream_destroy(u);
			continue;
		}
		pb_upstream_change(u, pb_conf_upstream(conf,
		    pb_upstream_conf(u)->name));
		loop->upstream[kept++] = u;
	}
	loop->upstreams = before = kept;
	loop->fills_commits = 0;	/* a new one has seen none */
	if (loop->edges != NULL)
		pb_edges_take(loop->edges, conf);
	loop_told_stop(loop);
	pb_conf_destroy(loop->conf);
	loop->conf = conf;
	if (loop->state != NULL && loop_store_forget(loop, &err) < 0)
		loop_say(loop, err.text);
	if (loop->feed == NULL)
		return;		/* they begin with the index */
	for (size_t i = 0; i < conf->upstreams; i++) {
		bool there = false;

		for (size_t j = 0; j < before; j++)
			there |= strcmp(pb_upstream_conf(loop->upstream[j])->
			    name, conf->upstream[i].name) == 0;
		if (!there && loop_upstream_start(loop, &conf->upstream[i],
		    &err) < 0)
			loop_say(loop, err.text);
	}
	/* The kept ones know all of it already; telling them is harmless. */
	pb_watch_each(loop->watch, loop_store_grown, loop);
}
