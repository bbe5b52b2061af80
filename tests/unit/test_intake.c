/*
 * tests/unit/test_intake.c - whose turn it is, and when it is durable
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define IMAGE_MAX	(32u << 20)
#include "tests/unit/intake_fixture.h"

/* `count` packets of `caplen` bytes, the next ones of stream `n` of 8. */
static void
offer_to(struct job *job, unsigned n, unsigned count, uint32_t caplen,
    uint64_t now)
{
	static struct pb_stream_key other[FAKE_STREAMS];
	struct pb_stream *stream;
	struct pb_err err;

	memset(job, 0, sizeof(*job));
	job->load.arg = job;
	other[n] = key;
	snprintf(other[n].interface, sizeof(other[n].interface), "eth%u", n);
	assert_int_equal(pb_intake_begin(intake, &job->load, &other[n], &err),
	    0);
	job->load.first = pb_store_stream_find(&fake, &other[n], &stream,
	    &err) == 1 ? stream->next : 1;
	job->load.last = job->load.first + count - 1;
	job->img = body_image(&(struct body_opts){ .first = job->load.first,
	    .last = job->load.last, .caplen = caplen,
	    .interface = other[n].interface });
	job->load.body = (struct pb_body){
		.data = job->img->data, .len = job->img->len,
		.key = &other[n], .self = &self, .pen = BODY_PEN };
	pb_intake_offer(intake, &job->load, now);
}

static void
offer_gap(struct job *job, uint64_t first, uint64_t last, uint64_t now)
{
	begin(job);
	job->load.gap = PB_GAP_DEAD_LETTERED;
	job->load.linktype = 1;
	job->load.first = first;
	job->load.last = last;
	pb_intake_offer(intake, &job->load, now);
}

/* Packets 1 .. last, durable. */
static void
store_up_to(uint64_t last)
{
	struct job job;

	offer(&job, 1, last, 1);
	written(1);
	assert_int_equal(outcome(&job), 0);
}

static void
a_load_settles_when_it_is_durable_not_before(void **state)
{
	struct job job;

	(void)state;
	offer(&job, 1, 10, 1000);
	assert_int_equal(outcome(&job), WAITS);
	pb_intake_collect(intake, 1001);
	assert_int_equal(outcome(&job), WAITS);
	fake_write(SIZE_MAX, 0);
	assert_int_equal(woken, 1);
	assert_int_equal(outcome(&job), WAITS);
	pb_intake_collect(intake, 1002);
	assert_int_equal(outcome(&job), 0);
	assert_int_equal(job.load.acked, 10);
	assert_int_equal(pb_intake_counters(intake)->packets, 10);
	assert_int_equal(pb_intake_counters(intake)->bytes, 600);
}

static void
loads_that_overtook_each_other_are_written_in_order(void **state)
{
	struct job a, b, c;

	(void)state;
	begin(&a);		/* its body is under way */
	offer(&c, 21, 30, 1000);
	offer(&b, 11, 20, 1000);
	assert_int_equal(fake.submits, 0);
	send_job(&a, 1, 10, 1100);
	assert_int_equal(fake.submits, 3);
	written(1101);
	assert_int_equal(outcome(&a), 0);
	assert_int_equal(outcome(&b), 0);
	assert_int_equal(outcome(&c), 0);
	assert_int_equal(fake.stream[0].durable, 30);
	assert_int_equal(pb_intake_counters(intake)->held, 2);
}

static void
a_lone_load_ahead_of_its_turn_is_refused_at_once(void **state)
{
	struct job job;

	(void)state;
	offer(&job, 11, 20, 1000);
	assert_int_equal(outcome(&job), PB_EORDER);
	assert_int_equal(job.load.acked, 0);
}

static void
after_an_answer_the_next_may_be_under_way_for_a_moment(void **state)
{
	struct job a, ahead;

	(void)state;
	store_up_to(10);		/* answered at 1 */
	offer(&ahead, 21, 30, 100);
	assert_int_equal(outcome(&ahead), WAITS);
	assert_int_equal(pb_intake_tick(intake, 150), 51);
	assert_int_equal(outcome(&ahead), WAITS);
	offer(&a, 11, 20, 160);
	written(170);
	assert_int_equal(outcome(&a), 0);
	assert_int_equal(outcome(&ahead), 0);
	offer(&ahead, 41, 50, 180);
	assert_int_equal(outcome(&ahead), WAITS);
	pb_intake_tick(intake, 170 + PB_HOLD_GRACE_MS);
	assert_int_equal(outcome(&ahead), PB_EORDER);
	assert_int_equal(ahead.load.acked, 30);
}

