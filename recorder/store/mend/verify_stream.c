/*
 * recorder/store/mend/verify_stream.c - what a stream's rows and journal
 * say together
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/store/index/index_expire.h"
#include "base/below.h"
#include "recorder/store/mend/replay.h"
#include "recorder/store/mend/salvage.h"
#include "recorder/store/mend/verify_impl.h"

#define TRIES	5		/* while a recorder goes on writing, */
#define PAUSE_NS 100000000	/* and between them */

static int	check_counters(struct verify_stream *, struct pb_err *);
static int	look(struct verify_stream *, struct pb_replay *,
		    struct pb_err *);
static int	check_journal(struct verify_stream *,
		    const struct pb_replay *, struct pb_err *);
static int	check_gaps(struct verify_stream *, const struct pb_replay *,
		    const struct pb_runs *, struct pb_err *);
static int	compare_gaps(struct verify_stream *,
		    const struct pb_replay *, struct pb_err *);
static int	gap_at(struct pb_index *, uint32_t, uint64_t, uint64_t,
		    struct pb_gap_info *, struct pb_err *);
static bool	same_gap(const struct pb_replay *,
		    const struct pb_gap_info *, const struct pb_gap_info *);
static int	tell_gap(struct verify_stream *, const struct pb_gap_info *,
		    const struct pb_gap_info *);
static int	check_holes(struct verify_stream *, const struct pb_replay *,
		    const struct pb_runs *, struct pb_err *);
static int	check_flows(struct verify *, const struct pb_stream_info *,
		    const struct pb_finding *, struct pb_err *);
static int	check_name(struct verify *, const struct pb_stream_key *,
		    const struct pb_stream_info *, const char *,
		    const char *, struct pb_err *);

int
verify_stream(struct verify_stream *stream, struct pb_err *err)
{
	/* A fact is in the journal a moment before the index has it. */
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct verify *verify = stream->verify;
	struct pb_replay replay = { .store = verify->opts->store,
	    .row = { .key = stream->info.key } };
	int rc = check_counters(stream, err);

	for (int try = 1; rc == 0 && try <= TRIES; try++) {
		verify->rehearsal = !verify->opts->alone && try < TRIES;
		verify->rehearsed = 0;
		rc = look(stream, &replay, err);
		if (!verify->rehearsal || verify->rehearsed == 0)
			break;
		nanosleep(&pause, NULL);
	}
	verify->rehearsal = false;
	pb_replay_finish(&replay);
	return rc;
}

/* The stream's row is what its segments sum up to. */
static int
check_counters(struct verify_stream *stream, struct pb_err *err)
{
	const struct pb_stream_info *info = &stream->info;
	struct verify *verify = stream->verify;
	struct pb_finding where = { .key = info->key };
	struct pb_stream_info now;
	int rc;

	if (stream->packets == info->packets &&
	    stream->bytes == info->bytes &&
	    stream->dropped == info->dropped &&
	    stream->first_seq == info->first_seq)
		return 0;
	/* It grew, or retention went over it, while it was read. */
	rc = pb_index_stream(verify->index, &info->key, &now, err);
	if (rc < 0 || (!verify->opts->alone &&
	    memcmp(&now, info, sizeof(now)) != 0))
		return rc < 0 ? rc : 0;
	return verify_tell(verify, &where, PB_FLAW_SUMS, "its segments hold %"
	    PRIu64 " packets with %" PRIu64 " bytes and %" PRIu64 " drops "
	    "from %" PRIu64 " on, its row says %" PRIu64 ", %" PRIu64 ", %"
	    PRIu64 ", %" PRIu64, stream->packets, stream->bytes,
	    stream->dropped, stream->first_seq, info->packets, info->bytes,
	    info->dropped, info->first_seq);
}

/* What segments hold by now, and up to where, then the journal, which has what
 * led there; but for what retention still owes it. */
static int
look(struct verify_stream *stream, struct pb_replay *replay,
    struct pb_err *err)
{
	struct pb_index *index = stream->verify->index;
	struct pb_stream_info *info = &stream->info;
	struct pb_runs held = { NULL, 0, 0 };
	int rc = pb_index_stream(index, &info->key, info, err), owed = 0;

	if (rc >= 0)
		rc = owed = pb_index_listed(index, info->id, 0, err);
	if (rc >= 0)
		rc = pb_known_held(index, info->id, &held, err);
	if (rc == 0)
		rc = pb_replay_read(replay, err);
	if (rc == 0)
		rc = check_journal(stream, replay, err);
	if (rc == 0 && replay->has_journal && owed == 0)
		rc = check_gaps(stream, replay, &held, err);
	if (rc == 0 && owed == 0)
		rc = check_holes(stream, replay, &held, err);
	free(held.at);
	return rc;
}

