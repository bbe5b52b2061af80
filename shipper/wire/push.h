/*
 * shipper/wire/push.h - send sections to a node and wait until they are durable
 *
 * For programs that bring packets in (`pb import`): the wire protocol as a
 * blocking call with a bounded number of requests in flight.
 */
#ifndef PB_SHIPPER_PUSH_H
#define PB_SHIPPER_PUSH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/layout.h"

#define PB_PUSH_REQUESTS_MAX	8	/* in flight */

struct pb_push;

/* SHB, IDB and blocks with packets first .. last of a stream. */
struct pb_push_section {
	struct pb_stream_key key;
	uint64_t	 first, last;
	/* Borrowed until `done`, which is called once whatever happens, at
	 * the latest by pb_push_destroy(). */
	const uint8_t	*body;
	size_t		 len;
	void		(*done)(void *arg);
	void		*arg;
};

/*
 * To the node behind a unix socket (`STORE/recorder.sock`).  Waiting ends
 * within a second or so with an error when `stopped` (or NULL) is not 0.
 */
int	pb_push_create(struct pb_push **out, const char *socket_path,
	    int (*stopped)(void), struct pb_err *err);
void	pb_push_destroy(struct pb_push *push);

/*
 * Send a section.  Blocks while PB_PUSH_REQUESTS_MAX are in flight; a 503
 * is tried again for up to 10 s.  An error may be that of an earlier
 * section; the push is then spent.
 */
int	pb_push_send(struct pb_push *push,
	    const struct pb_push_section *section, struct pb_err *err);

/* Wait until all is acknowledged: durable. */
int	pb_push_finish(struct pb_push *push, struct pb_err *err);

#endif
