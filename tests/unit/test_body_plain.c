/*
 * tests/unit/test_body_plain.c - plain packets give the same as the reader
 *
 * test_body.c has what a body becomes; here is that both ways of reading
 * its packets make the same of it, and which packets are plain.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/build.h"
#include "pcapng/plain.h"
#include "tests/unit/body_ways.h"
#include "tests/unit/ingest_body.h"

#define BODIES		3000
#define LARGE_EVERY	100		/* of them fills chunks */
#define PACKETS_SMALL	24u
#define IMAGE_FULL	(IMAGE_MAX - (64u << 10))
#define CHUNKS_MAX	100

static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };
static const struct pb_node self = { "core", "in the middle" };
static const struct pb_run all[] = { { 1, PB_SEQ_MAX } };
static uint64_t state_of_chance;
static uint32_t rare;		/* a mistake: one in so many */
static unsigned number;		/* of the body, where it is drawn */

/* The same bodies in every run. */
static uint32_t
chance(uint32_t below)
{
	state_of_chance = state_of_chance * 6364136223846793005ull +
	    1442695040888963407ull;
	return (uint32_t)(state_of_chance >> 33) % below;
}

static bool
one_in(uint32_t n)
{
	return chance(n) == 0;
}

/* How many packets were plain; fails where the ways differ. */
static uint64_t
expect_same_bytes(const uint8_t *data, size_t len, const struct pb_node *me,
    const struct pb_run *run, size_t runs, int chunks_max)
{
	struct pb_body body = {
		.data = data, .len = len, .key = &key, .self = me,
		.pen = BODY_PEN,
	};
	struct pb_body_build build = {
		.run = run, .runs = runs, .arrival_ns = 1800000000000000000ull,
		.number = 7000,
	};
	struct pb_body_scratch *scratch;
	const char *differs;
	struct pb_err err;
	uint64_t plain;

	assert_int_equal(pb_body_scratch_create(&scratch, &err), 0);
	differs = body_ways_differ(scratch, &body, &build, chunks_max, &plain);
	pb_body_scratch_destroy(scratch);
	if (differs != NULL)
		fail_msg("body %u: they differ in %s", number, differs);
	return plain;
}

static uint64_t
expect_same(const struct image *img, const struct pb_node *me,
    const struct pb_run *run, size_t runs, int chunks_max)
{
	return expect_same_bytes(img->data, img->len, me, run, runs,
	    chunks_max);
}

/* --- what our shippers send ---------------------------------------------- */

static void
all_packets_of_our_own_bodies_are_plain(void **state)
{
	static const uint32_t caplens[] = { 1, 2, 3, 4, 60, 601, 1514 };
	struct body_opts opts = { .first = 7, .last = 46,
	    .node = { "lon1", "par1", "fra1", "ams1" } };

	(void)state;
	for (size_t i = 0; i < sizeof(caplens) / sizeof(caplens[0]); i++)
		for (opts.nodes = 0; opts.nodes <= 4; opts.nodes++) {
			struct image *img;

			opts.caplen = caplens[i];
			opts.hops = opts.nodes > 0 ? opts.nodes - 1 : 0;
			img = body_image(&opts);
			assert_int_equal(expect_same(img, &self, all, 1,
			    CHUNKS_MAX), 40);
			if (opts.nodes <= 1)
				assert_int_equal(expect_same(img, NULL, all, 1,
				    CHUNKS_MAX), 40);
			free(img);
		}
}

static void
chunks_end_where_they_would_and_so_does_memory(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 16000, .caplen = 4 });

	(void)state;
	assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX), 16000);
	expect_same(img, &self, all, 1, 1);
	expect_same(img, &self, all, 1, 0);
	free(img);
}

static void
runs_begin_and_end_anywhere(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 10, .last = 20 });

	(void)state;
	for (uint64_t first = 8; first <= 22; first++)
		for (uint64_t last = first; last <= 22; last++) {
			struct pb_run run[] = { { first, last },
			    { last + 2, last + 2 }, { last + 4, last + 9 } };

			for (size_t runs = 0; runs <= 3; runs++)
				assert_int_equal(expect_same(img, &self, run,
				    runs, CHUNKS_MAX), 11);
		}
	free(img);
}