static void
a_question_is_an_answer_too(void **state)
{
	struct job question, ahead;

	(void)state;
	ask(&question, 0, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 0);
	offer(&ahead, 11, 20, 1100);
	assert_int_equal(outcome(&ahead), WAITS);
	pb_intake_tick(intake, 1000 + PB_HOLD_GRACE_MS);
	assert_int_equal(outcome(&ahead), PB_EORDER);
}

static void
nobody_is_held_longer_than_the_limit(void **state)
{
	struct job slow, ahead;

	(void)state;
	begin(&slow);		/* and never comes */
	offer(&ahead, 11, 20, 1000);
	assert_int_equal(pb_intake_tick(intake, 1000), HOLD_MS);
	assert_int_equal(outcome(&ahead), WAITS);
	pb_intake_tick(intake, 1000 + HOLD_MS - 1);
	assert_int_equal(outcome(&ahead), WAITS);
	pb_intake_tick(intake, 1000 + HOLD_MS);
	assert_int_equal(outcome(&ahead), PB_EORDER);
	pb_intake_cancel(intake, &slow.load, 6001);
}

static void
several_held_ones_are_refused_together(void **state)
{
	struct job job[3];

	(void)state;
	store_up_to(10);
	for (unsigned i = 0; i < 3; i++)
		offer(&job[i], 21 + 10 * i, 30 + 10 * i, 100);
	pb_intake_tick(intake, 1 + PB_HOLD_GRACE_MS);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(outcome(&job[i]), PB_EORDER);
}

static void
a_body_broken_off_no_longer_holds_others(void **state)
{
	struct job a, ahead;

	(void)state;
	begin(&a);
	offer(&ahead, 11, 20, 1000);
	pb_intake_cancel(intake, &a.load, 1500);
	pb_intake_tick(intake, 1501);
	assert_int_equal(outcome(&ahead), PB_EORDER);
}

static void
repeats_are_dropped_and_acknowledged(void **state)
{
	struct job job;
	int submits;

	(void)state;
	store_up_to(20);
	submits = fake.submits;
	offer(&job, 5, 15, 1000);
	assert_int_equal(outcome(&job), 0);
	assert_int_equal(job.load.acked, 20);
	assert_int_equal(fake.submits, submits);
	assert_int_equal(pb_intake_counters(intake)->repeats, 11);
}

static void
a_repeat_waits_for_the_first_copy_to_be_durable(void **state)
{
	struct job first, repeat;

	(void)state;
	offer(&first, 1, 10, 1000);
	offer(&repeat, 1, 10, 1001);
	assert_int_equal(outcome(&repeat), WAITS);
	assert_int_equal(fake.submits, 1);
	written(1002);
	assert_int_equal(outcome(&first), 0);
	assert_int_equal(outcome(&repeat), 0);
}

static void
a_repeat_fails_with_the_first_copy(void **state)
{
	struct job first, repeat, again;

	(void)state;
	offer(&first, 1, 10, 1000);
	offer(&repeat, 1, 10, 1001);
	fake_write(SIZE_MAX, PB_ENOSPC);
	pb_intake_collect(intake, 1002);
	assert_int_equal(outcome(&first), PB_ENOSPC);
	assert_string_equal(first.load.text, "no space left on device");
	assert_int_equal(outcome(&repeat), PB_EBUSY);
	offer(&again, 1, 10, 1003);
	written(1004);
	assert_int_equal(outcome(&again), 0);
}

static void
of_a_body_half_known_the_rest_is_kept(void **state)
{
	struct job job;

	(void)state;
	store_up_to(10);
	offer(&job, 6, 15, 1000);
	written(1001);
	assert_int_equal(outcome(&job), 0);
	assert_int_equal(fake.stream[0].durable, 15);
	assert_int_equal(pb_intake_counters(intake)->repeats, 5);
}

