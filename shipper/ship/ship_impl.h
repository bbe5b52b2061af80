/*
 * shipper/ship/ship_impl.h - what the files of ship.h share
 *
 * Each calls those below it:
 *	ship.c		what to do next		ship_report.c	tells of it
 *	ship_answer.c	what an answer means	ship_pull.c	who pulls says
 *	ship_dead.c	what waits no longer	ship_fork.c	whose packets
 *	ship_late.c	what is sent after its turn
 *	ship_stream.c	the streams and their states
 */
#ifndef PB_SHIPPER_SHIP_IMPL_H
#define PB_SHIPPER_SHIP_IMPL_H

#include <sys/queue.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/wait.h"

#define SHIP_LOOK_MS	1000u	/* how often waiting streams are looked at */

/* Questions for the last packet that the receiver and this store share. */
struct ship_proof {
	unsigned	 asked;		/* questions answered; 0: none yet */
	uint64_t	 number;	/* the first answer's */
	uint64_t	 at;		/* asked about now; 0: the last */
	uint64_t	 same;		/* the highest known to be the same */
	uint64_t	 low, high;	/* it is within low .. high - 1; high 0:
					 * not known to differ */
};

struct ship_stream {
	uint32_t	 id;
	unsigned	 rank;
	enum pb_cursor_state state;
	bool		 own;
	bool		 closed;	/* another has what is past its end */
	bool		 unproven;	/* what came past await_end */
	bool		 told_blind;	/* that nothing could be compared */
	bool		 asking;	/* a question is under way */
	bool		 looking;	/* for what is next in its turn */
	bool		 changed;	/* since pb_ship_changed() */
	bool		 known;		/* it has answered since the start */
	bool		 dying;		/* it stands in pb_ship.dying, */
	bool		 demoting;	/* and its turn it is: no posts */
	unsigned	 keeping;	/* changes of its letters under way */
	bool		 keeping_all;	/* not only that some were sent */
	bool		 awaits_kept;	/* its next piece is a letter's */
	bool		 late;		/* `late` may have something */
	bool		 late_flight;	/* one of those is under way */
	bool		 late_turn;	/* what was sent last was not late */
	unsigned	 flights;	/* requests under way */
	unsigned	 troubles;	/* without progress, in a row */
	unsigned	 refusals;	/* in a row */
	uint64_t	 base;		/* another stream's up to here */
	uint64_t	 await;		/* asked about when `end` is there, */
	uint64_t	 await_end;	/* and was here; await 0: no */
	struct pb_fingerprint sure;	/* the same there and here */
	struct ship_proof proof;
	/* An answer that is not understood before something is known. */
	bool		 held;
	uint64_t	 held_acked;
	struct pb_fingerprint held_last;
	uint64_t	 end;		/* durable here */
	uint64_t	 acked;		/* the receiver's number */
	uint64_t	 sent;		/* highest number handed out */
	uint64_t	 handed;	/* the same, ever */
	uint64_t	 released;	/* acked or a dead letter up to it */
	uint64_t	 suspect;	/* refused with 422 once from it on */
	uint64_t	 retry_ms;	/* WAITING, REFUSED */
	uint64_t	 asked_ms;	/* last answer */
	size_t		 bytes_max;	/* of a request; halved by 413, */
	uint64_t	 halved_ms;	/* at this time */
	struct pb_mark	 mark;
	uint64_t	 late_from;	/* where `late` goes on */
	struct pb_mark	 late_mark;
	bool		 late_held;	/* until late_ms, as it failed */
	uint64_t	 late_ms;
	unsigned	 late_fails;	/* since all of it had been sent */
	uint64_t	 late_behind;	/* failed up to it: last in line */
	/* The waiting clock's time. */
	uint64_t	 moved_ms;	/* last progress in its turn */
	uint64_t	 told_ms;	/* when its waiting was last reported */
	struct pb_wait	 wait;
	/* What is to become a dead letter: dead.reason 0: nothing. */
	struct pb_ship_dead dead;	/* first moves as it is done */
	uint64_t	 dead_from;	/* the first of all of it */
	uint64_t	 filled;	/* lowest number of it that came while
					 * it was demoted; 0: none */
	char		*dead_text;	/* owned */
	/* To become dead letters, one after the other. */
	struct pb_ship_run unsure[PB_SHIP_UNSURE];
	char		*text;		/* why it waits; owned */
	struct ship_queue *queue;	/* it stands in, or NULL */
	TAILQ_ENTRY(ship_stream) link;
	TAILQ_ENTRY(ship_stream) dying_link;
};
TAILQ_HEAD(ship_queue, ship_stream);

