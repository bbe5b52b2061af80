/*
 * tests/unit/test_readers.c - pieces made when somebody wants them
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/port/readers.h"

/* Says what it is told to, a letter a call. */
struct script {
	const char	*says;		/* E, M, W: with a byte; lower case:
					 * without; X: fails, L: too long */
	struct pb_reading *reading;
	int		ready, dropped, wakes;
};

static struct pb_readers *readers;
static int woken, looking, looking_most;
static struct script report;

static void
on_wake(void *arg)
{
	(void)arg;
	woken++;
}

static int
setup(void **state)
{
	struct pb_err err;

	(void)state;
	woken = 0;
	return pb_readers_create(&readers, 0, on_wake, NULL, &err);
}

static int
teardown(void **state)
{
	(void)state;
	pb_readers_destroy(readers);
	return 0;
}

static int
say(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct script *s = arg;
	char c = *s->says++;

	if (s->wakes > 0) {
		s->wakes--;
		pb_reading_wake(reading);
	}
	if (c >= 'A' && c <= 'W')
		pb_buf_put(piece, &c, 1);
	if (c == 'L')
		pb_buf_zero(piece, PB_PIECE_BYTES);
	if (c == 'X')
		return pb_err_set(err, PB_EFORMAT, "broken");
	return c == 'E' || c == 'e' ? PB_MADE_END :
	    c == 'W' || c == 'w' ? PB_MADE_WAIT : PB_MADE_MORE;
}

static void
on_drop(void *arg)
{
	((struct script *)arg)->dropped++;
}

static void
on_ready(void *arg)
{
	((struct script *)arg)->ready++;
}

/* While it hangs, other threads take all that they may. */
static int
look(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	looking++;
	looking_most = looking > looking_most ? looking : looking_most;
	while (pb_readers_turn(readers))
		;
	assert_string_equal(report.says, "");
	looking--;
	return say(arg, reading, piece, err);
}

static void
start_maker(struct script *s, const char *says, struct pb_maker maker)
{
	struct pb_err err;

	maker.drop = on_drop;
	maker.arg = s;
	memset(s, 0, sizeof(*s));
	s->says = says;
	assert_int_equal(pb_reading_start(&s->reading, readers, &maker,
	    on_ready, s, &err), 0);
}

static void
start(struct script *s, const char *says)
{
	start_maker(s, says, (struct pb_maker){ .make = say });
}

/* What `make` said of the piece, and its first byte; -1: none. */
static int
piece(struct script *s, int *byte)
{
	const struct pb_err *err;
	struct pb_buf *buf;
	int rc = pb_reading_piece(s->reading, &buf, &err);

	*byte = buf->len > 0 ? buf->data[0] : -1;
	return rc;
}

static void
run(void)
{
	while (pb_readers_turn(readers))
		;
	pb_readers_collect(readers);
}

static void
a_piece_is_made_when_the_one_before_was_taken(void **state)
{
	static struct script s;
	int byte;

	(void)state;
	start(&s, "MMe");
	run();
	assert_int_equal(s.ready, 1);
	assert_int_equal(woken, 1);
	assert_int_equal(piece(&s, &byte), PB_MADE_MORE);
	assert_int_equal(byte, 'M');
	run();
	assert_string_equal(s.says, "Me");
	pb_reading_next(s.reading);
	run();
	pb_reading_next(s.reading);
	run();
	assert_int_equal(s.ready, 3);
	assert_int_equal(piece(&s, &byte), PB_MADE_END);
	assert_int_equal(byte, -1);
	pb_reading_leave(s.reading);
	run();
	assert_int_equal(s.dropped, 1);
}

static void
who_has_nothing_to_show_yet_lets_others_have_their_turn(void **state)
{
	static struct script slow, quick;

	(void)state;
	start(&slow, "mmmE");
	start(&quick, "E");
	assert_true(pb_readers_turn(readers));
	assert_true(pb_readers_turn(readers));
	pb_readers_collect(readers);
	assert_int_equal(slow.ready, 0);
	assert_int_equal(quick.ready, 1);
	run();
	assert_int_equal(slow.ready, 1);
	pb_reading_leave(slow.reading);
	pb_reading_leave(quick.reading);
}

