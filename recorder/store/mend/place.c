/*
 * recorder/store/mend/place.c - files change places, whole or not at all
 */
#include "recorder/store/mend/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "recorder/store/mend/rebuild_impl.h"

#define ASIDE_MAX	10000	/* names tried in damaged/ */

/* Where a salvage puts its files, and where they go. */
struct place {
	const char	*store;
	const struct pb_stream_key *key;
	uint64_t	 first;			/* the original's */
	char		 stream[PATH_MAX];	/* the stream's folder */
	char		 fresh[PATH_MAX];	/* .salvage-FIRST.new */
	char		 done[PATH_MAX];	/* .salvage-FIRST */
};

static int	locate(struct place *, const char *,
		    const struct pb_stream_key *, uint64_t, struct pb_err *);
static int	each_file(const char *, int (*)(void *, const char *,
		    const struct pb_segment_name *, struct pb_err *), void *,
		    struct pb_err *);
static int	remove_one(void *, const char *, const struct pb_segment_name *,
		    struct pb_err *);
static int	move_one(void *, const char *, const struct pb_segment_name *,
		    struct pb_err *);
static int	make_way(struct place *, const char *, uint64_t,
		    struct pb_err *);
static int	move_first(struct place *, struct pb_err *);
static int	unlink_name(const struct place *, bool, struct pb_err *);
static int	write_note(const char *, const char *, struct pb_err *);

int
pb_set_aside(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, const char *path, const char *note,
    char out[static PATH_MAX], struct pb_err *err)
{
	char url[PATH_MAX], dir[PATH_MAX];
	int n, rc = pb_layout_url(url, key, err);

	if (rc == 0)
		rc = pb_layout_path(dir, store, "damaged", err);
	if (rc == 0)
		rc = pb_mkdirs(dir, err);
	if (rc < 0)
		return rc;
	for (char *c = url; *c != '\0'; c++)
		if (*c == '/')
			*c = '_';
	for (int i = 0; i < ASIDE_MAX; i++) {
		n = snprintf(out, PATH_MAX, i == 0 ? "%s/%s_%020llu.pcapng" :
		    "%s/%s_%020llu.%d.pcapng", dir, url,
		    (unsigned long long)first_seq, i);
		if (n < 0 || n >= PATH_MAX)
			return pb_err_set(err, PB_ELIMIT, "path longer than "
			    "%d bytes", PATH_MAX - 1);
		if (pb_below_link(path, out) == 0) {
			rc = write_note(out, note, err);
			return rc < 0 ? rc : pb_sync_dir(dir, err);
		}
		if (errno != EEXIST)
			return pb_err_sys(err, "link %s to %s", path, out);
	}
	return pb_err_set(err, PB_ELIMIT, "%s holds %d files of this segment",
	    dir, ASIDE_MAX);
}

