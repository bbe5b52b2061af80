/*
 * recorder/store/write/vanish.c - a store that goes while it is written
 *
 *   AT HOME --the path leads elsewhere--> AWAY --a store is there--> AT HOME
 *
 * Away, the store is as good as a failing disk: chunks of ingest are
 * answered with an error, chunks of capture are held, and capture counts.
 * All files of the store that was are closed, and nothing is made at the
 * path: it may be somebody's mount point, or another store by now.  Then the
 * store is opened as at a start: recovery, or a new index in a directory
 * that the operator has made.  The writer's thread does all of it.
 *
 * Streams go on.  One that this node captures keeps its epoch and its
 * numbers, whatever store that is: numbers up to the last durable one that
 * are not there become a gap, committed with the stream's row.  After a crash
 * before that a new store draws a new epoch; an older copy is one that was
 * restored, as its shipper finds out.  One that others send is what the
 * store at the path has of it; they ask, and send from there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "base/sys.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/retain/retain.h"
#include "recorder/store/write/flows.h"

#define LOOK_MS		250u	/* between two looks at the path */
#define FILES_MS	1000u	/* and two at the names of open segments */
#define SETTLED_MS	500u	/* so long a thing is there before it is
				 * taken, */
#define DELETING_MS	3000u	/* so long where a file was deleted: somebody
				 * may be about to delete all of them, */
#define RETRY_MS	1000u	/* after a beginning that failed */
#define ROOM_MS		10000u	/* and so long nothing, where it was deleted:
				 * one may be about to be moved there */

static void	leave(struct pb_store *, const char *);
static void	let_go(struct pb_store *);
static void	drop_segments(struct pb_store *);
static bool	lost_file(const struct pb_store *);
static void	wait_at_path(struct pb_store *, uint64_t);
static bool	is_accepted(const struct pb_store *, uint64_t);
static int	enter(struct pb_store *, struct pb_err *);
static int	settle_streams(struct pb_store *, struct pb_err *);
static int	by_id(const void *, const void *);
static int	settle(struct pb_store *, struct pb_stream *, struct pb_err *);
static void	take_row(struct pb_store *, struct pb_stream *,
		    const struct pb_stream_info *);
static int	carry_on(struct pb_store *, struct pb_stream *,
		    const struct pb_stream_info *, struct pb_err *);
static void	say(struct pb_store *, enum pb_log_level, const char *);

void
store_look(struct pb_store *store)
{
	uint64_t now_ms = store->now.mono_ms;

	if (now_ms < store->look_ms)
		return;
	store->look_ms = now_ms + LOOK_MS;
	if (store->away)
		wait_at_path(store, now_ms);
	else if (store_is_there(store, NULL) && now_ms >= store->files_ms) {
		store->files_ms = now_ms + FILES_MS;
		if (lost_file(store)) {
			store->settle_ms = DELETING_MS;
			leave(store, "lost a file that was being written");
			/* The rest may follow slowly, after this look. */
			store->home.deleted = true;
		}
	}
}

bool
store_is_there(struct pb_store *store, struct pb_err *err)
{
	if (!store->away && !pb_home_same(&store->home)) {
		store->settle_ms = SETTLED_MS;
		leave(store, pb_home_why(&store->home));
	}
	if (store->away)
		pb_err_set(err, PB_ESYS, "%s", store->gone);
	return !store->away;
}

void
pb_store_take(struct pb_store *store)
{
	pthread_mutex_lock(&store->mutex);
	atomic_store(&store->take, true);
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
}

uint64_t
pb_store_changes(const struct pb_store *store)
{
	return atomic_load(&store->changes);
}

/* --- going ---------------------------------------------------------------- */

static void
leave(struct pb_store *store, const char *why)
{
	struct pb_err err;
	char state[PB_ERR_TEXT_MAX + 16];

	snprintf(store->gone, sizeof(store->gone), "the store %.300s %s: "
	    "nothing is written until it is back, or another one is there",
	    store->path, why);
	pb_err_set(&err, PB_ESYS, "%s", store->gone);
	/* Its own line, whatever the disk has been said to do. */
	store->failing = true;
	atomic_fetch_add(&store->changes, 1);
	pb_log(PB_LOG_ERROR, "store", "cannot write: %s; SIGHUP begins anew "
	    "with whatever is at the path", store->gone);
	batch_note_failure(store, &err);
	while (!LIST_EMPTY(&store->dirty))
		batch_roll_back(store, LIST_FIRST(&store->dirty), PB_ESYS,
		    &err);
	store->flush_ms = NEVER_MS;
	store->written_bytes = 0;
	drop_segments(store);
	let_go(store);
	atomic_store(&store->take, false);
	pthread_mutex_lock(&store->mutex);
	store->stats.away = true;
	pthread_mutex_unlock(&store->mutex);
	store->away = true;
	store->offer = PB_HOME_NOTHING;
	store->offered_ms = store->now.mono_ms;
	store->said[0] = '\0';
	snprintf(state, sizeof(state), "STATUS=%s", store->gone);
	pb_notify(state);
}

