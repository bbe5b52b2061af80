/*
 * tests/sim/ship_world.h - a store, a receiver and a clock for the real
 * shipper's state machine
 *
 * Packets are PACKET_BYTES long, extents EXTENT_PACKETS.  The receiver
 * keeps the rules of the wire protocol: repeats are dropped, a hole is a
 * conflict, packets that lie in a gap fill it.  How it behaves beyond that
 * is set per stream.  Letters are kept number by number.
 */
#ifndef PB_TESTS_SIM_SHIP_WORLD_H
#define PB_TESTS_SIM_SHIP_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/ship/ship.h"
#include "shipper/sink/sink_http.h"

#define PACKET_BYTES	1000u
#define HEADER_BYTES	100u
#define EXTENT_PACKETS	1000u		/* 1 MB */
#define SEGMENT_PACKETS	3000u
#define WORLD_STREAMS	2048u
#define SILENCE_MS	60000u		/* as http.h */
#define DEMOTE_MAX	64000u		/* numbers of one call */
#define LATE_LOOK_MAX	777u
#define WRITINGS	256u

enum letter { NO_LETTER, DEAD, REQUEUED, LATE, GONE };

enum manner {
	ACCEPTS,
	REFUSES,		/* with `status` */
	FAILS,			/* with `status`, 0: no connection */
	IS_SILENT,		/* until the shipper gives up on it */
	LIES,			/* 409 with `number`, whatever comes */
	ANSWERS_WITHOUT_NUMBER,	/* `status`, no JSON: another answers */
	CLAIMS,			/* 200 with `number` */
	LOSES_ANSWERS,		/* accepts, and is not heard */
};

struct receiver {
	enum manner	manner;
	bool		posts_only;	/* questions are answered well */
	int		status;
	uint64_t	number;
	uint64_t	retry_after_ms;
	uint64_t	body_max;	/* bytes; 0: any; larger: 413 */
	bool		by_proxy;	/* which another one says */
	bool		tells;		/* which packet is its last */
	int		at_status;	/* and fails so, up to a number */
	/* Packets it takes for malformed, `bad_times` (0: always). */
	uint64_t	bad_first, bad_last;
	int		bad_status;
	unsigned	bad_times;
	/* What it has. */
	uint64_t	acked;
	uint64_t	gaps;		/* numbers in declared gaps */
	uint64_t	packets;	/* stored */
	uint64_t	repeats;	/* packets dropped as such */
	/* What it saw. */
	unsigned	asks, posts, gap_posts, conflicts;
	unsigned	late_posts, filled;
	/* Posts of packets in a row that were all late, or all not. */
	bool		row_late;
	unsigned	row, row_max;
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
	uint64_t	look_due_ms;	/* something is looked for; 0: no */
	bool		look_known;
	bool		looks_nowhere;	/* all is known of it at once */
	unsigned	demotes, lates;
	/* From fork_last + 1 on it goes as the stream `fork`, if not 0. */
	uint32_t	fork;
	uint64_t	fork_last, base;
	unsigned	belows;
	struct pb_ship_dead dead;	/* the last one */
	char		dead_text[PB_SHIP_TEXT_MAX];
	unsigned char	snaplen;	/* it is sent with; 0: whole */
	unsigned	rank;
	struct pb_ship_cursor memory;	/* as last reported */
	struct receiver	at;
	/* By number; see world_number(). */
	struct number {
		unsigned char	letter;	/* enum letter */
		unsigned char	reason;	/* it is dead for */
		unsigned char	got;	/* how often the receiver stored it */
		unsigned char	ours, theirs;	/* which packet it is */
		unsigned char	captured;	/* bytes there; 0: all */
		bool		told;	/* an open gap there */
	}		*number;
	uint64_t	numbers;
};

/* What is being written down. */
struct writing {
	enum writing_kind { NOTHING, DEMOTES, SENDS, REFUSED } kind;
	uint32_t	id;
	struct pb_ship_dead dead;
	char		text[PB_SHIP_TEXT_MAX];
	/* DEMOTES: done when it was given, told when it is due. */
	uint64_t	done;
	int		rc;
	struct pb_err	err;
	uint64_t	due_ms;
};

struct flight {
	bool		used;
	struct pb_action action;
	uint64_t	start_ms, due_ms;
	unsigned	order;		/* of launch: answers keep it */
};

