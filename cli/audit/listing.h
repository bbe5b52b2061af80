/*
 * cli/audit/listing.h - the streams that a node says it has
 */
#ifndef PB_AUDIT_LISTING_H
#define PB_AUDIT_LISTING_H

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/store/layout.h"

#define PB_LISTING_MAX	65536u		/* streams; some 10 MiB */

/* Zeroed, empty. */
struct pb_listing {
	struct pb_stream_key *key;	/* in order, once put in it */
	size_t		 count, room;
	/* What of packets it leaves out for who asks: so it says, of an edge.
	 * "" and 0: nothing. */
	char		 filter[PB_CONF_VALUE_MAX];
	uint32_t	 snaplen;
};

/* PB_ELIMIT: it is one too many; PB_ENOMEM. */
int	pb_listing_add(struct pb_listing *listing,
	    const struct pb_stream_key *key, struct pb_err *err);
/* By node, interface and epoch, each once. */
void	pb_listing_order(struct pb_listing *listing);
void	pb_listing_clear(struct pb_listing *listing);

#endif
