/*
 * recorder/store/write/store.c - the store, as producers of packets see it
 *
 * Owns the table of streams and the queue to the writer.  All of it is
 * short work under one mutex; nothing here touches a packet.
 */
#include "recorder/store/write/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/read/peek.h"
#include "recorder/store/write/store_impl.h"
#include "recorder/store/strangers.h"

#define TELL_MS		5000	/* between two lines of a long work */

static int	explain_index(struct pb_store *, struct pb_err *);
static int	start_writer(struct pb_store *, struct pb_err *);
static int	hold_directory(struct pb_store *, struct pb_err *);
static int	rebuild_if_needed(struct pb_store *, struct pb_err *);
static bool	rebuilding(void *, uint64_t, uint64_t, uint64_t);
static int	load_numbers(struct pb_store *, struct pb_err *);
static void	destroy(struct pb_store *);
static struct pb_index *hold_index(struct pb_store *, struct pb_err *);
static void	let_index_go(struct pb_store *);
static int	newest_own(struct pb_index *, const struct pb_stream_key *,
		    uint16_t, uint32_t, uint32_t *, uint64_t *,
		    struct pb_err *);
static int	open_gaps(struct pb_index *, uint32_t, uint64_t, uint64_t,
		    struct pb_gap_info *, size_t, struct pb_err *);
static size_t	slot_of(struct pb_store *, const struct pb_stream_key *);
static int	stream_add(struct pb_store *, const struct pb_stream_info *,
		    struct pb_stream **, struct pb_err *);
static int	stream_get(struct pb_store *, const struct pb_stream_key *,
		    struct pb_stream **, struct pb_err *);
static void	own_in_memory(struct pb_store *, const struct pb_stream_key *,
		    uint16_t, uint32_t, uint32_t, uint64_t *);
static int	check_order(const struct pb_chunk *, struct pb_err *);

int
pb_store_open(struct pb_store **out, const struct pb_store_opts *opts,
    struct pb_err *err)
{
	struct pb_store *store;
	pthread_condattr_t wake;
	int rc;

	if (strlen(opts->path) >= sizeof(store->path))
		return pb_err_set(err, PB_ELIMIT, "the store's path is too "
		    "long");
	store = calloc(1, sizeof(*store));
	if (store == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	store->opts = *opts;
	store->lock_fd = -1;
	store->queue_due_ms = store->sleeps_ms = store->flush_ms = NEVER_MS;
	strcpy(store->path, opts->path);
	store->opts.path = store->path;
	/* Retention has a copy of its own. */
	store->opts.retain.upstream = NULL;
	pthread_mutex_init(&store->mutex, NULL);
	pthread_rwlock_init(&store->index_lock, NULL);
	/* A wall clock that is set back must not keep the writer asleep. */
	pthread_condattr_init(&wake);
	pthread_condattr_setclock(&wake, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &wake);
	pthread_condattr_destroy(&wake);
	rc = pb_home_init(&store->home, store->path, PB_HOME_INDEX, err);
	if (rc == 0)
		rc = pb_retain_create(&store->retain, store->path,
		    &opts->retain, err);
	if (rc == 0)
		rc = start_writer(store, err);
	if (rc < 0) {
		destroy(store);
		return rc;
	}
	*out = store;
	return 0;
}

void
pb_store_ends(struct pb_store *store)
{
	if (store != NULL)
		atomic_store(&store->ends, true);
}

void
pb_store_close(struct pb_store *store)
{
	if (store == NULL)
		return;
	pb_store_ends(store);
	pthread_mutex_lock(&store->mutex);
	store->stop = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
	pthread_join(store->writer, NULL);
	destroy(store);
}

struct pb_index *
pb_store_index(struct pb_store *store)
{
	return store->index;
}

int
pb_store_stream(struct pb_store *store, const struct pb_stream_key *key,
    uint16_t linktype, uint32_t snaplen, bool own, struct pb_stream **out,
    struct pb_err *err)
{
	struct pb_stream_info info;
	int rc;

	pthread_mutex_lock(&store->mutex);
	rc = stream_get(store, key, out, err);
	if (rc == 0) {
		memset(&info, 0, sizeof(info));
		info.key = *key;
		info.linktype = linktype;
		info.snaplen = snaplen;
		info.own = own;
		info.created_ns = pb_clock_real_ns();
		rc = stream_add(store, &info, out, err);
	} else if (rc == 1) {
		rc = 0;
		if ((*out)->info.linktype != linktype)
			rc = pb_err_set(err, PB_EINVAL, "stream %s/%s has "
			    "link type %u, not %u: a stream has one", key->node,
			    key->interface, (*out)->info.linktype, linktype);
	}
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

int
pb_store_stream_find(struct pb_store *store, const struct pb_stream_key *key,
    struct pb_stream **out, struct pb_err *err)
{
	int rc;

