/*
 * tests/unit/test_lane.c - one thread's share of an interface, and several
 * that make one stream
 *
 * The interface is a libpcap of our own (fake_pcap.h), the store a real one.
 * A lane without a thread is turned by hand, at times of the test's choice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/capture/source_impl.h"
#include "tests/unit/fake_pcap.h"
#include "tests/unit/option_u32.h"
#include "tests/unit/store_fixture.h"

#define LANES		4
#define CHUNKS		16
#define FLUSH_MS	50u
#define PAUSE_MS	1000u		/* lane.c's */
#define OVERTAKEN	(8u << 20)
#define TICK_MS		10u
#define WAIT_TURNS	1000		/* of 10 ms, then a test gives up */

struct rig {
	struct fixture	 f;
	struct pb_source src;
	struct pcap	 pcap[LANES];
	struct pb_pool	*pool;
	struct pb_chunk	*held[CHUNKS];
	unsigned	 holds;
};

static struct pb_lane *
rig_lane(struct rig *rig, unsigned i)
{
	return &rig->src.lane[i];
}

static void
rig_open(struct rig *rig, unsigned lanes, uint32_t caplen)
{
	for (unsigned i = 0; i < lanes; i++) {
		struct pb_pcap opened = { .pcap = &rig->pcap[i],
		    .unit_ns = 1, .ring = true, .hold_ms = 2,
		    .snaplen = PB_SNAPLEN };

		fake_init(&rig->pcap[i], (uint8_t)i, caplen);
		opened.fd = rig->pcap[i].fd;
		pb_lane_init(rig_lane(rig, i), &rig->src, i);
		pb_lane_open(rig_lane(rig, i), &opened, lanes);
		rig_lane(rig, i)->now_ms = 1000;
		pb_blocks_stream(&rig_lane(rig, i)->blocks, rig->pool,
		    rig->f.stream, pb_head_ref(rig->f.head));
	}
	rig->src.lanes = rig->src.capture.threads = lanes;
}

static struct rig *
rig_create(int line, unsigned lanes, uint32_t caplen)
{
	size_t bytes = (sizeof(struct pb_lane) * LANES + PB_LANE_ALIGN - 1) /
	    PB_LANE_ALIGN * PB_LANE_ALIGN;
	struct rig *rig = calloc(1, sizeof(*rig));
	struct pb_err err;

	assert_non_null(rig);
	fixture_init(&rig->f, line);
	rig->src.lane = aligned_alloc(PB_LANE_ALIGN, bytes);
	assert_non_null(rig->src.lane);
	memset(rig->src.lane, 0, bytes);
	assert_int_equal(pb_pool_create(&rig->pool, CHUNKS, NULL, &err), 0);
	rig->src.store = rig->f.store;
	rig->src.capture.buffer = 64 << 20;
	rig->src.ring_ms = rig->src.hold_ms = 2;
	rig->src.flush_ms = FLUSH_MS;
	rig->src.end_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&rig->src.order, NULL);
	rig_open(rig, lanes, caplen);
	return rig;
}

/* Nobody else may have all chunks but `left`. */
static void
rig_hold(struct rig *rig, unsigned left)
{
	while (rig->holds < CHUNKS - left)
		assert_non_null(rig->held[rig->holds++] =
		    pb_pool_take(rig->pool));
}

static void
rig_give_back(struct rig *rig)
{
	while (rig->holds > 0)
		pb_pool_give(rig->pool, rig->held[--rig->holds]);
}

/* Until all that was handed over is durable. */
static void
rig_settle(struct rig *rig)
{
	for (int i = 0; i < WAIT_TURNS && pb_stream_durable(rig->f.stream) + 1
	    < pb_stream_next(rig->f.stream); i++)
		poll(NULL, 0, 10);
	assert_int_equal(pb_stream_durable(rig->f.stream) + 1,
	    pb_stream_next(rig->f.stream));
}

static struct pb_stream_info
rig_row(struct rig *rig)
{
	struct pb_stream_info row;

	rig_settle(rig);
	fixture_stream_row(&rig->f, &row);
	return row;
}

static void
rig_destroy(struct rig *rig)
{
	rig_give_back(rig);
	for (unsigned i = 0; i < rig->src.lanes; i++) {
		pb_lane_close(rig_lane(rig, i));
		pb_blocks_finish(&rig_lane(rig, i)->blocks);
	}
	pb_pool_close(rig->pool);
	fixture_finish(&rig->f);
	close(rig->src.end_fd);
	pthread_mutex_destroy(&rig->src.order);
	free(rig->src.lane);
	free(rig);
}

