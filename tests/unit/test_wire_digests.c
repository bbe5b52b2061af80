/*
 * tests/unit/test_wire_digests.c - what a node says of a run of numbers is
 * believed only as far as it was asked for
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shipper/wire/digests.h"

static struct pb_wire_digests said;
static char text[PB_WIRE_DIGESTS_TEXT];

static int
answer_to(uint64_t first, uint64_t last, uint64_t parts, uint64_t why,
    const char *body)
{
	struct pb_json_doc doc;
	int rc;

	said.ask = (struct pb_digests_ask){ .first = first, .last = last,
	    .parts = parts, .why = why };
	assert_int_equal(pb_json_doc_open(&doc, body, strlen(body), NULL), 0);
	rc = pb_wire_digests_read(&said, &doc, text);
	pb_json_doc_close(&doc);
	return rc;
}

static void
a_question_is_put_in_words(void **state)
{
	char words[PB_WIRE_DIGESTS_WORDS_MAX];
	struct pb_digests_ask ask = { .first = 1, .last = 70, .parts = 64 };

	(void)state;
	pb_wire_digests_words(words, &ask);
	assert_string_equal(words, "/digests?first=1&last=70&parts=64");
	ask = (struct pb_digests_ask){ UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, 1 };
	pb_wire_digests_words(words, &ask);
	assert_non_null(strstr(words, "&snaplen=18446744073709551615&why=1"));
}

static void
an_answer_is_read(void **state)
{
	(void)state;
	assert_int_equal(answer_to(11, 40, 3, 1, "{\"acked\":33,\"first\":2,"
	    "\"more\":true,\"absent\":[{\"first\":5,\"last\":12,\"reason\":"
	    "\"dead\\u001bxx\",\"since\":\"2026-11-30T10:00:00Z\"}],"
	    "\"parts\":[{\"last\":18,\"packets\":8,\"xxh3\":"
	    "\"00000000000000ab\"},{\"last\":26,\"packets\":0},{\"last\":33,"
	    "\"packets\":1,\"xxh3\":\"00000000000000cd\",\"damaged\":9,"
	    "\"time\":\"1970-01-01T00:00:01Z\",\"captured\":60,"
	    "\"length\":1500}]}"), 0);
	assert_int_equal(said.acked, 33);
	assert_int_equal(said.first_seq, 2);
	assert_int_equal(said.parts, 3);
	assert_int_equal(said.part[0].first, 11);
	assert_int_equal(said.part[0].digest, 0xab);
	assert_int_equal(said.part[1].first, 19);
	assert_int_equal(said.part[1].packets, 0);
	assert_int_equal(said.part[2].damaged, 9);
	assert_int_equal(said.part[2].time_ns, 1000000000);
	assert_int_equal(said.part[2].caplen, 60);
	assert_int_equal(said.part[2].origlen, 1500);
	assert_int_equal(said.absences, 1);
	assert_string_equal(said.absent[0].reason, "dead\xef\xbf\xbdxx");
	assert_int_equal(said.absent[0].since_ns,
	    1796032800000000000ull);
	/* It may end early, but not at once. */
	assert_int_equal(answer_to(1, 1000, 1, 0, "{\"acked\":1000,"
	    "\"first\":1,\"parts\":[{\"last\":64,\"packets\":0}]}"), 0);
	assert_int_equal(answer_to(1, 1000, 1, 0, "{\"acked\":1000,"
	    "\"first\":1,\"parts\":[{\"last\":63,\"packets\":0}]}"),
	    PB_EFORMAT);
	assert_int_equal(answer_to(1, 1000, 1, 0, "{\"acked\":63,"
	    "\"first\":1,\"parts\":[{\"last\":63,\"packets\":0}]}"), 0);
	assert_int_equal(answer_to(7, 1000, 1, 1, "{\"acked\":6,"
	    "\"first\":1,\"parts\":[]}"), 0);
	assert_int_equal(said.parts, 0);
}

#define HEAD	"{\"acked\":100,\"first\":1,\"parts\":["
#define PART	"{\"last\":50,\"packets\":1,\"xxh3\":\"00000000000000ab\"}"

