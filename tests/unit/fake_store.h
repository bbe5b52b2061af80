/*
 * tests/unit/fake_store.h - a store without disk or writer thread
 *
 * It stands in for recorder/store/write/store.h as ingest uses it: chunks wait
 * in a queue until the test writes them, or lets them fail.  It keeps, per
 * stream, how often each number was stored, which must never be twice.
 * Included by one file of a program; the library's store is then left out
 * by the linker.
 */
#ifndef PB_TESTS_FAKE_STORE_H
#define PB_TESTS_FAKE_STORE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/store/write/store.h"

#define FAKE_STREAMS	8
#define FAKE_SEQS	4096
#define FAKE_GAPS	256

struct pb_stream {
	struct pb_stream_key key;
	uint16_t	linktype;
	bool		own;
	uint64_t	next, durable;
	unsigned char	times[FAKE_SEQS];	/* stored */
	struct pb_gap_info gap[FAKE_GAPS];	/* open ones */
	size_t		gaps;
};

struct pb_store {
	struct pb_stream stream[FAKE_STREAMS];
	size_t		streams;
	struct pb_chunk	*queue, **end;
	size_t		queued;
	size_t		queue_max;
	uint64_t	number;
	int		submits;
	int		looks;		/* for the last packet, */
	int		looks_rc;	/* which fail so */
	uint64_t	changes;
};

static struct pb_store fake;

static inline void
fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.end = &fake.queue;
	fake.queue_max = PB_QUEUE_CHUNKS_MAX;
	fake.number = 1000;
}

int
pb_store_stream_find(struct pb_store *store, const struct pb_stream_key *key,
    struct pb_stream **out, struct pb_err *err)
{
	(void)err;
	for (size_t i = 0; i < store->streams; i++) {
		*out = &store->stream[i];
		if ((*out)->key.epoch == key->epoch &&
		    strcmp((*out)->key.node, key->node) == 0 &&
		    strcmp((*out)->key.interface, key->interface) == 0)
			return 1;
	}
	*out = NULL;
	return 0;
}

int
pb_store_stream(struct pb_store *store, const struct pb_stream_key *key,
    uint16_t linktype, uint32_t snaplen, bool own, struct pb_stream **out,
    struct pb_err *err)
{
	(void)snaplen;
	if (pb_store_stream_find(store, key, out, err) == 1) {
		if ((*out)->linktype != linktype)
			return pb_err_set(err, PB_EINVAL, "link type");
		return 0;
	}
	if (store->streams == FAKE_STREAMS)
		return pb_err_set(err, PB_ELIMIT, "streams");
	*out = &store->stream[store->streams++];
	(*out)->key = *key;
	(*out)->linktype = linktype;
	(*out)->own = own;
	(*out)->next = 1;
	return 0;
}

bool
pb_stream_own(const struct pb_stream *stream)
{
	return stream->own;
}

uint64_t
pb_stream_next(const struct pb_stream *stream)
{
	return stream->next;
}

uint64_t
pb_stream_durable(const struct pb_stream *stream)
{
	return stream->durable;
}

int
pb_store_gaps(struct pb_store *store, const struct pb_stream *stream,
    uint64_t first, uint64_t last, struct pb_gap_info *out, size_t max,
    struct pb_err *err)
{
	size_t n = 0;

	(void)store;
	(void)err;
	for (size_t i = 0; i < stream->gaps && n < max; i++)
		if (stream->gap[i].first <= last &&
		    stream->gap[i].last >= first)
			out[n++] = stream->gap[i];
	return (int)n;
}

uint64_t
pb_store_changes(const struct pb_store *store)
{
	return store->changes;
}

/* Of packet n the digest is n + 1000, until a test says otherwise. */
int
pb_store_last(struct pb_store *store, const struct pb_stream *stream,
    uint64_t at, bool checked, uint32_t captured,
    struct pb_fingerprint *out, struct pb_err *err)
{
	(void)checked;
	(void)captured;
	(void)err;
	store->looks++;
	if (store->looks_rc < 0)
		return store->looks_rc;
	while (at > 0 && (at >= FAKE_SEQS || stream->times[at] == 0))
		at--;
	*out = (struct pb_fingerprint){ .seq = at, .digest = at + 1000 };
	return at > 0 ? 1 : 0;
}

