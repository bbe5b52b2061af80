/*
 * shipper/letters/letters_file.c - dead letters: hard links of segments
 *
 * Table `files` lists, before it happens, each file that is made or deleted.
 * A row that is there says: look again.  With a letter the file stays,
 * without one it goes, and then the row.  To do so twice changes nothing, so
 * a crash between any two steps is mended by doing it once more.
 */
#include "shipper/letters/letters_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/sys.h"

#define LINK_TRIES	6u	/* a segment may be sealed meanwhile */

/* Rows of table `files`, and what comes of them. */
struct doubts {
	struct pb_state_rows rows;
	bool		 more;		/* may be behind these */
	uint64_t	 until_ms;	/* then it is enough, */
	bool		 late;		/* and some are left */
	size_t		 count;
	struct pb_letters_key key[PB_LETTERS_SETTLE];
	enum { GOES, GONE, SETTLED } state[PB_LETTERS_SETTLE];
};

static int	intend(struct pb_letters *, const struct pb_letter *, size_t,
		    struct pb_err *);
static int	enter_dir(const char *, char [static PATH_MAX],
		    struct pb_err *);
static void	aside(char [static PATH_MAX + 8], const char *);
static int	link_over(const char *, const char *, struct pb_err *);
static int	cannot_link(const char *, const char *, struct pb_err *);
static uint64_t	size_of(const struct pb_letters *,
		    const struct pb_letters_key *);
static int	list(struct pb_letters *, struct doubts *, struct pb_err *);
static int	delete_files(struct pb_letters *, struct doubts *,
		    struct pb_err *);
static int	sync_dirs(struct pb_letters *, struct doubts *,
		    struct pb_err *);
static int	forget(struct pb_letters *, struct doubts *, struct pb_err *);
static int	delete_file(const char *, struct pb_err *);
static int	file_of(const struct pb_letters *,
		    const struct pb_letters_key *, char [static PATH_MAX],
		    struct pb_err *);
static bool	take_key(struct pb_letters_key *,
		    const struct pb_state_rows *);
static void	remove_parents(char *);

/* --- names -------------------------------------------------------------- */

/* --- making ------------------------------------------------------------- */

int
pb_letters_make(struct pb_letters *letters, const struct pb_letter *letter,
    bool *made, size_t count, int (*link)(void *, size_t, struct pb_err *),
    void *arg, struct pb_err *err)
{
	char dir[PATH_MAX], last[PATH_MAX] = "";
	int rc = intend(letters, letter, count, err);

	for (size_t i = 0; i < count && rc >= 0; i++) {
		made[i] = !pb_letters_has_file(&letter[i]);
		if (made[i])
			continue;
		rc = pb_layout_letters(dir, letters->store, letter[i].upstream,
		    &letter[i].key, err);
		if (rc == 0 && strcmp(dir, last) != 0)
			rc = enter_dir(dir, last, err);
		if (rc == 0)
			rc = link(arg, i, err);
		made[i] = rc == 1;
	}
	if (rc >= 0 && last[0] != '\0')
		rc = pb_sync_dir(last, err);
	return rc < 0 ? rc : 0;
}

static int
intend(struct pb_letters *letters, const struct pb_letter *letter,
    size_t count, struct pb_err *err)
{
	struct pb_letters_key file;
	struct pb_mdb_txn txn;

	/* Not to be settled before they are made. */
	pb_mdb_begin(letters->state->mdb, true, &txn, err);
	for (size_t i = 0; i < count; i++) {
		if (!pb_letters_has_file(&letter[i]))
			continue;
		pb_letters_key(&file, letter[i].upstream, &letter[i].key,
		    letter[i].segment_seq);
		pb_mdb_put(&txn, PB_STATE_FILES, file.bytes, file.len, "", 0);
	}
	return pb_mdb_commit(&txn);
}

/* One directory is synced before the next one is begun. */
static int
enter_dir(const char *dir, char last[static PATH_MAX], struct pb_err *err)
{
	int rc = last[0] != '\0' ? pb_sync_dir(last, err) : 0;

	strcpy(last, dir);
	return rc < 0 ? rc : pb_mkdirs(dir, err);
}

