/*
 * recorder/store/read/segment_file.c - the file of a segment
 */
#include "recorder/store/read/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/below.h"
#include "base/digest.h"
#include "base/owner.h"
#include "base/sys.h"

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

	/* Most are sealed.  Sealing renames: sealed, open, and sealed again
	 * misses nothing. */
	for (int i = 0; i < 3 && fd < 0; i++) {
		if (i > 0 && errno != ENOENT)
			break;
		rc = pb_layout_segment(path, store, key, first_seq,
		    i % 2 != 0, err);
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

int
pb_stream_head(struct pb_head **out, const char *store,
    struct pb_index *index, const struct pb_stream_info *stream,
    uint64_t seq, struct pb_err *err)
{
	struct pb_segment_info segment;
	int fd, rc;

	rc = pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream->id, seq,
	    &segment, 1, err);
	if (rc <= 0 || segment.header_bytes > PB_HEAD_BYTES_MAX)
		return rc < 0 ? rc : 0;
	fd = pb_segment_open_file(store, &stream->key, segment.first_seq, err);
	if (fd < 0)
		return fd == PB_ENOENT ? 0 : fd;
	rc = pb_head_read(out, fd, segment.header_bytes, err);
	close(fd);
	return rc < 0 ? rc : 1;
}

int
pb_segment_read(int fd, uint64_t first_seq, uint64_t offset, uint8_t *to,
    size_t len, struct pb_err *err)
{
	ssize_t got = pb_pread_all(fd, to, len, offset, err);

	if (got < 0)
		return pb_err_prefix(err, (int)got, "segment %020" PRIu64,
		    first_seq);
	if ((size_t)got < len)
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 " is "
		    "shorter than its index says: %zu bytes at %" PRIu64 " are "
		    "not there", first_seq, len - (size_t)got,
		    offset + (uint64_t)got);
	return 0;
}

int
pb_segment_check(uint64_t first_seq, uint64_t offset, const uint8_t *data,
    size_t len, uint64_t digest, struct pb_err *err)
{
	if (pb_digest(data, len) == digest)
		return 0;
	return pb_err_set(err, PB_EDIGEST, "segment %020" PRIu64 ": the "
	    "extent at %" PRIu64 " does not match its digest: the file was "
	    "damaged", first_seq, offset);
}