static void
what_does_not_fit_is_refused_in_words(void **state)
{
	static const char *const body[] = {
		"{}", "{\"acked\":100}", "{\"acked\":100,\"first\":1}",
		"{\"acked\":-1,\"first\":1,\"parts\":[]}",
		"{\"acked\":100,\"first\":1,\"parts\":{}}",
		HEAD "]}",			/* it has them */
		HEAD "7]}",
		HEAD "{\"last\":0,\"packets\":0}]}",
		HEAD "{\"last\":101,\"packets\":0}]}",
		HEAD "{\"last\":60,\"packets\":0}]}",	/* longer than asked */
		HEAD PART ",{\"last\":50,\"packets\":0}]}",
		HEAD PART "," PART "]}",
		HEAD PART ",{\"last\":100,\"packets\":0},"
		    "{\"last\":100,\"packets\":0}]}",
		HEAD "{\"last\":50,\"packets\":51,"
		    "\"xxh3\":\"00000000000000ab\"}]}",
		HEAD "{\"last\":50,\"packets\":1}]}",
		HEAD "{\"last\":50,\"packets\":1,\"xxh3\":\"ab\"}]}",
		HEAD "{\"last\":50,\"packets\":1,\"xxh3\":"
		    "\"00000000000000ab\",\"captured\":4294967296,"
		    "\"length\":1,\"time\":\"1970-01-01T00:00:01Z\"}]}",
		HEAD "{\"last\":50,\"packets\":1,\"xxh3\":"
		    "\"00000000000000ab\",\"captured\":1}]}",
		HEAD "{\"last\":50,\"packets\":0,\"damaged\":\"x\"}]}",
		HEAD "{\"last\":50,\"packets\":0,\"longer\":1}]}",
		HEAD "{\"last\":50,\"packets\":0,\"longer\":-1}]}",
		HEAD PART ",{\"last\":100,\"packets\":0}]}",	/* no absent */
		HEAD PART ",{\"last\":100,\"packets\":0}],\"absent\":[{}]}",
		HEAD PART ",{\"last\":100,\"packets\":0}],\"absent\":["
		    "{\"first\":5,\"last\":4,\"reason\":\"x\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(body) / sizeof(body[0]); i++) {
		if (answer_to(1, 100, 2, 1, body[i]) != PB_EFORMAT)
			fail_msg("taken: %s", body[i]);
		assert_memory_equal(text, "its digests are not what was asked "
		    "for: ", 40);
	}
}

static void
parts_have_the_length_that_was_asked_for(void **state)
{
	static const char body[] = HEAD "{\"last\":40,\"packets\":0},"
	    "{\"last\":80,\"packets\":0}],\"absent\":[]}";

	(void)state;
	assert_int_equal(answer_to(1, 100, 2, 0, body), PB_EFORMAT);
	/* With reasons the last number is lowered where they are many. */
	assert_int_equal(answer_to(1, 100, 2, 1, body), 0);
}

static void
an_answer_has_so_many_gaps_at_most(void **state)
{
	static char body[65536];
	size_t len;

	(void)state;
	for (unsigned n = 255; n <= 258; n++) {
		len = (size_t)sprintf(body, HEAD "{\"last\":100,"
		    "\"packets\":0}],\"absent\":[");
		for (unsigned i = 0; i < n; i++)
			len += (size_t)sprintf(body + len, "%s{\"first\":1,"
			    "\"last\":2,\"reason\":\"expired\"}",
			    i > 0 ? "," : "");
		strcpy(body + len, "]}");
		assert_int_equal(answer_to(1, 100, 1, 1, body),
		    n <= PB_WIRE_ABSENT_MAX ? 0 : PB_EFORMAT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_put_in_words),
		cmocka_unit_test(an_answer_is_read),
		cmocka_unit_test(what_does_not_fit_is_refused_in_words),
		cmocka_unit_test(parts_have_the_length_that_was_asked_for),
		cmocka_unit_test(an_answer_has_so_many_gaps_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
