/*
 * tests/unit/test_text.c - sizes, times, rates, globs, names, encodings
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define UNTOUCHED	0x5a5a5a5a5a5a5a5aull
#define NOW_NS		1700000000123456789ull

struct number {
	const char	*text;
	int		 rc;
	uint64_t	 value;
};

typedef int parser(const char *, uint64_t *, struct pb_err *);

static void
check_numbers(parser *parse, const struct number *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;
		struct pb_err err = { 0 };

		if (parse(rows[i].text, &value, &err) != rows[i].rc)
			fail_msg("'%s': expected code %d, got '%s'",
			    rows[i].text, rows[i].rc, err.text);
		if (rows[i].rc == 0) {
			assert_int_equal(value, rows[i].value);
			continue;
		}
		assert_true(value == UNTOUCHED);
		assert_int_equal(err.code, rows[i].rc);
		assert_non_null(strstr(err.text, "write"));
	}
}

static void
a_size_has_a_number_and_a_known_unit(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 }, { "512", 0, 512 }, { "512B", 0, 512 },
		{ "64KiB", 0, 65536 }, { "256MiB", 0, 268435456 },
		{ "1GiB", 0, 1073741824 }, { "2TiB", 0, 2199023255552 },
		{ "10MB", 0, 10000000 }, { "3kB", 0, 3000 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "16383PiB", 0, 16383ull << 50 },
		{ "18446744073709551616", PB_EINVAL, 0 },
		{ "16384PiB", PB_EINVAL, 0 },
		{ "99999999999999999999999KiB", PB_EINVAL, 0 },
		{ "", PB_EINVAL, 0 }, { "MiB", PB_EINVAL, 0 },
		{ "-1", PB_EINVAL, 0 }, { "+1", PB_EINVAL, 0 },
		{ " 1", PB_EINVAL, 0 }, { "1 ", PB_EINVAL, 0 },
		{ "1 MiB", PB_EINVAL, 0 }, { "1mib", PB_EINVAL, 0 },
		{ "1MiBx", PB_EINVAL, 0 }, { "1.5GiB", PB_EINVAL, 0 },
		{ "0x10", PB_EINVAL, 0 }, { "5%", PB_EINVAL, 0 },
	};

	(void)state;
	check_numbers(pb_parse_size, rows, COUNT(rows));
}

static void
a_time_span_needs_a_unit_unless_it_is_zero(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 }, { "0s", 0, 0 }, { "100ms", 0, 100 },
		{ "60s", 0, 60000 }, { "5m", 0, 300000 },
		{ "1h", 0, 3600000 }, { "7d", 0, 604800000 },
		{ "213503982334d", 0, 213503982334ull * 86400000 },
		{ "213503982335d", PB_EINVAL, 0 },
		{ "60", PB_EINVAL, 0 }, { "s", PB_EINVAL, 0 },
		{ "1.5h", PB_EINVAL, 0 }, { "1h30m", PB_EINVAL, 0 },
		{ "-5m", PB_EINVAL, 0 }, { "5M", PB_EINVAL, 0 },
		{ "5 m", PB_EINVAL, 0 }, { "", PB_EINVAL, 0 },
	};

	(void)state;
	check_numbers(pb_parse_duration, rows, COUNT(rows));
}

static void
a_short_time_span_is_of_nanoseconds(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 }, { "350ns", 0, 350 }, { "20us", 0, 20000 },
		{ "100ms", 0, 100000000 }, { "60s", 0, 60000000000 },
		{ "5m", 0, 300000000000 }, { "1h", 0, 3600000000000 },
		{ "213503d", 0, 213503ull * 86400000000000 },
		{ "213504d", PB_EINVAL, 0 }, { "20", PB_EINVAL, 0 },
		{ "1.5ms", PB_EINVAL, 0 }, { "us", PB_EINVAL, 0 },
		{ "-1us", PB_EINVAL, 0 }, { "", PB_EINVAL, 0 },
	};

	(void)state;
	check_numbers(pb_parse_span, rows, COUNT(rows));
}

static void
a_rate_counts_bits_in_powers_of_ten(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 }, { "8bit", 0, 8 }, { "64kbit", 0, 64000 },
		{ "100Mbit", 0, 100000000 }, { "1Gbit", 0, 1000000000 },
		{ "18446744Tbit", 0, 18446744000000000000ull },
		{ "18446745Tbit", PB_EINVAL, 0 },
		{ "100", PB_EINVAL, 0 }, { "100Mbps", PB_EINVAL, 0 },
		{ "100mbit", PB_EINVAL, 0 }, { "100MB", PB_EINVAL, 0 },
		{ "Mbit", PB_EINVAL, 0 }, { "", PB_EINVAL, 0 },
	};

	(void)state;
	check_numbers(pb_parse_rate, rows, COUNT(rows));
}

/* Not as what it is not. */
static void
what_is_too_large_is_told_with_what_is_allowed(void **state)
{
	static const struct {
		parser		*parse;
		const char	*text, *says;
	} rows[] = {
		{ pb_parse_span, "99999999999s", "write at most 18446744073s" },
		{ pb_parse_span, "213504d", "write at most 213503d" },
		{ pb_parse_span, "18446744073709551616ns",
		    "write at most 18446744073709551615ns" },
		{ pb_parse_duration, "213503982335d",
		    "write at most 213503982334d" },
		{ pb_parse_size, "16384PiB", "write at most 16383PiB" },
		{ pb_parse_size, "99999999999999999999",
		    "write at most 18446744073709551615" },
		{ pb_parse_rate, "18446745Tbit", "write at most 18446744Tbit" },
	};
	uint64_t value;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(rows[i].parse(rows[i].text, &value, &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, "' is too large; "));
		assert_non_null(strstr(err.text, rows[i].says));
	}
	assert_int_equal(pb_parse_u64("99999999999999999999", 0, UINT64_MAX,
	    &value, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "is out of range"));
}

