/*
 * tests/unit/import_sent.h - what an importer gives, kept to be looked at
 */
#ifndef PB_TESTS_UNIT_IMPORT_SENT_H
#define PB_TESTS_UNIT_IMPORT_SENT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/import/importer.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/store/head.h"
#include "recorder/store/write/store.h"
#include "tests/unit/ng_image.h"

#define SENT_SECTIONS_MAX	192
#define SENT_STREAMS_MAX	192
#define SENT_LENT_MAX		192

/* What was given, each chunk as a section: its head, then its blocks; and
 * the streams told at their end. */
struct sent {
	struct {
		struct pb_stream_key key;
		uint64_t	 first, last;
		uint64_t	 bytes;
		uint64_t	 first_time, last_time;
		uint64_t	 dropped;
		unsigned	 drops;
		struct pb_buf	 body;
	} section[SENT_SECTIONS_MAX];
	size_t		 sections;
	struct pb_chunk	*lent[SENT_LENT_MAX];	/* all there are */
	size_t		 lents;
	struct {
		struct pb_stream_key key;
		uint64_t	 packets;
	} stream[SENT_STREAMS_MAX];
	size_t		 streams;
	struct pb_import_result result;
	int		 give_rc;	/* what give answers */
};

static inline int
on_take(void *arg, struct pb_chunk **out, struct pb_err *err)
{
	struct sent *sent = arg;

	(void)err;
	assert_true(sent->lents < SENT_LENT_MAX);
	*out = sent->lent[sent->lents++] = pb_chunk_create();
	assert_non_null(*out);
	return 0;
}

static inline int
on_give(void *arg, const struct pb_stream_key *key, struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct sent *sent = arg;
	struct pb_buf body;

	if (sent->give_rc < 0)
		return pb_err_set(err, sent->give_rc, "the store is full");
	assert_true(sent->sections < SENT_SECTIONS_MAX);
	pb_buf_init(&body, PB_HEAD_BYTES_MAX + PB_CHUNK_BYTES);
	assert_int_equal(pb_head_build(chunk->head, PB_PEN_EXAMPLE,
	    chunk->first_seq, &body), 0);
	assert_true(chunk->len <= chunk->cap);
	assert_int_equal(pb_buf_put(&body, chunk->data, chunk->len), 0);
	assert_int_equal(chunk->tally.packets, chunk->last_seq - chunk->first_seq +
	    1);
	sent->section[sent->sections].key = *key;
	sent->section[sent->sections].first = chunk->first_seq;
	sent->section[sent->sections].last = chunk->last_seq;
	sent->section[sent->sections].bytes = chunk->tally.bytes;
	sent->section[sent->sections].first_time = chunk->tally.first_time;
	sent->section[sent->sections].last_time = chunk->tally.last_time;
	sent->section[sent->sections].drops = chunk->drops;
	for (unsigned i = 0; i < chunk->drops; i++)
		sent->section[sent->sections].dropped += chunk->drop[i].count;
	sent->section[sent->sections++].body = body;
	return 0;
}

static inline int
on_stream(void *arg, const struct pb_stream_key *key, uint64_t packets,
    struct pb_err *err)
{
	struct sent *sent = arg;

	(void)err;
	assert_true(sent->streams < SENT_STREAMS_MAX);
	sent->stream[sent->streams].key = *key;
	sent->stream[sent->streams++].packets = packets;
	return 0;
}

static inline struct pb_importer_opts
options(struct sent *sent)
{
	struct pb_importer_opts opts = {
		.node = "lon", .description = "London", .file_name = "a.pcap",
		.pen = PB_PEN_EXAMPLE, .take = on_take, .give = on_give,
		.stream = on_stream, .arg = sent,
	};

	return opts;
}

static inline int
import(const struct image *img, const struct pb_importer_opts *opts,
    struct sent *sent, struct pb_err *err)
{
	struct pb_importer *importer;
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, used;
	int rc;

