/*
 * recorder/store/facts/acks.c - what the upstreams have, as retention sees it
 */
#include "recorder/store/facts/acks.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/aside.h"
#include "base/below.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/mdb_probe.h"

#define RETRY_MS	1000u	/* before what is not whole is opened again */
#define DISTRUST_MS	60000u	/* before a bad one is looked at again */
/* After that nobody reckons with an answer: the system holds on to it. */
#define ANSWER_MS_MAX	(2000 * (int)PB_MDB_PROBE_S)

enum { TABLE_ACKS, TABLES };
static const char *const table_names[TABLES] = { PB_ACKS_TABLE };

/* A question: can that file be read?  A thread finds out, and opens it. */
struct look {
	char		 path[PATH_MAX];
	dev_t		 dev;
	ino_t		 ino;
	bool		 sound;		/* a child has read all of it before */
	/* The answer, once it is done. */
	enum pb_mdb_verdict verdict;
	struct pb_mdb	*mdb;		/* open, or NULL: not whole yet, */
	bool		 unclear;	/* or the system refused */
};

struct pb_acks {
	struct pb_mdb	*mdb;		/* NULL: nothing can be read */
	dev_t		 dev;		/* of the file, or ino 0: none */
	ino_t		 ino;
	bool		 known;		/* what is to be thought of it */
	bool		 sound;		/* a child has read all of it */
	bool		 said;		/* that it is bad */
	bool		 failed;	/* the last read did */
	bool		 unclear;	/* the system does not say what is
					 * there, */
	uint64_t	 unclear_ms;	/* since then; 0: it said all */
	struct pb_aside	*aside;		/* who answers, or NULL */
	struct look	*look;		/* the question, while there is one */
	bool		 left;		/* nobody wants its answer */
	uint64_t	 asked_ms, next_ms; /* the last one, and the next */
	char		 path[PATH_MAX]; /* the environment's directory */
	char		 file[PATH_MAX];
};

static bool	look_again(struct pb_acks *);
static bool	is_unclear(struct pb_acks *, bool, uint64_t);
static void	ask(struct pb_acks *, uint64_t);
static void	work(void *);
static void	drop(void *);
static bool	answered(struct pb_acks *, int);
static void	wait_for_answer(struct pb_acks *);
static void	take_answer(struct pb_acks *, uint64_t);
static void	end_look(struct pb_acks *);
static void	say(struct pb_acks *, enum pb_mdb_verdict);
static void	forget(struct pb_acks *);
static int	read_row(struct pb_acks *, const void *, size_t, void *,
		    size_t);
static int	read_failed(struct pb_acks *);
static int	find_late(struct pb_mdb_txn *, uint8_t *, size_t, uint64_t,
		    uint64_t *);
static bool	decode_late(const struct pb_mdb_value *,
		    const struct pb_mdb_value *, const uint8_t *, size_t,
		    uint64_t *, uint64_t *);

size_t
pb_acks_key(uint8_t out[static PB_ACKS_KEY_MAX], const char *upstream,
    const struct pb_stream_key *key)
{
	size_t name = strlen(upstream) + 1;

	memcpy(out, upstream, name);
	return name + pb_key_stream(out + name, key);
}

size_t
pb_acks_seen_key(uint8_t out[static PB_ACKS_KEY_MAX], const char *upstream)
{
	size_t name = strlen(upstream) + 1;

	memcpy(out, upstream, name);
	return name;
}

bool
pb_acks_key_parse(char upstream[static PB_NAME_BYTES_MAX + 1],
    struct pb_stream_key *key, const void *bytes, size_t len)
{
	size_t name = strnlen(bytes, len);

