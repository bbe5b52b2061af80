/*
 * recorder/store/write/streams.c - the streams in memory
 *
 * One table of all that somebody has asked for, under the store's mutex; a
 * stream stays in it until the store is closed.  Those that are not there
 * are looked up in the index, which other threads hold while they read it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/sys.h"
#include "recorder/store/read/peek.h"
#include "recorder/store/write/store_impl.h"

static int	extent_below(void *, uint64_t, struct pb_extent_info *,
		    struct pb_err *);
static int	newest_own(struct pb_index *, const struct pb_stream_key *,
		    uint16_t, uint32_t, uint32_t *, uint64_t *,
		    struct pb_err *);
static int	lend(void *, pb_index_use *, void *, struct pb_err *);
static int	open_gaps(struct pb_index *, uint32_t, uint64_t, uint64_t,
		    struct pb_gap_info *, size_t, struct pb_err *);
static size_t	slot_of(struct pb_store *, const struct pb_stream_key *);
static int	stream_add(struct pb_store *, const struct pb_stream_info *,
		    struct pb_stream **, struct pb_err *);
static int	stream_get(struct pb_store *, const struct pb_stream_key *,
		    struct pb_stream **, struct pb_err *);
static void	own_in_memory(struct pb_store *, const struct pb_stream_key *,
		    uint16_t, uint32_t, uint32_t, uint64_t *);

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
		info.created_ns = pb_clock_real_ns_by(store->clock);
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
	struct pb_index *index = index_hold(store, err);
	struct pb_stream_key name = { .epoch = 0 };
	uint32_t newest = 0;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	*epoch = 0;
	strncpy(name.node, node, sizeof(name.node) - 1);
	strncpy(name.interface, interface, sizeof(name.interface) - 1);
	rc = newest_own(index, &name, linktype, snaplen, &newest, epoch, err);
	index_let_go(store);
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

	pb_rows_all(&rows, index, PB_TABLE_STREAMS, name, err);
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
		if (!store->slots[i]->own || id < newest ||
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
	return stream->own;
}

const struct pb_stream_key *
pb_stream_key(const struct pb_stream *stream)
{
	return &stream->info.key;
}

/* What is looked for, and where. */
struct wanted {
	struct pb_store	*store;
	const struct pb_stream *stream;
};

/* A disk that hangs must not keep the index from who changes it: the files
 * are read without it. */
int
pb_store_last(struct pb_store *store, const struct pb_stream *stream,
    uint64_t at, bool checked, uint32_t captured,
    struct pb_fingerprint *out, struct pb_err *err)
{
	struct wanted wanted = { store, stream };

	return pb_peek_below_by(extent_below, &wanted, store->path,
	    &stream->info.key, at, checked, captured, out, err);
}

static int
extent_below(void *arg, uint64_t at, struct pb_extent_info *out,
    struct pb_err *err)
{
	const struct wanted *wanted = arg;
	struct pb_index *index = index_hold(wanted->store, err);
	uint32_t id;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	id = atomic_load(&wanted->stream->id);	/* as this index has it */
	rc = id == 0 ? 0 : pb_index_extent_below(index, id, at, out, err);
	index_let_go(wanted->store);
	return rc;
}

struct pb_index_lender
pb_store_lender(struct pb_store *store)
{
	return (struct pb_index_lender){ .store = store->path, .lend = lend,
	    .arg = store };
}

static int
lend(void *arg, pb_index_use *use, void *use_arg, struct pb_err *err)
{
	struct pb_store *store = arg;
	struct pb_index *index = index_hold(store, err);
	int rc;

	if (index == NULL)
		return PB_ESYS;
	rc = use(use_arg, index, err);
	index_let_go(store);
	return rc;
}

int
pb_store_gaps(struct pb_store *store, const struct pb_stream *stream,
    uint64_t first, uint64_t last, struct pb_gap_info *out, size_t max,
    struct pb_err *err)
{
	struct pb_index *index = index_hold(store, err);
	uint32_t id;
	int n;

	if (index == NULL)
		return PB_ESYS;
	id = atomic_load(&stream->id);	/* as this index has it */
	n = id == 0 ? 0 : open_gaps(index, id, first, last, out, max, err);
	index_let_go(store);
	return n;
}

static int
open_gaps(struct pb_index *index, uint32_t id, uint64_t first, uint64_t last,
    struct pb_gap_info *out, size_t max, struct pb_err *err)
{
	const struct pb_gap_info *row;
	struct pb_rows rows;
	size_t count = 0;

	pb_rows_of(&rows, index, PB_TABLE_GAPS, id, first, err);
	while (count < max && (row = pb_rows_next(&rows)) != NULL &&
	    row->first <= last)
		if (row->closed_ns == 0)
			out[count++] = *row;
	return rows.rc < 0 ? rows.rc : (int)count;
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
copy_counters(struct pb_stream_info *to, const struct pb_stream_info *from)
{
	to->first_seq = from->first_seq;
	to->last_seq = from->last_seq;
	to->packets = from->packets;
	to->bytes = from->bytes;
	to->dropped = from->dropped;
	to->dropped_before = from->dropped_before;
	to->first_time = from->first_time;
	to->last_time = from->last_time;
	to->unsteady = from->unsteady;
}

struct pb_index *
index_hold(struct pb_store *store, struct pb_err *err)
{
	pthread_rwlock_rdlock(&store->index_lock);
	if (store->ready)
		return store->index;
	pthread_rwlock_unlock(&store->index_lock);
	pb_err_set(err, PB_ESYS, "the store %.400s is gone", store->path);
	return NULL;
}

void
index_let_go(struct pb_store *store)
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
	STAILQ_INIT(&stream->held);
	stream->info = *info;
	stream->committed = *info;
	stream->own = info->own;
	stream->end = info->last_seq;
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
	index = index_hold(store, err);
	if (index == NULL)
		return PB_ESYS;
	rc = pb_index_stream(index, key, &info, err);
	index_let_go(store);
	if (rc != 1)
		return rc;
	rc = stream_add(store, &info, out, err);
	return rc < 0 ? rc : 1;
}
