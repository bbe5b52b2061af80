/*
 * tests/sim/store/mdb_memory.c - recorder/store/index/mdb.h in memory
 *
 * In the place of LMDB, taken at its word: a commit is whole or not at all,
 * one that returned is kept, one that failed is not there.  Each commit is a
 * *version*, which never changes; its number stands in the first sector of
 * data.mdb, and that is synced.  So the disk decides, a modelled one as well,
 * which version an environment has after a power cut, when its directory was
 * renamed, or when the file is another one.
 *
 * Two handles of one file share what is current, as two processes would.
 * Versions stay until mdb_memory_forget().  One thread.
 */
#include "tests/sim/store/mdb_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/sys.h"
#include "recorder/store/index/mdb.h"

#define FILE_BYTES	8192u	/* LMDB's two first pages */
#define MAGIC		UINT64_C(0x70626d656d6f7279)

struct row {
	uint8_t		*key, *data;
	size_t		 key_len, len;
};

struct table {
	struct row	*row;		/* sorted by key */
	size_t		 count, cap;
};

struct version {
	struct table	*table[PB_MDB_TABLES_MAX];	/* NULL: empty */
	char		*name[PB_MDB_TABLES_MAX];
	uint64_t	 commits;
};

/* One data.mdb that is open. */
struct env {
	struct env	*next;
	dev_t		 dev;
	ino_t		 ino;
	unsigned	 handles;
	uint64_t	 current;	/* version + 1 */
};

struct pb_mdb {
	struct env	*env;
	const char	*const *names;
	size_t		 tables;
	bool		 write, lazy;
	int		 fd;
	char		 path[512];
};

/* What a write transaction has changed so far. */
struct working {
	struct version	 version;
	bool		 own[PB_MDB_TABLES_MAX];
};

void			(*mdb_memory_hush)(bool);

static struct version	**versions;
static size_t		versions_count, versions_cap;
static struct env	*envs;
static void		**memory;		/* memory of versions */
static size_t		kept_count, kept_cap;

static int	open_mdb(struct pb_mdb **, const struct pb_mdb *,
		    const char *, struct pb_err *);
static int	open_file(struct pb_mdb *, struct pb_err *);
static int	make_file(struct pb_mdb *, struct pb_err *);
static int	make_tables(struct pb_mdb *, struct pb_err *);
static int	put_number(struct pb_mdb *, uint64_t, struct pb_err *);
static struct env *env_of(const struct stat *);
static void	*keep(size_t);
static uint64_t	add_version(const struct version *);
static struct table *table_in(struct pb_mdb_txn *, unsigned, bool);
static size_t	place_of(const struct table *, const void *, size_t, bool *);
static int	row_at(const struct table *, size_t, struct pb_mdb_value *,
		    struct pb_mdb_value *);
static int	refuse(struct pb_mdb_txn *, int, const char *);

void
mdb_memory_forget(void)
{
	struct env *next;

	for (; envs != NULL; envs = next) {
		next = envs->next;
		free(envs);
	}
	for (size_t i = 0; i < kept_count; i++)
		free(memory[i]);
	kept_count = versions_count = 0;
}

int
pb_mdb_open(struct pb_mdb **out, const char *path, uint64_t map_size,
    const char *const *tables, size_t count, enum pb_mdb_how kind,
    struct pb_err *err)
{
	struct pb_mdb how = { .names = tables, .tables = count,
	    .write = kind != PB_MDB_READ, .lazy = kind == PB_MDB_BUILD,
	    .fd = -1 };

	(void)map_size;
	return open_mdb(out, &how, path, err);
}

void
pb_mdb_close(struct pb_mdb *mdb)
{
	if (mdb == NULL)
		return;
	if (mdb->fd >= 0)
		pb_file_close(mdb->fd);
	if (mdb->env != NULL && --mdb->env->handles == 0) {
		struct env **link = &envs;

		while (*link != mdb->env)
			link = &(*link)->next;
		*link = mdb->env->next;
		free(mdb->env);
	}
	free(mdb);
}

int
pb_mdb_sync(struct pb_mdb *mdb, struct pb_err *err)
{
	return pb_file_datasync(mdb->fd) == 0 ? 0 :
	    pb_err_sys(err, "index %s: sync", mdb->path);
}

int
pb_mdb_resize(struct pb_mdb *mdb, uint64_t map_size, struct pb_err *err)
{
	(void)mdb;
	(void)map_size;
	(void)err;
	return 0;
}

bool
pb_mdb_short(struct pb_mdb *mdb)
{
	(void)mdb;
	return false;
}

