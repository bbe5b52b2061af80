/*
 * tests/crash/work.c - what a store does while it is killed, and what is in
 * it afterwards
 *
 *	work SCENARIO STORE ACKS	do that, note in ACKS what is promised
 *	work ends STORE			tell the index's segments, touch nothing
 *	work look STORE			recover, tell all there is
 *	work more STORE ACKS		the same, then go on, and tell again
 *	work list			the scenarios' names
 *
 * ACKS gets a line `sent STREAM FIRST LAST` before packets are given to the
 * store, `left` before numbers that a filter has left out are, `gone` before a
 * gap is, and `have`, `held` or `gap` with the same once the store has said
 * that it is durable.  It is written past libc, so that the
 * shim does not count it.  A packet's bytes follow from its stream and number,
 * so the reader knows them too (kill.py has the same sum).
 *
 * Scenarios say crash_arm() where the part begins that is to be killed.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/syscall.h>
#include <xxhash.h>

#include "pcapng/filtered.h"
#include "recorder/flow/flows.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/index/index_write.h"
#include "tests/unit/store_fixture.h"

#define STREAMS		2u
#define PAGE_ROWS	32	/* rows of the index read at once */
#define DROP_EVERY	7u	/* each seventh packet has a drop count */
#define PACKET_MAX	65000u	/* bytes; 15 of them fill a chunk */
#define FLOWS_MAX	16u	/* of a chunk */
#define EVERY		5u	/* numbers, where most are left out: a packet */

struct work {
	const char	*dir;
	int		 acks;
	uint64_t	 segment_size;
	struct fixture	 f[STREAMS];
};

static const struct pb_stream_key keys[STREAMS] = {
	{ .node = "lon1", .interface = "eth0", .epoch = 0x1122334455667701 },
	{ .node = "par2", .interface = "eth1", .epoch = 0x1122334455667702 },
};

static void	first(struct work *);
static void	flush(struct work *);
static void	seal(struct work *);
static void	burst(struct work *);
static void	gap(struct work *);
static void	late(struct work *);
static void	head(struct work *);
static void	again(struct work *);
static void	filter(struct work *);
static void	fill(struct work *);

