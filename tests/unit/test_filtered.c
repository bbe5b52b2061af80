/*
 * tests/unit/test_filtered.c - numbers that a filter left out: as bytes, in
 * bodies, in the store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "pcapng/filtered.h"
#include "recorder/store/mend/verify.h"
#include "recorder/store/read/peek.h"
#include "tests/unit/body_ways.h"
#include "tests/unit/ingest_body.h"
#include "tests/unit/store_fixture.h"

#define EVERY	3u		/* so many numbers, one packet */

static struct pb_filtered
run_of(uint64_t first, uint64_t last)
{
	return (struct pb_filtered){ .first = first, .last = last,
	    .time_ns = FIXTURE_TIME(last), .digest = last * 7 };
}

/* --- bytes ---------------------------------------------------------------- */

static void
what_is_written_is_read_and_senseless_numbers_are_not(void **state)
{
	struct pb_filtered run = run_of(5, 9), got;
	uint8_t bytes[PB_FILTERED_BYTES];
	uint64_t first, last;
	struct pb_block block;

	(void)state;
	pb_build_filtered(bytes, &run, PB_PEN_EXAMPLE);
	assert_int_equal(pb_scan_block(bytes, sizeof(bytes), &block), 1);
	assert_int_equal(block.len, PB_FILTERED_BYTES);
	assert_true(pb_scan_storable(&block));
	assert_false(pb_scan_is_filler(&block));
	assert_int_equal(pb_scan_filtered(&block, &got), 1);
	assert_memory_equal(&got, &run, sizeof(run));
	assert_int_equal(pb_scan_numbers(&block, &first, &last), 1);
	assert_int_equal(first, 5);
	assert_int_equal(last, 9);
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t wrong[4][2] = { { 0, 9 }, { 10, 9 },
		    { 5, 1ull << 63 }, { UINT64_MAX, 0 } };

		run.first = wrong[i][0];
		run.last = wrong[i][1];
		pb_build_filtered(bytes, &run, PB_PEN_EXAMPLE);
		assert_int_equal(pb_scan_filtered(&block, &got), PB_EFORMAT);
		assert_int_equal(pb_scan_numbers(&block, &first, &last),
		    PB_EFORMAT);
	}
	pb_build_filler(bytes, sizeof(bytes), 1, PB_PEN_EXAMPLE);
	assert_int_equal(pb_scan_numbers(&block, &first, &last), 0);
}

/* --- bodies --------------------------------------------------------------- */

static void
add_run(struct image *img, uint64_t first, uint64_t last)
{
	struct pb_filtered run = run_of(first, last);
	uint8_t value[32];
	size_t len;

	run.time_ns = BODY_TIME(last);
	img_begin(img, PB_BLOCK_ISB);
	img_number(img, 0, 4);
	img_ticks(img, run.time_ns);
	len = body_own(img, value, PB_OWN_FILTERED);
	pb_put_le64(value + len, run.first);
	pb_put_le64(value + len + 8, run.last);
	pb_put_le64(value + len + 16, run.digest);
	img_option(img, 2989, value, len + 24);
	img_number(img, 0, 4);
	img_end(img);
}

static struct pb_chunk *
one_chunk(void *arg)
{
	int *left = arg;

	return (*left)-- > 0 ? pb_chunk_create() : NULL;
}

/* What the body's numbers within the runs become: "P5 F6-9" and so on, a bar
 * between chunks; "" where it is refused, with rc. */