/* It has no files, and no index. */
static inline int
fake_lend(void *arg, pb_index_use *use, void *use_arg, struct pb_err *err)
{
	(void)arg;
	(void)use;
	(void)use_arg;
	return pb_err_set(err, PB_ESYS, "the store is gone");
}

struct pb_index_lender
pb_store_lender(struct pb_store *store)
{
	return (struct pb_index_lender){ .store = "", .lend = fake_lend,
	    .arg = store };
}

struct pb_flow_pool *
pb_store_flows(const struct pb_store *store)
{
	(void)store;
	return NULL;
}

uint64_t
pb_store_take_numbers(struct pb_store *store, uint64_t count)
{
	uint64_t first = store->number;

	store->number += count;
	return first;
}

int
pb_store_submit(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;

	if (store->queued >= store->queue_max)
		return pb_err_set(err, PB_EBUSY, "the queue is full");
	if (chunk->first_seq > stream->next || (chunk->first_seq <
	    stream->next && chunk->last_seq >= stream->next))
		return pb_err_set(err, PB_EORDER, "order");
	if (chunk->first_seq == stream->next)
		stream->next = chunk->last_seq + 1;
	chunk->next = NULL;
	*store->end = chunk;
	store->end = &chunk->next;
	store->queued++;
	store->submits++;
	return 0;
}

static inline void
fake_fill(struct pb_stream *stream, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < stream->gaps; i++) {
		struct pb_gap_info *gap = &stream->gap[i];

		if (first < gap->first || last > gap->last)
			continue;
		if (last < gap->last) {
			assert(stream->gaps < FAKE_GAPS);
			memmove(gap + 1, gap, (stream->gaps - i) *
			    sizeof(*gap));
			stream->gaps++;
			gap[1].first = last + 1;
			gap->last = last;
		}
		if (first > gap->first) {
			gap->last = first - 1;
		} else {
			stream->gaps--;
			memmove(gap, gap + 1, (stream->gaps - i) *
			    sizeof(*gap));
		}
		return;
	}
	assert(!"a late chunk must lie within one open gap");
}

static inline void
fake_store_chunk(struct pb_chunk *chunk)
{
	struct pb_stream *stream = chunk->stream;

	assert(chunk->last_seq < FAKE_SEQS || chunk->gap != 0);
	if (chunk->gap != 0) {
		assert(stream->gaps < FAKE_GAPS);
		stream->gap[stream->gaps++] = (struct pb_gap_info){
			.first = chunk->first_seq, .last = chunk->last_seq,
			.reason = chunk->gap };
	} else {
		assert(chunk->head != NULL && chunk->len > 0);
		for (uint64_t s = chunk->first_seq; s <= chunk->last_seq; s++)
			assert(++stream->times[s] == 1);
		if (chunk->first_seq <= stream->durable)
			fake_fill(stream, chunk->first_seq, chunk->last_seq);
	}
	if (chunk->last_seq > stream->durable)
		stream->durable = chunk->last_seq;
}

/* One round of the writer: `chunks` of them, with this outcome. */
static inline void
fake_write(size_t chunks, int rc)
{
	struct pb_err err;

	while (chunks-- > 0 && fake.queue != NULL) {
		struct pb_chunk *chunk = fake.queue;
		struct pb_stream *stream = chunk->stream;
		int result = rc;

		fake.queue = chunk->next;
		if (fake.queue == NULL)
			fake.end = &fake.queue;
		fake.queued--;
		chunk->next = NULL;
		if (result == 0 && chunk->first_seq > stream->durable + 1)
			result = PB_EORDER;
		if (result == 0)
			fake_store_chunk(chunk);
		else if (result != PB_EORDER &&
		    chunk->first_seq > stream->durable)
			stream->next = stream->durable + 1;
		pb_err_set(&err, result, "no space left on device");
		chunk->done(chunk, result, &err);
	}
}

/* It has no index, and commits nothing. */
struct pb_index *
pb_store_hold(struct pb_store *store, struct pb_err *err)
{
	(void)store;
	pb_err_set(err, PB_ESYS, "no index");
	return NULL;
}

void
pb_store_let_go(struct pb_store *store)
{
	(void)store;
}

const char *
pb_store_path(const struct pb_store *store)
{
	(void)store;
	return "/nowhere";
}

void
pb_store_hear(struct pb_store *store, void (*heard)(void *), void *arg)
{
	(void)store;
	(void)heard;
	(void)arg;
}

#endif
