/*
 * recorder/query/merge.c - many streams, one order: by time
 *
 *   waiting          sorted by first time; opened from the front
 *   open lanes       each holds a heap of packets, lowest key at the top
 *   ready            a heap of the open lanes, by the key at their top
 *
 * Invariant between calls: every open lane is in `ready`, except the one
 * that gave the last packet, which is restocked first.  A lane's top may
 * go out once nothing earlier can come from it (see settled()), and once
 * the front of `waiting` is later than it.
 */
#include "recorder/query/merge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"


struct held {
	uint64_t	 key;		/* the time it sorts by */
	struct pb_cursor_packet cp;	/* its pointers go into bytes */
	size_t		 size;
	uint8_t		 bytes[];
};

struct lane {
	size_t		 index;
	struct held	**heap;
	size_t		 count, cap;
	size_t		 bytes;		/* held */
	uint64_t	 max_key;	/* highest read so far */
	bool		 begun;		/* counted in `begun` of the merge */
	bool		 open;		/* at the source */
	bool		 ended, reading;
	struct lane	*newer, *older;	/* of those reading */
};

struct waiting {
	uint64_t	 first_time;
	size_t		 index;
};

struct pb_merge {
	struct pb_merge_source source;
	struct lane	*lane;
	size_t		 lanes;
	struct waiting	*waiting;
	size_t		 next_waiting;
	struct lane	**ready;
	size_t		 ready_count;
	size_t		 begun;		/* lanes, not yet empty */
	unsigned	 reading_max, reading;
	struct lane	*newest, *oldest;	/* reading, by last use */
	struct lane	*last;		/* gave `out`; NULL at first */
	struct held	*out;
};

static int	waiting_order(const void *, const void *);
/* lanes */
static int	lane_open(struct pb_merge *, struct lane *, struct pb_err *);
static int	lane_stock(struct pb_merge *, struct lane *, struct pb_err *);
static int	lane_hold(struct lane *, const struct pb_cursor_packet *,
		    struct pb_err *);
static void	lane_end(struct pb_merge *, struct lane *);
static void	lane_close(struct pb_merge *, struct lane *);
static struct held *lane_pop(struct lane *);
static bool	settled(const struct pb_merge *, const struct lane *);
static size_t	share_of_lane(const struct pb_merge *);
static void	held_free(struct held *);
/* who has a file open */
static void	reading_begin(struct pb_merge *, struct lane *);
static void	reading_end(struct pb_merge *, struct lane *);
/* heaps */
static bool	held_before(const struct held *, const struct held *);
static bool	lane_before(const struct lane *, const struct lane *);
static void	ready_push(struct pb_merge *, struct lane *);
static struct lane *ready_pop(struct pb_merge *);

int
pb_merge_create(struct pb_merge **out, const struct pb_merge_source *source,
    const uint64_t *first_time, size_t lanes, unsigned reading_max,
    struct pb_err *err)
{
	struct pb_merge *merge = calloc(1, sizeof(*merge));

	*out = NULL;
	if (merge == NULL)
		goto no_memory;
	merge->source = *source;
	merge->lanes = lanes;
	merge->reading_max = reading_max > 0 ? reading_max :
	    PB_MERGE_READING_MAX;
	merge->lane = calloc(lanes + 1, sizeof(*merge->lane));
	merge->waiting = calloc(lanes + 1, sizeof(*merge->waiting));
	merge->ready = calloc(lanes + 1, sizeof(struct lane *));
	if (merge->lane == NULL || merge->waiting == NULL ||
	    merge->ready == NULL)
		goto no_memory;
	for (size_t i = 0; i < lanes; i++) {
		merge->lane[i].index = i;
		merge->waiting[i].index = i;
		merge->waiting[i].first_time = first_time[i];
	}
	qsort(merge->waiting, lanes, sizeof(*merge->waiting), waiting_order);
	*out = merge;
	return 0;
no_memory:
	pb_merge_destroy(merge);
	return pb_err_set(err, PB_ENOMEM, "no memory to merge %zu streams",
	    lanes);
}

