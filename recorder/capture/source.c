/*
 * recorder/capture/source.c - what captures one interface: its own thread
 *
 *   ABSENT --opened--> OPEN --gone, failed--> ABSENT
 *     ^  |              |
 *     +--+ retry        +-- taken down: stays open, packets come again
 *                           with the interface
 *
 * The thread follows the interface (attach.c) and captures with the first
 * lane (lane.c); it waits for both in one poll(2).
 */
#include "recorder/capture/source.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/source_impl.h"
#include "recorder/link/link.h"
#include "recorder/link/rule.h"

#define RING_MS_MIN		1u	/* how long a packet may be with */
#define RING_MS_MAX		25u	/* the kernel before we see it */
#define LOOK_BYTES_PER_MS	(10u << 20)	/* of a ring: at 20 Gbit/s a
					 * quarter of it fills meanwhile */
#define DROPS_LOG_MS		10000u	/* least time between two lines */
#define STOP_SUBMIT_MS		5000u	/* for a full queue at the end */

static void	set_times(struct pb_source *, uint64_t);
static int	make_lanes(struct pb_source *, struct pb_err *);
static int	make_fds(struct pb_source *, struct pb_err *);
static void	*source_main(void *);
static void	source_turn(struct pb_source *);
static void	source_end(struct pb_source *);
static void	source_free(struct pb_source *);
/* Lanes */
static void	look_at_lanes(struct pb_source *);
static bool	submit_all(struct pb_source *);
/* Telling */
static void	tell_lost(struct pb_source *);
static void	log_drops(struct pb_source *);

int
pb_source_start(struct pb_source **out, const struct pb_conf_capture *capture,
    const struct pb_conf *conf, struct pb_store *store, struct pb_err *err)
{
	struct pb_source *src;
	const char *key;
	int rc;

	assert(capture->threads >= 1 &&
	    capture->threads <= PB_CAPTURE_THREADS_MAX);
	src = calloc(1, sizeof(*src));
	if (src == NULL)
		return pb_err_set(err, PB_ENOMEM, "capture: no memory");
	src->capture = *capture;
	memcpy(src->node.name, conf->node.name, sizeof(src->node.name));
	memcpy(src->node.description, conf->node.description,
	    sizeof(src->node.description));
	src->pen = conf->node.pen;
	src->store = store;
	src->clock = "";
	src->lanes = 1;
	src->counts.start_ns = pb_clock_real_ns();
	set_times(src, conf->store.flush_interval_ms);
	pthread_mutex_init(&src->lock, NULL);
	pthread_mutex_init(&src->order, NULL);
	sem_init(&src->tried, 0, 0);
	rc = make_fds(src, err);
	if (rc == 0)
		rc = pb_stamping_init(&src->stamping, capture, &key, err);
	if (rc == 0)
		rc = make_lanes(src, err);
	if (rc == 0 && capture->forward[0] != '\0')
		rc = pb_forward_start(&src->forward, capture->interface,
		    capture->forward, pb_rule_owner(conf->node.name,
		    conf->store.path), err);
	if (rc < 0)
		goto fail;
	errno = pthread_create(&src->thread, NULL, source_main, src);
	if (errno != 0) {
		rc = pb_err_sys(err, "capture: start a thread");
		goto fail;
	}
	*out = src;
	return 0;
fail:
	source_free(src);
	return rc;
}

bool
pb_source_wait(struct pb_source *src, const struct timespec *until)
{
	int rc;

	do
		rc = sem_clockwait(&src->tried, CLOCK_MONOTONIC, until);
	while (rc < 0 && errno == EINTR);
	/* Others may ask as well. */
	if (rc == 0)
		sem_post(&src->tried);
	return rc == 0;
}

void
pb_source_tell(struct pb_source *src)
{
	uint64_t one = 1;

	/* First: what went out is captured to the last packet. */
	pb_forward_stop(src->forward);
	/* An eventfd takes 2^64 - 2 of them before it would refuse. */
	if (write(src->stop_fd, &one, sizeof(one)) != sizeof(one))
		assert(!"eventfd refused");
}

void
pb_source_stop(struct pb_source *src)
{
	if (src == NULL)
		return;
	pb_source_tell(src);
	pthread_join(src->thread, NULL);
	source_free(src);
}

