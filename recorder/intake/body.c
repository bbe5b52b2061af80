/*
 * recorder/intake/body.c - a request's body: checked, stamped, cut into
 * chunks
 *
 * Promise: what comes out are blocks as build.h writes them, whatever byte
 * order, block kinds or time resolution came in; on any error the caller
 * throws all chunks away and nothing was kept.
 * Reason:  one pass from the body to the chunks, because every byte of
 * every edge goes through here.  So packets take one of two ways: plain
 * ones, which is what our shippers send, are read and written by plain.h;
 * all else, and whatever is wrong, is read by reader.h.  The chunks are the
 * same either way, and only the second way reports errors.
 * Limit:   blocks between packets wait in PB_STORED_BLOCK_BYTES_MAX bytes
 * for the packet they belong to, the next one; what does not fit there is
 * dropped and counted, because notes must not hold back packets.
 * Not here: digests, whose turn it is, what is a repeat (intake.c).
 */
#include "recorder/intake/body.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/build.h"
#include "pcapng/filtered.h"
#include "pcapng/option.h"
#include "pcapng/plain.h"
#include "pcapng/reader.h"
#include "pcapng/scan.h"
#include "recorder/store/write/fill.h"

#define ISB_BYTES(options_len)	((options_len) + 28u)
#define TSRESOL_NS		9

struct walk {
	struct pb_body_scratch	*scratch;
	const struct pb_body	*body;
	struct pb_body_facts	*facts;
	struct pb_body_build	*build;	/* NULL: check only */
	struct pb_err		*err;
	uint64_t	packets;
	size_t		run;		/* the one that ends next */
	uint64_t	kept_to;	/* where it ends, once it has begun */
	bool		cut;		/* the next packet begins a chunk */
	bool		kept;		/* the last packet was */
	unsigned	waiting;	/* blocks in scratch->waiting */
	bool		have_interface;
	bool		nanoseconds;	/* its own times are ns since 1970 */
	bool		plain;		/* its packets may be */
};

/* Reading */
static int	walk_body(struct walk *, bool);
static int	take_event(struct walk *, const struct pb_event *);
static int	take_section(struct walk *, const struct pb_event *);
static int	take_way(struct walk *, const struct pb_identity *);
static void	foreign_way(const struct pb_stream_key *,
		    struct pb_identity *);
static int	take_interface(struct walk *, const struct pb_event *);
static int	make_head(struct walk *, const struct pb_event *);
static int	take_packet(struct walk *, const struct pb_event *);
static int	check_packet(struct walk *, const struct pb_event *);
static int	take_statistics(struct walk *, const struct pb_event *);
static int	take_filtered(struct walk *, const struct pb_event *,
		    const struct pb_filtered *);
static bool	has_begun(const struct walk *);
static void	note_numbers(struct walk *, uint64_t, uint64_t);
static int	take_plain(struct walk *, struct pb_reader *, size_t *);
static bool	follows(const struct walk *, uint64_t);
static bool	take_number(struct walk *, uint64_t);

/* Keeping */
static bool	within_runs(struct walk *, uint64_t);
static int	keep_packet(struct walk *, const struct pb_event *, uint64_t);
static int	keep_plain(struct walk *, const struct pb_plain *);
static int	keep_filtered(struct walk *, const struct pb_filtered *);
static struct pb_chunk *chunk_for(struct walk *, size_t);
static struct pb_chunk *chunk_anew(struct walk *, size_t);
static struct pb_chunk *next_chunk(struct walk *, size_t);
static void	keep_statistics(struct walk *, const struct pb_event *);
static void	keep_block(struct walk *, const struct pb_event *);
static bool	waiting_fits(struct walk *, size_t);
static void	forget_waiting(struct walk *);
static void	drop_waiting(struct walk *);
static void	keep_last_blocks(struct walk *);

