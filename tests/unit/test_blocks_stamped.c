/*
 * tests/unit/test_blocks_stamped.c - stamps beside the packets of a capture
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/build.h"
#include "pcapng/plain.h"
#include "tests/unit/blocks_fixture.h"

#define CAPTURE_NS	UINT64_C(1732233600123456789)

static struct pb_stamped
some(unsigned count)
{
	struct pb_stamped stamped = { .capture_ns = CAPTURE_NS,
	    .from = 1, .count = (uint8_t)count };

	for (unsigned i = 0; i < count; i++)
		stamped.at[i] = (struct pb_stamp){ .time_ns = i,
		    .format = PB_STAMP_ARISTA7150, .flags = PB_STAMP_TIMED };
	return stamped;
}

static void
stamped_init(struct side *side, uint16_t linktype)
{
	side_init(side, linktype, 1);
	for (int i = 0; i < LANES_MAX; i++)
		pb_blocks_stamps(&side->lane[i], PB_PEN_EXAMPLE);
}

static bool
give_stamped(struct side *side, uint64_t time_ns, uint32_t len,
    unsigned count)
{
	static uint8_t data[PB_CAPLEN_MAX];
	struct pb_stamped stamped = some(count);

	return pb_blocks_stamped(&side->lane[0], time_ns, data, len, len,
	    side->flags, &stamped);
}

/* The options of a packet as everything else would write them. */
static void
compare_block(uint32_t flags, uint32_t caplen, uint64_t drops,
    unsigned count)
{
	static uint8_t data[96], want[1024], list[512], value[4];
	struct pb_packet packet = { .time_ns = 77, .caplen = caplen,
	    .origlen = caplen, .data = data, .options = list };
	struct pb_stamped stamped = some(count);
	struct pb_plain plain;
	struct side side;
	struct seen seen;
	uint8_t *end;
	size_t len;

	memset(data, 0xa5, sizeof(data));
	pb_put_le32(value, flags);
	stamped_init(&side, PB_LINKTYPE_ETHERNET);
	pb_losses_store(&side.counts, drops);
	assert_true(pb_blocks_stamped(&side.lane[0], 77, data, caplen, caplen,
	    flags, &stamped));
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	end = pb_option_at_u64(list, PB_OPT_EPB_PACKETID, 1);
	if (flags != 0)
		end = pb_option_at(end, PB_OPT_EPB_FLAGS, value, 4);
	end += pb_stamped_write(end, PB_PEN_EXAMPLE, &stamped);
	if (drops > 0)
		end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, drops);
	packet.options_len = (size_t)(end - list);
	len = pb_build_epb(want, 0, &packet);
	assert_memory_equal(side.chunk[0]->data + side.chunk[0]->len - len,
	    want, len);
	assert_int_equal(seen.last.time_ns, 77);
	assert_true(pb_plain_read(want, len, &plain));
	assert_int_equal(plain.dropped, drops);
	side_finish(&side);
}

static void
stamps_stand_between_what_is_known_and_what_was_lost(void **state)
{
	(void)state;
	for (uint32_t caplen = 0; caplen < 9; caplen++)
		for (unsigned count = 0; count <= PB_STAMPS_MAX; count++) {
			compare_block(0, caplen, 0, count);
			compare_block(0, caplen, 3, count);
			compare_block(1 | 1 << 2, caplen, 3, count);
		}
}

static void
losses_found_late_are_told_behind_the_stamps(void **state)
{
	struct pb_stamped out;
	struct side side;
	struct seen seen;

	(void)state;
	stamped_init(&side, PB_LINKTYPE_ETHERNET);
	give_stamped(&side, 10, 60, 2);
	side.now.kernel = 6;
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.drops, 6);
	assert_int_equal(pb_stamped_get(seen.last.options,
	    seen.last.options_len, &out), 1);
	assert_int_equal(out.capture_ns, CAPTURE_NS);
	assert_int_equal(out.count, 2);
	side_finish(&side);
}

