/*
 * shipper/letters/letters.h - dead letters: what an upstream did not take
 *
 * A letter is a run of numbers of one stream that is not shipped to one
 * upstream in its turn: because the upstream made no progress for
 * `retry_for` (stale), or refused it (malformed, forbidden), or may have
 * been sent it, once, before a crash (unsure).  Its packets
 * stay in a hard link of their segment,
 *
 *	STORE/dead-letters/UPSTREAM/NODE/IFACE/EPOCH/%020u.pcapng
 *
 * which costs nothing until the store deletes the segment.  Several
 * letters may share a file: each names numbers within it.
 *
 *	DEAD ---requeue--> REQUEUED --all acked--> (deleted)
 *	  |                    |
 *	  |  <-refused, stale--+
 *	  +--purge, bounds--> GONE --told upstream--> (deleted)
 *
 * By an operator, or by itself (`requeue = auto`) once the upstream takes
 * what is behind it.
 *
 *	LATE: packets that came late and fill what the upstream was told
 *	is a gap.  They have no file of their own: they are in the store.
 *
 * The rows stand in the shipper's LMDB environment, the truth; a file is
 * made before its row says so and deleted after it.  What is between the
 * two is listed (table `files`) and settled after each change and at the
 * next open, so that rows and files agree, and nothing is walked at start.
 *
 * Bounds, per upstream: `dead_letters_max` bytes of files, and
 * `dead_letters_age`.  At a bound the oldest DEAD or REQUEUED letters go:
 * they become GONE until the upstream has been told `expired`.
 *
 * An upstream whose section was renamed or removed has bounds, too: the
 * defaults; what goes for them is not GONE, as nobody is to be told, and what
 * was is forgotten.  Its letters can be given to another one, or purged.
 */
#ifndef PB_SHIPPER_LETTERS_H
#define PB_SHIPPER_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/age.h"
#include "base/err.h"
#include "recorder/store/layout.h"
#include "shipper/ship/ship.h"

/* Segments linked by one call of pb_letters_demote(): the shipper's loop
 * goes on in between. */
#define PB_LETTERS_BATCH	64u
/* So long files are deleted in one go, one at least; likewise. */
#define PB_LETTERS_TIDY_MS	250u

enum pb_letter_state {
	PB_LETTER_DEAD = 1,
	PB_LETTER_REQUEUED,
	PB_LETTER_LATE,
	PB_LETTER_GONE,
};
const char *pb_letter_state_name(enum pb_letter_state state);

struct pb_letter {
	char		upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_stream_key key;
	uint64_t	first, last;	/* numbers, none missing between */
	enum pb_letter_state state;
	enum pb_dead_reason reason;	/* ship.h; 0 for LATE */
	int		status;		/* of HTTP, 0: none */
	uint32_t	attempts;	/* failures in a row before it */
	uint64_t	since_ns;	/* when it was demoted; real time */
	uint64_t	since_at;	/* pb_age_key() of the shipper's age
					 * then; since_ns where the letter is
					 * from before there were ages */
	char		error[PB_SHIP_TEXT_MAX]; /* the last one */
	/* Where: in the segment that starts at segment_seq. */
	uint64_t	segment_seq;
	uint32_t	header_bytes;	/* of its SHB and IDB */
	uint64_t	offset;		/* a block's edge, up to `first` */
	uint64_t	file_bytes;	/* of the whole file, when linked */
	uint16_t	linktype;
};

struct pb_state;
/* One per process.  Any thread may read; changes are one thread's, but for
 * pb_letters_late(). */
struct pb_letters;

/*
 * The letters of the shipper's `state` (open for writing) or of a reader's.
 * A writer settles what a crash left.  `store` is copied, `state` borrowed.
 */
int	pb_letters_open(struct pb_letters **out, struct pb_state *state,
	    const char *store, struct pb_err *err);
void	pb_letters_close(struct pb_letters *letters);

/* --- the shipper -------------------------------------------------------- */

/* Why and how numbers are demoted. */
struct pb_demotion {
	const char	*upstream;
	const struct pb_stream_info *stream;
	struct pb_ship_dead dead;
	uint64_t	now_ns;
	uint64_t	age_ms;		/* pb_letters_age_ms() */
};

