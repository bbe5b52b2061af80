/*
 * tests/unit/test_stamps.c - what switches stamped on stored packets
 */
#include "tests/unit/trailer_frames.h"

#include "base/clock.h"
#include "pcapng/hop.h"
#include "recorder/query/seen/stamps.h"

#define CAPTURE_NS	(NOW_NS + 5 * PB_NS_PER_MS)

/* A stored packet of what `frame` is, with an option or without. */
static struct pb_packet
stored(uint64_t time_ns, const struct pb_stamped *beside)
{
	static uint8_t options[512];
	struct pb_packet packet = { .time_ns = time_ns,
	    .caplen = frame.len - 4, .origlen = frame.len - 4,
	    .data = frame.data, .options = options };

	if (beside != NULL)
		packet.options_len = pb_stamped_write(options, 7, beside);
	return packet;
}

static void
two_taps(void)
{
	host_sends(60);
	metamako(NOW_S, 100, 1, 7, 3);
	metamako(NOW_S, 250, 5, 9, 4);
}

static struct pb_trailer_list
list_of(const char *text)
{
	struct pb_trailer_list out;

	memset(&out, 0, sizeof(out));
	assert_int_equal(pb_trailer_list_parse(&out, text, NULL), 0);
	return out;
}

static void
an_interfaces_words_become_a_list(void **state)
{
	static const struct {
		const char *text;
		int	 rc;
		unsigned count;
		bool	 fcs;
		int	 tai_utc;
	} rows[] = {
		{ "", 0, 0, false, 37 },
		{ "clock=host", 0, 0, false, 37 },
		{ "clock=host fcs=yes", 1, 0, true, 37 },
		{ "trailers=metamako,raw:4 tai_utc=36", 1, 2, false, 36 },
		{ "trailers=tomorrows,raw:4 fcs=yes", 1, 0, true, 37 },
		{ "trailers=ttag tai_utc=-99999999999", 1, 1, false, 37 },
		{ "trailers=none fcs=maybe", 0, 0, false, 37 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_trailer_list out;

		memset(&out, 0xA5, sizeof(out));
		assert_int_equal(pb_stamps_list(rows[i].text, &out),
		    rows[i].rc);
		assert_int_equal(out.count, rows[i].count);
		assert_int_equal(out.fcs, rows[i].fcs);
		assert_int_equal(out.tai_utc, rows[i].tai_utc);
	}
}

static void
the_frame_tells_where_nothing_stands_beside_it(void **state)
{
	struct pb_trailer_list two = list_of("metamako,metamako"), none;
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	none = list_of("none");
	two_taps();
	packet = stored(CAPTURE_NS, NULL);
	assert_int_equal(pb_stamps_of(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.count, 2);
	assert_int_equal(out.from, 0);
	assert_int_equal(out.capture_ns, CAPTURE_NS);
	assert_int_equal(out.at[0].device, 7);
	assert_int_equal(out.at[0].time_ns, NOW_NS + 100);
	assert_int_equal(out.at[1].device, 9);
	assert_int_equal(pb_stamps_of(&packet, &none, NULL, &out), 0);
	assert_int_equal(out.capture_ns, CAPTURE_NS);
	assert_int_equal(pb_stamps_captured(&packet), CAPTURE_NS);
}

static void
a_time_that_is_a_stamps_leaves_the_captures_beside_it(void **state)
{
	struct pb_stamped beside = { .capture_ns = CAPTURE_NS, .from = 1 };
	struct pb_trailer_list two = list_of("metamako,metamako");
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	two_taps();
	packet = stored(NOW_NS + 100, &beside);
	assert_int_equal(pb_stamps_of(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.capture_ns, CAPTURE_NS);
	assert_int_equal(out.from, 1);
	assert_int_equal(out.count, 2);
	assert_int_equal(pb_stamps_captured(&packet), CAPTURE_NS);
	/* With a list that finds fewer than that it is nobody's. */
	beside.from = 3;
	packet = stored(NOW_NS + 100, &beside);
	assert_int_equal(pb_stamps_of(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.from, 0);
}

static void
records_count_more_than_the_frame_unless_a_list_is_given(void **state)
{
	struct pb_stamped beside = { .capture_ns = CAPTURE_NS, .from = 1,
	    .count = 1, .at[0] = { .time_ns = 77, .device = 1,
	    .format = PB_STAMP_ARISTA7150, .flags = PB_STAMP_TIMED } };
	struct pb_trailer_list two = list_of("metamako,metamako");
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	two_taps();
	packet = stored(77, &beside);
	assert_int_equal(pb_stamps_of(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.at[0].format, PB_STAMP_ARISTA7150);
	assert_int_equal(pb_stamps_read(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.count, 2);
	assert_int_equal(out.capture_ns, CAPTURE_NS);
	assert_int_equal(out.from, 0);
	/* The packet's time is the second one's. */
	packet = stored(NOW_NS + 250, &beside);
	assert_int_equal(pb_stamps_read(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.from, 2);
}

static void
a_malformed_option_counts_as_none(void **state)
{
	struct pb_stamped beside = { .capture_ns = CAPTURE_NS, .from = 1 };
	struct pb_trailer_list two = list_of("metamako,metamako");
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	two_taps();
	packet = stored(99, &beside);
	((uint8_t *)(uintptr_t)packet.options)[21] = 200;	/* count */
	assert_int_equal(pb_stamps_of(&packet, &two, NULL, &out), 1);
	assert_int_equal(out.count, 2);
	assert_int_equal(out.from, 0);
	assert_int_equal(out.capture_ns, 99);
}

static void
a_list_that_needs_a_context_reads_nothing_without(void **state)
{
	struct pb_trailer_list ticks = list_of("arista7150");
	struct pb_trailer_context fresh;
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	memset(&fresh, 0, sizeof(fresh));
	host_sends(60);
	arista7150(5);
	packet = stored(CAPTURE_NS, NULL);
	assert_int_equal(pb_stamps_of(&packet, &ticks, NULL, &out), 0);
	assert_int_equal(pb_stamps_of(&packet, &ticks, &fresh, &out), 1);
	assert_true(out.at[0].flags & PB_STAMP_ADRIFT);
	assert_false(out.at[0].flags & PB_STAMP_TIMED);
}

/* --- streams ------------------------------------------------------------- */

static struct pb_head *
head_of_type(const char *node, const char *text, uint16_t linktype)
{
	struct pb_identity id = { .epoch = 1, .nodes = 1 };
	struct pb_head *head;
	struct pb_buf idb;
	struct pb_err err;

	strcpy(id.node[0].name, node);
	strcpy(id.interface, "eth0");
	pb_buf_init(&idb, 1024);
	if (text != NULL)
		assert_int_equal(pb_interface_text_put(&idb, 7, text), 0);
	assert_int_equal(pb_head_create(&head, &id, linktype, NULL, 0,
	    idb.data, idb.len, &err), 0);
	pb_buf_finish(&idb);
	return head;
}

static struct pb_head *
head_of(const char *node, const char *text)
{
	return head_of_type(node, text, PB_LINKTYPE_ETHERNET);
}

static void
each_stream_is_read_by_what_its_interface_says(void **state)
{
	struct pb_head *a = head_of("a", "trailers=metamako,metamako"),
	    *b = head_of("b", "clock=host"), *later = head_of("b",
	    "trailers=metamako");
	struct pb_stamper stamper;
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	two_taps();
	packet = stored(CAPTURE_NS, NULL);
	pb_stamper_init(&stamper, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pb_stamper_read(&stamper, a, &packet, &out),
		    1);
		assert_int_equal(out.count, 2);
		assert_int_equal(pb_stamper_read(&stamper, b, &packet, &out),
		    0);
		assert_string_equal(stamper.last->text, "clock=host");
		/* The same stream, from another segment on. */
		assert_int_equal(pb_stamper_read(&stamper, later, &packet,
		    &out), 1);
		assert_int_equal(out.count, 1);
	}
	/* It keeps those that it has met. */
	pb_head_unref(b);
	assert_int_equal(pb_stamper_read(&stamper, a, &packet, &out), 1);
	pb_stamper_finish(&stamper);
	pb_head_unref(a);
	pb_head_unref(later);
}

static void
a_list_that_is_given_goes_for_all_streams(void **state)
{
	struct pb_head *a = head_of("a", "trailers=raw:9"),
	    *b = head_of("b", NULL);
	struct pb_trailer_list two = list_of("metamako,metamako");
	struct pb_stamper stamper;
	struct pb_packet packet;
	struct pb_stamped out;

	(void)state;
	two_taps();
	packet = stored(CAPTURE_NS, NULL);
	pb_stamper_init(&stamper, &two);
	assert_int_equal(pb_stamper_read(&stamper, a, &packet, &out), 1);
	assert_int_equal(out.count, 2);
	assert_int_equal(pb_stamper_read(&stamper, b, &packet, &out), 1);
	assert_int_equal(out.count, 2);
	pb_stamper_finish(&stamper);
	pb_head_unref(a);
	pb_head_unref(b);
}

static void
how_far_tai_is_ahead_stays_the_interfaces_word(void **state)
{
	struct pb_head *a = head_of("a", "tai_utc=36"), *b = head_of("b",
	    NULL);
	struct pb_trailer_list one = list_of("metamako@tai");
	struct pb_stamper stamper;
	struct pb_packet packet;
	struct pb_stamped out;
	uint64_t time_ns;

	(void)state;
	one.tai_utc = PB_TAI_UTC;
	two_taps();
	packet = stored(CAPTURE_NS, NULL);
	pb_stamper_init(&stamper, &one);
	assert_int_equal(pb_stamper_read(&stamper, a, &packet, &out), 1);
	time_ns = out.at[0].time_ns;
	assert_int_equal(pb_stamper_read(&stamper, b, &packet, &out), 1);
	assert_int_equal(time_ns, out.at[0].time_ns + PB_NS_PER_S);
	pb_stamper_finish(&stamper);
	pb_head_unref(a);
	pb_head_unref(b);
}

/* Whatever its interface says, or who asks. */
static void
packets_that_are_no_frames_of_ethernet_have_no_stamps(void **state)
{
	struct pb_head *raw = head_of_type("a", "trailers=exablaze fcs=yes",
	    PB_LINKTYPE_RAW);
	struct pb_trailer_list given = list_of("exablaze");
	struct pb_packet packet;

	(void)state;
	host_sends(60);
	exablaze(1, 2, NOW_S, 0);
	packet = stored(CAPTURE_NS, NULL);
	for (int i = 0; i < 2; i++) {
		struct pb_stamper stamper;
		struct pb_stamped out;

		pb_stamper_init(&stamper, i == 0 ? NULL : &given);
		assert_int_equal(pb_stamper_read(&stamper, raw, &packet,
		    &out), 0);
		assert_false(stamper.last->list.fcs);
		pb_stamper_finish(&stamper);
	}
	pb_head_unref(raw);
}

static void
no_stream_learns_from_anothers_keyframes(void **state)
{
	struct pb_head *a = head_of("a", NULL), *b = head_of("b", NULL);
	struct pb_trailer_list ticks = list_of("arista7150");
	struct pb_stamp_stream *first, *second;
	struct pb_stamper stamper;

	(void)state;
	pb_stamper_init(&stamper, &ticks);
	first = pb_stamper_stream(&stamper, a);
	first->context.key[0].seen = true;
	second = pb_stamper_stream(&stamper, b);
	assert_ptr_not_equal(first, second);
	assert_false(second->context.key[0].seen);
	assert_ptr_equal(pb_stamper_stream(&stamper, a), first);
	assert_true(first->context.key[0].seen);
	pb_stamper_finish(&stamper);
	pb_head_unref(a);
	pb_head_unref(b);
}

/* --- for people ---------------------------------------------------------- */

static void
times_have_as_many_decimals_as_tell_them_apart(void **state)
{
	static const struct {
		uint32_t fraction;
		const char *text;
	} rows[] = {
		{ 0, "2023-11-14T22:13:20.000000007Z" },
		{ 1u << 31, "2023-11-14T22:13:20.0000000075Z" },
		{ 1u << 29, "2023-11-14T22:13:20.000000007125Z" },
		{ 1, "2023-11-14T22:13:20.0000000070000000002Z" },
		{ 2, "2023-11-14T22:13:20.0000000070000000005Z" },
		{ UINT32_MAX, "2023-11-14T22:13:20.0000000079999999998Z" },
		{ UINT32_MAX - 1, "2023-11-14T22:13:20.0000000079999999995Z" },
		/* 1/2^24, the least that MetaWatch tells. */
		{ 256, "2023-11-14T22:13:20.0000000070000000596Z" },
	};
	char text[PB_STAMP_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_stamp stamp = { .time_ns = NOW_NS + 7,
		    .fraction = rows[i].fraction };

		assert_string_equal(pb_stamp_time(&stamp, text),
		    rows[i].text);
	}
}

static void
comments_say_what_is_known(void **state)
{
	static const struct {
		struct pb_stamp stamp;
		const char *text;
	} rows[] = {
		{ { .format = PB_STAMP_VSS }, "pb.stamp n=1 trailer=vss "
		    "flags=invalid" },
		{ { .format = PB_STAMP_TTAG, .time_ns = NOW_NS,
		    .flags = PB_STAMP_TIMED | PB_STAMP_EXTENDED }, "pb.stamp "
		    "n=1 trailer=ttag ts=1700000000.000000000 "
		    "flags=extended" },
		{ { .format = PB_STAMP_METAMAKO, .time_ns = NOW_NS + 5,
		    .fraction = 1u << 30, .device = 513, .port = 7, .seq = 9,
		    .flags = PB_STAMP_TIMED | PB_STAMP_PLACED |
		    PB_STAMP_SEQUENCED | PB_STAMP_FCS_VALID |
		    PB_STAMP_DUPLICATE | PB_STAMP_DEGRADED }, "pb.stamp n=1 "
		    "trailer=metamako device=513 port=7 seq=9 "
		    "ts=1700000000.00000000525 "
		    "flags=fcs_valid,duplicate,degraded" },
		{ { .format = PB_STAMP_ARISTA7150, .flags = PB_STAMP_ADRIFT },
		    "pb.stamp n=1 trailer=arista7150 flags=adrift,invalid" },
		{ { .format = 200, .flags = PB_STAMP_TIMED },
		    "pb.stamp n=1 trailer=? ts=0.000000000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_stamped stamped = { .count = 1,
		    .at[0] = rows[i].stamp };
		struct pb_buf out;

		pb_buf_init(&out, 1024);
		assert_int_equal(pb_stamp_comment(&out, 1, &stamped), 0);
		assert_string_equal(pb_buf_cstr(&out), rows[i].text);
		stamped.from = 1;
		assert_int_equal(pb_stamp_comment(&out, 1, &stamped), 0);
		assert_non_null(strstr(pb_buf_cstr(&out), " time=packet"));
		pb_buf_finish(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interfaces_words_become_a_list),
		cmocka_unit_test(
		    the_frame_tells_where_nothing_stands_beside_it),
		cmocka_unit_test(
		    a_time_that_is_a_stamps_leaves_the_captures_beside_it),
		cmocka_unit_test(
		    records_count_more_than_the_frame_unless_a_list_is_given),
		cmocka_unit_test(a_malformed_option_counts_as_none),
		cmocka_unit_test(
		    a_list_that_needs_a_context_reads_nothing_without),
		cmocka_unit_test(
		    each_stream_is_read_by_what_its_interface_says),
		cmocka_unit_test(a_list_that_is_given_goes_for_all_streams),
		cmocka_unit_test(
		    how_far_tai_is_ahead_stays_the_interfaces_word),
		cmocka_unit_test(
		    packets_that_are_no_frames_of_ethernet_have_no_stamps),
		cmocka_unit_test(no_stream_learns_from_anothers_keyframes),
		cmocka_unit_test(
		    times_have_as_many_decimals_as_tell_them_apart),
		cmocka_unit_test(comments_say_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