static void
a_boolean_is_one_of_eight_words(void **state)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	static const char *const bad[] = { "", "Yes", "y", "2", "yes " };
	bool value;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		value = false;
		assert_int_equal(pb_parse_bool(yes[i], &value, NULL), 0);
		assert_true(value);
		assert_int_equal(pb_parse_bool(no[i], &value, NULL), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		value = true;
		assert_int_equal(pb_parse_bool(bad[i], &value, NULL),
		    PB_EINVAL);
		assert_true(value);
	}
}

static void
a_bounded_number_keeps_its_bounds(void **state)
{
	struct pb_err err;
	uint64_t value = UNTOUCHED;

	(void)state;
	assert_int_equal(pb_parse_u64("10", 10, 20, &value, &err), 0);
	assert_int_equal(value, 10);
	assert_int_equal(pb_parse_u64("20", 10, 20, &value, &err), 0);
	assert_int_equal(value, 20);
	assert_int_equal(pb_parse_u64("9", 10, 20, &value, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "from 10 to 20"));
	assert_int_equal(pb_parse_u64("21", 10, 20, &value, &err), PB_EINVAL);
	assert_int_equal(pb_parse_u64("1x", 0, 20, &value, &err), PB_EINVAL);
	assert_int_equal(pb_parse_u64("", 0, 20, &value, &err), PB_EINVAL);
	assert_int_equal(value, 20);
	assert_int_equal(pb_parse_u64("18446744073709551615", 0, UINT64_MAX,
	    &value, &err), 0);
	assert_true(value == UINT64_MAX);
}

