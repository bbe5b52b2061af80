/*
 * cli/import/import_stream.c - one interface of a file on its way to become a
 * stream
 */
#include "cli/import/import_stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/sys.h"
#include "base/text.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/store/write/fill.h"

/* epb_packetid, and the untimed mark: PEN and four octets. */
#define OPTIONS_GROWTH	(PB_OPTION_BYTES(8) + PB_OPTION_BYTES(8))

_Static_assert(64u + PB_CAPLEN_MAX + PB_OPTIONS_BYTES_MAX +
    PB_IMPORT_STATISTICS_BYTES + PB_IMPORT_WAITING_BYTES +
    PB_IMPORT_TAIL_BYTES <= PB_CHUNK_BYTES - PB_IMPORT_CHUNK_SPARE,
    "the largest packet fits an empty chunk, with all that waits");

static void	name_stream(struct pb_import_stream *,
		    const struct pb_importer_opts *, uint64_t, char *,
		    size_t);
static void	put_packet(struct pb_import_stream *, const struct pb_packet *);
static void	statistics_options(const struct pb_import_stream *,
		    struct pb_buf *, const struct pb_packet *);
static int	no_memory(struct pb_err *);

int
pb_import_stream_init(struct pb_import_stream *stream,
    const struct pb_event *event, bool classic, struct pb_err *err)
{
	const struct pb_packet *of = &event->packet;

	memset(stream, 0, sizeof(*stream));
	stream->id = event->interface;
	stream->linktype = event->linktype;
	stream->classic = classic;
	pb_buf_init(&stream->idb, PB_OPTIONS_BYTES_MAX +
	    PB_OPTION_BYTES(PB_IFNAME_BYTES_MAX));
	pb_buf_init(&stream->statistics, PB_IMPORT_STATISTICS_BYTES);
	/* The reader took it, too. */
	(void)pb_ticks_read(&stream->clock, of->options, of->options_len,
	    NULL);
	pb_buf_put(&stream->idb, of->options, of->options_len);
	return stream->idb.failed ? no_memory(err) : 0;
}

void
pb_import_stream_finish(struct pb_import_stream *stream)
{
	pb_head_unref(stream->head);
	pb_buf_finish(&stream->idb);
	pb_buf_finish(&stream->statistics);
	memset(stream, 0, sizeof(*stream));
}

int
pb_import_stream_begin(struct pb_import_stream *stream,
    const struct pb_importer_opts *opts, uint64_t ordinal,
    const struct pb_buf *shb, struct pb_err *err)
{
	struct pb_identity identity = { 0 };
	struct pb_option option;
	int rc;

	name_stream(stream, opts, ordinal, stream->key.interface,
	    sizeof(stream->key.interface));
	snprintf(stream->key.node, sizeof(stream->key.node), "%s",
	    opts->node);
	stream->key.epoch = pb_random64();
	if (!pb_option_find(stream->idb.data, stream->idb.len,
	    PB_OPT_IF_NAME, &option))
		pb_option_put_text(&stream->idb, PB_OPT_IF_NAME,
		    stream->key.interface);
	if (stream->idb.failed)
		return no_memory(err);
	identity.epoch = stream->key.epoch;
	identity.nodes = 1;
	strcpy(identity.interface, stream->key.interface);
	strcpy(identity.node[0].name, stream->key.node);
	snprintf(identity.node[0].description,
	    sizeof(identity.node[0].description), "%s", opts->description);
	rc = pb_head_create(&stream->head, &identity, stream->linktype,
	    shb->data, shb->len, stream->idb.data, stream->idb.len, err);
	pb_buf_finish(&stream->idb);
	return rc;
}

/*
 * All options as they are, but for the packet's number, which is ours, and
 * hop records, whose nodes nobody knows any more.
 */
int
pb_import_packet_options(struct pb_buf *options, const struct pb_event *event,
    uint64_t seq, uint32_t pen, struct pb_err *err)
{
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
		pb_untimed_put(options, pen);
	if (options->len <= PB_OPTIONS_BYTES_MAX)
		return 0;
	return pb_err_set(err, PB_ELIMIT, "offset %" PRIu64
	    ": the packet's options take %zu bytes with its number; "
	    "%u can be kept", event->offset, options->len,
	    PB_OPTIONS_BYTES_MAX);
}

bool
pb_import_options_few(const struct pb_event *event)
{
	return event->packet.options_len <=
	    PB_OPTIONS_BYTES_MAX - OPTIONS_GROWTH;
}

