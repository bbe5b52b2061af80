/*
 * tests/unit/test_hop.c - PacketBroker's own options
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "tests/unit/option_u32.h"

#define PEN	PB_PEN_EXAMPLE

static struct pb_buf list;
static struct pb_identity identity;
static struct pb_err err;

static int
start(void **state)
{
	(void)state;
	pb_buf_init(&list, 1 << 20);
	memset(&err, 0, sizeof(err));
	memset(&identity, 0, sizeof(identity));
	identity.epoch = 0x1122334455667788;
	identity.first_seq = 42;
	strcpy(identity.interface, "eth0/vlan 7");
	identity.nodes = 2;
	strcpy(identity.node[0].name, "lon1");
	strcpy(identity.node[0].description, "London, rack 4");
	strcpy(identity.node[1].name, "core");
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pb_buf_finish(&list);
	return 0;
}

/* The option's value in `list`, to be damaged. */
static uint8_t *
value(void)
{
	struct pb_option option;

	assert_true(pb_option_find(list.data, list.len, PB_OPT_CUSTOM_BINARY,
	    &option));
	return list.data + (option.value - list.data);
}

/* A hop option made of `records` records with these extra bytes. */
static void
put_hops(int records, int extra)
{
	uint8_t bytes[8 + 17 * 16 + 16] = { 1, 0, 0, 0, 'P', 'B', 1, 2 };

	for (int i = 0; i < records; i++) {
		pb_put_le64(bytes + 8 + 16 * i, 1000u + (unsigned)i);
		pb_put_le64(bytes + 16 + 16 * i, 1u + (unsigned)i);
	}
	assert_int_equal(pb_option_put(&list, PB_OPT_CUSTOM_BINARY, bytes,
	    (size_t)(8 + 16 * records + extra)), 0);
}

/* --- the segment option -------------------------------------------------- */

static void
an_identity_comes_back_as_it_was_put(void **state)
{
	struct pb_identity back;

	(void)state;
	pb_option_put_text(&list, PB_OPT_SHB_OS, "any");
	assert_int_equal(pb_identity_put(&list, PEN, &identity), 0);
	memset(&back, 0xAA, sizeof(back));
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    1);
	assert_int_equal(back.epoch, identity.epoch);
	assert_int_equal(back.first_seq, 42);
	assert_string_equal(back.interface, "eth0/vlan 7");
	assert_int_equal(back.nodes, 2);
	assert_string_equal(back.node[0].name, "lon1");
	assert_string_equal(back.node[0].description, "London, rack 4");
	assert_string_equal(back.node[1].name, "core");
	assert_string_equal(back.node[1].description, "");
}

static void
an_identity_takes_another_epoch_in_place(void **state)
{
	struct pb_identity back;

	(void)state;
	assert_false(pb_identity_put_epoch(list.data, list.len, 7));
	assert_int_equal(pb_option_put(&list, PB_OPT_SHB_OS, "x", 1), 0);
	assert_false(pb_identity_put_epoch(list.data, list.len, 7));
	assert_int_equal(pb_identity_put(&list, PEN, &identity), 0);
	assert_true(pb_identity_put_epoch(list.data, list.len, 7));
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    1);
	assert_int_equal(back.epoch, 7);
	back.epoch = identity.epoch;
	assert_int_equal(back.first_seq, identity.first_seq);
	assert_string_equal(back.interface, identity.interface);
	assert_int_equal(back.nodes, identity.nodes);
}

static void
the_bytes_of_an_identity_are_those_of_the_header(void **state)
{
	static const uint8_t want[] = {
		0xD9, 0x7E, 0, 0, 'P', 'B', 1, 1,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		42, 0, 0, 0, 0, 0, 0, 0,
		2,
		4, 14, 'l', 'o', 'n', '1', 'L', 'o', 'n', 'd', 'o', 'n', ',',
		' ', 'r', 'a', 'c', 'k', ' ', '4',
		4, 0, 'c', 'o', 'r', 'e',
		11, 'e', 't', 'h', '0', '/', 'v', 'l', 'a', 'n', ' ', '7',
	};

	(void)state;
	assert_int_equal(pb_identity_put(&list, PEN, &identity), 0);
	assert_int_equal(list.len, PB_OPTION_BYTES(sizeof(want)));
	assert_int_equal(pb_get_le16(list.data), 2989);
	assert_int_equal(pb_get_le16(list.data + 2), sizeof(want));
	assert_memory_equal(list.data + 4, want, sizeof(want));
}

