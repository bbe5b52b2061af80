/*
 * recorder/link/forward.h - what arrives at a captured interface goes out of
 * another: `forward = eth1`
 *
 * The kernel does it, by a rule (rule.h): no packet comes by here, none waits
 * for the disk, and one that the outlet does not take is dropped there and
 * counted.  A thread keeps the rule right: it follows the outlet, which may
 * go and come, sets up again what others took away, and adds up the counts.
 * Capture never waits for it.
 */
#ifndef PB_LINK_FORWARD_H
#define PB_LINK_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define PB_FORWARD_LOOK_MS	1000u	/* between two looks at the counts */
#define PB_FORWARD_GAP_MS	100u	/* at least, however links change */
#define PB_FORWARD_RETRY_MS	250u	/* between tries, at first, */
#define PB_FORWARD_RETRY_MS_MAX	8000u	/* and at most */

struct pb_forward;
struct pb_filter;

struct pb_forward_stats {
	bool		on;		/* packets go out */
	uint64_t	packets;	/* the outlet took */
	uint64_t	refused;	/* it did not */
	uint64_t	bytes;		/* of both */
	uint64_t	dropped;	/* tx_dropped of the outlet, of all that
					 * leaves there */
	char		why[PB_ERR_TEXT_MAX];	/* not, or not all; else "" */
};

/*
 * Start the thread.  Nothing is forwarded before pb_forward_take().  `owner`
 * is of pb_rule_owner(); names are copied.
 */
int	pb_forward_start(struct pb_forward **out, const char *interface,
	    const char *outlet, uint64_t owner, struct pb_err *err);

/*
 * The interface is captured: it has this index (0: it is no network
 * interface, and nothing is forwarded), and packets that `filter` takes
 * (NULL: all) go out from now on.  Any thread; it does not wait.
 */
void	pb_forward_take(struct pb_forward *forward, unsigned index,
	    const struct pb_filter *filter);

/* Nothing goes out any more; the counts are complete.  NULL is fine, and so
 * is a second time. */
void	pb_forward_stop(struct pb_forward *forward);
void	pb_forward_destroy(struct pb_forward *forward);	/* stops it, too */

/* Any thread; at most PB_FORWARD_LOOK_MS old. */
void	pb_forward_stats(struct pb_forward *forward,
	    struct pb_forward_stats *out);

#endif