/* Nothing of it stays open, and nothing is made below it. */
static void
let_go(struct pb_store *store)
{
	store_close_parts(store);
	if (store->held)
		pb_below_park(store->path);
}

/* They end at the last commit; whoever opens that store seals them. */
static void
drop_segments(struct pb_store *store)
{
	struct pb_stream *stream;

	while ((stream = LIST_FIRST(&store->open)) != NULL) {
		LIST_REMOVE(stream, open_link);
		flows_drop(stream);
		pb_segment_destroy(stream->segment);
		stream->segment = NULL;
		stream->sealing = false;
	}
}

/*
 * Packets must not go on into a file that has no name: recovery finds that
 * it is missing, and writes down what was in it.  One without packets is
 * taken away by ourselves.
 */
static bool
lost_file(const struct pb_store *store)
{
	const struct pb_stream *s;

	LIST_FOREACH(s, &store->open, open_link)
		if (!pb_segment_empty(pb_segment_row(s->segment)) &&
		    !pb_segment_has_name(s->segment))
			return true;
	return false;
}

/* --- waiting -------------------------------------------------------------- */

static void
wait_at_path(struct pb_store *store, uint64_t now_ms)
{
	enum pb_home_offer offer = pb_home_offer(&store->home);
	bool deleted = store->home.deleted;
	char text[PB_ERR_TEXT_MAX];
	struct pb_err err;

	if (offer != store->offer) {
		store->offer = offer;
		store->offered_ms = now_ms;
	}
	if (!is_accepted(store, now_ms)) {
		/* That nothing is there has been said. */
		if (offer != PB_HOME_OTHER)
			return;
		snprintf(text, sizeof(text), "waiting for the store %.300s: "
		    "%s, not empty or of another device; send SIGHUP to begin "
		    "anew there", store->path, pb_home_offer_text(offer));
		say(store, PB_LOG_WARN, text);
		return;
	}
	if (atomic_load(&store->ends) || enter(store, &err) == 0)
		return;
	pb_home_keep_trying(&store->home);
	let_go(store);
	/* What was begun may have been half of what is being deleted. */
	store->home.deleted |= deleted;
	store->look_ms = now_ms + RETRY_MS;
	snprintf(text, sizeof(text), "cannot begin anew: %.400s", err.text);
	say(store, PB_LOG_ERROR, text);
}

static bool
is_accepted(const struct pb_store *store, uint64_t now_ms)
{
	uint64_t since_ms = now_ms - store->offered_ms;

	if (atomic_load(&store->take))
		return true;
	if (store->offer == PB_HOME_ROOM)
		return since_ms >= ROOM_MS;
	return (store->offer == PB_HOME_STORE ||
	    store->offer == PB_HOME_EMPTY) && since_ms >= store->settle_ms;
}

/* A trouble that stays is told once. */
static void
say(struct pb_store *store, enum pb_log_level level, const char *text)
{
	if (strcmp(store->said, text) == 0)
		return;
	snprintf(store->said, sizeof(store->said), "%s", text);
	pthread_mutex_lock(&store->mutex);
	strcpy(store->stats.last_error, store->said);
	pthread_mutex_unlock(&store->mutex);
	pb_log(level, "store", "%s", text);
}

/* --- beginning anew ------------------------------------------------------- */

static int
enter(struct pb_store *store, struct pb_err *err)
{
	dev_t dev = store->home.dev;
	ino_t ino = store->home.ino;
	bool found = store->offer == PB_HOME_STORE, same;
	int rc = store_open_parts(store, err);

	same = store->home.dev == dev && store->home.ino == ino;
	if (rc == 0)
		rc = settle_streams(store, err);
	if (rc < 0)
		return rc;
	store_is_ready(store);
	store->away = false;
	batch_note_success(store);
	atomic_store(&store->take, false);
	pthread_mutex_lock(&store->mutex);
	store->stats.away = false;
	store->stats.returns++;
	pthread_mutex_unlock(&store->mutex);
	pb_log(PB_LOG_INFO, "store", "begins anew: %s store=%s", found && same ?
	    "the same store is back" : found ? "another store is there" :
	    "a new store is made", store->path);
	pb_notify("STATUS=");
	return 0;
}

