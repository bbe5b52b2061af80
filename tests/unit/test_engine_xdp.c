/*
 * tests/unit/test_engine_xdp.c - no frame of an AF_XDP socket is lost,
 * doubled or overtaken, whatever the kernel does with it
 *
 * The kernel's side of the rings is played by the test: it takes some
 * descriptors, drops frames on their way out, stops, gives chunks back late
 * and in any order, and tells how far it came as the Linux of its age does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "recorder/transmit/engine/engine.h"
#include "recorder/transmit/engine/xsk.h"

#define CONTD		1u	/* XDP_PKT_CONTD */
#define FRAMES		4000u
#define FRAME_BYTES_MAX	9018u
#define NUMBER_AT	14u
#define LATE_MAX	400u	/* of them after a call */

static struct kernel {
	bool		 tells;		/* as Linux 6.17 and later */
	bool		 broken;	/* ENETDOWN */
	uint32_t	 producer, consumer, flags;
	uint32_t	 done_producer, done_consumer;
	uint32_t	 at, seen;	/* cached_cons, cached_prod */
	struct xdp_desc	 desc[PB_XSK_RING];
	uint64_t	 done[PB_XSK_RING];
	uint8_t		*memory;
	/* Not given back yet. */
	uint64_t	 late[LATE_MAX + PB_XSK_BUDGET];
	unsigned	 late_count;
	uint32_t	 next;		/* number that is due on the wire */
	uint8_t		 frame[FRAME_BYTES_MAX];
	uint32_t	 len;		/* of a frame taken in part */
	unsigned	 parts;
	uint64_t	 part[8];
	unsigned	 dropped;
	uint64_t	 seed;
} kernel;

static uint32_t
random_below(uint32_t bound)
{
	kernel.seed = kernel.seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(kernel.seed >> 33) % bound;
}

static uint32_t
length_of(uint32_t number)
{
	static const uint32_t lengths[] = { 60, 1514, 9018, 4096, 4097, 64,
	    8192, 60 };

	return lengths[number % 8];
}

static uint8_t
byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number + at * 7 + (at >> 8));
}

int
pb_xsk_open(struct pb_xsk *xsk, unsigned index, bool zero_copy,
    struct pb_err *err)
{
	(void)index;
	(void)zero_copy;
	(void)err;
	memset(xsk, 0, sizeof(*xsk));
	kernel.memory = calloc(PB_XSK_CHUNKS, PB_XSK_CHUNK_BYTES);
	assert_non_null(kernel.memory);
	xsk->memory = kernel.memory;
	xsk->tx.producer = &kernel.producer;
	xsk->tx.consumer = &kernel.consumer;
	xsk->tx.flags = &kernel.flags;
	xsk->tx.entries = kernel.desc;
	xsk->done.producer = &kernel.done_producer;
	xsk->done.consumer = &kernel.done_consumer;
	xsk->done.entries = kernel.done;
	xsk->large = true;
	xsk->tells = kernel.tells;
	return 0;
}

void
pb_xsk_close(struct pb_xsk *xsk)
{
	free(xsk->memory);
}

static void
give_back(uint64_t address)
{
	kernel.done[kernel.done_producer++ % PB_XSK_RING] = address;
}

/* Some of what is late comes back, in any order. */
static void
give_back_late(void)
{
	while (kernel.late_count > 0 && (kernel.late_count > LATE_MAX ||
	    random_below(3) > 0)) {
		unsigned i = random_below(kernel.late_count);

		give_back(kernel.late[i]);
		kernel.late[i] = kernel.late[--kernel.late_count];
	}
}

static void
sent_on_the_wire(void)
{
	uint32_t number, wrong = 0;

	memcpy(&number, kernel.frame + NUMBER_AT, sizeof(number));
	assert_int_equal(number, kernel.next);
	assert_int_equal(kernel.len, length_of(number));
	for (uint32_t i = 0; i < kernel.len; i++)
		if (i < NUMBER_AT || i >= NUMBER_AT + 4)
			wrong += kernel.frame[i] != byte_of(number, i);
	assert_int_equal(wrong, 0);
	kernel.next++;
}

/* A whole frame is at the driver: 0 or the errno of a drop. */
static int
transmit(void)
{
	bool drop = random_below(9) == 0;

	if (drop)
		kernel.dropped++;
	else
		sent_on_the_wire();
	for (unsigned i = 0; i < kernel.parts; i++) {
		if (drop || random_below(2) == 0)
			give_back(kernel.part[i]);
		else
			kernel.late[kernel.late_count++] = kernel.part[i];
	}
	kernel.len = 0;
	kernel.parts = 0;
	return drop ? EBUSY : 0;
}

