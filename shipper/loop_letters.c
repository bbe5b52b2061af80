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
 * one seen for an upstream is committed with them, so that none is lost or made
 * twice.  Until then retention counts all of the fill as not acknowledged.
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
	struct pb_fill_info row[FILLS_PAGE];
	size_t		 rows;
	struct pb_seen	 seen[PB_UPSTREAMS_MAX];	/* as loop->upstream */
	size_t		 seens;
	struct pb_lates	 lates;		/* letters they make */
	int		 rc;
	struct pb_err	 err;
};

struct loop_bounds {
	struct pb_job	 job;
	bool		 busy;
	int		 went[PB_UPSTREAMS_MAX];	/* as configured */
	int		 rc;		/* the last error, or 0 */
	struct pb_err	 err;
};

/* A step of what an operator asks for, one at a time. */
struct loop_step {
	struct pb_job	 job;
	enum { STEP_NONE, STEP_BEGUN, STEP_ENDED } state;
	struct pb_control_request *request;	/* which; borrowed */
	int		 rc;
	struct pb_err	 err;
};

/* All that is done here by turns. */
struct loop_work {
	struct loop_fills fills;
	struct loop_bounds bounds;
	struct loop_step step;
};

/* Of which streams and upstreams letters are to be seen to. */
struct those {
	struct pb_loop	*loop;
	const char	*upstream;	/* glob; NULL: any */
	const char	*stream;	/* glob; NULL: any */
	bool		 hurry;
};

static void	run_fills(struct pb_loop *);
static int	look_fills(struct pb_loop *, struct pb_err *);
static int	check_seen(struct pb_loop *, struct pb_seen *, struct pb_err *);
static void	take_fill(struct pb_loop *, const struct pb_fill_info *);
static void	keep_fills(void *);
static void	kept_fills(void *);
static void	keep_bounds(void *);
static int	bound_others(struct pb_loop *, uint64_t, struct pb_err *);
static int	bound_other(struct pb_loop *, const char *,
		    const struct pb_conf_upstream *, uint64_t,
		    struct pb_err *);
static void	kept_bounds(void *);
static pb_control_handler handle;
static void	run_step(void *);
static void	ended_step(void *);
static int	handled(struct pb_loop *, const struct loop_step *);
static void	see_to(struct pb_loop *, const char *, const char *, bool);
static void	see_to_stream(void *, const struct pb_stream_info *);

