/*
 * recorder/store/write/flows_rows.c - the rows of flow tables, into the index
 */
#include "recorder/store/write/flows_impl.h"

#include <stdlib.h>

#include "base/log.h"
#include "recorder/store/index/index_block.h"

static void	put(struct flow_work *, struct pb_mdb_txn *, struct flow_job *);
static bool	is_meant(struct pb_store *, struct pb_mdb_txn *,
		    const struct flow_job *);

void
flows_put(struct pb_store *store, struct pb_mdb_txn *txn)
{
	struct flow_work *work = store->flow_work;
	struct flow_job *job;

	if (work == NULL)
		return;
	pthread_mutex_lock(&work->mutex);
	STAILQ_CONCAT(&work->putting, &work->ready);
	pthread_mutex_unlock(&work->mutex);
	work->refused = 0;
	STAILQ_FOREACH(job, &work->putting, link) {
		job->put = job->made && is_meant(store, txn, job);
		if (job->put)
			put(work, txn, job);
	}
}

/* Where there is room; that there is none is told once. */
static void
put(struct flow_work *work, struct pb_mdb_txn *txn, struct flow_job *job)
{
	bool full;

	job->put = pb_index_put_flows(txn, &job->row);
	full = !job->put && txn->rc == 0;
	if (full && !work->full)
		pb_log(PB_LOG_WARN, "store", "flow tables have their half of "
		    "the index: what comes in is searched packet by packet; "
		    "Fix: raise [store] index_size, and send pb-recorder "
		    "SIGHUP");
	work->full = full;
}

bool
flows_settle(struct pb_store *store, bool committed)
{
	struct flow_work *work = store->flow_work;
	struct flow_job *job;
	bool some = false;

	while (work != NULL && (job = STAILQ_FIRST(&work->putting)) != NULL) {
		STAILQ_REMOVE_HEAD(&work->putting, link);
		some |= job->put;
		flows_count(store, committed && job->put ? &job->row : NULL);
		flow_job_destroy(work, job);
	}
	return some;
}

/* Its segment is there, and no other one of that name. */
static bool
is_meant(struct pb_store *store, struct pb_mdb_txn *txn,
    const struct flow_job *job)
{
	const struct pb_flows_info *row = &job->row;
	struct pb_segment_info segment;
	struct pb_flows_info other;
	enum pb_row_found found;

	if (job->changes != atomic_load(&store->changes))
		return false;
	/* Others may have been made of the same packets meanwhile. */
	found = pb_row_find(txn, PB_TABLE_FLOWS, PB_ROW_UP_TO, row->stream,
	    row->last_seq, &other);
	if (found == PB_ROW_SOUND && other.last_seq >= row->first_seq)
		return false;
	found = pb_row_find(txn, PB_TABLE_SEGMENTS, PB_ROW_AT, row->stream,
	    row->segment_seq, &segment);
	return found == PB_ROW_SOUND && row->last_seq <= segment.last_seq &&
	    row->end <= segment.bytes && job->created_ns == segment.created_ns;
}

void
flow_job_destroy(struct flow_work *work, struct flow_job *job)
{
	pthread_mutex_lock(&work->mutex);
	work->jobs--;
	work->bytes -= job->bytes;
	work->left = true;
	pthread_cond_signal(&work->more);
	pthread_mutex_unlock(&work->mutex);
	pb_index_block_destroy(job->block);
	free(job);
}

void
flows_count(struct pb_store *store, const struct pb_flows_info *row)
{
	pthread_mutex_lock(&store->mutex);
	if (row != NULL)
		store->stats.tables++;
	else
		store->stats.tables_missing++;
	store->stats.table_bytes += row != NULL ? row->table_bytes : 0;
	pthread_mutex_unlock(&store->mutex);
}
