/*
 * tests/sim/test_pull_fork.c - edges that were put back, and others behind one
 * address
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/pull_world.h"

/* From `first` on all of the edge is there under the epoch that its first
 * packet gives it, of `epoch`, behind a gap. */
static struct kept *
forked(struct world *w, uint64_t epoch, uint64_t first)
{
	struct kept *k = kept_of(w, pb_fork_epoch(epoch, first - 1,
	    digest_of(first, branch_of(w, first))));

	assert_int_equal(k->restored, first - 1);
	for (uint64_t seq = 1; seq <= w->durable; seq++)
		assert_int_equal(k->kept[seq], seq < first ? 0 :
		    branch_of(w, seq) + 1);
	assert_int_equal(k->here, w->durable);
	assert_int_equal(w->acked, w->durable);
	assert_int_equal(status(w).refused, 0);
	return k;
}

static void
other_packets_under_the_same_numbers_have_another_epoch(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	assert_int_equal(w->at[0]->here, 100);
	/* Another edge takes its place, without a word. */
	swap_edge(w, grow_branch(w, 0, 90));
	grows(w, 200);
	run(w, 5000);
	assert_int_equal(w->at[0]->here, 100);
	assert_non_null(strstr(w->said, "From 91 on they are epoch"));
	(void)forked(w, EPOCH, 91);
	/* The first one is back, and nothing of the other is in it. */
	swap_edge(w, 0);
	grows(w, 300);
	run(w, 10000);
	assert_int_equal(w->acked, 300);
	for (uint64_t seq = 101; seq <= 300; seq++)
		assert_true(is_kept(w, seq, 0));
}

static void
an_edge_that_is_still_behind_forks_by_its_packets(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	w->durable = 80;
	swap_edge(w, grow_branch(w, 0, 80));
	run(w, 10000);
	assert_non_null(strstr(w->said, "went back to 80"));
	assert_int_equal(status(w).refused, 1);
	assert_int_equal(w->epochs, 1);
	grows(w, 85);
	run(w, 3000);
	(void)forked(w, EPOCH, 81);
	grows(w, 150);
	run(w, 3000);
	(void)forked(w, EPOCH, 81);
	assert_int_equal(w->at[0]->here, 100);
}

static void
forks_fork_again_behind_and_before_where_they_began(void **state)
{
	struct world *w = *state;
	uint64_t second;

	grows(w, 100);
	run(w, 1000);
	swap_edge(w, grow_branch(w, 0, 80));
	grows(w, 200);
	run(w, 3000);
	second = forked(w, EPOCH, 81)->epoch;
	swap_edge(w, grow_branch(w, 1, 150));
	grows(w, 250);
	run(w, 3000);
	(void)forked(w, second, 151);
	assert_int_equal(w->forks.count, 2);
	/* A copy of before the first fork. */
	swap_edge(w, grow_branch(w, 0, 50));
	grows(w, 300);
	run(w, 3000);
	(void)forked(w, EPOCH, 51);
	assert_int_equal(w->forks.count, 1);
}

/* What a fork was found by has gone. */
static void
a_fork_is_kept_when_its_first_packets_are_not(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	swap_edge(w, grow_branch(w, 0, 80));
	grows(w, 200);
	run(w, 3000);
	(void)forked(w, EPOCH, 81);
	w->first = 150;
	memset(w->at[0]->kept, 0, sizeof(w->at[0]->kept));
	end(w);
	begin(w);
	grows(w, 300);
	run(w, 3000);
	assert_int_equal(w->epochs, 2);
	assert_int_equal(w->at[0]->here, 100);
	assert_int_equal(w->at[1]->here, 300);
	assert_int_equal(w->acked, 300);
}

static void
late_packets_go_under_the_epoch_of_their_number(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 95;
	grows(w, 100);
	run(w, 1000);
	swap_edge(w, grow_branch(w, 0, 98));
	grows(w, 200);
	run(w, 3000);
	assert_int_equal(w->epochs, 2);
	w->late = (struct pb_ship_run){ 90, 95 };
	w->gap_last = 89;
	grows(w, 201);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[90], 1);
	assert_int_equal(w->at[0]->kept[95], 1);
	assert_int_equal(w->at[0]->here, 100);
	assert_int_equal(w->at[1]->kept[95], 0);
	assert_int_equal(w->at[1]->here, 201);
}

