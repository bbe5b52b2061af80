/*
 * recorder/store/lock.c - one writing program per store
 */
#include "recorder/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "recorder/store/layout.h"

static pid_t	holder(int);

int
pb_lock_take(int *out, const char *store, const char *name, const char *who,
    struct pb_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX], pid[32];
	int fd, rc;

	rc = pb_layout_path(path, store, name, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDWR | O_CREAT, 0640);
	if (fd < 0)
		return pb_err_sys(err, "open %s", path);
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		if (errno == EACCES || errno == EAGAIN)
			rc = pb_err_set(err, PB_EBUSY, "another %s (pid %ld) "
			    "works on the store %s; stop it first", who,
			    (long)holder(fd), store);
		else
			rc = pb_err_sys(err, "lock %s", path);
		close(fd);
		return rc;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The pid is for people; the lock itself needs no byte written. */
	if (ftruncate(fd, 0) == 0 && write(fd, pid, strlen(pid)) < 0)
		errno = 0;
	*out = fd;
	return 0;
}

bool
pb_lock_held(const char *store, const char *name, pid_t *pid)
{
	char path[PATH_MAX];
	int fd;

	if (pb_layout_path(path, store, name, NULL) < 0)
		return false;
	fd = pb_below_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	*pid = holder(fd);
	close(fd);
	return *pid != 0;
}

/* The pid of the process that holds the lock, 0 where none does. */
static pid_t
holder(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}
