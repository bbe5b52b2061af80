/*
 * recorder/store/mend/rebuild_stream.c - the rows of one stream
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/below.h"
#include "base/sys.h"
#include "recorder/store/mend/place.h"
#include "recorder/store/mend/rebuild_impl.h"
#include "recorder/store/mend/survey.h"

struct files {
	struct pb_segment_name *at;
	size_t		 count, cap;
};

static int	list_files(struct rebuild_stream *, struct files *,
		    struct pb_err *);
static int	finish_salvages(struct rebuild_stream *, const char *,
		    struct pb_err *);
static int	add_name(struct files *, const char *, struct pb_err *);
static int	own_id(struct rebuild_stream *, struct pb_err *);
static int	by_number(const void *, const void *);
static bool	is_taken(const struct rebuild_stream *,
		    const struct pb_segment_name *);
static int	take_files(struct rebuild_stream *, const struct files *,
		    struct pb_err *);
static int	take_file(struct rebuild_stream *,
		    const struct pb_segment_name *, bool, struct pb_err *);
static int	survey_file(struct rebuild_stream *,
		    const struct pb_segment_name *, int, const char *,
		    struct pb_survey *, struct pb_err *);
static int	settle(struct rebuild_stream *,
		    const struct pb_segment_name *, int, const char *,
		    struct pb_survey *, struct pb_err *);
static int	put_rows(struct rebuild_stream *, struct pb_survey *,
		    struct pb_err *);
static int	rescue(struct rebuild_stream *, const struct pb_segment_name *,
		    const char *, const char *, struct pb_err *);
static int	finish(struct rebuild_stream *, struct pb_err *);

int
rebuild_one(struct rebuild *rebuild, const struct pb_stream_key *key,
    struct pb_err *err)
{
	struct rebuild_stream stream = { .rebuild = rebuild };
	struct files files = { NULL, 0, 0 };
	int rc;

	stream.info.key = *key;
	rc = rebuild_read_facts(&stream, err);
	if (rc == 0)
		rc = own_id(&stream, err);
	if (rc == 0)
		rc = list_files(&stream, &files, err);
	if (rc == 0 && (files.count > 0 || stream.has_journal)) {
		rc = take_files(&stream, &files, err);
		if (rc == 0)
			rc = rebuild_gaps(&stream, err);
		if (rc == 0)
			rc = finish(&stream, err);
	}
	free(files.at);
	free(stream.facts);
	free(stream.held.at);
	return rc;
}

/* The id that its journal tells, unless there is none, or another stream
 * has it: folders of two stores that were put together. */
static int
own_id(struct rebuild_stream *stream, struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	struct pb_stream_key other;
	int rc = 1;

	if (stream->info.id != 0)
		rc = pb_index_stream_key(rebuild->mend.index, stream->info.id,
		    &other, err);
	if (rc <= 0)
		return rc;
	stream->has_row = false;
	stream->info.id = ++rebuild->last_id;
	return 0;
}

/* --- the folder --------------------------------------------------------- */

static int
list_files(struct rebuild_stream *stream, struct files *files,
    struct pb_err *err)
{
	char dir[PATH_MAX];
	struct dirent *entry;
	DIR *folder;
	int rc = pb_layout_stream(dir, stream->rebuild->mend.store,
	    &stream->info.key, err);

	if (rc < 0)
		return rc;
	rc = finish_salvages(stream, dir, err);
	if (rc < 0)
		return rc;
	folder = pb_below_opendir(dir);
	if (folder == NULL)
		return pb_err_sys(err, "open %s", dir);
	while (rc == 0 && (errno = 0, entry = readdir(folder)) != NULL)
		rc = add_name(files, entry->d_name, err);
	if (rc == 0 && errno != 0)
		rc = pb_err_sys(err, "list %s", dir);
	closedir(folder);
	if (files->count > 0)
		qsort(files->at, files->count, sizeof(*files->at), by_number);
	return rc;
}

/* Those that a crash cut short: done to their end, or not begun. */
static int
finish_salvages(struct rebuild_stream *stream, const char *dir,
    struct pb_err *err)
{
	const char *store = stream->rebuild->mend.store;
	const struct pb_stream_key *key = &stream->info.key;
	DIR *folder = pb_below_opendir(dir);
	unsigned long long number;
	struct dirent *entry;
	int rc = 0;

