/*
 * recorder/query/batch.c - packets of a stream that lie in memory as they were
 * read
 */
#include "recorder/query/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/list.h"
#include "pcapng/hop.h"

/* As a copy where less than this part of the room is wanted. */
#define COPY_PART	4u

static bool	make_room(struct pb_batch *);

void
pb_batch_clear(struct pb_batch *batch)
{
	pb_head_unref(batch->head);
	batch->head = NULL;
	free(batch->copy.data);
	batch->copy = (struct pb_bytes){ 0 };
	batch->copied = batch->copied_bytes = 0;
	batch->count = batch->wanted = 0;
	batch->floor = 0;
}

void
pb_batch_finish(struct pb_batch *batch)
{
	pb_batch_clear(batch);
	free(batch->packet);
	free(batch->read.data);
	batch->packet = NULL;
	batch->read = (struct pb_bytes){ 0 };
	batch->cap = 0;
}

bool
pb_batch_add(struct pb_batch *batch, const struct pb_cursor_packet *cp)
{
	const struct pb_packet *packet = &cp->packet;
	uint8_t *block = (uint8_t *)packet->data - PB_EPB_HEAD;
	uint32_t len = pb_get_le32(block + 4);

	if (!PB_LIST_ROOM(batch->packet, batch->cap, batch->count))
		return false;
	if (batch->count == 0)
		batch->head = pb_head_ref((struct pb_head *)cp->head);
	batch->packet[batch->count++] = (struct pb_batch_packet){
		.block = block,
		.len = len,
		.untimed = pb_untimed_get(packet->options,
		    packet->options_len),
		.time_ns = packet->time_ns,
		.seq = cp->seq,
	};
	batch->wanted += len;
	return true;
}

void
pb_batch_drop(struct pb_batch *batch, size_t count)
{
	for (size_t i = 0; i < count; i++)
		batch->wanted -= batch->packet[i].len;
	batch->count -= count;
	memmove(batch->packet, batch->packet + count,
	    batch->count * sizeof(*batch->packet));
}

bool
pb_batch_copy(struct pb_batch *batch)
{
	uint8_t *to;

	if (batch->wanted > batch->copy.room && !make_room(batch))
		return false;
	to = batch->copy.data + batch->copied_bytes;
	for (; batch->copied < batch->count; batch->copied++) {
		struct pb_batch_packet *packet = &batch->packet[batch->copied];

		memcpy(to, packet->block, packet->len);
		packet->block = to;
		to += packet->len;
	}
	batch->copied_bytes = batch->wanted;
	return true;
}

bool
pb_batch_keep(struct pb_batch *batch, struct pb_bytes *bytes)
{
	struct pb_bytes spare = batch->read;

	if (batch->wanted - batch->copied_bytes < bytes->room / COPY_PART) {
		free(spare.data);
		batch->read = (struct pb_bytes){ 0 };
		return pb_batch_copy(batch);
	}
	batch->read = *bytes;
	*bytes = spare;
	return true;
}

size_t
pb_batch_memory(const struct pb_batch *batch)
{
	return sizeof(*batch) + batch->cap * sizeof(*batch->packet) +
	    batch->copy.room + batch->read.room;
}

int
pb_run_packet(const struct pb_run *run, size_t *at,
    struct pb_cursor_packet *out, struct pb_err *err)
{
	struct pb_block block;

	if (*at == run->len)
		return 0;
	if (pb_scan_block(run->blocks + *at, run->len - *at, &block) != 1 ||
	    pb_scan_epb(&block, &out->packet) < 0 ||
	    !pb_packet_seq(&out->packet, &out->seq))
		return pb_err_set(err, PB_EFORMAT, "stream %s/%s: a block "
		    "near packet %llu is none",
		    run->head->identity.node[0].name,
		    run->head->identity.interface,
		    (unsigned long long)run->last_seq);
	out->head = run->head;
	out->verdict = PB_VERDICT_ALL;
	*at += block.len;
	return 1;
}

/* What has been copied moves, and has room for as much again. */
static bool
make_room(struct pb_batch *batch)
{
	size_t room = batch->wanted + batch->copied_bytes;
	uint8_t *data = malloc(room), *to = data;

	if (data == NULL)
		return false;
	for (size_t i = 0; i < batch->copied; i++) {
		memcpy(to, batch->packet[i].block, batch->packet[i].len);
		batch->packet[i].block = to;
		to += batch->packet[i].len;
	}
	free(batch->copy.data);
	batch->copy = (struct pb_bytes){ .data = data, .room = room };
	return true;
}
