/*
 * cli/import/importer_streams.c - an interface of a capture file becomes a
 * stream
 */
#include "cli/import/importer_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/text.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"

static int	make_head(struct pb_importer *, struct import_stream *,
		    struct pb_err *);
static void	name_stream(const struct pb_importer *,
		    struct import_stream *);

int
importer_begin_stream(struct pb_importer *importer,
    struct import_stream *stream, const struct pb_event *event,
    struct pb_err *err)
{
	int rc = importer_options_held(importer, importer->shb.len, event, err);

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
make_head(struct pb_importer *importer, struct import_stream *stream,
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
name_stream(const struct pb_importer *importer, struct import_stream *stream)
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

int
importer_options_held(struct pb_importer *importer, size_t bytes,
    const struct pb_event *event, struct pb_err *err)
{
	importer->option_bytes += bytes;
	if (importer->option_bytes <= PB_IMPORT_OPTIONS_BYTES_MAX)
		return 0;
	return pb_err_set(err, PB_ELIMIT, "offset %" PRIu64 ": the options of "
	    "the section's interfaces take more than %u MiB together",
	    event->offset, PB_IMPORT_OPTIONS_BYTES_MAX >> 20);
}

int
importer_end_stream(struct pb_importer *importer, struct import_stream *stream,
    struct pb_err *err)
{
	int rc;

	importer_put_tail(importer, stream->chunk, &stream->statistics);
	if (stream->head == NULL)
		return 0;
	rc = importer_give(importer, stream, err);
	if (rc == 0 && importer->opts.stream != NULL)
		rc = importer->opts.stream(importer->opts.arg, &stream->key,
		    stream->seq, err);
	return rc;
}

void
importer_drop_section(struct pb_importer *importer)
{
	for (uint32_t i = 0; i < importer->streams; i++) {
		struct import_stream *stream = &importer->stream[i];

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
