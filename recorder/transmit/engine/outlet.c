/*
 * recorder/transmit/engine/outlet.c - an interface that frames are sent out of
 */
#include "recorder/transmit/engine/outlet.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "recorder/transmit/engine/calibrate.h"
#include "recorder/transmit/engine/engine.h"
#include "recorder/transmit/engine/port.h"

#define LINK_BYTES	14u	/* an Ethernet header */
#define TAG_BYTES	4u	/* of IEEE 802.1Q, beyond the MTU */
#define TAG_AT		12u	/* where its type stands */
#define AHEAD		8u	/* frames, whose start is fetched before */
#define LOOK_NS		10000000u	/* of a full queue, between two looks */
#define DRAIN_STEP_NS	50000u
#define TURN_DRAIN_NS	20000000u	/* an interface may let go late */
#define REASON_MAX	256

struct pb_outlet {
	struct pb_port	 port;		/* as of the last look */
	const struct pb_engine_ops *ops;	/* the one in use */
	void		*state;
	void		*states[PB_ENGINES];	/* of all that are open */
	struct pb_outlet_stats stats;
	bool		 full;		/* the last time */
	uint64_t	 look_ns;	/* of a full queue: the next one */
	bool		 calibrates;
	struct pb_calibration calibration;
	uint64_t	 drain_ns;	/* since when a turn's frames leave */
	char		 missing[REASON_MAX];	/* engines, and why */
	char		 reason[REASON_MAX];
};

static const struct pb_engine_ops *const engines[PB_ENGINES] = {
	[PB_ENGINE_SENDMMSG] = &pb_engine_sendmmsg,
	[PB_ENGINE_XDP] = &pb_engine_xdp,
	[PB_ENGINE_RING] = &pb_engine_ring,
};

static int	attach(struct pb_outlet *, const struct pb_outlet_opts *,
		    struct pb_err *);
static int	attach_one(struct pb_outlet *, enum pb_engine, bool,
		    struct pb_err *);
static void	attach_more(struct pb_outlet *);
static void	detach(struct pb_outlet *, enum pb_engine);
static void	use(struct pb_outlet *, enum pb_engine);
static int	calibrated_send(struct pb_outlet *, const struct pb_frame *,
		    unsigned);
static bool	turn_drained(struct pb_outlet *);
static void	calibration_ends(struct pb_outlet *);
static bool	of_engine(int);
static void	sleep_ns(uint64_t);
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
		rc = attach(outlet, opts, err);
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
	for (unsigned i = 0; i < PB_ENGINES; i++)
		detach(outlet, (enum pb_engine)i);
	free(outlet);
}

int
pb_outlet_send(struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count, struct pb_err *err)
{
	unsigned fit;
	int taken;

	assert(count > 0);
	fit = fitting(outlet, frames, count);
	if (fit == 0)
		return refuse(outlet, frames, err);
	taken = outlet->calibrates ? calibrated_send(outlet, frames, fit) :
	    outlet->ops->send(outlet->state, frames, fit);
	if (taken < 0)
		return failed(outlet, -taken, frames, err);
	count_taken(outlet, frames, (unsigned)taken, fit);
	return taken;
}

int
pb_outlet_wait(struct pb_outlet *outlet, uint64_t ns_max, struct pb_err *err)
{
	uint64_t start_ns = pb_clock_mono_ns(), now_ns;
	int rc = 0;

	/* Of frames that leave no descriptor tells. */
	if (outlet->drain_ns != 0)
		sleep_ns(ns_max < DRAIN_STEP_NS ? ns_max : DRAIN_STEP_NS);
	else
		rc = outlet->ops->wait(outlet->state, ns_max);
	if (rc < 0)
		return failed(outlet, -rc, NULL, err);
	now_ns = pb_clock_mono_ns();
	if (outlet->calibrates && outlet->drain_ns == 0)
		pb_calibration_sent(&outlet->calibration, 0, 0, now_ns -
		    start_ns);
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
		sleep_ns(DRAIN_STEP_NS);
	}
}

