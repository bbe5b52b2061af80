/*
 * shipper/letters/letters_rows.c - dead letters: the tables, in step
 *
 * A letter is a row of `letters`.  With a file (DEAD, REQUEUED) it stands
 * in `ages` too and holds its row of `links`; the last one to leave that puts
 * the file in doubt (`files`).  A LATE one has a row in `acks` (acks.h).
 * `counts` has the sums.  All of it changes in one transaction.
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

static uint64_t	since_at(const struct pb_letter *);
static void	set(struct pb_mdb_txn *, const struct pb_letter *, bool);
static void	set_late(struct pb_mdb_txn *, const struct pb_letters_key *,
		    uint64_t, bool);
static void	use_file(struct pb_mdb_txn *, const struct pb_letters_key *,
		    int, uint64_t);
static bool	get_link(struct pb_mdb_txn *,
		    const struct pb_letters_key *, struct link *);
static void	put_counts(struct pb_mdb_txn *, const char *,
		    const struct pb_letters_total *);
static bool	alike(const struct pb_letter *, const struct pb_letter *);
static void	count(uint64_t *, bool, uint64_t);
static void	take_in(struct pb_mdb_txn *, struct pb_letter *,
		    const struct pb_letter *);

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

int
pb_letters_get(struct pb_mdb_txn *txn, const void *key, size_t len,
    struct pb_letter *out)
{
	struct pb_mdb_value view = { key, len }, value;
	int rc = pb_mdb_get(txn, PB_STATE_LETTERS, key, len, &value);

	return rc == 1 && !pb_letters_parse(out, &view, &value) ? 0 : rc;
}

int
pb_letters_seek(struct pb_mdb_txn *txn, const char *upstream,
    const struct pb_stream_key *key, uint64_t from, struct pb_letter *out)
{
	struct pb_mdb_value found, value;
	struct pb_letters_key at;
	struct pb_state_rows rows;
	size_t stream;

	pb_letters_key(&at, upstream, key, from);
	stream = at.len - 8;
	/* The one that begins before `from` may reach it. */
	if (pb_mdb_find_last(txn, PB_STATE_LETTERS, at.bytes, at.len,
	    &found, &value) == 1 && found.len == at.len &&
	    memcmp(found.data, at.bytes, stream) == 0 &&
	    pb_letters_parse(out, &found, &value) && out->last >= from)
		return 1;
	/* What is malformed is passed over. */
	pb_state_from(&rows, txn, PB_STATE_LETTERS, at.bytes, at.len,
	    stream);
	while (pb_state_next(&rows))
		if (rows.key.len == stream + 8 &&
		    pb_letters_parse(out, &rows.key, &rows.value))
			return 1;
	return txn->rc;
}

/* --- rows in step ------------------------------------------------------- */

void
pb_letters_remove(struct pb_mdb_txn *txn, const struct pb_letter *in)
{
	set(txn, in, false);
}

static void
set(struct pb_mdb_txn *txn, const struct pb_letter *in, bool there)
{
	struct pb_letters_key key, file, age;
	struct pb_letters_total counts;

	pb_letters_key(&key, in->upstream, &in->key, in->first);
	if (there)
		pb_row_store(txn, PB_STATE_LETTERS, key.bytes, key.len,
		    &letter_shape, in);
	else
		pb_mdb_del(txn, PB_STATE_LETTERS, key.bytes, key.len);
	if (in->state == PB_LETTER_LATE)
		set_late(txn, &key, in->last, there);
	if (pb_letters_has_file(in)) {
		pb_letters_age_key(&age, in);
		if (there)
			pb_mdb_put(txn, PB_STATE_AGES, age.bytes, age.len, "",
			    0);
		else
			pb_mdb_del(txn, PB_STATE_AGES, age.bytes, age.len);
		pb_letters_key(&file, in->upstream, &in->key,
		    in->segment_seq);
		use_file(txn, &file, there ? 1 : -1, in->file_bytes);
	}
	pb_letters_counts(txn, in->upstream, &counts);
	if (in->state == PB_LETTER_DEAD) {
		count(&counts.letters, there, 1);
		count(&counts.packets, there, in->last - in->first + 1);
	} else if (in->state != PB_LETTER_GONE) {
		count(&counts.requeued, there, 1);
	}
	put_counts(txn, in->upstream, &counts);
}

