/*
 * recorder/transmit/engine/engine_xdp.c - frames by an AF_XDP socket
 *
 * A frame is copied into chunks of the socket's memory, a descriptor each.
 * Where the kernel copies them once more (copy mode) it does all its work
 * within our sendto(2), and a group of frames waits in the ring at most.
 * With zero copy the driver takes them by itself.
 *
 * EBUSY is a frame that was dropped on its way out, the last one that the
 * kernel took: it goes into the ring again before all others, so that the
 * order stays.  Which one that was is known where the kernel tells after
 * each call how far it came; else a group is one frame.
 */
#include "recorder/transmit/engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "recorder/transmit/engine/xsk.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD	(1 << 0)	/* the frame goes on: Linux 6.6 */
#endif
#define GROUP		64u	/* descriptors; they stay in cache */
#define CHUNKS_MAX	17u	/* of a frame: MAX_SKB_FRAGS */
#define LINE_BYTES	64u
#define WAIT_NS		50000u	/* until a full queue is asked again */

struct xdp_state {
	struct pb_xsk	 xsk;
	uint32_t	 producer;	/* of the ring: filled up to here, */
	uint32_t	 consumer;	/* and frames taken up to here */
	uint32_t	 told;		/* what the kernel said last */
	uint32_t	 free_count;	/* the one freed last comes first */
	uint16_t	 free[PB_XSK_CHUNKS];
	uint8_t		 uses[PB_XSK_CHUNKS];	/* in the ring and beyond */
};

static int	push(struct xdp_state *);
static int	kick(struct xdp_state *);
static void	reap(struct xdp_state *);
static void	follow(struct xdp_state *);
static void	again(struct xdp_state *);
static bool	goes_on(const struct xdp_state *, uint32_t);
static unsigned	fill(struct xdp_state *, const struct pb_frame *, unsigned);
static uint32_t	chunks_of(const struct pb_frame *);
static void	put(struct xdp_state *, const struct pb_frame *);
static uint32_t	place(unsigned, uint32_t);
static uint32_t	waiting(const struct xdp_state *);
static struct xdp_desc *slot(const struct xdp_state *, uint32_t);
static unsigned	chunk_of(uint64_t);

static int
xdp_open(void **out, const struct pb_engine_ask *ask, struct pb_err *err)
{
	struct xdp_state *state = calloc(1, sizeof(*state));
	int rc;

	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	/* Zero copy sets up the queue anew: not of our own accord. */
	rc = pb_xsk_open(&state->xsk, ask->index, ask->asked, err);
	if (rc == 0 && !state->xsk.large &&
	    ask->bytes_max > PB_XSK_CHUNK_BYTES) {
		rc = pb_err_set(err, PB_EINVAL, "frames over %u bytes need "
		    "Linux 6.6", PB_XSK_CHUNK_BYTES);
		pb_xsk_close(&state->xsk);
	}
	if (rc < 0) {
		free(state);
		return rc;
	}
	state->free_count = PB_XSK_CHUNKS;
	for (unsigned i = 0; i < PB_XSK_CHUNKS; i++)
		state->free[i] = (uint16_t)i;
	*out = state;
	return 0;
}

static void
xdp_close(void *arg)
{
	struct xdp_state *state = arg;

	pb_xsk_close(&state->xsk);
	free(state);
}

static int
xdp_send(void *arg, const struct pb_frame *frames, unsigned count)
{
	struct xdp_state *state = arg;
	unsigned taken = 0;
	int rc = push(state);

	if (rc < 0)
		return rc;
	/* What fails with frames in the ring is told by the next call. */
	while (taken < count && rc == 0 &&
	    (state->xsk.zero_copy || waiting(state) == 0)) {
		unsigned filled = fill(state, frames + taken, count - taken);

		if (filled == 0)
			break;
		taken += filled;
		rc = push(state);
	}
	return (int)taken;
}

static int
xdp_wait(void *arg, uint64_t ns_max)
{
	/* poll(2) sends, and does not say what was dropped. */
	struct timespec time = { .tv_nsec = WAIT_NS };
	int rc;

	if (ns_max < WAIT_NS)
		time.tv_nsec = (long)ns_max;
	nanosleep(&time, NULL);
	rc = push(arg);
	return rc;
}

static int
xdp_pending(void *arg)
{
	struct xdp_state *state = arg;
	int rc = push(state);

	if (rc < 0)
		return rc;
	return waiting(state) > 0 ? 2 : state->free_count < PB_XSK_CHUNKS;
}

static unsigned
xdp_waiting(const void *arg, uint64_t *bytes)
{
	const struct xdp_state *state = arg;
	unsigned frames = 0;

	for (uint32_t at = state->consumer; at != state->producer; at++) {
		*bytes += slot(state, at)->len;
		frames += !goes_on(state, at);
	}
	return frames;
}

/* What waits in the ring goes out as far as it can; 0 or -errno. */
static int
push(struct xdp_state *state)
{
	int rc = 0;

	if (waiting(state) > 0)
		rc = kick(state);
	/* Before its chunks are taken back. */
	if (rc == -EBUSY && !state->xsk.zero_copy)
		again(state);
	else
		follow(state);
	reap(state);
	/* EAGAIN, ENOBUFS: the socket's queue, or the interface's, is full. */
	if (rc == -EBUSY || rc == -EAGAIN || rc == -ENOBUFS || rc == -EINTR)
		rc = 0;
	return rc;
}

