/*
 * tests/unit/test_trailer_damage.c - frames with any byte flipped, cut
 * anywhere, or of bytes at random
 *
 * Each frame is read from memory that ends where it ends.
 */
#include "tests/unit/packets.h"
#include "tests/unit/trailer_frames.h"

#define BYTES	60u
#define RANDOM	20000

static const char *const lists[] = { "metamako", "exablaze", "vss", "vss:1",
    "vss:2", "ixia", "arista7280", "arista7150", "mac48", "ttag",
    "ttag:0x88b5", "broadcom", "broadcom,broadcom", "raw:4", "raw:64",
    "exablaze,metamako,metamako", "metamako,arista7280,vss",
    "arista7280,arista7280,ixia", "ttag:0x88b5,mac48,arista7150",
    "raw:64,raw:64,raw:64,raw:64,raw:64,raw:64,raw:64,raw:64" };
#define LISTS	(sizeof(lists) / sizeof(lists[0]))

/* Three switches on the way, the first with extensions. */
static uint32_t
three_deep(void)
{
	static const uint8_t extensions[] = { 0, 1, 2, 0x20, 0x80, 0, 0, 1 };

	host_sends(BYTES);
	metamako_with(extensions, sizeof(extensions), NOW_S, 1, 0x03, 1, 2);
	metamako(NOW_S, 2, 0x01, 3, 4);
	exablaze(5, 6, NOW_S, 7);
	list_is("exablaze,metamako,metamako", true);
	return frame.len;
}

static void
a_flipped_byte_changes_what_it_belongs_to(void **state)
{
	const uint32_t first = BYTES + 4, last = three_deep() - 4;
	struct pb_trailers right;

	(void)state;
	read_frame();
	assert_restored(BYTES, true);
	right = got;
	for (uint32_t i = 0; i < last + 4; i++) {
		bool stamped = i >= first && i < last;
		bool same;

		three_deep();
		frame.data[i] ^= 0xFF;
		read_frame();
		assert_within(frame.len);
		same = got.whole && memcmp(got.at, right.at,
		    3 * sizeof(got.at[0])) == 0;
		/* The FCS in front of each of the outer two, a byte of the
		 * sequence number's head, and what the outermost has in
		 * reserve, are looked at by nobody. */
		if (stamped && i != first && i != last - 1 &&
		    (i < first + 20 || i >= first + 24) &&
		    (i < first + 36 || i >= first + 40))
			assert_false(same);
		else
			assert_true(same);
		if (got.whole && i < first)
			assert_int_equal(pb_trailers_check_fcs(&got,
			    frame.data), 0);
	}
}

/* Snapped, and so short on the wire. */
static void
a_frame_that_ends_anywhere_is_read_no_further(void **state)
{
	const uint32_t len = three_deep();

	(void)state;
	for (size_t i = 0; i < LISTS; i++)
		for (uint32_t caplen = 0; caplen < len; caplen++) {
			list_is(lists[i], i % 2 == 0);
			read_cut(caplen, len, NOW_NS);
			assert_true(list.headers ||
			    (got.read == 0 && !got.whole));
			assert_within(caplen);
			read_cut(caplen, caplen, NOW_NS);
			assert_within(caplen);
		}
}

/* The end of the trailers with less and less in front. */
static void
trailers_without_a_frame_are_none(void **state)
{
	static struct frame whole;
	const uint32_t len = three_deep();

	(void)state;
	whole = frame;
	for (uint32_t cut = 0; cut <= len; cut++) {
		memcpy(frame.data, whole.data + cut, len - cut);
		frame.len = len - cut;
		read_frame();
		assert_within(frame.len);
		assert_int_equal(got.whole, cut + 14 <= BYTES);
	}
}

/* Bytes at random behind what a frame begins with, or from its start. */
static void
random_bytes_are_read_within_bounds(void **state)
{
	uint8_t out[2000];

	(void)state;
	for (int n = 0; n < RANDOM; n++) {
		uint32_t len = any(200), cut = any(4) == 0 ? any(8) : 0;
		const char *text = lists[any(LISTS)];

		frame.len = 0;
		while (frame.len < len)
			put_be(any(8) == 0 ? 0xD28B : any(65536), 2);
		if (any(2) == 0 && len >= 18)
			memcpy(frame.data + 12, "\xD2\x8B\0\1\1\x10", 6);
		frame.len = len;
		list_is(text, any(2) == 0);
		read_cut(len, len + cut, NOW_NS);
		assert_within(len);
		if (got.whole)
			assert_true(pb_trailers_strip(&got, frame.data, true,
			    out) <= len);
		pb_trailers_check_fcs(&got, frame.data);
	}
}

