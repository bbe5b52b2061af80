/*
 * shipper/ship/ship.h - one upstream and its streams, as a pure state machine
 *
 * It performs no I/O: the clock and random numbers are arguments, what to
 * do next is returned as an action, and what came of it is told back as an
 * answer.  What a stream holds is asked through `struct pb_ship_source`,
 * and what is not shipped in its turn becomes a dead letter through it.
 * The loop drives it with a sink, the tests with a scripted receiver.
 *
 * Becomes a dead letter:
 *   what waited for `retry_for` of trying, where the upstream made no
 *   progress for as long and fails, or its stream stands still for as long
 *   (what only waits for its turn never does);
 *   a request's packets that the receiver itself calls malformed, broken
 *   (the second time), or too large though they cannot be halved any more;
 *   what may have been sent before a crash, where nothing is sent twice.
 */
#ifndef PB_SHIPPER_SHIP_H
#define PB_SHIPPER_SHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/index/index.h"
#include "shipper/ship/backoff.h"
#include "recorder/store/read/piece.h"

#define PB_REQUESTS_MAX		16u	/* in flight per upstream */
#define PB_SHIP_SLOTS		(PB_REQUESTS_MAX + 1u)	/* and one probe */
#define PB_SHIP_STREAMS_MAX	65536u	/* per upstream */
#define PB_SHIP_TEXT_MAX	256u	/* bytes of an error kept */

/* A request is at most one extent (1 MiB and the block that crosses it,
 * with its file's header); larger ones are cut at a block. */
#define PB_SHIP_PIECE_BYTES	(2u << 20)
/* Less than this waits while the stream has a request under way, so that
 * a long way gets few large requests rather than many small ones. */
#define PB_SHIP_SMALL_BYTES	(256u << 10)
/*
 * How fast the way is shows in the acks: the window and the bytes of a
 * request begin here, and again after a failure, double as long as acks
 * come in half the time below, and halve where it takes longer.
 */
#define PB_SHIP_FIRST_BYTES	(64u << 10)
#define PB_SHIP_WINDOW_MIN	(16u << 10)
#define PB_SHIP_PIECE_MS	5000u

#define PB_RETRY_AFTER_MS_MAX	60000u
/* A refused stream is tried again after the first, and then after double
 * the time: who mends `allow` waits no longer than it was wrong. */
#define PB_REFUSED_MS_FIRST	2000u
#define PB_REFUSED_MS_MAX	300000u
/* What is sent after its turn, and fails, is held back for the first, and
 * then for double the time, until all that waits with it has been sent. */
#define PB_LATE_MS_FIRST	5000u
#define PB_LATE_MS_MAX		600000u
/* An idle stream is asked about again after this, so that a receiver that
 * forgot it gets it again. */
#define PB_RECHECK_MS		600000u
/* What is too large for a receiver is tried again after this. */
#define PB_HALVED_MS		3600000u
/* Answers without progress after which a stream waits. */
#define PB_TROUBLES_MAX		3u

enum pb_ship_state {
	PB_SHIP_CONNECTING = 1,	/* nothing answered yet */
	PB_SHIP_READY,
	PB_SHIP_BACKOFF,	/* failed; a probe is due at a set time */
	PB_SHIP_REFUSED,	/* all that waits is refused */
	PB_SHIP_IDLE,		/* nothing waits */
	PB_SHIP_PAUSED,		/* it is not to be sent to */
};
const char *pb_ship_state_name(enum pb_ship_state state);

enum pb_cursor_state {
	PB_CURSOR_UNKNOWN = 1,	/* the receiver is to be asked */
	PB_CURSOR_READY,
	PB_CURSOR_WAITING,	/* no progress; tried again soon */
	PB_CURSOR_REFUSED,	/* tried again less and less often */
};

/* Why packets became a dead letter. */
enum pb_dead_reason {
	PB_DEAD_STALE = 1,	/* no progress for `retry_for` */
	PB_DEAD_MALFORMED,	/* refused for what they hold */
	PB_DEAD_FORBIDDEN,	/* in rows of before alone */
	PB_DEAD_UNSURE,		/* perhaps sent, by one who is to send once */
};
/* "stale", "malformed", "forbidden", "unsure" */
const char *pb_dead_reason_name(enum pb_dead_reason reason);