static int
kick(struct xdp_state *state)
{
	if (state->xsk.zero_copy && (__atomic_load_n(state->xsk.tx.flags,
	    __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) == 0)
		return 0;
	return sendto(state->xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ?
	    -errno : 0;
}

/* Take back the chunks that are done. */
static void
reap(struct xdp_state *state)
{
	const struct pb_xsk_ring *done = &state->xsk.done;
	const uint64_t *address = done->entries;
	uint32_t at = *done->consumer;
	uint32_t end = __atomic_load_n(done->producer, __ATOMIC_ACQUIRE);

	for (; at != end; at++) {
		unsigned chunk = chunk_of(address[at % PB_XSK_RING]);

		if (state->uses[chunk] > 0 && --state->uses[chunk] == 0)
			state->free[state->free_count++] = (uint16_t)chunk;
	}
	__atomic_store_n(done->consumer, at, __ATOMIC_RELEASE);
}

/* Frames that were taken only in part are not. */
static void
follow(struct xdp_state *state)
{
	uint32_t at = __atomic_load_n(state->xsk.tx.consumer,
	    __ATOMIC_ACQUIRE);

	state->told = at;
	while (at != state->consumer && goes_on(state, at - 1))
		at--;
	if ((int32_t)(at - state->consumer) > 0)
		state->consumer = at;
}

/*
 * The frame that was taken last is sent before what still waits.  The kernel
 * tells how far it came only if it has sent one before it.
 */
static void
again(struct xdp_state *state)
{
	uint32_t end = __atomic_load_n(state->xsk.tx.consumer,
	    __ATOMIC_ACQUIRE), first = state->consumer, n;

	if (end != state->told) {
		state->told = end;
		for (first = end - 1; first != state->consumer &&
		    goes_on(state, first - 1); )
			first--;
	} else {
		for (end = first + 1; end != state->producer &&
		    goes_on(state, end - 1); )
			end++;
	}
	n = end - first;
	if (n > CHUNKS_MAX)
		return;
	/* What waits moves up by as much; before it, once more, the frame. */
	for (uint32_t at = state->producer; at != end; at--)
		*slot(state, at - 1 + n) = *slot(state, at - 1);
	for (uint32_t at = first; at != end; at++) {
		*slot(state, at + n) = *slot(state, at);
		state->uses[chunk_of(slot(state, at)->addr)]++;
	}
	state->consumer = end;
	state->producer += n;
	__atomic_store_n(state->xsk.tx.producer, state->producer,
	    __ATOMIC_RELEASE);
}

/* The frame that this descriptor is of has another one. */
static bool
goes_on(const struct xdp_state *state, uint32_t at)
{
	return (slot(state, at)->options & XDP_PKT_CONTD) != 0;
}

/* A group into the ring; how many frames. */
static unsigned
fill(struct xdp_state *state, const struct pb_frame *frames, unsigned count)
{
	uint32_t end = state->consumer + (state->xsk.zero_copy ?
	    PB_XSK_CHUNKS : GROUP);
	unsigned taken = 0;

	if (!state->xsk.zero_copy && !state->xsk.tells)
		count = 1;
	while (taken < count) {
		uint32_t need = chunks_of(&frames[taken]);

		if (need > end - state->producer || need > state->free_count ||
		    need > CHUNKS_MAX)
			break;
		put(state, &frames[taken++]);
	}
	__atomic_store_n(state->xsk.tx.producer, state->producer,
	    __ATOMIC_RELEASE);
	return taken;
}

static uint32_t
chunks_of(const struct pb_frame *frame)
{
	return (frame->len + PB_XSK_CHUNK_BYTES - 1) / PB_XSK_CHUNK_BYTES;
}

static void
put(struct xdp_state *state, const struct pb_frame *frame)
{
	for (uint32_t at = 0; at < frame->len; ) {
		unsigned chunk = state->free[--state->free_count];
		uint32_t len = frame->len - at;
		bool more = len > PB_XSK_CHUNK_BYTES;
		uint64_t address;

		if (more)
			len = PB_XSK_CHUNK_BYTES;
		address = (uint64_t)chunk * PB_XSK_CHUNK_BYTES +
		    place(chunk, PB_XSK_CHUNK_BYTES - len);
		memcpy(state->xsk.memory + address, frame->data + at, len);
		state->uses[chunk]++;
		*slot(state, state->producer++) = (struct xdp_desc){
		    .addr = address, .len = len,
		    .options = more ? XDP_PKT_CONTD : 0 };
		at += len;
	}
}

/* Where in its chunk a frame begins: at another line of the cache than in
 * the next chunk, or they would push each other out of it. */
static uint32_t
place(unsigned chunk, uint32_t room)
{
	uint32_t at = chunk * LINE_BYTES % PB_XSK_CHUNK_BYTES;

	return at <= room ? at : room / LINE_BYTES == 0 ? 0 :
	    chunk % (room / LINE_BYTES) * LINE_BYTES;
}

/* Descriptors of frames that are not taken yet. */
static uint32_t
waiting(const struct xdp_state *state)
{
	return state->producer - state->consumer;
}

static struct xdp_desc *
slot(const struct xdp_state *state, uint32_t at)
{
	return (struct xdp_desc *)state->xsk.tx.entries + at % PB_XSK_RING;
}

static unsigned
chunk_of(uint64_t address)
{
	return (unsigned)(address / PB_XSK_CHUNK_BYTES % PB_XSK_CHUNKS);
}

const struct pb_engine_ops pb_engine_xdp = {
	.name = "xdp",
	.open = xdp_open,
	.close = xdp_close,
	.send = xdp_send,
	.wait = xdp_wait,
	.pending = xdp_pending,
	.waiting = xdp_waiting,
};
