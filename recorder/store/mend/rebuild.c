/*
 * recorder/store/mend/rebuild.c - the index, made again from the files
 */
#include "recorder/store/mend/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/child.h"
#include "base/sys.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/rebuild_impl.h"

#define BUILDING	"index.new"
#define LEVELS		3		/* NODE/IFACE/EPOCH */

struct walk {
	rebuild_visitor	*visit;
	void		*arg;
	const char	*store;
	struct pb_stream_key key;
	char		 path[PATH_MAX];
};

static rebuild_visitor look_first, make_rows, find_segment;
static int	walk_level(struct walk *, int, struct pb_err *);
static int	visit_stream(struct walk *, struct pb_err *);
static bool	part_of_key(struct pb_stream_key *, int, const char *);
static uint64_t	count_files(const char *);
static int	note_id(void *, const struct pb_fact *);
static int	build(struct rebuild *, struct pb_err *);
static int	put_number(struct rebuild *, const char *, uint64_t,
		    struct pb_err *);
static int	swap(const char *, struct pb_err *);
static int	has_segments(const char *, struct pb_err *);
static int	probe(const char *, struct pb_err *);
static int	look_at_index(const void *, struct pb_err *);

int
pb_rebuild(const struct pb_rebuild_opts *opts, struct pb_rebuild_sum *sum,
    struct pb_err *err)
{
	struct rebuild rebuild = {
		.opts = opts,
		.mend = { .store = opts->store, .pen = opts->pen },
		.sum = sum,
	};
	char path[PATH_MAX];
	int rc = pb_layout_path(path, opts->store, BUILDING, err);

	memset(sum, 0, sizeof(*sum));
	if (rc == 0)
		rc = rebuild_remove(path, err);
	if (rc == 0)
		rc = pb_index_open_named(&rebuild.index, opts->store,
		    BUILDING, opts->index_size, err);
	if (rc < 0)
		return rc;
	rc = build(&rebuild, err);
	if (rc == 0)
		rc = pb_mdb_sync(rebuild.index->mdb, err);
	pb_index_close(rebuild.index);
	return rc < 0 ? rc : swap(opts->store, err);
}

int
pb_rebuild_needed(const char *store, struct pb_err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int rc = pb_layout_path(path, store, "index/data.mdb", err);

	if (rc < 0)
		return rc;
	if (pb_below_stat(path, &st) < 0 && errno != ENOENT)
		return pb_err_sys(err, "look at %s", path);
	/* LMDB's two first pages are written at once, or there is nothing. */
	if (pb_below_stat(path, &st) == 0 &&
	    st.st_size >= 2 * sysconf(_SC_PAGESIZE)) {
		rc = probe(store, err);
		if (rc != 0)
			return rc;
	}
	rc = has_segments(store, err);
	if (rc != 1)
		return rc;
	return pb_err_set(err, PB_EFORMAT, "%s is lost", path);
}

/* --- walking ------------------------------------------------------------ */

static int
build(struct rebuild *rebuild, struct pb_err *err)
{
	const char *store = rebuild->opts->store;
	/* Late arrivals get numbers above any that the lost index gave: the
	 * shipper goes on behind the last one it has seen. */
	int rc = put_number(rebuild, "last_fill", pb_below_now_ns(store) /
	    PB_NS_PER_MS, err);

	if (rc == 0)
		rc = rebuild_walk(store, look_first, rebuild, err);
	if (rc == 0)
		rc = rebuild_walk(store, make_rows, rebuild, err);
	/* Numbers that this node has given, and ids, are not given again. */
	if (rc == 0)
		rc = put_number(rebuild, "last_stream", rebuild->last_id, err);
	if (rc == 0)
		rc = put_number(rebuild, "numbers", rebuild->numbers + 1, err);
	return rc;
}

int
rebuild_walk(const char *store, rebuild_visitor *visit, void *arg,
    struct pb_err *err)
{
	struct walk walk = { .visit = visit, .arg = arg, .store = store };
	int rc = pb_layout_path(walk.path, store, "segments", err);

	return rc < 0 ? rc : walk_level(&walk, 0, err);
}

