/*
 * recorder/flow/table/places.c - which packets are whose
 *
 * Packets are sorted by their row by counting.  Of a row stand the number of
 * its first packet, against that of the row before, and how many others lie
 * between each two of its packets.  Of rows with one packet, that is all.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table/encode.h"

static bool	make_room(struct places *, uint32_t, uint32_t);
static uint8_t	*group_put(uint8_t *, uint8_t *, const struct places *,
		    const struct shape_rows *, uint32_t);
static uint8_t	*run_put(uint8_t *, const uint32_t *, uint32_t);

int
places_make(struct places *places, const struct rows *rows,
    struct pb_err *err)
{
	const struct pb_flows *flows = rows->flows;
	uint32_t *next, sum = 0;

	if ((places->packet == NULL ||
	    flows->packets > places->packets_room ||
	    rows->rows > places->rows_room) &&
	    !make_room(places, flows->packets, rows->room))
		return pb_err_set(err, PB_ENOMEM, "no memory for the places "
		    "of a flow table");
	/* Where the next of row i goes stands in start[i + 1], so that at the
	 * end row i ends there. */
	next = places->start + 1;
	places->start[0] = 0;
	for (uint32_t i = 0; i < rows->rows; i++) {
		next[i] = sum;
		sum += (uint32_t)rows->row[i].packets;
	}
	for (uint32_t i = 0; i < flows->packets; i++)
		places->packet[next[rows->row_of[flows->of[i]]]++] = i;
	return 0;
}

void
places_finish(struct places *places)
{
	free(places->packet);
	free(places->start);
	places->packet = places->start = NULL;
	places->packets_room = places->rows_room = 0;
}

/* What was there is of no use any more. */
static bool
make_room(struct places *places, uint32_t packets, uint32_t rows)
{
	places_finish(places);
	places->packet = malloc((packets + 1) * sizeof(uint32_t));
	places->start = malloc((rows + 2) * sizeof(uint32_t));
	if (places->packet == NULL || places->start == NULL) {
		places_finish(places);
		return false;
	}
	places->packets_room = packets;
	places->rows_room = rows;
	return true;
}

void
places_put(struct pb_buf *heads, struct pb_buf *out,
    const struct places *places, const struct shape_rows *shape)
{
	uint32_t groups = (shape->rows + GROUP_ROWS - 1) / GROUP_ROWS;
	const uint32_t *start = places->start + shape->row;
	size_t packets = start[shape->rows] - start[0];
	size_t room = (packets + 2 * (size_t)shape->rows) * VARINT_BYTES_MAX;
	uint8_t *begin, *at, *end, *scratch, *head;

	/* The runs of a group are made behind all that is there at most. */
	begin = pb_buf_reserve(out, room + packets * VARINT_BYTES_MAX);
	head = pb_buf_reserve(heads, (size_t)groups * GROUP_BYTES);
	if (begin == NULL || head == NULL)
		return;
	scratch = begin + room;
	at = begin;
	for (uint32_t group = 0; group < groups; group++, at = end) {
		end = group_put(at, scratch, places, shape,
		    group * GROUP_ROWS);
		pb_put_le32(head + GROUP_AT, (uint32_t)(at - begin));
		pb_put_le32(head + GROUP_DIGEST, (uint32_t)pb_digest(at,
		    (size_t)(end - at)));
		head += GROUP_BYTES;
	}
	heads->len += (size_t)groups * GROUP_BYTES;
	out->len += (size_t)(at - begin);
}

/* Of each row how many packets there are behind the first, and that one; then
 * the runs of the others. */
static uint8_t *
group_put(uint8_t *at, uint8_t *scratch, const struct places *places,
    const struct shape_rows *shape, uint32_t row)
{
	const uint32_t *start = places->start + shape->row;
	uint32_t end_row = row + GROUP_ROWS, before = 0;
	uint8_t *run = scratch;

	for (; row < end_row && row < shape->rows; row++) {
		const uint32_t *packet = places->packet + start[row];
		uint32_t more = start[row + 1] - start[row] - 1;

		if (row < shape->many)
			at = varint_put(at, more);
		at = varint_put(at, *packet - before);
		before = *packet;
		run = run_put(run, packet, more);
	}
	memcpy(at, scratch, (size_t)(run - scratch));
	return at + (run - scratch);
}

/* How many lie between each two. */
static uint8_t *
run_put(uint8_t *at, const uint32_t *packet, uint32_t more)
{
	uint32_t between[RUN_PACKETS];

	for (uint32_t now; more > 0; more -= now, packet += now) {
		uint32_t any = 0;

		now = more < RUN_PACKETS ? more : RUN_PACKETS;
		for (uint32_t i = 0; i < now; i++)
			any |= between[i] = packet[i + 1] - packet[i] - 1;
		*at++ = (uint8_t)bits_of_all(any);
		at = bits_put(at, between, now, bits_of_all(any));
	}
	return at;
}
