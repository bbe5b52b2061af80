/*
 * tests/unit/test_question.c - a filter, asked again and again
 *
 * Method: packets of many kinds under few names, so that what is kept under
 * a name is soon of all kinds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/filter/question.h"
#include "tests/unit/alike.h"

#ifndef ROUNDS
#define ROUNDS		1000u
#endif
#define ASKED		12u	/* of a question */

static void
ask(struct pb_question *question, const struct pb_filter *filter,
    const struct group *g, const char *name)
{
	const struct pb_filter *left = pb_question_filter(question, name,
	    strlen(name), &g->alike);
	enum pb_verdict verdict = pb_filter_verdict(left, &g->alike);

	for (unsigned i = 0; i < g->packets; i++) {
		bool match = matches(filter, g, i);

		assert_int_equal(matches(left, g, i), match);
		assert_int_not_equal(verdict, match ? PB_VERDICT_NONE :
		    PB_VERDICT_ALL);
	}
}

static void
what_is_left_to_ask_says_the_same(void **state)
{
	static const char *const names[] = { "tcp", "udp", "other" };
	struct group g;

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		struct pb_question *question;
		struct pb_filter *filter;

		make_group(&g);
		make_places(&g);
		filter = make_program(&g);
		g.alike.places = NULL;
		assert_int_equal(pb_question_create(&question, filter, NULL),
		    0);
		for (unsigned i = 0; i < ASKED; i++) {
			ask(question, filter, &g, names[any(3)]);
			make_group(&g);
		}
		pb_question_destroy(question);
		pb_filter_destroy(filter);
		seed = round;
	}
}

static void
a_shape_is_worked_out_again_only_where_less_is_known(void **state)
{
	struct pb_question *question;
	const struct pb_filter *first, *then;
	struct pb_filter *filter;
	struct group g;

	(void)state;
	seed = 3;
	make_group(&g);
	g.alike.bytes = PACKET_BYTES / 2;
	g.unknown[40] = 0xff;
	g.ones[40] = 0;
	assert_int_equal(pb_filter_create(&filter, "tcp and port 7",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_question_create(&question, filter, NULL), 0);
	first = pb_question_filter(question, "a", 1, &g.alike);
	assert_ptr_equal(first, pb_question_filter(question, "a", 1,
	    &g.alike));
	g.unknown[40] = 0;
	g.ones[40] = 9;
	g.alike.bytes++;
	g.alike.caplen_min++;
	assert_ptr_equal(first, pb_question_filter(question, "a", 1,
	    &g.alike));
	/* Of another protocol, all at once: nothing is decided any more. */
	assert_in_range(first->program.bf_len, 1, 12);
	g.alike.bytes = 0;
	then = pb_question_filter(question, "a", 1, &g.alike);
	assert_true(then->program.bf_len > 12);
	pb_question_destroy(question);
	pb_filter_destroy(filter);
}

static void
more_shapes_than_are_kept_take_turns(void **state)
{
	struct pb_question *question;
	struct pb_filter *filter;
	struct group g;

	(void)state;
	assert_int_equal(pb_filter_create(&filter, "host 10.0.0.1 or udp",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_question_create(&question, filter, NULL), 0);
	for (unsigned i = 0; i < 4 * PB_QUESTION_SHAPES_MAX; i++) {
		char name[PB_QUESTION_NAME_MAX];

		seed = i;
		make_group(&g);
		snprintf(name, sizeof(name), "%u",
		    any(2 * PB_QUESTION_SHAPES_MAX));
		ask(question, filter, &g, name);
	}
	pb_question_destroy(question);
	pb_filter_destroy(filter);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(what_is_left_to_ask_says_the_same),
		cmocka_unit_test(
		    a_shape_is_worked_out_again_only_where_less_is_known),
		cmocka_unit_test(more_shapes_than_are_kept_take_turns),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