int
pb_body_scratch_create(struct pb_body_scratch **out, struct pb_err *err)
{
	struct pb_body_scratch *scratch = calloc(1, sizeof(*scratch));

	if (scratch == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pb_buf_init(&scratch->shb, PB_OPTIONS_BYTES_MAX);
	pb_buf_init(&scratch->waiting, PB_STORED_BLOCK_BYTES_MAX);
	pb_buf_init(&scratch->statistics, PB_OPTIONS_BYTES_MAX);
	*out = scratch;
	return 0;
}

void
pb_body_scratch_destroy(struct pb_body_scratch *scratch)
{
	if (scratch == NULL)
		return;
	pb_buf_finish(&scratch->shb);
	pb_buf_finish(&scratch->waiting);
	pb_buf_finish(&scratch->statistics);
	free(scratch);
}

int
pb_body_look(struct pb_body_scratch *scratch, const struct pb_body *body,
    struct pb_body_facts *facts, struct pb_err *err)
{
	struct walk walk = {
		.scratch = scratch, .body = body, .facts = facts, .err = err,
	};
	int rc = walk_body(&walk, true);

	facts->last = 0;
	return rc;
}

int
pb_body_read(struct pb_body_scratch *scratch, const struct pb_body *body,
    struct pb_body_facts *facts, struct pb_body_build *build,
    struct pb_err *err)
{
	struct walk walk = {
		.scratch = scratch, .body = body, .facts = facts,
		.build = build, .err = err,
	};
	int rc;

	if (build == NULL)
		return walk_body(&walk, false);
	build->first_chunk = build->last_chunk = NULL;
	build->head = NULL;
	build->blocks_dropped = 0;
	rc = walk_body(&walk, false);
	if (rc < 0) {
		pb_head_unref(build->head);
		build->head = NULL;
	}
	return rc;
}

/* --- reading -------------------------------------------------------------- */

static int
walk_body(struct walk *walk, bool first_packet_only)
{
	const struct pb_body *body = walk->body;
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, used;
	int rc;

	memset(walk->facts, 0, sizeof(*walk->facts));
	forget_waiting(walk);
	if (body->len == 0)
		return pb_err_set(walk->err, PB_EINVAL, "the body is empty");
	/* The reader knows classic pcap as well; a body is never that. */
	if (body->len < 4 || pb_get_le32(body->data) != PB_BLOCK_SHB)
		return pb_err_set(walk->err, PB_EFORMAT, "offset 0: a body is "
		    "pcapng and begins with a Section Header Block");
	rc = pb_reader_create(&reader, walk->err);
	if (rc < 0)
		return rc;
	while ((rc = pb_reader_next(reader, body->data + at, body->len - at,
	    true, &used, &event, walk->err)) == PB_READ_EVENT) {
		rc = take_event(walk, &event);
		if (rc < 0)
			goto out;
		at += used;
		if (first_packet_only && has_begun(walk))
			goto out;
		if (first_packet_only || !walk->plain)
			continue;
		rc = take_plain(walk, reader, &at);
		if (rc < 0)
			goto out;
	}
	if (rc < 0)
		goto out;
	rc = 0;
	if (!has_begun(walk))
		rc = pb_err_set(walk->err, PB_EINVAL,
		    "the body has no packets");
	else if (walk->build != NULL)
		keep_last_blocks(walk);
out:
	pb_reader_destroy(reader);
	/* A bound of the reader's is a rule of ours. */
	if (rc == PB_ELIMIT)
		rc = PB_EINVAL;
	return rc < 0 ? rc : 0;
}

static int
take_event(struct walk *walk, const struct pb_event *event)
{
	switch (event->kind) {
	case PB_EVENT_SECTION:
		return take_section(walk, event);
	case PB_EVENT_INTERFACE:
		return take_interface(walk, event);
	case PB_EVENT_PACKET:
		return take_packet(walk, event);
	case PB_EVENT_STATISTICS:
		return take_statistics(walk, event);
	case PB_EVENT_BLOCK:
		if (walk->build != NULL)
			keep_block(walk, event);
		return 0;
	}
	return 0;
}

static int
take_section(struct walk *walk, const struct pb_event *event)
{
	const struct pb_packet *block = &event->packet;
	struct pb_identity *way = &walk->facts->way;
	struct pb_err why = { 0 };
	int rc;

	if (event->section > 0)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": a second section; a body has exactly one",
		    event->offset);
	pb_buf_clear(&walk->scratch->shb);
	rc = pb_buf_put(&walk->scratch->shb, block->options,
	    block->options_len);
	if (rc < 0)
		return pb_err_set(walk->err, rc == PB_ENOMEM ? rc : PB_EINVAL,
		    "offset 0: the section header's options take more than "
		    "%u bytes", PB_OPTIONS_BYTES_MAX);
	rc = pb_identity_get(block->options, block->options_len, way, &why);
	if (rc < 0)
		return pb_err_set(walk->err, PB_EINVAL, "the section header's "
		    "segment option: %s", why.text);
	if (rc == 0)
		foreign_way(walk->body->key, way);
	return take_way(walk, way);
}

