/*
 * tests/sim/test_pull.c - the machine of an edge, against a scripted one
 *
 * A world has an edge, or several that take each other's place behind one
 * address, our recorder, and a clock.  What an edge has is a branch: it has the
 * packets of the one it comes from up to some number, and others behind it;
 * packet `seq` has the digest of seq and its branch.  The recorder keeps them
 * under their epochs, in order, and fails the test where two meet in one
 * that no edge had one behind the other, or one is kept twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/pull/pull.h"

#define FLIGHTS		64u
#define PACKET_BYTES	1000u
#define NUMBERS_MAX	20000u
#define TURN_MS		5u
#define SILENCE_MS	10000u
#define EPOCHS_MAX	20u
#define BRANCHES_MAX	24u
#define EPOCH		7u

struct flight {
	bool		used;
	struct pb_pull_action action;
	struct pb_pull_answer answer;
	uint64_t	due_ms;
	bool		told;		/* FETCH: the numbers are */
	bool		fresh;		/* over a connection made for it */
	size_t		came;		/* over a slow link: of its body */
};

/* A stream at our recorder. */
struct kept {
	uint64_t	epoch, here;
	uint64_t	kept[NUMBERS_MAX];	/* a branch + 1; 0: a gap */
	uint64_t	restored;	/* the gap it began with */
};

struct world {
	struct pb_pull	*pull;
	struct pb_pull_budget budget;
	struct pb_stream_key key;
	/* The edge. */
	bool		down;
	uint64_t	durable, changes, told;
	unsigned	branch, branches;
	struct { unsigned of; uint64_t fork; } from[BRANCHES_MAX];
	uint64_t	first;		/* kept from here on */
	uint64_t	gap_first, gap_last;	/* one that is told */
	unsigned	idle;		/* connections that are kept */
	uint64_t	acked;
	struct pb_ship_run late;
	/* Our recorder. */
	bool		here_down;
	struct kept	*at[EPOCHS_MAX];
	unsigned	epochs;
	/* What is kept of forks. */
	struct pb_forks	forks;
	bool		forks_fail;
	/* What was seen. */
	unsigned	fetches, hands, asks, lists;
	unsigned	waiting_fetches;	/* while a hand was under way */
	size_t		bytes_most;
	unsigned	refusals;
	char		said[1024];
	/* Under way. */
	struct flight	flight[FLIGHTS];
	uint64_t	now_ms, random;
	unsigned	failing;	/* of 16 answers, at random */
	bool		moves;		/* fresh at random, too */
	size_t		link;		/* bytes a turn, for all; 0: any */
	size_t		carried;	/* by it */
};

static uint64_t
next_random(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static uint64_t
content(const struct world *w, unsigned branch, uint64_t seq)
{
	while (branch != 0 && seq <= w->from[branch].fork)
		branch = w->from[branch].of;
	return branch;
}

static uint64_t
branch_of(const struct world *w, uint64_t seq)
{
	return content(w, w->branch, seq);
}

static uint64_t
digest_of(uint64_t seq, uint64_t branch)
{
	return seq * 1000 + branch;
}

static bool
wants(void *arg, const struct pb_stream_key *key)
{
	(void)arg;
	return strcmp(key->node, "other") != 0;
}

static bool
print(void *arg, const struct pb_pull_piece *piece, bool first,
    struct pb_fingerprint *out)
{
	uint64_t seq = first ? piece->first : piece->last;

	(void)arg;
	*out = (struct pb_fingerprint){ .seq = seq, .digest = digest_of(seq,
	    piece->body.data[(seq - piece->first + 1) * PACKET_BYTES - 1]) };
	return true;
}

static int
forks(void *arg, const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	struct world *w = arg;

	assert_int_equal(key->epoch, EPOCH);
	*out = w->forks;
	return w->forks_fail ? pb_err_set(err, PB_ESYS, "cannot be read") : 0;
}

static void
event(void *arg, enum pb_log_level level, const struct pb_stream_key *key,
    const char *text)
{
	struct world *w = arg;

	(void)key;
	if (level == PB_LOG_ERROR)
		w->refusals++;
	snprintf(w->said, sizeof(w->said), "%s", text);
}

static void
begin(struct world *w)
{
	struct pb_pull_opts opts = { .window = 16u << 20,
	    .budget = &w->budget, .wants = wants, .forks = forks,
	    .print = print, .event = event, .arg = w };

	assert_int_equal(pb_pull_create(&w->pull, &opts, NULL), 0);
}

static struct kept *
kept_of(struct world *w, uint64_t epoch)
{
	unsigned i;

	for (i = 0; i < w->epochs; i++)
		if (w->at[i]->epoch == epoch)
			return w->at[i];
	assert_true(i < EPOCHS_MAX);
	w->at[i] = calloc(1, sizeof(*w->at[i]));
	assert_non_null(w->at[i]);
	w->at[i]->epoch = epoch;
	w->epochs++;
	return w->at[i];
}

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->key.node, "lon1");
	strcpy(w->key.interface, "eth0");
	w->key.epoch = EPOCH;
	w->now_ms = 1000;
	w->random = 88172645463325252ull;
	w->first = w->changes = 1;
	w->branches = 1;
	w->budget.bytes_max = 64u << 20;
	w->budget.hands_max = 16;
	(void)kept_of(w, EPOCH);
	begin(w);
}