static int
check_journal(struct verify_stream *stream, const struct pb_replay *replay,
    struct pb_err *err)
{
	const struct pb_stream_info *info = &stream->info;
	struct verify *verify = stream->verify;
	struct pb_finding where = { .key = info->key };
	int rc = pb_journal_path(where.path, verify->opts->store, &info->key,
	    err);

	if (rc < 0)
		return rc;
	if (!replay->has_journal)
		return verify_tell(verify, &where, PB_FLAW_JOURNAL,
		    "it is missing");
	where.offset = replay->news.rotten_at;
	if (replay->news.rotten > 0)
		return verify_tell(verify, &where, PB_FLAW_JOURNAL, "%" PRIu64
		    " of its lines are not what was written, the first at "
		    "offset %" PRIu64, replay->news.rotten, where.offset);
	if (replay->news.torn && verify->opts->alone)
		return verify_tell(verify, &where, PB_FLAW_JOURNAL,
		    "its last line is cut short");
	if (replay->has_row && replay->row.id == info->id &&
	    replay->row.linktype == info->linktype &&
	    replay->row.snaplen == info->snaplen &&
	    replay->row.own == info->own &&
	    replay->row.created_ns == info->created_ns)
		return 0;
	return verify_tell(verify, &where, replay->has_row ? PB_FLAW_ROW :
	    PB_FLAW_JOURNAL, "it says otherwise than the stream's row");
}

