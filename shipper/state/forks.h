/*
 * shipper/state/forks.h - where a stream goes on under another epoch
 *
 * An upstream that has other packets of a stream from a number on gets ours
 * from there on as a stream of its own: the same node and interface, an
 * epoch that is a function of the stream's, the number and our packet there
 * (so that all upstreams get the same), and a gap, `restored`, for what goes
 * before.  A fork may fork again.
 *
 *	numbers  1 ....... F1   F1+1 ....... F2   F2+1 ......
 *	epoch    the store's    fork[0].epoch     fork[1].epoch
 *	part     0              1                 2
 *
 * Who pulls gives the same names to what it takes of an edge that has other
 * packets than are here (pull/pull_fork.c).
 *
 * For the state machine (ship/) each part is a stream of its own: its id is
 * the store's id with the part's number above it.
 */
#ifndef PB_SHIPPER_FORKS_H
#define PB_SHIPPER_FORKS_H

#include "shipper/state/state.h"

#define PB_FORKS_MAX	16u	/* of one stream at one upstream */

struct pb_fork {
	uint64_t	first;		/* the first number of the part */
	uint64_t	epoch;
};

struct pb_forks {
	unsigned	count;
	struct pb_fork	at[PB_FORKS_MAX];	/* by number */
};

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

/* The epoch of a fork behind number `last` of `epoch`, where the digest of
 * our first packet there is `digest`; never 0. */
uint64_t pb_fork_epoch(uint64_t epoch, uint64_t last, uint64_t digest);

/* Numbers of part `part`: base + 1 .. top; and its epoch. */
uint64_t pb_forks_base(const struct pb_forks *forks, unsigned part);
uint64_t pb_forks_top(const struct pb_forks *forks, unsigned part);
uint64_t pb_forks_epoch(const struct pb_forks *forks, unsigned part,
	    uint64_t epoch);

/* Ids of parts: part 0 has the store's own. */
#define PB_PART_SHIFT	27u
#define PB_PART_ID(stream, part)	((stream) | (part) << PB_PART_SHIFT)
#define PB_PART_OF(id)		((id) >> PB_PART_SHIFT)
#define PB_PART_STREAM(id)	((id) & ((1u << PB_PART_SHIFT) - 1u))

#endif