int
pb_move_aside(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, const char *path, const char *note,
    char out[static PATH_MAX], struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_set_aside(store, key, first_seq, path, note, out, err);

	if (rc == 0 && pb_below_unlink(path) < 0)
		rc = pb_err_sys(err, "remove %s", path);
	if (rc == 0)
		rc = pb_layout_stream(dir, store, key, err);
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

int
pb_place_begin(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, char dir[static PATH_MAX], struct pb_err *err)
{
	struct place place;
	int rc = pb_place_drop(store, key, first_seq, err);

	if (rc == 0)
		rc = locate(&place, store, key, first_seq, err);
	if (rc < 0)
		return rc;
	strcpy(dir, place.fresh);
	return pb_mkdirs(dir, err);
}

int
pb_place_sync(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	struct place place;
	int rc = locate(&place, store, key, first_seq, err);

	if (rc == 0)
		rc = pb_sync_dir(place.fresh, err);
	return rc < 0 ? rc : pb_sync_dir(place.stream, err);
}

int
pb_place_commit(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	struct place place;
	int rc = locate(&place, store, key, first_seq, err);

	if (rc < 0)
		return rc;
	if (pb_below_rename(place.fresh, place.done, 0) < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "rename %s",
		    place.fresh);
	return pb_sync_dir(place.stream, err);
}

/*
 * The run that has the original's name is the last to go there: while it
 * waits, that name is the original's.  So this can be done again.
 */
int
pb_place_finish(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	struct place place;
	char waiting[PATH_MAX + 32];
	int rc = locate(&place, store, key, first_seq, err);

	if (rc < 0)
		return rc;
	if (pb_below_look(place.done) < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "look at %s",
		    place.done);
	snprintf(waiting, sizeof(waiting), "%s/%020llu.pcapng", place.done,
	    (unsigned long long)first_seq);
	rc = each_file(place.done, move_one, &place, err);
	if (rc >= 0 && pb_below_look(waiting) == 0)
		rc = move_first(&place, err);
	/* Whatever run has come into its sealed name, or none. */
	if (rc >= 0)
		rc = unlink_name(&place, true, err);
	if (rc == 0)
		rc = pb_sync_dir(place.stream, err);
	if (rc == 0 && pb_below_rmdir(place.done) < 0)
		rc = pb_err_sys(err, "remove %s", place.done);
	return rc < 0 ? rc : 1;
}

int
pb_place_drop(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	struct place place;
	int rc = locate(&place, store, key, first_seq, err);

	if (rc == 0)
		rc = each_file(place.fresh, remove_one, place.fresh, err);
	if (rc == 0 && pb_below_rmdir(place.fresh) < 0 && errno != ENOENT)
		rc = pb_err_sys(err, "remove %s", place.fresh);
	return rc;
}

int
pb_place_remove(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	struct place place;
	int rc = locate(&place, store, key, first_seq, err);

	if (rc == 0)
		rc = unlink_name(&place, true, err);
	if (rc == 0)
		rc = unlink_name(&place, false, err);
	return rc < 0 ? rc : pb_sync_dir(place.stream, err);
}

static int
locate(struct place *place, const char *store,
    const struct pb_stream_key *key, uint64_t first_seq, struct pb_err *err)
{
	int a, b, rc = pb_layout_stream(place->stream, store, key, err);

	if (rc < 0)
		return rc;
	place->store = store;
	place->key = key;
	place->first = first_seq;
	a = snprintf(place->done, PATH_MAX, "%s/" PB_PLACE_HIDDEN "%020llu",
	    place->stream, (unsigned long long)first_seq);
	b = snprintf(place->fresh, PATH_MAX, "%s/" PB_PLACE_HIDDEN
	    "%020llu.new", place->stream, (unsigned long long)first_seq);
	if (a < 0 || a >= PATH_MAX || b < 0 || b >= PATH_MAX)
		return pb_err_set(err, PB_ELIMIT, "path longer than %d bytes",
		    PATH_MAX - 1);
	return 0;
}

/* Segments' files in `dir`, which may change meanwhile; none is no error. */
static int
each_file(const char *dir, int (*each)(void *, const char *,
    const struct pb_segment_name *, struct pb_err *), void *arg,
    struct pb_err *err)
{
	DIR *folder = pb_below_opendir(dir);
	struct pb_segment_name file;
	struct dirent *entry;
	int rc = 0;

	if (folder == NULL)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", dir);
	while (rc == 0 && (entry = readdir(folder)) != NULL)
		if (pb_layout_parse(entry->d_name, &file))
			rc = each(arg, entry->d_name, &file, err);
	closedir(folder);
	return rc;
}

static int
remove_one(void *arg, const char *name, const struct pb_segment_name *file,
    struct pb_err *err)
{
	char path[PATH_MAX + 256];

	(void)file;
	snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
	return pb_below_unlink(path) == 0 || errno == ENOENT ? 0 :
	    pb_err_sys(err, "remove %s", path);
}

/* All but the run that has the original's name. */
static int
move_one(void *arg, const char *name, const struct pb_segment_name *file,
    struct pb_err *err)
{
	char from[PATH_MAX + 256], to[PATH_MAX], waiting[PATH_MAX + 32];
	struct place *place = arg;
	int rc;

	if (file->first == place->first)
		return 0;
	snprintf(from, sizeof(from), "%s/%s", place->done, name);
	rc = pb_layout_segment(to, place->store, place->key, file->first,
	    false, err);
	if (rc == 0)
		rc = make_way(place, to, file->first, err);
	if (rc < 0)
		return rc;
	/* No run has the original's name: it goes before the first move, so
	 * that nobody finds numbers twice. */
	snprintf(waiting, sizeof(waiting), "%s/%020llu.pcapng", place->done,
	    (unsigned long long)place->first);
	if (pb_below_look(waiting) < 0)
		rc = unlink_name(place, false, err);
	if (rc == 0 && pb_below_rename(from, to, 0) < 0)
		rc = pb_err_sys(err, "rename %s", from);
	return rc;
}

/* A file that stands where a run goes is none that is known of. */
static int
make_way(struct place *place, const char *path, uint64_t first,
    struct pb_err *err)
{
	char aside[PATH_MAX];
	int rc;

	if (pb_below_look(path) < 0)
		return 0;
	rc = pb_move_aside(place->store, place->key, first, path,
	    "its numbers are in another file as well", aside, err);
	if (rc == 0)
		pb_log(PB_LOG_ERROR, "store", "a file is in the way file=%s "
		    "aside=%s", path, aside);
	return rc;
}

static int
move_first(struct place *place, struct pb_err *err)
{
	char from[PATH_MAX + 32], to[PATH_MAX];
	int rc = pb_layout_segment(to, place->store, place->key, place->first,
	    false, err);

	if (rc < 0)
		return rc;
	snprintf(from, sizeof(from), "%s/%020llu.pcapng", place->done,
	    (unsigned long long)place->first);
	return pb_below_rename(from, to, 0) == 0 ? 0 :
	    pb_err_sys(err, "rename %s", from);
}

static int
unlink_name(const struct place *place, bool open, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc = pb_layout_segment(path, place->store, place->key,
	    place->first, open, err);

	if (rc == 0 && pb_below_unlink(path) < 0 && errno != ENOENT)
		rc = pb_err_sys(err, "remove %s", path);
	return rc;
}

static int
write_note(const char *path, const char *note, struct pb_err *err)
{
	char name[PATH_MAX + 8], time[PB_TIME_TEXT_MAX];
	int fd, rc = 0;
	FILE *file;

	snprintf(name, sizeof(name), "%s.txt", path);
	fd = pb_below_open(name, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", name);
	file = fdopen(fd, "w");
	if (file == NULL) {
		close(fd);
		return pb_err_set(err, PB_ENOMEM, "no memory for a note");
	}
	fprintf(file, "%s %s\n", pb_time_format(pb_clock_real_ns(), time),
	    note);
	if (fflush(file) != 0 || fsync(fileno(file)) < 0)
		rc = pb_err_sys(err, "write %s", name);
	fclose(file);
	return rc;
}
