/*
 * tests/fuzz/fuzz_importer.c - any bytes as a file for `pb import`
 *
 * Byte 0 chooses the options, the rest is the file.  It is read as the
 * command does: once to check it, once to store it, and what passes the
 * check can be stored.  Each chunk is pushed to where a recorder would be,
 * as a request's body by the local door: it is taken whole, loses no block,
 * and the recorder's chunk is ours, so that either way into the store is
 * the same.  The packets that went in come out, per interface in their
 * order, with their times, lengths, bytes and options.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "cli/import/importer.h"
#include "cli/import/input.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/intake/body.h"
#include "tests/fuzz/fuzz.h"

#define FILE_BYTES_MAX	(4u << 20)
#define INTERFACES_MAX	8192

/* The packets of one interface, or of one stream. */
struct tally {
	uint64_t	 id;		/* section and interface; epoch */
	uint64_t	 packets, sum;
};

struct side {
	struct tally	 tally[INTERFACES_MAX];
	size_t		 count;
	uint64_t	 packets;
};

struct run {
	struct pb_importer *importer;
	struct side	*in, *out;
	uint64_t	 streams, told;
};

static struct side	in, out;
static struct pb_body_scratch *scratch;

static struct tally *
tally_of(struct side *side, uint64_t id)
{
	struct tally *tally;

	for (size_t i = side->count; i-- > 0;)
		if (side->tally[i].id == id)
			return &side->tally[i];
	MUST(side->count < INTERFACES_MAX);
	tally = &side->tally[side->count++];
	*tally = (struct tally){ .id = id };
	return tally;
}

static void
mix(struct tally *tally, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		tally->sum = (tally->sum ^ p[i]) * 0x100000001b3ull;
	tally->sum = (tally->sum ^ len) * 0x100000001b3ull;
}

/* All that must come back: not our number, our hops and our mark. */
static void
count(struct side *side, uint64_t id, const struct pb_packet *packet,
    bool has_time)
{
	struct tally *tally = tally_of(side, id);
	uint64_t time_ns = has_time ? packet->time_ns : 0;
	struct pb_option_walk walk;
	struct pb_option option;

	side->packets++;
	tally->packets++;
	mix(tally, &time_ns, sizeof(time_ns));
	mix(tally, &packet->origlen, sizeof(packet->origlen));
	mix(tally, packet->data, packet->caplen);
	walk = (struct pb_option_walk){ packet->options,
	    packet->options_len };
	while (pb_option_next(&walk, &option) == 1) {
		if (option.code == PB_OPT_EPB_PACKETID ||
		    pb_own_option(&option, PB_OWN_HOPS) ||
		    pb_own_option(&option, PB_OWN_UNTIMED))
			continue;
		mix(tally, &option.code, sizeof(option.code));
		mix(tally, option.value, option.len);
	}
}

static struct pb_chunk *
make_chunk(void *arg)
{
	(void)arg;
	return pb_chunk_create();
}

static void
count_chunk(const struct pb_chunk *chunk, uint64_t epoch)
{
	struct pb_packet packet;
	struct pb_block block;
	size_t at = 0;

	for (; at < chunk->len; at += block.len) {
		MUST(pb_scan_block(chunk->data + at, chunk->len - at,
		    &block) == 1);
		if (block.type != PB_BLOCK_EPB)
			continue;
		MUST(pb_scan_epb(&block, &packet) == 0);
		count(&out, epoch, &packet, true);
	}
}

static int
on_take(void *arg, struct pb_chunk **chunk, struct pb_err *err)
{
	(void)err;
	*chunk = make_chunk(arg);
	MUST(*chunk != NULL);
	return 0;
}