static void
the_largest_identity_fits(void **state)
{
	struct pb_identity back;

	(void)state;
	identity.nodes = PB_HOPS_MAX;
	for (int i = 0; i < PB_HOPS_MAX; i++) {
		memset(identity.node[i].name, 'a' + i, PB_NAME_BYTES_MAX);
		memset(identity.node[i].description, 'A' + i,
		    PB_TEXT_BYTES_MAX - 1);
	}
	memset(identity.interface, 'e', PB_IFNAME_BYTES_MAX);
	memset(&back, 0, sizeof(back));
	assert_int_equal(pb_identity_put(&list, PEN, &identity), 0);
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    1);
	assert_memory_equal(&back, &identity, sizeof(back));
}

static void
an_identity_of_no_or_too_many_nodes_is_not_written(void **state)
{
	(void)state;
	identity.nodes = 0;
	assert_int_equal(pb_identity_put(&list, PEN, &identity), PB_EINVAL);
	identity.nodes = PB_HOPS_MAX + 1;
	assert_int_equal(pb_identity_put(&list, PEN, &identity), PB_EINVAL);
	assert_int_equal(list.len, 0);
}

static void
any_pen_is_taken_and_no_other_mark(void **state)
{
	struct pb_identity back;

	(void)state;
	assert_int_equal(pb_identity_put(&list, 70000, &identity), 0);
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    1);
	for (int i = 4; i < 8; i++) {
		value()[i] ^= 0x40;
		assert_int_equal(pb_identity_get(list.data, list.len, &back,
		    &err), 0);
		value()[i] ^= 0x40;
	}
	pb_put_le16(list.data, PB_OPT_CUSTOM_BINARY_NOCOPY);
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    0);
	assert_int_equal(pb_identity_get(NULL, 0, &back, &err), 0);
}

/* Every prefix of the value but the whole is refused, none is read past. */
static void
an_identity_cut_short_is_malformed(void **state)
{
	struct pb_identity back;
	size_t whole;

	(void)state;
	pb_identity_put(&list, PEN, &identity);
	whole = pb_get_le16(list.data + 2);
	for (size_t len = 8; len <= whole; len++) {
		uint8_t *cut = malloc(PB_OPTION_BYTES(len));

		assert_non_null(cut);
		memcpy(cut, list.data, PB_OPTION_BYTES(len));
		pb_put_le16(cut + 2, (uint16_t)len);
		assert_int_equal(pb_identity_get(cut, PB_OPTION_BYTES(len),
		    &back, &err), len == whole ? 1 : PB_EFORMAT);
		free(cut);
	}
	assert_true(strlen(err.text) > 0);
}

static void
bytes_behind_an_identity_are_malformed(void **state)
{
	struct pb_identity back;
	uint16_t len;

	(void)state;
	strcpy(identity.interface, "eth10");	/* leaves padding */
	pb_identity_put(&list, PEN, &identity);
	len = pb_get_le16(list.data + 2);
	assert_true(len % 4 != 0);
	pb_put_le16(list.data + 2, (uint16_t)(len + 1));
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    PB_EFORMAT);
}

/* The longest name stands last in the value, and then grows by a byte. */
static void
an_interface_name_of_81_bytes_is_malformed(void **state)
{
	uint8_t bytes[256];
	struct pb_identity back;
	size_t len;

	(void)state;
	memset(identity.interface, 'e', PB_IFNAME_BYTES_MAX);
	pb_identity_put(&list, PEN, &identity);
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    1);
	len = pb_get_le16(list.data + 2);
	memcpy(bytes, value(), len);
	bytes[len - PB_IFNAME_BYTES_MAX - 1] = PB_IFNAME_BYTES_MAX + 1;
	bytes[len] = 'e';
	pb_buf_clear(&list);
	pb_option_put(&list, PB_OPT_CUSTOM_BINARY, bytes, len + 1);
	assert_int_equal(pb_identity_get(list.data, list.len, &back, &err),
	    PB_EFORMAT);
	assert_non_null(strstr(err.text, "interface"));
}

