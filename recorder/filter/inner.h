/*
 * recorder/filter/inner.h - a filter asked at every depth of a packet's tags
 *
 * tcpdump's "host X" says nothing of a packet in a VLAN: its program looks
 * for IP right behind the link header.  Here a packet matches where the
 * filter takes it as it is, or as it would be without its outermost tag,
 * without the next one, and so on (recorder/filter/tag.h).  So does a filter
 * with "not": "not host X" takes all that has a tag, as it is.
 */
#ifndef PB_FILTER_INNER_H
#define PB_FILTER_INNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/verdict.h"

/* The packet as it is, and so many less one without something. */
#define PB_INNER_DEPTHS_MAX	8u
/* Of packets that are alike, what is behind so many bytes is forgotten where
 * something is taken off. */
#define PB_INNER_KNOWN_BYTES	256u

struct pb_inner;	/* has room for a packet; one thread at a time */

/* `filter`, of that link type, is borrowed until destroy. */
int	pb_inner_create(struct pb_inner **out, const struct pb_filter *filter,
	    uint16_t linktype, struct pb_err *err);
void	pb_inner_destroy(struct pb_inner *inner);

/* In place of pb_filter_match(). */
bool	pb_inner_match(struct pb_inner *inner, const struct pb_packet *packet);

/* In place of pb_filter_verdict(), and of pb_filter_verdict_within(). */
enum pb_verdict pb_inner_verdict(const struct pb_inner *inner,
	    const struct pb_alike *packets);
enum pb_verdict pb_inner_verdict_within(const struct pb_inner *inner,
	    const struct pb_alike *packets, uint64_t *steps);

/* True: there is nothing to take off in any of them, and what the filter says
 * of them is all. */
bool	pb_inner_plain(const struct pb_inner *inner,
	    const struct pb_alike *packets);

#endif
