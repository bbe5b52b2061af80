/*
 * recorder/transmit/outlet.c - an interface that frames are sent out of
 */
#include "recorder/transmit/outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "recorder/transmit/engine.h"
#include "recorder/transmit/port.h"

#define LINK_BYTES	14u	/* an Ethernet header */
#define TAG_BYTES	4u	/* of IEEE 802.1Q, beyond the MTU */
#define TAG_AT		12u	/* where its type stands */
#define LOOK_NS		10000000u	/* of a full queue, between two looks */
#define DRAIN_STEP_NS	50000u
#define REASON_MAX	256

struct pb_outlet {
	struct pb_port	 port;		/* as of the last look */
	const struct pb_engine_ops *ops;
	void		*state;
	struct pb_outlet_stats stats;
	uint64_t	 look_ns;	/* of a full queue: the next one */
	char		 reason[REASON_MAX];
};

static const struct pb_engine_ops *const engines[PB_ENGINES] = {
	[PB_ENGINE_SENDMMSG] = &pb_engine_sendmmsg,
	[PB_ENGINE_XDP] = &pb_engine_xdp,
	[PB_ENGINE_RING] = &pb_engine_ring,
};

static int	attach(struct pb_outlet *, enum pb_engine, struct pb_err *);
static unsigned	fitting(const struct pb_outlet *, const struct pb_frame *,
		    unsigned);
static bool	fits(const struct pb_outlet *, const struct pb_frame *);
static int	refuse(struct pb_outlet *, const struct pb_frame *,
		    struct pb_err *);
static void	count_taken(struct pb_outlet *, const struct pb_frame *,
		    unsigned, unsigned);
static int	failed(struct pb_outlet *, int, const struct pb_frame *,
		    struct pb_err *);

int
pb_engine_parse(enum pb_engine *out, const char *name, struct pb_err *err)
{
	static const char *const names[PB_ENGINES] = {
		[PB_ENGINE_AUTO] = "auto",
		[PB_ENGINE_SENDMMSG] = "sendmmsg",
		[PB_ENGINE_XDP] = "xdp",
		[PB_ENGINE_RING] = "ring",
	};

	for (unsigned i = 0; i < PB_ENGINES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum pb_engine)i;
			return 0;
		}
	}
	return pb_err_set(err, PB_EINVAL, "no engine '%s': auto, sendmmsg, "
	    "xdp or ring", name);
}

int
pb_outlet_open(struct pb_outlet **out, const char *interface,
    const struct pb_outlet_opts *opts, struct pb_err *err)
{
	static const struct pb_outlet_opts none;
	struct pb_outlet *outlet = calloc(1, sizeof(*outlet));
	int rc;

	if (outlet == NULL)
		return pb_err_set(err, PB_ENOMEM, "interface %s: no memory",
		    interface);
	if (opts == NULL)
		opts = &none;
	rc = pb_port_ask(&outlet->port, interface, err);
	if (rc == 0 && !outlet->port.ethernet)
		rc = pb_err_set(err, PB_EINVAL, "interface %s carries no "
		    "Ethernet frames", interface);
	if (rc == 0)
		rc = attach(outlet, opts->engine, err);
	if (rc < 0) {
		free(outlet);
		return rc;
	}
	*out = outlet;
	return 0;
}

void
pb_outlet_close(struct pb_outlet *outlet)
{
	if (outlet == NULL)
		return;
	outlet->ops->close(outlet->state);
	free(outlet);
}

int
pb_outlet_send(struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count, struct pb_err *err)
{
	unsigned fit = fitting(outlet, frames, count);
	int taken;

	if (fit == 0)
		return refuse(outlet, frames, err);
	taken = outlet->ops->send(outlet->state, frames, fit);
	if (taken < 0)
		return failed(outlet, -taken, frames, err);
	count_taken(outlet, frames, (unsigned)taken, fit);
	return taken;
}

int
pb_outlet_wait(struct pb_outlet *outlet, uint64_t ns_max, struct pb_err *err)
{
	int rc = outlet->ops->wait(outlet->state, ns_max);
	uint64_t now_ns;

	if (rc < 0)
		return failed(outlet, -rc, NULL, err);
	now_ns = pb_clock_mono_ns();
	if (outlet->look_ns == 0)
		outlet->look_ns = now_ns + LOOK_NS;
	if (now_ns < outlet->look_ns)
		return 0;
	outlet->look_ns = now_ns + LOOK_NS;
	return pb_outlet_look(outlet, err);
}

