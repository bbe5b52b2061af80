/*
 * tests/unit/test_search.c - the selected packets of a real store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/query/search.h"
#include "tests/unit/store_fixture.h"

#define LEN	100

static int
create(struct pb_search **out, struct fixture *f,
    const struct pb_select *select, const char *filter, struct pb_err *err)
{
	struct pb_search_opts opts = { .store = f->dir, .select = select,
	    .filter = filter };

	return pb_search_create(out, pb_store_index(f->store), &opts, err);
}

static struct pb_search *
search_of(struct fixture *f, const struct pb_select *select,
    const char *filter)
{
	struct pb_search *search;
	struct pb_err err = { 0 };

	if (create(&search, f, select, filter, &err) < 0)
		fail_msg("%s", err.text);
	return search;
}

/* The round's numbers are first .. last, as merged and as counted. */
static void
round_has(struct pb_search *search, uint64_t first, uint64_t last)
{
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t seq = first, count;
	size_t input;

	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	while (pb_merge_next(merge, &cp, &input, &err) == 1) {
		assert_int_equal(cp.seq, seq++);
		assert_string_equal(cp.head->identity.node[0].name, "lon1");
	}
	assert_int_equal(seq, last + 1);
	pb_merge_destroy(merge);
	assert_int_equal(pb_search_count(search, UINT64_MAX, &count, &err),
	    0);
	assert_int_equal(count, last + 1 - first);
}

static void
all_that_is_durable_is_found(void **state)
{
	struct pb_select select;
	struct pb_search *search;
	struct fixture f;

	(void)state;
	fixture_init(&f, __LINE__);
	pb_select_init(&select);
	search = search_of(&f, &select, "");
	assert_int_equal(pb_search_streams(search), 0);
	pb_search_destroy(search);
	fixture_write(&f, 1, 500, LEN);
	fixture_write(&f, 501, 1000, LEN);
	search = search_of(&f, &select, "");
	assert_int_equal(pb_search_streams(search), 1);
	round_has(search, 1, 1000);
	pb_search_destroy(search);
	fixture_finish(&f);
}

static void
numbers_and_times_cut(void **state)
{
	struct pb_select select;
	struct pb_search *search;
	struct fixture f;

	(void)state;
	fixture_init(&f, __LINE__);
	fixture_write(&f, 1, 1000, LEN);
	pb_select_init(&select);
	assert_int_equal(pb_select_seq(&select, "17-42", NULL), 0);
	search = search_of(&f, &select, "");
	round_has(search, 17, 42);
	pb_search_destroy(search);
	pb_select_init(&select);
	select.range.after_ns = FIXTURE_TIME(100);
	select.range.before_ns = FIXTURE_TIME(200);
	search = search_of(&f, &select, "");
	round_has(search, 100, 199);
	pb_search_destroy(search);
	fixture_finish(&f);
}

static void
a_round_ends_where_it_began_and_the_next_goes_on(void **state)
{
	struct pb_select select;
	struct pb_search *search;
	struct fixture f;
	struct pb_err err;

	(void)state;
	fixture_init(&f, __LINE__);
	fixture_write(&f, 1, 100, LEN);
	pb_select_init(&select);
	search = search_of(&f, &select, "");
	fixture_write(&f, 101, 150, LEN);
	round_has(search, 1, 100);
	assert_int_equal(pb_search_round(search,
	    pb_store_index(f.store), &err), 0);
	round_has(search, 101, 150);
	assert_int_equal(pb_search_round(search,
	    pb_store_index(f.store), &err), 0);
	assert_int_equal(pb_search_streams(search), 0);
	fixture_write(&f, 151, 151, LEN);
	assert_int_equal(pb_search_round(search,
	    pb_store_index(f.store), &err), 0);
	assert_int_equal(pb_search_streams(search), 1);
	pb_search_destroy(search);
	fixture_finish(&f);
}

static void
a_filter_is_applied_and_a_wrong_one_refused(void **state)
{
	struct pb_select select;
	struct pb_search *search;
	struct fixture f;
	struct pb_err err;
	uint64_t count;

	(void)state;
	fixture_init(&f, __LINE__);
	pb_select_init(&select);
	/* No stream yet: said all the same. */
	assert_int_equal(create(&search, &f, &select, "prot 53", &err),
	    PB_EINVAL);
	/* A filter for other link types is a filter. */
	search = search_of(&f, &select, "type mgt");
	pb_search_destroy(search);
	fixture_write(&f, 1, 256, LEN);
	assert_int_equal(create(&search, &f, &select, "prot 53", &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "prot 53"));
	/* The first byte of packet `seq` is seq * 31: one in 256 is 0. */
	search = search_of(&f, &select, "ether[0] = 0");
	assert_int_equal(pb_search_count(search, UINT64_MAX, &count, &err),
	    0);
	assert_int_equal(count, 1);
	pb_search_destroy(search);
	search = search_of(&f, &select, "ether[0] > 127");
	assert_int_equal(pb_search_count(search, UINT64_MAX, &count, &err),
	    0);
	assert_int_equal(count, 128);
	assert_int_equal(pb_search_count(search, 5, &count, &err), 0);
	assert_int_equal(count, 5);
	pb_search_destroy(search);
	fixture_finish(&f);
}

