/*
 * recorder/query/merge_time.c - the place in time of packets that were read
 */
#include "recorder/query/merge_impl.h"

static void	put_in_time(struct pb_merge *, struct input *,
		    struct pb_batch_packet *);
static void	fall_back(struct pb_merge *, struct batch *);
static int	order(const void *, const void *);

void
merge_arrange(struct pb_merge *merge, struct input *input, struct batch *batch)
{
	struct pb_batch_packet *packet = batch->b.packet, swap;
	size_t count = batch->b.count;
	uint64_t last = 0;
	bool sorted = true;

	for (size_t i = 0, k = count - 1; merge->source.backwards && i < k;
	    i++, k--) {
		swap = packet[i];
		packet[i] = packet[k];
		packet[k] = swap;
	}
	for (size_t i = 0; i < count; i++) {
		put_in_time(merge, input, &packet[i]);
		if (packet[i].time_ns < last)
			sorted = false;
		last = packet[i].time_ns;
		packet[i].seq = merge_turn(merge, packet[i].seq);
	}
	if (!sorted)
		qsort(packet, count, sizeof(*packet), order);
	/* None of them is later. */
	if (input->ahead != NULL && input->ahead_in == NULL) {
		input->ahead = &packet[count - 1];
		input->ahead_in = batch;
	}
}

/* As if those before it had gone out, whatever is held. */
static void
put_in_time(struct pb_merge *merge, struct input *input,
    struct pb_batch_packet *packet)
{
	uint64_t floor = merge_past_window(merge, input);

	packet->time_ns = packet->untimed ? merge_latest(input) :
	    merge_turn(merge, packet->time_ns);
	if (packet->time_ns < floor || packet->time_ns < merge->gone)
		merge->late++;
	if (packet->time_ns < floor) {
		packet->time_ns = floor;
		/* Without a window nothing passes what came before. */
		if (merge->window > 0)
			return;
	}
	if (input->ahead != NULL)
		merge_decide(merge, input, packet->time_ns);
	if (packet->time_ns <= input->max_key)
		return;
	if (packet->time_ns - input->max_key > merge->window)
		input->ahead = packet;
	else
		input->max_key = packet->time_ns;
}

void
merge_decide(struct pb_merge *merge, struct input *input, uint64_t key)
{
	struct pb_batch_packet *ahead = input->ahead;
	struct batch *batch = input->ahead_in;

	if (key >= ahead->time_ns - merge->window)
		key = ahead->time_ns;
	if (key > input->max_key)
		input->max_key = key;
	input->ahead = NULL;
	input->ahead_in = NULL;
	if (key == ahead->time_ns)
		return;
	ahead->time_ns = key;
	merge->late++;
	if (batch != NULL)
		fall_back(merge, batch);
}

/* The last packet of a batch in the heap has its place further in front. */
static void
fall_back(struct pb_merge *merge, struct batch *batch)
{
	struct pb_batch_packet *packet = batch->b.packet, last;
	size_t i = batch->b.count - 1;

	/* It has gone out: its input held as much as it may. */
	if (batch->at > i)
		return;
	last = packet[i];
	for (; i > batch->at && order(&last, &packet[i - 1]) < 0; i--)
		packet[i] = packet[i - 1];
	packet[i] = last;
	for (i = 0; merge->entry[i].batch != batch; i++)
		;
	merge_sift_up(merge, i, merge_entry(merge, batch));
}

uint64_t
merge_latest(const struct input *input)
{
	return input->ahead != NULL ? input->ahead->time_ns : input->max_key;
}

uint64_t
merge_past_window(const struct pb_merge *merge, const struct input *input)
{
	return input->max_key > merge->window ?
	    input->max_key - merge->window : 0;
}

static int
order(const void *a, const void *b)
{
	const struct pb_batch_packet *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}
