/*
 * tests/unit/test_pulls.c - what pullers say, from the recorder's threads to
 * the shipper's loop
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/store/facts/pulls.h"
#include "shipper/operator/hear.h"
#include "tests/unit/temp.h"

#define HEARD_MAX	4096u

static char dir[TEMP_NAME_MAX];
static struct pb_pulls *pulls;
static struct pb_hear *hear;
static struct pb_pull_news heard[HEARD_MAX];
static unsigned count;

static int
setup(void **state)
{
	(void)state;
	temp_make(dir, "pulls");
	count = 0;
	assert_int_equal(pb_pulls_create(&pulls, dir, NULL), 0);
	assert_int_equal(pb_hear_create(&hear, dir, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pb_pulls_destroy(pulls);
	pb_hear_destroy(hear);
	temp_remove(dir);
	return 0;
}

static bool
said(void *arg, const struct pb_pull_news *news)
{
	(void)arg;
	assert_true(count < HEARD_MAX);
	heard[count++] = *news;
	return true;
}

static bool
not_now(void *arg, const struct pb_pull_news *news)
{
	(void)news;
	*(unsigned *)arg += 1;
	return false;
}

/* All that was said since the last time. */
static unsigned
listen_all(void)
{
	unsigned before;

	count = 0;
	do {
		before = count;
		pb_hear_run(hear, said, NULL);
	} while (count > before);
	return count;
}

static struct pb_pull_news
ack_of(const char *interface, uint64_t acked)
{
	struct pb_pull_news ack = { .upstream = "core1", .acked = acked,
	    .key = { .node = "lon1", .epoch = UINT64_MAX } };

	strcpy(ack.key.interface, interface);
	return ack;
}

static int
give(const char *interface, uint64_t acked)
{
	struct pb_pull_news ack = ack_of(interface, acked);
	struct pb_err err;

	return pb_pulls_ack(pulls, &ack, &err);
}

static void
what_is_said_is_heard_as_it_was(void **state)
{
	struct pb_pull_news ack = ack_of("a\"b\\c/d \xc3\xa9", UINT64_MAX / 2);

	(void)state;
	ack.first = 7;
	assert_int_equal(pb_pulls_ack(pulls, &ack, NULL), 0);
	pb_pulls_asks(pulls, "core2", 60000);
	assert_int_equal(listen_all(), 2);
	assert_memory_equal(&heard[0].key, &ack.key, sizeof(ack.key));
	assert_string_equal(heard[0].upstream, "core1");
	assert_int_equal(heard[0].first, 7);
	assert_int_equal(heard[0].acked, UINT64_MAX / 2);
	assert_string_equal(heard[1].upstream, "core2");
	assert_int_equal(heard[1].wait_ms, 60000);
	assert_int_equal(heard[1].key.epoch, 0);
}

static void
that_it_is_stuck_is_told_with_the_reason(void **state)
{
	struct pb_pull_news of = ack_of("eth0", 0);
	char text[PB_PULLS_ERROR_MAX + 50];

	(void)state;
	memset(text, '"', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	pb_pulls_stuck(pulls, "core1", &of.key, text);
	pb_pulls_stuck(pulls, "core1", &of.key, text);
	assert_int_equal(listen_all(), 1);
	assert_memory_equal(&heard[0].key, &of.key, sizeof(of.key));
	assert_int_equal(strlen(heard[0].error), PB_PULLS_ERROR_MAX - 1);
}

static void
that_it_asks_is_told_when_it_is_news(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		pb_pulls_asks(pulls, "core1", 60000);
	pb_pulls_asks(pulls, "core1", 0);
	pb_pulls_asks(pulls, "core1", 120000);
	assert_int_equal(listen_all(), 2);
}

static void
without_a_shipper_an_ack_is_refused(void **state)
{
	(void)state;
	pb_hear_destroy(hear);
	hear = NULL;
	assert_int_equal(give("eth0", 1), PB_ENOENT);
}

static void
a_new_shipper_is_given_the_last_ack_of_each_stream(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 10; n++) {
		assert_int_equal(give("eth0", n), 0);
		assert_int_equal(give("eth1", 2 * n), 0);
	}
	assert_int_equal(listen_all(), 20);
	pb_hear_destroy(hear);
	assert_int_equal(pb_hear_create(&hear, dir, NULL), 0);
	assert_int_equal(give("eth2", 5), 0);
	assert_int_equal(listen_all(), 3);
	assert_string_equal(heard[0].key.interface, "eth0");
	assert_int_equal(heard[0].acked, 10);
	assert_int_equal(heard[1].acked, 20);
	assert_string_equal(heard[2].key.interface, "eth2");
}

static void
gave(uint64_t first, uint64_t last, uint64_t filtered)
{
	struct pb_pull_news of = ack_of("eth0", 0);

	pb_pulls_gave(pulls, "core1", &of.key, first, last, filtered);
}

/* What was told with the ack. */
static uint64_t
told(uint64_t acked)
{
	assert_int_equal(give("eth0", acked), 0);
	assert_int_equal(listen_all(), 1);
	assert_int_equal(heard[0].acked, acked);
	return heard[0].filtered;
}

