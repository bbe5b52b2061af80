/*
 * tests/unit/test_compare.c - one stream at two nodes: the same, or what
 * differs and why
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/audit/compare.h"
#include "tests/unit/store_fixture.h"

#define LENGTH		400u
#define FINDINGS_MAX	256u

static struct fixture stores[2];	/* here, there */
static struct fixture *const here = &stores[0], *const there = &stores[1];
static struct pb_compare_finding found[FINDINGS_MAX];
static unsigned findings;
static struct pb_compare_sum sum;
static struct pb_compare_pair pair;
static uint32_t snaplen;
static bool	sifts, tells_cut;
static void	(*meanwhile)(void);	/* before the side there is asked */
static void	(*then)(void);		/* before it is asked why */

static int
setup(void **state)
{
	(void)state;
	fixture_init(here, __LINE__);
	fixture_init(there, __LINE__);
	pair = (struct pb_compare_pair){ .here = here->key,
	    .there = there->key, .first = 1, .last = INT64_MAX };
	snaplen = 0;
	sifts = tells_cut = false;
	meanwhile = then = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_finish(there);
	fixture_finish(here);
	return 0;
}

static int
on_found(void *arg, const struct pb_compare_pair *of,
    const struct pb_compare_finding *finding, struct pb_err *err)
{
	(void)arg;
	(void)err;
	assert_ptr_equal(of, &pair);
	assert_true(findings < FINDINGS_MAX);
	found[findings++] = *finding;
	return 0;
}

static void
on_progress(void *arg, uint64_t numbers)
{
	(void)arg;
	(void)numbers;
	if (meanwhile != NULL)
		meanwhile();
}

static int	(*ask_there)(struct pb_side *, const struct pb_stream_key *,
		    struct pb_wire_digests *, struct pb_err *);

static int
ask_why(struct pb_side *side, const struct pb_stream_key *key,
    struct pb_wire_digests *out, struct pb_err *err)
{
	if (out->ask.why != 0 && then != NULL)
		then();
	return ask_there(side, key, out, err);
}

static bool
is_odd(void *arg, const struct pb_packet *packet)
{
	(void)arg;
	return packet->time_ns / 1000 % 2 == 1;
}

static void
compare(void)
{
	struct pb_compare how = { .snaplen = snaplen, .found = on_found,
	    .progress = on_progress, .sifts = sifts, .tells_cut = tells_cut };
	struct pb_err err = { 0 };

	findings = 0;
	assert_int_equal(pb_side_store(&how.here, here->dir,
	    pb_store_index(here->store), NULL, &err), 0);
	assert_int_equal(pb_side_store(&how.there, there->dir,
	    pb_store_index(there->store), NULL, &err), 0);
	if (sifts)
		pb_side_store_sift(how.here, is_odd, NULL);
	ask_there = how.there->ask;
	how.there->ask = ask_why;
	if (pb_compare_run(&how, &pair, &sum, &err) < 0)
		fail_msg("%s", err.text);
	pb_side_destroy(how.here);
	pb_side_destroy(how.there);
}

static void
is(unsigned i, enum pb_compare_kind kind, uint64_t first, uint64_t last,
    uint64_t packets, const char *why, bool fine)
{
	assert_true(i < findings);
	assert_int_equal(found[i].kind, kind);
	assert_int_equal(found[i].first, first);
	assert_int_equal(found[i].last, last);
	assert_int_equal(found[i].packets, packets);
	assert_string_equal(found[i].why, why);
	assert_int_equal(found[i].fine, fine);
}

static void
both(uint64_t first, uint64_t last)
{
	fixture_write(here, first, last, LENGTH);
	fixture_write(there, first, last, LENGTH);
}

/* Packet `seq` as another one; of `origlen` bytes once. */
static void
write_other(struct fixture *f, uint64_t seq, uint64_t time_ns, uint32_t len,
    uint32_t origlen, uint8_t first_byte)
{
	struct pb_chunk *chunk = fixture_chunk(f, seq, seq, len);
	uint8_t options[PB_OPTION_BYTES(8)], data[LENGTH];
	struct pb_packet packet = { .time_ns = time_ns, .caplen = len,
	    .origlen = origlen, .data = data, .options = options,
	    .options_len = sizeof(options) };

	fixture_packet(data, LENGTH, seq);
	data[0] ^= first_byte;
	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	(void)pb_build_epb(chunk->data, 0, &packet);
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
}

