/*
 * shipper/letters/letters_rows.c - dead letters: the tables, in step
 *
 * A letter is a row of `letters`.  With a file (DEAD, REQUEUED) it stands
 * in `ages` too and holds its row of `links`; once GONE it stands in
 * `gone`.  `counts` has the sums.  All of it changes in one transaction.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

#include "base/bytes.h"
#include "shipper/state/row.h"

#define ROW_VERSION	1u

/* A row of `links`. */
struct link {
	uint64_t	letters, bytes;
};

static int	commit(struct pb_letters_txn *);
static bool	has_file(const struct pb_letter *);
static uint64_t	since_at(const struct pb_letter *);
static void	take_since(struct pb_letter *, const struct pb_letter *);
static void	put_row(struct pb_letters_txn *, const struct pb_letter *);
static void	hold(struct pb_letters_txn *, const struct pb_letter *,
		    struct pb_letters_total *);
static void	release(struct pb_letters_txn *, const struct pb_letter *,
		    struct pb_letters_total *);
static bool	get_link(struct pb_letters_txn *,
		    const struct pb_letters_key *, struct link *);
static void	put_link(struct pb_letters_txn *,
		    const struct pb_letters_key *, const struct link *);
static void	put_counts(struct pb_letters_txn *, const char *,
		    const struct pb_letters_total *);
static void	not_settled(struct pb_letters *,
		    const struct pb_letters_key *);
static bool	alike(const struct pb_letter *, const struct pb_letter *);
static void	take(uint64_t *, uint64_t);

/* --- transactions ------------------------------------------------------- */

int
pb_letters_begin(struct pb_letters_txn *t, struct pb_letters *letters,
    bool write, struct pb_err *err)
{
	bool joins = pb_state_is_mine(letters->state);

	t->letters = letters;
	t->txn = joins ? &letters->state->txn : &t->own;
	if (write)
		pb_state_hold(letters->state);
	if (!joins)
		pb_mdb_begin(letters->state->mdb, write, t->txn, err);
	for (size_t i = 0; write && !joins && i < letters->settled; i++)
		pb_mdb_del(t->txn, PB_STATE_FILES, letters->done[i].bytes,
		    letters->done[i].len);
	if (write)
		letters_age_put(t);
	t->write = write;
	return t->txn->rc;
}

int
pb_letters_end(struct pb_letters_txn *t, struct pb_err *err)
{
	int rc = t->txn->rc;

	if (t->txn != &t->own) {
		if (rc < 0 && err != NULL && t->txn->err != NULL)
			*err = *t->txn->err;
	} else if (t->write) {
		rc = commit(t);
	} else {
		pb_mdb_abort(t->txn);
	}
	if (t->write)
		pb_state_release(t->letters->state);
	return rc;
}

static int
commit(struct pb_letters_txn *t)
{
	struct pb_letters *letters = t->letters;
	struct pb_err later;
	int rc = pb_mdb_commit(t->txn);

	if (rc < 0)
		return rc;
	letters->settled = 0;
	/* The rows are right; a file in the way is tried again. */
	if (letters->unsettled)
		(void)pb_letters_settle(letters, &later);
	return 0;
}

/* --- one row ------------------------------------------------------------ */

void
pb_letters_key(struct pb_letters_key *out, const char *upstream,
    const struct pb_stream_key *key, uint64_t number)
{
	out->len = pb_state_key(out->bytes, upstream, key);
	pb_put_be64(out->bytes + out->len, number);
	out->len += 8;
}

bool
pb_letters_parse(struct pb_letter *out, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	size_t name = strnlen(key->data, key->len), at;
	struct pb_row row;

	memset(out, 0, sizeof(*out));
	if (name == key->len || name >= sizeof(out->upstream))
		return false;
	memcpy(out->upstream, key->data, name);
	at = pb_state_split(key->data, key->len, name + 1, &out->key);
	if (at == 0 || key->len - at != 8 ||
	    !pb_row_load(&row, ROW_VERSION, value))
		return false;
	out->first = pb_get_be64((const uint8_t *)key->data + at);
	out->last = pb_row_u64(&row);
	out->state = (enum pb_letter_state)pb_row_u64(&row);
	out->reason = (enum pb_dead_reason)pb_row_u64(&row);
	out->status = (int)pb_row_u64(&row);
	out->attempts = (uint32_t)pb_row_u64(&row);
	out->since_ns = pb_row_u64(&row);
	out->segment_seq = pb_row_u64(&row);
	out->header_bytes = (uint32_t)pb_row_u64(&row);
	out->offset = pb_row_u64(&row);
	out->file_bytes = pb_row_u64(&row);
	out->linktype = (uint16_t)pb_row_u64(&row);
	pb_row_text(&row, out->error, sizeof(out->error));
	out->since_at = pb_row_u64(&row);
	out->since_at = since_at(out);
	return out->first <= out->last && out->last < UINT64_MAX &&
	    out->state >= PB_LETTER_DEAD && out->state <= PB_LETTER_GONE;
}