static int
setup(void **state)
{
	*state = malloc(sizeof(struct world));
	world_init(*state);
	return 0;
}

/* What is under way ends where it is. */
static void
end(struct world *w)
{
	pb_pull_destroy(w->pull);
	for (unsigned i = 0; i < FLIGHTS; i++)
		if (w->flight[i].used)
			pb_buf_finish(&w->flight[i].answer.piece.body);
	memset(w->flight, 0, sizeof(w->flight));
	assert_int_equal(w->budget.bytes, 0);
	w->budget.hands = 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	end(w);
	for (unsigned i = 0; i < w->epochs; i++)
		free(w->at[i]);
	free(w);
	return 0;
}

static void
grows(struct world *w, uint64_t to)
{
	w->durable = to;
	w->changes++;
}

/* --- the edge ------------------------------------------------------------- */

static void
answer_list(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	struct pb_pull_row row = { .key = w->key, .durable = w->durable,
	    .first = w->first, .linktype = 1 };

	w->lists++;
	a->outcome = PB_PULL_DONE;
	a->cursor = "c";
	if (w->durable == 0 || (w->changes == w->told && !a->fresh &&
	    action->cursor[0] != '\0'))
		return;
	w->told = w->changes;
	if (w->late.last != 0) {
		row.lates = 1;
		row.late[0] = w->late;
	}
	pb_pull_row(w->pull, &row, a->fresh);
}

static void
answer_there(const struct world *w, uint64_t at, struct pb_pull_answer *a)
{
	a->outcome = PB_PULL_DONE;
	a->acked = w->durable;
	if (at > w->durable)
		at = w->durable;
	if (at >= w->gap_first && at <= w->gap_last)
		at = w->gap_first - 1;
	if (at >= w->first && at != 0)
		a->last = (struct pb_fingerprint){ .seq = at,
		    .digest = digest_of(at, branch_of(w, at)) };
}

/* Its body is a line of branches, one a packet. */
static void
answer_fetch(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	uint64_t seq = action->number + 1;
	struct pb_pull_piece *piece = &a->piece;

	w->fetches++;
	assert_true(action->epoch != EPOCH || w->forks.count == 0 ||
	    action->late || action->number <= w->durable);
	if (seq > w->durable) {
		a->outcome = PB_PULL_NOTHING;
		return;
	}
	a->outcome = PB_PULL_DONE;
	piece->first = seq;
	if (seq < w->first) {
		piece->first = 0;
		piece->last = w->first - 1;
		piece->reason = PB_GAP_EXPIRED;
		return;
	}
	if (seq >= w->gap_first && seq <= w->gap_last) {
		piece->last = w->gap_last;
		piece->reason = PB_GAP_DAMAGED;
		return;
	}
	pb_buf_init(&piece->body, PB_PULL_BYTES_MAX);
	for (; seq <= w->durable && (action->to == 0 || seq <= action->to) &&
	    !(seq >= w->gap_first &&
	    seq <= w->gap_last) && piece->body.len + PACKET_BYTES <=
	    action->bytes_max; seq++) {
		pb_buf_zero(&piece->body, PACKET_BYTES - 1);
		pb_buf_put(&piece->body, &(uint8_t){
		    (uint8_t)branch_of(w, seq) }, 1);
		piece->last = seq;
	}
}

/* --- our recorder --------------------------------------------------------- */

