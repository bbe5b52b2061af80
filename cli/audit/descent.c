/*
 * cli/audit/descent.c - where two nodes differ, found by digests, pure
 *
 * What is told must be in order, so a part that is to be looked into holds up
 * those behind it: they wait on the stack with it, whether they are to be
 * asked about, or only told.
 */
#include "cli/audit/descent.h"

#include <assert.h>

static bool	same(const struct pb_digests_part *,
		    const struct pb_digests_part *);
static bool	is_leaf(const struct pb_digests_part *,
		    const struct pb_digests_part *);
static void	push(struct pb_descent *, uint64_t, uint64_t, bool);

void
pb_descent_begin(struct pb_descent *descent, uint64_t first, uint64_t last)
{
	descent->count = 0;
	push(descent, first, last, false);
}

bool
pb_descent_next(const struct pb_descent *descent, struct pb_digests_ask *out)
{
	if (descent->count == 0)
		return false;
	*out = (struct pb_digests_ask){
		.first = descent->todo[descent->count - 1].first,
		.last = descent->todo[descent->count - 1].last,
		.parts = descent->todo[descent->count - 1].leaf ? 1 :
		    PB_DESCENT_PARTS,
	};
	return true;
}

int
pb_descent_take(struct pb_descent *descent,
    const struct pb_digests_part *here, const struct pb_digests_part *there,
    unsigned parts, pb_descent_each *each, void *arg)
{
	uint64_t last = descent->todo[descent->count - 1].last;
	unsigned told = 0;
	int rc = 0;

	/* What comes before the first one that is to be looked into. */
	for (; told < parts && rc == 0; told++) {
		if (same(&here[told], &there[told]))
			continue;
		if (!is_leaf(&here[told], &there[told]))
			break;
		rc = each(arg, &here[told], &there[told]);
	}
	descent->count--;
	push(descent, here[parts - 1].last + 1, last, false);
	for (unsigned i = parts; i > told; i--)
		if (!same(&here[i - 1], &there[i - 1]))
			push(descent, here[i - 1].first, here[i - 1].last,
			    is_leaf(&here[i - 1], &there[i - 1]));
	return rc;
}

static bool
same(const struct pb_digests_part *a, const struct pb_digests_part *b)
{
	return a->packets == b->packets && a->digest == b->digest;
}

static bool
is_leaf(const struct pb_digests_part *here,
    const struct pb_digests_part *there)
{
	return here->first == here->last || here->packets == 0 ||
	    there->packets == 0;
}

static void
push(struct pb_descent *descent, uint64_t first, uint64_t last, bool leaf)
{
	if (first > last)
		return;
	assert(descent->count < PB_DESCENT_TODO_MAX);
	descent->todo[descent->count].first = first;
	descent->todo[descent->count].last = last;
	descent->todo[descent->count].leaf = leaf;
	descent->count++;
}
