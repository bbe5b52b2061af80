/*
 * cli/import/importer_chunks.c - packets of a capture file into chunks
 */
#include "cli/import/importer_impl.h"

#include <assert.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/store/write/fill.h"

static void	put_waiting(struct pb_chunk *, struct import_waiting *);
static int	next_chunk(struct pb_importer *, struct import_stream *,
		    struct pb_err *);
static void	fill(struct import_stream *, struct pb_chunk *);
static int	give_fullest(struct pb_importer *, struct pb_err *);
static void	split(struct import_stream *, struct pb_chunk *);

/*
 * Into `scratch`: all options as they are, but for the packet's number, which
 * is ours, and hop records, whose nodes nobody knows any more.
 */
int
importer_packet_options(struct pb_importer *importer,
    const struct pb_event *event, uint64_t seq, struct pb_err *err)
{
	struct pb_buf *options = &importer->scratch;
	uint8_t *at = options->data;
	struct pb_option option;

	pb_buf_clear(options);
	at = pb_option_at_u64(at, PB_OPT_EPB_PACKETID, seq);
	PB_OPTION_EACH(option, event->packet.options,
	    event->packet.options_len)
		if (option.code != PB_OPT_EPB_PACKETID &&
		    !pb_own_option(&option, PB_OWN_HOPS))
			at = pb_option_at(at, option.code, option.value,
			    option.len);
	options->len = (size_t)(at - options->data);
	if (!event->has_time)
		pb_untimed_put(options, importer->opts.pen);
	if (options->len <= PB_OPTIONS_BYTES_MAX)
		return 0;
	return pb_err_set(err, PB_ELIMIT, "offset %" PRIu64
	    ": the packet's options take %zu bytes with its number; "
	    "%u can be kept", event->offset, options->len,
	    PB_OPTIONS_BYTES_MAX);
}

/* The packet, its options in `scratch`, behind what waits for it. */
int
importer_keep_packet(struct pb_importer *importer, struct import_stream *stream,
    const struct pb_event *event, struct pb_err *err)
{
	struct pb_packet packet = event->packet;
	size_t before, bytes;
	int rc = 0;

	packet.options = importer->scratch.data;
	packet.options_len = importer->scratch.len;
	if (!event->has_time)
		packet.time_ns = 0;
	bytes = stream->statistics.blocks.len + importer->waiting.blocks.len +
	    pb_epb_bytes(packet.caplen, packet.options_len);
	if (stream->chunk == NULL || stream->chunk->len + bytes >
	    stream->chunk->cap - TAIL_BYTES)
		rc = next_chunk(importer, stream, err);
	if (rc < 0)
		return rc;
	before = stream->chunk->len;
	put_waiting(stream->chunk, &stream->statistics);
	put_waiting(stream->chunk, &importer->waiting);
	stream->last = stream->chunk->len;
	pb_fill_epb(stream->chunk, stream->seq, &packet);
	importer->chunk_bytes += stream->chunk->len - before;
	importer->last = event->interface;
	importer->any_packet = true;
	while (rc == 0 && importer->chunk_bytes > PB_IMPORT_CHUNKS_BYTES_MAX)
		rc = give_fullest(importer, err);
	return rc;
}

static void
put_waiting(struct pb_chunk *chunk, struct import_waiting *waiting)
{
	if (waiting->count == 0)
		return;
	pb_fill_blocks(chunk, waiting->blocks.data, waiting->blocks.len);
	pb_buf_clear(&waiting->blocks);
	waiting->count = 0;
}

/* Behind the last packet, where that is in a chunk still and there is room. */
void
importer_put_tail(struct pb_importer *importer, struct pb_chunk *chunk,
    struct import_waiting *waiting)
{
	if (chunk == NULL || waiting->blocks.len > pb_fill_room(chunk))
		importer->result.left_out.stray += waiting->count;
	else
		put_waiting(chunk, waiting);
}

/*
 * Start and end times count in the interface's resolution, high word
 * first; the stored interface counts in nanoseconds.
 */
bool
importer_statistics_options(const struct import_stream *stream,
    struct pb_buf *out, const struct pb_packet *block)
{
	struct pb_option option;
	uint8_t value[8];
	uint64_t ns;

	pb_buf_clear(out);
	PB_OPTION_EACH(option, block->options, block->options_len) {
		if ((option.code != PB_OPT_ISB_STARTTIME &&
		    option.code != PB_OPT_ISB_ENDTIME) || option.len != 8) {
			pb_option_put(out, option.code, option.value,
			    option.len);
			continue;
		}
		ns = (uint64_t)pb_get_le32(option.value) << 32 |
		    pb_get_le32(option.value + 4);
		if (!pb_ticks_ns(&stream->clock, ns, &ns))
			continue;
		pb_put_le32(value, (uint32_t)(ns >> 32));
		pb_put_le32(value + 4, (uint32_t)ns);
		pb_option_put(out, option.code, value, sizeof(value));
	}
	return !out->failed;
}

static int
next_chunk(struct pb_importer *importer, struct import_stream *stream,
    struct pb_err *err)
{
	struct pb_chunk *chunk;
	int rc = importer_give(importer, stream, err);

	if (rc == 0)
		rc = importer->opts.take(importer->opts.arg, &chunk, err);
	if (rc == 0)
		fill(stream, chunk);
	return rc;
}

/* From now on it fills this chunk, which is empty. */
static void
fill(struct import_stream *stream, struct pb_chunk *chunk)
{
	stream->chunk = chunk;
	chunk->head = pb_head_ref(stream->head);
}

/* But for its last packet, where it has more: statistics may follow. */
static int
give_fullest(struct pb_importer *importer, struct pb_err *err)
{
	struct import_stream *fullest = NULL;
	struct pb_chunk *full, *next;
	int rc;

	for (uint32_t i = 0; i < importer->streams; i++) {
		struct import_stream *stream = &importer->stream[i];

		if (stream->chunk != NULL && (fullest == NULL ||
		    stream->chunk->len > fullest->chunk->len))
			fullest = stream;
	}
	assert(fullest != NULL);	/* some chunk has the bytes */
	full = fullest->chunk;
	if (full->tally.packets == 1)
		return importer_give(importer, fullest, err);
	rc = importer->opts.take(importer->opts.arg, &next, err);
	if (rc < 0)
		return rc;
	split(fullest, next);
	importer->chunk_bytes -= full->len;
	return importer->opts.give(importer->opts.arg, &fullest->key, full,
	    err);
}

/* The last of several packets of its chunk moves to `next`, so that blocks
 * behind it find it there. */
static void
split(struct import_stream *stream, struct pb_chunk *next)
{
	struct pb_chunk *full = stream->chunk;
	size_t before = stream->last;
	struct pb_packet packet;
	struct pb_block block;

	/* Our own blocks are whole. */
	(void)pb_scan_block(full->data + before, full->len - before, &block);
	(void)pb_scan_epb(&block, &packet);
	fill(stream, next);
	stream->last = stream->chunk->len;
	pb_fill_epb(stream->chunk, stream->seq, &packet);
	pb_fill_again(full, before);
}

int
importer_give(struct pb_importer *importer, struct import_stream *stream,
    struct pb_err *err)
{
	struct pb_chunk *chunk = stream->chunk;

	if (chunk == NULL)
		return 0;
	stream->chunk = NULL;
	importer->chunk_bytes -= chunk->len;
	return importer->opts.give(importer->opts.arg, &stream->key, chunk,
	    err);
}
