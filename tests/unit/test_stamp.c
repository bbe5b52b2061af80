/*
 * tests/unit/test_stamp.c - stamps as options of packets and of interfaces
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/hop.h"
#include "pcapng/stamp.h"

#define PEN	PB_PEN_EXAMPLE

static struct pb_stamped stamped;
static struct pb_buf list;

static int
start(void **state)
{
	(void)state;
	pb_buf_init(&list, 1 << 16);
	memset(&stamped, 0, sizeof(stamped));
	stamped.capture_ns = 1700000000123456789;
	stamped.from = 2;
	stamped.count = 2;
	stamped.at[0] = (struct pb_stamp){ .time_ns = 1699999999000000001,
	    .fraction = 0x80000001, .seq = 77, .device = 0x1234,
	    .port = 0x5678, .format = PB_STAMP_METAMAKO,
	    .flags = PB_STAMP_TIMED | PB_STAMP_PLACED };
	stamped.at[1] = (struct pb_stamp){ .time_ns = 5, .seq = 1,
	    .format = PB_STAMP_RAW, .flags = PB_STAMP_ADRIFT };
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pb_buf_finish(&list);
	return 0;
}

/* `list` is the option, in memory of its size. */
static uint8_t *
written(void)
{
	uint8_t *at = pb_buf_reserve(&list, pb_stamped_bytes(stamped.count));

	assert_non_null(at);
	assert_int_equal(pb_stamped_write(at, PEN, &stamped),
	    pb_stamped_bytes(stamped.count));
	list.len = pb_stamped_bytes(stamped.count);
	return list.data;
}

/* --- of a packet --------------------------------------------------------- */

static void
stamps_come_back_as_they_were_written(void **state)
{
	struct pb_stamped back;

	(void)state;
	for (unsigned n = 0; n <= PB_STAMPS_MAX; n++) {
		stamped.count = (uint8_t)n;
		stamped.from = (uint8_t)n;
		for (unsigned i = 2; i < n; i++)
			stamped.at[i] = stamped.at[i - 2];
		list.len = 0;
		written();
		memset(&back, 0, sizeof(back));
		assert_int_equal(pb_stamped_get(list.data, list.len, &back),
		    1);
		assert_int_equal(back.capture_ns, stamped.capture_ns);
		assert_int_equal(back.from, n);
		assert_int_equal(back.count, n);
		assert_memory_equal(back.at, stamped.at,
		    n * sizeof(back.at[0]));
	}
}

static void
the_bytes_of_stamps_are_those_of_the_header(void **state)
{
	static const uint8_t expected[] = {
		0xAD, 0x0B, 24 + 24, 0,
		0xD9, 0x7E, 0, 0, 'P', 'B', 1, 5,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		1, 1, 0, 0, 0, 0, 0, 0,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55,
		0x34, 0x12, 0x78, 0x56, 3, 0x81, 0, 0,
	};

	(void)state;
	stamped.capture_ns = 0x1112131415161718;
	stamped.from = stamped.count = 1;
	stamped.at[0] = (struct pb_stamp){ .time_ns = 0x0102030405060708,
	    .fraction = 0x11223344, .seq = 0x55667788, .device = 0x1234,
	    .port = 0x5678, .format = 3, .flags = 0x81 };
	written();
	assert_int_equal(list.len, sizeof(expected));
	assert_memory_equal(list.data, expected, sizeof(expected));
}

static void
a_packet_without_stamps_has_none(void **state)
{
	(void)state;
	assert_int_equal(pb_stamped_get(list.data, 0, &stamped), 0);
	assert_int_equal(pb_untimed_put(&list, PEN), 0);
	assert_int_equal(pb_stamped_get(list.data, list.len, &stamped), 0);
}

