/*
 * recorder/query/merge.c - many streams, one order: by time
 *
 *	inputs           a heap: one that waits by its first time, one that
 *	                 was begun by the earliest packet that it holds
 *	an input's held  a heap of packets, by time
 *
 * Invariant between calls: every input that is not at its end is in the
 * heap, except the one that gave the last packet, which is restocked first.
 * What an input holds may go out once nothing earlier can come from it (see
 * settled()); one that waits is begun when it is at the top.
 *
 * Backwards every key is turned over: the latest time is the lowest key.
 *
 * Runs go past what is held: the input that is not in the heap, and holds
 * nothing, gives one that ends before all that the heap has.  Its packets are
 * held again where it has none, and no more of them once their source knows
 * how early the next can be (`floor`).
 */
#include "recorder/query/merge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/list.h"

/* The lowest key is at the top; of equal keys, the lowest order. */
struct entry {
	uint64_t	 key, order;
	void		*what;
};

struct heap {
	struct entry	*entry;
	size_t		 count, cap;
};

struct held {
	struct pb_cursor_packet cp;	/* its pointers go into bytes */
	size_t		 size;
	uint8_t		 bytes[];
};

struct input {
	size_t		 index;
	struct heap	 held;		/* by time, then by number */
	size_t		 bytes;		/* held */
	uint64_t	 max_key;	/* of those read so far */
	bool		 begun;		/* counted in `begun` of the merge */
	bool		 open;		/* at the source; else at its end */
	bool		 reading;
	TAILQ_ENTRY(input) readers;
};

struct pb_merge {
	struct pb_merge_source source;
	struct input	*input;
	size_t		 inputs;
	struct heap	 next;		/* of inputs */
	size_t		 begun;		/* inputs, not yet empty */
	unsigned	 reading_max, reading;
	TAILQ_HEAD(readers, input) readers;	/* the last to read first */
	struct input	*last;		/* gave `out`; NULL at first */
	struct held	*out;
};

/* inputs */
static int	find_next(struct pb_merge *, struct pb_err *);
static void	input_begin(struct pb_merge *, struct input *);
static int	input_stock(struct pb_merge *, struct input *,
		    struct pb_err *);
static int	input_hold(const struct pb_merge *, struct input *,
		    const struct pb_cursor_packet *, struct pb_err *);
static struct held *held_copy(const struct pb_cursor_packet *);
static struct held *input_take(struct input *);
static void	input_end(struct pb_merge *, struct input *);
static void	input_close(struct pb_merge *, struct input *);
static bool	settled(const struct pb_merge *, const struct input *);
static uint64_t	floor_of_input(const struct pb_merge *, const struct input *);
static size_t	share_of_input(const struct pb_merge *);
static void	held_free(struct held *);
static uint64_t	turn(const struct pb_merge *, uint64_t);
static size_t	place(const struct pb_merge *, size_t);
/* who has a file open */
static void	reading_begin(struct pb_merge *, struct input *);
static void	reading_end(struct pb_merge *, struct input *);
/* heaps */
static int	heap_push(struct heap *, uint64_t, uint64_t, void *);
static void	*heap_pop(struct heap *);
static bool	before(const struct entry *, const struct entry *);

int
pb_merge_create(struct pb_merge **out, const struct pb_merge_source *source,
    const uint64_t *first_time, size_t inputs, unsigned reading_max,
    struct pb_err *err)
{
	struct pb_merge *merge = calloc(1, sizeof(*merge));

	*out = NULL;
	if (merge == NULL)
		goto no_memory;
	TAILQ_INIT(&merge->readers);
	merge->source = *source;
	merge->inputs = inputs;
	merge->reading_max = reading_max > 0 ? reading_max :
	    PB_MERGE_READING_MAX;
	merge->input = calloc(inputs + 1, sizeof(*merge->input));
	if (merge->input == NULL)
		goto no_memory;
	for (size_t i = 0; i < inputs; i++) {
		merge->input[i].index = i;
		if (heap_push(&merge->next, turn(merge, first_time[i]),
		    place(merge, i), &merge->input[i]) < 0)
			goto no_memory;
	}
	*out = merge;
	return 0;
no_memory:
	pb_merge_destroy(merge);
	return pb_err_set(err, PB_ENOMEM, "no memory to merge %zu streams",
	    inputs);
}

void
pb_merge_destroy(struct pb_merge *merge)
{
	if (merge == NULL)
		return;
	if (merge->input != NULL)
		for (size_t i = 0; i < merge->inputs; i++)
			input_close(merge, &merge->input[i]);
	held_free(merge->out);
	free(merge->input);
	free(merge->next.entry);
	free(merge);
}