static void
put_row(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letters_key key;
	struct pb_row row;

	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, in->last);
	pb_row_put_u64(&row, (uint64_t)in->state);
	pb_row_put_u64(&row, (uint64_t)in->reason);
	pb_row_put_u64(&row, (uint64_t)in->status);
	pb_row_put_u64(&row, in->attempts);
	pb_row_put_u64(&row, in->since_ns);
	pb_row_put_u64(&row, in->segment_seq);
	pb_row_put_u64(&row, in->header_bytes);
	pb_row_put_u64(&row, in->offset);
	pb_row_put_u64(&row, in->file_bytes);
	pb_row_put_u64(&row, in->linktype);
	pb_row_put_text(&row, in->error);
	pb_row_put_u64(&row, in->since_at);
	pb_letters_key(&key, in->upstream, &in->key, in->first);
	pb_mdb_put(t->txn, PB_STATE_LETTERS, key.bytes, key.len, row.bytes,
	    row.len);
}

int
pb_letters_get(struct pb_letters_txn *t, const struct pb_letters_key *key,
    struct pb_letter *out)
{
	struct pb_mdb_value view = { key->bytes, key->len }, value;
	int rc = pb_mdb_get(t->txn, PB_STATE_LETTERS, key->bytes, key->len,
	    &value);

	if (rc == 1 && !pb_letters_parse(out, &view, &value))
		return 0;
	return rc;
}

int
pb_letters_seek(struct pb_letters_txn *t, const char *upstream,
    const struct pb_stream_key *key, uint64_t from, struct pb_letter *out)
{
	struct pb_mdb_value found, value;
	struct pb_letters_key at, stream;
	int rc;

	pb_letters_key(&stream, upstream, key, from);
	at = stream;
	stream.len -= 8;
	/* The one that begins before `from` may reach it. */
	rc = pb_mdb_find_last(t->txn, PB_STATE_LETTERS, at.bytes, at.len,
	    &found, &value);
	if (rc == 1 && found.len == at.len &&
	    memcmp(found.data, stream.bytes, stream.len) == 0 &&
	    pb_letters_parse(out, &found, &value) && out->last >= from)
		return 1;
	while (rc >= 0) {
		rc = pb_mdb_find(t->txn, PB_STATE_LETTERS, at.bytes, at.len,
		    &found, &value);
		if (rc != 1 || found.len != stream.len + 8 ||
		    memcmp(found.data, stream.bytes, stream.len) != 0)
			return rc < 0 ? rc : 0;
		if (pb_letters_parse(out, &found, &value))
			return 1;
		/* Malformed: the next one. */
		memcpy(at.bytes, found.data, found.len);
		at.len = found.len;
		at.bytes[at.len++] = 0;
	}
	return rc;
}

/* --- rows in step ------------------------------------------------------- */

void
pb_letters_add(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letters_total counts;
	struct pb_letters_key key;

	put_row(t, in);
	pb_letters_counts(t, in->upstream, &counts);
	if (has_file(in)) {
		pb_letters_age_key(&key, in);
		pb_mdb_put(t->txn, PB_STATE_AGES, key.bytes, key.len, "", 0);
		hold(t, in, &counts);
	}
	if (in->state == PB_LETTER_GONE) {
		pb_letters_key(&key, in->upstream, &in->key, in->first);
		pb_mdb_put(t->txn, PB_STATE_GONE, key.bytes, key.len, "", 0);
	} else if (in->state == PB_LETTER_DEAD) {
		counts.letters++;
		counts.packets += in->last - in->first + 1;
	} else
		counts.requeued++;
	put_counts(t, in->upstream, &counts);
}

void
pb_letters_remove(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letters_total counts;
	struct pb_letters_key key;

	pb_letters_counts(t, in->upstream, &counts);
	if (has_file(in)) {
		pb_letters_age_key(&key, in);
		pb_mdb_del(t->txn, PB_STATE_AGES, key.bytes, key.len);
		release(t, in, &counts);
	}
	pb_letters_key(&key, in->upstream, &in->key, in->first);
	pb_mdb_del(t->txn, PB_STATE_LETTERS, key.bytes, key.len);
	if (in->state == PB_LETTER_GONE)
		pb_mdb_del(t->txn, PB_STATE_GONE, key.bytes, key.len);
	else if (in->state == PB_LETTER_DEAD) {
		take(&counts.letters, 1);
		take(&counts.packets, in->last - in->first + 1);
	} else
		take(&counts.requeued, 1);
	put_counts(t, in->upstream, &counts);
}

