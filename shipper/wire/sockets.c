/*
 * shipper/wire/sockets.c - the sockets of requests, and what waits in them
 */
#include "shipper/wire/sockets.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a unix socket: a body goes over in fewer turns of both ends.  The system
 * gives what it allows (net.core.wmem_max). */
#define UNIX_SEND_BYTES	(1 << 20)

struct pb_socket {
	int		fd;
	uint16_t	port;		/* local; 0: not known yet */
	LIST_ENTRY(pb_socket) link;
};

static void	forget(struct pb_sockets *, int);
static uint16_t	local_port(int);

int
pb_sockets_open(struct pb_sockets *sockets, int family, int type,
    int protocol)
{
	struct pb_socket *s = calloc(1, sizeof(*s));
	static const int bytes = UNIX_SEND_BYTES;

	if (s == NULL)
		return -1;
	s->fd = socket(family, type | SOCK_CLOEXEC, protocol);
	if (s->fd < 0) {
		free(s);
		return -1;
	}
	if (family == AF_UNIX)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes,
		    sizeof(bytes));
	forget(sockets, s->fd);
	LIST_INSERT_HEAD(&sockets->open, s, link);
	return s->fd;
}

void
pb_sockets_close(struct pb_sockets *sockets, int fd)
{
	close(fd);
	forget(sockets, fd);
}

void
pb_sockets_finish(struct pb_sockets *sockets)
{
	struct pb_socket *s;

	while ((s = LIST_FIRST(&sockets->open)) != NULL) {
		LIST_REMOVE(s, link);
		free(s);
	}
}

static void
forget(struct pb_sockets *sockets, int fd)
{
	struct pb_socket *s;

	LIST_FOREACH(s, &sockets->open, link)
		if (s->fd == fd)
			break;
	if (s == NULL)
		return;
	LIST_REMOVE(s, link);
	free(s);
}

uint64_t
pb_sockets_queued(const struct pb_sockets *sockets, uint16_t port)
{
	struct pb_socket *s;
	uint64_t queued = 0;
	int bytes;

	LIST_FOREACH(s, &sockets->open, link) {
		if (s->port == 0)
			s->port = local_port(s->fd);
		if (port != 0 && s->port == port &&
		    ioctl(s->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0)
			queued += (uint64_t)bytes;
	}
	return queued;
}

/* 0 where it has none. */
static uint16_t
local_port(int fd)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return 0;
	if (name.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)
		    (void *)&name)->sin_port);
	if (name.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)
		    (void *)&name)->sin6_port);
	return 0;
}