int
pb_merge_next(struct pb_merge *merge, struct pb_cursor_packet *out,
    size_t *input, struct pb_err *err)
{
	int rc;

	held_free(merge->out);
	merge->out = NULL;
	rc = find_next(merge, err);
	if (rc <= 0)
		return rc;
	merge->last = heap_pop(&merge->next);
	merge->out = input_take(merge->last);
	*out = merge->out->cp;
	*input = merge->last->index;
	return 1;
}

int
pb_merge_run(struct pb_merge *merge, uint64_t packets_max,
    struct pb_run *out, size_t *input, struct pb_err *err)
{
	const struct entry *top = merge->next.entry;
	struct input *last = merge->last;
	int rc;

	if (merge->source.run == NULL)
		return 0;
	held_free(merge->out);
	merge->out = NULL;
	if (last == NULL && merge->next.count > 0 &&
	    !((struct input *)top->what)->begun) {
		last = merge->last = heap_pop(&merge->next);
		input_begin(merge, last);
	}
	if (last == NULL || !last->open || last->held.count > 0)
		return 0;
	reading_begin(merge, last);
	rc = merge->source.run(merge->source.arg, last->index,
	    merge->next.count > 0 ? top->key : UINT64_MAX, packets_max, out,
	    err);
	if (rc > 0 && out->last_time > last->max_key)
		last->max_key = out->last_time;
	*input = last->index;
	return rc;
}

int
pb_merge_peek(struct pb_merge *merge, uint64_t *time_ns, struct pb_err *err)
{
	int rc = find_next(merge, err);

	if (rc > 0)
		*time_ns = turn(merge, merge->next.entry[0].key);
	return rc;
}

/* An input that was begun, and has the next packet, is at the top: 1; 0 at
 * the end of all, or an error. */
static int
find_next(struct pb_merge *merge, struct pb_err *err)
{
	struct input *input = merge->last;
	int rc;

	for (;;) {
		rc = input != NULL ? input_stock(merge, input, err) : 0;
		if (rc < 0)
			return rc;
		merge->last = NULL;
		if (merge->next.count == 0)
			return 0;
		input = merge->next.entry[0].what;
		if (input->begun)
			return 1;
		heap_pop(&merge->next);
		input_begin(merge, input);
	}
}

static void
input_begin(struct pb_merge *merge, struct input *input)
{
	input->open = input->begun = true;
	merge->begun++;
}

/*
 * Read on until the input's earliest packet may go out, and put the input
 * into the heap; close it where nothing is left.  One that takes the file
 * of another one reads as much as it may hold, so that files are not opened
 * and closed for a packet each.
 */