	assert_int_equal(pb_importer_create(&importer, opts, err), 0);
	assert_int_equal(pb_reader_create(&reader, err), 0);
	while ((rc = pb_reader_next(reader, img->data + at, img->len - at,
	    true, &used, &event, err)) == PB_READ_EVENT) {
		rc = pb_importer_event(importer, &event, err);
		if (rc < 0)
			break;
		at += used;
	}
	if (rc == PB_READ_END)
		rc = pb_importer_end(importer, err);
	pb_importer_result(importer, &sent->result);
	pb_reader_destroy(reader);
	pb_importer_destroy(importer);
	return rc;
}

static inline void
imports(const struct image *img, struct sent *sent)
{
	struct pb_importer_opts opts;
	struct pb_err err = { 0 };

	memset(sent, 0, sizeof(*sent));
	opts = options(sent);
	if (import(img, &opts, sent, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void
forget(struct sent *sent)
{
	for (size_t i = 0; i < sent->sections; i++)
		pb_buf_finish(&sent->section[i].body);
	for (size_t i = 0; i < sent->lents; i++)
		pb_chunk_destroy(sent->lent[i]);
	memset(sent, 0, sizeof(*sent));
}

/* The head of a section, and the block `n` behind it (0: the first). */
static inline struct pb_head *
head_of(const struct pb_buf *body)
{
	struct pb_head *head;
	size_t bytes;

	assert_int_equal(pb_head_parse(&head, body->data, body->len, &bytes,
	    NULL), 0);
	return head;
}

static inline bool
block_of(const struct pb_buf *body, size_t n, struct pb_block *out)
{
	struct pb_head *head;
	size_t at;

	assert_int_equal(pb_head_parse(&head, body->data, body->len, &at,
	    NULL), 0);
	pb_head_unref(head);
	for (;; at += out->len) {
		if (at == body->len)
			return false;
		assert_int_equal(pb_scan_block(body->data + at,
		    body->len - at, out), 1);
		if (n-- == 0)
			return true;
	}
}

static inline struct pb_packet
packet_of(const struct pb_buf *body, size_t n)
{
	struct pb_packet packet;
	struct pb_block block;

	assert_true(block_of(body, n, &block));
	assert_int_equal(block.type, PB_BLOCK_EPB);
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
	return packet;
}

static inline uint32_t
type_of(const struct pb_buf *body, size_t n)
{
	struct pb_block block;

	return block_of(body, n, &block) ? block.type : 0;
}

static inline void
name_option(struct image *img, const char *name)
{
	img_option(img, PB_OPT_IF_NAME, name, strlen(name));
}

static struct image img;	/* too large for a stack */
static struct sent sent;

static inline void
start(bool big)
{
	img.big = big;
	img.len = 0;
}

/* An importer that is fed by hand, at its first section. */
static inline struct pb_importer *
begin(const struct pb_importer_opts *opts, uint32_t interfaces)
{
	struct pb_event event = { .kind = PB_EVENT_SECTION, .offset = 1 };
	struct pb_importer *importer;
	struct pb_err err;

	assert_int_equal(pb_importer_create(&importer, opts, &err), 0);
	assert_int_equal(pb_importer_event(importer, &event, &err), 0);
	event.kind = PB_EVENT_INTERFACE;
	for (; event.interface < interfaces; event.interface++)
		assert_int_equal(pb_importer_event(importer, &event, &err), 0);
	return importer;
}

static inline void
feed(struct pb_importer *importer, const struct pb_event *event)
{
	struct pb_err err;

	if (pb_importer_event(importer, event, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void
ends(struct pb_importer *importer)
{
	struct pb_err err;

	if (pb_importer_end(importer, &err) < 0)
		fail_msg("%s", err.text);
	pb_importer_result(importer, &sent.result);
	pb_importer_destroy(importer);
}

#endif