static void
a_moment_is_read_in_every_form(void **state)
{
	static const struct number rows[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2023-11-14T22:13:20Z", 0, 1700000000000000000 },
		{ "2023-11-14 22:13:20Z", 0, 1700000000000000000 },
		{ "2023-11-14t22:13:20z", 0, 1700000000000000000 },
		{ "2023-11-14T22:13:20.123456789Z", 0, NOW_NS },
		{ "2023-11-14T22:13:20.5Z", 0, 1700000000500000000 },
		{ "2023-11-14T23:13:20+01:00", 0, 1700000000000000000 },
		{ "2023-11-14T16:43:20-05:30", 0, 1700000000000000000 },
		{ "2024-02-29T00:00:00Z", 0, 1709164800000000000 },
		{ "2000-02-29T00:00:00Z", 0, 951782400000000000 },
		{ "2016-12-31T23:59:60Z", 0, 1483228800000000000 },
		{ "1969-12-31T23:30:00-01:00", 0, 1800000000000 },
		{ "2554-07-21T23:34:32.999999999Z", 0,
		    18446744072999999999ull },
		{ "0", 0, 0 }, { "1700000000", 0, 1700000000000000000 },
		{ "1700000000.123456789", 0, NOW_NS },
		{ "1700000000.5", 0, 1700000000500000000 },
		{ "18446744072.999999999", 0, 18446744072999999999ull },
		{ "-0", 0, NOW_NS },
		{ "-5m", 0, NOW_NS - 300000000000 },
		{ "-100ms", 0, NOW_NS - 100000000 },
		{ "-90000d", 0, 0 }, { "-213503982334d", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t ns = UNTOUCHED;
		struct pb_err err = { 0 };

		if (pb_parse_time(rows[i].text, NOW_NS, &ns, &err) != 0)
			fail_msg("'%s': %s", rows[i].text, err.text);
		assert_true(ns == rows[i].value);
	}
}

/* One with leap seconds in it, which the library would add. */
static void
a_moment_is_the_same_in_every_time_zone(void **state)
{
	uint64_t ns = 0;

	(void)state;
	setenv("TZ", "right/UTC", 1);
	tzset();
	assert_int_equal(pb_parse_time("2023-11-14T22:13:20Z", NOW_NS, &ns,
	    NULL), 0);
	unsetenv("TZ");
	tzset();
	assert_true(ns == 1700000000000000000);
}

static void
a_wrong_moment_is_refused_in_words(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "write" }, { "now", "write" }, { "5m", "write" },
		{ "-", "write" }, { "-5", "write" }, { "--5m", "write" },
		{ "2023-11-14", "write" },
		{ "2023-11-14T22:13:20", "time zone" },
		{ "2023-11-14T22:13Z", "write" },
		{ "2023-13-14T22:13:20Z", "write" },
		{ "2023-00-14T22:13:20Z", "write" },
		{ "2023-02-29T22:13:20Z", "write" },
		{ "2100-02-29T22:13:20Z", "write" },
		{ "2023-04-31T22:13:20Z", "write" },
		{ "2023-04-00T22:13:20Z", "write" },
		{ "2023-11-14T24:00:00Z", "write" },
		{ "2023-11-14T22:60:20Z", "write" },
		{ "2023-11-14T22:13:61Z", "write" },
		{ "2023-11-14T22:13:20.Z", "write" },
		{ "2023-11-14T22:13:20.1234567890Z", "write" },
		{ "2023-11-14T22:13:20Zx", "write" },
		{ "2023-11-14T22:13:20+0100", "write" },
		{ "2023-11-14T22:13:20+24:00", "write" },
		{ "2023-11-14T22:13:20+01:60", "write" },
		{ "2023-1-14T22:13:20Z", "write" },
		{ "1969-12-31T23:59:59Z", "1970 to 2554" },
		{ "0000-01-01T00:00:00Z", "1970 to 2554" },
		{ "2554-07-21T23:34:33Z", "1970 to 2554" },
		{ "9999-12-31T23:59:59Z", "1970 to 2554" },
		{ "1700000000.", "write" }, { ".5", "write" },
		{ "1700000000.1234567891", "write" },
		{ "1700000000x", "write" }, { " 1700000000", "write" },
		{ "18446744073", "2554" }, { "99999999999", "2554" },
		{ "1700000000000000000", "write" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t ns = UNTOUCHED;
		struct pb_err err = { 0 };

		assert_int_equal(pb_parse_time(rows[i].text, NOW_NS, &ns,
		    &err), PB_EINVAL);
		assert_true(ns == UNTOUCHED);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("'%s' says: %s", rows[i].text, err.text);
	}
}

/*
 * Goal:   our calendar is the system's.
 * Method: steps of a prime number of seconds through all 64 bits.
 */
static void
a_printed_moment_is_what_gmtime_says_and_reads_back(void **state)
{
	(void)state;
	for (uint64_t s = 0; s < 18446744073ull; s += 7777777) {
		char ours[PB_TIME_TEXT_MAX], theirs[64];
		uint64_t ns = s * PB_NS_PER_S + s % PB_NS_PER_S, back = 0;
		time_t t = (time_t)s;
		struct tm tm;
		size_t len;

		assert_non_null(gmtime_r(&t, &tm));
		len = strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.",
		    &tm);
		assert_ptr_equal(pb_time_format(ns, ours), ours);
		assert_memory_equal(ours, theirs, len);
		assert_int_equal(strlen(ours), 30);
		assert_int_equal(pb_parse_time(ours, 0, &back, NULL), 0);
		assert_true(back == ns);
	}
}

