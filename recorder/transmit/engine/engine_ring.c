/*
 * recorder/transmit/engine/engine_ring.c - frames by PACKET_TX_RING
 *
 * A slot of the ring is a header of TPACKET_V2 and the frame behind it
 * (Documentation/networking/packet_mmap.rst of Linux).  Slots that were
 * filled and that the kernel did not take within the call are taken back:
 * nothing waits here, and an error is about the first of them.
 */
#include "recorder/transmit/engine/engine.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "recorder/transmit/engine/packet.h"

#define SLOTS		512u
#define BLOCK_BYTES	(128u << 10)	/* a slot of the longest frame */
/* TPACKET_ALIGN() of what is unsigned. */
#define ALIGNED(bytes)	(((uint32_t)(bytes) + TPACKET_ALIGNMENT - 1u) & \
			 ~(TPACKET_ALIGNMENT - 1u))
#define DATA_AT		ALIGNED(sizeof(struct tpacket2_hdr))

struct ring_state {
	int		 fd;
	bool		 refused;	/* by the interface, last time */
	uint8_t		*map;
	size_t		 map_bytes;
	struct tpacket_req shape;
	unsigned	 slots_per_block;
	unsigned	 next;		/* slot that the kernel takes next */
};

static int	make_ring(struct ring_state *, uint32_t, struct pb_err *);
static struct tpacket2_hdr *slot(const struct ring_state *, unsigned);
static unsigned	fill(struct ring_state *, const struct pb_frame *, unsigned);
static unsigned	settle(struct ring_state *, unsigned);

static int
ring_open(void **out, const struct pb_engine_ask *ask, struct pb_err *err)
{
	struct ring_state *state = calloc(1, sizeof(*state));
	int rc;

	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_packet_open(&state->fd, err);
	if (rc == 0) {
		rc = make_ring(state, ask->bytes_max, err);
		if (rc == 0)
			rc = pb_packet_bind(state->fd, ask->index, err);
		if (rc < 0)
			close(state->fd);
	}
	if (rc < 0) {
		if (state->map != NULL)
			munmap(state->map, state->map_bytes);
		free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static void
ring_close(void *arg)
{
	struct ring_state *state = arg;

	munmap(state->map, state->map_bytes);
	close(state->fd);
	free(state);
}

static int
ring_send(void *arg, const struct pb_frame *frames, unsigned count)
{
	struct ring_state *state = arg;
	unsigned filled, taken;
	int sys;

	filled = fill(state, frames, count);
	state->refused = false;
	if (filled == 0)
		return frames[0].len > state->shape.tp_frame_size - DATA_AT ?
		    -EMSGSIZE : 0;
	sys = send(state->fd, NULL, 0, MSG_DONTWAIT) < 0 ? errno : 0;
	taken = settle(state, filled);
	if (taken > 0 || sys == 0 || sys == EAGAIN || sys == EINTR)
		return (int)taken;
	state->refused = sys == ENOBUFS;
	return state->refused ? 0 : -sys;
}

static int
ring_wait(void *arg, uint64_t ns_max)
{
	struct ring_state *state = arg;

	return pb_packet_wait(state->fd, state->refused, ns_max);
}

static int
ring_pending(void *arg)
{
	struct ring_state *state = arg;

	return pb_packet_pending(state->fd);
}

static int
make_ring(struct ring_state *state, uint32_t bytes_max, struct pb_err *err)
{
	int version = TPACKET_V2;
	uint32_t slot_bytes = ALIGNED(DATA_AT + bytes_max);

	if (slot_bytes > BLOCK_BYTES)
		return pb_err_set(err, PB_EINVAL, "frames of %u bytes are too "
		    "long for its slots", bytes_max);
	state->slots_per_block = BLOCK_BYTES / slot_bytes;
	state->shape.tp_block_size = BLOCK_BYTES;
	state->shape.tp_frame_size = slot_bytes;
	state->shape.tp_block_nr = (SLOTS + state->slots_per_block - 1) /
	    state->slots_per_block;
	state->shape.tp_frame_nr = state->shape.tp_block_nr *
	    state->slots_per_block;
	if (setsockopt(state->fd, SOL_PACKET, PACKET_VERSION, &version,
	    sizeof(version)) < 0 ||
	    setsockopt(state->fd, SOL_PACKET, PACKET_TX_RING, &state->shape,
	    sizeof(state->shape)) < 0) {
		pb_err_sys(err, "PACKET_TX_RING");
		return PB_EINVAL;
	}
	state->map_bytes = (size_t)BLOCK_BYTES * state->shape.tp_block_nr;
	state->map = mmap(NULL, state->map_bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_POPULATE, state->fd, 0);
	if (state->map != MAP_FAILED)
		return 0;
	state->map = NULL;
	return pb_err_sys(err, "map the ring");
}

static struct tpacket2_hdr *
slot(const struct ring_state *state, unsigned at)
{
	at %= state->shape.tp_frame_nr;
	return (struct tpacket2_hdr *)(void *)(state->map +
	    (size_t)(at / state->slots_per_block) * BLOCK_BYTES +
	    (size_t)(at % state->slots_per_block) *
	    state->shape.tp_frame_size);
}

/* As many as find a free slot. */
static unsigned
fill(struct ring_state *state, const struct pb_frame *frames, unsigned count)
{
	unsigned n = 0;

	if (count > PB_ENGINE_BATCH_MAX)
		count = PB_ENGINE_BATCH_MAX;
	for (; n < count; n++) {
		struct tpacket2_hdr *header = slot(state, state->next + n);

		if (frames[n].len > state->shape.tp_frame_size - DATA_AT ||
		    __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) !=
		    TP_STATUS_AVAILABLE)
			break;
		memcpy((uint8_t *)header + DATA_AT, frames[n].data,
		    frames[n].len);
		header->tp_len = frames[n].len;
		__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST,
		    __ATOMIC_RELEASE);
	}
	return n;
}

/* Of what was filled, the first ones were taken: how many.  The kernel
 * stops at one that it refuses. */
static unsigned
settle(struct ring_state *state, unsigned filled)
{
	unsigned taken = 0;

	while (taken < filled) {
		uint32_t status = __atomic_load_n(&slot(state, state->next +
		    taken)->tp_status, __ATOMIC_ACQUIRE);

		if (status == TP_STATUS_SEND_REQUEST ||
		    status == TP_STATUS_WRONG_FORMAT)
			break;
		taken++;
	}
	for (unsigned i = taken; i < filled; i++)
		__atomic_store_n(&slot(state, state->next + i)->tp_status,
		    TP_STATUS_AVAILABLE, __ATOMIC_RELEASE);
	state->next = (state->next + taken) % state->shape.tp_frame_nr;
	return taken;
}

const struct pb_engine_ops pb_engine_ring = {
	.name = "ring",
	.open = ring_open,
	.close = ring_close,
	.send = ring_send,
	.wait = ring_wait,
	.pending = ring_pending,
};
