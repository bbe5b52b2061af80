/*
 * recorder/store/write/flows.c - the flow tables of what is committed
 */
#include "recorder/store/write/flows_impl.h"

#include <linux/ioprio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/flow/pool.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_table.h"

/* In work and ready: many small ones, or few large ones. */
#define JOBS_MAX	1024u
#define JOBS_BYTES_MAX	(1ull << 30)	/* of packets */
#define FLOWS_NICE	10		/* behind capture and ingest */
#define FLOWS_IO	7		/* at the disk, where that is bfq */
#define AHEAD_MAX	1u	/* jobs that wait where packets can */
#define END_MS		5000u		/* of a store that closes */
#define TABLE_KEPT_MAX	((size_t)4 << 20)	/* memory for the next one */

static bool	grow(struct pb_store *, struct pb_index_block **,
		    const struct pb_chunk *, const struct pb_segment *);
static void	end(struct pb_store *, struct pb_index_block **,
		    struct pb_stream *, const struct pb_segment *);
static struct flow_job *job_create(struct flow_work *,
		    const struct pb_stream_key *, uint64_t);
static void	job_start(struct pb_store *, struct flow_job *);
static void	wait_for_work(struct pb_store *);
static bool	start(struct pb_store *);
static void	*work_main(void *);
static void	job_done(struct pb_store *, struct flow_job *);
static void	job_ready(struct pb_store *, struct flow_job *);
static void	tell(const struct flow_work *, const struct flow_job *,
		    const struct pb_err *);
static int	make(struct pb_store *, struct flow_job *, struct pb_err *);
static int	append(struct pb_store *, struct flow_job *,
		    const struct pb_buf *, struct pb_err *);
static void	tell_missing(struct pb_store *);
static void	drop_all(struct flow_work *, struct flow_jobs *);