static void
answer_here(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	const struct kept *k = kept_of(w, action->epoch);
	uint64_t last = k->here;

	a->outcome = PB_PULL_DONE;
	a->acked = k->here;
	if (action->number != 0 && action->number < last)
		last = action->number;
	while (last > 0 && k->kept[last] == 0)
		last--;
	if (last > 0)
		a->last = (struct pb_fingerprint){ .seq = last,
		    .digest = digest_of(last, k->kept[last] - 1) };
}

/* Did any edge have one behind the other? */
static bool
may_meet(const struct world *w, uint64_t seq, uint64_t before, uint64_t one)
{
	for (unsigned i = 0; i < w->branches; i++)
		if (content(w, i, seq - 1) == before &&
		    content(w, i, seq) == one)
			return true;
	return false;
}

static bool
is_kept(const struct world *w, uint64_t seq, uint64_t branch)
{
	for (unsigned i = 0; i < w->epochs; i++)
		if (w->at[i]->kept[seq] == branch + 1)
			return true;
	return false;
}

static void
keep(struct world *w, struct kept *k, const struct pb_pull_piece *piece)
{
	if (piece->reason == PB_GAP_RESTORED)
		k->restored = piece->last;
	for (uint64_t seq = piece->first; seq <= piece->last; seq++) {
		uint64_t branch = piece->reason != 0 ? 0 : 1ull +
		    piece->body.data[(seq - piece->first + 1) *
		    PACKET_BYTES - 1];

		if (seq <= k->here && k->kept[seq] != 0)
			continue;
		if (branch != 0 && seq > 1 && k->kept[seq - 1] != 0)
			assert_true(may_meet(w, seq, k->kept[seq - 1] - 1,
			    branch - 1));
		if (branch != 0)
			assert_false(is_kept(w, seq, branch - 1));
		k->kept[seq] = branch;
		if (seq > k->here)
			k->here = seq;
	}
}

static void
answer_hand(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	struct kept *k = kept_of(w, action->epoch);

	w->hands++;
	a->acked = k->here;
	if (action->piece->first > k->here + 1) {
		a->outcome = PB_PULL_BEHIND;
		return;
	}
	keep(w, k, action->piece);
	a->acked = k->here;
	a->outcome = PB_PULL_DONE;
}

/* --- time ----------------------------------------------------------------- */

static bool
is_here(enum pb_pull_kind kind)
{
	return kind == PB_PULL_HERE || kind == PB_PULL_HAND ||
	    kind == PB_PULL_FORK;
}

static void
answer(struct world *w, struct flight *f)
{
	const struct pb_pull_action *action = &f->action;
	struct pb_pull_answer *a = &f->answer;

	bool here = is_here(action->kind);

	memset(a, 0, sizeof(*a));
	a->fresh = f->fresh;
	if ((here ? w->here_down : w->down) ||
	    (w->failing > 0 && next_random(w) % 16 < w->failing)) {
		a->outcome = PB_PULL_FAILED;
		a->text = here ? "our recorder fails" : "the edge fails";
		return;
	}
	switch (action->kind) {
	case PB_PULL_LIST:
		answer_list(w, action, a);
		break;
	case PB_PULL_HERE:
		w->asks++;
		answer_here(w, action, a);
		break;
	case PB_PULL_THERE:
		answer_there(w, action->number, a);
		break;
	case PB_PULL_FETCH:
		answer_fetch(w, action, a);
		break;
	case PB_PULL_HAND:
		answer_hand(w, action, a);
		break;
	case PB_PULL_ACK:
		a->outcome = action->number > w->durable ? PB_PULL_BEHIND :
		    PB_PULL_DONE;
		if (a->outcome == PB_PULL_DONE)
			w->acked = action->number;
		break;
	case PB_PULL_FORK:
		w->forks = *action->forks;
		a->outcome = PB_PULL_DONE;
		break;
	}
}

static unsigned
under_way(const struct world *w, enum pb_pull_kind kind)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FLIGHTS; i++)
		count += w->flight[i].used &&
		    w->flight[i].action.kind == kind;
	return count;
}

