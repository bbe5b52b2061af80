/*
 * tests/unit/test_worker.c - jobs come back done, in order, or not at all
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>

#include "base/digest.h"
#include "base/zip.h"
#include "recorder/sift/payload.h"
#include "shipper/worker/worker.h"
#include "tests/unit/feed_fixture.h"

#define PACKET		100u
#define PAYLOADS		8u
#define GIVE_UP_MS	30000

struct bench {
	struct fixture	 f;
	struct feed_fixture feed;
	struct pb_worker *worker;
	struct pb_payload payload[PAYLOADS];
	struct pb_job	 job[PAYLOADS];
	unsigned	 order[64], done;
};

static struct bench *bench;

static void
on_done(void *arg)
{
	struct pb_payload *payload = arg;

	bench->order[bench->done++ % 64] = (unsigned)(payload - bench->payload);
}

static void
bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	bench = b;
	fixture_init(&b->f, __LINE__);
	fixture_write(&b->f, 1, 5000, PACKET);
	feed_start(&b->feed, &b->f);
	assert_int_equal(pb_worker_create(&b->worker, "bodies", NULL), 0);
}

static void
bench_finish(struct bench *b)
{
	for (unsigned i = 0; i < PAYLOADS; i++) {
		pb_worker_cancel(b->worker, &b->job[i]);
		pb_payload_finish(&b->payload[i]);
	}
	pb_worker_destroy(b->worker);
	feed_stop(&b->feed);
	fixture_finish(&b->f);
}

static void
run(void *arg)
{
	pb_payload_make(arg);
}

static void
give(struct bench *b, unsigned i)
{
	b->job[i].run = run;
	b->job[i].done = on_done;
	b->job[i].arg = &b->payload[i];
	pb_worker_give(b->worker, &b->job[i]);
}

/* Packets from `from` on, so many bytes of them at most. */
static struct pb_payload *
make(struct bench *b, unsigned i, uint64_t from, size_t bytes)
{
	struct pb_payload *payload = &b->payload[i];
	struct pb_mark none = { 0 };
	struct pb_stream_info row;
	struct pb_err err = { 0 };

	fixture_stream_row(&b->f, &row);
	if (feed_look(&b->feed, &row, from, UINT64_MAX, &none, bytes,
	    &payload->piece, &err) < 0)
		fail_msg("%s", err.text);
	payload->store = b->f.dir;
	payload->key = b->f.key;
	give(b, i);
	return payload;
}

static void
wait_for(struct bench *b, unsigned done)
{
	struct pollfd fd = { .fd = pb_worker_fd(b->worker), .events = POLLIN };

	while (b->done < done) {
		assert_int_equal(poll(&fd, 1, GIVE_UP_MS), 1);
		pb_worker_collect(b->worker);
	}
	assert_int_equal(b->done, done);
}

static void
bodies_come_back_in_order_with_their_digests(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	for (unsigned i = 0; i < PAYLOADS; i++)
		make(&b, i, 1 + i * 600, 60000);
	wait_for(&b, PAYLOADS);
	for (unsigned i = 0; i < PAYLOADS; i++) {
		const struct pb_payload *p = &b.payload[i];

		assert_int_equal(b.order[i], i);
		assert_int_equal(p->rc, 0);
		assert_false(p->packed);
		assert_int_equal(p->digest, pb_digest(p->data, p->len));
		assert_ptr_equal(p->data, p->section.data);
		/* Without fillers. */
		assert_in_range(p->len, 50000, p->piece.header_bytes +
		    p->piece.bytes);
	}
	bench_finish(&b);
}

static void
what_is_packed_unpacks_to_what_its_digest_says(void **state)
{
	struct pb_payload *p;
	uint8_t *plain;
	struct bench b;
	size_t len;

	(void)state;
	bench_init(&b);
	b.payload[0].level = 1;
	p = make(&b, 0, 1, 60000);
	wait_for(&b, 1);
	assert_true(p->packed);
	assert_true(p->len < p->section.len);
	plain = malloc(p->section.len);
	assert_int_equal(pb_zip_unpack(plain, p->section.len, p->data, p->len,
	    &len, NULL), 0);
	assert_int_equal(len, p->section.len);
	assert_int_equal(pb_digest(plain, len), p->digest);
	free(plain);
	/* The next one in the same memory is not. */
	p->level = 0;
	make(&b, 0, 700, 60000);
	wait_for(&b, 2);
	assert_false(p->packed);
	bench_finish(&b);
}

static void
what_cannot_be_made_says_why(void **state)
{
	char path[PATH_MAX];
	struct pb_payload *p;
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_layout_segment(path, b.f.dir, &b.f.key, 1, true,
	    NULL), 0);
	p = make(&b, 0, 1, SIZE_MAX);
	wait_for(&b, 1);
	assert_int_equal(p->rc, 0);
	assert_int_equal(truncate(path, 5000), 0);
	give(&b, 0);
	wait_for(&b, 2);
	assert_int_equal(p->rc, PB_EFORMAT);
	assert_non_null(strstr(p->err.text, "shorter than its index says"));
	assert_int_equal(unlink(path), 0);
	give(&b, 0);
	wait_for(&b, 3);
	assert_int_equal(p->rc, PB_ENOENT);
	bench_finish(&b);
}

/* Waiting, being made, or made: `done` is never called. */
static void
what_is_cancelled_does_not_come_back(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	for (unsigned round = 0; round < 200; round++) {
		unsigned before = b.done;

		for (unsigned i = 0; i < PAYLOADS; i++)
			make(&b, i, 1 + i * 600, 60000);
		if (round % 3 == 1)
			usleep(round * 5);
		pb_worker_cancel(b.worker, &b.job[round % PAYLOADS]);
		pb_worker_cancel(b.worker, &b.job[(round + 3) % PAYLOADS]);
		wait_for(&b, before + PAYLOADS - 2);
		for (unsigned i = before; i < b.done; i++) {
			assert_int_not_equal(b.order[i % 64],
			    round % PAYLOADS);
			assert_int_not_equal(b.order[i % 64],
			    (round + 3) % PAYLOADS);
		}
	}
	bench_finish(&b);
}

/* A stopping shipper does not wait for what nobody will send. */
static void
it_ends_while_payloads_wait(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	for (unsigned i = 0; i < PAYLOADS; i++)
		make(&b, i, 1 + i * 600, 60000);
	bench_finish(&b);
	assert_int_equal(b.done, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_come_back_in_order_with_their_digests),
		cmocka_unit_test(
		    what_is_packed_unpacks_to_what_its_digest_says),
		cmocka_unit_test(what_cannot_be_made_says_why),
		cmocka_unit_test(what_is_cancelled_does_not_come_back),
		cmocka_unit_test(it_ends_while_payloads_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
