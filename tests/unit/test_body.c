/*
 * tests/unit/test_body.c - a request's body, checked and cut into chunks
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/intake/body.h"
#include "tests/unit/body_ways.h"
#include "tests/unit/ingest_body.h"

#define ARRIVAL	1800000000000000000ull

static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };
static const struct pb_node self = { "core", "in the middle" };

struct result {
	int		rc;
	struct pb_err	err;
	struct pb_body_facts facts;
	struct pb_body_build build;
};

static int chunks_made, chunks_max = 1000;

static struct pb_chunk *
make_chunk(void *arg)
{
	(void)arg;
	if (chunks_made == chunks_max)
		return NULL;
	chunks_made++;
	return pb_chunk_create();
}

static void
free_result(struct result *r)
{
	struct pb_chunk *chunk = r->build.first_chunk, *next;

	for (; chunk != NULL; chunk = next) {
		next = chunk->next;
		pb_chunk_destroy(chunk);
		chunks_made--;
	}
	pb_head_unref(r->build.head);
	assert_int_equal(chunks_made, 0);
}

static struct result
read_runs(const struct image *img, const struct pb_node *me,
    const struct pb_run *run, size_t runs)
{
	struct pb_body body = {
		.data = img->data, .len = img->len, .key = &key, .self = me,
		.pen = BODY_PEN,
	};
	struct result r = { 0 };
	struct pb_body_scratch *scratch;
	const char *differs;
	uint64_t plain;

	assert_int_equal(pb_body_scratch_create(&scratch, &r.err), 0);
	r.build.run = run;
	r.build.runs = runs;
	r.build.arrival_ns = ARRIVAL;
	r.build.number = 7000;
	r.build.chunk = make_chunk;
	differs = body_ways_differ(scratch, &body, &r.build, chunks_max,
	    &plain);
	if (differs != NULL)
		fail_msg("the two ways of body.c differ in %s", differs);
	r.rc = pb_body_read(scratch, &body, &r.facts, &r.build, &r.err);
	pb_body_scratch_destroy(scratch);
	return r;
}

static struct result
read_all(const struct image *img, const struct pb_node *me)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };

	return read_runs(img, me, &all, 1);
}

/* Nothing must be left of a body that is refused. */
static void
expect_refused(const struct image *img, const struct pb_node *me, int rc)
{
	struct pb_body body = {
		.data = img->data, .len = img->len, .key = &key, .self = me,
		.pen = BODY_PEN,
	};
	struct pb_body_scratch *scratch;
	struct result r = read_all(img, me);
	struct pb_body_facts facts;
	struct pb_err err;

	assert_int_equal(r.rc, rc);
	assert_string_not_equal(r.err.text, "");
	assert_null(r.build.head);
	free_result(&r);
	assert_int_equal(pb_body_scratch_create(&scratch, &err), 0);
	assert_int_equal(pb_body_read(scratch, &body, &facts, NULL, &err), rc);
	pb_body_scratch_destroy(scratch);
}

/* The packets of the chunks, in order, as `first` and the ones after. */
static uint64_t
expect_packets(const struct result *r, uint64_t first, int hops)
{
	uint64_t seq = first;

	for (struct pb_chunk *c = r->build.first_chunk; c != NULL;
	    c = c->next) {
		size_t at = 0;

		assert_int_equal(c->first_seq, seq);
		while (at < c->len) {
			struct pb_hop hop[PB_HOPS_MAX];
			struct pb_packet packet;
			struct pb_block block;
			uint64_t got;

			assert_int_equal(pb_scan_block(c->data + at,
			    c->len - at, &block), 1);
			at += block.len;
			if (block.type != PB_BLOCK_EPB)
				continue;
			assert_int_equal(pb_scan_epb(&block, &packet), 0);
			assert_true(pb_packet_seq(&packet, &got));
			assert_int_equal(got, seq);
			assert_int_equal(packet.time_ns, BODY_TIME(seq));
			assert_int_equal(packet.data[0], seq & 0xFF);
			assert_int_equal(pb_hops_get(packet.options,
			    packet.options_len, hop), hops);
			if (hops > 0) {
				assert_int_equal(hop[hops - 1].time_ns,
				    ARRIVAL);
				assert_int_equal(hop[hops - 1].seq,
				    7000 + seq - first);
			}
			seq++;
		}
		assert_int_equal(c->last_seq, seq - 1);
		assert_int_equal(c->tally.packets, seq - c->first_seq);
		assert_int_equal(c->tally.first_time, BODY_TIME(c->first_seq));
		assert_int_equal(c->tally.last_time, BODY_TIME(c->last_seq));
		assert_true(c->len <= c->cap);
		assert_ptr_equal(c->head, r->build.head);
	}
	return seq - first;
}

