/*
 * shipper/edge/edge.h - one edge: its machine, its requests
 *
 * Carries out what pull.h decides: asks the node that is dialled, and our own
 * recorder behind STORE/recorder.sock, and tells back what came of it.
 */
#ifndef PB_SHIPPER_EDGE_H
#define PB_SHIPPER_EDGE_H

#include "conf/conf.h"
#include "shipper/pull/pull.h"
#include "shipper/state/edges.h"
#include "shipper/wire/http.h"
#include "shipper/worker/worker.h"

struct pb_edge;

/* What all edges share; borrowed until destroy. */
struct pb_edge_env {
	struct pb_http	*http;
	const char	*socket_path;	/* of our recorder's local door */
	const char	*node;		/* our name */
	uint64_t	sender;		/* who this process is: PB-Sender */
	struct pb_pull_budget *budget;
	struct pb_state	*state;		/* forks are read from it on the
					 * loop, and written by: */
	struct pb_worker *keeper;
};

/* `conf` is borrowed until destroy, or pb_edge_adopt(). */
int	pb_edge_create(struct pb_edge **out, const struct pb_conf_edge *conf,
	    const struct pb_edge_env *env, struct pb_err *err);
/* Its requests end where they are. */
void	pb_edge_destroy(struct pb_edge *edge);

const struct pb_conf_edge *pb_edge_conf(const struct pb_edge *edge);
/* Another copy of the same section is borrowed from now on. */
void	pb_edge_adopt(struct pb_edge *edge, const struct pb_conf_edge *conf);

/* Start what can be started. */
void	pb_edge_run(struct pb_edge *edge, uint64_t now_ms);
/* When it may start something; 0: now. */
uint64_t pb_edge_wake_ms(const struct pb_edge *edge);
/* Does something of it wait for what all edges share? */
bool	pb_edge_starves(const struct pb_edge *edge);
/* Someone asks for another try. */
void	pb_edge_hurry(struct pb_edge *edge);

/* How it does: true, or nothing is new since the last time. */
bool	pb_edge_report(struct pb_edge *edge, struct pb_edge_row *out,
	    uint64_t now_ms, uint64_t now_ns);
/* That was not kept: report all of it again. */
void	pb_edge_report_again(struct pb_edge *edge);

#endif
