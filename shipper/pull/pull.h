/*
 * shipper/pull/pull.h - one edge and its streams, as a pure state machine
 *
 * A node that is dialled says which streams it has, and how far; what the
 * store of this one lacks of them is fetched, handed to the recorder here, and
 * acknowledged once that has it durable.  No I/O: the clock and random numbers
 * are arguments, what to do next is returned as an action, what came of it is
 * told back.  The loop drives it with HTTP (edge.h), tests with a script.
 *
 *	edge:    CONNECTING -> IDLE <-> READY, and BACKOFF or REFUSED where
 *	         its list of streams cannot be had
 *	stream:  UNSURE -> HERE -> THERE -> (PIECE) -> SURE
 *	                            |
 *	                            v  it is not: pull_fork.c
 *	           SEEK <-> SEEN -> PAST -> MINE -> KEEP -> UNSURE
 *
 *   UNSURE  what is under way ends
 *   HERE    our recorder is asked how far it is, and for its last packet
 *   THERE   the edge is asked for that packet: is it the same?
 *   PIECE   likewise for the last one of what came over a new connection
 *   SURE    packets are fetched, as many requests at a time as the edge says
 *           there is something for, while those before are being written
 *
 * Promise: nothing is handed over behind packets that are not the edge's own;
 *          other ones under numbers that are here go under another epoch.
 *          After each connection that is new, and each failure, it is asked
 *          again; what came meanwhile is kept and waits for the answer.
 *          (Who does as if it were the same edge is another one, perhaps:
 *          libcurl makes a connection anew without a word.)
 * Limit:   PB_PULL_STREAMS_MAX streams; PB_PULL_FLIGHTS_MAX requests to the
 *          edge beside the list; bytes by how fast they come, by `window` and
 *          by a budget that all edges share.
 */
#ifndef PB_SHIPPER_PULL_H
#define PB_SHIPPER_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/layout.h"
#include "shipper/ship/forks.h"
#include "shipper/ship/ship.h"

#define PB_PULL_STREAMS_MAX	4096u	/* of an edge */
#define PB_PULL_FLIGHTS_MAX	16u	/* to it, beside the list */
#define PB_PULL_HANDS_MAX	PB_REQUESTS_MAX	/* of it, to our recorder */
/* An answer's section, at least, at first and at most. */
#define PB_PULL_BYTES_MIN	(64u << 10)
#define PB_PULL_BYTES_FIRST	(64u << 10)
#define PB_PULL_BYTES_MAX	(2u << 20)	/* all of an extent */
#define PB_PULL_AHEAD_MAX	8u	/* of a stream under way */
#define PB_PULL_NEXT_MAX	8u	/* of them known before they come */
#define PB_PULL_SLACK		(64u << 10)	/* an answer may have more */
#define PB_PULL_CURSOR_MAX	256u	/* bytes of one, and its NUL */
#define PB_PULL_LATE_MAX	64u	/* late runs of a row */
#define PB_PULL_LATES_MAX	65536u	/* of an edge */

enum pb_pull_kind {
	PB_PULL_LIST = 1,	/* ask the edge for its streams, `cursor` */
	PB_PULL_HERE,		/* ask our recorder for its last packet, or
				 * the last up to `number` */
	PB_PULL_THERE,		/* ask the edge for the last up to `number` */
	PB_PULL_FETCH,		/* ask it for packets behind `number` */
	PB_PULL_HAND,		/* `piece` to our recorder */
	PB_PULL_ACK,		/* `number` is durable here */
	PB_PULL_FORK,		/* keep `forks` */
};

/* Numbers that came as one: packets, or a gap. */
struct pb_pull_piece {
	uint64_t	first, last;	/* first 0: from what was asked for */
	enum pb_gap_reason reason;	/* 0: packets */
	struct pb_buf	body;		/* their section, as it came */
	uint64_t	digest;		/* of it, unpacked */
	bool		packed;		/* it is a zstd frame */
};

/* What the head of an answer says of its packets, and of what stands behind
 * them: pieces, one behind the other. */
struct pb_pull_coming {
	uint64_t	first, last;
	struct pb_pull_next {
		uint64_t	last;
		size_t		bytes;	/* of its section, at most */
	} next[PB_PULL_NEXT_MAX];
	unsigned	nexts;
};

struct pb_pull_stream;

/* It and what it points to stay until it is answered. */
struct pb_pull_action {
	enum pb_pull_kind kind;
	struct pb_pull_stream *stream;	/* but of the list */
	const struct pb_stream_key *key;	/* the edge's */
	uint64_t	epoch;		/* HERE, HAND, FETCH: what it is
					 * called here */
	uint16_t	linktype;
	uint64_t	number;
	uint64_t	to;		/* FETCH: nothing past it; 0: all */
	uint32_t	captured;	/* THERE: as if so many of its bytes
					 * were; 0: as it is */
	bool		late;		/* FETCH, HAND, ACK: of packets that
					 * came late to the edge, */
	uint64_t	first;		/* ACK: from here on */
	size_t		bytes_max;	/* FETCH: of the section */
	uint64_t	began_ms;	/* FETCH */
	const char	*cursor;	/* LIST: "" none */
	bool		wait;		/* LIST: for something new */
	struct pb_pull_piece *piece;
	const struct pb_forks *forks;	/* FORK */
};