static void
a_foreign_body_of_either_byte_order_becomes_chunks(void **state)
{
	(void)state;
	for (int big = 0; big <= 1; big++) {
		struct image *img = body_image(&(struct body_opts){
		    .first = 5, .last = 24, .big = big });
		struct result r = read_all(img, &self);

		assert_int_equal(r.rc, 0);
		assert_int_equal(r.facts.first, 5);
		assert_int_equal(r.facts.last, 24);
		assert_int_equal(r.facts.linktype, 1);
		assert_int_equal(r.facts.way.nodes, 1);
		assert_string_equal(r.facts.way.node[0].name, "lon1");
		assert_int_equal(expect_packets(&r, 5, 1), 20);
		assert_int_equal(r.build.head->identity.nodes, 2);
		assert_string_equal(r.build.head->identity.node[1].name,
		    "core");
		assert_string_equal(r.build.head->identity.node[1].description,
		    "in the middle");
		assert_int_equal(r.build.head->identity.epoch, BODY_EPOCH);
		free_result(&r);
		free(img);
	}
}

static void
each_node_adds_itself_and_one_hop_record_behind_the_others(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 3, .nodes = 3,
	    .node = { "lon1", "par1", "fra1" }, .hops = 2 });
	struct result r = read_all(img, &self);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.facts.way.nodes, 3);
	assert_int_equal(r.build.head->identity.nodes, 4);
	assert_string_equal(r.build.head->identity.node[3].name, "core");
	assert_int_equal(expect_packets(&r, 1, 3), 3);
	free_result(&r);
	free(img);
}

static void
by_the_local_door_nothing_is_added(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 3, .nodes = 1, .node = { "lon1" } });
	struct result r = read_all(img, NULL);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.build.head->identity.nodes, 1);
	assert_int_equal(expect_packets(&r, 1, 0), 3);
	free_result(&r);
	free(img);
	img = body_image(&(struct body_opts){ .first = 1, .last = 3,
	    .nodes = 2, .node = { "lon1", "par1" }, .hops = 1 });
	expect_refused(img, NULL, PB_EINVAL);
	free(img);
}

static void
only_the_runs_asked_for_are_kept_each_in_its_own_chunk(void **state)
{
	static const struct pb_run run[] = { { 3, 4 }, { 7, 7 }, { 9, 20 } };
	struct image *img = body_image(&(struct body_opts){
	    .first = 2, .last = 11 });
	struct result r = read_runs(img, &self, run, 3);
	struct pb_chunk *chunk = r.build.first_chunk;

	(void)state;
	assert_int_equal(r.rc, 0);
	for (size_t i = 0; i < 3; i++) {
		assert_non_null(chunk);
		assert_int_equal(chunk->first_seq, run[i].first);
		assert_int_equal(chunk->last_seq, i == 2 ? 11 : run[i].last);
		chunk = chunk->next;
	}
	assert_null(chunk);
	free_result(&r);
	free(img);
}

static void
a_large_body_fills_several_chunks_none_beyond_its_room(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 16000, .caplen = 4 });
	struct result r = read_all(img, &self);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_int_equal(expect_packets(&r, 1, 1), 16000);
	assert_ptr_not_equal(r.build.first_chunk, r.build.last_chunk);
	free_result(&r);
	free(img);
}

static void
no_memory_for_a_chunk_refuses_the_body(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 16000, .caplen = 4 });
	struct result r;

	(void)state;
	chunks_max = 1;
	r = read_all(img, &self);
	chunks_max = 1000;
	assert_int_equal(r.rc, PB_ENOMEM);
	assert_null(r.build.head);
	free_result(&r);
	free(img);
}

