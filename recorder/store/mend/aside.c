/*
 * recorder/store/mend/aside.c - what is not whole, or in the way, is kept
 */
#include "recorder/store/mend/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/below.h"
#include "base/log.h"
#include "base/sys.h"
#include "recorder/store/mend/survey.h"

#define NAMES_MAX	10000	/* tried of one file */
#define NOTE_BYTES	1024

static int	write_note(const char *, const char *, struct pb_err *);
static bool	is_same(const char *, const char *);
static int	holds_packets(const char *, struct pb_err *);

int
pb_aside_link(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, const char *path, const char *note,
    char out[static PATH_MAX], struct pb_err *err)
{
	char url[PATH_MAX], dir[PATH_MAX];
	bool linked;
	int n, rc = pb_layout_url(url, key, err);

	if (rc == 0)
		rc = pb_layout_path(dir, store, "damaged", err);
	if (rc == 0)
		rc = pb_mkdirs_sync(dir, err);
	if (rc < 0)
		return rc;
	for (char *c = url; *c != '\0'; c++)
		if (*c == '/')
			*c = '_';
	for (int i = 0; i < NAMES_MAX; i++) {
		n = snprintf(out, PATH_MAX, i == 0 ? "%s/%s_%020llu.pcapng" :
		    "%s/%s_%020llu.%d.pcapng", dir, url,
		    (unsigned long long)first_seq, i);
		if (n < 0 || n >= PATH_MAX)
			return pb_err_set(err, PB_ELIMIT, "path longer than "
			    "%d bytes", PATH_MAX - 1);
		linked = pb_below_link(path, out) == 0;
		if (!linked && errno != EEXIST)
			return pb_err_sys(err, "link %s to %s", path, out);
		if (linked || is_same(path, out)) {
			rc = write_note(out, note, err);
			return rc < 0 ? rc : pb_sync_dir(dir, err);
		}
	}
	return pb_err_set(err, PB_ELIMIT, "%s holds %d files of this segment",
	    dir, NAMES_MAX);
}

/* An earlier try may have come so far. */
static bool
is_same(const char *path, const char *other)
{
	struct stat a, b;

	return pb_below_stat(path, &a) == 0 && pb_below_stat(other, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int
pb_aside_move(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, const char *path, const char *note,
    char out[static PATH_MAX], struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_aside_link(store, key, first_seq, path, note, out, err);

	if (rc == 0 && pb_below_unlink(path) < 0)
		rc = pb_err_sys(err, "remove %s", path);
	if (rc == 0)
		rc = pb_layout_stream(dir, store, key, err);
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

int
pb_aside_extra(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	char path[PATH_MAX], aside[PATH_MAX];
	int rc = 0;

	for (int open = 0; rc == 0 && open < 2; open++) {
		rc = pb_layout_segment(path, store, key, first_seq, open == 1,
		    err);
		if (rc == 0)
			rc = holds_packets(path, err);
		if (rc <= 0)
			continue;
		rc = pb_aside_move(store, key, first_seq, path,
		    "the index does not know it, and a new segment has its "
		    "name", aside, err);
		if (rc == 0)
			pb_log(PB_LOG_ERROR, "store", "a file that the index "
			    "does not know is set aside file=%s aside=%s",
			    path, aside);
	}
	return rc;
}

static int
write_note(const char *path, const char *note, struct pb_err *err)
{
	char name[PATH_MAX + 8], text[NOTE_BYTES], time[PB_TIME_TEXT_MAX];
	int fd, rc;

	snprintf(name, sizeof(name), "%s.txt", path);
	fd = pb_below_open(name, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", name);
	snprintf(text, sizeof(text), "%s %s\n", pb_time_format(
	    pb_below_now_ns(path), time), note);
	rc = pb_pwrite_all(fd, text, strlen(text), 0, err);
	if (rc == 0 && pb_file_sync(fd) < 0)
		rc = pb_err_sys(err, "sync");
	pb_file_close(fd);
	return rc < 0 ? pb_err_prefix(err, rc, "write %s", name) : 0;
}

/* 1, 0 where it is not there or holds none, or an error. */
static int
holds_packets(const char *path, struct pb_err *err)
{
	struct pb_survey_numbers any = { .last = UINT64_MAX,
	    .reach = UINT64_MAX };
	uint64_t found, seq, size;
	struct stat st;
	int fd = pb_below_open(path, O_RDONLY, 0);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", path);
	if (pb_file_stat(fd, &st) < 0) {
		rc = pb_err_sys(err, "look at %s", path);
		pb_file_close(fd);
		return rc;
	}
	size = (uint64_t)st.st_size;
	rc = size > PB_ASIDE_LOOK_BYTES ? 1 : pb_survey_resync(fd, 0, size,
	    &any, &found, &seq, err);
	pb_file_close(fd);
	return rc;
}