/*
 * What memory has of streams, and what the store at the path has.  In the
 * order of their ids: the epoch with the highest one is gone on with.
 */
static int
settle_streams(struct pb_store *store, struct pb_err *err)
{
	struct pb_stream **all;
	size_t count = 0;
	int rc = 0;

	pthread_mutex_lock(&store->mutex);
	all = calloc(store->streams + 1, sizeof(*all));
	for (size_t i = 0; i < STREAM_SLOTS && all != NULL; i++)
		if (store->slots[i] != NULL)
			all[count++] = store->slots[i];
	pthread_mutex_unlock(&store->mutex);
	if (all == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	qsort(all, count, sizeof(*all), by_id);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = settle(store, all[i], err);
	free(all);
	return rc;
}

/* One without a row comes last: it gets its id when it is written. */
static int
by_id(const void *a, const void *b)
{
	const struct pb_stream *const *x = a, *const *y = b;
	uint32_t id = (*x)->info.id - 1, other = (*y)->info.id - 1;

	return (id > other) - (id < other);
}

static int
settle(struct pb_store *store, struct pb_stream *stream, struct pb_err *err)
{
	const struct pb_stream_info *have = &stream->committed;
	struct pb_stream_info row;
	int rc = pb_index_stream(store->index, &have->key, &row, err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		row = (struct pb_stream_info){ .key = have->key,
		    .linktype = have->linktype, .snaplen = have->snaplen,
		    .own = have->own, .created_ns = store->now.real_ns };
	} else if (row.linktype != have->linktype || (have->own &&
	    row.last_seq > have->last_seq)) {
		return pb_err_set(err, PB_EBUSY, "stream %s/%s at %.200s has "
		    "been written by another recorder since, or by a commit "
		    "that failed; restart pb-recorder to go on with it",
		    have->key.node, have->key.interface, store->path);
	}
	if (have->own && row.last_seq < have->last_seq)
		return carry_on(store, stream, &row, err);
	take_row(store, stream, &row);
	return 0;
}

static void
take_row(struct pb_store *store, struct pb_stream *stream,
    const struct pb_stream_info *row)
{
	copy_counters(&stream->info, row);
	copy_counters(&stream->committed, row);
	stream->info.id = stream->committed.id = row->id;
	stream->end = row->last_seq;
	stream->opens = 0;
	stream->journal_due = 0;
	pthread_mutex_lock(&store->mutex);
	stream->info.created_ns = stream->committed.created_ns =
	    row->created_ns;
	atomic_store(&stream->id, row->id);
	atomic_store(&stream->durable, row->last_seq);
	/* Capture has given numbers to what is held. */
	if (!stream->info.own)
		atomic_store(&stream->next, row->last_seq + 1);
	pthread_mutex_unlock(&store->mutex);
}

/*
 * The store that was had numbers up to `committed`, and they may be at an
 * upstream: they are a gap here.  Row and gap are one commit.
 */
static int
carry_on(struct pb_store *store, struct pb_stream *stream,
    const struct pb_stream_info *row, struct pb_err *err)
{
	struct pb_stream_info info = *row;
	struct pb_gap_info gap = {
		.first = row->last_seq + 1,
		.last = stream->committed.last_seq,
		.reason = PB_GAP_DAMAGED,
		.since_ns = store->now.real_ns,
	};
	struct pb_mdb_txn txn;
	struct pb_fact fact[2];
	int rc;

	if (info.id == 0)
		info.id = store->last_id + 1;
	info.last_seq = gap.last;
	gap.stream = info.id;
	fact[0] = pb_fact_of_stream(&info);
	fact[1] = (struct pb_fact){ .kind = PB_FACT_GAP, .first = gap.first,
	    .last = gap.last, .reason = gap.reason,
	    .time_ns = gap.since_ns };
	rc = pb_journal_append(store->path, &info.key, fact, 2, err);
	if (rc == 0)
		rc = pb_index_begin(store->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_put_stream(&txn, &info);
	if (row->id == 0)
		pb_index_meta_put(&txn, "last_stream", info.id);
	pb_index_add_gap(&txn, &gap);
	rc = pb_mdb_commit(&txn);
	if (rc < 0)
		return rc;
	if (row->id == 0)
		store->last_id = info.id;
	take_row(store, stream, &info);
	pb_log(PB_LOG_WARN, "store", "what the store before had is a gap "
	    "in this one stream=%s/%s first=%llu last=%llu",
	    info.key.node, info.key.interface, (unsigned long long)gap.first,
	    (unsigned long long)gap.last);
	return 0;
}
