/*
 * tests/unit/test_intake_ask.c - who asks, and whose packets are taken
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/intake_fixture.h"

#define ONE	0x1111111111111111ull	/* two senders */
#define OTHER	0x2222222222222222ull

/* Packets as `sender`. */
static void
offer_as(struct job *job, uint64_t sender, uint64_t first, uint64_t last,
    uint64_t now)
{
	begin(job);
	job->load.sender = sender;
	send_job(job, first, last, now);
}

/* `sender` asks, and brings packets that become durable. */
static void
bring(uint64_t sender, uint64_t first, uint64_t last)
{
	struct job question, packets;

	ask(&question, sender, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	offer_as(&packets, sender, first, last, 1000);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
}

static void
who_does_not_say_who_it_is_is_served_as_ever(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	ask(&question, 0, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 10);
	offer_as(&packets, 0, 1, 20, 1000);
	assert_int_equal(outcome(&packets), WAITS);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
	/* And takes no stream away from who has said so. */
	offer_as(&packets, ONE, 21, 30, 1000);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
}

static void
packets_of_who_did_not_ask_last_are_refused(void **state)
{
	struct job question, packets, gap;

	(void)state;
	offer_as(&packets, ONE, 1, 10, 1000);
	assert_int_equal(outcome(&packets), PB_EORDER);
	assert_true(packets.load.asked);
	bring(ONE, 1, 10);
	ask(&question, OTHER, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.last_packet.seq, 10);
	/* A repeat as well: who sends it must not go on behind it. */
	offer_as(&packets, ONE, 6, 15, 1000);
	assert_int_equal(outcome(&packets), PB_EORDER);
	assert_true(packets.load.asked);
	assert_int_equal(packets.load.acked, 10);
	begin(&gap);
	gap.load.sender = ONE;
	gap.load.gap = PB_GAP_EXPIRED;
	gap.load.first = gap.load.last = 11;
	pb_intake_offer(intake, &gap.load, 1000);
	assert_int_equal(outcome(&gap), PB_EORDER);
	assert_true(gap.load.asked);
	bring(ONE, 11, 20);
}

/* An older copy is begun with: it ends at 5, and 5 may be another packet. */
static void
another_store_is_asked_anew(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	fake.changes += 2;
	fake.stream[0].durable = 5;
	fake.stream[0].next = 6;
	memset(fake.stream[0].times + 6, 0, FAKE_SEQS - 6);
	offer_as(&packets, ONE, 6, 15, 1000);
	assert_int_equal(outcome(&packets), PB_EORDER);
	assert_true(packets.load.asked);
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 5);
	assert_int_equal(question.load.last_packet.seq, 5);
	/* One that got as far with other packets, and back again. */
	bring(ONE, 6, 15);
	fake.changes += 2;
	fake.looks = 0;
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(fake.looks, 1);
	/* What was written before it went is not its last packet. */
	offer_as(&packets, ONE, 16, 20, 1000);
	fake_write(SIZE_MAX, 0);
	fake.changes += 2;
	pb_intake_collect(intake, 1000);
	assert_int_equal(outcome(&packets), 0);
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(fake.looks, 2);
}

/* It was held, or waited, when another asked. */
static void
what_is_in_line_is_refused_as_well(void **state)
{
	struct job question, first, second, held;

	(void)state;
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	offer_as(&first, ONE, 1, 10, 1000);
	offer_as(&held, ONE, 21, 30, 1000);
	assert_int_equal(outcome(&held), WAITS);
	ask(&question, OTHER, 0, 1000);
	offer_as(&second, 0, 11, 20, 1000);
	written(1000);
	assert_int_equal(outcome(&first), 0);
	assert_int_equal(outcome(&second), 0);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(outcome(&held), PB_EORDER);
	assert_true(held.load.asked);
}

/*
 * Goal:   the answer covers all that was taken of others before.
 * Method: ten packets are with the writer when another sender asks.
 */
static void
a_question_waits_for_what_another_sender_has_brought(void **state)
{
	struct job question, own, packets;

	(void)state;
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	offer_as(&packets, ONE, 1, 10, 1000);
	ask(&own, ONE, 0, 1000);
	assert_int_equal(outcome(&own), 0);
	assert_int_equal(own.load.acked, 0);
	ask(&question, OTHER, 0, 1000);
	assert_int_equal(outcome(&question), WAITS);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 10);
	assert_int_equal(question.load.last_packet.seq, 10);
}