void
pb_letters_put(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letter all = *in, near;

	if (in->first > 1 && pb_letters_seek(t, in->upstream, &in->key,
	    in->first - 1, &near) == 1 && near.last + 1 == in->first &&
	    alike(&near, in)) {
		pb_letters_remove(t, &near);
		all.first = near.first;
		all.offset = near.offset;
		take_since(&all, &near);
		if (all.file_bytes < near.file_bytes)
			all.file_bytes = near.file_bytes;
	}
	if (pb_letters_seek(t, in->upstream, &in->key, in->last + 1,
	    &near) == 1 && near.first == in->last + 1 && alike(&near, in)) {
		pb_letters_remove(t, &near);
		all.last = near.last;
		take_since(&all, &near);
		if (all.file_bytes < near.file_bytes)
			all.file_bytes = near.file_bytes;
	}
	pb_letters_add(t, &all);
}

void
pb_letters_cut(struct pb_letters_txn *t, const struct pb_letter *in,
    uint64_t first, uint64_t last)
{
	struct pb_letter left = *in;

	pb_letters_remove(t, in);
	if (first > in->first) {
		left.last = first - 1;
		pb_letters_add(t, &left);
	}
	if (last < in->last) {
		left.first = last + 1;
		left.last = in->last;
		pb_letters_add(t, &left);
	}
}

/* Neighbours that may as well be one letter. */
static bool
alike(const struct pb_letter *a, const struct pb_letter *b)
{
	if (a->state != b->state)
		return false;
	if (a->state == PB_LETTER_LATE || a->state == PB_LETTER_GONE)
		return true;
	return a->state == PB_LETTER_DEAD &&
	    a->segment_seq == b->segment_seq && a->reason == b->reason &&
	    a->status == b->status;
}

int
pb_letters_oldest(struct pb_letters_txn *t, const char *upstream,
    struct pb_letter *out)
{
	struct pb_letters_key at;

	at.len = strnlen(upstream, PB_NAME_BYTES_MAX) + 1;
	memcpy(at.bytes, upstream, at.len - 1);
	at.bytes[at.len - 1] = 0;
	return pb_letters_aged(t, &at, out);
}

int
pb_letters_aged(struct pb_letters_txn *t, struct pb_letters_key *at,
    struct pb_letter *out)
{
	size_t name = strlen((const char *)at->bytes) + 1;
	struct pb_mdb_value found, value;
	struct pb_letters_key key;
	int rc;

	/* Ages that are none of a letter with a file, which a damaged row can
	 * leave, are passed over. */
	do {
		rc = pb_mdb_find(t->txn, PB_STATE_AGES, at->bytes, at->len,
		    &found, &value);
		if (rc != 1)
			return rc;
		if (found.len < name + 8 ||
		    found.len >= PB_LETTERS_KEY_MAX ||
		    memcmp(found.data, at->bytes, name) != 0)
			return 0;
		memcpy(at->bytes, found.data, found.len);
		at->bytes[found.len] = 0;
		at->len = found.len + 1;
		memcpy(key.bytes, at->bytes, name);
		memcpy(key.bytes + name, at->bytes + name + 8,
		    found.len - name - 8);
		key.len = found.len - 8;
		rc = pb_letters_get(t, &key, out);
		if (rc == 1 && (!has_file(out) ||
		    out->since_at != pb_get_be64(at->bytes + name)))
			rc = 0;
	} while (rc == 0);
	return rc;
}

static bool
has_file(const struct pb_letter *letter)
{
	return letter->state == PB_LETTER_DEAD ||
	    letter->state == PB_LETTER_REQUEUED;
}

static uint64_t
since_at(const struct pb_letter *letter)
{
	return letter->since_at != 0 ? letter->since_at : letter->since_ns;
}

/* The earlier of two that become one. */
static void
take_since(struct pb_letter *all, const struct pb_letter *near)
{
	if (near->since_at > since_at(all))
		return;
	all->since_at = near->since_at;
	all->since_ns = near->since_ns;
}

/* NAME \0 SINCE and the rest of the letter's own key. */
void
pb_letters_age_key(struct pb_letters_key *out, const struct pb_letter *letter)
{
	size_t name = strlen(letter->upstream) + 1;
	struct pb_letters_key key;

	pb_letters_key(&key, letter->upstream, &letter->key, letter->first);
	memcpy(out->bytes, key.bytes, name);
	pb_put_be64(out->bytes + name, since_at(letter));
	memcpy(out->bytes + name + 8, key.bytes + name, key.len - name);
	out->len = key.len + 8;
}

/* --- files and sums ----------------------------------------------------- */