static void
turn_at(struct rig *rig, unsigned lane, uint64_t now_ms)
{
	rig_lane(rig, lane)->now_ms = now_ms;
	assert_true(pb_lane_turn(rig_lane(rig, lane)) >= 0);
}

static uint64_t
next(const struct rig *rig)
{
	return pb_stream_next(rig->f.stream);
}

/*
 * Every packet of every lane once, those of a lane in their order, numbers
 * without a hole.  Returns the sum of the drop counts that packets carry.
 */
static uint64_t
read_all(struct rig *rig, const uint64_t want[LANES])
{
	static const struct pb_range all = { 1, UINT64_MAX, 0, UINT64_MAX };
	struct pb_stream_info row = rig_row(rig);
	uint64_t seen[LANES] = { 0 }, seq = 0, drops = 0, more;
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;
	struct pb_err err;

	assert_int_equal(pb_cursor_create(&cursor,
	    pb_store_index(rig->f.store), rig->f.dir, &row, &all, &err), 0);
	while (pb_cursor_next(cursor, &p, &err) == 1) {
		uint8_t lane = p.packet.data[0];

		assert_int_equal(p.seq, ++seq);
		assert_true(lane < LANES);
		assert_int_equal(pb_get_le64(p.packet.data + 1),
		    seen[lane]++);
		if (pb_option_find_u64(p.packet.options, p.packet.options_len,
		    PB_OPT_EPB_DROPCOUNT, &more))
			drops += more;
	}
	pb_cursor_destroy(cursor);
	for (int i = 0; i < LANES; i++)
		assert_int_equal(seen[i], want[i]);
	assert_int_equal(row.dropped, drops);
	assert_int_equal(row.packets, seq);
	return drops;
}

static void
end_threads(struct rig *rig, unsigned first)
{
	uint64_t one = 1;

	assert_int_equal(write(rig->src.end_fd, &one, sizeof(one)),
	    sizeof(one));
	for (unsigned i = first; i < rig->src.lanes; i++)
		pb_lane_join(rig_lane(rig, i));
}

static void
start_threads(struct rig *rig, unsigned first)
{
	struct pb_err err;

	for (unsigned i = first; i < rig->src.lanes; i++)
		assert_int_equal(pb_lane_start(rig_lane(rig, i), &err), 0);
}

static void
threads_make_one_stream_in_which_each_packet_stands_once(void **state)
{
	uint64_t want[LANES] = { 0 }, dropped = 0;
	struct rig *rig = rig_create(__LINE__, LANES, 400);

	(void)state;
	start_threads(rig, 0);
	for (int round = 0; round < 60; round++)
		for (unsigned i = 0; i < LANES; i++) {
			uint64_t more = (uint64_t)round % (i + 2) * 50;

			fake_more(&rig->pcap[i], more);
			want[i] += more;
			rig->pcap[i].dropped += i;
			dropped += i;
			if (i == 0)
				poll(NULL, 0, 1);
		}
	/* Each has something left that its last look tells. */
	for (unsigned i = 0; i < LANES; i++) {
		fake_more(&rig->pcap[i], 1);
		want[i]++;
	}
	end_threads(rig, 0);
	assert_int_equal(pb_counted(&rig->src.counts.store), 0);
	assert_int_equal(pb_counted(&rig->src.counts.kernel), dropped);
	assert_int_equal(read_all(rig, want) +
	    pb_counted(&rig->src.counts.untold), dropped);
	assert_int_equal(pb_counted(&rig->src.counts.untold), 0);
	rig_destroy(rig);
}

/* The writer gives chunks back while lanes want them. */
static void
lanes_share_a_small_pool_and_account_for_each_packet(void **state)
{
	struct rig *rig = rig_create(__LINE__, LANES, 30000);
	uint64_t given = 0;

	(void)state;
	rig_hold(rig, 2 * LANES);
	start_threads(rig, 0);
	for (unsigned i = 0; i < LANES; i++) {
		fake_more(&rig->pcap[i], 300 + 100 * i);
		given += 300 + 100 * i;
	}
	end_threads(rig, 0);
	for (unsigned i = 0; i < LANES; i++)
		assert_int_equal(rig->pcap[i].at, 300 + 100 * i);
	assert_int_equal(rig_row(rig).packets + rig_row(rig).dropped +
	    pb_counted(&rig->src.counts.untold), given);
	assert_int_equal(next(rig) - 1, rig_row(rig).packets);
	rig_destroy(rig);
}

