/*
 * tests/unit/test_trailer_guess.c - which list would parse what is shown
 */
#include "tests/unit/packets.h"
#include "tests/unit/trailer_frames.h"

#define BYTES	90u
#define FRAMES	50
#define RANDOM	20000

static struct pb_trailer_guess *guess;
static struct pb_trailer_fit fit;
static unsigned number;			/* of the frame that is made */

static int
start(void **state)
{
	struct pb_err err;

	(void)state;
	number = 0;
	return pb_trailer_guess_create(&guess, &err);
}

static int
end(void **state)
{
	(void)state;
	pb_trailer_guess_destroy(guess);
	return 0;
}

static void
show(uint64_t capture_ns)
{
	uint8_t *copy = malloc(frame.len > 0 ? frame.len : 1);

	assert_non_null(copy);
	memcpy(copy, frame.data, frame.len);
	pb_trailer_guess_frame(guess, copy, frame.len, frame.len, capture_ns);
	free(copy);
}

/* The best list, and that it parses `fits` of what was shown. */
static void
assert_best(const char *text, bool fcs, uint64_t fits)
{
	char best[PB_TRAILER_TEXT_MAX];

	assert_true(pb_trailer_guess_fit(guess, 0, &fit));
	pb_trailer_list_text(&fit.list, best);
	assert_string_equal(best, text);
	assert_int_equal(fit.list.fcs, fcs);
	assert_int_equal(fit.fits, fits);
}

/* --- ways of frames ------------------------------------------------------ */

static void
by_metamako(void)
{
	metamako(NOW_S, 5 + number, 1, 2, 3);
}

static void
by_exablaze(void)
{
	exablaze(1, 2, NOW_S, number + 3);
}

static void
by_vss(void)
{
	vss(NOW_S, 3u << 30 | number, 0, 0);
}

static void
by_vss_1(void)
{
	vss(NOW_S, 3u << 30 | number, 1, 9);
}

static void
by_vss_2(void)
{
	vss(NOW_S, 3u << 30 | number, 2, 9);
}

static void
by_ixia(void)
{
	ixia_time(6, NOW_S, number);
}

static void
by_arista7280(void)
{
	arista7280(number % 2 ? 0x0110 : 0x0120, NOW_S, number);
}

static void
by_mac48(void)
{
	mac48((uint16_t)NOW_S, number);
}

static void
by_mac48_tai(void)
{
	mac48((uint16_t)(NOW_S + 37), number);
}

static void
by_ttag(void)
{
	ttag((NOW_NS + number) & 0xFFFFFFFFFFFF);
}

static void
by_ttag_header(void)
{
	uint8_t tag[8] = { 0x88, 0xB5 };

	pb_put_be16(tag + 2, (uint16_t)((NOW_NS + number) >> 32));
	pb_put_be32(tag + 4, (uint32_t)(NOW_NS + number));
	header(tag, sizeof(tag));
}

static void
by_ttag_behind_vlans(void)
{
	static const uint8_t vlan[] = { 0x81, 0x00, 0, 7 };

	by_ttag_header();
	header(vlan, sizeof(vlan));
}

/* Clocks of TAI, as near to the capture's as clocks are. */
static void
by_metamako_tai(void)
{
	metamako(NOW_S + 37, 5 + number, 1, 2, 3);
}

static void
by_exablaze_tai(void)
{
	exablaze(1, 2, NOW_S + 38, number + 3);
}

static void
by_vss_tai(void)
{
	vss(NOW_S + 36, 3u << 30 | number, 0, 0);
}

static void
by_ixia_tai(void)
{
	ixia_time(6, NOW_S + 37, number);
}

/* As far off as no scale is. */
static void
by_metamako_late(void)
{
	metamako(NOW_S + 60, 5 + number, 1, 2, 3);
}

static void
by_broadcom(void)
{
	broadcom(NOW_S, number, 7);
}

