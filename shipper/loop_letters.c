/*
 * shipper/loop_letters.c - dead letters and late packets, turn by turn
 *
 * The loop finds out what is to change, the keeper writes it (fills, bounds,
 * a step of what an operator asks for: one of each under way), and what
 * follows from it is done on the loop again, when it is durable.
 *
 * Packets that came late and filled a gap here fill it upstream as well:
 * the index keeps a list of such fills, each becomes a letter of every
 * upstream that may have been told of the gap, and the number of the last
 * one seen is committed with them, so that none is lost or made twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "shipper/loop_impl.h"

#define BOUND_MS	1000u	/* between looks at the bounds */
#define FILLS_PAGE	64u
#define NAMES_PAGE	16	/* of upstreams without a section */

struct loop_fills {
	struct pb_job	 job;
	bool		 busy;
	struct pb_fill_info row[FILLS_PAGE];
	size_t		 rows;
	struct pb_late	*late;		/* letters they make */
	size_t		 lates, cap;
	int		 rc;
	struct pb_err	 err;
};

/* The bounds of one upstream's letters, and how many went for them. */
struct bound {
	char		 name[PB_NAME_BYTES_MAX + 1];
	uint64_t	 bytes_max, age_ms_max;
	int		 went;
};

struct loop_bounds {
	struct pb_job	 job;
	bool		 busy;
	struct pb_letters *letters;
	uint64_t	 age_ms;
	struct bound	 bound[PB_UPSTREAMS_MAX];
	size_t		 count;
	int		 rc;		/* the last error, or 0 */
	struct pb_err	 err;
};

/* A step of what an operator asks for, one at a time. */
struct loop_step {
	struct pb_job	 job;
	enum { STEP_NONE, STEP_BEGUN, STEP_ENDED } state;
	const struct pb_letters_sum *of;	/* whose it is */
	struct pb_letters *letters;
	enum pb_control_verb verb;
	struct pb_letters_which which;	/* with the globs below */
	char		 upstream[PB_CONTROL_GLOB_MAX];
	char		 stream[PB_CONTROL_GLOB_MAX];
	char		 to[PB_NAME_BYTES_MAX + 1];
	struct pb_letters_sum sum;
	int		 rc;
	struct pb_err	 err;
};

/* Of which streams and upstreams letters are to be seen to. */
struct those {
	struct pb_loop	*loop;
	const char	*upstream;	/* glob; NULL: any */
	const char	*stream;	/* glob; NULL: any */
	bool		 hurry;
};

static void	run_fills(struct pb_loop *);
static int	check_fills(struct pb_loop *, uint64_t *, struct pb_err *);
static void	take_fill(struct pb_loop *, const struct pb_fill_info *);
static pb_control_handler handle;
static void	see_to(struct pb_loop *, const char *, const char *, bool);
static void	see_to_stream(void *, const struct pb_stream_info *);
static void	start_bounds(struct pb_loop *);
static void	keep_bounds(void *);
static void	keep_error(struct loop_bounds *, int, const struct pb_err *);
static int	bound_others(struct loop_bounds *, struct pb_err *);
static bool	has_bound(const struct loop_bounds *, const char *);
static int	bound_other(const struct loop_bounds *, const char *,
		    const struct pb_conf_upstream *, struct pb_err *);
static void	kept_bounds(void *);
static int	handle(void *, enum pb_control_verb,
		    const struct pb_letters_which *, struct pb_letters_sum *,
		    struct pb_err *);
static void	begin_step(struct pb_loop *, enum pb_control_verb,
		    const struct pb_letters_which *,
		    const struct pb_letters_sum *);
static void	run_step(void *);
static void	ended_step(void *);
static int	handled(struct pb_loop *, const struct loop_step *);
static void	add_late(void *, const struct pb_late *);
static void	keep_fills(void *);
static void	kept_fills(void *);