static void
two_that_have_the_same_are_identical(void **state)
{
	(void)state;
	both(1, 1000);
	fixture_gap(here, 1001, 1005, PB_GAP_DAMAGED);
	fixture_gap(there, 1001, 1005, PB_GAP_EXPIRED);
	both(1006, 1900);
	compare();
	assert_int_equal(findings, 0);
	assert_int_equal(sum.same, 1895);
	assert_int_equal(sum.first, 1);
	assert_int_equal(sum.last, 1900);
	assert_int_equal(sum.differences, 0);
	assert_true(sum.here && sum.there);
}

static void
packets_that_are_others_are_found_and_how(void **state)
{
	(void)state;
	both(1, 500);
	for (uint64_t seq = 501; seq <= 504; seq++)
		write_other(here, seq, FIXTURE_TIME(seq), LENGTH, LENGTH, 0);
	write_other(there, 501, FIXTURE_TIME(501), LENGTH, LENGTH, 1);
	write_other(there, 502, FIXTURE_TIME(502) + 1, LENGTH, LENGTH, 0);
	write_other(there, 503, FIXTURE_TIME(503), LENGTH, LENGTH + 1, 0);
	write_other(there, 504, FIXTURE_TIME(504), LENGTH, LENGTH, 0);
	both(505, 1000);
	compare();
	assert_int_equal(findings, 3);
	is(0, PB_COMPARE_DIFFERS, 501, 501, 1, "other bytes", false);
	is(1, PB_COMPARE_DIFFERS, 502, 502, 1, "another time", false);
	is(2, PB_COMPARE_DIFFERS, 503, 503, 1, "another length", false);
	assert_int_equal(sum.same, 997);
	assert_int_equal(sum.differences, 3);
}

static void
the_same_packet_cut_is_told_from_another_one(void **state)
{
	(void)state;
	both(1, 10);
	for (uint64_t seq = 11; seq <= 14; seq++)
		write_other(here, seq, FIXTURE_TIME(seq), LENGTH, LENGTH, 0);
	for (uint64_t seq = 11; seq <= 13; seq++)
		write_other(there, seq, FIXTURE_TIME(seq), 96, LENGTH,
		    seq == 13);
	write_other(there, 14, FIXTURE_TIME(14), LENGTH, LENGTH, 0);
	compare();
	assert_int_equal(findings, 2);
	is(0, PB_COMPARE_CUT, 11, 12, 2, "96 bytes of it there", false);
	is(1, PB_COMPARE_DIFFERS, 13, 13, 1, "other bytes, and 96 bytes of it "
	    "there", false);
	/* As if all were so short, only the other one stays. */
	snaplen = 96;
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_DIFFERS, 13, 13, 1, "other bytes", false);
	assert_int_equal(sum.cut.packets, 2);
	/* Where a section says so, that is told, and is no difference. */
	tells_cut = true;
	compare();
	assert_int_equal(findings, 2);
	is(1, PB_COMPARE_CUT, 11, 12, 2, "cut by snaplen 96", true);
	assert_int_equal(sum.differences, 1);
}

/* All until 100, then the odd ones. */
static void
sifted(void)
{
	both(1, 100);
	fixture_write(here, 101, 300, LENGTH);
	for (uint64_t seq = 101; seq <= 300; seq += 2) {
		fixture_write(there, seq, seq, LENGTH);
		fixture_gap(there, seq + 1, seq + 1, PB_GAP_FILTERED);
	}
}

static void
what_the_section_leaves_out_is_no_difference(void **state)
{
	(void)state;
	sifts = pair.ships = true;
	sifted();
	compare();
	assert_int_equal(findings, 1);
	assert_int_equal(found[0].kind, PB_COMPARE_MISSING_THERE);
	assert_string_equal(found[0].why, "filtered");
	assert_true(found[0].fine);
	assert_int_equal(found[0].packets, 100);
	assert_int_equal(sum.same, 200);
	assert_int_equal(sum.filtered.packets, 100);
}

