/*
 * tests/unit/test_trailer_carried.c - where what a frame carries ends, and
 * that nothing is behind it
 */
#include "tests/unit/trailer_frames.h"

#define FRAME_MIN	60u
#define METAMAKO_BYTES	20u		/* with both FCS */

/* Lists that any bytes parse. */
static const char *const any[] = { "exablaze", "ttag", "raw:4",
    "arista7150" };
#define ANY		(sizeof(any) / sizeof(any[0]))

/* What a frame carries, behind its addresses, and how long it says it is. */
static const struct carried {
	const char	*what;
	uint8_t		 head[24];
	uint32_t	 heads, bytes;
} rows[] = {
	{ "IPv4", { 0x08, 0, 0x45, 0, 0, 90 }, 6, 2 + 90 },
	{ "IPv4 with options", { 0x08, 0, 0x46, 0, 0, 90 }, 6, 2 + 90 },
	{ "IPv4, tagged", { 0x81, 0, 0, 1, 0x08, 0, 0x45, 0, 0, 90 }, 10,
	    6 + 90 },
	{ "IPv4, tagged twice", { 0x88, 0xA8, 0, 1, 0x81, 0, 0, 1, 0x08, 0,
	    0x45, 0, 0, 90 }, 14, 10 + 90 },
	{ "IPv4, short", { 0x08, 0, 0x45, 0, 0, 44 }, 6, 2 + 44 },
	{ "IPv6", { 0x86, 0xDD, 0x60, 0, 0, 0, 0, 50 }, 8, 2 + 90 },
	{ "802.3", { 0, 38, 0x42, 0x42, 3 }, 5, 2 + 38 },
	{ "802.3, long", { 0, 100, 0x42, 0x42, 3 }, 5, 2 + 100 },
	{ "ARP", { 0x08, 0x06, 0, 1, 8, 0, 6, 4 }, 8, 2 + 28 },
	{ "PTP", { 0x88, 0xF7, 0, 2, 0, 44 }, 6, 2 + 44 },
	{ "PTP, long", { 0x88, 0xF7, 11, 2, 0, 64 }, 6, 2 + 64 },
	{ "LLDP", { 0x88, 0xCC, 2, 4, 7, 7, 7, 7, 4, 2, 7, 7, 6, 2, 0, 120, 0,
	    0 }, 18, 18 },
};
#define ROWS		(sizeof(rows) / sizeof(rows[0]))

/* As its host sends it, or with so many bytes less, which a switch cut off;
 * the FCS behind it. */
static void
carries(const struct carried *row, uint32_t less, uint32_t least)
{
	host_sends(12 + row->bytes - less);
	drop_fcs();
	memcpy(frame.data + 12, row->head, row->heads);
	while (frame.len < least)
		put_be(0, 1);
	put_fcs();
}

static void
assert_read(unsigned read)
{
	assert_int_equal(got.read, read);
	assert_int_equal(got.whole, read == list.count);
	assert_within(frame.len);
}

static void
behind_the_end_of_what_is_carried_there_is_no_trailer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS * ANY * 2; i++) {
		list_is(any[i % ANY], i / ANY % 2 == 1);
		carries(&rows[i / ANY / 2], 0, FRAME_MIN);
		if (!list.fcs)
			drop_fcs();
		read_frame();
		assert_read(0);
		assert_int_equal(got.count, 0);
		assert_int_equal(got.fcs_at, frame.len - (list.fcs ? 4 : 0));
	}
}

static void
what_a_switch_put_there_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		carries(&rows[i], 0, FRAME_MIN);
		metamako(NOW_S, 1, 1, 1, 1);
		list_is("metamako", true);
		read_frame();
		assert_read(1);
		assert_int_equal(pb_trailers_check_fcs(&got, frame.data), 1);
	}
}

/* The second switch stamped what the first one sent by itself. */
static void
each_trailer_is_looked_for_behind_what_is_carried(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		carries(&rows[i], 0, FRAME_MIN);
		metamako(NOW_S, 1, 1, 1, 1);
		list_is("metamako,exablaze", true);
		read_frame();
		assert_read(1);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.fcs_at + METAMAKO_BYTES, frame.len);
	}
}

static void
frames_that_a_switch_cut_have_trailers(void **state)
{
	(void)state;
	carries(&rows[0], 20, 0);
	exablaze(1, 2, NOW_S, 0);
	list_is("exablaze", true);
	read_frame();
	assert_read(1);
	assert_place(0, 1, 2);
}

/* A switch takes a tag from a frame of 60 bytes, and puts a tick there. */
static void
a_short_packet_may_have_as_many_bytes_as_a_frame_at_least(void **state)
{
	static const struct carried row = { "", { 0x08, 0, 0x45, 0, 0, 40 },
	    6, 2 + 40 };

	(void)state;
	carries(&row, 0, FRAME_MIN - 4);
	arista7150(0);
	list_is("arista7150", true);
	read_frame();
	assert_read(1);
	assert_int_equal(got.count, 1);
}

/* It is read no further than it is. */
static void
a_header_that_is_cut_says_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++)
		for (uint32_t len = 0; len < 60; len++) {
			carries(&rows[i], 0, FRAME_MIN);
			list_is("raw:1", false);
			read_cut(len, len, NOW_NS);
			assert_within(len);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    behind_the_end_of_what_is_carried_there_is_no_trailer),
		cmocka_unit_test(what_a_switch_put_there_is_read),
		cmocka_unit_test(
		    each_trailer_is_looked_for_behind_what_is_carried),
		cmocka_unit_test(frames_that_a_switch_cut_have_trailers),
		cmocka_unit_test(
		    a_short_packet_may_have_as_many_bytes_as_a_frame_at_least),
		cmocka_unit_test(a_header_that_is_cut_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
