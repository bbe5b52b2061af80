/*
 * recorder/store/index/index_gaps.h - the rows of gaps, within a transaction
 *
 * A gap is open until its packets come late; what has come stays as a closed
 * row for as long as the packets do.  No two rows of a stream overlap.
 */
#ifndef PB_STORE_INDEX_GAPS_H
#define PB_STORE_INDEX_GAPS_H

#include "recorder/store/index/index.h"
#include "recorder/store/index/mdb.h"

/* An open gap; one that ends or begins beside it, open and for the same
 * reason, becomes one row with it, since the earlier of the two. */
void	pb_index_add_gap(struct pb_mdb_txn *txn,
	    const struct pb_gap_info *gap);

/* The same where rows that begin within it may say it already: those stay,
 * and what is between them is added. */
void	pb_index_add_gap_around(struct pb_mdb_txn *txn,
	    const struct pb_gap_info *gap);

/*
 * Late packets first .. last have come: closes, cuts or splits the open
 * gaps they fill; closed parts stay as rows with closed_ns.
 */
void	pb_index_fill_gaps(struct pb_mdb_txn *txn, uint32_t stream,
	    uint64_t first, uint64_t last, uint64_t now_ns);

/* Closed gaps that lie in first .. last, or touch it, are open again. */
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

#endif
