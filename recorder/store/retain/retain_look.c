/*
 * recorder/store/retain/retain_look.c - which segment goes next
 *
 *	ACKED -> RELEASED -> UNACKED
 *
 * One walk over the order of age for each: the first takes what every
 * upstream has.  Only when it came to the end are dead letters taken, and
 * only after those what is still waited for.
 *
 * Promise: a look costs the same whatever the store holds: a run looks at
 *          RETAIN_LOOKS segments and goes on there the next time, so that
 *          100,000 unacknowledged ones in front hold up nobody.
 * Limit:   what was passed over is looked at again when the upstreams have
 *          taken more, at most once a second, and not in the middle of a
 *          search: else a long one would never end.
 */
#include "recorder/store/retain/retain_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "base/owner.h"
#include "recorder/store/facts/journal.h"

#define RESTART_MS	1000u
/* A walk that took long rests this many times as long. */
#define REST		4u

static bool	next_phase(struct retain_run *, struct retain_walk *);
static bool	judge(struct retain_run *, struct retain_walk *,
		    const struct pb_age_info *, struct retain_victim *);
static bool	is_ours(const struct retain_run *, struct retain_walk *,
		    const struct retain_victim *);
static void	tell(const struct retain_run *, uint32_t, const char *,
		    struct pb_err *);
static bool	is_chosen(const struct retain_run *,
		    const struct pb_age_info *);
static bool	standing(const struct retain_run *, struct pb_expiry *);
static bool	has(const struct retain_run *, const char *,
		    const struct pb_expiry *, const struct pb_gap_info *,
		    struct pb_ack *);
static int	find_late(const struct retain_run *, const char *,
		    const struct pb_expiry *, const struct pb_gap_info *,
		    uint64_t *);
static int	has_seen(const struct retain_run *, const char *,
		    const struct pb_gap_info *);
static bool	frees(const struct retain_run *, struct retain_walk *,
		    struct retain_victim *);

enum retain_found
retain_look(struct retain_run *run, struct retain_walk *walk,
    struct retain_victim *out)
{
	const struct pb_age_info *age;

	do {
		walk->searching = false;
		while ((age = pb_rows_next(&run->ages)) != NULL) {
			if (age->sealed_at >= walk->sealed_before)
				return RETAIN_NONE;
			walk->searching = run->budget == 0;
			if (walk->searching)
				return RETAIN_LATER;
			run->budget--;
			walk->after = *age;
			walk->begun = true;
			if (judge(run, walk, age, out))
				return RETAIN_FOUND;
			if (run->unsure)
				return RETAIN_LATER;
		}
	} while (run->ages.rc == 0 && next_phase(run, walk));
	return RETAIN_NONE;
}

void
retain_begin(struct retain_run *run, const struct retain_walk *walk)
{
	pb_rows_all(&run->ages, run->view->index, PB_TABLE_AGES, walk->begun ?
	    &walk->after : NULL, NULL);
}

void
retain_refresh(const struct retain_run *run, struct retain_walk *walk)
{
	if (!walk->searching && run->view->now_ms >= walk->restart_ms &&
	    run->commits != walk->commits)
		retain_restart(run, walk);
}

void
retain_restart(const struct retain_run *run, struct retain_walk *walk)
{
	*walk = (struct retain_walk){
		.must_free = walk->must_free,
		.sealed_before = UINT64_MAX,
		.started_ms = run->view->now_ms,
		.restart_ms = run->view->now_ms + RESTART_MS,
		.commits = run->commits,
	};
}

/* False at the end of the last one, where the walk stays: what is sealed
 * from now on stands behind it. */
static bool
next_phase(struct retain_run *run, struct retain_walk *walk)
{
	if (walk->phase == RETAIN_UNACKED)
		return false;
	walk->phase = walk->phase == RETAIN_ACKED && walk->released_seen ?
	    RETAIN_RELEASED : RETAIN_UNACKED;
	walk->begun = false;
	walk->linked = walk->foreign = 0;
	walk->restart_ms = run->view->now_ms + RESTART_MS +
	    REST * (run->view->now_ms - walk->started_ms);
	retain_begin(run, walk);
	return true;
}