/* A sender that says nothing of itself is the origin. */
static void
foreign_way(const struct pb_stream_key *key, struct pb_identity *way)
{
	memset(way, 0, sizeof(*way));
	way->epoch = key->epoch;
	way->nodes = 1;
	memcpy(way->interface, key->interface, sizeof(way->interface));
	memcpy(way->node[0].name, key->node, sizeof(way->node[0].name));
}

static int
take_way(struct walk *walk, const struct pb_identity *way)
{
	const struct pb_stream_key *key = walk->body->key;
	const struct pb_node *self = walk->body->self;

	if (strcmp(way->node[0].name, key->node) != 0 ||
	    strcmp(way->interface, key->interface) != 0 ||
	    way->epoch != key->epoch)
		return pb_err_set(walk->err, PB_EINVAL, "the section header "
		    "says %s/%s epoch %016" PRIx64 ", the URL says %s/%s epoch "
		    "%016" PRIx64, way->node[0].name, way->interface,
		    way->epoch, key->node, key->interface, key->epoch);
	if (self == NULL) {
		if (way->nodes == 1)
			return 0;
		return pb_err_set(walk->err, PB_EINVAL, "the packets went "
		    "over %d nodes; through the local door they come from "
		    "their origin", way->nodes);
	}
	for (int i = 0; i < way->nodes; i++)
		if (strcmp(way->node[i].name, self->name) == 0)
			return pb_err_set(walk->err, PB_ELOOP, "a loop: node "
			    "%s is on the packets' way already", self->name);
	if (way->nodes >= PB_HOPS_MAX)
		return pb_err_set(walk->err, PB_EINVAL, "the packets went "
		    "over %d nodes already, and %d is the most a way can have",
		    way->nodes, PB_HOPS_MAX);
	return 0;
}

static int
take_interface(struct walk *walk, const struct pb_event *event)
{
	const struct pb_packet *block = &event->packet;
	struct pb_option option;
	uint64_t offset;

	if (walk->have_interface)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": a second interface; a body has exactly one",
		    event->offset);
	walk->have_interface = true;
	walk->facts->linktype = event->linktype;
	walk->facts->snaplen = event->snaplen;
	walk->nanoseconds = pb_option_find(block->options, block->options_len,
	    PB_OPT_IF_TSRESOL, &option) && option.len == 1 &&
	    option.value[0] == TSRESOL_NS &&
	    (!pb_option_find_u64(block->options, block->options_len,
	    PB_OPT_IF_TSOFFSET, &offset) || offset == 0);
	walk->plain = walk->nanoseconds && !walk->scratch->no_plain &&
	    pb_get_le32(walk->body->data + 8) == PB_BYTE_ORDER_MAGIC;
	if (walk->build == NULL)
		return 0;
	return make_head(walk, event);
}

static int
make_head(struct walk *walk, const struct pb_event *event)
{
	struct pb_identity way = walk->facts->way;

	if (walk->body->self != NULL)
		way.node[way.nodes++] = *walk->body->self;
	return pb_head_create(&walk->build->head, &way, event->linktype,
	    walk->scratch->shb.data, walk->scratch->shb.len,
	    event->packet.options, event->packet.options_len, walk->err);
}

static int
take_packet(struct walk *walk, const struct pb_event *event)
{
	uint64_t seq;
	int rc;

	if (!event->has_time || !pb_packet_seq(&event->packet, &seq))
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": a packet without epb_packetid, which is its sequence "
		    "number", event->offset);
	if (seq == 0 || seq > PB_SEQ_MAX)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": sequence number %" PRIu64 " is not within 1 and "
		    "2^63 - 1", event->offset, seq);
	if (has_begun(walk) && seq != walk->facts->last + 1)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": sequence number %" PRIu64 " follows %" PRIu64
		    "; they ascend by one", event->offset, seq,
		    walk->facts->last);
	rc = check_packet(walk, event);
	if (rc < 0)
		return rc;
	return take_number(walk, seq) ? keep_packet(walk, event, seq) : 0;
}