void
pb_merge_destroy(struct pb_merge *merge)
{
	if (merge == NULL)
		return;
	if (merge->lane != NULL)
		for (size_t i = 0; i < merge->lanes; i++)
			lane_close(merge, &merge->lane[i]);
	held_free(merge->out);
	free(merge->lane);
	free(merge->waiting);
	free(merge->ready);
	free(merge);
}

int
pb_merge_next(struct pb_merge *merge, struct pb_cursor_packet *out,
    size_t *lane, struct pb_err *err)
{
	struct waiting *front;
	int rc;

	held_free(merge->out);
	merge->out = NULL;
	if (merge->last != NULL) {
		rc = lane_stock(merge, merge->last, err);
		if (rc < 0)
			return rc;
		merge->last = NULL;
	}
	while (merge->next_waiting < merge->lanes) {
		front = &merge->waiting[merge->next_waiting];
		if (merge->ready_count > 0 &&
		    merge->ready[0]->heap[0]->key < front->first_time)
			break;
		merge->next_waiting++;
		rc = lane_open(merge, &merge->lane[front->index], err);
		if (rc < 0)
			return rc;
	}
	merge->last = ready_pop(merge);
	if (merge->last == NULL)
		return 0;
	merge->out = lane_pop(merge->last);
	*out = merge->out->cp;
	*lane = merge->last->index;
	return 1;
}

static int
waiting_order(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->first_time != y->first_time)
		return x->first_time < y->first_time ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int
lane_open(struct pb_merge *merge, struct lane *lane, struct pb_err *err)
{
	int rc = merge->source.open(merge->source.arg, lane->index, err);

	if (rc < 0)
		return rc;
	lane->open = true;
	lane->begun = true;
	merge->begun++;
	return lane_stock(merge, lane, err);
}

/*
 * Read on until the lane's earliest packet may go out, and put the lane
 * among the ready; close it where nothing is left.  A lane that takes the
 * file of another one reads as much as it may hold, so that files are not
 * opened and closed for a packet each.
 */
static int
lane_stock(struct pb_merge *merge, struct lane *lane, struct pb_err *err)
{
	bool greedy = !lane->reading && merge->reading >= merge->reading_max;
	struct pb_cursor_packet cp;
	int rc = 1;

	while (!lane->ended && (!settled(merge, lane) || (greedy &&
	    lane->count < PB_MERGE_PACKETS_MAX &&
	    lane->bytes < share_of_lane(merge)))) {
		reading_begin(merge, lane);
		rc = merge->source.next(merge->source.arg, lane->index, &cp,
		    err);
		if (rc > 0)
			rc = lane_hold(lane, &cp, err);
		else if (rc == 0)
			lane_end(merge, lane);
		if (rc < 0)
			return rc;
	}
	if (lane->count > 0)
		ready_push(merge, lane);
	else
		lane_close(merge, lane);
	return 0;
}

/* May the earliest packet of the lane go out? */
static bool
settled(const struct pb_merge *merge, const struct lane *lane)
{
	return lane->count > 0 && (lane->ended ||
	    lane->max_key - lane->heap[0]->key >= PB_MERGE_WINDOW_NS ||
	    lane->count >= PB_MERGE_PACKETS_MAX ||
	    lane->bytes >= share_of_lane(merge));
}

static size_t
share_of_lane(const struct pb_merge *merge)
{
	size_t share = PB_MERGE_BYTES_MAX / merge->begun;

	if (share > PB_MERGE_LANE_BYTES_MAX)
		return PB_MERGE_LANE_BYTES_MAX;
	return share < PB_MERGE_LANE_BYTES_MIN ? PB_MERGE_LANE_BYTES_MIN :
	    share;
}

/* Copy a packet into the lane's heap. */
static int
lane_hold(struct lane *lane, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	const struct pb_packet *packet = &cp->packet;
	size_t size = sizeof(struct held) + packet->caplen +
	    packet->options_len, i, up;
	struct held *held;

	if (!PB_LIST_ROOM(lane->heap, lane->cap, lane->count))
		goto no_memory;
	held = malloc(size);
	if (held == NULL)
		goto no_memory;
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
	held->key = pb_untimed_get(packet->options, packet->options_len) ?
	    lane->max_key : packet->time_ns;
	if (held->key > lane->max_key)
		lane->max_key = held->key;
	lane->bytes += size;
	for (i = lane->count++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!held_before(held, lane->heap[up]))
			break;
		lane->heap[i] = lane->heap[up];
	}
	lane->heap[i] = held;
	return 0;