int
flows_create(struct pb_store *store, struct pb_err *err)
{
	static const struct pb_flow_pool_opts blocks = {
		.bytes_max = PB_FLOW_BLOCKS_BYTES_MAX,
		.kept_max = PB_FLOW_BLOCKS_KEPT_MAX,
		.flows_max = PB_INDEX_BLOCK_FLOWS,
		.packets_max = PB_INDEX_BLOCK_PACKETS,
	};
	struct flow_work *work;
	pthread_condattr_t idle;
	int rc;

	if (store->opts.flows == PB_FLOWS_NO)
		return 0;
	work = calloc(1, sizeof(*work));
	if (work == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_flow_pool_create(&work->pool, &blocks, err);
	if (rc < 0) {
		free(work);
		return rc;
	}
	pthread_mutex_init(&work->mutex, NULL);
	pthread_cond_init(&work->more, NULL);
	pthread_condattr_init(&idle);
	pthread_condattr_setclock(&idle, CLOCK_MONOTONIC);
	pthread_cond_init(&work->idle, &idle);
	pthread_condattr_destroy(&idle);
	STAILQ_INIT(&work->todo);
	STAILQ_INIT(&work->ready);
	STAILQ_INIT(&work->putting);
	pb_buf_init(&work->table, PB_FLOW_TABLE_BYTES_MAX);
	store->flow_work = work;
	return 0;
}

void
flows_destroy(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;

	if (work == NULL)
		return;
	pthread_mutex_lock(&work->mutex);
	work->stops = true;
	pthread_cond_signal(&work->more);
	pthread_mutex_unlock(&work->mutex);
	if (work->runs)
		pthread_join(work->thread, NULL);
	drop_all(work, &work->todo);
	drop_all(work, &work->ready);
	drop_all(work, &work->putting);
	pthread_cond_destroy(&work->idle);
	pthread_cond_destroy(&work->more);
	pthread_mutex_destroy(&work->mutex);
	pb_flow_table_work_destroy(work->tables);
	pb_buf_finish(&work->table);
	/* The streams' blocks go later, and it with the last of them. */
	pb_flow_pool_destroy(work->pool);
	free(work);
	store->flow_work = NULL;
}

/* --- blocks that grow ----------------------------------------------------- */

void
flows_take(struct pb_store *store, const struct pb_chunk *chunk,
    const struct pb_segment *segment, bool alone)
{
	struct pb_stream *stream = chunk->stream;
	struct pb_index_block *own = NULL;
	struct pb_index_block **block = alone ? &own : &stream->block;

	if (store->flow_work == NULL || chunk->gap != 0)
		return;
	if (!grow(store, block, chunk, segment)) {
		end(store, block, stream, segment);
		grow(store, block, chunk, segment);
	}
	if (alone)
		end(store, block, stream, segment);
}

void
flows_end(struct pb_store *store, struct pb_stream *stream)
{
	end(store, &stream->block, stream, stream->segment);
	stream->bare = 0;
}

void
flows_drop(struct pb_stream *stream)
{
	pb_index_block_destroy(stream->block);
	stream->block = NULL;
}

/* False where the block is full. */
static bool
grow(struct pb_store *store, struct pb_index_block **block,
    const struct pb_chunk *chunk, const struct pb_segment *segment)
{
	struct pb_index_part part = {
		.first_seq = chunk->first_seq,
		.last_seq = chunk->last_seq,
		.at = chunk->file_at,
		.bytes = chunk->len,
		.tally = chunk->tally,
		.flows = chunk->flows,
	};

	/* One does not begin with what is not known. */
	if (*block == NULL && chunk->flows != NULL)
		*block = pb_index_block_create(store->flow_work->pool,
		    chunk->stream->block_size, chunk->stream->info.id,
		    pb_segment_row(segment)->first_seq);
	if (*block != NULL) {
		chunk->stream->bare = 0;
		return pb_index_block_part(*block, &part);
	}
	/* As many packets as would be another one. */
	if (chunk->stream->bare == 0 || chunk->stream->bare + chunk->len >
	    PB_INDEX_BLOCK_BYTES) {
		flows_count(store, NULL);
		chunk->stream->bare = 0;
	}
	chunk->stream->bare += chunk->len;
	return true;
}

static void
end(struct pb_store *store, struct pb_index_block **block,
    struct pb_stream *stream, const struct pb_segment *segment)
{
	struct flow_job *job;

	if (*block == NULL)
		return;
	stream->block_size = pb_flow_pool_size((*block)->flows);
	job = job_create(store->flow_work, &stream->info.key, (*block)->end -
	    (*block)->from);
	if (job != NULL) {
		job->block = *block;
		job->created_ns = pb_segment_row(segment)->created_ns;
		job->changes = atomic_load(&store->changes);
	} else {
		pb_index_block_destroy(*block);
		flows_count(store, NULL);
		store->flow_work->refused++;
	}
	*block = NULL;
	if (job != NULL)
		job_start(store, job);
	if (store->opts.brief)
		wait_for_work(store);
}

/* --- work ----------------------------------------------------------------- */

bool
flows_give(struct pb_store *store, const struct pb_stream_key *key,
    const struct pb_flows_info *row, uint64_t created_ns, uint64_t changes)
{
	struct flow_job *job = job_create(store->flow_work, key, row->end -
	    row->from);

	if (job == NULL)
		return false;
	job->row = *row;
	job->made = true;
	job->created_ns = created_ns;
	job->changes = changes;
	job_ready(store, job);
	return true;
}

bool
flows_work_on(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;
	struct flow_job *job;
	bool stops;

	do {
		pthread_mutex_lock(&work->mutex);
		stops = work->stops;
		job = STAILQ_FIRST(&work->todo);
		if (job != NULL && !stops) {
			STAILQ_REMOVE_HEAD(&work->todo, link);
			work->waiting--;
			pthread_cond_signal(&work->idle);
		}
		pthread_mutex_unlock(&work->mutex);
		if (job != NULL && !stops)
			job_done(store, job);
	} while (job != NULL && !stops);
	return !stops;
}

/* Of so many bytes of packets; NULL where there are too many, or no memory. */
static struct flow_job *
job_create(struct flow_work *work, const struct pb_stream_key *key,
    uint64_t bytes)
{
	struct flow_job *job = NULL;
	bool room;

	pthread_mutex_lock(&work->mutex);
	room = work->jobs < JOBS_MAX && work->bytes + bytes <= JOBS_BYTES_MAX;
	if (room)
		job = calloc(1, sizeof(*job));
	if (job != NULL) {
		work->jobs++;
		work->bytes += bytes;
	}
	pthread_mutex_unlock(&work->mutex);
	if (job == NULL)
		return NULL;
	job->key = *key;
	job->bytes = bytes;
	return job;
}

static void
job_start(struct pb_store *store, struct flow_job *job)
{
	struct flow_work *work = store->flow_work;

	if (store->opts.stepped) {
		job_done(store, job);
	} else if (!start(store)) {
		flow_job_destroy(work, job);
		flows_count(store, NULL);
	} else {
		pthread_mutex_lock(&work->mutex);
		STAILQ_INSERT_TAIL(&work->todo, job, link);
		work->waiting++;
		pthread_cond_signal(&work->more);
		pthread_mutex_unlock(&work->mutex);
	}
}

/* Whoever has no capture beside it does not outrun the thread: its blocks would
 * come to more memory than there is, and to more than there may be. */
static void
wait_for_work(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;
	bool many;

	pthread_mutex_lock(&work->mutex);
	while (work->waiting > AHEAD_MAX)
		pthread_cond_wait(&work->idle, &work->mutex);
	many = work->jobs > JOBS_MAX / 2 || work->bytes > JOBS_BYTES_MAX / 2;
	pthread_mutex_unlock(&work->mutex);
	if (many)
		flows_commit(store);
}

static bool
start(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;

	if (!work->runs)
		work->runs = pthread_create(&work->thread, NULL, work_main,
		    store) == 0;
	return work->runs;
}

static void *
work_main(void *arg)
{
	struct pb_store *store = arg;
	struct flow_work *work = store->flow_work;
	bool all = store->opts.flows == PB_FLOWS_ALL;

	/* Not idle at the disk: its tables are synced, and behind their bytes
	 * the file system's journal would wait, and capture behind that. */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), FLOWS_NICE) < 0 ||
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
	    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, FLOWS_IO)) < 0)
		pb_log(PB_LOG_DEBUG, "store", "flow tables are made beside "
		    "capture, not behind it");
	pthread_mutex_lock(&work->mutex);
	while (!work->stops) {
		work->busy = true;
		work->left = false;
		pthread_mutex_unlock(&work->mutex);
		while (flows_work_on(store) && all &&
		    flows_older(store, &work->older))
			continue;
		pthread_mutex_lock(&work->mutex);
		work->busy = false;
		pthread_cond_signal(&work->idle);
		while (STAILQ_EMPTY(&work->todo) && !work->stops &&
		    !(all && work->left))
			pthread_cond_wait(&work->more, &work->mutex);
	}
	pthread_mutex_unlock(&work->mutex);
	return NULL;
}

