/*
 * recorder/store/facts/given.h - what was left out of what a puller was given
 *
 * An answer of which packets were left out is a run of numbers and their
 * count, until the puller says that it has them: so what it asks for again
 * counts once.  Pure.
 *
 * Limit: PB_GIVEN_RUNS runs; past it two that follow each other are one, which
 * counts when all of it is had.
 */
#ifndef PB_STORE_GIVEN_H
#define PB_STORE_GIVEN_H

#include <stdint.h>

#define PB_GIVEN_RUNS	8u

/* Of one stream and puller; zeroed, nothing. */
struct pb_given {
	struct {
		uint64_t	first, last;
		uint64_t	filtered;
	}		run[PB_GIVEN_RUNS];	/* by `first` */
	unsigned	runs;
};

/* It was given first .. last, of which so many were left out. */
void	pb_given_add(struct pb_given *given, uint64_t first, uint64_t last,
	    uint64_t filtered);

/* It has first .. last: so many were left out of what counts now. */
uint64_t pb_given_take(struct pb_given *given, uint64_t first,
	    uint64_t last);

#endif
