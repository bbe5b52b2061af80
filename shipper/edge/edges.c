/*
 * shipper/edge/edges.c - all nodes that are dialled
 */
#include "shipper/edge/edges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "recorder/store/layout.h"
#include "shipper/wire/proxy.h"

struct pb_edges {
	struct pb_edge_env env;
	struct pb_pull_budget budget;
	char		 socket_path[PATH_MAX];
	char		 node[PB_NAME_BYTES_MAX + 1];
	struct pb_edge	*edge[PB_EDGES_MAX];
	size_t		 count;
	size_t		 turn;		/* who is the first */
};

static void	begin_missing(struct pb_edges *, const struct pb_conf *);
static bool	is_there(const struct pb_edges *, const char *);

int
pb_edges_create(struct pb_edges **out, const struct pb_edge_env *env,
    const char *store, const struct pb_conf *conf, struct pb_err *err)
{
	struct pb_edges *edges = calloc(1, sizeof(*edges));
	int rc;

	*out = NULL;
	if (edges == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for edges");
	rc = pb_layout_path(edges->socket_path, store, "recorder.sock", err);
	if (rc < 0) {
		free(edges);
		return rc;
	}
	strcpy(edges->node, conf->node.name);
	edges->budget.bytes_max = PB_EDGES_BYTES_MAX;
	edges->budget.hands_max = PB_EDGES_HANDS_MAX;
	edges->env = *env;
	edges->env.socket_path = edges->socket_path;
	edges->env.node = edges->node;
	edges->env.budget = &edges->budget;
	begin_missing(edges, conf);
	*out = edges;
	return 0;
}

void
pb_edges_destroy(struct pb_edges *edges)
{
	if (edges == NULL)
		return;
	while (edges->count > 0)
		pb_edge_destroy(edges->edge[--edges->count]);
	free(edges);
}

void
pb_edges_take(struct pb_edges *edges, const struct pb_conf *conf)
{
	const struct pb_conf_edge *is, *want;
	size_t kept = 0;

	for (size_t i = 0; i < edges->count; i++) {
		is = pb_edge_conf(edges->edge[i]);
		want = pb_conf_edge(conf, is->name);
		if (want == NULL ||
		    !pb_conf_same(PB_CONF_EDGE, want, is, false)) {
			pb_edge_destroy(edges->edge[i]);
			continue;
		}
		pb_edge_adopt(edges->edge[i], want);
		pb_edge_hurry(edges->edge[i]);
		edges->edge[kept++] = edges->edge[i];
	}
	edges->count = kept;
	begin_missing(edges, conf);
}

static void
begin_missing(struct pb_edges *edges, const struct pb_conf *conf)
{
	struct pb_err err;

	for (size_t i = 0; i < conf->edges; i++) {
		if (is_there(edges, conf->edge[i].name))
			continue;
		if (pb_edge_create(&edges->edge[edges->count], &conf->edge[i],
		    &edges->env, &err) == 0)
			edges->count++;
		else
			pb_log(PB_LOG_ERROR, "shipper", "%s", err.text);
	}
}

static bool
is_there(const struct pb_edges *edges, const char *name)
{
	for (size_t i = 0; i < edges->count; i++)
		if (strcmp(pb_edge_conf(edges->edge[i])->name, name) == 0)
			return true;
	return false;
}

/* Another one is the first each time, so that what all share goes round. */
void
pb_edges_run(struct pb_edges *edges, uint64_t now_ms)
{
	for (size_t i = 0; i < edges->count; i++) {
		struct pb_edge *edge = edges->edge[(edges->turn + i) %
		    edges->count];

		if (pb_edge_wake_ms(edge) <= now_ms || pb_edge_starves(edge))
			pb_edge_run(edge, now_ms);
	}
	edges->turn++;
}

uint64_t
pb_edges_wake_ms(const struct pb_edges *edges)
{
	uint64_t wake = UINT64_MAX, one;

	for (size_t i = 0; i < edges->count; i++) {
		one = pb_edge_wake_ms(edges->edge[i]);
		wake = one < wake ? one : wake;
	}
	return wake;
}

bool
pb_edges_report(struct pb_edges *edges, struct pb_news *news, uint64_t now_ms,
    uint64_t now_ns)
{
	struct pb_edge_row row;
	bool any = false;

	for (size_t i = 0; i < edges->count; i++)
		if (pb_edge_report(edges->edge[i], &row, now_ms, now_ns)) {
			pb_news_edge(news, &row);
			any = true;
		}
	return any;
}

void
pb_edges_report_again(struct pb_edges *edges)
{
	for (size_t i = 0; i < edges->count; i++)
		pb_edge_report_again(edges->edge[i]);
}

int
pb_edges_check(const struct pb_conf *conf, struct pb_err *err)
{
	char auth[PB_PROXY_AUTH_MAX];
	int rc = 0;

	for (size_t i = 0; i < conf->edges && rc == 0; i++) {
		rc = pb_proxy_auth_read(auth, conf->edge[i].proxy_auth, err);
		if (rc == 0)
			continue;
		pb_err_prefix(err, rc, "[edge %s] proxy_auth",
		    conf->edge[i].name);
		pb_conf_blame(conf, PB_CONF_EDGE, &conf->edge[i],
		    "proxy_auth", err);
	}
	return rc;
}
