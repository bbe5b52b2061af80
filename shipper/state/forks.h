/*
 * shipper/state/forks.h - where a stream goes on under another epoch, kept
 *
 * For the state machine (ship/) each part is a stream of its own: its id is
 * the store's id with the part's number above it.
 */
#ifndef PB_SHIPPER_FORKS_H
#define PB_SHIPPER_FORKS_H

#include "shipper/ship/forks.h"
#include "shipper/state/state.h"

/* What is kept of them: 0, none where there is nothing, or an error. */
int	pb_forks_load(struct pb_state *state, const char *upstream,
	    const struct pb_stream_key *key, struct pb_forks *out,
	    struct pb_err *err);
/* Durable when it returns.  Not within a transaction. */
int	pb_forks_keep(struct pb_state *state, const char *upstream,
	    const struct pb_stream_key *key, const struct pb_forks *forks,
	    struct pb_err *err);

/* The same of what is taken in of an edge's streams. */
int	pb_forks_load_edge(struct pb_state *state, const char *edge,
	    const struct pb_stream_key *key, struct pb_forks *out,
	    struct pb_err *err);
int	pb_forks_keep_edge(struct pb_state *state, const char *edge,
	    const struct pb_stream_key *key, const struct pb_forks *forks,
	    struct pb_err *err);

/*
 * A fork of the stream that any upstream was given, be it one that has gone,
 * with its first number in low .. high and an epoch that `forks` does not
 * have: 1 and `*out`, 0, or an error.
 */
int	pb_forks_find(struct pb_state *state,
	    const struct pb_stream_key *key, uint64_t low, uint64_t high,
	    const struct pb_forks *forks, struct pb_fork *out,
	    struct pb_err *err);

/* Ids of parts: part 0 has the store's own. */
#define PB_PART_SHIFT	27u
#define PB_PART_ID(stream, part)	((stream) | (part) << PB_PART_SHIFT)
#define PB_PART_OF(id)		((id) >> PB_PART_SHIFT)
#define PB_PART_STREAM(id)	((id) & ((1u << PB_PART_SHIFT) - 1u))

#endif
