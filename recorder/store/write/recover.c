/*
 * recorder/store/write/recover.c - seal what a crash left open
 *
 * Looks only at segments the index lists as not sealed: the work does not
 * grow with the store.  For each: keep every whole block whose number
 * follows, cut the rest, seal.  Three states a crash can leave:
 *
 *   announced, no file            the announcement goes
 *   file, nothing in the index    its whole blocks are taken in where they
 *                                 follow the stream's end; a late fill
 *                                 goes: its sender has it still
 *   file longer than the index    the whole blocks behind it are taken in
 *   file shorter than the index,  every whole block stays, what is missing
 *   rotten, or gone               becomes a gap, `damaged` (mend/take.h)
 *
 * After a power cut (another boot than the one that wrote) bytes behind
 * the durable end may be torn in the middle, not only at the end, and
 * nothing of them was ever acknowledged or shipped: they are cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/take.h"
#include "recorder/store/read/segment_file.h"
#include "recorder/store/write/store_impl.h"

/* One segment being recovered. */
struct job {
	struct pb_store		*store;
	struct pb_mend		 mend;
	const struct pb_open_info *open_row;
	struct pb_stream_info	 stream;
	struct pb_segment_info	 before;	/* as the index has it */
	bool			 known;		/* the index has that row */
	struct pb_survey	 survey;	/* what the file says */
	uint64_t		 limit;		/* do not read past it */
	uint64_t		 header;	/* bytes of SHB and IDB */
	uint64_t		 header_digest;
	uint64_t		 size;		/* of the file */
	uint64_t		 now_ns;
	int			 fd;
};

static int	recover_one(struct pb_store *, const struct pb_open_info *,
		    struct pb_err *);
static int	recover_segment(struct job *, struct pb_err *);
static int	find_stream(struct pb_store *, const struct pb_open_info *,
		    struct pb_stream_info *, struct pb_err *);
static int	open_file(struct job *, struct pb_err *);
static int	keep_away(struct job *, struct pb_err *);
static int	read_head(struct job *, struct pb_err *);
static int	same_header(struct job *, struct pb_err *);
static void	set_limit(struct job *);
static int	last_extent(struct job *, struct pb_extent_info *,
		    struct pb_err *);
static int	scan(struct job *, struct pb_err *);
static int	retake(struct job *, const char *, struct pb_err *);
static void	drop_tables(const struct job *);
static int	lose(struct job *, const char *, const struct pb_run *,
		    struct pb_err *);
static int	seal_file(struct job *, struct pb_err *);
static int	remove_file(struct job *, struct pb_err *);
static int	commit(struct job *, const struct pb_take *,
		    struct pb_err *);
static void	put_segment(struct job *, struct pb_mdb_txn *,
		    struct pb_survey *, uint64_t);
static void	put_holes(struct job *, struct pb_mdb_txn *,
		    const struct pb_runs *);
static struct pb_gap_info gap_of(const struct job *, const struct pb_run *);
static void	drop_extents(const struct job *, struct pb_mdb_txn *);
static int	boot_remember(struct pb_store *, struct pb_err *);

int
pb_store_recover(struct pb_store *store, struct pb_err *err)
{
	const struct pb_open_info *row;
	struct pb_rows rows;
	int rc = pb_retain_recover(store->retain, store->index, err);

	if (rc < 0)
		return rc;
	pb_rows_all(&rows, store->index, PB_TABLE_OPEN, NULL, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL)
		rc = recover_one(store, row, err);
	if (rc == 0)
		rc = rows.rc;
	/* Only now: a recovery that is cut short after a power cut must not
	 * be taken for one after a crash when it is done again. */
	return rc < 0 ? rc : boot_remember(store, err);
}

static int
recover_one(struct pb_store *store, const struct pb_open_info *open_row,
    struct pb_err *err)
{
	struct job job = { .store = store, .open_row = open_row, .fd = -1,
	    .now_ns = pb_clock_real_ns_by(store->clock),
	    .mend = { .store = store->path, .pen = store->opts.pen } };
	int rc;

