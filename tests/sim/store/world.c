/*
 * tests/sim/store/world.c - a store on a modelled disk, and who brings
 * packets
 */
#include "tests/sim/store/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/sys.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/flow/flows.h"
#include "recorder/store/mend/survey.h"
#include "tests/sim/store/mdb_memory.h"

#define POOL_KEPT	(16u << 20)
#define DISK_BYTES	(64u << 20)
#define FLOWS_MAX	16u	/* of a chunk */

/* A chunk on its way. */
struct trip {
	struct world	*world;
	struct source	*source;
	uint16_t	 try;
};

/* Memory that one run hands to the next. */
static struct pb_chunk_pool	*world_pool;
static struct world		*world_now;

static uint64_t	world_real_ns(struct pb_clock *);
static uint64_t	world_mono_ms(struct pb_clock *);
static uint64_t	world_boot(struct pb_clock *);
static void	world_hush(bool);
static void	cut_file(struct world *, const char *);
static void	flip_head(struct world *, const char *);
static void	choose_opts(struct world *);
static void	choose_source(struct world *, struct source *, unsigned);
static struct pb_chunk *chunk_new(struct world *, struct source *, size_t);
static void	chunk_fill(struct pb_chunk *, uint64_t, uint64_t, size_t);
static bool	add_packet(struct pb_chunk *, uint64_t, size_t);
static bool	add_left(struct pb_chunk *, uint64_t, size_t,
		    struct pb_filtered *);
static void	chunk_send(struct pb_chunk *);
static void	chunk_done(struct pb_chunk *, int, const struct pb_err *);
static void	chunk_drop(struct pb_chunk *);

