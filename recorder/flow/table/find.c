/*
 * recorder/flow/table/find.c - the packets of a row, and where they are
 *
 * Rows stand in groups, and so do marks; of the group asked last what it says
 * is kept, so that the rows of a shape one after the other cost each group
 * once.
 */
#include "base/bytes.h"
#include "recorder/flow/table/read.h"

static int	find_group(struct pb_flow_table *, const struct shape *,
		    uint32_t, struct pb_err *);
static bool	group_find(struct group *, const struct shape *, uint32_t,
		    const uint8_t *, const uint8_t *);
static int	find_marks(struct pb_flow_table *, uint32_t,
		    struct pb_flow_table_span *, struct pb_err *);
static bool	group_runs(struct group *, const uint8_t *, const uint8_t *);
static uint32_t	put_packets(const struct group *, uint32_t, uint8_t *, uint8_t,
		    uint32_t);
static int	mark_group(struct pb_flow_table *, uint32_t, struct pb_err *);
static bool	read_marks(struct pb_flow_table *, const uint8_t *,
		    const uint8_t *, const uint8_t *);

int
pb_flow_table_put(struct pb_flow_table *table, size_t shape, uint32_t row,
    uint8_t *of_packet, uint8_t bits, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	int rc = find_group(table, its, row / GROUP_ROWS, err);
	uint32_t packets;

	if (rc < 0)
		return rc;
	packets = put_packets(&table->group, row % GROUP_ROWS, of_packet,
	    bits, table->packets);
	return packets == 0 ? table_rotten(err, "a packet that is not there") :
	    (int)packets;
}

/* The group's `row`-th; how many, or 0: one is not below `end`. */
static uint32_t
put_packets(const struct group *group, uint32_t row, uint8_t *of_packet,
    uint8_t bits, uint32_t end)
{
	const uint8_t *at = group->begin + group->run[row];
	uint32_t packet = group->first[row], more = group->more[row];

	if (packet >= end)
		return 0;
	of_packet[packet] |= bits;
	for (uint32_t left = more, now; left > 0; left -= now) {
		uint32_t width = *at++;

		now = left < RUN_PACKETS ? left : RUN_PACKETS;
		for (uint32_t i = 0; i < now; i++) {
			uint32_t between = bits_get(at, group->end, i, width);

			if (between >= end - packet - 1)
				return 0;
			packet += between + 1;
			of_packet[packet] |= bits;
		}
		at += bits_bytes(now, width);
	}
	return more + 1;
}

int
pb_flow_table_most(struct pb_flow_table *table, size_t shape, uint32_t row,
    uint32_t *packets, struct pb_err *err)
{
	int rc = find_group(table, &table->shape[shape], row / GROUP_ROWS,
	    err);

	*packets = rc < 0 ? 0 : table->group.more[row % GROUP_ROWS] + 1;
	return rc;
}

static int
find_group(struct pb_flow_table *table, const struct shape *shape,
    uint32_t which, struct pb_err *err)
{
	struct group *group = &table->group;
	const uint8_t *at, *end;
	int rc;

	if (group->shape == shape && group->group == which)
		return 0;
	group->shape = NULL;
	rc = table_group(table, shape->places, GROUP_BYTES, which,
	    (shape->seen.rows + GROUP_ROWS - 1) / GROUP_ROWS, &at, &end, err);
	if (rc < 0)
		return rc;
	return group_find(group, shape, which, at, end) ? 0 :
	    table_rotten(err, "where a row's packets are");
}

static bool
group_find(struct group *group, const struct shape *shape, uint32_t which,
    const uint8_t *begin, const uint8_t *end)
{
	uint32_t row = which * GROUP_ROWS, left = shape->seen.rows - row;
	uint32_t first = 0, difference;
	const uint8_t *at = begin;

	group->rows = left < GROUP_ROWS ? left : GROUP_ROWS;
	for (uint32_t i = 0; i < group->rows; i++) {
		group->more[i] = 0;
		if (row + i < shape->many)
			at = varint_get(at, end, &group->more[i]);
		if (at != NULL)
			at = varint_get(at, end, &difference);
		if (at == NULL)
			return false;
		group->first[i] = first += difference;
	}
	group->begin = begin;
	group->end = end;
	if (!group_runs(group, at, end))
		return false;
	group->shape = shape;
	group->group = which;
	return true;
}