static const struct {
	const char	*list;
	void		(*by[4])(void);
} ways[] = {
	{ "metamako", { by_metamako } },
	{ "exablaze", { by_exablaze } },
	{ "vss", { by_vss } },
	{ "vss:1", { by_vss_1 } },
	{ "vss:2", { by_vss_2 } },
	{ "ixia", { by_ixia } },
	{ "arista7280", { by_arista7280 } },
	{ "mac48", { by_mac48 } },
	{ "mac48@tai", { by_mac48_tai } },
	{ "ttag", { by_ttag } },
	{ "ttag:0x88b5", { by_ttag_header } },
	{ "ttag:0x88b5", { by_ttag_behind_vlans } },
	{ "broadcom", { by_broadcom } },
	{ "metamako@tai", { by_metamako_tai } },
	{ "exablaze@tai", { by_exablaze_tai } },
	{ "vss@tai", { by_vss_tai } },
	{ "ixia@tai", { by_ixia_tai } },
	{ "metamako,ixia@tai", { by_ixia_tai, by_metamako } },
	{ "metamako", { by_metamako_late } },
	{ "exablaze@tai,metamako", { by_metamako, by_exablaze_tai } },
	{ "metamako,exablaze@tai,metamako@tai",
	  { by_metamako_tai, by_exablaze_tai, by_metamako } },
	{ "metamako,metamako", { by_metamako, by_metamako } },
	{ "exablaze,metamako", { by_metamako, by_exablaze } },
	{ "metamako,arista7280", { by_arista7280, by_metamako } },
	{ "arista7280,metamako", { by_metamako, by_arista7280 } },
	{ "metamako,ixia,vss:1", { by_vss_1, by_ixia, by_metamako } },
	{ "exablaze,metamako,metamako",
	  { by_metamako, by_metamako, by_exablaze } },
};

static void
the_list_that_made_the_frames_is_the_best(void **state)
{
	(void)state;
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (int fcs = 0; fcs < 2; fcs++) {
			end(state);
			start(state);
			for (number = 0; number < FRAMES; number++) {
				host_sends(BYTES + number);
				for (int i = 0; ways[w].by[i] != NULL; i++)
					ways[w].by[i]();
				if (!fcs)
					drop_fcs();
				show(NOW_NS + number);
			}
			assert_best(ways[w].list, fcs, FRAMES);
			assert_int_equal(fit.frames, FRAMES);
		}
}

/* Frames of long ago, captured today: their FCS speaks for them. */
static void
an_original_fcs_speaks_for_a_time_far_off(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES);
		by_metamako();
		by_exablaze();
		drop_fcs();
		show(NOW_NS + (5ull << 56));
	}
	assert_best("exablaze,metamako", false, FRAMES);
}

static void
the_share_is_that_of_the_frames_that_have_it(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES);
		if (number % 10 != 0)
			by_metamako();
		show(NOW_NS);
	}
	assert_best("metamako", true, FRAMES * 9 / 10);
	assert_int_equal(fit.frames, FRAMES);
	/* As for the FCS, they might be of exablaze, too; and those that end
	 * with an FCS are all. */
	assert_true(pb_trailer_guess_fit(guess, 1, &fit));
	assert_int_equal(fit.list.count, 1);
	assert_true(pb_trailer_guess_fit(guess, 2, &fit));
	assert_int_equal(fit.list.count, 0);
	assert_true(fit.list.fcs);
	assert_int_equal(fit.fits, FRAMES);
	assert_false(pb_trailer_guess_fit(guess, 3, &fit));
}

static void
ticks_are_known_by_their_keyframes(void **state)
{
	static const uint8_t head[] = { 1, 0, 0x5E, 0, 0, 1, 2, 0, 0, 0, 0, 9,
	    0x08, 0x00, 0x45, 0, 0, 66, 0, 0, 0, 0, 0x40, 0xFD, 0x8F, 0xBD,
	    10, 0, 0, 1, 0xE0, 0, 0, 1 };

	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES);
		if (number == 10) {
			frame.len = 0;
			put(head, sizeof(head));
			put_be(3500, 8);
			put_be(NOW_NS, 8);
			put_be(0, 8);
			put_be(0, 8);
			put_be(0, 8);
			put_be(0x00010002, 4);
			put_be(1, 1);
			put_be(0, 1);
			put_fcs();
		} else {
			arista7150(3500 + number);
		}
		by_metamako();
		drop_fcs();
		show(NOW_NS);
	}
	assert_best("metamako,arista7150", false, FRAMES - 10);
	assert_true(fit.list.needs_context);
}