no_memory:
	return pb_err_set(err, PB_ENOMEM, "no memory to put packets in order");
}

/* Nothing more comes from the source. */
static void
lane_end(struct pb_merge *merge, struct lane *lane)
{
	lane->ended = true;
	reading_end(merge, lane);
	if (lane->open)
		merge->source.close(merge->source.arg, lane->index);
	lane->open = false;
}

static void
lane_close(struct pb_merge *merge, struct lane *lane)
{
	if (!lane->begun)
		return;
	lane_end(merge, lane);
	while (lane->count > 0)
		held_free(lane_pop(lane));
	free(lane->heap);
	lane->heap = NULL;
	lane->cap = 0;
	lane->begun = false;
	merge->begun--;
}

static struct held *
lane_pop(struct lane *lane)
{
	struct held *top = lane->heap[0], *moved = lane->heap[--lane->count];
	size_t i = 0, down;

	for (;;) {
		down = 2 * i + 1;
		if (down >= lane->count)
			break;
		if (down + 1 < lane->count &&
		    held_before(lane->heap[down + 1], lane->heap[down]))
			down++;
		if (!held_before(lane->heap[down], moved))
			break;
		lane->heap[i] = lane->heap[down];
		i = down;
	}
	lane->heap[i] = moved;
	lane->bytes -= top->size;
	return top;
}

static void
held_free(struct held *held)
{
	if (held == NULL)
		return;
	pb_head_unref((struct pb_head *)held->cp.head);
	free(held);
}

/* The lane is about to read: it is the newest user of a file, and the
 * oldest one gives up its own where there are too many. */
static void
reading_begin(struct pb_merge *merge, struct lane *lane)
{
	struct lane *oldest = merge->oldest;

	if (merge->newest == lane)
		return;
	if (!lane->reading && merge->reading >= merge->reading_max) {
		merge->source.park(merge->source.arg, oldest->index);
		reading_end(merge, oldest);
	}
	reading_end(merge, lane);
	lane->reading = true;
	lane->newer = NULL;
	lane->older = merge->newest;
	if (merge->newest != NULL)
		merge->newest->newer = lane;
	else
		merge->oldest = lane;
	merge->newest = lane;
	merge->reading++;
}

static void
reading_end(struct pb_merge *merge, struct lane *lane)
{
	if (!lane->reading)
		return;
	if (lane->newer != NULL)
		lane->newer->older = lane->older;
	else
		merge->newest = lane->older;
	if (lane->older != NULL)
		lane->older->newer = lane->newer;
	else
		merge->oldest = lane->newer;
	lane->reading = false;
	merge->reading--;
}

static bool
held_before(const struct held *a, const struct held *b)
{
	return a->key != b->key ? a->key < b->key : a->cp.seq < b->cp.seq;
}

static bool
lane_before(const struct lane *a, const struct lane *b)
{
	uint64_t x = a->heap[0]->key, y = b->heap[0]->key;

	return x != y ? x < y : a->index < b->index;
}

static void
ready_push(struct pb_merge *merge, struct lane *lane)
{
	size_t i, up;

	for (i = merge->ready_count++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!lane_before(lane, merge->ready[up]))
			break;
		merge->ready[i] = merge->ready[up];
	}
	merge->ready[i] = lane;
}

static struct lane *
ready_pop(struct pb_merge *merge)
{
	struct lane *top, *moved;
	size_t i = 0, down;

	if (merge->ready_count == 0)
		return NULL;
	top = merge->ready[0];
	moved = merge->ready[--merge->ready_count];
	for (;;) {
		down = 2 * i + 1;
		if (down >= merge->ready_count)
			break;
		if (down + 1 < merge->ready_count && lane_before(
		    merge->ready[down + 1], merge->ready[down]))
			down++;
		if (!lane_before(merge->ready[down], moved))
			break;
		merge->ready[i] = merge->ready[down];
		i = down;
	}
	merge->ready[i] = moved;
	return top;
}