struct ship_request {
	struct ship_stream *stream;	/* NULL: free */
	enum pb_action_kind kind;
	bool		 probe;		/* decides over a back-off */
	bool		 late;
	bool		 letter, settles;	/* of the piece */
	bool		 begun;		/* pb_ship_begins() */
	uint64_t	 first, last;
	uint64_t	 at;		/* of a question */
	uint64_t	 bytes;		/* of the body */
	uint64_t	 start_ms;
};

struct pb_ship {
	struct pb_ship_source source;
	uint64_t	 now_ms, random;	/* of the call under way */
	struct pb_ship_way way;
	uint64_t	 retry_for_ms;	/* 0: for ever */
	uint64_t	 window_max;	/* configured */
	uint64_t	 window;	/* now */
	uint64_t	 piece_max;	/* bytes of a request, now */
	uint64_t	 slowed_ms;	/* when acks last were too slow */
	enum pb_ship_state state;	/* CONNECTING, READY or BACKOFF */
	uint64_t	 since_ms;
	uint64_t	 progress_ms;
	uint64_t	 retry_ms;
	uint64_t	 look_ms;	/* when waiting streams are looked at */
	unsigned	 attempts;
	bool		 probing;
	bool		 tells;		/* which packet is its last */
	unsigned	 flights;
	uint64_t	 flight_bytes;
	uint64_t	 sent_bytes, acked_bytes, acked_packets;
	uint64_t	 came_packets;
	unsigned	 refused;
	unsigned	 looking;	/* streams that are */
	char		 last_error[PB_SHIP_TEXT_MAX];
	uint64_t	 failures;
	uint64_t	 error_ms;	/* the last of those */
	/* The waiting clock: milliseconds of trying since the start. */
	uint64_t	 clock_ms;
	uint64_t	 tick_ms;	/* it counts up to here; 0: not yet */
	uint64_t	 moved_ms;	/* its time at the last progress, */
	uint64_t	 owed_ms;	/* or when nothing was owed last */
	uint64_t	 dying_ms;	/* when the next is demoted */
	bool		 cannot_demote;	/* and has said so */
	uint64_t	 delivered;	/* packets of letters, not told yet */
	struct ship_request request[PB_SHIP_SLOTS];
	bool		 paused;
	/* By rank: something waits to be sent; the same, but needs a look. */
	struct ship_queue work[PB_SHIP_RANKS];
	struct ship_queue patient[PB_SHIP_RANKS];
	struct ship_queue quiet;	/* only to be asked about */
	struct ship_queue dying;	/* by dying_link: to be demoted */
	struct ship_stream *demoting;	/* one of them, or NULL */
	struct ship_stream **stream;	/* sorted by id */
	unsigned	 streams;
	size_t		 cap;
	unsigned	 closed;	/* of them; each has one that follows */
};

/* --- ship_stream.c ------------------------------------------------------- */

/* NULL where it is not known. */
struct ship_stream *ship_find(const struct pb_ship *ship, uint32_t id);

int	ship_insert(struct pb_ship *ship, struct ship_stream *s,
	    struct pb_err *err);

/* Is there anything to do for this stream, were there room? */
bool	ship_wants(const struct ship_stream *s);
/* The same, of what is sent after its turn. */
bool	ship_late_wants(const struct ship_stream *s);
/* Does any stream want more than to be asked about? */
bool	ship_has_work(const struct pb_ship *ship);
/* Put the stream where pb_ship_next() finds it, if it wants anything. */
void	ship_enqueue(struct pb_ship *ship, struct ship_stream *s);
void	ship_dequeue(struct ship_stream *s);

/* WAITING or REFUSED until `retry_ms`, with the reason. */
void	ship_hold(struct pb_ship *ship, struct ship_stream *s,
	    enum pb_cursor_state state, uint64_t retry_ms, const char *text);
/* Count one more answer without progress: wait with jitter. */
void	ship_trouble(struct pb_ship *ship, struct ship_stream *s,
	    const char *text);
/* Tried at once, not when its time comes; but where a start is needed. */
void	ship_hurry(struct pb_ship *ship, struct ship_stream *s);
/* Any other state than those two. */
void	ship_release(struct pb_ship *ship, struct ship_stream *s,
	    enum pb_cursor_state state);

/* Something has gone wrong: that is the last error. */
void	ship_error(struct pb_ship *ship, const char *text);

/* The most bytes of a request of this stream now. */
size_t	ship_bytes_max(const struct pb_ship *ship,
	    const struct ship_stream *s);
/* Is there room for as many more bytes of it in flight?  For so many that a
 * look is worth it: little room would cut, or what is found would not fit? */
bool	ship_room(const struct pb_ship *ship, const struct ship_stream *s,
	    uint64_t bytes);
bool	ship_room_to_look(const struct pb_ship *ship,
	    const struct ship_stream *s);

