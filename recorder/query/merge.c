/*
 * recorder/query/merge.c - many streams, one order: by time
 *
 * One heap has both kinds of what may be next:
 *
 *	a batch         by its next packet
 *	an input        that is to be read on, by the earliest that may come:
 *	                it is read when it is at the top
 *
 * Packets of a batch are put in order when it comes; batches of one input
 * that overlap are in the heap one beside the other.  So a packet goes out
 * when no other one that is held, and none that is still to come, is earlier.
 *
 * An input that holds as much as it may is not in the heap itself until one
 * of its batches has gone out.
 *
 * Whether a packet that is ahead has a wrong clock is known when the next one
 * has come.  Until then it is in the heap by its own time, behind its input,
 * so that it goes out only where the input holds as much as it may.
 *
 * Backwards every key is turned over: the latest time is the lowest key.
 */
#include "recorder/query/merge_impl.h"

/* An input comes behind those of its packets that have the same key. */
#define BEHIND_ALL	UINT64_MAX
/* Of what is left for all one of them reads no more than this part. */
#define LEFT_PART	16u
/* Read at first of one input among many; then twice as much each time. */
#define FIRST_BYTES	(64u << 10)

static void	choose_window(struct pb_merge *);
/* what is next */
static int	settle(struct pb_merge *, struct pb_err *);
static void	take_run(struct pb_merge *, uint64_t, struct pb_run *);
static int	leave(struct pb_merge *, struct pb_err *);
/* inputs */
static int	read_on(struct pb_merge *, struct input *, struct pb_err *);
static int	read_batch(struct pb_merge *, struct input *,
		    struct pb_err *);
static int	hold(struct pb_merge *, struct input *, struct batch *);
static int	wait_for(struct pb_merge *, struct input *);
static void	input_end(struct pb_merge *, struct input *);
static void	input_close(struct pb_merge *, struct input *);
static bool	holds_enough(const struct pb_merge *, const struct input *);
static size_t	share_of_input(const struct pb_merge *);
static size_t	at_once(const struct pb_merge *);
static size_t	first_bytes(const struct pb_merge *);
/* batches */
static void	batch_free(struct batch *);
/* who has a file open */
static void	reading_begin(struct pb_merge *, struct input *);
static void	reading_end(struct pb_merge *, struct input *);

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
	choose_window(merge);
	merge->reading_max = reading_max > 0 ? reading_max :
	    PB_MERGE_READING_MAX;
	merge->input = calloc(inputs + 1, sizeof(*merge->input));
	if (merge->input == NULL)
		goto no_memory;
	for (size_t i = 0; i < inputs; i++) {
		merge->input[i].index = i;
		merge->input[i].floor = merge_turn(merge, first_time[i]);
		if (wait_for(merge, &merge->input[i]) < 0)
			goto no_memory;
	}
	*out = merge;
	return 0;
no_memory:
	if (merge != NULL)
		merge->source.end = NULL;
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
			input_end(merge, &merge->input[i]);
	for (size_t i = 0; i < merge->count; i++)
		batch_free(merge->entry[i].batch);
	batch_free(merge->out);
	batch_free(merge->free);
	if (merge->source.end != NULL)
		merge->source.end(merge->source.arg);
	free(merge->input);
	free(merge->entry);
	free(merge);
}

uint64_t
pb_merge_late(const struct pb_merge *merge)
{
	return merge->late;
}

/* A wide one is for those who have the memory for it. */
static void
choose_window(struct pb_merge *merge)
{
	const uint64_t *window_ns = merge->source.window_ns;

	merge->window = window_ns != NULL ? *window_ns : PB_MERGE_WINDOW_NS;
	merge->bytes_max = PB_MERGE_BYTES_MAX;
	merge->input_bytes_max = PB_MERGE_INPUT_BYTES_MAX;
	if (merge->window > PB_MERGE_WINDOW_NS)
		merge->bytes_max = merge->input_bytes_max =
		    PB_MERGE_WIDE_BYTES_MAX;
}

int
pb_merge_run(struct pb_merge *merge, uint64_t packets_max,
    struct pb_run *out, size_t *input, struct pb_err *err)
{
	int rc = leave(merge, err);

	if (rc == 0)
		rc = settle(merge, err);
	if (rc <= 0)
		return rc;
	*input = merge->entry[0].input->index;
	take_run(merge, packets_max, out);
	return 1;
}

