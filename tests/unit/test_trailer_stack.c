/*
 * tests/unit/test_trailer_stack.c - trailers on trailers, in any mix
 */
#include "tests/unit/trailer_frames.h"

#define BYTES		64u
#define DEPTH_MAX	3

/* Of each switch the time, the n-th way through it. */
#define NS_OF(n)	(NOW_NS + 1000 + (n))

struct kind {
	const char	*name;
	enum pb_stamp_format format;
	bool		 keeps_fcs;
	void		(*passes)(unsigned n);
};

static void
metamako_passes(unsigned n)
{
	metamako(NOW_S, 1000 + n, 0x01, (uint16_t)n, (uint8_t)n);
}

static void
exablaze_passes(unsigned n)
{
	/* The smallest fraction that is so many nanoseconds. */
	exablaze((uint8_t)n, (uint8_t)n, NOW_S,
	    (((uint64_t)(1000 + n) << 40) + 999999999) / 1000000000);
}

static void
vss_passes(unsigned n)
{
	vss(NOW_S, 3u << 30 | (1000 + n), 1, (uint16_t)n);
}

static void
ixia_passes(unsigned n)
{
	ixia_time(6, NOW_S, 1000 + n);
}

static void
arista7280_passes(unsigned n)
{
	arista7280(0x0010, NOW_S + 37, 1000 + n);
}

static void
ttag_passes(unsigned n)
{
	ttag(NS_OF(n) & 0xFFFFFFFFFFFF);
}

static void
raw_passes(unsigned n)
{
	drop_fcs();
	put_be(n, 8);
	put_fcs();
}

static const struct kind kinds[] = {
	{ "metamako", PB_STAMP_METAMAKO, true, metamako_passes },
	{ "cpacket", PB_STAMP_CPACKET, true, metamako_passes },
	{ "exablaze", PB_STAMP_EXABLAZE, true, exablaze_passes },
	{ "vss:1", PB_STAMP_VSS, false, vss_passes },
	{ "ixia", PB_STAMP_IXIA, false, ixia_passes },
	{ "arista7280", PB_STAMP_ARISTA7280, false, arista7280_passes },
	{ "ttag", PB_STAMP_TTAG, false, ttag_passes },
	{ "raw:8", PB_STAMP_RAW, false, raw_passes },
};
#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* Through `depth` switches, kind[0] the first, and read. */
static void
passes(const struct kind *const kind[], unsigned depth, bool fcs)
{
	char text[PB_TRAILER_TEXT_MAX] = "";

	host_sends(BYTES);
	for (unsigned i = 0; i < depth; i++)
		kind[i]->passes(i);
	for (unsigned i = depth; i-- > 0; )
		strcat(strcat(text, kind[i]->name), i > 0 ? "," : "");
	list_is(text, fcs);
	if (!fcs)
		drop_fcs();
	read_frame();
}

static void
assert_passed(const struct kind *const kind[], unsigned depth)
{
	unsigned at = 0;

	for (unsigned i = 0; i < depth; i++) {
		if (kind[i]->format == PB_STAMP_RAW)
			continue;
		assert_int_equal(got.at[at].format, kind[i]->format);
		assert_int_equal(got.at[at].time_ns, NS_OF(i));
		assert_int_equal(got.place[at], depth - i);
		assert_true(got.at[at].flags & PB_STAMP_TIMED);
		at++;
	}
	assert_int_equal(got.count, at);
	assert_restored(BYTES, kind[0]->keeps_fcs);
}

/* Each of each format, up to three deep, with a last FCS and without. */
static void
any_mix_up_to_three_deep_is_read_and_restored(void **state)
{
	const struct kind *kind[DEPTH_MAX];
	unsigned mixes = 0;

	(void)state;
	for (size_t n = 0; n < KINDS * KINDS * KINDS * DEPTH_MAX; n++) {
		unsigned depth = (unsigned)(n % DEPTH_MAX) + 1;
		size_t left = n / DEPTH_MAX;

		for (unsigned i = 0; i < DEPTH_MAX; i++, left /= KINDS)
			kind[i] = &kinds[left % KINDS];
		for (int fcs = 0; fcs < 2; fcs++, mixes++) {
			passes(kind, depth, fcs != 0);
			assert_passed(kind, depth);
		}
	}
	assert_int_equal(mixes, KINDS * KINDS * KINDS * DEPTH_MAX * 2);
}

static void
eight_deep_is_the_most(void **state)
{
	const struct kind *kind[PB_STAMPS_MAX];

	(void)state;
	for (unsigned i = 0; i < PB_STAMPS_MAX; i++)
		kind[i] = &kinds[i % 3];
	passes(kind, PB_STAMPS_MAX, true);
	assert_passed(kind, PB_STAMPS_MAX);
	for (unsigned i = 0; i < PB_STAMPS_MAX; i++)
		kind[i] = &kinds[5];
	passes(kind, PB_STAMPS_MAX, false);
	assert_passed(kind, PB_STAMPS_MAX);
}

static void
a_jumbo_frame_with_three_trailers_is_restored(void **state)
{
	(void)state;
	list_is("exablaze,metamako,metamako", true);
	host_sends(9014);
	metamako(NOW_S, 1, 1, 1, 1);
	metamako(NOW_S, 2, 1, 2, 2);
	exablaze(3, 3, NOW_S, 3);
	read_frame();
	assert_int_equal(got.count, 3);
	assert_restored(9014, true);
}

/* --- lists that take nothing --------------------------------------------- */