static void
the_last_moment_is_printed_in_full(void **state)
{
	char text[PB_TIME_TEXT_MAX];

	(void)state;
	assert_string_equal(pb_time_format(UINT64_MAX, text),
	    "2554-07-21T23:34:33.709551615Z");
	assert_string_equal(pb_time_format(0, text),
	    "1970-01-01T00:00:00.000000000Z");
}

static void
a_size_is_shown_with_one_decimal_and_never_as_1024(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" }, { 1048575, "1.0 MiB" },
		{ 1048576, "1.0 MiB" }, { 1610612736, "1.5 GiB" },
		{ 53687091200, "50.0 GiB" },
		{ (1ull << 40) - 1, "1.0 TiB" }, { 1ull << 50, "1.0 PiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(pb_size_format(rows[i].bytes, text),
		    rows[i].text);
}

static void
a_node_name_is_short_plain_and_no_directory(void **state)
{
	static const char *const good[] = {
		"a", "lon1", "Lon_1.rack-4", ".hidden", "...", "-",
	};
	static const char *const bad[] = {
		"", ".", "..", "a b", "a/b", "a:b", "caf\xc3\xa9", "a\n",
		"a*",
	};
	char name[PB_NAME_BYTES_MAX + 2];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(pb_name_valid(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(pb_name_valid(bad[i]));
	memset(name, 'n', sizeof(name));
	name[PB_NAME_BYTES_MAX + 1] = '\0';
	assert_false(pb_name_valid(name));
	name[PB_NAME_BYTES_MAX] = '\0';
	assert_true(pb_name_valid(name));
}

static void
a_glob_knows_star_and_question_mark_only(void **state)
{
	static const struct {
		const char *glob, *text;
		bool match;
	} rows[] = {
		{ "*", "", true }, { "*", "lon1/eth0", true },
		{ "", "", true }, { "", "a", false }, { "a", "", false },
		{ "lon1", "lon1", true }, { "lon1", "lon11", false },
		{ "lon*", "lon1", true }, { "lon*", "par1", false },
		{ "*1", "lon1", true }, { "*1", "lon2", false },
		{ "l?n1", "lon1", true }, { "?", "", false },
		{ "lon1/*", "lon1/eth0", true }, { "*eth*", "a/eth0", true },
		{ "*a*b*c", "xaxbxcxabc", true },
		{ "*a*b*c", "xaxbxcxab", false },
		{ "a**b", "ab", true }, { "**", "", true },
		{ "[a]", "a", false }, { "[a]", "[a]", true },
		{ "\\*", "*", false }, { "A", "a", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (pb_glob_match(rows[i].glob, rows[i].text) !=
		    rows[i].match)
			fail_msg("'%s' on '%s'", rows[i].glob, rows[i].text);
}

/* A naive matcher would need 2^60 steps here and never come back. */
static void
a_hostile_glob_ends(void **state)
{
	char glob[121], text[4001];

	(void)state;
	for (size_t i = 0; i < 120; i += 2)
		memcpy(glob + i, "*a", 2);
	glob[119] = 'b';
	glob[120] = '\0';
	memset(text, 'a', 4000);
	text[4000] = '\0';
	assert_false(pb_glob_match(glob, text));
}

static void
a_list_of_globs_matches_if_any_does(void **state)
{
	static const char list[] = " lon1, par*\t,,relay:* ";

	(void)state;
	assert_true(pb_glob_list_match(list, "lon1"));
	assert_true(pb_glob_list_match(list, "par7"));
	assert_true(pb_glob_list_match(list, "relay:lon1"));
	assert_false(pb_glob_list_match(list, "lon2"));
	assert_false(pb_glob_list_match(list, ""));
	assert_false(pb_glob_list_match("", "lon1"));
	assert_false(pb_glob_list_match("", ""));
	assert_false(pb_glob_list_match(" , ", "lon1"));
	assert_true(pb_glob_list_match("*", ""));
}

static void
an_encoded_name_is_a_safe_path_segment(void **state)
{
	static const struct {
		const char *plain, *encoded;
	} rows[] = {
		{ "", "" }, { "eth0", "eth0" }, { "a.b-c_d~", "a.b-c_d~" },
		{ ".", "%2E" }, { "..", "%2E." }, { ".hidden", "%2Ehidden" },
		{ "a/b", "a%2Fb" }, { "50%", "50%25" }, { "a b", "a%20b" },
		{ "caf\xc3\xa9", "caf%C3%A9" }, { "\x01\xff", "%01%FF" },
		{ "eth0.100", "eth0.100" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pb_buf buf;
		char back[64];

		pb_buf_init(&buf, 256);
		assert_int_equal(pb_percent_encode(&buf, rows[i].plain), 0);
		assert_string_equal(pb_buf_cstr(&buf), rows[i].encoded);
		assert_int_equal(pb_percent_decode(back, sizeof(back),
		    rows[i].encoded, strlen(rows[i].encoded), NULL), 0);
		assert_string_equal(back, rows[i].plain);
		pb_buf_finish(&buf);
	}
}

static void
encoding_stops_at_the_buffers_bound(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 4);
	assert_int_equal(pb_percent_encode(&buf, "//"), PB_ELIMIT);
	assert_true(buf.failed);
	pb_buf_finish(&buf);
}

static void
a_bad_escape_or_nul_is_refused_and_leaves_out_alone(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{ "%", 1 }, { "a%", 2 }, { "a%2", 3 }, { "%2g", 3 },
		{ "%g2", 3 }, { "%00", 3 }, { "a\0b", 3 }, { "a%00b", 5 },
		{ "%%41", 4 },
		{ "%2F", 2 },	/* the length rules, not what follows */
	};
	struct pb_err err;
	char out[8] = "before";

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(pb_percent_decode(out, sizeof(out),
		    rows[i].text, rows[i].len, &err), PB_EFORMAT);
		assert_string_equal(out, "before");
	}
	assert_int_equal(pb_percent_decode(out, 3, "abc", 3, &err),
	    PB_ELIMIT);
	assert_int_equal(pb_percent_decode(out, 0, "", 0, &err), PB_ELIMIT);
	assert_string_equal(out, "before");
	assert_int_equal(pb_percent_decode(out, 4, "%61%62c", 7, &err), 0);
	assert_string_equal(out, "abc");
}

static void
the_nearest_word_is_found_within_three_edits(void **state)
{
	static const char *const words[] = {
		"segment_size", "segment_age", "retain_size", "min_free",
		"path",
	};
	static const char *const short_word = "ip";
	char longest[80];

	(void)state;
	assert_string_equal(pb_nearest("retain_siz", words, 5),
	    "retain_size");
	assert_string_equal(pb_nearest("segmentsize", words, 5),
	    "segment_size");
	assert_string_equal(pb_nearest("segment_ages", words, 5),
	    "segment_age");
	assert_string_equal(pb_nearest("paht", words, 5), "path");
	assert_string_equal(pb_nearest("path", words, 5), "path");
	assert_null(pb_nearest("compress", words, 5));
	assert_null(pb_nearest("", words, 5));
	assert_null(pb_nearest("xyz", words, 5));
	assert_null(pb_nearest("path", words, 0));
	/* As many edits as it has letters: another word. */
	assert_null(pb_nearest("no", &short_word, 1));
	assert_string_equal(pb_nearest("ap", &short_word, 1), "ip");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(pb_nearest(longest, words, 5));
}

static void
an_epoch_has_one_spelling(void **state)
{
	static const char *const bad[] = {
		"", "0", "0123456789abcde", "0123456789abcdef0",
		"0123456789ABCDEF", "0123456789abcdeg", "0x23456789abcdef",
	};
	uint64_t value = UNTOUCHED;
	char text[17];

	(void)state;
	pb_hex64(0x0123456789abcdefull, text);
	assert_string_equal(text, "0123456789abcdef");
	assert_int_equal(pb_parse_hex64(text, &value, NULL), 0);
	assert_true(value == 0x0123456789abcdefull);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(pb_parse_hex64(bad[i], &value, NULL),
		    PB_EINVAL);
	assert_true(value == 0x0123456789abcdefull);
}

static void
only_shortest_utf8_forms_are_characters(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, length;
	} rows[] = {
		{ "", 0, 0 }, { "a", 1, 1 }, { "\0", 1, 1 },
		{ "\xc3\xa9", 2, 2 }, { "\xe2\x82\xac", 3, 3 },
		{ "\xf0\x9f\x98\x80", 4, 4 }, { "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xc3", 1, 0 }, { "\xe2\x82", 2, 0 },
		{ "\xf0\x9f\x98", 3, 0 }, { "\x80", 1, 0 },
		{ "\xc0\x80", 2, 0 }, { "\xc1\xbf", 2, 0 },
		{ "\xe0\x9f\xbf", 3, 0 }, { "\xed\xa0\x80", 3, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 }, { "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 }, { "\xff", 1, 0 },
		{ "\xc3(", 2, 0 }, { "\xe2\x82(", 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(pb_utf8_length(
		    (const uint8_t *)rows[i].bytes, rows[i].len),
		    rows[i].length);
}

static void
cleaned_text_has_no_control_characters_and_no_bad_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *clean;
	} rows[] = {
		{ "", 0, "" }, { "rack 4", 6, "rack 4" },
		{ "caf\xc3\xa9", 5, "caf\xc3\xa9" },
		{ "a\0b", 3, "a\xef\xbf\xbd" "b" },
		{ "a\nb", 3, "a\xef\xbf\xbd" "b" },
		{ "\x1b[2J", 4, "\xef\xbf\xbd[2J" },
		{ "\x7f", 1, "\xef\xbf\xbd" },
		{ "\xc2\x9b", 2, "\xef\xbf\xbd" },
		{ "\xc2\xa0", 2, "\xc2\xa0" },
		{ "a\xff" "b", 3, "a\xef\xbf\xbd" "b" },
		{ "a\xe2\x82", 3, "a\xef\xbf\xbd\xef\xbf\xbd" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		pb_utf8_clean(out, sizeof(out), rows[i].bytes, rows[i].len);
		assert_string_equal(out, rows[i].clean);
	}
}

static void
cleaned_text_is_cut_between_characters(void **state)
{
	char out[8];

	(void)state;
	pb_utf8_clean(out, 5, "ab\xe2\x82\xac", 5);
	assert_string_equal(out, "ab");
	pb_utf8_clean(out, 6, "ab\xe2\x82\xac", 5);
	assert_string_equal(out, "ab\xe2\x82\xac");
	pb_utf8_clean(out, 3, "\xff", 1);
	assert_string_equal(out, "");
	pb_utf8_clean(out, 1, "a", 1);
	assert_string_equal(out, "");
	strcpy(out, "before");
	pb_utf8_clean(out, 0, "a", 1);
	assert_string_equal(out, "before");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_has_a_number_and_a_known_unit),
		cmocka_unit_test(a_time_span_needs_a_unit_unless_it_is_zero),
		cmocka_unit_test(a_short_time_span_is_of_nanoseconds),
		cmocka_unit_test(a_rate_counts_bits_in_powers_of_ten),
		cmocka_unit_test(
		    what_is_too_large_is_told_with_what_is_allowed),
		cmocka_unit_test(a_boolean_is_one_of_eight_words),
		cmocka_unit_test(a_bounded_number_keeps_its_bounds),
		cmocka_unit_test(a_moment_is_read_in_every_form),
		cmocka_unit_test(a_moment_is_the_same_in_every_time_zone),
		cmocka_unit_test(a_wrong_moment_is_refused_in_words),
		cmocka_unit_test(
		    a_printed_moment_is_what_gmtime_says_and_reads_back),
		cmocka_unit_test(the_last_moment_is_printed_in_full),
		cmocka_unit_test(
		    a_size_is_shown_with_one_decimal_and_never_as_1024),
		cmocka_unit_test(a_node_name_is_short_plain_and_no_directory),
		cmocka_unit_test(a_glob_knows_star_and_question_mark_only),
		cmocka_unit_test(a_hostile_glob_ends),
		cmocka_unit_test(a_list_of_globs_matches_if_any_does),
		cmocka_unit_test(an_encoded_name_is_a_safe_path_segment),
		cmocka_unit_test(encoding_stops_at_the_buffers_bound),
		cmocka_unit_test(
		    a_bad_escape_or_nul_is_refused_and_leaves_out_alone),
		cmocka_unit_test(the_nearest_word_is_found_within_three_edits),
		cmocka_unit_test(an_epoch_has_one_spelling),
		cmocka_unit_test(only_shortest_utf8_forms_are_characters),
		cmocka_unit_test(
		    cleaned_text_has_no_control_characters_and_no_bad_bytes),
		cmocka_unit_test(cleaned_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