struct world {
	struct pb_ship	*ship;
	struct pb_sink	*sink;		/* NULL: a receiver */
	uint64_t	now_ms;
	uint64_t	random;		/* state of the generator */
	uint64_t	latency_ms;
	uint64_t	link_bps;	/* bits/s up the link; 0: any */
	uint64_t	link_free_ms;
	struct pb_ship_opts opts;
	unsigned	streams;
	struct world_stream stream[WORLD_STREAMS + 1];	/* by id */
	struct flight	flight[PB_SHIP_SLOTS];
	struct writing	writing[WRITINGS];
	/* Seen on the way. */
	uint64_t	flight_bytes, flight_bytes_max;
	unsigned	flights, flights_max;
	uint64_t	largest_body;
	unsigned	actions, warnings, events;
	bool		cannot_demote, cannot_fork;
	uint64_t	look_ms;	/* until something is known; 0: none */
	bool		no_places;	/* nothing is looked for, nor told */
	bool		begins;		/* what is to be sent is written down */
	uint64_t	keep_ms;	/* until it is written; 0: look_ms */
	unsigned	writings, writings_max;
	unsigned	demotes;
	uint64_t	demote_max;	/* numbers done by one call */
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

static inline uint64_t
world_end(const struct world_stream *s)
{
	return s->fork != 0 && s->fork_last < s->end ? s->fork_last : s->end;
}

#include "tests/sim/ship_letters.h"
#include "tests/sim/ship_branches.h"

/* --- what is not known at once ------------------------------------------ */

static inline bool
world_knows(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];

	if (w->look_ms == 0 || s->look_known) {
		s->look_known = false;
		return true;
	}
	if (s->look_due_ms == 0 && !w->no_places)
		s->look_due_ms = w->now_ms + w->look_ms;
	return false;
}

static inline int
world_look_soon(void *arg, uint32_t id, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, bool begin,
    struct pb_piece *out, struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id];

	if (mark == NULL || s->looks_nowhere ||
	    ((s->look_known || w->look_ms == 0 || begin) &&
	    world_knows(arg, id)))
		return world_look(arg, id, from, mark, bytes_max, out, err);
	*out = (struct pb_piece){ .kind = PB_PIECE_SOON };
	return 0;
}

static inline int
world_late_soon(void *arg, uint32_t id, uint64_t acked, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	if (world_knows(arg, id))
		return world_late(arg, id, acked, from, mark, bytes_max, out,
		    err);
	*out = (struct pb_piece){ .kind = PB_PIECE_SOON };
	return 0;
}

static inline int
world_below_soon(void *arg, uint32_t id, uint64_t at, uint32_t captured,
    struct pb_fingerprint *out, struct pb_err *err)
{
	return world_knows(arg, id) ?
	    world_below(arg, id, at, captured, out, err) : PB_SHIP_SOON;
}

static inline struct writing *
world_write(struct world *w, enum writing_kind kind, uint32_t id,
    const struct pb_ship_dead *dead)
{
	for (unsigned i = 0; w->look_ms > 0 && i < WRITINGS; i++) {
		struct writing *at = &w->writing[i];

		if (at->kind != NOTHING)
			continue;
		*at = (struct writing){ .kind = kind, .id = id,
		    .dead = *dead, .due_ms = w->now_ms +
		    (w->keep_ms != 0 ? w->keep_ms : w->look_ms) };
		if (++w->writings > w->writings_max)
			w->writings_max = w->writings;
		snprintf(at->text, sizeof(at->text), "%s",
		    dead->text != NULL ? dead->text : "");
		at->dead.text = at->text;
		return at;
	}
	return NULL;
}

static inline int
world_demote_soon(void *arg, uint32_t id, const struct pb_ship_dead *dead,
    uint64_t *done, struct pb_err *err)
{
	struct writing *at = world_write(arg, DEMOTES, id, dead);

	if (at == NULL)
		return world_demote(arg, id, dead, done, err);
	at->rc = world_demote(arg, id, &at->dead, &at->done, &at->err);
	return PB_SHIP_SOON;
}

static inline bool
world_sent_soon(void *arg, uint32_t id, uint64_t first, uint64_t last)
{
	struct pb_ship_dead dead = { .first = first, .last = last };
	bool later = world_write(arg, SENDS, id, &dead) != NULL;

	if (!later)
		world_sent_now(arg, id, first, last);
	return later;
}

