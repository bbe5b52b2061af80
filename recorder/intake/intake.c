/*
 * recorder/intake/intake.c - the line in front of the writer
 *
 * Why loads of one stream wait for each other, beyond their order:
 *
 *   A number below pb_stream_next() is a repeat, unless it lies in an open
 *   gap.  Gaps are known once they are durable; so while a gap or packets
 *   that fill one are in the writer, the next load of the stream waits.
 *
 *   When the writer fails, pb_stream_next() falls back to the durable end,
 *   and what was queued behind fails too.  So while chunks are out and the
 *   next number is not the one they lead to, nothing more is submitted.
 *
 * Lists: a load is in at most one of held, waiting and writing.  All three
 * are bounded by the connections, so they are simply walked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/intake/intake_impl.h"

#define SWEEP_MS	10000u
#define SLABS_KEPT_MAX	(16u << 20)	/* bytes, while nothing comes */

static void	set_state(struct pb_intake *, struct pb_load *,
		    enum load_state);
static void	consider(struct pb_intake *, struct pb_load *, uint64_t);
static void	ask(struct pb_intake *, struct pb_load *, uint64_t,
		    uint64_t);
static bool	must_wait(struct pb_intake *, const struct pb_load *,
		    uint64_t);
static void	take(struct pb_intake *, struct pb_load *, uint64_t,
		    uint64_t);
static void	hold(struct pb_intake *, struct pb_load *, uint64_t);
static uint64_t	may_hold_until(const struct pb_intake_entry *);
static uint64_t	tick_held(struct pb_intake *, uint64_t);
static uint64_t	tick_waiting(struct pb_intake *, uint64_t);
static void	advance(struct pb_intake *, uint64_t);
static bool	advance_list(struct pb_intake *, enum load_state, uint64_t);
static void	settle(struct pb_intake *, struct pb_load *, int, uint64_t,
		    const char *);
static void	settle_written(struct pb_intake *, struct pb_load *,
		    uint64_t);

int
pb_intake_create(struct pb_intake **out, const struct pb_intake_opts *opts,
    struct pb_err *err)
{
	struct pb_intake *intake = calloc(1, sizeof(*intake));
	int rc;

