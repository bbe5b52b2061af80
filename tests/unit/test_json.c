/*
 * tests/unit/test_json.c - JSON written by hand, read by jansson
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/json_get.h"

#define OUT_BYTES_MAX	65536
#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* A text alone, as JSON; it stays until the next call. */
static const char *
json_of_text(const char *text)
{
	static char kept[OUT_BYTES_MAX];
	struct pb_buf buf;
	struct pb_json json;

	pb_buf_init(&buf, OUT_BYTES_MAX - 1);
	pb_json_init(&json, &buf);
	pb_json_text(&json, NULL, text);
	assert_false(buf.failed);
	strcpy(kept, pb_buf_cstr(&buf));
	pb_buf_finish(&buf);
	return kept;
}

static const char *
json_of_double(double value)
{
	static char kept[64];
	struct pb_buf buf;
	struct pb_json json;

	pb_buf_init(&buf, sizeof(kept) - 1);
	pb_json_init(&json, &buf);
	pb_json_double(&json, NULL, value);
	strcpy(kept, pb_buf_cstr(&buf));
	pb_buf_finish(&buf);
	return kept;
}

static void
every_kind_of_value_is_written(void **state)
{
	struct pb_buf buf;
	struct pb_json json;

	(void)state;
	pb_buf_init(&buf, OUT_BYTES_MAX);
	pb_json_init(&json, &buf);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "node", "lon1");
	pb_json_u64(&json, "seq", UINT64_MAX);
	pb_json_u64(&json, "zero", 0);
	pb_json_double(&json, "rate", 0.1);
	pb_json_bool(&json, "open", true);
	pb_json_bool(&json, "sealed", false);
	pb_json_null(&json, "none");
	pb_json_time(&json, "time", 1700000000000000001);
	pb_json_array(&json, "hops");
	pb_json_object(&json, NULL);
	pb_json_end(&json);
	pb_json_u64(&json, NULL, 2);
	pb_json_array(&json, NULL);
	pb_json_end(&json);
	pb_json_end(&json);
	pb_json_u64(&json, "last", 1);
	pb_json_end(&json);
	assert_string_equal(pb_buf_cstr(&buf),
	    "{\"node\":\"lon1\",\"seq\":18446744073709551615,\"zero\":0,"
	    "\"rate\":0.1,\"open\":true,\"sealed\":false,\"none\":null,"
	    "\"time\":\"2023-11-14T22:13:20.000000001Z\","
	    "\"hops\":[{},2,[]],\"last\":1}");
	assert_int_equal(json.depth, 0);
	pb_buf_finish(&buf);
}

static void
several_values_at_the_top_have_no_commas(void **state)
{
	struct pb_buf buf;
	struct pb_json json;

	(void)state;
	pb_buf_init(&buf, OUT_BYTES_MAX);
	pb_json_init(&json, &buf);
	for (int i = 0; i < 2; i++) {
		pb_json_object(&json, NULL);
		pb_json_end(&json);
		pb_buf_str(&buf, "\n");
	}
	assert_string_equal(pb_buf_cstr(&buf), "{}\n{}\n");
	pb_buf_finish(&buf);
}

static void
objects_nest_to_the_stated_depth(void **state)
{
	struct pb_buf buf;
	struct pb_json json;

	(void)state;
	pb_buf_init(&buf, OUT_BYTES_MAX);
	pb_json_init(&json, &buf);
	for (int i = 0; i < PB_JSON_DEPTH_MAX; i++)
		pb_json_array(&json, NULL);
	for (int i = 0; i < PB_JSON_DEPTH_MAX; i++)
		pb_json_end(&json);
	assert_string_equal(pb_buf_cstr(&buf), "[[[[[[[[]]]]]]]]");
	pb_buf_finish(&buf);
}