static void
what_is_no_pcapng_is_malformed(void **state)
{
	struct image *img = body_begin(false);
	uint8_t data[60] = { 0 };

	(void)state;
	expect_refused(img, &self, PB_EINVAL);		/* empty */
	img_bytes(img, "hello, world", 12);
	expect_refused(img, &self, PB_EFORMAT);
	img->len = 0;
	img_pcap(img, 0xA1B2C3D4, 4, 1);
	img_record(img, 1, 1, 60, 60, data, 60);
	expect_refused(img, &self, PB_EFORMAT);
	free(img);
}

static void
a_body_cut_anywhere_but_between_packets_is_refused(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 3 });
	size_t whole = img->len, packet;

	(void)state;
	packet = (img->len - img->block);
	for (size_t cut = 0; cut < whole; cut++) {
		img->len = cut;
		if ((whole - cut) % packet == 0 && whole - cut <= 2 * packet)
			continue;
		expect_refused(img, &self, cut == 0 ||
		    whole - cut == 3 * packet || cut == 28 ? PB_EINVAL :
		    PB_EFORMAT);
	}
	free(img);
}

static void
a_second_section_or_interface_is_refused(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 2 };
	struct image *img = body_image(&opts);

	(void)state;
	body_head(img, &opts);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
	img = body_image(&opts);
	img_idb(img, 1, 0);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
}

static void
a_packet_without_a_number_is_refused(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 2 };
	struct image *img = body_image(&opts);

	(void)state;
	img_epb(img, 0, BODY_TIME(3), "abcd", 4);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
	img = body_image(&opts);
	img_begin(img, PB_BLOCK_SPB);
	img_number(img, 4, 4);
	img_bytes(img, "abcd", 4);
	img_end(img);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
}

static void
numbers_that_do_not_ascend_by_one_are_refused(void **state)
{
	static const uint64_t next[] = { 1, 2, 4, 0, UINT64_MAX };
	const struct body_opts opts = { .first = 1, .last = 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
		struct image *img = body_image(&opts);

		body_packet(img, &opts, next[i]);
		expect_refused(img, &self, PB_EINVAL);
		free(img);
	}
}

static void
a_body_without_packets_is_refused(void **state)
{
	struct image *img = body_begin(false);

	(void)state;
	body_head(img, &(struct body_opts){ .nodes = 0 });
	expect_refused(img, &self, PB_EINVAL);
	free(img);
}

static void
a_way_that_is_not_the_urls_stream_is_refused(void **state)
{
	static const struct body_opts opts[] = {
		{ .first = 1, .last = 1, .nodes = 1, .node = { "par1" } },
		{ .first = 1, .last = 1, .nodes = 1, .node = { "lon1" },
		    .interface = "eth1" },
	};
	struct pb_stream_key other = key;
	struct pb_body_scratch *scratch;
	struct pb_body_facts facts;
	struct image *img;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		img = body_image(&opts[i]);
		expect_refused(img, &self, PB_EINVAL);
		free(img);
	}
	img = body_image(&(struct body_opts){ .first = 1, .last = 1,
	    .nodes = 1, .node = { "lon1" } });
	other.epoch++;
	assert_int_equal(pb_body_scratch_create(&scratch, &err), 0);
	assert_int_equal(pb_body_look(scratch, &(struct pb_body){
	    .data = img->data, .len = img->len, .key = &other, .self = &self,
	    .pen = BODY_PEN }, &facts, &err), PB_EINVAL);
	pb_body_scratch_destroy(scratch);
	free(img);
}

static void
this_node_on_the_way_already_is_a_loop(void **state)
{
	struct image *img = body_image(&(struct body_opts){ .first = 1,
	    .last = 1, .nodes = 3, .node = { "lon1", "core", "par1" },
	    .hops = 2 });
	static const struct pb_node origin = { "lon1", "" };

	(void)state;
	expect_refused(img, &self, PB_ELOOP);
	free(img);
	img = body_image(&(struct body_opts){ .first = 1, .last = 1 });
	expect_refused(img, &origin, PB_ELOOP);
	free(img);
}

