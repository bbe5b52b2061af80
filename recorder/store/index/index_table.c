/*
 * recorder/store/index/index_table.c - flow tables in NNN.flows
 */
#include "recorder/store/index/index_table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/sys.h"
#include "recorder/flow/table.h"

static int	check(const uint8_t *, const struct pb_flows_info *,
		    struct pb_err *);
static int	append(int, const char *, const struct pb_buf *, uint64_t *,
		    struct pb_err *);
static bool	segment_is_there(const char *, const struct pb_stream_key *,
		    uint64_t);

int
pb_index_table_append(const char *store, const struct pb_stream_key *key,
    struct pb_flows_info *row, const struct pb_buf *table, struct pb_err *err)
{
	char path[PATH_MAX], dir[PATH_MAX];
	int fd, rc = pb_layout_flows(path, store, key, row->segment_seq, err);

	if (rc == 0)
		rc = pb_layout_stream(dir, store, key, err);
	if (rc < 0)
		return rc;
	if (!segment_is_there(store, key, row->segment_seq))
		return pb_err_set(err, PB_ENOENT, "segment %020" PRIu64
		    " is gone", row->segment_seq);
	fd = pb_below_open(path, O_RDWR | O_CREAT, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", path);
	rc = append(fd, path, table, &row->table_at, err);
	pb_file_close(fd);
	/* What holds something has a name that stays. */
	if (rc == 0 && row->table_at == 0)
		rc = pb_sync_dir(dir, err);
	/* Who deleted the segment meanwhile may have been here before. */
	if (rc == 0 && !segment_is_there(store, key, row->segment_seq))
		rc = pb_err_set(err, PB_ENOENT, "segment %020" PRIu64
		    " is gone", row->segment_seq);
	if (rc < 0 && row->table_at == 0)
		pb_below_unlink(path);
	return rc;
}

int
pb_index_table_read(struct pb_buf *out, const char *store,
    const struct pb_stream_key *key, const struct pb_flows_info *row,
    struct pb_err *err)
{
	size_t len = row->table_bytes;
	uint8_t *to;
	int fd, rc;

	if (len == 0)
		return pb_err_set(err, PB_ENOENT, "no table");
	to = pb_buf_reserve(out, len);
	if (to == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	fd = pb_index_table_open(store, key, row->segment_seq, err);
	if (fd < 0)
		return fd;
	rc = pb_index_table_part(fd, row, 0, to, len, err);
	pb_file_close(fd);
	if (rc == 0)
		rc = check(to, row, err);
	if (rc == 0)
		out->len += len;
	return rc;
}

int
pb_index_table_open(const char *store, const struct pb_stream_key *key,
    uint64_t segment_seq, struct pb_err *err)
{
	char path[PATH_MAX];
	int fd, rc = pb_layout_flows(path, store, key, segment_seq, err);

	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDONLY, 0);
	return fd < 0 ? pb_err_sys(err, "open %s", path) : fd;
}

int
pb_index_table_part(int fd, const struct pb_flows_info *row, uint64_t at,
    void *out, size_t len, struct pb_err *err)
{
	ssize_t got = pb_pread_all(fd, out, len, row->table_at + at, err);

	if (got < 0)
		return pb_err_prefix(err, (int)got, "segment %020" PRIu64 ", "
		    "flow tables", row->segment_seq);
	if ((size_t)got < len)
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 ": "
		    "its flow tables are shorter than the index says",
		    row->segment_seq);
	return 0;
}

int
pb_index_table_remove(const char *store, const struct pb_stream_key *key,
    uint64_t segment_seq, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc = pb_layout_flows(path, store, key, segment_seq, err);

	if (rc == 0 && pb_below_unlink(path) < 0 && errno != ENOENT)
		rc = pb_err_sys(err, "remove %s", path);
	return rc;
}

/* Is it whole, and the row's? */
static int
check(const uint8_t *bytes, const struct pb_flows_info *row,
    struct pb_err *err)
{
	struct pb_flow_table *table;
	struct pb_err why;
	int rc = pb_flow_table_open(&table, bytes, row->table_bytes, &why);

	if (rc == 0 && pb_flow_table_digest(table) != row->table_digest)
		rc = pb_err_set(&why, PB_EFORMAT, "it is another one");
	if (rc == 0)
		rc = pb_flow_table_check(table, &why);
	pb_flow_table_close(table);
	if (rc < 0)
		pb_err_set(err, rc == PB_EFORMAT ? PB_EDIGEST : rc,
		    "segment %020" PRIu64 ": its flow table at %" PRIu64
		    " does not match its digest: %.120s", row->segment_seq,
		    row->table_at, why.text);
	return rc == PB_EFORMAT ? PB_EDIGEST : rc;
}

/* `*at` is where it begins. */
static int
append(int fd, const char *path, const struct pb_buf *table, uint64_t *at,
    struct pb_err *err)
{
	struct stat st;
	int rc;

	*at = UINT64_MAX;
	if (pb_file_stat(fd, &st) < 0)
		return pb_err_sys(err, "look at %s", path);
	*at = (uint64_t)st.st_size;
	rc = pb_pwrite_all(fd, table->data, table->len, *at, err);
	if (rc < 0)
		pb_err_prefix(err, rc, "%s", path);
	else if (pb_file_datasync(fd) < 0)
		rc = pb_err_sys(err, "sync %s", path);
	if (rc < 0)
		(void)pb_file_truncate(fd, *at);
	return rc;
}

static bool
segment_is_there(const char *store, const struct pb_stream_key *key,
    uint64_t first_seq)
{
	char path[PATH_MAX];

	/* Sealing renames: open, sealed, and open again misses nothing. */
	for (int i = 0; i < 3; i++)
		if (pb_layout_segment(path, store, key, first_seq, i % 2 == 0,
		    NULL) == 0 && pb_below_look(path) == 0)
			return true;
	return false;
}