	pb_survey_init(&job.survey);
	rc = find_stream(store, open_row, &job.stream, err);
	if (rc == 1)
		rc = recover_segment(&job, err);
	else if (rc == 0)
		rc = commit(&job, NULL, err);
	if (job.fd >= 0)
		pb_file_close(job.fd);
	pb_survey_finish(&job.survey);
	return rc;
}

static int
recover_segment(struct job *job, struct pb_err *err)
{
	const char *why = NULL;
	int rc = open_file(job, err);

	if (rc == 0)
		why = "its file is gone";
	if (rc == 1) {
		rc = read_head(job, err);
		if (rc == 0)
			why = "its header cannot be read";
	}
	if (rc == 1) {
		rc = same_header(job, err);
		if (rc == 0)
			why = "its header is not what it was";
	}
	if (rc == 1) {
		rc = scan(job, err);
		if (rc == 0 && job->survey.good < job->before.bytes)
			why = job->survey.why != NULL ? job->survey.why :
			    "it ends before its durable end";
	}
	if (rc < 0)
		return rc;
	/* Packets the index knows of may still be whole; others were promised
	 * to nobody. */
	if (why != NULL && job->known && !pb_segment_empty(&job->before))
		return retake(job, why, err);
	rc = pb_segment_empty(&job->survey.segment) ? remove_file(job, err) :
	    seal_file(job, err);
	return rc < 0 ? rc : commit(job, NULL, err);
}

/* The stream of an announced segment: 1, 0 where there is none, or error. */
static int
find_stream(struct pb_store *store, const struct pb_open_info *open_row,
    struct pb_stream_info *out, struct pb_err *err)
{
	int rc = pb_index_stream(store->index, &open_row->key, out, err);

	if (rc != 1 || out->id == open_row->stream)
		return rc;
	memset(out, 0, sizeof(*out));
	return 0;
}

/* 1, or 0 where there is no file, or an error. */
static int
open_file(struct job *job, struct pb_err *err)
{
	uint64_t first_seq = job->open_row->first_seq;
	struct pb_segment_info row;
	struct stat st;
	int rc = pb_index_segment(job->store->index, job->stream.id,
	    first_seq, &row, err);

	if (rc < 0)
		return rc;
	job->known = rc == 1;
	if (job->known)
		job->before = row;
	job->survey.segment = job->known ? row : (struct pb_segment_info){
		.stream = job->stream.id,
		.first_seq = first_seq,
		.last_seq = first_seq - 1,
		.created_ns = job->now_ns,
	};
	job->fd = pb_segment_open_mode(job->store->path, &job->stream.key,
	    first_seq, O_RDWR, err);
	if (job->fd == PB_ENOENT)
		return keep_away(job, err);
	if (job->fd < 0)
		return job->fd;
	if (pb_file_stat(job->fd, &st) < 0)
		return pb_err_sys(err, "look at a segment");
	job->size = (uint64_t)st.st_size;
	return 1;
}

/* Who took its name away may have been ended before he synced that: without
 * a row it must not come back.  0, or an error. */
static int
keep_away(struct job *job, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_stream(dir, job->store->path, &job->stream.key,
	    err);

	if (rc == 0)
		rc = pb_sync_dir(dir, err);
	return rc == PB_ENOENT ? 0 : rc;
}

