/*
 * shipper/feed/maker.c - makes the bodies of requests, off the loop
 *
 *	loop: make ──► wanted ──► thread: reads, looks, packs
 *	                            │
 *	loop: collect ◄── made ◄────┘  eventfd
 *
 * One lock around the two queues and the state of each parcel; never held
 * while a parcel is worked on.  Limit: what callers give, which is one
 * parcel a request that may be under way.
 */
#include "shipper/feed/maker.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/zip.h"

/* zstd promises at most 1/256 and 64 bytes more than it was given. */
#define ZIP_BYTES_MAX	(PB_SECTION_BYTES_MAX + PB_SECTION_BYTES_MAX / 64 + \
			4096u)

STAILQ_HEAD(parcels, pb_parcel);

struct pb_maker {
	char		 store[PATH_MAX];
	int		 fd;		/* eventfd: how many were made */
	pthread_t	 thread;
	pthread_mutex_t	 lock;		/* of all below */
	pthread_cond_t	 wake;		/* something is wanted, or the end */
	pthread_cond_t	 idle;		/* `busy` is NULL again */
	struct parcels	 wanted, made;
	struct pb_parcel *busy;		/* the one that is being made */
	bool		 ends;
};

static void	*maker_main(void *);
static void	make(const struct pb_maker *, struct pb_parcel *);
static void	pack(struct pb_parcel *);
static void	tell(struct pb_maker *);

int
pb_maker_create(struct pb_maker **out, const char *store, struct pb_err *err)
{
	struct pb_maker *maker = calloc(1, sizeof(*maker));
	int rc;

	*out = NULL;
	if (maker == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	snprintf(maker->store, sizeof(maker->store), "%s", store);
	STAILQ_INIT(&maker->wanted);
	STAILQ_INIT(&maker->made);
	maker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (maker->fd < 0) {
		rc = pb_err_sys(err, "eventfd");
		free(maker);
		return rc;
	}
	pthread_mutex_init(&maker->lock, NULL);
	pthread_cond_init(&maker->wake, NULL);
	pthread_cond_init(&maker->idle, NULL);
	errno = pthread_create(&maker->thread, NULL, maker_main, maker);
	if (errno != 0) {
		rc = pb_err_sys(err, "start a thread");
		close(maker->fd);
		free(maker);
		return rc;
	}
	*out = maker;
	return 0;
}

void
pb_maker_destroy(struct pb_maker *maker)
{
	if (maker == NULL)
		return;
	pthread_mutex_lock(&maker->lock);
	maker->ends = true;
	pthread_cond_signal(&maker->wake);
	pthread_mutex_unlock(&maker->lock);
	pthread_join(maker->thread, NULL);
	pthread_cond_destroy(&maker->wake);
	pthread_cond_destroy(&maker->idle);
	pthread_mutex_destroy(&maker->lock);
	close(maker->fd);
	free(maker);
}

void
pb_maker_make(struct pb_maker *maker, struct pb_parcel *parcel)
{
	pthread_mutex_lock(&maker->lock);
	parcel->state = PB_PARCEL_WAITS;
	STAILQ_INSERT_TAIL(&maker->wanted, parcel, link);
	pthread_cond_signal(&maker->wake);
	pthread_mutex_unlock(&maker->lock);
}

void
pb_maker_cancel(struct pb_maker *maker, struct pb_parcel *parcel)
{
	pthread_mutex_lock(&maker->lock);
	while (maker->busy == parcel)
		pthread_cond_wait(&maker->idle, &maker->lock);
	if (parcel->state == PB_PARCEL_WAITS)
		STAILQ_REMOVE(&maker->wanted, parcel, pb_parcel, link);
	else if (parcel->state == PB_PARCEL_MADE)
		STAILQ_REMOVE(&maker->made, parcel, pb_parcel, link);
	parcel->state = PB_PARCEL_IDLE;
	pthread_mutex_unlock(&maker->lock);
}

int
pb_maker_fd(const struct pb_maker *maker)
{
	return maker->fd;
}

void
pb_maker_collect(struct pb_maker *maker)
{
	struct pb_parcel *parcel;
	uint64_t count;

	/* Before the look: what is made after it makes it readable again. */
	if (read(maker->fd, &count, sizeof(count)) < 0)
		return;
	for (;;) {
		pthread_mutex_lock(&maker->lock);
		parcel = STAILQ_FIRST(&maker->made);
		if (parcel != NULL) {
			STAILQ_REMOVE_HEAD(&maker->made, link);
			parcel->state = PB_PARCEL_IDLE;
		}
		pthread_mutex_unlock(&maker->lock);
		if (parcel == NULL)
			return;
		parcel->done(parcel->arg);
	}
}

void
pb_parcel_finish(struct pb_parcel *parcel)
{
	pb_section_finish(&parcel->section);
	pb_buf_finish(&parcel->zip);
}

static void *
maker_main(void *arg)
{
	struct pb_maker *maker = arg;
	struct pb_parcel *parcel;

	pthread_setname_np(pthread_self(), "bodies");
	pthread_mutex_lock(&maker->lock);
	for (;;) {
		while (!maker->ends && STAILQ_EMPTY(&maker->wanted))
			pthread_cond_wait(&maker->wake, &maker->lock);
		if (maker->ends)
			break;
		parcel = STAILQ_FIRST(&maker->wanted);
		STAILQ_REMOVE_HEAD(&maker->wanted, link);
		maker->busy = parcel;
		pthread_mutex_unlock(&maker->lock);
		make(maker, parcel);
		pthread_mutex_lock(&maker->lock);
		maker->busy = NULL;
		parcel->state = PB_PARCEL_MADE;
		STAILQ_INSERT_TAIL(&maker->made, parcel, link);
		pthread_cond_signal(&maker->idle);
		tell(maker);
	}
	pthread_mutex_unlock(&maker->lock);
	return NULL;
}

static void
make(const struct pb_maker *maker, struct pb_parcel *parcel)
{
	parcel->err.code = 0;
	parcel->packed = false;
	parcel->rc = pb_section_read(&parcel->section, maker->store,
	    &parcel->key, &parcel->piece, parcel->upstream, &parcel->err);
	if (parcel->rc < 0)
		return;
	parcel->data = parcel->section.data;
	parcel->len = parcel->section.len;
	parcel->digest = pb_digest(parcel->data, parcel->len);
	if (!pb_fingerprint_last(parcel->data, parcel->len, &parcel->last))
		parcel->last.seq = 0;
	if (parcel->compress)
		pack(parcel);
}

/* What does not shrink, or cannot be packed for want of memory, goes as it
 * is. */
static void
pack(struct pb_parcel *parcel)
{
	if (parcel->zip.max == 0)
		pb_buf_init(&parcel->zip, ZIP_BYTES_MAX);
	pb_buf_clear(&parcel->zip);
	if (pb_zip_pack(&parcel->zip, parcel->data, parcel->len) < 0 ||
	    parcel->zip.len >= parcel->len)
		return;
	parcel->data = parcel->zip.data;
	parcel->len = parcel->zip.len;
	parcel->packed = true;
}

static void
tell(struct pb_maker *maker)
{
	uint64_t one = 1;

	/* Refused only where it would go past 2^64 - 2: it is readable. */
	if (write(maker->fd, &one, sizeof(one)) < 0)
		return;
}
