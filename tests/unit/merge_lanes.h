/*
 * tests/unit/merge_lanes.h - streams of a merge, from scripted lanes
 */
#ifndef PB_UNIT_MERGE_LANES_H
#define PB_UNIT_MERGE_LANES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/query/merge.h"
#include "pcapng/build.h"
#include "pcapng/option.h"

#define MS	PB_NS_PER_MS
#define LANES_MAX 600
#define BATCH_BYTES (2u << 20)
#define S	PB_NS_PER_S

/* A lane's packets: times, and the sequence number is the place + 1. */
struct script {
	const uint64_t	*time;
	size_t		 count;
	size_t		 at;
	size_t		 together;	/* in a batch; 0: one, mostly */
	uint32_t	 caplen;	/* of each packet */
	bool		 untimed;	/* those of time 0 bear the mark */
	bool		 open, parked;
	unsigned	 opened, parks;
	size_t		 fail_at;	/* 0: never; else the n-th call */
	bool		 floored;	/* it knows the next batch's time */
};

struct scripts {
	struct script	lane[LANES_MAX];
	unsigned	reading, reading_most;
	unsigned	open, open_most;
	bool		backwards;
	const uint64_t	*window_ns;
	uint64_t	late;		/* of the last merge */
};

static uint8_t payload[PB_CAPLEN_MAX];
static struct pb_head head = { .refs = 1 };

static inline void
script_open(struct scripts *s, struct script *l)
{
	l->open = true;
	l->parked = true;
	l->opened++;
	if (++s->open > s->open_most)
		s->open_most = s->open;
}

/* Packet `seq` of the lane, behind those that are in the batch. */
static inline size_t
add_packet(const struct script *l, uint64_t seq, uint8_t *at,
    struct pb_batch *out)
{
	struct pb_cursor_packet cp = { .seq = seq, .head = &head };
	struct pb_packet packet = { .time_ns = l->time[seq - 1],
	    .data = payload, .caplen = l->caplen };
	struct pb_buf options;
	struct pb_block block;
	size_t len;

	pb_buf_init(&options, 64);
	pb_option_put(&options, PB_OPT_EPB_PACKETID, &seq, sizeof(seq));
	if (l->untimed && packet.time_ns == 0)
		pb_untimed_put(&options, PB_PEN_EXAMPLE);
	packet.options = options.data;
	packet.options_len = options.len;
	len = pb_build_epb(at, 0, &packet);
	pb_buf_finish(&options);
	assert_int_equal(pb_scan_block(at, len, &block), 1);
	assert_int_equal(pb_scan_epb(&block, &cp.packet), 0);
	assert_true(pb_batch_add(out, &cp));
	return len;
}

static inline int
script_batch(void *arg, size_t lane, size_t bytes_max, struct pb_batch *out,
    struct pb_err *err)
{
	struct scripts *s = arg;
	struct script *l = &s->lane[lane];
	struct pb_bytes bytes = { malloc(BATCH_BYTES), BATCH_BYTES };
	size_t count = l->together > 0 ? l->together : 1;
	size_t left = l->count - l->at, len = 0;

	if (!l->open)
		script_open(s, l);
	if (l->parked) {
		l->parked = false;
		if (++s->reading > s->reading_most)
			s->reading_most = s->reading;
	}
	if (count > left)
		count = left;
	for (size_t i = 0; i < count && (i == 0 || len < bytes_max); i++)
		len += add_packet(l, s->backwards ? left - count + i + 1 :
		    l->at + i + 1, bytes.data + len, out);
	if (l->fail_at > 0 && l->at + 1 == l->fail_at)
		pb_err_set(err, PB_EDIGEST, "lane %zu is damaged", lane);
	else
		assert_true(pb_batch_keep(out, &bytes));
	free(bytes.data);
	if (l->fail_at > 0 && l->at + 1 == l->fail_at)
		return PB_EDIGEST;
	l->at += out->count;
	if (l->floored)
		out->floor = l->at < l->count ? l->time[l->at] : UINT64_MAX;
	return out->count > 0;
}

static inline void
script_park(void *arg, size_t lane)
{
	struct scripts *s = arg;

	assert_true(s->lane[lane].open);
	assert_false(s->lane[lane].parked);
	s->lane[lane].parked = true;
	s->lane[lane].parks++;
	s->reading--;
}

static inline void
script_close(void *arg, size_t lane)
{
	struct scripts *s = arg;

	assert_true(s->lane[lane].open);
	if (!s->lane[lane].parked)
		s->reading--;
	s->lane[lane].open = false;
	s->open--;
}

static inline struct pb_merge *
merge_of(struct scripts *s, size_t lanes, unsigned reading_max)
{
	struct pb_merge_source source = { .batch = script_batch,
	    .park = script_park, .close = script_close, .arg = s,
	    .backwards = s->backwards, .window_ns = s->window_ns };
	uint64_t first[LANES_MAX] = { 0 };
	struct pb_merge *merge;

	for (size_t i = 0; i < lanes; i++) {
		first[i] = s->lane[i].count > 0 && !s->backwards ?
		    UINT64_MAX : 0;
		for (size_t k = 0; k < s->lane[i].count; k++)
			if (s->backwards == (s->lane[i].time[k] > first[i]))
				first[i] = s->lane[i].time[k];
	}
	assert_int_equal(pb_merge_create(&merge, &source, first, lanes,
	    reading_max, NULL), 0);
	return merge;
}

/* The merge gives exactly `count` packets: lane and number of each. */
static inline void
gives(struct scripts *s, size_t lanes, const unsigned (*want)[2],
    size_t count)
{
	struct pb_merge *merge = merge_of(s, lanes, 0);
	struct pb_cursor_packet cp;
	struct pb_err err;
	size_t lane;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(lane, want[i][0]);
		assert_int_equal(cp.seq, want[i][1]);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 0);
	s->late = pb_merge_late(merge);
	pb_merge_destroy(merge);
	assert_int_equal(s->open, 0);
	assert_int_equal(s->reading, 0);
}

#endif