static void
who_waits_is_not_asked_until_it_is_woken(void **state)
{
	static struct script s;
	int byte;

	(void)state;
	start(&s, "wWE");
	run();
	assert_int_equal(s.ready, 0);
	assert_false(pb_readers_turn(readers));
	pb_reading_wake(s.reading);
	run();
	assert_int_equal(s.ready, 1);
	assert_int_equal(piece(&s, &byte), PB_MADE_WAIT);
	assert_int_equal(byte, 'W');
	pb_reading_next(s.reading);
	assert_false(pb_readers_turn(readers));
	pb_reading_wake(s.reading);
	run();
	assert_int_equal(piece(&s, &byte), PB_MADE_END);
	pb_reading_leave(s.reading);
}

/* It comes while the maker is about to say that it waits. */
static void
a_wake_that_comes_early_is_not_lost(void **state)
{
	static struct script s;

	(void)state;
	start(&s, "wWE");
	s.wakes = 2;
	run();
	assert_int_equal(s.ready, 1);
	pb_reading_next(s.reading);
	run();
	assert_int_equal(s.ready, 2);
	pb_reading_leave(s.reading);
}

static void
what_fails_or_is_too_long_is_an_error(void **state)
{
	const struct pb_err *err;
	static struct script s, longer;
	struct pb_buf *buf;

	(void)state;
	start(&s, "X");
	start(&longer, "L");
	run();
	assert_int_equal(pb_reading_piece(s.reading, &buf, &err), PB_EFORMAT);
	assert_string_equal(err->text, "broken");
	assert_int_equal(pb_reading_piece(longer.reading, &buf, &err),
	    PB_ENOMEM);
	pb_reading_leave(s.reading);
	pb_reading_leave(longer.reading);
}

static void
only_what_nobody_has_begun_is_given_up(void **state)
{
	static struct script s, begun;
	int byte;

	(void)state;
	start(&begun, "mE");
	start(&s, "E");
	assert_true(pb_readers_turn(readers));
	assert_false(pb_reading_give_up(begun.reading, PB_EBUSY, "late"));
	assert_true(pb_reading_give_up(s.reading, PB_EBUSY, "late"));
	assert_int_equal(piece(&s, &byte), PB_EBUSY);
	run();
	assert_int_equal(s.ready, 0);
	assert_int_equal(begun.ready, 1);
	assert_false(pb_reading_give_up(begun.reading, PB_EBUSY, "late"));
	pb_reading_leave(s.reading);
	pb_reading_leave(begun.reading);
}

static void
what_is_left_is_dropped_once_whatever_it_does(void **state)
{
	static struct script wanted, waits, made, idle, ends;

	(void)state;
	start(&waits, "w");
	start(&idle, "M");
	run();
	start(&made, "M");
	assert_true(pb_readers_turn(readers));
	start(&wanted, "M");
	pb_reading_leave(wanted.reading);
	pb_reading_leave(waits.reading);
	pb_reading_leave(made.reading);
	pb_reading_leave(idle.reading);
	pb_reading_leave(NULL);
	assert_int_equal(wanted.dropped + waits.dropped + made.dropped +
	    idle.dropped, 0);
	run();
	assert_int_equal(wanted.dropped, 1);
	assert_int_equal(waits.dropped, 1);
	assert_int_equal(made.dropped, 1);
	assert_int_equal(idle.dropped, 1);
	assert_int_equal(made.ready + wanted.ready, 0);
	start(&ends, "M");
	pb_reading_leave(ends.reading);
	pb_readers_destroy(readers);
	assert_int_equal(ends.dropped, 1);
	setup(NULL);
}

static void
looks_that_hang_leave_a_thread_for_reports(void **state)
{
	enum { LOOKS = 2 * PB_READERS };
	static struct script s[LOOKS];	/* dropped by teardown */

	(void)state;
	looking_most = 0;
	for (int i = 0; i < LOOKS; i++)
		start_maker(&s[i], "E", (struct pb_maker){ .make = look,
		    .looks = true });
	start(&report, "E");
	run();
	assert_int_equal(looking_most, PB_READERS - 1);
	assert_int_equal(report.ready, 1);
	for (int i = 0; i < LOOKS; i++) {
		assert_int_equal(s[i].ready, 1);
		pb_reading_leave(s[i].reading);
	}
	pb_reading_leave(report.reading);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_piece_is_made_when_the_one_before_was_taken),
		TEST(who_has_nothing_to_show_yet_lets_others_have_their_turn),
		TEST(who_waits_is_not_asked_until_it_is_woken),
		TEST(a_wake_that_comes_early_is_not_lost),
		TEST(what_fails_or_is_too_long_is_an_error),
		TEST(only_what_nobody_has_begun_is_given_up),
		TEST(what_is_left_is_dropped_once_whatever_it_does),
		TEST(looks_that_hang_leave_a_thread_for_reports),
	};

	return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