static void
the_longest_packet_with_most_stamps_fits_a_chunk(void **state)
{
	struct side side;

	(void)state;
	stamped_init(&side, PB_LINKTYPE_ETHERNET);
	side.flags = 2;
	for (int i = 0; i < 9; i++) {
		side.now.kernel += 3;
		give_stamped(&side, 1, PB_CAPLEN_MAX, PB_STAMPS_MAX);
	}
	side.now.kernel += 3;
	hand_over(&side, 0, PB_HANDOVER_END);
	assert_int_equal(side.chunks, 3);
	for (int i = 0; i < side.chunks; i++)
		assert_int_equal(look(side.chunk[i]).packets, 3);
	side_finish(&side);
}

/* Every length, so that every rest of room in a chunk comes up; with and
 * without stamps, and losses. */
static void
chunks_are_filled_and_never_overrun(void **state)
{
	uint64_t packets = 0, next = 1;
	struct side side;

	(void)state;
	stamped_init(&side, PB_LINKTYPE_ETHERNET);
	for (uint32_t len = 1; side.chunks < 20; len = len * 5 % 65521) {
		if (packets % 7 == 0)
			side.now.kernel++;
		if (packets % 3 == 0)
			give(&side, packets, len, len);
		else
			give_stamped(&side, packets, len,
			    (unsigned)(packets % (PB_STAMPS_MAX + 1)));
		packets++;
	}
	hand_over(&side, 0, PB_HANDOVER_END);
	for (int i = 0; i < side.chunks; i++) {
		struct seen seen = look(side.chunk[i]);

		if (i < side.chunks - 1)
			assert_true(side.chunk[i]->len >
			    side.chunk[i]->cap - 70000);
		assert_int_equal(seen.first_seq, next);
		next = seen.last_seq + 1;
	}
	assert_int_equal(next - 1, packets);
	side_finish(&side);
}

/* With the last chunk begun, each packet may be the longest: it is asked
 * whether there is room, before there is none. */
static void
the_last_chunk_has_room_for_stamps_as_long_as_it_says_so(void **state)
{
	struct side side;
	bool ready = true;

	(void)state;
	stamped_init(&side, PB_LINKTYPE_ETHERNET);
	while (side.chunks < PB_SOURCE_CHUNKS - 1)
		give_stamped(&side, 1, 60000, PB_STAMPS_MAX);
	while (ready) {
		uint64_t before = lost(&side);

		ready = give_stamped(&side, 1, 1500, PB_STAMPS_MAX);
		assert_int_equal(lost(&side), before);
	}
	assert_int_equal(lost(&side), 0);
	side_finish(&side);
}

/* The segment after says another clock. */
static void
packets_behind_another_head_are_in_another_chunk(void **state)
{
	struct pb_node node = { .name = "lon1" };
	struct pb_conf_capture capture = { .interface = "eth9" };
	struct pb_stamping stamping = { .choice = PB_STAMP_CAPTURE };
	struct pb_description what = { .node = &node, .capture = &capture,
	    .stamping = &stamping, .epoch = 7,
	    .linktype = PB_LINKTYPE_ETHERNET, .clock = "adapter" };
	struct pb_head *head;
	struct side side;
	struct pb_err err;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 1, 60, 60);
	assert_int_equal(pb_describe(&head, &what, &err), 0);
	pb_blocks_head(&side.lane[0], head);
	give(&side, 2, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunks, 2);
	assert_int_equal(side.chunk[1]->first_seq, 2);
	assert_ptr_equal(side.chunk[1]->head, head);
	assert_true(side.chunk[0]->head->hash != head->hash);
	side_finish(&side);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    stamps_stand_between_what_is_known_and_what_was_lost),
		cmocka_unit_test(losses_found_late_are_told_behind_the_stamps),
		cmocka_unit_test(
		    the_longest_packet_with_most_stamps_fits_a_chunk),
		cmocka_unit_test(chunks_are_filled_and_never_overrun),
		cmocka_unit_test(
		    the_last_chunk_has_room_for_stamps_as_long_as_it_says_so),
		cmocka_unit_test(
		    packets_behind_another_head_are_in_another_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
