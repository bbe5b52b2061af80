/*
 * recorder/store/mend/salvage.c - what can be kept of a damaged segment
 */
#include "recorder/store/mend/salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sys.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/place.h"
#include "recorder/store/mend/rebuild_impl.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/read/segment_file.h"

#define SIBLINGS	64	/* segments asked for a head */
#define COPY_BYTES	(1u << 20)
/* An Enhanced Packet Block with a number and no data. */
#define PACKET_BYTES_MIN	48u
/* The salvage that is committed and not done: whose, and which segment. */
#define META_STREAM	"salvage_stream"
#define META_FIRST	"salvage_first"

/* One run of packets without holes, in a file of its own. */
struct run {
	struct pb_survey	 survey;	/* its rows */
	uint64_t		 from;		/* offset in the original */
};

struct job {
	const struct pb_mend	*mend;
	struct pb_stream_info	*stream;
	const struct pb_segment_info *row;
	struct pb_salvage	*out;
	struct pb_head		*head;
	struct run		*runs;
	size_t			 count, cap;
	int			 fd;		/* the original */
	uint64_t		 size;
	uint64_t		 after;		/* numbers above it are taken */
	uint64_t		 now_ns;
	uint64_t		 begun_ms;	/* as the original says; or 0 */
	char			 path[PATH_MAX];
	char			 dir[PATH_MAX];	/* where the runs are made */
};

static int	make_runs(struct job *, const char *, struct pb_err *);
static void	finish(struct job *);
static int	open_original(struct job *, struct pb_err *);
static int	find_runs(struct job *, struct pb_err *);
static int	add_run(struct job *, struct pb_survey *, uint64_t,
		    struct pb_err *);
static int	find_head(struct job *, uint64_t, struct pb_err *);
static int	hops_at(struct job *, uint64_t, struct pb_err *);
static int	sibling_head(const struct pb_mend *,
		    const struct pb_stream_info *, uint64_t, int,
		    struct pb_head **, struct pb_err *);
static int	head_of(const struct pb_mend *, const struct pb_stream_info *,
		    const struct pb_segment_name *, int, struct pb_head **);
static int	origin_head(const struct pb_stream_info *, struct pb_head **,
		    struct pb_err *);
static int	write_run(struct job *, struct run *, struct pb_err *);
static int	write_file(struct job *, struct run *, int,
		    const struct pb_buf *, struct pb_err *);
static int	copy_bytes(int, uint64_t, int, uint64_t, uint64_t,
		    struct pb_err *);
static int	commit(struct job *, struct pb_err *);
static int	journal_holes(struct job *, struct pb_err *);
static void	put_holes(struct job *, struct pb_mdb_txn *,
		    int (*)(struct job *, struct pb_mdb_txn *, uint64_t,
		    uint64_t, void *), void *);
static int	put_hole(struct job *, struct pb_mdb_txn *, uint64_t,
		    uint64_t, void *);
static int	fact_hole(struct job *, struct pb_mdb_txn *, uint64_t,
		    uint64_t, void *);
static void	put_runs(struct job *, struct pb_mdb_txn *);
static void	count_stream(struct job *, uint64_t);
static int	place(struct job *, struct pb_err *);
static int	unlist(struct job *, struct pb_err *);

int
pb_salvage(const struct pb_mend *mend, struct pb_stream_info *stream,
    const struct pb_segment_info *row, const char *why,
    struct pb_salvage *out, struct pb_err *err)
{
	struct job job = { .mend = mend, .stream = stream, .row = row,
	    .after = row->first_seq - 1, .out = out, .fd = -1,
	    .now_ns = pb_clock_real_ns() };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = make_runs(&job, why, err);
	if (rc == 0)
		rc = journal_holes(&job, err);
	if (rc == 0)
		rc = commit(&job, err);
	if (rc == 0)
		rc = place(&job, err);
	if (rc == 0)
		rc = unlist(&job, err);
	finish(&job);
	return rc;
}

int
pb_salvage_files(const struct pb_mend *mend,
    const struct pb_stream_info *stream, uint64_t first, uint64_t after,
    const char *why, char aside[static PATH_MAX], struct pb_runs *runs,
    struct pb_err *err)
{
	struct pb_segment_info row = { .stream = stream->id,
	    .first_seq = first, .last_seq = (uint64_t)INT64_MAX };
	struct pb_stream_info copy = *stream;
	struct pb_salvage out = { .runs = 0 };
	struct job job = { .mend = mend, .stream = &copy, .row = &row,
	    .after = after, .out = &out, .fd = -1,
	    .now_ns = pb_clock_real_ns() };
	int rc = make_runs(&job, why, err);