	if (folder == NULL)
		return pb_err_sys(err, "open %s", dir);
	while (rc >= 0 && (entry = readdir(folder)) != NULL) {
		if (sscanf(entry->d_name, PB_PLACE_HIDDEN "%20llu",
		    &number) != 1)
			continue;
		rc = strstr(entry->d_name, ".new") != NULL ?
		    pb_place_drop(store, key, number, err) :
		    pb_place_finish(store, key, number, err);
	}
	closedir(folder);
	return rc < 0 ? rc : 0;
}

static int
add_name(struct files *files, const char *name, struct pb_err *err)
{
	struct pb_segment_name file;

	if (!pb_layout_parse(name, &file))
		return 0;
	if (!PB_LIST_ROOM(files->at, files->cap, files->count))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	files->at[files->count++] = file;
	return 0;
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

/* A run that was salvaged a moment ago has this name now. */
static bool
is_taken(const struct rebuild_stream *stream, const struct pb_segment_name *file)
{
	size_t at = pb_runs_find(&stream->held, file->first);

	return !file->open && at < stream->held.count &&
	    stream->held.at[at].first == file->first;
}

static int
take_files(struct rebuild_stream *stream, const struct files *files,
    struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < files->count; i++) {
		rc = is_taken(stream, &files->at[i]) ? 0 :
		    take_file(stream, &files->at[i], false, err);
		rebuild->files++;
		if (rc == 0 && rebuild->opts->progress != NULL &&
		    !rebuild->opts->progress(rebuild->opts->arg,
		    rebuild->files, rebuild->files_all, rebuild->sum->bytes))
			rc = pb_err_set(err, PB_EBUSY, "the index is made "
			    "another time: the program ends");
	}
	return rc;
}

/* --- one file ----------------------------------------------------------- */

/*
 * Of two files that hold the same numbers the one that begins first is
 * right, of the other what lies behind is taken.
 */
