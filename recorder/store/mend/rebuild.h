/*
 * recorder/store/mend/rebuild.h - the index, made again from the files
 *
 * Reads every segment and every journal under STORE/segments and makes
 * what the index had: streams, segments, extents, gaps, drop counts, the
 * order of age, the sums.  (Extents may be cut elsewhere; a segment counts
 * as sealed when it was begun by the store's age, and as begun when it was
 * sealed by the wall clock.  Files from before there were ages come first,
 * by their mtime, bounded by now.  For retain_age all count from the rebuild
 * on: they may be another store's, and mtimes are a wall clock's.  Nothing
 * else differs.)  It is built
 * in STORE/index.new and takes the place of STORE/index in one step; what
 * stood there goes to STORE/damaged/index-TIME.
 *
 * What a file alone can tell is told as well: a torn end is cut and the
 * file sealed; a rotten one is salvaged (salvage.h); numbers between two
 * segments that no fact explains become a gap, `damaged`; two files that
 * hold the same numbers: the second is set aside.
 *
 * Limit: memory for the names of one stream's files and its facts.
 */
#ifndef PB_MEND_REBUILD_H
#define PB_MEND_REBUILD_H

#include "base/err.h"
#include "recorder/store/index/index.h"

struct pb_rebuild_opts {
	const char	*store;		/* its lock is the caller's */
	const char	*node;		/* this node's name, or NULL */
	uint64_t	 index_size;	/* of LMDB's map */
	uint32_t	 pen;
	bool		 flows;		/* flow tables as well: who needs the
					 * index soon has them made later */
	/* Told after each file: how many of how many; NULL: nobody asks.
	 * False ends it with PB_EBUSY; it can be done again. */
	bool		(*progress)(void *arg, uint64_t files,
			    uint64_t files_all, uint64_t bytes);
	void		*arg;
};

struct pb_rebuild_sum {
	uint64_t	streams;
	uint64_t	segments;
	uint64_t	packets;
	uint64_t	bytes;		/* of files */
	uint64_t	gaps;		/* open ones */
	uint64_t	damaged;	/* files salvaged or set aside */
};

int	pb_rebuild(const struct pb_rebuild_opts *opts,
	    struct pb_rebuild_sum *sum, struct pb_err *err);

/*
 * Can the index of `store` be used?  1 yes; 0 there is none and no segment
 * either; PB_EFORMAT it is lost (there are segments and no index), corrupt,
 * cut short or of another version, with the reason; or another error.
 */
int	pb_rebuild_needed(const char *store, struct pb_err *err);

#endif
