/*
 * recorder/port/door/accept.h - a listening socket that never spins
 *
 * A socket that listens stays readable while a connection waits that
 * cannot be taken, because no descriptor is left or no room.  Whoever asks
 * for it by epoll alone then turns all the time.  This one looks away: for
 * PB_ACCEPT_RETRY_MS after a failure, and as long as it is told to.
 *
 * One descriptor is kept in reserve, so that with none left one peer more
 * is taken, and told why it cannot bring its packets in.
 */
#ifndef PB_INGEST_ACCEPT_H
#define PB_INGEST_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define PB_ACCEPT_RETRY_MS	100u

struct pb_accept;

/* It listens to nobody yet.  `also_fd` is watched beside it, and stays the
 * caller's. */
int	pb_accept_create(struct pb_accept **out, int also_fd,
	    struct pb_err *err);
void	pb_accept_destroy(struct pb_accept *accept);

/* Readable when a connection may be taken, or `also_fd` is readable. */
int	pb_accept_fd(const struct pb_accept *accept);

/*
 * The next connection: its descriptor, the caller's, and its address.
 * PB_ENOENT: none waits, or not now.  PB_ESYS, PB_ENOMEM: one does and
 * cannot be taken; once for each time that it is tried.
 */
int	pb_accept_next(struct pb_accept *accept, uint64_t now_ms,
	    struct sockaddr_storage *from, socklen_t *len,
	    struct pb_err *err);
/* When to try again, woken or not; UINT64_MAX: no need. */
uint64_t pb_accept_wake_ms(const struct pb_accept *accept);

/* Look away while `full`. */
void	pb_accept_full(struct pb_accept *accept, bool full);
/* Where nothing is listened to: do so.  `listen_fd` does not block and is
 * ours from now on, also where this fails. */
int	pb_accept_listen(struct pb_accept *accept, int listen_fd,
	    struct pb_err *err);
/* Listen no more. */
void	pb_accept_stop(struct pb_accept *accept);

#endif
