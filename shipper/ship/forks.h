/*
 * shipper/ship/forks.h - where a stream goes on under another epoch
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
 */
#ifndef PB_SHIPPER_SHIP_FORKS_H
#define PB_SHIPPER_SHIP_FORKS_H

#include <stdint.h>

#define PB_FORKS_MAX	16u	/* of one stream at one upstream */

struct pb_fork {
	uint64_t	first;		/* the first number of the part */
	uint64_t	epoch;
};

struct pb_forks {
	unsigned	count;
	struct pb_fork	at[PB_FORKS_MAX];	/* by number */
};

/* The epoch of a fork behind number `last` of `epoch`, where the digest of
 * our first packet there is `digest`; never 0. */
uint64_t pb_fork_epoch(uint64_t epoch, uint64_t last, uint64_t digest);

/* Numbers of part `part`: base + 1 .. top; and its epoch. */
uint64_t pb_forks_base(const struct pb_forks *forks, unsigned part);
uint64_t pb_forks_top(const struct pb_forks *forks, unsigned part);
uint64_t pb_forks_epoch(const struct pb_forks *forks, unsigned part,
	    uint64_t epoch);

#endif
