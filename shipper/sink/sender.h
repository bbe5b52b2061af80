/*
 * shipper/sink/sender.h - sends units out of a local interface, when due
 *
 * Opens the interface, and again where it was gone; mingles the units at
 * hand, waits for what is due, counts what is left out, and knows of each
 * unit how much of it went.  One thread.
 */
#ifndef PB_SHIPPER_SENDER_H
#define PB_SHIPPER_SENDER_H

#include "shipper/sink/sink.h"

/* A unit that takes longer is cut, so that what has gone is remembered. */
#define PB_SENDER_UNIT_NS	2000000000ull

struct pb_sender;

/* `conf`, of a local interface, is borrowed. */
int	pb_sender_create(struct pb_sender **out,
	    const struct pb_conf_upstream *conf, struct pb_err *err);
void	pb_sender_destroy(struct pb_sender *sender);

/* Send the request's packets, of Ethernet frames; borrowed until it has
 * ended. */
void	pb_sender_add(struct pb_sender *sender,
	    const struct pb_sink_request *request);

/*
 * Do what can be done now; a full queue of the interface, or a filter's
 * names, are waited for, a moment.  Returns until when there is nothing more
 * to do, unless a unit is added, of CLOCK_MONOTONIC; UINT64_MAX: for ever.
 */
uint64_t pb_sender_work(struct pb_sender *sender);

/* All that has not ended ends here, as PB_OUTCOME_PART; what was left out and
 * not told yet is. */
void	pb_sender_stop(struct pb_sender *sender);

/* The next request that has ended, in the order of their ends, which for
 * those of one stream is that of their numbers: true, once. */
bool	pb_sender_ended(struct pb_sender *sender, unsigned *request,
	    struct pb_answer *answer);

/* Borrowed; changed by pb_sender_work(). */
const struct pb_sink_left_out *pb_sender_left_out(
	    const struct pb_sender *sender);

#endif
