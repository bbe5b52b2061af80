/*
 * tests/sim/ship_world.h - a store, a receiver and a clock for the real
 * shipper's state machine
 *
 * Packets are PACKET_BYTES long, extents EXTENT_PACKETS, segments
 * SEGMENT_EXTENTS.  The receiver keeps the rules of the wire protocol:
 * repeats are dropped, a hole is a conflict.  How it behaves beyond that
 * is set per stream.
 */
#ifndef PB_TESTS_SIM_SHIP_WORLD_H
#define PB_TESTS_SIM_SHIP_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "shipper/ship.h"

#define PACKET_BYTES	1000u
#define HEADER_BYTES	100u
#define EXTENT_PACKETS	1000u		/* 1 MB */
#define WORLD_STREAMS	2048u
#define SILENCE_MS	60000u		/* as http.h */

enum manner {
	ACCEPTS,
	REFUSES,		/* with `status` */
	FAILS,			/* with `status`, 0: no connection */
	IS_SILENT,		/* until the shipper gives up on it */
	LIES,			/* 409 with `number`, whatever comes */
	ANSWERS_WITHOUT_NUMBER,	/* `status`, no JSON */
	CLAIMS,			/* 200 with `number` */
};

struct receiver {
	enum manner	manner;
	bool		posts_only;	/* questions are answered well */
	int		status;
	uint64_t	number;
	uint64_t	retry_after_ms;
	uint64_t	body_max;	/* bytes; 0: any; larger: 413 */
	/* What it has. */
	uint64_t	acked;
	uint64_t	gaps;		/* numbers in declared gaps */
	uint64_t	packets;	/* stored */
	uint64_t	repeats;	/* packets dropped as such */
	/* What it saw. */
	unsigned	asks, posts, gap_posts, conflicts;
};

struct world_stream {
	bool		own;
	uint64_t	first;		/* lowest number in the store; 1 */
	uint64_t	end;
	uint64_t	gap_first, gap_last;	/* in the store; 0: none */
	bool		gap_recorded;
	uint32_t	packet_bytes;	/* of this stream */
	bool		broken;		/* look fails */
	unsigned	looks, walks;	/* without a mark that helped */
	struct receiver	at;
};

struct flight {
	bool		used;
	struct pb_action action;
	uint64_t	due_ms;
	unsigned	order;		/* of launch: answers keep it */
};

struct world {
	struct pb_ship	*ship;
	uint64_t	now_ms;
	uint64_t	random;		/* state of the generator */
	uint64_t	latency_ms;
	unsigned	streams;
	struct world_stream stream[WORLD_STREAMS + 1];	/* by id */
	struct flight	flight[PB_SHIP_SLOTS];
	/* Seen on the way. */
	uint64_t	flight_bytes, flight_bytes_max;
	unsigned	flights, flights_max;
	uint64_t	largest_body;
	unsigned	actions, warnings;
	unsigned	crowded;	/* questions and gaps not alone */
	uint64_t	last_action_ms;
	char		last_event[512];
};