static void
a_chunk_goes_when_its_time_has_come_and_not_before(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 60);

	(void)state;
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000);
	assert_int_equal(rig_lane(rig, 0)->blocks.chunk->due_ms,
	    5000 + FLUSH_MS);
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000 + FLUSH_MS - 1);
	assert_int_equal(next(rig), 1);
	turn_at(rig, 0, 5000 + FLUSH_MS);
	assert_int_equal(next(rig), 3);
	assert_null(rig_lane(rig, 0)->blocks.chunk);
	rig_destroy(rig);
}

static void
each_lane_has_its_own_time(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 60);

	(void)state;
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000);
	fake_more(&rig->pcap[1], 2);
	turn_at(rig, 1, 5010);
	turn_at(rig, 0, 5000 + FLUSH_MS);
	assert_int_equal(next(rig), 2);
	turn_at(rig, 1, 5000 + FLUSH_MS);
	assert_int_equal(next(rig), 2);
	turn_at(rig, 1, 5010 + FLUSH_MS);
	assert_int_equal(next(rig), 4);
	rig_destroy(rig);
}

static void
a_chunk_that_others_overtake_is_handed_over(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 10000);

	(void)state;
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000);
	while (pb_counted(&rig->src.counts.bytes) < OVERTAKEN) {
		turn_at(rig, 0, 5000);
		assert_non_null(rig_lane(rig, 0)->blocks.chunk);
		fake_more(&rig->pcap[1], 100);
		turn_at(rig, 1, 5000);
		rig_settle(rig);	/* the writer keeps up */
	}
	turn_at(rig, 0, 5000);
	assert_null(rig_lane(rig, 0)->blocks.chunk);
	/* And the next one begins anew. */
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000);
	assert_non_null(rig_lane(rig, 0)->blocks.chunk);
	rig_destroy(rig);
}

/* What a reject takes off the sum of all bytes. */
static void
what_the_store_refused_overtakes_nobody(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 60);

	(void)state;
	pb_count(&rig->src.counts.bytes, 5000);
	fake_more(&rig->pcap[0], 1);
	turn_at(rig, 0, 5000);
	pb_count(&rig->src.counts.bytes, -(uint64_t)1000);
	turn_at(rig, 0, 5001);
	assert_non_null(rig_lane(rig, 0)->blocks.chunk);
	assert_int_equal(next(rig), 1);
	rig_destroy(rig);
}

static void
without_a_free_chunk_packets_stay_in_the_ring_for_a_while(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 100000);
	uint64_t read_before;

	(void)state;
	rig_hold(rig, 1);
	fake_more(&rig->pcap[0], 20);
	turn_at(rig, 0, 5000);
	read_before = rig->pcap[0].at;
	assert_true(rig_lane(rig, 0)->paused && read_before < 20);
	turn_at(rig, 0, 5001);
	turn_at(rig, 0, 5000 + PAUSE_MS);
	assert_int_equal(rig->pcap[0].at, read_before);
	assert_int_equal(pb_counted(&rig->src.counts.store), 0);
	/* The disk has failed: all is read, and what is lost is counted. */
	turn_at(rig, 0, 5001 + PAUSE_MS);
	assert_int_equal(rig->pcap[0].at, 20);
	assert_true(pb_counted(&rig->src.counts.store) > 0);
	rig_give_back(rig);
	pb_lane_end(rig_lane(rig, 0));
	assert_int_equal(rig_row(rig).packets + rig_row(rig).dropped, 20);
	assert_int_equal(rig_row(rig).dropped,
	    pb_counted(&rig->src.counts.store));
	rig_destroy(rig);
}

static void
a_pause_ends_without_loss_when_a_chunk_is_back(void **state)
{
	uint64_t want[LANES] = { 20 };
	struct rig *rig = rig_create(__LINE__, 1, 100000);

	(void)state;
	rig_hold(rig, 1);
	fake_more(&rig->pcap[0], 20);
	turn_at(rig, 0, 5000);
	assert_true(rig_lane(rig, 0)->paused);
	rig_give_back(rig);
	turn_at(rig, 0, 5005);
	assert_int_equal(rig->pcap[0].at, 20);
	pb_lane_end(rig_lane(rig, 0));
	assert_int_equal(read_all(rig, want), 0);
	rig_destroy(rig);
}

