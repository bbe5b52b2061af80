/*
 * tests/unit/test_repeats.c - packets that several taps have seen
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pcapng/block.h"
#include "recorder/query/seen/repeats.h"

#define MS	PB_NS_PER_MS

static struct pb_head head[3] = {
	{ .linktype = PB_LINKTYPE_ETHERNET, .refs = 1, .identity = {
		.node = { { .name = "lon" } }, .nodes = 1, .interface = "a" } },
	{ .linktype = PB_LINKTYPE_ETHERNET, .refs = 1, .identity = {
		.node = { { .name = "lon" } }, .nodes = 1, .interface = "b" } },
	{ .linktype = PB_LINKTYPE_ETHERNET, .refs = 1, .identity = {
		.node = { { .name = "par" } }, .nodes = 1, .interface = "a" } },
};
static uint64_t last_seq[3];

static struct pb_repeats *
repeats_of(bool routed, uint32_t most)
{
	struct pb_repeats_opts opts = { .window_ns = MS, .routed = routed,
	    .most = most };
	struct pb_repeats *repeats;

	memset(last_seq, 0, sizeof(last_seq));
	assert_int_equal(pb_repeats_create(&repeats, &opts, NULL), 0);
	return repeats;
}

/* Packet `what` of stream a, b or c, the next one there: the stream and the
 * number of what it is a duplicate of, such as `a3`, or "". */
static const char *
seen(struct pb_repeats *repeats, char at, uint32_t what, uint64_t ns)
{
	static char text[8];
	uint8_t frame[34] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, (uint8_t)at,
	    8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, (uint8_t)at, 17 };
	struct pb_cursor_packet cp = {
		.packet = { .time_ns = ns, .data = frame,
		    .caplen = sizeof(frame), .origlen = sizeof(frame) },
		.seq = ++last_seq[at - 'a'], .head = &head[at - 'a'],
	};
	struct pb_repeat of;
	int rc;

	memcpy(frame + 30, &what, sizeof(what));
	rc = pb_repeats_packet(repeats, &cp, ns, &of, NULL);
	assert_true(rc == 0 || rc == 1);
	text[0] = '\0';
	if (rc == 1) {
		text[0] = (char)('a' + (of.head - head));
		text[1] = (char)('0' + of.seq);
		text[2] = '\0';
	}
	return text;
}

static void
the_later_one_of_two_taps_is_a_duplicate(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 0);

	(void)state;
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'b', 1, 5 * MS), "a1");
	assert_string_equal(seen(repeats, 'b', 2, 5 * MS + 1), "");
	assert_string_equal(seen(repeats, 'c', 1, 5 * MS + 2), "a1");
	assert_string_equal(seen(repeats, 'a', 2, 5 * MS + 3), "b2");
	assert_int_equal(pb_repeats_count(repeats), 3);
	pb_repeats_destroy(repeats);
}

static void
as_it_is_another_ttl_or_address_makes_another_packet(void **state)
{
	struct pb_repeats *repeats = repeats_of(false, 0);

	(void)state;
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'b', 1, 5 * MS), "");
	assert_int_equal(pb_repeats_count(repeats), 0);
	pb_repeats_destroy(repeats);
}

static void
behind_the_window_it_is_another_packet(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 0);

	(void)state;
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'b', 1, 6 * MS), "a1");
	assert_string_equal(seen(repeats, 'b', 1, 6 * MS + 1), "");
	assert_string_equal(seen(repeats, 'c', 1, 6 * MS + 2), "b2");
	pb_repeats_destroy(repeats);
}

static void
what_was_sent_twice_is_kept_twice(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 0);

	(void)state;
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'b', 1, 5 * MS), "a1");
	assert_string_equal(seen(repeats, 'b', 1, 5 * MS), "a2");
	assert_string_equal(seen(repeats, 'b', 1, 5 * MS), "");
	assert_string_equal(seen(repeats, 'a', 1, 5 * MS), "b3");
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen(repeats, 'c', 1, 5 * MS)[1],
		    "123"[i]);
	assert_string_equal(seen(repeats, 'c', 1, 5 * MS), "");
	pb_repeats_destroy(repeats);
}

static void
a_stream_has_no_duplicates_of_its_own(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 0);

	(void)state;
	for (uint64_t ns = 5 * MS; ns < 50 * MS; ns += MS / 10 * 7)
		assert_string_equal(seen(repeats, 'a', 1, ns), "");
	pb_repeats_destroy(repeats);
}

/* Goal:   of heartbeats, which are all equal, none goes because of a later one.
 * Method: a stream lags by many windows, and its packets come last. */
static void
a_stream_that_lags_loses_nothing_to_later_packets(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 0);

	(void)state;
	for (uint64_t i = 5; i < 10; i++)
		assert_string_equal(seen(repeats, 'a', 1, i * 9 * MS), "");
	for (uint64_t i = 5; i < 9; i++)
		assert_string_equal(seen(repeats, 'b', 1, i * 9 * MS), "");
	assert_int_equal(pb_repeats_count(repeats), 0);
	pb_repeats_destroy(repeats);
}

static void
what_had_to_be_forgotten_has_no_duplicates_and_is_counted(void **state)
{
	struct pb_repeats *repeats = repeats_of(true, 10);
	unsigned kept = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		seen(repeats, 'a', i, 5 * MS);
	assert_int_equal(pb_repeats_forgotten(repeats), 5);
	for (uint32_t i = 0; i < 5; i++)
		kept += seen(repeats, 'b', i, 5 * MS)[0] == '\0';
	assert_int_equal(kept, 5);
	assert_string_equal(seen(repeats, 'b', 4, 5 * MS), "");
	pb_repeats_destroy(repeats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_later_one_of_two_taps_is_a_duplicate),
		cmocka_unit_test(
		    as_it_is_another_ttl_or_address_makes_another_packet),
		cmocka_unit_test(behind_the_window_it_is_another_packet),
		cmocka_unit_test(what_was_sent_twice_is_kept_twice),
		cmocka_unit_test(a_stream_has_no_duplicates_of_its_own),
		cmocka_unit_test(
		    a_stream_that_lags_loses_nothing_to_later_packets),
		cmocka_unit_test(
		    what_had_to_be_forgotten_has_no_duplicates_and_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