static void
a_gap_lets_the_stream_go_on_and_late_packets_fill_it_once(void **state)
{
	struct job gap, after, late;

	(void)state;
	store_up_to(10);
	offer_gap(&gap, 11, 20, 1000);
	written(1001);
	assert_int_equal(outcome(&gap), 0);
	offer(&after, 21, 30, 1002);
	written(1003);
	assert_int_equal(outcome(&after), 0);
	/* 13 .. 17 first, then all of 8 .. 25: the rest of the gap. */
	offer(&late, 13, 17, 1004);
	written(1005);
	assert_int_equal(outcome(&late), 0);
	offer(&late, 8, 25, 1006);
	written(1007);
	assert_int_equal(outcome(&late), 0);
	assert_int_equal(late.load.acked, 30);
	assert_int_equal(fake.stream[0].gaps, 0);
	for (unsigned seq = 1; seq <= 30; seq++)
		assert_int_equal(fake.stream[0].times[seq], 1);
	assert_int_equal(pb_intake_counters(intake)->late, 10);
	assert_int_equal(pb_intake_counters(intake)->gaps, 1);
}

static void
late_and_new_packets_of_one_body_are_all_kept(void **state)
{
	struct job gap, both;

	(void)state;
	store_up_to(10);
	offer_gap(&gap, 11, 20, 1000);
	written(1001);
	assert_int_equal(outcome(&gap), 0);
	offer(&both, 15, 25, 1002);
	written(1003);
	assert_int_equal(outcome(&both), 0);
	assert_int_equal(fake.stream[0].durable, 25);
	assert_int_equal(fake.stream[0].gaps, 1);
	assert_int_equal(fake.stream[0].gap[0].last, 14);
}

/* Twice the same late packets, the second before the first is durable. */
static void
two_late_copies_at_once_fill_a_gap_once(void **state)
{
	struct job gap, one, two;

	(void)state;
	offer_gap(&gap, 1, 10, 1000);
	written(1001);
	assert_int_equal(outcome(&gap), 0);
	offer(&one, 3, 5, 1002);
	offer(&two, 3, 5, 1002);
	assert_int_equal(fake.queued, 1);
	written(1003);
	assert_int_equal(outcome(&one), 0);
	written(1004);
	assert_int_equal(outcome(&two), 0);
	assert_int_equal(fake.stream[0].times[3], 1);
}

/* The gap is not durable yet when the packets come by another way. */
static void
packets_wait_for_a_gap_that_is_being_written(void **state)
{
	struct job gap, packets;

	(void)state;
	offer_gap(&gap, 1, 10, 1000);
	offer(&packets, 1, 10, 1001);
	assert_int_equal(outcome(&packets), WAITS);
	written(1002);
	assert_int_equal(outcome(&gap), 0);
	assert_int_equal(outcome(&packets), WAITS);
	written(1003);
	assert_int_equal(outcome(&packets), 0);
	assert_int_equal(fake.stream[0].gaps, 0);
	assert_int_equal(fake.stream[0].times[7], 1);
}

static void
a_gap_already_known_is_acknowledged(void **state)
{
	struct job gap;

	(void)state;
	store_up_to(10);
	offer_gap(&gap, 3, 7, 1000);
	assert_int_equal(outcome(&gap), 0);
	assert_int_equal(fake.stream[0].gaps, 0);
	offer_gap(&gap, 5, 12, 1001);
	written(1002);
	assert_int_equal(outcome(&gap), 0);
	assert_int_equal(fake.stream[0].gap[0].first, 11);
	assert_int_equal(fake.stream[0].gap[0].last, 12);
}

static void
a_gap_too_far_ahead_is_refused(void **state)
{
	struct job gap;

	(void)state;
	offer_gap(&gap, 5, 9, 1000);
	assert_int_equal(outcome(&gap), PB_EORDER);
}