static bool
judge(struct retain_run *run, struct retain_walk *walk,
    const struct pb_age_info *age, struct retain_victim *out)
{
	struct pb_segment_info *segment = &out->expiry.segment;
	struct pb_index *index = run->view->index;

	memset(out, 0, sizeof(*out));
	if (is_chosen(run, age) || pb_index_rows_of(index, PB_TABLE_SEGMENTS,
	    age->stream, age->first_seq, segment, 1, NULL) != 1 ||
	    segment->first_seq != age->first_seq || !segment->sealed ||
	    pb_index_stream_key(index, age->stream, &out->expiry.key,
	    NULL) != 1)
		return false;
	run->unsure = !standing(run, &out->expiry);
	if (run->unsure)
		return false;
	out->expiry.now_ns = run->view->now_ns;
	out->class = segment->last_seq <= out->expiry.acked ? RETAIN_ACKED :
	    segment->last_seq <= out->expiry.released ? RETAIN_RELEASED :
	    RETAIN_UNACKED;
	if (out->class == RETAIN_RELEASED)
		walk->released_seen = true;
	return out->class <= walk->phase && is_ours(run, walk, out) &&
	    frees(run, walk, out);
}

/* May its name, and a line in the journal, be written?  What root, or a flag
 * of the file system, keeps from us is passed over: others are to go. */
static bool
is_ours(const struct retain_run *run, struct retain_walk *walk,
    const struct retain_victim *victim)
{
	const struct pb_expiry *e = &victim->expiry;
	char dir[PATH_MAX], path[PATH_MAX];
	struct pb_err err = { .code = 0 };

	if (pb_layout_stream(dir, run->retain->store, &e->key, NULL) < 0 ||
	    pb_journal_path(path, run->retain->store, &e->key, NULL) < 0)
		return true;
	if (pb_below_access(dir, W_OK | X_OK) < 0 && errno != ENOENT)
		pb_err_sys(&err, "%s", dir);
	else if (pb_below_access(path, W_OK) < 0 && errno != ENOENT)
		pb_err_sys(&err, "%s", path);
	else if (pb_layout_segment(path, run->retain->store, &e->key,
	    e->segment.first_seq, false, NULL) == 0 &&
	    pb_below_access(path, W_OK) < 0 && errno == EPERM)
		pb_err_sys(&err, "%s", path);
	if (err.sys != EACCES && err.sys != EPERM)
		return true;
	walk->foreign += e->segment.bytes;
	tell(run, e->segment.stream, path, &err);
	return false;
}

/* Once for each stream. */
static void
tell(const struct retain_run *run, uint32_t stream, const char *path,
    struct pb_err *err)
{
	struct retain_told *denied = &run->retain->denied;

	for (size_t i = 0; i < denied->count; i++)
		if (denied->stream[i] == stream)
			return;
	if (denied->count == RETAIN_TOLD)
		return;
	denied->stream[denied->count++] = stream;
	pb_owner_explain(run->retain->store, path, err);
	pb_log(PB_LOG_WARN, "retention", "cannot delete, passed over: %s",
	    err->text);
}

/* In this run's batch: its row is there until the commit. */
static bool
is_chosen(const struct retain_run *run, const struct pb_age_info *age)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct pb_segment_info *row =
		    &run->victim[i].expiry.segment;

		if (row->stream == age->stream &&
		    row->first_seq == age->first_seq)
			return true;
	}
	return false;
}

/* What the slowest of the stream's upstreams has; a stream that is for
 * none is acknowledged as it comes.  False where that is not known now. */
