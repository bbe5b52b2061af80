/*
 * tests/unit/reader_run.h - read an image to its end and keep what came
 *
 * Included once by each test of the reader; the cmocka headers before it.
 */
#ifndef PB_TESTS_READER_RUN_H
#define PB_TESTS_READER_RUN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcapng/option.h"
#include "pcapng/reader.h"
#include "tests/unit/ng_image.h"

#define EVENTS_KEPT	64
#define EXACT_MAX	8192	/* windows up to this stand alone in memory */
#define WHOLE		SIZE_MAX

/* What came of reading an input to its end. */
struct outcome {
	int		 rc;		/* the last */
	struct pb_err	 err;
	uint64_t	 digest;	/* of all events */
	size_t		 packets;
	size_t		 events;
	struct pb_event	 event[EVENTS_KEPT];	/* the first; data is gone */
	uint64_t	 payload[EVENTS_KEPT];	/* digest of the data */
	uint8_t		 options[EVENTS_KEPT][128];	/* the first bytes */
};

static struct image img;
static struct outcome got;

static inline int
start(void **state)
{
	(void)state;
	memset(&img, 0, sizeof(img));
	memset(&got, 0, sizeof(got));
	return 0;
}

static inline uint64_t
fnv(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001B3;
	return hash;
}

static inline uint64_t
fnv_u64(uint64_t hash, uint64_t value)
{
	return fnv(hash, &value, sizeof(value));
}

static inline void
note(struct outcome *out, const struct pb_event *event)
{
	const struct pb_packet *packet = &event->packet;
	uint64_t hash = out->digest, payload;

	payload = fnv(0, packet->data, packet->caplen);
	hash = fnv_u64(hash, (uint64_t)event->kind << 32 | event->section);
	hash = fnv_u64(hash, event->offset);
	hash = fnv_u64(hash, (uint64_t)event->interface << 1 |
	    event->has_time);
	hash = fnv_u64(hash, packet->time_ns);
	hash = fnv_u64(hash, (uint64_t)packet->caplen << 32 |
	    packet->origlen);
	hash = fnv_u64(hash, payload);
	hash = fnv(hash, packet->options, packet->options_len);
	hash = fnv_u64(hash, (uint64_t)event->linktype << 32 |
	    event->snaplen);
	hash = fnv_u64(hash, event->block_type);
	hash = fnv(hash, event->block, event->block_len);
	out->digest = hash;
	out->packets += event->kind == PB_EVENT_PACKET;
	if (out->events < EVENTS_KEPT) {
		size_t n = packet->options_len < 128 ? packet->options_len :
		    128;

		out->event[out->events] = *event;
		out->payload[out->events] = payload;
		if (n > 0)
			memcpy(out->options[out->events], packet->options, n);
	}
	out->events++;
}

/* One call, its window alone in memory where it is small: a checker then
 * sees a byte read behind it. */
static inline int
call(struct pb_reader *reader, const uint8_t *at, size_t len, bool eof,
    size_t *used, struct outcome *out)
{
	struct pb_event event;
	uint8_t *copy = NULL;
	int rc;

	if (len <= EXACT_MAX) {
		copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, at, len);
		at = copy;
	}
	rc = pb_reader_next(reader, at, len, eof, used, &event, &out->err);
	assert_true(*used <= len);
	if (rc == PB_READ_EVENT)
		note(out, &event);
	free(copy);
	return rc;
}

/* Read `len` bytes, handed over in pieces of `piece`. */
static inline void
run(const uint8_t *data, size_t len, size_t piece, struct outcome *out)
{
	struct pb_reader *reader;
	size_t at = 0, have = piece < len ? piece : len, used;

	memset(out, 0, sizeof(*out));
	assert_int_equal(pb_reader_create(&reader, &out->err), 0);
	for (;;) {
		bool eof = have == len;

		out->rc = call(reader, data + at, have - at, eof, &used, out);
		at += used;
		if (out->rc == PB_READ_MORE) {
			assert_false(eof);
			assert_true(pb_reader_need(reader) > have - at);
			assert_true(pb_reader_need(reader) <=
			    PB_BLOCK_BYTES_MAX);
			have = len - have < piece ? len : have + piece;
		} else if (out->rc != PB_READ_EVENT) {
			break;
		}
	}
	if (out->rc < 0) {	/* the reader stays at its error */
		struct pb_err first = out->err;

		assert_int_equal(call(reader, data + at, have - at, true,
		    &used, out), first.code);
		assert_int_equal(used, 0);
		assert_string_equal(out->err.text, first.text);
		assert_int_equal(strncmp(first.text, "offset ", 7), 0);
	}
	pb_reader_destroy(reader);
}

static inline void
run_image(void)
{
	run(img.data, img.len, WHOLE, &got);
}

static inline void
expect_end(size_t events)
{
	run_image();
	if (got.rc != PB_READ_END)
		print_error("%s\n", got.err.text);
	assert_int_equal(got.rc, PB_READ_END);
	assert_int_equal(got.events, events);
}

/* The image is refused with this code, at this offset, for this reason. */
static inline void
expect_error(int code, uint64_t offset, const char *says)
{
	char prefix[40];

	run_image();
	assert_int_equal(got.rc, code);
	snprintf(prefix, sizeof(prefix), "offset %llu: ",
	    (unsigned long long)offset);
	if (strncmp(got.err.text, prefix, strlen(prefix)) != 0 ||
	    strstr(got.err.text, says) == NULL)
		fail_msg("%s, not %s... %s", got.err.text, prefix, says);
}

/* Event `n`'s option `code`, and its value's bytes. */
static inline void
expect_option(size_t n, uint16_t code, const void *value, size_t len)
{
	struct pb_option option;

	assert_true(pb_option_find(got.options[n],
	    got.event[n].packet.options_len, code, &option));
	assert_int_equal(option.len, len);
	assert_memory_equal(option.value, value, len);
}

static inline void
expect_payload(size_t n, const char *data)
{
	assert_int_equal(got.event[n].packet.caplen, strlen(data));
	assert_int_equal(got.payload[n], fnv(0, data, strlen(data)));
}

/* Start a section with one interface of nanoseconds, in one order. */
static inline void
begin(bool big)
{
	start(NULL);
	img.big = big;
	img_shb(&img);
	img_idb_clock(&img, 9, 0);
}

#endif
