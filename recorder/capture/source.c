/*
 * recorder/capture/source.c - one thread that captures one interface
 *
 *   ABSENT --opened--> OPEN --gone, failed--> ABSENT
 *     ^  |              |
 *     +--+ retry        +-- taken down: stays open, packets come again
 *                           with the interface
 *
 * Promise: the thread waits for one thing only, poll(2) over the
 * interface, the stop signal and the kernel's link messages; never for the
 * store, the disk or a peer.
 * Reason:  what the kernel's ring cannot hold is lost for good.
 * Limit:   PB_SOURCE_CHUNKS chunks.  With all of them waiting for the disk,
 * packets stay in the ring for PAUSE_MS, so that the configured buffer
 * outlasts a slow disk; a disk that takes longer fails, and packets are
 * read and counted as lost.
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

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/link.h"
#include "recorder/capture/source_impl.h"

#define BATCH_PACKETS_MAX	4096	/* between two looks at the clock */
#define RING_MS_MIN		1u	/* how long the kernel holds a */
#define RING_MS_MAX		25u	/* packet before we see it */
#define PAUSE_MS		1000u	/* longer, and the disk fails */
#define PAUSED_POLL_MS		5u	/* between looks for a chunk */
#define SAMPLE_MS		10u	/* least time between two counts */
#define DROPS_LOG_MS		10000u	/* least time between two lines */
#define STOP_SUBMIT_MS		5000u	/* for a full queue at the end */
#define CLOCKS_APART_NS		PB_NS_PER_S	/* then an adapter is wrong */

static void	*source_main(void *);
static void	source_turn(struct pb_source *);
static void	source_end(struct pb_source *);
static void	source_free(struct pb_source *);
/* Waiting */
static void	wait_for_work(struct pb_source *);
static int	wait_ms(const struct pb_source *);
/* Packets */
static void	read_packets(struct pb_source *);
static bool	paused(struct pb_source *);
static void	on_packet(u_char *, const struct pcap_pkthdr *,
		    const u_char *);
static uint64_t	prove_clock(struct pb_source *, uint64_t);
static void	sample(void *, struct pb_losses *);
static int	submit(void *, struct pb_chunk *, struct pb_err *);
/* Telling */
static void	publish(struct pb_source *);
static void	log_drops(struct pb_source *);

int
pb_source_check(const struct pb_conf_capture *capture, struct pb_err *err)
{
	int rc = pb_pcap_check(capture, err);

	if (rc < 0)
		return pb_err_prefix(err, "[capture %s]", capture->interface);
	return 0;
}

int
pb_source_start(struct pb_source **out, const struct pb_conf_capture *capture,
    const struct pb_conf *conf, struct pb_store *store, struct pb_err *err)
{
	struct pb_blocks_ops ops = { .submit = submit, .sample = sample };
	uint64_t flush_ms = conf->store.flush_interval_ms;
	struct pb_source *src;
	int rc;

	rc = pb_source_check(capture, err);
	if (rc < 0)
		return rc;
	src = calloc(1, sizeof(*src));
	if (src == NULL)
		return pb_err_set(err, PB_ENOMEM, "capture: no memory");
	src->capture = *capture;
	memcpy(src->node.name, conf->node.name, sizeof(src->node.name));
	memcpy(src->node.description, conf->node.description,
	    sizeof(src->node.description));
	src->store = store;
	src->ring_ms = flush_ms / 4 > RING_MS_MAX ? RING_MS_MAX :
	    flush_ms / 4 < RING_MS_MIN ? RING_MS_MIN :
	    (unsigned)(flush_ms / 4);
	/* What the kernel holds a packet for is part of the interval. */
	src->flush_ms = flush_ms > UINT32_MAX ? UINT32_MAX :
	    flush_ms > src->ring_ms ? (unsigned)flush_ms - src->ring_ms : 0;
	pthread_mutex_init(&src->lock, NULL);
	sem_init(&src->tried, 0, 0);
	ops.arg = src;
	src->link_fd = pb_link_watch();
	src->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (src->stop_fd < 0) {
		rc = pb_err_sys(err, "capture: eventfd");
		goto fail;
	}
	rc = pb_blocks_init(&src->blocks, &ops, err);
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
		rc = sem_timedwait(&src->tried, until);
	while (rc < 0 && errno == EINTR);
	/* Others may ask as well. */
	if (rc == 0)
		sem_post(&src->tried);
	return rc == 0;
}

void
pb_source_stop(struct pb_source *src)
{
	uint64_t one = 1;

	if (src == NULL)
		return;
	/* An eventfd takes 2^64 - 2 of them before it would refuse. */
	if (write(src->stop_fd, &one, sizeof(one)) != sizeof(one))
		assert(!"eventfd refused");
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
	out->packets = src->packets;
	out->bytes = src->bytes;
	out->kernel_dropped = src->kernel;
	out->interface_dropped = src->interface;
	out->store_dropped = src->lost;
	pthread_mutex_lock(&src->lock);
	memcpy(out->last_error, src->last_error, sizeof(out->last_error));
	pthread_mutex_unlock(&src->lock);
}

