/*
 * tests/sim/pull_world.h - the world of an edge's machine
 *
 * A world has an edge, or several that take each other's place behind one
 * address, our recorder, and a clock.  What an edge has is a branch: it has the
 * packets of the one it comes from up to some number, and others behind it;
 * packet `seq` has the digest of seq and its branch.  The recorder keeps them
 * under their epochs, in order, and fails the test where two meet in one
 * that no edge had one behind the other, or one is kept twice.
 */
#ifndef PB_TESTS_PULL_WORLD_H
#define PB_TESTS_PULL_WORLD_H

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
	char		cursor[16];	/* of its list, one a branch */
	struct { unsigned of; uint64_t fork; } from[BRANCHES_MAX];
	uint64_t	first;		/* kept from here on */
	uint64_t	gap_first, gap_last;	/* one that is told */
	unsigned	extent;		/* packets that lie together; 0: all */
	bool		lies;		/* about what stands behind packets */
	unsigned	idle;		/* connections that are kept */
	uint64_t	acked;
	struct pb_ship_run late;
	bool		 closed;	/* it gives no packets just now */
	bool		 forbidden;	/* or nobody may have them */
	uint64_t	damaged;	/* a number that cannot be read there */
	/* Our recorder. */
	bool		here_down;
	uint64_t	refused;	/* a piece that has it is not taken */
	struct kept	*at[EPOCHS_MAX];
	unsigned	epochs;
	/* What is kept of forks. */
	struct pb_forks	forks;
	bool		forks_fail;
	/* What was seen. */
	unsigned	fetches, hands, asks, lists;
	unsigned	waiting_fetches;	/* while a hand was under way */
	unsigned	fetches_most, hands_most;	/* as an action begins */
	size_t		bytes_most;
	unsigned	refusals, warnings;
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

static inline bool
wants(void *arg, const struct pb_stream_key *key)
{
	(void)arg;
	return strcmp(key->node, "other") != 0;
}

static inline bool
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

static inline void
event(void *arg, enum pb_log_level level, const struct pb_stream_key *key,
    const char *text)
{
	struct world *w = arg;

	(void)key;
	if (level == PB_LOG_ERROR)
		w->refusals++;
	w->warnings += level == PB_LOG_WARN;
	snprintf(w->said, sizeof(w->said), "%s", text);
}

static inline void
begin(struct world *w)
{
	struct pb_pull_opts opts = { .window = 16u << 20,
	    .budget = &w->budget, .wants = wants, .forks = forks,
	    .print = print, .event = event, .arg = w };

	assert_int_equal(pb_pull_create(&w->pull, &opts, NULL), 0);
}

static inline struct kept *
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

static inline void
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
static inline void
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

static inline void
grows(struct world *w, uint64_t to)
{
	w->durable = to;
	w->changes++;
}

/* --- the edge ------------------------------------------------------------- */

static inline void
answer_list(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	struct pb_pull_row row = { .key = w->key, .durable = w->durable,
	    .first = w->first, .linktype = 1 };

	w->lists++;
	snprintf(w->cursor, sizeof(w->cursor), "%u", w->branch);
	a->outcome = PB_PULL_DONE;
	a->cursor = w->cursor;
	if (w->durable == 0 || (w->changes == w->told &&
	    strcmp(action->cursor, w->cursor) == 0))
		return;
	w->told = w->changes;
	if (w->late.last != 0) {
		row.lates = 1;
		row.late[0] = w->late;
	}
	pb_pull_row(w->pull, &row, a->fresh);
}

static inline void
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
static inline void
answer_fetch(struct world *w, const struct pb_pull_action *action,
    struct pb_pull_answer *a)
{
	uint64_t seq = action->number + 1;
	struct pb_pull_piece *piece = &a->piece;

	w->fetches++;
	assert_true(action->epoch != EPOCH || w->forks.count == 0 ||
	    action->late || action->number <= w->durable);
	if (seq > w->durable || w->closed) {
		a->outcome = w->durable == 0 ? PB_PULL_GONE : PB_PULL_NOTHING;
		return;
	}
	if (w->forbidden) {
		a->outcome = PB_PULL_REFUSED;
		a->text = "not allowed";
		return;
	}
	if (seq == w->damaged) {
		a->text = "it is damaged there";
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
		if (w->extent > 0 && seq % w->extent == 0)
			break;
	}
}

/* --- our recorder --------------------------------------------------------- */

static inline void
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
static inline bool
may_meet(const struct world *w, uint64_t seq, uint64_t before, uint64_t one)
{
	for (unsigned i = 0; i < w->branches; i++)
		if (content(w, i, seq - 1) == before &&
		    content(w, i, seq) == one)
			return true;
	return false;
}

static inline bool
is_kept(const struct world *w, uint64_t seq, uint64_t branch)
{
	for (unsigned i = 0; i < w->epochs; i++)
		if (w->at[i]->kept[seq] == branch + 1)
			return true;
	return false;
}

static inline void
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

static inline void
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
	if (w->refused >= action->piece->first &&
	    w->refused <= action->piece->last) {
		a->outcome = PB_PULL_REFUSED;
		a->text = "not this one";
		return;
	}
	keep(w, k, action->piece);
	a->acked = k->here;
	a->outcome = PB_PULL_DONE;
}

/* --- time ----------------------------------------------------------------- */

static inline bool
is_here(enum pb_pull_kind kind)
{
	return kind == PB_PULL_HERE || kind == PB_PULL_HAND ||
	    kind == PB_PULL_FORK;
}

static inline void
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

static inline void
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
	if (under_way(w, PB_PULL_FETCH) > w->fetches_most)
		w->fetches_most = under_way(w, PB_PULL_FETCH);
	if (under_way(w, PB_PULL_HAND) > w->hands_most)
		w->hands_most = under_way(w, PB_PULL_HAND);
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

static inline void foresee(struct world *, struct pb_pull_coming *);

/* Of packets the head comes before the rest, and that may break off. */
static inline void
head(struct world *w, struct flight *f)
{
	const struct pb_pull_piece *piece = &f->answer.piece;
	struct pb_pull_coming coming = { .nexts = 0 };

	if (!f->used || f->told || f->action.kind != PB_PULL_FETCH)
		return;
	f->told = true;
	answer(w, f);
	if (f->answer.outcome != PB_PULL_DONE || piece->reason != 0)
		return;
	coming.first = piece->first;
	coming.last = piece->last;
	if (w->extent > 0 && piece->last % w->extent == 0)
		foresee(w, &coming);
	pb_pull_coming(w->pull, &f->action, &coming);
}

/* More may come to the last extent. */
static inline void
foresee(struct world *w, struct pb_pull_coming *coming)
{
	uint64_t last = coming->last;

	while (coming->nexts < PB_PULL_NEXT_MAX) {
		last += w->lies ? 1 + next_random(w) % (2 * w->extent) :
		    w->extent;
		if (!w->lies && (last >= w->durable ||
		    (w->gap_first <= last && w->gap_last > coming->last)))
			return;
		coming->next[coming->nexts++] = (struct pb_pull_next){ last,
		    w->extent * PACKET_BYTES };
	}
}

static inline void
break_off(struct flight *f)
{
	pb_buf_finish(&f->answer.piece.body);
	f->answer = (struct pb_pull_answer){ .text = "it broke off",
	    .cut = true };
}

/* All that is under way shares it; as in http.h what comes at 8 kbit/s is
 * heard to its end, and what is slower is cut after a while. */
static inline void
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

static inline void
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

static inline void
run(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now_ms + ms; w->now_ms < end;)
		turn(w);
}

static inline struct pb_pull_status
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
static inline void
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

#endif
