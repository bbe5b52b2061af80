/*
 * recorder/query/talks.c - the conversations of the packets of a search
 *
 * A row of a flow table is a packet as well: the bytes that all of its packets
 * share.  Who talks to whom stands in them.
 */
#include "recorder/query/talks.h"

#include <string.h>

#include "recorder/flow/flows.h"
#include "recorder/flow/table.h"

struct talks {
	struct pb_conversations *out;
	uint32_t	 stream;
	uint16_t	 linktype;
	bool		 begun;		/* a stream was */
};

/* What is known of a shape's rows, by columns. */
struct rows {
	const uint8_t	*ones[PB_FLOW_BYTES], *unknown[PB_FLOW_BYTES];
	size_t		 stride[PB_FLOW_BYTES];
};

static int	begin(void *, size_t, const struct pb_stream_info *);
static int	packet(void *, const struct pb_cursor_packet *,
		    struct pb_err *);
static int	sure(void *, struct pb_flow_table *, size_t, uint8_t *,
		    uint64_t *, struct pb_err *);
static int	find_columns(struct rows *, struct pb_flow_table *, size_t,
		    struct pb_err *);
static bool	key_of_row(struct pb_flow_key *, const struct rows *,
		    uint32_t, const struct pb_flow_table_row *,
		    const struct pb_flow_key *);

int
pb_talks_gather(struct pb_search *search, struct pb_conversations *out,
    struct pb_err *err)
{
	struct talks talks = { .out = out };
	const struct pb_search_each each = {
		.begin = begin,
		.packet = packet,
		.sure = sure,
		.arg = &talks,
	};

	return pb_search_each(search, &each, err);
}

static int
begin(void *arg, size_t input, const struct pb_stream_info *info)
{
	struct talks *talks = arg;

	/* Anew: */
	if (talks->begun && talks->stream == input)
		pb_conversations_forget(talks->out, talks->stream);
	talks->begun = true;
	talks->stream = (uint32_t)input;
	talks->linktype = info->linktype;
	return 0;
}

static int
packet(void *arg, const struct pb_cursor_packet *cp, struct pb_err *err)
{
	struct talks *talks = arg;
	uint8_t bytes[PB_FLOW_BYTES + PB_FLOW_BEHIND] = { 0 };
	size_t len = cp->packet.caplen < PB_FLOW_BYTES ? cp->packet.caplen :
	    PB_FLOW_BYTES;
	struct pb_talk talk = {
		.stream = talks->stream,
		.packets = 1,
		.bytes = cp->packet.origlen,
		.first_time = cp->packet.time_ns,
		.last_time = cp->packet.time_ns,
	};
	struct pb_flow_key key;

	if (len > 0)
		memcpy(bytes, cp->packet.data, len);
	pb_flow_key(&key, talks->linktype, bytes, len);
	return pb_conversations_add(talks->out, &key, &talk, err);
}

static int
sure(void *arg, struct pb_flow_table *table, size_t shape,
    uint8_t *verdict, uint64_t *counted, struct pb_err *err)
{
	const struct pb_flow_table_shape *s = pb_flow_table_shape(table, shape);
	const struct pb_flow_table_row *row = NULL;
	struct talks *talks = arg;
	struct pb_flow_key key;
	struct pb_talk talk;
	struct rows rows;
	int rc = find_columns(&rows, table, shape, err);

	if (rc == 0)
		rc = pb_flow_table_rows(table, shape, &row, err);
	for (uint32_t i = 0; i < s->rows && rc == 0; i++) {
		if (verdict[i] != PB_VERDICT_ALL || !key_of_row(&key, &rows, i,
		    &row[i], &s->key))
			continue;
		talk = (struct pb_talk){ talks->stream, row[i].packets,
		    row[i].bytes, row[i].first_time, row[i].last_time };
		rc = pb_conversations_add(talks->out, &key, &talk, err);
		verdict[i] = PB_VERDICT_NONE;
		*counted += row[i].packets;
	}
	return rc;
}

static int
find_columns(struct rows *rows, struct pb_flow_table *table, size_t shape,
    struct pb_err *err)
{
	struct pb_flow_table_column column;
	int rc;

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
		rc = pb_flow_table_column(table, shape, at, &column, err);
		if (rc < 0)
			return rc;
		rows->ones[at] = column.ones;
		rows->unknown[at] = column.unknown;
		rows->stride[at] = column.stride;
	}
	return 0;
}

/*
 * False where its bytes do not lead to a key of its shape, or to another one
 * with what is not known of them: flows are told apart by a hash, and where two
 * had the same one they differ there.
 */
static bool
key_of_row(struct pb_flow_key *out, const struct rows *rows, uint32_t i,
    const struct pb_flow_table_row *row, const struct pb_flow_key *shape)
{
	uint8_t bytes[PB_FLOW_BYTES + PB_FLOW_BEHIND] = { 0 };
	uint8_t other[PB_FLOW_BYTES + PB_FLOW_BEHIND] = { 0 };
	size_t len = row->caplen_min < PB_FLOW_BYTES ? row->caplen_min :
	    PB_FLOW_BYTES;
	struct pb_flow_key its;

	for (size_t at = 0; at < len; at++) {
		size_t k = i * rows->stride[at];

		bytes[at] = rows->ones[at][k];
		other[at] = bytes[at] | rows->unknown[at][k];
	}
	pb_flow_key(out, shape->linktype, bytes, len);
	pb_flow_key(&its, shape->linktype, other, len);
	return memcmp(out, shape, PB_FLOW_SHAPE_BYTES) == 0 &&
	    pb_flow_same(out, &its);
}
