/*
 * recorder/port/door/listen.h - an address that may not be there yet
 *
 * A name that nobody knows yet, an address that DHCP or a VPN brings later,
 * a port that somebody else still has: it is tried again, later each time.
 * A try has a thread of its own (base/aside.h), for names may take long.
 */
#ifndef PB_INGEST_LISTEN_H
#define PB_INGEST_LISTEN_H

#include <stdint.h>

#include "base/err.h"

#define PB_LISTEN_RETRY_MS	250u	/* between tries, at first, */
#define PB_LISTEN_RETRY_MS_MAX	5000u	/* and at most */

struct pb_listen;

/* `address` is copied. */
int	pb_listen_create(struct pb_listen **out, const char *address,
	    struct pb_err *err);
void	pb_listen_destroy(struct pb_listen *listen);	/* NULL is fine */

/*
 * Go on; wait for an outcome for `wait_ms` at most.  A descriptor that
 * listens, the caller's; PB_EBUSY: no outcome yet; or the error of
 * pb_door_tcp(), after which it is tried again when its time has come.
 */
int	pb_listen_try(struct pb_listen *listen, uint64_t now_ms, int wait_ms,
	    struct pb_err *err);

/* What came of it was of no use: later again. */
void	pb_listen_again(struct pb_listen *listen, uint64_t now_ms);

/* Milliseconds until pb_listen_try() has something to do. */
int	pb_listen_timeout_ms(const struct pb_listen *listen, uint64_t now_ms);

#endif
