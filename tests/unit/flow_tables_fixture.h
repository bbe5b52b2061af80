/*
 * tests/unit/flow_tables_fixture.h - a store that makes flow tables
 */
#ifndef PB_TESTS_FLOW_TABLES_FIXTURE_H
#define PB_TESTS_FLOW_TABLES_FIXTURE_H

#include <fcntl.h>

#include "pcapng/scan.h"
#include "recorder/flow/flows.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/index/index_write.h"
#include "tests/unit/stepped.h"

#define LEN	1000u
#define ROWS	16

static inline void
reopen_with(struct fixture *f, const struct pb_store_opts *opts)
{
	struct pb_err err;

	pb_store_close(f->store);
	assert_int_equal(pb_store_open(&f->store, opts, &err), 0);
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
}

/* A store that makes tables, or not. */
static inline void
reopen(struct fixture *f, enum pb_store_flows flows)
{
	struct pb_store_opts opts;

	fixture_opts(f, &opts);
	opts.flows = flows;
	opts.segment_size = 1u << 20;
	reopen_with(f, &opts);
}

/* Who fills a chunk learns its flows. */
static inline struct pb_chunk *
chunk_of(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, LEN);
	struct pb_packet packet;
	struct pb_block block;

	assert_int_equal(pb_flows_create(&chunk->flows, 64, 4096, NULL), 0);
	for (size_t at = 0; at < chunk->len; at += block.len) {
		assert_int_equal(pb_scan_block(chunk->data + at,
		    chunk->len - at, &block), 1);
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		assert_true(pb_flows_packet(chunk->flows, (uint32_t)at,
		    PB_LINKTYPE_ETHERNET, packet.data, packet.caplen,
		    packet.origlen, packet.time_ns));
	}
	return chunk;
}

static inline void
write_known(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = chunk_of(f, first, last);

	chunk->done = fixture_done_flows;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
}

static inline int
rows_of(struct pb_index *index, const struct pb_stream_key *key,
    struct pb_flows_info rows[static ROWS])
{
	struct pb_stream_info stream;

	if (pb_index_stream(index, key, &stream, NULL) != 1)
		return 0;
	return pb_index_rows_of(index, PB_TABLE_FLOWS, stream.id, 1, rows,
	    ROWS, NULL);
}

static inline int
rows(struct fixture *f, struct pb_flows_info out[static ROWS])
{
	return rows_of(pb_store_index(f->store), &f->key, out);
}

/* Sealed by its age, and what follows. */
static inline void
seal(struct fixture *f)
{
	pass(HOUR_MS);
	settle_store(f);
}

static inline void
expect_table(struct fixture *f, const struct pb_flows_info *row)
{
	struct pb_flow_table *table;
	struct pb_buf bytes;
	struct pb_err err;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	if (pb_index_table_read(&bytes, f->dir, &f->key, row, &err) < 0 ||
	    pb_flow_table_open(&table, bytes.data, bytes.len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pb_flow_table_packets(table), row->packets);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
}

static inline bool
has_tables(struct fixture *f, uint64_t segment_seq)
{
	char path[PATH_MAX];

	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, segment_seq,
	    NULL), 0);
	return access(path, F_OK) == 0;
}

static inline int
tables_setup(void **state)
{
	int rc = stepped_setup(state);

	reopen(*state, PB_FLOWS_YES);
	return rc;
}

#define TABLED(test)							\
	cmocka_unit_test_setup_teardown(test, tables_setup,		\
	    fixture_teardown)

#endif