void	ship_event(const struct pb_ship *ship, enum pb_log_level level,
	    uint32_t stream, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));

/* --- ship_dead.c -------------------------------------------------------- */

/* Let the waiting clock follow; a leap is a process that was stopped. */
void	ship_tick(struct pb_ship *ship);
/* How long the stream's numbers wait, and whether that was too long. */
void	ship_watch(struct pb_ship *ship, struct ship_stream *s);
void	ship_note(struct pb_ship *ship, struct ship_stream *s);
/* The receiver's number has moved. */
void	ship_moved(struct pb_ship *ship, struct ship_stream *s);
/* It has gone back: what waits, waits anew. */
void	ship_went_back(struct pb_ship *ship, struct ship_stream *s);
/* How long it has stood still, of its oldest number's waiting; 0: no. */
uint64_t ship_waited_ms(const struct pb_ship *ship,
	    const struct ship_stream *s, uint64_t *seq);
void	ship_remember_wait(struct pb_ship *ship, struct ship_stream *s,
	    uint64_t seq, uint64_t wait_ms);

/* first .. last are to become dead letters, once no post is under way.
 * What is malformed, or unsure, stops its stream until that is done. */
void	ship_condemn(struct pb_ship *ship, struct ship_stream *s,
	    const struct pb_ship_dead *dead);
/* What is unsure, if anything is, and nothing else dies. */
void	ship_condemn_unsure(struct pb_ship *ship, struct ship_stream *s);
/* A request has ended: perhaps it was what a demotion waited for. */
void	ship_landed(struct pb_ship *ship, struct ship_stream *s);
/* Do a part of what is due: one call of `demote`. */
void	ship_demote(struct pb_ship *ship);

/* --- ship_answer.c ------------------------------------------------------ */

/* The answer that was held is looked at again. */
void	ship_asked_again(struct pb_ship *ship, struct ship_stream *s);
/* What a request, or who pulls, has come to. */
void	ship_progress(struct pb_ship *ship, const struct ship_request *r);
/* The receiver's number is lower than it was. */
void	ship_fell_back(struct pb_ship *ship, struct ship_stream *s,
	    uint64_t number);
/* Back off; `probe`: that is what failed. */
void	ship_failed(struct pb_ship *ship, bool probe,
	    const struct pb_answer *answer);
/* Who cannot be asked goes on from where it was. */
void	ship_recall(struct pb_ship *ship, struct ship_stream *s);

/* --- ship_fork.c -------------------------------------------------------- */

/* Is the receiver's last packet ours?  True: go on behind `*number`; else
 * there is more to ask, the stream waits, or the answer is held. */
bool	ship_prove(struct pb_ship *ship, struct ship_stream *s,
	    const struct pb_answer *answer, uint64_t *number);
/* What was learned so far counts no more. */
void	ship_prove_again(struct ship_stream *s);
/* Has it numbers that this store, which gives them, never gave? */
bool	ship_is_ahead(const struct ship_stream *s, uint64_t number);
/* The stream has grown: perhaps that is what it waits for. */
void	ship_came(struct pb_ship *ship, struct ship_stream *s);

/* --- ship_pull.c -------------------------------------------------------- */

/* Does who pulls owe an ack? */
void	ship_look_owed(struct pb_ship *ship);

/* --- ship_late.c -------------------------------------------------------- */

enum ship_plan {
	SHIP_ACT,		/* `out` is to be done */
	SHIP_NOTHING,		/* the stream has nothing to do now */
	SHIP_FULL,		/* no room in the window */
	SHIP_LATER,		/* it needs a look, and too many do */
};

/* Is so much being kept that no letter goes even in its turn? */
bool	ship_late_full(const struct ship_stream *s);
enum ship_plan ship_late_plan(struct pb_ship *ship, struct ship_stream *s,
	    struct pb_action *out);
void	ship_late_start(struct ship_stream *s, const struct pb_piece *piece);
/* Look at all of them again, from the start. */
void	ship_late_again(struct ship_stream *s);
/* A piece that settles a letter is acknowledged, or refused. */
void	ship_late_acked(struct pb_ship *ship, struct ship_stream *s,
	    const struct ship_request *r);
void	ship_late_refused(struct pb_ship *ship, struct ship_stream *s,
	    const struct ship_request *r, const struct pb_ship_dead *dead);
/* It failed, or was stopped on its way: what is fresh goes on without. */
void	ship_late_failed(struct pb_ship *ship, struct ship_stream *s,
	    const struct ship_request *r);
/* Its time has come? */
void	ship_late_revive(const struct pb_ship *ship,
	    struct ship_stream *s);
/* Say once that all were delivered, when they were. */
void	ship_late_tell(struct pb_ship *ship);

#endif
