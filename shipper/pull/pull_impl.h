/*
 * shipper/pull/pull_impl.h - what the files of pull.h share
 *
 * pull.c has the edge: its list, its state; pull_line.c whose turn it is;
 * pull_stream.c what is next for a stream, pull_pace.c how much of it;
 * pull_answer.c what follows from answers, pull_fork.c where its packets are
 * others than are here, pull_parts.c what they are called then, pull_late.c
 * of packets that came late; pull_trouble.c what is wrong.
 */
#ifndef PB_SHIPPER_PULL_IMPL_H
#define PB_SHIPPER_PULL_IMPL_H

#include <sys/queue.h>

#include "shipper/pull/pull.h"

enum pull_certainty { PULL_UNSURE, PULL_HERE, PULL_THERE, PULL_PIECE,
	PULL_SEEK, PULL_SEEN, PULL_PAST, PULL_MINE, PULL_KEEP, PULL_SURE };
enum pull_line { PULL_NONE, PULL_READY, PULL_STARVED };

struct pull_piece {
	struct pb_pull_piece of;	/* first: the action points to it */
	bool		coming;		/* its body is not here yet */
	bool		sure;		/* may be handed over */
	struct pb_fingerprint print;	/* where not: of its last packet */
	bool		handing;
	TAILQ_ENTRY(pull_piece) link;
};

/* For the last packet that is the same here and there. */
struct pull_search {
	uint64_t	at, look;	/* a half, and what is asked for it */
	uint64_t	low, high;	/* it is between; high 0: no other
					 * packet is known */
	uint64_t	same;		/* the highest that is, so far */
	uint64_t	best_same;	/* and with more parts, or fewer: */
	unsigned	best_parts;
	struct pb_fingerprint ours;
	unsigned	questions;
	uint64_t	there;		/* durable there, as was said last */
	uint64_t	past;		/* behind it the first other one, */
	struct pb_fingerprint first;	/* which is that */
	unsigned	part;		/* that they are to follow; */
	bool		known;		/* or to go on in, if they can */
};

struct pb_pull_stream {
	struct pb_stream_key key;	/* first: a stream is found by it */
	/* What goes under other epochs here, NULL: nothing; and what is to
	 * be. */
	struct pb_forks	*forks, *next;
	unsigned	parts;		/* so many of those count, for now */
	bool		begun;		/* the last part has packets */
	bool		astray;		/* it would have begun with another */
	struct pull_search search;
	uint16_t	linktype;
	bool		listed;		/* since the edge was dialled */
	enum pull_certainty certainty;
	bool		doubt;		/* to become unsure, once it can, and */
	bool		ask;		/* at once; else once it is behind,
					 * or some came late */
	bool		refused;	/* or waits: `text` says why; */
	bool		behind;		/* for more packets there */
	uint64_t	first, there;	/* at the edge: from, durable up to */
	uint64_t	here;		/* durable here up to */
	struct pb_fingerprint last;	/* here */
	uint64_t	asked;		/* fetched up to, or being; behind it */
	struct pb_pull_next known[PB_PULL_NEXT_MAX];	/* are these, as far */
	unsigned	knows;		/* as is known */
	uint64_t	told;		/* to the edge, as durable */
	unsigned	flights;	/* requests but acks */
	/* Behind this number, and what it brings is not known. */
	bool		fetching;
	uint64_t	fetch_from;
	unsigned	coming;		/* pieces */
	bool		acking;
	size_t		bytes_max;	/* of the next fetch */
	unsigned	troubles;	/* answers without progress */
	unsigned	nothings;	/* fetches in a row that brought none */
	uint64_t	retry_ms;	/* nothing but acks before */
	unsigned	ack_troubles;
	uint64_t	ack_ms;		/* no ack before */
	/* Numbers that came late to the edge, ascending runs; that which is
	 * being fetched (last 0: none), what is here of it, and what of it is
	 * durable and not told. */
	struct pb_ship_run *late;
	size_t		lates, lates_cap;
	struct pb_ship_run late_run;
	struct pull_piece *late_piece;
	bool		late_fetching;
	struct pb_ship_run late_ack;	/* last 0: none */
	/* What failed up to here is last in line, and nothing of it is
	 * fetched before. */
	uint64_t	late_behind, late_ms;
	unsigned	late_fails;	/* in a row */
	uint64_t	late_refused;	/* what is not taken here begins there,
					 * as was told last; 0: nothing */
	char		*text;
	TAILQ_HEAD(pull_pieces, pull_piece) pieces;	/* by number */
	enum pull_line	line;
	TAILQ_ENTRY(pb_pull_stream) link;	/* of the line */
	TAILQ_ENTRY(pb_pull_stream) all;
};
TAILQ_HEAD(pull_streams, pb_pull_stream);