/* Their sum: of those with this reason. */
static uint64_t
packets_found(const char *why, bool fine)
{
	uint64_t packets = 0;

	for (unsigned i = 0; i < findings; i++)
		if (strcmp(found[i].why, why) == 0 && found[i].fine == fine)
			packets += found[i].packets;
	return packets;
}

static void
what_passes_is_to_be_there_whatever_is_said_of_it(void **state)
{
	(void)state;
	sifts = pair.ships = true;
	sifted();
	fixture_write(here, 301, 400, LENGTH);
	fixture_gap(there, 301, 400, PB_GAP_DEAD_LETTERED);
	fixture_write(here, 401, 500, LENGTH);
	fixture_gap(there, 401, 500, PB_GAP_FILTERED);
	compare();
	assert_int_equal(packets_found("dead-lettered", false), 50);
	assert_int_equal(packets_found("filtered, but not by the section's "
	    "filter", false), 50);
	assert_int_equal(packets_found("filtered", true), 200);
	assert_int_equal(sum.differences, findings - 1);
	/* Of two stores nobody knows which filter it was. */
	sifts = pair.ships = false;
	compare();
	assert_int_equal(packets_found("dead-lettered", false), 100);
	assert_int_equal(packets_found("filtered", true), 200);
}

static void
packets_before_the_first_one_there_were_filtered(void **state)
{
	(void)state;
	sifts = pair.ships = true;
	fixture_gap(here, 1, 1, PB_GAP_DAMAGED);
	fixture_write(here, 2, 2, LENGTH);
	fixture_gap(there, 1, 2, PB_GAP_FILTERED);
	both(3, 10);
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_THERE, 2, 2, 1, "filtered", true);
	assert_int_equal(sum.same, 8);
}

static void
what_is_missing_is_told_with_its_reason(void **state)
{
	(void)state;
	both(1, 100);
	fixture_write(here, 101, 300, LENGTH);
	fixture_gap(there, 101, 150, PB_GAP_DEAD_LETTERED);
	fixture_gap(there, 151, 200, PB_GAP_EXPIRED);
	fixture_gap(there, 201, 250, PB_GAP_RESTORED);
	fixture_gap(there, 251, 300, PB_GAP_DAMAGED);
	both(301, 400);
	fixture_gap(here, 401, 420, PB_GAP_DAMAGED);
	fixture_write(there, 401, 420, LENGTH);
	both(421, 500);
	compare();
	assert_int_equal(findings, 5);
	is(0, PB_COMPARE_MISSING_THERE, 101, 150, 50, "dead-lettered", false);
	is(1, PB_COMPARE_MISSING_THERE, 151, 200, 50, "expired", true);
	is(2, PB_COMPARE_MISSING_THERE, 201, 250, 50, "restored", true);
	is(3, PB_COMPARE_MISSING_THERE, 251, 300, 50, "damaged", false);
	is(4, PB_COMPARE_MISSING_HERE, 401, 420, 20, "damaged", false);
	assert_true(found[0].since_ns > 0);
	assert_int_equal(sum.differences, 3);
	assert_int_equal(sum.same, 280);
	/* It came late. */
	fixture_write(there, 101, 150, LENGTH);
	compare();
	assert_int_equal(findings, 4);
}

static void
where_both_lack_some_only_the_others_are_counted(void **state)
{
	(void)state;
	both(1, 100);
	fixture_gap(there, 101, 200, PB_GAP_DEAD_LETTERED);
	fixture_write(here, 101, 150, LENGTH);
	fixture_gap(here, 151, 160, PB_GAP_DEAD_LETTERED);
	fixture_write(here, 161, 200, LENGTH);
	both(201, 202);
	compare();
	assert_int_equal(sum.differences, findings);
	assert_true(findings >= 1);
	assert_int_equal(sum.same, 102);
	assert_int_equal(found[0].first, 101);
	assert_int_equal(found[findings - 1].last, 200);
	{
		uint64_t packets = 0;

		for (unsigned i = 0; i < findings; i++)
			packets += found[i].packets;
		assert_int_equal(packets, 90);
	}
}

