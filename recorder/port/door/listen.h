/*
 * recorder/port/door/listen.h - the listening sockets
 *
 * One may not be there yet: a name that nobody knows, an address that DHCP or
 * a VPN brings later, a port that somebody else still has.  It is tried again,
 * later each time, on a thread of its own (base/aside.h), for names may take
 * long.
 */
#ifndef PB_INGEST_LISTEN_H
#define PB_INGEST_LISTEN_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"

#define PB_LISTEN_BACKLOG	1024
#define PB_LISTEN_RETRY_MS	250u	/* between tries, at first, */
#define PB_LISTEN_RETRY_MS_MAX	5000u	/* and at most */

/*
 * Listen at `address`: `host:port`, `[v6]:port`, `*:port` or `:port` for
 * every address of the machine, both families.  A name is looked up, which
 * may take long.  The descriptor, or, with the address named,
 *   PB_EINVAL   no such form
 *   PB_ENOENT   the name is not known (now)
 *   PB_ESYS     the address is not there, is another's, ...
 */
int	pb_listen_tcp(const char *address, struct pb_err *err);

/*
 * Listen at STORE/recorder.sock, mode 0600; `path` gets its name.  One
 * left behind is removed: who holds the store's lock is the only one who
 * can be listening.
 */
int	pb_listen_local(const char *store, char path[static PATH_MAX],
	    struct pb_err *err);

struct pb_listen;

/* `address` is copied. */
int	pb_listen_create(struct pb_listen **out, const char *address,
	    struct pb_err *err);
void	pb_listen_destroy(struct pb_listen *listen);	/* NULL is fine */

/*
 * Go on; wait for an outcome for `wait_ms` at most.  A descriptor that
 * listens, the caller's; PB_EBUSY: no outcome yet; or the error of
 * pb_listen_tcp(), after which it is tried again when its time has come.
 */
int	pb_listen_try(struct pb_listen *listen, uint64_t now_ms, int wait_ms,
	    struct pb_err *err);

/* What came of it was of no use: later again. */
void	pb_listen_again(struct pb_listen *listen, uint64_t now_ms);

/* Milliseconds until pb_listen_try() has something to do. */
int	pb_listen_timeout_ms(const struct pb_listen *listen, uint64_t now_ms);

#endif
