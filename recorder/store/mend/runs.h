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
/* Where the page of rows behind a row first .. last begins.  A rotten row
 * may end before it begins, or never: this always moves on. */
uint64_t pb_runs_next(uint64_t from, uint64_t first, uint64_t last);
/* Of runs in order that do not overlap: the first that ends at `number` or
 * behind it; `count` where none does. */
size_t	pb_runs_find(const struct pb_runs *runs, uint64_t number);

#endif