int
loop_letters_open(struct pb_loop *loop, struct pb_err *err)
{
	struct pb_err later;
	int rc = pb_letters_open(&loop->letters, loop->state, loop->store,
	    err);

	if (rc < 0) {
		loop->letters = NULL;
		return rc;
	}
	loop->work = calloc(1, sizeof(*loop->work));
	if (loop->work == NULL) {
		loop_letters_close(loop);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	loop->work->fills.job = (struct pb_job){ .run = keep_fills,
	    .done = kept_fills, .arg = loop };
	loop->work->bounds.job = (struct pb_job){ .run = keep_bounds,
	    .done = kept_bounds, .arg = loop };
	loop->work->step.job = (struct pb_job){ .run = run_step,
	    .done = ended_step, .arg = loop };
	/* Shipping needs no operator. */
	if (pb_control_create(&loop->control, loop->store, handle, loop,
	    &later) < 0) {
		loop->control = NULL;
		loop_say(loop, later.text);
	}
	return 0;
}

void
loop_letters_close(struct pb_loop *loop)
{
	loop_told_stop(loop);
	/* The step's request is the control's. */
	if (loop->work != NULL) {
		pb_worker_cancel(loop->keeper, &loop->work->bounds.job);
		pb_worker_cancel(loop->keeper, &loop->work->step.job);
		pb_worker_cancel(loop->keeper, &loop->work->fills.job);
		free(loop->work->fills.lates.at);
		loop->fills_busy = false;
	}
	free(loop->work);
	loop->work = NULL;
	pb_control_destroy(loop->control);
	loop->control = NULL;
	pb_letters_close(loop->letters);
	loop->letters = NULL;
}

void
loop_letters_replaced(struct pb_loop *loop)
{
	loop->fills_commits = 0;
	if (loop->work == NULL)
		return;
	pb_worker_cancel(loop->keeper, &loop->work->fills.job);
	loop->fills_busy = false;
}

void
loop_letters_run(struct pb_loop *loop, uint64_t now_ms)
{
	if (loop->letters == NULL)
		return;
	if (loop->index != NULL)
		run_fills(loop);
	if (now_ms >= loop->bound_ms && !loop->work->bounds.busy) {
		loop->bound_ms = now_ms + BOUND_MS;
		loop->work->bounds.busy = true;
		pb_worker_give(loop->keeper, &loop->work->bounds.job);
	}
	if (loop->control != NULL)
		pb_control_run(loop->control, now_ms);
}

/* --- fills -------------------------------------------------------------- */

/* The next ones, unless some are being kept: which letters they make depends
 * on how far each upstream is now. */
static void
run_fills(struct pb_loop *loop)
{
	uint64_t commits = pb_index_commits(loop->index);
	struct loop_fills *fills = &loop->work->fills;
	struct pb_err err;
	int rc;

	if (loop->fills_busy || commits == loop->fills_commits)
		return;
	rc = look_fills(loop, &err);
	if (rc < 0)
		loop_say(loop, err.text);	/* tried again next turn */
	if (rc < (int)FILLS_PAGE && rc >= 0)
		loop->fills_commits = commits;
	if (rc <= 0)
		return;
	fills->rows = (size_t)rc;
	fills->lates.count = 0;
	fills->lates.failed = false;
	for (size_t i = 0; i < fills->rows; i++)
		take_fill(loop, &fills->row[i]);
	loop->fills_busy = true;
	pb_worker_give(loop->keeper, &fills->job);
}

/* Those behind the last one that all upstreams have seen; their count. */
static int
look_fills(struct pb_loop *loop, struct pb_err *err)
{
	struct loop_fills *fills = &loop->work->fills;
	struct pb_fill_info after = { .number = UINT64_MAX };
	int rc;

	fills->seens = loop->upstreams;
	for (size_t u = 0; u < fills->seens; u++)
		strcpy(fills->seen[u].upstream,
		    pb_upstream_conf(loop->upstream[u])->name);
	rc = pb_letters_seen(loop->letters, fills->seen, fills->seens, err);
	for (size_t u = 0; u < fills->seens && rc == 0; u++) {
		rc = check_seen(loop, &fills->seen[u], err);
		if (fills->seen[u].fill < after.number)
			after.number = fills->seen[u].fill;
	}
	return rc < 0 || fills->seens == 0 ? rc : pb_index_rows(loop->index,
	    PB_TABLE_FILLS, &after, fills->row, FILLS_PAGE, err);
}

/* One that the list does not have is of an index of before, or so old that
 * others have gone since: from the oldest on. */
static int
check_seen(struct pb_loop *loop, struct pb_seen *seen, struct pb_err *err)
{
	struct pb_fill_info row;
	int rc;

	if (seen->fill == 0)
		return 0;
	rc = pb_index_rows(loop->index, PB_TABLE_FILLS, &(struct pb_fill_info){
	    .number = seen->fill - 1 }, &row, 1, err);
	if (rc == 0 || (rc == 1 && row.number != seen->fill))
		seen->fill = 0;
	return rc < 0 ? rc : 0;
}

static void
take_fill(struct pb_loop *loop, const struct pb_fill_info *fill)
{
	const struct pb_stream_info *stream =
	    pb_watch_stream(loop->watch, fill->stream);
	struct loop_fills *fills = &loop->work->fills;

	for (size_t u = 0; u < fills->seens; u++) {
		if (fills->seen[u].fill >= fill->number)
			continue;
		fills->seen[u].fill = fill->number;
		if (stream != NULL)
			pb_upstream_fill(loop->upstream[u], stream,
			    fill->first, fill->last, &fills->lates);
	}
}

/* On the keeper's thread: all of them or none. */
static void
keep_fills(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_fills *fills = &loop->work->fills;

	if (fills->lates.failed)
		fills->rc = pb_err_set(&fills->err, PB_ENOMEM,
		    "no memory for late packets");
	else
		fills->rc = pb_letters_late(loop->letters, fills->lates.at,
		    fills->lates.count, fills->seen, fills->seens,
		    &fills->err);
}

static void
kept_fills(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_fills *fills = &loop->work->fills;
	const struct pb_stream_info *stream;

	loop->fills_busy = false;
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

/* On the keeper's thread.  The configuration stays as it is meanwhile:
 * report_last(). */
static void
keep_bounds(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_bounds *bounds = &loop->work->bounds;
	struct pb_age_now now;
	uint64_t age_ms;
	int rc;

	pb_age_look(NULL, &now);
	age_ms = pb_letters_age(loop->letters, &now);
	bounds->rc = 0;
	for (size_t i = 0; i < loop->conf->upstreams; i++) {
		const struct pb_conf_upstream *of = &loop->conf->upstream[i];
		const struct pb_letters_bounds b = {
		    .bytes_max = of->dead_letters_max,
		    .age_ms_max = of->dead_letters_age_ms, .age_ms = age_ms };

		rc = bounds->went[i] = pb_letters_bound(loop->letters,
		    of->name, &b, &bounds->err);
		if (rc < 0)
			bounds->rc = rc;
		/* Here, as its upstream may not have begun. */
		if (rc > 0)
			pb_log(PB_LOG_WARN, "shipper", "the %d oldest dead "
			    "letters were dropped: dead_letters_max is %"
			    PRIu64 " bytes, dead_letters_age %" PRIu64
			    " s upstream=%s", rc, of->dead_letters_max,
			    of->dead_letters_age_ms / 1000, of->name);
	}
	rc = bound_others(loop, age_ms, &bounds->err);
	if (rc < 0)
		bounds->rc = rc;
}

/* Upstreams without a section have letters, too: the defaults bound them. */
static int
bound_others(struct pb_loop *loop, uint64_t age_ms, struct pb_err *err)
{
	char name[NAMES_PAGE][PB_NAME_BYTES_MAX + 1], after[sizeof(name[0])];
	struct pb_conf_upstream defaults;
	int n = NAMES_PAGE, rc;

	rc = pb_conf_upstream_defaults(&defaults, err);
	after[0] = '\0';
	while (rc >= 0 && n == NAMES_PAGE) {
		rc = n = pb_letters_upstreams(loop->letters, after, name,
		    NAMES_PAGE, err);
		for (int i = 0; i < n && rc >= 0; i++)
			if (pb_conf_upstream(loop->conf, name[i]) == NULL)
				rc = bound_other(loop, name[i], &defaults,
				    age_ms, err);
		if (n > 0)
			strcpy(after, name[n - 1]);
	}
	return rc;
}

static int
bound_other(struct pb_loop *loop, const char *name,
    const struct pb_conf_upstream *defaults, uint64_t age_ms,
    struct pb_err *err)
{
	const struct pb_letters_bounds of = { .nobody = true,
	    .bytes_max = defaults->dead_letters_max,
	    .age_ms_max = defaults->dead_letters_age_ms, .age_ms = age_ms };
	int rc = pb_letters_bound(loop->letters, name, &of, err);

	if (rc > 0)
		pb_log(PB_LOG_WARN, "shipper", "the %d oldest dead letters of "
		    "an upstream that is not configured were dropped: they "
		    "have the bounds of dead_letters_max and "
		    "dead_letters_age by default upstream=%s", rc, name);
	return rc;
}

/* On the loop's. */
static void
kept_bounds(void *arg)
{
	struct pb_loop *loop = arg;
	struct loop_bounds *bounds = &loop->work->bounds;
	struct pb_err err;

	bounds->busy = false;
	if (bounds->rc < 0)
		loop_say(loop, bounds->err.text);
	for (size_t i = 0; i < loop->conf->upstreams; i++)
		if (bounds->went[i] > 0)
			see_to(loop, loop->conf->upstream[i].name, NULL,
			    false);
	for (size_t u = 0; u < loop->upstreams; u++)
		if (pb_upstream_again(loop->upstream[u], &err) < 0)
			loop_say(loop, err.text);
}

static int
handle(void *arg, struct pb_control_request *request, struct pb_err *err)
{
	struct pb_loop *loop = arg;
	struct loop_step *step = &loop->work->step;

	if (request->verb == PB_CONTROL_METRICS)
		return loop_told(loop, request, err);
	if (step->state != STEP_NONE && (step->state != STEP_ENDED ||
	    step->request != request))
		return 1;
	if (step->state == STEP_ENDED && step->rc != 1) {
		step->state = STEP_NONE;
		*err = step->err;
		return handled(loop, step);
	}
	step->state = STEP_BEGUN;
	step->request = request;
	/* It stays as it is while a step is done: report_last(). */
	request->which.ships = pb_conf_ships;
	request->which.arg = loop->conf;
	pb_worker_give(loop->keeper, &step->job);
	return 1;
}

/* On the keeper's thread. */
static void
run_step(void *arg)
{
	static int (*const steps[])(struct pb_letters *,
	    const struct pb_letters_which *, struct pb_letters_sum *,
	    struct pb_err *) = { [PB_CONTROL_REQUEUE] = pb_letters_requeue,
	    [PB_CONTROL_PURGE] = pb_letters_purge,
	    [PB_CONTROL_MOVE] = pb_letters_move };
	struct pb_loop *loop = arg;
	struct loop_step *step = &loop->work->step;

	struct pb_control_request *request = step->request;

	step->rc = steps[request->verb](loop->letters, &request->which,
	    &request->sum, &step->err);
}

static void
ended_step(void *arg)
{
	struct pb_loop *loop = arg;

	loop->work->step.state = STEP_ENDED;
}

/* The last step of a request has ended. */
static int
handled(struct pb_loop *loop, const struct loop_step *step)
{
	static const char *const done[] = { [PB_CONTROL_REQUEUE] = "requeued",
	    [PB_CONTROL_PURGE] = "purged", [PB_CONTROL_MOVE] = "moved" };

	const struct pb_control_request *r = step->request;

	see_to(loop, r->verb == PB_CONTROL_MOVE ? r->to : r->upstream,
	    r->stream, r->verb != PB_CONTROL_PURGE);
	if (step->rc == 0)
		pb_log(PB_LOG_INFO, "shipper", "dead letters %s letters=%"
		    PRIu64 " packets=%" PRIu64, done[r->verb],
		    r->sum.letters, r->sum.packets);
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
