/*
 * recorder/store/mend/runs.c - a list of runs of numbers
 */
#include "recorder/store/mend/runs.h"

#include <stdlib.h>

#include "base/list.h"

static int	by_first(const void *, const void *);

bool
pb_runs_add(struct pb_runs *runs, uint64_t first, uint64_t last)
{
	if (!PB_LIST_ROOM(runs->at, runs->cap, runs->count))
		return false;
	runs->at[runs->count++] = (struct pb_run){ first, last };
	return true;
}

void
pb_runs_sort(struct pb_runs *runs)
{
	if (runs->count > 0)
		qsort(runs->at, runs->count, sizeof(*runs->at), by_first);
}

uint64_t
pb_runs_next(uint64_t from, uint64_t first, uint64_t last)
{
	uint64_t next = last >= first && last < UINT64_MAX ? last + 1 :
	    first + 1;

	return next > from ? next : from + 1;
}

size_t
pb_runs_find(const struct pb_runs *runs, uint64_t number)
{
	return PB_LIST_PLACE(runs->at, runs->count, last, number);
}

bool
pb_holes_next(struct pb_holes *holes, struct pb_run *out)
{
	const struct pb_runs *runs = holes->runs;

	while (holes->at < runs->count) {
		const struct pb_run *run = &runs->at[holes->at++];

		*out = (struct pb_run){ holes->next, run->first - 1 };
		if (run->last >= holes->next)
			holes->next = run->last < UINT64_MAX ?
			    run->last + 1 : UINT64_MAX;
		if (run->first > out->first)
			return true;
	}
	*out = (struct pb_run){ holes->next, holes->end };
	if (holes->end < holes->next)
		return false;
	holes->next = holes->end + 1;
	return true;
}

static int
by_first(const void *a, const void *b)
{
	const struct pb_run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}
