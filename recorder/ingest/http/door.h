/*
 * recorder/ingest/http/door.h - the listening sockets
 */
#ifndef PB_INGEST_DOOR_H
#define PB_INGEST_DOOR_H

#include <limits.h>

#include "base/err.h"

#define PB_LISTEN_BACKLOG	1024

/*
 * Listen at `address`: `host:port`, `[v6]:port`, `*:port` or `:port` for
 * every address of the machine, both families.  The descriptor, or
 * PB_EINVAL, PB_ESYS with the address named.
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
