/*
 * tests/sim/store/world.h - a store on a modelled disk, who brings packets,
 * and what they were told
 *
 * The world remembers of every number of every stream what its producer may
 * rely on.  A packet's bytes follow from its stream, its number and its
 * *try*: who sends a number again sends other bytes, so that what is read
 * back tells which of them it is.  Of numbers that were left out the
 * fingerprint has it.
 */
#ifndef PB_TESTS_WORLD_H
#define PB_TESTS_WORLD_H

#include "base/clock.h"
#include "pcapng/filtered.h"
#include "recorder/store/write/store.h"
#include "tests/sim/store/chance.h"
#include "tests/sim/store/model_disk.h"

#define WORLD_STORE	"/modelled"
#define WORLD_STREAMS	4
#define WORLD_SEQS	6000	/* numbers of a stream */
#define WORLD_TRIES	12	/* remembered of a number */
#define WORLD_TRY_AT	32	/* bit of a fingerprint */

/* What was said of a number. */
enum fate {
	FATE_NONE,	/* nothing, or that it failed */
	FATE_KEPT,	/* `done` with 0 */
	FATE_MISSING,	/* a gap, and `done` with 0 */
	FATE_GONE,	/* deleted by retention, as the store says */
};

struct number {
	uint8_t		fate;
	uint16_t	kept;			/* the try that counts */
	uint16_t	tries[WORLD_TRIES];	/* that may be there */
	uint8_t		count;
};

struct source {
	struct pb_stream_key key;
	struct pb_stream *stream;	/* while the store is open */
	struct pb_head	*head;
	unsigned	 index;
	uint32_t	 len_max;	/* of its packets */
	bool		 own;		/* captured: its chunks are held */
	bool		 thin;		/* a filter has left some out */
	uint16_t	 tries;
	uint64_t	 top;		/* highest number ever built */
	uint64_t	 rotten;	/* lines of its journal, so far */
	struct number	 number[WORLD_SEQS + 1];
};

struct world {
	struct pb_clock	 clock;		/* first: pb_clock's functions */
	uint64_t	 mono_ms, real_ns, boot;
	struct chance	 chance;
	struct model	*model;
	struct pb_store	*store;		/* NULL: closed */
	struct pb_store_opts opts;
	unsigned	 kinds, one_in;	/* faults, when they are on */
	unsigned	 sources;
	struct source	 source[WORLD_STREAMS];
	unsigned	 pending;	/* chunks not answered */
	bool		 lost_index;	/* since the last check */
	bool		 tight;		/* the disk may be full */
	bool		 damaged;	/* bits were flipped, files cut */
	bool		 cut;		/* the power, since the last check */
	bool		 fragile;	/* it stops soon after a failure, */
	bool		 fragile_power;	/* by the power; */
	bool		 failed;	/* this is why it stops */
	bool		 verbose;
	uint64_t	 seed, packets, kept, tables;
	char		 why[512];	/* the first failure; "" */
};

/* A world for this seed, its store not opened yet.  Never NULL. */
struct world *world_create(uint64_t seed, bool verbose);
void	world_destroy(struct world *world);

/* A line of what happens, where somebody looks. */
void	world_say(struct world *world, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* What must not be; the first is kept. */
void	world_fail(struct world *world, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* 0, or the store's error. */
int	world_open(struct world *world, struct pb_err *err);
/* Close; whatever was not answered is by then. */
void	world_close(struct world *world);
void	world_turn(struct world *world);
/* Time passes. */
void	world_wait(struct world *world, uint64_t ms);
void	world_faults(struct world *world, bool on);
/* After a stop: the machine, or the process, is there again. */
void	world_start(struct world *world);

/* The index is gone when the store is opened next: it is made again. */
void	world_lose_index(struct world *world);

/* The open segments' files have become shorter, or a bit of their heads has
 * flipped, whatever was synced. */
void	world_damage(struct world *world);

/* Producers. */
void	world_send(struct world *world, struct source *source,
	    size_t bytes_max);
void	world_send_gap(struct world *world, struct source *source);
void	world_send_late(struct world *world, struct source *source);

/* The bytes of a packet: `*len`, and at most PB_CAPLEN_MAX of them. */
void	world_packet(const struct source *source, uint64_t seq, uint16_t try,
	    uint8_t *data, uint32_t *len);

/* Is the number not a packet but said to be left out, with this try? */
bool	world_left_out(const struct source *source, uint64_t seq,
	    uint16_t try);

/* check_filtered.c.  Each run of numbers that were left out, as the stream's
 * files have them. */
void	world_each_filtered(struct world *world, const struct source *source,
	    const struct pb_stream_info *stream,
	    void (*each)(void *arg, const struct pb_filtered *run), void *arg);

/*
 * check.c.  The store is open and has nothing to do: is all there that was
 * promised, byte for byte, and no number unexplained?  From then on what is
 * there is what counts.
 */
void	world_check(struct world *world);
/* check_flows.c, a part of it: is what the index says of a stream's packets
 * true of them? */
void	world_check_flows(struct world *world, const struct source *source);
/* Nobody has opened it yet: can a reader open every segment's file? */
void	world_check_heads(struct world *world);
/* The store is closed: does verify find anything? */
void	world_verify(struct world *world);
/* All rows of the index, for a comparison. */
uint64_t world_rows(struct world *world);

/* plan.c: all that a seed makes happen.  True where nothing was wrong; else
 * `why` holds it. */
bool	sim_run(uint64_t seed, bool verbose, char why[static 512]);

#endif
