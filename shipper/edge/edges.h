/*
 * shipper/edge/edges.h - all nodes that are dialled
 *
 * They share the memory for what is on its way, PB_EDGES_BYTES_MAX, and the
 * requests to our recorder; none of them takes what keeps the others from
 * going on.  An edge costs a connection, and memory by its streams.
 */
#ifndef PB_SHIPPER_EDGES_H
#define PB_SHIPPER_EDGES_H

#include "conf/conf.h"
#include "shipper/edge/edge.h"
#include "shipper/state/news.h"

#define PB_EDGES_BYTES_MAX	((size_t)128u << 20)
/* Of the local door's 128 connections. */
#define PB_EDGES_HANDS_MAX	96u
/* Requests under way: a list each, and others. */
#define PB_EDGES_REQUESTS_MAX	(2u * PB_EDGES_MAX + PB_EDGES_HANDS_MAX)

struct pb_edges;

/* `env` says all but the path, the name and the budget; `store` is copied; of
 * `conf` the sections are borrowed until destroy or pb_edges_take().  One
 * that cannot begin is logged, and left out till then. */
int	pb_edges_create(struct pb_edges **out, const struct pb_edge_env *env,
	    const char *store, const struct pb_conf *conf,
	    struct pb_err *err);
void	pb_edges_destroy(struct pb_edges *edges);	/* NULL is fine */

/* Another configuration: edges that are as they were go on; the others end,
 * or begin. */
void	pb_edges_take(struct pb_edges *edges, const struct pb_conf *conf);

/* Start what can be started; when to do so again, whatever happens. */
void	pb_edges_run(struct pb_edges *edges, uint64_t now_ms);
uint64_t pb_edges_wake_ms(const struct pb_edges *edges);

/* Add to `news` what is new since the last time: true; or nothing is. */
bool	pb_edges_report(struct pb_edges *edges, struct pb_news *news,
	    uint64_t now_ms, uint64_t now_ns);
void	pb_edges_report_again(struct pb_edges *edges);

/* What is wrong with sections that only shows when they are used: 0, or
 * PB_EINVAL; `err` names the line and the section. */
int	pb_edges_check(const struct pb_conf *conf, struct pb_err *err);

#endif
