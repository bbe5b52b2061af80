/*
 * recorder/store/mend/rebuild_facts.c - gaps, from journal and segments
 *
 * The facts are replayed in order.  Then the segments have the last word:
 * a number that a segment holds is no open gap, whatever the journal says
 * (it is written before the index, and that commit may have failed), and
 * one that nothing explains is `damaged`.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/mend/rebuild_impl.h"

#define GAP_ROWS	64	/* of a page */

static int	collect(void *, const struct pb_fact *);
static void	replay(struct rebuild_stream *, struct pb_mdb_txn *);
static void	each_held(struct rebuild_stream *, const struct pb_fact *,
		    struct pb_mdb_txn *, void (*)(struct pb_mdb_txn *,
		    uint32_t, uint64_t, uint64_t, uint64_t));
static void	refill(struct pb_mdb_txn *, uint32_t, uint64_t, uint64_t,
		    uint64_t);
static void	offer(struct pb_mdb_txn *, uint32_t, uint64_t, uint64_t,
		    uint64_t);
static int	put_fills(struct rebuild_stream *, struct pb_err *);
static int	explained(struct rebuild_stream *, struct pb_runs *,
		    struct pb_err *);
static int	put_holes(struct rebuild_stream *, const struct pb_runs *,
		    struct pb_err *);
static int	put_hole(struct rebuild_stream *, uint64_t, uint64_t,
		    struct pb_err *);

int
rebuild_read_facts(struct rebuild_stream *stream, struct pb_err *err)
{
	struct pb_journal_news *news = &stream->news;
	int rc = pb_journal_read(stream->rebuild->mend.store,
	    &stream->info.key, collect, stream, news, err);

	if (rc > 0)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	if (rc == 0 && news->rotten > 0)
		stream->rebuild->sum->damaged++;
	stream->has_journal = news->bytes > 0;
	return rc;
}

static int
collect(void *arg, const struct pb_fact *fact)
{
	struct rebuild_stream *stream = arg;

	if (fact->kind == PB_FACT_STREAM) {
		stream->info.id = fact->id;
		stream->info.linktype = fact->linktype;
		stream->info.snaplen = fact->snaplen;
		stream->info.own = fact->own;
		stream->info.created_ns = fact->time_ns;
		stream->has_head = stream->has_row = true;
		return 0;
	}
	if (!PB_LIST_ROOM(stream->facts, stream->fact_cap,
	    stream->fact_count))
		return 1;
	stream->facts[stream->fact_count++] = *fact;
	return 0;
}

int
rebuild_replay(struct rebuild_stream *stream, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(stream->rebuild->mend.index, &txn, err);

	if (rc < 0)
		return rc;
	replay(stream, &txn);
	for (size_t i = 0; i < stream->held.count; i++)
		pb_index_cut_gaps(&txn, stream->info.id,
		    stream->held.at[i].first, stream->held.at[i].last, false);
	return pb_mdb_commit(&txn);
}

int
rebuild_gaps(struct rebuild_stream *stream, struct pb_err *err)
{
	struct pb_runs known = { NULL, 0, 0 };
	int rc = rebuild_replay(stream, err);

	if (rc == 0)
		rc = put_fills(stream, err);
	if (rc == 0)
		rc = explained(stream, &known, err);
	if (rc == 0)
		rc = put_holes(stream, &known, err);
	free(known.at);
	return rc;
}

/* What came late may not have been passed on yet: it is offered again. */
static int
put_fills(struct rebuild_stream *stream, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(stream->rebuild->mend.index, &txn, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < stream->fact_count; i++)
		if (stream->facts[i].kind == PB_FACT_FILL)
			each_held(stream, &stream->facts[i], &txn, offer);
	return pb_mdb_commit(&txn);
}

/* A fill counts for what segments hold: it is written before the commit,
 * which may have failed, and then it was written again. */
static void
each_held(struct rebuild_stream *stream, const struct pb_fact *fact,
    struct pb_mdb_txn *txn, void (*each)(struct pb_mdb_txn *, uint32_t,
    uint64_t, uint64_t, uint64_t))
{
	const struct pb_runs *held = &stream->held;

	for (size_t i = pb_runs_find(held, fact->first); i < held->count &&
	    held->at[i].first <= fact->last; i++) {
		uint64_t first = held->at[i].first > fact->first ?
		    held->at[i].first : fact->first;
		uint64_t last = held->at[i].last < fact->last ?
		    held->at[i].last : fact->last;

		each(txn, stream->info.id, first, last, fact->time_ns);
	}
}

