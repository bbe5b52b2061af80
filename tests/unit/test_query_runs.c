/*
 * tests/unit/test_query_runs.c - a query whose packets come by extents
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "base/clock.h"
#include "recorder/query/export.h"
#include "recorder/query/query.h"
#include "tests/unit/store_fixture.h"

#define STREAMS	3
#define START	1700000000000000000ull
#define MS	PB_NS_PER_MS

/* One of several streams of the fixture's store. */
struct lane {
	struct pb_stream *stream;
	struct pb_head	*head;
	uint64_t	 seq;		/* of the last packet */
	uint64_t	 time;
};

static uint32_t dice_state;

static uint32_t
dice(uint32_t sides)
{
	dice_state = dice_state * 1664525u + 1013904223u;
	return (dice_state >> 8) % sides;
}

static void
lane_open(struct fixture *f, struct lane *lane, const char *interface,
    uint64_t time)
{
	struct pb_stream_key key = f->key;

	strcpy(key.interface, interface);
	memset(lane, 0, sizeof(*lane));
	lane->time = time;
	lane->head = fixture_head(&key, "of the test");
	assert_int_equal(pb_store_stream(f->store, &key,
	    PB_LINKTYPE_ETHERNET, 0, true, &lane->stream, NULL), 0);
}

/* `count` packets, each later than the last by up to `step`, and earlier by
 * up to `back` where the dice say so; durable. */
static void
lane_write(struct fixture *f, struct lane *lane, unsigned count,
    uint32_t step, uint32_t back)
{
	struct pb_chunk *chunk = pb_chunk_create();
	static uint8_t data[2048];
	uint8_t options[PB_OPTION_BYTES(8)];

	assert_non_null(chunk);
	chunk->stream = lane->stream;
	chunk->head = pb_head_ref(lane->head);
	chunk->done = fixture_done;
	chunk->arg = f;
	chunk->first_seq = lane->seq + 1;
	for (unsigned i = 0; i < count; i++) {
		struct pb_packet packet = { .data = data,
		    .caplen = 60 + dice(1400), .options = options,
		    .options_len = sizeof(options) };

		packet.origlen = packet.caplen;
		packet.time_ns = lane->time += dice(step);
		if (back > 0 && dice(100) == 0)
			packet.time_ns -= dice(back);
		lane->seq++;
		fixture_packet(data, packet.caplen, lane->seq);
		pb_option_at_u64(options, PB_OPT_EPB_PACKETID, lane->seq);
		pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0,
		    &packet), lane->seq, packet.time_ns, packet.caplen);
	}
	chunk->last_seq = lane->seq;
	assert_true(chunk->len <= chunk->cap);
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
}

#define MANY		90
#define MANY_EACH	1100u

struct place {
	uint64_t	 time, seq, interface;
};

struct read {
	uint8_t		*data;		/* a pcapng file */
	size_t		 len;
	unsigned	 runs, packets;	/* how it came */
};

/* The query's packets as a file, with runs or without. */
static struct read
read_all(struct fixture *f, const struct pb_select *select, bool runs)
{
	struct pb_query_opts opts = { .store = f->dir, .select = select,
	    .filter = "", .open = fixture_index, .close = fixture_index_end,
	    .arg = f };
	struct read got = { 0 };
	struct pb_cursor_packet cp;
	struct pb_export_opts how = { 0 };
	struct pb_export *export;
	struct pb_query *query;
	struct pb_out out;
	struct pb_run run;
	struct pb_err err;
	int rc, fd = memfd_create("runs", 0);

	pb_out_init(&out, fd, "test", NULL);
	assert_int_equal(pb_export_create(&export, &out, &how, NULL), 0);
	assert_int_equal(pb_query_open(&query, &opts, &err), 0);
	for (;;) {
		rc = runs ? pb_query_run(query, UINT64_MAX, &run, &err) :
		    pb_query_next(query, &cp, &err);
		if (rc == 0)
			break;
		assert_int_equal(rc, 1);
		got.runs++;
		got.packets += runs ? (unsigned)run.packets : 1;
		assert_int_equal(runs ? pb_export_run(export, &run, &err) :
		    pb_export_packet(export, &cp, &err), 0);
	}
	pb_query_close(query);
	assert_int_equal(pb_export_end(export, &err), 0);
	assert_int_equal(pb_out_end(&out, &err), 0);
	got.len = (size_t)out.bytes;
	got.data = malloc(got.len);
	assert_non_null(got.data);
	assert_int_equal(pread(fd, got.data, got.len, 0), got.len);
	pb_export_destroy(export);
	pb_out_finish(&out);
	close(fd);
	return got;
}

/* Both ways give the same bytes; how it came with runs. */
static struct read
same_both_ways(struct fixture *f, const struct pb_select *select)
{
	struct read with = read_all(f, select, true);
	struct read without = read_all(f, select, false);

	assert_int_equal(with.len, without.len);
	assert_memory_equal(with.data, without.data, with.len);
	free(with.data);
	free(without.data);
	with.data = NULL;
	return with;
}

