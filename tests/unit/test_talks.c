/*
 * tests/unit/test_talks.c - conversations that a flow table tells of
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "pcapng/scan.h"
#include "recorder/flow/flows.h"
#include "recorder/query/conversations.h"
#include "recorder/query/query.h"
#include "tests/unit/stepped.h"

#define PACKETS	200u
#define LEN	1000u		/* together they are worth a table */

/* Frames from two hosts in turn.  `hit`: their keys have one hash, so that
 * their packets are one flow's. */
static struct pb_chunk *
chunk_of_two(struct fixture *f, bool hit)
{
	struct pb_chunk *chunk = fixture_chunk(f, 1, PACKETS, LEN);
	struct pb_packet packet;
	struct pb_block block;

	assert_int_equal(pb_flows_create(&chunk->flows, 64, 4096, NULL), 0);
	for (size_t at = 0, n = 0; at < chunk->len; at += block.len, n++) {
		struct pb_flows *flows = chunk->flows;
		uint8_t *data;

		assert_int_equal(pb_scan_block(chunk->data + at,
		    chunk->len - at, &block), 1);
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		data = chunk->data + (packet.data - chunk->data);
		memset(data, 2, 12);
		data[11] = n % 2 == 0 ? 5 : 6;
		pb_put_be16(data + 12, 0x88b5);
		if (hit && flows->flows > 1) {
			pb_flow_key(&flows->last, PB_LINKTYPE_ETHERNET, data,
			    packet.caplen);
			flows->last_flow = 1;
		}
		assert_true(pb_flows_packet(flows, (uint32_t)at,
		    PB_LINKTYPE_ETHERNET, data, packet.caplen, packet.origlen,
		    packet.time_ns));
	}
	assert_int_equal(chunk->flows->flows, hit ? 2 : 3);
	return chunk;
}

/* Sealed, with a table. */
static void
write_two(struct fixture *f, bool hit)
{
	struct pb_store_opts opts;
	struct pb_chunk *chunk;
	struct pb_err err;

	pb_store_close(f->store);
	fixture_opts(f, &opts);
	opts.flows = PB_FLOWS_YES;
	assert_int_equal(pb_store_open(&f->store, &opts, &err), 0);
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
	chunk = chunk_of_two(f, hit);
	chunk->done = fixture_done_flows;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	pass(HOUR_MS);
	settle_store(f);
}

/* Both hosts' conversations; how many packets the table told of. */
static uint64_t
talks(struct fixture *f)
{
	struct pb_select select;
	struct pb_query_opts opts = { .store = f->dir, .select = &select,
	    .filter = "", .open = fixture_index, .close = fixture_index_end,
	    .arg = f };
	struct pb_conversations *conversations;
	const struct pb_conversation *found;
	struct pb_query *query;
	uint64_t counted;

	pb_select_init(&select);
	assert_int_equal(pb_conversations_create(&conversations, false, NULL),
	    0);
	assert_int_equal(pb_query_open(&query, &opts, NULL), 0);
	assert_int_equal(pb_query_talks(query, conversations, NULL), 0);
	counted = pb_query_explain(query)->counted;
	assert_int_equal(pb_conversations_sort(conversations, PB_BY_BYTES,
	    &found), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(found[i].packets[0], PACKETS / 2);
		assert_in_range(found[i].address[0][5], 5, 6);
	}
	pb_query_close(query);
	pb_conversations_destroy(conversations);
	return counted;
}

static void
a_row_is_a_conversation_as_it_is(void **state)
{
	write_two(*state, false);
	assert_int_equal(talks(*state), PACKETS);
}

static void
a_row_that_does_not_know_whose_it_is_is_looked_at(void **state)
{
	write_two(*state, true);
	assert_int_equal(talks(*state), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED(a_row_is_a_conversation_as_it_is),
		STEPPED(
		    a_row_that_does_not_know_whose_it_is_is_looked_at),
	};

	return cmocka_run_group_tests_name("talks", tests, NULL, NULL);
}
