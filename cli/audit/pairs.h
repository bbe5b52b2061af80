/*
 * cli/audit/pairs.h - which streams of two nodes are to be the same
 *
 * Mostly those of one name.  But where an older copy of a store went on, its
 * shipper gave the numbers behind another epoch there, or who dialled it did
 * (shipper/state/forks.h), so that a stream goes in parts, each with a name of
 * its own.
 */
#ifndef PB_AUDIT_PAIRS_H
#define PB_AUDIT_PAIRS_H

#include "cli/audit/compare.h"
#include "cli/audit/listing.h"
#include "shipper/state/forks.h"

/* Two stores; or a store and an upstream of it, or an edge that it dials. */
struct pb_pairs {
	const char	*glob;		/* of streams; NULL: all */
	const char	*store;
	struct pb_index	*index;
	struct pb_state	*state;		/* NULL: no shipper ran here */
	/* The other store, or NULL. */
	const char	*other_store;
	struct pb_index	*other;
	struct pb_state	*other_state;
	/* The upstream, or that there is none, where there is no other
	 * store. */
	const char	*upstream;
	const char	*edge;		/* likewise, where it is one */
	const char	*streams;	/* globs of what goes there, or comes */
	const char	*node;		/* this node's name */
	/* Which streams the other node says it has: 1, 0 where it cannot say
	 * so, or an error. */
	int		(*list)(void *arg, struct pb_listing *out,
			    struct pb_err *err);
	/* The rest is its own. */
	struct pb_pairs_part *part;
	size_t		 parts;
	int		(*each)(void *arg, const struct pb_compare_pair *,
			    struct pb_err *);
	void		*arg;
};

/* `each` for all of them, here by the order of names, then those that are
 * there alone: of an upstream this node's own, of an edge all that it offers,
 * and no others.  An error from it ends the call and is returned.  `list` gets
 * the same `arg`. */
int	pb_pairs_each(struct pb_pairs *pairs, int (*each)(void *arg,
	    const struct pb_compare_pair *pair, struct pb_err *err),
	    void *arg, struct pb_err *err);

#endif
