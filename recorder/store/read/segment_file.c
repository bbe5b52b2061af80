/*
 * recorder/store/read/segment_file.c - the file of a segment
 */
#include "recorder/store/read/segment_file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/below.h"
#include "base/owner.h"

int
pb_segment_open_file(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, struct pb_err *err)
{
	return pb_segment_open_mode(store, key, first_seq, O_RDONLY, err);
}

int
pb_segment_open_mode(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq, int mode, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc, fd = -1;

	/* Sealing renames: open, sealed, and open again misses nothing. */
	for (int i = 0; i < 3 && fd < 0; i++) {
		if (i > 0 && errno != ENOENT)
			break;
		rc = pb_layout_segment(path, store, key, first_seq,
		    i % 2 == 0, err);
		if (rc < 0)
			return rc;
		fd = pb_below_open(path, mode, 0);
	}
	if (fd < 0) {
		fd = pb_err_sys(err, "open %s", path);
		pb_owner_explain(store, path, err);
	}
	return fd;
}
