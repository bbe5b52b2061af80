/*
 * recorder/store/index/index_write.h - writing the index: the store's alone
 *
 * All calls belong to one write transaction (mdb.h); its error is sticky,
 * so the writer looks once, at the commit.
 */
#ifndef PB_STORE_INDEX_WRITE_H
#define PB_STORE_INDEX_WRITE_H

#include "recorder/store/index/index.h"
#include "recorder/store/index/mdb.h"
#include "recorder/store/tally.h"

struct pb_index {
	struct pb_mdb	*mdb;		/* for what mdb.h can do with one */
};

/* Open for writing, make what is missing, check the version. */
int	pb_index_open_write(struct pb_index **out, const char *store,
	    uint64_t map_size, struct pb_err *err);

/* The same in STORE/`name`: an index that is being built.  Nothing in it
 * is durable until pb_mdb_sync(). */
int	pb_index_open_named(struct pb_index **out, const char *store,
	    const char *name, uint64_t map_size, struct pb_err *err);

/* Named number: 1 while nobody has it open for writing. */
#define PB_META_CLEAN	"clean"
/* Of an older version, which committed a salvage before its files were in
 * their places: not 0 until they were. */
#define PB_META_SALVAGE	"salvage_stream"
#define PB_INDEX_PROBE_BYTES_MAX (256ull << 20)

/*
 * Look at what is read first; and at everything with `all`, where the file
 * is shorter than it says, or where the last to write it did not end well
 * (it may have been a rotten page that ended it) and it is not too large for
 * that.
 * 0; PB_EFORMAT for another version or what LMDB calls corrupt; PB_ENOENT
 * where nothing has been written yet.  What LMDB does not notice may end
 * the process: call it in a child.
 */
int	pb_index_probe(const char *store, bool all, struct pb_err *err);

/* Room for commits on a full disk: pb_mdb_reserve(), the writer's thread. */
#define PB_INDEX_RESERVE_BYTES	(1u << 20)

int	pb_index_begin(struct pb_index *index, struct pb_mdb_txn *txn,
	    struct pb_err *err);

/*
 * A row as it is, beside whatever others there are; and one away whose key is
 * a stream and a number.  Streams, segments and gaps have calls of their own
 * below.
 */
void	pb_index_put(struct pb_mdb_txn *txn, enum pb_index_table table,
	    const void *row);
void	pb_index_del(struct pb_mdb_txn *txn, enum pb_index_table table,
	    uint32_t stream, uint64_t number);

/*
 * A row of an index block.  Such rows are the largest there are, and others
 * are what the store cannot do without: those have half of the map.  False
 * where there is no more room in the other one: it was not put.
 */
bool	pb_index_put_flows(struct pb_mdb_txn *txn,
	    const struct pb_flows_info *row);

void	pb_index_put_stream(struct pb_mdb_txn *txn,
	    const struct pb_stream_info *info);
/* The row as it is within the transaction: 1, 0, or the error. */
int	pb_index_get_stream(struct pb_mdb_txn *txn,
	    const struct pb_stream_key *key, struct pb_stream_info *out);
/* These two keep the sums (pb_index_totals) and the order of age right. */
void	pb_index_put_segment(struct pb_mdb_txn *txn,
	    const struct pb_segment_info *info);
void	pb_index_del_segment(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first_seq);

/* Is the file in one of the lists `open` and `doomed`?  1, 0, or an error. */
int	pb_index_listed(struct pb_index *index, uint32_t stream,
	    uint64_t first_seq, struct pb_err *err);

/* A late arrival that filled a gap, for the shipper: its number.  The oldest
 * row goes past PB_FILLS_MAX. */
uint64_t pb_index_put_fill(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last);

/* The store's age, in the transaction; all zero where it has none yet. */
void	pb_index_get_age(struct pb_mdb_txn *txn, struct pb_age *out);
void	pb_index_put_age(struct pb_mdb_txn *txn, const struct pb_age *age);

/* Named numbers; get answers 0 where there is none. */
uint64_t pb_index_meta_get(struct pb_mdb_txn *txn, const char *name);
void	pb_index_meta_put(struct pb_mdb_txn *txn, const char *name,
	    uint64_t value);

/*
 * Gaps.  One is open until its packets come late; what has come stays as a
 * closed row for as long as the packets do.  No two rows of a stream overlap.
 */

/* An open gap; one that ends or begins beside it, open and for the same
 * reason, becomes one row with it, since the earlier of the two. */
void	pb_index_add_gap(struct pb_mdb_txn *txn,
	    const struct pb_gap_info *gap);

/* The same where rows that begin within it may say it already: those stay,
 * and what is between them is added. */
void	pb_index_add_gap_around(struct pb_mdb_txn *txn,
	    const struct pb_gap_info *gap);

/*
 * Late packets first .. last have come, a fill: closes, cuts or splits the
 * open gaps they fill; closed parts stay as rows with closed_ns and the fill's
 * number.
 */
void	pb_index_fill_gaps(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last, uint64_t now_ns);

/* Closed gaps that lie in first .. last, or touch it, are open again, and one
 * row with those beside them (pb_index_add_gap). */
void	pb_index_reopen_gaps(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last);

/*
 * Gap rows lose what lies in first .. last: open ones alone, or closed
 * ones too.
 */
void	pb_index_cut_gaps(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last, bool closed_too);

/* Closed gaps that lie in first .. last go: that packets came late is no
 * news once they are gone. */
void	pb_index_forget_gaps(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last);

/*
 * Packets into the rows that tell of them.  An extent is empty while its last
 * number is below its first, a segment and a stream while they have no
 * packets: then the row's times mean nothing yet.  A tally without packets
 * changes no row.
 */

/* Packets up to number `last`, behind those that the row has. */
void	pb_extent_count(struct pb_extent_info *extent, uint64_t last,
	    const struct pb_tally *packets);
void	pb_segment_count(struct pb_segment_info *segment, uint64_t last,
	    const struct pb_tally *packets);

/* Packets first .. last in number: `behind` what the stream has, or in a
 * gap of it. */
void	pb_stream_count(struct pb_stream_info *stream, uint64_t first,
	    uint64_t last, const struct pb_tally *packets, bool behind);

#endif
