/*
 * cli/audit/compare_impl.h - inside a comparison
 *
 * compare.c finds what differs, by its numbers; compare_why.c asks both sides
 * again, about these alone, why.
 */
#ifndef PB_AUDIT_COMPARE_IMPL_H
#define PB_AUDIT_COMPARE_IMPL_H

#include "cli/audit/compare.h"
#include "cli/audit/descent.h"

#define ENOUGH	1	/* has been looked into */

/* A run that one of the two has not, until the next one is none with it. */
struct run {
	bool		 here;		/* it is missing here */
	uint64_t	 first, last;	/* last 0: there is none */
	uint64_t	 packets;
};

struct work {
	const struct pb_compare *compare;
	const struct pb_compare_pair *pair;
	struct pb_compare_sum *sum;
	struct pb_err	*err;
	struct pb_descent descent;
	struct run	 run;
	struct pb_compare_finding finding;	/* likewise; last 0: none */
	unsigned	 looks;
	bool		 again;		/* what has changed meanwhile */
	/* What both have said of the run that is asked for, */
	struct pb_wire_digests here, there;
	/* and what is asked besides, to find out why. */
	struct pb_wire_digests why, more, cut;
};

/* compare.c.  Here, or there. */
int	compare_ask(struct work *work, bool here,
	    struct pb_wire_digests *out, const struct pb_digests_ask *what);
/* Numbers that have changed between two questions are compared anew, once;
 * then that is told. */
int	compare_again(struct work *work, uint64_t first, uint64_t last);
/* A finding: one that goes on where the last one ended is one with it. */
int	compare_found(struct work *work,
	    const struct pb_compare_finding *finding);

/* A part, or a packet, of which both have the same. */
void	compare_same(struct work *work, const struct pb_digests_part *here,
	    const struct pb_digests_part *there);
void	compare_spread(struct pb_compare_spread *spread, uint64_t first,
	    uint64_t last, uint64_t packets);

/* compare_why.c.  0, ENOUGH, or an error: of the run that has ended, and of a
 * number under which both have a packet. */
int	compare_explain_run(struct work *work);
int	compare_explain_packet(struct work *work, uint64_t number);

#endif