bool
pb_import_stream_room(const struct pb_import_stream *stream,
    const struct pb_event *event, size_t options_len,
    const struct pb_buf *waiting)
{
	return stream->chunk->len + stream->statistics.len + waiting->len +
	    pb_epb_bytes(event->packet.caplen, options_len) <=
	    stream->chunk->cap - PB_IMPORT_TAIL_BYTES;
}

void
pb_import_stream_fill(struct pb_import_stream *stream,
    struct pb_chunk *chunk)
{
	stream->chunk = chunk;
	chunk->head = pb_head_ref(stream->head);
}

void
pb_import_stream_split(struct pb_import_stream *stream,
    struct pb_chunk *next)
{
	struct pb_chunk *full = stream->chunk;
	size_t before = stream->last;
	struct pb_packet packet;
	struct pb_block block;

	assert(full->tally.packets > 1);
	/* Our own blocks are whole. */
	(void)pb_scan_block(full->data + before, full->len - before, &block);
	(void)pb_scan_epb(&block, &packet);
	pb_import_stream_fill(stream, next);
	put_packet(stream, &packet);
	pb_fill_again(full, before);
}

void
pb_import_stream_packet(struct pb_import_stream *stream,
    const struct pb_event *event, const struct pb_buf *options,
    const struct pb_buf *waiting)
{
	struct pb_packet packet = event->packet;
	struct pb_chunk *chunk = stream->chunk;

	pb_fill_blocks(chunk, stream->statistics.data, stream->statistics.len);
	pb_fill_blocks(chunk, waiting->data, waiting->len);
	pb_buf_clear(&stream->statistics);
	stream->statistics_count = 0;
	packet.options = options->data;
	packet.options_len = options->len;
	if (!event->has_time)
		packet.time_ns = 0;
	put_packet(stream, &packet);
}

bool
pb_import_stream_statistics(struct pb_import_stream *stream,
    const struct pb_event *event, struct pb_buf *options)
{
	struct pb_buf *waiting = &stream->statistics;
	size_t before = waiting->len;

	pb_buf_clear(options);
	statistics_options(stream, options, &event->packet);
	if (options->failed || waiting->max - waiting->len <
	    options->len + 32)
		return false;
	if (pb_build_isb(waiting, 0, event->packet.time_ns, options->data,
	    options->len) < 0 || waiting->failed) {
		waiting->len = before;
		waiting->failed = false;
		return false;
	}
	stream->statistics_count++;
	return true;
}

bool
pb_import_stream_tail(struct pb_import_stream *stream,
    const struct pb_buf *blocks)
{
	struct pb_chunk *chunk = stream->chunk;

	if (blocks->len == 0)
		return true;
	if (chunk == NULL || blocks->len > pb_fill_room(chunk))
		return false;
	pb_fill_blocks(chunk, blocks->data, blocks->len);
	return true;
}

/*
 * The stream's interface: the forced name (the second stream of a file is
 * NAME.1), the file's own name for it, the file's name for a classic pcap,
 * else `if` and its number.
 */
static void
name_stream(struct pb_import_stream *stream,
    const struct pb_importer_opts *opts, uint64_t ordinal, char *out,
    size_t room)
{
	char suffix[24] = "";
	struct pb_option option;

	out[0] = '\0';
	if (opts->interface != NULL) {
		if (ordinal > 0)
			snprintf(suffix, sizeof(suffix), ".%" PRIu64,
			    ordinal);
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

/* Its last packet, with the options it is stored with. */
static void
put_packet(struct pb_import_stream *stream, const struct pb_packet *packet)
{
	struct pb_chunk *chunk = stream->chunk;
	uint64_t dropped;

	stream->last = chunk->len;
	pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0, packet),
	    stream->seq, packet->time_ns, packet->caplen);
	if (pb_option_find_u64(packet->options, packet->options_len,
	    PB_OPT_EPB_DROPCOUNT, &dropped) && dropped > 0)
		pb_fill_drops(chunk, stream->seq, dropped, packet->time_ns);
}

/*
 * Start and end times count in the interface's resolution, high word
 * first; the stored interface counts in nanoseconds.
 */
static void
statistics_options(const struct pb_import_stream *stream,
    struct pb_buf *out, const struct pb_packet *block)
{
	struct pb_option option;
	uint8_t value[8];
	uint64_t ns;

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
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to import packets");
}
