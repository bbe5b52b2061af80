/*
 * tests/unit/test_query.c - a query of a real store, from round to round
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "recorder/query/query.h"
#include "tests/unit/store_fixture.h"

#define LEN	100

/* Who asks: looks at the index of the store that writes it, or at one of its
 * own while none does. */
struct asker {
	struct fixture	*f;
	struct pb_stop	 stop;
	bool		 stopped, reader;
	unsigned	 opened, closed, gone;
};

static bool
asked_to_stop(void *arg)
{
	const struct asker *asker = arg;

	return asker->stopped;
}

static int
open_index(void *arg, struct pb_index **out, struct pb_err *err)
{
	struct asker *asker = arg;

	asker->opened++;
	if (asker->reader)
		return pb_index_open(out, asker->f->dir, err);
	*out = pb_store_index(asker->f->store);
	return 0;
}

static void
close_index(void *arg, struct pb_index *index, const char *why)
{
	struct asker *asker = arg;

	assert_non_null(index);
	asker->closed++;
	asker->gone += why != NULL;
	if (!asker->reader)
		return;
	/* The next one is there, with packets behind. */
	pb_index_close(index);
	asker->reader = false;
}

static struct pb_query *
query_of(struct asker *asker, const struct pb_select *select, bool follow)
{
	struct pb_query_opts opts = { .store = asker->f->dir,
	    .select = select, .filter = "", .follow = follow,
	    .stop = &asker->stop, .open = open_index,
	    .close = close_index, .arg = asker };
	struct pb_query *query;
	struct pb_err err;

	asker->stop = (struct pb_stop){ asked_to_stop, asker };
	if (pb_query_open(&query, &opts, &err) < 0)
		fail_msg("%s", err.text);
	return query;
}

/* The rest of the round is first .. last. */
static void
round_is(struct pb_query *query, uint64_t first, uint64_t last)
{
	struct pb_cursor_packet cp;
	struct pb_err err;
	uint64_t time;

	for (uint64_t seq = first; seq <= last; seq++) {
		assert_int_equal(pb_query_peek(query, &time, &err), 1);
		assert_int_equal(pb_query_next(query, &cp, &err), 1);
		assert_int_equal(cp.seq, seq);
		assert_true(cp.packet.time_ns == time);
	}
	assert_int_equal(pb_query_next(query, &cp, &err), 0);
	assert_int_equal(pb_query_peek(query, &time, &err), 0);
}

static void
a_round_is_what_was_durable_when_it_began(void **state)
{
	struct asker asker = { 0 };
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;
	uint64_t count;

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	pb_select_init(&select);
	fixture_write(&f, 1, 100, LEN);
	query = query_of(&asker, &select, false);
	fixture_write(&f, 101, 150, LEN);
	assert_int_equal(pb_query_streams(query), 1);
	assert_int_equal(pb_query_count(query, &count, &err), 0);
	assert_int_equal(count, 100);
	round_is(query, 1, 100);
	pb_query_close(query);
	assert_int_equal(asker.opened, 1);
	assert_int_equal(asker.closed, 1);
	assert_int_equal(asker.gone, 0);
	fixture_finish(&f);
}

static void
the_limit_ends_the_round_and_the_waiting(void **state)
{
	struct asker asker = { 0 };
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	pb_select_init(&select);
	select.limit = 120;
	fixture_write(&f, 1, 100, LEN);
	query = query_of(&asker, &select, true);
	round_is(query, 1, 100);
	fixture_write(&f, 101, 150, LEN);
	assert_int_equal(pb_query_wait(query, STDOUT_FILENO, &err), 1);
	round_is(query, 101, 120);
	assert_int_equal(pb_query_wait(query, STDOUT_FILENO, &err), 0);
	pb_query_close(query);
	fixture_finish(&f);
}