static const struct scenario {
	const char	*name;
	uint64_t	 segment_size;
	void		(*run)(struct work *);
} scenarios[] = {
	{ "first", 4u << 20, first },	/* a store's first packets */
	{ "flush", 4u << 20, flush },	/* into segments that are open */
	{ "seal", 64u << 10, seal },	/* segment after segment */
	{ "burst", 2u << 20, burst },	/* many chunks in one flush */
	{ "gap", 4u << 20, gap },	/* also at a stream's beginning */
	{ "late", 4u << 20, late },	/* packets that fill gaps */
	{ "head", 4u << 20, head },	/* an interface described anew */
	{ "again", 4u << 20, again },	/* closed well and opened again */
	{ "filter", 64u << 10, filter },	/* numbers are left out */
	/* Not listed: a store for the daemons, 5 MB in 40 segments. */
	{ "fill", 64u << 10, fill },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* the store */
static void	arm(void);
static void	store_open(struct work *);
static void	store_close(struct work *);
static size_t	options_of(uint8_t [static PB_OPTION_BYTES(8) * 2], uint64_t);
static void	bytes_of(uint8_t *, size_t, const struct pb_stream_key *,
		    uint64_t);
static void	put(struct work *, unsigned, uint64_t, uint64_t, uint32_t);
static void	put_some(struct work *, unsigned, uint64_t, uint64_t, uint32_t);
static struct pb_chunk *chunk_new(struct fixture *, uint64_t, uint64_t);
static void	add_packet(struct fixture *, struct pb_chunk *, uint64_t,
		    uint32_t);
static void	add_left(struct pb_chunk *, uint64_t, uint64_t);
static void	give(struct work *, unsigned, struct pb_chunk *, bool);
static void	put_gap(struct work *, unsigned, uint64_t, uint64_t);
static void	wait_all(struct work *);
static void	note(const struct work *, const char *, unsigned, uint64_t,
		    uint64_t);
static void	note_chunk(const struct work *, unsigned,
		    const struct pb_chunk *, const char *, const char *);
static void	durable(struct pb_chunk *, int, const struct pb_err *);

/* afterwards */
static void	go_on(struct work *);
static void	tell(struct work *);
static void	tell_stream(struct work *, const struct pb_stream_info *);
static void	tell_segments(struct pb_index *, const struct pb_stream_info *);
static void	tell_rows(struct work *, const struct pb_stream_info *);
static void	tell_extents(struct work *, const struct pb_stream_info *);
static void	tell_left(const struct pb_stream_info *, const uint8_t *,
		    size_t);
static void	tell_flows(struct work *, const struct pb_stream_info *);
static bool	opens(struct work *, const struct pb_stream_info *,
		    const struct pb_flows_info *);
static void	tell_packets(struct work *, const struct pb_stream_info *);
static void	die(const char *, const char *);
static int	ends(const char *);
static int	look(struct work *);
static int	more(struct work *);
static int	usage(void);

/* --- scenarios ------------------------------------------------------------ */

static void
first(struct work *w)
{
	arm();
	store_open(w);
	put(w, 0, 1, 3, 200);
	wait_all(w);
	put(w, 0, 4, 4, 90);
	wait_all(w);
	store_close(w);
}

/* Within a page, over a few, over many; two streams in one flush. */
static void
flush(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 5, 100);
	put(w, 1, 1, 5, 100);
	wait_all(w);
	arm();
	put(w, 0, 6, 6, 100);
	wait_all(w);
	put(w, 0, 7, 40, 700);
	put(w, 1, 6, 20, 300);
	wait_all(w);
	put(w, 0, 41, 300, 1400);
	wait_all(w);
	put(w, 1, 21, 21, 60);
	wait_all(w);
	store_close(w);
}

static void
seal(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 10, 1000);
	put(w, 1, 1, 10, 1000);
	wait_all(w);
	arm();
	for (uint64_t n = 11; n <= 91; n += 20) {
		put(w, 0, n, n + 19, 1400);
		put(w, 1, n, n + 19, 1000);
		wait_all(w);
	}
	store_close(w);
}

static void
burst(struct work *w)
{
	store_open(w);
	arm();
	for (uint64_t n = 1; n <= 46; n += 15) {
		put(w, 0, n, n + 14, PACKET_MAX);
		put(w, 1, n, n + 14, PACKET_MAX - 5000);
	}
	wait_all(w);
	store_close(w);
}

static void
gap(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 10, 300);
	wait_all(w);
	arm();
	put_gap(w, 0, 11, 40);
	put(w, 0, 41, 50, 300);
	put_gap(w, 0, 51, 60);
	wait_all(w);
	put_gap(w, 1, 1, 9);
	put(w, 1, 10, 12, 300);
	wait_all(w);
	store_close(w);
}

static void
late(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 10, 300);
	put_gap(w, 0, 11, 60);
	put(w, 0, 61, 70, 300);
	wait_all(w);
	arm();
	put(w, 0, 11, 20, 300);
	wait_all(w);
	put(w, 0, 41, 50, 1400);
	wait_all(w);
	put(w, 0, 71, 75, 300);
	put(w, 0, 21, 40, 300);
	wait_all(w);
	store_close(w);
}

static void
head(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 5, 300);
	wait_all(w);
	arm();
	pb_head_unref(w->f[0].head);
	w->f[0].head = fixture_head(&keys[0], "London, rack 5");
	put(w, 0, 6, 10, 300);
	wait_all(w);
	store_close(w);
}

static void
again(struct work *w)
{
	store_open(w);
	put(w, 0, 1, 5, 300);
	put_gap(w, 0, 6, 9);
	put(w, 1, 1, 5, 300);
	wait_all(w);
	store_close(w);
	arm();
	store_open(w);
	put(w, 0, 10, 19, 300);
	put(w, 1, 6, 9, 300);
	wait_all(w);
	store_close(w);
}

