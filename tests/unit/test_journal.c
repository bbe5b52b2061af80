/*
 * tests/unit/test_journal.c - recorder/store/facts/journal.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "recorder/store/facts/journal.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"

#define FACTS	6

struct scene {
	char		 store[64];
	struct pb_stream_key key;
	struct pb_fact	 read[64];
	size_t		 count;
	struct pb_journal_news news;
};

static const struct pb_fact facts[FACTS] = {
	{ .kind = PB_FACT_STREAM, .id = 7, .linktype = 1, .snaplen = 96,
	    .own = true, .time_ns = 1700000000123456789ull },
	{ .kind = PB_FACT_GAP, .first = 5, .last = 9,
	    .reason = PB_GAP_EXPIRED, .time_ns = 2 },
	{ .kind = PB_FACT_GAP, .first = 20, .last = 20,
	    .reason = PB_GAP_DAMAGED, .time_ns = 3 },
	{ .kind = PB_FACT_FILL, .first = 6, .last = 7, .time_ns = 4 },
	{ .kind = PB_FACT_EXPIRED, .first = 1, .last = 4, .time_ns = 5 },
	{ .kind = PB_FACT_GAP, .first = (1ull << 63) - 2,
	    .last = (1ull << 63) - 1, .reason = PB_GAP_DEAD_LETTERED,
	    .time_ns = 6 },
};

static int
set_up(void **state)
{
	struct scene *s = test_calloc(1, sizeof(*s));

	temp_make(s->store, "journal");
	strcpy(s->key.node, "lon1");
	strcpy(s->key.interface, "eth0/a");
	s->key.epoch = 0x1122334455667788ull;
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *s = *state;

	temp_remove(s->store);
	test_free(s);
	return 0;
}

static int
collect(void *arg, const struct pb_fact *fact)
{
	struct scene *s = arg;

	assert_true(s->count < 64);
	s->read[s->count++] = *fact;
	return 0;
}

static void
read_all(struct scene *s)
{
	struct pb_err err;

	s->count = 0;
	assert_int_equal(pb_journal_read(s->store, &s->key, collect, s,
	    &s->news, &err), 0);
}

static void
append(struct scene *s, size_t from, size_t count)
{
	struct pb_err err;

	if (pb_journal_append(s->store, &s->key, facts + from, count, &err) <
	    0)
		fail_msg("%s", err.text);
}

static void
same(const struct pb_fact *a, const struct pb_fact *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->last, b->last);
	assert_int_equal(a->time_ns, b->time_ns);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->linktype, b->linktype);
	assert_int_equal(a->snaplen, b->snaplen);
	assert_int_equal(a->own, b->own);
}

static size_t
file_bytes(struct scene *s, char *out, size_t room)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd;

	assert_int_equal(pb_journal_path(path, s->store, &s->key, NULL), 0);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	got = read(fd, out, room);
	assert_true(got >= 0);
	close(fd);
	return (size_t)got;
}

static void
set_file(struct scene *s, const char *bytes, size_t len)
{
	char path[PATH_MAX];
	int fd;

	assert_int_equal(pb_journal_path(path, s->store, &s->key, NULL), 0);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
a_stream_without_a_journal_has_no_facts(void **state)
{
	struct scene *s = *state;

	read_all(s);
	assert_int_equal(s->count, 0);
	assert_int_equal(s->news.bytes, 0);
}

static void
every_fact_comes_back_as_it_was_in_order(void **state)
{
	struct scene *s = *state;

	append(s, 0, 1);
	append(s, 1, 3);
	append(s, 4, 2);
	read_all(s);
	assert_int_equal(s->count, FACTS);
	for (size_t i = 0; i < FACTS; i++)
		same(&s->read[i], &facts[i]);
	assert_int_equal(s->news.rotten, 0);
	assert_false(s->news.torn);
}

static void
a_torn_last_line_is_left_out_and_cut_by_the_next_append(void **state)
{
	struct scene *s = *state;
	char bytes[4096];
	size_t len;

	append(s, 0, 2);
	len = file_bytes(s, bytes, sizeof(bytes));
	for (size_t cut = 1; cut < 80; cut++) {
		set_file(s, bytes, len - cut);
		read_all(s);
		assert_int_equal(s->count, 1);
		assert_true(s->news.torn);
		assert_int_equal(s->news.rotten, 0);
		append(s, 1, 1);
		read_all(s);
		assert_int_equal(s->count, 2);
		same(&s->read[1], &facts[1]);
		assert_false(s->news.torn);
	}
}

static void
every_flipped_bit_shows_and_harms_one_line_or_two(void **state)
{
	struct scene *s = *state;
	char bytes[4096];
	size_t len;

	append(s, 0, FACTS);
	len = file_bytes(s, bytes, sizeof(bytes));
	for (size_t at = 0; at < len; at++)
		for (int bit = 0; bit < 8; bit++) {
			bytes[at] ^= (char)(1 << bit);
			set_file(s, bytes, len);
			bytes[at] ^= (char)(1 << bit);
			read_all(s);
			assert_true(s->news.rotten > 0 || s->news.torn);
			assert_true(s->news.rotten_at <= at);
			assert_true(s->count >= FACTS - 2);
			assert_true(s->count < FACTS);
		}
}

static void
replacing_leaves_exactly_the_new_facts(void **state)
{
	struct scene *s = *state;
	struct pb_err err;

	append(s, 0, FACTS);
	assert_int_equal(pb_journal_replace(s->store, &s->key, facts + 2, 2,
	    &err), 0);
	read_all(s);
	assert_int_equal(s->count, 2);
	same(&s->read[0], &facts[2]);
	same(&s->read[1], &facts[3]);
	append(s, 5, 1);
	read_all(s);
	assert_int_equal(s->count, 3);
}

static void
bytes_that_are_no_lines_are_rotten_and_bounded(void **state)
{
	struct scene *s = *state;
	static char junk[300000];

	append(s, 0, 1);
	memset(junk, 'x', sizeof(junk));
	set_file(s, junk, sizeof(junk));
	read_all(s);
	assert_int_equal(s->count, 0);
	assert_true(s->news.rotten > 0);
	assert_int_equal(s->news.rotten_at, 0);
	assert_int_equal(s->news.bytes, sizeof(junk));
}

static void
what_is_appended_behind_rot_is_read(void **state)
{
	struct scene *s = *state;
	static char junk[5000];

	append(s, 0, 1);
	memset(junk, 'x', sizeof(junk));
	junk[sizeof(junk) - 1] = '\n';
	set_file(s, junk, sizeof(junk));
	append(s, 1, 2);
	read_all(s);
	assert_int_equal(s->count, 2);
	same(&s->read[1], &facts[2]);
}

/* Rot took the ends of the lines: what comes must not join them. */
static void
what_is_appended_behind_rot_without_an_end_is_read(void **state)
{
	struct scene *s = *state;
	static char junk[5000];

	append(s, 0, 1);
	memset(junk, 'x', sizeof(junk));
	set_file(s, junk, sizeof(junk));
	append(s, 1, 1);
	append(s, 2, 1);
	read_all(s);
	assert_int_equal(s->count, 2);
	same(&s->read[0], &facts[1]);
	same(&s->read[1], &facts[2]);
	assert_false(s->news.torn);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stream_without_a_journal_has_no_facts),
		T(every_fact_comes_back_as_it_was_in_order),
		T(a_torn_last_line_is_left_out_and_cut_by_the_next_append),
		T(every_flipped_bit_shows_and_harms_one_line_or_two),
		T(replacing_leaves_exactly_the_new_facts),
		T(bytes_that_are_no_lines_are_rotten_and_bounded),
		T(what_is_appended_behind_rot_is_read),
		T(what_is_appended_behind_rot_without_an_end_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
