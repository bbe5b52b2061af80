/*
 * tests/unit/test_prefetch.c - parts of a long stream, read by other threads
 *
 * Method: a stream of many small segments, and who takes its packets sleeps
 * behind the first one, until it is worth starting threads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <lmdb.h>
#include <sched.h>

#include "base/bytes.h"
#include "recorder/filter/payload.h"
#include "recorder/query/search.h"
#include "tests/unit/flow_tables_fixture.h"

#define SEGMENTS	24u
#define EACH		20u		/* packets of a segment */
#define PACKETS		(SEGMENTS * EACH)
#define WHILE_US	12000		/* longer than threads are waited with */

struct given_up {
	bool		 asked;
};

static bool
asked(void *arg)
{
	return __atomic_load_n(&((struct given_up *)arg)->asked,
	    __ATOMIC_RELAXED);
}

/* Numbers from then on cannot be looked for in the index; 0: all can. */
static _Atomic uint64_t unread;

int
mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op)
{
	int (*real)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op);
	const uint8_t *bytes = key->mv_data;

	if (unread > 0 && op == MDB_SET_RANGE && key->mv_size == 12 &&
	    pb_get_be64(bytes + 4) >= unread)
		return MDB_CORRUPTED;
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_cursor_get");
	return real(cursor, key, data, op);
}

/* A head that differs begins a segment. */
static void
write_segments(struct fixture *f, uint64_t first)
{
	char description[32];

	for (unsigned i = 0; i < SEGMENTS; i++) {
		snprintf(description, sizeof(description), "%u", i);
		pb_head_unref(f->head);
		f->head = fixture_head(&f->key, description);
		write_known(f, first + i * EACH, first + (i + 1) * EACH - 1);
	}
	seal(f);
}

/* Of these threads, how many there are. */
static unsigned
threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[PATH_MAX], name[32];
	unsigned count = 0;
	FILE *file;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
		    entry->d_name);
		file = fopen(path, "r");
		if (file == NULL)
			continue;
		count += fgets(name, sizeof(name), file) != NULL &&
		    strcmp(name, "prefetch\n") == 0;
		fclose(file);
	}
	closedir(dir);
	return count;
}

/* There are some where there are processors for them. */
static void
expect_threads(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < 1000 && threads() == 0; i++)
		usleep(1000);
	assert_int_equal(threads() > 0, CPU_COUNT(&set) > 1);
}

/* One that was joined may be listed for a moment. */
static void
expect_no_thread(void)
{
	for (int i = 0; i < 1000 && threads() > 0; i++)
		usleep(1000);
	assert_int_equal(threads(), 0);
}

static struct pb_search *
search_of(struct fixture *f, const struct pb_select *select,
    const struct pb_payload *payload, const struct pb_stop *stop)
{
	struct pb_search_opts opts = { .store = f->dir, .select = select,
	    .filter = "", .payload = payload, .stop = stop };
	struct pb_search *search;
	struct pb_err err = { 0 };

	if (pb_search_create(&search, pb_store_index(f->store), &opts,
	    &err) < 0)
		fail_msg("%s", err.text);
	return search;
}

/* Of a merge that has begun, the first packet; and threads are worth it. */
static void
take_first(struct pb_merge *merge)
{
	struct pb_cursor_packet cp;
	struct pb_err err;
	size_t input;

	assert_int_equal(pb_merge_next(merge, &cp, &input, &err), 1);
	assert_int_equal(cp.seq, 1);
	usleep(WHILE_US);
}

/* Packets behind `seq` up to the end, one by one: how it ended. */
static int
take_all(struct pb_merge *merge, uint64_t *seq, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	static uint8_t want[LEN];
	size_t input;
	int rc;

	while ((rc = pb_merge_next(merge, &cp, &input, err)) == 1) {
		assert_int_equal(cp.seq, ++*seq);
		assert_int_equal(cp.packet.time_ns, FIXTURE_TIME(cp.seq));
		fixture_packet(want, LEN, cp.seq);
		assert_memory_equal(cp.packet.data, want, LEN);
	}
	return rc;
}

static void
what_threads_read_comes_in_order_and_once(void **state)
{
	struct fixture *f = *state;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 1;
	struct pb_err err;

	write_segments(f, 1);
	pb_select_init(&select);
	search = search_of(f, &select, NULL, NULL);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	take_first(merge);
	assert_int_equal(take_all(merge, &seq, &err), 0);
	expect_threads();
	assert_int_equal(seq, PACKETS);
	pb_merge_destroy(merge);
	assert_int_equal(pb_search_explain(search)->blocks, SEGMENTS);
	assert_int_equal(pb_search_explain(search)->asked +
	    pb_search_explain(search)->taken, PACKETS);
	assert_true(pb_search_explain(search)->packet_bytes >= PACKETS * LEN);
	pb_search_destroy(search);
	expect_no_thread();
}

/* The parts of each in its own order, and all by time. */
static void
two_streams_that_threads_read_are_merged_by_time(void **state)
{
	struct fixture *f = *state;
	struct pb_cursor_packet cp;
	uint64_t seq[2] = { 0, 0 };
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	struct pb_err err;
	size_t input;

	write_segments(f, 1);
	f->key.epoch++;
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
	write_segments(f, 1);
	pb_select_init(&select);
	search = search_of(f, &select, NULL, NULL);
	assert_int_equal(pb_search_streams(search), 2);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	for (unsigned i = 0; i < 2 * PACKETS; i++) {
		assert_int_equal(pb_merge_next(merge, &cp, &input, &err), 1);
		assert_int_equal(input, i % 2);
		assert_int_equal(cp.seq, ++seq[input]);
		if (i == 0)
			usleep(WHILE_US);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &input, &err), 0);
	expect_threads();
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

