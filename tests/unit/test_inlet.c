/*
 * tests/unit/test_inlet.c - chunks on their way into a store, by the writer
 * or as bodies to a scripted node
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "cli/import/inlet.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/store/head.h"
#include "recorder/store/write/fill.h"
#include "tests/unit/scripted_server.h"
#include "tests/unit/temp.h"

#define STREAMS		3u
#define PACKETS		100u		/* of a chunk */
#define PACKET_BYTES	9000u
#define FILE_BYTES_MAX	(8u << 20)	/* where a disk is full */

struct bench {
	char		 dir[64];
	struct pb_cli	 cli;
	struct pb_inlet	 inlet;
	struct pb_stream_key key[STREAMS];
	struct pb_head	*head[STREAMS];
	uint64_t	 seq[STREAMS];
	/* a scripted node, and no store */
	char		 path[128];
	struct server	*server;
};

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A head with a comment of so many bytes. */
static struct pb_head *
make_head(const struct pb_stream_key *key, size_t comment)
{
	struct pb_identity id = { .epoch = key->epoch, .nodes = 1 };
	static uint8_t text[65532];
	struct pb_head *head;
	struct pb_buf shb;
	struct pb_err err;

	strcpy(id.interface, key->interface);
	strcpy(id.node[0].name, key->node);
	pb_buf_init(&shb, PB_OPTIONS_BYTES_MAX);
	if (comment > 0)
		pb_option_put(&shb, PB_OPT_COMMENT, text, comment);
	assert_int_equal(pb_head_create(&head, &id, 1, shb.data, shb.len,
	    NULL, 0, &err), 0);
	pb_buf_finish(&shb);
	return head;
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct pb_err err;

	if (b == NULL)
		return -1;
	signal(SIGXFSZ, SIG_IGN);
	temp_make(b->dir, "inlet");
	b->cli.store_dir = b->dir;
	if (pb_cli_conf(&b->cli, &err) < 0)
		return -1;
	for (unsigned i = 0; i < STREAMS; i++) {
		snprintf(b->key[i].node, sizeof(b->key[i].node), "lon1");
		snprintf(b->key[i].interface, sizeof(b->key[i].interface),
		    "eth%u", i);
		b->key[i].epoch = 7 + i;
		b->head[i] = make_head(&b->key[i], 0);
	}
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	limit_files(RLIM_INFINITY);
	for (unsigned i = 0; i < STREAMS; i++)
		pb_head_unref(b->head[i]);
	pb_conf_destroy(b->cli.conf);
	temp_remove(b->dir);
	free(b);
	return 0;
}

static void
opens(struct bench *b)
{
	struct pb_err err;

	if (pb_inlet_open(&b->inlet, &b->cli, &err) < 0)
		fail_msg("%s", err.text);
}

/* The next chunk of a stream, full of packets of `len` bytes. */
static struct pb_chunk *
takes(struct bench *b, unsigned i, uint32_t len)
{
	static uint8_t data[PACKET_BYTES];
	uint8_t options[PB_OPTION_BYTES(8)];
	struct pb_packet packet = { .caplen = len, .origlen = len,
		.data = data, .options = options,
		.options_len = sizeof(options) };
	struct pb_chunk *chunk;
	struct pb_err err;

	if (pb_inlet_take(&b->inlet, &chunk, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(chunk->len, 0);
	assert_null(chunk->head);
	chunk->head = pb_head_ref(b->head[i]);
	packet.time_ns = 1000;
	for (unsigned n = 0; n < PACKETS; n++) {
		pb_option_at_u64(options, PB_OPT_EPB_PACKETID, ++b->seq[i]);
		pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0,
		    &packet), b->seq[i], packet.time_ns, len);
	}
	assert_true(chunk->len <= chunk->cap);
	return chunk;
}

static int
gives(struct bench *b, unsigned i, uint32_t len, struct pb_err *err)
{
	return pb_inlet_give(&b->inlet, &b->key[i], takes(b, i, len), err);
}

/* What a reader of the closed store finds of a stream. */
static uint64_t
durable(struct bench *b, unsigned i)
{
	struct pb_stream_info info;
	struct pb_index *index;
	struct pb_err err;
	int rc;

	assert_int_equal(pb_index_open(&index, b->dir, &err), 0);
	rc = pb_index_stream(index, &b->key[i], &info, &err);
	assert_true(rc >= 0);
	pb_index_close(index);
	if (rc == 0)
		return 0;
	assert_int_equal(info.packets, info.last_seq);
	return info.last_seq;
}

