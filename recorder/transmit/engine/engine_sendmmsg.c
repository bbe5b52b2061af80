/*
 * recorder/transmit/engine/engine_sendmmsg.c - frames by sendmmsg(2)
 *
 * EAGAIN is the socket's own queue, ENOBUFS the interface's: a frame that
 * comes back with it was dropped, and is offered again by the caller.
 */
#include "recorder/transmit/engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "recorder/transmit/engine/packet.h"

struct sendmmsg_state {
	int		 fd;
	bool		 refused;	/* by the interface, last time */
	struct iovec	 part[PB_ENGINE_BATCH_MAX];
	struct mmsghdr	 message[PB_ENGINE_BATCH_MAX];
};

static int
sendmmsg_open(void **out, const struct pb_engine_ask *ask,
    struct pb_err *err)
{
	struct sendmmsg_state *state = calloc(1, sizeof(*state));
	int rc;

	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	for (unsigned i = 0; i < PB_ENGINE_BATCH_MAX; i++) {
		state->message[i].msg_hdr.msg_iov = &state->part[i];
		state->message[i].msg_hdr.msg_iovlen = 1;
	}
	rc = pb_packet_open(&state->fd, err);
	if (rc == 0) {
		rc = pb_packet_bind(state->fd, ask->index, err);
		if (rc < 0)
			close(state->fd);
	}
	if (rc < 0) {
		free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static void
sendmmsg_close(void *arg)
{
	struct sendmmsg_state *state = arg;

	close(state->fd);
	free(state);
}

static int
sendmmsg_send(void *arg, const struct pb_frame *frames, unsigned count)
{
	struct sendmmsg_state *state = arg;
	int sent;

	if (count > PB_ENGINE_BATCH_MAX)
		count = PB_ENGINE_BATCH_MAX;
	for (unsigned i = 0; i < count; i++) {
		state->part[i].iov_base = (void *)(uintptr_t)frames[i].data;
		state->part[i].iov_len = frames[i].len;
	}
	state->refused = false;
	sent = sendmmsg(state->fd, state->message, count, MSG_DONTWAIT);
	if (sent >= 0)
		return sent;
	state->refused = errno == ENOBUFS;
	return errno == ENOBUFS || errno == EAGAIN || errno == EINTR ? 0 :
	    -errno;
}

static int
sendmmsg_wait(void *arg, uint64_t ns_max)
{
	struct sendmmsg_state *state = arg;

	return pb_packet_wait(state->fd, state->refused, ns_max);
}

static int
sendmmsg_pending(void *arg)
{
	struct sendmmsg_state *state = arg;

	return pb_packet_pending(state->fd);
}

const struct pb_engine_ops pb_engine_sendmmsg = {
	.name = "sendmmsg",
	.open = sendmmsg_open,
	.close = sendmmsg_close,
	.send = sendmmsg_send,
	.wait = sendmmsg_wait,
	.pending = sendmmsg_pending,
};
