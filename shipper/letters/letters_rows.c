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

#define ROW_VERSION	1u

/* A row of `links`. */
struct link {
	uint64_t	letters, bytes;
};

#define LETTER(member)	PB_ROW_NUMBER(struct pb_letter, member)
static const struct pb_row_field letter_fields[] = {
	LETTER(last), LETTER(state), LETTER(reason), LETTER(status),
	LETTER(attempts), LETTER(since_ns), LETTER(segment_seq),
	LETTER(header_bytes), LETTER(offset), LETTER(file_bytes),
	LETTER(linktype), PB_ROW_TEXT(struct pb_letter, error),
	LETTER(since_at),
};
static const struct pb_row_shape letter_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_letter, letter_fields);
static const struct pb_row_field link_fields[] = {
	PB_ROW_NUMBER(struct link, letters), PB_ROW_NUMBER(struct link, bytes),
};
static const struct pb_row_shape link_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct link, link_fields);
#define SUM(member)	PB_ROW_NUMBER(struct pb_letters_total, member)
static const struct pb_row_field count_fields[] = {
	SUM(letters), SUM(packets), SUM(requeued), SUM(file_bytes),
};
static const struct pb_row_shape count_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_letters_total, count_fields);

static int	commit(struct pb_letters_txn *);
static uint64_t	since_at(const struct pb_letter *);
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
static void	take_in(struct pb_letters_txn *, struct pb_letter *,
		    const struct pb_letter *);

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
	out->len = pb_acks_key(out->bytes, upstream, key);
	pb_put_be64(out->bytes + out->len, number);
	out->len += 8;
}

bool
pb_letters_key_parse(char upstream[static PB_NAME_BYTES_MAX + 1],
    struct pb_stream_key *key, uint64_t *number, const void *bytes,
    size_t len)
{
	if (len < 8 || !pb_acks_key_parse(upstream, key, bytes, len - 8))
		return false;
	*number = pb_get_be64((const uint8_t *)bytes + len - 8);
	return true;
}

bool
pb_letters_parse(struct pb_letter *out, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	if (!pb_row_load(&letter_shape, out, value) ||
	    !pb_letters_key_parse(out->upstream, &out->key, &out->first,
	    key->data, key->len))
		return false;
	out->since_at = since_at(out);
	return out->first <= out->last && out->last < UINT64_MAX &&
	    out->state >= PB_LETTER_DEAD && out->state <= PB_LETTER_GONE;
}

static void
put_row(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letters_key key;

	pb_letters_key(&key, in->upstream, &in->key, in->first);
	pb_row_store(t->txn, PB_STATE_LETTERS, key.bytes, key.len,
	    &letter_shape, in);
}

int
pb_letters_get(struct pb_letters_txn *t, const void *key, size_t len,
    struct pb_letter *out)
{
	struct pb_mdb_value view = { key, len }, value;
	int rc = pb_mdb_get(t->txn, PB_STATE_LETTERS, key, len, &value);

	return rc == 1 && !pb_letters_parse(out, &view, &value) ? 0 : rc;
}

int
pb_letters_seek(struct pb_letters_txn *t, const char *upstream,
    const struct pb_stream_key *key, uint64_t from, struct pb_letter *out)
{
	struct pb_mdb_value found, value;
	struct pb_letters_key at;
	struct pb_state_rows rows;
	size_t stream;

	pb_letters_key(&at, upstream, key, from);
	stream = at.len - 8;
	/* The one that begins before `from` may reach it. */
	if (pb_mdb_find_last(t->txn, PB_STATE_LETTERS, at.bytes, at.len,
	    &found, &value) == 1 && found.len == at.len &&
	    memcmp(found.data, at.bytes, stream) == 0 &&
	    pb_letters_parse(out, &found, &value) && out->last >= from)
		return 1;
	/* What is malformed is passed over. */
	pb_state_from(&rows, t->txn, PB_STATE_LETTERS, at.bytes, at.len,
	    stream);
	while (pb_state_next(&rows))
		if (rows.key.len == stream + 8 &&
		    pb_letters_parse(out, &rows.key, &rows.value))
			return 1;
	return t->txn->rc;
}

/* --- rows in step ------------------------------------------------------- */

