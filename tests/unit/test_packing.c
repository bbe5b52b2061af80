/*
 * tests/unit/test_packing.c - what does not shrink is left alone for a while
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shipper/feed/packing.h"

/* Of `count` pieces that shrink, or do not, how many are tried. */
static unsigned
tries(struct pb_packing *p, uint32_t stream, unsigned count, bool shrink)
{
	unsigned tried = 0;

	while (count-- > 0)
		if (pb_packing_try(p, stream)) {
			pb_packing_tell(p, stream, shrink);
			tried++;
		}
	return tried;
}

static void
what_shrinks_is_packed_always(void **state)
{
	struct pb_packing p = { 0 };

	(void)state;
	assert_int_equal(tries(&p, 1, 1000, true), 1000);
	assert_int_equal(tries(&p, 1, 2, false), 2);
	assert_int_equal(tries(&p, 1, 1000, true), 1000);
}

static void
what_does_not_is_tried_less_and_less_often(void **state)
{
	struct pb_packing p = { 0 };

	(void)state;
	assert_int_equal(tries(&p, 1, PB_PACKING_TRIES +
	    PB_PACKING_PAUSE_MIN, false), PB_PACKING_TRIES);
	assert_int_equal(tries(&p, 1, 1 + 2 * PB_PACKING_PAUSE_MIN, false),
	    1);
	tries(&p, 1, 100000, false);
	assert_in_range(tries(&p, 1, 100 * (PB_PACKING_PAUSE_MAX + 1),
	    false), 99, 101);
	/* Another stream is none the worse for it. */
	assert_int_equal(tries(&p, 2, 1000, true), 1000);
	/* And one that shrinks again is packed from the next try on. */
	assert_true(tries(&p, 1, PB_PACKING_PAUSE_MAX + 10, true) >= 10);
	assert_int_equal(tries(&p, 1, 1000, true), 1000);
}

static void
what_was_under_way_together_counts_once(void **state)
{
	struct pb_packing p = { 0 };

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_true(pb_packing_try(&p, 1));
	for (unsigned i = 0; i < 16; i++)
		pb_packing_tell(&p, 1, false);
	assert_int_equal(tries(&p, 1, PB_PACKING_PAUSE_MIN, false), 0);
	assert_true(pb_packing_try(&p, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_shrinks_is_packed_always),
		cmocka_unit_test(what_does_not_is_tried_less_and_less_often),
		cmocka_unit_test(what_was_under_way_together_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
