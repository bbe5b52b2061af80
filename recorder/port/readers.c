/*
 * recorder/port/readers.c - answers that are made while they are sent
 *
 *	IDLE --next--> WANTED --> MAKING --> MADE --collect--> IDLE
 *	                  ^          |
 *	                  +- wake -- WAITS
 *
 * One lock around the two queues and the state of each answer, never held
 * while one is made.  An answer that was left is dropped by a reader, like
 * everything that may look at a disk.
 */
#include "recorder/port/readers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"

#define READER_NICE	10	/* capture, ingest and the writer go first */

enum reading_state {
	READING_IDLE,
	READING_WANTED,
	READING_MAKING,
	READING_WAITS,
	READING_MADE,
};

struct pb_reading {
	TAILQ_ENTRY(pb_reading) link;
	struct pb_readers *readers;
	struct pb_maker	 maker;
	void		(*ready)(void *arg);
	void		*arg;
	enum reading_state state;
	bool		 begun;
	bool		 woken;		/* while it was being made, or since */
	bool		 left;
	int		 rc;		/* of the last `make` */
	struct pb_err	 err;
	struct pb_buf	 piece;
};

TAILQ_HEAD(readings, pb_reading);

struct pb_readers {
	void		(*wake)(void *arg);
	void		*arg;
	pthread_t	 thread[PB_READERS];
	unsigned	 threads;
	pthread_mutex_t	 lock;		/* of all below, and of states */
	pthread_cond_t	 work;		/* something is wanted, or the end */
	struct readings	 wanted, made;
	unsigned	 looks;		/* at files, just now */
	bool		 ends;
};

static int	start_threads(struct pb_readers *, unsigned, struct pb_err *);
static void	*reader_main(void *);
static bool	make_one(struct pb_readers *);
static struct pb_reading *next_wanted(const struct pb_readers *);
static void	make(struct pb_reading *);
static bool	settle(struct pb_reading *);
static void	go_on(struct pb_reading *);
static void	want(struct pb_reading *);
static void	drop(struct pb_reading *);

int
pb_readers_create(struct pb_readers **out, unsigned threads,
    void (*wake)(void *arg), void *arg, struct pb_err *err)
{
	struct pb_readers *readers = calloc(1, sizeof(*readers));
	int rc;

	if (readers == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	readers->wake = wake;
	readers->arg = arg;
	TAILQ_INIT(&readers->wanted);
	TAILQ_INIT(&readers->made);
	pthread_mutex_init(&readers->lock, NULL);
	pthread_cond_init(&readers->work, NULL);
	rc = start_threads(readers, threads, err);
	if (rc < 0) {
		pb_readers_destroy(readers);
		return rc;
	}
	*out = readers;
	return 0;
}

void
pb_readers_destroy(struct pb_readers *readers)
{
	struct pb_reading *reading;

	if (readers == NULL)
		return;
	pthread_mutex_lock(&readers->lock);
	readers->ends = true;
	pthread_cond_broadcast(&readers->work);
	pthread_mutex_unlock(&readers->lock);
	for (unsigned i = 0; i < readers->threads; i++)
		pthread_join(readers->thread[i], NULL);
	while ((reading = TAILQ_FIRST(&readers->wanted)) != NULL) {
		TAILQ_REMOVE(&readers->wanted, reading, link);
		drop(reading);
	}
	pthread_cond_destroy(&readers->work);
	pthread_mutex_destroy(&readers->lock);
	free(readers);
}

void
pb_readers_collect(struct pb_readers *readers)
{
	struct pb_reading *reading;

	for (;;) {
		pthread_mutex_lock(&readers->lock);
		reading = TAILQ_FIRST(&readers->made);
		if (reading != NULL) {
			TAILQ_REMOVE(&readers->made, reading, link);
			reading->state = READING_IDLE;
		}
		pthread_mutex_unlock(&readers->lock);
		if (reading == NULL)
			return;
		reading->ready(reading->arg);
	}
}

bool
pb_readers_turn(struct pb_readers *readers)
{
	bool made;

	pthread_mutex_lock(&readers->lock);
	made = make_one(readers);
	pthread_mutex_unlock(&readers->lock);
	return made;
}

int
pb_reading_start(struct pb_reading **out, struct pb_readers *readers,
    const struct pb_maker *maker, void (*ready)(void *arg), void *arg,
    struct pb_err *err)
{
	struct pb_reading *reading = calloc(1, sizeof(*reading));

	if (reading == NULL) {
		maker->drop(maker->arg);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	reading->readers = readers;
	reading->maker = *maker;
	reading->ready = ready;
	reading->arg = arg;
	pb_buf_init(&reading->piece, PB_PIECE_BYTES);
	*out = reading;
	pb_reading_next(reading);
	return 0;
}

int
pb_reading_piece(struct pb_reading *reading, struct pb_buf **piece,
    const struct pb_err **err)
{
	*piece = &reading->piece;
	*err = &reading->err;
	return reading->rc;
}

void
pb_reading_next(struct pb_reading *reading)
{
	struct pb_readers *readers = reading->readers;

	pb_buf_clear(&reading->piece);
	pthread_mutex_lock(&readers->lock);
	go_on(reading);
	pthread_mutex_unlock(&readers->lock);
}

bool
pb_reading_give_up(struct pb_reading *reading, int rc, const char *text)
{
	struct pb_readers *readers = reading->readers;
	bool mine;

	pthread_mutex_lock(&readers->lock);
	mine = reading->state == READING_WANTED && !reading->begun;
	if (mine) {
		TAILQ_REMOVE(&readers->wanted, reading, link);
		reading->state = READING_IDLE;
		reading->rc = pb_err_set(&reading->err, rc, "%s", text);
	}
	pthread_mutex_unlock(&readers->lock);
	return mine;
}

void
pb_reading_wake(struct pb_reading *reading)
{
	struct pb_readers *readers = reading->readers;

	pthread_mutex_lock(&readers->lock);
	reading->woken = true;
	if (reading->state == READING_WAITS)
		want(reading);
	pthread_mutex_unlock(&readers->lock);
}

void
pb_reading_leave(struct pb_reading *reading)
{
	struct pb_readers *readers;

	if (reading == NULL)
		return;
	readers = reading->readers;
	pthread_mutex_lock(&readers->lock);
	reading->left = true;
	if (reading->state == READING_MADE)
		TAILQ_REMOVE(&readers->made, reading, link);
	if (reading->state != READING_WANTED &&
	    reading->state != READING_MAKING)
		want(reading);
	pthread_mutex_unlock(&readers->lock);
}

static int
start_threads(struct pb_readers *readers, unsigned threads,
    struct pb_err *err)
{
	int rc = 0;

	while (rc == 0 && readers->threads < threads) {
		rc = pb_thread_start(&readers->thread[readers->threads],
		    "a reader", reader_main, readers, err);
		readers->threads += rc == 0;
	}
	return rc;
}

static void *
reader_main(void *arg)
{
	struct pb_readers *readers = arg;

	pthread_setname_np(pthread_self(), "reader");
	/* Of this thread alone, here. */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), READER_NICE) < 0)
		errno = 0;
	pthread_mutex_lock(&readers->lock);
	while (!readers->ends)
		if (!make_one(readers))
			pthread_cond_wait(&readers->work, &readers->lock);
	pthread_mutex_unlock(&readers->lock);
	return NULL;
}