/* 1, or 0 where it is none of this segment. */
static int
read_head(struct job *job, struct pb_err *err)
{
	struct pb_head *head = NULL;
	size_t header = 0;
	int rc = pb_survey_head(job->fd, &head, &header, &job->header_digest,
	    err);

	if (rc == 0 && !pb_head_fits(head, &job->stream.key,
	    job->stream.linktype, job->open_row->first_seq))
		rc = PB_EFORMAT;	/* rotten: somebody else's */
	pb_head_unref(head);
	if (rc == PB_EFORMAT)
		return 0;
	if (rc < 0)
		return rc;
	job->header = header;
	if (!job->known) {
		job->survey.segment.bytes = header;
		job->survey.segment.header_bytes = (uint32_t)header;
		job->survey.segment.header_digest = job->header_digest;
	}
	set_limit(job);
	return 1;
}

/* 1, or 0 where what stands before the first extent is not what the index
 * says: a salvage that was cut short has left its run here, perhaps. */
static int
same_header(struct job *job, struct pb_err *err)
{
	const struct pb_segment_info *row = &job->before;
	struct pb_extent_info first;
	uint64_t digest;
	int rc;

	if (!job->known)
		return 1;
	rc = pb_index_rows_of(job->store->index, PB_TABLE_EXTENTS, row->stream,
	    row->first_seq, &first, 1, err);
	if (rc < 0)
		return rc;
	/* Without an extent of its own the scan is of all of the file. */
	if (rc == 0 || first.segment_seq != row->first_seq ||
	    first.offset > row->bytes)
		return 1;
	return pb_survey_digest(job->fd, first.offset, &digest, NULL) == 1 &&
	    digest == row->header_digest;
}

/*
 * What the index does not know has been promised to nobody.  It is kept
 * where it goes on with the stream; a late fill's gap is still open, and
 * what fills it will come again.
 */
static void
set_limit(struct job *job)
{
	bool follows = job->known ||
	    job->open_row->first_seq == job->stream.last_seq + 1;

	/* A store that was away: what is not durable is held in memory. */
	if (stream_in_memory(job->store, &job->stream.key) != NULL)
		follows = false;

	job->limit = job->store->same_boot && follows ? job->size :
	    job->survey.segment.bytes;
	if (job->limit > job->size)
		job->limit = job->size;
	job->survey.strict_from = job->before.bytes;
}

/*
 * From the last extent the index knows; where that does not reach the
 * durable end, something was damaged: then all of the file, block by
 * block.
 */
static int
scan(struct job *job, struct pb_err *err)
{
	struct pb_segment_info *row = &job->survey.segment;
	uint64_t durable = row->last_seq;
	struct pb_extent_info extent;
	int rc = last_extent(job, &extent, err);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		job->survey.counted = durable;
		row->last_seq = extent.first_seq - 1;
		rc = pb_survey_read(&job->survey, job->fd, extent.offset,
		    job->limit, err);
		if (rc < 0 || (job->survey.good >= job->before.bytes &&
		    row->last_seq >= durable))
			return rc;
	}
	pb_survey_reset(&job->survey);
	job->survey.counted = 0;
	row->header_bytes = (uint32_t)job->header;
	row->header_digest = job->header_digest;
	row->last_seq = row->first_seq - 1;
	row->packets = row->packet_bytes = 0;
	row->first_time = row->last_time = 0;
	rc = pb_survey_read(&job->survey, job->fd, job->header, job->limit,
	    err);
	/* The bytes are there and the numbers are not. */
	if (rc == 0 && job->known && row->last_seq < durable)
		job->survey.good = 0;
	return rc;
}

/* The last extent of the segment that the index has: 1, or 0 where that
 * cannot be right, or be there. */
static int
last_extent(struct job *job, struct pb_extent_info *out, struct pb_err *err)
{
	const struct pb_segment_info *row = &job->before;
	int rc;

	if (!job->known || job->limit < row->bytes ||
	    job->header != row->header_bytes)
		return 0;
	rc = pb_index_extent_below(job->store->index, job->stream.id,
	    row->last_seq, out, err);
	return rc == 1 && (out->segment_seq != row->first_seq ||
	    out->offset < job->header || out->offset > row->bytes) ? 0 : rc;
}

