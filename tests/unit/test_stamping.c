/*
 * tests/unit/test_stamping.c - trailers of frames as they are captured
 */
#include "tests/unit/trailer_frames.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/stamping.h"

#define CAPTURE_NS	(NOW_NS + 5 * PB_NS_PER_MS)

static const char *key;	/* at fault */

static struct pb_stamping stamping;
static struct pb_stamping_lane lane;
static struct pb_stamped stamped;
static uint64_t time_ns;

static void
capture_is(const char *trailers, const char *from)
{
	struct pb_conf_capture capture = { .interface = "eth9",
	    .tai_utc = 37, .threads = 1 };
	struct pb_err err;

	strcpy(capture.trailers, trailers);
	strcpy(capture.timestamp_from, from);
	memset(&stamping, 0, sizeof(stamping));
	memset(&lane, 0, sizeof(lane));
	assert_int_equal(pb_stamping_init(&stamping, &capture, &key, &err), 0);
}

/* What `frame` is, without its last FCS, is captured. */
static bool
captured(void)
{
	memset(&stamped, 0xA5, sizeof(stamped));
	time_ns = CAPTURE_NS;
	return pb_stamping_packet(&stamping, &lane, frame.data, frame.len - 4,
	    frame.len - 4, &time_ns, &stamped);
}

static struct pb_stamping_counts
counts(void)
{
	struct pb_stamping_counts out;

	pb_stamping_turn(&stamping, &lane, "eth9", 1);
	pb_stamping_counts(&stamping, &out);
	return out;
}

static void
nothing_stands_beside_what_tells_itself(void **state)
{
	(void)state;
	capture_is("metamako,metamako", "capture");
	host_sends(60);
	metamako(NOW_S, 100, 1, 7, 3);
	metamako(NOW_S, 250, 5, 9, 4);
	assert_false(captured());
	assert_int_equal(time_ns, CAPTURE_NS);
	assert_int_equal(counts().parsed[0], 1);
	assert_int_equal(counts().parsed[1], 1);
	assert_int_equal(counts().unparsed[0] + counts().unparsed[1], 0);
}