int
pb_outlet_drain(struct pb_outlet *outlet, uint64_t ns_max, struct pb_err *err)
{
	const struct timespec step = { .tv_nsec = DRAIN_STEP_NS };
	uint64_t start_ns = pb_clock_mono_ns(), look_ns = start_ns + LOOK_NS;
	int rc;

	for (;;) {
		uint64_t now_ns = pb_clock_mono_ns();

		rc = outlet->ops->pending(outlet->state);
		if (rc < 0)
			return failed(outlet, -rc, NULL, err);
		if (rc == 0 || now_ns - start_ns >= ns_max)
			return rc > 0;
		if (now_ns >= look_ns) {
			look_ns = now_ns + LOOK_NS;
			rc = pb_outlet_look(outlet, err);
			if (rc < 0)
				return rc;
		}
		nanosleep(&step, NULL);
	}
}

int
pb_outlet_look(struct pb_outlet *outlet, struct pb_err *err)
{
	struct pb_port now;
	int rc = pb_port_ask(&now, outlet->port.name, err);

	if (rc == PB_ENOENT || (rc == 0 && now.index != outlet->port.index))
		return pb_err_set(err, PB_ENOENT, "interface %s is gone",
		    outlet->port.name);
	if (rc < 0)
		return rc;
	outlet->port = now;
	return pb_port_ready(&now, err);
}

uint32_t
pb_outlet_bytes_max(const struct pb_outlet *outlet, bool tagged)
{
	return outlet->port.mtu + LINK_BYTES + (tagged ? TAG_BYTES : 0);
}

void
pb_outlet_stats(const struct pb_outlet *outlet, struct pb_outlet_stats *out)
{
	*out = outlet->stats;
}

const char *
pb_outlet_engine(const struct pb_outlet *outlet, const char **why)
{
	if (why != NULL)
		*why = outlet->reason;
	return outlet->ops->name;
}

static int
attach(struct pb_outlet *outlet, enum pb_engine engine, struct pb_err *err)
{
	bool asked = engine != PB_ENGINE_AUTO;
	const struct pb_engine_ask ask = { .index = outlet->port.index,
	    .bytes_max = pb_outlet_bytes_max(outlet, true), .asked = asked };
	int rc;

	outlet->ops = engines[asked ? engine : PB_ENGINE_SENDMMSG];
	strcpy(outlet->reason, asked ? "asked for" : "the least delay");
	rc = outlet->ops->open(&outlet->state, &ask, err);
	return rc < 0 ? pb_err_prefix(err, rc, "interface %s: %s",
	    outlet->port.name, outlet->ops->name) : 0;
}

/* The first frames that may be offered to an engine. */
static unsigned
fitting(const struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count)
{
	unsigned n = 0;

	while (n < count && fits(outlet, &frames[n]))
		n++;
	return n;
}

static bool
fits(const struct pb_outlet *outlet, const struct pb_frame *frame)
{
	static const uint8_t tag[2] = { 0x81, 0x00 };
	bool tagged;

	if (frame->len < PB_OUTLET_FRAME_BYTES_MIN)
		return false;
	tagged = memcmp(frame->data + TAG_AT, tag, sizeof(tag)) == 0;
	return frame->len <= pb_outlet_bytes_max(outlet, tagged);
}

static int
refuse(struct pb_outlet *outlet, const struct pb_frame *frame,
    struct pb_err *err)
{
	outlet->stats.refused++;
	if (frame->len < PB_OUTLET_FRAME_BYTES_MIN)
		return pb_err_set(err, PB_EFORMAT, "interface %s: a frame of "
		    "%u bytes is shorter than an Ethernet header",
		    outlet->port.name, frame->len);
	return pb_err_set(err, PB_EFORMAT, "interface %s: a frame of %u bytes "
	    "is longer than its MTU of %u allows", outlet->port.name,
	    frame->len, outlet->port.mtu);
}

static void
count_taken(struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned taken, unsigned offered)
{
	outlet->stats.packets += taken;
	for (unsigned i = 0; i < taken; i++)
		outlet->stats.bytes += frames[i].len;
	if (taken < offered)
		outlet->stats.full++;
	if (taken > 0)
		outlet->look_ns = 0;
}

/* What an engine's errno means; `frame` is the one it may be about. */
static int
failed(struct pb_outlet *outlet, int sys, const struct pb_frame *frame,
    struct pb_err *err)
{
	int rc = pb_outlet_look(outlet, err);

	if (rc < 0)
		return rc;
	/* It was, and is up again. */
	if (sys == ENETDOWN)
		return pb_err_set(err, PB_EBUSY, "interface %s was down",
		    outlet->port.name);
	if (sys == ENXIO || sys == ENODEV)
		return pb_err_set(err, PB_ENOENT, "interface %s is gone",
		    outlet->port.name);
	errno = sys;
	if (frame != NULL && (sys == EMSGSIZE || sys == EINVAL)) {
		if (!fits(outlet, frame))
			return refuse(outlet, frame, err);
		outlet->stats.refused++;
		pb_err_sys(err, "interface %s: a frame of %u bytes is refused",
		    outlet->port.name, frame->len);
		return PB_EFORMAT;
	}
	return pb_err_sys(err, "interface %s: %s", outlet->port.name,
	    outlet->ops->name);
}