static inline bool
world_refuse_soon(void *arg, uint32_t id, const struct pb_ship_dead *dead)
{
	bool later = world_write(arg, REFUSED, id, dead) != NULL;

	if (!later)
		world_refuse_now(arg, id, dead);
	return later;
}

static inline void
world_written(struct world *w, struct writing *at)
{
	switch (at->kind) {
	case NOTHING:
		return;
	case DEMOTES:
		pb_ship_demoted(w->ship, at->done,
		    at->rc < 0 ? at->err.text : NULL, w->now_ms);
		break;
	case SENDS:
		world_sent_now(w, at->id, at->dead.first, at->dead.last);
		pb_ship_kept(w->ship, at->id);
		break;
	case REFUSED:
		world_refuse_now(w, at->id, &at->dead);
		pb_ship_kept(w->ship, at->id);
		break;
	}
	at->kind = NOTHING;
	w->writings--;
}

/* Those whose time has come; when the next one's does. */
static inline uint64_t
world_find(struct world *w)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < WRITINGS; i++) {
		struct writing *at = &w->writing[i];

		if (at->kind != NOTHING && at->due_ms <= w->now_ms)
			world_written(w, at);
		if (at->kind != NOTHING && at->due_ms < next)
			next = at->due_ms;
	}
	for (uint32_t id = 1; id <= w->streams; id++) {
		struct world_stream *s = &w->stream[id];

		if (s->look_due_ms != 0 && s->look_due_ms <= w->now_ms) {
			s->look_due_ms = 0;
			s->look_known = true;
			pb_ship_looked(w->ship, id, w->now_ms,
			    world_random(w));
		}
		if (s->look_due_ms != 0 && s->look_due_ms < next)
			next = s->look_due_ms;
	}
	return next;
}

static inline void
world_event(void *arg, enum pb_log_level level, uint32_t stream,
    const char *text)
{
	struct world *w = arg;

	(void)stream;
	w->events++;
	if (level >= PB_LOG_WARN)
		w->warnings++;
	strncpy(w->last_event, text, sizeof(w->last_event) - 1);
}

static inline unsigned
world_rank(void *arg, uint32_t id)
{
	/* A test of the bound has more of them than the world. */
	return id > WORLD_STREAMS ? 0 : ((struct world *)arg)->stream[id].rank;
}

static inline uint64_t
world_bytes(void *arg, uint32_t id, uint64_t first, uint64_t last)
{
	return (last - first + 1) *
	    ((struct world *)arg)->stream[id].packet_bytes;
}

static inline void
world_start(struct world *w)
{
	struct pb_ship_source source = { .look = world_look_soon,
	    .late = world_late_soon, .demote = world_demote_soon,
	    .sent = world_sent_soon, .refuse = world_refuse_soon,
	    .below = world_below_soon,
	    .fork = world_fork, .stay = world_stay, .rank = world_rank,
	    .bytes = world_bytes,
	    .event = world_event, .arg = w };

	if (pb_ship_create(&w->ship, &w->opts, &source, NULL) < 0)
		abort();
}

/* With a bound on waiting; 0: none. */
static inline struct world *
world_create_for(uint64_t window, unsigned streams, uint64_t retry_for_ms)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->opts = (struct pb_ship_opts){ .window = window,
	    .retry_for_ms = retry_for_ms };
	w->now_ms = 1000;
	w->random = 88172645463325252ull;
	w->latency_ms = 20;
	w->demote_max = DEMOTE_MAX;
	world_start(w);
	for (unsigned id = 1; id <= streams; id++)
		w->stream[id] = (struct world_stream){ .own = true,
		    .first = 1, .packet_bytes = PACKET_BYTES };
	w->streams = streams;
	return w;
}

static inline struct world *
world_create(uint64_t window, unsigned streams)
{
	return world_create_for(window, streams, 0);
}

static inline void
world_destroy(struct world *w)
{
	pb_ship_destroy(w->ship);
	for (unsigned id = 0; id <= WORLD_STREAMS; id++)
		free(w->stream[id].number);
	free(w);
}

/* The shipper writes down what has changed. */
static inline void
world_report(struct world *w)
{
	struct pb_ship_cursor c;
	unsigned at = 0;

	while (pb_ship_changed(w->ship, &at, &c))
		w->stream[c.stream].memory = c;
}

