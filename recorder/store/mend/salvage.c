/*
 * recorder/store/mend/salvage.c - what can be kept of a damaged file
 */
#include "recorder/store/mend/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/log.h"
#include "base/sys.h"
#include "pcapng/option.h"
#include "recorder/store/mend/aside.h"
#include "recorder/store/mend/salvage_head.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/read/segment_file.h"

#define COPY_BYTES	(1u << 20)
/* An Enhanced Packet Block with a number and no data. */
#define PACKET_BYTES_MIN	48u

/* Packets without holes, and where they stand in the original. */
struct run {
	uint64_t	first, last;
	uint64_t	from, to;
};

struct job {
	const struct pb_mend	*mend;
	const struct pb_stream_info *stream;
	const struct pb_segment_name *file;
	struct pb_head		*head;		/* of the runs; or NULL */
	struct pb_survey	 survey;
	int			 fd;		/* the original */
	uint64_t		 size;
	uint64_t		 at;		/* looked through up to here */
	struct pb_survey_numbers wanted;
	uint64_t		 limit;		/* none above it in any file */
	uint64_t		 begun_ms;	/* as the original says; or 0 */
	const char		*aside;		/* its other name */
	char			 path[PATH_MAX];
	char			 dir[PATH_MAX];	/* the stream's folder */
};

static int	open_original(struct job *, struct pb_err *);
static void	reach(struct job *, uint64_t, uint64_t);
static int	read_head(struct job *, struct pb_err *);
static int	keep_runs(struct job *, struct pb_runs *, struct run *,
		    struct pb_err *);
static int	next_run(struct job *, struct run *, struct pb_err *);
static int	survey_run(struct job *, uint64_t, struct run *,
		    struct pb_err *);
static int	place_run(struct job *, struct run *, struct pb_err *);
static int	stands(const struct job *, const char *, struct run *,
		    struct pb_err *);
static int	survey_whole(const struct job *, int, uint64_t,
		    struct pb_survey *, struct pb_err *);
static int	replace_original(struct job *, const struct run *,
		    struct pb_err *);
static int	write_run(struct job *, const struct run *, const char *,
		    struct pb_err *);
static int	write_file(struct job *, const struct run *, int,
		    struct pb_err *);
static int	copy_bytes(int, uint64_t, int, uint64_t, uint64_t,
		    struct pb_err *);
static int	make_way(const char *, const struct pb_stream_key *, uint64_t,
		    char [static PATH_MAX], struct pb_err *);
static int	tidy(const struct pb_mend *, const struct pb_stream_key *,
		    const char *, const char *, struct pb_err *);
static int	tidy_folder(const struct pb_mend *,
		    const struct pb_stream_key *, const char *,
		    struct pb_dir *, struct pb_err *);

int
pb_salvage(const struct pb_mend *mend, const struct pb_stream_info *stream,
    const struct pb_segment_name *file, uint64_t after, uint64_t last,
    const char *why, char aside[static PATH_MAX], struct pb_runs *runs,
    struct pb_err *err)
{
	struct job job = { .mend = mend, .stream = stream, .file = file,
	    .wanted = { .after = after, .last = last }, .limit = last,
	    .fd = -1 };
	struct run own = { .first = 0 };
	int rc = open_original(&job, err);

	pb_survey_init(&job.survey);
	if (rc == 0)
		rc = pb_aside_link(mend->store, &stream->key, file->first,
		    job.path, why, aside, err);
	if (rc == 0)
		rc = read_head(&job, err);
	if (rc == 0)
		rc = keep_runs(&job, runs, &own, err);
	if (rc == 0)
		rc = replace_original(&job, &own, err);
	pb_survey_finish(&job.survey);
	pb_head_unref(job.head);
	if (job.fd >= 0)
		pb_file_close(job.fd);
	return rc;
}

int
pb_salvage_tidy(const struct pb_mend *mend, const struct pb_stream_key *key,
    struct pb_err *err)
{
	char dir[PATH_MAX];
	const char *entry;
	struct pb_dir *folder;
	int rc = pb_layout_stream(dir, mend->store, key, err);

