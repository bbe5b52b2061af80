/*
 * recorder/port/offers.h - which streams may be pulled, and who waits for more
 *
 * A table of the store's streams that knows when each has changed, in
 * numbers that grow; a cursor is one of those.  It is brought up to date by
 * who asks, where the store has committed something since.  Who finds nothing
 * waits, and is woken by the next commit: the writer's thread only says that
 * there was one, and takes no lock for it.
 *
 * Any thread.  Limit: one fixed record a stream.
 */
#ifndef PB_INGEST_OFFERS_H
#define PB_INGEST_OFFERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "recorder/port/readers.h"
#include "recorder/store/facts/pulls.h"
#include "recorder/store/write/store.h"

struct pb_offers;

/* `store` is borrowed until destroy.  `wake(arg)`, on any thread: call
 * pb_offers_turn() soon. */
int	pb_offers_create(struct pb_offers **out, struct pb_store *store,
	    void (*wake)(void *arg), void *arg, struct pb_err *err);
/* Nobody waits any more. */
void	pb_offers_destroy(struct pb_offers *offers);	/* NULL is fine */

/* Those who wait are to look again.  Any thread. */
void	pb_offers_again(struct pb_offers *offers);
/* Wake who waits, where the store has committed something since. */
void	pb_offers_turn(struct pb_offers *offers);
/* Nobody is to wait from now on. */
void	pb_offers_end(struct pb_offers *offers);
bool	pb_offers_ended(const struct pb_offers *offers);

/* An answer that waits for more. */
struct pb_poll {
	TAILQ_ENTRY(pb_poll) link;
	struct pb_reading *reading;	/* NULL: it does not */
};
/* From now on `reading` is woken by each commit; before a look at what there
 * is, so that none is missed.  Until pb_offers_leave(), in `drop`. */
void	pb_offers_wait(struct pb_offers *offers, struct pb_poll *poll,
	    struct pb_reading *reading);
void	pb_offers_leave(struct pb_offers *offers, struct pb_poll *poll);

/* How far somebody has been told. */
struct pb_offers_cursor {
	uint64_t	life;		/* of the table */
	uint64_t	serial;		/* of what has changed */
	uint64_t	fill;		/* number in PB_TABLE_FILLS */
};

struct pb_offer_row {
	struct pb_stream_key key;
	uint32_t	stream;		/* in the index */
	uint16_t	linktype;
	uint64_t	first, durable;
	uint64_t	serial;		/* when it changed last */
};

/* Bring it up to date; where it is then. */
int	pb_offers_look(struct pb_offers *offers, struct pb_offers_cursor *now,
	    struct pb_err *err);
/* The next stream past `stream` that has changed after `since`, and not after
 * `until`; false: there is none. */
bool	pb_offers_next(struct pb_offers *offers, uint32_t stream,
	    uint64_t since, uint64_t until, struct pb_offer_row *out);
/* Others may be told of other streams from now on: all of them anew, whatever
 * their cursors say. */
void	pb_offers_renew(struct pb_offers *offers);
/* That stream; false: it is not known. */
bool	pb_offers_find(struct pb_offers *offers, uint32_t stream,
	    struct pb_offer_row *out);

/* What the shipper is told. */
struct pb_pulls *pb_offers_pulls(struct pb_offers *offers);

#endif