/* Among packets, at a segment's beginning and end, late, and alone. */
static void
filter(struct work *w)
{
	store_open(w);
	put_some(w, 0, 1, 21, 300);
	put(w, 1, 1, 5, 300);
	wait_all(w);
	arm();
	put_some(w, 0, 22, 24, 300);
	put_some(w, 1, 6, 30, 1400);
	wait_all(w);
	put_some(w, 0, 25, 264, 1400);
	wait_all(w);
	put_some(w, 0, 265, 504, 1400);
	put_gap(w, 0, 505, 540);
	put(w, 0, 541, 545, 300);
	wait_all(w);
	put_some(w, 0, 511, 514, 300);
	wait_all(w);
	put_some(w, 0, 515, 530, 300);
	put_some(w, 1, 31, 33, 300);
	wait_all(w);
	store_close(w);
}

static void
fill(struct work *w)
{
	store_open(w);
	for (uint64_t n = 1; n <= 400; n += 20) {
		put(w, 0, n, n + 19, 6000);
		put(w, 1, n, n + 19, 6000);
		wait_all(w);
	}
	store_close(w);
}

/* --- the store ------------------------------------------------------------ */

/* From here on the shim counts; without one nothing happens. */
static void
arm(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "crash_arm");
	void (*function)(void);

	if (symbol == NULL)
		return;
	memcpy(&function, &symbol, sizeof(function));
	function();
}

static void
store_open(struct work *w)
{
	struct pb_store_opts opts;
	struct pb_store *store;
	struct pb_err err = { 0 };

	for (unsigned i = 0; i < STREAMS; i++) {
		struct fixture *f = &w->f[i];

		memset(f, 0, sizeof(*f));
		if (strlen(w->dir) >= sizeof(f->dir))
			die("too long", w->dir);
		strcpy(f->dir, w->dir);
		f->key = keys[i];
		pthread_mutex_init(&f->mutex, NULL);
		pthread_cond_init(&f->cond, NULL);
		f->head = fixture_head(&f->key, "London");
	}
	fixture_opts(&w->f[0], &opts);
	opts.segment_size = w->segment_size;
	opts.flows = PB_FLOWS_YES;
	if (pb_store_open(&store, &opts, &err) < 0)
		die("open", err.text);
	for (unsigned i = 0; i < STREAMS; i++) {
		w->f[i].store = store;
		if (pb_store_stream(store, &keys[i], PB_LINKTYPE_ETHERNET, 0,
		    i == 0, &w->f[i].stream, &err) < 0)
			die("stream", err.text);
	}
}

static void
store_close(struct work *w)
{
	pb_store_close(w->f[0].store);
	for (unsigned i = 0; i < STREAMS; i++) {
		pb_head_unref(w->f[i].head);
		pthread_mutex_destroy(&w->f[i].mutex);
		pthread_cond_destroy(&w->f[i].cond);
	}
}

static size_t
options_of(uint8_t options[static PB_OPTION_BYTES(8) * 2], uint64_t seq)
{
	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	if (seq % DROP_EVERY != 0)
		return PB_OPTION_BYTES(8);
	pb_option_at_u64(options + PB_OPTION_BYTES(8), PB_OPT_EPB_DROPCOUNT,
	    seq);
	return PB_OPTION_BYTES(8) * 2;
}

/* Its own bytes, so that no packet is taken for one of another stream. */
static void
bytes_of(uint8_t *data, size_t len, const struct pb_stream_key *key,
    uint64_t seq)
{
	fixture_packet(data, len, seq + (key->epoch & 0xff));
}

/* Give packets first .. last of `len` bytes each to the store. */
static void
put(struct work *w, unsigned i, uint64_t from, uint64_t to, uint32_t len)
{
	struct fixture *f = &w->f[i];
	struct pb_chunk *chunk = chunk_new(f, from, to);

	for (uint64_t seq = from; seq <= to; seq++)
		add_packet(f, chunk, seq, len);
	give(w, i, chunk, i == 0);
}

