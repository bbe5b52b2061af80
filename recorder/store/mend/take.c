/*
 * recorder/store/mend/take.c - files of a stream, taken in by their numbers
 */
#include "recorder/store/mend/take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sys.h"

static int	list_names(struct pb_dir *, struct pb_segment_name **,
		    size_t *, struct pb_err *);
static int	by_number(const void *, const void *);
static int	take_unknown(struct pb_take *, const struct pb_segment_name *,
		    struct pb_index *, struct pb_err *);
static int	take_salvaged(struct pb_take *, const struct pb_segment_name *,
		    const char *, char [static PATH_MAX], struct pb_err *);
static bool	is_taken(const struct pb_take *,
		    const struct pb_segment_name *);
static int	take_one(struct pb_take *, const struct pb_segment_name *,
		    const char **, struct pb_err *);
static int	survey_file(struct pb_take *, const struct pb_segment_name *,
		    int, const char *, struct pb_survey *, struct pb_err *);
static int	read_head(struct pb_take *, const struct pb_segment_name *,
		    int, const struct stat *, struct pb_segment_info *,
		    struct pb_err *);
static int	settle(struct pb_take *, const struct pb_segment_name *, int,
		    const char *, struct pb_survey *, struct pb_err *);
static int	keep(struct pb_take *, struct pb_survey *, struct pb_err *);
static int	drop(const struct pb_take *, const char *, struct pb_err *);

void
pb_take_clear(struct pb_take *take)
{
	while (take->count > 0)
		pb_survey_finish(&take->files[--take->count]);
}

void
pb_take_finish(struct pb_take *take)
{
	pb_take_clear(take);
	free(take->files);
	free(take->held.at);
}

int
pb_take_list(const struct pb_mend *mend, const struct pb_stream_key *key,
    struct pb_segment_name **names, size_t *count, struct pb_err *err)
{
	char dir[PATH_MAX];
	struct pb_dir *folder;
	int rc = pb_layout_stream(dir, mend->store, key, err);

	*names = NULL;
	*count = 0;
	if (rc == 0)
		rc = pb_salvage_tidy(mend, key, err);
	if (rc < 0)
		return rc;
	folder = pb_below_opendir(dir);
	if (folder == NULL)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", dir);
	rc = list_names(folder, names, count, err);
	if (rc == PB_ESYS)
		rc = pb_err_sys(err, "list %s", dir);
	pb_dir_close(folder);
	if (*count > 0)
		qsort(*names, *count, sizeof(**names), by_number);
	return rc;
}

static int
list_names(struct pb_dir *folder, struct pb_segment_name **names,
    size_t *count, struct pb_err *err)
{
	struct pb_segment_name name;
	const char *entry;
	size_t cap = 0;

	while ((errno = 0, entry = pb_dir_next(folder)) != NULL) {
		if (!pb_layout_parse(entry, &name))
			continue;
		if (!PB_LIST_ROOM(*names, cap, *count))
			return pb_err_set(err, PB_ENOMEM, "no memory");
		(*names)[(*count)++] = name;
	}
	return errno == 0 ? 0 : PB_ESYS;
}

/* The sealed one of two first. */
static int
by_number(const void *a, const void *b)
{
	const struct pb_segment_name *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->open - y->open;
}

int
pb_take_file(struct pb_take *take, const struct pb_segment_name *name,
    struct pb_err *err)
{
	char path[PATH_MAX], aside[PATH_MAX];
	const char *why = "its numbers are in another file as well";
	int rc;

	if (is_taken(take, name))
		return 0;
	rc = name->first <= take->taken ? 1 : take_one(take, name, &why, err);
	if (rc != 1)
		return rc;
	take->damaged++;
	rc = take_salvaged(take, name, why, aside, err);
	if (rc == 0 && pb_layout_segment(path, take->mend->store,
	    &take->stream->key, name->first, name->open, NULL) == 0)
		pb_log(PB_LOG_ERROR, take->who, "%s file=%s aside=%s", why,
		    path, aside);
	return rc;
}