static void
hold(struct pb_letters_txn *t, const struct pb_letter *letter,
    struct pb_letters_total *counts)
{
	struct link link = { 0, 0 };
	struct pb_letters_key key;

	pb_letters_key(&key, letter->upstream, &letter->key,
	    letter->segment_seq);
	get_link(t, &key, &link);
	link.letters++;
	if (link.bytes < letter->file_bytes) {
		counts->file_bytes += letter->file_bytes - link.bytes;
		link.bytes = letter->file_bytes;
	}
	put_link(t, &key, &link);
	pb_mdb_del(t->txn, PB_STATE_FILES, key.bytes, key.len);
}

static void
release(struct pb_letters_txn *t, const struct pb_letter *letter,
    struct pb_letters_total *counts)
{
	struct pb_letters_key key;
	struct link link;

	pb_letters_key(&key, letter->upstream, &letter->key,
	    letter->segment_seq);
	if (!get_link(t, &key, &link))
		return;
	if (link.letters > 1) {
		link.letters--;
		put_link(t, &key, &link);
		return;
	}
	take(&counts->file_bytes, link.bytes);
	pb_mdb_del(t->txn, PB_STATE_LINKS, key.bytes, key.len);
	pb_letters_intend(t, &key);
}

uint64_t
pb_letters_bytes(struct pb_letters_txn *t, const struct pb_letters_key *file)
{
	struct link link;

	return get_link(t, file, &link) ? link.bytes : 0;
}

void
pb_letters_grow(struct pb_letters_txn *t, const struct pb_letters_key *file,
    uint64_t bytes)
{
	const char *upstream = (const char *)file->bytes;
	struct pb_letters_total counts;
	struct link link;

	if (!get_link(t, file, &link) || link.bytes >= bytes)
		return;
	pb_letters_counts(t, upstream, &counts);
	counts.file_bytes += bytes - link.bytes;
	link.bytes = bytes;
	put_link(t, file, &link);
	put_counts(t, upstream, &counts);
}

void
pb_letters_intend(struct pb_letters_txn *t, const struct pb_letters_key *file)
{
	pb_mdb_put(t->txn, PB_STATE_FILES, file->bytes, file->len, "", 0);
	not_settled(t->letters, file);
	t->letters->unsettled = true;
}

/* A row that was to go is needed again. */
static void
not_settled(struct pb_letters *letters, const struct pb_letters_key *file)
{
	for (size_t i = 0; i < letters->settled; i++)
		if (letters->done[i].len == file->len &&
		    memcmp(letters->done[i].bytes, file->bytes,
		    file->len) == 0) {
			letters->done[i] = letters->done[--letters->settled];
			return;
		}
}

static bool
get_link(struct pb_letters_txn *t, const struct pb_letters_key *key,
    struct link *out)
{
	struct pb_mdb_value value;
	struct pb_row row;

	if (pb_mdb_get(t->txn, PB_STATE_LINKS, key->bytes, key->len,
	    &value) != 1 || !pb_row_load(&row, ROW_VERSION, &value))
		return false;
	out->letters = pb_row_u64(&row);
	out->bytes = pb_row_u64(&row);
	return true;
}

static void
put_link(struct pb_letters_txn *t, const struct pb_letters_key *key,
    const struct link *link)
{
	struct pb_row row;

	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, link->letters);
	pb_row_put_u64(&row, link->bytes);
	pb_mdb_put(t->txn, PB_STATE_LINKS, key->bytes, key->len, row.bytes,
	    row.len);
}

void
pb_letters_counts(struct pb_letters_txn *t, const char *upstream,
    struct pb_letters_total *out)
{
	struct pb_mdb_value value;
	struct pb_row row;

	memset(out, 0, sizeof(*out));
	if (pb_mdb_get(t->txn, PB_STATE_COUNTS, upstream,
	    strnlen(upstream, PB_NAME_BYTES_MAX), &value) != 1 ||
	    !pb_row_load(&row, ROW_VERSION, &value))
		return;
	out->letters = pb_row_u64(&row);
	out->packets = pb_row_u64(&row);
	out->requeued = pb_row_u64(&row);
	out->file_bytes = pb_row_u64(&row);
}

static void
put_counts(struct pb_letters_txn *t, const char *upstream,
    const struct pb_letters_total *counts)
{
	size_t len = strnlen(upstream, PB_NAME_BYTES_MAX);
	struct pb_row row;

	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, counts->letters);
	pb_row_put_u64(&row, counts->packets);
	pb_row_put_u64(&row, counts->requeued);
	pb_row_put_u64(&row, counts->file_bytes);
	pb_mdb_put(t->txn, PB_STATE_COUNTS, upstream, len, row.bytes,
	    row.len);
}

static void
take(uint64_t *from, uint64_t n)
{
	*from -= n < *from ? n : *from;
}
