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
#include "cli/import/importer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/import/import_turn.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "pcapng/ticks.h"
#include "recorder/query/trailing.h"
#include "recorder/store/write/fill.h"

/* Of a chunk, kept free for blocks that come behind the last packet. */
#define TAIL_BYTES	(64u << 10)
/* Blocks that wait for a packet: the section's, and the interface's own
 * statistics.  With them the largest packet still fits an empty chunk. */
#define WAITING_BYTES	(256u << 10)
#define STATISTICS_BYTES (64u << 10)
/* What a packet's options grow by: epb_packetid, and the untimed mark, which
 * is a PEN and four octets. */
#define OPTIONS_GROWTH	(PB_OPTION_BYTES(8) + PB_OPTION_BYTES(8))
/* What the list of an interface's trailers takes. */
#define TRAILERS_BYTES	(PB_OPTION_BYTES(PB_INTERFACE_TEXT_MAX + 8u) + \
			    PB_OPTION_BYTES(1))
#define OPTIONS_BYTES	(PB_OPTIONS_BYTES_MAX + 256u)

_Static_assert(64u + PB_CAPLEN_MAX + PB_OPTIONS_BYTES_MAX +
    STATISTICS_BYTES + WAITING_BYTES + TAIL_BYTES <=
    PB_CHUNK_BYTES - PB_IMPORT_CHUNK_SPARE,
    "the largest packet fits an empty chunk, with all that waits");

struct waiting {		/* blocks before the next packet */
	struct pb_buf	 blocks;
	uint64_t	 count;
};

struct stream {			/* an interface of the section */
	uint32_t	 id;
	uint16_t	 linktype;
	bool		 classic;	/* of a classic pcap file */
	struct pb_buf	 idb;		/* options, until it has a head */
	struct pb_ticks	 clock;		/* of its own times */
	/* once begun */
	struct pb_stream_key key;
	struct pb_head	*head;		/* NULL: not begun */
	uint64_t	 seq;		/* of the last packet */
	struct pb_chunk	*chunk;		/* being filled, or NULL; borrowed */
	size_t		 last;		/* where its last packet's block is */
	struct waiting	 statistics;
};

struct pb_importer {
	struct pb_importer_opts opts;
	struct pb_import_result result;
	/* this section */
	struct pb_buf	 shb;		/* its options */
	struct stream	*stream;	/* by interface id */
	uint32_t	 streams;
	size_t		 cap;
	size_t		 option_bytes;
	size_t		 chunk_bytes;	/* in chunks being filled */
	struct waiting	 waiting;
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
static void	take_statistics(struct pb_importer *,
		    const struct pb_event *);
static void	take_block(struct pb_importer *, const struct pb_event *);
static bool	keeps(struct pb_importer *, const struct pb_event *);
/* Streams */
static int	begin_stream(struct pb_importer *, struct stream *,
		    const struct pb_event *, struct pb_err *);
static int	make_head(struct pb_importer *, struct stream *,
		    struct pb_err *);
static void	name_stream(const struct pb_importer *, struct stream *);
static int	options_held(struct pb_importer *, size_t,
		    const struct pb_event *, struct pb_err *);
static int	end_stream(struct pb_importer *, struct stream *,
		    struct pb_err *);
static void	drop_section(struct pb_importer *);
/* Chunks */
static int	packet_options(struct pb_importer *, const struct pb_event *,
		    uint64_t, struct pb_err *);
static int	keep_packet(struct pb_importer *, struct stream *,
		    const struct pb_event *, struct pb_err *);
static void	put_waiting(struct pb_chunk *, struct waiting *);
static void	put_tail(struct pb_importer *, struct pb_chunk *,
		    struct waiting *);
static bool	statistics_options(const struct stream *, struct pb_buf *,
		    const struct pb_packet *);
static int	next_chunk(struct pb_importer *, struct stream *,
		    struct pb_err *);
static void	fill(struct stream *, struct pb_chunk *);
static int	give_fullest(struct pb_importer *, struct pb_err *);
static void	split(struct stream *, struct pb_chunk *);
static int	give(struct pb_importer *, struct stream *, struct pb_err *);

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
	drop_section(importer);
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

