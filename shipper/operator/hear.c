/*
 * shipper/operator/hear.c - what the recorder says of who pulls
 */
#include "shipper/operator/hear.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/below.h"
#include "base/unix.h"

#define PACKETS_MAX	256u	/* of a client, in one turn of the loop */

struct pb_hear {
	char		path[PATH_MAX];
	int		listen_fd;
	int		client[PB_HEAR_CLIENTS_MAX];	/* -1: free */
	bool		keeps;		/* `kept` is to be said again */
	struct pb_pull_news kept;
};

static void	let_in(struct pb_hear *);
static bool	take(struct pb_hear *, int, pb_hear_said *, void *);

int
pb_hear_create(struct pb_hear **out, const char *store, struct pb_err *err)
{
	struct pb_hear *hear = calloc(1, sizeof(*hear));
	int rc;

	*out = NULL;
	if (hear == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	hear->listen_fd = -1;
	for (unsigned i = 0; i < PB_HEAR_CLIENTS_MAX; i++)
		hear->client[i] = -1;
	rc = pb_layout_path(hear->path, store, PB_PULLS_SOCKET, err);
	if (rc == 0)
		rc = hear->listen_fd = pb_unix_listen(hear->path,
		    SOCK_SEQPACKET, (int)PB_HEAR_CLIENTS_MAX, err);
	if (rc < 0) {
		pb_hear_destroy(hear);
		return rc;
	}
	*out = hear;
	return 0;
}

void
pb_hear_destroy(struct pb_hear *hear)
{
	if (hear == NULL)
		return;
	for (unsigned i = 0; i < PB_HEAR_CLIENTS_MAX; i++)
		if (hear->client[i] >= 0)
			close(hear->client[i]);
	if (hear->listen_fd >= 0) {
		(void)pb_below_unlink(hear->path);
		close(hear->listen_fd);
	}
	free(hear);
}

unsigned
pb_hear_fds(const struct pb_hear *hear, int *fds, unsigned max)
{
	bool room = false;
	unsigned count = 0;

	for (unsigned i = 0; i < PB_HEAR_CLIENTS_MAX; i++) {
		room |= hear->client[i] < 0;
		if (hear->client[i] >= 0 && !hear->keeps && count < max)
			fds[count++] = hear->client[i];
	}
	if (room && count < max)
		fds[count++] = hear->listen_fd;
	return count;
}

void
pb_hear_run(struct pb_hear *hear, pb_hear_said *said, void *arg)
{
	let_in(hear);
	hear->keeps = hear->keeps && !said(arg, &hear->kept);
	for (unsigned i = 0; i < PB_HEAR_CLIENTS_MAX && !hear->keeps; i++)
		if (hear->client[i] >= 0 && !take(hear, hear->client[i], said,
		    arg)) {
			close(hear->client[i]);
			hear->client[i] = -1;
		}
}

static void
let_in(struct pb_hear *hear)
{
	for (unsigned i = 0; i < PB_HEAR_CLIENTS_MAX; i++) {
		if (hear->client[i] >= 0)
			continue;
		hear->client[i] = accept4(hear->listen_fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (hear->client[i] < 0)
			return;
	}
}

/* False where it has gone, or says what nobody understands. */
static bool
take(struct pb_hear *hear, int fd, pb_hear_said *said, void *arg)
{
	char bytes[PB_PULLS_BYTES_MAX];
	struct pb_err err;

	for (unsigned i = 0; i < PACKETS_MAX && !hear->keeps; i++) {
		ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_TRUNC);

		if (len < 0)
			return errno == EAGAIN || errno == EINTR;
		if (len == 0 || (size_t)len > sizeof(bytes) ||
		    pb_pulls_parse(bytes, (size_t)len, &hear->kept, &err) < 0)
			return false;
		hear->keeps = !said(arg, &hear->kept);
	}
	return true;
}
