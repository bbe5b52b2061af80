/*
 * recorder/port/offers.c - which streams may be pulled, and who waits for more
 *
 * Two locks, never held together: that of the table, while the index is
 * looked at, and that of those who wait.
 */
#include "recorder/port/offers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/sys.h"

#define FILLS_PAGE	64

struct pb_offers {
	struct pb_store	*store;
	struct pb_pulls	*pulls;
	pthread_mutex_t	 lock;		/* of the table */
	struct pb_offers_cursor now;
	uint64_t	 commits;	/* of the index, when last looked at */
	uint64_t	 changes;	/* of the store, likewise */
	struct pb_offer_row *row;	/* by stream */
	size_t		 rows, cap;
	pthread_mutex_t	 wait_lock;
	TAILQ_HEAD(, pb_poll) polls;
	void		(*wake)(void *arg);
	void		*arg;
	_Atomic unsigned waiting;	/* in `polls` */
	_Atomic bool	 heard;		/* of a commit */
	_Atomic bool	 ended;
};

static void	hear(void *);
static void	wake_all(struct pb_offers *);
static int	look(struct pb_offers *, struct pb_index *, struct pb_err *);
static int	keep(struct pb_offers *, const struct pb_stream_info *,
		    struct pb_err *);
static int	look_fills(struct pb_offers *, struct pb_index *,
		    struct pb_err *);
static size_t	place(const struct pb_offers *, uint32_t);