struct world *
world_create(uint64_t seed, bool verbose)
{
	struct world *world = calloc(1, sizeof(*world));
	struct pb_err err;

	assert(world != NULL);
	if (world_pool == NULL && pb_chunk_pool_create(&world_pool, POOL_KEPT,
	    &err) < 0)
		abort();
	world->seed = seed;
	world->verbose = verbose;
	world->chance.state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	world->clock = (struct pb_clock){ .real_ns = world_real_ns,
	    .mono_ms = world_mono_ms, .boot = world_boot };
	world->mono_ms = 1000 + chance_below(&world->chance, 100000);
	world->real_ns = UINT64_C(1700000000000000000);
	world->boot = 1 + chance_next(&world->chance) / 2;
	world->model = model_create(chance_next(&world->chance),
	    chance_one_in(&world->chance, 2) ? MODEL_LOOSE : MODEL_ORDERED,
	    DISK_BYTES);
	model_disk(world->model)->clock = &world->clock;
	if (pb_below_mount(WORLD_STORE, model_disk(world->model), &err) < 0)
		abort();
	choose_opts(world);
	/* pb_verify() has a scratch index there: on a disk it takes most of
	 * a seed's time. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	world_now = world;
	mdb_memory_hush = world_hush;
	return world;
}

void
world_destroy(struct world *world)
{
	world_close(world);
	for (unsigned i = 0; i < world->sources; i++)
		pb_head_unref(world->source[i].head);
	pb_below_release(WORLD_STORE);
	model_destroy(world->model);
	mdb_memory_forget();
	world_now = NULL;
	mdb_memory_hush = NULL;
	free(world);
}

void
world_say(struct world *world, const char *fmt, ...)
{
	va_list ap;

	if (!world->verbose)
		return;
	va_start(ap, fmt);
	printf("%8llu %6llu  ", (unsigned long long)world->mono_ms,
	    (unsigned long long)model_calls(world->model));
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

void
world_fail(struct world *world, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (world->why[0] == '\0')
		vsnprintf(world->why, sizeof(world->why), fmt, ap);
	va_end(ap);
	world_say(world, "WRONG: %s", world->why);
}

int
world_open(struct world *world, struct pb_err *err)
{
	int rc = pb_store_open(&world->store, &world->opts, err);

	if (rc < 0) {
		world->store = NULL;
		return rc;
	}
	for (unsigned i = 0; i < world->sources && rc == 0; i++)
		rc = pb_store_stream(world->store, &world->source[i].key,
		    PB_LINKTYPE_ETHERNET, 0, world->source[i].own,
		    &world->source[i].stream, err);
	if (rc < 0)
		world_close(world);
	return rc;
}

void
world_close(struct world *world)
{
	if (world->store == NULL)
		return;
	pb_store_close(world->store);
	world->store = NULL;
	for (unsigned i = 0; i < world->sources; i++)
		world->source[i].stream = NULL;
	if (world->pending != 0)
		world_fail(world, "%u chunks were never answered",
		    world->pending);
}

void
world_turn(struct world *world)
{
	pb_store_turn(world->store);
}

void
world_wait(struct world *world, uint64_t ms)
{
	world->mono_ms += ms;
	world->real_ns += ms * PB_NS_PER_MS;
}

void
world_faults(struct world *world, bool on)
{
	model_faults(world->model, world->kinds, on ? world->one_in : 0);
}

void
world_start(struct world *world)
{
	bool power = model_is_cut(world->model);

	world_faults(world, false);
	model_start(world->model);
	world->fragile = world->failed = false;
	world_wait(world, 10);
	if (!power)
		return;
	world->boot++;
	world->cut = true;
	world->mono_ms = 500;
	world_check_heads(world);
}

void
world_lose_index(struct world *world)
{
	struct pb_err err;

	if (pb_below_unlink(WORLD_STORE "/index/data.mdb") < 0 ||
	    pb_sync_dir(WORLD_STORE "/index", &err) < 0)
		return;
	world->lost_index = true;
	world_say(world, "the index is lost");
}

void
world_damage(struct world *world)
{
	struct source *source = &world->source[chance_below(&world->chance,
	    world->sources)];
	char dir[PATH_MAX], path[PATH_MAX + 256];
	struct pb_dir *folder;
	const char *name;
	struct pb_err err;

	if (pb_layout_stream(dir, WORLD_STORE, &source->key, &err) < 0)
		abort();
	folder = pb_below_opendir(dir);
	while (folder != NULL && (name = pb_dir_next(folder)) != NULL) {
		if (strstr(name, ".pcapng.open") == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (chance_one_in(&world->chance, 2))
			cut_file(world, path);
		else
			flip_head(world, path);
	}
	pb_dir_close(folder);
}

static void
cut_file(struct world *world, const char *path)
{
	int fd = pb_below_open(path, O_RDWR, 0);
	struct stat st;

	if (fd < 0 || pb_file_stat(fd, &st) < 0 || pb_file_truncate(fd,
	    chance_below(&world->chance, (uint64_t)st.st_size + 1)) < 0 ||
	    pb_file_sync(fd) < 0)
		abort();
	pb_file_close(fd);
	world->damaged = true;
	world_say(world, "%s is cut", path);
}

static void
flip_head(struct world *world, const char *path)
{
	int fd = pb_below_open(path, O_RDONLY, 0);
	struct pb_head *head;
	uint64_t digest;
	size_t bytes;

	if (fd < 0)
		abort();
	if (pb_survey_head(fd, &head, &bytes, &digest, NULL) == 0) {
		pb_head_unref(head);
		world->damaged = true;
		model_rot(world->model, path + sizeof(WORLD_STORE),
		    chance_below(&world->chance, bytes));
		world_say(world, "a bit of %s is flipped", path);
	}
	pb_file_close(fd);
}

/* --- producers ----------------------------------------------------------- */

/* What comes next in the stream. */
void
world_send(struct world *world, struct source *source, size_t bytes_max)
{
	struct pb_chunk *chunk = chunk_new(world, source, bytes_max);
	uint64_t next = pb_stream_next(source->stream);

	if (next + 200 < WORLD_SEQS) {
		chunk_fill(chunk, next, WORLD_SEQS, bytes_max);
		chunk_send(chunk);
	} else {
		chunk_drop(chunk);
	}
}

void
world_send_gap(struct world *world, struct source *source)
{
	struct pb_chunk *chunk;

	if (source->own ||
	    pb_stream_next(source->stream) + 200 >= WORLD_SEQS)
		return;
	chunk = chunk_new(world, source, 0);
	chunk->first_seq = pb_stream_next(source->stream);
	chunk->last_seq = chunk->first_seq +
	    chance_below(&world->chance, 20);
	chunk->gap = chance_one_in(&world->chance, 2) ?
	    PB_GAP_DEAD_LETTERED : PB_GAP_EXPIRED;
	if (chunk->last_seq > source->top)
		source->top = chunk->last_seq;
	chunk_send(chunk);
}

/* Packets for an open gap, or a part of one. */
void
world_send_late(struct world *world, struct source *source)
{
	struct pb_gap_info gap[4];
	uint64_t first, last;
	struct pb_chunk *chunk;
	struct pb_err err;
	int n = source->own ? 0 : pb_store_gaps(world->store, source->stream,
	    1, UINT64_MAX - 1, gap, 4, &err);

	if (n <= 0)
		return;
	n = (int)chance_below(&world->chance, (uint64_t)n);
	first = gap[n].first + chance_below(&world->chance,
	    gap[n].last - gap[n].first + 1);
	last = first + chance_below(&world->chance, gap[n].last - first + 1);
	chunk = chunk_new(world, source, 8192);
	chunk_fill(chunk, first, last, 8192);
	chunk_send(chunk);
}

void
world_packet(const struct source *source, uint64_t seq, uint16_t try,
    uint8_t *data, uint32_t *len)
{
	struct chance bytes = { seq << 20 ^ (uint64_t)try << 4 ^
	    source->index };
	uint64_t value;

	*len = 14 + (uint32_t)chance_below(&bytes, source->len_max - 13);
	for (uint32_t at = 0; at < *len; at += (uint32_t)sizeof(value)) {
		value = chance_next(&bytes);
		memcpy(data + at, &value, *len - at < sizeof(value) ?
		    *len - at : sizeof(value));
	}
}

/* None of some, some of some, all of some; by fours. */
bool
world_left_out(const struct source *source, uint64_t seq, uint16_t try)
{
	struct chance of = { seq / 4 << 20 ^ (uint64_t)try << 4 ^
	    source->index };
	uint64_t many = chance_below(&of, 3);

	of.state += seq;
	return source->thin && chance_below(&of, 2) < many;
}

/* --- chunks -------------------------------------------------------------- */

static struct pb_chunk *
chunk_new(struct world *world, struct source *source, size_t bytes)
{
	struct pb_chunk *chunk = pb_chunk_take(world_pool, bytes);
	struct trip *trip = malloc(sizeof(*trip));
	struct pb_err err;

	assert(chunk != NULL && trip != NULL);
	*trip = (struct trip){ world, source, ++source->tries };
	chunk->stream = source->stream;
	chunk->head = pb_head_ref(source->head);
	chunk->done = chunk_done;
	chunk->arg = trip;
	chunk->keep_trying = source->own;
	if (source->own && !chance_one_in(&world->chance, 4))
		chunk->due_ms = world->mono_ms + 100;
	/* Now and then there is no memory for it. */
	if (world->opts.flows != PB_FLOWS_NO &&
	    !chance_one_in(&world->chance, 8) &&
	    pb_flows_create(&chunk->flows, FLOWS_MAX, WORLD_SEQS, &err) < 0)
		abort();
	return chunk;
}

static void
chunk_fill(struct pb_chunk *chunk, uint64_t first, uint64_t last,
    size_t bytes_max)
{
	struct trip *trip = chunk->arg;
	struct source *source = trip->source;
	struct pb_filtered run = { 0 };

	if (bytes_max > chunk->cap)
		bytes_max = chunk->cap;
	chunk->first_seq = first;
	for (uint64_t seq = first; seq <= last; seq++) {
		struct number *number = &source->number[seq];
		size_t most = seq > first ? bytes_max : chunk->cap;

		if (!(world_left_out(source, seq, trip->try) ?
		    add_left(chunk, seq, most, &run) :
		    add_packet(chunk, seq, most)))
			break;
		chunk->last_seq = seq;
		if (number->count == WORLD_TRIES)
			memmove(number->tries, number->tries + 1,
			    --number->count * sizeof(number->tries[0]));
		number->tries[number->count++] = trip->try;
		if (seq > source->top)
			source->top = seq;
	}
}

/* False where the chunk has no room for it, of `most` bytes. */
static bool
add_packet(struct pb_chunk *chunk, uint64_t seq, size_t most)
{
	static uint8_t data[PB_CAPLEN_MAX];
	uint8_t options[PB_OPTION_BYTES(8)];
	struct trip *trip = chunk->arg;
	struct pb_packet packet = { .data = data, .options = options,
	    .options_len = sizeof(options),
	    .time_ns = trip->world->real_ns + seq * 1000 };

	world_packet(trip->source, seq, trip->try, data, &packet.caplen);
	packet.origlen = packet.caplen;
	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	if (chunk->len + pb_epb_bytes(packet.caplen, sizeof(options)) > most)
		return false;
	if (chunk->flows != NULL)
		pb_flows_packet(chunk->flows, (uint32_t)chunk->len,
		    PB_LINKTYPE_ETHERNET, packet.data, packet.caplen,
		    packet.origlen, packet.time_ns);
	chunk->len += pb_build_epb(chunk->data + chunk->len, 0, &packet);
	pb_tally_packet(&chunk->tally, packet.time_ns, packet.caplen);
	trip->world->packets++;
	return true;
}

/* The same of a number that was left out: to the run in front of it, whose
 * block is the chunk's last, or as one of its own. */
static bool
add_left(struct pb_chunk *chunk, uint64_t seq, size_t most,
    struct pb_filtered *run)
{
	const struct trip *trip = chunk->arg;
	bool goes_on = run->first != 0 && run->last == seq - 1;

	if (!goes_on && chunk->len + PB_FILTERED_BYTES > most)
		return false;
	if (!goes_on) {
		run->first = seq;
		run->time_ns = trip->world->real_ns + seq * 1000;
		chunk->len += PB_FILTERED_BYTES;
	}
	run->last = seq;
	run->digest = (uint64_t)trip->try << WORLD_TRY_AT | seq;
	pb_build_filtered(chunk->data + chunk->len - PB_FILTERED_BYTES, run,
	    PB_PEN_EXAMPLE);
	pb_tally_filtered(&chunk->tally, 1, run->time_ns);
	return true;
}

static void
chunk_send(struct pb_chunk *chunk)
{
	struct trip *trip = chunk->arg;
	struct pb_err err;

	trip->world->pending++;
	if (pb_store_submit(trip->world->store, chunk, &err) == 0)
		return;
	trip->world->pending--;
	chunk_drop(chunk);
}

static void
chunk_drop(struct pb_chunk *chunk)
{
	free(chunk->arg);
	pb_flows_destroy(chunk->flows);
	chunk->flows = NULL;
	pb_chunk_destroy(chunk);
}

/* A promise, or none. */
static void
chunk_done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct trip *trip = chunk->arg;
	struct world *world = trip->world;
	struct source *source = trip->source;

	(void)err;
	world->pending--;
	world_say(world, "%s %llu-%llu %s%s", source->key.interface,
	    (unsigned long long)chunk->first_seq,
	    (unsigned long long)chunk->last_seq, chunk->gap != 0 ? "gap " :
	    "", rc == 0 ? "done" : err->text);
	if (rc < 0 && world->fragile) {
		world->fragile = false;
		world->failed = true;
		model_stop_at(world->model, 1 + chance_below(&world->chance,
		    40), world->fragile_power);
	}
	for (uint64_t seq = chunk->first_seq; rc == 0 &&
	    seq <= chunk->last_seq; seq++) {
		struct number *number = &source->number[seq];

		if (number->fate == FATE_KEPT)
			world_fail(world, "%s: packet %llu was kept twice",
			    source->key.interface, (unsigned long long)seq);
		number->fate = chunk->gap != 0 ? FATE_MISSING : FATE_KEPT;
		number->kept = trip->try;
		world->kept += chunk->gap == 0;
	}
	if (rc == 0 && pb_stream_durable(source->stream) < chunk->last_seq)
		world_fail(world, "%s: %llu is done and not durable",
		    source->key.interface,
		    (unsigned long long)chunk->last_seq);
	chunk_drop(chunk);
}

