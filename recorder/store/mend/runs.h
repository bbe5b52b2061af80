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

/* What is in none of them: `runs` in order, and the first number asked for
 * and the last, are given; nothing else. */
struct pb_holes {
	const struct pb_runs *runs;
	uint64_t	next;		/* behind what has been looked at */
	uint64_t	end;
	size_t		at;		/* of the runs, looked at */
};
/* The next hole; false where there is none.  Between runs there may be some
 * behind the end as well. */
bool	pb_holes_next(struct pb_holes *holes, struct pb_run *out);

#endif
