/*
 * shipper/operator/control.h - what an operator asks of a running shipper
 *
 * STORE/shipper.sock, for the shipper's own user alone: one connection
 * (SOCK_SEQPACKET), one request, one answer, each one JSON object.
 *
 *	{"do":"requeue","upstream":GLOB,"stream":GLOB,"first":N}
 *	{"do":"purge",  "upstream":GLOB,"stream":GLOB,"first":N}
 *	{"do":"move",   "upstream":GLOB,"stream":GLOB,"first":N,"to":NAME}
 *	-> {"letters":N,"packets":N} or {"error":TEXT}
 *	{"do":"metrics"}	by the recorder: recorder/store/facts/told.h
 *
 * All members are there; `first` 0: any.  The server never blocks, and a
 * client that does not ask within PB_CONTROL_ASK_MS is dropped.
 */
#ifndef PB_SHIPPER_CONTROL_H
#define PB_SHIPPER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "shipper/letters/letters.h"

#define PB_CONTROL_CLIENTS_MAX	8u
#define PB_CONTROL_BYTES_MAX	4096u	/* of a request, of an answer */
#define PB_CONTROL_GLOB_MAX	512u	/* with its NUL */
#define PB_CONTROL_ASK_MS	10000u
/* How long a client waits to be let in. */
#define PB_CONTROL_ENTER_MS	3000u
/* How long a client waits for its answer. */
#define PB_CONTROL_ANSWER_MS	600000u

enum pb_control_verb {
	PB_CONTROL_REQUEUE = 1,
	PB_CONTROL_PURGE,
	PB_CONTROL_MOVE,
	PB_CONTROL_METRICS,
};

/* --- the shipper -------------------------------------------------------- */

struct pb_control;

struct pb_control_request {
	enum pb_control_verb verb;
	struct pb_letters_which which;	/* borrows what follows */
	char		 upstream[PB_CONTROL_GLOB_MAX];
	char		 stream[PB_CONTROL_GLOB_MAX];
	char		 to[PB_NAME_BYTES_MAX + 1];
	struct pb_letters_sum sum;	/* what was done so far */
	/* METRICS: the file, the handler's, and how much of it counts. */
	int		 file;
	uint64_t	 file_bytes;
};

/*
 * A request is the handler's until it answers 0, done, or an error, which
 * the client is told.  1: it goes on; called again each turn, and whoever
 * does it wakes the loop.
 */
typedef int pb_control_handler(void *arg, struct pb_control_request *request,
	    struct pb_err *err);

/* Listen in `store`, whose shipper.lock the caller has: a socket that is
 * there is stale and replaced.  `store` is copied. */
int	pb_control_create(struct pb_control **out, const char *store,
	    pb_control_handler *handler, void *arg, struct pb_err *err);
/* Clients are cut off, the socket is removed. */
void	pb_control_destroy(struct pb_control *control);

/* The descriptors to wait on until they can be read, PB_CONTROL_FDS_MAX at
 * most: how many. */
#define PB_CONTROL_FDS_MAX	(PB_CONTROL_CLIENTS_MAX + 1u)
unsigned pb_control_fds(const struct pb_control *control, int *fds,
	    unsigned max);

/* What can be done without waiting.  Call it each turn of the loop, once a
 * second at least. */
void	pb_control_run(struct pb_control *control, uint64_t now_ms);

/* --- its clients -------------------------------------------------------- */

/*
 * Ask the shipper of `store`, not for metrics.  PB_ENOENT: none listens;
 * PB_EACCES: the socket is another user's; PB_EBUSY: it lets nobody in, or does
 * not answer; or the error it answered with.
 */
int	pb_control_ask(const char *store, enum pb_control_verb verb,
	    const struct pb_letters_which *which, struct pb_letters_sum *sum,
	    struct pb_err *err);

#endif