/* Something durable is damaged, or gone: every whole block stays. */
static int
retake(struct job *job, const char *why, struct pb_err *err)
{
	const struct pb_segment_info *row = &job->before;
	struct pb_take take = { .mend = &job->mend, .stream = &job->stream,
	    .has_head = true, .taken = row->first_seq - 1,
	    .last = row->last_seq, .who = "recovery" };
	struct pb_holes holes = { .runs = &take.held,
	    .next = row->first_seq, .end = row->last_seq };
	uint64_t lost = 0;
	char aside[PATH_MAX];
	struct pb_run hole;
	int rc = pb_take_known(&take, job->store->index, row, why, aside, err);

	while (rc == 0 && pb_holes_next(&holes, &hole)) {
		lost += hole.last - hole.first + 1;
		rc = lose(job, aside, &hole, err);
	}
	if (rc == 0)
		drop_tables(job);
	if (rc == 0)
		rc = commit(job, &take, err);
	if (rc == 0 && aside[0] != '\0')
		pb_log(PB_LOG_ERROR, "recovery", "a damaged segment: %s "
		    "stream=%s/%s first=%llu last=%llu kept=%llu lost=%llu "
		    "aside=%s", why, job->stream.key.node,
		    job->stream.key.interface,
		    (unsigned long long)row->first_seq,
		    (unsigned long long)row->last_seq, (unsigned long long)
		    (row->last_seq - row->first_seq + 1 - lost),
		    (unsigned long long)lost, aside);
	pb_take_finish(&take);
	return rc;
}

/* They were of the file as it was.  Where they stay they cost room. */
static void
drop_tables(const struct job *job)
{
	const char *store = job->store->path;
	char dir[PATH_MAX];

	if (pb_index_table_remove(store, &job->stream.key,
	    job->before.first_seq, NULL) == 0 &&
	    pb_layout_stream(dir, store, &job->stream.key, NULL) == 0)
		(void)pb_sync_dir(dir, NULL);
}

/* The journal has a gap before the index does. */
static int
lose(struct job *job, const char *aside, const struct pb_run *hole,
    struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream.key;
	struct pb_gap_info gap = gap_of(job, hole);
	struct pb_fact fact = pb_fact_of_gap(&gap);
	bool gone = aside[0] == '\0';

	pb_log(PB_LOG_ERROR, gone ? "recovery" : "store", "packets are "
	    "lost%s stream=%s/%s first=%llu last=%llu%s%s",
	    gone ? ", their file is gone" : "", key->node, key->interface,
	    (unsigned long long)hole->first, (unsigned long long)hole->last,
	    gone ? "" : " aside=", aside);
	return pb_journal_append(job->store->path, key, &fact, 1, err);
}

/* The file ends at its last whole block and has its sealed name. */
static int
seal_file(struct job *job, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream.key;
	uint64_t first = job->open_row->first_seq;
	uint64_t good = job->survey.good;
	char path[PATH_MAX];
	int rc = pb_layout_segment(path, job->store->path, key, first, true,
	    err);

	if (rc < 0)
		return rc;
	if (job->size > good)
		pb_log(PB_LOG_WARN, "recovery", "cut a torn end file=%s "
		    "bytes=%llu", path, (unsigned long long)(job->size - good));
	return pb_take_seal(&job->mend, key, first, job->fd, good, err);
}

/* One without a packet goes. */
static int
remove_file(struct job *job, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream.key;
	char path[PATH_MAX];
	int rc = 0;

	if (job->fd < 0)
		return 0;
	for (int open = 0; rc == 0 && open < 2; open++) {
		rc = pb_layout_segment(path, job->store->path, key,
		    job->open_row->first_seq, open == 1, err);
		if (rc == 0 && pb_below_unlink(path) < 0 && errno != ENOENT)
			rc = pb_err_sys(err, "remove %s", path);
	}
	if (rc == 0)
		rc = pb_layout_stream(path, job->store->path, key, err);
	return rc < 0 ? rc : pb_sync_dir(path, err);
}