int
pb_letters_link(struct pb_letters *letters, struct pb_letter *letter,
    struct pb_err *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st, there;
	bool linked, taken;
	int rc;

	rc = pb_layout_letter(to, letters->store, letter->upstream,
	    &letter->key, letter->segment_seq, err);
	for (unsigned try = 0; rc == 0 && try < LINK_TRIES; try++) {
		rc = pb_layout_segment(from, letters->store, &letter->key,
		    letter->segment_seq, try % 2 == 1, err);
		if (rc < 0)
			return rc;
		if (pb_below_stat(from, &st) < 0) {
			if (errno != ENOENT)
				return pb_err_sys(err, "look at %s", from);
			continue;	/* by its other name */
		}
		linked = pb_below_link(from, to) == 0;
		taken = !linked && errno == EEXIST;
		if (linked || (taken && pb_below_stat(to, &there) == 0 &&
		    there.st_dev == st.st_dev &&
		    there.st_ino == st.st_ino)) {
			letter->file_bytes = (uint64_t)st.st_size;
			return 1;
		}
		if (taken)
			rc = link_over(from, to, err);
		else if (errno != ENOENT)
			rc = cannot_link(from, to, err);
	}
	return rc;
}

/* The name that a file has before it replaces another one. */
static void
aside(char out[static PATH_MAX + 8], const char *path)
{
	snprintf(out, PATH_MAX + 8, "%s.new", path);
}

/* Another file has the name, from a segment that was written anew.  It is
 * replaced at once; the next try finds the right one. */
static int
link_over(const char *from, const char *to, struct pb_err *err)
{
	char new[PATH_MAX + 8];

	aside(new, to);
	if (pb_below_unlink(new) < 0 && errno != ENOENT)
		return pb_err_sys(err, "delete %s", new);
	if (pb_below_link(from, new) < 0)
		return errno == ENOENT ? 0 : cannot_link(from, to, err);
	if (pb_below_rename(new, to, 0) < 0) {
		int rc = pb_err_sys(err, "replace %s", to);

		(void)pb_below_unlink(new);
		return rc;
	}
	return 0;
}

static int
cannot_link(const char *from, const char *to, struct pb_err *err)
{
	int sys = errno;

	if (sys == EXDEV)
		return pb_err_set(err, PB_ESYS, "dead letter: cannot link %s "
		    "to %s: they are on two file systems; dead-letters/ and "
		    "segments/ are to be on one", from, to);
	if (sys == EPERM)
		return pb_err_set(err, PB_EACCES, "dead letter: cannot link "
		    "%s to %s: not permitted; pb-shipper runs as the user of "
		    "pb-recorder, on a file system with hard links", from,
		    to);
	return pb_err_sys(err, "dead letter: cannot link %s to %s", from, to);
}

/* --- measuring ---------------------------------------------------------- */

int
pb_letters_measure(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_letters_key *next = &letters->measured;
	struct pb_letters_key key[PB_LETTERS_MEASURE];
	uint64_t bytes[PB_LETTERS_MEASURE];
	struct pb_state_rows rows;
	struct pb_mdb_txn txn;
	size_t looked = 0, grown = 0;

	pb_mdb_begin(letters->state->mdb, false, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_LINKS, next->bytes, next->len, 0);
	next->len = 0;
	while (looked++ < PB_LETTERS_MEASURE && pb_state_next(&rows)) {
		if (!take_key(&key[grown], &rows))
			continue;
		*next = key[grown];
		bytes[grown] = size_of(letters, &key[grown]);
		grown += bytes[grown] > pb_letters_bytes(&txn, &key[grown]);
	}
	if (looked <= PB_LETTERS_MEASURE)
		next->len = 0;		/* the first ones again */
	else if (next->len > 0)
		next->bytes[next->len++] = 0;
	pb_mdb_abort(&txn);
	if (txn.rc < 0 || grown == 0)
		return txn.rc;
	pb_mdb_begin(letters->state->mdb, true, &txn, err);
	for (size_t i = 0; i < grown; i++)
		pb_letters_grow(&txn, &key[i], bytes[i]);
	return pb_mdb_commit(&txn);
}

