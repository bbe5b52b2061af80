/*
 * tests/unit/test_cursor.c - a cursor that is led by a guide, over a real
 * store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stepped.h"

#define LEN	100
#define PACKETS	600
#define RUNS_MAX 16

/* Runs as they are asked for; one that was wrong is from then on left to the
 * extents. */
struct script {
	struct pb_cursor_run run[RUNS_MAX];
	size_t		 runs;
	size_t		 given;		/* the last one */
	unsigned	 wrong;
	uint64_t	 wrong_from;
};

static struct {
	struct pb_segment_info segment;
	uint64_t at[PACKETS + 2];	/* of a packet's block; of the end */
} file;

static int
script_next(void *arg, uint64_t seq, struct pb_cursor_run *out,
    struct pb_err *err)
{
	struct script *s = arg;

	(void)err;
	for (size_t i = 0; i < s->runs; i++)
		if (s->run[i].last_seq >= seq) {
			*out = s->run[i];
			s->given = i;
			return 1;
		}
	return 0;
}

static void
script_wrong(void *arg, uint64_t seq)
{
	struct script *s = arg;

	s->wrong++;
	s->wrong_from = seq;
	for (size_t i = 0; i < s->runs; i++) {
		s->run[i].segment_seq = 0;
		s->run[i].verdict_of = NULL;
		s->run[i].verdict = PB_VERDICT_EACH;
	}
}

/* Of one whose blocks say which numbers it has. */
static void
script_ended(void *arg, uint64_t last_seq)
{
	struct script *s = arg;

	assert_int_not_equal(s->run[s->given].packets, 0);
	s->run[s->given].last_seq = last_seq;
}

/* Where in the first segment each packet's block begins. */
static void
find_blocks(struct fixture *f)
{
	struct pb_packet packet;
	struct pb_block block;
	uint8_t *data;
	size_t at;
	uint64_t seq, last = 0;
	int fd;

	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, 1, 1, &file.segment, 1, NULL), 1);
	data = malloc(file.segment.bytes);
	fd = pb_segment_open_file(f->dir, &f->key, 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, file.segment.bytes, 0),
	    file.segment.bytes);
	close(fd);
	for (at = 0; at < file.segment.bytes && pb_scan_block(data + at,
	    file.segment.bytes - at, &block) == 1; at += block.len)
		if (block.type == PB_BLOCK_EPB &&
		    pb_scan_epb(&block, &packet) == 0 &&
		    pb_packet_seq(&packet, &seq) && seq <= PACKETS) {
			file.at[seq] = at;
			file.at[seq + 1] = at + block.len;
			last = seq;
		}
	assert_int_equal(last, PACKETS);
	free(data);
}

static int
setup(void **state)
{
	struct fixture *f;

	if (stepped_setup(state) < 0)
		return -1;
	f = *state;
	for (uint64_t seq = 1; seq < PACKETS; seq += 100)
		fixture_write(f, seq, seq + 99, LEN);
	find_blocks(f);
	return 0;
}

static struct pb_cursor *
cursor_of(struct fixture *f, struct script *s, const struct pb_range *range)
{
	struct pb_cursor_guide guide = { script_next, script_wrong,
	    script_ended, s };
	struct pb_stream_info row;
	struct pb_cursor *cursor;

	fixture_stream_row(f, &row);
	assert_int_equal(pb_cursor_create(&cursor, pb_store_index(f->store),
	    f->dir, &row, range, NULL), 0);
	pb_cursor_lead(cursor, &guide);
	return cursor;
}

/* By whole runs, or loaded by the caller, a few packets at once. */
static size_t bytes_max;

static int
next_of(struct pb_cursor *cursor, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	static struct pb_bytes bytes;
	int rc;

	if (bytes_max == 0)
		return pb_cursor_next(cursor, out, err);
	while ((rc = pb_cursor_step(cursor, out, err)) == 0) {
		rc = pb_cursor_load(cursor, &bytes, bytes_max, err);
		if (rc <= 0)
			break;
	}
	return rc;
}

static int
setup_few(void **state)
{
	bytes_max = 1000;
	return setup(state);
}

static int
teardown_few(void **state)
{
	bytes_max = 0;
	return fixture_teardown(state);
}

/* The next packets are first .. last. */
static void
gives(struct pb_cursor *cursor, uint64_t first, uint64_t last,
    enum pb_verdict verdict)
{
	uint8_t want[LEN];
	struct pb_cursor_packet p;
	struct pb_err err = { 0 };

