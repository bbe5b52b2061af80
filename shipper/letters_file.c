/*
 * shipper/letters_file.c - dead letters: hard links of segments
 *
 * Table `files` lists, before it happens, each file that is made or
 * deleted.  A row that is left behind means: look again.  With a letter
 * the file stays, without one it goes; either way the row goes with the
 * next transaction.
 */
#include "shipper/letters_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/sys.h"

#define LINK_TRIES	6u	/* a segment may be sealed meanwhile */

/* Files of table `files` that are to be deleted. */
struct victims {
	struct pb_letters *letters;
	bool		 more;		/* than fit here */
	size_t		 count;
	struct pb_letters_key key[PB_LETTERS_SETTLE];
};

static int	listed(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	look(struct pb_letters *, struct victims *, struct pb_err *);
static int	flush(struct pb_letters *, struct pb_err *);
static int	delete_files(struct pb_letters *, const struct victims *,
		    struct pb_err *);
static int	file_of(const struct pb_letters *,
		    const struct pb_letters_key *, char [static PATH_MAX],
		    char [static PATH_MAX], struct pb_err *);
static bool	split(const struct pb_letters_key *,
		    char [static PB_NAME_BYTES_MAX + 1],
		    struct pb_stream_key *, uint64_t *);
static void	remove_parents(char *);
static void	aside(char [static PATH_MAX + 8], const char *);
static int	link_over(const char *, const char *, struct pb_err *);
static int	cannot_link(const char *, const char *, struct pb_err *);

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
		if (stat(from, &st) < 0) {
			if (errno != ENOENT)
				return pb_err_sys(err, "look at %s", from);
			continue;	/* by its other name */
		}
		if (link(from, to) == 0 || (errno == EEXIST &&
		    stat(to, &there) == 0 && there.st_dev == st.st_dev &&
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
	if (unlink(new) < 0 && errno != ENOENT)
		return pb_err_sys(err, "delete %s", new);
	if (link(from, new) < 0)
		return errno == ENOENT ? 0 : cannot_link(from, to, err);
	if (rename(new, to) < 0) {
		int rc = pb_err_sys(err, "replace %s", to);

		(void)unlink(new);
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

/* --- settling ----------------------------------------------------------- */

int
pb_letters_settle(struct pb_letters *letters, struct pb_err *err)
{
	struct victims *v = calloc(1, sizeof(*v));
	int rc = 0;

	if (v == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	v->letters = letters;
	do {
		if (letters->settled > 0)
			rc = flush(letters, err);
		if (rc == 0)
			rc = look(letters, v, err);
		if (rc == 0)
			rc = delete_files(letters, v, err);
	} while (rc == 0 && v->more);
	letters->unsettled = rc < 0;
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
	uint64_t segment_seq;
	size_t kept = 0;
	int rc;

	v->count = 0;
	rc = pb_mdb_begin(letters->state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, PB_STATE_FILES, "", 0, listed, v);
	v->more = rc > 0;
	for (size_t i = 0; rc >= 0 && i < v->count; i++) {
		rc = pb_mdb_get(&txn, PB_STATE_LINKS, v->key[i].bytes,
		    v->key[i].len, &value);
		if (rc == 1 || (rc == 0 && !split(&v->key[i], upstream, &key,
		    &segment_seq)))
			letters->done[letters->settled++] = v->key[i];
		else if (rc == 0)
			v->key[kept++] = v->key[i];
	}
	v->count = kept;
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : 0;
}

static int
listed(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct victims *v = arg;

	(void)value;
	if (v->count == PB_LETTERS_SETTLE - v->letters->settled)
		return 1;
	if (key->len > sizeof(v->key[0].bytes))
		return 0;
	v->key[v->count].len = key->len;
	memcpy(v->key[v->count++].bytes, key->data, key->len);
	return 0;
}

/*
 * The deletions are durable before their rows are forgotten: one sync a
 * directory, keys of one directory stand together.
 */
static int
delete_files(struct pb_letters *letters, const struct victims *v,
    struct pb_err *err)
{
	char dir[PATH_MAX], path[PATH_MAX], new[PATH_MAX + 8],
	    last[PATH_MAX] = "";
	size_t synced = 0;
	int rc = 0;

	for (size_t i = 0; i <= v->count && rc == 0; i++) {
		dir[0] = '\0';
		if (i < v->count)
			rc = file_of(letters, &v->key[i], dir, path, err);
		if (rc == 0 && last[0] != '\0' && strcmp(dir, last) != 0) {
			rc = pb_sync_dir(last, err);
			rc = rc == PB_ENOENT ? 0 : rc;
			for (; rc == 0 && synced < i; synced++)
				letters->done[letters->settled++] =
				    v->key[synced];
			remove_parents(last);
		}
		strcpy(last, dir);
		if (rc < 0 || i == v->count)
			break;
		if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
			rc = pb_err_sys(err, "delete the dead letter %s",
			    path);
		aside(new, path);
		(void)unlink(new);
	}
	return rc;
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

	if (!split(file, upstream, &key, &segment_seq))
		return pb_err_set(err, PB_EFORMAT, "dead letters: a malformed "
		    "row in the table of files");
	rc = pb_letters_dir(dir, letters->store, upstream, &key, err);
	if (rc < 0)
		return rc;
	return pb_letters_path(path, letters->store, upstream, &key,
	    segment_seq, err);
}

static bool
split(const struct pb_letters_key *file,
    char upstream[static PB_NAME_BYTES_MAX + 1], struct pb_stream_key *key,
    uint64_t *segment_seq)
{
	size_t name = strnlen((const char *)file->bytes, file->len), at;

	if (name == file->len || name > PB_NAME_BYTES_MAX)
		return false;
	memcpy(upstream, file->bytes, name + 1);
	at = pb_state_split(file->bytes, file->len, name + 1, key);
	if (at == 0 || file->len - at != 8)
		return false;
	*segment_seq = pb_get_be64(file->bytes + at);
	return true;
}

/* EPOCH, IFACE, NODE and UPSTREAM, those that are empty. */
static void
remove_parents(char *dir)
{
	for (int level = 0; level < 4 && rmdir(dir) == 0; level++)
		*strrchr(dir, '/') = '\0';
}