static void
refill(struct pb_mdb_txn *txn, uint32_t id, uint64_t first, uint64_t last,
    uint64_t now_ns)
{
	pb_index_reopen_gaps(txn, id, first, last);
	pb_index_fill_gaps(txn, id, first, last, now_ns);
}

static void
offer(struct pb_mdb_txn *txn, uint32_t id, uint64_t first, uint64_t last,
    uint64_t now_ns)
{
	(void)now_ns;
	pb_index_put_fill(txn, id, first, last);
}

static void
replay(struct rebuild_stream *stream, struct pb_mdb_txn *txn)
{
	uint32_t id = stream->info.id;

	for (size_t i = 0; i < stream->fact_count; i++) {
		const struct pb_fact *fact = &stream->facts[i];
		struct pb_gap_info gap = {
			.stream = id,
			.first = fact->first,
			.last = fact->last,
			.reason = fact->reason,
			.since_ns = fact->time_ns,
		};

		switch (fact->kind) {
		case PB_FACT_GAP:
			pb_index_cut_gaps(txn, id, fact->first, fact->last,
			    true);
			pb_index_add_gap(txn, &gap);
			break;
		case PB_FACT_FILL:
			each_held(stream, fact, txn, refill);
			break;
		case PB_FACT_EXPIRED:
			pb_index_cut_gaps(txn, id, fact->first, fact->last,
			    true);
			break;
		case PB_FACT_STREAM:
			break;
		}
	}
}

/* Numbers that are held, or missing for a reason, sorted. */
static int
explained(struct rebuild_stream *stream, struct pb_runs *out,
    struct pb_err *err)
{
	struct pb_gap_info rows[GAP_ROWS];
	uint64_t from = 1;
	bool fits = true;
	int n;

	for (size_t i = 0; i < stream->held.count; i++)
		fits &= pb_runs_add(out, stream->held.at[i].first,
		    stream->held.at[i].last);
	for (size_t i = 0; i < stream->fact_count; i++)
		if (stream->facts[i].kind == PB_FACT_EXPIRED)
			fits &= pb_runs_add(out, stream->facts[i].first,
			    stream->facts[i].last);
	do {
		n = pb_index_gaps(stream->rebuild->mend.index,
		    stream->info.id, from, rows, GAP_ROWS, err);
		for (int i = 0; i < n; i++) {
			if (rows[i].closed_ns == 0) {
				fits &= pb_runs_add(out, rows[i].first,
				    rows[i].last);
				stream->rebuild->sum->gaps++;
			}
			from = rows[i].last + 1;
		}
	} while (n == GAP_ROWS);
	if (n < 0)
		return n;
	if (!fits)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pb_runs_sort(out);
	return 0;
}

/* A stream without a journal is older than journals: what is missing at
 * its start has expired, and nobody wrote it down. */
static int
put_holes(struct rebuild_stream *stream, const struct pb_runs *known,
    struct pb_err *err)
{
	uint64_t next = stream->has_journal || known->count == 0 ? 1 :
	    known->at[0].first;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < known->count; i++) {
		if (known->at[i].first > next)
			rc = put_hole(stream, next, known->at[i].first - 1,
			    err);
		if (known->at[i].last >= next)
			next = known->at[i].last + 1;
	}
	if (next - 1 > stream->info.last_seq)
		stream->info.last_seq = next - 1;
	return rc;
}

static int
put_hole(struct rebuild_stream *stream, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	struct pb_gap_info gap = {
		.stream = stream->info.id,
		.first = first,
		.last = last,
		.reason = PB_GAP_DAMAGED,
		.since_ns = pb_clock_real_ns(),
	};
	struct pb_fact fact = {
		.kind = PB_FACT_GAP,
		.first = first,
		.last = last,
		.reason = PB_GAP_DAMAGED,
		.time_ns = gap.since_ns,
	};
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_journal_append(stream->rebuild->mend.store, &stream->info.key,
	    &fact, 1, err);
	if (rc == 0)
		rc = pb_index_begin(stream->rebuild->mend.index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_cut_gaps(&txn, gap.stream, first, last, true);
	pb_index_add_gap(&txn, &gap);
	stream->rebuild->sum->gaps++;
	return pb_mdb_commit(&txn);
}