static void
a_way_that_is_full_is_refused(void **state)
{
	static const char *const name[PB_HOPS_MAX] = {
		"lon1", "b", "c", "d", "e", "f", "g", "h",
		"i", "j", "k", "l", "m", "n", "o", "p",
	};
	struct body_opts opts = { .first = 1, .last = 1,
	    .nodes = PB_HOPS_MAX, .hops = PB_HOPS_MAX - 1 };
	struct image *img;
	struct result r;

	(void)state;
	memcpy(opts.node, name, sizeof(name));
	img = body_image(&opts);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
	opts.nodes--;
	opts.hops--;
	img = body_image(&opts);
	r = read_all(img, &self);
	assert_int_equal(r.rc, 0);
	assert_int_equal(expect_packets(&r, 1, PB_HOPS_MAX - 1), 1);
	free_result(&r);
	free(img);
}

static void
hop_records_that_do_not_fit_the_way_are_refused(void **state)
{
	static const int hops[] = { 0, 2, PB_HOPS_MAX };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct image *img = body_image(&(struct body_opts){
		    .first = 1, .last = 1, .nodes = 2,
		    .node = { "lon1", "par1" }, .hops = hops[i] });

		expect_refused(img, &self, PB_EINVAL);
		free(img);
	}
}

static void
a_segment_option_that_is_wrong_is_refused(void **state)
{
	static const uint8_t bad[] = { 0xd9, 0x7e, 0, 0, 'P', 'B', 1, 1, 0 };
	struct image *img = body_begin(false);

	(void)state;
	img_shb_begin(img, 1, 0);
	img_option(img, 2989, bad, sizeof(bad));
	img_number(img, 0, 4);
	img_end(img);
	img_idb_clock(img, 9, 0);
	body_packet(img, &(struct body_opts){ .nodes = 0 }, 1);
	expect_refused(img, &self, PB_EINVAL);
	free(img);
}

static unsigned
count_blocks(const struct result *r, uint32_t type, struct pb_block *last)
{
	unsigned count = 0;

	for (struct pb_chunk *c = r->build.first_chunk; c != NULL;
	    c = c->next)
		for (size_t at = 0; at < c->len; ) {
			struct pb_block block;

			assert_int_equal(pb_scan_block(c->data + at,
			    c->len - at, &block), 1);
			at += block.len;
			if (block.type == type) {
				*last = block;
				count++;
			}
		}
	return count;
}

static void
put_block(struct image *img, uint32_t type, size_t bytes)
{
	img_begin(img, type);
	for (size_t i = 0; i < bytes; i += 4)
		img_number(img, 0, 4);
	img_end(img);
}

static void
names_secrets_and_unknown_blocks_pass_custom_ones_do_not(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 2 };

	(void)state;
	for (int big = 0; big <= 1; big++) {
		struct image *img = body_begin(big);
		struct pb_block block;
		struct result r;
		unsigned want = big ? 0 : 1;

		body_head(img, &opts);
		put_block(img, PB_BLOCK_NRB, 8);
		put_block(img, PB_BLOCK_CB, 8);
		body_packet(img, &opts, 1);
		put_block(img, PB_BLOCK_CB_NOCOPY, 8);
		put_block(img, PB_BLOCK_DSB, 16);
		body_packet(img, &opts, 2);
		put_block(img, 0x99, 20);
		r = read_all(img, &self);
		assert_int_equal(r.rc, 0);
		assert_int_equal(count_blocks(&r, PB_BLOCK_NRB, &block), want);
		assert_int_equal(count_blocks(&r, PB_BLOCK_DSB, &block), want);
		assert_int_equal(count_blocks(&r, 0x99, &block), want);
		assert_int_equal(count_blocks(&r, PB_BLOCK_CB, &block), 0);
		assert_int_equal(count_blocks(&r, PB_BLOCK_CB_NOCOPY, &block),
		    0);
		assert_int_equal(r.build.blocks_dropped, big ? 5 : 2);
		assert_int_equal(expect_packets(&r, 1, 1), 2);
		free_result(&r);
		free(img);
	}
}