static int
take_statistics(struct walk *walk, const struct pb_event *event)
{
	const struct pb_packet *block = &event->packet;
	struct pb_filtered filtered;
	int rc = pb_filtered_get(block->options, block->options_len,
	    block->time_ns, &filtered);

	if (rc < 0)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": numbers of filtered packets that make no sense",
		    event->offset);
	if (rc == 1)
		return take_filtered(walk, event, &filtered);
	if (walk->build != NULL)
		keep_statistics(walk, event);
	return 0;
}

/* Numbers of packets that the sender left out: they count as packets do. */
static int
take_filtered(struct walk *walk, const struct pb_event *event,
    const struct pb_filtered *filtered)
{
	if (!walk->have_interface)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": filtered packets before their interface",
		    event->offset);
	if (has_begun(walk) && filtered->first != walk->facts->last + 1)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": filtered packets from %" PRIu64 " on follow %" PRIu64
		    "; numbers ascend by one", event->offset, filtered->first,
		    walk->facts->last);
	note_numbers(walk, filtered->first, filtered->last);
	return walk->build == NULL ? 0 : keep_filtered(walk, filtered);
}

static inline bool
has_begun(const struct walk *walk)
{
	return walk->facts->first != 0;
}

static inline void
note_numbers(struct walk *walk, uint64_t first, uint64_t last)
{
	if (!has_begun(walk))
		walk->facts->first = first;
	walk->facts->last = last;
}

/* Will the packet, grown by a hop record, fit a segment and a reader? */
static int
check_packet(struct walk *walk, const struct pb_event *event)
{
	const struct pb_packet *packet = &event->packet;
	size_t growth = walk->body->self != NULL ? PB_HOP_GROWTH_MAX : 0;
	int want = walk->facts->way.nodes - 1, hops;
	struct pb_hop hop[PB_HOPS_MAX];

	if (packet->caplen > PB_CAPLEN_MAX)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": %" PRIu32 " captured bytes; %u is the most",
		    event->offset, packet->caplen, PB_CAPLEN_MAX);
	if (packet->options_len + growth > PB_OPTIONS_BYTES_MAX)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": %zu bytes of options; %zu is the most", event->offset,
		    packet->options_len, PB_OPTIONS_BYTES_MAX - growth);
	hops = pb_hops_get(packet->options, packet->options_len, hop);
	if (hops < 0)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": malformed hop records", event->offset);
	if (hops != want)
		return pb_err_set(walk->err, PB_EINVAL, "offset %" PRIu64
		    ": %d hop records where the section header's way has %d",
		    event->offset, hops, want);
	return 0;
}

/*
 * Plain packets from `*at` on, up to the first block that is no such, or
 * is against a rule: the reader has that next, and says what is wrong.
 */
static int
take_plain(struct walk *walk, struct pb_reader *reader, size_t *at)
{
	const struct pb_body *body = walk->body;
	uint64_t packets = walk->packets;
	size_t hops_len = pb_hops_bytes(walk->facts->way.nodes - 1);
	struct pb_plain packet;
	size_t begin = *at;
	int rc = 0;

	while (rc == 0 && pb_plain_read(body->data + *at, body->len - *at,
	    &packet) && packet.hops_len == hops_len &&
	    follows(walk, packet.seq)) {
		if (take_number(walk, packet.seq))
			rc = keep_plain(walk, &packet);
		*at += packet.len;
	}
	walk->scratch->plain += walk->packets - packets;
	pb_reader_pass(reader, *at - begin);
	return rc;
}

/* May a packet with this number stand here? */
static inline bool
follows(const struct walk *walk, uint64_t seq)
{
	return seq <= PB_SEQ_MAX &&
	    (!has_begun(walk) || seq == walk->facts->last + 1);
}

/* A packet that is right has this number.  Is it to be kept? */
static inline bool
take_number(struct walk *walk, uint64_t seq)
{
	walk->packets++;
	note_numbers(walk, seq, seq);
	if (seq <= walk->kept_to)
		return true;		/* as the one before it */
	if (walk->build == NULL)
		return false;
	walk->kept = within_runs(walk, seq);
	if (!walk->kept)
		forget_waiting(walk);
	return walk->kept;
}

