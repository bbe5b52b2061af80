/*
 * recorder/intake/intake_take.c - from loads to chunks, and back
 *
 * Promise: a chunk holds numbers that are new: the next ones of the stream,
 * or a run within an open gap.  The writer does not look whether a gap is
 * open; that it is filled once is decided here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/intake/intake_impl.h"

#define RUNS_MAX	64u	/* gaps that one load fills; more: again */
/* Each run has a chunk of its own, of the size for the whole load. */
#define RUN_BYTES_MAX	(16u << 20)
#define RUN_SMALL_BYTES	(64u << 10)

/*
 * What a packet grows by at most: a hop, and what its block may lack
 * (opt_endofopt, a drop count that was no option).  And other blocks: an
 * Interface Statistics Block of 28 bytes may lack opt_endofopt, too.  Chunks
 * have no more room than that, so it must be true.
 */
#define PACKET_GROWTH	(PB_HOP_GROWTH_MAX + 16u)
#define BLOCKS_GROWTH	7u	/* one byte of so many */

/* One load's chunks while they are made. */
struct maker {
	struct pb_intake *intake;
	struct pb_body_build *build;
	size_t		 rest;		/* at most so much is to come */
};

static void	note_last(struct pb_intake_entry *, const struct parcel *);
static size_t	bytes_max(const struct pb_load *);
static size_t	packets_max(const struct pb_load *, uint64_t);
static int	find_runs(struct pb_intake *, struct pb_load *, uint64_t,
		    struct pb_run [static RUNS_MAX + 1], size_t *,
		    struct pb_err *);
static int	take_packets(struct pb_intake *, struct pb_load *, uint64_t,
		    const struct pb_run *, size_t, struct pb_err *);
static int	check_repeat(struct pb_intake *, const struct pb_load *,
		    struct pb_err *);
static int	check_numbers(const struct pb_load *,
		    const struct pb_body_facts *, struct pb_err *);
static int	check_not_own(const struct pb_load *, struct pb_err *);
static struct pb_head *shared_head(struct pb_intake_entry *,
		    struct pb_head *);
static int	take_gap(struct pb_intake *, struct pb_load *, uint64_t,
		    struct pb_err *);
static int	submit_all(struct pb_intake *, struct pb_load *,
		    struct pb_chunk *, struct pb_head *, uint64_t,
		    struct pb_err *);
static struct pb_chunk *new_first(struct pb_chunk *, uint64_t);
static int	submit(struct pb_intake *, struct pb_load *,
		    struct pb_chunk *, struct pb_head *, uint64_t,
		    struct pb_err *);
static struct pb_chunk *chunk_next(void *);
static struct pb_chunk *chunk_get(struct pb_intake *, size_t);
static void	chunk_put(struct pb_chunk *);
static void	chunks_put(struct pb_chunk *);
static void	chunk_done(struct pb_chunk *, int, const struct pb_err *);

int
intake_take(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    struct pb_err *err)
{
	struct pb_run run[RUNS_MAX + 1];
	size_t runs = 0;
	int rc = 0;

	if (load->gap == 0)
		rc = find_runs(intake, load, next, run, &runs, err);
	if (rc < 0)
		return rc;
	if (load->gap == 0 && runs == 0)
		return check_repeat(intake, load, err);
	if (load->gap != 0 && load->last < next)
		return 0;
	rc = check_not_own(load, err);
	if (rc < 0)
		return rc;
	if (load->gap != 0)
		return take_gap(intake, load, next, err);
	return take_packets(intake, load, next, run, runs, err);
}

bool
intake_may_take(const struct pb_intake *intake, const struct pb_load *load,
    uint64_t next)
{
	size_t more;

	/* One load alone always may, however large. */
	if (intake->chunks == 0)
		return true;
	if (intake->chunks >= PB_INTAKE_CHUNKS_MAX)
		return false;
	more = pb_chunk_pool_more(intake->pool, bytes_max(load));
	if (load->gap == 0 && load->first < next)
		more += RUN_BYTES_MAX;
	return more == 0 || pb_chunk_pool_used(intake->pool) + more <=
	    PB_INTAKE_CHUNK_BYTES_MAX;
}