	if (name == len || name > PB_NAME_BYTES_MAX)
		return false;
	memcpy(upstream, bytes, name + 1);
	return pb_key_stream_parse(key, (const char *)bytes + name + 1,
	    len - name - 1);
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
pb_acks_wait(struct pb_acks *acks)
{
	(void)look_again(acks);
	wait_for_answer(acks);
	(void)look_again(acks);
}

void
pb_acks_destroy(struct pb_acks *acks)
{
	if (acks == NULL)
		return;
	/* Who looks just now opens below the store's directory, and our
	 * caller is about to let go of that. */
	wait_for_answer(acks);
	forget(acks);
	end_look(acks);
	free(acks);
}

void
pb_acks_leave(struct pb_acks *acks)
{
	if (acks == NULL)
		return;
	forget(acks);
	/* Who looks just now has it open until he is done. */
	acks->left = true;
	if (answered(acks, 0))
		end_look(acks);
	/* In another file system another file has that number. */
	acks->ino = 0;
}

bool
pb_acks_known(struct pb_acks *acks)
{
	(void)look_again(acks);
	return !acks->unclear && (acks->known || acks->ino == 0);
}

int
pb_acks_get(struct pb_acks *acks, const char *upstream,
    const struct pb_stream_key *key, struct pb_ack *out)
{
	uint8_t bytes[PB_ACKS_KEY_MAX], row[PB_ACKS_ROW_BYTES];
	size_t len = pb_acks_key(bytes, upstream, key);
	int rc;

	memset(out, 0, sizeof(*out));
	if (acks->mdb == NULL && !look_again(acks))
		return !acks->unclear && (acks->known || acks->ino == 0) ?
		    0 : PB_EBUSY;
	rc = read_row(acks, bytes, len, row, sizeof(row));
	if (rc != 1)
		return rc;
	out->acked = pb_get_le64(row);
	out->released = pb_get_le64(row + 8);
	if (out->released < out->acked)
		out->released = out->acked;
	return 1;
}

int
pb_acks_seen(struct pb_acks *acks, const char *upstream, uint64_t *number)
{
	uint8_t key[PB_ACKS_KEY_MAX], row[PB_ACKS_LATE_BYTES];
	size_t len = pb_acks_seen_key(key, upstream);
	int rc = acks->mdb == NULL ? PB_EBUSY : read_row(acks, key, len, row,
	    sizeof(row));

	*number = rc == 1 ? pb_get_le64(row) : 0;
	return rc;
}

/* 0 also for one that is not so long: the disk can lie. */
static int
read_row(struct pb_acks *acks, const void *key, size_t len, void *out,
    size_t bytes)
{
	struct pb_mdb_value row;
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(acks->mdb, false, &txn, NULL);

	if (rc == 0)
		rc = pb_mdb_get(&txn, TABLE_ACKS, key, len, &row);
	if (rc == 1 && row.len != bytes)
		rc = 0;
	if (rc == 1)
		memcpy(out, row.data, bytes);
	pb_mdb_abort(&txn);
	if (rc < 0)
		return read_failed(acks);
	acks->failed = false;
	return rc;
}

int
pb_acks_late(struct pb_acks *acks, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    uint64_t *out)
{
	uint8_t bytes[PB_ACKS_KEY_MAX + 8];
	size_t len = pb_acks_key(bytes, upstream, key);
	struct pb_mdb_txn txn;
	int rc;

	if (acks->mdb == NULL)
		return PB_EBUSY;
	*out = first;
	rc = pb_mdb_begin(acks->mdb, false, &txn, NULL);
	if (rc == 0)
		rc = find_late(&txn, bytes, len, last, out);
	pb_mdb_abort(&txn);
	return rc >= 0 ? rc : read_failed(acks);
}

/* From `*at` on: the run that begins before it may reach it. */
static int
find_late(struct pb_mdb_txn *txn, uint8_t *key, size_t stream, uint64_t last,
    uint64_t *at)
{
	struct pb_mdb_value found, value;
	uint64_t from, to;
	int rc;

	pb_put_be64(key + stream, *at);
	rc = pb_mdb_find_last(txn, TABLE_ACKS, key, stream + 8, &found,
	    &value);
	if (rc == 1 && decode_late(&found, &value, key, stream, &from, &to) &&
	    to >= *at)
		return 1;
	if (rc >= 0)
		rc = pb_mdb_find(txn, TABLE_ACKS, key, stream + 8, &found,
		    &value);
	if (rc != 1 || !decode_late(&found, &value, key, stream, &from, &to) ||
	    from > last)
		return rc < 0 ? rc : 0;
	*at = from;
	return 1;
}

/* False for a row that is another stream's, or none of ours. */
static bool
decode_late(const struct pb_mdb_value *found, const struct pb_mdb_value *row,
    const uint8_t *key, size_t stream, uint64_t *first, uint64_t *last)
{
	if (found->len != stream + 8 || row->len != PB_ACKS_LATE_BYTES ||
	    memcmp(found->data, key, stream) != 0)
		return false;
	*first = pb_get_be64((const uint8_t *)found->data + stream);
	*last = pb_get_le64(row->data);
	return true;
}

/* It is looked at again, once: retention has to go on. */
static int
read_failed(struct pb_acks *acks)
{
	bool again = acks->failed;

	forget(acks);
	acks->failed = true;
	if (!again)
		return PB_EBUSY;
	acks->next_ms = pb_clock_mono_ms() + DISTRUST_MS;
	say(acks, PB_MDB_STUCK);
	return 0;
}

uint64_t
pb_acks_commits(struct pb_acks *acks)
{
	return look_again(acks) ? pb_mdb_commits(acks->mdb) : 0;
}

/*
 * What is there now: it may have come, or have been replaced.
 *
 * A file of the shipper's must not be what ends the recorder; and who asks is
 * the writer's thread, behind which packets wait.  So another file has a
 * thread, which waits for a child that reads all of it and then opens it; its
 * answer is taken at whatever look finds it.  One question at a time, also
 * after a pb_acks_leave(): LMDB forbids to have a file open twice.
 */
static bool
look_again(struct pb_acks *acks)
{
	uint64_t now_ms = pb_clock_mono_ms();
	struct stat st;

	if (pb_below_stat(acks->file, &st) < 0) {
		if (is_unclear(acks, errno != ENOENT && errno != ENOTDIR,
		    now_ms))
			return acks->mdb != NULL;
		pb_acks_leave(acks);
		return false;
	}
	if (st.st_dev != acks->dev || st.st_ino != acks->ino) {
		forget(acks);
		acks->dev = st.st_dev;
		acks->ino = st.st_ino;
		acks->sound = acks->said = acks->failed = false;
		acks->next_ms = 0;
	}
	if (acks->aside != NULL)
		take_answer(acks, now_ms);
	if (acks->mdb == NULL && acks->aside == NULL &&
	    now_ms >= acks->next_ms)
		ask(acks, now_ms);
	return acks->mdb != NULL;
}

/* A system without memory or descriptors refuses what is there: what it acks
 * is not lost by that.  But retention has to go on. */
static bool
is_unclear(struct pb_acks *acks, bool refused, uint64_t now_ms)
{
	if (!refused)
		acks->unclear_ms = 0;
	else if (acks->unclear_ms == 0)
		acks->unclear_ms = now_ms;
	acks->unclear = refused &&
	    now_ms - acks->unclear_ms < (uint64_t)ANSWER_MS_MAX;
	return acks->unclear;
}

static void
ask(struct pb_acks *acks, uint64_t now_ms)
{
	struct look *look = calloc(1, sizeof(*look));

	acks->asked_ms = now_ms;
	acks->next_ms = now_ms + RETRY_MS;
	if (look != NULL) {
		strcpy(look->path, acks->path);
		look->dev = acks->dev;
		look->ino = acks->ino;
		look->sound = acks->sound;
		acks->look = look;
		acks->left = false;
		(void)pb_aside_start(&acks->aside, work, drop, look, true,
		    NULL);
	}
	/* Without memory, or a thread, it is as good as not there. */
	if (acks->aside == NULL)
		acks->known = true;
}

static void
work(void *arg)
{
	struct look *look = arg;
	int rc = 0;

	look->verdict = look->sound ? PB_MDB_SOUND :
	    pb_mdb_probe(look->path, table_names, TABLES, true);
	if (look->verdict == PB_MDB_SOUND)
		rc = pb_mdb_open(&look->mdb, look->path, 0, table_names,
		    TABLES, PB_MDB_READ, NULL);
	look->unclear = rc == PB_ESYS || rc == PB_ENOMEM;
}

static void
drop(void *arg)
{
	struct look *look = arg;

	pb_mdb_close(look->mdb);
	free(look);
}

/* Waits for `ms`, where no packet waits. */
static bool
answered(struct pb_acks *acks, int ms)
{
	return acks->aside != NULL && pb_aside_wait(acks->aside, -1, ms);
}

/* As long as anybody reckons with one. */
static void
wait_for_answer(struct pb_acks *acks)
{
	uint64_t gone_ms = pb_clock_mono_ms() - acks->asked_ms;

	(void)answered(acks, gone_ms < (uint64_t)ANSWER_MS_MAX ?
	    ANSWER_MS_MAX - (int)gone_ms : 0);
}

static void
take_answer(struct pb_acks *acks, uint64_t now_ms)
{
	struct look *look = acks->look;

	if (!answered(acks, 0)) {
		if (now_ms - acks->asked_ms >= (uint64_t)ANSWER_MS_MAX)
			say(acks, PB_MDB_STUCK);
		return;
	}
	/* Of another file it is no answer. */
	if (!acks->left && look->dev == acks->dev && look->ino == acks->ino) {
		acks->known = !is_unclear(acks, look->unclear, now_ms);
		acks->sound = look->verdict == PB_MDB_SOUND;
		acks->mdb = look->mdb;
		look->mdb = NULL;
		if (acks->sound)
			acks->said = false;
		else
			say(acks, look->verdict);
		acks->next_ms = now_ms + (acks->sound ? RETRY_MS :
		    DISTRUST_MS);
	} else {
		acks->known = acks->said = false;
	}
	end_look(acks);
}

/* Done, it has nothing open any more at once, whoever frees it. */
static void
end_look(struct pb_acks *acks)
{
	if (answered(acks, 0)) {
		pb_mdb_close(acks->look->mdb);
		acks->look->mdb = NULL;
	}
	pb_aside_leave(acks->aside);
	acks->aside = NULL;
	acks->look = NULL;
}

/* Nothing in it counts; in the log it is once for each file. */
static void
say(struct pb_acks *acks, enum pb_mdb_verdict verdict)
{
	acks->known = true;
	if (acks->said)
		return;
	acks->said = true;
	if (verdict == PB_MDB_DAMAGED)
		pb_log(PB_LOG_ERROR, "retention", "%s is damaged: nothing "
		    "counts as acknowledged; Fix: stop pb-shipper, move that "
		    "directory away, start it again", acks->path);
	else
		pb_log(PB_LOG_WARN, "retention", "%s cannot be read within "
		    "%u s: nothing counts as acknowledged; was pb-shipper "
		    "stopped by a signal?", acks->path, PB_MDB_PROBE_S);
}

static void
forget(struct pb_acks *acks)
{
	pb_mdb_close(acks->mdb);
	acks->mdb = NULL;
	acks->known = false;
}
