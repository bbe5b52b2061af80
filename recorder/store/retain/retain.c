/*
 * recorder/store/retain/retain.c - how much is kept: size, age, free space
 */
#include "recorder/store/retain/retain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "recorder/store/retain/retain_impl.h"

#define LOOK_MS		1000u	/* between looks at age and free space */
#define RETRY_MS	1000u	/* after a commit that failed */
/* So long what was unlinked counts as free: a reader may hold the file. */
#define PROMISE_MS	10000u

static void	copy_bounds(struct retain_bounds *,
		    const struct pb_retain_opts *);
static void	take_bounds(struct pb_retain *);
static int	measure(struct retain_run *, struct pb_err *);
static void	look_at_free(struct retain_run *);
static void	choose(struct retain_run *, enum retain_reason);
static bool	is_broken(const struct retain_run *, enum retain_reason,
		    uint64_t *, uint64_t *);
static bool	knows_acks(struct pb_retain *);
static void	put_off(struct retain_run *);
static int	delete_chosen(struct retain_run *);
/* Telling */
static void	say_why(struct retain_run *);
static void	why_size(struct retain_run *);
static void	why_free(struct retain_run *);
static void	why_foreign(struct retain_run *, enum retain_reason);
static void	add(struct retain_run *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

int
pb_retain_create(struct pb_retain **out, const char *store,
    const struct pb_retain_opts *opts, struct pb_err *err)
{
	struct pb_retain *retain = calloc(1, sizeof(*retain));
	int rc;

	if (retain == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pthread_mutex_init(&retain->lock, NULL);
	strcpy(retain->store, store);
	retain->batch_max = RETAIN_BATCH;
	for (int r = 0; r < RETAIN_REASONS; r++)
		retain->walk[r].sealed_before = UINT64_MAX;
	retain->walk[RETAIN_BY_FREE].must_free = true;
	rc = pb_retain_set(retain, opts, err);
	if (rc == 0)
		rc = pb_acks_create(&retain->acks, store, err);
	if (rc < 0) {
		pb_retain_destroy(retain);
		return rc;
	}
	*out = retain;
	return 0;
}

void
pb_retain_destroy(struct pb_retain *retain)
{
	if (retain == NULL)
		return;
	pb_acks_destroy(retain->acks);
	pthread_mutex_destroy(&retain->lock);
	free(retain);
}

void
pb_retain_wait(struct pb_retain *retain)
{
	take_bounds(retain);
	if (retain->bounds.opts.upstreams > 0)
		pb_acks_wait(retain->acks);
}

void
pb_retain_leave(struct pb_retain *retain)
{
	if (retain == NULL)
		return;
	pb_acks_leave(retain->acks);
	retain->doomed_count = 0;
	retain->denied.count = 0;
	retain->owing = (struct retain_owing){ .some = false };
	retain->promised = retain->last_free = 0;
	retain->commits = 0;
	retain->more = false;
	/* Each walk begins at the oldest. */
	for (int r = 0; r < RETAIN_REASONS; r++)
		retain->walk[r] = (struct retain_walk){
			.sealed_before = UINT64_MAX,
			.must_free = r == RETAIN_BY_FREE,
		};
}

int
pb_retain_set(struct pb_retain *retain, const struct pb_retain_opts *opts,
    struct pb_err *err)
{
	if (opts->upstreams > PB_RETAIN_UPSTREAMS_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %d upstreams",
		    PB_RETAIN_UPSTREAMS_MAX);
	pthread_mutex_lock(&retain->lock);
	copy_bounds(&retain->next, opts);
	retain->changed = true;
	pthread_mutex_unlock(&retain->lock);
	return 0;
}

void
pb_retain_stats(struct pb_retain *retain, struct pb_retain_stats *out)
{
	pthread_mutex_lock(&retain->lock);
	*out = retain->told;
	pthread_mutex_unlock(&retain->lock);
}

bool
pb_retain_due(struct pb_retain *retain, struct pb_index *index,
    uint64_t now_ms)
{
	uint64_t commits;

	take_bounds(retain);
	if (now_ms < retain->retry_ms)
		return false;
	commits = pb_index_commits(index);
	if (!retain->more && !retain->renewed && commits == retain->commits &&
	    now_ms - retain->ran_ms < LOOK_MS)
		return false;
	if (!knows_acks(retain))
		return false;
	retain->commits = commits;
	return true;
}

bool
pb_retain_run(struct pb_retain *retain, const struct pb_retain_view *view)
{
	struct retain_run run = { .retain = retain, .view = view,
	    .budget = RETAIN_LOOKS };
	struct pb_err err = { 0 };
	int rc;

	retain->ran_ms = view->now_ms;
	retain->renewed = retain->troubled = false;
	retain_unlink(retain, view->index);
	/* Where it cannot be had now, there may be some of it left. */
	pb_mdb_reserve(view->index->mdb, PB_INDEX_RESERVE_BYTES, NULL);
	rc = measure(&run, &err);
	if (rc < 0)
		retain_trouble(retain, "cannot read the index", &err);
	run.unsure = !knows_acks(retain);
	for (int r = 0; r < RETAIN_REASONS && rc == 0 && !run.unsure; r++)
		choose(&run, (enum retain_reason)r);
	if (run.unsure || !knows_acks(retain))
		put_off(&run);
	else if (run.count > 0)
		rc = delete_chosen(&run);
	if (!retain->troubled)
		retain->trouble[0] = '\0';
	/* With a full batch: the queue is looked at before the next one. */
	run.more = rc == 0 && (run.more || run.count == retain->batch_max);
	retain->more = run.more;
	retain->batch_max = rc == 0 ? RETAIN_BATCH : 1;
	retain->retry_ms = rc == 0 ? 0 : view->now_ms + RETRY_MS;
	say_why(&run);
	pthread_mutex_lock(&retain->lock);
	retain->told = retain->stats;
	pthread_mutex_unlock(&retain->lock);
	return run.more;
}

bool
pb_retain_wants_clock(struct pb_retain *retain)
{
	const struct pb_retain_opts *bounds = &retain->bounds.opts;
	bool changed;

	pthread_mutex_lock(&retain->lock);
	changed = retain->changed;
	pthread_mutex_unlock(&retain->lock);
	return changed || retain->owing.some || bounds->age_ms_max != 0 ||
	    bounds->min_free_bytes != 0 || bounds->min_free_percent != 0 ||
	    retain->trouble[0] != '\0' || retain->stats.why[0] != '\0';
}

/* --- deciding ------------------------------------------------------------ */

static void
copy_bounds(struct retain_bounds *to, const struct pb_retain_opts *from)
{
	to->opts = *from;
	to->opts.upstream = to->upstream;
	for (size_t i = 0; i < from->upstreams; i++)
		to->upstream[i] = from->upstream[i];
}

static void
take_bounds(struct pb_retain *retain)
{
	pthread_mutex_lock(&retain->lock);
	if (retain->changed) {
		copy_bounds(&retain->bounds, &retain->next.opts);
		retain->renewed = true;
		for (int r = 0; r < RETAIN_REASONS; r++)
			retain->walk[r].restart_ms =
			    retain->walk[r].commits = 0;
	}
	retain->changed = false;
	pthread_mutex_unlock(&retain->lock);
}

static int
measure(struct retain_run *run, struct pb_err *err)
{
	struct pb_retain *retain = run->retain;
	const struct pb_retain_view *view = run->view;
	struct pb_retain_stats *stats = &retain->stats;
	const struct pb_retain_opts *bounds = &retain->bounds.opts;
	struct pb_age_info oldest = { .sealed_at = 0 };
	struct pb_index_totals totals;
	int rc = pb_index_totals(view->index, &totals, err);

	if (rc == 0)
		rc = pb_index_rows(view->index, PB_TABLE_AGES, NULL, &oldest,
		    1, err);
	if (rc < 0)
		return rc;
	look_at_free(run);
	stats->bytes = run->bytes = totals.bytes;
	stats->segments = totals.segments;
	stats->oldest_ns = oldest.sealed_at == 0 ? 0 :
	    pb_age_time(oldest.sealed_at, view->age->ms, view->now_ns);
	stats->size_max = bounds->size_max;
	stats->age_ms_max = bounds->age_ms_max;
	stats->min_free = bounds->min_free_bytes != 0 ?
	    bounds->min_free_bytes :
	    run->disk / 100 * bounds->min_free_percent;
	run->commits = retain->commits + (bounds->upstreams > 0 ?
	    pb_acks_commits(retain->acks) : 0);
	return 0;
}

/* What is free, and what will be: a reader may hold a deleted file. */
static void
look_at_free(struct retain_run *run)
{
	struct pb_retain *retain = run->retain;
	uint64_t free_now, grown;
	struct statvfs fs;

	if (pb_below_statvfs(retain->store, &fs) < 0) {
		run->free = UINT64_MAX;
		return;
	}
	run->disk = (uint64_t)fs.f_blocks * fs.f_frsize;
	free_now = (uint64_t)fs.f_bavail * fs.f_frsize;
	grown = free_now > retain->last_free ? free_now - retain->last_free :
	    0;
	if (grown >= retain->promised ||
	    run->view->now_ms >= retain->promised_until_ms)
		retain->promised = 0;
	else
		retain->promised -= grown;
	retain->stats.free = retain->last_free = free_now;
	run->free = free_now + retain->promised;
}

/* As many as this bound asks for, on top of what is chosen already. */
static void
choose(struct retain_run *run, enum retain_reason reason)
{
	struct pb_retain *retain = run->retain;
	struct retain_walk *walk = &retain->walk[reason];
	size_t room = RETAIN_DOOMED - retain->doomed_count;
	size_t max = room < retain->batch_max ? room : retain->batch_max;
	uint64_t have, bound;
	enum retain_found found = RETAIN_FOUND;

	retain_refresh(run, walk);
	if (reason == RETAIN_BY_AGE) {
		const struct pb_age *age = run->view->age;
		uint64_t max_ms = retain->bounds.opts.age_ms_max;

		/* All of these go, whoever waits for them. */
		retain_restart(run, walk);
		walk->phase = RETAIN_UNACKED;
		walk->sealed_before = age->ms - age->known_ms > max_ms ?
		    pb_age_key(age->ms - max_ms) : 0;
	}
	retain_begin(run, walk);
	while (found == RETAIN_FOUND && run->count < max &&
	    is_broken(run, reason, &have, &bound)) {
		struct retain_victim *victim = &run->victim[run->count];

		found = retain_look(run, walk, victim);
		if (found != RETAIN_FOUND)
			break;
		victim->reason = reason;
		victim->have = reason != RETAIN_BY_AGE ? have :
		    pb_age_since(victim->expiry.segment.sealed_at,
		    run->view->age->ms) / 1000;
		victim->bound = bound;
		run->bytes -= victim->expiry.segment.bytes;
		run->free += victim->frees;
		run->count++;
	}
	run->more |= found == RETAIN_LATER;
	run->stuck[reason] = found == RETAIN_NONE;
}

/* With the figures for the log. */
static bool
is_broken(const struct retain_run *run, enum retain_reason reason,
    uint64_t *have, uint64_t *bound)
{
	const struct pb_retain_stats *stats = &run->retain->stats;

	switch (reason) {
	case RETAIN_BY_AGE:
		*have = 0;
		*bound = stats->age_ms_max / 1000;
		return stats->age_ms_max != 0;
	case RETAIN_BY_SIZE:
		*have = run->bytes;
		*bound = stats->size_max;
		return *bound != 0 && *have > *bound;
	default:
		*have = run->free;
		*bound = stats->min_free;
		return *have < *bound;
	}
}

/* What goes first, and what becomes a gap, hangs on it. */
static bool
knows_acks(struct pb_retain *retain)
{
	return retain->bounds.opts.upstreams == 0 ||
	    pb_acks_known(retain->acks);
}

/* Nothing goes now; what was judged is judged again. */
static void
put_off(struct retain_run *run)
{
	run->count = 0;
	run->more = true;
	for (int r = 0; r < RETAIN_REASONS; r++)
		retain_restart(run, &run->retain->walk[r]);
}

static int
delete_chosen(struct retain_run *run)
{
	struct pb_retain *retain = run->retain;
	struct pb_err err;
	int rc = retain_delete(run, &err);

	if (rc < 0) {
		for (int r = 0; r < RETAIN_REASONS; r++)
			retain_restart(run, &retain->walk[r]);
		retain_trouble(retain, "cannot take segments out of the "
		    "index", &err);
		return rc;
	}
	for (size_t i = 0; i < run->count; i++)
		retain->promised += run->victim[i].frees;
	retain->promised_until_ms = run->view->now_ms + PROMISE_MS;
	look_at_free(run);
	return 0;
}

/* --- telling ------------------------------------------------------------- */

void
retain_trouble(struct pb_retain *retain, const char *what,
    const struct pb_err *err)
{
	if (retain->trouble[0] == '\0')
		pb_log(PB_LOG_WARN, "retention", "%s: %s", what, err->text);
	snprintf(retain->trouble, sizeof(retain->trouble), "%s: %.440s", what,
	    err->text);
	retain->troubled = true;
}

/* One line when it begins, one when it ends; the numbers go on. */
static void
say_why(struct retain_run *run)
{
	struct pb_retain *retain = run->retain;
	char *why = retain->stats.why;
	bool said = why[0] != '\0';

	/* Looked at in part only: nothing new is known. */
	if (run->more)
		return;
	why[0] = '\0';
	if (retain->trouble[0] != '\0') {
		strcpy(why, retain->trouble);
		return;
	}
	if (run->stuck[RETAIN_BY_SIZE] && run->bytes > retain->stats.size_max)
		why_size(run);
	else if (run->stuck[RETAIN_BY_FREE] &&
	    run->free < retain->stats.min_free)
		why_free(run);
	if (why[0] != '\0' && !said)
		pb_log(PB_LOG_WARN, "retention", "nothing can be deleted: %s",
		    why);
	else if (why[0] == '\0' && said)
		pb_log(PB_LOG_INFO, "retention", "within its bounds again");
}

static void
why_size(struct retain_run *run)
{
	uint64_t count = run->view->open_segments;

	add(run, "over retain_size by %" PRIu64 " bytes: %" PRIu64 " bytes "
	    "are in %" PRIu64 " open segment%s", run->bytes -
	    run->retain->stats.size_max, run->view->open_bytes, count,
	    count == 1 ? "" : "s");
	why_foreign(run, RETAIN_BY_SIZE);
}

static void
why_free(struct retain_run *run)
{
	const struct pb_retain *retain = run->retain;
	const struct pb_retain_opts *bounds = &retain->bounds.opts;
	uint64_t linked = retain->walk[RETAIN_BY_FREE].linked;
	char letters[PATH_MAX];

	if (bounds->min_free_bytes == 0 && run->disk > 0)
		add(run, "min_free: %.1f %% free, %u %% wanted", 100.0 *
		    (double)retain->stats.free / (double)run->disk,
		    bounds->min_free_percent);
	else
		add(run, "min_free: %" PRIu64 " bytes free, %" PRIu64
		    " wanted", retain->stats.free, retain->stats.min_free);
	add(run, "; the store's sealed segments are %" PRIu64 " bytes, %"
	    PRIu64 " open ones %" PRIu64, run->bytes - run->view->open_bytes,
	    run->view->open_segments, run->view->open_bytes);
	if (linked > 0)
		add(run, "; %" PRIu64 " bytes are dead letters as well, and "
		    "free nothing: see pb dlq", linked);
	else if (pb_layout_path(letters, retain->store, "dead-letters",
	    NULL) == 0 && pb_below_look(letters) == 0)
		add(run, "; dead letters may hold more: see pb dlq");
	why_foreign(run, RETAIN_BY_FREE);
}

static void
why_foreign(struct retain_run *run, enum retain_reason reason)
{
	uint64_t foreign = run->retain->walk[reason].foreign;

	if (foreign > 0)
		add(run, "; %" PRIu64 " bytes cannot be deleted by us: the "
		    "log says whose they are", foreign);
}

/* More words of why. */
static void
add(struct retain_run *run, const char *fmt, ...)
{
	char *why = run->retain->stats.why;
	size_t used = strlen(why);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why + used, sizeof(run->retain->stats.why) - used, fmt, ap);
	va_end(ap);
}