/* A count, a length or a `from` that do not belong together. */
static void
malformed_stamps_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} damage[] = {
		{ 21, 1 }, { 21, 3 }, { 21, 9 }, { 21, 255 },	/* count */
		{ 20, 3 }, { 20, 255 },				/* from */
		{ 2, 24 + 24 }, { 2, 8 }, { 2, 23 }, { 2, 24 + 47 },
	};
	struct pb_stamped back;

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		list.len = 0;
		written()[damage[i].at] = damage[i].value;
		assert_int_equal(pb_stamped_get(list.data, list.len, &back),
		    PB_EFORMAT);
	}
	/* A record more than there may be, all of it there. */
	stamped.count = stamped.from = PB_STAMPS_MAX;
	list.len = 0;
	written();
	assert_int_equal(pb_buf_zero(&list, 24), 0);
	pb_put_le16(list.data + 2, (uint16_t)(list.len - 4));
	list.data[21] = PB_STAMPS_MAX + 1;
	assert_int_equal(pb_stamped_get(list.data, list.len, &back),
	    PB_EFORMAT);
	stamped.count = 0;
	stamped.from = PB_STAMPS_MAX + 1;
	list.len = 0;
	written();
	assert_int_equal(pb_stamped_get(list.data, list.len, &back),
	    PB_EFORMAT);
}

/* --- of an interface ----------------------------------------------------- */

static void
an_interface_text_comes_back(void **state)
{
	char text[PB_INTERFACE_TEXT_MAX], back[PB_INTERFACE_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++) {
		text[len] = '\0';
		list.len = 0;
		assert_int_equal(pb_interface_text_put(&list, PEN, text), 0);
		assert_int_equal(pb_interface_text_get(list.data, list.len,
		    back), 1);
		assert_string_equal(back, text);
		text[len] = 'x';
	}
	list.len = 0;
	assert_int_equal(pb_interface_text_get(list.data, 0, back), 0);
}

static void
a_text_that_is_none_is_refused_both_ways(void **state)
{
	char text[PB_INTERFACE_TEXT_MAX + 1] = "", back[PB_INTERFACE_TEXT_MAX];

	(void)state;
	memset(text, 'x', PB_INTERFACE_TEXT_MAX);
	assert_int_equal(pb_interface_text_put(&list, PEN, text), PB_EINVAL);
	assert_int_equal(pb_interface_text_put(&list, PEN, "a\nb"),
	    PB_EINVAL);
	assert_int_equal(pb_interface_text_put(&list, PEN, "\xC3\xA9"),
	    PB_EINVAL);
	assert_int_equal(list.len, 0);
	assert_int_equal(pb_interface_text_put(&list, PEN, "clock=host"), 0);
	list.data[14] = '\0';
	assert_int_equal(pb_interface_text_get(list.data, list.len, back),
	    PB_EFORMAT);
	list.len = 0;
	text[PB_INTERFACE_TEXT_MAX - 1] = '\0';
	assert_int_equal(pb_interface_text_put(&list, PEN, text), 0);
	pb_put_le16(list.data + 2, 8 + PB_INTERFACE_TEXT_MAX);
	list.data[list.len - 1] = 'x';
	assert_int_equal(pb_interface_text_get(list.data, list.len, back),
	    PB_EFORMAT);
}

static void
words_of_a_text_are_found_whole(void **state)
{
	static const char text[] = "clock=adapter trailers=metamako,raw:4 "
	    "xfcs=maybe fcs=yes  empty= last";
	char value[PB_INTERFACE_TEXT_MAX], longer[300];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[1] = '=';
	longer[sizeof(longer) - 1] = '\0';
	pb_interface_word(longer, "x", value);
	assert_string_equal(value, "");
	pb_interface_word(text, "clock", value);
	assert_string_equal(value, "adapter");
	pb_interface_word(text, "trailers", value);
	assert_string_equal(value, "metamako,raw:4");
	pb_interface_word(text, "fcs", value);
	assert_string_equal(value, "yes");
	pb_interface_word(text, "empty", value);
	assert_string_equal(value, "");
	pb_interface_word(text, "last", value);
	assert_string_equal(value, "");
	pb_interface_word(text, "trailer", value);
	assert_string_equal(value, "");
	pb_interface_word("", "clock", value);
	assert_string_equal(value, "");
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(stamps_come_back_as_they_were_written),
		TEST(the_bytes_of_stamps_are_those_of_the_header),
		TEST(a_packet_without_stamps_has_none),
		TEST(malformed_stamps_are_refused),
		TEST(an_interface_text_comes_back),
		TEST(a_text_that_is_none_is_refused_both_ways),
		TEST(words_of_a_text_are_found_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
