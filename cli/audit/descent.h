/*
 * cli/audit/descent.h - where two nodes differ, found by digests, pure
 *
 *	begin -> (next -> both say what they have -> take) ... -> next: false
 *
 * A run of numbers is asked for in PARTS parts.  Where both say the same of a
 * part it is done; where they do not it is a run of its own, down to single
 * numbers, or to where one of the two has nothing.  So n differences among m
 * numbers cost n * log(m) questions at most, and each side reads its packets
 * hardly more than once, for all questions behind the first are about a
 * sixty-fourth part.
 *
 * Promise: what differs is told in the order of numbers, once.
 */
#ifndef PB_AUDIT_DESCENT_H
#define PB_AUDIT_DESCENT_H

#include "recorder/store/read/digests.h"

#define PB_DESCENT_PARTS	64u
/* Runs that wait: of each depth, of which 2^63 numbers have 11, a question's
 * parts, and what an answer left out. */
#define PB_DESCENT_TODO_MAX	((PB_DESCENT_PARTS + 1) * 12)

struct pb_descent {
	struct {
		uint64_t first, last;
		bool	 leaf;		/* known to be told as it is */
	} todo[PB_DESCENT_TODO_MAX];	/* the next one last */
	unsigned	count;
};

/* Numbers first .. last; none where first is past last. */
void	pb_descent_begin(struct pb_descent *descent, uint64_t first,
	    uint64_t last);

/* What is to be asked next; false: all is done. */
bool	pb_descent_next(const struct pb_descent *descent,
	    struct pb_digests_ask *out);

/*
 * What both have of it: `parts`, one at least, of the same numbers, in their
 * order from the first on.  They may end before the last number, which is
 * asked for again.  `each` is told what differs: of a single number both may
 * have a packet, of all other runs one has none.  Nonzero from it ends the
 * call and is returned.
 */
typedef int	pb_descent_each(void *arg,
	    const struct pb_digests_part *here,
	    const struct pb_digests_part *there);
int	pb_descent_take(struct pb_descent *descent,
	    const struct pb_digests_part *here,
	    const struct pb_digests_part *there, unsigned parts,
	    pb_descent_each *each, void *arg);

#endif
