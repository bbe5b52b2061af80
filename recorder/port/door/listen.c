/*
 * recorder/port/door/listen.c - the listening sockets
 */
#include "recorder/port/door/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/text.h"
#include "base/unix.h"
#include "recorder/store/layout.h"

#define SOCKET_NAME	"recorder.sock"
#define LOOK_MS		50	/* at a try that is under way */

struct try {
	char		 address[PB_TEXT_BYTES_MAX];
	int		 fd;	/* or the error */
	struct pb_err	 err;
};

struct pb_listen {
	char		 address[PB_TEXT_BYTES_MAX];
	struct pb_aside	*aside;		/* NULL: no try is under way */
	struct try	*try;		/* the aside's */
	uint64_t	 at_ms;		/* of the next one */
	unsigned	 wait_ms;	/* before it */
};

static int	split_address(const char *, char [static PB_TEXT_BYTES_MAX],
		    const char **, const char **, struct pb_err *);
static int	listen_at(const struct addrinfo *, const char *,
		    struct pb_err *);
static int	start(struct pb_listen *, struct pb_err *);
static void	work(void *);
static void	drop(void *);

int
pb_listen_tcp(const char *address, struct pb_err *err)
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
pb_listen_local(const char *store, char path[static PATH_MAX],
    struct pb_err *err)
{
	int rc = pb_layout_path(path, store, SOCKET_NAME, err);

	return rc < 0 ? rc : pb_unix_listen(path, SOCK_STREAM,
	    PB_LISTEN_BACKLOG, err);
}

int
pb_listen_create(struct pb_listen **out, const char *address,
    struct pb_err *err)
{
	struct pb_listen *listen = calloc(1, sizeof(*listen));

	if (listen == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	snprintf(listen->address, sizeof(listen->address), "%s", address);
	*out = listen;
	return 0;
}

void
pb_listen_destroy(struct pb_listen *listen)
{
	if (listen == NULL)
		return;
	pb_aside_leave(listen->aside);
	free(listen);
}

int
pb_listen_try(struct pb_listen *listen, uint64_t now_ms, int wait_ms,
    struct pb_err *err)
{
	int fd;

	if (listen->aside == NULL) {
		if (now_ms < listen->at_ms)
			return PB_EBUSY;
		fd = start(listen, err);
		if (fd < 0) {
			pb_listen_again(listen, now_ms);
			return fd;
		}
	}
	if (!pb_aside_wait(listen->aside, -1, wait_ms))
		return PB_EBUSY;
	fd = listen->try->fd;
	if (fd < 0) {
		*err = listen->try->err;
		pb_listen_again(listen, now_ms);
	}
	listen->try->fd = -1;
	pb_aside_leave(listen->aside);
	listen->aside = NULL;
	return fd;
}

void
pb_listen_again(struct pb_listen *listen, uint64_t now_ms)
{
	listen->wait_ms = listen->wait_ms == 0 ? PB_LISTEN_RETRY_MS :
	    2 * listen->wait_ms;
	if (listen->wait_ms > PB_LISTEN_RETRY_MS_MAX)
		listen->wait_ms = PB_LISTEN_RETRY_MS_MAX;
	listen->at_ms = now_ms + listen->wait_ms;
}

int
pb_listen_timeout_ms(const struct pb_listen *listen, uint64_t now_ms)
{
	if (listen->aside != NULL)
		return LOOK_MS;
	return listen->at_ms > now_ms ? (int)(listen->at_ms - now_ms) : 0;
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

static int
start(struct pb_listen *listen, struct pb_err *err)
{
	struct try *try = calloc(1, sizeof(*try));

	if (try == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	snprintf(try->address, sizeof(try->address), "%s", listen->address);
	try->fd = -1;
	listen->try = try;
	return pb_aside_start(&listen->aside, work, drop, try, true, err);
}

static void
work(void *arg)
{
	struct try *try = arg;

	try->fd = pb_listen_tcp(try->address, &try->err);
}

/* Where nobody has taken it. */
static void
drop(void *arg)
{
	struct try *try = arg;

	if (try->fd >= 0)
		close(try->fd);
	free(try);
}