static inline uint64_t
world_random(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static inline uint64_t
world_offset(const struct world_stream *s, uint64_t seq)
{
	return HEADER_BYTES + (seq - 1) * s->packet_bytes;
}

/* One segment holds all; extents are runs of EXTENT_PACKETS. */
static inline int
world_look(void *arg, uint32_t id, uint64_t from, const struct pb_mark *mark,
    size_t bytes_max, struct pb_piece *out, struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id];
	uint64_t extent_first, last, fit;

	memset(out, 0, sizeof(*out));
	s->looks++;
	if (s->broken)
		return pb_err_set(err, PB_ESYS, "the disk is gone");
	if (from > s->end)
		return 0;
	if (from < s->first || (s->gap_first != 0 && from >= s->gap_first &&
	    from <= s->gap_last)) {
		out->kind = PB_PIECE_GAP;
		out->first = from;
		out->last = from < s->first ? s->first - 1 : s->gap_last;
		out->reason = PB_GAP_EXPIRED;
		out->recorded = from >= s->first && s->gap_recorded;
		return 0;
	}
	extent_first = (from - 1) / EXTENT_PACKETS * EXTENT_PACKETS + 1;
	last = extent_first + EXTENT_PACKETS - 1;
	if (last <= s->end)
		out->complete = true;
	else
		last = s->end;
	if (s->gap_first > from && last >= s->gap_first)
		last = s->gap_first - 1;
	if (from != extent_first && (mark->seq != from ||
	    mark->offset != world_offset(s, from)))
		s->walks++;
	fit = bytes_max > HEADER_BYTES ?
	    (bytes_max - HEADER_BYTES) / s->packet_bytes : 0;
	if (fit == 0)
		fit = 1;
	if (last - from + 1 > fit) {
		last = from + fit - 1;
		out->complete = true;
	}
	out->kind = PB_PIECE_PACKETS;
	out->first = from;
	out->last = last;
	out->segment_seq = 1;
	out->offset = world_offset(s, from);
	out->bytes = (uint32_t)((last - from + 1) * s->packet_bytes);
	out->header_bytes = HEADER_BYTES;
	return 0;
}

static inline void
world_event(void *arg, enum pb_log_level level, uint32_t stream,
    const char *text)
{
	struct world *w = arg;

	(void)stream;
	if (level >= PB_LOG_WARN)
		w->warnings++;
	strncpy(w->last_event, text, sizeof(w->last_event) - 1);
}

static inline struct world *
world_create(uint64_t window, unsigned streams)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pb_ship_opts opts = { .window = window };
	struct pb_ship_source source = { world_look, world_event, w };

	w->now_ms = 1000;
	w->random = 88172645463325252ull;
	w->latency_ms = 20;
	if (pb_ship_create(&w->ship, &opts, &source, NULL) < 0)
		abort();
	for (unsigned id = 1; id <= streams; id++)
		w->stream[id] = (struct world_stream){ .own = true,
		    .first = 1, .packet_bytes = PACKET_BYTES };
	w->streams = streams;
	return w;
}

static inline void
world_destroy(struct world *w)
{
	pb_ship_destroy(w->ship);
	free(w);
}

/* The stream is durable up to `end` now. */
static inline void
world_grow(struct world *w, uint32_t id, uint64_t end)
{
	w->stream[id].end = end;
	if (pb_ship_stream(w->ship, id, w->stream[id].own, end, NULL) < 0)
		abort();
}

static inline uint64_t
world_body(const struct pb_action *a)
{
	return a->kind == PB_ACTION_PACKETS ?
	    (uint64_t)a->piece.bytes + a->piece.header_bytes : 0;
}

/* What the receiver makes of a request that keeps the rules. */
static inline void
world_receive(struct receiver *r, const struct pb_action *a,
    struct pb_answer *answer)
{
	uint64_t first = a->piece.first, last = a->piece.last;

	answer->status = 200;
	answer->has_acked = true;
	if (a->kind == PB_ACTION_ASK) {
		answer->acked = r->acked;
		return;
	}
	if (r->body_max > 0 && world_body(a) > r->body_max) {
		answer->status = 413;
		answer->has_acked = false;
		strcpy(answer->text, "too large");
		return;
	}
	if (first > r->acked + 1) {
		answer->status = 409;
		answer->acked = r->acked;
		r->conflicts++;
		return;
	}
	if (last > r->acked) {
		if (a->kind == PB_ACTION_GAP)
			r->gaps += last - r->acked;
		else {
			r->packets += last - r->acked;
			r->repeats += r->acked + 1 - first;
		}
		r->acked = last;
	} else if (a->kind == PB_ACTION_PACKETS) {
		r->repeats += last - first + 1;
	}
	answer->acked = r->acked;
}

