/*
 * cli/import/importer.c - the events of one capture file, as chunks of streams
 *
 * Memory stays within named bounds whatever the file says: interfaces per
 * section (the reader's), bytes of their options, bytes in the chunks that
 * are being filled.
 */
#include "cli/import/importer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "cli/import/import_stream.h"
#include "cli/import/import_turn.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"

struct pb_importer {
	struct pb_importer_opts opts;
	struct pb_import_result result;
	/* this section */
	struct pb_buf	 shb;		/* its options */
	struct pb_import_stream *stream;	/* by interface id */
	uint32_t	 streams;
	size_t		 cap;
	size_t		 option_bytes;
	size_t		 chunk_bytes;	/* in chunks being filled */
	struct pb_buf	 waiting;	/* blocks before the next packet */
	uint64_t	 waiting_count;
	uint32_t	 last;		/* packet's interface, if any had one */
	bool		 any_packet;
	struct pb_buf	 scratch;	/* options of one block */
};

static int	take_section(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static int	take_interface(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static int	take_packet(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static int	keep_packet(struct pb_importer *, struct pb_import_stream *,
		    const struct pb_event *, struct pb_err *);
static int	next_chunk(struct pb_importer *, struct pb_import_stream *,
		    struct pb_err *);
static void	take_statistics(struct pb_importer *,
		    const struct pb_event *);
static void	take_block(struct pb_importer *, const struct pb_event *);
static bool	keeps(struct pb_importer *, const struct pb_event *);
static int	begin_stream(struct pb_importer *, struct pb_import_stream *,
		    const struct pb_event *, struct pb_err *);
static int	options_held(struct pb_importer *, size_t,
		    const struct pb_event *, struct pb_err *);
static int	give_fullest(struct pb_importer *, struct pb_err *);
static int	give(struct pb_importer *, struct pb_import_stream *,
		    struct pb_err *);
static int	end_section(struct pb_importer *, struct pb_err *);
static int	end_stream(struct pb_importer *, struct pb_import_stream *,
		    struct pb_err *);
static void	drop_section(struct pb_importer *);

int
pb_importer_create(struct pb_importer **out,
    const struct pb_importer_opts *opts, struct pb_err *err)
{
	struct pb_importer *importer = calloc(1, sizeof(*importer));

	*out = importer;
	if (importer == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to import");
	importer->opts = *opts;
	pb_buf_init(&importer->shb, PB_OPTIONS_BYTES_MAX);
	pb_buf_init(&importer->waiting, PB_IMPORT_WAITING_BYTES);
	pb_buf_init(&importer->scratch, PB_IMPORT_OPTIONS_BYTES);
	if (pb_buf_reserve(&importer->scratch,
	    PB_IMPORT_OPTIONS_BYTES) != NULL)
		return 0;
	pb_importer_destroy(importer);
	*out = NULL;
	return pb_err_set(err, PB_ENOMEM, "no memory to import");
}

void
pb_importer_destroy(struct pb_importer *importer)
{
	if (importer == NULL)
		return;
	drop_section(importer);
	free(importer->stream);
	pb_buf_finish(&importer->shb);
	pb_buf_finish(&importer->waiting);
	pb_buf_finish(&importer->scratch);
	free(importer);
}

int
pb_importer_event(struct pb_importer *importer, const struct pb_event *event,
    struct pb_err *err)
{
	switch (event->kind) {
	case PB_EVENT_SECTION:
		return take_section(importer, event, err);
	case PB_EVENT_INTERFACE:
		return take_interface(importer, event, err);
	case PB_EVENT_PACKET:
		return take_packet(importer, event, err);
	/* What these say may be left out, and is never refused. */
	case PB_EVENT_STATISTICS:
		if (importer->opts.take != NULL)
			take_statistics(importer, event);
		return 0;
	case PB_EVENT_BLOCK:
		if (importer->opts.take != NULL)
			take_block(importer, event);
		return 0;
	}
	return 0;
}

int
pb_importer_end(struct pb_importer *importer, struct pb_err *err)
{
	return end_section(importer, err);
}

void
pb_importer_result(const struct pb_importer *importer,
    struct pb_import_result *out)
{
	*out = importer->result;
}

static int
take_section(struct pb_importer *importer, const struct pb_event *event,
    struct pb_err *err)
{
	int rc = end_section(importer, err);

	if (rc < 0)
		return rc;
	pb_buf_clear(&importer->shb);
	if (pb_buf_put(&importer->shb, event->packet.options,
	    event->packet.options_len) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory for a section");
	return 0;
}

static int
take_interface(struct pb_importer *importer, const struct pb_event *event,
    struct pb_err *err)
{
	int rc;

	if (!PB_LIST_ROOM(importer->stream, importer->cap, importer->streams))
		return pb_err_set(err, PB_ENOMEM,
		    "no memory for an interface");
	rc = options_held(importer, event->packet.options_len, event, err);
	if (rc < 0)
		return rc;
	/* Only the header of a classic pcap has no offset of its own. */
	rc = pb_import_stream_init(&importer->stream[importer->streams],
	    event, event->offset == 0, err);
	importer->streams++;
	importer->result.interfaces++;
	return rc;
}

static int
take_packet(struct pb_importer *importer, const struct pb_event *event,
    struct pb_err *err)
{
	struct pb_import_stream *stream = &importer->stream[event->interface];
	int rc = 0;

	if (stream->head == NULL)
		rc = begin_stream(importer, stream, event, err);
	if (rc < 0)
		return rc;
	importer->result.packets++;
	stream->seq++;
	if (importer->opts.take == NULL && pb_import_options_few(event))
		return 0;
	rc = pb_import_packet_options(&importer->scratch, event, stream->seq,
	    importer->opts.pen, err);
	if (rc == 0 && importer->opts.take != NULL)
		rc = keep_packet(importer, stream, event, err);
	return rc;
}

/* The packet, its options in `scratch`, and what waits for it. */
static int
keep_packet(struct pb_importer *importer, struct pb_import_stream *stream,
    const struct pb_event *event, struct pb_err *err)
{
	size_t before;
	int rc = 0;

	if (stream->chunk == NULL || !pb_import_stream_room(stream, event,
	    importer->scratch.len, &importer->waiting))
		rc = next_chunk(importer, stream, err);
	if (rc < 0)
		return rc;
	before = stream->chunk->len;
	pb_import_stream_packet(stream, event, &importer->scratch,
	    &importer->waiting);
	importer->chunk_bytes += stream->chunk->len - before;
	importer->last = event->interface;
	importer->any_packet = true;
	pb_buf_clear(&importer->waiting);
	importer->waiting_count = 0;
	while (rc == 0 && importer->chunk_bytes > PB_IMPORT_CHUNKS_BYTES_MAX)
		rc = give_fullest(importer, err);
	return rc;
}

static int
next_chunk(struct pb_importer *importer, struct pb_import_stream *stream,
    struct pb_err *err)
{
	struct pb_chunk *chunk;
	int rc = give(importer, stream, err);

	if (rc == 0)
		rc = importer->opts.take(importer->opts.arg, &chunk, err);
	if (rc == 0)
		pb_import_stream_fill(stream, chunk);
	return rc;
}

static void
take_statistics(struct pb_importer *importer, const struct pb_event *event)
{
	struct pb_option filler;

	if (!pb_own_find(event->packet.options, event->packet.options_len,
	    PB_OWN_FILLER, &filler) && !pb_import_stream_statistics(
	    &importer->stream[event->interface], event, &importer->scratch))
		importer->result.left_out.stray++;
}

static void
take_block(struct pb_importer *importer, const struct pb_event *event)
{
	struct pb_buf *waiting = &importer->waiting;

	if (!keeps(importer, event))
		return;
	if (event->block_len > waiting->max - waiting->len)
		importer->result.left_out.stray++;
	else if (event->swapped && !pb_import_turn(event, waiting))
		importer->result.left_out.swapped++;
	else if (!event->swapped && pb_buf_put(waiting, event->block,
	    event->block_len) < 0)
		importer->result.left_out.stray++;
	else
		importer->waiting_count++;
}

/* Counts a block that is left out for what it is. */
static bool
keeps(struct pb_importer *importer, const struct pb_event *event)
{
	struct pb_import_left_out *left = &importer->result.left_out;

	switch (event->block_type) {
	case PB_BLOCK_CB:
	case PB_BLOCK_CB_NOCOPY:
		left->custom++;
		return false;
	case PB_BLOCK_DSB:
		left->secrets += !importer->opts.secrets;
		return importer->opts.secrets;
	default:
		return true;
	}
}

static int
begin_stream(struct pb_importer *importer, struct pb_import_stream *stream,
    const struct pb_event *event, struct pb_err *err)
{
	int rc = options_held(importer, importer->shb.len, event, err);

	if (rc == 0)
		rc = pb_import_stream_begin(stream, &importer->opts,
		    importer->result.streams, &importer->shb, err);
	if (rc == PB_ELIMIT || rc == PB_EFORMAT)
		return pb_err_prefix(err, rc, "offset %" PRIu64, event->offset);
	if (rc == 0)
		importer->result.streams++;
	return rc;
}

static int
options_held(struct pb_importer *importer, size_t bytes,
    const struct pb_event *event, struct pb_err *err)
{
	importer->option_bytes += bytes;
	if (importer->option_bytes <= PB_IMPORT_OPTIONS_BYTES_MAX)
		return 0;
	return pb_err_set(err, PB_ELIMIT, "offset %" PRIu64 ": the options of "
	    "the section's interfaces take more than %u MiB together",
	    event->offset, PB_IMPORT_OPTIONS_BYTES_MAX >> 20);
}

/* But for its last packet, where it has more: statistics may follow. */
static int
give_fullest(struct pb_importer *importer, struct pb_err *err)
{
	struct pb_import_stream *fullest = NULL;
	struct pb_chunk *full, *next;
	int rc;

	for (uint32_t i = 0; i < importer->streams; i++) {
		struct pb_import_stream *stream = &importer->stream[i];

		if (stream->chunk != NULL && (fullest == NULL ||
		    stream->chunk->len > fullest->chunk->len))
			fullest = stream;
	}
	assert(fullest != NULL);	/* some chunk has the bytes */
	full = fullest->chunk;
	if (full->tally.packets == 1)
		return give(importer, fullest, err);
	rc = importer->opts.take(importer->opts.arg, &next, err);
	if (rc < 0)
		return rc;
	pb_import_stream_split(fullest, next);
	importer->chunk_bytes -= full->len;
	return importer->opts.give(importer->opts.arg, &fullest->key, full,
	    err);
}

static int
give(struct pb_importer *importer, struct pb_import_stream *stream,
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

/* Blocks that no packet follows stay with the last packet there was. */
static int
end_section(struct pb_importer *importer, struct pb_err *err)
{
	uint64_t *stray = &importer->result.left_out.stray;
	int rc = 0;

	if (importer->waiting_count > 0 && (!importer->any_packet ||
	    !pb_import_stream_tail(&importer->stream[importer->last],
	    &importer->waiting)))
		*stray += importer->waiting_count;
	for (uint32_t i = 0; i < importer->streams && rc == 0; i++)
		rc = end_stream(importer, &importer->stream[i], err);
	drop_section(importer);
	return rc;
}

static int
end_stream(struct pb_importer *importer, struct pb_import_stream *stream,
    struct pb_err *err)
{
	int rc;

	if (!pb_import_stream_tail(stream, &stream->statistics))
		importer->result.left_out.stray += stream->statistics_count;
	if (stream->head == NULL)
		return 0;
	rc = give(importer, stream, err);
	if (rc == 0 && importer->opts.stream != NULL)
		rc = importer->opts.stream(importer->opts.arg, &stream->key,
		    stream->seq, err);
	return rc;
}

static void
drop_section(struct pb_importer *importer)
{
	for (uint32_t i = 0; i < importer->streams; i++)
		pb_import_stream_finish(&importer->stream[i]);
	importer->streams = 0;
	importer->option_bytes = 0;
	importer->chunk_bytes = 0;
	importer->any_packet = false;
	pb_buf_clear(&importer->waiting);
	importer->waiting_count = 0;
}