static void
what_is_behind_the_end_of_the_other_is_no_difference(void **state)
{
	(void)state;
	both(1, 100);
	fixture_write(here, 101, 130, LENGTH);
	compare();
	assert_int_equal(findings, 0);
	assert_int_equal(sum.here_only, 30);
	assert_int_equal(sum.last, 100);
	/* Unless it was acknowledged once, */
	pair.acked = 110;
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_THERE, 101, 110, 0, "was acknowledged once",
	    false);
	assert_int_equal(sum.here_only, 20);
	/* or is there, and should have come from here. */
	pair.acked = 0;
	fixture_write(there, 101, 140, LENGTH);
	compare();
	assert_int_equal(findings, 0);
	assert_int_equal(sum.there_only, 10);
	pair.ships = true;
	compare();
	is(0, PB_COMPARE_MISSING_HERE, 131, 140, 0, "the stream ends before "
	    "here", false);
	/* Not where other numbers go under that name. */
	pair.last = 130;
	compare();
	assert_int_equal(findings, 0);
}

static void
what_a_node_never_had_below_its_first_packet_has_expired(void **state)
{
	(void)state;
	fixture_write(here, 1, 300, LENGTH);
	fixture_gap(there, 1, 200, PB_GAP_EXPIRED);
	fixture_write(there, 201, 300, LENGTH);
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_THERE, 1, 200, 0, "expired", true);
	assert_int_equal(sum.first, 201);
	assert_int_equal(sum.same, 100);
	assert_int_equal(sum.differences, 0);
}

static void
a_stream_that_one_does_not_know_is_told(void **state)
{
	(void)state;
	fixture_write(here, 1, 300, LENGTH);
	compare();
	assert_true(sum.here);
	assert_false(sum.there);
	assert_int_equal(sum.here_only, 300);
	assert_true(sum.first > sum.last);
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_THERE, 1, 300, 0, "the other does not know "
	    "the stream", false);
	/* Not where it may be sent yet. */
	pair.ships = true;
	compare();
	assert_int_equal(findings, 0);
}

static void
a_stream_that_the_other_alone_has_is_missing_here(void **state)
{
	(void)state;
	fixture_gap(there, 1, 100, PB_GAP_EXPIRED);
	compare();
	assert_int_equal(findings, 0);
	fixture_write(there, 101, 300, LENGTH);
	pair.comes = true;
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_HERE, 101, 300, 0, "this store does not know "
	    "the stream", false);
	assert_int_equal(sum.there_only, 300);
	pair.comes = false;
	pair.ships = true;
	pair.acked = 300;
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_HERE, 101, 300, 0, "this store has lost the "
	    "stream, which was sent from it", false);
	/* Of one that it knows, the rest is under way here. */
	fixture_write(here, 1, 5, LENGTH);
	pair.ships = false;
	pair.acked = 0;
	pair.comes = true;
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_THERE, 1, 5, 0, "expired", true);
	assert_int_equal(sum.there_only, 295);
}

/* The file that has packet `seq`, and where its extent is in it. */
static struct pb_extent_info
file_of(struct fixture *f, uint64_t seq, char path[static PATH_MAX])
{
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_stream_info row;
	struct pb_index *index = pb_store_index(f->store);

	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_extent_below(index, row.id, seq, &extent,
	    NULL), 1);
	assert_int_equal(pb_index_segment(index, row.id, extent.segment_seq,
	    &segment, NULL), 1);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key,
	    extent.segment_seq, !segment.sealed, NULL), 0);
	return extent;
}

