/*
 * tests/fuzz/fuzz_reader.c - any bytes as a capture file
 *
 * The input is read whole and in pieces, each window alone in memory of its
 * own size; both ways must tell the same.  Every packet is built into a
 * block of ours, which must scan to the same packet.  The input is scanned
 * as canonical blocks as well.
 */
#include <string.h>

#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/reader.h"
#include "pcapng/scan.h"
#include "tests/fuzz/fuzz.h"

struct tally {
	int	 rc;
	uint64_t events, bytes, sum;
};

static void
walk_options(const struct pb_packet *packet, struct tally *tally)
{
	struct pb_option_walk walk;
	struct pb_option option;
	int rc;

	MUST(packet->options_len <= PB_OPTIONS_BYTES_MAX);
	walk = (struct pb_option_walk){ packet->options,
	    packet->options_len };
	while ((rc = pb_option_next(&walk, &option)) == 1)
		for (size_t i = 0; i < option.len; i++)
			tally->sum = tally->sum * 31 + option.value[i];
	MUST(rc == 0 && walk.left == 0);
}

static void
rebuild(const struct pb_packet *packet)
{
	size_t bytes = pb_epb_bytes(packet->caplen, packet->options_len);
	uint8_t *at = malloc(bytes);
	struct pb_block block;
	struct pb_packet back;

	MUST(at != NULL && bytes <= PB_STORED_BLOCK_BYTES_MAX);
	MUST(pb_build_epb(at, 0, packet) == bytes);
	MUST(pb_scan_block(at, bytes, &block) == 1 && block.len == bytes);
	MUST(pb_scan_epb(&block, &back) == 0);
	MUST(back.time_ns == packet->time_ns);
	MUST(back.caplen == packet->caplen);
	MUST(back.origlen == packet->origlen);
	MUST(back.options_len == packet->options_len);
	if (back.caplen > 0)
		MUST(memcmp(back.data, packet->data, back.caplen) == 0);
	if (back.options_len > 0)
		MUST(memcmp(back.options, packet->options,
		    back.options_len) == 0);
	free(at);
}

static void
use(const struct pb_event *event, struct tally *tally)
{
	tally->events++;
	tally->bytes += event->packet.caplen + event->block_len;
	tally->sum += event->offset + event->packet.time_ns;
	for (size_t i = 0; i < event->block_len; i++)
		tally->sum = tally->sum * 31 + event->block[i];
	walk_options(&event->packet, tally);
	if (event->kind == PB_EVENT_PACKET)
		rebuild(&event->packet);
}

static struct tally
read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct tally tally = { 0 };
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, have = piece < size ? piece : size, used;

	MUST(pb_reader_create(&reader, NULL) == 0);
	for (;;) {
		size_t len = have - at;
		uint8_t *window = malloc(len + (len == 0));

		MUST(window != NULL);
		memcpy(window, data + at, len);
		tally.rc = pb_reader_next(reader, window, len, have == size,
		    &used, &event, NULL);
		MUST(used <= len);
		at += used;
		if (tally.rc == PB_READ_EVENT)
			use(&event, &tally);
		free(window);
		if (tally.rc == PB_READ_MORE) {
			MUST(have < size);
			MUST(pb_reader_need(reader) > have - at);
			have = size - have < piece ? size : have + piece;
		} else if (tally.rc != PB_READ_EVENT) {
			break;
		}
	}
	MUST(tally.rc == PB_READ_END || tally.rc < 0);
	pb_reader_destroy(reader);
	return tally;
}

static void
scan(const uint8_t *data, size_t size)
{
	struct pb_block block;
	struct pb_packet packet;
	const uint8_t *options;
	size_t len, at = 0;
	uint16_t linktype;
	uint64_t seq;

	while (pb_scan_block(data + at, size - at, &block) == 1) {
		struct tally tally = { 0 };

		if (pb_scan_epb(&block, &packet) == 0) {
			pb_packet_seq(&packet, &seq);
			if (packet.options_len <= PB_OPTIONS_BYTES_MAX) {
				walk_options(&packet, &tally);
				rebuild(&packet);
			}
		}
		pb_scan_options(&block, &options, &len, &linktype);
		pb_scan_is_filler(&block);
		at += block.len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally whole, parts;

	if (size == 0)	/* the fuzzer may hand over NULL */
		data = (const uint8_t *)"";
	whole = read_in_pieces(data, size, SIZE_MAX);
	parts = read_in_pieces(data, size, size % 13 + 1);
	MUST(whole.rc == parts.rc && whole.events == parts.events);
	MUST(whole.bytes == parts.bytes && whole.sum == parts.sum);
	scan(data, size);
	return 0;
}