static void
a_block_goes_where_the_packet_behind_it_goes(void **state)
{
	static const struct pb_run second = { 2, 2 };
	const struct body_opts opts = { .first = 1, .last = 2 };
	struct image *img = body_begin(false);
	struct pb_block block;
	struct result r;

	(void)state;
	body_head(img, &opts);
	put_block(img, PB_BLOCK_NRB, 8);
	body_packet(img, &opts, 1);
	put_block(img, PB_BLOCK_DSB, 8);
	body_packet(img, &opts, 2);
	put_block(img, 0x99, 8);
	body_packet(img, &opts, 3);
	r = read_runs(img, &self, &second, 1);
	assert_int_equal(r.rc, 0);
	assert_int_equal(count_blocks(&r, PB_BLOCK_NRB, &block), 0);
	assert_int_equal(count_blocks(&r, PB_BLOCK_DSB, &block), 1);
	assert_int_equal(count_blocks(&r, 0x99, &block), 0);
	assert_int_equal(r.build.blocks_dropped, 0);
	free_result(&r);
	free(img);
}

static void
blocks_that_do_not_fit_are_dropped_packets_kept(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 1 };
	struct image *img = body_begin(false);
	struct pb_block block;
	struct result r;

	(void)state;
	body_head(img, &opts);
	put_block(img, PB_BLOCK_NRB, PB_STORED_BLOCK_BYTES_MAX - 1024);
	put_block(img, PB_BLOCK_DSB, 4096);
	body_packet(img, &opts, 1);
	r = read_all(img, &self);
	assert_int_equal(r.rc, 0);
	assert_int_equal(count_blocks(&r, PB_BLOCK_NRB, &block), 1);
	assert_int_equal(count_blocks(&r, PB_BLOCK_DSB, &block), 0);
	assert_int_equal(r.build.blocks_dropped, 1);
	free_result(&r);
	free(img);
}

static void
statistics_stay_fillers_go(void **state)
{
	const struct body_opts opts = { .first = 1, .last = 1 };
	struct image *img = body_begin(false);
	const uint8_t *list;
	struct pb_block block;
	struct result r;
	size_t len, at;
	uint64_t value;

	(void)state;
	body_head(img, &opts);
	img_begin(img, PB_BLOCK_ISB);
	img_number(img, 0, 4);
	img_ticks(img, 77);
	img_option_number(img, PB_OPT_ISB_STARTTIME, 5, 8);
	img_option_number(img, PB_OPT_ISB_IFRECV, 1234, 8);
	img_end(img);
	at = img->len;
	img->len += 64;
	pb_build_filler(img->data + at, 64, 1, BODY_PEN);
	body_packet(img, &opts, 1);
	r = read_all(img, &self);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.build.blocks_dropped, 0);
	assert_int_equal(count_blocks(&r, PB_BLOCK_ISB, &block), 1);
	assert_int_equal(pb_scan_options(&block, &list, &len, NULL), 0);
	assert_true(pb_option_find_u64(list, len, PB_OPT_ISB_IFRECV, &value));
	assert_int_equal(value, 1234);
	assert_true(pb_option_find_u64(list, len, PB_OPT_ISB_STARTTIME,
	    &value));
	free_result(&r);
	free(img);
}

/* Ours says nanoseconds: microseconds would be misread there. */
static void
statistics_times_of_another_resolution_are_left_out(void **state)
{
	struct image *img = body_begin(false);
	const uint8_t *list;
	struct pb_block block;
	struct result r;
	size_t len;
	uint64_t value;

	(void)state;
	img_shb(img);
	img_idb(img, 1, 0);	/* microseconds */
	img_begin(img, PB_BLOCK_ISB);
	img_number(img, 0, 4);
	img_ticks(img, 77);
	img_option_number(img, PB_OPT_ISB_STARTTIME, 5, 8);
	img_option_number(img, PB_OPT_ISB_ENDTIME, 6, 8);
	img_option_number(img, PB_OPT_ISB_OSDROP, 9, 8);
	img_end(img);
	img_epb_begin(img, 0, 1700000000000000ull, "abcd", 4, 4);
	img_option_number(img, 5, 1, 8);
	img_end(img);
	r = read_all(img, &self);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.build.first_chunk->tally.first_time,
	    1700000000000000000ull);
	assert_int_equal(count_blocks(&r, PB_BLOCK_ISB, &block), 1);
	assert_int_equal(pb_scan_options(&block, &list, &len, NULL), 0);
	assert_true(pb_option_find_u64(list, len, PB_OPT_ISB_OSDROP, &value));
	assert_false(pb_option_find_u64(list, len, PB_OPT_ISB_STARTTIME,
	    &value));
	assert_false(pb_option_find_u64(list, len, PB_OPT_ISB_ENDTIME,
	    &value));
	free_result(&r);
	free(img);
}

