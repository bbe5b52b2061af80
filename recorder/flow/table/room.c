/*
 * recorder/flow/table/room.c - memory of flow tables that are read
 *
 * Handed out part by part and given back as a whole: what one table took is
 * there for the next, so that no page is made anew for each.
 */
#include <stdlib.h>

#include "recorder/flow/table/read.h"

#define PART_BYTES	((size_t)1 << 20)	/* at a time */
#define ALIGNED		16u

int
pb_flow_table_room_create(struct pb_flow_table_room **out, struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? table_no_memory(err) : 0;
}

void
pb_flow_table_room_destroy(struct pb_flow_table_room *room)
{
	if (room == NULL)
		return;
	room_empty(room, 0);
	free(room);
}

void
room_empty(struct pb_flow_table_room *room, size_t keep)
{
	struct part *part = room->part, *next;

	room->part = NULL;
	for (; part != NULL; part = next) {
		next = part->next;
		if (part->bytes > keep || room->part != NULL) {
			free(part);
			continue;
		}
		part->next = NULL;
		part->used = 0;
		room->part = part;
	}
}

void *
table_room(struct pb_flow_table *table, size_t bytes)
{
	struct pb_flow_table_room *room = table->room;
	struct part *part = room->part;

	bytes += (ALIGNED - bytes % ALIGNED) % ALIGNED;
	if (part == NULL || part->bytes - part->used < bytes) {
		size_t want = bytes > PART_BYTES ? bytes : PART_BYTES;

		part = malloc(sizeof(*part) + want);
		if (part == NULL)
			return NULL;
		*part = (struct part){ .next = room->part, .bytes = want };
		room->part = part;
	}
	part->used += bytes;
	return part->room + part->used - bytes;
}

int
table_no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
}
