/*
 * recorder/store/index/index_table.h - flow tables in NNN.flows, beside
 * their segment
 *
 * Bytes, one table behind the other, each of which a row of the index names
 * with its place and digest; what no row names is ignored.  So a table is
 * there once its row is committed, and that comes after its sync.
 */
#ifndef PB_STORE_INDEX_TABLE_H
#define PB_STORE_INDEX_TABLE_H

#include "base/buf.h"
#include "recorder/store/index/index.h"

/*
 * The row's table, behind all that is in its file, which is made where there
 * is none: synced, and its name with it.  row->table_at is set.  One thread
 * for a store.  PB_ENOENT where the segment is gone; a failure leaves nothing
 * that costs room, if it can.
 */
int	pb_index_table_append(const char *store,
	    const struct pb_stream_key *key, struct pb_flows_info *row,
	    const struct pb_buf *table, struct pb_err *err);

/*
 * The row's table, appended to `out`, which has room for it: one that is
 * whole, by its digest.  PB_ENOENT where the row has none, or the file has
 * gone; PB_EFORMAT where it is shorter; PB_EDIGEST.
 */
int	pb_index_table_read(struct pb_buf *out, const char *store,
	    const struct pb_stream_key *key, const struct pb_flows_info *row,
	    struct pb_err *err);

/* The same part by part, whose digests nobody has asked for: a descriptor of
 * the segment's tables, to be closed, or an error as above; and `len` bytes at
 * `at` of the row's table. */
int	pb_index_table_open(const char *store,
	    const struct pb_stream_key *key, uint64_t segment_seq,
	    struct pb_err *err);
int	pb_index_table_part(int fd, const struct pb_flows_info *row,
	    uint64_t at, void *out, size_t len, struct pb_err *err);

/* The file of a segment that is gone goes as well; none is no error.  What
 * was not synced a power cut may bring back. */
int	pb_index_table_remove(const char *store,
	    const struct pb_stream_key *key, uint64_t segment_seq,
	    struct pb_err *err);

#endif
