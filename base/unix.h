/*
 * base/unix.h - unix sockets that stand in a directory
 *
 * Paths may be longer than an address has room for, and are taken below a
 * held directory (base/below.h).
 */
#ifndef PB_BASE_UNIX_H
#define PB_BASE_UNIX_H

#include "base/err.h"

/*
 * A socket of `type` that listens at `path` and does not block, mode 0600:
 * there is no moment at which others can connect.  What is left there of a
 * former one is removed: the caller knows that nobody is listening.  The
 * descriptor is the caller's, or PB_ESYS names the path.
 */
int	pb_unix_listen(const char *path, int type, int backlog,
	    struct pb_err *err);

/* connect(2): 0, or -1 and errno. */
int	pb_unix_connect(int fd, const char *path);

#endif