static void *
source_main(void *arg)
{
	struct pb_source *src = arg;
	char name[16];

	snprintf(name, sizeof(name), "cap-%.11s", src->capture.interface);
	pthread_setname_np(pthread_self(), name);
	src->now_ms = pb_clock_mono_ms();
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
	if (!src->open && src->now_ms >= src->retry_ms)
		pb_attach_open(src);
	wait_for_work(src);
	if (src->open)
		read_packets(src);
	if (src->blocks.chunk != NULL && src->now_ms >= src->flush_at_ms) {
		src->sampled_ms = 0;
		if (!pb_blocks_handover(&src->blocks, PB_HANDOVER_TIME))
			src->flush_at_ms = src->now_ms + src->ring_ms;
	}
	pb_blocks_submit(&src->blocks);
	publish(src);
}

static void
source_end(struct pb_source *src)
{
	uint64_t until = pb_clock_mono_ms() + STOP_SUBMIT_MS;
	unsigned long long left = 0;

	if (src->open)
		pb_attach_close(src);
	while (!pb_blocks_submit(&src->blocks) && pb_clock_mono_ms() < until)
		poll(NULL, 0, (int)src->ring_ms);
	for (struct pb_chunk *c = src->blocks.ready; c != NULL; c = c->next)
		left += c->packets;
	if (left > 0 || src->blocks.losses.pending > 0)
		pb_log(PB_LOG_ERROR, "capture", "packets lost at the end "
		    "interface=%s not_taken_by_store=%llu dropped_before=%llu",
		    src->capture.interface, left,
		    (unsigned long long)src->blocks.losses.pending);
	publish(src);
	pb_log(PB_LOG_INFO, "capture", "stopped interface=%s packets=%llu "
	    "kernel_dropped=%llu interface_dropped=%llu store_dropped=%llu",
	    src->capture.interface, (unsigned long long)src->packets,
	    (unsigned long long)src->kernel,
	    (unsigned long long)src->interface,
	    (unsigned long long)src->lost);
}

static void
source_free(struct pb_source *src)
{
	pb_blocks_finish(&src->blocks);
	if (src->stop_fd >= 0)
		close(src->stop_fd);
	if (src->link_fd >= 0)
		close(src->link_fd);
	pthread_mutex_destroy(&src->lock);
	sem_destroy(&src->tried);
	free(src);
}

static void
wait_for_work(struct pb_source *src)
{
	struct pollfd fds[3] = {
		{ .fd = src->stop_fd, .events = POLLIN },
		{ .fd = src->link_fd, .events = POLLIN },
		{ .fd = src->open && !src->paused ? src->pcap.fd : -1,
		    .events = POLLIN },
	};
	int ready = poll(fds, 3, wait_ms(src));

	src->now_ms = pb_clock_mono_ms();
	if (ready > 0 && fds[0].revents != 0)
		src->stopping = true;
	if (src->link_fd < 0 || (ready > 0 && fds[1].revents != 0 &&
	    pb_link_changed(src->link_fd)))
		pb_attach_look(src);
}

/* Until the next thing that time alone brings. */
static int
wait_ms(const struct pb_source *src)
{
	uint64_t at = src->now_ms + PB_SOURCE_RETRY_MS;

	if (src->busy)
		return 0;
	if (src->paused)
		at = src->now_ms + PAUSED_POLL_MS;
	if (!src->open && src->retry_ms < at)
		at = src->retry_ms;
	if (src->blocks.chunk != NULL && src->flush_at_ms < at)
		at = src->flush_at_ms;
	if (src->blocks.ready != NULL && src->now_ms + src->ring_ms < at)
		at = src->now_ms + src->ring_ms;
	return at > src->now_ms ? (int)(at - src->now_ms) : 0;
}

int
pb_source_read(struct pb_source *src)
{
	int n;

	src->busy = false;
	src->paused = paused(src);
	if (src->paused)
		return 0;
	n = pcap_dispatch(src->pcap.pcap, BATCH_PACKETS_MAX, on_packet,
	    (u_char *)src);
	/* on_packet() broke off: the rest stays in the ring. */
	if (n == PCAP_ERROR_BREAK) {
		src->paused = true;
		return 0;
	}
	src->busy = n >= BATCH_PACKETS_MAX;
	return n;
}

static void
read_packets(struct pb_source *src)
{
	if (pb_source_read(src) < 0)
		pb_attach_lost(src, pcap_geterr(src->pcap.pcap));
}

