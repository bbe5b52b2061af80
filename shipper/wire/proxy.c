/*
 * shipper/wire/proxy.c - what a proxy on the way to a peer wants to know
 */
#include "shipper/wire/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

int
pb_proxy_auth_read(char out[static PB_PROXY_AUTH_MAX], const char *path,
    struct pb_err *err)
{
	ssize_t len;
	int fd;

	memset(out, 0, PB_PROXY_AUTH_MAX);
	if (path[0] == '\0')
		return 0;
	/* A FIFO in its place keeps nobody waiting. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return pb_err_set(err, PB_EINVAL, "%.200s: %s", path,
		    strerror(errno));
	len = pb_pread_all(fd, out, PB_PROXY_AUTH_MAX - 1, 0, err);
	close(fd);
	if (len < 0)
		return pb_err_set(err, PB_EINVAL, "%.200s: it cannot be read",
		    path);
	out[strcspn(out, "\r\n")] = '\0';
	if (strchr(out, ':') == NULL || out[0] == ':' ||
	    strlen(out) == PB_PROXY_AUTH_MAX - 1)
		return pb_err_set(err, PB_EINVAL, "%.200s: its first line is "
		    "no user:password of at most %d bytes", path,
		    PB_PROXY_AUTH_MAX - 2);
	return 0;
}