static void
start(struct world *w, const struct pb_pull_action *action)
{
	/* A list waits, where there is nothing to tell. */
	bool long_poll = action->kind == PB_PULL_LIST && action->wait &&
	    w->changes == w->told && !w->down;
	unsigned i = 0;

	while (w->flight[i].used)
		i++;
	assert_true(i < FLIGHTS);
	if (action->kind == PB_PULL_FETCH)
		w->waiting_fetches += under_way(w, PB_PULL_HAND) > 0;
	w->flight[i] = (struct flight){ .used = true, .action = *action,
	    .due_ms = w->now_ms + (long_poll ? 500 :
	    action->kind == PB_PULL_HAND ? 50 :
	    action->kind == PB_PULL_FETCH ? 5 * (1 + next_random(w) % 5) :
	    5) };
	if (is_here(action->kind))
		return;
	/* It may have been closed since. */
	if (w->moves && next_random(w) % 8 == 0)
		w->idle = 0;
	w->flight[i].fresh = w->idle == 0;
	w->idle -= w->idle > 0;
}

/* Of packets the head comes before the rest, and that may break off. */
static void
head(struct world *w, struct flight *f)
{
	const struct pb_pull_piece *piece = &f->answer.piece;

	if (!f->used || f->told || f->action.kind != PB_PULL_FETCH)
		return;
	f->told = true;
	answer(w, f);
	if (f->answer.outcome == PB_PULL_DONE && piece->reason == 0)
		pb_pull_coming(w->pull, &f->action, piece->first,
		    piece->last);
}

static void
break_off(struct flight *f)
{
	pb_buf_finish(&f->answer.piece.body);
	f->answer = (struct pb_pull_answer){ .text = "it broke off",
	    .cut = true };
}

/* All that is under way shares it; as in http.h what comes at 8 kbit/s is
 * heard to its end, and what is slower is cut after a while. */
static void
carry(struct world *w)
{
	unsigned count = under_way(w, PB_PULL_FETCH);
	size_t share = w->link / (count > 0 ? count : 1);

	for (unsigned i = 0; i < FLIGHTS; i++) {
		struct flight *f = &w->flight[i];

		if (!f->used || f->action.kind != PB_PULL_FETCH || !f->told)
			continue;
		f->came += share;
		w->carried += share;
		f->due_ms = w->now_ms;
		if (f->came >= f->answer.piece.body.len)
			continue;
		if (w->now_ms > f->action.began_ms + SILENCE_MS + f->came)
			break_off(f);
		else
			f->due_ms += 2 * TURN_MS;
	}
}

static void
turn(struct world *w)
{
	struct pb_pull_action action;
	struct flight *f;

	if (w->link > 0)
		carry(w);
	while (pb_pull_next(w->pull, w->now_ms, next_random(w), &action))
		start(w, &action);
	for (unsigned i = 0; i < FLIGHTS; i++)
		head(w, &w->flight[i]);
	if (w->budget.bytes > w->bytes_most)
		w->bytes_most = w->budget.bytes;
	w->now_ms += TURN_MS;
	for (unsigned i = 0; i < FLIGHTS; i++) {
		f = &w->flight[i];
		if (!f->used || f->due_ms > w->now_ms)
			continue;
		if (!f->told)
			answer(w, f);
		else if (w->failing > 0 && next_random(w) % 16 < w->failing)
			break_off(f);
		f->used = false;
		w->idle += !is_here(f->action.kind) &&
		    f->answer.outcome != PB_PULL_FAILED;
		pb_pull_answer(w->pull, &f->action, &f->answer, w->now_ms,
		    next_random(w));
	}
}

static void
run(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now_ms + ms; w->now_ms < end;)
		turn(w);
}

static struct pb_pull_status
status(struct world *w)
{
	struct pb_pull_status s;

	pb_pull_status(w->pull, w->now_ms, &s);
	return s;
}

/* Another branch: the packets of `of` up to `fork`, then others. */
static unsigned
grow_branch(struct world *w, unsigned of, uint64_t fork)
{
	assert_true(w->branches < BRANCHES_MAX);
	w->from[w->branches].of = of;
	w->from[w->branches].fork = fork;
	return w->branches++;
}

/* Requests to the edge end where they are; another one has its address. */
static void
swap_edge(struct world *w, unsigned branch)
{
	w->branch = branch;
	w->idle = 0;
	for (unsigned i = 0; i < FLIGHTS; i++) {
		struct flight *f = &w->flight[i];

		if (!f->used || is_here(f->action.kind))
			continue;
		f->used = false;
		if (f->told)
			break_off(f);
		f->answer = (struct pb_pull_answer){ .text = "reset" };
		/* A list is asked again by libcurl, a kept connection's. */
		if (f->action.kind == PB_PULL_LIST)
			start(w, &f->action);
		else
			pb_pull_answer(w->pull, &f->action, &f->answer,
			    w->now_ms, 1);
	}
}