static void
more_gaps_than_one_turn_fills_are_filled_in_several(void **state)
{
	struct job job;
	int turns = 0, rc;

	(void)state;
	for (uint64_t seq = 1; seq <= 200; seq += 2) {
		offer_gap(&job, seq, seq, 1000);
		written(1000);
		assert_int_equal(outcome(&job), 0);
		offer(&job, seq + 1, seq + 1, 1000);
		written(1000);
		assert_int_equal(outcome(&job), 0);
	}
	do {
		offer(&job, 1, 200, 1000);
		written(1001);
		rc = outcome(&job);
		assert_true(rc == 0 || rc == PB_EBUSY);
		turns++;
	} while (rc != 0);
	assert_true(turns > 1 && turns < 5);
	assert_int_equal(fake.stream[0].gaps, 0);
}

/* A fails, B behind it fails too; C comes before B is back. */
static void
nothing_is_submitted_between_a_failure_and_its_last_echo(void **state)
{
	struct job a, b, c;

	(void)state;
	offer(&a, 1, 10, 1000);
	offer(&b, 11, 20, 1000);
	fake_write(1, PB_ENOSPC);
	offer(&c, 1, 10, 1001);
	assert_int_equal(outcome(&c), WAITS);
	assert_int_equal(fake.queued, 1);
	fake_write(1, 0);
	pb_intake_collect(intake, 1002);
	assert_int_equal(outcome(&a), PB_ENOSPC);
	assert_int_equal(outcome(&b), PB_EBUSY);
	written(1003);
	assert_int_equal(outcome(&c), 0);
	assert_int_equal(fake.stream[0].durable, 10);
	assert_int_equal(fake.stream[0].next, 11);
}

static void
a_queue_that_is_full_is_told_after_what_went_out_is_back(void **state)
{
	struct job job;

	(void)state;
	fake.queue_max = 1;
	begin(&job);
	send_image(&job, body_image(&(struct body_opts){ .first = 1,
	    .last = 4000, .caplen = 190 }), 1, 4000, 1000);
	assert_int_equal(fake.queued, 1);
	assert_int_equal(outcome(&job), WAITS);
	written(1001);
	assert_int_equal(outcome(&job), PB_EBUSY);
	assert_true(fake.stream[0].durable > 0);
	assert_true(fake.stream[0].durable < 4000);
}

static void
capture_finds_room_in_the_queue_whatever_comes_in(void **state)
{
	static struct job job[PB_INTAKE_CHUNKS_MAX + 10];
	size_t jobs = sizeof(job) / sizeof(job[0]);

	(void)state;
	for (size_t i = 0; i < jobs; i++)
		offer(&job[i], i + 1, i + 1, 1000);
	assert_int_equal(fake.queued, PB_INTAKE_CHUNKS_MAX);
	written(1001);
	assert_int_equal(fake.queued, 10);
	written(1002);
	for (size_t i = 0; i < jobs; i++)
		assert_int_equal(outcome(&job[i]), 0);
}

static size_t
memory_in_writer(void)
{
	size_t bytes = 0;

	for (const struct pb_chunk *c = fake.queue; c != NULL; c = c->next)
		bytes += c->cap;
	return bytes;
}

static void
small_bodies_get_small_chunks(void **state)
{
	struct job job;

	(void)state;
	offer_to(&job, 1, 100, 600, 1000);
	assert_int_equal(fake.queued, 1);
	assert_true(fake.queue->len > 64000);
	assert_true(fake.queue->cap < 96u << 10);
	written(1001);
	assert_int_equal(outcome(&job), 0);
	offer_gap(&job, 1, 1, 1002);
	assert_true(fake.queue->cap <= 16u << 10);
	written(1003);
	assert_int_equal(outcome(&job), 0);
}

/* What does not fit into the first gets a second one, of its own size. */
static void
the_last_chunk_of_a_body_is_as_large_as_its_rest(void **state)
{
	struct job job;

	(void)state;
	offer_to(&job, 0, 540, 2000, 1000);
	assert_int_equal(fake.queued, 2);
	assert_int_equal(fake.queue->cap, PB_CHUNK_BYTES);
	assert_true(fake.queue->next->cap < PB_CHUNK_BYTES / 2);
	written(1001);
	assert_int_equal(outcome(&job), 0);
}

