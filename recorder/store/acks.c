/*
 * recorder/store/acks.c - what the upstreams have, as retention sees it
 */
#include "recorder/store/acks.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "recorder/store/mdb.h"
#include "recorder/store/mend/rebuild.h"

#define PROBE_S		2u	/* a child may look so long */
#define DISTRUST_MS	60000u	/* before a damaged one is looked at again */

enum { TABLE_ACKS, TABLES };
static const char *const table_names[TABLES] = { PB_ACKS_TABLE };

struct pb_acks {
	struct pb_mdb	*mdb;		/* NULL: not there, or not yet */
	dev_t		 dev;		/* of the file that is open, or was */
	ino_t		 ino;
	struct stat	 damaged;	/* as it was; st_ino 0: none is */
	uint64_t	 distrust_ms;	/* until then, whatever it becomes */
	char		 path[PATH_MAX]; /* the environment's directory */
	char		 file[PATH_MAX];
};

static bool	look_again(struct pb_acks *);
static bool	is_sound(struct pb_acks *, const struct stat *);
static bool	probe(const char *);
static void	probe_child(const char *) __attribute__((noreturn));
static int	touch(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static void	forget(struct pb_acks *);
static bool	decode(struct pb_ack *, const struct pb_mdb_value *);

size_t
pb_acks_key(uint8_t out[static PB_ACKS_KEY_MAX], const char *upstream,
    const struct pb_stream_key *key)
{
	size_t name = strlen(upstream) + 1;
	size_t node = strlen(key->node) + 1;
	size_t interface = strlen(key->interface) + 1;

	memcpy(out, upstream, name);
	memcpy(out + name, key->node, node);
	memcpy(out + name + node, key->interface, interface);
	pb_put_be64(out + name + node + interface, key->epoch);
	return name + node + interface + 8;
}

void
pb_acks_encode(uint8_t out[static PB_ACKS_ROW_BYTES],
    const struct pb_ack *ack)
{
	pb_put_le64(out, ack->acked);
	pb_put_le64(out + 8, ack->released);
}

int
pb_acks_create(struct pb_acks **out, const char *store, struct pb_err *err)
{
	struct pb_acks *acks = calloc(1, sizeof(*acks));
	int rc;

	*out = NULL;
	if (acks == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_layout_path(acks->path, store, "shipper", err);
	if (rc == 0)
		rc = pb_layout_path(acks->file, store, "shipper/data.mdb",
		    err);
	if (rc < 0) {
		free(acks);
		return rc;
	}
	*out = acks;
	return 0;
}

void
pb_acks_destroy(struct pb_acks *acks)
{
	if (acks == NULL)
		return;
	forget(acks);
	free(acks);
}

int
pb_acks_get(struct pb_acks *acks, const char *upstream,
    const struct pb_stream_key *key, struct pb_ack *out)
{
	uint8_t bytes[PB_ACKS_KEY_MAX];
	size_t len = pb_acks_key(bytes, upstream, key);
	struct pb_mdb_value row;
	struct pb_mdb_txn txn;
	int rc;

	memset(out, 0, sizeof(*out));
	if (acks->mdb == NULL && !look_again(acks))
		return 0;
	rc = pb_mdb_begin(acks->mdb, false, &txn, NULL);
	if (rc == 0)
		rc = pb_mdb_get(&txn, TABLE_ACKS, bytes, len, &row);
	if (rc == 1 && !decode(out, &row))
		rc = 0;
	pb_mdb_abort(&txn);
	if (rc < 0)
		forget(acks);
	return rc == 1;
}

uint64_t
pb_acks_commits(struct pb_acks *acks)
{
	return look_again(acks) ? pb_mdb_commits(acks->mdb) : 0;
}

/* Open what is there now: it may have come, or have been replaced. */
static bool
look_again(struct pb_acks *acks)
{
	struct stat st;

	if (stat(acks->file, &st) < 0) {
		forget(acks);
		return false;
	}
	if (acks->mdb != NULL &&
	    (st.st_dev != acks->dev || st.st_ino != acks->ino))
		forget(acks);
	if (acks->mdb != NULL)
		return true;
	if (!is_sound(acks, &st))
		return false;
	return pb_mdb_open(&acks->mdb, acks->path, 0, table_names, TABLES,
	    false, NULL) == 0;
}

/*
 * LMDB trusts its pages: one that is rotten or missing may end the process
 * that looks at it, and that would be the recorder, for the shipper's file.
 */
static bool
is_sound(struct pb_acks *acks, const struct stat *st)
{
	const struct stat *bad = &acks->damaged;
	uint64_t now_ms = pb_clock_mono_ms();

	if (acks->ino == st->st_ino && acks->dev == st->st_dev)
		return true;
	if (bad->st_ino == st->st_ino && bad->st_dev == st->st_dev &&
	    (now_ms < acks->distrust_ms || (bad->st_size == st->st_size &&
	    bad->st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    bad->st_mtim.tv_nsec == st->st_mtim.tv_nsec)))
		return false;
	if (probe(acks->path)) {
		acks->damaged.st_ino = 0;
		acks->dev = st->st_dev;
		acks->ino = st->st_ino;
		return true;
	}
	if (bad->st_ino != st->st_ino)
		pb_log(PB_LOG_ERROR, "retention", "%s is damaged: nothing "
		    "counts as acknowledged; Fix: stop pb-shipper, move that "
		    "directory away, start it again", acks->path);
	acks->damaged = *st;
	acks->distrust_ms = now_ms + DISTRUST_MS;
	return false;
}

/* A child reads all that is read here.  False where that ends it. */
static bool
probe(const char *path)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		probe_child(path);
	/* It cannot be known: then it is as it mostly is. */
	if (child < 0)
		return true;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return !WIFSIGNALED(status) || (WTERMSIG(status) != SIGALRM &&
	    !pb_rebuild_deadly(WTERMSIG(status)));
}

static void
probe_child(const char *path)
{
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;
	uint64_t sum = 0;

	pb_rebuild_brace();
	signal(SIGALRM, SIG_DFL);
	alarm(PROBE_S);
	if (pb_mdb_open(&mdb, path, 0, table_names, TABLES, false, NULL) < 0)
		_exit(0);
	if (pb_mdb_begin(mdb, false, &txn, NULL) == 0)
		(void)pb_mdb_walk(&txn, TABLE_ACKS, "", 0, touch, &sum);
	pb_mdb_abort(&txn);
	_exit((int)(sum & 1));
}

/* Each byte: a value may lie on a page of its own. */
static int
touch(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	const uint8_t *bytes = value->data;

	*(uint64_t *)arg += key->len;
	for (size_t i = 0; i < value->len; i++)
		*(uint64_t *)arg += bytes[i];
	return 0;
}

static void
forget(struct pb_acks *acks)
{
	pb_mdb_close(acks->mdb);
	acks->mdb = NULL;
}

/* False for a row that is not one of ours: the disk can lie. */
static bool
decode(struct pb_ack *out, const struct pb_mdb_value *row)
{
	const uint8_t *bytes = row->data;

	if (row->len != PB_ACKS_ROW_BYTES)
		return false;
	out->acked = pb_get_le64(bytes);
	out->released = pb_get_le64(bytes + 8);
	if (out->released < out->acked)
		out->released = out->acked;
	return true;
}
