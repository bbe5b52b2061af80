/*
 * recorder/store/retain/retain_impl.h - inside retention
 *
 * retain.c decides, retain_look.c finds what may go, retain_delete.c
 * deletes it, retain_journal.c makes up for journals.  The writer's thread
 * alone runs them; what is marked (m) belongs to the mutex.
 */
#ifndef PB_STORE_RETAIN_IMPL_H
#define PB_STORE_RETAIN_IMPL_H

#include <pthread.h>

#include "recorder/store/facts/acks.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/retain/retain.h"

#define RETAIN_BATCH	16u	/* segments deleted in one run */
#define RETAIN_LOOKS	1024u	/* segments looked at in one run */
/* Names that may wait for their unlink(2) or for their row's end. */
#define RETAIN_DOOMED	64u
/* Journals that are written anew in one run. */
#define RETAIN_JOURNALS	16u
/* Streams of which it was said that nothing can be deleted there. */
#define RETAIN_TOLD	16u

/* In the order in which they go. */
enum retain_class {
	RETAIN_ACKED,
	RETAIN_RELEASED,
	RETAIN_UNACKED,
};

enum retain_reason {
	RETAIN_BY_AGE,
	RETAIN_BY_SIZE,
	RETAIN_BY_FREE,
	RETAIN_REASONS,
};

/* Where the search for the next one to go stands. */
struct retain_walk {
	enum retain_class	phase;	/* what goes now */
	bool			begun;	/* `after` is set */
	bool			searching; /* cut short by its bound */
	bool			released_seen;
	bool			must_free; /* pass over what has links */
	struct pb_age_info	after;
	uint64_t		sealed_before; /* only those */
	uint64_t		linked;	/* bytes passed over */
	uint64_t		foreign; /* likewise: not ours to delete */
	uint64_t		started_ms;
	uint64_t		restart_ms; /* no earlier */
	uint64_t		commits; /* of acks and index, at the start */
};

struct retain_victim {
	struct pb_expiry	expiry;
	struct pb_stream_info	stream;	/* its row afterwards */
	enum retain_class	class;
	enum retain_reason	reason;
	uint64_t		frees;	/* bytes of the disk */
	uint64_t		have, bound; /* the figures that broke */
	bool			told;	/* of its stream's: in the journal */
};

struct retain_doomed {
	struct pb_open_info	file;
	bool			unlinked;
	bool			gone;	/* and its directory is synced */
};

/* Journals that are behind the index. */
struct retain_owing {
	bool			some;	/* there may be some */
	bool			more;	/* also after this round of them */
	struct pb_open_info	at;	/* the last one tried; stream 0: none */
	uint64_t		again_ms; /* no earlier */
};

struct retain_bounds {
	struct pb_retain_opts	opts;		/* its upstreams are these: */
	struct pb_retain_upstream upstream[PB_RETAIN_UPSTREAMS_MAX];
};

struct retain_told {
	uint32_t	stream[RETAIN_TOLD];
	size_t		count;
};

struct pb_retain {
	pthread_mutex_t		 lock;
	struct retain_bounds	 next;		/* (m) */
	bool			 changed;	/* (m) */
	struct pb_retain_stats	 told;		/* (m) */
	char			 store[PATH_MAX];
	struct pb_acks		*acks;
	struct retain_bounds	 bounds;
	struct retain_told	 denied;
	struct pb_retain_stats	 stats;
	struct retain_walk	 walk[RETAIN_REASONS];
	struct retain_doomed	 doomed[RETAIN_DOOMED];
	size_t			 doomed_count;
	struct retain_owing	 owing;
	uint64_t		 ran_ms, retry_ms;
	uint64_t		 commits;	/* of the index, at the run */
	bool			 more;
	bool			 renewed;	/* bounds, since the run */
	unsigned		 batch_max;	/* one after a failure */
	/* Bytes unlinked that the file system does not show as free yet. */
	uint64_t		 promised, promised_until_ms, last_free;
	char			 trouble[PB_ERR_TEXT_MAX]; /* or "" */
	bool			 troubled;	/* in this run */
};

/* One run of it. */
struct retain_run {
	struct pb_retain	*retain;
	const struct pb_retain_view *view;
	uint64_t		 commits;	/* of acks and index */
	unsigned		 budget;	/* looks left */
	struct pb_rows		 ages;		/* from where a walk stands */
	uint64_t		 bytes;		/* what stays of the sum */
	uint64_t		 free;		/* and what will be free */
	uint64_t		 disk;		/* bytes of the file system */
	bool			 more;
	bool			 unsure;	/* acks: nothing may go */
	bool			 stuck[RETAIN_REASONS];
	size_t			 count;		/* chosen already */
	struct retain_victim	 victim[RETAIN_BATCH];
};

enum retain_found { RETAIN_NONE, RETAIN_LATER, RETAIN_FOUND };

/*
 * The next one to go.  RETAIN_LATER where the budget is spent: the walk
 * goes on from there; or where the run is unsure.  RETAIN_NONE where no sealed
 * segment is left.
 */
enum retain_found retain_look(struct retain_run *run,
	    struct retain_walk *walk, struct retain_victim *out);

/* Searching goes on where the walk stands. */
void	retain_begin(struct retain_run *run, const struct retain_walk *walk);

/* Begin at the oldest again, where something has changed since and a walk
 * is not under way. */
void	retain_refresh(const struct retain_run *run,
	    struct retain_walk *walk);
void	retain_restart(const struct retain_run *run,
	    struct retain_walk *walk);

/* Delete the run's victims; after an error none of them is. */
int	retain_delete(struct retain_run *run, struct pb_err *err);

/* Take the doomed files' names away, and write journals that are owed; what
 * fails is tried the next time. */
void	retain_unlink(struct pb_retain *retain, struct pb_index *index);

/* Part of the commit that takes rows away, of which the stream's journal
 * could not be told. */
void	retain_owe_journal(struct pb_mdb_txn *txn,
	    const struct pb_expiry *expiry);

/* Write such journals, some of them, and commit that they are; what fails (the
 * last error is told) is tried again a second later. */
int	retain_write_journals(struct pb_retain *retain,
	    struct pb_index *index, struct pb_err *err);

/* Say it, where it is new; status has it while it lasts. */
void	retain_trouble(struct pb_retain *retain, const char *what,
	    const struct pb_err *err);

#endif