static void
each_wrong_field_of_an_identity_is_named(void **state)
{
	static const struct {
		size_t		at, len;
		uint8_t		with;
		const char	*says;
	} rows[] = {
		{ 8, 8, 0, "epoch" },
		{ 16, 8, 0, "first sequence number" },
		{ 24, 1, 0, "number of nodes" },
		{ 24, 1, 17, "number of nodes" },
		{ 25, 1, 0, "name" },		/* of no bytes */
		{ 25, 1, 65, "name" },		/* too long */
		{ 27, 1, '/', "name" },		/* a wrong character */
		{ 27, 1, 0, "name" },		/* a NUL within */
		{ 26, 1, 255, "description" },
		{ 31, 1, 0, "description" },	/* a NUL within */
		{ 51, 1, 0, "interface" },
		{ 51, 1, 81, "interface" },
		{ 52, 1, 0, "interface" },
	};
	struct pb_identity back;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pb_buf_clear(&list);
		pb_identity_put(&list, PEN, &identity);
		memset(value() + rows[i].at, rows[i].with, rows[i].len);
		assert_int_equal(pb_identity_get(list.data, list.len, &back,
		    &err), PB_EFORMAT);
		assert_non_null(strstr(err.text, rows[i].says));
	}
}

/* --- hops ---------------------------------------------------------------- */

static void
a_packet_without_hops_has_none(void **state)
{
	struct pb_hop hops[PB_HOPS_MAX];

	(void)state;
	assert_int_equal(pb_hops_get(NULL, 0, hops), 0);
	pb_option_put_u64(&list, PB_OPT_EPB_PACKETID, 1);
	assert_int_equal(pb_hops_get(list.data, list.len, hops), 0);
}

/* Output memory is of the promised size, so that a checker sees more. */
static void
each_append_adds_one_hop_and_keeps_all_else(void **state)
{
	struct pb_hop hops[PB_HOPS_MAX];
	uint64_t seq = 0;
	uint32_t flags = 0;

	(void)state;
	pb_option_put_u64(&list, PB_OPT_EPB_PACKETID, 7);
	for (uint64_t n = 1; n < PB_HOPS_MAX; n++) {
		struct pb_hop hop = { .time_ns = 1000 * n, .seq = 50 + n };
		uint8_t *at = malloc(list.len + PB_HOP_GROWTH_MAX);
		size_t len;

		assert_non_null(at);
		len = pb_hops_append(at, list.data, list.len, PEN, &hop);
		assert_int_equal(len, list.len + (n == 1 ? 28 : 16));
		pb_buf_clear(&list);
		assert_int_equal(pb_buf_put(&list, at, len), 0);
		free(at);
		if (n == 1)	/* what follows the hops is kept too */
			put_u32(&list, PB_OPT_EPB_FLAGS, 3);
		assert_int_equal(pb_hops_get(list.data, list.len, hops), n);
		for (uint64_t i = 0; i < n; i++) {
			assert_int_equal(hops[i].time_ns, 1000 * (i + 1));
			assert_int_equal(hops[i].seq, 51 + i);
		}
		assert_true(pb_option_find_u64(list.data, list.len,
		    PB_OPT_EPB_PACKETID, &seq));
		assert_true(find_u32(list.data, list.len,
		    PB_OPT_EPB_FLAGS, &flags));
		assert_int_equal(seq, 7);
		assert_int_equal(flags, 3);
	}
}

static void
a_first_hop_goes_into_an_empty_list(void **state)
{
	static const uint8_t want[28] = {
		0xAD, 0x0B, 24, 0, 0xD9, 0x7E, 0, 0, 'P', 'B', 1, 2,
		0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0,
	};
	struct pb_hop hop = { .time_ns = 0x11223344, .seq = 9 };
	uint8_t at[PB_HOP_GROWTH_MAX];

	(void)state;
	assert_int_equal(pb_hops_append(at, NULL, 0, PEN, &hop),
	    sizeof(want));
	assert_memory_equal(at, want, sizeof(want));
}

static void
hops_that_are_no_whole_records_are_malformed(void **state)
{
	struct pb_hop hops[PB_HOPS_MAX];

	(void)state;
	for (int extra = 1; extra < 16; extra++) {
		pb_buf_clear(&list);
		put_hops(2, extra);
		assert_int_equal(pb_hops_get(list.data, list.len, hops),
		    PB_EFORMAT);
	}
}

