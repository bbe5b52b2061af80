/*
 * recorder/store/chunk.c - the unit in which packets reach the writer
 */
#include <stdlib.h>
#include <string.h>

#include "recorder/store/segment.h"
#include "recorder/store/store.h"

struct pb_chunk *
pb_chunk_create(void)
{
	struct pb_chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	/* Behind the capacity lies room for the writer's filler block. */
	chunk->data = aligned_alloc(PB_PAGE_BYTES,
	    PB_CHUNK_BYTES + 4 * PB_PAGE_BYTES);
	if (chunk->data == NULL) {
		free(chunk);
		return NULL;
	}
	chunk->cap = PB_CHUNK_BYTES;
	return chunk;
}

void
pb_chunk_destroy(struct pb_chunk *chunk)
{
	if (chunk == NULL)
		return;
	pb_head_unref(chunk->head);
	free(chunk->data);
	free(chunk);
}

void
pb_chunk_reset(struct pb_chunk *chunk)
{
	pb_head_unref(chunk->head);
	chunk->stream = NULL;
	chunk->head = NULL;
	chunk->len = 0;
	chunk->first_seq = 0;
	chunk->last_seq = 0;
	chunk->packets = 0;
	chunk->packet_bytes = 0;
	chunk->first_time = 0;
	chunk->last_time = 0;
	chunk->drops = 0;
	chunk->next = NULL;
	chunk->gap = (enum pb_gap_reason)0;
}