static void
a_body_of_another_order_or_clock_has_no_plain_packets(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 9, .big = true });

	(void)state;
	assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX), 0);
	free(img);
	for (int i = 0; i <= 1; i++) {
		img = body_begin(false);
		img_shb(img);
		img_idb_clock(img, i == 0 ? 6 : 9, i == 0 ? 0 : 5);
		body_packet(img, &(struct body_opts){ .nodes = 0 }, 1);
		body_packet(img, &(struct body_opts){ .nodes = 0 }, 2);
		assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX),
		    0);
		free(img);
	}
}

/* What the reader skips, packets in it included, nobody takes. */
static void
a_section_of_an_unknown_version_is_skipped_both_ways(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 2 };
	struct image *img = body_image(&opts);

	(void)state;
	img_shb_begin(img, 9, 9);
	img_end(img);
	img_idb_clock(img, 9, 0);
	body_packet(img, &opts, 3);
	assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX), 2);
	free(img);
}

static void
a_body_cut_anywhere_gives_the_same_error(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 4, .nodes = 2, .node = { "lon1", "par1" },
	    .hops = 1 });

	(void)state;
	for (; img->len > 0; img->len--)
		expect_same(img, &self, all, 1, CHUNKS_MAX);
	free(img);
}

static void
a_body_with_any_bit_flipped_gives_the_same(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 3, .nodes = 2, .node = { "lon1", "par1" },
	    .hops = 1, .caplen = 5 });

	(void)state;
	for (size_t bit = 0; bit < img->len * 8; bit++) {
		img->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect_same(img, &self, all, 1, CHUNKS_MAX);
		img->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(img);
}

/* --- anything ------------------------------------------------------------ */

static void
dirty_padding(struct image *img, size_t len)
{
	if (len % 4 != 0 && one_in(8))
		img->data[img->len - 1] = 1;
}

static void
put_hops(struct image *img, int hops)
{
	uint8_t value[8 + 16 * (PB_HOPS_MAX + 1)] = { 0 };
	size_t len = body_own(img, value, 2);

	if (one_in(rare))
		hops = (int)chance(PB_HOPS_MAX + 2);
	len += 16 * (size_t)hops;
	if (one_in(rare))
		len -= chance(9);
	for (size_t i = 8; i < len; i++)
		value[i] = (uint8_t)chance(256);
	if (hops > 0 || one_in(50))
		img_option(img, 2989, value, len);
}

static void
put_any_option(struct image *img)
{
	static const uint16_t codes[] = { 1, 1, 2, 3, 4, 4, 6, 7, 8, 2988,
	    2989, 19373, 999 };
	static const size_t lens[] = { 0, 1, 2, 3, 4, 8, 8, 9, 13 };
	size_t len = lens[chance(sizeof(lens) / sizeof(lens[0]))];
	uint8_t value[16];

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = one_in(4) ? 0 : (uint8_t)chance(256);
	img_option(img, codes[chance(sizeof(codes) / sizeof(codes[0]))],
	    value, len);
	dirty_padding(img, len);
}

static void
put_options(struct image *img, const struct body_opts *opts, uint64_t seq)
{
	bool early = one_in(20);

	if (early)
		put_any_option(img);
	if (!one_in(rare))
		img_option_number(img, 5, one_in(rare) ? chance(9) : seq,
		    one_in(rare) ? 4 : 8);
	if (one_in(3))
		img_option_number(img, 2, chance(4), 4);
	if (one_in(100))
		put_any_option(img);
	put_hops(img, opts->hops);
	if (one_in(4))
		img_option_number(img, 4, chance(5), 8);
	while (one_in(20))
		put_any_option(img);
	if (one_in(rare))
		img_option_number(img, 5, seq, 8);
	if (one_in(rare))
		put_hops(img, opts->hops);
	if (one_in(8))
		return;
	img_number(img, one_in(20) ? 0x00090000u : 0, 4);
	while (one_in(20))
		img_number(img, chance(1000), 4);
}

static void
put_any_packet(struct image *img, const struct body_opts *opts, uint64_t seq)
{
	static const uint32_t caplens[] = { 0, 1, 2, 3, 60, 64, 600, 1514 };
	uint8_t data[2048];
	uint32_t caplen = caplens[chance(sizeof(caplens) /
	    sizeof(caplens[0]))];

	memset(data, (int)(seq & 0xFF), sizeof(data));
	img_epb_begin(img, one_in(rare), BODY_TIME(seq) - chance(5000), data,
	    caplen, caplen + chance(2));
	dirty_padding(img, caplen);
	put_options(img, opts, seq);
	if (one_in(rare))
		img_number(img, 0xFFFF0001u, 4);
	img_end(img);
	if (one_in(rare))
		img->data[img->len - 4] ^= 4;
}

