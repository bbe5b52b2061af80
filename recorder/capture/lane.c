/*
 * recorder/capture/lane.c - one thread's share of an interface
 *
 * Promise: the thread waits for one thing only, poll(2) over its ring and
 * what tells it to stop; never for the store, the disk or a peer.  The one
 * lock it takes a chunk (`order`) is held by nobody who waits.
 * Reason:  what the kernel's ring cannot hold is lost for good.
 * Limit:   the chunks of the pool.  With all of them waiting for the disk,
 * packets stay in the ring for PAUSE_MS, so that the configured buffer
 * outlasts a slow disk; a disk that takes longer fails, and packets are
 * read and counted as lost.
 *
 * Several lanes make one stream.  A chunk gets its numbers when it is
 * submitted, under `order`, so the stream's order is that of handing over:
 * between lanes time runs back by as much as a chunk covers.  That is at
 * most flush_interval, and when there is much to do less: who is overtaken
 * by OVERTAKEN_BYTES of others hands over as well.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/source_impl.h"

#define BATCH_PACKETS_MAX	4096	/* between two looks at the clock */
/* Of libpcap's ring: most of a block of 256 KiB. */
#define BUSY_BYTES		(192u << 10)
#define PAUSE_MS		1000u	/* longer, and the disk fails */
#define PAUSED_POLL_MS		5u	/* between looks for a chunk */
#define SAMPLE_MS		10u	/* least time between two counts */
#define IDLE_MS			1000u	/* between turns without a reason */
#define OVERTAKEN_BYTES		(8 << 20)
/* A tick of the slowest kernel's clock (HZ=100), which rounds up. */
#define TICK_MS			10u
#define DRAIN_MS_MAX		3000u	/* over PAUSE_MS: then all is read, if
					 * lost */

static void	*lane_main(void *);
static void	wait_for_end(const struct pb_lane *);
static int	wait_ms(const struct pb_lane *, uint64_t);
/* Packets */
static int	read_batch(struct pb_lane *);
static void	let_gather(struct pb_lane *);
static bool	paused(struct pb_lane *);
/* Chunks */
static bool	is_due(const struct pb_lane *);
static uint64_t	begin(void *, struct pb_chunk *);
static int	submit(void *, struct pb_chunk *, struct pb_err *);
static void	sample(void *);

void
pb_lane_init(struct pb_lane *lane, struct pb_source *src, unsigned index)
{
	struct pb_blocks_ops ops = { .begin = begin, .submit = submit,
	    .sample = sample, .arg = lane };

	lane->source = src;
	lane->index = index;
	pb_blocks_init(&lane->blocks, &ops, &src->counts);
	if (src->stamping.list.count > 0)
		pb_blocks_stamps(&lane->blocks, src->pen);
}

void
pb_lane_open(struct pb_lane *lane, const struct pb_pcap *opened,
    unsigned handles)
{
	struct pb_losses now;

	lane->pcap = *opened;
	lane->handles = handles;
	lane->host_clock = false;
	lane->failed = false;
	memset(&lane->seen, 0, sizeof(lane->seen));
	if ((handles > 1 || !opened->ring) && pb_pcap_count(lane, &now)) {
		lane->seen.received = now.received;
		lane->seen.kernel = now.kernel;
	}
}

void
pb_lane_close(struct pb_lane *lane)
{
	pb_pcap_close(&lane->pcap);
	lane->busy = false;
	lane->paused = false;
	lane->look_at_ms = 0;
}

int
pb_lane_start(struct pb_lane *lane, struct pb_err *err)
{
	char name[16];

	errno = pthread_create(&lane->thread, NULL, lane_main, lane);
	if (errno != 0)
		return pb_err_sys(err, "capture: start a thread");
	lane->runs = true;
	snprintf(name, sizeof(name), "cap%u-%.9s", lane->index,
	    lane->source->capture.interface);
	pthread_setname_np(lane->thread, name);
	return 0;
}

void
pb_lane_join(struct pb_lane *lane)
{
	if (lane->runs)
		pthread_join(lane->thread, NULL);
	lane->runs = false;
}

unsigned
pb_lane_wait(struct pb_lane *lane, int stop_fd, int link_fd,
    uint64_t until_ms)
{
	bool reads = lane->pcap.pcap != NULL && !lane->paused &&
	    lane->look_at_ms == 0;
	struct pollfd fds[3] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = link_fd, .events = POLLIN },
		{ .fd = reads ? lane->pcap.fd : -1, .events = POLLIN },
	};
	int ready = poll(fds, 3, wait_ms(lane, until_ms));

	lane->now_ms = pb_clock_mono_ms();
	if (ready <= 0)
		return 0;
	return (fds[0].revents != 0 ? PB_LANE_STOP : 0) |
	    (fds[1].revents != 0 ? PB_LANE_LINK : 0);
}

