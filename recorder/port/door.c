/*
 * recorder/port/door.c - the listening sockets
 */
#include "recorder/port/door.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/below.h"
#include "base/text.h"
#include "recorder/store/layout.h"

#define SOCKET_NAME	"recorder.sock"
#define SOCKET_MODE	0600

static int	split_address(const char *, char [static PB_TEXT_BYTES_MAX],
		    const char **, const char **, struct pb_err *);
static int	listen_at(const struct addrinfo *, const char *,
		    struct pb_err *);
static int	local_address(const char *, const char *,
		    struct sockaddr_un *, int *, struct pb_err *);

int
pb_door_tcp(const char *address, struct pb_err *err)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL;
	char buf[PB_TEXT_BYTES_MAX];
	const char *host = NULL, *port = NULL;
	int rc;

	rc = split_address(address, buf, &host, &port, err);
	if (rc < 0)
		return rc;
	if (host == NULL) {
		/* The IPv6 wildcard takes IPv4 too, where there is IPv6. */
		hints.ai_family = AF_INET6;
		if (getaddrinfo(NULL, port, &hints, &list) == 0) {
			rc = listen_at(list, address, err);
			freeaddrinfo(list);
			if (rc >= 0 || err->sys != EAFNOSUPPORT)
				return rc;
		}
		hints.ai_family = AF_INET;
	}
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return pb_err_set(err, PB_ENOENT, "[listen] address %s: %s",
		    address, gai_strerror(rc));
	rc = listen_at(list, address, err);
	freeaddrinfo(list);
	return rc;
}

int
pb_door_local(const char *store, char path[static PATH_MAX],
    struct pb_err *err)
{
	struct sockaddr_un to;
	int fd, dir = -1, rc;

	rc = pb_layout_path(path, store, SOCKET_NAME, err);
	if (rc < 0)
		return rc;
	rc = local_address(store, path, &to, &dir, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mode of the socket, set before bind(2), is that of the file:
	 * there is no moment at which others can connect. */
	if (fd < 0 || fchmod(fd, SOCKET_MODE) < 0 ||
	    (pb_below_unlink(path) < 0 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    listen(fd, PB_LISTEN_BACKLOG) < 0) {
		rc = pb_err_sys(err, "listen at %s", path);
		if (fd >= 0)
			close(fd);
		fd = rc;
	}
	if (dir >= 0)
		close(dir);
	return fd;
}

/* `*host` NULL: every address. */
static int
split_address(const char *address, char buf[static PB_TEXT_BYTES_MAX],
    const char **host, const char **port, struct pb_err *err)
{
	char *colon, *end;
	uint64_t number;

	if (strlen(address) >= PB_TEXT_BYTES_MAX)
		goto wrong;
	strcpy(buf, address);
	colon = strrchr(buf, ':');
	if (colon == NULL)
		goto wrong;
	*colon = '\0';
	*host = buf;
	*port = colon + 1;
	if (buf[0] == '[') {
		end = strchr(buf, ']');
		if (end == NULL || end + 1 != colon)
			goto wrong;
		*end = '\0';
		*host = buf + 1;
	} else if (strchr(buf, ':') != NULL) {
		goto wrong;
	}
	if (buf[0] == '\0' || strcmp(buf, "*") == 0)
		*host = NULL;
	if (pb_parse_u64(*port, 1, 65535, &number, NULL) == 0)
		return 0;
wrong:
	return pb_err_set(err, PB_EINVAL, "[listen] address %s: write "
	    "host:port or [v6]:port, port 1 to 65535", address);
}

static int
listen_at(const struct addrinfo *at, const char *address, struct pb_err *err)
{
	int fd, on = 1, off = 0;

	fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0)
		return pb_err_sys(err, "[listen] address %s: socket",
		    address);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (at->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
	    bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
	    listen(fd, PB_LISTEN_BACKLOG) == 0)
		return fd;
	pb_err_sys(err, "[listen] address %s", address);
	close(fd);
	return err->code;
}

/*
 * A path longer than sun_path is reached through its directory's
 * descriptor, which `*dir` then holds until bind(2) is done.
 */
static int
local_address(const char *store, const char *path, struct sockaddr_un *to,
    int *dir, struct pb_err *err)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(to->sun_path)) {
		strcpy(to->sun_path, path);
		return 0;
	}
	*dir = pb_below_open(store, O_PATH | O_DIRECTORY, 0);
	if (*dir < 0)
		return pb_err_sys(err, "open directory %s", store);
	snprintf(to->sun_path, sizeof(to->sun_path), "/proc/self/fd/%d/%s",
	    *dir, SOCKET_NAME);
	return 0;
}
