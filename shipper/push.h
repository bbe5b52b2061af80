/*
 * shipper/push.h - send sections to a node and wait until they are durable
 *
 * For programs that bring packets in (`pb import`): the wire protocol as a
 * blocking call with a bounded number of requests in flight.
 */
#ifndef PB_SHIPPER_PUSH_H
#define PB_SHIPPER_PUSH_H

#include "base/buf.h"
#include "base/err.h"
#include "recorder/store/layout.h"

#define PB_PUSH_REQUESTS_MAX	8	/* in flight */

struct pb_push;

/* To the node behind a unix socket (`STORE/recorder.sock`). */
int	pb_push_create(struct pb_push **out, const char *socket_path,
	    struct pb_err *err);
void	pb_push_destroy(struct pb_push *push);

/*
 * Send one section (SHB, IDB, blocks) with packets first .. last of a
 * stream.  Takes the bytes of `body` and leaves it empty.  Blocks while
 * PB_PUSH_REQUESTS_MAX are in flight; a 503 is tried again for up to 10 s.
 * An error may be that of an earlier section; the push is then spent.
 */
int	pb_push_section(struct pb_push *push, const struct pb_stream_key *key,
	    uint64_t first, uint64_t last, struct pb_buf *body,
	    struct pb_err *err);

/* Wait until all is acknowledged: durable. */
int	pb_push_finish(struct pb_push *push, struct pb_err *err);

#endif