int
pb_offers_create(struct pb_offers **out, struct pb_store *store,
    void (*wake)(void *), void *arg, struct pb_err *err)
{
	struct pb_offers *offers = calloc(1, sizeof(*offers));
	int rc;

	if (offers == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_pulls_create(&offers->pulls, pb_store_path(store), err);
	if (rc < 0) {
		free(offers);
		return rc;
	}
	offers->store = store;
	offers->wake = wake;
	offers->arg = arg;
	offers->commits = UINT64_MAX;
	offers->now.life = pb_random64();
	pthread_mutex_init(&offers->lock, NULL);
	pthread_mutex_init(&offers->wait_lock, NULL);
	TAILQ_INIT(&offers->polls);
	pb_store_hear(store, hear, offers);
	*out = offers;
	return 0;
}

void
pb_offers_destroy(struct pb_offers *offers)
{
	if (offers == NULL)
		return;
	pb_store_hear(offers->store, NULL, NULL);
	pb_pulls_destroy(offers->pulls);
	pthread_mutex_destroy(&offers->lock);
	pthread_mutex_destroy(&offers->wait_lock);
	free(offers->row);
	free(offers);
}

struct pb_pulls *
pb_offers_pulls(struct pb_offers *offers)
{
	return offers->pulls;
}

/* --- who waits ------------------------------------------------------------ */

/* On the writer's thread, mostly.  Who comes to wait after this look sees what
 * was committed before it. */
static void
hear(void *arg)
{
	struct pb_offers *offers = arg;

	if (atomic_load(&offers->waiting) == 0)
		return;
	atomic_store(&offers->heard, true);
	offers->wake(offers->arg);
}

void
pb_offers_again(struct pb_offers *offers)
{
	hear(offers);
}

void
pb_offers_turn(struct pb_offers *offers)
{
	if (atomic_exchange(&offers->heard, false))
		wake_all(offers);
}

void
pb_offers_end(struct pb_offers *offers)
{
	atomic_store(&offers->ended, true);
	wake_all(offers);
}

bool
pb_offers_ended(const struct pb_offers *offers)
{
	return atomic_load(&offers->ended);
}

void
pb_offers_wait(struct pb_offers *offers, struct pb_poll *poll,
    struct pb_reading *reading)
{
	pthread_mutex_lock(&offers->wait_lock);
	poll->reading = reading;
	TAILQ_INSERT_TAIL(&offers->polls, poll, link);
	atomic_fetch_add(&offers->waiting, 1);
	pthread_mutex_unlock(&offers->wait_lock);
}

void
pb_offers_leave(struct pb_offers *offers, struct pb_poll *poll)
{
	pthread_mutex_lock(&offers->wait_lock);
	if (poll->reading != NULL) {
		TAILQ_REMOVE(&offers->polls, poll, link);
		atomic_fetch_sub(&offers->waiting, 1);
	}
	poll->reading = NULL;
	pthread_mutex_unlock(&offers->wait_lock);
}

/* There are few: PB_HELD_ANSWERS_MAX. */
static void
wake_all(struct pb_offers *offers)
{
	struct pb_poll *poll;

	pthread_mutex_lock(&offers->wait_lock);
	TAILQ_FOREACH(poll, &offers->polls, link)
		pb_reading_wake(poll->reading);
	pthread_mutex_unlock(&offers->wait_lock);
}

/* --- streams -------------------------------------------------------------- */

int
pb_offers_look(struct pb_offers *offers, struct pb_offers_cursor *now,
    struct pb_err *err)
{
	struct pb_index *index;
	int rc = PB_ESYS;

	pthread_mutex_lock(&offers->lock);
	index = pb_store_hold(offers->store, err);
	if (index != NULL) {
		rc = look(offers, index, err);
		pb_store_let_go(offers->store);
	}
	*now = offers->now;
	pthread_mutex_unlock(&offers->lock);
	return rc;
}

bool
pb_offers_next(struct pb_offers *offers, uint32_t stream, uint64_t since,
    uint64_t until, struct pb_offer_row *out)
{
	bool found = false;

	pthread_mutex_lock(&offers->lock);
	for (size_t at = place(offers, stream + 1); at < offers->rows && !found;
	    at++) {
		*out = offers->row[at];
		found = out->serial > since && out->serial <= until;
	}
	pthread_mutex_unlock(&offers->lock);
	return found;
}

bool
pb_offers_find(struct pb_offers *offers, uint32_t stream,
    struct pb_offer_row *out)
{
	size_t at;
	bool found;

	pthread_mutex_lock(&offers->lock);
	at = place(offers, stream);
	found = at < offers->rows && offers->row[at].stream == stream;
	if (found)
		*out = offers->row[at];
	pthread_mutex_unlock(&offers->lock);
	return found;
}

void
pb_offers_renew(struct pb_offers *offers)
{
	pthread_mutex_lock(&offers->lock);
	offers->now.life = pb_random64();
	pthread_mutex_unlock(&offers->lock);
	hear(offers);
}

/* Another store has other numbers for its streams, and other fills. */
static int
look(struct pb_offers *offers, struct pb_index *index, struct pb_err *err)
{
	uint64_t changes = pb_store_changes(offers->store);
	uint64_t commits = pb_index_commits(index);
	const struct pb_stream_info *stream;
	struct pb_rows rows;
	int rc = 0;

	if (changes != offers->changes) {
		offers->rows = 0;
		offers->commits = UINT64_MAX;
		offers->now = (struct pb_offers_cursor){
		    .life = pb_random64() };
	}
	offers->changes = changes;
	if (commits == offers->commits)
		return 0;
	pb_rows_all(&rows, index, PB_TABLE_STREAMS, NULL, err);
	while (rc == 0 && (stream = pb_rows_next(&rows)) != NULL)
		rc = keep(offers, stream, err);
	if (rc == 0)
		rc = rows.rc;
	if (rc == 0)
		rc = look_fills(offers, index, err);
	if (rc == 0)
		offers->commits = commits;
	return rc;
}

static int
keep(struct pb_offers *offers, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	size_t at = place(offers, stream->id);
	struct pb_offer_row *row;

	if (at == offers->rows || offers->row[at].stream != stream->id) {
		if (!PB_LIST_ROOM(offers->row, offers->cap, offers->rows))
			return pb_err_set(err, PB_ENOMEM, "no memory");
		row = &offers->row[at];
		memmove(row + 1, row, (offers->rows++ - at) * sizeof(*row));
		*row = (struct pb_offer_row){ .stream = stream->id,
		    .key = stream->key, .linktype = stream->linktype,
		    .durable = UINT64_MAX };
	}
	row = &offers->row[at];
	row->first = stream->first_seq;
	if (row->durable == stream->last_seq)
		return 0;
	row->durable = stream->last_seq;
	row->serial = ++offers->now.serial;
	return 0;
}

/* The number of the last one. */
static int
look_fills(struct pb_offers *offers, struct pb_index *index,
    struct pb_err *err)
{
	struct pb_fill_info fill[FILLS_PAGE];
	int count;

	do {
		fill[0].number = offers->now.fill;
		count = pb_index_rows(index, PB_TABLE_FILLS, &fill[0], fill,
		    FILLS_PAGE, err);
		if (count > 0)
			offers->now.fill = fill[count - 1].number;
	} while (count == FILLS_PAGE);
	return count < 0 ? count : 0;
}

/* Where the stream is, or would be. */
static size_t
place(const struct pb_offers *offers, uint32_t id)
{
	return PB_LIST_PLACE(offers->row, offers->rows, stream, id);
}
