/*
 * recorder/port/door/accept.c - a listening socket that never spins
 */
#include "recorder/port/door/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct pb_accept {
	int		 epoll_fd;
	int		 listen_fd;	/* -1: stopped */
	int		 spare_fd;	/* -1: given away */
	bool		 full;
	bool		 watched;	/* listen_fd, by epoll_fd */
	uint64_t	 retry_ms;	/* 0: nothing failed */
};

static int	add(struct pb_accept *, int, struct pb_err *);
static void	watch(struct pb_accept *);
static void	keep_spare(struct pb_accept *);
static int	take(struct pb_accept *, struct sockaddr_storage *,
		    socklen_t *);

int
pb_accept_create(struct pb_accept **out, int also_fd, struct pb_err *err)
{
	struct pb_accept *accept = calloc(1, sizeof(*accept));
	int rc;

	if (accept == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	accept->listen_fd = accept->spare_fd = -1;
	accept->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (accept->epoll_fd < 0)
		rc = pb_err_sys(err, "start to listen");
	else
		rc = add(accept, also_fd, err);
	if (rc < 0) {
		pb_accept_destroy(accept);
		return rc;
	}
	*out = accept;
	return 0;
}

void
pb_accept_destroy(struct pb_accept *accept)
{
	if (accept == NULL)
		return;
	pb_accept_stop(accept);
	if (accept->epoll_fd >= 0)
		close(accept->epoll_fd);
	free(accept);
}

int
pb_accept_fd(const struct pb_accept *accept)
{
	return accept->epoll_fd;
}

int
pb_accept_next(struct pb_accept *accept, uint64_t now_ms,
    struct sockaddr_storage *from, socklen_t *len, struct pb_err *err)
{
	int fd;

	if (accept->listen_fd < 0 || accept->full || now_ms < accept->retry_ms)
		return PB_ENOENT;
	keep_spare(accept);
	accept->retry_ms = 0;
	fd = take(accept, from, len);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) &&
	    accept->spare_fd >= 0) {
		close(accept->spare_fd);
		accept->spare_fd = -1;
		fd = take(accept, from, len);
	}
	if (fd < 0 && errno != EAGAIN) {
		fd = pb_err_sys(err, "a connection cannot be taken");
		accept->retry_ms = now_ms + PB_ACCEPT_RETRY_MS;
	} else if (fd < 0) {
		fd = PB_ENOENT;
	}
	watch(accept);
	return fd;
}

uint64_t
pb_accept_wake_ms(const struct pb_accept *accept)
{
	if (accept->listen_fd < 0 || accept->full || accept->retry_ms == 0)
		return UINT64_MAX;
	return accept->retry_ms;
}

void
pb_accept_full(struct pb_accept *accept, bool full)
{
	accept->full = full;
	watch(accept);
}

void
pb_accept_stop(struct pb_accept *accept)
{
	if (accept->listen_fd >= 0)
		close(accept->listen_fd);
	if (accept->spare_fd >= 0)
		close(accept->spare_fd);
	accept->listen_fd = accept->spare_fd = -1;
}

int
pb_accept_listen(struct pb_accept *accept, int listen_fd, struct pb_err *err)
{
	int rc = add(accept, listen_fd, err);

	if (rc < 0) {
		close(listen_fd);
		return rc;
	}
	accept->listen_fd = listen_fd;
	accept->watched = true;
	accept->retry_ms = 0;
	keep_spare(accept);
	watch(accept);
	return 0;
}

static int
add(struct pb_accept *accept, int fd, struct pb_err *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_ctl(accept->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return pb_err_sys(err, "start to listen");
	return 0;
}

/* Is a connection that waits any news?  A change of what is watched already
 * takes no memory, so it does not fail. */
static void
watch(struct pb_accept *accept)
{
	bool wanted = !accept->full && accept->retry_ms == 0;
	struct epoll_event event = { .events = wanted ? EPOLLIN : 0 };

	if (accept->listen_fd < 0 || wanted == accept->watched)
		return;
	if (epoll_ctl(accept->epoll_fd, EPOLL_CTL_MOD, accept->listen_fd,
	    &event) == 0)
		accept->watched = wanted;
}

static void
keep_spare(struct pb_accept *accept)
{
	if (accept->spare_fd < 0)
		accept->spare_fd = fcntl(accept->listen_fd, F_DUPFD_CLOEXEC,
		    0);
}

/* Peers that have gone before they were taken are passed over. */
static int
take(struct pb_accept *accept, struct sockaddr_storage *from, socklen_t *len)
{
	int fd;

	do {
		*len = sizeof(*from);
		fd = accept4(accept->listen_fd, (struct sockaddr *)from, len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd;
}
