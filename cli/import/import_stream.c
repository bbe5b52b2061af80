/*
 * cli/import/import_stream.c - one interface of a file on its way to become a
 * stream
 */
#include "cli/import/import_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/sys.h"
#include "base/text.h"
#include "pcapng/build.h"
#include "pcapng/option.h"

#define NS_PER_S	UINT64_C(1000000000)
/* Draft 4.2: 10^-6 where if_tsresol is absent; the top bit says 2^-N. */
#define TSRESOL_DEFAULT	6
#define TSRESOL_BINARY	0x80u
/* epb_packetid, and the untimed mark: PEN and four octets. */
#define OPTIONS_GROWTH	(PB_OPTION_BYTES(8) + PB_OPTION_BYTES(8))

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

static void	read_clock(struct pb_import_stream *, const uint8_t *,
		    size_t);
static bool	to_ns(const struct pb_import_stream *, uint64_t, uint64_t *);
static void	name_stream(struct pb_import_stream *,
		    const struct pb_importer_opts *, uint64_t, char *,
		    size_t);
static int	begin_body(struct pb_import_stream *, uint32_t,
		    struct pb_err *);
static void	packet_options(struct pb_buf *, const struct pb_event *,
		    uint64_t, uint32_t);
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
	read_clock(stream, of->options, of->options_len);
	pb_buf_put(&stream->idb, of->options, of->options_len);
	return stream->idb.failed ? no_memory(err) : 0;
}

void
pb_import_stream_finish(struct pb_import_stream *stream)
{
	pb_head_unref(stream->head);
	pb_buf_finish(&stream->idb);
	pb_buf_finish(&stream->body);
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

bool
pb_import_stream_room(const struct pb_import_stream *stream, size_t bytes)
{
	size_t used = stream->body.len - stream->head_bytes;

	return used + stream->statistics.len + bytes <=
	    PB_IMPORT_BODY_BYTES - PB_IMPORT_TAIL_BYTES;
}

size_t
pb_import_packet_bytes(const struct pb_event *event)
{
	return pb_epb_bytes(event->packet.caplen,
	    event->packet.options_len + OPTIONS_GROWTH);
}

int
pb_import_stream_packet(struct pb_import_stream *stream,
    const struct pb_importer_opts *opts, const struct pb_event *event,
    const struct pb_buf *waiting, struct pb_buf *options,
    struct pb_err *err)
{
	struct pb_packet packet = event->packet;
	uint64_t seq = stream->seq + 1;
	uint8_t *at;
	int rc;

	packet_options(options, event, seq, opts->pen);
	if (options->failed)
		return no_memory(err);
	if (options->len > PB_OPTIONS_BYTES_MAX)
		return pb_err_set(err, PB_ELIMIT, "offset %" PRIu64
		    ": the packet's options take %zu bytes with its number; "
		    "%u can be kept", event->offset, options->len,
		    PB_OPTIONS_BYTES_MAX);
	packet.options = options->data;
	packet.options_len = options->len;
	if (!event->has_time)
		packet.time_ns = 0;
	rc = stream->first == 0 ? begin_body(stream, opts->pen, err) : 0;
	if (rc < 0)
		return rc;
	pb_buf_put(&stream->body, stream->statistics.data,
	    stream->statistics.len);
	pb_buf_put(&stream->body, waiting->data, waiting->len);
	at = pb_buf_reserve(&stream->body, pb_epb_bytes(packet.caplen,
	    packet.options_len));
	if (at == NULL || stream->body.failed)
		return no_memory(err);
	stream->body.len += pb_build_epb(at, 0, &packet);
	pb_buf_clear(&stream->statistics);
	stream->statistics_count = 0;
	stream->seq = seq;
	return 0;
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
	size_t used = stream->body.len - stream->head_bytes;

	if (blocks->len == 0)
		return true;
	if (stream->first == 0 || used + blocks->len > PB_IMPORT_BODY_BYTES)
		return false;
	return pb_buf_put(&stream->body, blocks->data, blocks->len) == 0;
}

/* The reader has checked the lengths and bounds of these two options. */
static void
read_clock(struct pb_import_stream *stream, const uint8_t *list, size_t len)
{
	struct pb_option option;
	unsigned resolution = TSRESOL_DEFAULT, i;

	if (pb_option_find(list, len, PB_OPT_IF_TSRESOL, &option) &&
	    option.len == 1)
		resolution = option.value[0];
	if (pb_option_find(list, len, PB_OPT_IF_TSOFFSET, &option) &&
	    option.len == 8)
		stream->offset_s = (int64_t)pb_get_le64(option.value);
	stream->mul = stream->div = 1;
	if ((resolution & TSRESOL_BINARY) != 0) {
		stream->mul = NS_PER_S;
		stream->shift = resolution & ~TSRESOL_BINARY;
		return;
	}
	for (i = resolution; i < 9; i++)
		stream->mul *= 10;
	for (i = 9; i < resolution; i++)
		stream->div *= 10;
}

static bool
to_ns(const struct pb_import_stream *stream, uint64_t ticks, uint64_t *ns)
{
	i128 value = (i128)((u128)ticks * stream->mul / stream->div >>
	    stream->shift);

	value += (i128)stream->offset_s * (i128)NS_PER_S;
	if (value < 0 || value > (i128)UINT64_MAX)
		return false;
	*ns = (uint64_t)value;
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

static int
begin_body(struct pb_import_stream *stream, uint32_t pen, struct pb_err *err)
{
	pb_buf_init(&stream->body, PB_HEAD_BYTES_MAX + PB_IMPORT_BODY_BYTES);
	if (pb_head_build(stream->head, pen, stream->seq + 1,
	    &stream->body) < 0)
		return no_memory(err);
	stream->head_bytes = stream->body.len;
	stream->first = stream->seq + 1;
	return 0;
}

/*
 * All options as they are, but for the packet's number, which is ours, and
 * hop records, whose nodes nobody knows any more.
 */
static void
packet_options(struct pb_buf *out, const struct pb_event *event,
    uint64_t seq, uint32_t pen)
{
	struct pb_option_walk walk;
	struct pb_option option;

	pb_buf_clear(out);
	pb_option_put_u64(out, PB_OPT_EPB_PACKETID, seq);
	pb_option_walk_init(&walk, event->packet.options,
	    event->packet.options_len);
	while (pb_option_next(&walk, &option) == 1)
		if (option.code != PB_OPT_EPB_PACKETID &&
		    !pb_own_option(&option, PB_OWN_HOPS))
			pb_option_put(out, option.code, option.value,
			    option.len);
	if (!event->has_time)
		pb_untimed_put(out, pen);
}

/*
 * Start and end times count in the interface's resolution, high word
 * first; the stored interface counts in nanoseconds.
 */
static void
statistics_options(const struct pb_import_stream *stream,
    struct pb_buf *out, const struct pb_packet *block)
{
	struct pb_option_walk walk;
	struct pb_option option;
	uint8_t value[8];
	uint64_t ns;

	pb_option_walk_init(&walk, block->options, block->options_len);
	while (pb_option_next(&walk, &option) == 1) {
		if ((option.code != PB_OPT_ISB_STARTTIME &&
		    option.code != PB_OPT_ISB_ENDTIME) || option.len != 8) {
			pb_option_put(out, option.code, option.value,
			    option.len);
			continue;
		}
		ns = (uint64_t)pb_get_le32(option.value) << 32 |
		    pb_get_le32(option.value + 4);
		if (!to_ns(stream, ns, &ns))
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