int
pb_mdb_read_all(struct pb_mdb_txn *txn)
{
	return txn->rc;
}

int
pb_mdb_reserve(struct pb_mdb *mdb, uint64_t bytes, struct pb_err *err)
{
	(void)mdb;
	(void)bytes;
	(void)err;
	return 0;
}

uint64_t
pb_mdb_commits(struct pb_mdb *mdb)
{
	return versions[mdb->env->current - 1]->commits;
}

/* Memory is no map. */
bool
pb_mdb_has_half(struct pb_mdb_txn *txn, unsigned table)
{
	(void)txn;
	(void)table;
	return false;
}

int
pb_mdb_begin(struct pb_mdb *mdb, bool write, struct pb_mdb_txn *txn,
    struct pb_err *err)
{
	const struct version *now = versions[mdb->env->current - 1];
	struct working *working;

	*txn = (struct pb_mdb_txn){ .mdb = mdb, .err = err, .write = write };
	if (!write) {
		txn->txn = (void *)(uintptr_t)now;
		return 0;
	}
	working = calloc(1, sizeof(*working));
	assert(working != NULL && mdb->write);
	working->version = *now;
	txn->txn = working;
	return 0;
}

int
pb_mdb_commit(struct pb_mdb_txn *txn)
{
	struct pb_mdb *mdb = txn->mdb;
	struct working *working = txn->txn;
	uint64_t number;
	int rc = txn->rc;

	if (working == NULL || rc < 0 || !txn->write) {
		pb_mdb_abort(txn);
		return rc;
	}
	working->version.commits++;
	number = add_version(&working->version);
	/* It fails here, with nothing written, or not at all. */
	if (!mdb->lazy && pb_file_datasync(mdb->fd) < 0)
		rc = pb_err_sys(txn->err, "index %s: commit", mdb->path);
	if (rc == 0 && mdb_memory_hush != NULL)
		mdb_memory_hush(true);
	if (rc == 0)
		rc = put_number(mdb, number, txn->err);
	if (mdb_memory_hush != NULL)
		mdb_memory_hush(false);
	if (rc == 0)
		mdb->env->current = number;
	pb_mdb_abort(txn);
	txn->rc = rc;
	return rc;
}

void
pb_mdb_abort(struct pb_mdb_txn *txn)
{
	if (txn->write)
		free(txn->txn);
	txn->txn = NULL;
}

int
pb_mdb_get(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *out)
{
	const struct table *rows = table_in(txn, table, false);
	struct pb_mdb_value found;
	bool same = false;
	size_t at;

	if (txn->rc < 0)
		return txn->rc;
	if (key_len == 0 || key_len > PB_MDB_KEY_MAX)
		return refuse(txn, EINVAL, "get");
	at = place_of(rows, key, key_len, &same);
	return same ? row_at(rows, at, &found, out) : 0;
}

int
pb_mdb_put(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, const void *data, size_t len)
{
	struct table *rows;
	struct row *row;
	bool same;
	size_t at;

	if (txn->rc < 0)
		return txn->rc;
	if (key_len == 0 || key_len > PB_MDB_KEY_MAX)
		return refuse(txn, EINVAL, "put");
	rows = table_in(txn, table, true);
	at = place_of(rows, key, key_len, &same);
	if (!same && rows->count == rows->cap) {
		struct row *wider;

		rows->cap = 2 * rows->cap + 16;
		wider = keep(rows->cap * sizeof(*wider));
		memcpy(wider, rows->row, rows->count * sizeof(*wider));
		rows->row = wider;
	}
	row = &rows->row[at];
	if (!same) {
		memmove(row + 1, row, (rows->count - at) * sizeof(*row));
		rows->count++;
		row->key = keep(key_len);
		memcpy(row->key, key, key_len);
		row->key_len = key_len;
	}
	/* The old one stays: an earlier version has it. */
	row->data = keep(len + 1);
	memcpy(row->data, data, len);
	row->len = len;
	return 0;
}

int
pb_mdb_del(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len)
{
	struct table *rows;
	bool same;
	size_t at;

	if (txn->rc < 0)
		return txn->rc;
	if (key_len == 0 || key_len > PB_MDB_KEY_MAX)
		return refuse(txn, EINVAL, "delete");
	rows = table_in(txn, table, true);
	at = place_of(rows, key, key_len, &same);
	if (!same)
		return 0;
	rows->count--;
	memmove(&rows->row[at], &rows->row[at + 1],
	    (rows->count - at) * sizeof(*rows->row));
	return 1;
}