int
loop_letters_open(struct pb_loop *loop, struct pb_err *err)
{
	const char *store = loop->conf->store.path;
	struct pb_err later;
	int rc = pb_letters_open(&loop->letters, loop->state, store, err);

	if (rc < 0) {
		loop->letters = NULL;
		return rc;
	}
	loop->bounds = calloc(1, sizeof(*loop->bounds));
	loop->step = calloc(1, sizeof(*loop->step));
	loop->fills = calloc(1, sizeof(*loop->fills));
	if (loop->bounds == NULL || loop->step == NULL ||
	    loop->fills == NULL) {
		loop_letters_close(loop);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	/* Shipping needs no operator. */
	if (pb_control_create(&loop->control, store, handle, loop,
	    &later) < 0) {
		loop->control = NULL;
		loop_say(loop, later.text);
	}
	return 0;
}

void
loop_letters_close(struct pb_loop *loop)
{
	pb_control_destroy(loop->control);
	loop->control = NULL;
	if (loop->bounds != NULL)
		pb_worker_cancel(loop->keeper, &loop->bounds->job);
	if (loop->step != NULL)
		pb_worker_cancel(loop->keeper, &loop->step->job);
	if (loop->fills != NULL) {
		pb_worker_cancel(loop->keeper, &loop->fills->job);
		free(loop->fills->late);
	}
	free(loop->bounds);
	free(loop->step);
	free(loop->fills);
	loop->bounds = NULL;
	loop->step = NULL;
	loop->fills = NULL;
	pb_letters_close(loop->letters);
	loop->letters = NULL;
}

void
loop_letters_replaced(struct pb_loop *loop)
{
	struct pb_err err;

	loop->fills_checked = false;
	loop->fills_commits = 0;
	if (loop->fills != NULL) {
		pb_worker_cancel(loop->keeper, &loop->fills->job);
		loop->fills->busy = false;
	}
	if (loop->letters != NULL &&
	    pb_letters_fill_done(loop->letters, 0, &err) < 0)
		loop_say(loop, err.text);
}

void
loop_letters_run(struct pb_loop *loop, uint64_t now_ms)
{
	if (loop->letters == NULL)
		return;
	if (loop->index != NULL)
		run_fills(loop);
	if (now_ms >= loop->bound_ms && !loop->bounds->busy) {
		loop->bound_ms = now_ms + BOUND_MS;
		start_bounds(loop);
	}
	if (loop->control != NULL)
		pb_control_run(loop->control, now_ms);
}

unsigned
loop_letters_fds(const struct pb_loop *loop, int *fds, unsigned max)
{
	int count = 0;

	if (loop->control != NULL)
		count = pb_control_fds(loop->control, fds, (int)max);
	return count > 0 ? (unsigned)count : 0;
}

/* --- fills -------------------------------------------------------------- */

/* The next ones, unless some are being kept: which letters they make depends
 * on how far each upstream is now. */
static void
run_fills(struct pb_loop *loop)
{
	uint64_t commits = pb_index_commits(loop->index), after;
	struct loop_fills *fills = loop->fills;
	struct pb_err err;
	int rc;

	if (fills->busy || commits == loop->fills_commits)
		return;
	rc = check_fills(loop, &after, &err);
	if (rc == 0)
		rc = pb_index_fills(loop->index, after, fills->row,
		    FILLS_PAGE, &err);
	if (rc < 0)
		loop_say(loop, err.text);	/* tried again next turn */
	if (rc < (int)FILLS_PAGE && rc >= 0)
		loop->fills_commits = commits;
	if (rc <= 0)
		return;
	fills->rows = (size_t)rc;
	fills->lates = 0;
	fills->rc = 0;
	for (size_t i = 0; i < fills->rows; i++)
		take_fill(loop, &fills->row[i]);
	fills->busy = true;
	fills->job = (struct pb_job){ .run = keep_fills, .done = kept_fills,
	    .arg = loop };
	pb_worker_give(loop->keeper, &fills->job);
}

/*
 * The number to go on behind.  An index that was rebuilt while no shipper
 * ran does not have the last one seen: its numbers began anew.
 */
static int
check_fills(struct pb_loop *loop, uint64_t *after, struct pb_err *err)
{
	struct pb_fill_info row;
	int rc = pb_letters_fill(loop->letters, after, err);

	if (rc < 0 || *after == 0 || loop->fills_checked)
		return rc < 0 ? rc : 0;
	rc = pb_index_fills(loop->index, *after - 1, &row, 1, err);
	if (rc == 0)
		*after = 0;
	loop->fills_checked = rc >= 0;
	return rc < 0 ? rc : 0;
}

static void
take_fill(struct pb_loop *loop, const struct pb_fill_info *fill)
{
	const struct pb_stream_info *stream =
	    pb_watch_stream(loop->watch, fill->stream);

	for (size_t u = 0; stream != NULL && u < loop->upstreams; u++)
		pb_upstream_fill(loop->upstream[u], stream, fill->first,
		    fill->last, add_late, loop->fills);
}

static void
add_late(void *arg, const struct pb_late *late)
{
	struct loop_fills *fills = arg;
	size_t cap = fills->cap > 0 ? fills->cap * 2 : FILLS_PAGE;
	struct pb_late *grown;

	if (fills->lates == fills->cap) {
		grown = realloc(fills->late, cap * sizeof(*grown));
		if (grown == NULL) {
			fills->rc = pb_err_set(&fills->err, PB_ENOMEM,
			    "no memory for late packets");
			return;
		}
		fills->late = grown;
		fills->cap = cap;
	}
	fills->late[fills->lates++] = *late;
}

/* On the keeper's thread: all of them or none. */
static void
keep_fills(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_fills *fills = loop->fills;
	int rc = fills->rc, done;

	if (rc < 0)
		return;
	rc = pb_state_begin(loop->state, &fills->err);
	for (size_t i = 0; i < fills->lates && rc == 0; i++) {
		const struct pb_late *late = &fills->late[i];

		rc = pb_letters_late(loop->letters, late->upstream,
		    &late->key, late->first, late->last, &fills->err);
	}
	if (rc == 0)
		rc = pb_letters_fill_done(loop->letters,
		    fills->row[fills->rows - 1].number, &fills->err);
	done = pb_state_commit(loop->state);
	fills->rc = rc < 0 ? rc : done;
}

static void
kept_fills(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_fills *fills = loop->fills;
	const struct pb_stream_info *stream;

	fills->busy = false;
	if (fills->rc < 0) {
		loop_say(loop, fills->err.text);
		loop->fills_commits = 0;	/* tried again */
		return;
	}
	/* What is released may have gone back: retention is to know. */
	loop->report_ms = 0;
	for (size_t i = 0; i < fills->rows; i++) {
		stream = loop->index == NULL ? NULL :
		    pb_watch_stream(loop->watch, fills->row[i].stream);
		for (size_t u = 0; stream != NULL && u < loop->upstreams; u++)
			pb_upstream_late(loop->upstream[u], stream, false);
	}
}

/* --- bounds and operators ----------------------------------------------- */

/* What there is to keep, from one configuration. */
static void
start_bounds(struct pb_loop *loop)
{
	struct loop_bounds *bounds = loop->bounds;
	const struct pb_conf *conf = loop->conf;

	bounds->count = 0;
	for (size_t i = 0; i < conf->upstreams; i++) {
		const struct pb_conf_upstream *of = &conf->upstream[i];
		struct bound *b = &bounds->bound[bounds->count++];

		*b = (struct bound){ .bytes_max = of->dead_letters_max,
		    .age_ms_max = of->dead_letters_age_ms };
		strcpy(b->name, of->name);
	}
	bounds->letters = loop->letters;
	bounds->busy = true;
	bounds->job = (struct pb_job){ .run = keep_bounds,
	    .done = kept_bounds, .arg = loop };
	pb_worker_give(loop->keeper, &bounds->job);
}

/* On the keeper's thread. */
static void
keep_bounds(void *arg)
{
	struct loop_bounds *bounds = ((struct pb_loop *)arg)->bounds;
	struct pb_age_now now;
	struct pb_err err;

	pb_age_look(&now);
	bounds->age_ms = pb_letters_age(bounds->letters, &now);
	bounds->rc = 0;
	for (size_t i = 0; i < bounds->count; i++) {
		struct bound *b = &bounds->bound[i];

		b->went = pb_letters_bound(bounds->letters, b->name,
		    b->bytes_max, b->age_ms_max, bounds->age_ms, &err);
		keep_error(bounds, b->went, &err);
		/* Here, as its upstream may not have begun. */
		if (b->went > 0)
			pb_log(PB_LOG_WARN, "shipper", "the %d oldest dead "
			    "letters were dropped: dead_letters_max is %"
			    PRIu64 " bytes, dead_letters_age %" PRIu64
			    " s upstream=%s", b->went, b->bytes_max,
			    b->age_ms_max / 1000, b->name);
	}
	keep_error(bounds, bound_others(bounds, &err), &err);
}

static void
keep_error(struct loop_bounds *bounds, int rc, const struct pb_err *err)
{
	if (rc >= 0)
		return;
	bounds->rc = rc;
	bounds->err = *err;
}

/* Upstreams without a section have letters, too: the defaults bound them. */
static int
bound_others(struct loop_bounds *bounds, struct pb_err *err)
{
	char name[NAMES_PAGE][PB_NAME_BYTES_MAX + 1], after[sizeof(name[0])];
	struct pb_conf_upstream defaults;
	int n = NAMES_PAGE, rc;

	rc = pb_conf_upstream_defaults(&defaults, err);
	after[0] = '\0';
	while (rc >= 0 && n == NAMES_PAGE) {
		rc = n = pb_letters_upstreams(bounds->letters, after, name,
		    NAMES_PAGE, err);
		for (int i = 0; i < n && rc >= 0; i++)
			if (!has_bound(bounds, name[i]))
				rc = bound_other(bounds, name[i], &defaults,
				    err);
		if (n > 0)
			strcpy(after, name[n - 1]);
	}
	return rc;
}

static bool
has_bound(const struct loop_bounds *bounds, const char *name)
{
	for (size_t i = 0; i < bounds->count; i++)
		if (strcmp(bounds->bound[i].name, name) == 0)
			return true;
	return false;
}

static int
bound_other(const struct loop_bounds *bounds, const char *name,
    const struct pb_conf_upstream *defaults, struct pb_err *err)
{
	int rc = pb_letters_bound(bounds->letters, name,
	    defaults->dead_letters_max, defaults->dead_letters_age_ms,
	    bounds->age_ms, err);

	if (rc > 0)
		pb_log(PB_LOG_WARN, "shipper", "the %d oldest dead letters of "
		    "an upstream that is not configured were dropped: they "
		    "have the bounds of dead_letters_max and "
		    "dead_letters_age by default upstream=%s", rc, name);
	return rc < 0 ? rc : pb_letters_forget(bounds->letters, name, err);
}

/* On the loop's. */
static void
kept_bounds(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_bounds *bounds = loop->bounds;
	struct pb_err err;

	bounds->busy = false;
	if (bounds->rc < 0)
		loop_say(loop, bounds->err.text);
	for (size_t i = 0; i < bounds->count; i++)
		if (bounds->bound[i].went > 0)
			see_to(loop, bounds->bound[i].name, NULL, false);
	for (size_t u = 0; u < loop->upstreams; u++)
		if (pb_upstream_again(loop->upstream[u], &err) < 0)
			loop_say(loop, err.text);
}

static int
handle(void *arg, enum pb_control_verb verb,
    const struct pb_letters_which *asked, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	struct pb_loop *loop = arg;
	struct loop_step *step = loop->step;

	if (step->state != STEP_NONE && (step->state != STEP_ENDED ||
	    step->of != sum))
		return PB_CONTROL_WAITS;
	if (step->state == STEP_ENDED) {
		step->state = STEP_NONE;
		*sum = step->sum;
		*err = step->err;
		if (step->rc != 1)
			return handled(loop, step);
	}
	begin_step(loop, verb, asked, sum);
	return PB_CONTROL_WAITS;
}

/* The configuration stays as it is while a step is done: report_last(). */
static void
begin_step(struct pb_loop *loop, enum pb_control_verb verb,
    const struct pb_letters_which *asked, const struct pb_letters_sum *sum)
{
	struct loop_step *step = loop->step;

	step->state = STEP_BEGUN;
	step->of = sum;
	step->sum = *sum;
	step->letters = loop->letters;
	step->verb = verb;
	snprintf(step->upstream, sizeof(step->upstream), "%s",
	    asked->upstream);
	snprintf(step->stream, sizeof(step->stream), "%s", asked->stream);
	snprintf(step->to, sizeof(step->to), "%s", asked->to);
	step->which = (struct pb_letters_which){ .upstream = step->upstream,
	    .stream = step->stream, .first = asked->first, .to = step->to,
	    .ships = pb_conf_ships, .arg = loop->conf };
	step->job = (struct pb_job){ .run = run_step, .done = ended_step,
	    .arg = step };
	pb_worker_give(loop->keeper, &step->job);
}

/* On the keeper's thread. */
static void
run_step(void *arg)
{
	struct loop_step *step = arg;

	step->rc = step->verb == PB_CONTROL_REQUEUE ?
	    pb_letters_requeue(step->letters, &step->which, &step->sum,
	    &step->err) : step->verb == PB_CONTROL_MOVE ?
	    pb_letters_move(step->letters, &step->which, &step->sum,
	    &step->err) :
	    pb_letters_purge(step->letters, &step->which, &step->sum,
	    &step->err);
}

static void
ended_step(void *arg)
{
	struct loop_step *step = arg;

	step->state = STEP_ENDED;
}

/* The last step of a request has ended. */
static int
handled(struct pb_loop *loop, const struct loop_step *step)
{
	static const char *const done[] = { [PB_CONTROL_REQUEUE] = "requeued",
	    [PB_CONTROL_PURGE] = "purged", [PB_CONTROL_MOVE] = "moved" };

	see_to(loop, step->verb == PB_CONTROL_MOVE ? step->to :
	    step->upstream, step->stream, step->verb != PB_CONTROL_PURGE);
	if (step->rc == 0)
		pb_log(PB_LOG_INFO, "shipper", "dead letters %s letters=%llu "
		    "packets=%llu", done[step->verb],
		    (unsigned long long)step->sum.letters,
		    (unsigned long long)step->sum.packets);
	return step->rc;
}

static void
see_to(struct pb_loop *loop, const char *upstream, const char *stream,
    bool hurry)
{
	struct those those = { .loop = loop, .upstream = upstream,
	    .stream = stream, .hurry = hurry };

	if (loop->index != NULL)
		pb_watch_each(loop->watch, see_to_stream, &those);
}

static void
see_to_stream(void *arg, const struct pb_stream_info *stream)
{
	const struct those *those = arg;
	struct pb_loop *loop = those->loop;
	char name[PB_STREAM_NAME_MAX];

	if (those->stream != NULL && !pb_glob_match(those->stream,
	    pb_stream_name(name, &stream->key)))
		return;
	for (size_t i = 0; i < loop->upstreams; i++) {
		struct pb_upstream *u = loop->upstream[i];

		if (those->upstream == NULL || pb_glob_match(those->upstream,
		    pb_upstream_conf(u)->name))
			pb_upstream_late(u, stream, those->hurry);
	}
}
