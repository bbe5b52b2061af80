/*
 * recorder/store/lock.h - one writing program per store, by a lock file
 *
 * An fcntl(2) write lock on STORE/NAME.lock, with the pid inside.  The
 * kernel drops it when the process ends, however it ends.
 */
#ifndef PB_STORE_LOCK_H
#define PB_STORE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Take the lock `name` ("recorder.lock") of `store`; `who` is the program
 * for the message.  `*fd` holds it until it is closed.  PB_EBUSY names the
 * pid of the one that has it.
 */
int	pb_lock_take(int *fd, const char *store, const char *name,
	    const char *who, struct pb_err *err);

/* Is it held by another process?  True with its pid, or 0.  Our own stays
 * held: its file is not opened. */
bool	pb_lock_held(const char *store, const char *name, pid_t *pid);

/* Is the one held that is for writing in the LMDB environment `path`, which
 * is STORE/index or STORE/shipper? */
bool	pb_lock_written(const char *path, pid_t *pid);

#endif
