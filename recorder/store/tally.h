/*
 * recorder/store/tally.h - what packets come to: how many, how large, when
 *
 * Of a chunk, an extent, a segment, a stream: each is a tally of packets,
 * and a larger one is smaller ones merged.  All zero is the empty tally; its
 * times mean nothing, and go for nothing where it is merged.  Numbers that a
 * filter left out on the way here (pcapng/filtered.h) are counted beside the
 * packets, and their times are among the tally's.
 */
#ifndef PB_STORE_TALLY_H
#define PB_STORE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct pb_tally {
	uint64_t	packets;
	uint64_t	bytes;		/* captured */
	uint64_t	filtered;	/* numbers, of packets left out */
	uint64_t	dropped;	/* sum of their drop counts */
	uint64_t	first_time;	/* lowest, ns */
	uint64_t	last_time;	/* highest */
};

static inline bool
pb_tally_empty(const struct pb_tally *tally)
{
	return (tally->packets | tally->filtered) == 0;
}

/* All of `more` as well. */
static inline void
pb_tally_merge(struct pb_tally *tally, const struct pb_tally *more)
{
	if (pb_tally_empty(more))
		return;
	if (pb_tally_empty(tally) || more->first_time < tally->first_time)
		tally->first_time = more->first_time;
	if (pb_tally_empty(tally) || more->last_time > tally->last_time)
		tally->last_time = more->last_time;
	tally->packets += more->packets;
	tally->filtered += more->filtered;
	tally->bytes += more->bytes;
	tally->dropped += more->dropped;
}

/* One packet more; what it tells of drops the caller adds. */
static inline void
pb_tally_packet(struct pb_tally *tally, uint64_t time_ns, uint32_t caplen)
{
	if (pb_tally_empty(tally))
		tally->first_time = tally->last_time = time_ns;
	else if (time_ns > tally->last_time)
		tally->last_time = time_ns;
	else if (time_ns < tally->first_time)
		tally->first_time = time_ns;
	tally->packets++;
	tally->bytes += caplen;
}

/* So many numbers that were left out, the last one at `time_ns`. */
static inline void
pb_tally_filtered(struct pb_tally *tally, uint64_t numbers, uint64_t time_ns)
{
	struct pb_tally run = { .filtered = numbers, .first_time = time_ns,
	    .last_time = time_ns };

	pb_tally_merge(tally, &run);
}

#endif
