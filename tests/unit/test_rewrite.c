/*
 * tests/unit/test_rewrite.c - other addresses and VLAN tags for a frame
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/transmit/rewrite.h"

#define BYTES_MAX	64

/* Bytes as `0a 0b`. */
static size_t
bytes(uint8_t out[static BYTES_MAX], const char *text)
{
	size_t n = 0;
	char *end;

	for (; text[strspn(text, " ")] != '\0'; text = end, n++) {
		out[n] = (uint8_t)strtoul(text, &end, 16);
		assert_true(end != text && n < BYTES_MAX);
	}
	return n;
}

/* Exactly as much memory as is promised, so that what leaves it is seen. */
static void
becomes(const struct pb_rewrite *rewrite, const char *before,
    const char *after)
{
	uint8_t in[BYTES_MAX], want[BYTES_MAX], *frame, *out;
	size_t len = bytes(in, before), wanted = bytes(want, after);

	frame = malloc(len > 0 ? len : 1);
	out = malloc(len + PB_VLAN_BYTES);
	assert_true(frame != NULL && out != NULL);
	memcpy(frame, in, len);
	assert_int_equal(pb_rewrite_frame(rewrite, out, frame, len), wanted);
	assert_memory_equal(out, want, wanted);
	free(frame);
	free(out);
}

#define A	"01 02 03 04 05 06 "
#define B	"0a 0b 0c 0d 0e 0f "
#define X	"ff ff ff ff ff ff "

static void
nothing_asked_for_changes_nothing(void **state)
{
	const struct pb_rewrite none = { .vlan = PB_VLAN_KEEP };

	(void)state;
	becomes(&none, A B "08 00 45", A B "08 00 45");
	becomes(&none, A B "81 00 20 07 08 00 45", A B "81 00 20 07 08 00 45");
	becomes(&none, "", "");
	becomes(&none, "01 02 03", "01 02 03");
}

static void
addresses_are_put_in_their_places(void **state)
{
	struct pb_rewrite rewrite = { .vlan = PB_VLAN_KEEP };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_mac_parse(&rewrite.dst, "ff:FF:ff:ff:ff:ff",
	    &err), 0);
	becomes(&rewrite, A B "08 00 45", X B "08 00 45");
	assert_int_equal(pb_mac_parse(&rewrite.src, "01-02-03-04-05-06",
	    &err), 0);
	becomes(&rewrite, A B "08 00 45", X A "08 00 45");
	becomes(&rewrite, A B, X A);
	/* Not a part of one. */
	becomes(&rewrite, A "0a 0b 0c 0d 0e", A "0a 0b 0c 0d 0e");
}

static void
a_number_goes_into_the_outermost_tag_or_a_new_one(void **state)
{
	struct pb_rewrite rewrite = { .vlan = PB_VLAN_KEEP };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_rewrite_vlan_parse(&rewrite, "291", &err), 0);
	becomes(&rewrite, A B "08 00 45", A B "81 00 01 23 08 00 45");
	becomes(&rewrite, A B "81 00 f0 07 08 00 45",
	    A B "81 00 f1 23 08 00 45");
	becomes(&rewrite, A B "88 a8 20 07 81 00 00 08 08 00",
	    A B "88 a8 21 23 81 00 00 08 08 00");
	/* Cut within the tag, and before the type. */
	becomes(&rewrite, A B "81 00 f0 07", A B "81 00 01 23 81 00 f0 07");
	becomes(&rewrite, A B "08", A B "08");
}

static void
none_takes_all_tags_off(void **state)
{
	struct pb_rewrite rewrite = { .vlan = PB_VLAN_KEEP };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_rewrite_vlan_parse(&rewrite, "none", &err), 0);
	becomes(&rewrite, A B "08 00 45", A B "08 00 45");
	becomes(&rewrite, A B "81 00 f0 07 08 00 45", A B "08 00 45");
	becomes(&rewrite, A B "88 a8 00 01 81 00 00 02 91 00 00 03 86 dd 60",
	    A B "86 dd 60");
	becomes(&rewrite, A B "81 00 f0 07", A B "81 00 f0 07");
}

static void
a_tagged_frame_is_known(void **state)
{
	uint8_t at[BYTES_MAX];
	size_t len = bytes(at, A B "81 00 00 01 08 00");

	(void)state;
	assert_true(pb_frame_tagged(at, len));
	assert_false(pb_frame_tagged(at, 13));
	at[12] = 0x88;
	assert_false(pb_frame_tagged(at, len));
}

static void
what_is_no_address_or_vlan_is_refused(void **state)
{
	static const char *const mac[] = { "", "1:2:3:4:5:6", "00:00:00:00:00",
	    "00:00:00:00:00:00:00", "00:00:00:00:00:0g", "000000000000",
	    "00:00:00:00:00:0", "00:00:00:00:00:00 " };
	static const char *const vlan[] = { "", "4095", "-1", "nil", "1,2" };
	struct pb_rewrite rewrite = { .vlan = PB_VLAN_KEEP };
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(mac) / sizeof(mac[0]); i++)
		assert_int_equal(pb_mac_parse(&rewrite.dst, mac[i], &err),
		    PB_EINVAL);
	assert_false(rewrite.dst.set);
	for (size_t i = 0; i < sizeof(vlan) / sizeof(vlan[0]); i++)
		assert_int_equal(pb_rewrite_vlan_parse(&rewrite, vlan[i],
		    &err), PB_EINVAL);
	assert_int_equal(rewrite.vlan, PB_VLAN_KEEP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_for_changes_nothing),
		cmocka_unit_test(addresses_are_put_in_their_places),
		cmocka_unit_test(
		    a_number_goes_into_the_outermost_tag_or_a_new_one),
		cmocka_unit_test(none_takes_all_tags_off),
		cmocka_unit_test(a_tagged_frame_is_known),
		cmocka_unit_test(what_is_no_address_or_vlan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