	if (intake == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	intake->opts = *opts;
	rc = pb_body_scratch_create(&intake->scratch, err);
	if (rc == 0)
		rc = pb_chunk_pool_create(&intake->pool, SLABS_KEPT_MAX, err);
	if (rc < 0) {
		pb_body_scratch_destroy(intake->scratch);
		free(intake);
		return rc;
	}
	for (int i = LOAD_HELD; i < LOAD_STATES; i++)
		TAILQ_INIT(&intake->list[i]);
	TAILQ_INIT(&intake->all);
	intake->back_end = &intake->back;
	pthread_mutex_init(&intake->mutex, NULL);
	*out = intake;
	return 0;
}

void
pb_intake_destroy(struct pb_intake *intake)
{
	if (intake == NULL)
		return;
	pb_chunk_pool_destroy(intake->pool);
	intake_free_entries(intake);
	pb_body_scratch_destroy(intake->scratch);
	pthread_mutex_destroy(&intake->mutex);
	free(intake);
}

size_t
pb_intake_waiting(const struct pb_intake *intake)
{
	return intake->bytes[LOAD_WAITING];
}

int
pb_intake_begin(struct pb_intake *intake, struct pb_load *load,
    const struct pb_stream_key *key, struct pb_err *err)
{
	load->entry = intake_entry(intake, key, err);
	if (load->entry == NULL)
		return err->code;
	set_state(intake, load, LOAD_COMING);
	return 0;
}

void
pb_intake_cancel(struct pb_intake *intake, struct pb_load *load,
    uint64_t now_ms)
{
	if (load->state == LOAD_IDLE)
		return;
	load->entry->used_ms = now_ms;
	set_state(intake, load, LOAD_IDLE);
}

void
pb_intake_offer(struct pb_intake *intake, struct pb_load *load,
    uint64_t now_ms)
{
	load->entry->used_ms = now_ms;
	load->rc = 0;
	load->pending = 0;
	load->again = load->asked = false;
	load->text[0] = '\0';
	load->offered_ms = now_ms;
	if (intake->stopping && !load->ask) {
		settle(intake, load, PB_EBUSY, now_ms, "the node is stopping");
		return;
	}
	consider(intake, load, now_ms);
	advance(intake, now_ms);
}

void
pb_intake_collect(struct pb_intake *intake, uint64_t now_ms)
{
	struct pb_load *load, *next;
	struct parcel *parcel;

	pthread_mutex_lock(&intake->mutex);
	parcel = intake->back;
	intake->back = NULL;
	intake->back_end = &intake->back;
	pthread_mutex_unlock(&intake->mutex);
	if (parcel == NULL)
		return;
	while (parcel != NULL) {
		struct parcel *after = parcel->next;

		intake_take_back(intake, parcel);
		parcel = after;
	}
	for (load = TAILQ_FIRST(&intake->list[LOAD_WRITING]); load != NULL;
	    load = next) {
		next = TAILQ_NEXT(load, link);
		settle_written(intake, load, now_ms);
	}
	advance(intake, now_ms);
}

int
pb_intake_tick(struct pb_intake *intake, uint64_t now_ms)
{
	uint64_t due = tick_held(intake, now_ms);
	uint64_t also = tick_waiting(intake, now_ms);

	due = also < due ? also : due;
	if (now_ms - intake->swept_ms >= SWEEP_MS) {
		intake->swept_ms = now_ms;
		intake_sweep(intake, now_ms);
	}
	if (intake->entries > 0 && intake->swept_ms + SWEEP_MS < due)
		due = intake->swept_ms + SWEEP_MS;
	if (due == UINT64_MAX)
		return -1;
	return due > now_ms ? (int)(due - now_ms) : 0;
}

void
pb_intake_stop(struct pb_intake *intake, uint64_t now_ms)
{
	struct pb_load *load;

	intake->stopping = true;
	while ((load = TAILQ_FIRST(&intake->list[LOAD_HELD])) != NULL ||
	    (load = TAILQ_FIRST(&intake->list[LOAD_WAITING])) != NULL)
		settle(intake, load, PB_EBUSY, now_ms, "the node is stopping");
}

size_t
pb_intake_busy(const struct pb_intake *intake)
{
	size_t busy = intake->chunks;
	const struct pb_load *load;

	TAILQ_FOREACH(load, &intake->list[LOAD_WRITING], link)
		busy++;
	return busy;
}

const struct pb_intake_counters *
pb_intake_counters(const struct pb_intake *intake)
{
	return &intake->counters;
}

struct pb_body_scratch *
pb_intake_scratch(struct pb_intake *intake)
{
	return intake->scratch;
}

static void
set_state(struct pb_intake *intake, struct pb_load *load,
    enum load_state state)
{
	struct loads *to = &intake->list[state];
	struct pb_load *before = NULL;

