/*
 * recorder/store/mend/runs.c - a list of runs of numbers
 */
#include "recorder/store/mend/runs.h"

#include <stdlib.h>

static int	by_first(const void *, const void *);

bool
pb_runs_add(struct pb_runs *runs, uint64_t first, uint64_t last)
{
	size_t cap = runs->cap == 0 ? 64 : 2 * runs->cap;
	struct pb_run *grown;

	if (runs->count == runs->cap) {
		grown = realloc(runs->at, cap * sizeof(*grown));
		if (grown == NULL)
			return false;
		runs->at = grown;
		runs->cap = cap;
	}
	runs->at[runs->count++] = (struct pb_run){ first, last };
	return true;
}

void
pb_runs_sort(struct pb_runs *runs)
{
	if (runs->count > 0)
		qsort(runs->at, runs->count, sizeof(*runs->at), by_first);
}

static int
by_first(const void *a, const void *b)
{
	const struct pb_run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}