/* --- what must be true ---------------------------------------------------- */

static void
all_is_fetched_in_order_and_told(void **state)
{
	struct world *w = *state;

	grows(w, 10000);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, 10000);
	assert_int_equal(w->acked, 10000);
	assert_int_equal(status(w).behind, 0);
	assert_int_equal(status(w).state, PB_SHIP_IDLE);
	assert_int_equal(status(w).packets, 10000);
	/* The next one is asked for while others are being written. */
	assert_true(w->waiting_fetches > w->fetches / 2);
	grows(w, 10001);
	run(w, 1000);
	assert_int_equal(w->acked, 10001);
	/* Once for each connection that was new. */
	assert_true(w->asks <= PB_PULL_FLIGHTS_MAX);
}

static void
what_waits_keeps_to_the_window_and_to_the_budget(void **state)
{
	struct world *w = *state;

	pb_pull_window(w->pull, 3u << 20);
	w->here_down = false;
	grows(w, NUMBERS_MAX - 1);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, NUMBERS_MAX - 1);
	assert_true(w->bytes_most <= (3u << 20) + PB_PULL_SLACK);
	assert_int_equal(w->budget.bytes, 0);
	assert_int_equal(w->budget.hands, 0);
}

/* 2 KB a second: 200 KB, of which 64 are asked for at once. */
static void
a_slow_link_carries_next_to_nothing_twice(void **state)
{
	struct world *w = *state;

	w->link = 10;
	grows(w, 200);
	run(w, 120000);
	assert_int_equal(w->at[0]->here, 200);
	assert_true(w->carried < 220 * PACKET_BYTES);
	/* And all it can, once it is fast. */
	w->link = 0;
	grows(w, NUMBERS_MAX - 1);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, NUMBERS_MAX - 1);
	assert_true(w->bytes_most > 4 * PB_PULL_BYTES_MAX);
}

static void
another_edge_has_half_of_the_budget_left(void **state)
{
	struct world *w = *state;

	w->budget.bytes_max = 8u << 20;
	grows(w, 15000);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, 15000);
	assert_true(w->bytes_most <= 4u << 20);
}

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

static void
an_answer_over_a_new_connection_waits_for_the_comparison(void **state)
{
	struct world *w = *state;
	struct pb_pull_action action;
	bool seen = false;

	grows(w, 100);
	run(w, 1000);
	w->branch = grow_branch(w, 0, 100);
	grows(w, 200);
	/* Its list is the old connection's, its packets are not. */
	while (!seen) {
		while (pb_pull_next(w->pull, w->now_ms, 1, &action)) {
			seen |= action.kind == PB_PULL_FETCH;
			start(w, &action);
		}
		w->idle = 0;
		turn(w);
	}
	run(w, 3000);
	/* The same up to where they part: there is nothing to tell them. */
	assert_int_equal(w->at[0]->here, 200);
	assert_true(w->asks >= 2);
}

static void
numbers_that_went_back_are_waited_for(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	w->down = true;
	run(w, 1000);
	assert_int_equal(status(w).state, PB_SHIP_BACKOFF);
	w->down = false;
	grows(w, 80);
	run(w, 40000);
	assert_non_null(strstr(w->said, "went back to 80"));
	/* It fills them again, with the same packets. */
	grows(w, 120);
	run(w, 400000);
	assert_int_equal(w->at[0]->here, 120);
	assert_int_equal(status(w).refused, 0);
}

static void
a_list_that_goes_back_is_enough(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	grows(w, 80);
	run(w, 3000);
	assert_non_null(strstr(w->said, "went back to 80"));
}

static void
what_is_here_outlives_the_edge(void **state)
{
	struct world *w = *state;

	grows(w, 60);
	run(w, 30);		/* fetched, being written */
	while (w->fetches == 0)
		turn(w);
	turn(w);
	w->down = true;
	run(w, 2000);
	assert_int_equal(w->at[0]->here, 60);
	assert_int_equal(w->acked, 0);
	w->down = false;
	run(w, 60000);
	assert_int_equal(w->acked, 60);
}

static void
a_recorder_that_is_away_costs_no_packet_twice(void **state)
{
	struct world *w = *state;
	unsigned fetches;

	grows(w, 60);
	while (w->fetches == 0)
		turn(w);
	w->here_down = true;
	run(w, 10000);
	fetches = w->fetches;
	assert_int_equal(w->at[0]->here, 0);
	assert_int_equal(status(w).refused, 1);
	assert_non_null(strstr(status(w).last_error, "our recorder fails"));
	w->here_down = false;
	run(w, 60000);
	assert_int_equal(w->at[0]->here, 60);
	assert_int_equal(w->fetches, fetches);
	assert_string_equal(status(w).last_error, "");
}