static void
without_a_list_the_frame_is_as_it_is(void **state)
{
	(void)state;
	list_is("none", false);
	host_sends(BYTES);
	drop_fcs();
	read_frame();
	assert_int_equal(got.read, 0);
	assert_int_equal(got.count, 0);
	assert_restored(BYTES, false);
	list_is("none", true);
	host_sends(BYTES);
	read_frame();
	assert_restored(BYTES, true);
}

/* Only what is taken off the end needs the end. */
static void
a_frame_that_was_cut_has_no_trailers(void **state)
{
	(void)state;
	list_is("metamako,metamako", false);
	host_sends(BYTES);
	metamako(NOW_S, 1, 1, 1, 1);
	metamako(NOW_S, 1, 1, 1, 1);
	drop_fcs();
	read_cut(frame.len, frame.len + 1, NOW_NS);
	assert_int_equal(got.read, 0);
	assert_int_equal(got.count, 0);
	assert_false(got.whole);
	assert_int_equal(got.len, frame.len);
	list_is("arista7280,metamako", false);
	arista7280(0x0110, NOW_S, 0);
	drop_fcs();
	read_cut(frame.len, frame.len + 1, NOW_NS);
	assert_int_equal(got.read, 0);
	list_is("none", false);
	read_cut(frame.len, frame.len + 1, NOW_NS);
	assert_true(got.whole);
	list_is("none", true);
	read_cut(frame.len, frame.len + 1, NOW_NS);
	assert_false(got.whole);
	assert_false(got.has_fcs);
}

/* As much of it as was captured is restored. */
static void
a_frame_that_was_cut_has_stamps_in_its_header(void **state)
{
	uint8_t bare[40];

	(void)state;
	list_is("arista7280,ttag:0x88b5,mac48", false);
	for (uint32_t cut = 0; cut < 90; cut++) {
		static const uint8_t tag[8] = { 0x88, 0xB5, 0, 0, 0, 0, 0, 1 };

		host_sends(BYTES);
		mac48((uint16_t)NOW_S, 3);
		header(tag, sizeof(tag));
		arista7280(0x0110, NOW_S, 1);
		read_cut(cut, frame.len, NOW_NS);
		assert_within(cut);
		assert_int_equal(got.count, cut < 28 ? 0 : cut < 36 ? 1 : 3);
		if (cut != 62)
			continue;
		assert_stamp(2, PB_STAMP_ARISTA7280, NOW_NS + 1, 0,
		    PB_STAMP_TIMED);
		assert_true(got.whole && !got.has_fcs);
		assert_int_equal(pb_trailers_strip(&got, frame.data, true,
		    bare), 40);
		assert_memory_equal(bare + 12, frame.data + 34, 28);
	}
}

/* --- a list that fits in part -------------------------------------------- */

static void
what_is_outside_a_misfit_is_told(void **state)
{
	(void)state;
	host_sends(BYTES);
	vss(NOW_S, 3u << 30, 0, 0);
	metamako(NOW_S, 7, 1, 1, 1);
	list_is("metamako,ixia,vss", true);
	read_frame();
	assert_int_equal(got.read, 1);
	assert_false(got.whole);
	assert_int_equal(got.count, 1);
	assert_stamp(0, PB_STAMP_METAMAKO, NOW_NS + 7, 0, PB_STAMP_TIMED |
	    PB_STAMP_PLACED | PB_STAMP_FCS_VALID);
	assert_int_equal(got.place[0], 1);
}

static void
a_wrong_original_fcs_is_seen(void **state)
{
	(void)state;
	list_is("metamako", true);
	host_sends(BYTES);
	frame.data[20] ^= 1;
	metamako(NOW_S, 1, 0, 1, 1);
	read_frame();
	assert_int_equal(pb_trailers_check_fcs(&got, frame.data), 0);
	/* A stamp in the header of a frame that is right inside. */
	list_is("arista7280,metamako", true);
	host_sends(BYTES);
	metamako(NOW_S, 1, 1, 1, 1);
	arista7280(0x0110, NOW_S, 0);
	read_frame();
	assert_restored(BYTES, true);
}

/* --- whose time counts --------------------------------------------------- */

static void
the_innermost_with_a_time_counts_or_the_one_that_is_named(void **state)
{
	static const struct {
		int choice, index;
	} rows[] = {
		{ PB_STAMP_CAPTURE, -1 }, { PB_STAMP_INNERMOST, 1 },
		{ PB_STAMP_OUTERMOST, 2 }, { 1, -1 }, { 2, 2 }, { 3, 1 },
		{ 4, -1 }, { 5, -1 },
	};

	(void)state;
	/* From the wire inwards: raw, metamako, metamako, one not set. */
	list_is("raw:8,metamako,metamako,metamako", true);
	host_sends(BYTES);
	metamako(0, 1, 1, 1, 1);
	metamako(NOW_S, 2, 1, 1, 1);
	metamako(NOW_S, 3, 1, 1, 1);
	raw_passes(9);
	read_frame();
	assert_int_equal(got.count, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(pb_trailers_choose(&got, rows[i].choice),
		    rows[i].index);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    any_mix_up_to_three_deep_is_read_and_restored),
		cmocka_unit_test(eight_deep_is_the_most),
		cmocka_unit_test(
		    a_jumbo_frame_with_three_trailers_is_restored),
		cmocka_unit_test(without_a_list_the_frame_is_as_it_is),
		cmocka_unit_test(a_frame_that_was_cut_has_no_trailers),
		cmocka_unit_test(
		    a_frame_that_was_cut_has_stamps_in_its_header),
		cmocka_unit_test(what_is_outside_a_misfit_is_told),
		cmocka_unit_test(a_wrong_original_fcs_is_seen),
		cmocka_unit_test(
		    the_innermost_with_a_time_counts_or_the_one_that_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
