/*
 * recorder/port/door/listen.c - an address that may not be there yet
 */
#include "recorder/port/door/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/text.h"
#include "recorder/port/door/door.h"

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

static int	start(struct pb_listen *, struct pb_err *);
static void	work(void *);
static void	drop(void *);

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

	try->fd = pb_door_tcp(try->address, &try->err);
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
