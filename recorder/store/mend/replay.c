/*
 * recorder/store/mend/replay.c - what a stream's journal comes to
 */
#include "recorder/store/mend/replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/store/index/index_expire.h"

static int	collect(void *, const struct pb_fact *);
static void	replay_one(const struct pb_fact *, struct pb_mdb_txn *,
		    uint32_t, const struct pb_runs *);
static void	expire_gone(const struct pb_fact *, struct pb_mdb_txn *,
		    uint32_t, const struct pb_runs *);
static void	fill_held(const struct pb_fact *, struct pb_mdb_txn *,
		    uint32_t, const struct pb_runs *);

int
pb_replay_read(struct pb_replay *replay, struct pb_err *err)
{
	int rc;

	replay->count = 0;
	rc = pb_journal_read(replay->store, &replay->row.key, collect, replay,
	    &replay->news, err);
	replay->has_journal = replay->news.bytes > 0;
	return rc > 0 ? pb_err_set(err, PB_ENOMEM, "no memory") : rc;
}

void
pb_replay_finish(struct pb_replay *replay)
{
	free(replay->facts);
	replay->facts = NULL;
}

static int
collect(void *arg, const struct pb_fact *fact)
{
	struct pb_replay *replay = arg;

	if (fact->kind != PB_FACT_STREAM)
		return !pb_replay_add(replay, fact);
	replay->row.id = fact->id;
	replay->row.linktype = fact->linktype;
	replay->row.snaplen = fact->snaplen;
	replay->row.own = fact->own;
	replay->row.created_ns = fact->time_ns;
	replay->has_row = true;
	return 0;
}

bool
pb_replay_add(struct pb_replay *replay, const struct pb_fact *fact)
{
	if (!PB_LIST_ROOM(replay->facts, replay->cap, replay->count))
		return false;
	replay->facts[replay->count++] = *fact;
	return true;
}

int
pb_replay_gaps(const struct pb_replay *replay, struct pb_index *index,
    uint32_t stream, const struct pb_runs *held, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(index, &txn, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < replay->count; i++)
		replay_one(&replay->facts[i], &txn, stream, held);
	for (size_t i = 0; i < held->count; i++)
		pb_index_cut_gaps(&txn, stream, held->at[i].first,
		    held->at[i].last, false);
	return pb_mdb_commit(&txn);
}

static void
replay_one(const struct pb_fact *fact, struct pb_mdb_txn *txn, uint32_t id,
    const struct pb_runs *held)
{
	struct pb_gap_info gap = {
		.stream = id,
		.first = fact->first,
		.last = fact->last,
		.reason = fact->reason,
		.since_ns = fact->time_ns,
	};

	switch (fact->kind) {
	case PB_FACT_GAP:
		pb_index_cut_gaps(txn, id, fact->first, fact->last, true);
		pb_index_add_gap(txn, &gap);
		break;
	case PB_FACT_FILL:
		fill_held(fact, txn, id, held);
		break;
	case PB_FACT_EXPIRED:
		expire_gone(fact, txn, id, held);
		break;
	case PB_FACT_STREAM:
		break;
	}
}

/* What is still held was not deleted: that commit failed. */
static void
expire_gone(const struct pb_fact *fact, struct pb_mdb_txn *txn, uint32_t id,
    const struct pb_runs *held)
{
	struct pb_holes holes = { .runs = held, .next = fact->first,
	    .end = fact->last, .at = pb_runs_find(held, fact->first) };
	struct pb_run gone;

	while (pb_holes_next(&holes, &gone) && gone.first <= fact->last)
		pb_index_cut_gaps(txn, id, gone.first, gone.last < fact->last ?
		    gone.last : fact->last, true);
}

/* A fill counts for what segments hold: it is written before the commit,
 * which may have failed, and then it was written again. */
static void
fill_held(const struct pb_fact *fact, struct pb_mdb_txn *txn, uint32_t id,
    const struct pb_runs *held)
{
	for (size_t i = pb_runs_find(held, fact->first); i < held->count &&
	    held->at[i].first <= fact->last; i++) {
		uint64_t first = held->at[i].first > fact->first ?
		    held->at[i].first : fact->first;
		uint64_t last = held->at[i].last < fact->last ?
		    held->at[i].last : fact->last;

		pb_index_reopen_gaps(txn, id, first, last);
		pb_index_fill_gaps(txn, id, first, last, fact->time_ns);
	}
}

/* --- numbers ------------------------------------------------------------ */

int
pb_known_held(struct pb_index *index, uint32_t stream, struct pb_runs *out,
    struct pb_err *err)
{
	const struct pb_segment_info *row;
	struct pb_rows rows;

	pb_rows_of(&rows, index, PB_TABLE_SEGMENTS, stream, 1, err);
	while ((row = pb_rows_next(&rows)) != NULL)
		if (!pb_runs_add(out, row->first_seq, row->last_seq))
			return pb_err_set(err, PB_ENOMEM, "no memory");
	return rows.rc;
}

int
pb_known(struct pb_index *index, uint32_t stream, const struct pb_runs *held,
    const struct pb_replay *replay, struct pb_runs *out, struct pb_err *err)
{
	const struct pb_gap_info *gap;
	struct pb_rows rows;
	bool fits = true;
	int gaps = 0;

	for (size_t i = 0; i < held->count; i++)
		fits &= pb_runs_add(out, held->at[i].first, held->at[i].last);
	for (size_t i = 0; replay != NULL && i < replay->count; i++)
		if (replay->facts[i].kind == PB_FACT_EXPIRED)
			fits &= pb_runs_add(out, replay->facts[i].first,
			    replay->facts[i].last);
	pb_rows_of(&rows, index, PB_TABLE_GAPS, stream, 1, err);
	while ((gap = pb_rows_next(&rows)) != NULL)
		if (gap->closed_ns == 0) {
			fits &= pb_runs_add(out, gap->first, gap->last);
			gaps++;
		}
	pb_runs_sort(out);
	if (rows.rc == 0 && !fits)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	return rows.rc < 0 ? rows.rc : gaps;
}