/* --- what a seed chooses ------------------------------------------------- */

static void
choose_opts(struct world *world)
{
	static const uint64_t sizes[] = { 16u << 10, 64u << 10, 64u << 10,
	    256u << 10, 4u << 20 };
	struct chance *c = &world->chance;

	world->opts = (struct pb_store_opts){
		.path = WORLD_STORE,
		.pen = PB_PEN_EXAMPLE,
		.segment_size = sizes[chance_below(c, 5)],
		.segment_age_ms = chance_one_in(c, 2) ? 1000 : 60000,
		.index_size = 64u << 20,
		.stepped = true,
	};
	world->opts.flows = (enum pb_store_flows)chance_below(c, 3);
	if (chance_one_in(c, 3))
		world->opts.retain.size_max = (64u << 10) +
		    chance_below(c, 512u << 10);
	if (chance_one_in(c, 4))
		world->opts.retain.age_ms_max = 2000 +
		    chance_below(c, 60000);
	world->kinds = (unsigned)chance_below(c, 16);
	world->tight = chance_one_in(c, 4);
	if (world->tight)
		world->kinds |= MODEL_FULL;
	world->one_in = 10 + (unsigned)chance_below(c, 200);
	if (chance_one_in(c, 8)) {
		world->tight = true;
		model_resize(world->model, (256u << 10) +
		    chance_below(c, 1u << 20));
		if (chance_one_in(c, 2))
			world->opts.retain.min_free_percent = 20;
	}
	world->sources = 1 + (unsigned)chance_below(c, WORLD_STREAMS);
	for (unsigned i = 0; i < world->sources; i++)
		choose_source(world, &world->source[i], i);
}