static void
more_forks_than_are_kept_are_refused(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i <= PB_FORKS_MAX; i++) {
		grows(w, (i + 1) * 100);
		run(w, 3000);
		assert_int_equal(w->acked, (i + 1) * 100);
		swap_edge(w, grow_branch(w, w->branch, (i + 1) * 100 - 10));
	}
	grows(w, 3000);
	run(w, 3000);
	assert_non_null(strstr(w->said, "under 17 epochs already"));
	assert_int_equal(w->forks.count, PB_FORKS_MAX);
	assert_int_equal(status(w).refused, 1);
}

static void
what_cannot_be_known_of_forks_is_waited_for(void **state)
{
	struct world *w = *state;

	w->forks_fail = true;
	grows(w, 100);
	run(w, 10000);
	assert_int_equal(w->at[0]->here, 0);
	assert_non_null(strstr(w->said, "cannot be read"));
	w->forks_fail = false;
	run(w, 10000);
	assert_int_equal(w->at[0]->here, 100);
}

/* Behind one address, each time for a while: what each has in the end is
 * there, once (keep() looks), whatever fails, and whenever we are killed. */
static void
two_edges_are_never_mixed_and_all_arrives(void **state)
{
	unsigned forks_seen = 0;
	struct world *w;

	(void)state;
	for (unsigned seed = 1; seed <= 400; seed++) {
		assert_int_equal(setup((void **)&w), 0);
		w->random = seed * 2654435761u + 1;
		w->failing = seed % 3;
		w->moves = seed % 4 == 0;
		for (unsigned i = 1; i <= 8; i++) {
			grows(w, i * 150);
			run(w, next_random(w) % 600);
			if (i == 3 || i == 5)
				swap_edge(w, grow_branch(w, w->branch,
				    w->durable - next_random(w) % 300));
			if (seed % 3 == 0 && i >= 6)
				swap_edge(w, (unsigned)(next_random(w) %
				    w->branches));
			if (seed % 2 == 0 && next_random(w) % 2 == 0) {
				end(w);
				begin(w);
			}
		}
		w->failing = 0;
		w->moves = false;
		run(w, 100000);
		assert_int_equal(w->acked, 1200);
		for (uint64_t seq = 1; seq <= 1200; seq++)
			assert_true(is_kept(w, seq, branch_of(w, seq)));
		forks_seen += w->forks.count;
		teardown((void **)&w);
	}
	assert_true(forks_seen > 200);
}

static void
a_crash_between_any_two_steps_forks_once(void **state)
{
	struct world *w;

	(void)state;
	for (unsigned turns = 1; turns <= 400; turns++) {
		assert_int_equal(setup((void **)&w), 0);
		grows(w, 1000);
		run(w, 3000);
		w->branch = grow_branch(w, 0, 700);
		end(w);
		begin(w);
		grows(w, 1500);
		for (unsigned i = 0; i < turns; i++)
			turn(w);
		end(w);
		begin(w);
		run(w, 3000);
		(void)forked(w, EPOCH, 701);
		assert_int_equal(w->epochs, 2);
		teardown((void **)&w);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(other_packets_under_the_same_numbers_have_another_epoch),
		TEST(an_edge_that_is_still_behind_forks_by_its_packets),
		TEST(forks_fork_again_behind_and_before_where_they_began),
		TEST(a_fork_is_kept_when_its_first_packets_are_not),
		TEST(late_packets_go_under_the_epoch_of_their_number),
		TEST(more_forks_than_are_kept_are_refused),
		TEST(what_cannot_be_known_of_forks_is_waited_for),
		cmocka_unit_test(two_edges_are_never_mixed_and_all_arrives),
		cmocka_unit_test(a_crash_between_any_two_steps_forks_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