	for (uint64_t seq = first; seq <= last; seq++) {
		if (next_of(cursor, &p, &err) != 1)
			fail_msg("%s", err.text);
		assert_int_equal(p.seq, seq);
		assert_int_equal(p.verdict, verdict);
		fixture_packet(want, LEN, seq);
		assert_memory_equal(p.packet.data, want, LEN);
		assert_string_equal(p.head->identity.node[0].name, "lon1");
	}
}

static void
ends(struct pb_cursor *cursor)
{
	struct pb_cursor_packet p;

	assert_int_equal(next_of(cursor, &p, NULL), 0);
	assert_int_equal(next_of(cursor, &p, NULL), 0);
}

/* A run with a place, of which all are wanted. */
static struct pb_cursor_run
place(uint64_t first, uint64_t last)
{
	return (struct pb_cursor_run){ .first_seq = first, .last_seq = last,
	    .segment_seq = 1, .from = file.at[first], .end = file.at[last + 1],
	    .verdict = PB_VERDICT_ALL };
}

static struct pb_cursor_run
numbers(uint64_t first, uint64_t last)
{
	return (struct pb_cursor_run){ .first_seq = first, .last_seq = last,
	    .verdict = PB_VERDICT_EACH };
}

/* The same where the blocks say which numbers they are, among all. */
static struct pb_cursor_run
untold(uint64_t first, uint64_t last)
{
	struct pb_cursor_run run = place(first, last);

	run.first_seq = 1;
	run.last_seq = PACKETS;
	run.packets = last - first + 1;
	run.more = true;
	return run;
}

