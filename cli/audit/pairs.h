/*
 * cli/audit/pairs.h - which streams of two nodes are to be the same
 *
 * Mostly those of one name.  But where an older copy of a store went on, its
 * shipper gave the numbers behind another epoch there (shipper/state/forks.h),
 * so that a stream goes in parts, each with a name of its own.
 */
#ifndef PB_AUDIT_PAIRS_H
#define PB_AUDIT_PAIRS_H

#include "cli/audit/compare.h"
#include "shipper/state/forks.h"

/* Two stores, or a store and an upstream of it. */
struct pb_pairs {
	const char	*glob;		/* of streams; NULL: all */
	const char	*store;
	struct pb_index	*index;
	struct pb_state	*state;		/* NULL: no shipper ran here */
	/* The other store, or NULL. */
	struct pb_index	*other;
	struct pb_state	*other_state;
	/* The upstream, where there is no other store. */
	const char	*upstream;
	const char	*streams;	/* globs of what goes there */
	/* The rest is its own. */
	struct pb_pairs_part *part;
	size_t		 parts;
	int		(*each)(void *arg, const struct pb_compare_pair *,
			    struct pb_err *);
	void		*arg;
};

/* `each` for all of them, here by the order of names, then those that are
 * there alone.  Nonzero from it ends the call and is returned. */
int	pb_pairs_each(struct pb_pairs *pairs, int (*each)(void *arg,
	    const struct pb_compare_pair *pair, struct pb_err *err),
	    void *arg, struct pb_err *err);

#endif
