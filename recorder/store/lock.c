/*
 * recorder/store/lock.c - one writing program per store
 */
#include "recorder/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/owner.h"
#include "recorder/store/layout.h"

#define OURS_MAX	4	/* a process has one or two */

/*
 * What this process holds.  The kernel drops such a lock with the first
 * close of any descriptor of its file: that file is not opened again.  An
 * entry counts while its descriptor is still that file's, and in no child.
 */
static struct ours {
	pid_t	pid;
	int	fd;
} ours[OURS_MAX];
static unsigned		ours_next;
static pthread_mutex_t	ours_mutex = PTHREAD_MUTEX_INITIALIZER;

static enum pb_lock_state holder(int, pid_t *);
static void	remember(int);
static bool	is_ours(const char *);

int
pb_lock_take(int *out, const char *store, const char *name, const char *who,
    struct pb_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX], pid[32];
	pid_t other = 0;
	int fd, rc;

	rc = pb_layout_path(path, store, name, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDWR | O_CREAT, 0640);
	if (fd < 0) {
		rc = pb_err_sys(err, "open %s", path);
		pb_owner_explain(store, path, err);
		return rc;
	}
	if (pb_file_lock(fd, F_SETLK, &lock) < 0) {
		if (errno == EACCES || errno == EAGAIN) {
			(void)holder(fd, &other);
			rc = pb_err_set(err, PB_EBUSY, "another %s (pid %ld) "
			    "works on the store %s; stop it first", who,
			    (long)other, store);
		} else {
			rc = pb_err_sys(err, "lock %s", path);
		}
		pb_file_close(fd);
		return rc;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The pid is for people; the lock itself needs no byte written. */
	if (pb_file_truncate(fd, 0) == 0 &&
	    pb_file_pwrite(fd, pid, strlen(pid), 0) < 0)
		errno = 0;
	remember(fd);
	*out = fd;
	return 0;
}

void
pb_lock_brief(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
	    .l_start = 1 };

	/* Part of what is ours already, and less: nobody can refuse it. */
	(void)pb_file_lock(fd, F_SETLK, &lock);
}

enum pb_lock_state
pb_lock_held(const char *store, const char *name, pid_t *pid)
{
	enum pb_lock_state state;
	char path[PATH_MAX];
	int fd;

	if (pb_layout_path(path, store, name, NULL) < 0 || is_ours(path))
		return PB_LOCK_FREE;
	fd = pb_below_open(path, O_RDONLY, 0);
	if (fd < 0)
		return PB_LOCK_FREE;
	state = holder(fd, pid);
	pb_file_close(fd);
	return state;
}

bool
pb_lock_written(const char *path, pid_t *pid)
{
	const char *slash = strrchr(path, '/');
	char store[PATH_MAX];

	if (slash == NULL || snprintf(store, sizeof(store), "%.*s",
	    (int)(slash - path), path) >= (int)sizeof(store))
		return false;
	return pb_lock_held(store, strcmp(slash, "/shipper") == 0 ?
	    "shipper.lock" : "recorder.lock", pid) != PB_LOCK_FREE;
}

static void
remember(int fd)
{
	pthread_mutex_lock(&ours_mutex);
	ours[ours_next++ % OURS_MAX] = (struct ours){ getpid(), fd };
	pthread_mutex_unlock(&ours_mutex);
}

static bool
is_ours(const char *path)
{
	struct stat at, st;
	bool found = false;

	if (pb_below_stat(path, &at) < 0)
		return false;
	pthread_mutex_lock(&ours_mutex);
	for (size_t i = 0; i < OURS_MAX && !found; i++)
		found = ours[i].pid == getpid() &&
		    pb_file_stat(ours[i].fd, &st) == 0 &&
		    st.st_dev == at.st_dev && st.st_ino == at.st_ino;
	pthread_mutex_unlock(&ours_mutex);
	return found;
}

/* Does a process hold the lock?  Which one the kernel knows, not the file;
 * of one that is in another container it says 0. */
static enum pb_lock_state
holder(int fd, pid_t *pid)
{
	struct flock first = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_len = 1 };
	struct flock rest = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_start = 1 };

	if (pb_file_lock(fd, F_GETLK, &first) < 0 || first.l_type == F_UNLCK)
		return PB_LOCK_FREE;
	*pid = first.l_pid > 0 ? first.l_pid : 0;
	return pb_file_lock(fd, F_GETLK, &rest) == 0 && rest.l_type == F_RDLCK ?
	    PB_LOCK_BRIEF : PB_LOCK_HELD;
}