void
intake_take_back(struct pb_intake *intake, struct parcel *parcel)
{
	struct pb_chunk *chunk = parcel->chunk;
	struct pb_load *load = parcel->load;

	intake->chunks--;
	/* What of others failed is not waited for. */
	if (--load->entry->chunks == 0)
		load->entry->others = 0;
	if (parcel->unsettled)
		load->entry->unsettled--;
	load->pending--;
	if (parcel->rc == 0 && chunk->gap != 0) {
		intake->counters.gaps++;
	} else if (parcel->rc == 0) {
		intake_catch_up(load->entry, parcel->changes);
		if (parcel->changes == load->entry->changes)
			note_last(load->entry, parcel);
		intake->counters.packets += chunk->tally.packets;
		intake->counters.bytes += chunk->tally.bytes;
	} else if (load->rc == 0 || (load->rc == PB_EBUSY &&
	    parcel->rc != PB_EORDER)) {
		/* PB_EORDER here: something before it failed.  What did so
		 * is the better answer. */
		load->rc = intake_store_failed(parcel->rc);
		memcpy(load->text, parcel->text, sizeof(load->text));
	}
	chunk_put(chunk);
}

/* What came late is the last packet only where the last one is known: behind
 * a gap there may be others. */
static void
note_last(struct pb_intake_entry *entry, const struct parcel *parcel)
{
	if (parcel->chunk->last_seq >= entry->last.seq &&
	    (entry->last.seq != 0 || !parcel->unsettled))
		entry->last = parcel->last;
}

/* Of the load's chunks together. */
static size_t
bytes_max(const struct pb_load *load)
{
	if (load->gap != 0)
		return 1;
	return load->body.len + load->body.len / BLOCKS_GROWTH +
	    packets_max(load, load->last - load->first + 1) * PACKET_GROWTH;
}

/* So many of its numbers are packets, at most: others were left out. */
static size_t
packets_max(const struct pb_load *load, uint64_t numbers)
{
	size_t most = load->body.len / PB_PACKET_BYTES_MIN;

	return numbers < most ? (size_t)numbers : most;
}

/* What of the load is new: parts within open gaps, and from `next` on. */
static int
find_runs(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    struct pb_run run[static RUNS_MAX + 1], size_t *runs, struct pb_err *err)
{
	struct pb_gap_info gap[RUNS_MAX];
	unsigned max = bytes_max(load) <= RUN_SMALL_BYTES ? RUNS_MAX :
	    RUN_BYTES_MAX / (1u << 20);
	uint64_t below = load->last < next ? load->last : next - 1;
	uint64_t kept = 0;
	int n = 0;

	*runs = 0;
	if (load->first < next)
		n = pb_store_gaps(intake->opts.store, load->entry->stream,
		    load->first, below, gap, max, err);
	if (n < 0)
		return intake_store_failed(n);
	load->again = n == (int)max;
	for (int i = 0; i < n; i++) {
		struct pb_run *r = &run[*runs];

		r->first = gap[i].first > load->first ? gap[i].first :
		    load->first;
		r->last = gap[i].last < below ? gap[i].last : below;
		kept += r->last - r->first + 1;
		++*runs;
	}
	intake->counters.late += kept;
	if (load->last >= next) {
		run[*runs].first = load->first > next ? load->first : next;
		run[*runs].last = load->last;
		kept += load->last - run[*runs].first + 1;
		++*runs;
	}
	intake->counters.repeats += load->last - load->first + 1 - kept;
	return 0;
}

