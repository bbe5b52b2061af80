/*
 * recorder/link/rule_impl.h - what the files of rule.h share
 *
 * rule.c has the walk and the action, rule_filter.c the filter.
 */
#ifndef PB_LINK_RULE_IMPL_H
#define PB_LINK_RULE_IMPL_H

#include <linux/pkt_sched.h>

#include "recorder/link/rule.h"

#define RULE_INGRESS	TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define RULE_EGRESS	TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

/* What a dump of filters is looked at for. */
struct rule_filters {
	unsigned	count;
	uint64_t	taken;		/* preference numbers, from ours on */
};

/* Is there a qdisc at the ingress of `at`, whoever made it? */
int	rule_qdisc_there(struct pb_rule *rule, unsigned at, bool *there,
	    struct pb_err *err);
/* Make or delete the one at rule->at. */
int	rule_qdisc(struct pb_rule *rule, uint16_t type, uint16_t flags,
	    struct pb_err *err);

/* All that hang at `parent` of `at` are added to `out`. */
int	rule_filters(struct pb_rule *rule, unsigned at, uint32_t parent,
	    struct rule_filters *out, struct pb_err *err);
/* rule->pref is the first number that nobody has; PB_ELIMIT. */
int	rule_pref(struct pb_rule *rule, struct pb_err *err);
/* The program, with the action.  PB_EEXIST: its number was taken meanwhile; by
 * itself no second filter comes beside another's. */
int	rule_filter_add(struct pb_rule *rule, const struct sock_filter *code,
	    unsigned count, struct pb_err *err);
/* It, or one that went with its qdisc. */
int	rule_filter_delete(struct pb_rule *rule, struct pb_err *err);

#endif