/* Folders whose names are no part of a key are none of ours. */
static int
walk_level(struct walk *walk, int level, struct pb_err *err)
{
	size_t len = strlen(walk->path), room = sizeof(walk->path) - len;
	const char *name;
	struct pb_dir *folder;
	int n, rc = 0;

	if (level == LEVELS)
		return visit_stream(walk, err);
	folder = pb_below_opendir(walk->path);
	if (folder == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
		    pb_err_sys(err, "open %s", walk->path);
	while (rc == 0 && (name = pb_dir_next(folder)) != NULL) {
		if (name[0] == '.' ||
		    !part_of_key(&walk->key, level, name))
			continue;
		n = snprintf(walk->path + len, room, "/%s", name);
		if (n < 0 || (size_t)n >= room)
			rc = pb_err_set(err, PB_ELIMIT, "path longer than %d "
			    "bytes", PATH_MAX - 1);
		else
			rc = walk_level(walk, level + 1, err);
		walk->path[len] = '\0';
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = pb_err_sys(err, "list %s", walk->path);
	pb_dir_close(folder);
	return rc;
}

/* A folder whose name can be written otherwise is none of ours. */
static int
visit_stream(struct walk *walk, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc = pb_layout_stream(path, walk->store, &walk->key, err);

	if (rc < 0 || strcmp(path, walk->path) != 0)
		return rc;
	return walk->visit(walk->arg, &walk->key, walk->path, err);
}

static bool
part_of_key(struct pb_stream_key *key, int level, const char *name)
{
	size_t len = strlen(name);

	if (level == 0)
		return pb_percent_decode(key->node, sizeof(key->node), name,
		    len, NULL) == 0 && pb_name_valid(key->node);
	if (level == 1)
		return pb_percent_decode(key->interface,
		    sizeof(key->interface), name, len, NULL) == 0;
	return len == 16 && pb_parse_hex64(name, &key->epoch, NULL) == 0 &&
	    key->epoch != 0;
}

/* The first pass: how many files there are, and which ids are taken. */
static int
look_first(void *arg, const struct pb_stream_key *key, const char *path,
    struct pb_err *err)
{
	struct rebuild *rebuild = arg;
	struct pb_journal_news news;
	int rc = pb_journal_read(rebuild->opts->store, key, note_id, rebuild,
	    &news, err);

	rebuild->files_all += count_files(path);
	return rc < 0 ? rc : 0;
}

static int
make_rows(void *arg, const struct pb_stream_key *key, const char *path,
    struct pb_err *err)
{
	(void)path;
	return rebuild_one(arg, key, err);
}

static int
note_id(void *arg, const struct pb_fact *fact)
{
	struct rebuild *rebuild = arg;

	if (fact->kind == PB_FACT_STREAM && fact->id > rebuild->last_id)
		rebuild->last_id = fact->id;
	return 0;
}

/* For the progress bar. */
static uint64_t
count_files(const char *path)
{
	struct pb_dir *folder = pb_below_opendir(path);
	const char *name;
	uint64_t count = 0;

	if (folder == NULL)
		return 0;
	while ((name = pb_dir_next(folder)) != NULL)
		if (strstr(name, ".pcapng") != NULL)
			count++;
	pb_dir_close(folder);
	return count;
}

static int
put_number(struct rebuild *rebuild, const char *name, uint64_t value,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(rebuild->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_index_meta_put(&txn, name, value);
	return pb_mdb_commit(&txn);
}

/* --- folders ------------------------------------------------------------ */

/* An index that was being built: two files. */
int
rebuild_remove(const char *path, struct pb_err *err)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	char file[PATH_MAX + 16];

	for (size_t i = 0; i < 2; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		if (pb_below_unlink(file) < 0 && errno != ENOENT &&
		    errno != ENOTDIR)
			return pb_err_sys(err, "remove %s", file);
	}
	if (pb_below_rmdir(path) < 0 && errno != ENOENT)
		return pb_err_sys(err, "remove %s", path);
	return 0;
}

/* The old index, whatever it is, keeps a name under damaged/. */
static int
swap(const char *store, struct pb_err *err)
{
	char built[PATH_MAX], path[PATH_MAX], damaged[PATH_MAX];
	char old[PATH_MAX], name[64];
	int rc;

	snprintf(name, sizeof(name), "damaged/index-%llu",
	    (unsigned long long)(pb_below_now_ns(store) / PB_NS_PER_MS));
	rc = pb_layout_path(built, store, BUILDING, err);
	if (rc == 0)
		rc = pb_layout_path(path, store, "index", err);
	if (rc == 0)
		rc = pb_layout_path(old, store, name, err);
	if (rc == 0)
		rc = pb_layout_path(damaged, store, "damaged", err);
	if (rc == 0)
		rc = pb_mkdirs(damaged, err);
	if (rc < 0)
		return rc;
	/* In one step where there is an old one and the file system can. */
	if (pb_below_rename(built, path, RENAME_EXCHANGE) == 0) {
		if (pb_below_rename(built, old, 0) < 0)
			return pb_err_sys(err, "rename %s", built);
	} else {
		if (pb_below_rename(path, old, 0) < 0 && errno != ENOENT)
			return pb_err_sys(err, "rename %s", path);
		if (pb_below_rename(built, path, 0) < 0)
			return pb_err_sys(err, "rename %s", built);
	}
	rc = pb_sync_dir(damaged, err);
	return rc < 0 ? rc : pb_sync_dir(store, err);
}

/* --- is the index any good? --------------------------------------------- */

/* 1 where there is a segment's file or a journal, 0, or an error. */
static int
has_segments(const char *store, struct pb_err *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", store);
	return rebuild_walk(store, find_segment, copy, err);
}

static int
find_segment(void *arg, const struct pb_stream_key *key, const char *path,
    struct pb_err *err)
{
	char journal[PATH_MAX];
	int rc = pb_journal_path(journal, arg, key, err);

	if (rc < 0)
		return rc;
	return count_files(path) > 0 || pb_below_look(journal) == 0;
}

/* 1 it is good, 0 there is nothing in it yet, or the error. */
static int
probe(const char *store, struct pb_err *err)
{
	struct pb_err why = { .code = 0 };
	int sig, rc = pb_child_run(look_at_index, store, 0, &sig, &why);

	if (rc == 0)
		return 1;
	if (rc == PB_ENOENT)
		return 0;
	if (rc == PB_EFORMAT)
		return pb_err_set(err, PB_EFORMAT, "%s", why.text);
	/* Killed by somebody (SIGKILL, SIGTERM) it has found nothing. */
	if (sig != 0)
		return pb_err_set(err, PB_EFORMAT, "index %s/index: reading "
		    "it ends in signal %d: it is corrupt", store, sig);
	return pb_err_set(err, PB_ESYS, "index %s/index cannot be looked at: "
	    "%s", store, why.text);
}

static int
look_at_index(const void *store, struct pb_err *err)
{
	return pb_index_probe(store, false, err);
}