/* What becomes a dead letter, and why. */
struct pb_ship_dead {
	uint64_t	first, last;
	enum pb_dead_reason reason;
	int		status;		/* as in struct pb_answer; 0: none */
	unsigned	attempts;	/* failures in a row before it */
	const char	*text;		/* what went wrong last; borrowed */
};

/*
 * Streams have ranks: those of a lower one are served first, those of the same
 * in turns.  All but the first rank leave it a quarter of the window and of the
 * requests, so that what comes for it need not wait until others have ended.
 */
#define PB_SHIP_RANKS		8u

/* Streams of an upstream that are looked at, in their turn, at a time. */
#define PB_SHIP_LOOKS_MAX	4u
/* An answer that is not known yet: pb_ship_looked() says when; where it
 * does not, it is asked for again in a second. */
#define PB_SHIP_SOON		2

struct pb_ship_source {
	/*
	 * What stands at number `from` of `stream`, at most `bytes_max`
	 * bytes with the file's header, but one block at least; or the unit
	 * that begins there, which is never cut, once it is whole.  `mark`
	 * saves the search where its seq is `from`; NULL: the bytes are
	 * not asked for, and it is never PB_PIECE_SOON.  Where that is the
	 * answer, and not `begin`, nothing is looked for.
	 */
	int	(*look)(void *arg, uint32_t stream, uint64_t from,
		    const struct pb_mark *mark, size_t bytes_max, bool begin,
		    struct pb_piece *out, struct pb_err *err);
	/*
	 * Likewise, what came late or is to be sent again of the numbers
	 * up to `acked`, which the receiver was told are gaps.  Work is
	 * bounded: PB_PIECE_NONE says that there is nothing up to
	 * out->last; where that is below `acked`, more may be behind it.
	 */
	int	(*late)(void *arg, uint32_t stream, uint64_t acked,
		    uint64_t from, const struct pb_mark *mark,
		    size_t bytes_max, struct pb_piece *out,
		    struct pb_err *err);
	/*
	 * Make dead letters, durably, of dead->first .. dead->last; from
	 * then on `look` answers a gap there.  Work is bounded: `*done` is
	 * the number up to which it is done, first - 1 where nothing was.
	 * Or PB_SHIP_SOON, and pb_ship_demoted(); one at a time.
	 */
	int	(*demote)(void *arg, uint32_t stream,
		    const struct pb_ship_dead *dead, uint64_t *done,
		    struct pb_err *err);
	/* A piece that `settles` is acknowledged; or one of a letter was
	 * refused, and is not to be sent again by itself.  True: that is
	 * kept later; before pb_ship_kept() `late` is not asked, and
	 * little, or nothing, of letters is sent in its turn. */
	bool	(*sent)(void *arg, uint32_t stream, uint64_t first,
		    uint64_t last);
	bool	(*refuse)(void *arg, uint32_t stream,
		    const struct pb_ship_dead *dead);
	/* The packet with the highest number <= `at` that is here and can
	 * be read, as if `captured` of its bytes were here (0: all): 1, 0
	 * where there is none, PB_SHIP_SOON, or an error. */
	int	(*below)(void *arg, uint32_t stream, uint64_t at,
		    uint32_t captured, struct pb_fingerprint *out,
		    struct pb_err *err);
	/*
	 * The receiver has other packets under the numbers past `last`:
	 * from there on ours are another stream to it, which is named,
	 * durably, and given to pb_ship_stream().  1; 0 where no packet is
	 * past `last` yet; PB_SHIP_SOON; PB_ELIMIT after too many; or an
	 * error.
	 */
	int	(*fork)(void *arg, uint32_t stream, uint64_t last,
		    struct pb_err *err);
	/* The receiver has ours, and it goes on: PB_SHIP_SOON, as long as a
	 * fork that was named and not taken is kept; or 0. */
	int	(*stay)(void *arg, uint32_t stream);
	/* Of one that is `pulled`: the bytes that a stream's numbers first ..
	 * last take in the store; NULL: not known. */
	uint64_t (*bytes)(void *arg, uint32_t stream, uint64_t first,
		    uint64_t last);
	/* The stream's rank, below PB_SHIP_RANKS; NULL: all have the first. */
	unsigned (*rank)(void *arg, uint32_t stream);
	/* Something an operator wants to read; `stream` 0: the upstream. */
	void	(*event)(void *arg, enum pb_log_level level, uint32_t stream,
		    const char *text);
	void	*arg;
};