/* The first time it was told to come again, and who asked is known by now:
 * what it brings would be taken for a repeat. */
static void
who_asks_again_is_not_answered_any_sooner(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	offer_as(&packets, ONE, 11, 20, 1000);
	for (unsigned i = 1; i <= 3; i++) {
		ask(&question, OTHER, 0, 1000 * i);
		assert_int_equal(outcome(&question), WAITS);
		pb_intake_tick(intake, 1000 * i + PB_WAIT_MS);
		assert_int_equal(outcome(&question), PB_EBUSY);
	}
	ask(&question, OTHER, 0, 1000);
	assert_int_equal(outcome(&question), WAITS);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 20);
	/* Its own are not waited for, once the others' have failed. */
	offer_as(&packets, OTHER, 21, 30, 1000);
	ask(&question, ONE, 0, 1000);
	fake_write(SIZE_MAX, PB_ENOSPC);
	pb_intake_collect(intake, 1000);
	assert_int_equal(outcome(&packets), PB_ENOSPC);
	assert_int_equal(outcome(&question), 0);
	offer_as(&packets, ONE, 21, 25, 1000);
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 20);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
}

/* The writer has made them durable, and its word is not here yet. */
static void
an_answer_names_the_last_of_what_its_number_covers(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	offer_as(&packets, ONE, 11, 20, 1000);
	fake_write(SIZE_MAX, 0);
	ask(&question, OTHER, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 20);
	assert_int_equal(question.load.last_packet.seq, 20);
	pb_intake_collect(intake, 1000);
	assert_int_equal(outcome(&packets), 0);
}

/* However much the other one goes on to send meanwhile. */
static void
a_question_is_answered_beside_a_busy_sender(void **state)
{
	struct job question, again, packets[3];

	(void)state;
	ask(&again, ONE, 0, 1000);
	assert_int_equal(outcome(&again), 0);
	offer_as(&packets[0], ONE, 1, 10, 1000);
	ask(&question, OTHER, 0, 1000);
	offer_as(&packets[1], ONE, 11, 20, 1000);
	assert_int_equal(outcome(&packets[1]), PB_EORDER);
	ask(&again, ONE, 0, 1000);
	assert_int_equal(outcome(&again), WAITS);
	fake_write(1, 0);
	pb_intake_collect(intake, 1000);
	assert_int_equal(outcome(&packets[0]), 0);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(outcome(&again), 0);
	offer_as(&packets[2], ONE, 11, 20, 1000);
	assert_int_equal(outcome(&packets[2]), WAITS);
	written(1000);
	assert_int_equal(outcome(&packets[2]), 0);
}

static void
a_question_that_waits_ends_with_a_failed_write_or_in_time(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	offer_as(&packets, ONE, 11, 20, 1000);
	ask(&question, OTHER, 0, 1000);
	assert_int_equal(outcome(&question), WAITS);
	fake_write(SIZE_MAX, PB_ENOSPC);
	pb_intake_collect(intake, 1000);
	assert_int_equal(outcome(&packets), PB_ENOSPC);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 10);
	offer_as(&packets, OTHER, 11, 20, 1000);
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), WAITS);
	pb_intake_tick(intake, 1000 + PB_WAIT_MS);
	assert_int_equal(outcome(&question), PB_EBUSY);
	written(1000 + PB_WAIT_MS);
	assert_int_equal(outcome(&packets), 0);
}

static void
a_look_further_back_closes_the_stream_to_nobody(void **state)
{
	struct job question, packets;

	(void)state;
	bring(ONE, 1, 10);
	ask(&question, OTHER, 4, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 10);
	assert_int_equal(question.load.last_packet.seq, 4);
	assert_int_equal(question.load.last_packet.digest, 1004);
	offer_as(&packets, ONE, 11, 20, 1000);
	written(1000);
	assert_int_equal(outcome(&packets), 0);
}