/* Of EVERY numbers the last one is a packet; the others were left out. */
static void
put_some(struct work *w, unsigned i, uint64_t from, uint64_t to, uint32_t len)
{
	struct fixture *f = &w->f[i];
	struct pb_chunk *chunk = chunk_new(f, from, to);

	for (uint64_t seq = from, left = from; seq <= to; seq++) {
		bool packet = seq % EVERY == 0;

		if (left < seq + !packet && (packet || seq == to))
			add_left(chunk, left, packet ? seq - 1 : seq);
		if (packet)
			add_packet(f, chunk, seq, len);
		if (packet)
			left = seq + 1;
	}
	give(w, i, chunk, i == 0);
}

static struct pb_chunk *
chunk_new(struct fixture *f, uint64_t from, uint64_t to)
{
	struct pb_chunk *chunk = fixture_chunk(f, from, to, 0);

	pb_fill_again(chunk, 0);
	if (pb_flows_create(&chunk->flows, FLOWS_MAX, (uint32_t)(to - from) +
	    1, NULL) < 0)
		die("no memory", "for flows");
	return chunk;
}

static void
add_packet(struct fixture *f, struct pb_chunk *chunk, uint64_t seq,
    uint32_t len)
{
	uint8_t options[PB_OPTION_BYTES(8) * 2];
	static uint8_t data[PACKET_MAX + PB_FLOW_BEHIND];
	struct pb_packet packet = {
		.time_ns = FIXTURE_TIME(seq), .caplen = len,
		.origlen = len, .data = data, .options = options,
		.options_len = options_of(options, seq),
	};

	bytes_of(data, len, &f->key, seq);
	if (chunk->len + pb_epb_bytes(len, packet.options_len) > chunk->cap)
		die("too many packets for a chunk", f->key.interface);
	pb_flows_packet(chunk->flows, (uint32_t)chunk->len,
	    PB_LINKTYPE_ETHERNET, data, len, len, packet.time_ns);
	pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0, &packet),
	    seq, packet.time_ns, len);
	if (seq % DROP_EVERY == 0)
		pb_fill_drops(chunk, seq, seq, packet.time_ns);
}

static void
add_left(struct pb_chunk *chunk, uint64_t from, uint64_t to)
{
	struct pb_filtered run = { .first = from, .last = to,
	    .time_ns = FIXTURE_TIME(to), .digest = to };

	if (pb_fill_room(chunk) < PB_FILTERED_BYTES)
		die("too many runs for a chunk", "filtered");
	pb_fill_filtered(chunk, &run, PB_PEN_EXAMPLE);
}

static void
give(struct work *w, unsigned i, struct pb_chunk *chunk, bool keep_trying)
{
	chunk->done = durable;
	chunk->arg = w;
	chunk->keep_trying = keep_trying;
	note_chunk(w, i, chunk, "sent", "left");
	if (fixture_submit(&w->f[i], chunk) < 0)
		die("submit", keys[i].interface);
}

static void
put_gap(struct work *w, unsigned i, uint64_t from, uint64_t to)
{
	struct pb_chunk *chunk = fixture_chunk(&w->f[i], from, to, 0);

	chunk->len = 0;
	chunk->gap = PB_GAP_EXPIRED;
	chunk->done = durable;
	chunk->arg = w;
	note(w, "gone", i, from, to);
	if (fixture_submit(&w->f[i], chunk) < 0)
		die("submit a gap", keys[i].interface);
}

/* The writer's thread says that a chunk is on disk. */
static void
durable(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct work *w = chunk->arg;
	unsigned i = chunk->stream == w->f[0].stream ? 0 : 1;

	if (rc < 0)
		die("the store refused", err->text);
	if (chunk->gap != 0)
		note(w, "gap", i, chunk->first_seq, chunk->last_seq);
	else
		note_chunk(w, i, chunk, "have", "held");
	chunk->arg = &w->f[i];
	pb_flows_destroy(chunk->flows);
	chunk->flows = NULL;
	fixture_done(chunk, rc, err);
}

