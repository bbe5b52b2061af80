/*
 * tests/unit/test_same.c - is it the same packet, seen at another point?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pcapng/block.h"
#include "recorder/query/seen/same.h"

#define ETHERNET	PB_LINKTYPE_ETHERNET
#define IP		14u	/* where its header is */

/* Ethernet, IPv4 of 32 bytes, UDP, four bytes; and padding behind. */
static const uint8_t v4[60] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 32, 0x12, 0x34, 0, 0, 64, 17, 0xaa, 0xbb,
	192, 0, 2, 1, 192, 0, 2, 9,
	0, 53, 0, 54, 0, 12, 0, 0, 't', 'i', 'c', 'k',
};

/* The same of IPv6. */
static const uint8_t v6[] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 12, 17, 64,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0, 53, 0, 54, 0, 12, 0, 0, 't', 'i', 'c', 'k',
};

static struct pb_same same;

static uint64_t
hash_of(bool routed, uint16_t linktype, const uint8_t *frame, size_t len,
    const struct pb_trailers *read)
{
	uint64_t hash;

	assert_true(pb_same_hash(&same, routed, linktype, frame,
	    (uint32_t)len, (uint32_t)len, read, &hash));
	return hash;
}

/* Bytes from `from` to below `to` may differ, and only those. */
struct part {
	size_t	 from, to;
};

static void
nothing_but(bool routed, const uint8_t *frame, size_t len,
    const struct part *part, size_t parts)
{
	uint64_t hash = hash_of(routed, ETHERNET, frame, len, NULL);
	uint8_t other[256];
	bool within;

	for (size_t i = 0; i < len; i++) {
		within = false;
		for (size_t k = 0; k < parts; k++)
			within = within || (i >= part[k].from &&
			    i < part[k].to);
		memcpy(other, frame, len);
		other[i] ^= 0x80;
		if ((hash_of(routed, ETHERNET, other, len, NULL) == hash) !=
		    within)
			fail_msg("byte %zu of %zu", i, len);
	}
}

static void
as_it_is_each_byte_counts_and_the_length(void **state)
{
	(void)state;
	nothing_but(false, v4, sizeof(v4), NULL, 0);
	assert_int_not_equal(hash_of(false, ETHERNET, v4, 60, NULL),
	    hash_of(false, ETHERNET, v4, 59, NULL));
}

static void
routed_what_bridges_and_routers_change_is_left_out(void **state)
{
	static const struct part of_v4[] = {
		{ 0, 12 }, { IP + 8, IP + 9 }, { IP + 10, IP + 12 },
		{ IP + 32, sizeof(v4) },
	};
	static const struct part of_v6[] = {
		{ 0, 12 }, { IP + 7, IP + 8 },
	};

	(void)state;
	nothing_but(true, v4, sizeof(v4), of_v4, 4);
	nothing_but(true, v6, sizeof(v6), of_v6, 2);
}

static void
routed_a_tag_makes_no_other_packet(void **state)
{
	uint8_t tagged[sizeof(v4) + 8];
	uint64_t hash = hash_of(true, ETHERNET, v4, sizeof(v4), NULL);

	(void)state;
	memcpy(tagged, v4, 12);
	memcpy(tagged + 12, "\x88\xa8\0\x07\x81\0\0\x64", 8);
	memcpy(tagged + 20, v4 + 12, sizeof(v4) - 12);
	assert_int_equal(hash_of(true, ETHERNET, tagged, sizeof(tagged),
	    NULL), hash);
	assert_int_not_equal(hash_of(false, ETHERNET, tagged, sizeof(tagged),
	    NULL), hash_of(false, ETHERNET, v4, sizeof(v4), NULL));
	/* Without padding, and of another link layer. */
	assert_int_equal(hash_of(true, ETHERNET, v4, IP + 32, NULL), hash);
	assert_int_equal(hash_of(true, PB_LINKTYPE_RAW, v4 + IP, 46, NULL),
	    hash);
}

static void
routed_what_is_not_ip_is_compared_behind_its_type(void **state)
{
	static const uint8_t arp[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4,
	};
	static const struct part part = { 0, 12 };

	(void)state;
	nothing_but(true, arp, sizeof(arp), &part, 1);
}