/* Retention does not take these for acknowledged. */
static void
set_late(struct pb_mdb_txn *txn, const struct pb_letters_key *key,
    uint64_t last, bool there)
{
	uint8_t row[PB_ACKS_LATE_BYTES];

	pb_put_le64(row, last);
	if (there)
		pb_mdb_put(txn, PB_STATE_ACKS, key->bytes, key->len, row,
		    sizeof(row));
	else
		pb_mdb_del(txn, PB_STATE_ACKS, key->bytes, key->len);
}

void
pb_letters_put_seen(struct pb_mdb_txn *txn, const char *upstream,
    uint64_t fill)
{
	uint8_t key[PB_ACKS_KEY_MAX], value[8];

	pb_put_le64(value, fill);
	pb_mdb_put(txn, PB_STATE_ACKS, key, pb_acks_seen_key(key, upstream),
	    value, sizeof(value));
}

void
pb_letters_put(struct pb_mdb_txn *txn, const struct pb_letter *in)
{
	struct pb_letter all = *in, near;

	if (in->first > 1 && pb_letters_seek(txn, in->upstream, &in->key,
	    in->first - 1, &near) == 1 && near.last + 1 == in->first &&
	    alike(&near, in)) {
		all.first = near.first;
		all.offset = near.offset;
		take_in(txn, &all, &near);
	}
	if (pb_letters_seek(txn, in->upstream, &in->key, in->last + 1,
	    &near) == 1 && near.first == in->last + 1 && alike(&near, in)) {
		all.last = near.last;
		take_in(txn, &all, &near);
	}
	set(txn, &all, true);
}

/* What both become has the earlier date. */
static void
take_in(struct pb_mdb_txn *txn, struct pb_letter *all,
    const struct pb_letter *near)
{
	pb_letters_remove(txn, near);
	if (all->file_bytes < near->file_bytes)
		all->file_bytes = near->file_bytes;
	if (near->since_at > since_at(all))
		return;
	all->since_at = near->since_at;
	all->since_ns = near->since_ns;
}

void
pb_letters_cut(struct pb_mdb_txn *txn, const struct pb_letter *in,
    uint64_t first, uint64_t last)
{
	struct pb_letter left = *in;

	pb_letters_remove(txn, in);
	if (first > in->first) {
		left.last = first - 1;
		set(txn, &left, true);
	}
	if (last < in->last) {
		left.first = last + 1;
		left.last = in->last;
		set(txn, &left, true);
	}
}

void
pb_letters_put_new(struct pb_mdb_txn *txn, const struct pb_letter *in)
{
	struct pb_letter part = *in, have;
	uint64_t from = in->first;

	while (from <= in->last) {
		bool there;

		part.first = from;
		there = pb_letters_next(txn, in->upstream, &in->key, &from,
		    in->last, &have);
		part.last = there ? have.first - 1 : in->last;
		if (!there)
			from = in->last + 1;
		if (!there || have.first > part.first)
			pb_letters_put(txn, &part);
	}
}

bool
pb_letters_next(struct pb_mdb_txn *txn, const char *upstream,
    const struct pb_stream_key *key, uint64_t *from, uint64_t last,
    struct pb_letter *out)
{
	if (*from > last || pb_letters_seek(txn, upstream, key, *from,
	    out) != 1 || out->first > last)
		return false;
	*from = out->last + 1;
	return true;
}