/* 0 where nobody can say. */
static uint64_t
size_of(const struct pb_letters *letters, const struct pb_letters_key *file)
{
	char path[PATH_MAX];
	struct stat st;

	if (file_of(letters, file, path, NULL) < 0 ||
	    pb_below_stat(path, &st) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

/* --- settling ----------------------------------------------------------- */

/* One that cannot be deleted keeps no other; the first error is told. */
int
pb_letters_tidy(struct pb_letters *letters, struct pb_err *err)
{
	struct doubts d = { .until_ms = pb_clock_mono_ms() +
	    PB_LETTERS_TIDY_MS };
	int (*const step[])(struct pb_letters *, struct doubts *,
	    struct pb_err *) = { list, delete_files, sync_dirs, forget };
	struct pb_err later;
	int rc = 0, one;

	pb_state_from(&d.rows, NULL, PB_STATE_FILES, "", 0, 0);
	do {
		for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
			one = step[i](letters, &d, rc == 0 ? err : &later);
			rc = rc == 0 ? one : rc;
		}
	} while (d.more && !d.late);
	return rc < 0 ? rc : d.late;
}

/* What has a letter is settled, and what names no file. */
static int
list(struct pb_letters *letters, struct doubts *d, struct pb_err *err)
{
	struct pb_mdb_value value;
	char path[PATH_MAX];
	struct pb_mdb_txn txn;

	d->count = 0;
	d->rows.txn = &txn;
	(void)pb_mdb_begin(letters->state->mdb, false, &txn, err);
	while (d->count < PB_LETTERS_SETTLE &&
	    (d->more = pb_state_next(&d->rows))) {
		struct pb_letters_key *key = &d->key[d->count];

		if (!take_key(key, &d->rows))
			continue;
		d->state[d->count++] = pb_mdb_get(&txn, PB_STATE_LINKS,
		    key->bytes, key->len, &value) == 1 ||
		    file_of(letters, key, path, NULL) < 0 ? SETTLED : GOES;
	}
	pb_mdb_abort(&txn);
	/* What there is was not seen. */
	if (txn.rc < 0)
		d->count = d->more = 0;
	return txn.rc;
}

static int
delete_files(struct pb_letters *letters, struct doubts *d,
    struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_err later;
	int rc = 0, one;

	for (size_t i = 0; i < d->count && !d->late; i++) {
		if (d->state[i] != GOES)
			continue;
		one = file_of(letters, &d->key[i], path, NULL);
		if (one == 0)
			one = delete_file(path, rc == 0 ? err : &later);
		if (one == 0)
			d->state[i] = GONE;
		rc = rc == 0 ? one : rc;
		d->late = pb_clock_mono_ms() >= d->until_ms &&
		    (d->more || i + 1 < d->count);
	}
	return rc;
}

/* The deletions of a directory, whose keys stand together, are durable before
 * their rows are forgotten. */
static int
sync_dirs(struct pb_letters *letters, struct doubts *d, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = 0, one;

	for (size_t i = 0, next; i < d->count; i = next) {
		const struct pb_letters_key *key = &d->key[i];

		next = i + 1;
		if (d->state[i] != GONE)
			continue;
		while (next < d->count && d->key[next].len == key->len &&
		    memcmp(d->key[next].bytes, key->bytes, key->len - 8) == 0)
			next++;
		one = file_of(letters, key, dir, err);
		*strrchr(dir, '/') = '\0';
		if (one == 0)
			one = pb_sync_dir(dir, err);
		if (one < 0 && one != PB_ENOENT) {
			rc = one;
			continue;
		}
		for (size_t k = i; k < next; k++)
			if (d->state[k] == GONE)
				d->state[k] = SETTLED;
		remove_parents(dir);
	}
	return rc;
}

static int
forget(struct pb_letters *letters, struct doubts *d, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	size_t i = 0;

	while (i < d->count && d->state[i] != SETTLED)
		i++;
	if (i == d->count)
		return 0;
	(void)pb_mdb_begin(letters->state->mdb, true, &txn, err);
	for (; i < d->count; i++)
		if (d->state[i] == SETTLED)
			pb_mdb_del(&txn, PB_STATE_FILES, d->key[i].bytes,
			    d->key[i].len);
	return pb_mdb_commit(&txn);
}

static int
delete_file(const char *path, struct pb_err *err)
{
	char new[PATH_MAX + 8];

	aside(new, path);
	(void)pb_below_unlink(new);
	if (pb_below_unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return pb_err_sys(err, "delete the dead letter %s", path);
	return 0;
}

/* The file that a key of `files` names. */
static int
file_of(const struct pb_letters *letters, const struct pb_letters_key *file,
    char path[static PATH_MAX], struct pb_err *err)
{
	char upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_stream_key key;
	uint64_t segment_seq;

	if (!pb_letters_key_parse(upstream, &key, &segment_seq, file->bytes,
	    file->len))
		return pb_err_set(err, PB_EFORMAT, "dead letters: a malformed "
		    "row in the table of files");
	return pb_layout_letter(path, letters->store, upstream, &key,
	    segment_seq, err);
}

/* False where it is none of ours. */
static bool
take_key(struct pb_letters_key *key, const struct pb_state_rows *rows)
{
	if (rows->key.len >= sizeof(key->bytes))
		return false;
	key->len = rows->key.len;
	memcpy(key->bytes, rows->key.data, key->len);
	return true;
}

/* EPOCH, IFACE, NODE and UPSTREAM, those that are empty. */
static void
remove_parents(char *dir)
{
	for (int level = 0; level < 4 && pb_below_rmdir(dir) == 0; level++)
		*strrchr(dir, '/') = '\0';
}