/* It is killed, and starts again with what it had written down; its
 * requests end where they are, or arrive without it. */
static inline void
world_restart(struct world *w)
{
	pb_ship_destroy(w->ship);
	memset(w->flight, 0, sizeof(w->flight));
	memset(w->writing, 0, sizeof(w->writing));
	w->writings = 0;
	w->flights = 0;
	w->flight_bytes = 0;
	world_start(w);
	for (uint32_t id = 1; id <= w->streams; id++) {
		struct world_stream *s = &w->stream[id];

		s->look_due_ms = 0;
		s->look_known = false;
		if (pb_ship_stream(w->ship, id, s->own, world_end(s), NULL) < 0)
			abort();
		pb_ship_part(w->ship, id, s->base, s->fork != 0);
		pb_ship_remember(w->ship, id, &s->memory);
	}
}

/* The stream is durable up to `end` now. */
static inline void
world_grow(struct world *w, uint32_t id, uint64_t end)
{
	struct world_stream *s = &w->stream[id];

	s->end = end;
	if (pb_ship_stream(w->ship, id, s->own, world_end(s), NULL) < 0)
		abort();
	if (s->fork != 0)
		world_grow(w, s->fork, end);
}

static inline uint64_t
world_body(const struct pb_action *a)
{
	return a->kind == PB_ACTION_PACKETS ?
	    (uint64_t)a->piece.bytes + a->piece.header_bytes : 0;
}

/* It stores a packet, or drops it as a repeat. */
static inline void
world_store(struct world_stream *s, uint64_t seq)
{
	struct number *n = world_number(s, seq);
	struct receiver *r = &s->at;

	if (seq > r->acked) {
		r->acked = seq;
	} else if (n->told) {
		r->gaps--;
		r->filled++;
	} else {
		r->repeats++;
		return;
	}
	n->told = false;
	n->theirs = n->ours;
	n->captured = s->snaplen;
	n->got++;
	r->packets++;
}

static inline bool
world_refuses(struct receiver *r, const struct pb_action *a,
    struct pb_answer *answer)
{
	bool bad = a->kind == PB_ACTION_PACKETS && r->bad_status != 0 &&
	    a->piece.first <= r->bad_last && a->piece.last >= r->bad_first;

	if (bad) {
		answer->status = r->bad_status;
		strcpy(answer->text, "no such packet");
		if (r->bad_times > 0 && --r->bad_times == 0)
			r->bad_status = 0;
	} else if (r->body_max > 0 && world_body(a) > r->body_max) {
		answer->status = 413;
		answer->ours = !r->by_proxy;
		strcpy(answer->text, "too large");
	}
	return answer->status != 200;
}

/* What the receiver makes of a request that keeps the rules. */
static inline void
world_receive(struct world_stream *s, const struct pb_action *a,
    struct pb_answer *answer)
{
	struct receiver *r = &s->at;
	uint64_t first = a->piece.first, last = a->piece.last;

	answer->status = 200;
	if (a->kind != PB_ACTION_ASK && world_refuses(r, a, answer))
		return;
	answer->outcome = PB_OUTCOME_HAS;
	if (a->kind == PB_ACTION_PACKETS && first <= r->acked + 1)
		for (uint64_t seq = first; seq <= last; seq++)
			world_store(s, seq);
	if (a->kind == PB_ACTION_GAP && first <= r->acked + 1)
		for (; r->acked < last; r->gaps++)
			world_number(s, ++r->acked)->told = true;
	if (a->kind != PB_ACTION_ASK && first > r->acked + 1) {
		answer->status = 409;
		r->conflicts++;
	}
	answer->acked = r->acked;
	if (a->kind == PB_ACTION_ASK && a->at != 0 && r->at_status != 0) {
		answer->status = r->at_status;
		answer->outcome = PB_OUTCOME_FAILED;
		strcpy(answer->text, "cannot be read now");
		return;
	}
	if (a->kind == PB_ACTION_ASK && r->tells)
		answer->last = world_theirs(s, a->at);
}