/* Method: more than one extent and segment, and packets beside the piece. */
static void
backwards_the_same_packets_come_from_the_last_on(void **state)
{
	struct pb_search_opts opts = { .filter = "ether[0] > 127",
	    .backwards = true };
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint8_t want[LEN];
	struct fixture f;
	uint64_t seq;
	size_t input;

	(void)state;
	fixture_begin(&f, __LINE__, true);
	for (seq = 1; seq < 60000; seq += 6000)
		fixture_write(&f, seq, seq + 5999, LEN);
	pb_select_init(&select);
	assert_int_equal(pb_select_seq(&select, "3-59990", NULL), 0);
	opts.store = f.dir;
	opts.select = &select;
	assert_int_equal(pb_search_create(&search, pb_store_index(f.store),
	    &opts, NULL), 0);
	assert_int_equal(pb_search_merge(search, &merge, NULL), 0);
	for (seq = 59990; seq >= 3; seq--) {
		if ((uint8_t)(seq * 31) <= 127)
			continue;
		assert_int_equal(pb_merge_next(merge, &cp, &input, NULL), 1);
		assert_int_equal(cp.seq, seq);
		fixture_packet(want, LEN, seq);
		assert_memory_equal(cp.packet.data, want, LEN);
		assert_string_equal(cp.head->identity.node[0].name, "lon1");
		pb_search_dealt(search, input, cp.seq, 1);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &input, NULL), 0);
	pb_merge_destroy(merge);
	assert_int_equal(pb_search_explain(search)->found,
	    (59990 - 2) / 2);
	pb_search_destroy(search);
	fixture_finish(&f);
}

static void
the_last_packet_costs_a_look_at_the_end(void **state)
{
	struct pb_search_opts opts = { .filter = "", .backwards = true };
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	struct fixture f;
	size_t input;

	(void)state;
	fixture_begin(&f, __LINE__, true);
	for (uint64_t seq = 1; seq < 60000; seq += 6000)
		fixture_write(&f, seq, seq + 5999, LEN);
	pb_select_init(&select);
	opts.store = f.dir;
	opts.select = &select;
	assert_int_equal(pb_search_create(&search, pb_store_index(f.store),
	    &opts, NULL), 0);
	assert_int_equal(pb_search_merge(search, &merge, NULL), 0);
	assert_int_equal(pb_merge_next(merge, &cp, &input, NULL), 1);
	assert_int_equal(cp.seq, 60000);
	pb_merge_destroy(merge);
	assert_true(pb_search_explain(search)->packet_bytes <
	    3 * PB_EXTENT_BYTES_MAX);
	pb_search_destroy(search);
	fixture_finish(&f);
}

/*
 * Goal:   who goes on after a failure gets failures, not a crash.
 * Method: more streams than may have a file open, and a store's path that no
 *         cursor takes.
 */
static void
an_input_that_could_not_be_opened_is_parked_all_the_same(void **state)
{
	char store[2 * PATH_MAX] = "";
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	struct fixture f;
	struct pb_err err;
	size_t input;

	(void)state;
	fixture_begin(&f, __LINE__, true);
	for (unsigned i = 0; i < PB_MERGE_READING_MAX + 2; i++) {
		fixture_write(&f, 1, 1, LEN);
		pb_head_unref(f.head);
		f.key.epoch++;
		f.head = fixture_head(&f.key, "London");
		assert_int_equal(pb_store_stream(f.store, &f.key,
		    PB_LINKTYPE_ETHERNET, 0, true, &f.stream, &err), 0);
	}
	memset(store, '/', sizeof(store) - 1);
	pb_select_init(&select);
	assert_int_equal(pb_search_create(&search, pb_store_index(f.store),
	    &(struct pb_search_opts){ .store = store, .select = &select,
	    .filter = "" }, &err), 0);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	for (unsigned i = 0; i < PB_MERGE_READING_MAX + 2; i++)
		assert_int_equal(pb_merge_next(merge, &cp, &input, &err),
		    PB_ELIMIT);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_durable_is_found),
		cmocka_unit_test(numbers_and_times_cut),
		cmocka_unit_test(
		    a_round_ends_where_it_began_and_the_next_goes_on),
		cmocka_unit_test(a_filter_is_applied_and_a_wrong_one_refused),
		cmocka_unit_test(
		    backwards_the_same_packets_come_from_the_last_on),
		cmocka_unit_test(the_last_packet_costs_a_look_at_the_end),
		cmocka_unit_test(
		    an_input_that_could_not_be_opened_is_parked_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
