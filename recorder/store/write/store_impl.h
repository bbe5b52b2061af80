/*
 * recorder/store/write/store_impl.h - inside the store
 *
 * Threads: producers call store.c; the writer thread alone runs writer.c
 * and touches what is marked (w).  What is marked (m) belongs to the
 * mutex.
 */
#ifndef PB_STORE_STORE_IMPL_H
#define PB_STORE_STORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "recorder/store/home.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/write/segment.h"
#include "recorder/store/write/store.h"

#define STREAM_SLOTS	32768u	/* hash table; over PB_STREAMS_OPEN_MAX */
/* Running numbers are reserved ahead, so that one that reached a file
 * before a crash is not given again after it. */
#define NUMBERS_AHEAD	(4u << 20)
#define NEVER_MS	UINT64_MAX	/* no time at all */

STAILQ_HEAD(chunk_list, pb_chunk);	/* in order, by `turn` */
LIST_HEAD(stream_list, pb_stream);

struct pb_stream {
	struct pb_stream_info	 info;		/* (w) with the batch, once it
						 * is flushed */
	struct pb_stream_info	 committed;	/* (w) as the index has it */
	bool			 own;		/* as `info` says, whose bits
						 * others must not read */
	uint64_t		 end;		/* (w) last number written */
	_Atomic uint32_t	 id;		/* 0: no row yet */
	_Atomic uint64_t	 next;		/* (m) to write */
	_Atomic uint64_t	 durable;	/* (w) to write */
	struct pb_segment	*segment;	/* (w) open, or NULL */
	struct pb_segment	*late;		/* (w) fills a gap, in the
						 * batch */
	uint64_t		 opened_ms;	/* (w) monotonic */
	uint64_t		 opens;		/* (w) first number of the next
						 * one, announced; or 0 */
	bool			 sealing;	/* (w) its segment is to seal */
	bool			 waits;		/* (w) has chunks in `later` */
	bool			 dirty;		/* (w) in the batch */
	bool			 facts;		/* (w) for the journal */
	uint64_t		 journal_due;	/* (w) bytes; 0: the bound */
	bool			 keeps;		/* (w) capture produces it */
	struct chunk_list	 held;		/* (w) to be tried again */
	unsigned		 block_size;	/* (w) of its flows, as the last
						 * one had them (flow/pool.h) */
	struct pb_index_block	*block;		/* (w) its segment's, or NULL */
	uint64_t		 bare;		/* (w) bytes of chunks without,
						 * since one was counted */
	LIST_ENTRY(pb_stream)	 dirty_link;	/* (w) */
	LIST_ENTRY(pb_stream)	 open_link;	/* (w) those with a segment */
	LIST_ENTRY(pb_stream)	 held_link;	/* (w) those that hold chunks */
};

/* What the clocks say, once a turn of the writer. */
struct store_now {
	uint64_t		 mono_ms, real_ns;
	struct pb_age_now	 age;
};

struct pb_store {
	struct pb_store_opts	 opts;
	char			 path[PATH_MAX];
	struct pb_clock		*clock;	/* of the disk it is on */
	int			 lock_fd;
	bool			 held;	/* `path` is (base/below.h) */
	/* Other threads hold `index_lock` to read it; the writer has it for
	 * writing while it puts another one in its place, or none.  Theirs
	 * it is once it is recovered and all streams have settled in it. */
	struct pb_index		*index;
	bool			 ready;		/* for other threads */
	pthread_rwlock_t	 index_lock;
	pthread_mutex_t		 hear_lock;	/* of the next two */
	void			(*heard)(void *arg);
	void			*heard_arg;
	pthread_t		 writer;
	pthread_mutex_t		 mutex;
	pthread_cond_t		 wake;
	struct chunk_list	 queue;		/* (m) */
	size_t			 queued;	/* (m) */
	uint64_t		 queued_bytes;	/* (m) */
	uint64_t		 queue_due_ms;	/* (m) the earliest in it */
	uint64_t		 sleeps_ms;	/* (m) the writer, until then */
	bool			 stop;		/* (m) */
	struct pb_stream	**slots;	/* (m) STREAM_SLOTS */
	size_t			 streams;	/* (m) */
	_Atomic uint64_t	 numbers;	/* next running number */
	uint64_t		 numbers_reserved; /* (w) as committed */
	uint32_t		 last_id;	/* (w) */
	uint64_t		 told_ms;	/* of a rebuild */
	bool			 same_boot;	/* as the last to write here */
	struct store_now	 now;		/* (w) */
	struct pb_age		 age;		/* (w) how long it has lived */
	uint64_t		 age_sealed_ms;	/* (w) of the last sealed */
	uint64_t		 age_kept_ms;	/* (w) as it was put last */
	/* The batch: what has been written and not yet committed. */
	struct chunk_list	 written;	/* (w) */
	uint64_t		 written_bytes;	/* (w) */
	uint64_t		 flush_ms;	/* (w) when a flush is due */
	uint64_t		 ticked_ms;	/* (w) looked at ages, holds */
	struct chunk_list	 later;		/* (w) to be taken after that */
	struct stream_list	 dirty, open, holders; /* (w) */
	/* (w) One line in the log for a trouble, one for its end. */
	bool			 failing, written_since;
	uint64_t		 failed_ms;
	/* (w) Where it is, and whether: vanish.c. */
	struct pb_home		 home;
	bool			 away;
	_Atomic bool		 ends;		/* pb_store_ends() */
	_Atomic uint64_t	 changes;	/* pb_store_changes() */
	_Atomic bool		 take;		/* what is there; any thread */
	enum pb_home_offer	 offer;		/* of the path, while away, */
	uint64_t		 offered_ms;	/* since when */
	uint64_t		 settle_ms;	/* and how long it must be */
	uint64_t		 look_ms, files_ms; /* the next look, at each */
	char			 gone[PB_ERR_TEXT_MAX]; /* why it is away */
	char			 said[PB_ERR_TEXT_MAX]; /* and what hinders */
	struct pb_flow_pool	*flows;		/* of chunks; any thread */
	struct pb_retain	*retain;	/* (w), but for its bounds */
	bool			 retain_more;	/* (w) has more to do now */
	struct flow_work	*flow_work;	/* (w) flows.c; or NULL */
	bool			 flows_ready;	/* (m) rows for a commit */
	struct pb_store_stats	 stats;		/* (m) */
};