	strcpy(aside, out.aside);
	if (rc == 0)
		rc = place(&job, err);
	for (size_t i = 0; rc == 0 && i < job.count; i++)
		if (!pb_runs_add(runs, job.runs[i].survey.segment.first_seq,
		    job.runs[i].survey.segment.last_seq))
			rc = pb_err_set(err, PB_ENOMEM, "no memory");
	finish(&job);
	return rc;
}

int
pb_salvage_head(const struct pb_mend *mend,
    const struct pb_stream_info *stream, uint64_t first_seq, int hops,
    struct pb_head **out, struct pb_err *err)
{
	int rc = sibling_head(mend, stream, first_seq, hops, out, err);

	/* Without a row nobody knows the link type. */
	if (rc == 0 && hops == 0 && stream->created_ns != 0)
		rc = origin_head(stream, out, err);
	return rc;
}

int
pb_salvage_resume(const struct pb_mend *mend, struct pb_err *err)
{
	struct pb_stream_key key;
	struct pb_mdb_txn txn;
	uint64_t stream, first;
	int rc = pb_index_begin(mend->index, &txn, err);

	if (rc < 0)
		return rc;
	stream = pb_index_meta_get(&txn, META_STREAM);
	first = pb_index_meta_get(&txn, META_FIRST);
	pb_mdb_abort(&txn);
	if (stream == 0 || first == 0)
		return 0;
	rc = pb_index_stream_key(mend->index, (uint32_t)stream, &key, err);
	if (rc == 1) {
		rc = pb_place_commit(mend->store, &key, first, err);
		if (rc == 0)
			rc = pb_place_finish(mend->store, &key, first, err);
	}
	if (rc >= 0)
		rc = pb_index_begin(mend->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_meta_put(&txn, META_STREAM, 0);
	return pb_mdb_commit(&txn);
}

/* The original has its second name, and every run its hidden file. */
static int
make_runs(struct job *job, const char *why, struct pb_err *err)
{
	int rc = open_original(job, err);

	if (rc == 0)
		rc = pb_set_aside(job->mend->store, &job->stream->key,
		    job->row->first_seq, job->path, why, job->out->aside, err);
	if (rc == 0)
		rc = find_runs(job, err);
	if (rc == 0 && job->count > 0)
		rc = pb_place_begin(job->mend->store, &job->stream->key,
		    job->row->first_seq, job->dir, err);
	for (size_t i = 0; rc == 0 && i < job->count; i++)
		rc = write_run(job, &job->runs[i], err);
	if (rc == 0 && job->count > 0)
		rc = pb_place_sync(job->mend->store, &job->stream->key,
		    job->row->first_seq, err);
	return rc;
}

static void
finish(struct job *job)
{
	for (size_t i = 0; i < job->count; i++)
		pb_survey_finish(&job->runs[i].survey);
	free(job->runs);
	pb_head_unref(job->head);
	if (job->fd >= 0)
		close(job->fd);
}

/* --- reading the original ----------------------------------------------- */

static int
open_original(struct job *job, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream->key;
	struct stat st;
	int rc = PB_ENOENT;

	for (int open_name = 1; rc == PB_ENOENT && open_name >= 0;
	    open_name--) {
		rc = pb_layout_segment(job->path, job->mend->store, key,
		    job->row->first_seq, open_name == 1, err);
		if (rc < 0)
			return rc;
		job->fd = pb_below_open(job->path, O_RDONLY, 0);
		if (job->fd < 0)
			rc = pb_err_sys(err, "open %s", job->path);
	}
	if (rc < 0)
		return rc;
	if (fstat(job->fd, &st) < 0)
		return pb_err_sys(err, "look at %s", job->path);
	job->size = (uint64_t)st.st_size;
	return 0;
}

/* A file holds consecutive numbers: so many at most, whatever a rotten
 * block says. */
static uint64_t
last_possible(const struct job *job)
{
	uint64_t last = job->row->first_seq - 1 + job->size / PACKET_BYTES_MIN;

	return last < job->row->last_seq ? last : job->row->last_seq;
}

/* From whole block to whole block; what stands between is left out. */
static int
find_runs(struct job *job, struct pb_err *err)
{
	uint64_t at = 0, after = job->after, seq, digest;
	uint64_t last = last_possible(job);
	size_t header = 0;
	int rc = pb_survey_head(job->fd, &job->head, &header, &digest, err);

	if (rc < 0 && rc != PB_EFORMAT)
		return rc;
	if (rc == 0) {
		at = header;
		job->begun_ms = pb_head_begun(job->fd, header);
	}
	if (rc == 0 && !pb_head_fits(job->head, &job->stream->key,
	    job->stream->linktype, job->row->first_seq)) {
		pb_head_unref(job->head);	/* rotten: somebody else's */
		job->head = NULL;
	}
	for (;;) {
		struct pb_survey survey;

		rc = pb_survey_resync(job->fd, at, job->size, after, last,
		    &at, &seq, err);
		if (rc <= 0)
			return rc;
		if (job->head == NULL) {
			rc = find_head(job, at, err);
			if (rc <= 0)
				return rc;
		}
		pb_survey_init(&survey);
		survey.segment = (struct pb_segment_info){
			.stream = job->stream->id,
			.first_seq = seq,
			.last_seq = seq - 1,
			.created_ns = job->row->created_ns,
		};
		survey.seq_max = last;
		rc = pb_survey_read(&survey, job->fd, at, job->size, err);
		if (rc < 0 || survey.segment.packets == 0) {
			pb_survey_finish(&survey);
			if (rc < 0)
				return rc;
			at += 4;
			continue;
		}
		rc = add_run(job, &survey, at, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		after = job->runs[job->count - 1].survey.segment.last_seq;
		at = job->runs[job->count - 1].survey.good;
	}
}

/* Takes the survey over.  1 where there are too many: the rest stays in
 * damaged/ alone. */
static int
add_run(struct job *job, struct pb_survey *survey, uint64_t from,
    struct pb_err *err)
{
	pb_buf_finish(&survey->window);
	if (job->count == PB_SALVAGE_RUNS_MAX) {
		pb_survey_finish(survey);
		pb_log(PB_LOG_ERROR, "store", "only the first %u pieces are "
		    "taken out of file=%s", PB_SALVAGE_RUNS_MAX,
		    job->out->aside);
		return 1;
	}
	if (!PB_LIST_ROOM(job->runs, job->cap, job->count)) {
		pb_survey_finish(survey);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	job->runs[job->count++] = (struct run){ *survey, from };
	job->out->packets += survey->segment.packets;
	job->out->runs++;
	return 0;
}

/* The file's own head is rotten: 1 where another one serves. */
static int
find_head(struct job *job, uint64_t at, struct pb_err *err)
{
	int hops = hops_at(job, at, err);

	if (hops < 0)
		return hops;
	return pb_salvage_head(job->mend, job->stream, job->row->first_seq,
	    hops, &job->head, err);
}

/* How many hop records the packet at this offset has. */
static int
hops_at(struct job *job, uint64_t at, struct pb_err *err)
{
	struct pb_hop hops[PB_HOPS_MAX];
	struct pb_packet packet;
	struct pb_block block;
	struct pb_buf bytes;
	ssize_t got;
	int rc = 0;

	pb_buf_init(&bytes, PB_STORED_BLOCK_BYTES_MAX + 1);
	if (pb_buf_reserve(&bytes, PB_STORED_BLOCK_BYTES_MAX) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(job->fd, bytes.data, PB_STORED_BLOCK_BYTES_MAX, at,
	    err);
	if (got < 0)
		rc = (int)got;
	else if (pb_scan_block(bytes.data, (size_t)got, &block) == 1 &&
	    pb_scan_epb(&block, &packet) == 0)
		rc = pb_hops_get(packet.options, packet.options_len, hops);
	pb_buf_finish(&bytes);
	return rc == PB_EFORMAT ? 0 : rc;
}

/* From another segment in the stream's folder; the index, which may be
 * lost, is not asked. */
static int
sibling_head(const struct pb_mend *mend, const struct pb_stream_info *stream,
    uint64_t first_seq, int hops, struct pb_head **out, struct pb_err *err)
{
	char dir[PATH_MAX];
	struct pb_segment_name file;
	struct dirent *entry;
	int found = 0, tries = 0;
	DIR *folder;
	int rc = pb_layout_stream(dir, mend->store, &stream->key, err);

	if (rc < 0)
		return rc;
	folder = pb_below_opendir(dir);
	if (folder == NULL)
		return pb_err_sys(err, "open %s", dir);
	while (found == 0 && tries < SIBLINGS &&
	    (entry = readdir(folder)) != NULL) {
		if (!pb_layout_parse(entry->d_name, &file) ||
		    file.first == first_seq)
			continue;
		tries++;
		found = head_of(mend, stream, &file, hops, out);
	}
	closedir(folder);
	return found;
}

/* 1 where the head of this file serves. */
static int
head_of(const struct pb_mend *mend, const struct pb_stream_info *stream,
    const struct pb_segment_name *file, int hops, struct pb_head **out)
{
	uint64_t digest;
	size_t bytes;
	int fd = pb_segment_open_file(mend->store, &stream->key, file->first,
	    NULL);
	int rc;

	if (fd < 0)
		return 0;
	rc = pb_survey_head(fd, out, &bytes, &digest, NULL);
	close(fd);
	if (rc == 0 && (*out)->identity.nodes == hops + 1 &&
	    pb_head_fits(*out, &stream->key, stream->linktype, file->first))
		return 1;
	pb_head_unref(*out);
	*out = NULL;
	return 0;
}

/* Packets without a hop are at their origin: the stream's key says all. */
static int
origin_head(const struct pb_stream_info *stream, struct pb_head **out,
    struct pb_err *err)
{
	struct pb_identity identity = { .epoch = stream->key.epoch,
	    .first_seq = 1, .nodes = 1 };
	struct pb_buf idb;
	int rc;

	strcpy(identity.interface, stream->key.interface);
	strcpy(identity.node[0].name, stream->key.node);
	pb_buf_init(&idb, PB_OPTIONS_BYTES_MAX);
	pb_option_put(&idb, PB_OPT_IF_NAME, stream->key.interface,
	    strlen(stream->key.interface));
	rc = pb_head_create(out, &identity, stream->linktype, NULL, 0,
	    idb.data, idb.len, err);
	pb_buf_finish(&idb);
	return rc < 0 ? rc : 1;
}

/* --- writing the runs --------------------------------------------------- */

static int
write_run(struct job *job, struct run *run, struct pb_err *err)
{
	char hidden[PATH_MAX + 32];
	struct pb_buf header;
	int fd, rc;

	snprintf(hidden, sizeof(hidden), "%s/%020llu.pcapng", job->dir,
	    (unsigned long long)run->survey.segment.first_seq);
	fd = pb_below_open(hidden, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", hidden);
	pb_buf_init(&header, PB_HEAD_BYTES_MAX);
	rc = pb_head_build(job->head, job->mend->pen,
	    run->survey.segment.first_seq, &header);
	run->survey.segment.header_bytes = (uint32_t)header.len;
	if (rc == 0)
		rc = pb_head_put_begun(&header, job->now_ns,
		    job->mend->pen, job->begun_ms);
	if (rc < 0)
		pb_err_set(err, rc, "cannot build a segment's header");
	if (rc == 0)
		rc = write_file(job, run, fd, &header, err);
	pb_buf_finish(&header);
	close(fd);
	return rc < 0 ? pb_err_prefix(err, "%s", hidden) : 0;
}

static int
write_file(struct job *job, struct run *run, int fd,
    const struct pb_buf *header, struct pb_err *err)
{
	struct pb_segment_info *row = &run->survey.segment;
	uint64_t bytes = run->survey.good - run->from;
	int rc;

	rc = pb_pwrite_all(fd, header->data, header->len, 0, err);
	if (rc == 0)
		rc = copy_bytes(job->fd, run->from, fd, header->len, bytes,
		    err);
	if (rc == 0 && fsync(fd) < 0)
		rc = pb_err_sys(err, "sync");
	if (rc < 0)
		return rc;
	row->header_digest = pb_digest(header->data, header->len);
	row->bytes = header->len + bytes;
	row->sealed = true;
	/* Who rebuilds asks the file. */
	row->sealed_at = job->row->sealed_at != 0 ? job->row->sealed_at :
	    pb_age_key(job->mend->age_ms);
	for (size_t i = 0; i < run->survey.count; i++)
		run->survey.extents[i].offset += header->len - run->from;
	return 0;
}

static int
copy_bytes(int from, uint64_t at, int to, uint64_t offset, uint64_t bytes,
    struct pb_err *err)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	int rc = 0;

	if (buffer == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	while (rc == 0 && bytes > 0) {
		size_t want = bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES;
		ssize_t got = pb_pread_all(from, buffer, want, at, err);

		if (got >= 0 && (size_t)got < want)
			rc = pb_err_set(err, PB_EFORMAT, "the file became "
			    "shorter while it was read");
		else
			rc = got < 0 ? (int)got : pb_pwrite_all(to, buffer,
			    want, offset, err);
		at += want;
		offset += want;
		bytes -= want;
	}
	free(buffer);
	return rc;
}

/* --- the index and the names -------------------------------------------- */

static int
commit(struct job *job, struct pb_err *err)
{
	const struct pb_segment_info *row = job->row;
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(job->mend->index, &txn, err);

	if (rc < 0)
		return rc;
	count_stream(job, pb_index_remove(&txn, row));
	pb_index_put_open(&txn, row->stream, &job->stream->key,
	    row->first_seq);
	put_runs(job, &txn);
	put_holes(job, &txn, put_hole, NULL);
	pb_index_look_first(&txn, job->stream);
	pb_index_put_stream(&txn, job->stream);
	/* From here on the runs are what the index means. */
	pb_index_meta_put(&txn, META_STREAM, row->stream);
	pb_index_meta_put(&txn, META_FIRST, row->first_seq);
	return pb_mdb_commit(&txn);
}

static void
put_runs(struct job *job, struct pb_mdb_txn *txn)
{
	for (size_t i = 0; i < job->count; i++) {
		struct pb_survey *survey = &job->runs[i].survey;

		pb_index_put_segment(txn, &survey->segment);
		pb_index_put_open(txn, survey->segment.stream,
		    &job->stream->key, survey->segment.first_seq);
		for (size_t e = 0; e < survey->count; e++)
			pb_index_put_extent(txn, &survey->extents[e]);
		for (size_t d = 0; d < survey->drop_count; d++)
			pb_index_put_drop(txn, &survey->drops[d]);
	}
}

/* What is in no run, one hole after the other. */
static void
put_holes(struct job *job, struct pb_mdb_txn *txn,
    int (*each)(struct job *, struct pb_mdb_txn *, uint64_t, uint64_t,
    void *), void *arg)
{
	uint64_t next = job->row->first_seq;

	for (size_t i = 0; i <= job->count; i++) {
		uint64_t first = i < job->count ?
		    job->runs[i].survey.segment.first_seq :
		    job->row->last_seq + 1;

		if (first > next && each(job, txn, next, first - 1, arg) != 0)
			return;
		if (i < job->count)
			next = job->runs[i].survey.segment.last_seq + 1;
	}
}

static int
put_hole(struct job *job, struct pb_mdb_txn *txn, uint64_t first,
    uint64_t last, void *arg)
{
	struct pb_gap_info gap = {
		.stream = job->stream->id,
		.first = first,
		.last = last,
		.reason = PB_GAP_DAMAGED,
		.since_ns = job->now_ns,
	};

	(void)arg;
	pb_index_cut_gaps(txn, gap.stream, first, last, true);
	pb_index_add_gap(txn, &gap);
	job->out->lost += last - first + 1;
	pb_log(PB_LOG_ERROR, "store", "packets are lost stream=%s/%s "
	    "first=%llu last=%llu aside=%s", job->stream->key.node,
	    job->stream->key.interface, (unsigned long long)first,
	    (unsigned long long)last, job->out->aside);
	return 0;
}

static int
journal_holes(struct job *job, struct pb_err *err)
{
	struct pb_err failure = { .code = 0 };

	put_holes(job, NULL, fact_hole, &failure);
	if (failure.code != 0 && err != NULL)
		*err = failure;
	return failure.code;
}

static int
fact_hole(struct job *job, struct pb_mdb_txn *txn, uint64_t first,
    uint64_t last, void *arg)
{
	struct pb_fact fact = {
		.kind = PB_FACT_GAP,
		.first = first,
		.last = last,
		.reason = PB_GAP_DAMAGED,
		.time_ns = job->now_ns,
	};

	(void)txn;
	return pb_journal_append(job->mend->store, &job->stream->key, &fact,
	    1, arg);
}

static void
count_stream(struct job *job, uint64_t dropped)
{
	struct pb_stream_info *stream = job->stream;
	const struct pb_segment_info *row = job->row;

	stream->packets += job->out->packets - row->packets;
	stream->bytes -= row->packet_bytes;
	stream->dropped -= dropped;
	for (size_t i = 0; i < job->count; i++) {
		stream->bytes += job->runs[i].survey.segment.packet_bytes;
		stream->dropped += job->runs[i].survey.dropped;
	}
}

/* The runs take the original's place, which keeps only its name under
 * damaged/. */
static int
place(struct job *job, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream->key;
	uint64_t first = job->row->first_seq;
	int rc;

	if (job->count == 0)
		return pb_place_remove(job->mend->store, key, first, err);
	rc = pb_place_commit(job->mend->store, key, first, err);
	if (rc == 0)
		rc = pb_place_finish(job->mend->store, key, first, err);
	return rc < 0 ? rc : 0;
}

static int
unlist(struct job *job, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(job->mend->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_index_del_open(&txn, job->row->stream, job->row->first_seq);
	for (size_t i = 0; i < job->count; i++)
		pb_index_del_open(&txn, job->row->stream,
		    job->runs[i].survey.segment.first_seq);
	pb_index_meta_put(&txn, META_STREAM, 0);
	return pb_mdb_commit(&txn);
}
