/*
 * recorder/flow/table/marks.c - where packets are in the file, for some of them
 *
 * As many marks as make a look at one packet cost little beside what a disk
 * reads at once.  Those of a group are the same number of packets apart: what
 * stands between chunks ends one.
 */
#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table/encode.h"

/* Between two marks, or more; where packets are larger, each mark is kept. */
#define MARK_BYTES	2048u

static uint32_t	step_of(const struct pb_flows *);
static uint32_t	find_group(const struct pb_flow_mark **,
		    const struct pb_flow_mark *, const struct pb_flow_mark *,
		    uint32_t, uint32_t *);
static void	put_group(struct pb_buf *, const uint32_t *, uint32_t);

uint32_t
marks_put(struct pb_buf *heads, struct pb_buf *out,
    const struct pb_flows *flows)
{
	const struct pb_flow_mark *mark = flows->mark;
	const struct pb_flow_mark *end = mark + flows->marks;
	uint32_t step = step_of(flows), apart[GROUP_MARKS];
	uint8_t head[GROUP_MARKS_BYTES];

	while (mark < end && !out->failed) {
		const struct pb_flow_mark *first = mark;
		size_t at = out->len;
		uint32_t marks = find_group(&mark, first, end, step, apart);

		put_group(out, apart, marks);
		pb_put_le32(head + GROUP_AT, (uint32_t)at);
		pb_put_le32(head + GROUP_DIGEST, out->failed ? 0 :
		    (uint32_t)pb_digest(out->data + at, out->len - at));
		pb_put_le32(head + GROUP_PACKET, first->packet);
		pb_put_le32(head + GROUP_MARK, first->at);
		pb_buf_put(heads, head, sizeof(head));
	}
	return step;
}

/* Packets between two marks. */
static uint32_t
step_of(const struct pb_flows *flows)
{
	const struct pb_flow_mark *last;
	uint32_t step = PB_FLOW_MARK;

	if (flows->marks == 0)
		return step;
	last = &flows->mark[flows->marks - 1];
	while (step < last->packet &&
	    (uint64_t)step * last->at < (uint64_t)MARK_BYTES * last->packet)
		step *= 2;
	return step;
}

/* How many begin with `mark`, and how far each is behind the one before, in
 * MARK_UNITs; `*next` is the first behind them. */
static uint32_t
find_group(const struct pb_flow_mark **next, const struct pb_flow_mark *mark,
    const struct pb_flow_mark *end, uint32_t step, uint32_t *apart)
{
	const struct pb_flow_mark *to = mark;
	uint32_t marks = 1;

	for (;;) {
		while (to < end && to->packet < mark->packet + step)
			to++;
		*next = to;
		if (marks == GROUP_MARKS || to == end ||
		    to->packet > mark->packet + step || to->at < mark->at ||
		    (to->at - mark->at) % MARK_UNIT != 0)
			return marks;
		apart[marks++] = (to->at - mark->at) / MARK_UNIT;
		mark = to;
	}
}

static void
put_group(struct pb_buf *out, const uint32_t *apart, uint32_t marks)
{
	uint32_t any = 0, bits;
	uint8_t *to;

	for (uint32_t i = 1; i < marks; i++)
		any |= apart[i];
	bits = bits_of_all(any);
	to = pb_buf_reserve(out, 2 + bits_bytes(marks, bits));
	if (to == NULL)
		return;
	to[0] = (uint8_t)(marks - 1);
	to[1] = (uint8_t)bits;
	bits_put(to + 2, apart + 1, marks - 1, bits);
	out->len += 2 + bits_bytes(marks - 1, bits);
}
