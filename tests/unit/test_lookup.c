/*
 * tests/unit/test_lookup.c - what was looked for in a file, and who asks
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "shipper/feed/feed.h"
#include "shipper/feed/lookup.h"
#include "tests/unit/temp.h"

#define WAIT_MS	30000

struct bench {
	char		 dir[TEMP_NAME_MAX];
	struct pb_lookups all;
	unsigned	 found;
};

static void
found(void *arg, const void *owner, uint32_t id)
{
	struct bench *b = arg;

	assert_ptr_equal(owner, b);
	assert_int_not_equal(id, 0);
	b->found++;
}

/* Stores without a file in them: what is found is an error. */
static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	temp_make(b->dir, "lookup");
	b->all.opts.store = b->dir;
	b->all.opts.found = found;
	b->all.opts.arg = b;
	pb_buf_init(&b->all.bytes, PB_FEED_EXTENT_MAX);
	assert_int_equal(pb_worker_create(&b->all.opts.worker, "lookup", NULL), 0);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	pb_lookups_cancel(&b->all, NULL);
	pb_worker_destroy(b->all.opts.worker);
	pb_buf_finish(&b->all.bytes);
	temp_remove(b->dir);
	free(b);
	return 0;
}

static const struct pb_lookup *
ask_for(struct bench *b, uint32_t id, bool known)
{
	struct pb_lookup want = { .want = { .owner = b, .id = id,
	    .known = known, .bytes_max = 1000 },
	    .kind = PB_LOOKUP_EXTENT, .key = { .node = "lon1",
	    .interface = "eth0" }, .from = 5,
	    .extent = { .segment_seq = 1, .bytes = 100 },
	    .piece = { .first = 5, .last = 9, .segment_seq = 1 } };

	return pb_lookup(&b->all, &want);
}

static const struct pb_lookup *
ask(struct bench *b, uint32_t id)
{
	return ask_for(b, id, false);
}

static void
wait_for(struct bench *b, unsigned count)
{
	struct pollfd fd = { .fd = pb_worker_fd(b->all.opts.worker),
	    .events = POLLIN };

	while (b->found < count) {
		assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
		pb_worker_collect(b->all.opts.worker);
	}
}

static void
it_is_told_once_and_then_looked_for_again(void **state)
{
	struct bench *b = *state;
	const struct pb_lookup *got;

	assert_null(ask(b, 1));
	assert_null(ask(b, 1));
	wait_for(b, 1);
	got = ask(b, 1);
	assert_non_null(got);
	assert_int_equal(got->rc, PB_ENOENT);
	assert_null(ask(b, 1));
	wait_for(b, 2);
	assert_non_null(ask(b, 1));
}

/* The file may have come back since, or have gone. */
static void
what_was_found_long_ago_is_looked_for_again(void **state)
{
	struct bench *b = *state;

	assert_null(ask(b, 1));
	wait_for(b, 1);
	b->all.search[0].done_ms -= PB_LOOKUP_AGE_MS + 1;
	assert_null(ask(b, 1));
	wait_for(b, 2);
	assert_non_null(ask(b, 1));
}

static void
what_is_to_be_known_is_not_looked_for(void **state)
{
	struct bench *b = *state;

	assert_null(ask_for(b, 1, true));
	assert_int_equal(b->all.running, 0);
	assert_null(ask(b, 1));
	wait_for(b, 1);
	assert_non_null(ask_for(b, 1, true));
	assert_null(ask_for(b, 1, true));
	assert_int_equal(b->all.running, 0);
}

/* Nobody is told when there is a place again: one asks. */
static void
where_all_places_are_taken_it_is_asked_for_again(void **state)
{
	struct bench *b = *state;
	uint32_t last = PB_LOOKUPS_MAX + 1;

	for (uint32_t id = 1; id <= last; id++)
		assert_null(ask(b, id));
	wait_for(b, PB_LOOKUPS_MAX);
	assert_null(ask(b, last));
	wait_for(b, last);
	assert_non_null(ask(b, last));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    it_is_told_once_and_then_looked_for_again, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    what_was_found_long_ago_is_looked_for_again, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    what_is_to_be_known_is_not_looked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    where_all_places_are_taken_it_is_asked_for_again, setup,
		    teardown),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
