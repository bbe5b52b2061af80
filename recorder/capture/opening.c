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
#include "pcapng/block.h"
#include "recorder/capture/source.h"
#include "recorder/capture/stamping.h"
#include "recorder/link/link.h"

#define SLOW_MS		1000

struct opening {
	struct pb_pcap_ask ask;
	struct pb_pcap_filter filter;
	/* What comes of it: */
	struct pb_handles handles;
	int		 rc;
	struct pb_err	 err;
};

static int	check_trailers(const struct pb_conf_capture *,
		    const char **, struct pb_err *);
static int	check_filter(const struct pb_conf_capture *, unsigned,
		    struct pb_err *);
static struct opening *new_opening(const struct pb_conf_capture *,
		    struct pb_err *);
static bool	is_done(struct pb_aside *, int, void (*)(void *), void *);
static void	look_up(void *);
static void	open_all(void *);
static void	drop(void *);
static int	open_group(struct opening *);
static int	open_handles(struct opening *, unsigned);
static int	one_handle(struct opening *, const char *);

int
pb_source_check(const struct pb_conf_capture *capture, unsigned ms,
    const char **key, struct pb_err *err)
{
	int rc = check_trailers(capture, key, err);

	if (rc == 0 && capture->timestamp_type[0] != '\0' &&
	    pcap_tstamp_type_name_to_val(capture->timestamp_type) < 0) {
		*key = "timestamp_type";
		rc = pb_err_set(err, PB_EINVAL, "timestamp_type '%s': not "
		    "known; `pb interfaces` lists those of each interface",
		    capture->timestamp_type);
	} else if (rc == 0 && capture->filter[0] != '\0') {
		*key = "filter";
		rc = check_filter(capture, ms, err);
	}
	if (rc != 0)
		pb_err_prefix(err, rc, "[capture %s]", capture->interface);
	return rc;
}

int
pb_opening_run(const struct pb_pcap_ask *ask, int stop_fd,
    void (*slow)(void *arg), void *arg, struct pb_handles *out,
    struct pb_err *err)
{
	struct opening *opening = new_opening(&ask->capture, err);
	struct pb_aside *aside = NULL;
	int rc = 0;

	if (opening == NULL)
		return PB_ENOMEM;
	opening->ask = *ask;
	if (ask->capture.filter[0] == '\0')
		open_all(opening);
	else
		rc = pb_aside_start(&aside, open_all, drop, opening, false,
		    err);
	if (rc < 0)
		return rc;
	if (aside != NULL && !is_done(aside, stop_fd, slow, arg)) {
		pb_aside_leave(aside);
		return 1;
	}
	rc = opening->rc;
	if (rc < 0)
		*err = opening->err;
	*out = opening->handles;
	/* They are the caller's. */
	memset(&opening->handles, 0, sizeof(opening->handles));
	if (aside == NULL)
		drop(opening);
	pb_aside_leave(aside);
	return rc;
}

void
pb_handles_close(struct pb_handles *handles)
{
	while (handles->count > 0)
		pb_pcap_close(&handles->at[--handles->count]);
	pb_filter_destroy(handles->filter);
	handles->filter = NULL;
}

static int
check_trailers(const struct pb_conf_capture *capture, const char **key,
    struct pb_err *err)
{
	struct pb_stamping stamping = { .choice = PB_STAMP_CAPTURE };
	int rc = pb_stamping_init(&stamping, capture, key, err);

	if (rc == 0 && stamping.list.count > 0 && capture->snaplen != 0 &&
	    capture->snaplen < PB_SNAPLEN)
		pb_log(PB_LOG_WARN, "capture", "snaplen = %u cuts longer "
		    "frames, and with their ends their trailers, which are "
		    "then not read interface=%s; Fix: take snaplen out",
		    (unsigned)capture->snaplen, capture->interface);
	return rc;
}

static int
check_filter(const struct pb_conf_capture *capture, unsigned ms,
    struct pb_err *err)
{
	struct opening *check = new_opening(capture, err);
	struct pb_aside *aside;
	int rc;

	if (check == NULL)
		return PB_ENOMEM;
	rc = pb_aside_start(&aside, look_up, drop, check, false, err);
	if (rc < 0)
		return rc;
	if (!pb_aside_wait(aside, -1, (int)ms)) {
		pb_err_set(err, PB_EINVAL, "filter: no answer about its names "
		    "within %u ms", ms);
		rc = 1;
	} else if (check->rc < 0) {
		if (err != NULL)
			*err = check->err;
		rc = check->rc == PB_ENOENT ? 1 : check->rc;
	}
	pb_aside_leave(aside);
	return rc;
}

static struct opening *
new_opening(const struct pb_conf_capture *capture, struct pb_err *err)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	if (opening == NULL)
		pb_err_set(err, PB_ENOMEM, "interface %s: no memory",
		    capture->interface);
	else
		opening->ask.capture = *capture;
	return opening;
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
look_up(void *arg)
{
	struct opening *opening = arg;

	opening->rc = pb_pcap_filter_names(&opening->filter,
	    &opening->ask.capture, &opening->err);
}

/* What is wrong with the filter otherwise, the interface's own link type
 * says. */
static void
open_all(void *arg)
{
	struct opening *opening = arg;

	look_up(opening);
	if (opening->rc != PB_ENOENT)
		opening->rc = open_group(opening);
	if (opening->rc < 0)
		return;
	opening->handles.filter = opening->filter.filter;
	opening->filter.filter = NULL;
}

static void
drop(void *arg)
{
	struct opening *opening = arg;

	pb_handles_close(&opening->handles);
	pb_pcap_filter_finish(&opening->filter);
	free(opening);
}

static int
open_group(struct opening *opening)
{
	const char *interface = opening->ask.capture.interface;
	unsigned threads = opening->ask.capture.threads;
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
	rc = pb_fanout_join(opening->handles.at, threads, opening->ask.hold_ms,
	    &opening->err);
	if (rc == 0)
		return 0;
	pb_link_state(interface, &link);
	if (link.index != opening->handles.at[0].index || !link.up)
		rc = PB_ESYS;	/* the group is not to blame */
	pb_handles_close(&opening->handles);
	if (rc != PB_EINVAL)
		return pb_err_prefix(&opening->err, opening->err.code,
		    "interface %s", interface);
	return one_handle(opening, opening->err.text);
}

static int
open_handles(struct opening *opening, unsigned count)
{
	struct pb_handles *handles = &opening->handles;
	int rc = 0;

	while (handles->count < count && rc == 0) {
		struct pb_pcap *at = &handles->at[handles->count];

		rc = pb_pcap_open(at, &opening->ask, &opening->filter, count,
		    &opening->err);
		if (rc == 0)
			handles->count++;
		if (rc == 0 && at->index != handles->at[0].index)
			rc = pb_err_set(&opening->err, PB_ENOENT, "interface "
			    "%s: it changed while it was opened",
			    opening->ask.capture.interface);
	}
	if (rc < 0)
		pb_handles_close(handles);
	return rc;
}

static int
one_handle(struct opening *opening, const char *why)
{
	char text[PB_ERR_TEXT_MAX];	/* `why` may be err's */
	int rc;

	snprintf(text, sizeof(text), "%s", why);
	rc = open_handles(opening, 1);
	if (rc == 0)
		pb_log(PB_LOG_WARN, "capture", "one thread instead of %u, for "
		    "the kernel shares nothing out among several "
		    "interface=%s: %s; Fix: threads = 1",
		    opening->ask.capture.threads,
		    opening->ask.capture.interface, text);
	return rc;
}