void
pb_letters_take(struct pb_mdb_txn *txn, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    unsigned states)
{
	struct pb_letter letter;
	uint64_t from = first;

	while (pb_letters_next(txn, upstream, key, &from, last, &letter))
		if ((states & PB_LETTERS_IN(letter.state)) != 0)
			pb_letters_cut(txn, &letter, first, last);
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
pb_letters_oldest(struct pb_mdb_txn *txn, const char *upstream,
    struct pb_letter *out)
{
	struct pb_letters_key at;

	pb_letters_name_key(&at, upstream);
	return pb_letters_aged(txn, &at, out);
}

/* Ages that are none of a letter with a file, which a damaged row can leave,
 * are passed over. */
int
pb_letters_aged(struct pb_mdb_txn *txn, struct pb_letters_key *at,
    struct pb_letter *out)
{
	size_t name = strlen((const char *)at->bytes) + 1;
	struct pb_letters_key key;
	struct pb_state_rows rows;

	pb_state_from(&rows, txn, PB_STATE_AGES, at->bytes, at->len, name);
	while (pb_state_next(&rows)) {
		if (rows.key.len < name + 8 || rows.len > PB_LETTERS_KEY_MAX)
			return 0;
		memcpy(at->bytes, rows.at, rows.len);
		at->len = rows.len;
		key.len = rows.key.len - 8;
		memcpy(key.bytes, rows.at, name);
		memcpy(key.bytes + name, rows.at + name + 8, key.len - name);
		if (pb_letters_get(txn, key.bytes, key.len, out) == 1 &&
		    pb_letters_has_file(out) &&
		    out->since_at == pb_get_be64(rows.at + name))
			return 1;
	}
	return txn->rc;
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

/* So many letters more of the file, which has so many bytes at least. */
static void
use_file(struct pb_mdb_txn *txn, const struct pb_letters_key *file,
    int letters, uint64_t bytes)
{
	const char *upstream = (const char *)file->bytes;
	struct pb_letters_total counts;
	struct link link;

	if (!get_link(txn, file, &link) && letters <= 0)
		return;
	count(&link.letters, letters > 0, letters != 0);
	pb_letters_counts(txn, upstream, &counts);
	if (link.letters == 0) {
		count(&counts.file_bytes, false, link.bytes);
		pb_mdb_del(txn, PB_STATE_LINKS, file->bytes, file->len);
		pb_mdb_put(txn, PB_STATE_FILES, file->bytes, file->len, "", 0);
	} else {
		if (link.bytes < bytes) {
			counts.file_bytes += bytes - link.bytes;
			link.bytes = bytes;
		}
		pb_row_store(txn, PB_STATE_LINKS, file->bytes, file->len,
		    &link_shape, &link);
		pb_mdb_del(txn, PB_STATE_FILES, file->bytes, file->len);
	}
	put_counts(txn, upstream, &counts);
}

uint64_t
pb_letters_bytes(struct pb_mdb_txn *txn, const struct pb_letters_key *file)
{
	struct link link;

	return get_link(txn, file, &link) ? link.bytes : 0;
}

void
pb_letters_grow(struct pb_mdb_txn *txn, const struct pb_letters_key *file,
    uint64_t bytes)
{
	use_file(txn, file, 0, bytes);
}

static bool
get_link(struct pb_mdb_txn *txn, const struct pb_letters_key *key,
    struct link *out)
{
	struct pb_mdb_value value;

	*out = (struct link){ 0, 0 };
	return pb_mdb_get(txn, PB_STATE_LINKS, key->bytes, key->len,
	    &value) == 1 && pb_row_load(&link_shape, out, &value);
}

void
pb_letters_counts(struct pb_mdb_txn *txn, const char *upstream,
    struct pb_letters_total *out)
{
	struct pb_mdb_value value;

	memset(out, 0, sizeof(*out));
	if (pb_mdb_get(txn, PB_STATE_COUNTS, upstream,
	    strnlen(upstream, PB_NAME_BYTES_MAX), &value) == 1)
		(void)pb_row_load(&count_shape, out, &value);
}

static void
put_counts(struct pb_mdb_txn *txn, const char *upstream,
    const struct pb_letters_total *counts)
{
	pb_row_store(txn, PB_STATE_COUNTS, upstream,
	    strnlen(upstream, PB_NAME_BYTES_MAX), &count_shape, counts);
}

/* A sum that a damaged row made too low stays at 0. */
static void
count(uint64_t *sum, bool more, uint64_t n)
{
	*sum = more ? *sum + n : *sum - (n < *sum ? n : *sum);
}