static int
take_packets(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    const struct pb_run *run, size_t runs, struct pb_err *err)
{
	struct maker maker = { .intake = intake, .rest = bytes_max(load) };
	struct pb_body_build build = {
		.run = run, .runs = runs, .arrival_ns = load->arrival_ns,
		.chunk = chunk_next, .arg = &maker,
	};
	struct pb_body_facts facts;
	uint64_t count = 0;
	int rc;

	maker.build = &build;
	for (size_t i = 0; i < runs; i++)
		count += run[i].last - run[i].first + 1;
	if (load->body.self != NULL)
		build.number = pb_store_take_numbers(intake->opts.store,
		    packets_max(load, count));
	rc = pb_body_read(intake->scratch, &load->body, &facts, &build,
	    err);
	intake->counters.blocks_dropped += build.blocks_dropped;
	if (rc == 0)
		rc = check_numbers(load, &facts, err);
	if (rc == 0)
		rc = pb_store_stream(intake->opts.store, &load->entry->key,
		    facts.linktype, facts.snaplen, false,
		    &load->entry->stream, err);
	if (rc < 0) {
		pb_head_unref(build.head);
		chunks_put(build.first_chunk);
		return rc;
	}
	return submit_all(intake, load, build.first_chunk,
	    shared_head(load->entry, build.head), next, err);
}

/* Nothing of it is new; what it claims is still to be true. */
static int
check_repeat(struct pb_intake *intake, const struct pb_load *load,
    struct pb_err *err)
{
	struct pb_body_facts facts;
	int rc = pb_body_read(intake->scratch, &load->body, &facts, NULL, err);

	return rc < 0 ? rc : check_numbers(load, &facts, err);
}

static int
check_numbers(const struct pb_load *load, const struct pb_body_facts *facts,
    struct pb_err *err)
{
	if (facts->first == load->first && facts->last == load->last)
		return 0;
	return pb_err_set(err, PB_EINVAL, "the packets are %" PRIu64 " to %"
	    PRIu64 ", PB-First and PB-Last say %" PRIu64 " to %" PRIu64,
	    facts->first, facts->last, load->first, load->last);
}

/*
 * A stream that this node captures has its producer already.  By TCP it
 * would be a loop; by the local door it is somebody's mistake.
 */
static int
check_not_own(const struct pb_load *load, struct pb_err *err)
{
	const struct pb_stream_key *key = &load->entry->key;

	if (load->local && load->entry->stream != NULL &&
	    pb_stream_own(load->entry->stream))
		return pb_err_set(err, PB_EACCES, "this node captures %s/%s "
		    "itself; bring packets in under another interface name or "
		    "epoch", key->node, key->interface);
	return 0;
}

/* The stream's head where this one is the same: a queue of a thousand
 * chunks holds one.  Takes the reference of `head`; the result is the
 * entry's. */
static struct pb_head *
shared_head(struct pb_intake_entry *entry, struct pb_head *head)
{
	if (entry->head != NULL && entry->head->hash == head->hash) {
		pb_head_unref(head);
		return entry->head;
	}
	pb_head_unref(entry->head);
	entry->head = head;
	return head;
}

static int
take_gap(struct pb_intake *intake, struct pb_load *load, uint64_t next,
    struct pb_err *err)
{
	struct pb_intake_entry *entry = load->entry;
	struct pb_chunk *chunk;
	int rc = 0;

	/* In a stream that is there, the link type is known. */
	if (entry->stream == NULL)
		rc = pb_store_stream(intake->opts.store, &entry->key,
		    load->linktype, 0, false, &entry->stream, err);
	if (rc < 0)
		return rc;
	chunk = chunk_get(intake, bytes_max(load));
	if (chunk == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	chunk->first_seq = load->first > next ? load->first : next;
	chunk->last_seq = load->last;
	chunk->gap = load->gap;
	return submit_all(intake, load, chunk, NULL, next, err);
}

/*
 * New packets before late ones: where a late one fails, what the writer
 * still has of the stream must not be waiting behind it.
 */
static int
submit_all(struct pb_intake *intake, struct pb_load *load,
    struct pb_chunk *chunks, struct pb_head *head, uint64_t next,
    struct pb_err *err)
{
	struct pb_chunk *chunk;
	int rc = 0;