/* 64 bodies of 1 MB wait for less memory, and none is refused. */
static void
chunks_in_the_writer_have_a_bound_in_bytes(void **state)
{
	static struct job job[64];
	size_t most = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		offer_to(&job[i], i % FAKE_STREAMS, 500, 2000, 1000);
	assert_true(pb_intake_waiting(intake) > 5u << 20);
	for (uint64_t now = 1001; fake.queued > 0; now++) {
		size_t bytes = memory_in_writer();

		most = bytes > most ? bytes : most;
		fake_write(1, 0);
		pb_intake_collect(intake, now);
	}
	assert_true(most <= PB_INTAKE_CHUNK_BYTES_MAX);
	assert_true(most > PB_INTAKE_CHUNK_BYTES_MAX * 3 / 4);
	assert_int_equal(pb_intake_waiting(intake), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(outcome(&job[i]), 0);
}

static void
a_small_load_does_not_pass_one_that_waits_for_chunks(void **state)
{
	static struct job job[64], large, small;
	unsigned n = 0;

	(void)state;
	/* A large one finds too little; there is enough for a small one. */
	while (memory_in_writer() < PB_INTAKE_CHUNK_BYTES_MAX * 2 / 3) {
		offer_to(&job[n], n % 6, 500, 2000, 1000);
		assert_int_equal(job[n++].taken, 1);
	}
	offer_to(&large, 6, 4000, 2000, 1001);
	assert_int_equal(large.taken, 0);
	offer_to(&small, 7, 1, 60, 1002);
	assert_int_equal(small.taken, 0);
	while (large.taken == 0 && fake.queued > 0) {
		assert_int_equal(small.taken, 0);
		fake_write(1, 0);
		pb_intake_collect(intake, 1003);
	}
	assert_int_equal(large.taken, 1);
	written(1004);
	written(1005);
	assert_int_equal(outcome(&small), 0);
	assert_int_equal(outcome(&large), 0);
	while (n > 0)
		assert_int_equal(outcome(&job[--n]), 0);
}

static void
one_load_alone_goes_however_large_it_is(void **state)
{
	struct job first, large;

	(void)state;
	offer_to(&first, 0, 1, 60, 1000);
	/* By what it may take at most it is above the bound. */
	offer_to(&large, 1, 3500, 8192, 1000);
	assert_int_equal(large.taken, 0);
	written(1001);
	assert_int_equal(outcome(&first), 0);
	assert_int_equal(large.taken, 1);
	written(1002);
	assert_int_equal(outcome(&large), 0);
}

/* A chunk of 1 MiB for each of the gaps that it fills: some at a time. */
static void
one_load_fills_as_many_gaps_as_there_is_memory_for(void **state)
{
	struct job late, gap, first;
	size_t n = 0;

	(void)state;
	for (uint64_t seq = 1; seq < 40; seq += 2) {
		offer_gap(&gap, seq, seq, 1000);
		written(1000);
		assert_int_equal(outcome(&gap), 0);
		offer(&first, seq + 1, seq + 1, 1000);
		written(1000);
		assert_int_equal(outcome(&first), 0);
	}
	begin(&late);
	send_image(&late, body_image(&(struct body_opts){ .first = 1,
	    .last = 1000, .caplen = 2000 }), 1, 1000, 1001);
	assert_int_equal(late.taken, 1);
	for (const struct pb_chunk *c = fake.queue; c != NULL; c = c->next)
		n += c->first_seq < 40;
	assert_int_equal(n, 16);
	written(1002);
	assert_int_equal(outcome(&late), PB_EBUSY);
}

static void
the_body_of_what_is_in_chunks_is_not_needed(void **state)
{
	struct job job, held;

	(void)state;
	begin(&job);
	offer(&held, 11, 20, 1000);
	assert_int_equal(held.taken, 0);
	send_job(&job, 1, 10, 1001);
	assert_int_equal(job.taken, 1);
	assert_int_equal(held.taken, 1);
	assert_int_equal(job.settled, 0);
	free(job.img);
	free(held.img);
	job.img = held.img = NULL;
	written(1002);
	assert_int_equal(outcome(&job), 0);
	assert_int_equal(outcome(&held), 0);
}

/* A packet and a block of statistics as small as they can be, whose options
 * have no end. */
static void
put_smallest(struct image *img, uint64_t seq, bool statistics)
{
	if (statistics) {
		img_begin(img, 5);
		img_number(img, 0, 4);
		img_ticks(img, BODY_TIME(seq));
		img_option(img, 1, "", 0);
		img_end(img);
	}
	img_epb_begin(img, 0, BODY_TIME(seq), "", 0, 0);
	img_option_number(img, 5, seq, 8);
	img_end(img);
}

/* What is smallest grows most. */
static void
a_chunk_has_room_for_what_blocks_grow(void **state)
{
	uint64_t next = 1;

	(void)state;
	for (unsigned count = 1; next + count < FAKE_SEQS; count += 19) {
		struct job job;

		begin(&job);
		job.img = body_begin(false);
		body_head(job.img, &(struct body_opts){ .first = 1 });
		for (unsigned i = 0; i < count; i++)
			put_smallest(job.img, next + i, count % 2 == 1);
		send_image(&job, job.img, next, next + count - 1, 1000);
		assert_int_equal(job.taken, 1);
		assert_int_equal(fake.queued, 1);
		assert_true(fake.queue->len <= fake.queue->cap);
		assert_true(count < 10 || fake.queue->len > job.img->len);
		written(1001);
		assert_int_equal(outcome(&job), 0);
		next += count;
	}
	assert_true(next > FAKE_SEQS / 2);
}

static void
who_waits_too_long_for_the_writer_is_told_to_come_back(void **state)
{
	struct job gap, job;

	(void)state;
	offer_gap(&gap, 1, 10, 1000);
	offer(&job, 11, 12, 1000);
	assert_int_equal(outcome(&job), WAITS);
	pb_intake_tick(intake, 1000 + PB_WAIT_MS);
	assert_int_equal(outcome(&job), PB_EBUSY);
	written(7000);
	assert_int_equal(outcome(&gap), 0);
}

static void
a_claim_that_the_packets_do_not_keep_keeps_nothing(void **state)
{
	struct job job;

	(void)state;
	begin(&job);
	send_image(&job, body_image(&(struct body_opts){ .first = 1,
	    .last = 10 }), 1, 9, 1000);
	assert_int_equal(outcome(&job), PB_EINVAL);
	assert_int_equal(fake.streams, 0);
	assert_int_equal(fake.submits, 0);
}

static void
a_repeat_that_is_not_what_it_claims_is_refused(void **state)
{
	struct job job;

	(void)state;
	store_up_to(20);
	begin(&job);
	send_image(&job, body_image(&(struct body_opts){ .first = 1,
	    .last = 10 }), 1, 9, 1000);
	assert_int_equal(outcome(&job), PB_EINVAL);
}

static void
another_link_type_is_refused(void **state)
{
	struct job gap, job;

	(void)state;
	begin(&gap);
	gap.load.gap = PB_GAP_EXPIRED;
	gap.load.linktype = 101;
	gap.load.first = gap.load.last = 1;
	pb_intake_offer(intake, &gap.load, 1000);
	written(1001);
	assert_int_equal(outcome(&gap), 0);
	offer(&job, 2, 3, 1002);
	assert_int_equal(outcome(&job), PB_EINVAL);
}

static void
what_this_node_captures_is_not_taken_by_the_local_door(void **state)
{
	struct pb_stream *stream;
	struct job job;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_store_stream(&fake, &key, 1, 0, true, &stream,
	    &err), 0);
	begin(&job);
	job.load.local = true;
	send_job(&job, 1, 3, 1000);
	assert_int_equal(outcome(&job), PB_EACCES);
	begin(&job);
	job.load.local = true;
	job.load.gap = PB_GAP_EXPIRED;
	job.load.first = job.load.last = 1;
	pb_intake_offer(intake, &job.load, 1000);
	assert_int_equal(outcome(&job), PB_EACCES);
	assert_int_equal(fake.submits, 0);
}