static void
a_stream_in_order_is_all_runs(void **state)
{
	struct fixture *f = *state;
	struct pb_select select;
	struct read got;
	struct lane lane;

	pb_select_init(&select);
	lane_open(f, &lane, "eth1", START);
	for (int i = 0; i < 12; i++)
		lane_write(f, &lane, 1000, 1000, 0);
	got = same_both_ways(f, &select);
	assert_int_equal(got.packets, 12000);
	assert_in_range(got.runs, 8, 24);
	pb_head_unref(lane.head);
}

static void
a_few_packets_in_the_way_cost_a_few_runs(void **state)
{
	struct fixture *f = *state;
	struct pb_select select;
	struct lane busy, quiet;
	struct read got;

	pb_select_init(&select);
	lane_open(f, &busy, "eth1", START);
	lane_open(f, &quiet, "eth2", START);
	for (int i = 0; i < 40; i++) {
		lane_write(f, &busy, 900, 100000, 0);
		if (i % 20 != 10)
			continue;
		quiet.time = busy.time - 20 * MS;
		lane_write(f, &quiet, 1, 1, 0);
	}
	got = same_both_ways(f, &select);
	assert_int_equal(got.packets, 40 * 900 + 2);
	assert_in_range(got.runs, 30, 120);
	pb_head_unref(busy.head);
	pb_head_unref(quiet.head);
}

/*
 * Goal:   runs change nothing, whatever streams and times there are.
 * Method: streams, extents, times by dice; with cuts of all kinds.
 */
static void
runs_give_what_single_packets_give(void **state)
{
	static const char *const name[STREAMS] = { "a", "b", "c" };
	struct fixture *f = *state;
	struct lane lane[STREAMS];
	struct pb_select select;
	unsigned runs = 0;

	dice_state = 12;
	for (int i = 0; i < STREAMS; i++)
		lane_open(f, &lane[i], name[i], START + dice(1000) * MS);
	for (int i = 0; i < 60; i++) {
		struct lane *l = &lane[dice(STREAMS)];

		l->time += dice(3) * 700 * MS;
		lane_write(f, l, 1 + dice(700), 1 + dice(40000),
		    dice(4) == 0 ? dice(20) * MS : 0);
	}
	for (int i = 0; i < 40; i++) {
		pb_select_init(&select);
		if (dice(2) == 0)
			select.range.after_ns = START + dice(9000) * MS;
		if (dice(2) == 0)
			select.range.before_ns = START + dice(15000) * MS;
		if (dice(3) == 0)
			select.range.first_seq = 1 + dice(3000);
		if (dice(3) == 0)
			select.range.last_seq = 1 + dice(9000);
		if (dice(3) == 0)
			select.limit = dice(20000);
		runs += same_both_ways(f, &select).runs;
	}
	assert_true(runs > 0);
	for (int i = 0; i < STREAMS; i++)
		pb_head_unref(lane[i].head);
}

/* A query's packets, by input and number. */
static struct place *
places_of(struct fixture *f, const char *filter, bool reverse, size_t *count)
{
	struct pb_select select;
	struct pb_query_opts opts = { .store = f->dir, .select = &select,
	    .filter = filter, .open = fixture_index, .close = fixture_index_end,
	    .arg = f, .reverse = reverse };
	struct place *place = calloc(MANY * MANY_EACH, sizeof(*place));
	struct pb_cursor_packet cp;
	struct pb_query *query;
	size_t n = 0;

	assert_non_null(place);
	pb_select_init(&select);
	assert_int_equal(pb_query_open(&query, &opts, NULL), 0);
	while (pb_query_next(query, &cp, NULL) == 1) {
		assert_true(n < MANY * MANY_EACH);
		place[n++] = (struct place){ cp.packet.time_ns, cp.seq,
		    (uint8_t)cp.head->identity.interface[0] };
	}
	pb_query_close(query);
	*count = n;
	return place;
}

/*
 * Goal:   so many streams at once that less than an extent of each is held
 *         come in order, and backwards in the same.
 * Method: all of one time; all packets, and some.
 */
static void
streams_that_are_read_bit_by_bit_come_in_one_order(void **state)
{
	static const char *const filter[] = { "", "greater 1300" };
	struct fixture *f = *state;
	struct place *place, *back;
	struct lane lane;
	size_t n, back_n;
	char name[2] = "";

	for (int i = 0; i < MANY; i++) {
		name[0] = (char)(' ' + 1 + i);
		lane_open(f, &lane, name, START);
		lane_write(f, &lane, MANY_EACH, 100000, 0);
		pb_head_unref(lane.head);
	}
	for (int k = 0; k < 2; k++) {
		place = places_of(f, filter[k], false, &n);
		back = places_of(f, filter[k], true, &back_n);
		assert_int_equal(n, back_n);
		assert_true(k == 1 || n == MANY * MANY_EACH);
		for (size_t i = 0; i < n; i++) {
			assert_memory_equal(&place[i], &back[n - 1 - i],
			    sizeof(*place));
			assert_true(i == 0 ||
			    place[i].time >= place[i - 1].time);
		}
		free(place);
		free(back);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(a_stream_in_order_is_all_runs),
		IN_STORE(a_few_packets_in_the_way_cost_a_few_runs),
		IN_STORE(runs_give_what_single_packets_give),
		IN_STORE(streams_that_are_read_bit_by_bit_come_in_one_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
