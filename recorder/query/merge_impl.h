/*
 * recorder/query/merge_impl.h - inside a merge
 *
 * merge.c reads inputs and hands out what is first; merge_time.c puts what was
 * read in time; merge_heap.c knows what is first.
 */
#ifndef PB_QUERY_MERGE_IMPL_H
#define PB_QUERY_MERGE_IMPL_H

#include <stdlib.h>
#include <sys/queue.h>

#include "recorder/query/merge.h"

struct batch {
	struct pb_batch	 b;
	size_t		 at;		/* the next packet */
	size_t		 memory;
	struct input	*input;
};

struct input {
	size_t		 index;
	size_t		 bytes;		/* held, of its batches */
	size_t		 batches;
	size_t		 most;		/* is read at once: it has just begun */
	uint64_t	 max_key;	/* of those read so far, but not */
	struct pb_batch_packet *ahead;	/* of this one, by more than the
					 * window: the next one decides; or
					 * NULL */
	struct batch	*ahead_in;	/* held: it is the last there */
	uint64_t	 floor;		/* key of what comes next, at least */
	bool		 begun;		/* counted in `begun` of the merge */
	bool		 open;		/* at the source; else at its end */
	bool		 full;		/* to be read on, but not yet */
	bool		 reading;
	TAILQ_ENTRY(input) readers;
};

/* The lowest key is at the top; of equal keys, the lowest place, and then the
 * lowest number. */
struct entry {
	uint64_t	 key, place, number;
	struct input	*input;
	struct batch	*batch;		/* NULL: the input is to be read on */
};

struct pb_merge {
	struct pb_merge_source source;
	uint64_t	 window;
	size_t		 bytes_max, input_bytes_max;
	uint64_t	 gone;		/* key of the last to go out */
	uint64_t	 late;
	struct input	*input;
	size_t		 inputs;
	struct entry	*entry;		/* a heap */
	size_t		 count, cap;
	struct batch	*out;		/* all of it was handed out */
	struct batch	*free;		/* for the next one; or NULL */
	size_t		 begun;		/* inputs, not yet empty */
	size_t		 bytes;		/* held of all */
	unsigned	 reading_max, reading;
	TAILQ_HEAD(readers, input) readers;	/* the last to read first */
};

/* A key from a time or a number, and back. */
static inline uint64_t
merge_turn(const struct pb_merge *merge, uint64_t number)
{
	return merge->source.backwards ? ~number : number;
}

/* Each packet of a batch that was read gets its place in time, as a key, and
 * its place in the batch. */
void	merge_arrange(struct pb_merge *merge, struct input *input,
	    struct batch *batch);
/* The packet that is ahead is followed by one of this key. */
void	merge_decide(struct pb_merge *merge, struct input *input,
	    uint64_t key);
/* The highest key of those read so far, for now. */
uint64_t merge_latest(const struct input *input);
/* No key of what comes next is lower. */
uint64_t merge_past_window(const struct pb_merge *merge,
	    const struct input *input);

/* Of a batch's next packet; and of an input among those of one time. */
struct entry merge_entry(const struct pb_merge *merge, struct batch *batch);
size_t	merge_place(const struct pb_merge *merge, size_t index);
/* 0, or PB_ENOMEM. */
int	merge_push(struct pb_merge *merge, struct entry new);
/* In place of the one at `i`, or above it. */
void	merge_sift_up(struct pb_merge *merge, size_t i, struct entry moved);
void	merge_drop_top(struct pb_merge *merge);
/* In place of the one at the top. */
void	merge_sift_down(struct pb_merge *merge, struct entry moved);
bool	merge_before(const struct entry *a, const struct entry *b);

#endif
