/*
 * recorder/port/door/door.h - the listening sockets
 */
#ifndef PB_INGEST_DOOR_H
#define PB_INGEST_DOOR_H

#include <limits.h>

#include "base/err.h"

#define PB_LISTEN_BACKLOG	1024

/*
 * Listen at `address`: `host:port`, `[v6]:port`, `*:port` or `:port` for
 * every address of the machine, both families.  A name is looked up, which
 * may take long.  The descriptor, or, with the address named,
 *   PB_EINVAL   no such form
 *   PB_ENOENT   the name is not known (now)
 *   PB_ESYS     the address is not there, is another's, ...
 */
int	pb_door_tcp(const char *address, struct pb_err *err);

/*
 * Listen at STORE/recorder.sock, mode 0600; `path` gets its name.  One
 * left behind is removed: who holds the store's lock is the only one who
 * can be listening.
 */
int	pb_door_local(const char *store, char path[static PATH_MAX],
	    struct pb_err *err);

#endif
