/*
 * shipper/state.c - what the shipper tells about itself, on disk
 */
#include "shipper/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/store/lock.h"
#include "recorder/store/mdb.h"

#define ROW_VERSION	1u
#define KEY_BYTES_MAX	(PB_NAME_BYTES_MAX + 1 + PB_NAME_BYTES_MAX + 1 + \
			PB_IFNAME_BYTES_MAX + 1 + 8 + 1)
#define ROW_BYTES_MAX	1024u
#define FORGET_ROWS	256u	/* deleted between two looks at the table */

enum { TABLE_UPSTREAMS, TABLE_CURSORS, TABLES };
static const char *const table_names[TABLES] = { "upstreams", "cursors" };

struct pb_state {
	struct pb_mdb	*mdb;
	struct pb_mdb_txn txn;		/* between begin and commit */
};

/* A row being written or read; reading past its end gives zeros. */
struct row {
	uint8_t		 bytes[ROW_BYTES_MAX];
	size_t		 len, at;
};

/* A page being filled by pb_mdb_walk(). */
struct page {
	const char	*upstream;	/* of cursors */
	struct pb_upstream_row *upstreams;
	struct pb_cursor_row *cursors;
	size_t		 max, count;
};

/* Keys found in a walk, to be deleted after it. */
struct victims {
	bool		(*keep)(void *, const char *);
	void		*arg;
	size_t		 count;
	size_t		 len[FORGET_ROWS];
	uint8_t		 key[FORGET_ROWS][KEY_BYTES_MAX];
};

static int	open_state(struct pb_state **, const char *, bool,
		    struct pb_err *);
static size_t	cursor_key(uint8_t [static KEY_BYTES_MAX], const char *,
		    const struct pb_stream_key *);
static bool	split_key(const struct pb_mdb_value *, const char *,
		    struct pb_stream_key *);
static int	upstream_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	cursor_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	cursor_decode(struct pb_cursor_row *,
		    const struct pb_mdb_value *);
