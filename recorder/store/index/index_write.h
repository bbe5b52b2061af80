/*
 * recorder/store/index/index_write.h - writing the index: the store's alone
 *
 * All calls belong to one write transaction (mdb.h); its error is sticky,
 * so the writer looks once, at the commit.
 */
#ifndef PB_STORE_INDEX_WRITE_H
#define PB_STORE_INDEX_WRITE_H

#include "recorder/store/index/index.h"
#include "recorder/store/index/index_gaps.h"
#include "recorder/store/index/mdb.h"

/* Open for writing, make what is missing, check the version. */
int	pb_index_open_write(struct pb_index **out, const char *store,
	    uint64_t map_size, struct pb_err *err);

/* Another `map_size`, from now on; any thread with no transaction of its
 * own under way. */
int	pb_index_resize(struct pb_index *index, uint64_t map_size,
	    struct pb_err *err);

/* The same in STORE/`name`: an index that is being built.  Nothing in it
 * is durable until pb_index_sync(). */
int	pb_index_open_named(struct pb_index **out, const char *store,
	    const char *name, uint64_t map_size, struct pb_err *err);
int	pb_index_sync(struct pb_index *index, struct pb_err *err);

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
/*
 * Do the rows make sense: their order, their lengths, the sums that move
 * with them?  PB_EFORMAT says what does not.
 */
int	pb_index_sane(struct pb_mdb_txn *txn, struct pb_err *err);

/* Room for commits on a full disk (pb_mdb_reserve); the writer's thread. */
#define PB_INDEX_RESERVE_BYTES	(1u << 20)
int	pb_index_reserve(struct pb_index *index, struct pb_err *err);

int	pb_index_begin(struct pb_index *index, struct pb_mdb_txn *txn,
	    struct pb_err *err);

/*
 * A row as it is, beside whatever others there are; and one away whose key is
 * a stream and a number.  Streams and segments have calls of their own below,
 * gaps theirs in index_gaps.h.
 */
void	pb_index_put(struct pb_mdb_txn *txn, enum pb_index_table table,
	    const void *row);
void	pb_index_del(struct pb_mdb_txn *txn, enum pb_index_table table,
	    uint32_t stream, uint64_t number);

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

/* A late arrival that filled a gap, for the shipper; the oldest row goes
 * past PB_FILLS_MAX. */
void	pb_index_put_fill(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last);

/* The store's age, in the transaction; all zero where it has none yet. */
void	pb_index_get_age(struct pb_mdb_txn *txn, struct pb_age *out);
void	pb_index_put_age(struct pb_mdb_txn *txn, const struct pb_age *age);

/* Named numbers; get answers 0 where there is none. */
uint64_t pb_index_meta_get(struct pb_mdb_txn *txn, const char *name);
void	pb_index_meta_put(struct pb_mdb_txn *txn, const char *name,
	    uint64_t value);

#endif
