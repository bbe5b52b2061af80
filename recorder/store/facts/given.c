/*
 * recorder/store/facts/given.c - what was left out of what a puller was given
 */
#include "recorder/store/facts/given.h"

#include <string.h>

static void	drop(struct pb_given *, unsigned);
static void	merge(struct pb_given *);

/* What it asks for again it was given in vain. */
void
pb_given_add(struct pb_given *given, uint64_t first, uint64_t last,
    uint64_t filtered)
{
	unsigned at = 0;

	while (at < given->runs) {
		if (given->run[at].first <= last &&
		    given->run[at].last >= first)
			drop(given, at);
		else if (given->run[at].first < first)
			at++;
		else
			break;
	}
	if (filtered == 0)
		return;
	if (given->runs == PB_GIVEN_RUNS) {
		merge(given);
		at -= at > 0;
	}
	memmove(&given->run[at + 1], &given->run[at],
	    (given->runs - at) * sizeof(given->run[0]));
	given->run[at].first = first;
	given->run[at].last = last;
	given->run[at].filtered = filtered;
	given->runs++;
}

uint64_t
pb_given_take(struct pb_given *given, uint64_t first, uint64_t last)
{
	uint64_t filtered = 0;
	unsigned at = 0;

	while (at < given->runs) {
		if (given->run[at].first < first ||
		    given->run[at].last > last) {
			at++;
			continue;
		}
		filtered += given->run[at].filtered;
		drop(given, at);
	}
	return filtered;
}

static void
drop(struct pb_given *given, unsigned at)
{
	given->runs--;
	memmove(&given->run[at], &given->run[at + 1],
	    (given->runs - at) * sizeof(given->run[0]));
}

/* The first two: they are had first. */
static void
merge(struct pb_given *given)
{
	given->run[1].first = given->run[0].first;
	given->run[1].filtered += given->run[0].filtered;
	drop(given, 0);
}
