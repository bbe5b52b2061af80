/*
 * recorder/query/prefetch_impl.h - inside parts that are read ahead
 *
 * prefetch.c plans parts and takes what they have, prefetch_thread.c fills
 * them.
 */
#ifndef PB_QUERY_PREFETCH_IMPL_H
#define PB_QUERY_PREFETCH_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "recorder/query/search_impl.h"

#define THREADS_MAX	3u		/* beside who takes */
#define GIVEN_BYTES	(64u << 10)	/* of a part, wake who takes it */

struct ready {
	STAILQ_ENTRY(ready) next;
	struct pb_batch	 batch;
	size_t		 memory;
};
STAILQ_HEAD(readies, ready);

enum part_state {
	PART_QUEUED,
	PART_BEGUN,		/* by a thread */
	PART_DONE,
	PART_OURS,		/* read by who takes it */
};

struct part {
	TAILQ_ENTRY(part) next;		/* of its input, by numbers */
	TAILQ_ENTRY(part) waits;	/* in the queue, while it is there */
	const struct search_input *input;
	uint64_t	 first, last;
	enum part_state	 state;
	atomic_bool	 dropped;	/* nobody takes it any more */
	struct readies	 ready;
	size_t		 bytes;		/* of those */
	struct pb_err	 err;		/* behind them; code 0: none */
};
TAILQ_HEAD(parts, part);

/* Of who takes. */
struct prefetch_input {
	struct parts	 parts;
	unsigned	 count;
	uint64_t	 next_seq;	/* of the part that is planned next */
	bool		 planned;	/* all are, or all before `failed` */
	struct pb_err	 failed;	/* behind them; code 0: none */
	bool		 begun;		/* others are planned beside it */
};

struct thread {
	struct prefetch	*of;
	pthread_t	 id;
	struct part	*part;		/* that it reads */
	struct pb_stop	 stop;
};

struct prefetch {
	struct pb_search *search;
	struct prefetch_input **input;	/* NULL: none of its parts was made */
	struct thread	 thread[THREADS_MAX];
	unsigned	 threads;
	bool		 tried;		/* to start them */
	uint64_t	 began_ns;	/* on the monotonic clock */
	pthread_mutex_t	 lock;
	/* There is something to begin; to take; room. */
	pthread_cond_t	 work, given, room;
	bool		 ending;
	struct parts	 queue;
	unsigned	 queued, parts;
	unsigned	 lead;		/* begun or done, by threads */
	size_t		 bytes;
	struct readies	 spare;
	unsigned	 spares;
	struct pb_explain explain;	/* of threads, not yet told */
};

/* With the lock held.  It is in the queue no more, and who takes it reads it;
 * and a batch that was taken, or that nobody takes, is free for the next. */
void	prefetch_dequeue(struct prefetch *prefetch, struct part *part);
void	prefetch_put_spare(struct prefetch *prefetch, struct ready *ready);

/* The threads; where there is but one processor none, and all parts are read by
 * who takes them. */
void	prefetch_start(struct prefetch *prefetch);

#endif
