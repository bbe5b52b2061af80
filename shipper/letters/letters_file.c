/*
 * shipper/letters/letters_file.c - dead letters: hard links of segments
 *
 * Table `files` lists, before it happens, each file that is made or
 * deleted.  A row that is left behind means: look again.  With a letter
 * the file stays, without one it goes; either way the row goes with the
 * next transaction.
 */
#include "shipper/letters/letters_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/sys.h"

#define LINK_TRIES	6u	/* a segment may be sealed meanwhile */

/* Files of table `files` that are to be deleted. */
struct victims {
	bool		 more;		/* than fit here */
	uint64_t	 until_ms;	/* then it is enough */
	bool		 late;		/* it was: some are left */
	size_t		 count;
	bool		 gone[PB_LETTERS_SETTLE];
	struct pb_letters_key key[PB_LETTERS_SETTLE];
};

/* Files with a letter, and their bytes as they are now. */
struct sizes {
	size_t		 count;
	struct pb_letters_key key[PB_LETTERS_MEASURE];
	uint64_t	 bytes[PB_LETTERS_MEASURE];
};

static size_t	look_at_sizes(struct pb_letters_txn *, struct sizes *);
static int	look(struct pb_letters *, struct victims *, struct pb_err *);
static int	flush(struct pb_letters *, struct pb_err *);
static int	delete_files(struct pb_letters *, struct victims *,
		    struct pb_err *);
static int	delete_in_dir(struct pb_letters *, struct victims *, size_t,
		    size_t *, struct pb_err *);
static int	delete_file(const char *, struct pb_err *);
static int	file_of(const struct pb_letters *,
		    const struct pb_letters_key *, char [static PATH_MAX],
		    char [static PATH_MAX], struct pb_err *);
static void	remove_parents(char *);
static void	aside(char [static PATH_MAX + 8], const char *);
static int	link_over(const char *, const char *, struct pb_err *);
static int	cannot_link(const char *, const char *, struct pb_err *);
static int	tidy(struct pb_letters *, struct pb_err *);
static int	intend_all(struct pb_letters *, const struct pb_letter *,
		    size_t, struct pb_err *);
static void	take_key(struct pb_letters_key *, size_t *,
		    const struct pb_state_rows *);

/* --- names -------------------------------------------------------------- */

int
pb_letters_dir(char out[static PATH_MAX], const char *store,
    const char *upstream, const struct pb_stream_key *key, struct pb_err *err)
{
	char url[PATH_MAX];
	struct pb_buf name;
	int n = -1, rc = pb_layout_url(url, key, err);

	if (rc < 0)
		return rc;
	pb_buf_init(&name, PATH_MAX);
	pb_percent_encode(&name, upstream);
	if (!name.failed)
		n = snprintf(out, PATH_MAX, "%s/dead-letters/%s/%s", store,
		    pb_buf_cstr(&name), url);
	pb_buf_finish(&name);
	if (n < 0 || n >= PATH_MAX)
		return pb_err_set(err, PB_ELIMIT, "path of a dead letter "
		    "longer than %d bytes", PATH_MAX - 1);
	return 0;
}

int
pb_letters_path(char out[static PATH_MAX], const char *store,
    const char *upstream, const struct pb_stream_key *key,
    uint64_t segment_seq, struct pb_err *err)
{
	char dir[PATH_MAX];
	int n, rc = pb_letters_dir(dir, store, upstream, key, err);

	if (rc < 0)
		return rc;
	n = snprintf(out, PATH_MAX, "%s/%020llu.pcapng", dir,
	    (unsigned long long)segment_seq);
	if (n < 0 || n >= PATH_MAX)
		return pb_err_set(err, PB_ELIMIT, "path of a dead letter "
		    "longer than %d bytes", PATH_MAX - 1);
	return 0;
}

/* --- making ------------------------------------------------------------- */

int
pb_letters_make(struct pb_letters *letters, const struct pb_letter *letter,
    size_t count, int (*link)(void *, struct pb_err *),
    int (*keep)(void *, struct pb_err *), void *arg, struct pb_err *err)
{
	struct pb_err later;
	int rc = intend_all(letters, letter, count, err);

	if (rc == 0)
		rc = link(arg, err);
	if (rc == 0)
		rc = keep(arg, err);
	if (rc < 0)
		(void)pb_letters_settle(letters, &later);
	return rc;
}