int
pb_mdb_find(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	const struct table *rows = table_in(txn, table, false);
	bool same;

	if (txn->rc < 0)
		return txn->rc;
	return row_at(rows, place_of(rows, key, key_len, &same), found_key,
	    out);
}

int
pb_mdb_find_last(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	const struct table *rows = table_in(txn, table, false);
	bool same;
	size_t at;

	if (txn->rc < 0)
		return txn->rc;
	at = place_of(rows, key, key_len, &same);
	if (!same && at-- == 0)
		return 0;
	return row_at(rows, at, found_key, out);
}

/* A row that `each` deletes or puts: the walk goes on behind its key. */
int
pb_mdb_walk(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, int (*each)(void *, const struct pb_mdb_value *,
    const struct pb_mdb_value *), void *arg)
{
	struct pb_mdb_value at, row;
	bool same;
	int answer = 0;
	size_t place = txn->rc < 0 ? 0 : place_of(table_in(txn, table, false),
	    key, key_len, &same);

	while (txn->rc == 0 && answer == 0 && row_at(table_in(txn, table,
	    false), place, &at, &row) == 1) {
		answer = each(arg, &at, &row);
		place = place_of(table_in(txn, table, false), at.data, at.len,
		    &same);
		place += same;
	}
	return txn->rc < 0 ? txn->rc : answer;
}

/* --- the file ------------------------------------------------------------ */

static int
open_mdb(struct pb_mdb **out, const struct pb_mdb *how, const char *path,
    struct pb_err *err)
{
	struct pb_mdb *mdb = malloc(sizeof(*mdb));
	int rc;

	assert(mdb != NULL && strlen(path) < sizeof(mdb->path));
	*mdb = *how;
	strcpy(mdb->path, path);
	rc = mdb->write ? pb_mkdirs_sync(path, err) : 0;
	if (rc == 0)
		rc = open_file(mdb, err);
	if (rc == 0)
		rc = make_tables(mdb, err);
	if (rc < 0) {
		pb_mdb_close(mdb);
		return rc;
	}
	*out = mdb;
	return 0;
}

static int
open_file(struct pb_mdb *mdb, struct pb_err *err)
{
	uint64_t head[2] = { 0, 0 };
	char file[600];
	struct stat st;
	ssize_t got;

	strcpy(file, mdb->path);
	strcat(file, "/data.mdb");
	mdb->fd = pb_below_open(file, mdb->write ? O_RDWR | O_CREAT :
	    O_RDONLY, 0640);
	if (mdb->fd < 0 || pb_file_stat(mdb->fd, &st) < 0)
		return pb_err_sys(err, "open the index %s", mdb->path);
	/* One that could not be made. */
	if (st.st_size < FILE_BYTES && !mdb->write)
		return pb_err_set(err, PB_ENOENT, "index %s: not ready",
		    mdb->path);
	mdb->env = env_of(&st);
	mdb->env->handles++;
	if (st.st_size < FILE_BYTES)
		return make_file(mdb, err);
	if (mdb->env->current != 0)
		return 0;
	got = pb_pread_all(mdb->fd, head, sizeof(head), 0, err);
	if (got < 0)
		return (int)got;
	if (head[0] != MAGIC || head[1] == 0 || head[1] > versions_count)
		return pb_err_set(err, PB_EFORMAT, "index %s: open: no "
		    "version %llu", mdb->path, (unsigned long long)head[1]);
	mdb->env->current = head[1];
	return 0;
}

/* Whole, and with a name that stays: LMDB's word, not ours to doubt. */
static int
make_file(struct pb_mdb *mdb, struct pb_err *err)
{
	static const uint8_t zeros[FILE_BYTES];
	struct version empty = { .commits = 0 };
	int rc = pb_pwrite_all(mdb->fd, zeros, sizeof(zeros), 0, err);

	if (rc == 0) {
		mdb->env->current = add_version(&empty);
		rc = put_number(mdb, mdb->env->current, err);
	}
	if (rc == 0 && pb_file_datasync(mdb->fd) < 0)
		rc = pb_err_sys(err, "index %s: sync", mdb->path);
	if (rc == 0)
		rc = pb_sync_dir(mdb->path, err);
	/* It holds nothing and stands in the way. */
	if (rc < 0)
		(void)!pb_file_truncate(mdb->fd, 0);
	return rc;
}