/* What the file says, or, where it is damaged, what has been `taken`. */
static int
commit(struct job *job, const struct pb_take *taken, struct pb_err *err)
{
	const struct pb_open_info *open_row = job->open_row;
	struct pb_segment_info *row = &job->survey.segment;
	bool goes_on = taken == NULL && !pb_segment_empty(row);
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(job->store->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_index_del(&txn, PB_TABLE_OPEN, open_row->stream,
	    open_row->first_seq);
	if (!goes_on)
		job->stream.dropped -= pb_index_remove(&txn,
		    job->known ? &job->before : row);
	job->stream.packets -= job->before.packets;
	job->stream.bytes -= job->before.packet_bytes;
	if (goes_on) {
		drop_extents(job, &txn);
		put_segment(job, &txn, &job->survey, job->before.last_seq);
	}
	for (size_t i = 0; taken != NULL && i < taken->count; i++)
		put_segment(job, &txn, &taken->files[i], 0);
	if (taken != NULL)
		put_holes(job, &txn, &taken->held);
	if (!goes_on && job->known)
		pb_index_look_first(&txn, &job->stream);
	if (job->stream.id != 0)
		pb_index_put_stream(&txn, &job->stream);
	rc = pb_mdb_commit(&txn);
	if (rc == 0 && goes_on)
		pb_log(PB_LOG_INFO, "recovery", "sealed stream=%s/%s first=%llu"
		    " last=%llu bytes=%llu", job->stream.key.node,
		    job->stream.key.interface,
		    (unsigned long long)row->first_seq,
		    (unsigned long long)row->last_seq,
		    (unsigned long long)row->bytes);
	return rc;
}

/* Drop counts of packets up to `known` are counted already: also where all
 * of the file was read again. */
static void
put_segment(struct job *job, struct pb_mdb_txn *txn, struct pb_survey *survey,
    uint64_t known)
{
	struct pb_segment_info *row = &survey->segment;

	row->sealed = true;
	row->sealed_at = pb_age_key(job->store->age_sealed_ms);
	if (survey == &job->survey)
		pb_stream_add_times(&job->stream, row->first_time,
		    row->last_time, true);
	else
		row->created_ns = job->before.created_ns;
	pb_survey_put(survey, txn, known, &job->stream);
}

static void
put_holes(struct job *job, struct pb_mdb_txn *txn, const struct pb_runs *held)
{
	struct pb_holes holes = { .runs = held,
	    .next = job->before.first_seq, .end = job->before.last_seq };
	struct pb_run hole;

	while (pb_holes_next(&holes, &hole)) {
		struct pb_gap_info gap = gap_of(job, &hole);

		pb_index_cut_gaps(txn, gap.stream, gap.first, gap.last, true);
		pb_index_add_gap(txn, &gap);
	}
}

static struct pb_gap_info
gap_of(const struct job *job, const struct pb_run *hole)
{
	return (struct pb_gap_info){
		.stream = job->stream.id,
		.first = hole->first,
		.last = hole->last,
		.reason = PB_GAP_DAMAGED,
		.since_ns = job->now_ns,
	};
}

/* The extent rows that the scan replaces go with the commit that brings the
 * new ones: a shipper that looked in between would find numbers without
 * packets, and declare them a gap.  With them what flow tables say of what
 * was read again. */
static void
drop_extents(const struct job *job, struct pb_mdb_txn *txn)
{
	uint64_t from = job->survey.count > 0 ?
	    job->survey.extents[0].first_seq : job->before.first_seq;

	pb_index_del_extents(txn, &job->before, from);
	pb_index_del_flows(txn, &job->before, from);
}

static int
boot_remember(struct pb_store *store, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_index_meta_put(&txn, "boot", pb_boot_id(store->clock));
	return pb_mdb_commit(&txn);
}