static int
intend_all(struct pb_letters *letters, const struct pb_letter *letter,
    size_t count, struct pb_err *err)
{
	struct pb_letters_key file;
	struct pb_letters_txn t;
	int rc;

	pb_letters_begin(&t, letters, true, err);
	for (size_t i = 0; i < count; i++) {
		pb_letters_key(&file, letter[i].upstream, &letter[i].key,
		    letter[i].segment_seq);
		pb_letters_intend(&t, &file);
	}
	/* Not to be settled before they are made. */
	letters->unsettled = false;
	rc = pb_letters_end(&t, err);
	letters->unsettled = true;
	return rc;
}

int
pb_letters_link(struct pb_letters *letters, struct pb_letter *letter,
    struct pb_err *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st, there;
	int rc;

	rc = pb_letters_path(to, letters->store, letter->upstream,
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
		if (pb_below_link(from, to) == 0 || (errno == EEXIST &&
		    pb_below_stat(to, &there) == 0 &&
		    there.st_dev == st.st_dev &&
		    there.st_ino == st.st_ino)) {
			letter->file_bytes = (uint64_t)st.st_size;
			return 1;
		}
		if (errno == EEXIST)
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
	struct pb_letters_key *last = &letters->measured;
	struct sizes sizes = { .count = 0 };
	struct pb_letters_txn t;
	struct pb_state_rows rows;
	size_t grown;
	int rc;

	pb_letters_begin(&t, letters, false, err);
	pb_state_from(&rows, t.txn, PB_STATE_LINKS, last->bytes, last->len, 0);
	while (sizes.count < PB_LETTERS_MEASURE && pb_state_next(&rows))
		take_key(sizes.key, &sizes.count, &rows);
	/* Where the next ones are; none: from the start. */
	last->len = sizes.count < PB_LETTERS_MEASURE ||
	    rows.len > sizeof(last->bytes) ? 0 : rows.len;
	memcpy(last->bytes, rows.at, last->len);
	grown = look_at_sizes(&t, &sizes);
	rc = pb_letters_end(&t, err);
	if (rc < 0 || grown == 0)
		return rc;
	pb_letters_begin(&t, letters, true, err);
	for (size_t i = 0; i < sizes.count; i++)
		pb_letters_grow(&t, &sizes.key[i], sizes.bytes[i]);
	return pb_letters_end(&t, err);
}

/* One more, where it may be one of ours. */
static void
take_key(struct pb_letters_key *key, size_t *count,
    const struct pb_state_rows *rows)
{
	if (rows->key.len > sizeof(key->bytes))
		return;
	key += (*count)++;
	key->len = rows->key.len;
	memcpy(key->bytes, rows->key.data, key->len);
}

/* How many have more bytes than they count with. */
static size_t
look_at_sizes(struct pb_letters_txn *t, struct sizes *sizes)
{
	char dir[PATH_MAX], path[PATH_MAX];
	size_t grown = 0;
	struct stat st;

	for (size_t i = 0; i < sizes->count; i++) {
		sizes->bytes[i] = 0;
		if (file_of(t->letters, &sizes->key[i], dir, path, NULL) < 0 ||
		    pb_below_stat(path, &st) < 0)
			continue;
		sizes->bytes[i] = (uint64_t)st.st_size;
		grown += sizes->bytes[i] >
		    pb_letters_bytes(t, &sizes->key[i]);
	}
	return grown;
}

/* --- settling ----------------------------------------------------------- */

int
pb_letters_tidy(struct pb_letters *letters, struct pb_err *err)
{
	int rc;

	pb_state_hold(letters->state);
	rc = tidy(letters, err);
	pb_state_release(letters->state);
	return rc;
}

static int
tidy(struct pb_letters *letters, struct pb_err *err)
{
	int rc = letters->unsettled ? pb_letters_settle(letters, err) : 0;

	return rc < 0 ? rc : letters->unsettled;
}

int
pb_letters_settle(struct pb_letters *letters, struct pb_err *err)
{
	struct victims *v = calloc(1, sizeof(*v));
	int rc = 0;

	if (v == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	v->until_ms = pb_clock_mono_ms() + PB_LETTERS_TIDY_MS;
	do {
		if (letters->settled > 0)
			rc = flush(letters, err);
		if (rc == 0)
			rc = look(letters, v, err);
		if (rc == 0)
			rc = delete_files(letters, v, err);
	} while (rc == 0 && v->more && !v->late);
	letters->unsettled = rc < 0 || v->late;
	free(v);
	return rc;
}

/* Delete the rows of what is settled. */
static int
flush(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_mdb_begin(letters->state->mdb, true, &txn, err);
	for (size_t i = 0; i < letters->settled; i++)
		pb_mdb_del(&txn, PB_STATE_FILES, letters->done[i].bytes,
		    letters->done[i].len);
	rc = pb_mdb_commit(&txn);
	if (rc == 0)
		letters->settled = 0;
	return rc;
}

/* List what has no letter; what has one, or names no file, is settled as it
 * is. */
static int
look(struct pb_letters *letters, struct victims *v, struct pb_err *err)
{
	char upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_mdb_value value;
	struct pb_stream_key key;
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	uint64_t segment_seq;
	size_t kept = 0;
	int rc;

	v->count = 0;
	(void)pb_mdb_begin(letters->state->mdb, false, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_FILES, "", 0, 0);
	while (v->count < PB_LETTERS_SETTLE - letters->settled &&
	    (v->more = pb_state_next(&rows)))
		take_key(v->key, &v->count, &rows);
	rc = txn.rc;
	for (size_t i = 0; rc >= 0 && i < v->count; i++) {
		rc = pb_mdb_get(&txn, PB_STATE_LINKS, v->key[i].bytes,
		    v->key[i].len, &value);
		if (rc == 1 || (rc == 0 && !pb_letters_key_parse(upstream,
		    &key, &segment_seq, v->key[i].bytes, v->key[i].len)))
			letters->done[letters->settled++] = v->key[i];
		else if (rc == 0)
			v->key[kept++] = v->key[i];
	}
	v->count = kept;
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : 0;
}

/* One that cannot be deleted keeps no other; the first error is told. */
static int
delete_files(struct pb_letters *letters, struct victims *v,
    struct pb_err *err)
{
	struct pb_err later;
	size_t next;
	int rc = 0, one;

	for (size_t i = 0; i < v->count && !v->late; i = next) {
		one = delete_in_dir(letters, v, i, &next,
		    rc == 0 ? err : &later);
		if (rc == 0)
			rc = one;
	}
	return rc;
}

/*
 * Those from `first` on that are in its directory; keys of one directory
 * stand together.  The deletions are durable before their rows are
 * forgotten, by one sync.
 */
static int
delete_in_dir(struct pb_letters *letters, struct victims *v, size_t first,
    size_t *next, struct pb_err *err)
{
	char dir[PATH_MAX], other[PATH_MAX], path[PATH_MAX];
	struct pb_err later;
	int rc, synced;

	*next = first + 1;
	rc = file_of(letters, &v->key[first], dir, path, err);
	if (rc < 0)
		return rc;
	v->gone[first] = (rc = delete_file(path, err)) == 0;
	for (; *next < v->count && file_of(letters, &v->key[*next], other,
	    path, &later) == 0 && strcmp(other, dir) == 0; (*next)++) {
		int one;

		v->late = pb_clock_mono_ms() >= v->until_ms;
		if (v->late)
			break;
		one = delete_file(path, rc == 0 ? err : &later);
		v->gone[*next] = one == 0;
		if (rc == 0)
			rc = one;
	}
	synced = pb_sync_dir(dir, rc == 0 ? err : &later);
	if (synced < 0 && synced != PB_ENOENT)
		return rc == 0 ? synced : rc;
	for (size_t i = first; i < *next; i++)
		if (v->gone[i])
			letters->done[letters->settled++] = v->key[i];
	remove_parents(dir);
	v->late = *next < v->count && pb_clock_mono_ms() >= v->until_ms;
	return rc;
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

/* The directory and the file that a key of `files` names. */
static int
file_of(const struct pb_letters *letters, const struct pb_letters_key *file,
    char dir[static PATH_MAX], char path[static PATH_MAX],
    struct pb_err *err)
{
	char upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_stream_key key;
	uint64_t segment_seq;
	int rc;

	if (!pb_letters_key_parse(upstream, &key, &segment_seq, file->bytes,
	    file->len))
		return pb_err_set(err, PB_EFORMAT, "dead letters: a malformed "
		    "row in the table of files");
	rc = pb_letters_dir(dir, letters->store, upstream, &key, err);
	if (rc < 0)
		return rc;
	return pb_letters_path(path, letters->store, upstream, &key,
	    segment_seq, err);
}

/* EPOCH, IFACE, NODE and UPSTREAM, those that are empty. */
static void
remove_parents(char *dir)
{
	for (int level = 0; level < 4 && pb_below_rmdir(dir) == 0; level++)
		*strrchr(dir, '/') = '\0';
}
