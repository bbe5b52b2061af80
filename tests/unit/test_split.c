/*
 * tests/unit/test_split.c - where `-w` begins the next file, and its name
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "recorder/query/split.h"

static void
sizes_times_and_streams_are_told_apart(void **state)
{
	struct pb_split split = { 0 };

	(void)state;
	assert_int_equal(pb_split_parse(&split, "100MiB", NULL), 0);
	assert_int_equal(split.kind, PB_SPLIT_BYTES);
	assert_int_equal(split.bytes, 100u << 20);
	split = (struct pb_split){ 0 };
	assert_int_equal(pb_split_parse(&split, "1B", NULL), 0);
	assert_int_equal(split.kind, PB_SPLIT_BYTES);
	assert_int_equal(split.bytes, 1);
	split = (struct pb_split){ 0 };
	assert_int_equal(pb_split_parse(&split, "5m", NULL), 0);
	assert_int_equal(split.kind, PB_SPLIT_TIME);
	assert_int_equal(split.ns, 300 * PB_NS_PER_S);
	split = (struct pb_split){ 0 };
	assert_int_equal(pb_split_parse(&split, "stream", NULL), 0);
	assert_int_equal(split.kind, PB_SPLIT_STREAM);
}

static void
of_two_the_last_one_counts_alone(void **state)
{
	static const char *const text[] = { "100MiB", "1h", "stream",
	    "100MiB" };
	static const struct pb_split want[] = {
		{ PB_SPLIT_BYTES, 100u << 20, 0 },
		{ PB_SPLIT_TIME, 0, 3600 * PB_NS_PER_S },
		{ PB_SPLIT_STREAM, 0, 0 },
		{ PB_SPLIT_BYTES, 100u << 20, 0 },
	};
	struct pb_split split = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pb_split_parse(&split, text[i], NULL), 0);
		assert_int_equal(split.kind, want[i].kind);
		assert_int_equal(split.bytes, want[i].bytes);
		assert_int_equal(split.ns, want[i].ns);
	}
}

static void
what_is_none_of_them_is_told_what_would_be(void **state)
{
	static const char *const wrong[] = { "", "0", "0B", "0s", "60", "-5",
	    "Stream", "1 MiB", "ten", "99999999999999999999d" };
	struct pb_split split = { 0 };
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(pb_split_parse(&split, wrong[i], &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, "100MiB, 1h or stream"));
		assert_int_equal(split.kind, PB_SPLIT_NONE);
	}
	assert_int_equal(pb_split_parse(&split, "99999999999s", &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "at most 18446744073s"));
	assert_int_equal(split.kind, PB_SPLIT_NONE);
}

static void
a_time_ends_where_its_next_multiple_begins(void **state)
{
	struct pb_split hour = { PB_SPLIT_TIME, 0, 3600 * PB_NS_PER_S };
	struct pb_split size = { PB_SPLIT_BYTES, 7, 0 };
	uint64_t ten = 1700002800 * PB_NS_PER_S;	/* 23:00:00 UTC */

	(void)state;
	assert_true(pb_split_end(&hour, ten) == ten + hour.ns);
	assert_true(pb_split_end(&hour, ten + hour.ns - 1) == ten + hour.ns);
	assert_true(pb_split_end(&hour, ten - 1) == ten);
	assert_true(pb_split_end(&hour, UINT64_MAX) == UINT64_MAX);
	assert_true(pb_split_end(&size, ten) == UINT64_MAX);
}

static void
endings_stay_endings(void **state)
{
	static const struct {
		const char *path, *endings;
	} row[] = {
		{ "out.pcapng", ".pcapng" },
		{ "/tmp/a.b/out.pcapng.gz", ".pcapng.gz" },
		{ "out.zst", ".zst" },
		{ "a.b/out", "" },
		{ "out", "" },
		{ ".hidden", "" },
		{ ".hidden.gz", ".gz" },
		{ "x.1.pcap", ".pcap" },
		{ "dir/.gz", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_string_equal(row[i].path +
		    pb_split_stem(row[i].path), row[i].endings);
}

static void
names_have_number_and_time_or_the_stream(void **state)
{
	char out[PB_SPLIT_WORD_MAX], node[65], interface[81];

	(void)state;
	assert_string_equal(pb_split_by_number(out, 1,
	    1795985100 * PB_NS_PER_S + 5), "_00001_20261129204500");
	assert_string_equal(pb_split_by_number(out, PB_SPLIT_FILES_MAX, 0),
	    "_99999_19700101000000");
	assert_string_equal(pb_split_by_stream(out, "lon1", "eth0.7"),
	    "_lon1+eth0.7");
	assert_string_equal(pb_split_by_stream(out, "a_b", "c/d+e"),
	    "_a_b+c%2Fd%2Be");
	memset(node, 'n', 64);
	memset(interface, '/', 80);
	node[64] = interface[80] = '\0';
	assert_int_equal(strlen(pb_split_by_stream(out, node, interface)),
	    1 + 64 + 1 + 240);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_times_and_streams_are_told_apart),
		cmocka_unit_test(of_two_the_last_one_counts_alone),
		cmocka_unit_test(what_is_none_of_them_is_told_what_would_be),
		cmocka_unit_test(a_time_ends_where_its_next_multiple_begins),
		cmocka_unit_test(endings_stay_endings),
		cmocka_unit_test(names_have_number_and_time_or_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
