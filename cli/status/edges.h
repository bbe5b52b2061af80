/*
 * cli/status/edges.h - what `pb status` tells of the nodes that are dialled
 */
#ifndef PB_CLI_EDGES_H
#define PB_CLI_EDGES_H

#include "base/json.h"
#include "base/out.h"
#include "conf/conf.h"
#include "shipper/state/edges.h"

struct pb_report_edge {
	struct pb_edge_row row;		/* or its name and url alone */
	const char	*state;
	uint64_t	 streams;
	uint64_t	 refused;	/* streams that wait, or are refused */
};

/* Zeroed, it has none. */
struct pb_report_edges {
	size_t		 count;
	struct pb_report_edge *at;
};

/*
 * Those that the shipper tells of, and those that it does not know yet.
 * `state` may be NULL: no shipper has run; `runs`: one does.
 */
int	pb_report_edges(struct pb_report_edges *out, struct pb_state *state,
	    const struct pb_conf *conf, bool runs, struct pb_err *err);
void	pb_report_edges_finish(struct pb_report_edges *edges);

/* A list `edges`, and lines for people. */
void	pb_report_edges_json(struct pb_json *json,
	    const struct pb_report_edges *edges);
void	pb_report_edges_say(struct pb_out *out,
	    const struct pb_report_edges *edges, uint64_t now_ns);

#endif