	*out = NULL;
	pthread_mutex_lock(&store->mutex);
	rc = stream_get(store, key, out, err);
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

int
pb_store_own_epoch(struct pb_store *store, const char *node,
    const char *interface, uint16_t linktype, uint32_t snaplen,
    uint64_t *epoch, struct pb_err *err)
{
	struct pb_index *index = hold_index(store, err);
	struct pb_stream_key name = { .epoch = 0 };
	uint32_t newest = 0;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	*epoch = 0;
	strncpy(name.node, node, sizeof(name.node) - 1);
	strncpy(name.interface, interface, sizeof(name.interface) - 1);
	rc = newest_own(index, &name, linktype, snaplen, &newest, epoch, err);
	let_index_go(store);
	if (rc < 0)
		return rc;
	own_in_memory(store, &name, linktype, snaplen, newest, epoch);
	if (*epoch == 0)
		*epoch = pb_random64();
	return 0;
}

static int
newest_own(struct pb_index *index, const struct pb_stream_key *name,
    uint16_t linktype, uint32_t snaplen, uint32_t *newest, uint64_t *epoch,
    struct pb_err *err)
{
	const struct pb_stream_info *row;
	struct pb_rows rows;

	pb_rows_streams(&rows, index, name, err);
	while ((row = pb_rows_next(&rows)) != NULL &&
	    strcmp(row->key.node, name->node) == 0 &&
	    strcmp(row->key.interface, name->interface) == 0)
		if (row->own && row->id >= *newest) {
			*newest = row->id;
			*epoch = row->linktype == linktype &&
			    row->snaplen == snaplen ? row->key.epoch : 0;
		}
	return rows.rc;
}

/* A stream of ours that has no row yet: its first chunk is on the way. */
static void
own_in_memory(struct pb_store *store, const struct pb_stream_key *name,
    uint16_t linktype, uint32_t snaplen, uint32_t newest, uint64_t *epoch)
{
	pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; i < STREAM_SLOTS; i++) {
		const struct pb_stream_info *info;
		uint32_t id;

		if (store->slots[i] == NULL)
			continue;
		info = &store->slots[i]->info;
		/* Ids are given in turn, when there is something to write. */
		id = atomic_load(&store->slots[i]->id);
		if (id == 0)
			id = UINT32_MAX;
		if (!info->own || id < newest ||
		    strcmp(info->key.node, name->node) != 0 ||
		    strcmp(info->key.interface, name->interface) != 0)
			continue;
		newest = id;
		*epoch = info->linktype == linktype &&
		    info->snaplen == snaplen ? info->key.epoch : 0;
	}
	pthread_mutex_unlock(&store->mutex);
}

uint64_t
pb_stream_next(const struct pb_stream *stream)
{
	return atomic_load(&stream->next);
}

uint64_t
pb_stream_durable(const struct pb_stream *stream)
{
	return atomic_load(&stream->durable);
}

bool
pb_stream_own(const struct pb_stream *stream)
{
	return stream->info.own;
}

const struct pb_stream_key *
pb_stream_key(const struct pb_stream *stream)
{
	return &stream->info.key;
}

int
pb_store_last(struct pb_store *store, const struct pb_stream *stream,
    uint64_t at, bool checked, struct pb_fingerprint *out,
    struct pb_err *err)
{
	struct pb_index *index = hold_index(store, err);
	uint32_t id;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	id = atomic_load(&stream->id);	/* as this index has it */
	rc = id == 0 ? 0 : pb_peek_below(index, store->path,
	    &stream->info.key, id, at, checked, out, err);
	let_index_go(store);
	return rc;
}

int
pb_store_gaps(struct pb_store *store, const struct pb_stream *stream,
    uint64_t first, uint64_t last, struct pb_gap_info *out, size_t max,
    struct pb_err *err)
{
	struct pb_index *index = hold_index(store, err);
	uint32_t id;
	int n;

	if (index == NULL)
		return PB_ESYS;
	id = atomic_load(&stream->id);	/* as this index has it */
	n = id == 0 ? 0 : open_gaps(index, id, first, last, out, max, err);
	let_index_go(store);
	return n;
}

static int
open_gaps(struct pb_index *index, uint32_t id, uint64_t first, uint64_t last,
    struct pb_gap_info *out, size_t max, struct pb_err *err)
{
	const struct pb_gap_info *row;
	struct pb_rows rows;
	size_t count = 0;