static int
input_stock(struct pb_merge *merge, struct input *input, struct pb_err *err)
{
	bool greedy = !input->reading && merge->reading >= merge->reading_max;
	struct pb_cursor_packet cp;
	int rc = 1;

	while (input->open && (!settled(merge, input) || (greedy &&
	    input->held.count < PB_MERGE_PACKETS_MAX &&
	    input->bytes < share_of_input(merge)))) {
		reading_begin(merge, input);
		rc = merge->source.next(merge->source.arg, input->index, &cp,
		    err);
		if (rc > 0)
			rc = input_hold(merge, input, &cp, err);
		else if (rc == 0)
			input_end(merge, input);
		if (rc < 0)
			return rc;
	}
	if (input->held.count == 0) {
		input_close(merge, input);
		return 0;
	}
	/* Of equal times, those that wait come first: they may have more. */
	if (heap_push(&merge->next, input->held.entry[0].key,
	    merge->inputs + place(merge, input->index), input) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory to merge");
	return 0;
}

/* May the earliest packet of the input go out? */
static bool
settled(const struct pb_merge *merge, const struct input *input)
{
	const struct heap *held = &input->held;

	return held->count > 0 && (!input->open ||
	    input->max_key - held->entry[0].key >= PB_MERGE_WINDOW_NS ||
	    held->count >= PB_MERGE_PACKETS_MAX ||
	    input->bytes >= share_of_input(merge) ||
	    held->entry[0].key < floor_of_input(merge, input));
}

static uint64_t
floor_of_input(const struct pb_merge *merge, const struct input *input)
{
	return merge->source.floor == NULL ? 0 :
	    merge->source.floor(merge->source.arg, input->index);
}

static size_t
share_of_input(const struct pb_merge *merge)
{
	size_t share = PB_MERGE_BYTES_MAX / merge->begun;

	if (share > PB_MERGE_INPUT_BYTES_MAX)
		return PB_MERGE_INPUT_BYTES_MAX;
	return share < PB_MERGE_INPUT_BYTES_MIN ? PB_MERGE_INPUT_BYTES_MIN :
	    share;
}

/* Keep a copy of the packet. */
static int
input_hold(const struct pb_merge *merge, struct input *input,
    const struct pb_cursor_packet *cp, struct pb_err *err)
{
	bool untimed = pb_untimed_get(cp->packet.options,
	    cp->packet.options_len);
	uint64_t key = untimed ? input->max_key :
	    turn(merge, cp->packet.time_ns);
	struct held *held = held_copy(cp);

	if (held == NULL || heap_push(&input->held, key,
	    turn(merge, cp->seq), held) < 0) {
		held_free(held);
		return pb_err_set(err, PB_ENOMEM,
		    "no memory to put packets in order");
	}
	if (key > input->max_key)
		input->max_key = key;
	input->bytes += held->size;
	return 0;
}

static struct held *
held_copy(const struct pb_cursor_packet *cp)
{
	const struct pb_packet *packet = &cp->packet;
	size_t size = sizeof(struct held) + packet->caplen +
	    packet->options_len;
	struct held *held = malloc(size);

	if (held == NULL)
		return NULL;
	held->cp = *cp;
	held->size = size;
	held->cp.packet.data = held->bytes;
	held->cp.packet.options = held->bytes + packet->caplen;
	if (packet->caplen > 0)
		memcpy(held->bytes, packet->data, packet->caplen);
	if (packet->options_len > 0)
		memcpy(held->bytes + packet->caplen, packet->options,
		    packet->options_len);
	if (cp->head != NULL)
		pb_head_ref((struct pb_head *)cp->head);
	return held;
}

static void
held_free(struct held *held)
{
	if (held == NULL)
		return;
	pb_head_unref((struct pb_head *)held->cp.head);
	free(held);
}

/* The earliest packet that it holds, the caller's. */
static struct held *
input_take(struct input *input)
{
	struct held *held = heap_pop(&input->held);

	input->bytes -= held->size;
	return held;
}

/* A key from a time or a number, and back. */
static uint64_t
turn(const struct pb_merge *merge, uint64_t number)
{
	return merge->source.backwards ? ~number : number;
}

/* Of an input among those of one time. */
static size_t
place(const struct pb_merge *merge, size_t index)
{
	return merge->source.backwards ? merge->inputs - 1 - index : index;
}

/* Nothing more comes from the source. */
static void
input_end(struct pb_merge *merge, struct input *input)
{
	reading_end(merge, input);
	if (input->open)
		merge->source.close(merge->source.arg, input->index);
	input->open = false;
}

static void
input_close(struct pb_merge *merge, struct input *input)
{
	if (!input->begun)
		return;
	input_end(merge, input);
	while (input->held.count > 0)
		held_free(input_take(input));
	free(input->held.entry);
	input->held.entry = NULL;
	input->held.cap = 0;
	input->begun = false;
	merge->begun--;
}

/* The input is about to read: it is the last to have used a file, and who
 * has not for the longest time gives up its own where there are too many. */
static void
reading_begin(struct pb_merge *merge, struct input *input)
{
	struct input *oldest = TAILQ_LAST(&merge->readers, readers);

	if (TAILQ_FIRST(&merge->readers) == input)
		return;
	if (!input->reading && merge->reading >= merge->reading_max) {
		merge->source.park(merge->source.arg, oldest->index);
		reading_end(merge, oldest);
	}
	reading_end(merge, input);
	input->reading = true;
	TAILQ_INSERT_HEAD(&merge->readers, input, readers);
	merge->reading++;
}

static void
reading_end(struct pb_merge *merge, struct input *input)
{
	if (!input->reading)
		return;
	TAILQ_REMOVE(&merge->readers, input, readers);
	input->reading = false;
	merge->reading--;
}

/* 0, or PB_ENOMEM. */
static int
heap_push(struct heap *heap, uint64_t key, uint64_t order, void *what)
{
	struct entry new = { key, order, what };
	size_t i, up;

	if (!PB_LIST_ROOM(heap->entry, heap->cap, heap->count))
		return PB_ENOMEM;
	for (i = heap->count++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!before(&new, &heap->entry[up]))
			break;
		heap->entry[i] = heap->entry[up];
	}
	heap->entry[i] = new;
	return 0;
}

/* What is at the top, or NULL. */
static void *
heap_pop(struct heap *heap)
{
	struct entry *entry = heap->entry, top, moved;
	size_t i = 0, down;

	if (heap->count == 0)
		return NULL;
	top = entry[0];
	moved = entry[--heap->count];
	while ((down = 2 * i + 1) < heap->count) {
		if (down + 1 < heap->count &&
		    before(&entry[down + 1], &entry[down]))
			down++;
		if (!before(&entry[down], &moved))
			break;
		entry[i] = entry[down];
		i = down;
	}
	entry[i] = moved;
	return top.what;
}

static bool
before(const struct entry *a, const struct entry *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}