static int
take_file(struct rebuild_stream *stream, const struct pb_segment_name *file,
    bool salvaged, struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_survey survey;
	int fd, rc;

	rc = pb_layout_segment(path, stream->rebuild->mend.store,
	    &stream->info.key, file->first, file->open, err);
	if (rc < 0)
		return rc;
	if (file->first <= stream->info.last_seq)
		return rescue(stream, file, path, "its numbers are in "
		    "another file as well", err);
	fd = pb_below_open(path, O_RDWR, 0);
	if (fd < 0)
		return pb_err_sys(err, "open %s", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	pb_survey_init(&survey);
	rc = survey_file(stream, file, fd, path, &survey, err);
	if (rc == 0)
		rc = settle(stream, file, fd, path, &survey, err);
	pb_survey_finish(&survey);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	if (rc != 1)
		return rc;
	if (salvaged)
		return pb_err_set(err, PB_EFORMAT, "%s: what was salvaged "
		    "cannot be read", path);
	return rescue(stream, file, path, "it is damaged", err);
}

/* 0, 1 where the file is damaged, or an error. */
static int
survey_file(struct rebuild_stream *stream, const struct pb_segment_name *file,
    int fd, const char *path, struct pb_survey *survey, struct pb_err *err)
{
	struct pb_head *head;
	uint64_t digest = 0, found, seq;
	size_t header = 0;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return pb_err_sys(err, "look at %s", path);
	rc = pb_survey_head(fd, &head, &header, &digest, err);
	if (rc == 0 && !stream->has_head) {
		stream->info.linktype = head->linktype;
		stream->info.created_ns = pb_mtime_ns(&st);
		stream->info.own = stream->rebuild->opts->node != NULL &&
		    head->identity.nodes == 1 &&
		    strcmp(stream->info.key.node,
		    stream->rebuild->opts->node) == 0;
		stream->has_head = true;
	}
	if (rc == 0 && !pb_head_fits(head, &stream->info.key,
	    stream->info.linktype, file->first))
		rc = PB_EFORMAT;
	pb_head_unref(head);
	if (rc < 0)
		return rc == PB_EFORMAT ? 1 : rc;
	survey->segment = (struct pb_segment_info){
		.stream = stream->info.id,
		.first_seq = file->first,
		.last_seq = file->first - 1,
		.header_bytes = (uint32_t)header,
		.header_digest = digest,
	};
	survey->seq_max = INT64_MAX;
	rc = pb_survey_read(survey, fd, header, (uint64_t)st.st_size, err);
	if (rc < 0 || survey->good == (uint64_t)st.st_size)
		return rc;
	if (!file->open)
		return 1;
	/* A torn end is what a crash leaves; packets behind it are not. */
	return pb_survey_resync(fd, survey->good, (uint64_t)st.st_size,
	    survey->segment.last_seq, INT64_MAX, &found, &seq, err);
}

/* A whole file: sealed, if it was not, and its rows. */
static int
settle(struct rebuild_stream *stream, const struct pb_segment_name *file, int fd,
    const char *path, struct pb_survey *survey, struct pb_err *err)
{
	const char *store = stream->rebuild->mend.store;
	uint64_t begun_ms = pb_head_begun(fd, survey->segment.header_bytes);
	char sealed[PATH_MAX], dir[PATH_MAX];
	struct stat st;
	int rc = pb_layout_segment(sealed, store, &stream->info.key,
	    file->first, false, err);

	if (rc == 0)
		rc = pb_layout_stream(dir, store, &stream->info.key, err);
	if (rc < 0)
		return rc;
	if (survey->segment.packets == 0) {
		/* Made, and never written to. */
		if (pb_below_unlink(path) < 0)
			return pb_err_sys(err, "remove %s", path);
		return pb_sync_dir(dir, err);
	}
	if (file->open) {
		if (ftruncate(fd, (off_t)survey->good) < 0 || fsync(fd) < 0)
			return pb_err_sys(err, "cut and sync %s", path);
		if (pb_below_rename(path, sealed, 0) < 0)
			return pb_err_sys(err, "rename %s", path);
		rc = pb_sync_dir(dir, err);
		if (rc < 0)
			return rc;
	}
	if (fstat(fd, &st) < 0)
		return pb_err_sys(err, "look at %s", sealed);
	survey->segment.sealed = true;
	survey->segment.created_ns = pb_mtime_ns(&st);
	survey->segment.sealed_at = begun_ms != 0 ? pb_age_key(begun_ms) :
	    pb_age_key_of_time(pb_mtime_ns(&st), pb_clock_real_ns());
	return put_rows(stream, survey, err);
}

static int
put_rows(struct rebuild_stream *stream, struct pb_survey *survey,
    struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(rebuild->mend.index, &txn, err);

	if (rc < 0)
		return rc;
	pb_stream_add_times(&stream->info, survey->segment.first_time,
	    survey->segment.last_time, true);
	pb_survey_put(survey, &txn, 0, &stream->info);
	rc = pb_mdb_commit(&txn);
	if (rc < 0)
		return rc;
	if (survey->hops_last > rebuild->numbers)
		rebuild->numbers = survey->hops_last;
	rebuild->sum->segments++;
	rebuild->sum->packets += survey->segment.packets;
	rebuild->sum->bytes += survey->segment.bytes;
	if (!pb_runs_add(&stream->held, survey->segment.first_seq,
	    survey->segment.last_seq))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	return 0;
}

/*
 * A file that is not whole, or not in its place: the original goes to
 * damaged/, whole runs of numbers behind those taken so far come back as
 * files that are taken in like any other.
 */
static int
rescue(struct rebuild_stream *stream, const struct pb_segment_name *file,
    const char *path, const char *why, struct pb_err *err)
{
	struct rebuild *rebuild = stream->rebuild;
	uint64_t after = stream->info.last_seq;
	struct pb_runs runs = { NULL, 0, 0 };
	char aside[PATH_MAX];
	int rc;

	if (after < file->first)
		after = file->first - 1;
	rebuild->sum->damaged++;
	/* Beside a sealed one of this number: the name is taken. */
	if (file->open && is_taken(stream, &(struct pb_segment_name){
	    .first = file->first }))
		rc = pb_move_aside(rebuild->mend.store, &stream->info.key,
		    file->first, path, why, aside, err);
	else
		rc = pb_salvage_files(&rebuild->mend, &stream->info,
		    file->first, after, why, aside, &runs, err);
	if (rc == 0)
		pb_log(PB_LOG_ERROR, "reindex", "%s file=%s aside=%s", why,
		    path, aside);
	for (size_t i = 0; rc == 0 && i < runs.count; i++) {
		struct pb_segment_name run = { .first = runs.at[i].first };

		rc = take_file(stream, &run, true, err);
	}
	free(runs.at);
	return rc;
}

/* The stream's row, last: it has what all else came to. */
static int
finish(struct rebuild_stream *stream, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_fact fact;
	int rc = 0;

	if (!stream->has_head)
		return 0;	/* a journal of gaps alone, without its row */
	if (!stream->has_row) {
		fact = pb_fact_of_stream(&stream->info);
		rc = pb_journal_append(stream->rebuild->mend.store,
		    &stream->info.key, &fact, 1, err);
	}
	if (rc == 0)
		rc = pb_index_begin(stream->rebuild->mend.index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_put_stream(&txn, &stream->info);
	stream->rebuild->sum->streams++;
	return pb_mdb_commit(&txn);
}