static int	victim(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static void	put_u64(struct row *, uint64_t);
static void	put_text(struct row *, const char *);
static bool	row_load(struct row *, const struct pb_mdb_value *);
static uint64_t	get_u64(struct row *);
static void	get_text(struct row *, char *, size_t);

int
pb_state_open_write(struct pb_state **out, const char *store,
    struct pb_err *err)
{
	return open_state(out, store, true, err);
}

int
pb_state_open(struct pb_state **out, const char *store, struct pb_err *err)
{
	return open_state(out, store, false, err);
}

void
pb_state_close(struct pb_state *state)
{
	if (state == NULL)
		return;
	pb_mdb_close(state->mdb);
	free(state);
}

int
pb_state_begin(struct pb_state *state, struct pb_err *err)
{
	return pb_mdb_begin(state->mdb, true, &state->txn, err);
}

void
pb_state_put_upstream(struct pb_state *state,
    const struct pb_upstream_row *in)
{
	struct row row = { .len = 0 };

	put_u64(&row, (uint64_t)in->state);
	put_u64(&row, in->since_ns);
	put_u64(&row, in->written_ns);
	put_u64(&row, in->progress_ns);
	put_u64(&row, in->retry_ns);
	put_u64(&row, in->attempts);
	put_u64(&row, in->streams);
	put_u64(&row, in->refused);
	put_u64(&row, in->flight_bytes);
	put_u64(&row, in->sent_bytes);
	put_u64(&row, in->acked_bytes);
	put_u64(&row, in->acked_packets);
	put_text(&row, in->url);
	put_text(&row, in->last_error);
	pb_mdb_put(&state->txn, TABLE_UPSTREAMS, in->name, strlen(in->name),
	    row.bytes, row.len);
}

void
pb_state_put_cursor(struct pb_state *state, const char *upstream,
    const struct pb_cursor_row *in)
{
	uint8_t key[KEY_BYTES_MAX];
	struct row row = { .len = 0 };

	put_u64(&row, (uint64_t)in->state);
	put_u64(&row, in->acked);
	put_u64(&row, in->sent);
	put_u64(&row, in->written_ns);
	put_text(&row, in->text);
	pb_mdb_put(&state->txn, TABLE_CURSORS, key,
	    cursor_key(key, upstream, &in->key), row.bytes, row.len);
}

int
pb_state_commit(struct pb_state *state)
{
	return pb_mdb_commit(&state->txn);
}

int
pb_state_forget(struct pb_state *state,
    bool (*keep)(void *, const char *), void *arg, struct pb_err *err)
{
	struct victims *v = calloc(1, sizeof(*v));
	struct pb_mdb_txn txn;
	int rc;

	if (v == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	v->keep = keep;
	v->arg = arg;
	rc = pb_mdb_begin(state->mdb, true, &txn, err);
	for (unsigned table = 0; rc >= 0 && table < TABLES; table++) {
		do {
			v->count = 0;
			rc = pb_mdb_walk(&txn, table, "", 0, victim, v);
			for (size_t i = 0; rc >= 0 && i < v->count; i++)
				rc = pb_mdb_del(&txn, table, v->key[i],
				    v->len[i]);
		} while (rc >= 0 && v->count == FORGET_ROWS);
	}
	free(v);
	return pb_mdb_commit(&txn);
}

int
pb_state_upstreams(struct pb_state *state, const char *after,
    struct pb_upstream_row *out, size_t max, struct pb_err *err)
{
	struct page page = { .upstreams = out, .max = max };
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	/* The NUL behind a name makes the first key behind it. */
	if (rc == 0)
		rc = pb_mdb_walk(&txn, TABLE_UPSTREAMS,
		    after != NULL ? after : "",
		    after != NULL ? strlen(after) + 1 : 0, upstream_page,
		    &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_state_cursors(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *after, struct pb_cursor_row *out, size_t max,
    struct pb_err *err)
{
	struct page page = { .upstream = upstream, .cursors = out,
	    .max = max };
	uint8_t key[KEY_BYTES_MAX];
	size_t len = strlen(upstream) + 1;
	struct pb_mdb_txn txn;
	int rc;

	memcpy(key, upstream, len);
	if (after != NULL) {
		len = cursor_key(key, upstream, after);
		key[len++] = 0;
	}
	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, TABLE_CURSORS, key, len, cursor_page,
		    &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_state_cursor(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, struct pb_cursor_row *out,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_get(&txn, TABLE_CURSORS, bytes,
		    cursor_key(bytes, upstream, key), &value);
	if (rc == 1) {
		rc = cursor_decode(out, &value) ? 1 : 0;
		out->key = *key;
	}
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_shipper_lock(int *fd, const char *store, struct pb_err *err)
{
	return pb_lock_take(fd, store, "shipper.lock", "pb-shipper", err);
}

bool
pb_shipper_running(const char *store, pid_t *pid)
{
	return pb_lock_held(store, "shipper.lock", pid);
}

/* --- tables ------------------------------------------------------------- */

static int
open_state(struct pb_state **out, const char *store, bool write,
    struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_state *state;
	int rc;

	*out = NULL;
	rc = pb_layout_path(path, store, "shipper", err);
	if (rc < 0)
		return rc;
	state = calloc(1, sizeof(*state));
	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_mdb_open(&state->mdb, path, write ? PB_STATE_MAP_BYTES : 0,
	    table_names, TABLES, write, err);
	if (rc < 0) {
		free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static size_t
cursor_key(uint8_t out[static KEY_BYTES_MAX], const char *upstream,
    const struct pb_stream_key *key)
{
	size_t name = strnlen(upstream, PB_NAME_BYTES_MAX) + 1;
	size_t node = strlen(key->node) + 1;
	size_t interface = strlen(key->interface) + 1;

	memcpy(out, upstream, name - 1);
	out[name - 1] = 0;
	memcpy(out + name, key->node, node);
	memcpy(out + name + node, key->interface, interface);
	pb_put_be64(out + name + node + interface, key->epoch);
	return name + node + interface + 8;
}

/* False where the key is of another upstream, or malformed. */
static bool
split_key(const struct pb_mdb_value *key, const char *upstream,
    struct pb_stream_key *out)
{
	const char *at = key->data;
	size_t left = key->len, n = strlen(upstream) + 1;

	if (left < n || memcmp(at, upstream, n) != 0)
		return false;
	at += n;
	left -= n;
	n = strnlen(at, left);
	if (n == left || n >= sizeof(out->node))
		return false;
	memcpy(out->node, at, n + 1);
	at += n + 1;
	left -= n + 1;
	n = strnlen(at, left);
	if (n == left || n >= sizeof(out->interface))
		return false;
	memcpy(out->interface, at, n + 1);
	at += n + 1;
	left -= n + 1;
	if (left != 8)
		return false;
	out->epoch = pb_get_be64((const uint8_t *)at);
	return true;
}

static int
upstream_page(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_upstream_row *out;
	struct row row;

	if (page->count == page->max)
		return 1;
	out = &page->upstreams[page->count];
	if (key->len >= sizeof(out->name) || !row_load(&row, value))
		return 0;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, key->data, key->len);
	out->state = (enum pb_ship_state)get_u64(&row);
	out->since_ns = get_u64(&row);
	out->written_ns = get_u64(&row);
	out->progress_ns = get_u64(&row);
	out->retry_ns = get_u64(&row);
	out->attempts = (uint32_t)get_u64(&row);
	out->streams = (uint32_t)get_u64(&row);
	out->refused = (uint32_t)get_u64(&row);
	out->flight_bytes = get_u64(&row);
	out->sent_bytes = get_u64(&row);
	out->acked_bytes = get_u64(&row);
	out->acked_packets = get_u64(&row);
	get_text(&row, out->url, sizeof(out->url));
	get_text(&row, out->last_error, sizeof(out->last_error));
	page->count++;
	return 0;
}

static int
cursor_page(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_cursor_row *out;
	size_t name = strlen(page->upstream) + 1;

	if (page->count == page->max)
		return 1;
	if (key->len < name || memcmp(key->data, page->upstream, name) != 0)
		return 1;	/* the next upstream's */
	out = &page->cursors[page->count];
	if (cursor_decode(out, value) &&
	    split_key(key, page->upstream, &out->key))
		page->count++;
	return 0;
}

static bool
cursor_decode(struct pb_cursor_row *out, const struct pb_mdb_value *value)
{
	struct row row;

	memset(out, 0, sizeof(*out));
	if (!row_load(&row, value))
		return false;
	out->state = (enum pb_cursor_state)get_u64(&row);
	out->acked = get_u64(&row);
	out->sent = get_u64(&row);
	out->written_ns = get_u64(&row);
	get_text(&row, out->text, sizeof(out->text));
	return true;
}

/* Both tables' keys begin with an upstream's name. */
static int
victim(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct victims *v = arg;
	char name[PB_NAME_BYTES_MAX + 1];
	size_t len = strnlen(key->data, key->len);

	(void)value;
	if (v->count == FORGET_ROWS)
		return 1;
	if (key->len > KEY_BYTES_MAX)
		return 0;
	if (len < sizeof(name)) {
		memcpy(name, key->data, len);
		name[len] = '\0';
		if (v->keep(v->arg, name))
			return 0;
	}
	memcpy(v->key[v->count], key->data, key->len);
	v->len[v->count++] = key->len;
	return 0;
}

/* --- rows --------------------------------------------------------------- */

/* The largest row is a seventh of ROW_BYTES_MAX in numbers, and two texts
 * of 258 bytes: nothing here can overflow, and the checks say so. */
static void
put_u64(struct row *row, uint64_t value)
{
	if (row->len == 0)
		row->bytes[row->len++] = ROW_VERSION;
	if (row->len + 8 > sizeof(row->bytes))
		return;
	pb_put_le64(row->bytes + row->len, value);
	row->len += 8;
}

static void
put_text(struct row *row, const char *text)
{
	size_t len = strlen(text);

	if (row->len + 2 + len > sizeof(row->bytes))
		return;
	pb_put_le16(row->bytes + row->len, (uint16_t)len);
	memcpy(row->bytes + row->len + 2, text, len);
	row->len += 2 + len;
}

static bool
row_load(struct row *row, const struct pb_mdb_value *value)
{
	if (value->len == 0 || value->len > sizeof(row->bytes))
		return false;
	memcpy(row->bytes, value->data, value->len);
	row->len = value->len;
	row->at = 1;
	return row->bytes[0] == ROW_VERSION;
}

static uint64_t
get_u64(struct row *row)
{
	uint64_t value;

	if (row->len - row->at < 8) {
		row->at = row->len;
		return 0;
	}
	value = pb_get_le64(row->bytes + row->at);
	row->at += 8;
	return value;
}

static void
get_text(struct row *row, char *out, size_t room)
{
	size_t len = 0, keep;

	if (row->len - row->at >= 2) {
		len = pb_get_le16(row->bytes + row->at);
		row->at += 2;
	}
	if (len > row->len - row->at)
		len = row->len - row->at;
	keep = len < room ? len : room - 1;
	memcpy(out, row->bytes + row->at, keep);
	out[keep] = '\0';
	row->at += len;
}