	if (rc < 0)
		return rc;
	folder = pb_below_opendir(dir);
	if (folder == NULL)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", dir);
	while (rc == 0 && (entry = pb_dir_next(folder)) != NULL)
		if (strncmp(entry, PB_SALVAGE_HIDDEN,
		    strlen(PB_SALVAGE_HIDDEN)) == 0)
			rc = tidy(mend, key, dir, entry, err);
	pb_dir_close(folder);
	return rc;
}

/* --- reading the original ----------------------------------------------- */

static int
open_original(struct job *job, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream->key;
	const char *store = job->mend->store;
	struct stat st;
	int rc = pb_layout_stream(job->dir, store, key, err);

	if (rc == 0)
		rc = pb_layout_segment(job->path, store, key, job->file->first,
		    job->file->open, err);
	if (rc < 0)
		return rc;
	job->fd = pb_below_open(job->path, O_RDONLY, 0);
	if (job->fd < 0)
		return pb_err_sys(err, "open %s", job->path);
	if (pb_file_stat(job->fd, &st) < 0)
		return pb_err_sys(err, "look at %s", job->path);
	job->size = (uint64_t)st.st_size;
	reach(job, job->file->first - 1, 0);
	return 0;
}

/* A file holds consecutive numbers: behind this one so many packets at most,
 * whatever a rotten block says. */
static void
reach(struct job *job, uint64_t number, uint64_t at)
{
	uint64_t most = number + (job->size - at) / PACKET_BYTES_MIN;

	if (job->wanted.reach < most)
		job->wanted.reach = most;
}

/* The original's own, where it can be read and is not somebody else's. */
static int
read_head(struct job *job, struct pb_err *err)
{
	const struct pb_stream_info *stream = job->stream;
	uint64_t digest;
	size_t header = 0;
	int rc = pb_survey_head(job->fd, &job->head, &header, &digest, err);

	if (rc < 0)
		return rc == PB_EFORMAT ? 0 : rc;
	job->at = header;
	job->begun_ms = pb_head_begun(job->fd, header);
	if (!pb_head_fits(job->head, &stream->key, stream->linktype,
	    job->file->first)) {
		pb_head_unref(job->head);
		job->head = NULL;
	}
	return 0;
}

/* The runs as files, but for that with the original's name: it is `own`. */
static int
keep_runs(struct job *job, struct pb_runs *runs, struct run *own,
    struct pb_err *err)
{
	struct run run;
	size_t count = 0;
	int rc;

	while ((rc = next_run(job, &run, err)) == 1) {
		if (count++ == PB_SALVAGE_RUNS_MAX) {
			pb_log(PB_LOG_ERROR, "store", "only the first %u "
			    "pieces are taken out of file=%s",
			    PB_SALVAGE_RUNS_MAX, job->aside);
			return 0;
		}
		if (run.first == job->file->first)
			*own = run;
		else if ((rc = place_run(job, &run, err)) < 0)
			return rc;
		if (!pb_runs_add(runs, run.first, run.last))
			return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	return rc;
}

/* From whole block to whole block; what stands between is left out.  1, 0
 * where there is no more, or an error. */
static int
next_run(struct job *job, struct run *out, struct pb_err *err)
{
	uint64_t seq;
	int rc;

	while ((rc = pb_survey_resync(job->fd, job->at, job->size,
	    &job->wanted, &job->at, &seq, err)) == 1) {
		rc = survey_run(job, seq, out, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			job->at += 4;
			continue;
		}
		if (job->head == NULL && job->survey.segment.packets == 0) {
			/* Nothing of it tells which head it had. */
			job->at = out->to;
			continue;
		}
		if (job->head == NULL) {
			rc = pb_salvage_head(&job->head, job->mend->store,
			    job->stream, job->file->first, job->survey.hops,
			    err);
			if (rc <= 0)
				return rc;
		}
		job->wanted.after = out->last;
		job->at = out->to;
		reach(job, out->last, out->to);
		return 1;
	}
	return rc;
}

static int
survey_run(struct job *job, uint64_t first, struct run *out,
    struct pb_err *err)
{
	struct pb_survey *survey = &job->survey;
	int rc;