/* Its table is made, and the writer hears of it. */
static void
job_done(struct pb_store *store, struct flow_job *job)
{
	struct flow_work *work = store->flow_work;
	struct pb_err err = { .code = 0 };
	int rc = make(store, job, &err);

	/* What it was made of is not needed any more. */
	pb_index_block_destroy(job->block);
	job->block = NULL;
	job->made = rc == 1;
	if (rc < 0)
		tell(work, job, &err);
	work->troubled = rc < 0 && (work->troubled || rc != PB_ENOENT);
	job_ready(store, job);
}

static void
job_ready(struct pb_store *store, struct flow_job *job)
{
	struct flow_work *work = store->flow_work;

	pthread_mutex_lock(&work->mutex);
	STAILQ_INSERT_TAIL(&work->ready, job, link);
	pthread_mutex_unlock(&work->mutex);
	pthread_mutex_lock(&store->mutex);
	store->flows_ready = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
}

/* Once, until it goes well again.  That a segment has gone is no trouble. */
static void
tell(const struct flow_work *work, const struct flow_job *job,
    const struct pb_err *err)
{
	if (work->troubled || err->code == PB_ENOENT)
		return;
	pb_log(PB_LOG_WARN, "store", "packets have no flow table, and are "
	    "searched one by one stream=%s/%s first=%llu last=%llu: %s",
	    job->key.node, job->key.interface,
	    (unsigned long long)job->row.first_seq,
	    (unsigned long long)job->row.last_seq, err->text);
}