static void
heads_that_are_the_same_are_shared(void **state)
{
	struct pb_head *first;
	struct job a, b;

	(void)state;
	offer(&a, 1, 2, 1000);
	first = fake.queue->head;
	offer(&b, 3, 4, 1000);
	assert_ptr_equal(fake.queue->next->head, first);
	written(1001);
	assert_int_equal(outcome(&a), 0);
	assert_int_equal(outcome(&b), 0);
}

static void
the_numbers_of_this_node_are_taken_for_kept_packets_only(void **state)
{
	struct job job;

	(void)state;
	store_up_to(10);
	assert_int_equal(fake.number, 1010);
	offer(&job, 6, 15, 1000);
	written(1001);
	assert_int_equal(outcome(&job), 0);
	assert_int_equal(fake.number, 1015);
}

static void
stopping_settles_who_waits_and_lets_the_writer_finish(void **state)
{
	struct job a, gap, waiting, held, late;

	(void)state;
	store_up_to(10);
	offer(&a, 11, 20, 100);
	offer_gap(&gap, 21, 30, 100);
	offer(&waiting, 31, 40, 100);
	offer(&held, 51, 60, 100);
	pb_intake_stop(intake, 150);
	assert_int_equal(outcome(&waiting), PB_EBUSY);
	assert_int_equal(outcome(&held), PB_EBUSY);
	offer(&late, 31, 40, 160);
	assert_int_equal(outcome(&late), PB_EBUSY);
	assert_true(pb_intake_busy(intake) > 0);
	written(170);
	assert_int_equal(outcome(&a), 0);
	assert_int_equal(outcome(&gap), 0);
	assert_int_equal(pb_intake_busy(intake), 0);
}

