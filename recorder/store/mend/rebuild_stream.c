/*
 * recorder/store/mend/rebuild_stream.c - the rows of one stream
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/below.h"
#include "base/sys.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/mend/rebuild_impl.h"
#include "recorder/store/mend/replay.h"
#include "recorder/store/mend/take.h"
#include "recorder/store/mend/tables.h"

struct stream {
	struct rebuild	*rebuild;
	struct pb_replay replay;
	struct pb_stream_info info;	/* the row to be */
	bool		 has_row;	/* the journal tells it */
	struct pb_take	 take;
};

static int	drop_tables(struct rebuild *, const struct pb_stream_key *,
		    struct pb_err *);
static int	own_id(struct stream *, struct pb_err *);
static int	take_files(struct stream *, const struct pb_segment_name *,
		    size_t, struct pb_err *);
static int	put_taken(struct stream *, struct pb_err *);
static int	put_rows(struct stream *, const struct pb_survey *,
		    struct pb_err *);
static int	put_flows(struct stream *, const struct pb_survey *,
		    struct pb_err *);
static int	put_table(void *, const struct pb_flows_info *,
		    struct pb_err *);
static int	put_gaps(struct stream *, struct pb_err *);
static int	put_holes(struct stream *, const struct pb_runs *,
		    struct pb_err *);
static int	put_hole(struct stream *, const struct pb_run *,
		    struct pb_err *);
static int	finish(struct stream *, struct pb_err *);

int
rebuild_one(struct rebuild *rebuild, const struct pb_stream_key *key,
    struct pb_err *err)
{
	struct stream stream = { .rebuild = rebuild, .replay = {
	    .store = rebuild->opts->store, .row = { .key = *key } } };
	struct pb_segment_name *names = NULL;
	size_t count = 0;
	int rc = pb_replay_read(&stream.replay, err);

	/* The index is to rely on it. */
	if (rc == 0 && stream.replay.has_journal)
		rc = pb_journal_sync(rebuild->opts->store, key, err);
	if (rc == 0)
		rc = drop_tables(rebuild, key, err);
	stream.info = stream.replay.row;
	stream.has_row = stream.replay.has_row;
	if (rc == 0)
		rc = own_id(&stream, err);
	if (rc == 0)
		rc = pb_take_list(&rebuild->mend, key, &names, &count, err);
	if (rc == 0 && (count > 0 || stream.replay.has_journal)) {
		rc = take_files(&stream, names, count, err);
		if (rc == 0)
			rc = put_gaps(&stream, err);
		if (rc == 0)
			rc = finish(&stream, err);
	}
	free(names);
	pb_take_finish(&stream.take);
	pb_replay_finish(&stream.replay);
	return rc;
}

/* No row of the index that is built speaks of them. */
static int
drop_tables(struct rebuild *rebuild, const struct pb_stream_key *key,
    struct pb_err *err)
{
	const char *store = rebuild->opts->store;
	char dir[PATH_MAX];
	struct pb_dir *folder;
	const char *name;
	uint64_t first;
	bool some = true;
	int rc = pb_layout_stream(dir, store, key, err);

	/* Removing may hide others from who lists. */
	while (rc == 0 && some) {
		folder = pb_below_opendir(dir);
		if (folder == NULL)
			return errno == ENOENT ? 0 :
			    pb_err_sys(err, "open %s", dir);
		some = false;
		while (rc == 0 && (name = pb_dir_next(folder)) != NULL) {
			if (!pb_layout_parse_flows(name, &first))
				continue;
			rc = pb_index_table_remove(store, key, first, err);
			some = true;
		}
		pb_dir_close(folder);
	}
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

/* The id that its journal tells, unless there is none, or another stream
 * has it: folders of two stores that were put together. */
static int
own_id(struct stream *stream, struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	struct pb_stream_key other;
	int rc = 1;

	rebuild->sum->damaged += stream->replay.news.rotten > 0;
	if (stream->info.id != 0)
		rc = pb_index_stream_key(rebuild->index, stream->info.id,
		    &other, err);
	if (rc <= 0)
		return rc;
	stream->has_row = false;
	stream->info.id = ++rebuild->last_id;
	return 0;
}

static int
take_files(struct stream *stream, const struct pb_segment_name *names,
    size_t count, struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	const struct pb_rebuild_opts *opts = rebuild->opts;
	int rc = 0;

	stream->take = (struct pb_take){ .mend = &rebuild->mend,
	    .stream = &stream->info, .has_head = stream->replay.has_row,
	    .node = opts->node, .last = INT64_MAX, .who = "reindex" };
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = pb_take_file(&stream->take, &names[i], err);
		if (rc == 0)
			rc = put_taken(stream, err);
		rebuild->files++;
		if (rc == 0 && opts->progress != NULL && !opts->progress(
		    opts->arg, rebuild->files, rebuild->files_all,
		    rebuild->sum->bytes))
			rc = pb_err_set(err, PB_EBUSY, "the index is made "
			    "another time: the program ends");
	}
	rebuild->sum->damaged += stream->take.damaged;
	return rc;
}