static int
take_all(bool *sent)
{
	while (kernel.at != kernel.seen) {
		const struct xdp_desc *desc = &kernel.desc[kernel.at %
		    PB_XSK_RING];

		if (random_below(23) == 0)
			return EAGAIN;
		assert_true(desc->len > 0 && desc->addr %
		    PB_XSK_CHUNK_BYTES + desc->len <= PB_XSK_CHUNK_BYTES);
		assert_true(kernel.len + desc->len <= FRAME_BYTES_MAX);
		memcpy(kernel.frame + kernel.len, kernel.memory + desc->addr,
		    desc->len);
		kernel.len += desc->len;
		kernel.part[kernel.parts++] = desc->addr;
		kernel.at++;
		if ((desc->options & CONTD) != 0)
			continue;
		if (transmit() != 0)
			return EBUSY;
		*sent = true;
	}
	return 0;
}

ssize_t
sendto(int fd, const void *data, size_t len, int flags,
    const struct sockaddr *to, socklen_t to_len)
{
	bool sent = false;
	int sys = 0;

	(void)fd;
	(void)data;
	(void)len;
	(void)flags;
	(void)to;
	(void)to_len;
	give_back_late();
	if (kernel.broken) {
		errno = ENETDOWN;
		return -1;
	}
	/* It looks at the producer when it has taken what it knew of. */
	if (kernel.at == kernel.seen)
		kernel.seen = kernel.producer;
	sys = take_all(&sent);
	if (kernel.at == kernel.seen && sys == 0)
		kernel.consumer = kernel.at;
	if (kernel.tells && sent)
		kernel.consumer = kernel.at;
	errno = sys;
	return sys == 0 ? 0 : -1;
}

static void
make(uint8_t *data, struct pb_frame *frame, uint32_t number)
{
	frame->data = data;
	frame->len = length_of(number);
	for (uint32_t i = 0; i < frame->len; i++)
		data[i] = byte_of(number, i);
	memcpy(data + NUMBER_AT, &number, sizeof(number));
}

static void
send_all(void *engine)
{
	static uint8_t data[64][FRAME_BYTES_MAX];
	struct pb_frame frames[64];
	uint32_t number = 0;

	while (number < FRAMES) {
		unsigned count = 1 + random_below(64);
		int taken;

		if (count > FRAMES - number)
			count = FRAMES - number;
		for (unsigned i = 0; i < count; i++)
			make(data[i], &frames[i], number + i);
		taken = pb_engine_xdp.send(engine, frames, count);
		assert_in_range(taken, 0, count);
		number += (uint32_t)taken;
		if (taken == 0)
			assert_int_equal(pb_engine_xdp.wait(engine, 0), 0);
	}
	while (pb_engine_xdp.pending(engine) != 0)
		give_back_late();
}

static void
run(bool tells, uint64_t seed)
{
	const struct pb_engine_ask ask = { .index = 1,
	    .bytes_max = FRAME_BYTES_MAX };
	struct pb_err err;
	void *engine;

	memset(&kernel, 0, sizeof(kernel));
	kernel.tells = tells;
	kernel.seed = seed;
	assert_int_equal(pb_engine_xdp.open(&engine, &ask, &err), 0);
	send_all(engine);
	assert_int_equal(kernel.next, FRAMES);
	assert_true(kernel.dropped > FRAMES / 20);
	pb_engine_xdp.close(engine);
}

static void
what_was_dropped_goes_out_in_its_place(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		run(true, seed);
}

static void
so_it_does_where_the_kernel_tells_late_how_far_it_came(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		run(false, seed);
}

static void
an_interface_that_is_down_is_told_and_what_was_taken_waits(void **state)
{
	const struct pb_engine_ask ask = { .index = 1,
	    .bytes_max = FRAME_BYTES_MAX };
	static uint8_t data[FRAME_BYTES_MAX];
	struct pb_frame frame;
	uint64_t bytes = 0;
	struct pb_err err;
	void *engine;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.tells = true;
	kernel.broken = true;
	assert_int_equal(pb_engine_xdp.open(&engine, &ask, &err), 0);
	make(data, &frame, 0);
	assert_int_equal(pb_engine_xdp.send(engine, &frame, 1), 1);
	assert_int_equal(pb_engine_xdp.send(engine, &frame, 1), -ENETDOWN);
	assert_int_equal(pb_engine_xdp.wait(engine, 0), -ENETDOWN);
	assert_int_equal(pb_engine_xdp.pending(engine), -ENETDOWN);
	assert_int_equal(pb_engine_xdp.waiting(engine, &bytes), 1);
	assert_int_equal(bytes, frame.len);
	kernel.broken = false;
	while (pb_engine_xdp.pending(engine) != 0)
		give_back_late();
	assert_int_equal(kernel.next, 1);
	assert_int_equal(pb_engine_xdp.waiting(engine, &bytes), 0);
	pb_engine_xdp.close(engine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_dropped_goes_out_in_its_place),
		cmocka_unit_test(
		    so_it_does_where_the_kernel_tells_late_how_far_it_came),
		cmocka_unit_test(
		    an_interface_that_is_down_is_told_and_what_was_taken_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