static void
wait_all(struct work *w)
{
	for (unsigned i = 0; i < STREAMS; i++)
		fixture_wait(&w->f[i]);
}

static void
note(const struct work *w, const char *what, unsigned i, uint64_t from,
    uint64_t to)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %s/%s %" PRIu64 " %" PRIu64
	    "\n", what, keys[i].node, keys[i].interface, from, to);

	if (syscall(SYS_write, w->acks, line, (size_t)len) != len)
		die("write", "the acks");
}

/* Of a chunk without numbers that were left out that is one line. */
static void
note_chunk(const struct work *w, unsigned i, const struct pb_chunk *chunk,
    const char *packets, const char *left)
{
	uint64_t first, last;
	struct pb_block block;

	if (chunk->tally.filtered == 0) {
		note(w, packets, i, chunk->first_seq, chunk->last_seq);
		return;
	}
	for (size_t at = 0; at < chunk->len && pb_scan_block(chunk->data + at,
	    chunk->len - at, &block) == 1; at += block.len)
		if (pb_scan_numbers(&block, &first, &last) == 1)
			note(w, block.type == PB_BLOCK_EPB ? packets : left,
			    i, first, last);
}

/* --- afterwards ----------------------------------------------------------- */

/* Each stream takes more packets, and what fills the rest of its gaps. */
static void
go_on(struct work *w)
{
	struct pb_gap_info open;
	struct pb_err err;

	for (unsigned i = 0; i < STREAMS; i++) {
		struct pb_stream *stream = w->f[i].stream;
		uint64_t next = pb_stream_next(stream);

		put(w, i, next, next + 4, 250);
		wait_all(w);
		while (pb_store_gaps(w->f[0].store, stream, 1, next, &open, 1,
		    &err) == 1) {
			put(w, i, open.first, open.last, 120);
			wait_all(w);
		}
	}
}

static void
tell(struct work *w)
{
	struct pb_index *index = pb_store_index(w->f[0].store);
	struct pb_stream_info rows[PAGE_ROWS];
	struct pb_open_info open[PAGE_ROWS];
	struct pb_err err;
	int n = pb_index_rows(index, PB_TABLE_STREAMS, NULL, rows, PAGE_ROWS,
	    &err);

	if (n < 0)
		die("streams", err.text);
	for (int i = 0; i < n; i++)
		tell_stream(w, &rows[i]);
	n = pb_index_rows(index, PB_TABLE_OPEN, NULL, open, PAGE_ROWS, &err);
	if (n < 0)
		die("open segments", err.text);
	for (int i = 0; i < n; i++)
		printf("open %s/%s %" PRIu64 "\n", open[i].key.node,
		    open[i].key.interface, open[i].first_seq);
	printf("end\n");
	fflush(stdout);
}

static void
tell_stream(struct work *w, const struct pb_stream_info *s)
{
	printf("stream %s/%s %" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	    " %" PRIu64 " %" PRIu64 "\n", s->key.node, s->key.interface,
	    s->key.epoch, s->first_seq, s->last_seq, s->packets, s->bytes,
	    s->dropped);
	tell_segments(pb_store_index(w->f[0].store), s);
	tell_rows(w, s);
	tell_extents(w, s);
	tell_flows(w, s);
	tell_packets(w, s);
}

/* The stores are small: a page of segments or gaps is more than there is. */
static void
tell_segments(struct pb_index *index, const struct pb_stream_info *s)
{
	struct pb_segment_info segments[PAGE_ROWS];
	struct pb_err err;
	int n = pb_index_rows_of(index, PB_TABLE_SEGMENTS, s->id, 0, segments,
	    PAGE_ROWS, &err);

	if (n < 0 || n == PAGE_ROWS)
		die("segments", "cannot be listed");
	for (int i = 0; i < n; i++)
		printf("segment %s/%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %"
		    PRIu64 " %" PRIu64 " %d\n", s->key.node, s->key.interface,
		    segments[i].first_seq, segments[i].last_seq,
		    segments[i].packets, segments[i].packet_bytes,
		    segments[i].bytes, segments[i].sealed);
}

