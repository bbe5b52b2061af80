/*
 * shipper/wire/fetch.h - the wire protocol as who pulls speaks it
 *
 * Which streams a node has, their packets behind a number, and how far they
 * are durable here.  Whose packets they are is asked with client.h.
 */
#ifndef PB_SHIPPER_FETCH_H
#define PB_SHIPPER_FETCH_H

#include "shipper/pull/pull.h"
#include "shipper/wire/client.h"

struct pb_fetch_call;

/* What came of one, in the machine's words; borrowed for the call. */
typedef void	pb_fetch_done(void *arg, struct pb_pull_answer *answer);

/* One request: the caller's memory, that of the request until `done` or
 * pb_fetch_cancel(). */
struct pb_fetch_call {
	pb_fetch_done	*done;
	/* Of a list, before its `done`, or NULL.  `fresh` as of the answer. */
	void		(*row)(void *arg, const struct pb_pull_row *row,
			    bool fresh);
	/* Of a list, before its `done`: what of packets is left out for who
	 * asks, "" and 0: nothing.  NULL: it does not matter. */
	void		(*gets)(void *arg, const char *filter,
			    uint32_t snaplen);
	/* Of packets: these are on their way. */
	void		(*coming)(void *arg,
			    const struct pb_pull_coming *coming);
	void		*arg;
	/* Of a list: of this node's streams alone, which who may bring them is
	 * told, too; PB_PULL_GONE: that cannot be asked there.  NULL: of all
	 * that may be pulled. */
	const char	*of;
	/* The rest is not the caller's. */
	enum pb_pull_kind kind;
	char		cursor[PB_PULL_CURSOR_MAX];	/* of a list */
	bool		spoilt;		/* a line cannot be read */
	char		body[PB_WIRE_GAP_MAX];	/* of an ack */
};

/*
 * Start what the action says, LIST, FETCH or ACK; its end is told by
 * call->done, from within pb_http_wait().  An error: nothing was started.
 * LIST waits for `wait_s` at most where the action says so; FETCH does not.
 * `zstd`: packets may come packed.
 */
int	pb_fetch_start(struct pb_wire *wire, struct pb_fetch_call *call,
	    const struct pb_pull_action *action, unsigned wait_s, bool zstd,
	    struct pb_err *err);

/* End it without its `done`, where it is under way. */
void	pb_fetch_cancel(struct pb_wire *wire, struct pb_fetch_call *call);

#endif