void
pb_letters_add(struct pb_letters_txn *t, const struct pb_letter *in)
{
	struct pb_letters_total counts;
	struct pb_letters_key key;

	put_row(t, in);
	pb_letters_counts(t, in->upstream, &counts);
	if (pb_letters_has_file(in)) {
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
	if (pb_letters_has_file(in)) {
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
		all.first = near.first;
		all.offset = near.offset;
		take_in(t, &all, &near);
	}
	if (pb_letters_seek(t, in->upstream, &in->key, in->last + 1,
	    &near) == 1 && near.first == in->last + 1 && alike(&near, in)) {
		all.last = near.last;
		take_in(t, &all, &near);
	}
	pb_letters_add(t, &all);
}

/* What both become has the earlier date. */
static void
take_in(struct pb_letters_txn *t, struct pb_letter *all,
    const struct pb_letter *near)
{
	pb_letters_remove(t, near);
	if (all->file_bytes < near->file_bytes)
		all->file_bytes = near->file_bytes;
	if (near->since_at > since_at(all))
		return;
	all->since_at = near->since_at;
	all->since_ns = near->since_ns;
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

void
pb_letters_name_key(struct pb_letters_key *out, const char *upstream)
{
	out->len = strnlen(upstream, PB_NAME_BYTES_MAX) + 1;
	memcpy(out->bytes, upstream, out->len - 1);
	out->bytes[out->len - 1] = 0;
}

int
pb_letters_oldest(struct pb_letters_txn *t, const char *upstream,
    struct pb_letter *out)
{
	struct pb_letters_key at;

	pb_letters_name_key(&at, upstream);
	return pb_letters_aged(t, &at, out);
}

/* Ages that are none of a letter with a file, which a damaged row can leave,
 * are passed over. */
int
pb_letters_aged(struct pb_letters_txn *t, struct pb_letters_key *at,
    struct pb_letter *out)
{
	size_t name = strlen((const char *)at->bytes) + 1;
	struct pb_letters_key key;
	struct pb_state_rows rows;

	pb_state_from(&rows, t->txn, PB_STATE_AGES, at->bytes, at->len, name);
	while (pb_state_next(&rows)) {
		if (rows.key.len < name + 8 || rows.len > PB_LETTERS_KEY_MAX)
			return 0;
		memcpy(at->bytes, rows.at, rows.len);
		at->len = rows.len;
		key.len = rows.key.len - 8;
		memcpy(key.bytes, rows.at, name);
		memcpy(key.bytes + name, rows.at + name + 8, key.len - name);
		if (pb_letters_get(t, key.bytes, key.len, out) == 1 &&
		    pb_letters_has_file(out) &&
		    out->since_at == pb_get_be64(rows.at + name))
			return 1;
	}
	return t->txn->rc;
}

static uint64_t
since_at(const struct pb_letter *letter)
{
	return letter->since_at != 0 ? letter->since_at : letter->since_ns;
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

	*out = (struct link){ 0, 0 };
	return pb_mdb_get(t->txn, PB_STATE_LINKS, key->bytes, key->len,
	    &value) == 1 && pb_row_load(&link_shape, out, &value);
}

static void
put_link(struct pb_letters_txn *t, const struct pb_letters_key *key,
    const struct link *link)
{
	pb_row_store(t->txn, PB_STATE_LINKS, key->bytes, key->len,
	    &link_shape, link);
}

void
pb_letters_counts(struct pb_letters_txn *t, const char *upstream,
    struct pb_letters_total *out)
{
	struct pb_mdb_value value;

	memset(out, 0, sizeof(*out));
	if (pb_mdb_get(t->txn, PB_STATE_COUNTS, upstream,
	    strnlen(upstream, PB_NAME_BYTES_MAX), &value) == 1)
		(void)pb_row_load(&count_shape, out, &value);
}

static void
put_counts(struct pb_letters_txn *t, const char *upstream,
    const struct pb_letters_total *counts)
{
	pb_row_store(t->txn, PB_STATE_COUNTS, upstream,
	    strnlen(upstream, PB_NAME_BYTES_MAX), &count_shape, counts);
}

static void
take(uint64_t *from, uint64_t n)
{
	*from -= n < *from ? n : *from;
}