static void
what_fails_together_is_one_failure(void **state)
{
	struct world *w = *state;
	uint64_t before, end_ms;

	grows(w, NUMBERS_MAX - 1);
	for (unsigned i = 0; i < 2; i++) {
		while (under_way(w, PB_PULL_HAND) < 3) {
			assert_true(w->at[0]->here < w->durable);
			turn(w);
		}
		w->here_down = true;
		while (under_way(w, PB_PULL_HAND) > 0)
			turn(w);
		w->here_down = false;
		before = w->at[0]->here;
		end_ms = w->now_ms + 2 * PB_BACKOFF_MS_MIN + 100;
		while (w->at[0]->here == before) {
			assert_true(w->now_ms < end_ms);
			turn(w);
		}
	}
	run(w, 20000);
	assert_int_equal(w->acked, NUMBERS_MAX - 1);
}

static void
gaps_come_in_their_turn(void **state)
{
	struct world *w = *state;

	w->first = 11;
	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->here, 50);
	assert_int_equal(w->at[0]->kept[10], 0);
	assert_int_equal(w->at[0]->kept[11], 1);
	assert_int_equal(w->at[0]->kept[31], 0);
	assert_int_equal(w->at[0]->kept[41], 1);
	assert_int_equal(status(w).packets, 30);
}

static void
what_came_late_fills_the_gap(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[33], 0);
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[33], 1);
	assert_int_equal(w->at[0]->kept[35], 1);
	assert_int_equal(w->at[0]->here, 50);
	assert_int_equal(w->acked, 35);
}

/* Whatever fails, and however often connections are new: all is there in the
 * end, once and of one branch (keep() looks). */
static void
in_any_order_all_is_there_in_the_end(void **state)
{
	struct world *w;

	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		assert_int_equal(setup((void **)&w), 0);
		w->random = seed * 2654435761u + 1;
		w->failing = seed % 5;
		w->moves = seed % 2 == 0;
		w->gap_first = seed % 7 == 0 ? 100 : 0;
		w->gap_last = seed % 7 == 0 ? 120 : 0;
		for (unsigned i = 1; i <= 10; i++) {
			w->down = next_random(w) % 8 == 0;
			w->here_down = next_random(w) % 8 == 0;
			grows(w, i * 150);
			run(w, next_random(w) % 3000);
		}
		w->down = w->here_down = w->moves = false;
		w->failing = 0;
		run(w, 100000);
		assert_int_equal(w->at[0]->here, 1500);
		assert_int_equal(w->acked, 1500);
		assert_int_equal(w->budget.bytes, 0);
		assert_int_equal(w->budget.hands, 0);
		teardown((void **)&w);
	}
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
		TEST(all_is_fetched_in_order_and_told),
		TEST(what_waits_keeps_to_the_window_and_to_the_budget),
		TEST(a_slow_link_carries_next_to_nothing_twice),
		TEST(another_edge_has_half_of_the_budget_left),
		TEST(other_packets_under_the_same_numbers_have_another_epoch),
		TEST(an_edge_that_is_still_behind_forks_by_its_packets),
		TEST(forks_fork_again_behind_and_before_where_they_began),
		TEST(a_fork_is_kept_when_its_first_packets_are_not),
		TEST(late_packets_go_under_the_epoch_of_their_number),
		TEST(more_forks_than_are_kept_are_refused),
		TEST(what_cannot_be_known_of_forks_is_waited_for),
		TEST(an_answer_over_a_new_connection_waits_for_the_comparison),
		TEST(numbers_that_went_back_are_waited_for),
		TEST(a_list_that_goes_back_is_enough),
		TEST(what_is_here_outlives_the_edge),
		TEST(a_recorder_that_is_away_costs_no_packet_twice),
		TEST(what_fails_together_is_one_failure),
		TEST(gaps_come_in_their_turn),
		TEST(what_came_late_fills_the_gap),
		cmocka_unit_test(in_any_order_all_is_there_in_the_end),
		cmocka_unit_test(two_edges_are_never_mixed_and_all_arrives),
		cmocka_unit_test(a_crash_between_any_two_steps_forks_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
