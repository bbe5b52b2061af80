/*
 * recorder/store/facts/acks.c - what the upstreams have, as retention sees it
 */
#include "recorder/store/facts/acks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "recorder/store/index/mdb.h"
#include "recorder/store/index/mdb_probe.h"

#define DISTRUST_MS	60000u	/* before a bad one is looked at again */

enum { TABLE_ACKS, TABLES };
static const char *const table_names[TABLES] = { PB_ACKS_TABLE };

struct pb_acks {
	struct pb_mdb	*mdb;		/* NULL: not there, or not yet */
	dev_t		 dev;		/* of the file that is open, or was */
	ino_t		 ino;
	struct stat	 bad;		/* as it was; st_ino 0: none is */
	uint64_t	 distrust_ms;	/* until then, whatever it becomes */
	char		 path[PATH_MAX]; /* the environment's directory */
	char		 file[PATH_MAX];
};

static bool	look_again(struct pb_acks *);
static bool	is_sound(struct pb_acks *, const struct stat *);
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
	struct stat st;
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
	/* Here and now it costs capture no time. */
	if (pb_below_stat(acks->file, &st) == 0)
		(void)is_sound(acks, &st);
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

void
pb_acks_leave(struct pb_acks *acks)
{
	if (acks == NULL)
		return;
	forget(acks);
	/* In another file system another file has that number. */
	acks->ino = acks->bad.st_ino = 0;
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

	if (pb_below_stat(acks->file, &st) < 0) {
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

/* A file of the shipper's must not be what ends the recorder. */
static bool
is_sound(struct pb_acks *acks, const struct stat *st)
{
	const struct stat *bad = &acks->bad;
	uint64_t now_ms = pb_clock_mono_ms();
	enum pb_mdb_verdict verdict;

	if (acks->ino == st->st_ino && acks->dev == st->st_dev)
		return true;
	if (bad->st_ino == st->st_ino && bad->st_dev == st->st_dev &&
	    now_ms < acks->distrust_ms)
		return false;
	verdict = pb_mdb_probe(acks->path, table_names, TABLES, true);
	if (verdict == PB_MDB_SOUND) {
		acks->bad.st_ino = 0;
		acks->dev = st->st_dev;
		acks->ino = st->st_ino;
		return true;
	}
	if (bad->st_ino != st->st_ino && verdict == PB_MDB_DAMAGED)
		pb_log(PB_LOG_ERROR, "retention", "%s is damaged: nothing "
		    "counts as acknowledged; Fix: stop pb-shipper, move that "
		    "directory away, start it again", acks->path);
	else if (bad->st_ino != st->st_ino)
		pb_log(PB_LOG_WARN, "retention", "%s cannot be read within "
		    "%u s: nothing counts as acknowledged; was pb-shipper "
		    "stopped by a signal?", acks->path, PB_MDB_PROBE_S);
	acks->bad = *st;
	acks->distrust_ms = now_ms + DISTRUST_MS;
	return false;
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