/* What is sent as one, and taken or refused as one. */
enum pb_ship_unit {
	PB_UNIT_PIECE,		/* of an extent: as large as the way is good
				 * for */
	PB_UNIT_SEGMENT,	/* a sealed one, or all of a letter: never
				 * cut */
};

/* What a sink is (sink.h), as far as it matters here. */
struct pb_ship_way {
	enum pb_ship_unit unit;
	/* It cannot be asked what it has: how far it is, is what we remember,
	 * and a stream's units follow one another, so that this is so. */
	bool		remembered;
	/*
	 * It comes for its packets itself: all that is durable is handed out,
	 * and pb_ship_pulled() says what it has.  What it is asked is whether
	 * it is there; what is sent is only what comes late, and is under way
	 * until it has come for that.
	 */
	bool		pulled;
	/* So many units of a stream may be under way; 0: 1.  They end in their
	 * order, and those behind one that was not had are not sent. */
	unsigned	units;
	/* Of one that is remembered: nothing is sent twice, whatever ends us;
	 * so what is under way is remembered, too (pb_ship_cursor.unsure). */
	bool		once;
	/* A unit's bytes, which the speed of acks does not change, nor the
	 * window; 0: as the way is good for. */
	uint32_t	unit_bytes;
};

struct pb_ship_opts {
	struct pb_ship_way way;
	uint64_t window;	/* bytes in flight */
	uint64_t rate_limit;	/* bits/s; 0: none */
	uint64_t retry_for_ms;	/* 0: for ever */
};

struct pb_ship;

int	pb_ship_create(struct pb_ship **out, const struct pb_ship_opts *opts,
	    const struct pb_ship_source *source, struct pb_err *err);
void	pb_ship_destroy(struct pb_ship *ship);

/* Nothing is to be sent, or asked, from now on; or again.  What is under way
 * ends, and the time meanwhile is no time of trying. */
void	pb_ship_pause(struct pb_ship *ship, bool paused);

/* Ask for the ranks of all streams anew. */
void	pb_ship_rank(struct pb_ship *ship);

/* Another rate limit, of pb_ship_opts, from now on. */
void	pb_ship_rate(struct pb_ship *ship, uint64_t window,
	    uint64_t rate_limit);

/*
 * Stream `id` (not 0) is durable up to `end`; `own`: captured here.
 * 1 where it is new, 0 where it was known; PB_ELIMIT past
 * PB_SHIP_STREAMS_MAX, PB_ENOMEM.
 */
int	pb_ship_stream(struct pb_ship *ship, uint32_t id, bool own,
	    uint64_t end, struct pb_err *err);

/*
 * What was known of a new stream when it was last reported: how far it was,
 * how long it had waited, what was sure.  The receiver is asked all the
 * same; but streams it had all of are asked about last.  What was unsure is a
 * dead letter before anything else is sent.
 */
struct pb_ship_cursor;
void	pb_ship_remember(struct pb_ship *ship, uint32_t id,
	    const struct pb_ship_cursor *memory);

/*
 * The stream begins behind `base`, which another one ends with; `closed`:
 * another one begins behind its own end.  After a fork, and of what is
 * known of forks from before; ahead of pb_ship_remember().
 */
void	pb_ship_part(struct pb_ship *ship, uint32_t id, uint64_t base,
	    bool closed);

/*
 * The stream has letters that `late` knows of: look.  `hurry`: someone
 * asked for it, so a stream that waits or is refused is tried at once.
 */
void	pb_ship_late(struct pb_ship *ship, uint32_t id, bool hurry);

/* The highest number ever handed out: what the receiver may have been told
 * of.  All there is, until it has answered once, or where it comes for it
 * itself; UINT64_MAX without a stream. */
uint64_t pb_ship_handed(const struct pb_ship *ship, uint32_t id);