static void
more_hops_than_a_way_has_are_malformed(void **state)
{
	struct pb_hop hops[PB_HOPS_MAX];

	(void)state;
	put_hops(PB_HOPS_MAX - 1, 0);
	assert_int_equal(pb_hops_get(list.data, list.len, hops),
	    PB_HOPS_MAX - 1);
	pb_buf_clear(&list);
	put_hops(PB_HOPS_MAX, 0);
	assert_int_equal(pb_hops_get(list.data, list.len, hops), PB_EFORMAT);
}

static void
malformed_hops_stay_malformed_when_one_is_appended(void **state)
{
	struct pb_hop hops[PB_HOPS_MAX], hop = { 1, 1 };

	(void)state;
	for (int records = 1; records <= PB_HOPS_MAX; records++) {
		uint8_t *at;
		size_t len;

		pb_buf_clear(&list);
		put_hops(records, records < PB_HOPS_MAX ? 3 : 0);
		at = malloc(list.len + PB_HOP_GROWTH_MAX);
		assert_non_null(at);
		len = pb_hops_append(at, list.data, list.len, PEN, &hop);
		assert_true(len <= list.len + PB_HOP_GROWTH_MAX);
		assert_int_equal(pb_hops_get(at, len, hops), PB_EFORMAT);
		free(at);
	}
}

/* --- the rest ------------------------------------------------------------ */

static void
the_untimed_mark_is_found_where_it_was_put(void **state)
{
	(void)state;
	assert_false(pb_untimed_get(list.data, list.len));
	put_hops(1, 0);
	assert_false(pb_untimed_get(list.data, list.len));
	assert_int_equal(pb_untimed_put(&list, PEN), 0);
	assert_true(pb_untimed_get(list.data, list.len));
}

static void
a_short_custom_option_is_not_ours(void **state)
{
	static const uint8_t bytes[] = { 1, 0, 0, 0, 'P', 'B', 1 };
	struct pb_option option = {
		.code = PB_OPT_CUSTOM_BINARY, .len = sizeof(bytes),
		.value = bytes,
	};

	(void)state;
	assert_false(pb_own_option(&option, PB_OWN_HOPS));
}

static void
a_comment_says_who_where_and_when(void **state)
{
	struct pb_node node = { "relay1", "a \"quoted\\\" rack\n" };

	(void)state;
	assert_int_equal(pb_hop_comment(&list, 2, &node, 3,
	    1700000001500000000), 0);
	/* A control character becomes U+FFFD. */
	assert_string_equal(pb_buf_cstr(&list), "pb.hop n=2 node=relay1 "
	    "seq=3 ts=1700000001.500000000 "
	    "desc=\"a \\\"quoted\\\\\\\" rack\xEF\xBF\xBD\"");
}

static void
a_comment_that_does_not_fit_is_a_limit(void **state)
{
	struct pb_node node = { "relay1", "" };

	(void)state;
	list.max = 20;
	assert_true(pb_hop_comment(&list, 1, &node, 1, 1) < 0);
	assert_true(list.failed);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_identity_comes_back_as_it_was_put),
		TEST(an_identity_takes_another_epoch_in_place),
		TEST(the_bytes_of_an_identity_are_those_of_the_header),
		TEST(the_largest_identity_fits),
		TEST(an_identity_of_no_or_too_many_nodes_is_not_written),
		TEST(any_pen_is_taken_and_no_other_mark),
		TEST(an_identity_cut_short_is_malformed),
		TEST(bytes_behind_an_identity_are_malformed),
		TEST(an_interface_name_of_81_bytes_is_malformed),
		TEST(each_wrong_field_of_an_identity_is_named),
		TEST(a_packet_without_hops_has_none),
		TEST(each_append_adds_one_hop_and_keeps_all_else),
		TEST(a_first_hop_goes_into_an_empty_list),
		TEST(hops_that_are_no_whole_records_are_malformed),
		TEST(more_hops_than_a_way_has_are_malformed),
		TEST(malformed_hops_stay_malformed_when_one_is_appended),
		TEST(the_untimed_mark_is_found_where_it_was_put),
		TEST(a_short_custom_option_is_not_ours),
		TEST(a_comment_says_who_where_and_when),
		TEST(a_comment_that_does_not_fit_is_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