static inline void
world_answer(struct world *w, struct flight *f)
{
	struct world_stream *s = &w->stream[f->action.stream];
	struct receiver *r = &s->at;
	struct pb_answer answer = { .outcome = PB_OUTCOME_FAILED,
	    .status = r->status, .ours = true };
	enum manner manner = r->manner;

	f->used = false;
	w->flights--;
	w->flight_bytes -= world_body(&f->action);
	if (w->sink != NULL) {
		struct pb_sink_request request = { .action = f->action };

		if (w->sink->kind->start(w->sink, &request, NULL) < 0)
			abort();
		return;
	}
	if (r->posts_only && f->action.kind == PB_ACTION_ASK)
		manner = ACCEPTS;
	if (f->action.kind == PB_ACTION_ASK)
		r->asks++;
	else if (f->action.kind == PB_ACTION_GAP)
		r->gap_posts++;
	else
		r->posts++;
	if (f->action.late)
		r->late_posts++;
	switch (manner) {
	case ACCEPTS:
		world_receive(s, &f->action, &answer);
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
		answer.outcome = PB_OUTCOME_HAS;
		answer.acked = r->number;
		break;
	case ANSWERS_WITHOUT_NUMBER:
		answer.ours = false;
		strcpy(answer.text, "<html>hello</html>");
		break;
	case LOSES_ANSWERS:
		world_receive(s, &f->action, &answer);
		answer = (struct pb_answer){ .outcome = PB_OUTCOME_FAILED };
		strcpy(answer.text, "connection reset");
		break;
	case CLAIMS:
		answer.status = 200;
		answer.outcome = PB_OUTCOME_HAS;
		answer.acked = r->number;
		break;
	}
	pb_sink_http_meaning(&answer, f->action.kind);
	if (f->action.kind == PB_ACTION_PACKETS)
		answer.sent = world_cut(world_print(f->action.piece.last,
		    world_number(s, f->action.piece.last)->ours), s->snaplen);
	pb_ship_answer(w->ship, f->action.request, &answer, w->now_ms,
	    world_random(w));
}

/* A sink has ended a request. */
static inline void
world_done(void *arg, unsigned request, struct pb_answer *answer)
{
	struct world *w = arg;

	pb_ship_answer(w->ship, request, answer, w->now_ms, world_random(w));
}

static inline void
world_launch(struct world *w, const struct pb_action *a)
{
	struct flight *f = &w->flight[a->request];
	struct receiver *r = &w->stream[a->stream].at;
	bool silent = r->manner == IS_SILENT &&
	    !(r->posts_only && a->kind == PB_ACTION_ASK);

	if (a->request >= PB_SHIP_SLOTS || f->used)
		abort();
	if (w->begins && a->kind == PB_ACTION_PACKETS) {
		pb_ship_begins(w->ship, a->request);
		pb_ship_cursor(w->ship, a->stream,
		    &w->stream[a->stream].memory);
	}
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (w->flight[i].used && w->flight[i].action.stream ==
		    a->stream && (a->kind != PB_ACTION_PACKETS ||
		    w->flight[i].action.kind == PB_ACTION_ASK))
			w->crowded++;
	*f = (struct flight){ .used = true, .action = *a,
	    .start_ms = w->now_ms };
	f->due_ms = w->now_ms + (silent ? SILENCE_MS : w->latency_ms);
	if (w->link_bps > 0 && !silent) {
		if (w->link_free_ms < w->now_ms)
			w->link_free_ms = w->now_ms;
		w->link_free_ms += world_body(a) * 8000 / w->link_bps;
		f->due_ms = w->link_free_ms + w->latency_ms;
	}
	f->order = w->actions++;
	if (a->kind == PB_ACTION_PACKETS) {
		r->row = a->late == r->row_late ? r->row + 1 : 1;
		r->row_late = a->late;
		if (r->row > r->row_max)
			r->row_max = r->row;
	}
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
	uint64_t end = w->now_ms + ms, next, found;

	for (;;) {
		struct flight *due = NULL;

		found = world_find(w);
		world_act(w);
		if (w->look_ms != 0)
			found = world_find(w);
		next = pb_ship_wake_ms(w->ship);
		if (found < next)
			next = found;
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
		if (w->now_ms < next)
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

/* Let acks of stream `id` show how fast the way is, whatever it was. */
static inline void
world_warm(struct world *w, uint32_t id)
{
	uint64_t latency_ms = w->latency_ms;

	w->latency_ms = 1;
	world_grow(w, id, w->stream[id].end + 100000);
	world_run(w, 10000);
	w->latency_ms = latency_ms;
	w->flights_max = 0;
	w->flight_bytes_max = 0;
}

#endif
