/*
 * recorder/store/mend/runs.h - a list of runs of numbers
 */
#ifndef PB_MEND_RUNS_H
#define PB_MEND_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pb_run {
	uint64_t	first, last;	/* both included */
};

struct pb_runs {
	struct pb_run	*at;		/* free(3) it */
	size_t		 count, cap;
};

/* Append; false without memory. */
bool	pb_runs_add(struct pb_runs *runs, uint64_t first, uint64_t last);
/* By first number. */
void	pb_runs_sort(struct pb_runs *runs);

#endif