static inline void
world_answer(struct world *w, struct flight *f)
{
	struct receiver *r = &w->stream[f->action.stream].at;
	struct pb_answer answer = { .status = r->status };
	enum manner manner = r->manner;

	if (r->posts_only && f->action.kind == PB_ACTION_ASK)
		manner = ACCEPTS;
	if (f->action.kind == PB_ACTION_ASK)
		r->asks++;
	else if (f->action.kind == PB_ACTION_GAP)
		r->gap_posts++;
	else
		r->posts++;
	switch (manner) {
	case ACCEPTS:
		world_receive(r, &f->action, &answer);
		break;
	case REFUSES:
		strcpy(answer.text, "not allowed");
		break;
	case FAILS:
		answer.retry_after_ms = r->retry_after_ms;
		strcpy(answer.text, "connection refused");
		break;
	case IS_SILENT:
		answer.status = 0;
		strcpy(answer.text, "silent for 60 s");
		break;
	case LIES:
		answer.status = 409;
		answer.has_acked = true;
		answer.acked = r->number;
		break;
	case ANSWERS_WITHOUT_NUMBER:
		strcpy(answer.text, "<html>hello</html>");
		break;
	case CLAIMS:
		answer.status = 200;
		answer.has_acked = true;
		answer.acked = r->number;
		break;
	}
	f->used = false;
	w->flights--;
	w->flight_bytes -= world_body(&f->action);
	pb_ship_answer(w->ship, f->action.request, &answer, w->now_ms,
	    world_random(w));
}

static inline void
world_launch(struct world *w, const struct pb_action *a)
{
	struct flight *f = &w->flight[a->request];
	const struct receiver *r = &w->stream[a->stream].at;
	bool silent = r->manner == IS_SILENT &&
	    !(r->posts_only && a->kind == PB_ACTION_ASK);

	if (a->request >= PB_SHIP_SLOTS || f->used)
		abort();
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (w->flight[i].used && w->flight[i].action.stream ==
		    a->stream && (a->kind != PB_ACTION_PACKETS ||
		    w->flight[i].action.kind == PB_ACTION_ASK))
			w->crowded++;
	*f = (struct flight){ .used = true, .action = *a };
	f->due_ms = w->now_ms + (silent ? SILENCE_MS : w->latency_ms);
	f->order = w->actions++;
	w->last_action_ms = w->now_ms;
	w->flights++;
	w->flight_bytes += world_body(a);
	if (w->flights > w->flights_max)
		w->flights_max = w->flights;
	if (w->flight_bytes > w->flight_bytes_max)
		w->flight_bytes_max = w->flight_bytes;
	if (world_body(a) > w->largest_body)
		w->largest_body = world_body(a);
}

/* Let the machine act until it has nothing to do at this moment. */
static inline void
world_act(struct world *w)
{
	struct pb_action action;

	while (pb_ship_next(w->ship, w->now_ms, world_random(w), &action))
		world_launch(w, &action);
}

static inline bool
world_before(const struct flight *a, const struct flight *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms :
	    a->order < b->order;
}

/* Let `ms` pass. */
static inline void
world_run(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms, next;

	for (;;) {
		struct flight *due = NULL;

		world_act(w);
		next = pb_ship_wake_ms(w->ship);
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (w->flight[i].used && (due == NULL ||
			    world_before(&w->flight[i], due)))
				due = &w->flight[i];
		if (due != NULL && due->due_ms <= next)
			next = due->due_ms;
		else
			due = NULL;
		if (next > end)
			break;
		/* A machine that wants to be woken at once, and then does
		 * nothing, would spin. */
		if (next <= w->now_ms && due == NULL)
			abort();
		w->now_ms = next;
		if (due != NULL)
			world_answer(w, due);
	}
	w->now_ms = end;
	world_act(w);
}

static inline struct pb_ship_status
world_status(const struct world *w)
{
	struct pb_ship_status status;

	pb_ship_status(w->ship, &status);
	return status;
}

#endif
