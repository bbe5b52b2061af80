/*
 * cli/status/edges.h - what `pb status` tells of the nodes that are dialled
 */
#ifndef PB_CLI_EDGES_H
#define PB_CLI_EDGES_H

#include "base/json.h"
#include "base/out.h"
#include "shipper/operator/figures.h"

/* A list `edges`, and lines for people. */
void	pb_edges_json(struct pb_json *json, const struct pb_figures *figures);
void	pb_edges_say(struct pb_out *out, const struct pb_figures *figures,
	    uint64_t now_ns);

#endif