static void
damage_says_which_segment(void **state)
{
	static uint8_t data[PB_EXTENT_READ_MAX], packet[LENGTH];
	struct pb_extent_info extent;
	char path[PATH_MAX];
	const uint8_t *at;
	FILE *file;

	(void)state;
	both(1, 500);
	/* A byte of packet 250. */
	extent = file_of(there, 1, path);
	file = fopen(path, "r+");
	assert_non_null(file);
	fseek(file, (long)extent.offset, SEEK_SET);
	assert_int_equal(fread(data, 1, extent.bytes, file), extent.bytes);
	fixture_packet(packet, LENGTH, 250);
	at = memmem(data, extent.bytes, packet, LENGTH);
	assert_non_null(at);
	fseek(file, (long)extent.offset + (at - data) + 100, SEEK_SET);
	fwrite("!", 1, 1, file);
	fclose(file);
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_DIFFERS, 250, 250, 1, "other bytes; damaged there: "
	    "segment 1", false);
	extent = file_of(here, 1, path);
	assert_int_equal(truncate(path, (off_t)extent.offset + 10), 0);
	compare();
	assert_int_equal(findings, 1);
	is(0, PB_COMPARE_MISSING_HERE, 1, 500, 500, "damaged: segment 1",
	    false);
	assert_int_equal(sum.same, 0);
}

static void
fill_late(void)
{
	meanwhile = then = NULL;
	fixture_write(there, 101, 200, LENGTH);
}

static void
fill_some_late(void)
{
	then = NULL;
	fixture_write(there, 121, 150, LENGTH);
}

/* Between the first question and the others. */
static void
a_store_that_is_written_meanwhile_is_taken_as_it_is(void **state)
{
	(void)state;
	both(1, 100);
	fixture_write(here, 101, 200, LENGTH);
	fixture_gap(there, 101, 200, PB_GAP_DEAD_LETTERED);
	both(201, 300);
	meanwhile = fill_late;
	compare();
	assert_int_equal(findings, 0);
	assert_int_equal(sum.same, 300);
}

static void
what_changes_before_it_is_asked_why_is_compared_anew(void **state)
{
	(void)state;
	both(1, 100);
	fixture_write(here, 101, 200, LENGTH);
	fixture_gap(there, 101, 200, PB_GAP_DEAD_LETTERED);
	both(201, 300);
	then = fill_some_late;
	compare();
	assert_int_equal(findings, 2);
	is(0, PB_COMPARE_MISSING_THERE, 101, 120, 20, "dead-lettered", false);
	is(1, PB_COMPARE_MISSING_THERE, 151, 200, 50, "dead-lettered", false);
	assert_int_equal(sum.same, 230);
	fixture_write(there, 101, 120, LENGTH);
	then = NULL;
	compare();
	assert_int_equal(findings, 1);
	assert_int_equal(sum.same, 250);
}

static void
too_much_that_differs_is_not_looked_into(void **state)
{
	(void)state;
	fixture_write(here, 1, 2000, 100);
	fixture_write(here, 2001, 4000, 100);
	fixture_write(there, 1, 2000, 101);
	fixture_write(there, 2001, 4000, 101);
	compare();
	assert_int_equal(findings, 2);
	is(0, PB_COMPARE_DIFFERS, 1, 2000, 2000, "another length", false);
	is(1, PB_COMPARE_NOT_COMPARED, 2001, 4000, 0, "too much differs",
	    false);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_that_have_the_same_are_identical),
		TEST(packets_that_are_others_are_found_and_how),
		TEST(the_same_packet_cut_is_told_from_another_one),
		TEST(what_is_missing_is_told_with_its_reason),
		TEST(where_both_lack_some_only_the_others_are_counted),
		TEST(what_is_behind_the_end_of_the_other_is_no_difference),
		TEST(what_a_node_never_had_below_its_first_packet_has_expired),
		TEST(a_stream_that_one_does_not_know_is_told),
		TEST(a_stream_that_the_other_alone_has_is_missing_here),
		TEST(what_the_section_leaves_out_is_no_difference),
		TEST(what_passes_is_to_be_there_whatever_is_said_of_it),
		TEST(packets_before_the_first_one_there_were_filtered),
		TEST(damage_says_which_segment),
		TEST(a_store_that_is_written_meanwhile_is_taken_as_it_is),
		TEST(what_changes_before_it_is_asked_why_is_compared_anew),
		TEST(too_much_that_differs_is_not_looked_into),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