static void
an_end_in_the_middle_of_a_pause_counts_what_it_cannot_keep(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 100000);
	uint64_t begun = pb_clock_mono_ms();

	(void)state;
	rig_hold(rig, 1);
	fake_more(&rig->pcap[0], 20);
	turn_at(rig, 0, begun);
	assert_true(rig_lane(rig, 0)->paused);
	pb_lane_drain(rig_lane(rig, 0));
	assert_true(pb_clock_mono_ms() - begun >= PAUSE_MS);
	assert_int_equal(rig->pcap[0].at, 20);
	pb_lane_end(rig_lane(rig, 0));
	assert_int_equal(rig_row(rig).packets + rig_row(rig).dropped, 20);
	assert_true(rig_row(rig).dropped > 0);
	assert_int_equal(pb_counted(&rig->src.counts.untold), 0);
	rig_destroy(rig);
}

/* HZ=100: both halves of what it may take are rounded up to 10 ms. */
static void
what_the_slowest_kernel_gives_out_last_is_drained(void **state)
{
	uint64_t want[LANES] = { 3 };
	struct rig *rig = rig_create(__LINE__, 1, 60);

	(void)state;
	fake_more(&rig->pcap[0], 3);
	rig->pcap[0].from_ms = pb_clock_mono_ms() +
	    2 * (rig->src.hold_ms + TICK_MS) - 2;
	pb_lane_drain(rig_lane(rig, 0));
	pb_lane_end(rig_lane(rig, 0));
	assert_int_equal(next(rig), 4);
	assert_int_equal(read_all(rig, want), 0);
	rig_destroy(rig);
}

/* Its socket has its share of the packets until it is closed. */
static void
a_lane_that_failed_has_all_its_packets_when_it_ends(void **state)
{
	uint64_t want[LANES] = { 10, 10 };
	struct rig *rig = rig_create(__LINE__, 2, 60);

	(void)state;
	fake_more(&rig->pcap[0], 10);
	turn_at(rig, 0, 5000);
	fake_more(&rig->pcap[1], 4);
	start_threads(rig, 1);
	for (int i = 0; i < WAIT_TURNS && next(rig) < 5; i++)
		poll(NULL, 0, 10);
	rig->pcap[1].fails = true;
	fake_more(&rig->pcap[1], 1);
	for (int i = 0; i < WAIT_TURNS && !rig_lane(rig, 1)->failed; i++)
		poll(NULL, 0, 10);
	assert_true(rig_lane(rig, 1)->failed);
	assert_string_equal(rig_lane(rig, 1)->why, "as told");
	poll(NULL, 0, 100);		/* the source is not quick to see it */
	fake_more(&rig->pcap[1], 5);
	end_threads(rig, 1);
	pb_lane_end(rig_lane(rig, 0));
	assert_int_equal(read_all(rig, want), 0);
	rig_destroy(rig);
}

static void
what_a_group_counted_before_it_was_complete_is_nobodys(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 60);

	(void)state;
	for (unsigned handles = 1; handles <= 2; handles++) {
		struct pb_lane *lane = rig_lane(rig, 0);
		struct pb_pcap opened = lane->pcap;
		uint64_t before = pb_counted(&rig->src.counts.kernel);

		rig->pcap[0].dropped = 5;
		pb_lane_open(lane, &opened, handles);
		rig->pcap[0].dropped += 2;
		fake_more(&rig->pcap[0], 1);
		turn_at(rig, 0, 5000 * handles);
		turn_at(rig, 0, 5000 * handles + FLUSH_MS);
		assert_int_equal(pb_counted(&rig->src.counts.kernel) - before,
		    handles == 1 ? 7 : 2);
	}
	rig_destroy(rig);
}

static void
what_the_interface_lost_counts_once_and_needs_no_packet(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 60);

	(void)state;
	rig->pcap[0].ifdropped = rig->pcap[1].ifdropped = 9;
	fake_more(&rig->pcap[1], 1);
	turn_at(rig, 1, 5000);
	turn_at(rig, 1, 5000 + FLUSH_MS);
	assert_int_equal(pb_counted(&rig->src.counts.interface), 0);
	/* The first lane tells, though no flow is its own. */
	turn_at(rig, 0, 6000);
	assert_int_equal(pb_counted(&rig->src.counts.interface), 9);
	fake_more(&rig->pcap[1], 1);
	turn_at(rig, 1, 7000);
	turn_at(rig, 1, 7000 + FLUSH_MS);
	assert_int_equal(rig_row(rig).dropped, 9);
	rig_destroy(rig);
}

