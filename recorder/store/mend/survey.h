/*
 * recorder/store/mend/survey.h - what a segment's file says, block by block
 *
 * Reads a file from a block's edge on and makes the rows the index would
 * have: the segment's, its extents', the drop counts'.  Stops before the
 * first block that cannot follow: torn, out of order, not one of ours.
 * Recovery, `pb reindex`, `pb verify` and `--repair` all look at files
 * through it, so all of them mean the same by a whole block.
 *
 * Limit: a window of 2 MiB behind an extent of PB_EXTENT_READ_MAX; rows of
 *        one segment.
 */
#ifndef PB_MEND_SURVEY_H
#define PB_MEND_SURVEY_H

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/scan.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index_write.h"

/* The most that is read as one extent. */
#define PB_SURVEY_EXTENT_MAX	(16u << 20)

/* One that is kept, and where its block is. */
struct pb_survey_packet {
	const struct pb_packet *packet;	/* PB_FLOW_BEHIND bytes behind what
					 * was captured can be read */
	uint64_t	 seq, at;
	uint64_t	 first;		/* `seq`, or the first of the numbers
					 * that were left out right before it */
	uint32_t	 bytes;
};

struct pb_survey {
	/* Given: stream, first_seq, header_bytes, header_digest; `last_seq`
	 * is the number before the next one.  Counters grow. */
	struct pb_segment_info	 segment;
	/* Packets up to this number count only into extents: the caller has
	 * counted them. */
	uint64_t		 counted;
	uint64_t		 seq_max;	/* no number above it; 0: any */
	/* Blocks from this offset on were promised to nobody: they have to
	 * be right in all (pb_scan_storable). */
	uint64_t		 strict_from;
	/* All that is read is one extent, PB_SURVEY_EXTENT_MAX at most, and
	 * nothing of it is left out for want of numbers. */
	bool			 one_extent;
	/* Told of each packet in turn; false ends the reading.  Or NULL. */
	bool			(*packet)(void *arg,
				    const struct pb_survey_packet *packet);
	void			*arg;
	/* Results. */
	uint64_t		 good;		/* offset behind what is kept */
	uint64_t		 hops_last;	/* highest own number in the
						 * last hop of a packet; 0:
						 * none */
	int			 hops;		/* records of the first
						 * packet */
	uint64_t		 dropped;	/* sum of the drop counts */
	struct pb_extent_info	*extents;	/* finished */
	size_t			 count, cap;
	struct pb_drop_info	*drops;
	size_t			 drop_count, drop_cap;
	const char		*why;		/* it stopped, or NULL */
	bool			 unread;	/* the disk did not give all */
	/* Private: the extent being filled, and what has been read, from
	 * offset `base` on. */
	struct pb_extent_info	 extent;
	struct pb_buf		 window;
	uint64_t		 base;
	uint64_t		 idle;		/* bytes since the last
						 * number */
	uint64_t		 first;		/* the next packet's,
						 * likewise */
	int			 fd;
	bool			 failed;	/* no memory */
};

void	pb_survey_init(struct pb_survey *survey);
void	pb_survey_finish(struct pb_survey *survey);
/* Forget the rows made so far. */
void	pb_survey_reset(struct pb_survey *survey);

/*
 * Read `fd` from `offset` to `limit`.  An extent without numbers is none:
 * blocks behind the last number belong to the extent before, and where there
 * is none they are not kept.  segment.bytes becomes `good`.  Errors are the
 * disk's or memory's; rot is told in `why`, a file that ends too early by
 * `good` alone.  What a bad sector holds is read as zeros,
 * and no block of which it is a part is kept.
 */
int	pb_survey_read(struct pb_survey *survey, int fd, uint64_t offset,
	    uint64_t limit, struct pb_err *err);

/*
 * The rows, but for drop counts of packets up to `known`, into the index,
 * and what they count into the stream's counters.  Its times are the
 * caller's (pb_stream_add_times).
 */
void	pb_survey_put(const struct pb_survey *survey, struct pb_mdb_txn *txn,
	    uint64_t known, struct pb_stream_info *stream);

/*
 * The head of a segment's file: its SHB and IDB.  `*bytes` is their
 * length, `*digest` XXH3 64 of them.  PB_EFORMAT where they cannot be
 * read.
 */
int	pb_survey_head(int fd, struct pb_head **head, size_t *bytes,
	    uint64_t *digest, struct pb_err *err);

/* XXH3 64 of the first `bytes` of the file: 1; 0 where it is shorter, or they
 * are more than PB_SURVEY_EXTENT_MAX; or an error. */
int	pb_survey_digest(int fd, uint64_t bytes, uint64_t *digest,
	    struct pb_err *err);

/* Above `after`, up to `last`; and packets up to `reach` alone. */
struct pb_survey_numbers {
	uint64_t	 after, last;
	uint64_t	 reach;
};

/*
 * The first whole block at or behind `offset` (by 4 bytes) that looks like
 * one of ours: a packet, or what says that some were left out, with a
 * plausible length that stands at both ends, and numbers that are wanted.  1,
 * `*found` and its first number; 0 where there is none before `limit`.
 */
int	pb_survey_resync(int fd, uint64_t offset, uint64_t limit,
	    const struct pb_survey_numbers *wanted, uint64_t *found,
	    uint64_t *seq, struct pb_err *err);

#endif