	if (load->entry->chunks == 0)
		load->entry->expected = next;
	chunks = new_first(chunks, next);
	while ((chunk = chunks) != NULL && rc == 0) {
		chunks = chunk->next;
		rc = submit(intake, load, chunk, head, next, err);
	}
	chunks_put(chunks);
	return rc;
}

/* They ascend: those at or past `next` are the end of the list. */
static struct pb_chunk *
new_first(struct pb_chunk *late, uint64_t next)
{
	struct pb_chunk **at = &late, *first, **end;

	while (*at != NULL && (*at)->first_seq < next)
		at = &(*at)->next;
	first = *at;
	*at = NULL;
	for (end = &first; *end != NULL; )
		end = &(*end)->next;
	*end = late;
	return first;
}

static int
submit(struct pb_intake *intake, struct pb_load *load,
    struct pb_chunk *chunk, struct pb_head *head, uint64_t next,
    struct pb_err *err)
{
	struct pb_intake_entry *entry = load->entry;
	struct parcel *parcel = chunk->arg;
	bool late = chunk->first_seq < next;
	uint64_t last = chunk->last_seq;
	int rc;

	chunk->stream = entry->stream;
	pb_head_unref(chunk->head);
	chunk->head = pb_head_ref(head);
	parcel->load = load;
	parcel->unsettled = late || chunk->gap != 0;
	if (chunk->gap == 0)
		(void)pb_fingerprint_last(chunk->data, chunk->len,
		    &parcel->last);
	rc = pb_store_submit(intake->opts.store, chunk, err);
	if (rc < 0) {
		chunk_put(chunk);
		/* The end moved back since we looked. */
		return rc == PB_EORDER ? pb_err_set(err, PB_EBUSY,
		    "an earlier part could not be written") : rc;
	}
	load->pending++;
	intake->chunks++;
	entry->chunks++;
	if (parcel->unsettled)
		entry->unsettled++;
	if (!late)
		entry->expected = last + 1;
	return 0;
}

/*
 * The next chunk of a load.  It has room for all that is to come, or is of
 * the largest size, which has room for any packet.
 */
static struct pb_chunk *
chunk_next(void *arg)
{
	struct maker *maker = arg;
	const struct pb_chunk *before = maker->build->last_chunk;

	if (before != NULL)
		maker->rest -= before->len < maker->rest ? before->len :
		    maker->rest;
	return chunk_get(maker->intake, maker->rest);
}

static struct pb_chunk *
chunk_get(struct pb_intake *intake, size_t bytes)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));

	if (parcel == NULL)
		return NULL;
	parcel->chunk = pb_chunk_take(intake->pool, bytes);
	if (parcel->chunk == NULL) {
		free(parcel);
		return NULL;
	}
	parcel->intake = intake;
	parcel->chunk->done = chunk_done;
	parcel->chunk->arg = parcel;
	parcel->chunk->flow_pool = pb_store_flows(intake->opts.store);
	return parcel->chunk;
}

static void
chunk_put(struct pb_chunk *chunk)
{
	free(chunk->arg);
	pb_chunk_destroy(chunk);
}

static void
chunks_put(struct pb_chunk *chunk)
{
	while (chunk != NULL) {
		struct pb_chunk *next = chunk->next;

		chunk_put(chunk);
		chunk = next;
	}
}

/* In the writer's thread. */
static void
chunk_done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct parcel *parcel = chunk->arg;
	struct pb_intake *intake = parcel->intake;

	parcel->rc = rc;
	parcel->changes = pb_store_changes(intake->opts.store);
	if (rc < 0)
		snprintf(parcel->text, sizeof(parcel->text), "%s",
		    err != NULL ? err->text : "cannot write");
	parcel->next = NULL;
	pthread_mutex_lock(&intake->mutex);
	*intake->back_end = parcel;
	intake->back_end = &parcel->next;
	pthread_mutex_unlock(&intake->mutex);
	intake->opts.wake(intake->opts.arg);
}
