/*
 * recorder/filter/verdict.h - a filter asked about packets that are alike
 *
 * The compiled program itself is run, over what is known of the packets
 * instead of a packet: known bits are known, others are not, and a branch on
 * what is not known goes both ways.  What it says is true of each of them,
 * for every filter.
 *
 * The idea is that of Linux' seccomp_is_const_allow(), which asks a user's
 * program about all system calls that share two fields.
 */
#ifndef PB_FILTER_VERDICT_H
#define PB_FILTER_VERDICT_H

#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/filter.h"

struct pb_places;

enum pb_verdict {
	PB_VERDICT_NONE = 1,	/* no packet of these matches */
	PB_VERDICT_ALL = 2,	/* each of them does */
	PB_VERDICT_EACH = 3,	/* look at each */
};

/*
 * What is known of packets: of each of their first `bytes` bytes, the bits
 * that are set in every packet that has the byte, and those that are not
 * known.  Of bytes behind nothing is known.
 */
struct pb_alike {
	const uint8_t	*ones;
	const uint8_t	*unknown;	/* none of `ones` */
	uint32_t	 bytes;
	uint32_t	 caplen_min, caplen_max;
	uint32_t	 len_min, len_max;	/* on the wire */
	const struct pb_places *places;		/* values.h; may be NULL */
};

enum pb_verdict pb_filter_verdict(const struct pb_filter *filter,
	    const struct pb_alike *packets);
/* The same where so many instructions may be run, of which those that were are
 * taken; where they do not suffice it is PB_VERDICT_EACH. */
enum pb_verdict pb_filter_verdict_within(const struct pb_filter *filter,
	    const struct pb_alike *packets, uint64_t *steps);

/*
 * The filter with all done that `shape` decides.  For packets of which it is
 * true (whatever else is known of them) the folded filter says the same, of
 * one packet as of many; it is shorter.  pb_filter_destroy() ends it.
 */
int	pb_filter_fold(struct pb_filter **out, const struct pb_filter *filter,
	    const struct pb_alike *shape, struct pb_err *err);

#endif
