/*
 * shipper/loop_letters.c - dead letters and late packets, turn by turn
 *
 * Packets that came late and filled a gap here fill it upstream as well:
 * the index keeps a list of such fills, each becomes a letter of every
 * upstream that may have been told of the gap, and the number of the last
 * one seen is committed with them, so that none is lost or made twice.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "shipper/loop_impl.h"

#define BOUND_MS	1000u	/* between looks at the bounds */
#define FILLS_PAGE	64u
#define NAMES_PAGE	16	/* of upstreams without a section */
#define FILLS_PAGES_MAX	16u	/* of a turn */
#define TURN_MS		200u	/* at most between two turns */

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

/* Of which streams and upstreams letters are to be seen to. */
struct those {
	struct pb_loop	*loop;
	const char	*upstream;	/* glob; NULL: any */
	const char	*stream;	/* glob; NULL: any */
	bool		 hurry;
};

static void	run_fills(struct pb_loop *);
static int	check_fills(struct pb_loop *, uint64_t *, struct pb_err *);
static int	take_fills(struct pb_loop *, const struct pb_fill_info *, int,
		    struct pb_err *);
static int	take_fill(struct pb_loop *, const struct pb_fill_info *,
		    struct pb_err *);
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
static void	run_again(struct pb_loop *);
static int	handle(void *, enum pb_control_verb,
		    const struct pb_letters_which *, struct pb_letters_sum *,
		    struct pb_err *);

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
	if (loop->bounds == NULL) {
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
	free(loop->bounds);
	loop->bounds = NULL;
	pb_letters_close(loop->letters);
	loop->letters = NULL;
}

void
loop_letters_replaced(struct pb_loop *loop)
{
	struct pb_err err;

	loop->fills_checked = false;
	loop->fills_commits = 0;
	if (loop->letters != NULL &&
	    pb_letters_fill_done(loop->letters, 0, &err) < 0)
		loop_say(loop, err.text);
}

/* Who writes waits for the keeper, so this has its turn between two of its
 * jobs, if there is one. */
void
loop_letters_run(struct pb_loop *loop, uint64_t now_ms)
{
	if (loop->letters == NULL)
		return;
	if (now_ms >= loop->bound_ms && !loop->bounds->busy) {
		loop->bound_ms = now_ms + BOUND_MS;
		start_bounds(loop);
	}
	if (pb_worker_busy(loop->keeper) &&
	    now_ms < loop->letters_ms + TURN_MS)
		return;
	loop->letters_ms = now_ms;
	if (loop->index != NULL)
		run_fills(loop);
	if (loop->again_due)
		run_again(loop);
	if (loop->control != NULL)
		pb_control_run(loop->control, now_ms);
}

unsigned
loop_letters_fds(const struct pb_loop *loop, int *fds, unsigned max)
{
	int count = 0;

	/* It is not its turn: the keeper wakes the loop. */
	if (loop->control != NULL && !pb_worker_busy(loop->keeper))
		count = pb_control_fds(loop->control, fds, (int)max);
	return count > 0 ? (unsigned)count : 0;
}

/* --- fills -------------------------------------------------------------- */

static void
run_fills(struct pb_loop *loop)
{
	uint64_t commits = pb_index_commits(loop->index), after;
	struct pb_fill_info row[FILLS_PAGE];
	struct pb_err err;
	int count = (int)FILLS_PAGE, rc;

	if (commits == loop->fills_commits)
		return;
	rc = check_fills(loop, &after, &err);
	for (unsigned i = 0; i < FILLS_PAGES_MAX && rc == 0 &&
	    count == (int)FILLS_PAGE; i++) {
		count = pb_index_fills(loop->index, after, row, FILLS_PAGE,
		    &err);
		if (count <= 0) {
			rc = count;
			break;
		}
		rc = take_fills(loop, row, count, &err);
		after = row[count - 1].number;
	}
	if (rc < 0)
		loop_say(loop, err.text);	/* tried again next turn */
	else if (count < (int)FILLS_PAGE)
		loop->fills_commits = commits;
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

static int
take_fills(struct pb_loop *loop, const struct pb_fill_info *row, int count,
    struct pb_err *err)
{
	const struct pb_stream_info *stream;
	int rc, done;

	rc = pb_state_begin(loop->state, err);
	for (int i = 0; i < count && rc == 0; i++)
		rc = take_fill(loop, &row[i], err);
	if (rc == 0)
		rc = pb_letters_fill_done(loop->letters,
		    row[count - 1].number, err);
	done = pb_state_commit(loop->state);
	if (rc < 0 || done < 0)
		return rc < 0 ? rc : done;
	/* What is released may have gone back: retention is to know. */
	loop->report_ms = 0;
	for (int i = 0; i < count; i++) {
		stream = pb_watch_stream(loop->watch, row[i].stream);
		for (size_t u = 0; stream != NULL && u < loop->upstreams; u++)
			pb_upstream_late(loop->upstream[u], stream, false);
	}
	return 0;
}

static int
take_fill(struct pb_loop *loop, const struct pb_fill_info *fill,
    struct pb_err *err)
{
	const struct pb_stream_info *stream =
	    pb_watch_stream(loop->watch, fill->stream);
	int rc = 0;

	for (size_t u = 0; stream != NULL && u < loop->upstreams && rc >= 0;
	    u++)
		rc = pb_upstream_fill(loop->upstream[u], stream, fill->first,
		    fill->last, err);
	return rc < 0 ? rc : 0;
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

	bounds->busy = false;
	loop->again_due = true;
	if (bounds->rc < 0)
		loop_say(loop, bounds->err.text);
	for (size_t i = 0; i < bounds->count; i++) {
		const struct bound *b = &bounds->bound[i];

		for (size_t u = 0; b->went > 0 && u < loop->upstreams; u++)
			if (strcmp(pb_upstream_conf(loop->upstream[u])->name,
			    b->name) == 0) {
				pb_upstream_bounded(loop->upstream[u],
				    b->went);
				see_to(loop, b->name, NULL, false);
			}
	}
}

static void
run_again(struct pb_loop *loop)
{
	struct pb_err err;

	loop->again_due = false;
	for (size_t i = 0; i < loop->upstreams; i++)
		if (pb_upstream_again(loop->upstream[i], &err) < 0)
			loop_say(loop, err.text);
}

static int
handle(void *arg, enum pb_control_verb verb,
    const struct pb_letters_which *asked, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	struct pb_loop *loop = arg;
	struct pb_letters_which which = *asked;
	static const char *const done[] = { [PB_CONTROL_REQUEUE] = "requeued",
	    [PB_CONTROL_PURGE] = "purged", [PB_CONTROL_MOVE] = "moved" };
	int rc;

	which.ships = pb_conf_ships;
	which.arg = loop->conf;
	rc = verb == PB_CONTROL_REQUEUE ?
	    pb_letters_requeue(loop->letters, &which, sum, err) :
	    verb == PB_CONTROL_MOVE ?
	    pb_letters_move(loop->letters, &which, sum, err) :
	    pb_letters_purge(loop->letters, &which, sum, err);
	if (rc == 1)
		return 1;
	see_to(loop, verb == PB_CONTROL_MOVE ? which.to : which.upstream,
	    which.stream, verb != PB_CONTROL_PURGE);
	if (rc == 0)
		pb_log(PB_LOG_INFO, "shipper", "dead letters %s letters=%llu "
		    "packets=%llu", done[verb],
		    (unsigned long long)sum->letters,
		    (unsigned long long)sum->packets);
	return rc;
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