static void
the_time_is_the_chosen_stamps_and_the_captures_stays(void **state)
{
	static const struct { const char *from; unsigned place, ns; } rows[] = {
		{ "trailer", 1, 100 }, { "outermost", 2, 250 },
		{ "trailer:1", 2, 250 }, { "trailer:2", 1, 100 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		capture_is("metamako,metamako", rows[i].from);
		host_sends(60);
		metamako(NOW_S, 100, 1, 7, 3);
		metamako(NOW_S, 250, 5, 9, 4);
		assert_true(captured());
		assert_int_equal(time_ns, NOW_NS + rows[i].ns);
		assert_int_equal(stamped.capture_ns, CAPTURE_NS);
		assert_int_equal(stamped.from, rows[i].place);
		assert_int_equal(stamped.count, 0);
	}
}

static void
a_stamp_without_a_valid_time_gives_none(void **state)
{
	(void)state;
	capture_is("metamako", "trailer");
	host_sends(60);
	metamako(0, 100, 1, 7, 3);
	assert_false(captured());
	assert_int_equal(time_ns, CAPTURE_NS);
}

/* As the end of a frame without a trailer may be; or a clock is wrong. */
static void
a_stamp_far_off_the_captures_clock_gives_none(void **state)
{
	static const struct { int64_t days; bool gives; } rows[] = {
		{ 0, true }, { -29, true }, { 30, true }, { 31, false },
		{ -31, false }, { 9000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t s = NOW_S + rows[i].days * 86400;

		capture_is("exablaze", "trailer");
		host_sends(60);
		exablaze(1, 2, (uint32_t)s, 0);
		assert_int_equal(captured(), rows[i].gives);
		assert_int_equal(time_ns, rows[i].gives ?
		    (uint64_t)s * PB_NS_PER_S : CAPTURE_NS);
		assert_int_equal(counts().parsed[0], 1);
		assert_int_equal(stamping.told_apart, !rows[i].gives);
	}
	/* A capture without a clock knows nothing. */
	capture_is("exablaze", "trailer");
	host_sends(60);
	exablaze(1, 2, NOW_S, 0);
	time_ns = 5;
	assert_true(pb_stamping_packet(&stamping, &lane, frame.data,
	    frame.len - 4, frame.len - 4, &time_ns, &stamped));
	assert_int_equal(time_ns, NOW_NS);
}

static void
resolved_stamps_are_kept_where_the_frame_needs_more(void **state)
{
	(void)state;
	capture_is("arista7150", "trailer");
	host_sends(60);
	arista7150(77);
	assert_true(captured());
	assert_int_equal(time_ns, CAPTURE_NS);
	assert_int_equal(stamped.from, 0);
	assert_int_equal(stamped.count, 1);
	assert_int_equal(stamped.at[0].format, PB_STAMP_ARISTA7150);
	assert_true(stamped.at[0].flags & PB_STAMP_ADRIFT);
}

static void
what_is_inside_of_one_that_does_not_parse_is_not_counted(void **state)
{
	struct pb_stamping_counts now;

	(void)state;
	capture_is("metamako,raw:8,raw:64", "capture");
	stamping.told = true;
	host_sends(60);
	metamako(NOW_S, 100, 1, 7, 3);
	assert_false(captured());
	host_sends(60);
	memset(frame.data + 20, 0xff, 44);
	assert_false(captured());
	now = counts();
	assert_int_equal(now.parsed[0], 1);
	assert_int_equal(now.unparsed[0], 1);
	assert_int_equal(now.parsed[1] + now.unparsed[1], 1);
	assert_int_equal(now.parsed[2] + now.unparsed[2],
	    now.parsed[1]);
	assert_int_equal(now.keyframes, 0);
}

static void
frames_that_were_cut_are_counted_as_without(void **state)
{
	(void)state;
	capture_is("metamako", "trailer");
	host_sends(60);
	metamako(NOW_S, 100, 1, 7, 3);
	time_ns = CAPTURE_NS;
	for (uint32_t caplen = 0; caplen < frame.len - 4; caplen++)
		assert_false(pb_stamping_packet(&stamping, &lane, frame.data,
		    caplen, frame.len - 4, &time_ns, &stamped));
	assert_int_equal(counts().parsed[0], 0);
	assert_int_equal(counts().unparsed[0], frame.len - 4);
	/* What they looked like they do not tell. */
	assert_false(stamping.told);
}

/* --- what is told -------------------------------------------------------- */

static int	saved, into;

static void
listen(void)
{
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	into = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	assert_true(saved >= 0 && into >= 0);
	assert_true(dup2(into, STDERR_FILENO) >= 0);
}

static const char *
heard(void)
{
	static char text[4096];
	ssize_t len;

	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	len = pread(into, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	close(saved);
	close(into);
	return text;
}

static unsigned
lines(const char *text)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void
the_first_that_does_not_fit_is_told_and_what_it_looks_like(void **state)
{
	const char *said;

	(void)state;
	capture_is("ixia", "capture");
	listen();
	for (int i = 0; i < 100; i++) {
		host_sends(60);
		metamako(NOW_S, 100, 1, 7, 3);
		assert_false(captured());
		if (i % 8 == 0)
			pb_stamping_turn(&stamping, &lane, "eth9", 5000);
	}
	said = heard();
	assert_int_equal(lines(said), 1);
	if (strstr(said, "warn capture: frames do not fit trailers = "
	    "ixia, fcs = no interface=eth9 looked_at=32: 32 of these "
	    "have trailers = metamako, fcs = no; Fix: write that; they are "
	    "captured as they are") == NULL)
		fail_msg("%s", said);
	assert_null(lane.guess);
}

/* One frame and no more, and the time to look is over. */
static void
a_lonely_frame_is_told_before_long(void **state)
{
	const char *said;

	(void)state;
	capture_is("metamako", "capture");
	listen();
	host_sends(60);
	memset(frame.data + 20, 0xff, 44);
	assert_false(captured());
	pb_stamping_turn(&stamping, &lane, "eth9", 5000);
	pb_stamping_turn(&stamping, &lane, "eth9", 5999);
	assert_non_null(lane.guess);
	pb_stamping_turn(&stamping, &lane, "eth9", 6000);
	pb_stamping_turn(&stamping, &lane, "eth9", 9000);
	said = heard();
	assert_int_equal(lines(said), 1);
	if (strstr(said, "looked_at=1: these look like no trailers that are "
	    "known; Fix: trailers = none, where there are none") == NULL)
		fail_msg("%s", said);
}

static void
what_a_lane_looks_at_is_told_when_it_ends(void **state)
{
	const char *said;

	(void)state;
	capture_is("metamako", "capture");
	listen();
	host_sends(60);
	memset(frame.data + 20, 0xff, 44);
	assert_false(captured());
	pb_stamping_end(&stamping, &lane, "eth9");
	said = heard();
	assert_int_equal(lines(said), 1);
	assert_null(lane.guess);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stands_beside_what_tells_itself),
		cmocka_unit_test(
		    the_time_is_the_chosen_stamps_and_the_captures_stays),
		cmocka_unit_test(a_stamp_without_a_valid_time_gives_none),
		cmocka_unit_test(a_stamp_far_off_the_captures_clock_gives_none),
		cmocka_unit_test(
		    resolved_stamps_are_kept_where_the_frame_needs_more),
		cmocka_unit_test(
		    what_is_inside_of_one_that_does_not_parse_is_not_counted),
		cmocka_unit_test(frames_that_were_cut_are_counted_as_without),
		cmocka_unit_test(
		    the_first_that_does_not_fit_is_told_and_what_it_looks_like),
		cmocka_unit_test(a_lonely_frame_is_told_before_long),
		cmocka_unit_test(what_a_lane_looks_at_is_told_when_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