static int
take_body(const struct image *img, const struct pb_run *runs, size_t count,
    char *out, struct pb_body_facts *facts)
{
	static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };
	static const struct pb_node self = { "core", "" };
	struct pb_body body = { .data = img->data, .len = img->len,
	    .key = &key, .self = &self, .pen = BODY_PEN };
	int left = 100;
	struct pb_body_build build = { .run = runs, .runs = count,
	    .number = 7000, .chunk = one_chunk, .arg = &left };
	struct pb_body_scratch *scratch;
	struct pb_chunk *c, *next;
	struct pb_err err = { 0 };
	const char *differs;
	uint64_t plain;
	int rc;

	out[0] = '\0';
	assert_int_equal(pb_body_scratch_create(&scratch, &err), 0);
	differs = body_ways_differ(scratch, &body, &build, 100, &plain);
	if (differs != NULL)
		fail_msg("the two ways of body.c differ in %s", differs);
	rc = pb_body_read(scratch, &body, facts, &build, &err);
	pb_body_scratch_destroy(scratch);
	for (c = build.first_chunk; c != NULL; c = next) {
		uint64_t first, last, from = c->first_seq;
		struct pb_filtered f;
		struct pb_block block;

		next = c->next;
		for (size_t at = 0; rc == 0 && at < c->len; at += block.len) {
			assert_int_equal(pb_scan_block(c->data + at,
			    c->len - at, &block), 1);
			if (pb_scan_numbers(&block, &first, &last) != 1)
				continue;
			assert_int_equal(first, from);
			from = last + 1;
			if (block.type == PB_BLOCK_EPB)
				sprintf(out + strlen(out), "P%d ", (int)last);
			else if (pb_scan_filtered(&block, &f) == 1)
				sprintf(out + strlen(out), "F%d-%d%s ",
				    (int)first, (int)last,
				    f.digest == 0 ? "?" : "");
		}
		if (rc == 0) {
			assert_int_equal(c->last_seq, from - 1);
			assert_int_equal(c->tally.packets + c->tally.filtered,
			    from - c->first_seq);
			strcat(out, next != NULL ? "| " : "");
		}
		pb_chunk_destroy(c);
	}
	pb_head_unref(build.head);
	return rc;
}

static struct image *
holed(bool big)
{
	struct body_opts opts = { .big = big };
	struct image *img = body_begin(big);

	body_head(img, &opts);
	add_run(img, 11, 12);
	body_packet(img, &opts, 13);
	add_run(img, 14, 19);
	body_packet(img, &opts, 20);
	body_packet(img, &opts, 21);
	add_run(img, 22, 30);
	return img;
}

static void
a_body_says_what_was_left_out_of_it(void **state)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	struct pb_body_facts facts;
	char text[256];

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct image *img = holed(big);

		assert_int_equal(take_body(img, &all, 1, text, &facts), 0);
		assert_string_equal(text,
		    "F11-12 P13 F14-19 P20 P21 F22-30 ");
		assert_int_equal(facts.first, 11);
		assert_int_equal(facts.last, 30);
		free(img);
	}
}

static void
of_numbers_left_out_the_new_ones_alone_are_kept(void **state)
{
	static const struct pb_run runs[] = { { 12, 12 }, { 15, 16 },
	    { 18, 20 }, { 25, 40 } };
	static const struct pb_run none = { 31, 40 };
	struct image *img = holed(false);
	struct pb_body_facts facts;
	char text[256];

	(void)state;
	assert_int_equal(take_body(img, runs, 4, text, &facts), 0);
	assert_string_equal(text, "F12-12 | F15-16? | F18-19 P20 | F25-30 ");
	assert_int_equal(take_body(img, &none, 1, text, &facts), 0);
	assert_string_equal(text, "");
	free(img);
}

static void
a_body_may_have_left_out_everything(void **state)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	struct body_opts opts = { .first = 1 };
	struct image *img = body_begin(false);
	struct pb_body_facts facts;
	char text[256];

	(void)state;
	body_head(img, &opts);
	assert_int_equal(take_body(img, &all, 1, text, &facts), PB_EINVAL);
	add_run(img, 1, 1000000000000);
	assert_int_equal(take_body(img, &all, 1, text, &facts), 0);
	assert_int_equal(facts.first, 1);
	assert_int_equal(facts.last, 1000000000000);
	free(img);
}

static void
numbers_left_out_that_do_not_follow_are_refused(void **state)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	static const uint64_t wrong[][2] = { { 2, 3 }, { 1, 5 }, { 3, 2 },
	    { 0, 3 } };
	struct body_opts opts = { .first = 1 };
	struct pb_body_facts facts;
	char text[256];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct image *img = body_begin(false);

		body_head(img, &opts);
		body_packet(img, &opts, 2);
		add_run(img, wrong[i][0], wrong[i][1]);
		assert_int_equal(take_body(img, &all, 1, text, &facts),
		    PB_EINVAL);
		free(img);
	}
}

