/*
 * recorder/store/retain/retain.h - how much is kept: size, age, free space
 *
 * Run by the writer's thread between two batches, it deletes exactly as
 * much as a bound asks for: the oldest sealed segment first, by the store's
 * age (base/age.h) when it was sealed; of those
 *
 *	acked      every upstream that the stream is for has all of it
 *	released   what is not acked is a dead letter with a link of its own
 *	unacked    some upstream still waits for it
 *
 * the acknowledged ones first, the others last.  What goes unacknowledged
 * becomes a gap, `expired` (or `dead-lettered` where it was released).
 * An open segment is never deleted.  Each deletion is a line in the log
 * with its reason and numbers; a bound that cannot be kept is one as well,
 * and stands in the statistics as long as it lasts.
 *
 * Order: the journal, then one commit that takes the rows away and lists
 * the file as doomed, then unlink(2) and a sync of the directory; the
 * doomed row goes with a later commit.  So a crash leaves no file without
 * a row that nobody knows of, and no row without a file.  On a full disk,
 * where unlinking comes before all else, the commit notes which journal could
 * not be written, and it is written afterwards, from the index.
 */
#ifndef PB_STORE_RETAIN_H
#define PB_STORE_RETAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define PB_RETAIN_UPSTREAMS_MAX	64
#define PB_RETAIN_STREAMS_MAX	1024	/* bytes of a list of globs */

struct pb_retain;	/* one per store */
struct pb_age;
struct pb_index;
struct pb_mdb_txn;
struct pb_stream_info;

struct pb_retain_upstream {
	char		name[PB_NAME_BYTES_MAX + 1];
	char		streams[PB_RETAIN_STREAMS_MAX]; /* node/interface */
};

struct pb_retain_opts {
	uint64_t	size_max;	/* bytes of all segments; 0: none */
	uint64_t	age_ms_max;	/* 0: no bound */
	uint64_t	min_free_bytes;	/* of this and the next, one is 0 */
	unsigned	min_free_percent;
	size_t		upstreams;
	const struct pb_retain_upstream *upstream;	/* copied */
};

/* As of the last run; counters since the store was opened. */
struct pb_retain_stats {
	uint64_t	bytes;		/* of all segments */
	uint64_t	segments;
	uint64_t	size_max;	/* the bounds, 0: none */
	uint64_t	age_ms_max;
	uint64_t	min_free;	/* bytes */
	uint64_t	free;		/* bytes of the file system */
	uint64_t	oldest_ns;	/* sealed first; 0: nothing is */
	uint64_t	deleted_segments;
	uint64_t	deleted_bytes;
	uint64_t	expired_packets;	/* not acknowledged */
	/* Why a bound is not kept, with numbers; "" while all are. */
	char		why[PB_ERR_TEXT_MAX];
};

/* PB_ELIMIT past PB_RETAIN_UPSTREAMS_MAX. */
int	pb_retain_create(struct pb_retain **out, const char *store,
	    const struct pb_retain_opts *opts, struct pb_err *err);
void	pb_retain_destroy(struct pb_retain *retain);

/* Before the writer starts, once the store's directory is held: wait until it
 * is known what the upstreams have, where there are some; seconds at most. */
void	pb_retain_wait(struct pb_retain *retain);

/* Another store will be at the path: forget this one's segments, let go of
 * its files.  The writer's thread, or none that runs.  NULL is fine. */
void	pb_retain_leave(struct pb_retain *retain);

/* Other bounds from the next run on.  Any thread. */
int	pb_retain_set(struct pb_retain *retain,
	    const struct pb_retain_opts *opts, struct pb_err *err);
/* Any thread. */
void	pb_retain_stats(struct pb_retain *retain,
	    struct pb_retain_stats *out);

/* --- the writer's thread ------------------------------------------------- */

/* What a run is told of the store, and whom it tells. */
struct pb_retain_view {
	struct pb_index	*index;		/* open for writing */
	const struct pb_age *age;	/* of the store, as of now */
	uint64_t	 now_ns;	/* the wall clock, for people */
	uint64_t	 now_ms;	/* monotonic */
	uint64_t	 open_bytes;	/* of segments that are not sealed */
	uint64_t	 open_segments;
	/* Segments of the stream went, and this is its row since. */
	void		(*changed)(void *arg,
			    const struct pb_stream_info *row);
	void		*arg;
};

/*
 * Is there something to do?  At most once a second where no commit was made
 * since the last run; not while it is being looked at whether acks can be
 * read (pb_acks_known).
 */
bool	pb_retain_due(struct pb_retain *retain, struct pb_index *index,
	    uint64_t now_ms);

/*
 * Keep the bounds; no batch may be under way.  The work of a call is
 * bounded: true where there is more to do at once.
 */
bool	pb_retain_run(struct pb_retain *retain,
	    const struct pb_retain_view *view);

/* Whether a quiet store must be looked at: a bound needs the clock. */
bool	pb_retain_wants_clock(struct pb_retain *retain);

/* Before the writer starts: delete what a crash left doomed, and write the
 * journals that had no room. */
int	pb_retain_recover(struct pb_retain *retain, struct pb_index *index,
	    struct pb_err *err);

/*
 * A segment that starts at `first_seq` will be made: its name is doomed no
 * longer.  Part of the transaction that announces it.
 */
void	pb_retain_claim(struct pb_retain *retain, struct pb_mdb_txn *txn,
	    uint32_t stream, uint64_t first_seq);

#endif