	pb_rows_gaps(&rows, index, id, first, err);
	while (count < max && (row = pb_rows_next(&rows)) != NULL &&
	    row->first <= last)
		if (row->closed_ns == 0)
			out[count++] = *row;
	return rows.rc < 0 ? rows.rc : (int)count;
}

uint64_t
pb_store_take_numbers(struct pb_store *store, uint64_t count)
{
	return atomic_fetch_add(&store->numbers, count);
}

int
pb_store_submit(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&store->mutex);
	if (store->queued >= PB_QUEUE_CHUNKS_MAX)
		rc = pb_err_set(err, PB_EBUSY, "the writer has %u chunks "
		    "waiting", PB_QUEUE_CHUNKS_MAX);
	else
		rc = check_order(chunk, err);
	if (rc == 0) {
		if (chunk->first_seq == atomic_load(&chunk->stream->next))
			atomic_store(&chunk->stream->next,
			    chunk->last_seq + 1);
		chunk_push(&store->queue, chunk);
		store->queued++;
		store->queued_bytes += chunk->len;
		if (chunk->due_ms < store->queue_due_ms)
			store->queue_due_ms = chunk->due_ms;
		if (chunk->due_ms < store->sleeps_ms ||
		    store->queued_bytes >= PB_GATHER_BYTES)
			pthread_cond_signal(&store->wake);
	}
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

void
pb_store_stats(struct pb_store *store, struct pb_store_stats *out)
{
	pthread_mutex_lock(&store->mutex);
	*out = store->stats;
	pthread_mutex_unlock(&store->mutex);
}

int
pb_store_retain(struct pb_store *store, const struct pb_retain_opts *opts,
    struct pb_err *err)
{
	int rc = pb_retain_set(store->retain, opts, err);

	pthread_mutex_lock(&store->mutex);
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

int
pb_store_resize(struct pb_store *store, uint64_t index_size,
    struct pb_err *err)
{
	int rc = 0;

