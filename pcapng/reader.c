/*
 * pcapng/reader.c - any capture file, as a stream of events: the driver
 *
 *   START -> NG                          one block a step
 *     |
 *     v
 *   PCAP_INTERFACE -> PCAP               one record a step
 *
 * The steps know blocks and records, never the end of the input: here alone
 * a step that asks for more meets the end, and that is either the end of
 * the file or a block cut short.  An error stays: the reader has lost its
 * place and repeats it.
 */
#include "pcapng/reader.h"

#include <stdlib.h>
#include <string.h>

#include "pcapng/reader_impl.h"

#define MAGIC_BYTES	4u

static int	step(struct pb_reader *, const uint8_t *, size_t, size_t *,
		    struct pb_event *);
static int	first_step(struct pb_reader *, const uint8_t *, size_t,
		    size_t *, struct pb_event *);
static int	at_end(struct pb_reader *, size_t);

int
pb_reader_create(struct pb_reader **out, struct pb_err *err)
{
	struct pb_reader *reader = calloc(1, sizeof(*reader));

	*out = reader;
	if (reader == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a reader");
	pb_buf_init(&reader->scratch, PB_OPTIONS_BYTES_MAX);
	reader->need = MAGIC_BYTES;
	return 0;
}

void
pb_reader_destroy(struct pb_reader *reader)
{
	if (reader == NULL)
		return;
	pb_buf_finish(&reader->scratch);
	free(reader->interface);
	free(reader);
}

size_t
pb_reader_need(const struct pb_reader *reader)
{
	return reader->need;
}

void
pb_reader_pass(struct pb_reader *reader, size_t len)
{
	reader->offset += len;
}

int
pb_reader_next(struct pb_reader *reader, const uint8_t *data, size_t len,
    bool eof, size_t *consumed, struct pb_event *event, struct pb_err *err)
{
	size_t used;
	int rc = reader->err.code;

	*consumed = 0;
	memset(event, 0, sizeof(*event));
	if (rc == 0) {
		do {
			used = 0;
			rc = step(reader, data, len, &used, event);
			reader->offset += used;
			*consumed += used;
			if (used > 0)
				data += used;
			len -= used;
		} while (rc == READER_SKIPPED);
		if (rc == PB_READ_MORE && eof)
			rc = at_end(reader, len);
	}
	if (rc < 0 && err != NULL)
		*err = reader->err;
	return rc;
}

/* --- helpers ------------------------------------------------------------- */

static int
step(struct pb_reader *reader, const uint8_t *data, size_t len, size_t *used,
    struct pb_event *event)
{
	switch (reader->state) {
	case READER_NG:
		return pb_reader_ng_block(reader, data, len, used, event);
	case READER_PCAP:
		return pb_reader_pcap_record(reader, data, len, used, event);
	case READER_PCAP_INTERFACE:
		return pb_reader_pcap_interface(reader, event);
	default:
		return first_step(reader, data, len, used, event);
	}
}

/* The first four bytes say what the input is. */
static int
first_step(struct pb_reader *reader, const uint8_t *data, size_t len,
    size_t *used, struct pb_event *event)
{
	uint32_t magic;

	if (len < MAGIC_BYTES) {
		reader->need = MAGIC_BYTES;
		return PB_READ_MORE;
	}
	magic = pb_get_be32(data);
	if (magic == PB_BLOCK_SHB) {
		reader->state = READER_NG;
		return pb_reader_ng_block(reader, data, len, used, event);
	}
	if (magic >> 16 == 0x1F8B || magic == 0x28B52FFD)
		return reader_fail(reader, PB_EFORMAT,
		    "the input is compressed (%s); decompress it first",
		    magic == 0x28B52FFD ? "zstd" : "gzip");
	return pb_reader_pcap_header(reader, data, len, used, event);
}

/* The input ends with `len` bytes that are no whole unit. */
static int
at_end(struct pb_reader *reader, size_t len)
{
	if (len > 0)
		return reader_fail(reader, PB_EFORMAT, "cut short: the input "
		    "ends after %zu of at least %zu bytes", len, reader->need);
	if (reader->state == READER_START)
		return reader_fail(reader, PB_EFORMAT, "empty file");
	if (reader->state == READER_NG && !reader->readable)
		return reader_fail_at(reader, PB_EFORMAT,
		    reader->skipped_offset, "the section is of pcapng version "
		    "%u.%u; only 1.0 and 1.2 can be read, and no other "
		    "section follows", reader->skipped_major,
		    reader->skipped_minor);
	return PB_READ_END;
}
