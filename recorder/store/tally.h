/*
 * recorder/store/tally.h - what packets come to: how many, how large, when
 *
 * Of a chunk, an extent, a segment, a stream: each is a tally of packets,
 * and a larger one is smaller ones merged.  All zero is the empty tally; its
 * times mean nothing, and go for nothing where it is merged.
 */
#ifndef PB_STORE_TALLY_H
#define PB_STORE_TALLY_H

#include <stdint.h>

struct pb_tally {
	uint64_t	packets;
	uint64_t	bytes;		/* captured */
	uint64_t	dropped;	/* sum of their drop counts */
	uint64_t	first_time;	/* lowest, ns */
	uint64_t	last_time;	/* highest */
};

/* All of `more` as well. */
static inline void
pb_tally_merge(struct pb_tally *tally, const struct pb_tally *more)
{
	if (more->packets == 0)
		return;
	if (tally->packets == 0 || more->first_time < tally->first_time)
		tally->first_time = more->first_time;
	if (tally->packets == 0 || more->last_time > tally->last_time)
		tally->last_time = more->last_time;
	tally->packets += more->packets;
	tally->bytes += more->bytes;
	tally->dropped += more->dropped;
}

/* One packet more; what it tells of drops the caller adds. */
static inline void
pb_tally_packet(struct pb_tally *tally, uint64_t time_ns, uint32_t caplen)
{
	if (tally->packets++ == 0)
		tally->first_time = tally->last_time = time_ns;
	else if (time_ns > tally->last_time)
		tally->last_time = time_ns;
	else if (time_ns < tally->first_time)
		tally->first_time = time_ns;
	tally->bytes += caplen;
}

#endif
