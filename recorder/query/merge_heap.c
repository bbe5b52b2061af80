/*
 * recorder/query/merge_heap.c - what may be next in a merge, the first at the
 * top
 */
#include "base/list.h"
#include "recorder/query/merge_impl.h"

int
merge_push(struct pb_merge *merge, struct entry new)
{
	if (!PB_LIST_ROOM(merge->entry, merge->cap, merge->count))
		return PB_ENOMEM;
	merge_sift_up(merge, merge->count++, new);
	return 0;
}

void
merge_sift_up(struct pb_merge *merge, size_t i, struct entry moved)
{
	size_t up;

	for (; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!merge_before(&moved, &merge->entry[up]))
			break;
		merge->entry[i] = merge->entry[up];
	}
	merge->entry[i] = moved;
}

void
merge_drop_top(struct pb_merge *merge)
{
	if (--merge->count > 0)
		merge_sift_down(merge, merge->entry[merge->count]);
}

void
merge_sift_down(struct pb_merge *merge, struct entry moved)
{
	struct entry *entry = merge->entry;
	size_t i = 0, down;

	while ((down = 2 * i + 1) < merge->count) {
		if (down + 1 < merge->count &&
		    merge_before(&entry[down + 1], &entry[down]))
			down++;
		if (!merge_before(&entry[down], &moved))
			break;
		entry[i] = entry[down];
		i = down;
	}
	entry[i] = moved;
}

bool
merge_before(const struct entry *a, const struct entry *b)
{
	if (a->key != b->key)
		return a->key < b->key;
	return a->place != b->place ? a->place < b->place :
	    a->number < b->number;
}

struct entry
merge_entry(const struct pb_merge *merge, struct batch *batch)
{
	const struct pb_batch_packet *packet = &batch->b.packet[batch->at];

	return (struct entry){ packet->time_ns,
	    merge_place(merge, batch->input->index), packet->seq, batch->input,
	    batch };
}

size_t
merge_place(const struct pb_merge *merge, size_t index)
{
	return merge->source.backwards ? merge->inputs - 1 - index : index;
}