static void
a_trailer_needs_a_header_and_an_fcs_inside(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes <= 20; bytes++)
		for (int fcs = 0; fcs < 2; fcs++) {
			memset(frame.data, 0, bytes);
			frame.len = bytes;
			metamako(NOW_S, 1, 0, 1, 1);
			frame.len -= fcs ? 0 : 4;
			list_is("metamako", fcs != 0);
			read_frame();
			assert_int_equal(got.whole, bytes >= 14 + 4);
			list_is("exablaze", fcs != 0);
			read_frame();
			assert_int_equal(got.whole, bytes >= 14 + 4);
		}
}

static void
one_that_keeps_no_fcs_needs_a_header_inside(void **state)
{
	static const struct {
		const char *list;
		uint32_t bytes;		/* that it takes */
	} rows[] = {
		{ "vss", 8 }, { "vss:2", 10 }, { "arista7150", 4 },
		{ "mac48", 0 }, { "ttag", 6 }, { "ttag:0x0800", 8 },
		{ "broadcom", 10 }, { "broadcom,broadcom", 24 },
		{ "raw:64", 64 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (uint32_t len = 0; len < 90; len++) {
			memset(frame.data, 0, sizeof(frame.data));
			frame.data[12] = 8;
			list_is(rows[i].list, false);
			read_cut(len, len, NOW_NS);
			assert_within(len);
			assert_int_equal(got.whole,
			    len >= 14 + rows[i].bytes);
		}
}

/* Tags up to the end, behind which a header would be. */
static void
vlan_tags_without_end_are_read_no_further(void **state)
{
	(void)state;
	for (uint32_t len = 14; len < 60; len++)
		for (int i = 0; i < 2; i++) {
			frame.len = 0;
			while (frame.len < len)
				put_be(0x8100, 2);
			list_is(i == 0 ? "arista7280" : "arista7150", false);
			read_cut(len, len, NOW_NS);
			assert_within(len);
			assert_int_equal(got.whole, i == 1 && len >= 18);
		}
}

/* Fields that would begin in front of the frame, or in its header, with a
 * checksum that is right. */
static void
ixia_fields_that_leave_the_frame_are_none(void **state)
{
	static const uint8_t none[60];

	(void)state;
	list_is("ixia", true);
	for (uint32_t bytes = 0; bytes < 256; bytes++) {
		/* Where fields are an odd number, the signature is even. */
		uint32_t sum = bytes % 2 ? bytes + 0xAF12 :
		    (bytes << 8) + 0xAF + 0x1200;

		frame.len = 0;
		put(none, sizeof(none));
		put_be(bytes, 1);
		put_be(0xAF12, 2);
		put_be(~((sum & 0xFFFF) + (sum >> 16)) & 0xFFFF, 2);
		put_fcs();
		read_frame();
		assert_within(frame.len);
		/* Fields of type 0 and no bytes, of 2 bytes each. */
		assert_int_equal(got.whole,
		    bytes <= sizeof(none) - 14 && bytes % 2 == 0);
	}
}

/* Captures whose frames are longer than the wire says: what is on the wire
 * counts. */
static void
bytes_behind_the_wire_are_not_looked_at(void **state)
{
	const uint32_t len = three_deep();

	(void)state;
	put_be(0x1122334455667788, 8);
	read_cut(len + 8, len, NOW_NS);
	assert_int_equal(got.count, 3);
	assert_restored(BYTES, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flipped_byte_changes_what_it_belongs_to),
		cmocka_unit_test(
		    a_frame_that_ends_anywhere_is_read_no_further),
		cmocka_unit_test(trailers_without_a_frame_are_none),
		cmocka_unit_test(random_bytes_are_read_within_bounds),
		cmocka_unit_test(a_trailer_needs_a_header_and_an_fcs_inside),
		cmocka_unit_test(one_that_keeps_no_fcs_needs_a_header_inside),
		cmocka_unit_test(vlan_tags_without_end_are_read_no_further),
		cmocka_unit_test(ixia_fields_that_leave_the_frame_are_none),
		cmocka_unit_test(bytes_behind_the_wire_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