/* Is the writer behind, and not for so long that it is no use to wait? */
static bool
paused(struct pb_source *src)
{
	if (pb_blocks_ready(&src->blocks)) {
		src->pause_until_ms = 0;
		return false;
	}
	if (src->pause_until_ms == 0)
		src->pause_until_ms = src->now_ms + PAUSE_MS;
	return src->now_ms < src->pause_until_ms;
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct pb_source *src = (struct pb_source *)(void *)user;
	uint64_t fraction = (uint64_t)header->ts.tv_usec;
	struct pb_packet packet = {
		.time_ns = (uint64_t)header->ts.tv_sec * PB_NS_PER_S +
		    (src->pcap.nano ? fraction : fraction * 1000),
		.caplen = header->caplen,
		.origlen = header->len,
		.data = data,
	};

	if (src->pcap.unproven)
		packet.time_ns = prove_clock(src, packet.time_ns);
	if (src->blocks.chunk == NULL)
		src->flush_at_ms = src->now_ms + src->flush_ms;
	pb_blocks_packet(&src->blocks, &packet);
	if (src->pause_until_ms == 0 && !pb_blocks_ready(&src->blocks))
		pcap_breakloop(src->pcap.pcap);
}

/*
 * An adapter's free-running clock is better than the host's only where
 * something disciplines it; else it may stand in 1970, or run on TAI.
 * Nobody asked for it by name, so it has to agree with the host's first.
 * What was stamped before the kernel was told gets the time of reading.
 */
static uint64_t
prove_clock(struct pb_source *src, uint64_t time_ns)
{
	uint64_t host_ns = pb_clock_real_ns();
	uint64_t apart = host_ns > time_ns ? host_ns - time_ns :
	    time_ns - host_ns;

	if (apart <= CLOCKS_APART_NS) {
		src->pcap.unproven = false;
		return time_ns;
	}
	if (!src->host_clock) {
		pb_log(PB_LOG_WARN, "capture", "the adapter's clock is not "
		    "the host's, using host time stamps interface=%s "
		    "apart_ms=%llu; Fix: discipline it, or set "
		    "timestamp_type", src->capture.interface,
		    (unsigned long long)(apart / PB_NS_PER_MS));
		pb_pcap_use_host_clock(&src->pcap);
		src->host_clock = true;
	}
	return host_ns;
}

/* pcap_stats() reads files of /sys: not for every chunk of a fast stream. */
static void
sample(void *arg, struct pb_losses *losses)
{
	struct pb_source *src = arg;
	struct pcap_stat stat;

	if (src->pcap.pcap == NULL || src->now_ms - src->sampled_ms < SAMPLE_MS)
		return;
	if (pcap_stats(src->pcap.pcap, &stat) < 0)
		return;
	src->sampled_ms = src->now_ms;
	pb_losses_sample(losses, stat.ps_recv, stat.ps_drop, stat.ps_ifdrop);
}

static int
submit(void *arg, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_source *src = arg;

	return pb_store_submit(src->store, chunk, err);
}

static void
publish(struct pb_source *src)
{
	const struct pb_losses *losses = &src->blocks.losses;

	atomic_store_explicit(&src->packets, src->blocks.packets,
	    memory_order_relaxed);
	atomic_store_explicit(&src->bytes, src->blocks.bytes,
	    memory_order_relaxed);
	atomic_store_explicit(&src->kernel, losses->kernel,
	    memory_order_relaxed);
	atomic_store_explicit(&src->interface, losses->interface,
	    memory_order_relaxed);
	atomic_store_explicit(&src->lost, losses->store,
	    memory_order_relaxed);
	atomic_store_explicit(&src->up, src->open && src->link_up,
	    memory_order_relaxed);
	log_drops(src);
}

static void
log_drops(struct pb_source *src)
{
	const struct pb_losses *losses = &src->blocks.losses;
	uint64_t drops = losses->kernel + losses->interface + losses->store;

	if (drops == src->drops_logged || src->now_ms < src->drops_log_ms)
		return;
	pb_log(PB_LOG_WARN, "capture", "packets lost interface=%s new=%llu "
	    "kernel=%llu interface_dropped=%llu store=%llu",
	    src->capture.interface,
	    (unsigned long long)(drops - src->drops_logged),
	    (unsigned long long)losses->kernel,
	    (unsigned long long)losses->interface,
	    (unsigned long long)losses->store);
	src->drops_logged = drops;
	src->drops_log_ms = src->now_ms + DROPS_LOG_MS;
}

/* Kept for status; a line in the log only where it is another. */
void
pb_source_error(struct pb_source *src, const char *text)
{
	bool changed;

	pthread_mutex_lock(&src->lock);
	changed = strcmp(src->last_error, text) != 0;
	snprintf(src->last_error, sizeof(src->last_error), "%s", text);
	pthread_mutex_unlock(&src->lock);
	if (changed && text[0] != '\0')
		pb_log(PB_LOG_WARN, "capture", "not capturing interface=%s: "
		    "%s; it is tried again until it works",
		    src->capture.interface, text);
}