	put_tail(importer, importer->any_packet ?
	    importer->stream[importer->last].chunk : NULL,
	    &importer->waiting);
	for (uint32_t i = 0; i < importer->streams && rc == 0; i++)
		rc = end_stream(importer, &importer->stream[i], err);
	drop_section(importer);
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
	struct stream *stream;
	int rc;

	if (!PB_LIST_ROOM(importer->stream, importer->cap, importer->streams))
		return pb_err_set(err, PB_ENOMEM,
		    "no memory for an interface");
	rc = options_held(importer, of->options_len, event, err);
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
	struct stream *stream = &importer->stream[event->interface];
	int rc = 0;

	if (stream->head == NULL)
		rc = begin_stream(importer, stream, event, err);
	if (rc < 0)
		return rc;
	importer->result.packets++;
	stream->seq++;
	if (importer->opts.take == NULL && event->packet.options_len <=
	    PB_OPTIONS_BYTES_MAX - OPTIONS_GROWTH)
		return 0;
	rc = packet_options(importer, event, stream->seq, err);
	if (rc == 0 && importer->opts.take != NULL)
		rc = keep_packet(importer, stream, event, err);
	return rc;
}

/* An ISB, in nanoseconds. */
static void
take_statistics(struct pb_importer *importer, const struct pb_event *event)
{
	struct stream *stream = &importer->stream[event->interface];
	struct pb_buf *options = &importer->scratch;
	struct pb_buf *blocks = &stream->statistics.blocks;
	size_t before = blocks->len;
	struct pb_option own;

	/* Neither says a thing of the stream that they are read into. */
	if (pb_own_find(event->packet.options, event->packet.options_len,
	    PB_OWN_FILLER, &own) || pb_own_find(event->packet.options,
	    event->packet.options_len, PB_OWN_FILTERED, &own))
		return;
	if (statistics_options(stream, options, &event->packet) &&
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

/* --- streams ------------------------------------------------------------- */

static int
begin_stream(struct pb_importer *importer, struct stream *stream,
    const struct pb_event *event, struct pb_err *err)
{
	int rc = options_held(importer, importer->shb.len, event, err);

	if (rc == 0)
		rc = make_head(importer, stream, err);
	if (rc == PB_ELIMIT || rc == PB_EFORMAT)
		return pb_err_prefix(err, rc, "offset %" PRIu64, event->offset);
	if (rc == 0)
		importer->result.streams++;
	return rc;
}

/* Its name, an epoch, its head. */
static int
make_head(struct pb_importer *importer, struct stream *stream,
    struct pb_err *err)
{
	const struct pb_buf *shb = &importer->shb;
	struct pb_identity identity = { .nodes = 1 };
	struct pb_option option;
	int rc;

	name_stream(importer, stream);
	snprintf(stream->key.node, sizeof(stream->key.node), "%s",
	    importer->opts.node);
	stream->key.epoch = pb_random64();
	if (!pb_option_find(stream->idb.data, stream->idb.len,
	    PB_OPT_IF_NAME, &option))
		pb_option_put_text(&stream->idb, PB_OPT_IF_NAME,
		    stream->key.interface);
	if (stream->idb.failed)
		return pb_err_set(err, PB_ENOMEM, "no memory to import "
		    "packets");
	identity.epoch = stream->key.epoch;
	strcpy(identity.interface, stream->key.interface);
	strcpy(identity.node[0].name, stream->key.node);
	snprintf(identity.node[0].description,
	    sizeof(identity.node[0].description), "%s",
	    importer->opts.description);
	rc = pb_head_create(&stream->head, &identity, stream->linktype,
	    shb->data, shb->len, stream->idb.data, stream->idb.len, err);
	pb_buf_finish(&stream->idb);
	return rc;
}

/*
 * The stream's interface: the forced name (the second stream of a file is
 * NAME.1), the file's own name for it, the file's name for a classic pcap,
 * else `if` and its number.
 */
static void
name_stream(const struct pb_importer *importer, struct stream *stream)
{
	const struct pb_importer_opts *opts = &importer->opts;
	size_t room = sizeof(stream->key.interface);
	char *out = stream->key.interface, suffix[24] = "";
	struct pb_option option;

	if (opts->interface != NULL) {
		if (importer->result.streams > 0)
			snprintf(suffix, sizeof(suffix), ".%" PRIu64,
			    importer->result.streams);
		pb_utf8_clean(out, room - strlen(suffix), opts->interface,
		    strlen(opts->interface));
		strcat(out, suffix);
	} else if (pb_option_find(stream->idb.data, stream->idb.len,
	    PB_OPT_IF_NAME, &option)) {
		pb_utf8_clean(out, room, option.value,
		    strnlen((const char *)option.value, option.len));
	} else if (stream->classic) {
		pb_utf8_clean(out, room, opts->file_name,
		    strlen(opts->file_name));
	}
	if (out[0] == '\0')
		snprintf(out, room, "if%" PRIu32, stream->id);
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

static int
end_stream(struct pb_importer *importer, struct stream *stream,
    struct pb_err *err)
{
	int rc;

	put_tail(importer, stream->chunk, &stream->statistics);
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
	for (uint32_t i = 0; i < importer->streams; i++) {
		struct stream *stream = &importer->stream[i];

		pb_head_unref(stream->head);
		pb_buf_finish(&stream->idb);
		pb_buf_finish(&stream->statistics.blocks);
	}
	importer->streams = 0;
	importer->option_bytes = 0;
	importer->chunk_bytes = 0;
	importer->any_packet = false;
	pb_buf_clear(&importer->waiting.blocks);
	importer->waiting.count = 0;
}

/* --- chunks -------------------------------------------------------------- */

/*
 * Into `scratch`: all options as they are, but for the packet's number, which
 * is ours, and hop records, whose nodes nobody knows any more.
 */
static int
packet_options(struct pb_importer *importer, const struct pb_event *event,
    uint64_t seq, struct pb_err *err)
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
static int
keep_packet(struct pb_importer *importer, struct stream *stream,
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
put_waiting(struct pb_chunk *chunk, struct waiting *waiting)
{
	if (waiting->count == 0)
		return;
	pb_fill_blocks(chunk, waiting->blocks.data, waiting->blocks.len);
	pb_buf_clear(&waiting->blocks);
	waiting->count = 0;
}

/* Behind the last packet, where that is in a chunk still and there is room. */
static void
put_tail(struct pb_importer *importer, struct pb_chunk *chunk,
    struct waiting *waiting)
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
static bool
statistics_options(const struct stream *stream, struct pb_buf *out,
    const struct pb_packet *block)
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
next_chunk(struct pb_importer *importer, struct stream *stream,
    struct pb_err *err)
{
	struct pb_chunk *chunk;
	int rc = give(importer, stream, err);

	if (rc == 0)
		rc = importer->opts.take(importer->opts.arg, &chunk, err);
	if (rc == 0)
		fill(stream, chunk);
	return rc;
}

/* From now on it fills this chunk, which is empty. */
static void
fill(struct stream *stream, struct pb_chunk *chunk)
{
	stream->chunk = chunk;
	chunk->head = pb_head_ref(stream->head);
}

/* But for its last packet, where it has more: statistics may follow. */
static int
give_fullest(struct pb_importer *importer, struct pb_err *err)
{
	struct stream *fullest = NULL;
	struct pb_chunk *full, *next;
	int rc;

	for (uint32_t i = 0; i < importer->streams; i++) {
		struct stream *stream = &importer->stream[i];

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
	split(fullest, next);
	importer->chunk_bytes -= full->len;
	return importer->opts.give(importer->opts.arg, &fullest->key, full,
	    err);
}

/* The last of several packets of its chunk moves to `next`, so that blocks
 * behind it find it there. */
static void
split(struct stream *stream, struct pb_chunk *next)
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

static int
give(struct pb_importer *importer, struct stream *stream,
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
