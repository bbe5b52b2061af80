/*
 * shipper/sink/tempo.h - when a frame is to leave a local interface
 *
 * At once; or as far from the one before it as their packets were apart
 * (`pace = original`); and never faster than `rate_limit`.  Who is late, as
 * frames were not at hand, or the interface was down, catches up: what is a
 * little late leaves at once, and what is later than that begins a new
 * count, so that packets of an hour ago keep their distances.
 * Pure: time is an argument, in nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef PB_SHIPPER_TEMPO_H
#define PB_SHIPPER_TEMPO_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/transmit/pace.h"

/* Packets that were further apart are so far apart. */
#define PB_TEMPO_SILENCE_NS	(10 * PB_NS_PER_S)
/* What is late by more begins a new count: of distances, and of the rate,
 * which is exact over more than that. */
#define PB_TEMPO_LATE_NS	(250 * PB_NS_PER_MS)
#define PB_TEMPO_BURST_NS	(100 * PB_NS_PER_MS)

/* One count of time. */
struct pb_tempo_count {
	bool		on;
	bool		begun;
	struct pb_pace	pace;
	uint64_t	start_ns;	/* what is due after 0 is due now */
	uint64_t	late_ns_max;
};

struct pb_tempo {
	struct pb_tempo_count own, rate;
};

/* `original`: distances are kept; `bits_per_s` 0: no bound. */
void	pb_tempo_init(struct pb_tempo *tempo, bool original,
	    uint64_t bits_per_s);

/* When the next frame is due, of a packet of time `time_ns`, if it is not
 * after `now_ns`: then it counts as sent.  Else nothing has changed. */
uint64_t pb_tempo_next(struct pb_tempo *tempo, uint64_t time_ns,
	    uint32_t bytes, uint64_t now_ns);

/* The next frame's time has nothing to do with those before: its distance to
 * them was waited for elsewhere. */
void	pb_tempo_again(struct pb_tempo *tempo);

#endif