static void
put_any_block(struct image *img)
{
	static const uint32_t types[] = { PB_BLOCK_NRB, PB_BLOCK_DSB,
	    PB_BLOCK_CB, 0x99 };

	if (one_in(2)) {
		pb_build_filler(img->data + img->len, 64, 1, BODY_PEN);
		img->len += 64;
		return;
	}
	img_begin(img, one_in(2) ? PB_BLOCK_ISB : types[chance(4)]);
	img_number(img, 0, 4);
	img_ticks(img, 77);
	img_option_number(img, PB_OPT_ISB_IFRECV, 1234, 8);
	img_end(img);
}

static struct image *
any_image(struct body_opts *opts, bool large)
{
	struct image *img = body_begin(one_in(20));
	uint64_t seq;

	opts->first = one_in(10) ? 1 : 1 + chance(100000);
	if (one_in(200))
		opts->first = (uint64_t)PB_SEQ_MAX - chance(10);
	opts->last = opts->first + (large ? 1000000 :
	    chance(PACKETS_SMALL));
	opts->nodes = one_in(3) ? 0 : (int)chance(4) + 1;
	if (one_in(50))
		opts->nodes = PB_HOPS_MAX - (int)chance(2);
	opts->hops = opts->nodes > 0 ? opts->nodes - 1 : 0;
	body_head(img, opts);
	for (seq = opts->first; seq <= opts->last && img->len < IMAGE_FULL;
	    seq++) {
		if (one_in(15))
			put_any_block(img);
		put_any_packet(img, opts, seq);
	}
	opts->last = seq - 1;
	if (one_in(3))
		put_any_block(img);
	if (one_in(50))
		img->len -= chance(40);
	return img;
}

/* Ascending, apart, within and around the body's numbers. */
static size_t
any_runs(struct pb_run run[static 4], const struct body_opts *opts)
{
	uint64_t at = opts->first, span = opts->last - opts->first + 2;
	size_t runs = one_in(3) ? 1 : chance(5);

	for (size_t i = 0; i < runs; i++) {
		run[i].first = at + chance((uint32_t)(span / 4 + 2));
		run[i].last = run[i].first + chance((uint32_t)(span / 2 + 2));
		at = run[i].last + 1 + !one_in(4);
	}
	return runs;
}

static void
any_body_gives_the_same(void **state)
{
	static const char *const name[PB_HOPS_MAX] = {
		"lon1", "b", "c", "d", "e", "f", "g", "h",
		"i", "j", "k", "l", "m", "n", "o", "p",
	};
	uint64_t plain = 0, packets = 0;

	(void)state;
	for (number = 0; number < BODIES; number++) {
		struct body_opts opts = { .nodes = 0 };
		struct pb_run run[4];
		struct image *img;
		bool large = number % LARGE_EVERY == 0;
		size_t runs;

		state_of_chance = number;
		rare = large ? 100000 : 500;
		memcpy(opts.node, name, sizeof(name));
		img = any_image(&opts, large);
		runs = any_runs(run, &opts);
		packets += opts.last - opts.first + 1;
		plain += expect_same(img, one_in(5) ? NULL : &self,
		    one_in(2) ? all : run, one_in(2) ? 1 : runs,
		    one_in(20) ? (int)chance(2) : CHUNKS_MAX);
		free(img);
	}
	/* Neither way stands idle. */
	assert_true(plain > packets / 4 && plain < packets);
}

/* --- what plain.h says of one packet ------------------------------------- */

static void
the_options_of_a_plain_packet_still_grow(void **state)
{
	static uint8_t value[60000];
	struct image *img = body_begin(false);
	uint64_t plain;

	(void)state;
	/* As much as still grows within PB_OPTIONS_BYTES_MAX, and 4 more. */
	for (size_t more = 0; more <= 4; more += 4) {
		size_t left = PB_OPTIONS_BYTES_MAX - PB_HOP_GROWTH_MAX - 12 -
		    4 * (sizeof(value) + 4) - 4 + more;

		img->len = 0;
		body_head(img, &(struct body_opts){ .nodes = 0 });
		img_epb_begin(img, 0, BODY_TIME(1), "abcd", 4, 4);
		img_option_number(img, 5, 1, 8);
		for (int i = 0; i < 4; i++)
			img_option(img, 1, value, sizeof(value));
		img_option(img, 1, value, left);
		img_end(img);
		plain = expect_same(img, &self, all, 1, CHUNKS_MAX);
		assert_int_equal(plain, more == 0);
		expect_same(img, NULL, all, 1, CHUNKS_MAX);
	}
	free(img);
}