struct pb_pull {
	struct pb_pull_opts opts;
	struct pull_streams all, ready, starved;
	void		*tree;		/* of streams, by key */
	unsigned	streams;
	size_t		lates;		/* of all, but what is being fetched */
	enum pb_ship_state state;
	uint64_t	since_ms;
	bool		up;		/* the list was had the last time */
	bool		listing;
	bool		news;		/* in the list that is answered */
	bool		sweep;		/* what is not listed has gone */
	char		cursor[PB_PULL_CURSOR_MAX];
	uint64_t	list_ms;	/* no list before */
	uint64_t	list_began_ms;
	unsigned	attempts;
	unsigned	flights;	/* to the edge, beside the list */
	unsigned	hands;		/* to our recorder */
	size_t		pace;		/* bytes asked for at once, */
	size_t		bringing;	/* and those that are */
	uint64_t	slowed_ms;	/* it went down */
	uint64_t	took_ms;	/* the last fetch */
	size_t		bytes;		/* of the budget, that it has */
	uint64_t	wake_ms;	/* of its streams; UINT64_MAX: none */
	uint64_t	packets, body_bytes;
	uint64_t	came;		/* packets that are new there */
	uint64_t	progress_ms;
	char		last_error[PB_SHIP_TEXT_MAX];
	uint64_t	failures;
	uint64_t	error_ms;	/* the last of those */
	bool		left_out_said;
	bool		missed;		/* a stream: all are to be listed, */
	bool		late_missed;	/* or once there is room for it */
	/* Of the call. */
	uint64_t	now_ms, random;
	bool		waited;		/* for room: whose turn it is */
};

/* --- pull_line.c ---------------------------------------------------------- */

/* It may have something to do, now or when time has come. */
void	pull_wake(struct pb_pull *pull, struct pb_pull_stream *s);
/* It waits for others to make room. */
void	pull_starve(struct pb_pull *pull, struct pb_pull_stream *s);
void	pull_leave(struct pb_pull *pull, struct pb_pull_stream *s);
void	pull_at(struct pb_pull *pull, uint64_t ms);
void	pull_error(struct pb_pull *pull, const char *text);
void	pull_event(const struct pb_pull *pull, enum pb_log_level level,
	    const struct pb_pull_stream *s, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));

/* --- pull_trouble.c ------------------------------------------------------- */

/* It is asked about again before anything else. */
void	pull_unsure(struct pb_pull_stream *s);
/* Not this time: it waits, for longer each time; and as long as something
 * stays as it is. */