static void
streams_nobody_speaks_of_are_forgotten(void **state)
{
	struct job question;

	(void)state;
	ask(&question, 0, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_true(pb_intake_tick(intake, 2000) >= 0);
	assert_true(pb_intake_tick(intake, 50000) >= 0);
	assert_int_equal(pb_intake_tick(intake, 70000), -1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_load_settles_when_it_is_durable_not_before),
		TEST(loads_that_overtook_each_other_are_written_in_order),
		TEST(a_lone_load_ahead_of_its_turn_is_refused_at_once),
		TEST(after_an_answer_the_next_may_be_under_way_for_a_moment),
		TEST(a_question_is_an_answer_too),
		TEST(nobody_is_held_longer_than_the_limit),
		TEST(several_held_ones_are_refused_together),
		TEST(a_body_broken_off_no_longer_holds_others),
		TEST(repeats_are_dropped_and_acknowledged),
		TEST(a_repeat_waits_for_the_first_copy_to_be_durable),
		TEST(a_repeat_fails_with_the_first_copy),
		TEST(of_a_body_half_known_the_rest_is_kept),
		TEST(a_gap_lets_the_stream_go_on_and_late_packets_fill_it_once),
		TEST(late_and_new_packets_of_one_body_are_all_kept),
		TEST(two_late_copies_at_once_fill_a_gap_once),
		TEST(packets_wait_for_a_gap_that_is_being_written),
		TEST(a_gap_already_known_is_acknowledged),
		TEST(a_gap_too_far_ahead_is_refused),
		TEST(more_gaps_than_one_turn_fills_are_filled_in_several),
		TEST(nothing_is_submitted_between_a_failure_and_its_last_echo),
		TEST(a_queue_that_is_full_is_told_after_what_went_out_is_back),
		TEST(capture_finds_room_in_the_queue_whatever_comes_in),
		TEST(small_bodies_get_small_chunks),
		TEST(the_last_chunk_of_a_body_is_as_large_as_its_rest),
		TEST(chunks_in_the_writer_have_a_bound_in_bytes),
		TEST(a_small_load_does_not_pass_one_that_waits_for_chunks),
		TEST(one_load_alone_goes_however_large_it_is),
		TEST(one_load_fills_as_many_gaps_as_there_is_memory_for),
		TEST(the_body_of_what_is_in_chunks_is_not_needed),
		TEST(a_chunk_has_room_for_what_blocks_grow),
		TEST(who_waits_too_long_for_the_writer_is_told_to_come_back),
		TEST(a_claim_that_the_packets_do_not_keep_keeps_nothing),
		TEST(a_repeat_that_is_not_what_it_claims_is_refused),
		TEST(another_link_type_is_refused),
		TEST(what_this_node_captures_is_not_taken_by_the_local_door),
		TEST(heads_that_are_the_same_are_shared),
		TEST(the_numbers_of_this_node_are_taken_for_kept_packets_only),
		TEST(stopping_settles_who_waits_and_lets_the_writer_finish),
		TEST(streams_nobody_speaks_of_are_forgotten),
	};

	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
