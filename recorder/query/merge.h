/*
 * recorder/query/merge.h - many streams, one order: by time
 *
 * Takes the packets of each input in the order of their numbers and hands
 * them out in the order of their times; where times are equal, by input,
 * then by number.  Within an input times may run backwards: it holds packets
 * back until one is PB_MERGE_WINDOW_NS younger, PB_MERGE_PACKETS_MAX wait,
 * or PB_MERGE_INPUT_BYTES_MAX are held (fewer where many inputs are open).
 * A packet that comes later than that goes out as soon as it is met.
 *
 * A packet without a time stamp sorts right behind the one before it.
 *
 * Backwards it is all the other way round: inputs give their packets from the
 * highest number down, and the latest goes out first.
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
#include "recorder/store/read/runs.h"

#define PB_MERGE_WINDOW_NS	(10 * PB_NS_PER_MS)
#define PB_MERGE_PACKETS_MAX	8192u
#define PB_MERGE_INPUT_BYTES_MAX (4u << 20)
#define PB_MERGE_INPUT_BYTES_MIN (32u << 10)
#define PB_MERGE_BYTES_MAX	(128u << 20)	/* of all, as long as
						 * the minimum allows it */
#define PB_MERGE_READING_MAX	256u

/*
 * Where the packets come from.  `next` is 1, 0 at the input's end or an
 * error; what it hands out is borrowed until the next call for that input.
 * `close` comes after the last `next`; `park` between two of them asks to
 * give up descriptor and buffer until the next one.
 */
struct pb_merge_source {
	int	(*next)(void *arg, size_t input, struct pb_cursor_packet *out,
		    struct pb_err *err);
	void	(*park)(void *arg, size_t input);
	void	(*close)(void *arg, size_t input);
	void	*arg;
	bool	 backwards;
	/*
	 * NULL, or in place of `next`: what comes next as a run that ends
	 * before the time `before_ns`, with at most so many packets, borrowed
	 * likewise: 1; 0 where that is none.  And a lower bound of the times
	 * of all that `next` will hand out; 0 where it is not known.
	 */
	int	(*run)(void *arg, size_t input, uint64_t before_ns,
		    uint64_t packets_max, struct pb_run *out,
		    struct pb_err *err);
	uint64_t (*floor)(void *arg, size_t input);
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
 * The next packet and its input: 1, 0 at the end of all, or the source's
 * error.  Borrowed until the next call, a look ahead not counted.
 */
int	pb_merge_next(struct pb_merge *merge, struct pb_cursor_packet *out,
	    size_t *input, struct pb_err *err);

/*
 * In place of the next packet: as many as are next one behind the other and
 * are a run of their input, at most `packets_max`: 1.  0 where they are not,
 * or nothing is left: ask for the next packet then.
 */
int	pb_merge_run(struct pb_merge *merge, uint64_t packets_max,
	    struct pb_run *out, size_t *input, struct pb_err *err);

/* A look ahead: likewise the place in time of the packet that is next, which
 * is that of the one before it where it has no time stamp. */
int	pb_merge_peek(struct pb_merge *merge, uint64_t *time_ns,
	    struct pb_err *err);

#endif
