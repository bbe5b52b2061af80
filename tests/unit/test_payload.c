/*
 * tests/unit/test_payload.c - an expression looked for in what packets carry
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/filter/payload.h"

#define LINKTYPE_PPP	9
#define LINKTYPE_USER0	147
#define BYTES_MAX	256u

struct image {
	uint8_t		 data[BYTES_MAX];
	uint32_t	 len;
};

static void
add(struct image *image, const void *bytes, size_t len)
{
	assert_true(image->len + len <= BYTES_MAX);
	memcpy(image->data + image->len, bytes, len);
	image->len += (uint32_t)len;
}

static void
add_ethernet(struct image *image)
{
	image->len = 0;
	add(image, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
}

/* Its header alone; `bits` and offset of a fragment. */
static void
add_ipv4(struct image *image, uint8_t protocol, uint8_t fragment)
{
	uint8_t header[20] = { 0x45, [7] = fragment, [8] = 64, [9] = protocol,
	    [12] = 10, [16] = 10 };

	add(image, header, sizeof(header));
}

static void
add_tcp(struct image *image, unsigned words)
{
	uint8_t header[60] = { 4, 210, 0, 80 };

	header[12] = (uint8_t)(words << 4);
	add(image, header, words < 5 ? 20 : (size_t)words * 4);
}

static uint32_t
begins(const struct image *image, uint16_t linktype, uint32_t caplen)
{
	uint8_t *alone = malloc(caplen + 1u);
	uint32_t at;

	assert_non_null(alone);
	memcpy(alone, image->data, caplen);
	at = pb_payload_begins(linktype, alone, caplen);
	free(alone);
	return at;
}

static bool
matches(const char *expression, const void *carried, size_t len)
{
	struct pb_payload *payload;
	struct pb_packet packet;
	struct image image;
	struct pb_err err;
	bool found;

	add_ethernet(&image);
	add(&image, "\x08\0", 2);
	add_ipv4(&image, 17, 0);
	add(&image, "\0\65\4\322\0\0\0\0", 8);
	add(&image, carried, len);
	packet = (struct pb_packet){ .data = image.data,
	    .caplen = image.len, .origlen = image.len };
	if (pb_payload_create(&payload, expression, &err) < 0)
		fail_msg("%s", err.text);
	found = pb_payload_match(payload, PB_LINKTYPE_ETHERNET, &packet);
	pb_payload_destroy(payload);
	return found;
}

static void
the_payload_begins_behind_the_transport_header(void **state)
{
	struct image image;

	(void)state;
	add_ethernet(&image);
	add(&image, "\x08\0", 2);
	add_ipv4(&image, 6, 0);
	add_tcp(&image, 8);
	add(&image, "GET", 3);
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20 + 32);
	/* However it is cut: never more than there is. */
	for (uint32_t caplen = 0; caplen <= image.len; caplen++) {
		assert_true(begins(&image, PB_LINKTYPE_ETHERNET, caplen) <=
		    caplen);
		if (caplen >= 34 && caplen < 54)
			assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET,
			    caplen), caplen);
	}
	image.data[14 + 9] = 17;
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20 + 8);
	image.data[14 + 9] = 132;
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20 + 12);
	/* Without one: behind IP; without that: behind the link layer. */
	image.data[14 + 9] = 1;
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20);
	image.data[14 + 9] = 6;
	image.data[14 + 7] = 5;
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20);
	image.data[13] = 6;
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len), 14);
	assert_int_equal(begins(&image, LINKTYPE_USER0, image.len), 0);
}

static void
a_header_that_says_too_little_is_taken_as_the_shortest(void **state)
{
	struct image image;

	(void)state;
	add_ethernet(&image);
	add(&image, "\x08\0", 2);
	add_ipv4(&image, 6, 0);
	add_tcp(&image, 2);
	add(&image, "GET", 3);
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    14 + 20 + 20);
}

