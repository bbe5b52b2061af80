/*
 * shipper/state/edges.h - what is told about the nodes that are dialled
 *
 * News for people: a row of `meta` for each [edge NAME], `edge` \0 NAME.
 */
#ifndef PB_SHIPPER_STATE_EDGES_H
#define PB_SHIPPER_STATE_EDGES_H

#include "shipper/state/state.h"

struct pb_edge_row {
	char		name[PB_NAME_BYTES_MAX + 1];
	enum pb_ship_state state;
	uint64_t	since_ns;	/* in this state; real time */
	uint64_t	written_ns;	/* when the row was written */
	uint64_t	progress_ns;	/* last packets that were stored; 0 */
	uint64_t	retry_ns;	/* backoff, refused: the next try */
	uint32_t	attempts;	/* failures in a row */
	uint32_t	streams;
	uint32_t	refused;	/* of them, waiting or refused */
	uint64_t	behind;		/* packets there and not here */
	uint64_t	flight_bytes;	/* here and not stored */
	uint64_t	packets, bytes;	/* stored since the shipper started */
	uint64_t	error_ns;	/* when the last failure was; 0: none */
	uint64_t	failures;	/* since the shipper started */
	/* A second, now (speed.h): packets and bytes stored here; packets that
	 * are new there. */
	uint64_t	pps, byteps, comes_pps;
	uint64_t	forked;		/* streams under another epoch here */
	char		url[PB_TEXT_BYTES_MAX];
	char		last_error[PB_SHIP_TEXT_MAX];
};

/* Between pb_state_begin() and pb_state_commit(). */
void	pb_state_put_edge(struct pb_state *state,
	    const struct pb_edge_row *row);

/* Delete the rows of edges that `keep` answers false for. */
int	pb_state_forget_edges(struct pb_state *state,
	    bool (*keep)(void *arg, const char *edge), void *arg,
	    struct pb_err *err);

/* Edges by name, those after `after` (NULL: from the start): up to `max`
 * rows; their count or an error. */
int	pb_state_edges(struct pb_state *state, const char *after,
	    struct pb_edge_row *out, size_t max, struct pb_err *err);

#endif