	pthread_rwlock_wrlock(&store->index_lock);
	if (store->index != NULL)
		rc = pb_index_resize(store->index, index_size, err);
	if (rc == 0)
		store->opts.index_size = index_size;
	pthread_rwlock_unlock(&store->index_lock);
	return rc;
}

void
pb_store_retain_stats(struct pb_store *store, struct pb_retain_stats *out)
{
	pb_retain_stats(store->retain, out);
}

struct pb_stream *
stream_in_memory(struct pb_store *store, const struct pb_stream_key *key)
{
	struct pb_stream *stream;

	pthread_mutex_lock(&store->mutex);
	stream = store->slots[slot_of(store, key)];
	pthread_mutex_unlock(&store->mutex);
	return stream;
}

void
chunk_push(struct chunk_list *list, struct pb_chunk *chunk)
{
	chunk->next = NULL;
	if (list->tail == NULL)
		list->head = chunk;
	else
		list->tail->next = chunk;
	list->tail = chunk;
}

struct pb_chunk *
chunk_pop(struct chunk_list *list)
{
	struct pb_chunk *chunk = list->head;

	if (chunk == NULL)
		return NULL;
	list->head = chunk->next;
	if (list->head == NULL)
		list->tail = NULL;
	chunk->next = NULL;
	return chunk;
}

static int
start_writer(struct pb_store *store, struct pb_err *err)
{
	int rc;

	store->slots = calloc(STREAM_SLOTS, sizeof(*store->slots));
	if (store->slots == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = store_open_parts(store, err);
	if (rc < 0)
		return rc;
	store_is_ready(store);
	if (pthread_create(&store->writer, NULL, pb_writer_main, store) != 0)
		return pb_err_set(err, PB_ESYS, "cannot start the writer "
		    "thread");
	store->writer_runs = true;
	return 0;
}

/* Whose it is, where that is why. */
static int
explain_index(struct pb_store *store, struct pb_err *err)
{
	static const char *const names[] = { "index/data.mdb",
	    "index/lock.mdb" };
	size_t said = strlen(err->text);
	char path[PATH_MAX];

	for (size_t i = 0; i < 2 && strlen(err->text) == said; i++)
		if (pb_layout_path(path, store->path, names[i], NULL) == 0)
			pb_owner_explain(store->path, path, err);
	return err->code;
}

int
store_open_parts(struct pb_store *store, struct pb_err *err)
{
	struct pb_index *index = NULL;
	uint64_t size;
	int rc = hold_directory(store, err);

	if (rc == 0)
		rc = pb_lock_take(&store->lock_fd, store->path,
		    "recorder.lock", "pb-recorder", err);
	if (rc == 0 && store->opts.brief)
		pb_lock_brief(store->lock_fd);
	if (rc == 0)
		rc = rebuild_if_needed(store, err);
	pthread_rwlock_rdlock(&store->index_lock);
	size = store->opts.index_size;
	pthread_rwlock_unlock(&store->index_lock);
	if (rc == 0)
		rc = pb_index_open_write(&index, store->path, size, err);
	if (rc < 0)
		return explain_index(store, err);
	pthread_rwlock_wrlock(&store->index_lock);
	store->index = index;
	/* It may have been told to grow since. */
	if (store->opts.index_size != size)
		rc = pb_index_resize(index, store->opts.index_size, err);
	pthread_rwlock_unlock(&store->index_lock);
	if (rc < 0)
		return rc;
	pb_strangers_say(store->path);
	rc = pb_home_enter(&store->home, err);
	if (rc == 0)
		rc = load_numbers(store, err);
	return rc < 0 ? rc : pb_store_recover(store, err);
}

/* One that has vanished is made again, and held in the place of what was;
 * what leads to it is not ours any more. */
static int
hold_directory(struct pb_store *store, struct pb_err *err)
{
	int rc;

	if (store->held) {
		if (mkdir(store->path, 0750) < 0 && errno != EEXIST)
			return pb_err_sys(err, "make directory %s",
			    store->path);
		rc = pb_below_renew(store->path, err);
	} else {
		rc = pb_mkdirs(store->path, err);
		if (rc == 0)
			rc = pb_below_hold(store->path, err);
		store->held = rc == 0;
	}
	return rc < 0 ? rc : pb_owner_safe(store->path, err);
}

void
store_is_ready(struct pb_store *store)
{
	pthread_rwlock_wrlock(&store->index_lock);
	atomic_fetch_add(&store->changes, 1);
	store->ready = true;
	pthread_rwlock_unlock(&store->index_lock);
}

void
store_close_parts(struct pb_store *store)
{
	pthread_rwlock_wrlock(&store->index_lock);
	pb_index_close(store->index);
	store->index = NULL;
	store->ready = false;
	pthread_rwlock_unlock(&store->index_lock);
	pb_retain_leave(store->retain);
	pb_home_leave(&store->home);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	store->lock_fd = -1;
}

/* Files without an index that finds them: it is made again first.  A new
 * one would know nothing of them, and give their names a second time. */
static int
rebuild_if_needed(struct pb_store *store, struct pb_err *err)
{
	struct pb_rebuild_opts opts = { .store = store->path,
	    .index_size = store->opts.index_size, .pen = store->opts.pen,
	    .progress = rebuilding, .arg = store };
	struct pb_rebuild_sum sum;
	int rc = pb_rebuild_needed(store->path, err);

	if (rc != PB_EFORMAT)
		return rc < 0 ? rc : 0;
	pb_log(PB_LOG_ERROR, "store", "%s: making the index again from the "
	    "files", err->text);
	rc = pb_rebuild(&opts, &sum, err);
	if (rc == 0)
		pb_log(PB_LOG_INFO, "store", "the index is made again "
		    "streams=%llu segments=%llu packets=%llu gaps=%llu "
		    "damaged=%llu", (unsigned long long)sum.streams,
		    (unsigned long long)sum.segments,
		    (unsigned long long)sum.packets,
		    (unsigned long long)sum.gaps,
		    (unsigned long long)sum.damaged);
	return rc;
}

/* It may take long: systemd is told to wait, people how far it is. */
static bool
rebuilding(void *arg, uint64_t files, uint64_t files_all, uint64_t bytes)
{
	struct pb_store *store = arg;
	uint64_t now = pb_clock_mono_ms();

	if (atomic_load(&store->ends))
		return false;
	if (now - store->told_ms < TELL_MS)
		return true;
	store->told_ms = now;
	pb_notify("EXTEND_TIMEOUT_USEC=60000000");
	pb_log(PB_LOG_INFO, "store", "making the index again files=%llu "
	    "of=%llu bytes=%llu", (unsigned long long)files,
	    (unsigned long long)files_all, (unsigned long long)bytes);
	return true;
}

static int
load_numbers(struct pb_store *store, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	uint64_t numbers, last_id, given;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	numbers = pb_index_meta_get(&txn, "numbers");
	last_id = pb_index_meta_get(&txn, "last_stream");
	if (numbers == 0)
		numbers = 1;
	/* Another store, beneath a recorder that has given some. */
	if (numbers < atomic_load(&store->numbers))
		numbers = atomic_load(&store->numbers);
	/* After a crash: what was given but not committed is skipped. */
	store->numbers_reserved = numbers + NUMBERS_AHEAD;
	pb_index_meta_put(&txn, "numbers", store->numbers_reserved);
	pb_index_meta_put(&txn, PB_META_CLEAN, 0);
	store_age_load(store, &txn);
	rc = pb_mdb_commit(&txn);
	/* Ingest takes some meanwhile: never back. */
	given = atomic_load(&store->numbers);
	while (given < numbers && !atomic_compare_exchange_weak(
	    &store->numbers, &given, numbers))
		continue;
	store->last_id = (uint32_t)last_id;
	return rc;
}

static void
destroy(struct pb_store *store)
{
	if (store->slots != NULL)
		for (size_t i = 0; i < STREAM_SLOTS; i++) {
			if (store->slots[i] == NULL)
				continue;
			pb_segment_destroy(store->slots[i]->segment);
			free(store->slots[i]);
		}
	free(store->slots);
	store_close_parts(store);
	pb_retain_destroy(store->retain);
	if (store->held)
		pb_below_release(store->path);
	pthread_rwlock_destroy(&store->index_lock);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

/* Until let_index_go(); NULL where the store is away, or just comes. */
static struct pb_index *
hold_index(struct pb_store *store, struct pb_err *err)
{
	pthread_rwlock_rdlock(&store->index_lock);
	if (store->ready)
		return store->index;
	pthread_rwlock_unlock(&store->index_lock);
	pb_err_set(err, PB_ESYS, "the store %.400s is gone", store->path);
	return NULL;
}

static void
let_index_go(struct pb_store *store)
{
	pthread_rwlock_unlock(&store->index_lock);
}

/* The slot that holds `key`, or the free one where it would go. */
static size_t
slot_of(struct pb_store *store, const struct pb_stream_key *key)
{
	uint8_t bytes[PB_KEY_STREAM_MAX];
	size_t len = pb_key_stream(bytes, key);
	size_t slot = (size_t)(pb_digest(bytes, len) % STREAM_SLOTS);

	while (store->slots[slot] != NULL &&
	    !pb_stream_key_same(&store->slots[slot]->info.key, key))
		slot = (slot + 1) % STREAM_SLOTS;
	return slot;
}

static int
stream_add(struct pb_store *store, const struct pb_stream_info *info,
    struct pb_stream **out, struct pb_err *err)
{
	struct pb_stream *stream;

	if (store->streams >= PB_STREAMS_OPEN_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %d streams",
		    PB_STREAMS_OPEN_MAX);
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	stream->info = *info;
	stream->committed = *info;
	atomic_store(&stream->id, info->id);
	atomic_store(&stream->next, info->last_seq + 1);
	atomic_store(&stream->durable, info->last_seq);
	store->slots[slot_of(store, &info->key)] = stream;
	store->streams++;
	*out = stream;
	return 0;
}

/* From memory or from the index: 1, 0, or an error. */
static int
stream_get(struct pb_store *store, const struct pb_stream_key *key,
    struct pb_stream **out, struct pb_err *err)
{
	struct pb_stream_info info;
	size_t slot = slot_of(store, key);
	struct pb_index *index;
	int rc;

	*out = store->slots[slot];
	if (*out != NULL)
		return 1;
	index = hold_index(store, err);
	if (index == NULL)
		return PB_ESYS;
	rc = pb_index_stream(index, key, &info, err);
	let_index_go(store);
	if (rc != 1)
		return rc;
	rc = stream_add(store, &info, out, err);
	return rc < 0 ? rc : 1;
}

static int
check_order(const struct pb_chunk *chunk, struct pb_err *err)
{
	uint64_t next = atomic_load(&chunk->stream->next);

	if (chunk->first_seq == 0 || chunk->last_seq < chunk->first_seq ||
	    chunk->last_seq == UINT64_MAX ||
	    chunk->first_seq > next ||
	    (chunk->first_seq < next && chunk->last_seq >= next))
		return pb_err_set(err, PB_EORDER, "packets %llu to %llu do "
		    "not follow %llu", (unsigned long long)chunk->first_seq,
		    (unsigned long long)chunk->last_seq,
		    (unsigned long long)(next - 1));
	return 0;
}
