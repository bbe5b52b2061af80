/*
 * tests/unit/test_outlet.c - what an outlet tells of engines and interface
 *
 * The engines are the test's: they take what they are told to take, note in
 * which order frames came, and fail as the kernel would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/transmit/engine/engine.h"
#include "recorder/transmit/engine/port.h"

#define MTU		1500u
#define FRAME_BYTES	60u

struct engine {
	int		 opens;		/* what open() returns */
	int		 fails;		/* errno of send(), 0: none */
	unsigned	 takes;		/* frames a call, at most */
	int		 pending;
	unsigned	 busy_ns;	/* a call */
	unsigned	 frames, closed;
};

static struct {
	struct engine	 engine[PB_ENGINES];
	struct pb_port	 port;
	int		 ask;		/* what pb_port_ask() returns */
	uint32_t	 next;		/* number that is due */
	enum pb_engine	 last;		/* who sent last */
	unsigned	 switches;
	uint64_t	 now_ns;
} fake;

/* Time goes by where it is asked for, and where an engine takes it. */
uint64_t
pb_clock_mono_ns(void)
{
	return fake.now_ns += 1000;
}

int
pb_port_ask(struct pb_port *out, const char *interface, struct pb_err *err)
{
	*out = fake.port;
	return fake.ask == 0 ? 0 : pb_err_set(err, fake.ask, "%s", interface);
}

int
pb_port_ready(const struct pb_port *port, struct pb_err *err)
{
	return port->up ? 0 : pb_err_set(err, PB_EBUSY, "down");
}

static int
engine_open(enum pb_engine which, void **state, struct pb_err *err)
{
	*state = &fake.engine[which];
	return fake.engine[which].opens == 0 ? 0 :
	    pb_err_set(err, fake.engine[which].opens, "no such luck");
}

static void
engine_close(void *state)
{
	((struct engine *)state)->closed++;
}

static int
engine_send(void *state, const struct pb_frame *frames, unsigned count)
{
	struct engine *engine = state;
	enum pb_engine which = (enum pb_engine)(engine - fake.engine);

	if (engine->fails != 0)
		return -engine->fails;
	if (count > engine->takes)
		count = engine->takes;
	for (unsigned i = 0; i < count; i++) {
		uint32_t number;

		memcpy(&number, frames[i].data + 14, sizeof(number));
		assert_int_equal(number, fake.next++);
	}
	if (which != fake.last) {
		/* Nobody begins before all others have sent theirs. */
		assert_int_equal(fake.engine[fake.last].pending, 0);
		fake.switches++;
	}
	fake.last = which;
	engine->frames += count;
	engine->pending = count > 0 ? 2 : 0;
	fake.now_ns += engine->busy_ns;
	return (int)count;
}

static int
engine_wait(void *state, uint64_t ns_max)
{
	(void)state;
	fake.now_ns += ns_max;
	return 0;
}

/* Each look finds less. */
static int
engine_pending(void *state)
{
	struct engine *engine = state;

	return engine->pending > 0 ? engine->pending-- : 0;
}

#define ENGINE(word, which)						\
static int								\
open_##word(void **state, const struct pb_engine_ask *ask,		\
    struct pb_err *err)							\
{									\
	assert_int_equal(ask->bytes_max, MTU + 18);			\
	return engine_open(which, state, err);				\
}									\
const struct pb_engine_ops pb_engine_##word = { .name = #word,		\
	.open = open_##word, .close = engine_close, .send = engine_send,\
	.wait = engine_wait, .pending = engine_pending }

ENGINE(sendmmsg, PB_ENGINE_SENDMMSG);
ENGINE(xdp, PB_ENGINE_XDP);
ENGINE(ring, PB_ENGINE_RING);

static struct pb_outlet *
outlet(enum pb_engine engine, bool bulk)
{
	const struct pb_outlet_opts opts = { .engine = engine, .bulk = bulk };
	struct pb_outlet *out;
	struct pb_err err;

	assert_int_equal(pb_outlet_open(&out, "eth7", &opts, &err), 0);
	return out;
}

static int
setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.port = (struct pb_port){ .name = "eth7", .index = 7, .up = true,
	    .carrier = true, .ethernet = true, .mtu = MTU };
	fake.last = PB_ENGINE_SENDMMSG;
	for (unsigned i = 0; i < PB_ENGINES; i++)
		fake.engine[i].takes = 64;
	return 0;
}

static int
send_one(struct pb_outlet *out, uint32_t len, struct pb_err *err)
{
	static uint8_t data[MTU + 100];
	struct pb_frame frame = { .data = data, .len = len };

	memcpy(data + 14, &fake.next, sizeof(fake.next));
	return pb_outlet_send(out, &frame, 1, err);
}

