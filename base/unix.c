/*
 * base/unix.c - unix sockets that stand in a directory
 */
#include "base/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/below.h"

#define SOCKET_MODE	0600

typedef int with_address(int, const struct sockaddr *, socklen_t);

static int	at_path(with_address *, int, const char *);

int
pb_unix_listen(const char *path, int type, int backlog, struct pb_err *err)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	/* The mode of the socket, set before bind(2), is that of the file. */
	if (fd >= 0 && fchmod(fd, SOCKET_MODE) == 0 &&
	    (pb_below_unlink(path) == 0 || errno == ENOENT) &&
	    at_path(bind, fd, path) == 0 && listen(fd, backlog) == 0)
		return fd;
	rc = pb_err_sys(err, "listen at %s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int
pb_unix_connect(int fd, const char *path)
{
	return at_path(connect, fd, path);
}

/* A path longer than sun_path is reached through its directory's
 * descriptor. */
static int
at_path(with_address *call, int fd, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *name = strrchr(path, '/');
	char dir[PATH_MAX];
	int dir_fd, rc = -1, saved;

	if (strlen(path) < sizeof(to.sun_path)) {
		strcpy(to.sun_path, path);
		return call(fd, (struct sockaddr *)&to, sizeof(to));
	}
	if (name == NULL || strlen(path) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
	dir_fd = pb_below_open(dir, O_PATH | O_DIRECTORY, 0);
	if (dir_fd < 0)
		return -1;
	errno = ENAMETOOLONG;
	if (snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d%s",
	    dir_fd, name) < (int)sizeof(to.sun_path))
		rc = call(fd, (struct sockaddr *)&to, sizeof(to));
	saved = errno;
	close(dir_fd);
	errno = saved;
	return rc;
}
