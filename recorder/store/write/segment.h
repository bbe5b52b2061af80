/*
 * recorder/store/write/segment.h - one segment file while it is written
 *
 * Promise: at every moment the file under its visible name ends at the
 * edge of a block, so that tcpdump, tshark and Wireshark read it without
 * complaint while it grows.  How:
 *
 *   - it is born under a hidden name and renamed once its header stands;
 *   - an append that fits into the page where the file ends is one
 *     write(2) through the page cache, which moves the size once;
 *   - any other goes past the page cache (O_DIRECT), where the kernel moves
 *     the size once, when all of it is there.  It starts and ends on a
 *     page's edge: a filler block (an Interface Statistics Block that
 *     readers skip) makes the block edges meet the page edges.  (Through
 *     the page cache the size would move page by page, and a reader would
 *     meet half a block now and then: measured, 1 read in 2,000.);
 *   - nothing visible is ever rewritten with other bytes.
 *
 * Durable is what pb_segment_sync() has covered; the index then says so
 * by commit, and pb_segment_commit() makes it the state to fall back to.
 * One thread owns a segment: the writer.
 */
#ifndef PB_STORE_SEGMENT_H
#define PB_STORE_SEGMENT_H

#include "base/err.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index.h"
#include "recorder/store/write/store.h"

/* What goes past the page cache is gathered up to so much. */
#define PB_GATHER_BYTES	(4u << 20)

struct pb_segment;

struct pb_segment_place {
	const char		*store;
	const struct pb_stream_key *key;
	uint32_t		 stream;	/* id */
	uint32_t		 pen;
	uint64_t		 age_ms;	/* of the store, now */
};

/*
 * Make the file of a segment that starts at `first_seq`, header written,
 * visible as `.open`; directories are made as needed.  Nothing is synced
 * yet but the names.  A file of that name is replaced: the caller has
 * made sure that it holds nothing (recovery).
 */
int	pb_segment_create(struct pb_segment **out,
	    const struct pb_segment_place *place, struct pb_head *head,
	    uint64_t first_seq, uint64_t now_ns, struct pb_err *err);

/* Close and free; the file stays as it is. */
void	pb_segment_destroy(struct pb_segment *segment);

/* Append a chunk's blocks.  After an error call pb_segment_rollback(). */
int	pb_segment_append(struct pb_segment *segment, struct pb_chunk *chunk,
	    struct pb_err *err);

/* Append the statistics block that closes a captured segment. */
int	pb_segment_close_stats(struct pb_segment *segment,
	    const struct pb_stream_info *stream, uint64_t now_ns,
	    struct pb_err *err);

/* Have the kernel begin what pb_segment_sync() will wait for: of many
 * segments first all begin, then all are synced.  Its failures are told
 * there. */
void	pb_segment_sync_soon(struct pb_segment *segment);

/* fdatasync(2) of what was appended. */
int	pb_segment_sync(struct pb_segment *segment, struct pb_err *err);

/* After the sync: give it its sealed name, durably, at this age of the
 * store.  Nothing is appended any more. */
int	pb_segment_rename(struct pb_segment *segment, uint64_t age_ms,
	    struct pb_err *err);

/* Rows for the index: the segment's and each extent that changed since
 * the last commit. */
const struct pb_segment_info *pb_segment_row(const struct pb_segment *segment);
size_t	pb_segment_extents(const struct pb_segment *segment,
	    const struct pb_extent_info **rows);

/* The index has committed the rows: this is the state to fall back to. */
void	pb_segment_commit(struct pb_segment *segment);

/* Cut the file back to the last commit; an error leaves it to be tried
 * again before the next append or sync. */
int	pb_segment_rollback(struct pb_segment *segment, struct pb_err *err);

/* Does its file have a name still? */
bool	pb_segment_has_name(const struct pb_segment *segment);

/* Take its name away, durably: nothing in it counts.  No name is no
 * error. */
int	pb_segment_unlink(const struct pb_segment *segment,
	    struct pb_err *err);

/* The head its header was built from. */
const struct pb_head *pb_segment_head(const struct pb_segment *segment);

#endif