/* --- the store ------------------------------------------------------------ */

/* Numbers first .. last: of EVERY the last one is a packet. */
static struct pb_chunk *
sparse_chunk(struct fixture *f, uint64_t first, uint64_t last, uint32_t len)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, first, len);
	uint8_t data[2048], options[PB_OPTION_BYTES(8)];

	chunk->len = 0;
	chunk->tally = (struct pb_tally){ 0 };
	for (uint64_t at = first; at <= last; ) {
		uint64_t seq = at + EVERY - 1 - (at - 1) % EVERY;
		struct pb_filtered run = run_of(at, seq > last ? last :
		    seq - 1);
		struct pb_packet packet = { .time_ns = FIXTURE_TIME(seq),
		    .caplen = len, .origlen = len, .data = data,
		    .options = options, .options_len = sizeof(options) };

		if (at < seq)
			pb_fill_filtered(chunk, &run, PB_PEN_EXAMPLE);
		at = seq + 1;
		if (seq > last)
			break;
		fixture_packet(data, len, seq);
		pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
		pb_fill_epb(chunk, seq, &packet);
	}
	assert_int_equal(chunk->first_seq, first);
	assert_int_equal(chunk->last_seq, last);
	return chunk;
}

static void
write_sparse(struct fixture *f, uint64_t first, uint64_t last, uint32_t len)
{
	assert_int_equal(fixture_submit(f, sparse_chunk(f, first, last, len)),
	    0);
	fixture_wait(f);
	assert_int_equal(f->last_rc, 0);
}

static int
no_finding(void *arg, const struct pb_finding *finding)
{
	(void)arg;
	fail_msg("%s: %s: %s", pb_flaw_name(finding->flaw), finding->path,
	    finding->text);
	return 1;
}

static void
verify(struct fixture *f)
{
	struct pb_verify_opts opts = { .store = f->dir, .alone = true,
	    .each = no_finding };
	struct pb_verify_sum sum;
	struct pb_err err = { .text = "" };

	if (pb_verify(&opts, &sum, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sum.findings, 0);
}

/* All that the fixture below wrote, and nothing else. */
static void
expect_all(struct fixture *f, int segments)
{
	struct pb_segment_info row[16];
	struct pb_stream_info stream;
	struct pb_gap_info gap;
	uint64_t first, last, filtered = 0;
	struct pb_index *index = pb_store_index(f->store);
	struct pb_fingerprint print;
	struct pb_err err;
	int n;

	assert_int_equal(fixture_read(f, &ALL, &first, &last), 1000 / EVERY);
	assert_int_equal(first, EVERY);
	assert_int_equal(last, 999);
	fixture_stream_row(f, &stream);
	assert_int_equal(stream.first_seq, 1);
	assert_int_equal(stream.last_seq, 1000);
	assert_int_equal(stream.packets, 1000 / EVERY);
	n = pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream.id, 1, row, 16,
	    &err);
	assert_int_equal(n, segments);
	for (int i = 0; i < n; i++)
		filtered += pb_segment_filtered(&row[i]);
	assert_int_equal(filtered, 1000 - 1000 / EVERY);
	assert_int_equal(pb_index_rows_of(index, PB_TABLE_GAPS, stream.id, 1,
	    &gap, 1, &err), 0);
	/* Which packet is the last, is said of one that is not here. */
	assert_int_equal(pb_peek_below(index, f->dir, &f->key, stream.id,
	    1000, true, &print, &err), 1);
	assert_int_equal(print.seq, 1000);
	assert_int_equal(print.digest, 7000);
	assert_int_equal(pb_peek_below(index, f->dir, &f->key, stream.id,
	    17, true, &print, &err), 1);
	assert_int_equal(print.seq, 17);
	assert_int_equal(print.digest, 17 * 7);
	assert_int_equal(pb_peek_below(index, f->dir, &f->key, stream.id,
	    16, true, &print, &err), 1);
	assert_int_equal(print.seq, 15);
}

