/*
 * shipper/pull/pull.c - one edge: its list of streams, and turns
 *
 * The list is asked for as soon as it was answered: the edge answers when
 * something is new, or after a while.  While it cannot be had, packets that
 * are here already go on to the recorder, and nothing else is asked for.
 */
#include "shipper/pull/pull.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/pull/pull_impl.h"

#define LIST_PAUSE_MS	200u	/* after an answer at once, without news */
#define STARVED_TURNS	16u	/* of those that wait for room, a call */
#define MISSED_MS	5000u	/* until what could not be taken is again */
#define STALE_MS	100u	/* one that took less came at once */

_Static_assert(offsetof(struct pb_pull_stream, key) == 0,
    "a stream is found by its key");
_Static_assert(offsetof(struct pull_piece, of) == 0,
    "a piece is found by what the action has");

static bool	turn_of(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static void	drop_if_gone(struct pb_pull *, struct pb_pull_stream *);
static bool	list_due(const struct pb_pull *);
static void	list(struct pb_pull *, struct pb_pull_action *);
static void	listed(struct pb_pull *, const struct pb_pull_answer *);
static void	list_again(struct pb_pull *);
static void	not_listed(struct pb_pull *, const struct pb_pull_answer *);
static void	doubt_all(struct pb_pull *, const struct pb_pull_action *);
static void	sweep(struct pb_pull *);
static struct pb_pull_stream *stream_of(struct pb_pull *,
		    const struct pb_stream_key *);
static struct pb_pull_stream *add_stream(struct pb_pull *,
		    const struct pb_stream_key *);
static bool	load_forks(struct pb_pull *, struct pb_pull_stream *);
static void	forget(struct pb_pull *, struct pb_pull_stream *);
static void	wake_due(struct pb_pull *);
static void	set_state(struct pb_pull *, enum pb_ship_state);
static int	order(const void *, const void *);
static uint64_t	behind(const struct pb_pull_stream *);

int
pb_pull_create(struct pb_pull **out, const struct pb_pull_opts *opts,
    struct pb_err *err)
{
	struct pb_pull *pull = calloc(1, sizeof(*pull));

	*out = pull;
	if (pull == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an edge");
	pull->opts = *opts;
	TAILQ_INIT(&pull->all);
	TAILQ_INIT(&pull->ready);
	TAILQ_INIT(&pull->starved);
	pull->state = PB_SHIP_CONNECTING;
	pull->wake_ms = UINT64_MAX;
	pull_pace_begin(pull);
	return 0;
}

void
pb_pull_destroy(struct pb_pull *pull)
{
	struct pb_pull_stream *s;

	if (pull == NULL)
		return;
	while ((s = TAILQ_FIRST(&pull->all)) != NULL) {
		pull_drop_pieces(pull, s);
		forget(pull, s);
	}
	/* What fetches under way had of it. */
	pull_give_bytes(pull, pull->bytes);
	free(pull);
}

void
pb_pull_window(struct pb_pull *pull, size_t window)
{
	pull->opts.window = window;
}

bool
pb_pull_next(struct pb_pull *pull, uint64_t now_ms, uint64_t random,
    struct pb_pull_action *out)
{
	struct pb_pull_stream *s;

	pull->now_ms = now_ms;
	pull->random = random;
	if (list_due(pull)) {
		list(pull, out);
		return true;
	}
	wake_due(pull);
	while ((s = TAILQ_FIRST(&pull->ready)) != NULL)
		if (turn_of(pull, s, out))
			return true;
	/* Whoever ends a request makes room: all of them get their turn. */
	for (unsigned i = 0; i < STARVED_TURNS && (s = TAILQ_FIRST(
	    &pull->starved)) != NULL; i++)
		if (turn_of(pull, s, out))
			return true;
	return false;
}

static bool
turn_of(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	pull->waited = s->line == PULL_STARVED;
	pull_leave(pull, s);
	if (!pull_step(pull, s, out) && !pull_late_step(pull, s, out)) {
		drop_if_gone(pull, s);
		return false;
	}
	/* There may be more to do for it, after the others. */
	if (s->line == PULL_NONE)
		pull_wake(pull, s);
	return true;
}

/* What waits to be compared with what the edge has no more. */
static void
drop_if_gone(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->listed || !pull->up || pull->sweep || s->flights > 0 ||
	    s->certainty == PULL_SURE)
		return;
	pull_drop_pieces(pull, s);
	pull_late_drop_piece(pull, s);
}

uint64_t
pb_pull_wake_ms(const struct pb_pull *pull)
{
	uint64_t wake = pull->wake_ms;

	if (!TAILQ_EMPTY(&pull->ready))
		return 0;
	return !pull->listing && pull->list_ms < wake ? pull->list_ms : wake;
}

bool
pb_pull_starves(const struct pb_pull *pull)
{
	return !TAILQ_EMPTY(&pull->starved);
}

void
pb_pull_hurry(struct pb_pull *pull)
{
	struct pb_pull_stream *s;

	pull->list_ms = 0;
	TAILQ_FOREACH(s, &pull->all, all) {
		s->retry_ms = s->ack_ms = s->late_ms = 0;
		pull_wake(pull, s);
	}
}

/* --- the list ------------------------------------------------------------- */

static bool
list_due(const struct pb_pull *pull)
{
	return !pull->listing && pull->now_ms >= pull->list_ms;
}

static void
list(struct pb_pull *pull, struct pb_pull_action *out)
{
	*out = (struct pb_pull_action){ .kind = PB_PULL_LIST,
	    .cursor = pull->cursor, .wait = pull->cursor[0] != '\0' };
	pull->listing = true;
	pull->news = false;
	pull->list_began_ms = pull->now_ms;
}

void
pb_pull_row(struct pb_pull *pull, const struct pb_pull_row *row, bool fresh)
{
	struct pb_pull_stream *s;

	if (!pull->opts.wants(pull->opts.arg, &row->key))
		return;
	s = stream_of(pull, &row->key);
	if (s == NULL)
		s = add_stream(pull, &row->key);
	if (s == NULL)
		return;
	pull->news |= !s->listed || row->durable > s->there;
	/* What went back is another one, too. */
	if (!s->listed || fresh || row->durable < s->there) {
		s->ask = true;
		pull_doubt(pull, s);
	}
	if (s->behind && row->durable != s->there)
		s->retry_ms = 0;
	s->listed = true;
	s->linktype = row->linktype;
	s->first = row->first;
	if (s->there > 0 && row->durable > s->there)
		pull->came += row->durable - s->there;
	s->there = row->durable;
	pull_late_told(pull, s, row);
	pull_wake(pull, s);
}

void
pb_pull_answer(struct pb_pull *pull, const struct pb_pull_action *action,
    struct pb_pull_answer *answer, uint64_t now_ms, uint64_t random)
{
	pull->now_ms = now_ms;
	pull->random = random;
	if (answer->text == NULL)
		answer->text = "";
	/* Others go over it next. */
	if (answer->fresh)
		doubt_all(pull, action);
	if (action->kind != PB_PULL_LIST) {
		pull_stream_answer(pull, action, answer);
		return;
	}
	pull->listing = false;
	if (answer->outcome == PB_PULL_DONE)
		listed(pull, answer);
	else
		not_listed(pull, answer);
}

static void
listed(struct pb_pull *pull, const struct pb_pull_answer *answer)
{
	if (!pull->up && pull->attempts > 0)
		pull_event(pull, PB_LOG_INFO, NULL, "it answers again");
	if (!pull->up)
		pull->sweep = true;
	/* Rows that came before this was known wait for it. */
	if (!pull->up)
		doubt_all(pull, NULL);
	pull->up = true;
	pull->attempts = 0;
	snprintf(pull->cursor, sizeof(pull->cursor), "%s", answer->cursor);
	if (!pull->news && pull->sweep)
		sweep(pull);
	pull->list_ms = pull->news || pull->now_ms >=
	    pull->list_began_ms + STALE_MS ? pull_pace_list(pull) :
	    pull->now_ms + LIST_PAUSE_MS;
	if (pull->missed || (pull->late_missed &&
	    pull->lates <= PB_PULL_LATES_MAX / 2))
		list_again(pull);
	if (pull->state != PB_SHIP_READY)
		set_state(pull, PB_SHIP_IDLE);
}

/* All of it, after a while. */
static void
list_again(struct pb_pull *pull)
{
	pull->missed = pull->late_missed = false;
	pull->cursor[0] = '\0';
	pull->list_ms = pull->now_ms + MISSED_MS;
}

static void
not_listed(struct pb_pull *pull, const struct pb_pull_answer *answer)
{
	bool refused = answer->outcome == PB_PULL_REFUSED;
	uint64_t wait;
	struct pb_pull_stream *s;

	if (pull->attempts == 0 || strcmp(answer->text, pull->last_error) != 0)
		pull_event(pull, PB_LOG_WARN, NULL, "%s: tried again",
		    answer->text);
	pull_error(pull, answer->text);
	pull->attempts++;
	wait = refused ? pb_doubled_ms(PB_REFUSED_MS_FIRST,
	    pull->attempts - 1, PB_REFUSED_MS_MAX) :
	    pb_backoff_ms(pull->random, pull->attempts);
	if (answer->retry_after_ms > wait)
		wait = answer->retry_after_ms < PB_RETRY_AFTER_MS_MAX ?
		    answer->retry_after_ms : PB_RETRY_AFTER_MS_MAX;
	pull->list_ms = pull->now_ms + wait;
	set_state(pull, refused ? PB_SHIP_REFUSED : PB_SHIP_BACKOFF);
	pull->up = false;
	pull_pace_begin(pull);
	pull->cursor[0] = '\0';
	TAILQ_FOREACH(s, &pull->all, all) {
		s->listed = false;
		s->late_ms = s->late_fails = 0;
	}
	doubt_all(pull, NULL);
}

/* But of the stream that is being compared by this answer. */
static void
doubt_all(struct pb_pull *pull, const struct pb_pull_action *action)
{
	struct pb_pull_stream *s;

	TAILQ_FOREACH(s, &pull->all, all)
		if (action == NULL || action->kind != PB_PULL_THERE ||
		    action->stream != s)
			pull_doubt(pull, s);
}

/* All of the list was read since the edge is back. */
static void
sweep(struct pb_pull *pull)
{
	struct pb_pull_stream *s, *next;

	pull->sweep = false;
	for (s = TAILQ_FIRST(&pull->all); s != NULL; s = next) {
		next = TAILQ_NEXT(s, all);
		if (!s->listed && s->flights == 0 && !s->acking &&
		    TAILQ_EMPTY(&s->pieces) && s->late_piece == NULL)
			forget(pull, s);
		else if (!s->listed)
			pull_wake(pull, s);
	}
}

/* --- streams -------------------------------------------------------------- */

static struct pb_pull_stream *
stream_of(struct pb_pull *pull, const struct pb_stream_key *key)
{
	struct pb_pull_stream **found = tfind(key, &pull->tree, order);

	return found != NULL ? *found : NULL;
}

static struct pb_pull_stream *
add_stream(struct pb_pull *pull, const struct pb_stream_key *key)
{
	struct pb_pull_stream *s;

	if (pull->streams >= PB_PULL_STREAMS_MAX) {
		if (!pull->left_out_said)
			pull_event(pull, PB_LOG_ERROR, NULL, "it has more "
			    "than %u streams: the others are not fetched",
			    PB_PULL_STREAMS_MAX);
		pull->left_out_said = true;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->key = *key;
	if (s == NULL || !load_forks(pull, s) ||
	    tsearch(s, &pull->tree, order) == NULL) {
		pull->missed = true;
		free(s != NULL ? s->forks : NULL);
		free(s);
		return NULL;
	}
	s->bytes_max = PB_PULL_BYTES_FIRST;
	TAILQ_INIT(&s->pieces);
	TAILQ_INSERT_TAIL(&pull->all, s, all);
	pull->streams++;
	return s;
}

/* Without them it would be taken in twice: it waits. */
static bool
load_forks(struct pb_pull *pull, struct pb_pull_stream *s)
{
	struct pb_forks forks;
	struct pb_err err;
	int rc = pull->opts.forks(pull->opts.arg, &s->key, &forks, &err);

	if (rc == 0 && forks.count == 0)
		return true;
	if (rc == 0 && (s->forks = malloc(sizeof(forks))) == NULL)
		rc = pb_err_set(&err, PB_ENOMEM, "no memory for a stream");
	if (rc == 0) {
		*s->forks = forks;
		s->parts = forks.count;
		return true;
	}
	if (strcmp(pull->last_error, err.text) != 0)
		pull_event(pull, PB_LOG_ERROR, s, "%s", err.text);
	pull_error(pull, err.text);
	pull->missed = true;
	return false;
}

static void
forget(struct pb_pull *pull, struct pb_pull_stream *s)
{
	pull_leave(pull, s);
	pull_late_drop(pull, s);
	tdelete(s, &pull->tree, order);
	TAILQ_REMOVE(&pull->all, s, all);
	pull->streams--;
	free(s->text);
	free(s->forks);
	free(s->next);
	free(s);
}

static int
order(const void *a, const void *b)
{
	return pb_stream_key_order(a, b);
}

/* --- time ----------------------------------------------------------------- */

static void
wake_due(struct pb_pull *pull)
{
	struct pb_pull_stream *s;

	if (pull->now_ms < pull->wake_ms)
		return;
	pull->wake_ms = UINT64_MAX;
	/* Those that are not due tell when they are. */
	TAILQ_FOREACH(s, &pull->all, all)
		if (s->retry_ms != 0 || s->ack_ms != 0 || s->late_ms != 0)
			pull_wake(pull, s);
}

/* --- reports -------------------------------------------------------------- */

void
pb_pull_status(struct pb_pull *pull, uint64_t now_ms,
    struct pb_pull_status *out)
{
	struct pb_pull_stream *s;

	*out = (struct pb_pull_status){ .retry_ms = pull->list_ms,
	    .attempts = pull->attempts, .streams = pull->streams,
	    .flight_bytes = pull->bytes, .packets = pull->packets,
	    .bytes = pull->body_bytes, .progress_ms = pull->progress_ms,
	    .came = pull->came, .failures = pull->failures,
	    .last_error = pull->last_error, .error_ms = pull->error_ms };
	TAILQ_FOREACH(s, &pull->all, all) {
		out->refused += s->refused || s->late_refused != 0;
		out->forked += s->listed && pull_forks(s)->count > 0;
		out->behind += behind(s);
	}
	pull->now_ms = now_ms;
	if (pull->up)
		set_state(pull, out->behind > 0 ? PB_SHIP_READY :
		    PB_SHIP_IDLE);
	if (pull->up && out->behind == 0 && out->refused == 0)
		pull->last_error[0] = '\0';
	out->state = pull->state;
	out->since_ms = pull->since_ms;
}

static uint64_t
behind(const struct pb_pull_stream *s)
{
	return s->there > s->here ? s->there - s->here : 0;
}

static void
set_state(struct pb_pull *pull, enum pb_ship_state state)
{
	if (pull->state != state)
		pull->since_ms = pull->now_ms;
	pull->state = state;
}