/* --- to the writer ------------------------------------------------------- */

static void
what_was_given_is_durable_when_finish_says_so(void **state)
{
	struct bench *b = *state;
	struct pb_err err;

	opens(b);
	for (unsigned n = 0; n < 2 * PB_INLET_CHUNKS_MAX; n++)
		assert_int_equal(gives(b, n % STREAMS, 50, &err), 0);
	assert_int_equal(pb_inlet_finish(&b->inlet, &err), 0);
	assert_int_equal(b->inlet.on_way, 0);
	assert_true(b->inlet.chunks <= PB_INLET_CHUNKS_MAX + 1);
	pb_inlet_close(&b->inlet);
	for (unsigned i = 0; i < STREAMS; i++)
		assert_int_equal(durable(b, i), b->seq[i]);
}

/* What is imported waits for nobody's packets: none need go without. */
static void
each_chunk_on_its_way_can_have_the_largest_table_of_flows(void **state)
{
	uint8_t data[64 + PB_FLOW_BEHIND] = { 0 };
	struct pb_flows *flows[PB_INLET_CHUNKS_MAX + 1];
	struct pb_flow_pool *pool;

	(void)state;
	assert_int_equal(pb_flow_pool_of_chunks(&pool, NULL), 0);
	for (unsigned i = 0; i <= PB_INLET_CHUNKS_MAX; i++) {
		flows[i] = pb_flow_pool_take(pool, UINT_MAX);
		assert_non_null(flows[i]);
		assert_int_equal(flows[i]->flows_max,
		    PB_FLOW_CHUNK_FLOWS_MAX);
		for (unsigned n = 0; n < PB_CHUNK_BYTES / 128; n++)
			assert_true(pb_flows_packet(flows[i], 128 * n, 1,
			    data, 64, 64, n));
	}
	for (unsigned i = 0; i <= PB_INLET_CHUNKS_MAX; i++)
		pb_flow_pool_give(pool, flows[i]);
	pb_flow_pool_destroy(pool);
}

/*
 * Goal:   a writer that fails while others wait for it ends the import, and
 *         leaves nobody waiting, no chunk behind, and a store to go on with.
 * Method: files may grow to a bound that is met in the middle.
 */
static void
a_writer_that_fails_half_way_ends_it(void **state)
{
	struct bench *b = *state;
	struct pb_err err = { 0 };
	unsigned n = 0;
	uint64_t kept;
	int rc;

	opens(b);
	assert_int_equal(gives(b, 1, 50, &err), 0);
	assert_int_equal(pb_inlet_finish(&b->inlet, &err), 0);
	limit_files(FILE_BYTES_MAX);
	do
		rc = gives(b, 0, PACKET_BYTES, &err);
	while (rc == 0 && ++n < 3 * PB_INLET_CHUNKS_MAX);
	if (rc == 0)
		rc = pb_inlet_finish(&b->inlet, &err);
	assert_true(rc < 0);
	assert_non_null(strstr(err.text, "File too large"));
	/* Spent: what comes now says the same. */
	assert_int_equal(gives(b, 1, 50, &err), rc);
	assert_non_null(strstr(err.text, "File too large"));
	assert_int_equal(pb_inlet_finish(&b->inlet, &err), rc);
	pb_inlet_close(&b->inlet);
	limit_files(RLIM_INFINITY);
	kept = durable(b, 0);
	assert_true(kept < b->seq[0] && kept % PACKETS == 0);
	assert_int_equal(durable(b, 1), PACKETS);
	opens(b);
	b->seq[0] = kept;
	b->seq[1] = PACKETS;
	assert_int_equal(gives(b, 0, PACKET_BYTES, &err), 0);
	assert_int_equal(gives(b, 1, 50, &err), 0);
	assert_int_equal(pb_inlet_finish(&b->inlet, &err), 0);
	pb_inlet_close(&b->inlet);
	assert_int_equal(durable(b, 0), kept + PACKETS);
}

/* Closed in the middle: some are lent, some given, and all come back. */
static void
what_is_lent_goes_with_the_inlet(void **state)
{
	struct bench *b = *state;
	struct pb_err err;

	opens(b);
	for (unsigned n = 0; n < 2 * PB_INLET_CHUNKS_MAX; n++) {
		takes(b, 0, 50);
		if (n % 2 == 0)
			assert_int_equal(gives(b, 1, 50, &err), 0);
	}
	pb_inlet_close(&b->inlet);
	/* The writer ends what it has. */
	assert_int_equal(durable(b, 1), b->seq[1]);
	assert_int_equal(durable(b, 0), 0);
}