static void
the_fastest_engine_is_found_and_no_frame_overtakes(void **state)
{
	struct pb_outlet *out;
	struct pb_err err;
	const char *why;

	(void)state;
	fake.engine[PB_ENGINE_SENDMMSG].busy_ns = 900000;
	fake.engine[PB_ENGINE_RING].busy_ns = 500000;
	out = outlet(PB_ENGINE_AUTO, true);
	do {
		int rc = send_one(out, FRAME_BYTES, &err);

		assert_in_range(rc, 0, 1);
		if (rc == 0)
			assert_int_equal(pb_outlet_wait(out, 1000, &err), 0);
		pb_outlet_engine(out, &why);
	} while (strcmp(why, "too little was sent to compare engines") == 0);
	assert_string_equal(pb_outlet_engine(out, &why), "xdp");
	assert_ptr_equal(strstr(why, "xdp: "), why);
	/* Eight between turns, and to the winner. */
	assert_int_equal(fake.switches, 9);
	/* Not before the end, as that takes long. */
	assert_int_equal(fake.engine[PB_ENGINE_RING].closed, 0);
	pb_outlet_close(out);
	for (unsigned i = PB_ENGINE_SENDMMSG; i < PB_ENGINES; i++)
		assert_int_equal(fake.engine[i].closed, 1);
}

static void
engines_that_do_not_open_or_send_are_left_out(void **state)
{
	struct pb_outlet *out;
	struct pb_err err;
	const char *why;

	(void)state;
	fake.engine[PB_ENGINE_XDP].opens = PB_EACCES;
	fake.engine[PB_ENGINE_RING].fails = EOPNOTSUPP;
	fake.engine[PB_ENGINE_SENDMMSG].busy_ns = 200000;
	out = outlet(PB_ENGINE_AUTO, true);
	do {
		int rc = send_one(out, FRAME_BYTES, &err);

		assert_in_range(rc, 0, 1);
		if (rc == 0)
			assert_int_equal(pb_outlet_wait(out, 1000, &err), 0);
		pb_outlet_engine(out, &why);
	} while (strncmp(why, "sendmmsg: ", 10) != 0);
	assert_non_null(strstr(why, "bytes; xdp: no such luck"));
	pb_outlet_close(out);
	assert_int_equal(fake.engine[PB_ENGINE_RING].frames, 0);
}

static void
who_sends_little_gets_sendmmsg_and_nothing_else_is_opened(void **state)
{
	struct pb_outlet *out;
	struct pb_err err;

	(void)state;
	fake.engine[PB_ENGINE_XDP].opens = PB_EINVAL;
	out = outlet(PB_ENGINE_AUTO, false);
	assert_int_equal(send_one(out, FRAME_BYTES, &err), 1);
	assert_string_equal(pb_outlet_engine(out, NULL), "sendmmsg");
	pb_outlet_close(out);
	assert_int_equal(fake.engine[PB_ENGINE_RING].closed, 0);
}

static void
an_engine_that_was_asked_for_and_does_not_open_is_an_error(void **state)
{
	const struct pb_outlet_opts opts = { .engine = PB_ENGINE_XDP };
	struct pb_outlet *out;
	struct pb_err err;

	(void)state;
	fake.engine[PB_ENGINE_XDP].opens = PB_EACCES;
	assert_int_equal(pb_outlet_open(&out, "eth7", &opts, &err),
	    PB_EACCES);
	assert_string_equal(err.text, "interface eth7: xdp: no such luck");
}

static void
frames_that_do_not_fit_are_refused_and_counted(void **state)
{
	struct pb_outlet_stats stats;
	struct pb_outlet *out;
	struct pb_err err;

	(void)state;
	out = outlet(PB_ENGINE_RING, false);
	assert_int_equal(pb_outlet_bytes_max(out, false), MTU + 14);
	assert_int_equal(send_one(out, MTU + 14, &err), 1);
	assert_int_equal(send_one(out, MTU + 15, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "1515 bytes is longer"));
	assert_int_equal(send_one(out, 13, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "13 bytes is shorter"));
	/* The kernel's word, of one that seemed to fit. */
	fake.engine[PB_ENGINE_RING].fails = EMSGSIZE;
	fake.port.mtu = 1000;
	assert_int_equal(send_one(out, 1200, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "its MTU of 1000"));
	pb_outlet_stats(out, &stats);
	assert_int_equal(stats.refused, 3);
	assert_int_equal(stats.packets, 1);
	assert_int_equal(stats.bytes, MTU + 14);
	pb_outlet_close(out);
}

static void
a_tagged_frame_may_be_four_bytes_longer(void **state)
{
	uint8_t data[MTU + 19] = { [12] = 0x81 };
	struct pb_frame frame = { .data = data, .len = MTU + 18 };
	struct pb_outlet *out;
	struct pb_err err;

	(void)state;
	out = outlet(PB_ENGINE_RING, false);
	assert_int_equal(pb_outlet_send(out, &frame, 1, &err), 1);
	frame.len++;
	assert_int_equal(pb_outlet_send(out, &frame, 1, &err), PB_EFORMAT);
	pb_outlet_close(out);
}