static void
tell_rows(struct work *w, const struct pb_stream_info *s)
{
	struct pb_index *index = pb_store_index(w->f[0].store);
	struct pb_gap_info gaps[PAGE_ROWS];
	struct pb_drop_info drop;
	uint64_t from = 0;
	struct pb_err err;
	int n;

	n = pb_index_rows_of(index, PB_TABLE_GAPS, s->id, 0, gaps, PAGE_ROWS,
	    &err);
	if (n < 0 || n == PAGE_ROWS)
		die("gaps", "cannot be listed");
	for (int i = 0; i < n; i++)
		printf("gap %s/%s %" PRIu64 " %" PRIu64 " %s %d\n",
		    s->key.node, s->key.interface, gaps[i].first,
		    gaps[i].last, pb_gap_reason_name(gaps[i].reason),
		    gaps[i].closed_ns == 0);
	while (pb_index_rows_of(index, PB_TABLE_DROPS, s->id, from, &drop, 1,
	    &err) == 1) {
		printf("drop %s/%s %" PRIu64 " %" PRIu64 "\n", s->key.node,
		    s->key.interface, drop.seq, drop.count);
		from = drop.seq + 1;
	}
}

static void
tell_extents(struct work *w, const struct pb_stream_info *s)
{
	static uint8_t bytes[16u << 20];
	struct pb_extent_info e;
	uint64_t from = 0;
	struct pb_err err;

	while (pb_index_rows_of(pb_store_index(w->f[0].store),
	    PB_TABLE_EXTENTS, s->id, from, &e, 1, &err) == 1) {
		int fd = pb_segment_open_file(w->dir, &s->key, e.segment_seq,
		    &err);
		bool good = fd >= 0 && e.bytes <= sizeof(bytes) &&
		    pread(fd, bytes, e.bytes, (off_t)e.offset) ==
		    (ssize_t)e.bytes &&
		    XXH3_64bits(bytes, e.bytes) == e.digest;

		if (fd >= 0)
			close(fd);
		printf("extent %s/%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %"
		    PRIu64 " %u %s\n", s->key.node, s->key.interface,
		    e.first_seq, e.last_seq, e.segment_seq, e.offset, e.bytes,
		    good ? "ok" : "bad");
		if (good)
			tell_left(s, bytes, e.bytes);
		from = e.last_seq + 1;
	}
}

/* Numbers that were left out, as the blocks of an extent say. */
static void
tell_left(const struct pb_stream_info *s, const uint8_t *bytes, size_t len)
{
	struct pb_filtered run;
	struct pb_block block;

	for (size_t at = 0; at < len && pb_scan_block(bytes + at, len - at,
	    &block) == 1; at += block.len)
		if (block.type == PB_BLOCK_ISB && pb_scan_filtered(&block,
		    &run) == 1)
			printf("left %s/%s %" PRIu64 " %" PRIu64 " %d\n",
			    s->key.node, s->key.interface, run.first, run.last,
			    run.digest != 0 && run.time_ns ==
			    FIXTURE_TIME(run.last));
}

static void
tell_flows(struct work *w, const struct pb_stream_info *s)
{
	const struct pb_flows_info *row;
	struct pb_rows rows;
	struct pb_err err;

	pb_rows_of(&rows, pb_store_index(w->f[0].store), PB_TABLE_FLOWS, s->id,
	    1, &err);
	while ((row = pb_rows_next(&rows)) != NULL)
		printf("flows %s/%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %"
		    PRIu64 " %s\n", s->key.node, s->key.interface,
		    row->first_seq, row->last_seq, row->segment_seq, row->end,
		    row->table_bytes == 0 || opens(w, s, row) ? "ok" : "bad");
	if (rows.rc < 0)
		die("flows", err.text);
}