void
pb_source_stats(struct pb_source *src, struct pb_source_stats *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->interface, src->capture.interface,
	    sizeof(out->interface));
	out->up = src->up;
	out->packets = pb_counted(&src->counts.packets);
	out->bytes = pb_counted(&src->counts.bytes);
	out->kernel_dropped = pb_counted(&src->counts.kernel);
	out->interface_dropped = pb_counted(&src->counts.interface);
	out->store_dropped = pb_counted(&src->counts.store);
	memcpy(out->forward, src->capture.forward, sizeof(out->forward));
	out->clock = src->clock;
	if (src->stamping.list.count > 0)
		pb_trailer_list_text(&src->stamping.list, out->trailers);
	pb_stamping_counts(&src->stamping, &out->stamping);
	if (src->forward != NULL)
		pb_forward_stats(src->forward, &out->forwarded);
	pthread_mutex_lock(&src->lock);
	memcpy(out->last_error, src->last_error, sizeof(out->last_error));
	pthread_mutex_unlock(&src->lock);
}

/*
 * What the kernel holds a packet for, and what we let gather, is part of the
 * flush interval.
 */
static void
set_times(struct pb_source *src, uint64_t flush_ms)
{
	uint64_t ring = src->capture.buffer / src->capture.threads;
	uint64_t ring_ms = flush_ms / 4;

	if (ring_ms > RING_MS_MAX)
		ring_ms = RING_MS_MAX;
	if (ring_ms < RING_MS_MIN)
		ring_ms = RING_MS_MIN;
	src->ring_ms = (unsigned)ring_ms;
	src->look_ms = src->ring_ms / 2;
	src->hold_ms = src->ring_ms - src->look_ms;
	if (src->look_ms > ring / LOOK_BYTES_PER_MS)
		src->look_ms = (unsigned)(ring / LOOK_BYTES_PER_MS);
	src->flush_ms = flush_ms > UINT32_MAX ? UINT32_MAX :
	    flush_ms > ring_ms ? (unsigned)(flush_ms - ring_ms) : 0;
}

static int
make_fds(struct pb_source *src, struct pb_err *err)
{
	src->link_fd = pb_link_watch();
	src->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	src->end_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (src->stop_fd < 0 || src->end_fd < 0)
		return pb_err_sys(err, "capture: eventfd");
	return 0;
}

static int
make_lanes(struct pb_source *src, struct pb_err *err)
{
	unsigned count = src->capture.threads;
	size_t bytes = pb_round_up(count * sizeof(*src->lane), PB_LANE_ALIGN);

	src->lane = aligned_alloc(PB_LANE_ALIGN, bytes);
	if (src->lane == NULL)
		return pb_err_set(err, PB_ENOMEM, "capture: no memory");
	memset(src->lane, 0, bytes);
	for (unsigned i = 0; i < count; i++)
		pb_lane_init(&src->lane[i], src, i);
	return 0;
}

static void *
source_main(void *arg)
{
	struct pb_source *src = arg;
	char name[16];

	snprintf(name, sizeof(name), "cap-%.11s", src->capture.interface);
	pthread_setname_np(pthread_self(), name);
	src->lane[0].now_ms = pb_clock_mono_ms();
	pb_attach_open(src);
	sem_post(&src->tried);
	while (!src->stopping)
		source_turn(src);
	source_end(src);
	return NULL;
}

static void
source_turn(struct pb_source *src)
{
	struct pb_lane *lane = &src->lane[0];
	uint64_t until_ms = lane->now_ms + PB_SOURCE_RETRY_MS;
	unsigned woke;

	if (!src->open && lane->now_ms >= src->retry_ms)
		pb_attach_open(src);
	if (!src->open && src->retry_ms < until_ms)
		until_ms = src->retry_ms;
	woke = pb_lane_wait(lane, src->stop_fd, src->link_fd, until_ms);
	if ((woke & PB_LANE_STOP) != 0)
		src->stopping = true;
	if (src->link_fd < 0 || ((woke & PB_LANE_LINK) != 0 &&
	    pb_link_changed(src->link_fd)))
		pb_attach_look(src);
	if (pb_lane_turn(lane) < 0)
		pb_attach_lost(src, lane->why);
	look_at_lanes(src);
	pb_attach_steady(src);
	src->up = src->open && src->link_up;
	log_drops(src);
}