static void
a_cursor_goes_from_run_to_run(void **state)
{
	struct script s = { .run = { numbers(5, 7), place(20, 30),
	    place(31, 31), numbers(32, 40), numbers(120, 125),
	    numbers(126, 130), place(131, 500), numbers(501, UINT64_MAX) },
	    .runs = 8 };
	struct pb_cursor *cursor = cursor_of(*state, &s, &ALL);

	gives(cursor, 5, 7, PB_VERDICT_EACH);
	gives(cursor, 20, 31, PB_VERDICT_ALL);
	gives(cursor, 32, 40, PB_VERDICT_EACH);
	gives(cursor, 120, 130, PB_VERDICT_EACH);
	gives(cursor, 131, 500, PB_VERDICT_ALL);
	gives(cursor, 501, PACKETS, PB_VERDICT_EACH);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

static void
numbers_and_times_cut_a_run(void **state)
{
	struct pb_range range = { 25, 450, FIXTURE_TIME(27),
	    FIXTURE_TIME(440) };
	struct script s = { .run = { place(20, 30), place(400, 500),
	    numbers(501, UINT64_MAX) }, .runs = 3 };
	struct pb_cursor *cursor = cursor_of(*state, &s, &range);

	gives(cursor, 27, 30, PB_VERDICT_ALL);
	gives(cursor, 400, 439, PB_VERDICT_ALL);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

static void
what_is_not_wanted_of_a_run_is_passed_over(void **state)
{
	uint8_t verdict_of[100] = { [3] = PB_VERDICT_ALL,
	    [4] = PB_VERDICT_NONE, [5] = PB_VERDICT_EACH,
	    [99] = PB_VERDICT_ALL };
	struct script s = { .run = { place(101, 200) }, .runs = 1 };
	struct pb_cursor *cursor;

	s.run[0].verdict_of = verdict_of;
	cursor = cursor_of(*state, &s, &ALL);
	gives(cursor, 104, 104, PB_VERDICT_ALL);
	gives(cursor, 106, 106, PB_VERDICT_EACH);
	gives(cursor, 200, 200, PB_VERDICT_ALL);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

/* Method: parked before each packet, and by runs of both kinds. */
static void
a_cursor_that_was_parked_goes_on_where_it_was(void **state)
{
	struct script s = { .run = { numbers(5, 7), place(20, 30),
	    place(31, 300), numbers(400, 402) }, .runs = 4 };
	struct pb_cursor *cursor = cursor_of(*state, &s, &ALL);
	static const uint64_t run[][2] = { { 5, 7 }, { 20, 300 },
	    { 400, 402 } };

	for (size_t i = 0; i < 3; i++)
		for (uint64_t seq = run[i][0]; seq <= run[i][1]; seq++) {
			pb_cursor_park(cursor);
			gives(cursor, seq, seq, i == 1 ? PB_VERDICT_ALL :
			    PB_VERDICT_EACH);
		}
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	/* A block is not read twice from its run's beginning. */
	assert_true(pb_cursor_bytes(cursor) < 400 * file.segment.bytes);
	pb_cursor_destroy(cursor);
}

static void
the_blocks_of_a_place_may_say_which_numbers_they_are(void **state)
{
	static const uint8_t verdict_of[11] = { [3] = PB_VERDICT_ALL,
	    [10] = PB_VERDICT_ALL };
	struct pb_range range = ALL;

	for (unsigned way = 0; way < 4; way++) {
		struct script s = { .run = { untold(20, 30), untold(40, 50),
		    untold(60, 60), numbers(PACKETS + 1, UINT64_MAX) },
		    .runs = 4 };
		struct pb_cursor *cursor;

		s.run[1].verdict_of = verdict_of;
		s.run[2].more = false;
		range.last_seq = way < 2 ? UINT64_MAX : 43;
		cursor = cursor_of(*state, &s, &range);
		for (uint64_t seq = 20; seq <= 30; seq++) {
			if (way % 2 == 1)
				pb_cursor_park(cursor);
			gives(cursor, seq, seq, PB_VERDICT_ALL);
		}
		gives(cursor, 43, 43, PB_VERDICT_ALL);
		if (way < 2) {
			gives(cursor, 50, 50, PB_VERDICT_ALL);
			assert_false(pb_cursor_done(cursor));
			gives(cursor, 60, 60, PB_VERDICT_ALL);
			assert_int_equal(s.run[1].last_seq, 50);
		}
		ends(cursor);
		assert_int_equal(s.run[0].last_seq, 30);
		assert_int_equal(s.wrong, 0);
		pb_cursor_destroy(cursor);
	}
}

/* Of one block too many or too few, too. */
static void
where_blocks_say_their_numbers_so_many_must_be_there(void **state)
{
	static const uint64_t good_to[] = { 30, 29, 29, 0 };

	for (unsigned way = 0; way < 4; way++) {
		struct script s = { .run = { untold(20, 30) }, .runs = 1 };
		struct pb_cursor *cursor;
		uint64_t good = good_to[way];

		if (way == 0)
			s.run[0].packets++;
		else if (way == 1)
			s.run[0].packets--;
		else if (way == 2)
			s.run[0].end -= 4;
		else
			s.run[0].from += 4;
		cursor = cursor_of(*state, &s, &ALL);
		if (good > 0)
			gives(cursor, 20, good, PB_VERDICT_ALL);
		gives(cursor, good + 1, PACKETS, PB_VERDICT_EACH);
		assert_int_equal(s.wrong, 1);
		pb_cursor_destroy(cursor);
	}
}

/*
 * Goal:   what was left of a run's bytes is nothing to the next run.
 * Method: a run ends where its extent goes on; of what stands in front of the
 *         next one's verdicts nothing is wanted.
 */
static void
a_run_begins_with_its_own_numbers(void **state)
{
	static const uint8_t verdict_of[100] = { [20] = PB_VERDICT_ALL,
	    [30] = PB_VERDICT_ALL };
	struct script s = { .run = { numbers(5, 7), place(20, 30),
	    numbers(32, 40), place(60, 61) }, .runs = 4 };
	struct pb_cursor *cursor;

	s.run[1].verdict_of = verdict_of + 20;
	cursor = cursor_of(*state, &s, &ALL);
	gives(cursor, 5, 7, PB_VERDICT_EACH);
	gives(cursor, 20, 20, PB_VERDICT_ALL);
	gives(cursor, 30, 30, PB_VERDICT_ALL);
	gives(cursor, 32, 40, PB_VERDICT_EACH);
	gives(cursor, 60, 61, PB_VERDICT_ALL);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

/* `run` says that 50 .. 80 are elsewhere, or something else there. */
static void
does_not_mislead(struct fixture *f, struct pb_cursor_run run,
    uint64_t wrong_from)
{
	struct script s = { .run = { place(20, 30), run, numbers(81, 90) },
	    .runs = 3 };
	struct pb_cursor *cursor = cursor_of(f, &s, &ALL);
	struct pb_cursor_packet p;
	uint64_t seq = 20;

	while (next_of(cursor, &p, NULL) == 1) {
		assert_int_equal(p.seq, seq);
		seq = seq == 30 ? 50 : seq + 1;
	}
	assert_int_equal(seq, 91);
	assert_int_equal(s.wrong, 1);
	/* Of a few at once some may be good. */
	if (bytes_max == 0)
		assert_int_equal(s.wrong_from, wrong_from);
	pb_cursor_destroy(cursor);
}

static void
a_place_that_is_none_costs_time_and_nothing_else(void **state)
{
	struct pb_cursor_run run;

#define MISLED(from, ...) do {						\
		run = place(50, 80);					\
		__VA_ARGS__;						\
		does_not_mislead(*state, run, from);			\
	} while (0)
	MISLED(50, run.from += 4);
	MISLED(50, run.from -= 4);
	MISLED(50, run.from = file.at[49]);
	MISLED(50, run.from = file.at[51]);
	MISLED(80, run.end = file.at[80]);
	MISLED(80, run.end = file.at[81] - 4);
	MISLED(81, run.end = file.at[82]);
	MISLED(50, run.end = run.from);
	MISLED(50, run.end = file.segment.bytes + 1);
	MISLED(50, run.from = 0);
	MISLED(50, run.from = 1ull << 62, run.end = (1ull << 62) + 100);
	MISLED(50, run.end = UINT64_MAX);
#undef MISLED
}

static void
packets_that_nobody_wants_are_counted_all_the_same(void **state)
{
	static const uint8_t verdict_of[31] = { [30] = PB_VERDICT_ALL };
	struct script s = { .run = { place(50, 80) }, .runs = 1 };
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;

	/* One block too many stands in front: the last is not the 80th. */
	s.run[0].verdict_of = verdict_of;
	s.run[0].from = file.at[49];
	s.run[0].end = file.at[80];
	cursor = cursor_of(*state, &s, &ALL);
	assert_int_equal(next_of(cursor, &p, NULL), 1);
	assert_int_equal(p.seq, 80);
	assert_int_equal(s.wrong, 1);
	pb_cursor_destroy(cursor);
}

static void
a_place_in_a_segment_that_has_gone_is_passed_over(void **state)
{
	struct script s = { .run = { place(20, 30), place(31, 40),
	    numbers(50, 60) }, .runs = 3 };
	struct pb_cursor *cursor;

	s.run[1].segment_seq = 77;
	cursor = cursor_of(*state, &s, &ALL);
	gives(cursor, 20, 30, PB_VERDICT_ALL);
	gives(cursor, 50, 60, PB_VERDICT_EACH);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

static void
a_cursor_can_be_sent_back(void **state)
{
	struct script s = { .run = { place(1, 300), numbers(301, UINT64_MAX) },
	    .runs = 2 };
	struct pb_cursor *cursor = cursor_of(*state, &s, &ALL);

	pb_cursor_seek(cursor, 400, 410);
	gives(cursor, 400, 410, PB_VERDICT_EACH);
	ends(cursor);
	pb_cursor_seek(cursor, 7, 9);
	gives(cursor, 7, 9, PB_VERDICT_ALL);
	ends(cursor);
	pb_cursor_seek(cursor, 290, 310);
	gives(cursor, 290, 300, PB_VERDICT_ALL);
	gives(cursor, 301, 310, PB_VERDICT_EACH);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

/* Method: some extents, so that there is a next one. */
static void
without_a_guide_it_goes_on_where_it_was_parked_as_well(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;

	for (uint64_t seq = PACKETS + 1; seq < PACKETS + 3000; seq += 500)
		fixture_write(f, seq, seq + 499, 1400);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_cursor_create(&cursor, pb_store_index(f->store),
	    f->dir, &row, &ALL, NULL), 0);
	for (uint64_t seq = 1; seq <= PACKETS + 3000; seq++) {
		assert_int_equal(next_of(cursor, &p, NULL), 1);
		assert_int_equal(p.seq, seq);
		if (seq % 77 == 0)
			pb_cursor_park(cursor);
	}
	ends(cursor);
	pb_cursor_destroy(cursor);
}

static void
a_block_larger_than_what_is_loaded_at_once_comes_whole(void **state)
{
	struct script s = { .run = { place(3, 5), numbers(6, 9) },
	    .runs = 2 };
	struct pb_cursor *cursor = cursor_of(*state, &s, &ALL);

	bytes_max = file.at[2] - file.at[1] - 1;
	gives(cursor, 3, 5, PB_VERDICT_ALL);
	gives(cursor, 6, 9, PB_VERDICT_EACH);
	ends(cursor);
	assert_int_equal(s.wrong, 0);
	pb_cursor_destroy(cursor);
}

/*
 * Goal:   who can hold little of each of many streams is given little, however
 *         large their packets are.
 * Method: packets of several times what is to be loaded at once.
 */
static void
of_large_blocks_one_is_loaded_at_once(void **state)
{
	struct fixture *f = *state;
	struct pb_bytes bytes = { 0 };
	struct pb_cursor_packet p;
	struct pb_stream_info row;
	struct pb_cursor *cursor;
	uint64_t seq = PACKETS;
	unsigned given;

	fixture_write(f, PACKETS + 1, PACKETS + 20, 40000);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_cursor_create(&cursor, pb_store_index(f->store),
	    f->dir, &row, &(struct pb_range){ PACKETS + 1, UINT64_MAX, 0,
	    UINT64_MAX }, NULL), 0);
	while (pb_cursor_load(cursor, &bytes, 16u << 10, NULL) == 1) {
		for (given = 0; pb_cursor_step(cursor, &p, NULL) == 1; given++)
			assert_int_equal(p.seq, ++seq);
		assert_in_range(given, 0, 1);
	}
	assert_int_equal(seq, PACKETS + 20);
	assert_true(pb_cursor_bytes(cursor) < 2 * 20 * 40000);
	pb_cursor_destroy(cursor);
	free(bytes.data);
}

/* Of extents alone, and at their ends. */
static void
what_lies_behind_is_not_earlier_than_the_floor(void **state)
{
	struct fixture *f = *state;
	struct pb_bytes bytes = { 0 };
	struct pb_cursor_packet p;
	struct pb_stream_info row;
	struct pb_cursor *cursor;
	uint64_t floor = 0, known = 0;

	for (uint64_t seq = PACKETS + 1; seq < PACKETS + 3000; seq += 500)
		fixture_write(f, seq, seq + 499, 1400);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_cursor_create(&cursor, pb_store_index(f->store),
	    f->dir, &row, &ALL, NULL), 0);
	while (pb_cursor_load(cursor, &bytes, 0, NULL) == 1) {
		while (pb_cursor_step(cursor, &p, NULL) == 1) {
			/* It is the time of the first one behind. */
			if (floor != 0)
				assert_true(p.packet.time_ns == floor);
			floor = 0;
		}
		floor = pb_cursor_floor(cursor);
		known += floor != 0;
		if (p.seq == row.last_seq)
			assert_true(floor == UINT64_MAX);
		else
			assert_true(floor > p.packet.time_ns);
	}
	assert_true(known >= 4);
	pb_cursor_destroy(cursor);
	free(bytes.data);
}

#define TEST(test)							\
	cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
#define FEW(test)							\
	{ #test ", few at once", test, setup_few, teardown_few, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cursor_goes_from_run_to_run),
		TEST(numbers_and_times_cut_a_run),
		TEST(what_is_not_wanted_of_a_run_is_passed_over),
		TEST(a_cursor_that_was_parked_goes_on_where_it_was),
		TEST(the_blocks_of_a_place_may_say_which_numbers_they_are),
		TEST(where_blocks_say_their_numbers_so_many_must_be_there),
		TEST(a_run_begins_with_its_own_numbers),
		TEST(a_place_that_is_none_costs_time_and_nothing_else),
		TEST(packets_that_nobody_wants_are_counted_all_the_same),
		TEST(a_place_in_a_segment_that_has_gone_is_passed_over),
		TEST(a_cursor_can_be_sent_back),
		TEST(without_a_guide_it_goes_on_where_it_was_parked_as_well),
		TEST(of_large_blocks_one_is_loaded_at_once),
		TEST(what_lies_behind_is_not_earlier_than_the_floor),
		FEW(a_cursor_goes_from_run_to_run),
		FEW(numbers_and_times_cut_a_run),
		FEW(what_is_not_wanted_of_a_run_is_passed_over),
		FEW(a_cursor_that_was_parked_goes_on_where_it_was),
		FEW(the_blocks_of_a_place_may_say_which_numbers_they_are),
		FEW(a_run_begins_with_its_own_numbers),
		FEW(a_place_that_is_none_costs_time_and_nothing_else),
		FEW(packets_that_nobody_wants_are_counted_all_the_same),
		FEW(a_place_in_a_segment_that_has_gone_is_passed_over),
		FEW(a_cursor_can_be_sent_back),
		FEW(without_a_guide_it_goes_on_where_it_was_parked_as_well),
		FEW(a_block_larger_than_what_is_loaded_at_once_comes_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
