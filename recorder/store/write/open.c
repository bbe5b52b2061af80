/*
 * recorder/store/write/open.c - what is opened at a store's path
 *
 * The directory, the lock, the index (made again where the files have
 * none), recovery: at a start, and by the writer where another store has
 * come to the path.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/strangers.h"
#include "recorder/store/write/store_impl.h"

#define TELL_MS		5000	/* between two lines of a long work */

static int	explain_index(struct pb_store *, struct pb_err *);
static int	hold_directory(struct pb_store *, struct pb_err *);
static int	rebuild_if_needed(struct pb_store *, struct pb_err *);
static bool	rebuilding(void *, uint64_t, uint64_t, uint64_t);
static int	load_numbers(struct pb_store *, struct pb_err *);

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
		rc = pb_mdb_resize(index->mdb, store->opts.index_size, err);
	pthread_rwlock_unlock(&store->index_lock);
	if (rc < 0)
		return rc;
	pb_strangers_say(store->path);
	rc = pb_home_enter(&store->home, err);
	if (rc == 0)
		rc = load_numbers(store, err);
	return rc < 0 ? rc : pb_store_recover(store, err);
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
		pb_file_close(store->lock_fd);
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
	uint64_t now = pb_clock_mono_ms_by(store->clock);

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
	uint64_t boot = pb_boot_id(store->clock);
	uint64_t numbers, last_id, given;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	numbers = pb_index_meta_get(&txn, "numbers");
	last_id = pb_index_meta_get(&txn, "last_stream");
	store->same_boot = boot != 0 &&
	    pb_index_meta_get(&txn, "boot") == boot;
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