static void
the_largest_packet_is_plain_one_byte_more_is_not(void **state)
{
	static uint8_t data[PB_CAPLEN_MAX + 1];
	struct image *img = body_begin(false);

	(void)state;
	for (uint32_t more = 0; more <= 1; more++) {
		img->len = 0;
		body_head(img, &(struct body_opts){ .nodes = 0 });
		img_epb_begin(img, 0, BODY_TIME(1), data,
		    PB_CAPLEN_MAX + more, 9);
		img_option_number(img, 5, 1, 8);
		img_end(img);
		assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX),
		    1 - more);
	}
	free(img);
}

/* Bytes behind opt_endofopt, up to the largest block and past it. */
static void
what_lies_behind_the_options_goes_both_ways(void **state)
{
	static const size_t sizes[] = { 256, PB_OPTIONS_BYTES_MAX,
	    PB_OPTIONS_BYTES_MAX + 256, PB_BLOCK_BYTES_MAX,
	    PB_BLOCK_BYTES_MAX + 4 };
	const struct body_opts opts = { .nodes = 0 };
	struct image *img = body_begin(false);
	uint8_t *data = calloc(1, PB_BLOCK_BYTES_MAX + 1024);
	size_t at;

	(void)state;
	assert_non_null(data);
	body_head(img, &opts);
	at = img->len;
	body_packet(img, &opts, 1);
	memcpy(data, img->data, img->len - 4);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		pb_put_le32(data + at + 4, (uint32_t)sizes[i]);
		pb_put_le32(data + at + sizes[i] - 4, (uint32_t)sizes[i]);
		assert_int_equal(expect_same_bytes(data, at + sizes[i], &self,
		    all, 1, CHUNKS_MAX), sizes[i] <= PB_OPTIONS_BYTES_MAX);
	}
	free(data);
	free(img);
}

static void
a_block_whose_length_is_no_multiple_of_four_is_not_plain(void **state)
{
	struct image *img = body_begin(false);

	(void)state;
	for (size_t more = 0; more < 8; more++) {
		img->len = 0;
		body_head(img, &(struct body_opts){ .nodes = 0 });
		img_epb_begin(img, 0, BODY_TIME(1), "abcd", 4, 4);
		img_option_number(img, 5, 1, 8);
		img_number(img, 0, 4);
		img_bytes(img, "\0\0\0\0\0\0\0", more);
		img_end(img);
		assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX),
		    more % 4 == 0);
	}
	free(img);
}

static void
numbers_end_at_the_largest(void **state)
{
	const struct body_opts opts = { .first = (uint64_t)PB_SEQ_MAX - 1,
	    .last = PB_SEQ_MAX };
	struct image *img = body_image(&opts);

	(void)state;
	assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX), 2);
	body_packet(img, &opts, (uint64_t)PB_SEQ_MAX + 1);
	assert_int_equal(expect_same(img, &self, all, 1, CHUNKS_MAX), 2);
	free(img);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_packets_of_our_own_bodies_are_plain),
		cmocka_unit_test(
		    chunks_end_where_they_would_and_so_does_memory),
		cmocka_unit_test(runs_begin_and_end_anywhere),
		cmocka_unit_test(
		    a_body_of_another_order_or_clock_has_no_plain_packets),
		cmocka_unit_test(
		    a_section_of_an_unknown_version_is_skipped_both_ways),
		cmocka_unit_test(a_body_cut_anywhere_gives_the_same_error),
		cmocka_unit_test(a_body_with_any_bit_flipped_gives_the_same),
		cmocka_unit_test(any_body_gives_the_same),
		cmocka_unit_test(the_options_of_a_plain_packet_still_grow),
		cmocka_unit_test(
		    the_largest_packet_is_plain_one_byte_more_is_not),
		cmocka_unit_test(what_lies_behind_the_options_goes_both_ways),
		cmocka_unit_test(
		    a_block_whose_length_is_no_multiple_of_four_is_not_plain),
		cmocka_unit_test(numbers_end_at_the_largest),
	};

	return cmocka_run_group_tests_name("body, plain", tests, NULL, NULL);
}
