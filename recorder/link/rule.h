/*
 * recorder/link/rule.h - the kernel's rule that sends what arrives at one
 * interface out of another
 *
 * Two parts.  The *action* (tc-mirred(8), `egress mirror`) knows the outlet
 * and counts; it stands by itself, so that its counts outlive interfaces and
 * are read after the last packet.  The *filter* (tc-bpf(8), classic) hangs at
 * the ingress side of the captured interface, in its qdisc clsact or ingress,
 * and gives to the action what its program takes.  Packets go on to the
 * machine and to rules of others as if it were not there (TC_ACT_UNSPEC).
 *
 * Rules outlive a process that is killed.  So the action's cookie says whose
 * it is, where its filter is, and whether the qdisc is ours; it is written
 * before what it tells of.  What others set up is never touched: a filter of
 * ours has a preference number, PB_RULE_PREF or the next that is free, for
 * itself, and the qdisc goes only if we made it and nothing else is in it.
 *
 * It takes CAP_NET_ADMIN.  One thread owns a rule.
 */
#ifndef PB_LINK_RULE_H
#define PB_LINK_RULE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#define PB_RULE_PREF		7152u	/* the first to be tried */
#define PB_RULE_PREFS_MAX	64u	/* at one interface, then it fails */
#define PB_RULE_END_MS_MAX	2000u	/* the kernel lets go of a filter */
#define PB_RULE_LEFT_MAX	256u	/* rules of ours found at a start */
#define PB_RULE_COOKIE_BYTES	16u	/* TC_COOKIE_MAX_SIZE of the kernel */

/* An interface as far as a rule cares. */
struct pb_port {
	unsigned	index;		/* 0: not there */
	unsigned	type;		/* ARPHRD_ of its link type */
	unsigned	mtu;
	bool		up;		/* and has a carrier */
	uint64_t	dropped;	/* tx_dropped: by its driver, of all */
};

struct pb_rule {
	int		 fd;		/* pb_rtnl_open() */
	struct pb_buf	 message;
	uint64_t	 owner;		/* 48 bits, of pb_rule_owner() */
	uint32_t	 action;	/* its index; 0: there is none */
	uint8_t		 cookie[PB_RULE_COOKIE_BYTES];	/* that it has */
	unsigned	 outlet;	/* the index that it was made for; 0
					 * where that one was seen to be gone */
	unsigned	 at;		/* where the filter is; 0: nowhere */
	uint16_t	 pref;		/* of the filter */
	bool		 qdisc;		/* at `at` it is ours */
};

/* What it counted since it was made. */
struct pb_rule_counts {
	uint64_t	 packets;	/* that the filter took */
	uint64_t	 bytes;		/* of those, without the header */
	uint32_t	 refused;	/* of those, by the outlet; wraps */
	unsigned	 outlet;	/* 0: it is gone */
	bool		 bound;		/* the filter is there */
};

/* Whose rules: those of the recorder of this node and store. */
uint64_t pb_rule_owner(const char *node, const char *store);

/* It begins without action and filter. */
int	pb_rule_init(struct pb_rule *rule, uint64_t owner,
	    struct pb_err *err);
void	pb_rule_finish(struct pb_rule *rule);	/* those stay */

/* How an interface is now; index 0, and no error, where it is not there. */
int	pb_rule_port(struct pb_rule *rule, const char *name,
	    struct pb_port *out, struct pb_err *err);

/* Make the action, or give it another outlet; its counts go on. */
int	pb_rule_aim(struct pb_rule *rule, unsigned outlet,
	    struct pb_err *err);

/* The filter, for there is none: `count` instructions at the interface with
 * this index. */
int	pb_rule_bind(struct pb_rule *rule, unsigned at,
	    const struct sock_filter *code, unsigned count,
	    struct pb_err *err);

/* Take the filter away, and the qdisc that was made for it.  What is gone
 * already is no error. */
int	pb_rule_unbind(struct pb_rule *rule, struct pb_err *err);

/* PB_ENOENT where somebody deleted the action; there is none then, even if
 * another's has its index by now. */
int	pb_rule_look(struct pb_rule *rule, struct pb_rule_counts *out,
	    struct pb_err *err);

/* Take all away.  `last`, if not NULL, is what it came to; packets that
 * were under way are in it. */
int	pb_rule_remove(struct pb_rule *rule, struct pb_rule_counts *last,
	    struct pb_err *err);

/*
 * Take away what an earlier process with the same owner left, within
 * PB_RULE_END_MS_MAX of waiting for all.  How many rules there were, or the
 * error of the first that could not be removed; the others are, all the same.
 * `err` is not NULL.
 */
int	pb_rule_sweep(uint64_t owner, struct pb_err *err);

/* Pure: what an action's cookie says, and the other way round. */
void	pb_rule_cookie(const struct pb_rule *rule,
	    uint8_t out[static PB_RULE_COOKIE_BYTES]);
bool	pb_rule_from_cookie(struct pb_rule *rule, const uint8_t *cookie,
	    size_t len);

#endif