/* streams.c.  The stream where memory has it, or NULL. */
struct pb_stream *stream_in_memory(struct pb_store *store,
	    const struct pb_stream_key *key);
/* Until index_let_go(); NULL where the store is away, or just comes. */
struct pb_index *index_hold(struct pb_store *store, struct pb_err *err);
void	index_let_go(struct pb_store *store);
/* Key, link type and id never change and are read by other threads. */
void	copy_counters(struct pb_stream_info *to,
	    const struct pb_stream_info *from);

/* open.c: lock, index, recovery, all that is opened at the path; the writer
 * closes and opens it again.  Closing takes what a failed opening left. */
int	store_open_parts(struct pb_store *store, struct pb_err *err);
/* Other threads may have the index from now on. */
void	store_is_ready(struct pb_store *store);
void	store_close_parts(struct pb_store *store);

/* writer.c: the thread, until the store is to stop. */
void	*pb_writer_main(void *store);

/*
 * The parts of the writer's thread.  Who calls whom: writer.c (turns) ->
 * append.c (a chunk), flush.c (a batch) -> vanish.c (a store that goes),
 * batch.c (what is not committed), flows.c (the index of what is; flows.h).
 */
/* append.c: take one chunk; whatever happens, it is accounted for. */
void	writer_take(struct pb_store *store, struct pb_chunk *chunk);
/* At the next flush this stream's segment gets its sealed name. */
void	writer_seal_later(struct pb_store *store, struct pb_stream *stream);

/* flush.c: after it, what was in `written` is durable, or was answered. */
void	writer_flush(struct pb_store *store);

/* vanish.c: look, and leave what is gone, or begin anew; now and then. */
void	store_look(struct pb_store *store);
/* At once, before something is made at the path: false with the reason
 * where the store is away. */
bool	store_is_there(struct pb_store *store, struct pb_err *err);

/* batch.c.  The first one, off the list, or NULL. */
struct pb_chunk *chunk_pop(struct chunk_list *list);
/* Something of the stream is in the batch, which is to be flushed
 * by `due_ms`. */
void	batch_add(struct pb_store *store, struct pb_stream *stream,
	    uint64_t due_ms);
/* The chunk, and what follows of its stream, waits for the flush at the end
 * of this turn: 0. */
int	batch_wait(struct pb_store *store, struct pb_chunk *chunk);
/*
 * Back to the last commit.  The stream's chunks that are written, or wait,
 * are answered or held; what its producer sends next must follow what is
 * durable.
 */
void	batch_roll_back(struct pb_store *store, struct pb_stream *stream,
	    int rc, const struct pb_err *err);
/* Answer a chunk with the failure, or hold it. */
void	batch_refuse(struct pb_store *store, struct pb_chunk *chunk, int rc,
	    const struct pb_err *err);
/* For the log and for status; the last one now and then. */
void	batch_note_failure(struct pb_store *store, const struct pb_err *err);
void	batch_note_success(struct pb_store *store);
void	batch_note_healed(struct pb_store *store);

/* store_age.c.  Ask the clocks, for all of a turn. */
void	store_read_clocks(struct pb_store *store);

/* Load: when the index has just been opened. */
void	store_age_load(struct pb_store *store, struct pb_mdb_txn *txn);
/* Bring it up to now. */
void	store_age_move(struct pb_store *store);
/* The age of what is sealed now: greater than that of any before the last
 * move. */
uint64_t store_age_seal(struct pb_store *store);
/* With a commit that happens anyway; and one of its own, where none did
 * for long. */
void	store_age_put(struct pb_store *store, struct pb_mdb_txn *txn);
void	store_age_keep(struct pb_store *store);

/* recover.c: seal what a crash left open.  Before the writer starts. */
int	pb_store_recover(struct pb_store *store, struct pb_err *err);

#endif