/* Edges that ask about what came this way cost no look at a file. */
static void
the_last_packet_that_came_is_known_without_a_look(void **state)
{
	struct job question;

	(void)state;
	bring(ONE, 1, 10);
	fake.looks = 0;
	ask(&question, ONE, 0, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.last_packet.seq, 10);
	assert_int_equal(fake.looks, 0);
	ask(&question, ONE, 10, 1000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(fake.looks, 1);
}

/* No descriptor, no memory: the next time it may be known. */
static void
without_the_last_packet_there_is_no_answer_yet(void **state)
{
	static const struct { int rc, outcome; } cases[] = {
	    { PB_ESYS, PB_ESYS }, { PB_ENOMEM, PB_ENOMEM },
	    { PB_EDIGEST, 0 }, { PB_EFORMAT, 0 }, { PB_ENOENT, 0 } };
	uint64_t now = 4000000;
	struct job question;

	(void)state;
	bring(ONE, 1, 10);
	pb_intake_tick(intake, now);	/* it is forgotten */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.looks_rc = cases[i].rc;
		for (uint64_t at = 0; at <= 5; at += 5) {
			ask(&question, ONE, at, now += 1000);
			assert_int_equal(outcome(&question),
			    cases[i].outcome);
			assert_int_equal(question.load.last_packet.seq, 0);
		}
	}
	fake.looks_rc = 0;
	ask(&question, ONE, 0, now);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.last_packet.seq, 10);
}

/* A node that has started knows none, and what fills a gap far below the end
 * is not the one: an older copy has it as well. */
static void
what_came_late_is_not_the_last_packet(void **state)
{
	struct job question, gap, packets;

	(void)state;
	bring(ONE, 1, 10);
	begin(&gap);
	gap.load.sender = ONE;
	gap.load.gap = PB_GAP_EXPIRED;
	gap.load.first = 11;
	gap.load.last = 20;
	pb_intake_offer(intake, &gap.load, 1000);
	written(1000);
	bring(ONE, 21, 30);
	pb_intake_tick(intake, 4000000);	/* it is forgotten */
	ask(&question, ONE, 0, 4000000);
	offer_as(&packets, ONE, 13, 14, 4000000);
	written(4000000);
	assert_int_equal(outcome(&packets), 0);
	ask(&question, ONE, 0, 4000000);
	assert_int_equal(outcome(&question), 0);
	assert_int_equal(question.load.acked, 30);
	assert_int_equal(question.load.last_packet.seq, 30);
	/* Of what has come since, the highest is. */
	offer_as(&packets, ONE, 31, 40, 4000000);
	written(4000000);
	assert_int_equal(outcome(&packets), 0);
	offer_as(&packets, ONE, 15, 16, 4000000);
	written(4000000);
	assert_int_equal(outcome(&packets), 0);
	fake.looks = 0;
	ask(&question, ONE, 0, 4000000);
	assert_int_equal(question.load.last_packet.seq, 40);
	assert_int_equal(fake.looks, 0);
}

/* Senders of ours ask every ten minutes: they are not to ask twice. */
static void
who_asked_last_is_remembered_while_it_is_idle(void **state)
{
	struct job packets;

	(void)state;
	bring(ONE, 1, 10);
	pb_intake_tick(intake, 700000);
	offer_as(&packets, ONE, 11, 20, 700000);
	written(700000);
	assert_int_equal(outcome(&packets), 0);
	pb_intake_tick(intake, 4000000);
	offer_as(&packets, ONE, 21, 30, 4000000);
	assert_int_equal(outcome(&packets), PB_EORDER);
	assert_true(packets.load.asked);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_does_not_say_who_it_is_is_served_as_ever),
		TEST(packets_of_who_did_not_ask_last_are_refused),
		TEST(another_store_is_asked_anew),
		TEST(what_is_in_line_is_refused_as_well),
		TEST(a_question_waits_for_what_another_sender_has_brought),
		TEST(who_asks_again_is_not_answered_any_sooner),
		TEST(an_answer_names_the_last_of_what_its_number_covers),
		TEST(a_question_is_answered_beside_a_busy_sender),
		TEST(a_question_that_waits_ends_with_a_failed_write_or_in_time),
		TEST(a_look_further_back_closes_the_stream_to_nobody),
		TEST(the_last_packet_that_came_is_known_without_a_look),
		TEST(without_the_last_packet_there_is_no_answer_yet),
		TEST(what_came_late_is_not_the_last_packet),
		TEST(who_asked_last_is_remembered_while_it_is_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