unsigned
pb_outlet_waiting(const struct pb_outlet *outlet, uint64_t *bytes)
{
	*bytes = 0;
	return outlet->ops->waiting == NULL ? 0 :
	    outlet->ops->waiting(outlet->state, bytes);
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
attach(struct pb_outlet *outlet, const struct pb_outlet_opts *opts,
    struct pb_err *err)
{
	bool asked = opts->engine != PB_ENGINE_AUTO;
	enum pb_engine engine = asked ? opts->engine : PB_ENGINE_SENDMMSG;
	int rc = attach_one(outlet, engine, asked, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "interface %s: %s",
		    outlet->port.name, engines[engine]->name);
	use(outlet, engine);
	strcpy(outlet->reason, asked ? "asked for" : "the least delay");
	if (!asked && opts->bulk)
		attach_more(outlet);
	return 0;
}

static int
attach_one(struct pb_outlet *outlet, enum pb_engine engine, bool asked,
    struct pb_err *err)
{
	const struct pb_engine_ask ask = { .index = outlet->port.index,
	    .bytes_max = pb_outlet_bytes_max(outlet, true), .asked = asked };

	return engines[engine]->open(&outlet->states[engine], &ask, err);
}

/* All that open are compared. */
static void
attach_more(struct pb_outlet *outlet)
{
	pb_calibration_init(&outlet->calibration);
	pb_calibration_add(&outlet->calibration, PB_ENGINE_SENDMMSG,
	    outlet->ops->name);
	for (unsigned i = PB_ENGINE_SENDMMSG + 1; i < PB_ENGINES; i++) {
		size_t used = strlen(outlet->missing);
		struct pb_err err;

		if (attach_one(outlet, (enum pb_engine)i, false, &err) == 0)
			pb_calibration_add(&outlet->calibration,
			    (enum pb_engine)i, engines[i]->name);
		else
			snprintf(outlet->missing + used,
			    sizeof(outlet->missing) - used, "; %s: %s",
			    engines[i]->name, err.text);
	}
	outlet->calibrates = true;
	/* Until more was. */
	strcpy(outlet->reason, "too little was sent to compare engines");
}

static void
detach(struct pb_outlet *outlet, enum pb_engine engine)
{
	if (outlet->states[engine] != NULL)
		engines[engine]->close(outlet->states[engine]);
	outlet->states[engine] = NULL;
}

static void
use(struct pb_outlet *outlet, enum pb_engine engine)
{
	outlet->ops = engines[engine];
	outlet->state = outlet->states[engine];
}

/* Which engine's turn is over has sent its frames before the next one's. */
static int
calibrated_send(struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count)
{
	uint64_t start_ns, bytes = 0;
	int taken;

	if (outlet->drain_ns != 0 && !turn_drained(outlet))
		return 0;
	start_ns = pb_clock_mono_ns();
	taken = outlet->ops->send(outlet->state, frames, count);
	if (taken < 0 && of_engine(-taken) &&
	    outlet->calibration.count > 1) {
		pb_calibration_drop(&outlet->calibration);
		use(outlet, pb_calibration_engine(&outlet->calibration));
		return 0;
	}
	if (taken < 0)
		return taken;
	for (int i = 0; i < taken; i++)
		bytes += frames[i].len;
	if (pb_calibration_sent(&outlet->calibration, (uint64_t)taken, bytes,
	    pb_clock_mono_ns() - start_ns))
		outlet->drain_ns = pb_clock_mono_ns();
	return taken;
}

/* True: the next engine's turn has begun, or none is to come. */
static bool
turn_drained(struct pb_outlet *outlet)
{
	int left = outlet->ops->pending(outlet->state);
	uint64_t ns = pb_clock_mono_ns() - outlet->drain_ns;
	bool more;

	if (left > 1 || (left == 1 && ns < TURN_DRAIN_NS))
		return false;
	more = pb_calibration_next(&outlet->calibration, ns);
	outlet->drain_ns = 0;
	use(outlet, pb_calibration_engine(&outlet->calibration));
	if (!more)
		calibration_ends(outlet);
	return true;
}

/* The other engines stay open: to close a socket of theirs takes tens of
 * milliseconds, in which nothing would be sent. */
static void
calibration_ends(struct pb_outlet *outlet)
{
	size_t used;

	outlet->calibrates = false;
	pb_calibration_words(&outlet->calibration, outlet->reason,
	    sizeof(outlet->reason));
	used = strlen(outlet->reason);
	snprintf(outlet->reason + used, sizeof(outlet->reason) - used, "%s",
	    outlet->missing);
}

/* An error that neither the frame nor the interface explains. */
static bool
of_engine(int sys)
{
	return sys != ENETDOWN && sys != ENXIO && sys != ENODEV &&
	    sys != EMSGSIZE && sys != EINVAL;
}

static void
sleep_ns(uint64_t ns)
{
	const struct timespec time = {
	    .tv_sec = (time_t)(ns / PB_NS_PER_S),
	    .tv_nsec = (long)(ns % PB_NS_PER_S) };

	nanosleep(&time, NULL);
}

/* The first frames that may be offered to an engine. */
static unsigned
fitting(const struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count)
{
	unsigned n = 0;

	while (n < count && fits(outlet, &frames[n])) {
		n++;
		if (n + AHEAD < count)
			__builtin_prefetch(frames[n + AHEAD].data);
	}
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
	if (taken < offered && (taken > 0 || !outlet->full))
		outlet->stats.full++;
	outlet->full = taken < offered;
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
