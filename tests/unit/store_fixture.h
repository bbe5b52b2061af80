/*
 * tests/unit/store_fixture.h - a store in a temporary directory, and
 * packets to put into it
 */
#ifndef PB_TESTS_STORE_FIXTURE_H
#define PB_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/store/read/cursor.h"
#include "recorder/store/read/segment_file.h"
#include "recorder/store/write/fill.h"
#include "recorder/store/write/store.h"
#include "tests/unit/temp.h"

#define FIXTURE_TURNS_MAX	1000	/* until chunks are answered */

struct fixture {
	char			 dir[64];
	bool			 stepped;	/* no writer's thread */
	struct pb_store		*store;
	struct pb_stream	*stream;
	struct pb_head		*head;
	struct pb_stream_key	 key;
	pthread_mutex_t		 mutex;
	pthread_cond_t		 cond;
	int			 pending;	/* chunks not yet done */
	int			 ok, failed;	/* of those that are */
	int			 last_rc;
};

static inline void
fixture_opts(struct fixture *f, struct pb_store_opts *opts)
{
	*opts = (struct pb_store_opts){
		.path = f->dir,
		.pen = PB_PEN_EXAMPLE,
		.segment_size = 4u << 20,
		.segment_age_ms = 60000,
		.index_size = 64u << 20,
		.stepped = f->stepped,
	};
}

static inline struct pb_head *
fixture_head(const struct pb_stream_key *key, const char *description)
{
	struct pb_identity id = { .epoch = key->epoch, .nodes = 1 };
	struct pb_head *head = NULL;
	struct pb_err err;

	strcpy(id.interface, key->interface);
	strcpy(id.node[0].name, key->node);
	strcpy(id.node[0].description, description);
	if (pb_head_create(&head, &id, PB_LINKTYPE_ETHERNET, NULL, 0, NULL, 0,
	    &err) < 0)
		abort();
	return head;
}

static inline void
fixture_open(struct fixture *f)
{
	struct pb_store_opts opts;
	struct pb_err err = { 0 };

	fixture_opts(f, &opts);
	if (pb_store_open(&f->store, &opts, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	if (pb_store_stream(f->store, &f->key, PB_LINKTYPE_ETHERNET, 0, true,
	    &f->stream, &err) < 0)
		abort();
}

static inline void
fixture_begin(struct fixture *f, int line, bool stepped)
{
	char name[16];

	memset(f, 0, sizeof(*f));
	f->stepped = stepped;
	pb_log_level(PB_LOG_ERROR + 1);
	snprintf(name, sizeof(name), "%d", line);
	temp_make(f->dir, name);
	strcpy(f->key.node, "lon1");
	strcpy(f->key.interface, "eth0");
	f->key.epoch = 0x1122334455667788ull;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->cond, NULL);
	f->head = fixture_head(&f->key, "London");
	fixture_open(f);
}

static inline void
fixture_init(struct fixture *f, int line)
{
	fixture_begin(f, line, false);
}

static inline void
fixture_finish(struct fixture *f)
{
	pb_store_close(f->store);
	pb_head_unref(f->head);
	pthread_mutex_destroy(&f->mutex);
	pthread_cond_destroy(&f->cond);
	temp_remove(f->dir);
}

/* Of a test that has a store: *state is its fixture. */
static inline int
fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	fixture_init(f, __LINE__);
	*state = f;
	return 0;
}

static inline int
fixture_teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

#define IN_STORE(test)							\
	cmocka_unit_test_setup_teardown(test, fixture_setup,		\
	    fixture_teardown)

static inline void
fixture_done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct fixture *f = chunk->arg;

	(void)err;
	pthread_mutex_lock(&f->mutex);
	f->pending--;
	f->last_rc = rc;
	if (rc == 0)
		f->ok++;
	else
		f->failed++;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->mutex);
	pb_chunk_destroy(chunk);
}

static inline void
fixture_wait(struct fixture *f)
{
	for (int i = 0; f->stepped && f->pending > 0; i++) {
		if (i == FIXTURE_TURNS_MAX)
			abort();	/* not due, or held */
		pb_store_turn(f->store);
	}
	pthread_mutex_lock(&f->mutex);
	while (f->pending > 0)
		pthread_cond_wait(&f->cond, &f->mutex);
	pthread_mutex_unlock(&f->mutex);
}

/* Bytes of packet `seq`, so that a reader can check them. */
static inline void
fixture_packet(uint8_t *data, size_t len, uint64_t seq)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seq * 31 + i);
}

#define FIXTURE_TIME(seq) (1700000000000000000ull + (seq) * 1000)