static void
choose_source(struct world *world, struct source *source, unsigned index)
{
	static const uint32_t lens[] = { 60, 120, 1500, 9000 };
	struct pb_identity id = { .nodes = 1 };
	struct pb_err err;

	source->index = index;
	source->own = chance_one_in(&world->chance, 3);
	source->thin = !source->own && chance_one_in(&world->chance, 2);
	source->len_max = lens[chance_below(&world->chance, 4)];
	source->key.epoch = UINT64_C(0x1000) + index;
	strcpy(source->key.node, source->own ? "here" : "edge");
	snprintf(source->key.interface, sizeof(source->key.interface),
	    "eth%u", index);
	id.epoch = source->key.epoch;
	strcpy(id.interface, source->key.interface);
	strcpy(id.node[0].name, source->key.node);
	if (pb_head_create(&source->head, &id, PB_LINKTYPE_ETHERNET, NULL, 0,
	    NULL, 0, &err) < 0)
		abort();
}

/* --- the clock ----------------------------------------------------------- */

static uint64_t
world_real_ns(struct pb_clock *clock)
{
	const struct world *world = (const struct world *)clock;

	return world->real_ns;
}

static uint64_t
world_mono_ms(struct pb_clock *clock)
{
	const struct world *world = (const struct world *)clock;

	return world->mono_ms;
}

static uint64_t
world_boot(struct pb_clock *clock)
{
	const struct world *world = (const struct world *)clock;

	return world->boot;
}

static void
world_hush(bool on)
{
	if (world_now != NULL)
		model_hush(world_now->model, on);
}