/* --- keeping -------------------------------------------------------------- */

static bool
within_runs(struct walk *walk, uint64_t seq)
{
	const struct pb_body_build *build = walk->build;

	while (walk->run < build->runs && seq > build->run[walk->run].last) {
		walk->run++;
		walk->cut = true;
	}
	if (walk->run == build->runs || seq < build->run[walk->run].first)
		return false;
	walk->kept_to = build->run[walk->run].last;
	return true;
}

static int
keep_packet(struct walk *walk, const struct pb_event *event, uint64_t seq)
{
	struct pb_packet packet = event->packet;
	struct pb_body_scratch *scratch = walk->scratch;
	struct pb_body_build *build = walk->build;
	struct pb_chunk *chunk;
	size_t bytes;

	if (walk->body->self != NULL) {
		struct pb_hop hop = { build->arrival_ns, build->number++ };

		packet.options_len = pb_hops_append(scratch->options,
		    packet.options, packet.options_len, walk->body->pen, &hop);
		packet.options = scratch->options;
	}
	bytes = pb_epb_bytes(packet.caplen, packet.options_len);
	chunk = chunk_for(walk, bytes);
	if (chunk == NULL)
		return pb_err_set(walk->err, PB_ENOMEM, "no memory");
	pb_fill_epb(chunk, seq, &packet);
	return 0;
}

static int
keep_plain(struct walk *walk, const struct pb_plain *packet)
{
	struct pb_body_build *build = walk->build;
	struct pb_hop hop, *more = NULL;
	struct pb_chunk *chunk;
	size_t bytes;

	if (walk->body->self != NULL) {
		hop.time_ns = build->arrival_ns;
		hop.seq = build->number++;
		more = &hop;
	}
	bytes = pb_plain_bytes(packet, more != NULL);
	chunk = chunk_for(walk, bytes);
	if (chunk == NULL)
		return pb_err_set(walk->err, PB_ENOMEM, "no memory");
	pb_plain_write(pb_fill_at(chunk), packet, walk->body->pen, more);
	pb_fill_packet(chunk, bytes, packet->seq, packet->ticks,
	    packet->caplen);
	if (packet->dropped > 0)
		pb_fill_drops(chunk, packet->seq, packet->dropped,
		    packet->ticks);
	return 0;
}

/* What of them lies within the runs, each part in its own chunk. */
static int
keep_filtered(struct walk *walk, const struct pb_filtered *all)
{
	const struct pb_body_build *build = walk->build;
	struct pb_filtered part = *all;
	struct pb_chunk *chunk;

	for (; part.first <= all->last; part.first = part.last + 1) {
		part.last = all->last;
		walk->kept = part.first <= walk->kept_to ||
		    within_runs(walk, part.first);
		if (!walk->kept) {
			forget_waiting(walk);
			if (walk->run == build->runs)
				return 0;
			part.last = build->run[walk->run].first - 1;
			continue;
		}
		if (part.last > walk->kept_to)
			part.last = walk->kept_to;
		/* It is told of the last one. */
		part.digest = part.last == all->last ? all->digest : 0;
		chunk = chunk_for(walk, PB_FILTERED_BYTES);
		if (chunk == NULL)
			return pb_err_set(walk->err, PB_ENOMEM, "no memory");
		pb_fill_filtered(chunk, &part, walk->body->pen);
	}
	return 0;
}

/*
 * The chunk at whose end `bytes` go, behind the blocks that waited for the
 * packet they are; NULL for no memory.
 */
static inline struct pb_chunk *
chunk_for(struct walk *walk, size_t bytes)
{
	const struct pb_buf *waiting = &walk->scratch->waiting;
	struct pb_chunk *chunk = walk->build->last_chunk;

	if (chunk != NULL && !walk->cut && waiting->len == 0 &&
	    !waiting->failed && bytes <= pb_fill_room(chunk))
		return chunk;
	return chunk_anew(walk, bytes);
}