/* The gap rows are what the journal's facts come to. */
static int
check_gaps(struct verify_stream *stream, const struct pb_replay *replay,
    const struct pb_runs *held, struct pb_err *err)
{
	struct pb_index *scratch = stream->verify->scratch;
	uint32_t id = stream->info.id;
	struct pb_mdb_txn txn;
	int rc = pb_replay_gaps(replay, scratch, id, held, err);

	if (rc == 0)
		rc = compare_gaps(stream, replay, err);
	if (rc != 0)
		return rc;
	rc = pb_index_begin(scratch, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_cut_gaps(&txn, id, 1, INT64_MAX, true);
	return pb_mdb_commit(&txn);
}

/* Both lists in step, up to the first difference. */
static int
compare_gaps(struct verify_stream *stream, const struct pb_replay *replay,
    struct pb_err *err)
{
	struct verify *verify = stream->verify;
	const struct pb_stream_info *info = &stream->info;
	/* Behind the stream's end nothing is so yet: a crash may come between
	 * journal and index, and a recorder goes on. */
	uint64_t end = verify->opts->alone ? UINT64_MAX : info->last_seq;
	struct pb_gap_info have, want;
	uint64_t from = 1;

	for (;;) {
		int a = gap_at(verify->index, info->id, from, end, &have, err);
		int b = gap_at(verify->scratch, info->id, from,
		    info->last_seq, &want, err);

		if (a < 0 || b < 0)
			return a < 0 ? a : b;
		if (a == 0 && b == 0)
			return 0;
		if (a == 0 || b == 0 || !same_gap(replay, &have, &want))
			return tell_gap(stream, a > 0 ? &have : NULL,
			    b > 0 ? &want : NULL);
		from = pb_runs_next(from, have.first, have.last);
	}
}

/* The first gap of from .. end, or what of it lies there. */
static int
gap_at(struct pb_index *index, uint32_t stream, uint64_t from, uint64_t end,
    struct pb_gap_info *out, struct pb_err *err)
{
	int rc = from > end ? 0 : pb_index_rows_of(index, PB_TABLE_GAPS,
	    stream, from, out, 1, err);

	if (rc == 1 && out->first > end)
		return 0;
	if (rc == 1 && out->last > end)
		out->last = end;
	return rc;
}

/* A gap is as old as a neighbour with which it became one row.  Who replays
 * the journal may join more: one whose commit failed, or that has been filled
 * by what is gone since.  So any fact of its kind may say since when. */
static bool
same_gap(const struct pb_replay *replay, const struct pb_gap_info *have,
    const struct pb_gap_info *want)
{
	bool since = have->since_ns == want->since_ns;

	for (size_t i = 0; i < replay->count && !since; i++)
		since = replay->facts[i].kind == PB_FACT_GAP &&
		    replay->facts[i].reason == have->reason &&
		    replay->facts[i].time_ns == have->since_ns;
	return since && have->first == want->first &&
	    have->last == want->last && have->reason == want->reason &&
	    have->closed_ns == want->closed_ns;
}

static int
tell_gap(struct verify_stream *stream, const struct pb_gap_info *have,
    const struct pb_gap_info *want)
{
	const struct pb_gap_info *gap = have == NULL ||
	    (want != NULL && want->first < have->first) ? want : have;
	struct pb_finding where = { .key = stream->info.key,
	    .first = gap->first, .last = gap->last };

	return verify_tell(stream->verify, &where, PB_FLAW_GAP, "%s a gap %s "
	    "from %" PRIu64 " to %" PRIu64 " that the %s",
	    gap == have ? "the index has" : "the journal has",
	    pb_gap_reason_name(gap->reason), gap->first, gap->last,
	    gap == have ? "journal tells otherwise" :
	    "index tells otherwise");
}

/* Each number up to the end is held once, or missing for a reason. */
static int
check_holes(struct verify_stream *stream, const struct pb_replay *replay,
    const struct pb_runs *held, struct pb_err *err)
{
	struct verify *verify = stream->verify;
	struct pb_finding where = { .key = stream->info.key };
	struct pb_runs known = { NULL, 0, 0 };
	struct pb_holes holes = { .runs = &known,
	    .end = stream->info.last_seq };
	struct pb_run hole;
	int rc = pb_known(verify->index, stream->info.id, held, replay,
	    &known, err);

	if (rc > 0)
		rc = 0;
	holes.next = replay->has_journal || known.count == 0 ? 1 :
	    known.at[0].first;
	while (rc == 0 && pb_holes_next(&holes, &hole)) {
		where.first = hole.first;
		where.last = hole.last;
		rc = verify_tell(verify, &where, PB_FLAW_HOLE,
		    "packets %" PRIu64 " to %" PRIu64 " are in no segment and "
		    "nothing says why", hole.first, hole.last);
	}
	free(known.at);
	return rc;
}

/* --- the folder --------------------------------------------------------- */

int
verify_folder(struct verify *verify, const struct pb_stream_key *key,
    const struct pb_stream_info *info, struct pb_err *err)
{
	char dir[PATH_MAX];
	const char *name;
	struct pb_dir *folder;
	int rc = pb_layout_stream(dir, verify->opts->store, key, err);

	if (rc < 0)
		return rc;
	folder = pb_below_opendir(dir);
	if (folder == NULL)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", dir);
	while (rc == 0 && (name = pb_dir_next(folder)) != NULL)
		rc = check_name(verify, key, info, dir, name, err);
	pb_dir_close(folder);
	return rc;
}

static int
check_name(struct verify *verify, const struct pb_stream_key *key,
    const struct pb_stream_info *info, const char *dir, const char *name,
    struct pb_err *err)
{
	struct pb_finding where = { .key = *key };
	struct pb_segment_info row;
	struct pb_segment_name file;
	int n;

	n = snprintf(where.path, sizeof(where.path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(where.path) ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	/* Other hidden names are nobody's, or are written over. */
	if (strncmp(name, PB_SALVAGE_HIDDEN, strlen(PB_SALVAGE_HIDDEN)) == 0)
		return !verify->opts->alone ? 0 : verify_tell(verify, &where,
		    PB_FLAW_LEFTOVER, "a salvage that was cut short");
	if (pb_layout_parse_flows(name, &where.segment_seq))
		return check_flows(verify, info, &where, err);
	if (!pb_layout_parse(name, &file))
		return 0;
	where.segment_seq = file.first;
	if (info == NULL)
		return verify_tell(verify, &where, PB_FLAW_EXTRA,
		    "the index does not know its stream");
	n = pb_index_rows_of(verify->index, PB_TABLE_SEGMENTS, info->id,
	    file.first, &row, 1, err);
	if (n < 0)
		return n;
	if (n == 1 && row.first_seq == file.first &&
	    (row.sealed != file.open || !verify->opts->alone))
		return 0;
	/* Announced a moment ago, or doomed. */
	n = pb_index_listed(verify->index, info->id, file.first, err);
	if (n != 0)
		return n < 0 ? n : 0;
	return verify_tell(verify, &where, PB_FLAW_EXTRA,
	    "the index does not know it");
}

/* Flow tables, and their segment is gone. */
static int
check_flows(struct verify *verify, const struct pb_stream_info *info,
    const struct pb_finding *where, struct pb_err *err)
{
	struct pb_segment_info row;
	int rc = 0;

	/* Beside a recorder it may be gone a moment ago. */
	if (!verify->opts->alone)
		return 0;
	if (info != NULL)
		rc = pb_index_segment(verify->index, info->id,
		    where->segment_seq, &row, err);
	if (rc == 0 && info != NULL)
		rc = pb_index_listed(verify->index, info->id,
		    where->segment_seq, err);
	if (rc != 0)
		return rc < 0 && rc != PB_EFORMAT ? rc : 0;
	return verify_tell(verify, where, PB_FLAW_LEFTOVER, "flow tables of a "
	    "segment that is gone");
}