	pb_survey_reset(survey);
	survey->segment = (struct pb_segment_info){
		.stream = job->stream->id,
		.first_seq = first,
		.last_seq = first - 1,
	};
	survey->seq_max = job->wanted.last;
	rc = pb_survey_read(survey, job->fd, job->at, job->size, err);
	*out = (struct run){ .first = first, .from = job->at,
	    .last = survey->segment.last_seq, .to = survey->good };
	return rc < 0 ? rc : !pb_segment_empty(&survey->segment);
}

/* --- files in their places ---------------------------------------------- */

/* A whole file of its name that holds it, of an earlier try mostly, is the
 * run: it may hold more. */
static int
place_run(struct job *job, struct run *run, struct pb_err *err)
{
	const struct pb_stream_key *key = &job->stream->key;
	const char *store = job->mend->store;
	char path[PATH_MAX];
	int rc = pb_layout_segment(path, store, key, run->first, false, err);

	if (rc == 0)
		rc = stands(job, path, run, err);
	if (rc == 1)
		job->wanted.after = run->last;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = make_way(store, key, run->first, path, err);
	return rc < 0 ? rc : write_run(job, run, path, err);
}

/* 1 where `path` is whole and has all of the run, which ends with it then; 0,
 * or an error. */
static int
stands(const struct job *job, const char *path, struct run *run,
    struct pb_err *err)
{
	struct pb_survey survey;
	int fd = pb_below_open(path, O_RDONLY, 0);
	int rc;

	if (fd < 0)
		return 0;
	pb_survey_init(&survey);
	rc = survey_whole(job, fd, run->first, &survey, err);
	if (rc == 1 && survey.segment.last_seq >= run->last)
		run->last = survey.segment.last_seq;
	else if (rc == 1)
		rc = 0;
	pb_survey_finish(&survey);
	pb_file_close(fd);
	return rc;
}

/* 1 where all of it is the stream's segment that starts at `first`; 0, or an
 * error. */
static int
survey_whole(const struct job *job, int fd, uint64_t first,
    struct pb_survey *survey, struct pb_err *err)
{
	const struct pb_stream_info *stream = job->stream;
	struct pb_head *head;
	uint64_t digest;
	struct stat st;
	size_t header = 0;
	bool fits;
	int rc;

	if (pb_file_stat(fd, &st) < 0)
		return pb_err_sys(err, "look at a file that is in the way");
	rc = pb_survey_head(fd, &head, &header, &digest, err);
	fits = rc == 0 && pb_head_fits(head, &stream->key, stream->linktype,
	    first);
	pb_head_unref(head);
	if (!fits)
		return rc == PB_EFORMAT ? 0 : rc;
	survey->segment = (struct pb_segment_info){ .stream = stream->id,
	    .first_seq = first, .last_seq = first - 1,
	    .header_bytes = (uint32_t)header };
	survey->seq_max = job->limit;
	rc = pb_survey_read(survey, fd, header, (uint64_t)st.st_size, err);
	return rc < 0 ? rc : survey->good == (uint64_t)st.st_size;
}

/* By the run that has its name, or by nothing, once the others have theirs
 * for good. */
static int
replace_original(struct job *job, const struct run *own, struct pb_err *err)
{
	int rc = pb_sync_dir(job->dir, err);

	if (rc == 0 && own->first != 0)
		rc = write_run(job, own, job->path, err);
	else if (rc == 0 && pb_below_unlink(job->path) < 0)
		rc = pb_err_sys(err, "remove %s", job->path);
	return rc < 0 ? rc : pb_sync_dir(job->dir, err);
}

static int
write_run(struct job *job, const struct run *run, const char *path,
    struct pb_err *err)
{
	char hidden[PATH_MAX + 64];
	int fd, rc;