/*
 * Demote what the store has of first .. last and no letter has yet (a LATE
 * one goes, as its packets need a file now; a REQUEUED one is DEAD again):
 * link the segments, the open one too, durably, then commit the rows.  At
 * most PB_LETTERS_BATCH segments; `*done` is the number up to which all is
 * now a letter, or a gap of the store's own: call again for the rest.  An
 * error (disk full, another file system) makes none.
 */
int	pb_letters_demote(struct pb_letters *letters, struct pb_index *index,
	    const struct pb_demotion *demotion, uint64_t *done,
	    struct pb_err *err);

/*
 * The first letter of the upstream's stream with last >= from, of any
 * state: 1, 0 where there is none, or an error.  Cheap where the upstream
 * has no letters at all.
 */
int	pb_letters_find(struct pb_letters *letters, const char *upstream,
	    const struct pb_stream_key *key, uint64_t from,
	    struct pb_letter *out, struct pb_err *err);

/* Packets of a stream that came late, and are to be a letter. */
struct pb_late {
	char		upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_stream_key key;
	uint64_t	first, last;
};

/* The last of the index's fills (index.h) that was looked at for an upstream:
 * all it is to get of them has been a letter.  0: none was. */
struct pb_seen {
	char		upstream[PB_NAME_BYTES_MAX + 1];
	uint64_t	fill;
};

/* They are LATE letters, but for those that have a letter; and fills have been
 * looked at as `seen` says.  All or none. */
int	pb_letters_late(struct pb_letters *letters,
	    const struct pb_late *late, size_t count,
	    const struct pb_seen *seen, size_t seens, struct pb_err *err);

/* As it was kept, of each of them. */
int	pb_letters_seen(struct pb_letters *letters, struct pb_seen *seen,
	    size_t seens, struct pb_err *err);

/* The upstream has been told of first .. last: what of them was GONE is
 * forgotten. */
int	pb_letters_told(struct pb_letters *letters, const char *upstream,
	    const struct pb_stream_key *key, uint64_t first, uint64_t last,
	    struct pb_err *err);

/*
 * Packets first .. last of REQUEUED or LATE letters are acknowledged: they
 * are taken out of them, whatever their order.  What is left of a letter
 * stays (as two, if its middle went); without any it is deleted, and the
 * file with its last letter.
 */
int	pb_letters_sent(struct pb_letters *letters, const char *upstream,
	    const struct pb_stream_key *key, uint64_t first, uint64_t last,
	    struct pb_err *err);

/* The packets of why->dead, which had letters, were refused: what of them was
 * REQUEUED is DEAD again, with the new reason; what was LATE is DEAD, with a
 * file of its own, as above. */
int	pb_letters_refused(struct pb_letters *letters,
	    struct pb_index *index, const struct pb_demotion *why,
	    struct pb_err *err);

/*
 * The shipper's age, ms (base/age.h), brought up to `now`: letters get old
 * by it, whatever the wall clock does.  Call it once a second.
 */
uint64_t pb_letters_age(struct pb_letters *letters,
	    const struct pb_age_now *now);
/* As it was then: for the thread that calls that. */
uint64_t pb_letters_age_ms(const struct pb_letters *letters);

struct pb_letters_bounds {
	uint64_t	bytes_max, age_ms_max;	/* 0: none */
	uint64_t	age_ms;		/* of the shipper, now */
	bool		nobody;		/* is to be told of what goes */
};
/* Keep the upstream's files within its bounds; how many letters went.  A
 * file that was linked while its segment was open counts with what it has
 * grown to some calls later.  Bounded work: call it once a second. */
int	pb_letters_bound(struct pb_letters *letters, const char *upstream,
	    const struct pb_letters_bounds *bounds, struct pb_err *err);

/* Letters that are listed, or change state, in one step. */
#define PB_LETTERS_STEP		256u

/*
 * The upstream's DEAD letters that were not refused for what they hold
 * (malformed), nor unsure, oldest first, of the PB_LETTERS_STEP behind
 * `*after` (zeroed: from the oldest on), which moves.  1 where there may be
 * more behind them; 0; or an error.
 */