static void
text_is_escaped_and_always_utf8(void **state)
{
	(void)state;
	assert_string_equal(json_of_text(""), "\"\"");
	assert_string_equal(json_of_text("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
	assert_string_equal(json_of_text("\b\f\n\r\t\x01\x1f"),
	    "\"\\b\\f\\n\\r\\t\\u0001\\u001f\"");
	assert_string_equal(json_of_text("caf\xc3\xa9 \xf0\x9f\x98\x80"),
	    "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"");
	assert_string_equal(json_of_text("a\xff" "b\xc3"),
	    "\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"");
	assert_string_equal(json_of_text("\xed\xa0\x80"),
	    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void
a_double_reads_back_as_itself(void **state)
{
	static const double values[] = {
		0.0, 1.0, -1.5, 0.1, 1.0 / 3.0, 1e300, 5e-324, 123456789.25,
		9007199254740993.0, 0.30000000000000004,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++)
		assert_true(strtod(json_of_double(values[i]), NULL) ==
		    values[i]);
	assert_string_equal(json_of_double(NAN), "null");
	assert_string_equal(json_of_double(HUGE_VAL), "null");
	assert_string_equal(json_of_double(-HUGE_VAL), "null");
}

static void
writing_past_the_bound_marks_the_buffer(void **state)
{
	struct pb_buf buf;
	struct pb_json json;

	(void)state;
	pb_buf_init(&buf, 8);
	pb_json_init(&json, &buf);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "key", "a long text");
	pb_json_end(&json);
	assert_true(buf.failed);
	assert_true(buf.len <= 8);
	pb_buf_finish(&buf);
}

static void
a_number_is_read_from_an_object(void **state)
{
	static const struct {
		const char *body;
		int rc;
		uint64_t value;
	} rows[] = {
		{ "{\"acked\": 0}", 0, 0 },
		{ "{\"acked\":42,\"x\":[1,{}]}", 0, 42 },
		{ " {\"acked\":9223372036854775807}\n", 0, INT64_MAX },
		{ "{\"acked\":9223372036854775808}", PB_EFORMAT, 0 },
		{ "{\"acked\":-1}", PB_EFORMAT, 0 },
		{ "{\"acked\":1.0}", PB_EFORMAT, 0 },
		{ "{\"acked\":\"1\"}", PB_EFORMAT, 0 },
		{ "{\"acked\":null}", PB_EFORMAT, 0 },
		{ "{\"other\":1}", PB_EFORMAT, 0 },
		{ "{\"acked\":1,\"acked\":2}", PB_EFORMAT, 0 },
		{ "{\"acked\":1} x", PB_EFORMAT, 0 },
		{ "{\"acked\":1", PB_EFORMAT, 0 },
		{ "[1]", PB_EFORMAT, 0 }, { "1", PB_EFORMAT, 0 },
		{ "", PB_EFORMAT, 0 }, { "<html>", PB_EFORMAT, 0 },
		{ "{\"acked\":01}", PB_EFORMAT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 77;
		struct pb_err err = { 0 };

		if (json_get_u64(rows[i].body, strlen(rows[i].body),
		    "acked", &value, &err) != rows[i].rc)
			fail_msg("%s: %s", rows[i].body, err.text);
		assert_int_equal(value, rows[i].rc == 0 ? rows[i].value : 77);
		assert_int_equal(err.text[0] != '\0', rows[i].rc != 0);
	}
}

static void
members_of_members_and_truths_are_read(void **state)
{
	static const char body[] = "{\"a\":{\"n\":7,\"b\":{\"t\":\"x\"}},"
	    "\"yes\":true,\"no\":false,\"n\":1}";
	struct pb_json_doc doc;
	uint64_t number;
	char text[8];

	(void)state;
#define GET(type, key, to) \
	json_get_##type(body, sizeof(body) - 1, key, to, NULL)
	assert_int_equal(GET(u64, "a.n", &number), 0);
	assert_int_equal(number, 7);
	assert_int_equal(json_get_text(body, sizeof(body) - 1, "a.b.t",
	    text, sizeof(text), NULL), 0);
	assert_string_equal(text, "x");
	assert_int_equal(GET(u64, "a.x", &number), PB_EFORMAT);
	assert_int_equal(GET(u64, "n.n", &number), PB_EFORMAT);
	assert_int_equal(GET(u64, "x.n", &number), PB_EFORMAT);
	pb_json_doc_open(&doc, body, sizeof(body) - 1, NULL);
	assert_true(pb_json_doc_bool(&doc, "yes"));
	assert_false(pb_json_doc_bool(&doc, "no"));
	assert_int_equal(doc.rc, 0);
	assert_false(pb_json_doc_bool(&doc, "n"));
	assert_int_equal(doc.rc, PB_EFORMAT);
	pb_json_doc_close(&doc);
}

static void
a_document_is_read_straight_down(void **state)
{
	static const char body[] = "{\"list\":[{\"n\":1,\"d\":1.5},"
	    "{\"n\":-1,\"d\":2},7],\"t\":\"long\",\"yes\":true}";
	struct pb_json_doc doc, item;
	struct pb_err err;
	char text[5];

	(void)state;
	assert_int_equal(pb_json_doc_open(&doc, body, sizeof(body) - 1, &err),
	    0);
	assert_true(pb_json_doc_item(&doc, "list", 0, &item));
	assert_int_equal(pb_json_doc_u64(&item, "n"), 1);
	assert_true(pb_json_doc_double(&item, "d") == 1.5);
	assert_int_equal(item.rc, 0);
	/* What is wrong in one item is so there alone; the first is told. */
	assert_true(pb_json_doc_item(&doc, "list", 1, &item));
	assert_true(pb_json_doc_double(&item, "d") == 2);
	assert_int_equal(pb_json_doc_u64(&item, "n"), 0);
	pb_json_doc_text(&item, "x", text, sizeof(text));
	assert_int_equal(item.rc, PB_EFORMAT);
	assert_string_equal(err.text, "JSON member 'n' is no whole number of "
	    "0 or more");
	assert_int_equal(doc.rc, 0);
	assert_false(pb_json_doc_item(&doc, "list", 3, &item));
	assert_int_equal(doc.rc, 0);
	pb_json_doc_text(&doc, "t", text, sizeof(text));
	assert_string_equal(text, "long");
	assert_true(pb_json_doc_bool(&doc, "yes"));
	assert_true(pb_json_doc_has(&doc, "t"));
	assert_false(pb_json_doc_has(&doc, "t.t"));
	assert_int_equal(doc.rc, 0);
	assert_false(pb_json_doc_item(&doc, "list", 2, &item));
	assert_int_equal(doc.rc, PB_EFORMAT);
	pb_json_doc_text(&doc, "t", text, 4);
	assert_string_equal(text, "");
	pb_json_doc_close(&doc);
	assert_int_equal(pb_json_doc_open(&doc, "[]", 2, NULL), PB_EFORMAT);
	assert_false(pb_json_doc_item(&doc, "list", 0, &item));
	assert_int_equal(pb_json_doc_u64(&doc, "n"), 0);
	pb_json_doc_close(&doc);
}

static void
pairs_of_numbers_are_read(void **state)
{
	static const char body[] = "{\"late\":[[1,2],[7,9],[3],[1,-2],"
	    "[\"1\",2]],\"n\":1,\"none\":[]}";
	struct pb_json_doc doc;
	uint64_t a = 0, b = 0;

	(void)state;
	assert_int_equal(pb_json_doc_open(&doc, body, sizeof(body) - 1, NULL),
	    0);
	assert_true(pb_json_doc_pair(&doc, "late", 1, &a, &b));
	assert_int_equal(a, 7);
	assert_int_equal(b, 9);
	assert_false(pb_json_doc_pair(&doc, "none", 0, &a, &b));
	assert_false(pb_json_doc_pair(&doc, "late", 5, &a, &b));
	assert_int_equal(doc.rc, 0);
	for (size_t i = 2; i < 5; i++) {
		doc.rc = 0;
		assert_false(pb_json_doc_pair(&doc, "late", i, &a, &b));
		assert_int_equal(doc.rc, PB_EFORMAT);
	}
	doc.rc = 0;
	assert_false(pb_json_doc_pair(&doc, "n", 0, &a, &b));
	assert_int_equal(doc.rc, PB_EFORMAT);
	pb_json_doc_close(&doc);
}

static void
the_length_given_is_the_bodys_end(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(json_get_u64("{\"a\":1}garbage", 7, "a", &value,
	    NULL), 0);
	assert_int_equal(json_get_u64("{\"a\":1}", 6, "a", &value, NULL),
	    PB_EFORMAT);
	assert_int_equal(json_get_u64("{\"a\":1}\0", 8, "a", &value, NULL),
	    PB_EFORMAT);
}

static void
a_text_is_read_if_it_fits(void **state)
{
	static const char body[] = "{\"reason\":\"ex\\u0070ired\",\"n\":1}";
	static const char nul[] = "{\"reason\":\"a\\u0000b\"}";
	struct pb_err err;
	char out[16];

	(void)state;
	assert_int_equal(json_get_text(body, strlen(body), "reason", out,
	    7, &err), PB_EFORMAT);
	assert_string_equal(out, "");
	assert_int_equal(json_get_text(body, strlen(body), "reason", out,
	    0, &err), PB_EFORMAT);
	assert_int_equal(json_get_text(body, strlen(body), "n", out,
	    sizeof(out), &err), PB_EFORMAT);
	assert_int_equal(json_get_text(nul, strlen(nul), "reason", out,
	    sizeof(out), &err), PB_EFORMAT);
	assert_int_equal(json_get_text(body, strlen(body), "reason", out,
	    8, &err), 0);
	assert_string_equal(out, "expired");
}

/*
 * Goal:   the body's bound is exact.
 * Method: pad a good body with blanks to the bound, and one past it.
 */
static void
a_body_past_its_bound_is_not_parsed(void **state)
{
	char *body = malloc(PB_JSON_BODY_MAX + 1);
	struct pb_err err;
	uint64_t value = 0;

	(void)state;
	assert_non_null(body);
	memset(body, ' ', PB_JSON_BODY_MAX + 1);
	memcpy(body, "{\"a\":5}", 7);
	assert_int_equal(json_get_u64(body, PB_JSON_BODY_MAX, "a", &value,
	    &err), 0);
	assert_int_equal(value, 5);
	assert_int_equal(json_get_u64(body, PB_JSON_BODY_MAX + 1, "a",
	    &value, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "65536"));
	free(body);
}

static void
deep_nesting_from_a_peer_is_refused(void **state)
{
	char *body = malloc(PB_JSON_BODY_MAX);
	uint64_t value;

	(void)state;
	assert_non_null(body);
	memset(body, '[', PB_JSON_BODY_MAX);
	memcpy(body, "{\"a\":", 5);
	assert_int_equal(json_get_u64(body, PB_JSON_BODY_MAX, "a", &value,
	    NULL), PB_EFORMAT);
	free(body);
}

static void
what_is_said_of_a_bad_body_quotes_it_as_clean_text(void **state)
{
	static const char body[] = "{\"a\"\336\001\177 hole}";
	struct pb_err err;
	uint64_t value;

	(void)state;
	assert_int_equal(json_get_u64(body, sizeof(body) - 1, "a", &value,
	    &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "body is no JSON object"));
	for (const char *c = err.text; *c != '\0'; c++)
		assert_true((unsigned char)*c >= 0x20 && *c != 0x7f &&
		    (unsigned char)*c != 0xde);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_said_of_a_bad_body_quotes_it_as_clean_text),
		cmocka_unit_test(every_kind_of_value_is_written),
		cmocka_unit_test(several_values_at_the_top_have_no_commas),
		cmocka_unit_test(objects_nest_to_the_stated_depth),
		cmocka_unit_test(text_is_escaped_and_always_utf8),
		cmocka_unit_test(a_double_reads_back_as_itself),
		cmocka_unit_test(writing_past_the_bound_marks_the_buffer),
		cmocka_unit_test(a_number_is_read_from_an_object),
		cmocka_unit_test(members_of_members_and_truths_are_read),
		cmocka_unit_test(a_document_is_read_straight_down),
		cmocka_unit_test(pairs_of_numbers_are_read),
		cmocka_unit_test(the_length_given_is_the_bodys_end),
		cmocka_unit_test(a_text_is_read_if_it_fits),
		cmocka_unit_test(a_body_past_its_bound_is_not_parsed),
		cmocka_unit_test(deep_nesting_from_a_peer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
