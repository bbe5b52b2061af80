/*
 * recorder/query/merge.h - many streams, one order: by time
 *
 * Takes the packets of each input in the order of their numbers, a batch at a
 * time (batch.h), and hands them out in the order of their times; where times
 * are equal, by input, then by number.  Within an input times may run
 * backwards: a packet that is earlier by more than the window than one before
 * it counts as no earlier than that, so that nothing need be held for longer,
 * and the order does not depend on what is read at once.  Held are
 * PB_MERGE_INPUT_BYTES_MAX at most, and two batches at least (fewer bytes where
 * many inputs are open, and where all of them hold PB_MERGE_BYTES_MAX they are
 * PB_MERGE_INPUT_BYTES_MIN): a packet that comes later goes out as soon as it
 * is met.
 *
 * The window is PB_MERGE_WINDOW_NS, or what the source says.  With 0 an input
 * keeps the order of its numbers.  With one that is wider, inputs hold up to
 * PB_MERGE_WIDE_BYTES_MAX together.  Those that are out of order all the same
 * are counted.
 *
 * A packet with a wrong clock disorders no other one.  One that is later by
 * more than the window than all before it is believed, so that others behind it
 * may come late, only if the next one (of those that are not late beside what
 * was believed so far) is not earlier by more than the window.  Else it counts
 * as of that one's time, and goes out right in front of it.  Two in a row that
 * are far ahead are believed: what comes behind them is late.
 *
 * A packet without a time stamp sorts right behind the one before it.
 *
 * Backwards it is all the other way round: the latest goes out first, of equal
 * times the highest input and number.
 *
 * Cheap for many inputs: one is opened when the merge reaches its first
 * time, closed at its end, and at most PB_MERGE_READING_MAX have a file
 * open; the others are parked.
 */
#ifndef PB_QUERY_MERGE_H
#define PB_QUERY_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "recorder/query/batch.h"

#define PB_MERGE_WINDOW_NS	(10 * PB_NS_PER_MS)
#define PB_MERGE_INPUT_BYTES_MAX (4u << 20)
#define PB_MERGE_INPUT_BYTES_MIN (32u << 10)
#define PB_MERGE_BYTES_MAX	(128u << 20)	/* of all, as long as
						 * the minimum allows it */
#define PB_MERGE_WIDE_BYTES_MAX	(512u << 20)	/* likewise */
#define PB_MERGE_READING_MAX	256u

/*
 * Where the packets come from.  `batch` puts the next ones of an input into an
 * empty batch, in the order of their numbers, also backwards, where each batch
 * lies in front of the one before it; it is to take about `bytes_max` of
 * memory: 1, 0 at the input's end, or an error.
 * `close` comes after the last `batch`; `park` between two of them asks to
 * give up the descriptor until the next one.  `end`, where it is not NULL,
 * comes behind all others, when a merge that was made is destroyed.
 */
struct pb_merge_source {
	int	(*batch)(void *arg, size_t input, size_t bytes_max,
		    struct pb_batch *out, struct pb_err *err);
	void	(*park)(void *arg, size_t input);
	void	(*close)(void *arg, size_t input);
	void	(*end)(void *arg);
	void	*arg;
	bool	 backwards;
	const uint64_t *window_ns;	/* NULL: PB_MERGE_WINDOW_NS */
};

struct pb_merge;

/*
 * A merge of `inputs` inputs; `first_time` has for each a lower bound of its
 * times, backwards an upper one (copied).  `reading_max` of them may have a
 * file open (0: PB_MERGE_READING_MAX).
 */
int	pb_merge_create(struct pb_merge **out,
	    const struct pb_merge_source *source, const uint64_t *first_time,
	    size_t inputs, unsigned reading_max, struct pb_err *err);
void	pb_merge_destroy(struct pb_merge *merge);	/* closes inputs */

/*
 * The next packets, as many as are a run of their input, at most
 * `packets_max` of them, and the input: 1, 0 at the end of all, or the
 * source's error.  Borrowed until the next call, a look ahead not counted.
 */
int	pb_merge_run(struct pb_merge *merge, uint64_t packets_max,
	    struct pb_run *out, size_t *input, struct pb_err *err);

/* The next packet alone, likewise. */
int	pb_merge_next(struct pb_merge *merge, struct pb_cursor_packet *out,
	    size_t *input, struct pb_err *err);

/* A look ahead: likewise the place in time of the packet that is next, which
 * is that of the one before it where it has no time stamp. */
int	pb_merge_peek(struct pb_merge *merge, uint64_t *time_ns,
	    struct pb_err *err);

/* Packets that were read so far and are not in order: earlier by more than
 * the window than one before, later by more than the one behind, or met when
 * later ones had gone out for want of memory. */
uint64_t pb_merge_late(const struct pb_merge *merge);

#endif
