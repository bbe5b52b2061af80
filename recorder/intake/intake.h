/*
 * recorder/intake/intake.h - the line in front of the writer
 *
 *	offered -> HELD -> WAITING -> WRITING -> settled
 *
 *   HELD     ahead of its turn: requests of one sender overtake each other
 *   WAITING  for chunks, or for an earlier part to become durable
 *   WRITING  its chunks are the writer's, or somebody's whose end it needs
 *
 * A question is a load without packets: it waits where what another sender
 * brought is still to become durable (intake_entry.c).  Which packet is the
 * last is known here, or is to be looked for in files, by others.
 *
 * Promise: a load settles with 0 only when every number of it is durable;
 * each number of a stream is submitted once, in order; what is a repeat is
 * dropped, what fills an open gap is not.
 * Limit:   half of `memory_max` for bodies that are HELD; HELD
 * lasts for `hold_ms`, WAITING for PB_WAIT_MS; PB_INTAKE_CHUNKS_MAX chunks
 * in the writer's queue, so that capture always finds room there, and
 * PB_INTAKE_CHUNK_BYTES_MAX of memory for them, or one load's.
 * Not here: HTTP, and clocks: `now_ms` is an argument.  One thread calls
 * all of it; only the writer's `done` comes from elsewhere.
 */
#ifndef PB_INGEST_INTAKE_H
#define PB_INGEST_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "recorder/intake/body.h"
#include "recorder/store/write/store.h"

#define PB_INTAKE_CHUNKS_MAX	(PB_QUEUE_CHUNKS_MAX / 2)
#define PB_INTAKE_CHUNK_BYTES_MAX	((size_t)40u << 20)
#define PB_WAIT_MS	5000	/* for the writer */
#define PB_HOLD_GRACE_MS	200	/* after an answer, the next request of
					 * its sender may be under way */

struct pb_intake;
struct pb_intake_entry;

/* Which packet of a stream is the last, up to a number? */
struct pb_look {
	const struct pb_stream *stream;	/* NULL: that is known */
	uint64_t	at;
	bool		checked;	/* as of pb_store_last() */
	uint32_t	captured;	/* likewise */
	uint64_t	changes;	/* of the store, when this was asked */
};

/* One request's packets, or gap, on their way to disk.  The caller's
 * memory; it stays until settled, or until pb_intake_cancel(). */
struct pb_load {
	/* Set by the caller before pb_intake_offer(). */
	uint64_t	first, last;
	uint64_t	sender;		/* PB-Sender; 0: it does not say */
	bool		ask;		/* a question: what is there, */
	uint64_t	at;		/* up to this number (0: to the end)? */
	uint32_t	captured;	/* as if so many bytes of it were; 0 */
	struct pb_body	body;		/* packets */
	uint64_t	arrival_ns;
	bool		local;		/* by the local door */
	enum pb_gap_reason gap;		/* or a gap */
	uint16_t	linktype;	/* of a gap in a new stream */
	void		*arg;
	/* Set when settled. */
	int		rc;		/* 0; PB_EORDER: starts past acked + 1;
					 * PB_EBUSY, PB_ENOSPC, PB_ENOMEM,
					 * PB_ESYS: later; else body.h's */
	uint64_t	acked;
	bool		asked;		/* PB_EORDER: another sender has asked
					 * since; this one is to ask again */
	/* Of a question: the last up to `at` and `acked` (seq 0: none), or
	 * what is to be looked for before it is answered. */
	struct pb_fingerprint last_packet;
	struct pb_look	look;
	char		text[PB_ERR_TEXT_MAX];	/* why not */
	/* The intake's. */
	struct pb_intake_entry *entry;
	int		state;
	unsigned	pending;	/* chunks in the writer */
	bool		again;		/* more gaps than one turn fills */
	uint64_t	offered_ms;
	TAILQ_ENTRY(pb_load) link;
};

struct pb_intake_counters {
	uint64_t packets, bytes;	/* durable; captured bytes */
	uint64_t repeats;		/* packets dropped as such */
	uint64_t late;			/* packets into open gaps */
	uint64_t gaps;			/* gaps declared */
	uint64_t held;			/* loads ahead of their turn */
	uint64_t refused;		/* of those: 409 */
	uint64_t failures;		/* loads the writer failed */
	uint64_t blocks_dropped;
};

struct pb_intake_opts {
	struct pb_store	*store;		/* borrowed until destroy */
	size_t		memory_max;	/* of bodies; for HELD ones half */
	uint64_t	hold_ms;
	/* A load is settled.  Must not call into the intake. */
	void		(*settled)(void *arg, struct pb_load *load);
	/* It is not settled yet, but its body is read no more.  NULL: who
	 * cares.  Must not call into the intake. */
	void		(*taken)(void *arg, struct pb_load *load);
	/* Called by the writer thread: call pb_intake_collect() soon. */
	void		(*wake)(void *arg);
	void		*arg;
};

int	pb_intake_create(struct pb_intake **out,
	    const struct pb_intake_opts *opts, struct pb_err *err);
/* Nothing is busy any more: pb_intake_busy() said 0. */
void	pb_intake_destroy(struct pb_intake *intake);

/* Bytes of bodies that are WAITING. */
size_t	pb_intake_waiting(const struct pb_intake *intake);

/* A request for `key` begins to arrive.  PB_ENOMEM, PB_ELIMIT. */
int	pb_intake_begin(struct pb_intake *intake, struct pb_load *load,
	    const struct pb_stream_key *key, struct pb_err *err);
/* It ends without a settlement: broken off, or answered by others. */
void	pb_intake_cancel(struct pb_intake *intake, struct pb_load *load,
	    uint64_t now_ms);
/* It is there, whole.  May settle before this returns. */
void	pb_intake_offer(struct pb_intake *intake, struct pb_load *load,
	    uint64_t now_ms);

/* What the writer is done with since the last call. */
void	pb_intake_collect(struct pb_intake *intake, uint64_t now_ms);
/* Settle what has waited too long; ms until the next call, -1: none due. */
int	pb_intake_tick(struct pb_intake *intake, uint64_t now_ms);

/* From now on nothing is taken; what is held settles with PB_EBUSY. */
void	pb_intake_stop(struct pb_intake *intake, uint64_t now_ms);
/* Loads and chunks that have not come back. */
size_t	pb_intake_busy(const struct pb_intake *intake);

/*
 * It reads files; any thread.  0, seq 0 where there is none or it is not
 * readable; an error where that may be otherwise the next time.
 */
int	pb_look(struct pb_store *store, const struct pb_look *look,
	    struct pb_fingerprint *out, struct pb_err *err);

const struct pb_intake_counters *pb_intake_counters(
	    const struct pb_intake *intake);

/* An empty body's scratch, for looking at bodies in the same thread. */
struct pb_body_scratch *pb_intake_scratch(struct pb_intake *intake);

#endif