/* Where the run of each begins; all of them end before `end`. */
static bool
group_runs(struct group *group, const uint8_t *at, const uint8_t *end)
{
	for (uint32_t i = 0; i < group->rows; i++) {
		group->run[i] = (uint32_t)(at - group->begin);
		for (uint32_t left = group->more[i], now; left > 0;
		    left -= now) {
			size_t bytes;

			now = left < RUN_PACKETS ? left : RUN_PACKETS;
			if (at == end || *at > BITS_MAX)
				return false;
			bytes = 1 + bits_bytes(now, *at);
			if ((size_t)(end - at) < bytes)
				return false;
			at += bytes;
		}
	}
	return true;
}

int
pb_flow_table_span(struct pb_flow_table *table, uint32_t packet,
    struct pb_flow_table_span *out, struct pb_err *err)
{
	const struct marks *marks = &table->marks;
	uint32_t i;
	int rc = 1;

	if (marks->marks == 0 || packet < marks->packet ||
	    packet >= marks->behind.next)
		rc = find_marks(table, packet, out, err);
	if (rc <= 0)
		return rc;
	*out = marks->behind;
	i = (packet - marks->packet) / table->step;
	if (i < marks->marks - 1) {
		out->next = marks->packet + (i + 1) * table->step;
		out->end = marks->at[i + 1];
	} else {
		i = marks->marks - 1;
	}
	out->first = marks->packet + i * table->step;
	out->from = marks->at[i];
	return 0;
}

/* The last group that begins at or before it: 1; 0 where none does, and what
 * is before the first one is in `out`; or an error. */
static int
find_marks(struct pb_flow_table *table, uint32_t packet,
    struct pb_flow_table_span *out, struct pb_err *err)
{
	uint32_t low = 0, high = table->mark_groups;
	const uint8_t *head;
	int rc = table_piece(table, table->marks_piece, &head, err);

	if (rc < 0)
		return rc;
	/* Groups below `low` begin at or before it, from `high` on behind. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pb_get_le32(head + (size_t)middle * GROUP_MARKS_BYTES +
		    GROUP_PACKET) <= packet)
			low = middle + 1;
		else
			high = middle;
	}
	head += (size_t)low * GROUP_MARKS_BYTES;
	*out = (struct pb_flow_table_span){ .next = table->packets,
	    .end = UINT32_MAX };
	if (low < table->mark_groups) {
		out->next = pb_get_le32(head + GROUP_PACKET);
		out->end = pb_get_le32(head + GROUP_MARK);
	}
	if (low == 0)
		return 0;
	rc = mark_group(table, low - 1, err);
	table->marks.behind = *out;
	return rc < 0 ? rc : 1;
}

static int
mark_group(struct pb_flow_table *table, uint32_t group, struct pb_err *err)
{
	struct marks *marks = &table->marks;
	const uint8_t *head, *begin, *end;
	int rc;

	if (marks->marks > 0 && marks->group == group)
		return 0;
	marks->marks = 0;
	rc = table_piece(table, table->marks_piece, &head, err);
	if (rc == 0)
		rc = table_group(table, table->marks_piece, GROUP_MARKS_BYTES,
		    group, table->mark_groups, &begin, &end, err);
	if (rc < 0)
		return rc;
	if (!read_marks(table, head + (size_t)group * GROUP_MARKS_BYTES, begin,
	    end))
		return table_rotten(err, "a mark");
	marks->group = group;
	return 0;
}

/* How many follow the first, in how many bits each, and how far each is behind
 * the one before. */
static bool
read_marks(struct pb_flow_table *table, const uint8_t *head, const uint8_t *at,
    const uint8_t *end)
{
	struct marks *marks = &table->marks;
	uint32_t packet = pb_get_le32(head + GROUP_PACKET);
	uint32_t place = pb_get_le32(head + GROUP_MARK), more, bits;

	if (end - at < 2)
		return false;
	more = at[0];
	bits = at[1];
	at += 2;
	if (more >= GROUP_MARKS || bits > BITS_MAX ||
	    (size_t)(end - at) != bits_bytes(more, bits) ||
	    packet + (uint64_t)more * table->step >= table->packets)
		return false;
	marks->packet = packet;
	marks->at[0] = place;
	for (uint32_t i = 0; i < more; i++)
		marks->at[i + 1] = place += MARK_UNIT * bits_get(at, end, i,
		    bits);
	marks->marks = more + 1;
	return true;
}