void	pull_trouble(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_answer *answer);
void	pull_refuse(struct pb_pull *pull, struct pb_pull_stream *s,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* It has fewer numbers than are here, `there`. */
void	pull_behind(struct pb_pull *pull, struct pb_pull_stream *s,
	    uint64_t there);
/* Nothing is wrong any more. */
void	pull_released(struct pb_pull_stream *s);

/* --- pull_stream.c -------------------------------------------------------- */

/* What is next for it, if anything. */
bool	pull_step(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pb_pull_action *out);
/* Has its time come?  It is asked for once. */
bool	pull_is_due(struct pb_pull *pull, uint64_t *when_ms);
/* Its packets are to be compared again, before any more are taken. */
void	pull_doubt(struct pb_pull *pull, struct pb_pull_stream *s);
void	pull_drop_piece(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pull_piece *piece);
void	pull_drop_pieces(struct pb_pull *pull, struct pb_pull_stream *s);
/* It, up to `last`, comes next; false: no memory. */
bool	pull_expect(struct pb_pull_stream *s, uint64_t last);
/* Whatever was asked for behind that number is of no use. */
void	pull_ask_behind(struct pb_pull_stream *s, uint64_t number);
/* That piece and all behind it, which are fetched again. */
void	pull_drop_from(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pull_piece *piece);
/* It ends there: what was to follow it elsewhere goes. */
void	pull_end_piece(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pull_piece *piece, uint64_t last);
/* One for numbers behind all others, or NULL. */
struct pull_piece *pull_add_piece(struct pb_pull_stream *s, uint64_t first,
	    uint64_t last);
void	pull_begin(const struct pb_pull_stream *s, enum pb_pull_kind kind,
	    uint64_t number, struct pb_pull_action *out);
/* May another request go to the edge; to our recorder?  Else it starves. */
bool	pull_may_ask(struct pb_pull *pull, struct pb_pull_stream *s);
bool	pull_may_hand(struct pb_pull *pull, struct pb_pull_stream *s);
/* One more does. */
void	pull_hand_begins(struct pb_pull *pull, struct pb_pull_stream *s);
void	pull_take_bytes(struct pb_pull *pull, size_t bytes);
void	pull_give_bytes(struct pb_pull *pull, size_t bytes);

/* --- pull_pace.c ---------------------------------------------------------- */

/* Little at a time: at first, and after a failure. */
void	pull_pace_begin(struct pb_pull *pull);
/* When the list is to be asked for again, where it has news. */
uint64_t pull_pace_list(const struct pb_pull *pull);
/* As much as may come of it at once. */
size_t	pull_bytes(const struct pb_pull *pull,
	    const struct pb_pull_stream *s);
/* May so many bytes be fetched?  Else it starves. */
bool	pull_may_bring(struct pb_pull *pull, struct pb_pull_stream *s,
	    size_t bytes);
/* A FETCH of so many goes; was answered. */
void	pull_bring(struct pb_pull *pull, struct pb_pull_action *action,
	    size_t bytes);
void	pull_brought(struct pb_pull *pull,
	    const struct pb_pull_action *action,
	    const struct pb_pull_answer *answer);
/* One packet is larger than that: ask for more; false: that was all. */
bool	pull_larger(struct pb_pull *pull,
	    const struct pb_pull_action *action);

/* --- pull_late.c ---------------------------------------------------------- */

/* Add what a row tells, once.  What there is no room for is listed again. */
void	pull_late_told(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_row *row);
/* Is there anything to fetch, or to hand over? */
static inline bool
pull_late_waits(const struct pb_pull_stream *s)
{
	return s->lates > 0 || s->late_run.last != 0;
}
/* What is next of it, where nothing else is. */
bool	pull_late_step(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pb_pull_action *out);
void	pull_late_fetched(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_action *action,
	    struct pb_pull_answer *answer);
/* True: that was all of the answer; false: trouble as of any other. */
bool	pull_late_handed(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_answer *answer);
/* What was fetched goes; all of it goes. */
void	pull_late_drop_piece(struct pb_pull *pull, struct pb_pull_stream *s);
void	pull_late_drop(struct pb_pull *pull, struct pb_pull_stream *s);

/* --- pull_parts.c --------------------------------------------------------- */

/* What goes under other epochs here, and the part that a number is in. */
const struct pb_forks *pull_forks(const struct pb_pull_stream *s);
unsigned pull_part(const struct pb_pull_stream *s, uint64_t number);
uint64_t pull_epoch(const struct pb_pull_stream *s, unsigned part);
/* Numbers past it are of the last part. */
uint64_t pull_base(const struct pb_pull_stream *s);

/* --- pull_fork.c ---------------------------------------------------------- */

/* May the last part begin with these packets, if it is to begin? */
bool	pull_begins(const struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_piece *piece);
/* How far the last part is here is known; and answers, DONE, in THERE, SEEK
 * and SEEN: true where what is here is the edge's. */
bool	pull_compare(struct pb_pull_stream *s);
bool	pull_compared(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_answer *answer);
bool	pull_sought(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_answer *answer);
bool	pull_seen(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_answer *answer);
/* An answer in PAST; those in MINE and KEEP, DONE. */
void	pull_passed(struct pb_pull *pull, struct pb_pull_stream *s,
	    const struct pb_pull_action *action,
	    struct pb_pull_answer *answer);
void	pull_mine(struct pb_pull *pull, struct pb_pull_stream *s,
	    struct pb_pull_answer *answer);
void	pull_kept(struct pb_pull *pull, struct pb_pull_stream *s);

/* --- pull_answer.c -------------------------------------------------------- */


void	pull_stream_answer(struct pb_pull *pull,
	    const struct pb_pull_action *action,
	    struct pb_pull_answer *answer);

#endif
