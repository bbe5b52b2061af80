/*
 * recorder/port/pulling.h - what answers to pullers have in common
 *
 * Each begins by telling the shipper that somebody asks, and may wait for a
 * commit of the store.  Out of its hours a puller is given no packets.
 */
#ifndef PB_INGEST_PULLING_H
#define PB_INGEST_PULLING_H

#include "recorder/port/offers.h"
#include "recorder/port/request.h"

#define PB_PULL_WAIT_S_MAX	60u	/* longer waits are cut to it */

struct pulling {
	struct pb_offers *offers;
	struct pb_shaper *shaper;	/* the puller's; NULL: it has none */
	const char	*puller;	/* its name */
	uint64_t	wait_ms, until_ms;
	struct pb_poll	poll;
	bool		begun;
};

/* `wait` of the query; PB_EINVAL. */
int	pulling_wait(const struct pb_request *request, uint64_t *wait_ms,
	    struct pb_err *err);

/* On the ingest thread. */
void	pulling_init(struct pulling *pulling,
	    const struct pb_request *request, uint64_t wait_ms);

/* For `make`, before it looks at what there is. */
void	pulling_begin(struct pulling *pulling, struct pb_reading *reading);
/* Are these not its hours? */
bool	pulling_closed(const struct pulling *pulling);
/* May it wait on? */
bool	pulling_waits(const struct pulling *pulling);
/* For `drop`. */
void	pulling_end(struct pulling *pulling);

#endif