/* What is rare: blocks wait, or another chunk begins. */
static __attribute__((noinline)) struct pb_chunk *
chunk_anew(struct walk *walk, size_t bytes)
{
	struct pb_buf *waiting = &walk->scratch->waiting;
	struct pb_chunk *chunk = walk->build->last_chunk;

	if (chunk == NULL || walk->cut ||
	    waiting->len + bytes > pb_fill_room(chunk))
		chunk = next_chunk(walk, bytes);
	if (chunk != NULL) {
		pb_fill_blocks(chunk, waiting->data, waiting->len);
		forget_waiting(walk);
	}
	return chunk;
}

/*
 * A new chunk at build->last_chunk with room for the waiting blocks and
 * `bytes` more.  A packet alone always fits an empty one:
 * PB_CAPLEN_MAX + PB_OPTIONS_BYTES_MAX is about half of PB_CHUNK_BYTES.
 */
static struct pb_chunk *
next_chunk(struct walk *walk, size_t bytes)
{
	struct pb_body_build *build = walk->build;
	struct pb_chunk *chunk = build->chunk(build->arg);

	if (chunk == NULL)
		return NULL;
	if (build->last_chunk != NULL)
		build->last_chunk->next = chunk;
	else
		build->first_chunk = chunk;
	build->last_chunk = chunk;
	chunk->next = NULL;
	chunk->head = pb_head_ref(build->head);
	walk->cut = false;
	if (walk->scratch->waiting.len + bytes > chunk->cap)
		drop_waiting(walk);
	return chunk;
}

/*
 * Start and end times stand in the resolution of the sender's interface
 * block; ours says nanoseconds, so others would be misread and stay out.
 */
static void
keep_statistics(struct walk *walk, const struct pb_event *event)
{
	struct pb_buf *list = &walk->scratch->statistics;
	struct pb_option option;

	if (pb_own_find(event->packet.options, event->packet.options_len,
	    PB_OWN_FILLER, &option))
		return;
	if (!waiting_fits(walk, ISB_BYTES(event->packet.options_len)))
		return;
	pb_buf_clear(list);
	PB_OPTION_EACH(option, event->packet.options,
	    event->packet.options_len)
		if (walk->nanoseconds || (option.code != PB_OPT_ISB_STARTTIME &&
		    option.code != PB_OPT_ISB_ENDTIME))
			pb_option_put(list, option.code, option.value,
			    option.len);
	if (list->failed || pb_build_isb(&walk->scratch->waiting, 0,
	    event->packet.time_ns, list->data, list->len) < 0) {
		walk->build->blocks_dropped++;
		return;
	}
	walk->waiting++;
}

/*
 * Names, secrets and blocks we do not know pass as they are.  Custom
 * Blocks would be frames in Wireshark; a body of the other byte order
 * cannot be turned around without knowing it.
 */
static void
keep_block(struct walk *walk, const struct pb_event *event)
{
	if (event->swapped || event->block_type == PB_BLOCK_CB ||
	    event->block_type == PB_BLOCK_CB_NOCOPY) {
		walk->build->blocks_dropped++;
		return;
	}
	if (!waiting_fits(walk, event->block_len))
		return;
	if (pb_buf_put(&walk->scratch->waiting, event->block,
	    event->block_len) < 0)
		walk->build->blocks_dropped++;
	else
		walk->waiting++;
}

static bool
waiting_fits(struct walk *walk, size_t bytes)
{
	struct pb_buf *waiting = &walk->scratch->waiting;

	if (bytes <= waiting->max - waiting->len)
		return true;
	walk->build->blocks_dropped++;
	return false;
}

static void
forget_waiting(struct walk *walk)
{
	pb_buf_clear(&walk->scratch->waiting);
	walk->waiting = 0;
}

static void
drop_waiting(struct walk *walk)
{
	walk->build->blocks_dropped += walk->waiting;
	forget_waiting(walk);
}

/* Blocks behind the last packet stay with it. */
static void
keep_last_blocks(struct walk *walk)
{
	struct pb_buf *waiting = &walk->scratch->waiting;
	struct pb_chunk *chunk = walk->build->last_chunk;

	if (!walk->kept || waiting->len == 0)
		return;
	if (waiting->len > pb_fill_room(chunk)) {
		drop_waiting(walk);
		return;
	}
	pb_fill_blocks(chunk, waiting->data, waiting->len);
	forget_waiting(walk);
}
