/*
 * shipper/ship_private.h - what ship.c and ship_answer.c share
 *
 * ship.c decides what to do next, ship_answer.c what an answer means.
 */
#ifndef PB_SHIPPER_SHIP_PRIVATE_H
#define PB_SHIPPER_SHIP_PRIVATE_H

#include <sys/queue.h>

#include "shipper/ship.h"

struct ship_stream {
	uint32_t	 id;
	enum pb_cursor_state state;
	bool		 own;
	bool		 asking;	/* a question is under way */
	bool		 changed;	/* since pb_ship_cursors() */
	unsigned	 flights;	/* requests under way */
	unsigned	 troubles;	/* without progress, in a row */
	unsigned	 refusals;	/* in a row */
	uint64_t	 end;		/* durable here */
	uint64_t	 acked;		/* the receiver's number */
	uint64_t	 sent;		/* highest number handed out */
	uint64_t	 retry_ms;	/* WAITING, REFUSED */
	uint64_t	 asked_ms;	/* last answer */
	size_t		 bytes_max;	/* of a request; halved by 413 */
	struct pb_mark	 mark;
	char		*text;		/* why it waits; owned */
	struct ship_queue *queue;	/* it stands in, or NULL */
	TAILQ_ENTRY(ship_stream) link;
};
TAILQ_HEAD(ship_queue, ship_stream);

struct ship_request {
	struct ship_stream *stream;	/* NULL: free */
	enum pb_action_kind kind;
	bool		 probe;		/* decides over a back-off */
	uint64_t	 first, last;
	uint64_t	 bytes;		/* of the body */
};

struct pb_ship {
	struct pb_ship_source source;
	uint64_t	 window_max;	/* configured */
	uint64_t	 window;	/* now */
	enum pb_ship_state state;	/* CONNECTING, READY or BACKOFF */
	uint64_t	 since_ms;
	uint64_t	 progress_ms;
	uint64_t	 retry_ms;
	uint64_t	 look_ms;	/* when waiting streams are looked at */
	unsigned	 attempts;
	bool		 probing;
	unsigned	 flights;
	uint64_t	 flight_bytes;
	uint64_t	 sent_bytes, acked_bytes, acked_packets;
	unsigned	 refused;
	char		 last_error[PB_SHIP_TEXT_MAX];
	struct ship_request request[PB_SHIP_SLOTS];
	struct ship_queue work;		/* something waits to be sent */
	struct ship_queue quiet;	/* only to be asked about */
	struct ship_stream **stream;	/* sorted by id */
	unsigned	 streams, cap;
};

/* Put the stream where pb_ship_next() finds it, if it wants anything. */
void	ship_enqueue(struct pb_ship *ship, struct ship_stream *s);
void	ship_dequeue(struct ship_stream *s);

/* WAITING or REFUSED until `retry_ms`, with the reason. */
void	ship_hold(struct pb_ship *ship, struct ship_stream *s,
	    enum pb_cursor_state state, uint64_t retry_ms, const char *text);
/* Count one more answer without progress: wait with jitter. */
void	ship_trouble(struct pb_ship *ship, struct ship_stream *s,
	    const char *text, uint64_t now_ms, uint64_t random);
/* Any other state than those two. */
void	ship_release(struct pb_ship *ship, struct ship_stream *s,
	    enum pb_cursor_state state);

/* Exponential in `attempts` (from 1 on) with full jitter, never 0. */
uint64_t ship_backoff_ms(unsigned attempts, uint64_t random);

#endif
