/*
 * recorder/port/readers.h - answers that are made while they are sent
 *
 *	start -> (made) -> ready -> piece taken, next -> (made) -> ... -> leave
 *
 * What an answer says may have to be read from disk, and may be longer than
 * memory.  A maker makes it, piece by piece, on one of a few threads that do
 * nothing else; the next piece when the peer has taken the one before.
 *
 * Promise: nobody here waits for a maker but pb_readers_destroy(), and a peer
 *          that does not read, or a maker that waits, takes no thread.
 *          A disk that hangs takes all threads but one, which is left for
 *          makers that look at no file.
 * Limit:   PB_READERS threads, behind all others where the processor is
 *          short; PB_PIECE_BYTES an answer.
 */
#ifndef PB_INGEST_READERS_H
#define PB_INGEST_READERS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define PB_READERS	4u
#define PB_PIECE_BYTES	(64u << 10)

struct pb_readers;
struct pb_reading;		/* one answer */

enum {
	PB_MADE_END,		/* that was all */
	PB_MADE_MORE,
	PB_MADE_WAIT,		/* more, after pb_reading_wake() */
};

/* What one answer says. */
struct pb_maker {
	/*
	 * Append to `piece`, which takes PB_PIECE_BYTES; one of the above, or
	 * an error.  It does a bounded bit of work: with nothing to show for
	 * it yet it says PB_MADE_MORE, and others have their turn.
	 */
	int	(*make)(void *arg, struct pb_reading *reading,
		    struct pb_buf *piece, struct pb_err *err);
	/* Nobody wants more: from its return on nothing wakes `reading`. */
	void	(*drop)(void *arg);
	void	*arg;
	bool	looks;		/* at files: PB_READERS - 1 at once */
};

/*
 * `wake(arg)`, on any thread: call pb_readers_collect() soon.  Without
 * `threads` (tests) pieces are made by pb_readers_turn().
 */
int	pb_readers_create(struct pb_readers **out, unsigned threads,
	    void (*wake)(void *arg), void *arg, struct pb_err *err);
/* Waits for what is just being made.  All answers have been left. */
void	pb_readers_destroy(struct pb_readers *readers);
/* Call `ready` for what is there. */
void	pb_readers_collect(struct pb_readers *readers);
/* Make one piece, on this thread; false: none is wanted. */
bool	pb_readers_turn(struct pb_readers *readers);

/* The first piece is wanted; `ready(arg)` tells of it, as of each one.  On
 * failure `maker` has been dropped. */
int	pb_reading_start(struct pb_reading **out, struct pb_readers *readers,
	    const struct pb_maker *maker, void (*ready)(void *arg), void *arg,
	    struct pb_err *err);
/* After `ready`: the piece, the reading's until the next is wanted, and what
 * `make` said of it, with why in `*err` (the reading's, too). */
int	pb_reading_piece(struct pb_reading *reading, struct pb_buf **piece,
	    const struct pb_err **err);
/* It was not the last: the next piece is wanted. */
void	pb_reading_next(struct pb_reading *reading);
/* Nobody has begun to make its first piece: true, and it fails so. */
bool	pb_reading_give_up(struct pb_reading *reading, int rc,
	    const char *text);
/* What the maker waits for is there.  Any thread. */
void	pb_reading_wake(struct pb_reading *reading);
/* Nobody wants it any more: `ready` is not called again.  NULL is fine. */
void	pb_reading_leave(struct pb_reading *reading);

#endif