/*
 * Is number `last` of the stream behind it, and does the upstream take what
 * comes in its turn, with no failure since?  Then what it was told is a gap
 * may as well be sent.
 */
bool	pb_ship_takes(const struct pb_ship *ship, uint32_t id, uint64_t last);

/* What was not known yet of the stream is known now. */
void	pb_ship_looked(struct pb_ship *ship, uint32_t id, uint64_t now_ms,
	    uint64_t random);

/* A demotion has ended: `done` as above, `why` it failed, or NULL. */
void	pb_ship_demoted(struct pb_ship *ship, uint64_t done, const char *why,
	    uint64_t now_ms);
/* Something else of the stream's letters is kept later, likewise. */
void	pb_ship_keeping(struct pb_ship *ship, uint32_t id);
/* That, or what was sent, or refused, is kept, or will not be. */
void	pb_ship_kept(struct pb_ship *ship, uint32_t id);

/* Someone asks for another try: nothing waits for its time any more. */
void	pb_ship_hurry(struct pb_ship *ship);

/* The store's own gap from number `first` on was filled: what was passed
 * over there, as there was nothing to be a letter, waits again. */
void	pb_ship_filled(struct pb_ship *ship, uint32_t id, uint64_t first);

enum pb_action_kind {
	PB_ACTION_ASK = 1,	/* for the stream's acked number */
	PB_ACTION_PACKETS,	/* send the piece */
	PB_ACTION_GAP,		/* tell the gap */
};

struct pb_action {
	enum pb_action_kind kind;
	unsigned	request;	/* its number, below PB_SHIP_SLOTS */
	uint32_t	stream;
	bool		late;		/* PACKETS below the acked number */
	bool		more;		/* PACKETS: and others are behind
					 * them */
	uint64_t	at;		/* ASK: the last packet up to it; 0:
					 * the last one of all */
	struct pb_piece	piece;
};

/*
 * The next thing to do: true and `*out`, which counts as under way until
 * pb_ship_answer() or pb_ship_unsent() for out->request; or false.
 */
bool	pb_ship_next(struct pb_ship *ship, uint64_t now_ms, uint64_t random,
	    struct pb_action *out);

/* When time alone will make pb_ship_next() answer true. */
uint64_t pb_ship_wake_ms(const struct pb_ship *ship);

/* What came of a request; each sink says it in these words (sink.h). */
enum pb_outcome {
	PB_OUTCOME_FAILED,	/* not reached, or it cannot take any now */
	PB_OUTCOME_HAS,		/* it has all up to `acked` */
	PB_OUTCOME_BEHIND,	/* it takes what follows `acked`, not this */
	PB_OUTCOME_TOO_LARGE,
	PB_OUTCOME_BROKEN,	/* not what was sent: perhaps on the way */
	PB_OUTCOME_MALFORMED,	/* the request's packets, for good */
	PB_OUTCOME_REFUSED,	/* the stream, as long as that is so */
	PB_OUTCOME_STOPPED,	/* by something in front of it */
	PB_OUTCOME_PART,	/* `remembered`: cut short, by us */
};

struct pb_answer {
	enum pb_outcome	outcome;
	/* The receiver's own, not of something in front of it (a proxy, a
	 * portal): without it nothing is refused for good. */
	bool		ours;
	bool		ask;		/* BEHIND: as another sender asked */
	bool		fresh;		/* over a connection made for it */
	/* ASK: it takes what says that packets were left out; it says how
	 * much it has of one that was cut. */
	bool		takes_filtered, takes_cut;
	/* BEHIND, HAS.  `remembered`: all of HAS; of all else what of the
	 * request was sent, which goes up to it; 0: nothing. */
	uint64_t	acked;
	struct pb_fingerprint last;	/* ASK: the last packet; seq 0: none */
	struct pb_fingerprint sent;	/* of the request's last packet */
	uint64_t	retry_after_ms;	/* 0: not said */
	int		status;		/* the sink's own, for dead letters */
	char		text[PB_SHIP_TEXT_MAX];	/* what went wrong, "" */
};