static void
source_end(struct pb_source *src)
{
	uint64_t until = pb_clock_mono_ms() + STOP_SUBMIT_MS;
	struct pb_source_stats stats;

	if (src->open)
		pb_attach_close(src);
	while (!submit_all(src) && pb_clock_mono_ms() < until)
		poll(NULL, 0, (int)src->ring_ms);
	tell_lost(src);
	src->up = false;
	pb_source_stats(src, &stats);
	pb_log(PB_LOG_INFO, "capture", "stopped interface=%s packets=%llu "
	    "kernel_dropped=%llu interface_dropped=%llu store_dropped=%llu",
	    src->capture.interface, (unsigned long long)stats.packets,
	    (unsigned long long)stats.kernel_dropped,
	    (unsigned long long)stats.interface_dropped,
	    (unsigned long long)stats.store_dropped);
}

static void
source_free(struct pb_source *src)
{
	for (unsigned i = 0; src->lane != NULL && i < src->capture.threads;
	    i++)
		pb_blocks_finish(&src->lane[i].blocks);
	free(src->lane);
	pb_forward_destroy(src->forward);
	pb_pool_close(src->pool);
	if (src->stop_fd >= 0)
		close(src->stop_fd);
	if (src->end_fd >= 0)
		close(src->end_fd);
	if (src->link_fd >= 0)
		close(src->link_fd);
	pthread_mutex_destroy(&src->lock);
	pthread_mutex_destroy(&src->order);
	sem_destroy(&src->tried);
	free(src);
}

/* --- lanes --------------------------------------------------------------- */

/* One that failed says so and has ended; one that has ended may have left
 * chunks that the store had no room for. */
static void
look_at_lanes(struct pb_source *src)
{
	for (unsigned i = 1; i < src->capture.threads; i++) {
		struct pb_lane *lane = &src->lane[i];

		if (lane->runs && lane->failed)
			pb_attach_lost(src, lane->why);
		if (!lane->runs)
			pb_blocks_submit(&lane->blocks);
	}
}

/* Of all lanes, none of whose threads runs. */
static bool
submit_all(struct pb_source *src)
{
	bool done = true;

	for (unsigned i = 0; i < src->capture.threads; i++)
		done = pb_blocks_submit(&src->lane[i].blocks) && done;
	return done;
}

/* --- telling ------------------------------------------------------------- */

static void
tell_lost(struct pb_source *src)
{
	uint64_t untold = pb_counted(&src->counts.untold), left = 0;

	for (unsigned i = 0; i < src->capture.threads; i++)
		for (struct pb_chunk *c = src->lane[i].blocks.ready; c != NULL;
		    c = c->next)
			left += c->tally.packets;
	if (left > 0 || untold > 0)
		pb_log(PB_LOG_ERROR, "capture", "packets lost at the end "
		    "interface=%s not_taken_by_store=%llu dropped_before=%llu",
		    src->capture.interface, (unsigned long long)left,
		    (unsigned long long)untold);
}

static void
log_drops(struct pb_source *src)
{
	uint64_t kernel = pb_counted(&src->counts.kernel);
	uint64_t interface = pb_counted(&src->counts.interface);
	uint64_t store = pb_counted(&src->counts.store);
	uint64_t drops = kernel + interface + store;

	if (drops == src->drops_logged ||
	    src->lane[0].now_ms < src->drops_log_ms)
		return;
	pb_log(PB_LOG_WARN, "capture", "packets lost interface=%s new=%llu "
	    "kernel=%llu interface_dropped=%llu store=%llu",
	    src->capture.interface,
	    (unsigned long long)(drops - src->drops_logged),
	    (unsigned long long)kernel, (unsigned long long)interface,
	    (unsigned long long)store);
	src->drops_logged = drops;
	src->drops_log_ms = src->lane[0].now_ms + DROPS_LOG_MS;
}

void
pb_source_waits(struct pb_source *src, const char *text)
{
	pthread_mutex_lock(&src->lock);
	snprintf(src->last_error, sizeof(src->last_error), "%s", text);
	pthread_mutex_unlock(&src->lock);
}

/* Kept for status; a line in the log only where it is another. */
void
pb_source_error(struct pb_source *src, const char *text)
{
	pb_source_waits(src, text);
	if (text[0] == '\0' || strcmp(src->logged, text) == 0)
		return;
	snprintf(src->logged, sizeof(src->logged), "%s", text);
	pb_log(PB_LOG_WARN, "capture", "not capturing interface=%s: %s; it is "
	    "tried again until it works", src->capture.interface, text);
}
