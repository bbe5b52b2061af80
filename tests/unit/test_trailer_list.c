/*
 * tests/unit/test_trailer_list.c - lists of trailers as people write them
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/trailer/trailer.h"

static struct pb_trailer_list list;
static struct pb_err err;

static void
a_list_comes_back_as_text(void **state)
{
	static const struct {
		const char *text, *back;
		unsigned count;
	} rows[] = {
		{ "", "none", 0 },
		{ "none", "none", 0 },
		{ " , ", "none", 0 },
		{ "metamako", "metamako", 1 },
		{ "exablaze, metamako", "exablaze,metamako", 2 },
		{ "vss:1 vss:2\tvss", "vss:1,vss:2,vss", 3 },
		{ "raw:1,raw:64", "raw:1,raw:64", 2 },
		{ "ttag,ttag:34997,ttag:0x600", "ttag,ttag:0x88b5,ttag:0x0600",
		  3 },
		{ "exablaze@tai,ttag:0xFFFF@tai",
		  "exablaze@tai,ttag:0xffff@tai", 2 },
		{ "cpacket,ixia,arista7280,arista7150,mac48,broadcom",
		  "cpacket,ixia,arista7280,arista7150,mac48,broadcom", 6 },
	};
	char text[PB_TRAILER_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pb_trailer_list_parse(&list, rows[i].text,
		    &err), 0);
		assert_int_equal(list.count, rows[i].count);
		pb_trailer_list_text(&list, text);
		assert_string_equal(text, rows[i].back);
	}
}

static void
the_longest_list_has_room_as_text(void **state)
{
	static const char longest[] =
	    "ttag:0x88b5@tai,ttag:0x88b5@tai,ttag:0x88b5@tai,ttag:0x88b5@tai,"
	    "ttag:0x88b5@tai,ttag:0x88b5@tai,ttag:0x88b5@tai,ttag:0x88b5@tai";
	char text[PB_TRAILER_TEXT_MAX];

	(void)state;
	assert_int_equal(pb_trailer_list_parse(&list, longest, &err), 0);
	pb_trailer_list_text(&list, text);
	assert_string_equal(text, longest);
}

static void
a_list_says_whether_it_needs_a_context(void **state)
{
	(void)state;
	assert_int_equal(pb_trailer_list_parse(&list, "metamako,arista7150",
	    &err), 0);
	assert_true(list.needs_context);
	assert_int_equal(pb_trailer_list_parse(&list, "metamako,mac48",
	    &err), 0);
	assert_false(list.needs_context);
}

static void
parsing_leaves_fcs_and_tai_to_the_caller(void **state)
{
	(void)state;
	list.fcs = true;
	list.tai_utc = 37;
	assert_int_equal(pb_trailer_list_parse(&list, "vss", &err), 0);
	assert_true(list.fcs);
	assert_int_equal(list.tai_utc, 37);
}

static void
a_wrong_list_is_refused_in_words_and_leaves_the_list(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "metamko", "did you mean metamako?" },
		{ "metamako,bogusbogus", "there are metamako, cpacket," },
		{ "METAMAKO", "is no trailer" },
		{ "none,vss", "stands alone" },
		{ "raw", "raw: write raw:N, N from 1 to 64" },
		{ "raw:", "N from 1 to 64" },
		{ "raw:0", "N from 1 to 64" },
		{ "raw:65", "N from 1 to 64" },
		{ "raw:-1", "N from 1 to 64" },
		{ "raw:0x4", "N from 1 to 64" },
		{ "raw:4x", "N from 1 to 64" },
		{ "metamako:3", "metamako takes no number" },
		{ "vss:3", "vss: write vss:N, N from 1 to 2" },
		{ "ttag:0x5ff", "N from 0x600 to 0xffff" },
		{ "ttag:0x10000", "N from 0x600 to 0xffff" },
		{ "ttag:0x", "N from 0x600 to 0xffff" },
		{ "ttag:0x-800", "N from 0x600 to 0xffff" },
		{ "exablaze@utc", "@tai, nothing else" },
		{ "exablaze@", "@tai, nothing else" },
		{ "arista7280@tai", "say themselves" },
		{ "raw:4@tai", "raw@tai: these are bytes without a time" },
		{ ":1", "is no trailer" },
		{ "vss,vss,vss,vss,vss,vss,vss,vss,vss", "at most 8" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is no trailer" },
	};
	struct pb_trailer_list before;

	(void)state;
	assert_int_equal(pb_trailer_list_parse(&list, "ixia", &err), 0);
	before = list;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pb_trailer_list_parse(&list, rows[i].text,
		    &err), PB_EINVAL);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_memory_equal(&list, &before, sizeof(list));
	}
}

static void
names_are_listed_and_found_by_number(void **state)
{
	static const char *const names[] = { "metamako", "cpacket",
	    "exablaze", "vss", "ixia", "arista7280", "arista7150", "mac48",
	    "ttag", "broadcom", "raw" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_string_equal(pb_trailer_name(i), names[i]);
		assert_string_equal(pb_stamp_format_name((uint8_t)(i + 1)),
		    names[i]);
	}
	assert_null(pb_trailer_name(11));
	assert_string_equal(pb_stamp_format_name(0), "?");
	assert_string_equal(pb_stamp_format_name(12), "?");
}

static void
whose_time_counts_is_said_in_words(void **state)
{
	static const char *const wrong[] = { "", "trailers", "trailer:",
	    "trailer:0", "trailer:9", "trailer:1x", "innermost" };
	int choice;

	(void)state;
	assert_int_equal(pb_stamp_choice_parse(&choice, "capture", &err), 0);
	assert_int_equal(choice, PB_STAMP_CAPTURE);
	assert_int_equal(pb_stamp_choice_parse(&choice, "trailer", &err), 0);
	assert_int_equal(choice, PB_STAMP_INNERMOST);
	assert_int_equal(pb_stamp_choice_parse(&choice, "outermost", &err), 0);
	assert_int_equal(choice, PB_STAMP_OUTERMOST);
	assert_int_equal(pb_stamp_choice_parse(&choice, "trailer:8", &err), 0);
	assert_int_equal(choice, 8);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(pb_stamp_choice_parse(&choice, wrong[i],
		    &err), PB_EINVAL);
		assert_non_null(strstr(err.text, "trailer:N"));
		assert_int_equal(choice, 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_comes_back_as_text),
		cmocka_unit_test(the_longest_list_has_room_as_text),
		cmocka_unit_test(a_list_says_whether_it_needs_a_context),
		cmocka_unit_test(parsing_leaves_fcs_and_tai_to_the_caller),
		cmocka_unit_test(
		    a_wrong_list_is_refused_in_words_and_leaves_the_list),
		cmocka_unit_test(names_are_listed_and_found_by_number),
		cmocka_unit_test(whose_time_counts_is_said_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