int
pb_merge_next(struct pb_merge *merge, struct pb_cursor_packet *out,
    size_t *input, struct pb_err *err)
{
	struct pb_run run;
	size_t at = 0;
	int rc = pb_merge_run(merge, 1, &run, input, err);

	return rc <= 0 ? rc : pb_run_packet(&run, &at, out, err);
}

int
pb_merge_peek(struct pb_merge *merge, uint64_t *time_ns, struct pb_err *err)
{
	struct batch *out = merge->out;
	int rc;

	/* It stays; its input does not wait for that. */
	if (out != NULL && out->input->full &&
	    wait_for(merge, out->input) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory to merge");
	rc = settle(merge, err);
	if (rc > 0)
		*time_ns = merge_turn(merge, merge->entry[0].key);
	return rc;
}

/* A batch is at the top: 1; 0 at the end of all, or an error. */
static int
settle(struct pb_merge *merge, struct pb_err *err)
{
	struct input *input;
	int rc;

	while (merge->count > 0) {
		if (merge->entry[0].batch != NULL)
			return 1;
		input = merge->entry[0].input;
		merge_drop_top(merge);
		rc = read_on(merge, input, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Of the batch at the top, what lies together and comes before all else. */
static void
take_run(struct pb_merge *merge, uint64_t packets_max, struct pb_run *out)
{
	struct batch *batch = merge->entry[0].batch;
	const struct pb_batch_packet *first = &batch->b.packet[batch->at];
	const struct pb_batch_packet *end = batch->b.packet + batch->b.count;
	const struct pb_batch_packet *packet = first;
	const struct entry *next = NULL;
	struct entry mine = merge->entry[0];

	for (size_t i = 1; i < 3 && i < merge->count; i++)
		if (next == NULL || merge_before(&merge->entry[i], next))
			next = &merge->entry[i];
	do {
		packet++;
		if (packet == end || (uint64_t)(packet - first) ==
		    packets_max || packet->block != packet[-1].block +
		    packet[-1].len)
			break;
		mine.key = packet->time_ns;
		mine.number = packet->seq;
	} while (next == NULL || merge_before(&mine, next));
	*out = (struct pb_run){
		.head = batch->b.head,
		.blocks = first->block,
		.len = (size_t)(packet[-1].block + packet[-1].len -
		    first->block),
		.packets = (uint64_t)(packet - first),
		.first_time = merge_turn(merge, first->time_ns),
		.last_time = merge_turn(merge, packet[-1].time_ns),
		.last_seq = merge_turn(merge, packet[-1].seq),
	};
	merge->gone = packet[-1].time_ns;
	batch->at = (size_t)(packet - batch->b.packet);
	if (packet < end) {
		merge_sift_down(merge, merge_entry(merge, batch));
		return;
	}
	merge_drop_top(merge);
	merge->out = batch;
}

/* What was handed out last is not needed any more. */
static int
leave(struct pb_merge *merge, struct pb_err *err)
{
	struct batch *batch = merge->out;
	struct input *input;

	if (batch == NULL)
		return 0;
	input = batch->input;
	merge->out = NULL;
	if (input->ahead_in == batch)
		merge_decide(merge, input, input->ahead->time_ns);
	input->bytes -= batch->memory;
	merge->bytes -= batch->memory;
	input->batches--;
	if (merge->free == NULL) {
		pb_batch_clear(&batch->b);
		merge->free = batch;
	} else {
		batch_free(batch);
	}
	input_close(merge, input);
	if (input->full && wait_for(merge, input) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory to merge");
	return 0;
}

/*
 * The input's next batch, and the input itself, into the heap; at its end it
 * is closed.  One that takes the file of another one goes on until it holds
 * what is read at once, so that files are not opened for a few packets each.
 */
static int
read_on(struct pb_merge *merge, struct input *input, struct pb_err *err)
{
	bool greedy = !input->reading && merge->reading >= merge->reading_max;
	int rc;

	if (!input->begun) {
		input->open = input->begun = true;
		input->most = first_bytes(merge);
		merge->begun++;
	}
	reading_begin(merge, input);
	do
		rc = read_batch(merge, input, err);
	while (rc > 0 && greedy && input->bytes < at_once(merge));
	if (rc == 0) {
		input_end(merge, input);
		input_close(merge, input);
	} else if (rc > 0 && !input->full && wait_for(merge, input) < 0) {
		rc = pb_err_set(err, PB_ENOMEM, "no memory to merge");
	}
	return rc < 0 ? rc : 0;
}

/* Into the heap: 1, 0 where there is none, or an error. */
static int
read_batch(struct pb_merge *merge, struct input *input, struct pb_err *err)
{
	struct batch *batch = merge->free;
	size_t bytes = at_once(merge);
	int rc;

	/* Those that begin together have all begun before one takes much. */
	if (bytes > input->most) {
		bytes = input->most;
		input->most *= 2;
	}
	merge->free = NULL;
	if (batch == NULL)
		batch = calloc(1, sizeof(*batch));
	if (batch == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to merge");
	rc = merge->source.batch(merge->source.arg, input->index, bytes,
	    &batch->b, err);
	if (rc > 0 && hold(merge, input, batch) < 0)
		rc = pb_err_set(err, PB_ENOMEM, "no memory to merge");
	if (rc <= 0)
		batch_free(batch);
	return rc;
}

/* 0, or PB_ENOMEM and the batch is the caller's. */
static int
hold(struct pb_merge *merge, struct input *input, struct batch *batch)
{
	uint64_t floor = merge_turn(merge, batch->b.floor);

	batch->at = 0;
	batch->input = input;
	merge_arrange(merge, input, batch);
	batch->memory = pb_batch_memory(&batch->b);
	if (merge_push(merge, merge_entry(merge, batch)) < 0)
		return PB_ENOMEM;
	input->bytes += batch->memory;
	merge->bytes += batch->memory;
	input->batches++;
	input->floor = merge_past_window(merge, input);
	/* Where nothing comes it is closed behind the last one.  What is known
	 * of some extents ahead says nothing of a wide window. */
	if (merge->window <= PB_MERGE_WINDOW_NS && batch->b.floor != 0 &&
	    floor > input->floor)
		input->floor = floor < UINT64_MAX ? floor : merge_latest(input);
	input->full = holds_enough(merge, input);
	return 0;
}

/* The input into the heap: 0, or PB_ENOMEM. */
static int
wait_for(struct pb_merge *merge, struct input *input)
{
	struct entry entry = { input->floor, merge_place(merge, input->index),
	    BEHIND_ALL, input, NULL };

	input->full = false;
	return merge_push(merge, entry);
}

/* A batch is not enough: what comes first behind it may be earlier than what
 * comes last in it. */
static bool
holds_enough(const struct pb_merge *merge, const struct input *input)
{
	size_t most = merge->bytes < merge->bytes_max ?
	    share_of_input(merge) : PB_MERGE_INPUT_BYTES_MIN;

	return input->batches > 1 && input->bytes >= most;
}

static size_t
share_of_input(const struct pb_merge *merge)
{
	size_t share = merge->bytes_max / merge->begun;

	if (share > merge->input_bytes_max)
		return merge->input_bytes_max;
	return share < PB_MERGE_INPUT_BYTES_MIN ? PB_MERGE_INPUT_BYTES_MIN :
	    share;
}

/* How much of an input is read: little where little is left for all, so that
 * those that come later have their part. */
static size_t
at_once(const struct pb_merge *merge)
{
	size_t left = merge->bytes < merge->bytes_max ?
	    merge->bytes_max - merge->bytes : 0;
	size_t part = share_of_input(merge);

	part = (part < PB_MERGE_INPUT_BYTES_MAX ? part :
	    PB_MERGE_INPUT_BYTES_MAX) / 3;
	if (part > left / LEFT_PART)
		part = left / LEFT_PART;
	return part < PB_MERGE_INPUT_BYTES_MIN / 2 ?
	    PB_MERGE_INPUT_BYTES_MIN / 2 : part;
}

/* Few read as much as is read at once: backwards, an extent is read anew for
 * each part of it. */
static size_t
first_bytes(const struct pb_merge *merge)
{
	size_t part = PB_MERGE_BYTES_MAX / LEFT_PART / merge->inputs;

	return part < FIRST_BYTES ? FIRST_BYTES : part;
}

/* Nothing more comes from the source. */
static void
input_end(struct pb_merge *merge, struct input *input)
{
	reading_end(merge, input);
	if (input->open)
		merge->source.close(merge->source.arg, input->index);
	input->open = input->full = false;
}

/* Where nothing is left of it. */
static void
input_close(struct pb_merge *merge, struct input *input)
{
	if (input->open || input->batches > 0)
		return;
	input->begun = false;
	merge->begun--;
}

static void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	pb_batch_finish(&batch->b);
	free(batch);
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