void	pb_ship_answer(struct pb_ship *ship, unsigned request,
	    const struct pb_answer *answer, uint64_t now_ms, uint64_t random);

/* The request could not be made (a file is gone, no memory). */
void	pb_ship_unsent(struct pb_ship *ship, unsigned request,
	    const char *text, uint64_t now_ms, uint64_t random);

struct pb_ship_status {
	enum pb_ship_state state;
	uint64_t	since_ms;	/* in this state */
	uint64_t	progress_ms;	/* last ack that moved; 0: none yet */
	uint64_t	retry_ms;	/* BACKOFF: the next probe */
	unsigned	attempts;	/* failures in a row */
	unsigned	streams;
	unsigned	refused;	/* of them, REFUSED or WAITING */
	uint64_t	flight_bytes;
	uint64_t	sent_bytes;	/* bodies, since start */
	/* The same, acknowledged; `pulled`: of what acks have passed. */
	uint64_t	acked_bytes;
	uint64_t	acked_packets;
	uint64_t	came_packets;	/* that streams have grown by, since
					 * each was first known */
	uint64_t	failures;	/* since start; those of requests that
					 * were under way together count once */
	uint64_t	error_ms;	/* when the last one was; 0: none */
	/* What went wrong last; "" once packets are acknowledged again and
	 * no stream waits. */
	char		last_error[PB_SHIP_TEXT_MAX];
};
void	pb_ship_status(const struct pb_ship *ship,
	    struct pb_ship_status *out);
/* The request's packets may be sent from now on: where nothing is sent twice,
 * they are unsure until it ends. */
void	pb_ship_begins(struct pb_ship *ship, unsigned request);

/* Is this request, which is under way, still to be sent?  Not where one before
 * it failed: then it ends as PB_OUTCOME_PART, with nothing sent. */
bool	pb_ship_stands(const struct pb_ship *ship, unsigned request);

/* Of one that is `pulled`: it has all of the stream up to `acked`, and was
 * there to say so; or the stream cannot go on; or it has not been there, as
 * the text says. */
void	pb_ship_pulled(struct pb_ship *ship, uint32_t id, uint64_t acked,
	    uint64_t now_ms);
void	pb_ship_stuck(struct pb_ship *ship, uint32_t id, const char *text,
	    uint64_t now_ms, uint64_t random);
void	pb_ship_gone(struct pb_ship *ship, const char *text,
	    uint64_t now_ms, uint64_t random);
/* For how long of trying it has acknowledged nothing, while something waited
 * for it; right to SHIP_LOOK_MS.  Streams of which it has never had anything do
 * not count, unless it is all of them: it need not want each. */
uint64_t pb_ship_owes_ms(const struct pb_ship *ship);

/* Requests under way. */
unsigned pb_ship_flights(const struct pb_ship *ship);

struct pb_ship_run {
	uint64_t	first, last;	/* 0: none */
};
#define PB_SHIP_UNSURE	2u

struct pb_ship_cursor {
	uint32_t	stream;
	enum pb_cursor_state state;
	uint64_t	acked, sent;
	/* All up to it is acked or a dead letter: >= acked. */
	uint64_t	released;
	/* Numbers up to wait_seq made no progress for so many ms of trying;
	 * 0: none wait.  Worth keeping over a restart. */
	uint64_t	wait_seq;
	uint64_t	wait_ms;
	/* The last packet that the receiver has, and that is ours. */
	struct pb_fingerprint sure;
	/* Where nothing is sent twice: it is not known whether those were
	 * sent, in their turn, and late. */
	struct pb_ship_run unsure[PB_SHIP_UNSURE];
	const char	*text;		/* why it waits, or ""; borrowed */
};
/* That of one stream, whether or not it changed; false without it. */
bool	pb_ship_cursor(const struct pb_ship *ship, uint32_t id,
	    struct pb_ship_cursor *out);

/* The next stream, from `*at` (0 at first) on, that changed since this was
 * last told of it; false: none.  pb_ship_touch() makes all of them count as
 * changed, or those that wait. */
bool	pb_ship_changed(struct pb_ship *ship, unsigned *at,
	    struct pb_ship_cursor *out);
void	pb_ship_touch(struct pb_ship *ship, bool waiting);

#endif