static void
same_chunk(const struct pb_chunk *a, const struct pb_chunk *b)
{
	MUST(a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
	MUST(a->first_seq == b->first_seq && a->last_seq == b->last_seq);
	MUST(memcmp(&a->tally, &b->tally, sizeof(a->tally)) == 0);
	MUST(a->drops == b->drops);
	for (unsigned i = 0; i < a->drops; i++)
		MUST(a->drop[i].seq == b->drop[i].seq &&
		    a->drop[i].count == b->drop[i].count &&
		    a->drop[i].time_ns == b->drop[i].time_ns);
}

/* The recorder, in the place where the wire would be. */
static int
on_give(void *arg, const struct pb_stream_key *key, struct pb_chunk *chunk,
    struct pb_err *err)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	struct pb_body body = { .key = key, .pen = PB_PEN_EXAMPLE };
	struct pb_body_build build = { .run = &all, .runs = 1,
	    .chunk = make_chunk };
	struct pb_body_facts facts;
	struct pb_buf buf;

	(void)arg;
	pb_buf_init(&buf, PB_HEAD_BYTES_MAX + PB_CHUNK_BYTES);
	MUST(pb_head_build(chunk->head, PB_PEN_EXAMPLE, chunk->first_seq,
	    &buf) == 0);
	MUST(pb_buf_put(&buf, chunk->data, chunk->len) == 0);
	body.data = buf.data;
	body.len = buf.len;
	if (pb_body_read(scratch, &body, &facts, &build, err) < 0) {
		fprintf(stderr, "%s\n", err->text);
		MUST(!"a section of ours is taken");
	}
	MUST(facts.first == chunk->first_seq);
	MUST(facts.linktype == chunk->head->linktype);
	MUST(facts.snaplen == PB_SNAPLEN);
	MUST(build.head->hash == chunk->head->hash);
	MUST(build.blocks_dropped == 0);
	MUST(build.first_chunk != NULL && build.first_chunk->next == NULL);
	same_chunk(build.first_chunk, chunk);
	count_chunk(chunk, key->epoch);
	pb_chunk_destroy(build.first_chunk);
	pb_chunk_destroy(chunk);
	pb_head_unref(build.head);
	pb_buf_finish(&buf);
	return 0;
}

static int
on_stream(void *arg, const struct pb_stream_key *key, uint64_t packets,
    struct pb_err *err)
{
	struct run *run = arg;

	(void)err;
	run->streams++;
	run->told += packets;
	MUST(strcmp(key->node, "lon1") == 0 && key->interface[0] != '\0');
	if (run->out != NULL)
		MUST(tally_of(run->out, key->epoch)->packets == packets);
	return 0;
}

static int
on_event(void *arg, const struct pb_event *event, struct pb_err *err)
{
	struct run *run = arg;
	int rc = pb_importer_event(run->importer, event, err);

	if (rc == 0 && run->in != NULL && event->kind == PB_EVENT_PACKET)
		count(run->in, (uint64_t)event->section << 32 |
		    event->interface, &event->packet, event->has_time);
	return rc;
}

/* One pass over the file; without `run->out` a check alone. */
static int
pass(struct pb_input *input, uint8_t flags, struct run *run,
    struct pb_import_result *result)
{
	const struct pb_input_calls calls = { .event = on_event, .arg = run };
	struct pb_importer_opts opts = {
		.node = "lon1", .description = "London",
		.interface = (flags & 2) != 0 ? "eth0" : NULL,
		.file_name = "a.pcap", .pen = PB_PEN_EXAMPLE,
		.secrets = (flags & 1) != 0,
		.take = run->out != NULL ? on_take : NULL,
		.give = on_give, .stream = on_stream, .arg = run,
	};
	struct pb_err err = { 0 };
	int rc;

	MUST(pb_importer_create(&run->importer, &opts, &err) == 0);
	rc = pb_input_read(input, &calls, &err);
	if (rc == 0)
		rc = pb_importer_end(run->importer, &err);
	MUST(rc == 0 || (rc == err.code && err.text[0] != '\0'));
	pb_importer_result(run->importer, result);
	pb_importer_destroy(run->importer);
	return rc;
}

/* Streams have epochs drawn at random: compare them as a set. */
static void
compare(void)
{
	uint64_t sum_in = 0, sum_out = 0;

	MUST(in.count == out.count && in.packets == out.packets);
	for (size_t i = 0; i < in.count; i++) {
		sum_in += in.tally[i].sum * (in.tally[i].packets | 1);
		sum_out += out.tally[i].sum * (out.tally[i].packets | 1);
	}
	MUST(sum_in == sum_out);
}

static const char *
put_file(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz.pcapng", MFD_CLOEXEC);
		MUST(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pb_pwrite_all(fd, data, size, 0, NULL) == 0);
	return path;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run check = { 0 }, store = { .in = &in, .out = &out };
	struct pb_import_result checked, stored;
	struct pb_input input;
	int rc;

	if (size == 0 || size > FILE_BYTES_MAX)
		return 0;
	in.count = out.count = 0;
	in.packets = out.packets = 0;
	MUST(pb_input_init(&input, put_file(data + 1, size - 1), false,
	    NULL) == 0);
	MUST(input.size == size - 1);
	rc = pass(&input, data[0], &check, &checked);
	if (rc == 0) {
		MUST(pass(&input, data[0], &store, &stored) == 0);
		MUST(checked.packets == stored.packets);
		MUST(checked.interfaces == stored.interfaces);
		MUST(checked.streams == stored.streams);
		MUST(stored.packets == in.packets);
		MUST(stored.streams == in.count);
		MUST(check.streams == store.streams);
		MUST(check.told == store.told);
		MUST(store.streams == stored.streams);
		compare();
	}
	pb_input_finish(&input);
	return 0;
}
