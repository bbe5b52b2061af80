/*
 * recorder/store/lock.h - one writing program per store, by a lock file
 *
 * An fcntl(2) write lock on STORE/NAME.lock, with the pid inside.  The
 * kernel drops it when the process ends, however it ends.  Behind the first
 * byte it is a read lock where it is brief.
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

/* Say of the lock `fd` that its holder ends by himself: who wants the store
 * may wait for it. */
void	pb_lock_brief(int fd);

enum pb_lock_state {
	PB_LOCK_FREE,			/* or our own */
	PB_LOCK_HELD,
	PB_LOCK_BRIEF,			/* held, and pb_lock_brief() */
};

/* Is it held by another process?  Then with its pid, or 0.  Our own stays
 * held: its file is not opened. */
enum pb_lock_state pb_lock_held(const char *store, const char *name,
	    pid_t *pid);

/* Is the one held that is for writing in the LMDB environment `path`, which
 * is STORE/index or STORE/shipper? */
bool	pb_lock_written(const char *path, pid_t *pid);

#endif