/* 1, 0 where nothing is known of its packets, or an error. */
static int
make(struct pb_store *store, struct flow_job *job, struct pb_err *err)
{
	struct flow_work *work = store->flow_work;
	struct pb_buf *table = &work->table;
	int rc = 0;

	pb_buf_clear(table);
	if (work->tables == NULL)
		rc = pb_flow_table_work_create(&work->tables, err);
	if (rc == 0)
		rc = pb_index_block_end(job->block, &job->row, table,
		    work->tables, err);
	if (rc == 1 && job->row.table_bytes > 0)
		rc = append(store, job, table, err);
	if (table->cap > TABLE_KEPT_MAX) {
		pb_buf_finish(table);
		pb_buf_init(table, PB_FLOW_TABLE_BYTES_MAX);
	}
	return rc;
}

static int
append(struct pb_store *store, struct flow_job *job, const struct pb_buf *table,
    struct pb_err *err)
{
	int rc;

	/* Nothing is made in another store. */
	if (atomic_load(&store->changes) != job->changes)
		return pb_err_set(err, PB_ENOENT, "the store has gone");
	rc = pb_index_table_append(store->path, &job->key, &job->row, table,
	    err);
	return rc < 0 ? rc : 1;
}

void
flows_commit(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;
	struct pb_mdb_txn txn;
	struct pb_err err;
	bool ready;
	int rc;

	if (work == NULL)
		return;
	if (store->opts.flows == PB_FLOWS_ALL && store->opts.stepped)
		flows_older(store, &work->older);
	else if (store->opts.flows == PB_FLOWS_ALL)
		start(store);
	pthread_mutex_lock(&store->mutex);
	store->flows_ready = false;
	pthread_mutex_unlock(&store->mutex);
	/* A batch may have taken them along. */
	pthread_mutex_lock(&work->mutex);
	ready = !STAILQ_EMPTY(&work->ready);
	pthread_mutex_unlock(&work->mutex);
	if (!ready)
		return;
	rc = pb_index_begin(store->index, &txn, &err);
	if (rc == 0) {
		flows_put(store, &txn);
		rc = pb_mdb_commit(&txn);
	}
	flows_settle(store, rc == 0);
}

void
flows_finish(struct pb_store *store)
{
	struct flow_work *work = store->flow_work;
	struct timespec until;
	unsigned left;
	int rc = 0;

	if (work == NULL || store->away)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_MS / 1000;
	pthread_mutex_lock(&work->mutex);
	/* What is older is made another time. */
	while (store->opts.flows != PB_FLOWS_ALL && rc == 0 &&
	    (work->busy || work->waiting > 0))
		rc = store->opts.brief ?
		    pthread_cond_wait(&work->idle, &work->mutex) :
		    pthread_cond_timedwait(&work->idle, &work->mutex, &until);
	left = work->waiting + work->busy + work->refused;
	pthread_mutex_unlock(&work->mutex);
	if (left > 0 && store->opts.flows != PB_FLOWS_ALL)
		pb_log(PB_LOG_WARN, "store", "the store closes before the "
		    "flow tables of %u index blocks are made; Fix: pb reindex",
		    left);
	flows_commit(store);
	if (store->opts.brief)
		tell_missing(store);
}

/* Who has no recorder has no other word of it. */
static void
tell_missing(struct pb_store *store)
{
	uint64_t missing;

	pthread_mutex_lock(&store->mutex);
	missing = store->stats.tables_missing;
	pthread_mutex_unlock(&store->mutex);
	if (missing > 0)
		pb_log(PB_LOG_WARN, "store", "packets of %llu index blocks "
		    "have no flow table, and are searched one by one; Fix: "
		    "pb reindex", (unsigned long long)missing);
}

static void
drop_all(struct flow_work *work, struct flow_jobs *list)
{
	struct flow_job *job;

	while ((job = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		flow_job_destroy(work, job);
	}
}