static void
a_range_cuts_what_threads_read(void **state)
{
	struct fixture *f = *state;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 1;
	struct pb_err err;

	write_segments(f, 1);
	pb_select_init(&select);
	select.range.last_seq = PACKETS - EACH - EACH / 2;
	select.range.before_ns = FIXTURE_TIME(PACKETS - EACH - EACH / 2 - 2);
	search = search_of(f, &select, NULL, NULL);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	take_first(merge);
	assert_int_equal(take_all(merge, &seq, &err), 0);
	assert_int_equal(seq, PACKETS - EACH - EACH / 2 - 3);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

static void
a_merge_given_up_halfway_leaves_no_thread_behind(void **state)
{
	struct fixture *f = *state;
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	struct pb_err err;
	size_t input;

	write_segments(f, 1);
	pb_select_init(&select);
	for (unsigned some = 1; some < PACKETS; some += 7) {
		search = search_of(f, &select, NULL, NULL);
		assert_int_equal(pb_search_merge(search, &merge, &err), 0);
		take_first(merge);
		for (unsigned i = 0; i < some; i++)
			assert_int_equal(pb_merge_next(merge, &cp, &input,
			    &err), i + 1 < PACKETS ? 1 : 0);
		pb_merge_destroy(merge);
		pb_search_destroy(search);
		expect_no_thread();
	}
}

static void
who_asks_to_stop_is_not_kept_waiting_by_threads(void **state)
{
	struct fixture *f = *state;
	struct given_up given_up = { false };
	struct pb_stop stop = { asked, &given_up };
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 1;
	struct pb_err err;

	write_segments(f, 1);
	pb_select_init(&select);
	search = search_of(f, &select, NULL, &stop);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	take_first(merge);
	__atomic_store_n(&given_up.asked, true, __ATOMIC_RELAXED);
	assert_int_equal(take_all(merge, &seq, &err), 0);
	assert_true(seq < PACKETS);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

/* Where the packets of a rotten file would have come, and not before. */
static void
what_a_thread_finds_wrong_is_told_in_its_place(void **state)
{
	static const uint8_t none[64];
	struct fixture *f = *state;
	uint64_t rotten = (SEGMENTS / 2) * EACH + 1, seq = 1;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	struct pb_err err;
	int fd;

	write_segments(f, 1);
	fd = pb_segment_open_mode(f->dir, &f->key, rotten, O_RDWR, &err);
	assert_true(fd >= 0);
	assert_int_equal(pb_pwrite_all(fd, none, sizeof(none), 0, &err), 0);
	close(fd);
	pb_select_init(&select);
	search = search_of(f, &select, NULL, NULL);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	take_first(merge);
	assert_int_equal(take_all(merge, &seq, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "segment 241"));
	assert_int_equal(seq, rotten - 1);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

/* Whoever plans or reads: `slow` enough for parts to be planned ahead. */
static void
expect_all_before(struct fixture *f, uint64_t from, bool slow)
{
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 1;
	struct pb_err err;
	size_t input;

	pb_select_init(&select);
	search = search_of(f, &select, NULL, NULL);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	if (slow)
		take_first(merge);
	else
		assert_int_equal(pb_merge_next(merge, &cp, &input, &err), 1);
	unread = from;
	assert_int_equal(take_all(merge, &seq, &err), PB_EFORMAT);
	unread = 0;
	assert_non_null(strstr(err.text, "MDB_CORRUPTED"));
	assert_int_equal(seq, from - 1);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

static void
an_index_that_cannot_be_read_is_told_behind_what_it_led_to(void **state)
{
	struct fixture *f = *state;

	write_segments(f, 1);
	for (unsigned i = 1; i < SEGMENTS; i += 5) {
		expect_all_before(f, i * EACH + 1, false);
		expect_all_before(f, i * EACH + 1, true);
	}
}

static void
each_thread_looks_for_an_expression_by_itself(void **state)
{
	struct fixture *f = *state;
	struct pb_payload *payload;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 1;
	struct pb_err err;

	write_segments(f, 1);
	if (pb_payload_create(&payload, "\\x10\\x11\\x12", &err) < 0)
		skip();
	pb_select_init(&select);
	search = search_of(f, &select, payload, NULL);
	assert_int_equal(pb_search_merge(search, &merge, &err), 0);
	take_first(merge);
	assert_int_equal(take_all(merge, &seq, &err), 0);
	assert_int_equal(seq, PACKETS);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
	pb_payload_destroy(payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TABLED(what_threads_read_comes_in_order_and_once),
		TABLED(two_streams_that_threads_read_are_merged_by_time),
		TABLED(a_range_cuts_what_threads_read),
		TABLED(a_merge_given_up_halfway_leaves_no_thread_behind),
		TABLED(who_asks_to_stop_is_not_kept_waiting_by_threads),
		TABLED(what_a_thread_finds_wrong_is_told_in_its_place),
		TABLED(
		    an_index_that_cannot_be_read_is_told_behind_what_it_led_to),
		TABLED(each_thread_looks_for_an_expression_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