/* A length of 0 is that of a packet which the system had not cut yet. */
static void
a_length_that_cannot_be_leaves_nothing_out(void **state)
{
	static const uint16_t lengths[] = { 0, 19, 47, 0xffff };
	uint8_t odd[sizeof(v4)], other[sizeof(v4)];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		memcpy(odd, v4, sizeof(odd));
		odd[IP + 2] = (uint8_t)(lengths[i] >> 8);
		odd[IP + 3] = (uint8_t)lengths[i];
		memcpy(other, odd, sizeof(odd));
		other[sizeof(odd) - 1] ^= 1;
		assert_int_not_equal(
		    hash_of(true, ETHERNET, odd, sizeof(odd), NULL),
		    hash_of(true, ETHERNET, other, sizeof(odd), NULL));
	}
}

static void
of_a_frame_with_trailers_counts_what_it_was_before(void **state)
{
	struct pb_trailers read = { .whole = true, .len = 60 };
	uint8_t frame[60 + 20];
	uint64_t bare[2];

	(void)state;
	memcpy(frame, v4, 60);
	memset(frame + 60, 0xee, 20);
	for (int routed = 0; routed < 2; routed++) {
		bare[routed] = hash_of(routed, ETHERNET, v4, 60, NULL);
		assert_int_equal(hash_of(routed, ETHERNET, frame, 80, &read),
		    bare[routed]);
	}
	/* Where they do not parse all of it counts. */
	read.whole = false;
	assert_int_not_equal(hash_of(false, ETHERNET, frame, 80, &read),
	    bare[0]);
	/* A stamp in the header. */
	memcpy(frame + 12, "\xd2\x8b\0\1\0\x10\0\0\0\0\0\0\0\0", 14);
	memcpy(frame + 26, v4 + 12, 48);
	read = (struct pb_trailers){ .whole = true, .len = 60, .holes = 1,
	    .hole = { { 12, 14 } }, .fcs_at = 74 };
	for (int routed = 0; routed < 2; routed++)
		assert_int_equal(hash_of(routed, ETHERNET, frame, 74, &read),
		    bare[routed]);
}

static void
what_is_cut_short_is_never_read_past_its_end(void **state)
{
	(void)state;
	/* AddressSanitizer looks. */
	for (size_t len = 0; len <= sizeof(v6); len++) {
		uint8_t *exact = test_malloc(len + 1);

		memcpy(exact, v6, len);
		hash_of(true, ETHERNET, exact, len, NULL);
		if (len <= sizeof(v4)) {
			memcpy(exact, v4, len);
			hash_of(true, ETHERNET, exact, len, NULL);
		}
		test_free(exact);
	}
}

static int
finish(void **state)
{
	(void)state;
	pb_same_finish(&same);
	return 0;
}

/* Goal:   who sends packets does not know which are equal by their hash.
 * Method: the same frame twice, compared by two who ask. */
static void
no_sender_knows_a_hash(void **state)
{
	struct pb_same other = { .room = 0 };
	uint64_t hash;

	(void)state;
	for (int routed = 0; routed <= 1; routed++) {
		assert_true(pb_same_hash(&other, routed, ETHERNET, v4,
		    sizeof(v4), sizeof(v4), NULL, &hash));
		assert_true(hash != hash_of(routed, ETHERNET, v4, sizeof(v4),
		    NULL));
	}
	pb_same_finish(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_sender_knows_a_hash),
		cmocka_unit_test(as_it_is_each_byte_counts_and_the_length),
		cmocka_unit_test(
		    routed_what_bridges_and_routers_change_is_left_out),
		cmocka_unit_test(routed_a_tag_makes_no_other_packet),
		cmocka_unit_test(
		    routed_what_is_not_ip_is_compared_behind_its_type),
		cmocka_unit_test(a_length_that_cannot_be_leaves_nothing_out),
		cmocka_unit_test(
		    of_a_frame_with_trailers_counts_what_it_was_before),
		cmocka_unit_test(what_is_cut_short_is_never_read_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
