/*
 * cli/import/importer.c - the events of one capture file, as chunks of streams
 *
 *	described --(first packet)--> begun --(chunk full)--> given, begun
 *
 * Until its first packet an interface is its options; then it is a stream:
 * it has a key with a fresh epoch and a head, and fills one chunk after the
 * other.
 *
 * Memory stays within named bounds whatever the file says: interfaces per
 * section (the reader's), bytes of their options, bytes in the chunks that
 * are being filled.
 */
#include "cli/import/importer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/list.h"
#include "cli/import/import_turn.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "pcapng/ticks.h"
#include "recorder/query/trailing.h"

static int	take_section(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static int	take_interface(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static int	take_packet(struct pb_importer *, const struct pb_event *,
		    struct pb_err *);
static void	take_statistics(struct pb_importer *,
		    const struct pb_event *);
static void	take_block(struct pb_importer *, const struct pb_event *);
static bool	keeps(struct pb_importer *, const struct pb_event *);

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
	pb_buf_init(&importer->waiting.blocks, WAITING_BYTES);
	pb_buf_init(&importer->scratch, OPTIONS_BYTES);
	if (pb_buf_reserve(&importer->scratch, OPTIONS_BYTES) != NULL)
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
	importer_drop_section(importer);
	free(importer->stream);
	pb_buf_finish(&importer->shb);
	pb_buf_finish(&importer->waiting.blocks);
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

/* Of a section as well.  Blocks that no packet follows stay with the last
 * packet there was. */
int
pb_importer_end(struct pb_importer *importer, struct pb_err *err)
{
	int rc = 0;

	importer_put_tail(importer, importer->any_packet ?
	    importer->stream[importer->last].chunk : NULL,
	    &importer->waiting);
	for (uint32_t i = 0; i < importer->streams && rc == 0; i++)
		rc = importer_end_stream(importer, &importer->stream[i], err);
	importer_drop_section(importer);
	return rc;
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
	int rc = pb_importer_end(importer, err);

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
	const struct pb_packet *of = &event->packet;
	struct import_stream *stream;
	int rc;

	if (!PB_LIST_ROOM(importer->stream, importer->cap, importer->streams))
		return pb_err_set(err, PB_ENOMEM,
		    "no memory for an interface");
	rc = importer_options_held(importer, of->options_len, event, err);
	if (rc < 0)
		return rc;
	stream = &importer->stream[importer->streams++];
	importer->result.interfaces++;
	memset(stream, 0, sizeof(*stream));
	stream->id = event->interface;
	stream->linktype = event->linktype;
	/* Only the header of a classic pcap has no offset of its own. */
	stream->classic = event->offset == 0;
	pb_buf_init(&stream->idb, PB_OPTIONS_BYTES_MAX +
	    PB_OPTION_BYTES(PB_IFNAME_BYTES_MAX) + TRAILERS_BYTES);
	pb_buf_init(&stream->statistics.blocks, STATISTICS_BYTES);
	/* The reader took it, too. */
	(void)pb_ticks_read(&stream->clock, of->options, of->options_len,
	    NULL);
	if (importer->opts.trailers != NULL &&
	    stream->linktype == PB_LINKTYPE_ETHERNET)
		(void)pb_trailing_options(&stream->idb, of->options,
		    of->options_len, importer->opts.trailers,
		    importer->opts.pen);
	else
		pb_buf_put(&stream->idb, of->options, of->options_len);
	return stream->idb.failed ? pb_err_set(err, PB_ENOMEM, "no memory to "
	    "import packets") : 0;
}

static int
take_packet(struct pb_importer *importer, const struct pb_event *event,
    struct pb_err *err)
{
	struct import_stream *stream = &importer->stream[event->interface];
	int rc = 0;

	if (stream->head == NULL)
		rc = importer_begin_stream(importer, stream, event, err);
	if (rc < 0)
		return rc;
	importer->result.packets++;
	stream->seq++;
	if (importer->opts.take == NULL && event->packet.options_len <=
	    PB_OPTIONS_BYTES_MAX - OPTIONS_GROWTH)
		return 0;
	rc = importer_packet_options(importer, event, stream->seq, err);
	if (rc == 0 && importer->opts.take != NULL)
		rc = importer_keep_packet(importer, stream, event, err);
	return rc;
}

/* An ISB, in nanoseconds. */
static void
take_statistics(struct pb_importer *importer, const struct pb_event *event)
{
	struct import_stream *stream = &importer->stream[event->interface];
	struct pb_buf *options = &importer->scratch;
	struct pb_buf *blocks = &stream->statistics.blocks;
	size_t before = blocks->len;
	struct pb_option own;

	/* Neither says a thing of the stream that they are read into. */
	if (pb_own_find(event->packet.options, event->packet.options_len,
	    PB_OWN_FILLER, &own) || pb_own_find(event->packet.options,
	    event->packet.options_len, PB_OWN_FILTERED, &own))
		return;
	if (importer_statistics_options(stream, options, &event->packet) &&
	    blocks->max - blocks->len >= options->len + 32 &&
	    pb_build_isb(blocks, 0, event->packet.time_ns, options->data,
	    options->len) == 0) {
		stream->statistics.count++;
		return;
	}
	blocks->len = before;
	blocks->failed = false;
	importer->result.left_out.stray++;
}

static void
take_block(struct pb_importer *importer, const struct pb_event *event)
{
	struct pb_import_left_out *left = &importer->result.left_out;
	struct pb_buf *blocks = &importer->waiting.blocks;

	if (!keeps(importer, event))
		return;
	if (event->block_len > blocks->max - blocks->len)
		left->stray++;
	else if (event->swapped && !pb_import_turn(event, blocks))
		left->swapped++;
	else if (!event->swapped && pb_buf_put(blocks, event->block,
	    event->block_len) < 0)
		left->stray++;
	else
		importer->waiting.count++;
	blocks->failed = false;
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