static int
put_taken(struct stream *stream, struct pb_err *err)
{
	struct pb_take *take = &stream->take;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < take->count; i++)
		rc = put_rows(stream, &take->files[i], err);
	pb_take_clear(take);
	return rc;
}

static int
put_rows(struct stream *stream, const struct pb_survey *survey,
    struct pb_err *err)
{
	const struct pb_segment_info *row = &survey->segment;
	struct rebuild *rebuild = stream->rebuild;
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(rebuild->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_stream_add_times(&stream->info, row->first_time, row->last_time,
	    true);
	pb_survey_put(survey, &txn, 0, &stream->info);
	rc = pb_mdb_commit(&txn);
	if (rc < 0)
		return rc;
	if (survey->hops_last > rebuild->numbers)
		rebuild->numbers = survey->hops_last;
	rebuild->sum->segments++;
	rebuild->sum->packets += row->packets;
	rebuild->sum->bytes += row->bytes;
	return rebuild->opts->flows ? put_flows(stream, survey, err) : 0;
}

/* Where it fails they are missing. */
static int
put_flows(struct stream *stream, const struct pb_survey *survey,
    struct pb_err *err)
{
	const struct pb_segment_info *row = &survey->segment;
	struct pb_tables tables = { .store = stream->rebuild->opts->store,
	    .stream = &stream->info, .segment = row, .each = put_table,
	    .arg = stream->rebuild };
	int rc = survey->count == 0 ? 0 : pb_tables_make(&tables,
	    &survey->extents[0], row->first_seq, row->last_seq, err);

	return rc == PB_ENOMEM ? rc : 0;
}

static int
put_table(void *arg, const struct pb_flows_info *row, struct pb_err *err)
{
	struct rebuild *rebuild = arg;
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(rebuild->index, &txn, err);

	if (rc < 0)
		return rc;
	(void)pb_index_put_flows(&txn, row);
	return pb_mdb_commit(&txn);
}

/* Gap rows from facts and from what the segments hold. */
static int
put_gaps(struct stream *stream, struct pb_err *err)
{
	struct pb_index *index = stream->rebuild->index;
	const struct pb_runs *held = &stream->take.held;
	struct pb_runs known = { NULL, 0, 0 };
	uint32_t id = stream->info.id;
	int rc = pb_replay_gaps(&stream->replay, index, id, held, err);

	if (rc == 0)
		rc = pb_known(index, id, held, &stream->replay, &known, err);
	if (rc >= 0) {
		stream->rebuild->sum->gaps += (uint64_t)rc;
		rc = put_holes(stream, &known, err);
	}
	free(known.at);
	return rc;
}

/* A stream without a journal is older than journals: what is missing at
 * its start has expired, and nobody wrote it down. */
static int
put_holes(struct stream *stream, const struct pb_runs *known,
    struct pb_err *err)
{
	struct pb_holes holes = { .runs = known, .next =
	    stream->replay.has_journal || known->count == 0 ? 1 :
	    known->at[0].first };
	struct pb_run hole;
	int rc = 0;

	while (rc == 0 && pb_holes_next(&holes, &hole))
		rc = put_hole(stream, &hole, err);
	if (holes.next - 1 > stream->info.last_seq)
		stream->info.last_seq = holes.next - 1;
	return rc;
}

static int
put_hole(struct stream *stream, const struct pb_run *hole,
    struct pb_err *err)
{
	struct pb_gap_info gap = { .stream = stream->info.id,
	    .first = hole->first, .last = hole->last,
	    .reason = PB_GAP_DAMAGED,
	    .since_ns = pb_below_now_ns(stream->rebuild->opts->store) };
	struct pb_fact fact = pb_fact_of_gap(&gap);
	struct pb_mdb_txn txn;
	int rc = pb_journal_append(stream->rebuild->opts->store,
	    &stream->info.key, &fact, 1, err);

	if (rc == 0)
		rc = pb_index_begin(stream->rebuild->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_cut_gaps(&txn, gap.stream, gap.first, gap.last, true);
	pb_index_add_gap(&txn, &gap);
	stream->rebuild->sum->gaps++;
	return pb_mdb_commit(&txn);
}

/* The stream's row, last: it has what all else came to. */
static int
finish(struct stream *stream, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_fact fact;
	int rc = 0;

	if (!stream->take.has_head)
		return 0;	/* a journal of gaps alone, without its row */
	if (!stream->has_row) {
		fact = pb_fact_of_stream(&stream->info);
		rc = pb_journal_append(stream->rebuild->opts->store,
		    &stream->info.key, &fact, 1, err);
	}
	if (rc == 0)
		rc = pb_index_begin(stream->rebuild->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_put_stream(&txn, &stream->info);
	stream->rebuild->sum->streams++;
	return pb_mdb_commit(&txn);
}