/* As LMDB: made by a writer, missed by a reader. */
static int
make_tables(struct pb_mdb *mdb, struct pb_err *err)
{
	struct version now = *versions[mdb->env->current - 1];
	bool missing = false;
	uint64_t number;
	int rc;

	for (size_t i = 0; i < mdb->tables; i++) {
		if (now.name[i] != NULL) {
			assert(strcmp(now.name[i], mdb->names[i]) == 0);
			continue;
		}
		missing = true;
		now.name[i] = keep(strlen(mdb->names[i]) + 1);
		strcpy(now.name[i], mdb->names[i]);
	}
	if (!missing)
		return 0;
	if (!mdb->write)
		return pb_err_set(err, PB_ENOENT, "index %s: not ready",
		    mdb->path);
	number = add_version(&now);
	rc = put_number(mdb, number, err);
	if (rc == 0)
		mdb->env->current = number;
	return rc;
}

static int
put_number(struct pb_mdb *mdb, uint64_t number, struct pb_err *err)
{
	uint64_t head[2] = { MAGIC, number };
	int rc = pb_pwrite_all(mdb->fd, head, sizeof(head), 0, err);

	if (rc == 0 && !mdb->lazy && pb_file_datasync(mdb->fd) < 0)
		rc = pb_err_sys(err, "sync");
	return rc < 0 ? pb_err_prefix(err, rc, "index %s: commit",
	    mdb->path) : 0;
}

static struct env *
env_of(const struct stat *st)
{
	struct env *env = envs;

	while (env != NULL && (env->dev != st->st_dev ||
	    env->ino != st->st_ino))
		env = env->next;
	if (env != NULL)
		return env;
	env = calloc(1, sizeof(*env));
	assert(env != NULL);
	env->dev = st->st_dev;
	env->ino = st->st_ino;
	env->next = envs;
	envs = env;
	return env;
}

/* --- rows ---------------------------------------------------------------- */

static void *
keep(size_t bytes)
{
	if (kept_count == kept_cap) {
		kept_cap = 2 * kept_cap + 1024;
		memory = realloc(memory, kept_cap * sizeof(*memory));
		assert(memory != NULL);
	}
	memory[kept_count] = malloc(bytes);
	assert(memory[kept_count] != NULL);
	return memory[kept_count++];
}

static uint64_t
add_version(const struct version *version)
{
	if (versions_count == versions_cap) {
		versions_cap = 2 * versions_cap + 256;
		versions = realloc(versions,
		    versions_cap * sizeof(*versions));
		assert(versions != NULL);
	}
	versions[versions_count] = keep(sizeof(*version));
	*versions[versions_count] = *version;
	return ++versions_count;
}

/* As the transaction sees it, or, to be changed, a copy that is its own. */
static struct table *
table_in(struct pb_mdb_txn *txn, unsigned number, bool change)
{
	struct working *working = txn->txn;
	struct version *version = txn->txn;
	struct table *table, *own;

	if (txn->rc < 0 || txn->txn == NULL)
		return NULL;
	if (txn->write)
		version = &working->version;
	table = version->table[number];
	if (!change || working->own[number])
		return table;
	own = keep(sizeof(*own));
	own->count = table == NULL ? 0 : table->count;
	own->cap = own->count + 16;
	own->row = keep(own->cap * sizeof(*own->row));
	if (table != NULL)
		memcpy(own->row, table->row, own->count * sizeof(*own->row));
	version->table[number] = own;
	working->own[number] = true;
	return own;
}

static int
compare(const struct row *row, const void *key, size_t key_len)
{
	int order = memcmp(row->key, key,
	    row->key_len < key_len ? row->key_len : key_len);

	return order != 0 ? order :
	    (row->key_len > key_len) - (row->key_len < key_len);
}

/* Of the first row whose key is >= `key`. */
static size_t
place_of(const struct table *table, const void *key, size_t key_len,
    bool *same)
{
	size_t low = 0, high = table == NULL ? 0 : table->count;

	*same = false;
	while (low < high && key_len > 0) {
		size_t middle = low + (high - low) / 2;
		int order = compare(&table->row[middle], key, key_len);

		*same |= order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
row_at(const struct table *table, size_t at, struct pb_mdb_value *key,
    struct pb_mdb_value *out)
{
	const struct row *row;

	if (table == NULL || at >= table->count)
		return 0;
	row = &table->row[at];
	*key = (struct pb_mdb_value){ row->key, row->key_len };
	*out = (struct pb_mdb_value){ row->data, row->len };
	return 1;
}

static int
refuse(struct pb_mdb_txn *txn, int sys, const char *what)
{
	errno = sys;
	txn->rc = pb_err_sys(txn->err, "index %s: %s", txn->mdb->path, what);
	return txn->rc;
}