/* Those before it go, and the next call is about it. */
static void
a_frame_that_is_refused_stands_first(void **state)
{
	static uint8_t data[3][MTU + 100];
	struct pb_frame frames[3];
	struct pb_outlet *out;
	struct pb_err err;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		frames[i] = (struct pb_frame){ .data = data[i],
		    .len = i == 1 ? MTU + 100 : FRAME_BYTES };
		memcpy(data[i] + 14, &(uint32_t){ i == 2 ? 1 : i }, 4);
	}
	out = outlet(PB_ENGINE_RING, false);
	assert_int_equal(pb_outlet_send(out, frames, 3, &err), 1);
	assert_int_equal(pb_outlet_send(out, frames + 1, 2, &err),
	    PB_EFORMAT);
	assert_int_equal(pb_outlet_send(out, frames + 2, 1, &err), 1);
	pb_outlet_close(out);
}

static void
down_gone_and_made_again_are_told_apart(void **state)
{
	static const struct {
		int	 sys, ask;
		bool	 up;
		unsigned index;
		int	 rc;
	} rows[] = {
		{ ENETDOWN, 0, false, 7, PB_EBUSY },
		{ ENETDOWN, 0, true, 7, PB_EBUSY },	/* up again */
		{ ENXIO, PB_ENOENT, true, 7, PB_ENOENT },
		{ ENXIO, 0, true, 8, PB_ENOENT },
		{ ENODEV, 0, true, 7, PB_ENOENT },
		{ EIO, 0, true, 7, PB_ESYS },
		{ EIO, 0, false, 7, PB_EBUSY },
	};
	struct pb_outlet *out;
	struct pb_err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(state);
		out = outlet(PB_ENGINE_XDP, false);
		fake.engine[PB_ENGINE_XDP].fails = rows[i].sys;
		fake.ask = rows[i].ask;
		fake.port.up = rows[i].up;
		fake.port.index = rows[i].index;
		assert_int_equal(send_one(out, FRAME_BYTES, &err),
		    rows[i].rc);
		pb_outlet_close(out);
	}
}

/* A driver without carrier drops all, which looks like a full queue. */
static void
a_queue_that_stays_full_makes_the_interface_be_looked_at(void **state)
{
	struct pb_outlet_stats stats;
	struct pb_outlet *out;
	struct pb_err err;
	unsigned waits = 0;

	(void)state;
	out = outlet(PB_ENGINE_RING, false);
	fake.engine[PB_ENGINE_RING].takes = 0;
	assert_int_equal(send_one(out, FRAME_BYTES, &err), 0);
	fake.port.up = false;
	while (pb_outlet_wait(out, 1000000, &err) == 0) {
		assert_int_equal(send_one(out, FRAME_BYTES, &err), 0);
		waits++;
	}
	assert_int_equal(err.code, PB_EBUSY);
	assert_in_range(waits, 1, 100);
	pb_outlet_stats(out, &stats);
	assert_int_equal(stats.full, 1);
	pb_outlet_close(out);
}

static void
engines_are_asked_for_by_name(void **state)
{
	enum pb_engine engine;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_engine_parse(&engine, "auto", &err), 0);
	assert_int_equal(engine, PB_ENGINE_AUTO);
	assert_int_equal(pb_engine_parse(&engine, "xdp", &err), 0);
	assert_int_equal(engine, PB_ENGINE_XDP);
	assert_int_equal(pb_engine_parse(&engine, "dpdk", &err), PB_EINVAL);
	assert_string_equal(err.text,
	    "no engine 'dpdk': auto, sendmmsg, xdp or ring");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    the_fastest_engine_is_found_and_no_frame_overtakes, setup),
		cmocka_unit_test_setup(
		    engines_that_do_not_open_or_send_are_left_out, setup),
		cmocka_unit_test_setup(
		    who_sends_little_gets_sendmmsg_and_nothing_else_is_opened,
		    setup),
		cmocka_unit_test_setup(
		    an_engine_that_was_asked_for_and_does_not_open_is_an_error,
		    setup),
		cmocka_unit_test_setup(
		    frames_that_do_not_fit_are_refused_and_counted, setup),
		cmocka_unit_test_setup(
		    a_tagged_frame_may_be_four_bytes_longer, setup),
		cmocka_unit_test_setup(
		    a_frame_that_is_refused_stands_first, setup),
		cmocka_unit_test_setup(
		    down_gone_and_made_again_are_told_apart, setup),
		cmocka_unit_test_setup(
		    a_queue_that_stays_full_makes_the_interface_be_looked_at,
		    setup),
		cmocka_unit_test(engines_are_asked_for_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