static void
a_stream_with_numbers_left_out_has_no_row_for_each(void **state)
{
	struct fixture *f = *state;
	struct pb_range range = ALL;
	uint64_t first, last;

	write_sparse(f, 1, 1, 60);	/* a segment that begins with none */
	write_sparse(f, 2, 500, 60);
	write_sparse(f, 501, 997, 900);
	write_sparse(f, 998, 1000, 900);
	expect_all(f, 1);
	range.first_seq = 100;
	range.last_seq = 200;
	assert_int_equal(fixture_read(f, &range, &first, &last), 33);
	assert_int_equal(first, 102);
	assert_int_equal(last, 198);
	pb_store_close(f->store);
	verify(f);
	fixture_open(f);
	expect_all(f, 1);
	/* Without a table, without an index, it is the same. */
	pb_store_close(f->store);
	shell("rm -rf '%s/index'; rm -f '%s'/segments/*/*/*/*.flows", f->dir,
	    f->dir);
	fixture_open(f);
	expect_all(f, 1);
	pb_store_close(f->store);
	verify(f);
	fixture_open(f);
}

static void
what_is_left_out_of_late_packets_closes_their_gap(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *gap = fixture_chunk(f, 301, 301, 10);
	struct pb_gap_info row;
	struct pb_stream_info stream;
	struct pb_err err;

	write_sparse(f, 1, 300, 60);
	gap->last_seq = 700;
	gap->gap = PB_GAP_DEAD_LETTERED;
	assert_int_equal(fixture_submit(f, gap), 0);
	fixture_wait(f);
	write_sparse(f, 701, 1000, 60);
	write_sparse(f, 302, 302, 60);	/* of these none is a packet */
	write_sparse(f, 303, 700, 60);
	write_sparse(f, 301, 301, 60);
	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, stream.id, 1, &row, 1, &err), 1);
	assert_true(row.closed_ns != 0);
	pb_store_close(f->store);
	verify(f);
	shell("rm -rf '%s/index'", f->dir);
	fixture_open(f);
	fixture_stream_row(f, &stream);
	assert_int_equal(stream.packets, 1000 / EVERY);
	pb_store_close(f->store);
	verify(f);
	fixture_open(f);
}

static void
around_rot_all_that_is_whole_stays(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info stream;
	uint64_t first, last;
	char path[PATH_MAX];
	struct pb_block block;
	uint8_t *bytes;
	size_t len, at = 0;
	int fd, packets;
	struct stat st;

	write_sparse(f, 1, 1000, 300);
	pb_store_close(f->store);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, false,
	    NULL), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	len = (size_t)st.st_size;
	bytes = malloc(len);
	assert_int_equal(read(fd, bytes, len), len);
	/* The 100th of what says what was left out. */
	for (unsigned runs = 0; runs < 100; at += block.len) {
		assert_int_equal(pb_scan_block(bytes + at, len - at, &block),
		    1);
		if (block.type == PB_BLOCK_ISB &&
		    pb_scan_numbers(&block, &first, &last) == 1)
			runs++;
	}
	assert_int_equal(pwrite(fd, "rotten", 6, (off_t)(at - 60)), 6);
	close(fd);
	free(bytes);
	shell("rm -rf '%s/index'", f->dir);
	fixture_open(f);
	packets = (int)fixture_read(f, &ALL, &first, &last);
	assert_int_equal(packets, 1000 / EVERY);
	fixture_stream_row(f, &stream);
	assert_int_equal(stream.last_seq, 1000);
	pb_store_close(f->store);
	verify(f);
	fixture_open(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_written_is_read_and_senseless_numbers_are_not),
		cmocka_unit_test(a_body_says_what_was_left_out_of_it),
		cmocka_unit_test(
		    of_numbers_left_out_the_new_ones_alone_are_kept),
		cmocka_unit_test(a_body_may_have_left_out_everything),
		cmocka_unit_test(
		    numbers_left_out_that_do_not_follow_are_refused),
		IN_STORE(a_stream_with_numbers_left_out_has_no_row_for_each),
		IN_STORE(what_is_left_out_of_late_packets_closes_their_gap),
		IN_STORE(around_rot_all_that_is_whole_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