/* A chunk with packets first .. last of `len` bytes each. */
static inline struct pb_chunk *
fixture_chunk(struct fixture *f, uint64_t first, uint64_t last, uint32_t len)
{
	struct pb_chunk *chunk = pb_chunk_create();
	static uint8_t data[PB_CAPLEN_MAX];
	uint8_t options[PB_OPTION_BYTES(8)];

	if (chunk == NULL)
		abort();
	chunk->stream = f->stream;
	chunk->head = pb_head_ref(f->head);
	chunk->done = fixture_done;
	chunk->arg = f;
	chunk->first_seq = first;
	chunk->last_seq = last;
	for (uint64_t seq = first; seq <= last; seq++) {
		struct pb_packet packet = {
			.time_ns = FIXTURE_TIME(seq), .caplen = len,
			.origlen = len, .data = data, .options = options,
			.options_len = sizeof(options),
		};

		fixture_packet(data, len, seq);
		pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
		pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0,
		    &packet), seq, packet.time_ns, len);
	}
	if (chunk->len > chunk->cap)
		abort();
	return chunk;
}

static inline int
fixture_submit(struct fixture *f, struct pb_chunk *chunk)
{
	struct pb_err err;
	int rc;

	pthread_mutex_lock(&f->mutex);
	f->pending++;
	pthread_mutex_unlock(&f->mutex);
	rc = pb_store_submit(f->store, chunk, &err);
	if (rc < 0) {
		pthread_mutex_lock(&f->mutex);
		f->pending--;
		pthread_mutex_unlock(&f->mutex);
		pb_chunk_destroy(chunk);
	}
	return rc;
}

/* Write first .. last and wait until durable. */
static inline void
fixture_write(struct fixture *f, uint64_t first, uint64_t last, uint32_t len)
{
	if (fixture_submit(f, fixture_chunk(f, first, last, len)) < 0)
		abort();
	fixture_wait(f);
}

/* These numbers are declared a gap. */
static inline void
fixture_gap(struct fixture *f, uint64_t first, uint64_t last,
    enum pb_gap_reason reason)
{
	struct pb_chunk *chunk = pb_chunk_create();

	if (chunk == NULL)
		abort();
	chunk->stream = f->stream;
	chunk->head = pb_head_ref(f->head);
	chunk->done = fixture_done;
	chunk->arg = f;
	chunk->first_seq = first;
	chunk->last_seq = last;
	chunk->gap = reason;
	if (fixture_submit(f, chunk) < 0)
		abort();
	fixture_wait(f);
}

static inline void
fixture_stream_row(struct fixture *f, struct pb_stream_info *out)
{
	struct pb_err err;

	if (pb_index_stream(pb_store_index(f->store), &f->key, out, &err) != 1)
		abort();
}

/* Reads the stream from `range` to the end: count of packets, whose
 * numbers ascend from *first and whose bytes are right; -1 if not. */
static inline long
fixture_read(struct fixture *f, const struct pb_range *range,
    uint64_t *first, uint64_t *last)
{
	struct pb_stream_info row;
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;
	struct pb_err err;
	static uint8_t want[PB_CAPLEN_MAX];
	long count = 0;
	int rc;

	fixture_stream_row(f, &row);
	*first = *last = 0;
	if (pb_cursor_create(&cursor, pb_store_index(f->store), f->dir, &row,
	    range, &err) < 0)
		abort();
	while ((rc = pb_cursor_next(cursor, &p, &err)) == 1) {
		fixture_packet(want, p.packet.caplen, p.seq);
		if (p.seq <= *last || p.packet.time_ns != FIXTURE_TIME(p.seq) ||
		    memcmp(want, p.packet.data, p.packet.caplen) != 0) {
			count = -1;
			break;
		}
		if (*first == 0)
			*first = p.seq;
		*last = p.seq;
		count++;
	}
	pb_cursor_destroy(cursor);
	return rc < 0 ? -1 : count;
}

/* A query's index is the store's. */
static inline int
fixture_index(void *arg, struct pb_index **out, struct pb_err *err)
{
	const struct fixture *f = arg;

	(void)err;
	*out = pb_store_index(f->store);
	return 0;
}

static inline void
fixture_index_end(void *arg, struct pb_index *index, const char *why)
{
	(void)arg;
	(void)index;
	(void)why;
}

/* A chunk with flows, which are the writer's until then. */
static inline void
fixture_done_flows(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	pb_flows_destroy(chunk->flows);
	chunk->flows = NULL;
	fixture_done(chunk, rc, err);
}

static const struct pb_range ALL = { 1, UINT64_MAX, 0, UINT64_MAX };

#endif