static void
who_is_asked_to_stop_hands_out_no_more(void **state)
{
	struct asker asker = { 0 };
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	pb_select_init(&select);
	fixture_write(&f, 1, 100, LEN);
	query = query_of(&asker, &select, true);
	assert_int_equal(pb_query_next(query, &cp, &err), 1);
	asker.stopped = true;
	assert_int_equal(pb_query_next(query, &cp, &err), 0);
	assert_int_equal(pb_query_wait(query, STDOUT_FILENO, &err), 0);
	pb_query_close(query);
	fixture_finish(&f);
}

static void
a_reader_that_has_gone_ends_the_waiting(void **state)
{
	struct asker asker = { 0 };
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;
	int fd[2];

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	pb_select_init(&select);
	query = query_of(&asker, &select, true);
	round_is(query, 1, 0);
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	assert_int_equal(pb_query_wait(query, fd[1], &err), 0);
	close(fd[1]);
	pb_query_close(query);
	fixture_finish(&f);
}

/*
 * Goal:   an index that is not the store's any more is told, and one that
 *         follows goes on with the next, each stream from where it was.
 * Method: between two rounds a copy, with more packets, takes the store's
 *         place.
 */
static void
another_index_at_the_path_is_read_from_where_it_was(void **state)
{
	struct asker asker = { .reader = true };
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;
	char command[512];

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	pb_select_init(&select);
	fixture_write(&f, 1, 100, LEN);
	pb_store_close(f.store);
	query = query_of(&asker, &select, true);
	round_is(query, 1, 100);
	snprintf(command, sizeof(command), "mv %s %s.old && cp -r %s.old %s",
	    f.dir, f.dir, f.dir, f.dir);
	assert_int_equal(system(command), 0);
	fixture_open(&f);
	fixture_write(&f, 101, 110, LEN);
	assert_int_equal(pb_query_wait(query, STDOUT_FILENO, &err), 1);
	assert_int_equal(asker.opened, 2);
	assert_int_equal(asker.closed, 1);
	assert_int_equal(asker.gone, 1);
	round_is(query, 101, 110);
	pb_query_close(query);
	snprintf(command, sizeof(command), "rm -rf %s.old", f.dir);
	assert_int_equal(system(command), 0);
	fixture_finish(&f);
}

struct found {
	unsigned heads;
};

static int
count_head(void *arg, const struct pb_head *head, struct pb_err *err)
{
	struct found *found = arg;

	(void)err;
	assert_string_equal(head->identity.interface, "eth0");
	found->heads++;
	return 0;
}

static void
the_heads_are_those_of_the_streams_that_are_named(void **state)
{
	static const struct { const char *glob; unsigned heads; } row[] = {
		{ "lon1/*", 1 }, { "par/*", 0 },
	};
	struct asker asker = { 0 };
	struct pb_select select;
	struct pb_query *query;
	struct fixture f;
	struct pb_err err;

	(void)state;
	fixture_init(&f, __LINE__);
	asker.f = &f;
	fixture_write(&f, 1, 10, LEN);
	for (size_t i = 0; i < 2; i++) {
		struct found found = { 0 };

		pb_select_init(&select);
		assert_int_equal(pb_select_stream(&select, row[i].glob, &err),
		    0);
		assert_int_equal(pb_select_seq(&select, "500-", &err), 0);
		query = query_of(&asker, &select, false);
		round_is(query, 1, 0);
		assert_int_equal(pb_query_heads(query, count_head, &found,
		    &err), 0);
		assert_int_equal(found.heads, row[i].heads);
		pb_query_close(query);
	}
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_is_what_was_durable_when_it_began),
		cmocka_unit_test(the_limit_ends_the_round_and_the_waiting),
		cmocka_unit_test(who_is_asked_to_stop_hands_out_no_more),
		cmocka_unit_test(a_reader_that_has_gone_ends_the_waiting),
		cmocka_unit_test(
		    another_index_at_the_path_is_read_from_where_it_was),
		cmocka_unit_test(
		    the_heads_are_those_of_the_streams_that_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
