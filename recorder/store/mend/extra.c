/*
 * recorder/store/mend/extra.c - a file that stands where a segment goes
 */
#include "recorder/store/mend/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "recorder/store/mend/place.h"
#include "recorder/store/mend/survey.h"

static int	holds_packets(const char *, struct pb_err *);

int
pb_extra_aside(const char *store, const struct pb_stream_key *key,
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
		rc = pb_move_aside(store, key, first_seq, path,
		    "the index does not know it, and a new segment has its "
		    "name", aside, err);
		if (rc == 0)
			pb_log(PB_LOG_ERROR, "store", "a file that the index "
			    "does not know is set aside file=%s aside=%s",
			    path, aside);
	}
	return rc;
}

/* 1, 0 where it is not there or holds none, or an error. */
static int
holds_packets(const char *path, struct pb_err *err)
{
	uint64_t found, seq, size;
	struct stat st;
	int fd = pb_below_open(path, O_RDONLY, 0);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", path);
	if (fstat(fd, &st) < 0) {
		rc = pb_err_sys(err, "look at %s", path);
		close(fd);
		return rc;
	}
	size = (uint64_t)st.st_size;
	rc = size > PB_EXTRA_LOOK_BYTES ? 1 : pb_survey_resync(fd, 0, size, 0,
	    UINT64_MAX, &found, &seq, err);
	close(fd);
	return rc;
}