int
pb_lane_turn(struct pb_lane *lane)
{
	int n = lane->pcap.pcap != NULL ? read_batch(lane) : 0;

	pb_stamping_turn(&lane->source->stamping, &lane->stamping,
	    lane->source->capture.interface, lane->now_ms);
	if (lane->index == 0 && lane->blocks.chunk == NULL &&
	    lane->now_ms - lane->sampled_ms >= IDLE_MS)
		sample(lane);
	if (lane->blocks.chunk != NULL && is_due(lane)) {
		lane->sampled_ms = 0;
		if (!pb_blocks_handover(&lane->blocks, PB_HANDOVER_TIME)) {
			lane->flush_at_ms = lane->now_ms +
			    lane->source->ring_ms;
			lane->begun_bytes = pb_counted(
			    &lane->source->counts.bytes);
		}
	}
	pb_blocks_submit(&lane->blocks);
	return n;
}

/*
 * The kernel gives out a part of the ring when it is full, or when hold_ms
 * have passed twice since its first packet: it looks that often, and wants
 * to have seen it before.  Where the ring is behind or the store is, it
 * takes as long as it takes, up to DRAIN_MS_MAX.  Errors of an interface
 * that is gone stand before its packets: they are passed over.
 */
void
pb_lane_drain(struct pb_lane *lane)
{
	uint64_t begun_ms = pb_clock_mono_ms();
	uint64_t quiet_ms = begun_ms + 2 * (lane->pcap.hold_ms + TICK_MS);

	do {
		struct pollfd fd = { .fd = lane->paused ? -1 : lane->pcap.fd,
		    .events = POLLIN };

		poll(&fd, 1, (int)lane->source->hold_ms);
		lane->now_ms = pb_clock_mono_ms();
		(void)read_batch(lane);
		pb_blocks_submit(&lane->blocks);
	} while (lane->now_ms < quiet_ms || ((lane->busy || lane->paused) &&
	    lane->now_ms < begun_ms + DRAIN_MS_MAX));
}

void
pb_lane_clock(struct pb_lane *lane)
{
	struct pb_source *src = lane->source;
	struct pb_head *head;
	struct pb_err err;
	int rc = pb_source_describe(src, lane->pcap.timestamps,
	    lane->blocks.head->identity.epoch, &head, &err);

	src->clock = lane->pcap.timestamps;
	if (rc == 0)
		pb_blocks_head(&lane->blocks, head);
	else
		pb_log(PB_LOG_ERROR, "capture", "the stream goes on saying "
		    "that another clock stamps interface=%s: %s",
		    src->capture.interface, err.text);
}

void
pb_lane_end(struct pb_lane *lane)
{
	pb_stamping_end(&lane->source->stamping, &lane->stamping,
	    lane->source->capture.interface);
	lane->sampled_ms = 0;
	pb_blocks_handover(&lane->blocks, PB_HANDOVER_END);
}

/*
 * A further lane, while the interface is open.  Where reading fails it waits
 * for its end all the same: until the source sees that and closes it, the
 * kernel goes on giving it its share.
 */
static void *
lane_main(void *arg)
{
	struct pb_lane *lane = arg;

	lane->now_ms = pb_clock_mono_ms();
	while (pb_lane_wait(lane, lane->source->end_fd, -1,
	    lane->now_ms + IDLE_MS) != PB_LANE_STOP) {
		if (pb_lane_turn(lane) >= 0)
			continue;
		lane->failed = true;
		wait_for_end(lane);
		break;
	}
	pb_lane_drain(lane);
	pb_lane_end(lane);
	return NULL;
}

static void
wait_for_end(const struct pb_lane *lane)
{
	struct pollfd end = { .fd = lane->source->end_fd, .events = POLLIN };

	while (poll(&end, 1, -1) <= 0)
		;
}