static void
tags_are_looked_through(void **state)
{
	struct image image;

	(void)state;
	add_ethernet(&image);
	add(&image, "\x81\0\0\7\x88\x64\x11\0\0\1\0\0\2\x81", 14);
	add(&image, "\0\1\0\100\0\2\1\100", 8);
	add_ipv4(&image, 17, 0);
	add(&image, "\0\65\0\65\0\0\0\0query", 13);
	assert_int_equal(begins(&image, PB_LINKTYPE_ETHERNET, image.len),
	    image.len - 5);
	image.len = 0;
	add(&image, "\377\3\0\41", 4);
	add_ipv4(&image, 17, 0);
	add(&image, "\0\65\0\65\0\0\0\0query", 13);
	assert_int_equal(begins(&image, LINKTYPE_PPP, image.len),
	    image.len - 5);
	assert_int_equal(begins(&image, LINKTYPE_PPP, 3), 3);
	image.len = 0;
	add_ipv4(&image, 17, 0);
	add(&image, "\0\65\0\65\0\0\0\0query", 13);
	assert_int_equal(begins(&image, PB_LINKTYPE_RAW, image.len), 28);
	assert_int_equal(begins(&image, PB_LINKTYPE_RAW, 0), 0);
}

static void
expressions_are_as_pcre_writes_them(void **state)
{
	(void)state;
	assert_true(matches("GET /[a-z]+", "xx GET /index", 13));
	assert_false(matches("^GET /[a-z]+", "xx GET /index", 13));
	assert_true(matches("(?i)get /INDEX$", "GET /index", 10));
	assert_false(matches("get /INDEX$", "GET /index", 10));
	assert_true(matches("\\x00\\xff[\\x80-\\x90]", "a\0\377\205b", 5));
	assert_true(matches("a|b", "b", 1));
	assert_false(matches("a|b", "", 0));
}

static void
a_dot_is_any_byte(void **state)
{
	(void)state;
	assert_true(matches("one.*two", "one\r\n\r\n\377two", 11));
	assert_false(matches("(?-s)one.*two", "one\r\n\r\n\377two", 11));
	assert_true(matches("^two", "two\n", 4));
	assert_false(matches("^two", "one\ntwo", 7));
	assert_true(matches("(?m)^two", "one\ntwo", 7));
}

static void
what_may_be_nothing_is_everywhere(void **state)
{
	(void)state;
	assert_true(matches("a*", "b", 1));
	assert_true(matches("^$", "", 0));
	assert_false(matches("^$", "b", 1));
}

/* What is in the headers is not in the payload. */
static void
the_headers_are_not_searched(void **state)
{
	(void)state;
	assert_false(matches("\\x0a", "b", 1));
	assert_true(matches("\\x0a", "\n", 1));
}

static void
a_bad_expression_is_refused_with_the_place(void **state)
{
	static const struct {
		const char	*expression, *says;
	} rows[] = {
		{ "abc(def", "Missing close parenthesis for group started at "
		    "index 3" },
		{ "a[z-", "Unterminated character class starting at index 1" },
		{ "(a)\\1", "Back-references are unsupported" },
		{ "a(?=b)", "Zero-width assertions are not supported" },
	};
	struct pb_payload *payload;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pb_payload_create(&payload,
		    rows[i].expression, &err), PB_EINVAL);
		assert_null(payload);
		if (strstr(err.text, rows[i].says) == NULL ||
		    strstr(err.text, rows[i].expression) == NULL ||
		    strchr(err.text, '\n') != NULL)
			fail_msg("%s", err.text);
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(
		    the_payload_begins_behind_the_transport_header),
		cmocka_unit_test(
		    a_header_that_says_too_little_is_taken_as_the_shortest),
		cmocka_unit_test(tags_are_looked_through),
		cmocka_unit_test(expressions_are_as_pcre_writes_them),
		cmocka_unit_test(a_dot_is_any_byte),
		cmocka_unit_test(what_may_be_nothing_is_everywhere),
		cmocka_unit_test(the_headers_are_not_searched),
		cmocka_unit_test(a_bad_expression_is_refused_with_the_place),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
