/*
 * recorder/flow/table/find.c - the packets of a row
 *
 * Rows stand in groups; of the one asked last what its heads say is kept, so
 * that the rows of a shape one after the other cost each group once.
 */
#include "base/bytes.h"
#include "recorder/flow/table/read.h"

static bool	group_find(struct group *, const struct piece *,
		    const struct shape *, uint32_t);

int
pb_flow_table_put(struct pb_flow_table *table, size_t shape, uint32_t row,
    uint8_t *of_packet, uint8_t bits, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	struct group *group = &table->group;
	const uint8_t *places, *at, *end;
	uint32_t packet, gap;
	int rc;

	rc = table_piece(table, its->places, &places, err);
	if (rc < 0)
		return rc;
	if (group->shape != its || group->group != row / GROUP_ROWS) {
		group->shape = NULL;
		if (!group_find(group, &table->piece[its->places], its,
		    row / GROUP_ROWS))
			return table_rotten(err, "where a row's packets are");
	}
	packet = group->first[row % GROUP_ROWS];
	at = places + group->run[row % GROUP_ROWS];
	end = places + group->run[row % GROUP_ROWS + 1];
	for (;;) {
		if (packet >= table->packets)
			return table_rotten(err, "a packet that is not there");
		of_packet[packet] |= bits;
		if (at == end)
			return 0;
		at = varint_get(at, end, &gap);
		if (at == NULL || gap >= table->packets)
			return table_rotten(err, "where a row's packets are");
		packet += gap + 1;
	}
}

static bool
group_find(struct group *group, const struct piece *places,
    const struct shape *shape, uint32_t which)
{
	const uint8_t *begin = places->data, *end = begin + places->raw, *at;
	uint32_t left = shape->seen.rows - which * GROUP_ROWS;
	uint32_t offset = pb_get_le32(begin + which * sizeof(uint32_t));
	uint32_t len, first = 0, difference;
	uint64_t run;

	group->rows = left < GROUP_ROWS ? left : GROUP_ROWS;
	if (offset > places->raw)
		return false;
	at = begin + offset;
	for (uint32_t i = 0; i < group->rows; i++) {
		at = varint_get(at, end, &len);
		if (at != NULL)
			at = varint_get(at, end, &difference);
		if (at == NULL)
			return false;
		group->run[i] = len;
		group->first[i] = first += unzigzag32(difference);
	}
	/* Lengths become where each begins. */
	run = (uint64_t)(at - begin);
	for (uint32_t i = 0; i < group->rows; i++) {
		len = group->run[i];
		group->run[i] = (uint32_t)run;
		run += len;
		if (run > places->raw)
			return false;
	}
	group->run[group->rows] = (uint32_t)run;
	group->shape = shape;
	group->group = which;
	return true;
}