int	pb_letters_dead(struct pb_letters *letters, const char *upstream,
	    struct pb_letter *after, struct pb_letter *out, size_t *count,
	    struct pb_err *err);
/* Those of them that are as they were become REQUEUED; `*sum` counts on. */
struct pb_letters_sum;
int	pb_letters_revive(struct pb_letters *letters,
	    const struct pb_letter *letter, size_t count,
	    struct pb_letters_sum *sum, struct pb_err *err);

/* Does a letter go again by itself, where `requeue = auto`? */
bool	pb_letters_goes_again(const struct pb_letter *letter);

/* --- operators ---------------------------------------------------------- */

struct pb_letters_which {
	const char	*upstream;	/* glob; NULL: any */
	const char	*stream;	/* glob on node/interface; NULL: any */
	uint64_t	first;		/* those that begin there; 0: any */
	const char	*to;		/* move: an upstream's name */
	/* Is the upstream configured, and is the stream (NULL: any) for it?
	 * NULL: nobody knows; all count as configured. */
	bool		(*ships)(void *arg, const char *upstream,
			    const char *stream);
	void		*arg;
};

struct pb_letters_sum {
	uint64_t	letters;
	uint64_t	packets;
	uint64_t	left;		/* letters that match, and had to
					 * stay */
	struct pb_letter after;		/* how far the work has come */
};

/*
 * Bounded work: 1 where there may be more to do, call again with the same
 * `*sum`; 0 at the end; or an error.  `*sum` is zeroed before the first
 * call, and has what was done so far.
 */
/* DEAD ones are REQUEUED; not those of an upstream that is not configured:
 * an error where there are no others. */
int	pb_letters_requeue(struct pb_letters *letters,
	    const struct pb_letters_which *which, struct pb_letters_sum *sum,
	    struct pb_err *err);
/* DEAD and REQUEUED ones become GONE, their files are deleted.  Of an upstream
 * that is not configured all rows go. */
int	pb_letters_purge(struct pb_letters *letters,
	    const struct pb_letters_which *which, struct pb_letters_sum *sum,
	    struct pb_err *err);

/*
 * Give those of upstreams that are not configured to `which->to`, which is.
 * DEAD and REQUEUED ones become REQUEUED there, with a link of their own;
 * what `to` has a letter for already is dropped.  A letter whose file is
 * not there, or whose stream is not for `to`, stays.  An error where none
 * can go.  A crash leaves a letter with the one or with the other.
 */
int	pb_letters_move(struct pb_letters *letters,
	    const struct pb_letters_which *which, struct pb_letters_sum *sum,
	    struct pb_err *err);

/* Names of upstreams that have or had letters, those after `after` (""):
 * their count, or an error. */
int	pb_letters_upstreams(struct pb_letters *letters, const char *after,
	    char (*out)[PB_NAME_BYTES_MAX + 1], size_t max,
	    struct pb_err *err);

/*
 * Delete the files that have no letter, for PB_LETTERS_TIDY_MS at most: many
 * lose their last one faster than a disk deletes them.  1: there are more,
 * call again; 0 at the end; or an error.  All that changes letters does it.
 */
int	pb_letters_tidy(struct pb_letters *letters, struct pb_err *err);

/* Pages for reading: letters after `*after` (zeroed: from the start) by
 * upstream, stream and number, those that match; `*after` moves.  Their
 * count, 0 at the end, or an error. */
int	pb_letters_list(struct pb_letters *letters,
	    const struct pb_letters_which *which, struct pb_letter *after,
	    struct pb_letter *out, size_t max, struct pb_err *err);

/* What an upstream has, for status: kept counted, no walk. */
struct pb_letters_total {
	uint64_t	letters;	/* DEAD */
	uint64_t	packets;	/* of those */
	uint64_t	requeued;	/* letters REQUEUED or LATE */
	uint64_t	file_bytes;	/* of all files, as last looked at */
	uint64_t	oldest_ns;	/* demoted first; 0: none */
};
int	pb_letters_total(struct pb_letters *letters, const char *upstream,
	    struct pb_letters_total *out, struct pb_err *err);

#endif