/* Of a switch of TAI some frames, such as its own, say something else; of one
 * that is far off, some are there by chance. */
static void
most_stamps_say_which_scale_it_is(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES);
		if (number % 25 == 0)
			by_metamako_late();
		else
			by_metamako_tai();
		if (number % 2 == 0)
			by_exablaze_tai();
		else
			by_exablaze();
		show(NOW_NS);
	}
	assert_best("exablaze,metamako@tai", true, FRAMES);
	end(state);
	start(state);
	host_sends(BYTES);
	by_metamako_tai();
	show(NOW_NS);
	assert_best("metamako@tai", true, 1);
}

/* --- what has none ------------------------------------------------------- */

static void
random_bytes_hardly_look_like_a_list(void **state)
{
	(void)state;
	for (int i = 0; i < RANDOM; i++) {
		uint32_t len = 60 + any(200);

		frame.len = 0;
		while (frame.len < len)
			put_be(any(65536), 2);
		show(NOW_NS);
	}
	for (size_t n = 0; pb_trailer_guess_fit(guess, n, &fit); n++)
		assert_in_range(fit.fits, 1, RANDOM / 1000);
}

static void
plain_frames_look_like_nothing(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(60 + number);
		drop_fcs();
		show(NOW_NS);
	}
	memset(frame.data, 0, sizeof(frame.data));
	for (frame.len = 0; frame.len < 100; frame.len++)
		show(NOW_NS);
	assert_false(pb_trailer_guess_fit(guess, 0, &fit));
}

/* A host whose address looks like the time, for a while. */
/* A program's own time at the end of its message is no switch's: neither
 * nanoseconds as of ttag nor seconds and nanoseconds as of vss. */
static void
a_time_within_a_packet_is_no_trailer(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES - 8);
		drop_fcs();
		frame.data[14] = 0x45;
		pb_put_be16(frame.data + 16, BYTES - 14);
		if (number % 2 == 0)
			put_be(NOW_NS + number, 8);
		else
			put_be((uint64_t)NOW_S << 32 | number, 8);
		show(NOW_NS);
	}
	assert_false(pb_trailer_guess_fit(guess, 0, &fit) && fit.fits > 1);
}

static void
an_address_that_stays_is_no_time(void **state)
{
	(void)state;
	for (number = 0; number < FRAMES; number++) {
		host_sends(BYTES);
		mac48((uint16_t)NOW_S, 1);
		drop_fcs();
		show(NOW_NS);
	}
	assert_best("mac48", false, 1);
}

static void
frames_that_were_cut_are_shown_and_do_not_fit(void **state)
{
	(void)state;
	host_sends(BYTES);
	by_metamako();
	pb_trailer_guess_frame(guess, frame.data, frame.len - 4, frame.len,
	    NOW_NS);
	assert_false(pb_trailer_guess_fit(guess, 0, &fit));
	show(NOW_NS);
	assert_best("metamako", true, 1);
	assert_int_equal(fit.frames, 2);
}

/* Headers within headers could be peeled in any order for ever. */
static void
the_work_of_a_frame_is_bounded(void **state)
{
	(void)state;
	host_sends(BYTES);
	for (int i = 0; i < 40; i++)
		by_arista7280();
	for (int i = 0; i < 40; i++)
		by_metamako();
	for (int i = 0; i < 1000; i++)
		show(NOW_NS);
	assert_true(pb_trailer_guess_fit(guess, 0, &fit));
	assert_int_equal(fit.list.count, PB_STAMPS_MAX);
	assert_int_equal(fit.fits, 1000);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(the_list_that_made_the_frames_is_the_best),
		TEST(an_original_fcs_speaks_for_a_time_far_off),
		TEST(the_share_is_that_of_the_frames_that_have_it),
		TEST(ticks_are_known_by_their_keyframes),
		TEST(most_stamps_say_which_scale_it_is),
		TEST(random_bytes_hardly_look_like_a_list),
		TEST(plain_frames_look_like_nothing),
		TEST(a_time_within_a_packet_is_no_trailer),
		TEST(an_address_that_stays_is_no_time),
		TEST(frames_that_were_cut_are_shown_and_do_not_fit),
		TEST(the_work_of_a_frame_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
