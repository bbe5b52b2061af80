/*
 * shipper/ship/wait.h - for how long the numbers of a stream have been waiting
 *
 * A few marks per stream, each saying "numbers up to SEQ wait since MS".
 * Pure: the clock is an argument, and counts milliseconds of trying, so
 * that a node that was switched off, or a process that was stopped, has
 * not waited meanwhile.  Ages are right to a spacing: a number may count
 * as younger than it is by PB_WAIT_SPACING_MS(), never as older.
 */
#ifndef PB_SHIPPER_WAIT_H
#define PB_SHIPPER_WAIT_H

#include <stdint.h>

#define PB_WAIT_MARKS	8u

/* Between two marks, where ages up to `age_ms` are asked about: a mark is
 * only dropped for want of room where the next one is as old as that. */
#define PB_WAIT_SPACING_MS(age_ms) ((age_ms) / (PB_WAIT_MARKS - 1u) + 1u)

struct pb_wait {
	struct {
		uint64_t seq;		/* ascending */
		uint64_t since_ms;
	}		mark[PB_WAIT_MARKS];	/* oldest first */
	unsigned	marks;
};

/* Zeroed memory is a wait without marks. */
void	pb_wait_clear(struct pb_wait *wait);

/* All up to `end` is there to be sent now, at `now_ms`. */
void	pb_wait_note(struct pb_wait *wait, uint64_t end, uint64_t now_ms,
	    uint64_t spacing_ms);

/* All up to `seq` waits no more. */
void	pb_wait_passed(struct pb_wait *wait, uint64_t seq);

/* The highest number that has waited for `age_ms` or more; 0: none. */
uint64_t pb_wait_stale(const struct pb_wait *wait, uint64_t now_ms,
	    uint64_t age_ms);

/* The oldest mark: its number, 0 where there is none, and its age. */
uint64_t pb_wait_oldest(const struct pb_wait *wait, uint64_t now_ms,
	    uint64_t *age_ms);

/* Numbers up to `seq` had waited for `age_ms` when the process ended:
 * for a wait without marks. */
void	pb_wait_restore(struct pb_wait *wait, uint64_t seq, uint64_t age_ms,
	    uint64_t now_ms);

#endif