int
pb_take_known(struct pb_take *take, struct pb_index *index,
    const struct pb_segment_info *row, const char *why,
    char aside[static PATH_MAX], struct pb_err *err)
{
	struct pb_segment_name *names;
	size_t count;
	int rc = pb_take_list(take->mend, &take->stream->key, &names, &count,
	    err);

	aside[0] = '\0';
	/* Its own file is set aside even if it looks whole: it is not what it
	 * was.  Of two the open one is meant. */
	for (size_t i = count; rc == 0 && aside[0] == '\0' && i-- > 0;)
		if (names[i].first == row->first_seq)
			rc = take_salvaged(take, &names[i], why, aside, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (names[i].first > row->first_seq &&
		    names[i].first <= row->last_seq)
			rc = take_unknown(take, &names[i], index, err);
	free(names);
	return rc;
}

/* A run that an earlier try has made, mostly. */
static int
take_unknown(struct pb_take *take, const struct pb_segment_name *name,
    struct pb_index *index, struct pb_err *err)
{
	struct pb_segment_info row;
	int rc = pb_index_rows_of(index, PB_TABLE_SEGMENTS, take->stream->id,
	    name->first, &row, 1, err);

	if (rc < 0 || (rc == 1 && row.first_seq == name->first))
		return rc < 0 ? rc : 0;
	return pb_take_file(take, name, err);
}

static int
take_salvaged(struct pb_take *take, const struct pb_segment_name *name,
    const char *why, char aside[static PATH_MAX], struct pb_err *err)
{
	struct pb_runs runs = { NULL, 0, 0 };
	uint64_t after = take->taken;
	int rc;

	if (after < name->first)
		after = name->first - 1;
	rc = pb_salvage(take->mend, take->stream, name, after, take->last, why,
	    aside, &runs, err);
	for (size_t i = 0; rc == 0 && i < runs.count; i++) {
		struct pb_segment_name run = { .first = runs.at[i].first };

		run.open = run.first == name->first && name->open;
		rc = take_one(take, &run, &why, err);
		if (rc == 1)
			rc = pb_err_set(err, PB_EFORMAT, "segment %020llu: "
			    "what was salvaged cannot be read",
			    (unsigned long long)run.first);
	}
	free(runs.at);
	return rc;
}

/* One that was salvaged a moment ago has this name now. */
static bool
is_taken(const struct pb_take *take, const struct pb_segment_name *name)
{
	size_t at = pb_runs_find(&take->held, name->first);

	return !name->open && at < take->held.count &&
	    take->held.at[at].first == name->first;
}

/* 0, 1 where the file is damaged, or an error. */
static int
take_one(struct pb_take *take, const struct pb_segment_name *name,
    const char **why, struct pb_err *err)
{
	struct pb_survey survey;
	char path[PATH_MAX];
	int fd, rc;

	rc = pb_layout_segment(path, take->mend->store, &take->stream->key,
	    name->first, name->open, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDWR, 0);
	if (fd < 0)
		return pb_err_sys(err, "open %s", path);
	pb_file_advise(fd, POSIX_FADV_SEQUENTIAL);
	pb_survey_init(&survey);
	*why = "it is damaged";
	rc = survey_file(take, name, fd, path, &survey, err);
	if (rc == 0)
		rc = settle(take, name, fd, path, &survey, err);
	pb_survey_finish(&survey);
	pb_file_advise(fd, POSIX_FADV_DONTNEED);
	pb_file_close(fd);
	return rc;
}

static int
survey_file(struct pb_take *take, const struct pb_segment_name *name, int fd,
    const char *path, struct pb_survey *survey, struct pb_err *err)
{
	struct pb_survey_numbers any = { .last = INT64_MAX,
	    .reach = INT64_MAX };
	uint64_t size, found, seq;
	struct stat st;
	int rc;

	if (pb_file_stat(fd, &st) < 0)
		return pb_err_sys(err, "look at %s", path);
	size = (uint64_t)st.st_size;
	rc = read_head(take, name, fd, &st, &survey->segment, err);
	if (rc < 0)
		return rc == PB_EFORMAT ? 1 : rc;
	survey->seq_max = take->last;
	rc = pb_survey_read(survey, fd, survey->segment.header_bytes, size,
	    err);
	if (rc < 0 || survey->good == size)
		return rc;
	if (!name->open)
		return 1;
	/* A torn end is what a crash leaves; packets behind it are not. */
	any.after = survey->segment.last_seq;
	return pb_survey_resync(fd, survey->good, size, &any, &found, &seq,
	    err);
}

/* PB_EFORMAT where it is none, or another's. */
static int
read_head(struct pb_take *take, const struct pb_segment_name *name, int fd,
    const struct stat *st, struct pb_segment_info *row, struct pb_err *err)
{
	struct pb_stream_info *stream = take->stream;
	struct pb_head *head;
	uint64_t digest = 0;
	size_t bytes = 0;
	int rc = pb_survey_head(fd, &head, &bytes, &digest, err);

	if (rc == 0 && !take->has_head) {
		stream->linktype = head->linktype;
		stream->created_ns = pb_mtime_ns(st);
		stream->own = take->node != NULL &&
		    head->identity.nodes == 1 &&
		    strcmp(stream->key.node, take->node) == 0;
		take->has_head = true;
	}
	if (rc == 0 && !pb_head_fits(head, &stream->key, stream->linktype,
	    name->first))
		rc = PB_EFORMAT;
	pb_head_unref(head);
	*row = (struct pb_segment_info){
		.stream = stream->id,
		.first_seq = name->first,
		.last_seq = name->first - 1,
		.header_bytes = (uint32_t)bytes,
		.header_digest = digest,
	};
	return rc;
}

/* A whole file: sealed, if it was not, and its rows. */
static int
settle(struct pb_take *take, const struct pb_segment_name *name, int fd,
    const char *path, struct pb_survey *survey, struct pb_err *err)
{
	struct pb_segment_info *row = &survey->segment;
	uint64_t begun_ms = pb_head_begun(fd, row->header_bytes);
	struct stat st;
	int rc = 0;

	/* Made, and never written to. */
	if (pb_segment_empty(row))
		return drop(take, path, err);
	if (name->open)
		rc = pb_take_seal(take->mend, &take->stream->key, name->first,
		    fd, survey->good, err);
	/* Nobody may have synced it since a roll-back cut it. */
	else if (pb_file_datasync(fd) < 0)
		rc = pb_err_sys(err, "sync %s", path);
	if (rc == 0 && pb_file_stat(fd, &st) < 0)
		rc = pb_err_sys(err, "look at %s", path);
	if (rc < 0)
		return rc;
	row->sealed = true;
	row->created_ns = pb_mtime_ns(&st);
	row->sealed_at = begun_ms != 0 ? pb_age_key(begun_ms) :
	    pb_age_key_of_time(pb_mtime_ns(&st),
	    pb_below_now_ns(take->mend->store));
	return keep(take, survey, err);
}

/* Its rows change hands. */
static int
keep(struct pb_take *take, struct pb_survey *survey, struct pb_err *err)
{
	const struct pb_segment_info *row = &survey->segment;

	if (!PB_LIST_ROOM(take->files, take->cap, take->count) ||
	    !pb_runs_add(&take->held, row->first_seq, row->last_seq))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pb_buf_finish(&survey->window);
	take->taken = row->last_seq;
	take->files[take->count++] = *survey;
	pb_survey_init(survey);
	return 0;
}

static int
drop(const struct pb_take *take, const char *path, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_stream(dir, take->mend->store, &take->stream->key,
	    err);

	if (rc == 0 && pb_below_unlink(path) < 0)
		rc = pb_err_sys(err, "remove %s", path);
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

int
pb_take_seal(const struct pb_mend *mend, const struct pb_stream_key *key,
    uint64_t first_seq, int fd, uint64_t bytes, struct pb_err *err)
{
	char path[PATH_MAX], sealed[PATH_MAX], dir[PATH_MAX];
	struct stat st;
	int rc = pb_layout_segment(path, mend->store, key, first_seq, true,
	    err);

	if (rc == 0)
		rc = pb_layout_segment(sealed, mend->store, key, first_seq,
		    false, err);
	if (rc == 0)
		rc = pb_layout_stream(dir, mend->store, key, err);
	if (rc < 0)
		return rc;
	if (pb_file_stat(fd, &st) < 0 || (st.st_size != (off_t)bytes &&
	    pb_file_truncate(fd, bytes) < 0) || pb_file_datasync(fd) < 0)
		return pb_err_sys(err, "cut and sync %s", path);
	if (pb_below_rename(path, sealed, 0) < 0 && errno != ENOENT)
		return pb_err_sys(err, "rename %s", path);
	return pb_sync_dir(dir, err);
}