static void
drop_counts_are_told_and_those_too_many_are_added_up(void **state)
{
	struct image *img = body_begin(false);
	struct pb_chunk *chunk;
	struct result r;

	(void)state;
	body_head(img, &(struct body_opts){ .nodes = 0 });
	for (uint64_t seq = 1; seq <= 20; seq++) {
		img_epb_begin(img, 0, BODY_TIME(seq), "abcd", 4, 4);
		img_option_number(img, 5, seq, 8);
		if (seq % 2 == 0)
			img_option_number(img, PB_OPT_EPB_DROPCOUNT, seq, 8);
		img_end(img);
	}
	r = read_all(img, NULL);
	assert_int_equal(r.rc, 0);
	chunk = r.build.first_chunk;
	assert_int_equal(chunk->drops, PB_CHUNK_DROPS_MAX);
	assert_int_equal(chunk->drop[0].seq, 2);
	assert_int_equal(chunk->drop[0].count, 2);
	assert_int_equal(chunk->drop[0].time_ns, BODY_TIME(2));
	assert_int_equal(chunk->drop[7].seq, 16);
	assert_int_equal(chunk->drop[7].count, 16 + 18 + 20);
	free_result(&r);
	free(img);
}

static void
a_look_tells_the_way_and_the_first_number_only(void **state)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 41, .last = 50, .nodes = 2, .node = { "lon1", "par1" },
	    .hops = 1 });
	struct pb_body_scratch *scratch;
	struct pb_body_facts facts;
	struct pb_err err;

	(void)state;
	img_bytes(img, "rubbish", 7);	/* behind the first packet */
	assert_int_equal(pb_body_scratch_create(&scratch, &err), 0);
	assert_int_equal(pb_body_look(scratch, &(struct pb_body){
	    .data = img->data, .len = img->len, .key = &key, .self = &self,
	    .pen = BODY_PEN }, &facts, &err), 0);
	assert_int_equal(facts.first, 41);
	assert_int_equal(facts.last, 0);
	assert_int_equal(facts.way.nodes, 2);
	assert_string_equal(facts.way.node[1].name, "par1");
	pb_body_scratch_destroy(scratch);
	free(img);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_foreign_body_of_either_byte_order_becomes_chunks),
		cmocka_unit_test(
		    each_node_adds_itself_and_one_hop_record_behind_the_others),
		cmocka_unit_test(by_the_local_door_nothing_is_added),
		cmocka_unit_test(
		    only_the_runs_asked_for_are_kept_each_in_its_own_chunk),
		cmocka_unit_test(
		    a_large_body_fills_several_chunks_none_beyond_its_room),
		cmocka_unit_test(no_memory_for_a_chunk_refuses_the_body),
		cmocka_unit_test(what_is_no_pcapng_is_malformed),
		cmocka_unit_test(
		    a_body_cut_anywhere_but_between_packets_is_refused),
		cmocka_unit_test(a_second_section_or_interface_is_refused),
		cmocka_unit_test(a_packet_without_a_number_is_refused),
		cmocka_unit_test(
		    numbers_that_do_not_ascend_by_one_are_refused),
		cmocka_unit_test(a_body_without_packets_is_refused),
		cmocka_unit_test(a_way_that_is_not_the_urls_stream_is_refused),
		cmocka_unit_test(this_node_on_the_way_already_is_a_loop),
		cmocka_unit_test(a_way_that_is_full_is_refused),
		cmocka_unit_test(
		    hop_records_that_do_not_fit_the_way_are_refused),
		cmocka_unit_test(a_segment_option_that_is_wrong_is_refused),
		cmocka_unit_test(
		    names_secrets_and_unknown_blocks_pass_custom_ones_do_not),
		cmocka_unit_test(a_block_goes_where_the_packet_behind_it_goes),
		cmocka_unit_test(
		    blocks_that_do_not_fit_are_dropped_packets_kept),
		cmocka_unit_test(statistics_stay_fillers_go),
		cmocka_unit_test(
		    statistics_times_of_another_resolution_are_left_out),
		cmocka_unit_test(
		    drop_counts_are_told_and_those_too_many_are_added_up),
		cmocka_unit_test(
		    a_look_tells_the_way_and_the_first_number_only),
	};

	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