static bool
opens(struct work *w, const struct pb_stream_info *s,
    const struct pb_flows_info *row)
{
	struct pb_flow_table *table = NULL;
	struct pb_buf bytes;
	bool good;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	good = pb_index_table_read(&bytes, w->dir, &s->key, row, NULL) == 0 &&
	    pb_flow_table_open(&table, bytes.data, bytes.len, NULL) == 0 &&
	    pb_flow_table_packets(table) == row->packets;
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
	return good;
}

/* What a reader gets: runs of numbers with the right bytes. */
static void
tell_packets(struct work *w, const struct pb_stream_info *s)
{
	static uint8_t want[PB_CAPLEN_MAX];
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;
	uint64_t from = 0, to = 0;
	struct pb_err err;
	int rc;

	if (pb_cursor_create(&cursor, pb_store_index(w->f[0].store), w->dir, s,
	    &ALL, &err) < 0)
		die("cursor", err.text);
	while ((rc = pb_cursor_next(cursor, &p, &err)) == 1) {
		bytes_of(want, p.packet.caplen, &s->key, p.seq);
		if (p.packet.time_ns != FIXTURE_TIME(p.seq) ||
		    memcmp(want, p.packet.data, p.packet.caplen) != 0)
			printf("bad %s/%s %" PRIu64 "\n", s->key.node,
			    s->key.interface, p.seq);
		if (from != 0 && p.seq != to + 1)
			printf("run %s/%s %" PRIu64 " %" PRIu64 "\n",
			    s->key.node, s->key.interface, from, to);
		if (from == 0 || p.seq != to + 1)
			from = p.seq;
		to = p.seq;
	}
	if (rc < 0)
		printf("bad %s/%s %s\n", s->key.node, s->key.interface,
		    err.text);
	if (from != 0)
		printf("run %s/%s %" PRIu64 " %" PRIu64 "\n", s->key.node,
		    s->key.interface, from, to);
	pb_cursor_destroy(cursor);
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "work: %s: %s\n", what, why);
	exit(1);
}

/* What the index promises of a store that a crash has left. */
static int
ends(const char *dir)
{
	struct pb_stream_info rows[PAGE_ROWS];
	struct pb_index *index;
	struct pb_err err;
	int n, rc = pb_index_open(&index, dir, &err);

	if (rc == PB_ENOENT)
		return 0;
	if (rc < 0)
		die("index", err.text);
	n = pb_index_rows(index, PB_TABLE_STREAMS, NULL, rows, PAGE_ROWS,
	    &err);
	if (n < 0)
		die("streams", err.text);
	for (int i = 0; i < n; i++)
		tell_segments(index, &rows[i]);
	pb_index_close(index);
	return 0;
}

static int
look(struct work *w)
{
	store_open(w);
	tell(w);
	store_close(w);
	return 0;
}

static int
more(struct work *w)
{
	store_open(w);
	tell(w);
	go_on(w);
	store_close(w);
	return look(w);
}

static int
usage(void)
{
	fputs("usage: work list | work ends STORE | work look STORE | "
	    "work more STORE ACKS |\n       work SCENARIO STORE ACKS\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	static struct work w = { .acks = -1, .segment_size = 4u << 20 };

	pb_log_level(PB_LOG_ERROR);
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (size_t i = 0; scenarios[i].run != fill; i++)
			puts(scenarios[i].name);
		return 0;
	}
	if (argc < 3)
		return usage();
	w.dir = argv[2];
	if (strcmp(argv[1], "ends") == 0)
		return ends(w.dir);
	if (strcmp(argv[1], "look") == 0)
		return look(&w);
	if (argc < 4)
		return usage();
	w.acks = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (w.acks < 0)
		die("open", argv[3]);
	if (strcmp(argv[1], "more") == 0)
		return more(&w);
	for (size_t i = 0; i < SCENARIOS; i++)
		if (strcmp(argv[1], scenarios[i].name) == 0) {
			w.segment_size = scenarios[i].segment_size;
			scenarios[i].run(&w);
			return 0;
		}
	return usage();
}