enum pb_pull_outcome {
	PB_PULL_FAILED,		/* not reached, or not now */
	PB_PULL_DONE,
	PB_PULL_NOTHING,	/* FETCH: nothing is there, yet */
	PB_PULL_GONE,		/* FETCH: there is no such stream; of a node's
				 * list (fetch.h): no such path */
	PB_PULL_TOO_LARGE,	/* FETCH: one packet is larger than that */
	PB_PULL_BEHIND,		/* HAND: ask first.  ACK: more than it has */
	PB_PULL_BROKEN,		/* HAND: it is not what the edge has, or
				 * breaks a rule.  LIST: cannot be read */
	PB_PULL_REFUSED,	/* as long as something stays as it is */
};

struct pb_pull_answer {
	enum pb_pull_outcome outcome;
	uint64_t	retry_after_ms;	/* 0: not said */
	bool		fresh;		/* the edge's: over a connection that
					 * was made for it */
	bool		cut;		/* FETCH, FAILED: before its end */
	uint64_t	acked;		/* HERE, THERE, HAND: durable to it */
	struct pb_fingerprint last;	/* HERE, THERE: seq 0: none */
	struct pb_pull_piece piece;	/* FETCH, DONE: the machine's from now
					 * on, its body with it */
	const char	*cursor;	/* LIST, DONE */
	const char	*text;		/* what is wrong; borrowed */
};

/* A stream of the edge's list. */
struct pb_pull_row {
	struct pb_stream_key key;
	uint64_t	durable, first;
	uint16_t	linktype;
	unsigned	lates;		/* packets that came late, runs */
	struct pb_ship_run late[PB_PULL_LATE_MAX];
};

/* Shared by all edges; the caller's. */
struct pb_pull_budget {
	size_t		bytes, bytes_max;	/* of bodies */
	unsigned	hands, hands_max;	/* requests to our recorder */
};

struct pb_pull_opts {
	size_t		window;		/* bytes of bodies of this edge */
	struct pb_pull_budget *budget;	/* borrowed */
	/* Is this stream to be fetched? */
	bool	(*wants)(void *arg, const struct pb_stream_key *key);
	/* What goes under other epochs here already, as kept (FORK); an
	 * error: it is asked again another time. */
	int	(*forks)(void *arg, const struct pb_stream_key *key,
		    struct pb_forks *out, struct pb_err *err);
	/* Of the last packet of a piece, or the first; false: it cannot be
	 * told. */
	bool	(*print)(void *arg, const struct pb_pull_piece *piece,
		    bool first, struct pb_fingerprint *out);
	/* Something an operator wants to read; key NULL: of the edge. */
	void	(*event)(void *arg, enum pb_log_level level,
		    const struct pb_stream_key *key, const char *text);
	void	*arg;
};

struct pb_pull;

int	pb_pull_create(struct pb_pull **out, const struct pb_pull_opts *opts,
	    struct pb_err *err);
void	pb_pull_destroy(struct pb_pull *pull);	/* NULL is fine */

/* Another window from now on. */
void	pb_pull_window(struct pb_pull *pull, size_t window);

/* The next thing to do: true, and it counts as under way until it is
 * answered; or false. */
bool	pb_pull_next(struct pb_pull *pull, uint64_t now_ms, uint64_t random,
	    struct pb_pull_action *out);
/* When time alone will make it answer true. */
uint64_t pb_pull_wake_ms(const struct pb_pull *pull);
/* Does something wait for the budget? */
bool	pb_pull_starves(const struct pb_pull *pull);

/* A row of the list that is being answered, `fresh` as that. */
void	pb_pull_row(struct pb_pull *pull, const struct pb_pull_row *row,
	    bool fresh);
/* Of a FETCH that is not answered yet: this will be the answer.  What is
 * behind it may be asked for meanwhile. */
void	pb_pull_coming(struct pb_pull *pull,
	    const struct pb_pull_action *action,
	    const struct pb_pull_coming *coming);
void	pb_pull_answer(struct pb_pull *pull,
	    const struct pb_pull_action *action,
	    struct pb_pull_answer *answer, uint64_t now_ms, uint64_t random);

/* Someone asks for another try: nothing waits for its time any more. */
void	pb_pull_hurry(struct pb_pull *pull);

struct pb_pull_status {
	enum pb_ship_state state;
	uint64_t	since_ms;	/* in this state */
	uint64_t	retry_ms;	/* BACKOFF, REFUSED: the next try */
	unsigned	attempts;	/* failures in a row */
	unsigned	streams;
	unsigned	refused;	/* of them, waiting or refused */
	unsigned	forked;		/* under another epoch here */
	uint64_t	behind;		/* packets there and not here */
	uint64_t	flight_bytes;	/* that are here and not durable */
	uint64_t	packets, bytes;	/* fetched and durable, of bodies as
					 * they came */
	uint64_t	progress_ms;	/* the last that were; 0: none yet */
	uint64_t	came;		/* packets that its streams have grown
					 * by, since each was first known */
	const char	*last_error;	/* "" where nothing is wrong */
	uint64_t	failures;	/* since the start */
	uint64_t	error_ms;	/* when the last one was; 0: none */
};
void	pb_pull_status(struct pb_pull *pull, uint64_t now_ms,
	    struct pb_pull_status *out);

#endif