/* --- to a node ----------------------------------------------------------- */

static void
connects(struct bench *b, const struct line *script)
{
	struct pb_inlet *inlet = &b->inlet;

	memset(inlet, 0, sizeof(*inlet));
	snprintf(b->path, sizeof(b->path), "%s/s", b->dir);
	b->server = server_start(b->path, script, 1);
	pthread_mutex_init(&inlet->lock, NULL);
	pthread_cond_init(&inlet->back, NULL);
	inlet->pen = PB_PEN_EXAMPLE;
	pb_buf_init(&inlet->head, PB_HEAD_BYTES_MAX + PB_CHUNK_BYTES);
	assert_int_equal(pb_push_create(&inlet->push, b->path, NULL, NULL),
	    0);
}

/* The body that came is a head of the stream and these blocks. */
static void
body_is(struct bench *b, unsigned i, const uint8_t *blocks, size_t len)
{
	struct pb_head *head;
	size_t at;

	assert_int_equal(pb_head_parse(&head, b->server->body,
	    b->server->body_len, &at, NULL), 0);
	assert_true(head->hash == b->head[i]->hash);
	assert_int_equal(head->identity.first_seq,
	    b->seq[i] - PACKETS + 1);
	pb_head_unref(head);
	assert_int_equal(b->server->body_len - at, len);
	assert_memory_equal(b->server->body + at, blocks, len);
}

static void
a_chunk_is_a_body_with_its_head(void **state)
{
	static const size_t comment[] = { 0, 5000, 16000, 16500, 65000 };
	struct line script[] = { { ANSWER, "HTTP/1.1 200 OK\r\n"
	    "Content-Length: 15\r\n\r\n{\"acked\": 9999}" } };
	struct bench *b = *state;
	uint8_t *blocks = malloc(PB_CHUNK_BYTES);
	struct pb_chunk *chunk;
	struct pb_err err;
	size_t len;

	assert_non_null(blocks);
	connects(b, script);
	for (size_t n = 0; n < sizeof(comment) / sizeof(comment[0]); n++) {
		pb_head_unref(b->head[0]);
		b->head[0] = make_head(&b->key[0], comment[n]);
		chunk = takes(b, 0, PACKET_BYTES);
		len = chunk->len;
		memcpy(blocks, chunk->data, len);
		if (pb_inlet_give(&b->inlet, &b->key[0], chunk, &err) < 0 ||
		    pb_inlet_finish(&b->inlet, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(b->inlet.on_way, 0);
		body_is(b, 0, blocks, len);
	}
	/* One after the other they were the same chunk. */
	assert_int_equal(b->inlet.chunks, 1);
	for (unsigned n = 0; n < 2 * PB_INLET_CHUNKS_MAX; n++)
		assert_int_equal(gives(b, n % STREAMS, 50, &err), 0);
	assert_int_equal(pb_inlet_finish(&b->inlet, &err), 0);
	assert_true(b->inlet.chunks <= PB_PUSH_REQUESTS_MAX + 1);
	pb_inlet_close(&b->inlet);
	server_stop(b->server);
	free(blocks);
}

static void
a_node_that_refuses_ends_it(void **state)
{
	struct line script[] = { { ANSWER, "HTTP/1.1 403 No\r\n"
	    "Content-Length: 15\r\n\r\n{\"error\": \"no\"}" } };
	struct bench *b = *state;
	struct pb_err err = { 0 };
	unsigned n = 0;
	int rc;

	connects(b, script);
	do
		rc = gives(b, 0, PACKET_BYTES, &err);
	while (rc == 0 && ++n < PB_INLET_CHUNKS_MAX);
	assert_int_equal(rc, PB_EACCES);
	assert_in_range(n, 1, 2 * PB_PUSH_REQUESTS_MAX);
	assert_int_equal(gives(b, 1, 50, &err), PB_EACCES);
	pb_inlet_close(&b->inlet);
	server_stop(b->server);
}

int
main(void)
{
#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(what_was_given_is_durable_when_finish_says_so),
		cmocka_unit_test(
		    each_chunk_on_its_way_can_have_the_largest_table_of_flows),
		ONE(a_writer_that_fails_half_way_ends_it),
		ONE(what_is_lent_goes_with_the_inlet),
		ONE(a_chunk_is_a_body_with_its_head),
		ONE(a_node_that_refuses_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