static void
an_adapter_that_lives_in_1970_is_not_believed(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 60);
	struct pb_lane *lane = rig_lane(rig, 0);
	char text[PB_INTERFACE_TEXT_MAX];

	(void)state;
	lane->pcap.unproven = rig_lane(rig, 1)->pcap.unproven = true;
	rig->pcap[0].time.tv_sec = 77;
	fake_more(&rig->pcap[0], 1);
	fake_more(&rig->pcap[1], 1);
	turn_at(rig, 0, 5000);
	turn_at(rig, 1, 5000);
	assert_true(pb_clock_real_ns() - lane->blocks.chunk->tally.first_time <
	    PB_NS_PER_S * 10);
	assert_true(rig->src.host_clock && lane->host_clock);
	assert_int_equal(pb_interface_text_get(
	    lane->blocks.chunk->head->idb_options.data,
	    lane->blocks.chunk->head->idb_options.len, text), 1);
	assert_string_equal(text, "clock=host");
	assert_string_equal(rig->src.clock, "host");
	/* The other lane looks for itself. */
	assert_false(rig_lane(rig, 1)->pcap.unproven);
	rig_destroy(rig);
}

static void
after_a_look_that_brought_much_more_may_gather(void **state)
{
	struct rig *rig = rig_create(__LINE__, 2, 1000);

	(void)state;
	rig->src.look_ms = 7;
	fake_more(&rig->pcap[0], 100);
	turn_at(rig, 0, 5000);
	assert_int_equal(rig_lane(rig, 0)->look_at_ms, 0);
	fake_more(&rig->pcap[0], 400);
	turn_at(rig, 0, 5001);
	assert_int_equal(rig_lane(rig, 0)->look_at_ms, 5008);
	/* A quarter of a ring at once: not a moment is to be lost. */
	rig->src.capture.buffer = 2 << 20;
	fake_more(&rig->pcap[0], 400);
	turn_at(rig, 0, 5008);
	assert_int_equal(rig_lane(rig, 0)->look_at_ms, 0);
	rig_destroy(rig);
}

/* What libpcap has beside network interfaces is read in other ways. */
static void
an_empty_netlink_socket_is_no_failure(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 60);
	struct pb_lane *lane = rig_lane(rig, 0);

	(void)state;
	rig->pcap[0].empty_fails = true;
	lane->pcap.ring = false;
	turn_at(rig, 0, 5000);
	fake_more(&rig->pcap[0], 3);
	turn_at(rig, 0, 5001);
	turn_at(rig, 0, 5001 + FLUSH_MS);
	assert_int_equal(next(rig), 4);
	rig->pcap[0].fails = true;
	lane->now_ms = 6000;
	errno = 0;
	assert_true(pb_lane_turn(lane) < 0);
	rig_destroy(rig);
}

static void
what_poll_cannot_wait_for_is_looked_at_now_and_then(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 60);
	struct pb_lane *lane = rig_lane(rig, 0);

	(void)state;
	lane->pcap.ring = false;
	lane->pcap.fd = -1;
	lane->pcap.look_ms = 1;
	lane->now_ms = pb_clock_mono_ms();
	fake_more(&rig->pcap[0], 5);
	for (int i = 0; i < WAIT_TURNS && next(rig) < 6; i++) {
		assert_int_equal(pb_lane_wait(lane, rig->src.end_fd, -1,
		    lane->now_ms + 60000), 0);
		assert_true(pb_lane_turn(lane) >= 0);
	}
	assert_int_equal(next(rig), 6);
	rig_destroy(rig);
}

static void
one_whose_looks_wait_is_captured_and_ends_when_told(void **state)
{
	struct rig *rig = rig_create(__LINE__, 1, 60);
	uint64_t want[LANES] = { 500 };
	struct pb_lane *lane = rig_lane(rig, 0);

	(void)state;
	rig->pcap[0].waits = true;
	lane->pcap.ring = false;
	lane->pcap.waits = true;
	lane->pcap.fd = -1;
	lane->pcap.look_ms = 1;
	start_threads(rig, 0);
	for (int i = 0; i < 50; i++) {
		fake_more(&rig->pcap[0], 10);
		poll(NULL, 0, 1);
	}
	end_threads(rig, 0);
	assert_int_equal(read_all(rig, want), 0);
	rig_destroy(rig);
}

