/*
 * recorder/capture/opening.c - an interface opened, however long that takes
 */
#include "recorder/capture/opening.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/aside.h"
#include "base/log.h"
#include "recorder/capture/fanout.h"
#include "recorder/capture/link.h"

#define SLOW_MS		1000

static bool	is_done(struct pb_aside *, int, void (*)(void *), void *);
static void	work(void *);
static void	drop(void *);
static int	open_group(struct pb_opening *);
static int	open_handles(struct pb_opening *, unsigned);
static void	close_handles(struct pb_opening *);
static int	one_handle(struct pb_opening *, const char *);

int
pb_opening_run(const struct pb_opening *ask, int stop_fd,
    void (*slow)(void *arg), void *arg, struct pb_pcap *handle,
    unsigned *count, struct pb_err *err)
{
	struct pb_opening *opening = malloc(sizeof(*opening));
	struct pb_aside *aside = NULL;
	int rc = 0;

	if (opening == NULL)
		return pb_err_set(err, PB_ENOMEM, "interface %s: no memory",
		    ask->capture.interface);
	*opening = *ask;
	opening->count = 0;
	if (ask->capture.filter[0] == '\0')
		work(opening);
	else
		rc = pb_aside_start(&aside, work, drop, opening, false,
		    err);
	if (rc < 0)
		return rc;
	if (aside != NULL && !is_done(aside, stop_fd, slow, arg)) {
		pb_aside_leave(aside);
		return 1;
	}
	rc = opening->rc;
	if (rc < 0) {
		*err = opening->err;
	} else {
		memcpy(handle, opening->handle, sizeof(opening->handle));
		*count = opening->count;
		opening->count = 0;
	}
	if (aside == NULL)
		drop(opening);
	pb_aside_leave(aside);
	return rc;
}

/* False where it is told to stop first. */
static bool
is_done(struct pb_aside *aside, int stop_fd, void (*slow)(void *arg),
    void *arg)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

	if (pb_aside_wait(aside, stop_fd, SLOW_MS))
		return true;
	if (poll(&stop, 1, 0) > 0)
		return false;
	slow(arg);
	return pb_aside_wait(aside, stop_fd, -1);
}

static void
work(void *arg)
{
	struct pb_opening *opening = arg;

	opening->rc = pb_pcap_filter_names(&opening->filter,
	    &opening->capture, &opening->err);
	if (opening->rc == 0)
		opening->rc = open_group(opening);
	pb_pcap_filter_finish(&opening->filter);
}

static void
drop(void *arg)
{
	close_handles(arg);
	free(arg);
}

static int
open_group(struct pb_opening *opening)
{
	const char *interface = opening->capture.interface;
	unsigned threads = opening->capture.threads;
	struct pb_link_state link;
	int rc;

	if (threads == 1)
		return open_handles(opening, 1);
	pb_link_state(interface, &link);
	if (link.index == 0 && strcmp(interface, "any") != 0)
		return one_handle(opening, "no network interface");
	rc = open_handles(opening, threads);
	if (rc < 0)
		return rc;
	rc = pb_fanout_join(opening->handle, threads, opening->hold_ms,
	    &opening->err);
	if (rc == 0)
		return 0;
	pb_link_state(interface, &link);
	if (link.index != opening->handle[0].index || !link.up)
		rc = PB_ESYS;	/* the group is not to blame */
	close_handles(opening);
	if (rc != PB_EINVAL)
		return pb_err_prefix(&opening->err, "interface %s", interface);
	return one_handle(opening, opening->err.text);
}

static int
open_handles(struct pb_opening *opening, unsigned count)
{
	struct pb_pcap *handle = opening->handle;
	struct pb_err *err = &opening->err;

	while (opening->count < count) {
		struct pb_pcap *at = &handle[opening->count];
		int rc = pb_pcap_open(at, &opening->capture,
		    &opening->filter, count, opening->hold_ms,
		    opening->host_clock, err);

		if (rc == 0) {
			opening->count++;
			if (at->index != handle->index)
				rc = pb_err_set(err, PB_ENOENT, "interface "
				    "%s: it changed while it was opened",
				    opening->capture.interface);
		}
		if (rc < 0) {
			close_handles(opening);
			return rc;
		}
	}
	return 0;
}

static void
close_handles(struct pb_opening *opening)
{
	while (opening->count > 0)
		pb_pcap_close(&opening->handle[--opening->count]);
}

static int
one_handle(struct pb_opening *opening, const char *why)
{
	char text[PB_ERR_TEXT_MAX];	/* `why` may be err's */
	int rc;

	snprintf(text, sizeof(text), "%s", why);
	rc = open_handles(opening, 1);
	if (rc == 0)
		pb_log(PB_LOG_WARN, "capture", "one thread instead of %u, for "
		    "the kernel shares nothing out among several "
		    "interface=%s: %s; Fix: threads = 1",
		    opening->capture.threads, opening->capture.interface,
		    text);
	return rc;
}