	snprintf(hidden, sizeof(hidden), "%s/" PB_LAYOUT_NEW, job->dir);
	fd = pb_below_open(hidden, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", hidden);
	rc = write_file(job, run, fd, err);
	pb_file_close(fd);
	if (rc < 0)
		pb_err_prefix(err, rc, "%s", hidden);
	else if (pb_below_rename(hidden, path, 0) < 0)
		rc = pb_err_sys(err, "rename %s", hidden);
	/* What cannot be made leaves nothing. */
	if (rc < 0)
		pb_below_unlink(hidden);
	return rc;
}

static int
write_file(struct job *job, const struct run *run, int fd,
    struct pb_err *err)
{
	uint32_t pen = job->mend->pen;
	struct pb_buf header;
	int rc;

	pb_buf_init(&header, PB_HEAD_BYTES_MAX);
	rc = pb_head_build(job->head, pen, run->first, &header);
	if (rc == 0)
		rc = pb_head_put_begun(&header, pb_below_now_ns(job->dir), pen,
		    job->begun_ms);
	if (rc < 0)
		pb_err_set(err, rc, "cannot build a segment's header");
	else
		rc = pb_pwrite_all(fd, header.data, header.len, 0, err);
	if (rc == 0)
		rc = copy_bytes(job->fd, run->from, fd, header.len,
		    run->to - run->from, err);
	if (rc == 0 && pb_file_sync(fd) < 0)
		rc = pb_err_sys(err, "sync");
	pb_buf_finish(&header);
	return rc;
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

/* Where a run goes: a file that stands there is none that is known of. */
static int
make_way(const char *store, const struct pb_stream_key *key, uint64_t first,
    char path[static PATH_MAX], struct pb_err *err)
{
	char aside[PATH_MAX];
	int rc = pb_layout_segment(path, store, key, first, false, err);

	if (rc < 0 || pb_below_look(path) < 0)
		return rc;
	rc = pb_aside_move(store, key, first, path,
	    "its numbers are in another file as well", aside, err);
	if (rc == 0)
		pb_log(PB_LOG_ERROR, "store", "a file is in the way file=%s "
		    "aside=%s", path, aside);
	return rc;
}

/* --- what an older version had not finished ----------------------------- */

static int
tidy(const struct pb_mend *mend, const struct pb_stream_key *key,
    const char *dir, const char *name, struct pb_err *err)
{
	char path[PATH_MAX + 256];
	struct pb_dir *folder;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	/* A power cut must not bring it back when nobody looks for it. */
	if (pb_below_unlink(path) == 0)
		return pb_sync_dir(dir, err);
	if (errno == ENOENT)
		return 0;
	folder = pb_below_opendir(path);
	if (folder == NULL)
		return pb_err_sys(err, "remove %s", path);
	rc = tidy_folder(mend, key, path, folder, err);
	pb_dir_close(folder);
	if (rc == 0)
		rc = pb_sync_dir(dir, err);
	if (rc == 0 && pb_below_rmdir(path) < 0)
		rc = pb_err_sys(err, "remove %s", path);
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

/* It gathered the runs in a folder, which lost its `.new` once all of them were
 * there. */
static int
tidy_folder(const struct pb_mend *mend, const struct pb_stream_key *key,
    const char *path, struct pb_dir *folder, struct pb_err *err)
{
	bool whole = strcmp(path + strlen(path) - 4, ".new") != 0;
	char from[PATH_MAX + 512], to[PATH_MAX];
	struct pb_segment_name file;
	const char *entry;
	int rc = 0;

	while (rc == 0 && (entry = pb_dir_next(folder)) != NULL) {
		if (!pb_layout_parse(entry, &file))
			continue;
		snprintf(from, sizeof(from), "%s/%s", path, entry);
		if (whole)
			rc = make_way(mend->store, key, file.first, to, err);
		if (rc == 0 && (whole ? pb_below_rename(from, to, 0) :
		    pb_below_unlink(from)) < 0)
			rc = pb_err_sys(err, "take away %s", from);
	}
	return rc;
}