/* Until the next thing that time alone brings. */
static int
wait_ms(const struct pb_lane *lane, uint64_t until_ms)
{
	uint64_t at = until_ms, soon = lane->now_ms + lane->source->ring_ms;
	bool fills = lane->blocks.chunk != NULL;
	bool looks = lane->pcap.pcap != NULL && lane->pcap.fd < 0;

	if (lane->busy)
		return 0;
	if (looks && lane->now_ms + lane->pcap.look_ms < at)
		at = lane->now_ms + lane->pcap.look_ms;
	if (lane->paused && lane->now_ms + PAUSED_POLL_MS < at)
		at = lane->now_ms + PAUSED_POLL_MS;
	if (lane->look_at_ms != 0 && lane->look_at_ms < at)
		at = lane->look_at_ms;
	if (fills && lane->flush_at_ms < at)
		at = lane->flush_at_ms;
	/* A chunk that the store has no room for; one that others overtake. */
	if ((lane->blocks.ready != NULL || (fills &&
	    lane->handles > 1)) && soon < at)
		at = soon;
	return at > lane->now_ms ? (int)(at - lane->now_ms) : 0;
}

/* --- packets ------------------------------------------------------------- */

/* One batch, or none while no chunk is free: the number of packets, negative
 * where that failed.  Sets `busy`, `paused` and `look_at_ms`. */
static int
read_batch(struct pb_lane *lane)
{
	int n;

	lane->busy = false;
	lane->look_at_ms = 0;
	lane->paused = paused(lane);
	if (lane->paused)
		return 0;
	n = pb_pcap_read(lane, BATCH_PACKETS_MAX);
	/* Where it broke off the rest stays in the ring. */
	if (lane->paused || n < 0)
		return n;
	lane->busy = n >= BATCH_PACKETS_MAX || (lane->pcap.waits && n > 0);
	lane->looked_packets += (unsigned)n;
	if (!lane->busy && lane->pcap.ring)
		let_gather(lane);
	return n;
}

/*
 * The ring is empty.  Where blocks of it come faster than we like to wake,
 * the next look is look_ms from here, and brings many of them.  Not after a
 * look that brought a large part of a ring.
 */
static void
let_gather(struct pb_lane *lane)
{
	const struct pb_source *src = lane->source;
	uint64_t kept = pb_blocks_bytes(&lane->blocks);
	uint64_t bytes = kept - lane->looked_bytes +
	    lane->looked_packets * PB_LANE_FRAME_BYTES;

	lane->looked_bytes = kept;
	lane->looked_packets = 0;
	if (src->look_ms > 0 && bytes >= BUSY_BYTES &&
	    bytes < src->capture.buffer / lane->handles / 4)
		lane->look_at_ms = lane->now_ms + src->look_ms;
}

/* Is the writer behind, and not for so long that it is no use to wait? */
static bool
paused(struct pb_lane *lane)
{
	if (pb_blocks_ready(&lane->blocks)) {
		lane->pause_until_ms = 0;
		return false;
	}
	if (lane->pause_until_ms == 0)
		lane->pause_until_ms = lane->now_ms + PAUSE_MS;
	return lane->now_ms < lane->pause_until_ms;
}

/* --- chunks -------------------------------------------------------------- */

/* Its time has come, or much of what others saw later is ahead of it.  What
 * the store refuses is taken off the count, which may go back. */
static bool
is_due(const struct pb_lane *lane)
{
	int64_t ahead = (int64_t)(pb_counted(&lane->source->counts.bytes) -
	    lane->begun_bytes);

	return lane->now_ms >= lane->flush_at_ms || ahead >= OVERTAKEN_BYTES;
}

static uint64_t
begin(void *arg, struct pb_chunk *chunk)
{
	struct pb_lane *lane = arg;

	lane->flush_at_ms = lane->now_ms + lane->source->flush_ms;
	lane->begun_bytes = pb_counted(&lane->source->counts.bytes);
	chunk->due_ms = lane->flush_at_ms;
	return pb_stream_next(chunk->stream);
}

/* Nobody else gives numbers in between. */
static int
submit(void *arg, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_source *src = ((struct pb_lane *)arg)->source;
	int rc;

	pthread_mutex_lock(&src->order);
	pb_blocks_number(chunk, pb_stream_next(chunk->stream));
	rc = pb_store_submit(src->store, chunk, err);
	pthread_mutex_unlock(&src->order);
	return rc;
}

/* pcap_stats() reads files of /sys: not for every chunk of a fast stream. */
static void
sample(void *arg)
{
	struct pb_lane *lane = arg;
	struct pb_losses now;

	if (lane->pcap.pcap == NULL ||
	    lane->now_ms - lane->sampled_ms < SAMPLE_MS ||
	    !pb_pcap_count(lane, &now))
		return;
	lane->sampled_ms = lane->now_ms;
	if (lane->pcap.counts_anew)
		lane->seen.kernel = 0;
	pb_losses_sample(&lane->seen, &lane->source->counts, &now);
}