static bool
standing(const struct retain_run *run, struct pb_expiry *expiry)
{
	const struct pb_retain_opts *bounds = &run->retain->bounds.opts;
	const struct pb_segment_info *segment = &expiry->segment;
	struct pb_gap_info gap = { .closed_ns = 0 };
	char name[PB_STREAM_NAME_MAX];
	struct pb_ack ack;

	pb_stream_name(name, &expiry->key);
	expiry->acked = expiry->released = UINT64_MAX;
	if (bounds->upstreams > 0 && pb_index_rows_of(run->view->index,
	    PB_TABLE_GAPS, segment->stream, segment->first_seq, &gap, 1,
	    NULL) < 0)
		return false;
	for (size_t i = 0; i < bounds->upstreams; i++) {
		if (!pb_glob_list_match(bounds->upstream[i].streams, name))
			continue;
		if (!has(run, bounds->upstream[i].name, expiry, &gap, &ack))
			return false;
		if (ack.acked < expiry->acked)
			expiry->acked = ack.acked;
		if (ack.released < expiry->released)
			expiry->released = ack.released;
	}
	return true;
}

/* What came late may be still on its way, whatever else is there. */
static bool
has(const struct retain_run *run, const char *upstream,
    const struct pb_expiry *expiry, const struct pb_gap_info *gap,
    struct pb_ack *out)
{
	uint64_t late;
	int rc = pb_acks_get(run->retain->acks, upstream, &expiry->key, out);

	if (rc == 1)
		rc = find_late(run, upstream, expiry, gap, &late);
	if (rc == 1 && out->acked >= late)
		out->acked = late - 1;
	if (rc == 1 && out->released >= late)
		out->released = late - 1;
	return rc >= 0;
}

/* The first number in it that came late and is still to get there: 1, 0, or
 * PB_EBUSY.  Segments of late packets have no others: a gap that is closed
 * says of one what fill it was. */
static int
find_late(const struct retain_run *run, const char *upstream,
    const struct pb_expiry *expiry, const struct pb_gap_info *gap,
    uint64_t *out)
{
	const struct pb_segment_info *segment = &expiry->segment;

	if (gap->closed_ns != 0 && gap->first <= segment->last_seq) {
		int seen = has_seen(run, upstream, gap);

		*out = gap->first > segment->first_seq ? gap->first :
		    segment->first_seq;
		if (seen != 1)
			return seen < 0 ? seen : 1;
	}
	return pb_acks_late(run->retain->acks, upstream, &expiry->key,
	    segment->first_seq, segment->last_seq, out);
}

/* Has the upstream's shipper seen that the gap was filled?  Of one that an
 * older version closed that is known once it has seen all. */
static int
has_seen(const struct retain_run *run, const char *upstream,
    const struct pb_gap_info *gap)
{
	struct pb_fill_info row[2];
	uint64_t seen;
	int rc = pb_acks_seen(run->retain->acks, upstream, &seen);

	if (rc != 1 || seen == 0)
		return rc < 0 ? rc : 0;
	rc = pb_index_rows(run->view->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = seen - 1 }, row, 2, NULL);
	if (rc < 1 || row[0].number != seen)
		return 0;
	return gap->fill == 0 ? rc == 1 :
	    (int32_t)((uint32_t)seen - gap->fill) >= 0;
}

/*
 * What deleting it would give back.  A file with another name, a dead
 * letter's, keeps its room: where room is what is wanted it stays.
 */
static bool
frees(const struct retain_run *run, struct retain_walk *walk,
    struct retain_victim *out)
{
	const struct pb_segment_info *segment = &out->expiry.segment;
	char path[PATH_MAX];
	struct stat st;

	if (pb_layout_segment(path, run->retain->store, &out->expiry.key,
	    segment->first_seq, false, NULL) == 0 &&
	    pb_below_stat(path, &st) == 0 &&
	    st.st_nlink == 1)
		out->frees = (uint64_t)st.st_blocks * 512;
	if (out->frees == 0)
		walk->linked += segment->bytes;
	return out->frees > 0 || !walk->must_free;
}