/* With the lock, which is let go meanwhile. */
static bool
make_one(struct pb_readers *readers)
{
	struct pb_reading *reading = next_wanted(readers);
	bool gone, tell = false, looks;

	if (reading == NULL)
		return false;
	TAILQ_REMOVE(&readers->wanted, reading, link);
	looks = reading->maker.looks;
	readers->looks += looks;
	gone = reading->left;
	if (!gone) {
		reading->state = READING_MAKING;
		reading->begun = true;
		reading->woken = false;
		pthread_mutex_unlock(&readers->lock);
		make(reading);
		pthread_mutex_lock(&readers->lock);
		gone = reading->left;
		tell = !gone && settle(reading);
	}
	pthread_mutex_unlock(&readers->lock);
	if (gone)
		drop(reading);
	if (tell)
		readers->wake(readers->arg);
	pthread_mutex_lock(&readers->lock);
	/* Who was passed over is this thread's to take. */
	readers->looks -= looks;
	return true;
}

/* The first that may have a thread. */
static struct pb_reading *
next_wanted(const struct pb_readers *readers)
{
	struct pb_reading *reading;

	TAILQ_FOREACH(reading, &readers->wanted, link)
		if (!reading->maker.looks || readers->looks < PB_READERS - 1)
			break;
	return reading;
}

static void
make(struct pb_reading *reading)
{
	reading->rc = reading->maker.make(reading->maker.arg, reading,
	    &reading->piece, &reading->err);
	if (reading->rc >= 0 && reading->piece.failed)
		reading->rc = pb_err_set(&reading->err, PB_ENOMEM, "no memory "
		    "for a piece of the answer, or it is too long");
}

/* Is there anything to tell? */
static bool
settle(struct pb_reading *reading)
{
	bool more = reading->rc == PB_MADE_MORE || reading->rc == PB_MADE_WAIT;

	if (more && reading->piece.len == 0) {
		go_on(reading);
		return false;
	}
	reading->state = READING_MADE;
	TAILQ_INSERT_TAIL(&reading->readers->made, reading, link);
	return true;
}

static void
go_on(struct pb_reading *reading)
{
	if (reading->rc == PB_MADE_WAIT && !reading->woken)
		reading->state = READING_WAITS;
	else
		want(reading);
}

static void
want(struct pb_reading *reading)
{
	reading->state = READING_WANTED;
	TAILQ_INSERT_TAIL(&reading->readers->wanted, reading, link);
	pthread_cond_signal(&reading->readers->work);
}

static void
drop(struct pb_reading *reading)
{
	reading->maker.drop(reading->maker.arg);
	pb_buf_finish(&reading->piece);
	free(reading);
}
