/*
 * recorder/intake/claim.h - whose body may grow
 *
 * Bodies take memory as they come (room.h).  Many that begin together would
 * fill it with beginnings, and none could end.  So who wants more than a
 * first step claims all that is still to come of his body.  Who gets no
 * claim waits: his connection is not read.
 *
 * Limit:   claims, and bodies that wait for the writer, are for half of the
 * memory, claims of one address for half of that; one body alone always has
 * one.  A claim is for who sends: it lasts CLAIM_MS, and each byte buys the
 * time it takes at CLAIM_RATE.
 * Promise: first come, first served, but for who waits for his own address
 * alone; and who wants more than there is holds up others for TURN_MS.
 * Nobody waits longer than `wait_ms`.
 * Not here: memory itself, and clocks.  One thread.
 */
#ifndef PB_INGEST_CLAIM_H
#define PB_INGEST_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct pb_intake;

/* What one remote address has; zero at first. */
struct pb_share {
	size_t		 held;		/* bytes of bodies */
	size_t		 claimed;	/* the same and what is to come, of
					 * bodies that have a claim */
};

enum pb_claim_state {
	PB_CLAIM_NONE,
	PB_CLAIM_WAITS,
	PB_CLAIM_HAS,
	PB_CLAIM_GAVE_UP,	/* waited too long, or nobody waits now */
};

/* A body's; zero at first, but for what the caller sets. */
struct pb_claim {
	/* Set by the caller. */
	struct pb_share	*share;		/* of its address, or NULL */
	void		(*wake)(void *arg);	/* it waits no longer */
	void		*arg;
	/* The module's. */
	enum pb_claim_state state;
	size_t		 held;		/* memory it has */
	size_t		 rest;		/* and may still take */
	uint64_t	 until_ns;	/* it has it, or waits */
	TAILQ_ENTRY(pb_claim) link;
};

TAILQ_HEAD(pb_claim_list, pb_claim);

struct pb_claims {
	const struct pb_intake *intake;	/* knows what waits for the writer */
	size_t		 memory_max;	/* for bodies, and what they have, */
	size_t		 reserved;	/* with a claim or without (room.c) */
	uint64_t	 wait_ms;
	size_t		 promised;	/* sum of `rest` */
	size_t		 claimed;	/* sum of `held` and `rest` of those
					 * that have a claim */
	struct pb_claim_list having, waiting;
	size_t		 waits;		/* of them */
	const struct pb_claim *blocked;	/* the first that finds no memory */
	uint64_t	 blocked_ms;	/* since then */
	bool		 stopped;
};

/* `intake` is borrowed.  Nothing is to be given back at the end. */
void	pb_claims_init(struct pb_claims *claims,
	    const struct pb_intake *intake, size_t memory_max,
	    uint64_t wait_ms);

/* Memory that no body has. */
static inline size_t
pb_claims_room(const struct pb_claims *claims)
{
	return claims->memory_max - claims->reserved;
}

/* What may be had without a claim. */
size_t	pb_claims_free(const struct pb_claims *claims);

/* `rest` bytes are to come beyond `claim->held`.  True: they may be taken;
 * false: it waits, until its `wake` is called. */
bool	pb_claim_get(struct pb_claims *claims, struct pb_claim *claim,
	    size_t rest, uint64_t now_ms);
/* So many have come. */
void	pb_claim_feed(struct pb_claim *claim, size_t bytes, uint64_t now_ms);
/* It has so much more memory now; with a claim, all of it part of `rest`. */
void	pb_claim_grow(struct pb_claims *claims, struct pb_claim *claim,
	    size_t bytes);
/* Its body is all there, or gone. */
void	pb_claim_end(struct pb_claims *claims, struct pb_claim *claim);

/* Give and take back claims; ms until the next call, -1: none due. */
int	pb_claims_tick(struct pb_claims *claims, uint64_t now_ms);
/* From now on nobody waits. */
void	pb_claims_stop(struct pb_claims *claims);

#endif