	/* Those that are whole are in a list. */
	if (load->state >= LOAD_HELD) {
		TAILQ_REMOVE(&intake->list[load->state], load, link);
		intake->bytes[load->state] -= load->body.len;
	}
	if (load->state != LOAD_IDLE)
		load->entry->loads[load->state]--;
	load->state = state;
	if (state != LOAD_IDLE)
		load->entry->loads[state]++;
	if (state < LOAD_HELD)
		return;
	intake->bytes[state] += load->body.len;
	if (state == LOAD_HELD)
		TAILQ_FOREACH(before, to, link)
			if (before->first > load->first)
				break;
	if (before != NULL)
		TAILQ_INSERT_BEFORE(before, load, link);
	else
		TAILQ_INSERT_TAIL(to, load, link);
}

/* Whose turn is it?  The one place that decides. */
static void
consider(struct pb_intake *intake, struct pb_load *load, uint64_t now_ms)
{
	struct pb_intake_entry *entry = load->entry;
	struct pb_err err = { 0 };
	uint64_t next = 1;
	int rc = intake_find_stream(intake, entry, &err);

	if (rc < 0) {
		settle(intake, load, rc, now_ms, err.text);
		return;
	}
	if (entry->stream != NULL)
		next = pb_stream_next(entry->stream);
	if (load->ask) {
		ask(intake, load, next, now_ms);
		return;
	}
	if (intake_fenced(intake, load)) {
		load->asked = true;
		settle(intake, load, PB_EORDER, now_ms, "another sender has "
		    "asked about this stream since, or this node has begun "
		    "anew: ask again");
		return;
	}
	if (must_wait(intake, load, next)) {
		if (load->state != LOAD_WAITING)
			set_state(intake, load, LOAD_WAITING);
	} else if (load->first > next) {
		hold(intake, load, now_ms);
	} else {
		take(intake, load, next, now_ms);
	}
}

static void
ask(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    uint64_t now_ms)
{
	int rc = 0;

	if (load->state == LOAD_COMING)
		intake_asks(intake, load, next);
	if (intake_answerable(load) || intake->stopping) {
		rc = intake_tell(intake, load);
		settle(intake, load, rc, now_ms, rc < 0 ? "the last packet "
		    "cannot be read now" : NULL);
	} else if (load->state != LOAD_WAITING) {
		set_state(intake, load, LOAD_WAITING);
	}
}

static bool
must_wait(struct pb_intake *intake, const struct pb_load *load, uint64_t next)
{
	const struct pb_intake_entry *entry = load->entry;

	if (entry->unsettled > 0)
		return true;
	if (entry->chunks > 0 && next != entry->expected)
		return true;
	if (load->first > next)
		return false;
	if (!intake->starved && !intake_may_take(intake, load, next))
		intake->starved = true;
	return intake->starved;
}

static void
take(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    uint64_t now_ms)
{
	struct pb_err err = { 0 };
	int rc = intake_take(intake, load, next, &err);

	if (rc < 0 && load->pending == 0) {
		settle(intake, load, rc, now_ms, err.text);
		return;
	}
	if (rc < 0 && load->rc == 0) {
		/* Some of it went out: the answer waits for it to come back. */
		load->rc = rc;
		memcpy(load->text, err.text, sizeof(load->text));
	}
	set_state(intake, load, LOAD_WRITING);
	settle_written(intake, load, now_ms);
	if (load->state != LOAD_WRITING || intake->opts.taken == NULL)
		return;
	load->body.data = NULL;
	intake->opts.taken(intake->opts.arg, load);
}

static void
hold(struct pb_intake *intake, struct pb_load *load, uint64_t now_ms)
{
	if (load->state == LOAD_HELD)
		return;
	/* It is no sign itself that something comes. */
	set_state(intake, load, LOAD_IDLE);
	if (now_ms >= may_hold_until(load->entry) ||
	    load->body.len > intake->opts.memory_max / 2 -
	    intake->bytes[LOAD_HELD]) {
		intake->counters.refused++;
		settle(intake, load, PB_EORDER, now_ms, NULL);
		return;
	}
	intake->counters.held++;
	set_state(intake, load, LOAD_HELD);
}

/* Until when is anything under way that could fill the hole?  0: nothing. */
static uint64_t
may_hold_until(const struct pb_intake_entry *entry)
{
	if (entry->loads[LOAD_COMING] > 0 || entry->loads[LOAD_WAITING] > 0 ||
	    entry->loads[LOAD_WRITING] > 0)
		return UINT64_MAX;
	return entry->answered ? entry->answered_ms + PB_HOLD_GRACE_MS : 0;
}

/* Those that wait for nothing any more are told; when to look again. */
static uint64_t
tick_held(struct pb_intake *intake, uint64_t now_ms)
{
	uint64_t due = UINT64_MAX, at, until;
	struct pb_load *load, *next;

	/* Marked first: an answer is a reason to hold the others. */
	TAILQ_FOREACH(load, &intake->list[LOAD_HELD], link) {
		at = load->offered_ms + intake->opts.hold_ms;
		until = may_hold_until(load->entry);
		at = until < at ? until : at;
		if (now_ms >= at)
			load->rc = PB_EORDER;
		else if (at < due)
			due = at;
	}
	for (load = TAILQ_FIRST(&intake->list[LOAD_HELD]); load != NULL;
	    load = next) {
		next = TAILQ_NEXT(load, link);
		if (load->rc == 0)
			continue;
		intake->counters.refused++;
		settle(intake, load, PB_EORDER, now_ms, NULL);
	}
	return due;
}

static uint64_t
tick_waiting(struct pb_intake *intake, uint64_t now_ms)
{
	struct pb_load *load, *next;
	uint64_t due = UINT64_MAX, at;

	for (load = TAILQ_FIRST(&intake->list[LOAD_WAITING]); load != NULL;
	    load = next) {
		next = TAILQ_NEXT(load, link);
		at = load->offered_ms + PB_WAIT_MS;
		if (now_ms >= at)
			settle(intake, load, PB_EBUSY, now_ms,
			    "the writer is behind");
		else if (at < due)
			due = at;
	}
	return due;
}

/* Let those go on whose turn has come, until nobody's has. */
static void
advance(struct pb_intake *intake, uint64_t now_ms)
{
	bool again;

	do {
		intake->starved = false;
		again = advance_list(intake, LOAD_WAITING, now_ms);
		again |= advance_list(intake, LOAD_HELD, now_ms);
	} while (again);
}

static bool
advance_list(struct pb_intake *intake, enum load_state state,
    uint64_t now_ms)
{
	struct pb_load *load, *next;
	bool moved = false;

	for (load = TAILQ_FIRST(&intake->list[state]); load != NULL;
	    load = next) {
		next = TAILQ_NEXT(load, link);
		if (state == LOAD_HELD && (load->entry->stream == NULL ||
		    load->first > pb_stream_next(load->entry->stream)))
			continue;
		consider(intake, load, now_ms);
		moved |= load->state != (int)state;
		if (state == LOAD_WAITING && intake->starved)
			break;
	}
	return moved;
}

static void
settle(struct pb_intake *intake, struct pb_load *load, int rc,
    uint64_t now_ms, const char *text)
{
	struct pb_intake_entry *entry = load->entry;

	set_state(intake, load, LOAD_IDLE);
	entry->answered = true;
	entry->answered_ms = entry->used_ms = now_ms;
	load->rc = rc;
	if (!load->ask)
		load->acked = entry->stream != NULL ?
		    pb_stream_durable(entry->stream) : 0;
	if (rc == PB_EORDER && text == NULL)
		snprintf(load->text, sizeof(load->text), "starts at %" PRIu64
		    "; the next number is %" PRIu64, load->first,
		    load->acked + 1);
	else if (text != NULL && text != load->text)
		snprintf(load->text, sizeof(load->text), "%s", text);
	intake->opts.settled(intake->opts.arg, load);
}

/* All of its chunks are back?  Then it is durable, or has failed. */
static void
settle_written(struct pb_intake *intake, struct pb_load *load,
    uint64_t now_ms)
{
	const struct pb_intake_entry *entry = load->entry;

	if (load->pending > 0)
		return;
	if (load->rc < 0) {
		intake->counters.failures++;
		settle(intake, load, load->rc, now_ms, load->text);
	} else if (pb_stream_durable(entry->stream) >= load->last) {
		settle(intake, load, load->again ? PB_EBUSY : 0, now_ms,
		    "some of the gaps are filled; send again for the others");
	} else if (entry->chunks == 0) {
		/* Numbers it shares with an earlier load went down with it. */
		settle(intake, load, PB_EBUSY, now_ms, "an earlier part could "
		    "not be written");
	}
}