/* Those of the stream's packets, in their order; 0: one has none. */
static void
expect_flags(struct rig *rig, const uint32_t *want, unsigned count)
{
	static const struct pb_range all = { 1, UINT64_MAX, 0, UINT64_MAX };
	struct pb_stream_info row = rig_row(rig);
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;
	struct pb_err err;
	unsigned n = 0;

	assert_int_equal(pb_cursor_create(&cursor,
	    pb_store_index(rig->f.store), rig->f.dir, &row, &all, &err), 0);
	for (; pb_cursor_next(cursor, &p, &err) == 1; n++) {
		uint32_t flags = 0;

		assert_true(n < count);
		assert_int_equal(find_u32(p.packet.options,
		    p.packet.options_len, PB_OPT_EPB_FLAGS, &flags),
		    want[n] != 0);
		assert_int_equal(flags, want[n]);
	}
	pb_cursor_destroy(cursor);
	assert_int_equal(n, count);
}

/* The second byte of packet n is n: the type, where it is a cooked one. */
static void
give_six(uint16_t linktype, bool in_only, const uint32_t want[6])
{
	struct rig *rig = rig_create(__LINE__, 1, 60);

	rig_lane(rig, 0)->pcap.linktype = linktype;
	rig_lane(rig, 0)->pcap.in_only = in_only;
	fake_more(&rig->pcap[0], 6);
	turn_at(rig, 0, 1000);
	turn_at(rig, 0, 1000 + FLUSH_MS);
	expect_flags(rig, want, 6);
	rig_destroy(rig);
}

static void
packets_tell_their_direction_where_it_is_known(void **state)
{
	static const uint32_t cooked[] = { 1 | 1 << 2, 1 | 3 << 2, 1 | 2 << 2,
	    1 | 4 << 2, 2, 0 }, none[6] = { 0 };

	(void)state;
	give_six(PB_LINKTYPE_LINUX_SLL, false, cooked);
	give_six(PB_LINKTYPE_ETHERNET, false, none);
}

static void
where_only_what_comes_in_is_captured_packets_say_so(void **state)
{
	static const uint32_t cooked[] = { 1 | 1 << 2, 1 | 3 << 2, 1 | 2 << 2,
	    1 | 4 << 2, 2, 1 }, in[] = { 1, 1, 1, 1, 1, 1 };

	(void)state;
	give_six(PB_LINKTYPE_LINUX_SLL, true, cooked);
	give_six(PB_LINKTYPE_ETHERNET, true, in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    threads_make_one_stream_in_which_each_packet_stands_once),
		cmocka_unit_test(
		    lanes_share_a_small_pool_and_account_for_each_packet),
		cmocka_unit_test(
		    a_chunk_goes_when_its_time_has_come_and_not_before),
		cmocka_unit_test(each_lane_has_its_own_time),
		cmocka_unit_test(a_chunk_that_others_overtake_is_handed_over),
		cmocka_unit_test(what_the_store_refused_overtakes_nobody),
		cmocka_unit_test(
		    without_a_free_chunk_packets_stay_in_the_ring_for_a_while),
		cmocka_unit_test(
		    a_pause_ends_without_loss_when_a_chunk_is_back),
		cmocka_unit_test(
		    an_end_in_the_middle_of_a_pause_counts_what_it_cannot_keep),
		cmocka_unit_test(
		    what_the_slowest_kernel_gives_out_last_is_drained),
		cmocka_unit_test(
		    a_lane_that_failed_has_all_its_packets_when_it_ends),
		cmocka_unit_test(
		    what_a_group_counted_before_it_was_complete_is_nobodys),
		cmocka_unit_test(
		    what_the_interface_lost_counts_once_and_needs_no_packet),
		cmocka_unit_test(
		    an_adapter_that_lives_in_1970_is_not_believed),
		cmocka_unit_test(
		    after_a_look_that_brought_much_more_may_gather),
		cmocka_unit_test(an_empty_netlink_socket_is_no_failure),
		cmocka_unit_test(
		    what_poll_cannot_wait_for_is_looked_at_now_and_then),
		cmocka_unit_test(
		    one_whose_looks_wait_is_captured_and_ends_when_told),
		cmocka_unit_test(
		    packets_tell_their_direction_where_it_is_known),
		cmocka_unit_test(
		    where_only_what_comes_in_is_captured_packets_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