static void
what_was_left_out_is_told_once_with_its_ack(void **state)
{
	struct pb_pull_news late = ack_of("eth0", 35);

	(void)state;
	gave(1, 10, 3);
	gave(11, 20, 4);
	assert_int_equal(told(9), 0);
	assert_int_equal(told(10), 3);
	assert_int_equal(told(10), 0);
	gave(11, 15, 1);	/* asked for again, in other pieces */
	gave(16, 20, 3);
	gave(21, 30, 0);
	assert_int_equal(give("eth1", 40), 0);
	assert_int_equal(listen_all(), 1);
	assert_int_equal(heard[0].filtered, 0);
	assert_int_equal(told(30), 4);
	gave(31, 35, 5);
	gave(36, 40, 7);
	late.first = 31;
	assert_int_equal(pb_pulls_ack(pulls, &late, NULL), 0);
	assert_int_equal(listen_all(), 1);
	assert_int_equal(heard[0].filtered, 5);
	for (uint64_t n = 41; n <= 100; n++)
		gave(n, n, 1);	/* more than are remembered apart */
	assert_int_equal(told(40), 0);
	assert_int_equal(told(100), 67);
	assert_int_equal(told(100), 0);
}

static void
what_was_left_out_waits_for_a_shipper(void **state)
{
	(void)state;
	gave(1, 10, 3);
	pb_hear_destroy(hear);
	hear = NULL;
	assert_int_equal(give("eth0", 10), PB_ENOENT);
	assert_int_equal(pb_hear_create(&hear, dir, NULL), 0);
	assert_int_equal(told(10), 3);
	pb_hear_destroy(hear);
	assert_int_equal(pb_hear_create(&hear, dir, NULL), 0);
	assert_int_equal(give("eth1", 1), 0);
	assert_int_equal(listen_all(), 2);
	assert_int_equal(heard[0].filtered + heard[1].filtered, 0);
}

static void
a_new_shipper_is_given_the_last_acks_of_late_packets(void **state)
{
	struct pb_pull_news ack = ack_of("eth0", 0);

	(void)state;
	for (uint64_t n = 1; n <= 600; n++) {
		ack.first = ack.acked = n;
		assert_int_equal(pb_pulls_ack(pulls, &ack, NULL), 0);
		assert_int_equal(listen_all(), 1);
	}
	pb_hear_destroy(hear);
	assert_int_equal(pb_hear_create(&hear, dir, NULL), 0);
	count = 0;
	for (unsigned before = 1; count < 513 && before != count;) {
		before = count;
		(void)give("eth1", 5);
		pb_hear_run(hear, said, NULL);
	}
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(heard[i].first, 89 + i);
	assert_string_equal(heard[512].key.interface, "eth1");
}

static void
what_is_not_taken_now_is_said_again_before_all_else(void **state)
{
	int fds[PB_HEAR_FDS_MAX];
	unsigned times = 0;

	(void)state;
	assert_int_equal(give("eth0", 1), 0);
	assert_int_equal(give("eth1", 2), 0);
	pb_hear_run(hear, not_now, &times);
	assert_int_equal(times, 1);
	assert_int_equal(pb_hear_fds(hear, fds, PB_HEAR_FDS_MAX), 1);
	pb_hear_run(hear, not_now, &times);
	assert_int_equal(times, 2);
	assert_int_equal(listen_all(), 2);
	assert_int_equal(heard[0].acked, 1);
	assert_int_equal(heard[1].acked, 2);
	assert_int_equal(pb_hear_fds(hear, fds, PB_HEAR_FDS_MAX), 2);
}

static void
a_shipper_that_does_not_listen_is_not_waited_for(void **state)
{
	unsigned taken = 0;

	(void)state;
	while (give("eth0", taken + 1) == 0) {
		taken++;
		assert_true(taken < HEARD_MAX);
	}
	assert_int_equal(give("eth0", taken + 1), PB_EBUSY);
	assert_int_equal(listen_all(), taken);
	assert_int_equal(give("eth0", taken + 1), 0);
}

static void
what_nobody_understands_is_refused(void **state)
{
	static const char *const wrong[] = { "", "{", "[]", "{}",
	    "{\"upstream\":\"core1\"}", "{\"upstream\":1,\"wait_ms\":1}",
	    "{\"upstream\":\"core1\",\"wait_ms\":-1}",
	    "{\"upstream\":\"core1\",\"node\":\"a\",\"interface\":\"b\","
	    "\"epoch\":\"xyz\",\"first\":0,\"acked\":1}" };
	struct pb_pull_news news;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(pb_pulls_parse(wrong[i], strlen(wrong[i]), &news,
		    &err) < 0);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_said_is_heard_as_it_was),
		TEST(that_it_is_stuck_is_told_with_the_reason),
		TEST(that_it_asks_is_told_when_it_is_news),
		TEST(without_a_shipper_an_ack_is_refused),
		TEST(a_new_shipper_is_given_the_last_ack_of_each_stream),
		TEST(what_was_left_out_is_told_once_with_its_ack),
		TEST(what_was_left_out_waits_for_a_shipper),
		TEST(a_new_shipper_is_given_the_last_acks_of_late_packets),
		TEST(what_is_not_taken_now_is_said_again_before_all_else),
		TEST(a_shipper_that_does_not_listen_is_not_waited_for),
		TEST(what_nobody_understands_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
