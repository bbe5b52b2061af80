/*
 * shipper/state/state.c - what the shipper tells about itself, on disk
 */
#include "shipper/state/tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/store/facts/acks.h"
#include "recorder/store/lock.h"
#include "recorder/store/index/mdb_probe.h"
#include "shipper/state/row.h"

#define ROW_VERSION	2u
#define KEY_BYTES_MAX	(PB_STATE_KEY_MAX + 1)	/* and the NUL of a page */
#define FORGET_ROWS	256u	/* deleted between two looks at the table */

static const char *const table_names[PB_STATE_TABLES] = {
	[PB_STATE_UPSTREAMS] = "upstreams",
	[PB_STATE_CURSORS] = "cursors",
	[PB_STATE_ACKS] = PB_ACKS_TABLE,
	[PB_STATE_LETTERS] = "letters",
	[PB_STATE_AGES] = "ages",
	[PB_STATE_GONE] = "gone",
	[PB_STATE_LINKS] = "links",
	[PB_STATE_FILES] = "files",
	[PB_STATE_COUNTS] = "counts",
	[PB_STATE_META] = "meta",
};
/* What goes with an upstream that is no longer configured. */
static const enum pb_state_table forgotten[] = {
	PB_STATE_UPSTREAMS, PB_STATE_CURSORS, PB_STATE_ACKS,
};
#define FORGOTTEN	(sizeof(forgotten) / sizeof(forgotten[0]))

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
static int	upstream_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	cursor_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	cursor_decode(struct pb_cursor_row *,
		    const struct pb_mdb_value *);
static int	victim(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static void	init_lock(pthread_mutex_t *);

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
	pthread_mutex_destroy(&state->lock);
	free(state);
}

void
pb_state_hold(struct pb_state *state)
{
	pthread_mutex_lock(&state->lock);
}

void
pb_state_release(struct pb_state *state)
{
	pthread_mutex_unlock(&state->lock);
}

bool
pb_state_is_mine(const struct pb_state *state)
{
	return atomic_load(&state->begun) &&
	    pthread_equal(atomic_load(&state->owner), pthread_self());
}

int
pb_state_begin(struct pb_state *state, struct pb_err *err)
{
	pb_state_hold(state);
	atomic_store(&state->owner, pthread_self());
	atomic_store(&state->begun, true);
	return pb_mdb_begin(state->mdb, true, &state->txn, err);
}

void
pb_state_put_upstream(struct pb_state *state,
    const struct pb_upstream_row *in)
{
	struct pb_row row;

	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, (uint64_t)in->state);
	pb_row_put_u64(&row, in->since_ns);
	pb_row_put_u64(&row, in->written_ns);
	pb_row_put_u64(&row, in->progress_ns);
	pb_row_put_u64(&row, in->retry_ns);
	pb_row_put_u64(&row, in->attempts);
	pb_row_put_u64(&row, in->streams);
	pb_row_put_u64(&row, in->refused);
	pb_row_put_u64(&row, in->flight_bytes);
	pb_row_put_u64(&row, in->sent_bytes);
	pb_row_put_u64(&row, in->acked_bytes);
	pb_row_put_u64(&row, in->acked_packets);
	pb_row_put_text(&row, in->url);
	pb_row_put_text(&row, in->last_error);
	pb_mdb_put(&state->txn, PB_STATE_UPSTREAMS, in->name, strlen(in->name),
	    row.bytes, row.len);
}

void
pb_state_put_cursor(struct pb_state *state, const char *upstream,
    const struct pb_cursor_row *in)
{
	uint8_t key[KEY_BYTES_MAX], ack[PB_ACKS_ROW_BYTES];
	struct pb_row row;

	_Static_assert(sizeof(key) >= PB_ACKS_KEY_MAX, "room for both keys");
	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, (uint64_t)in->state);
	pb_row_put_u64(&row, in->acked);
	pb_row_put_u64(&row, in->sent);
	pb_row_put_u64(&row, in->released);
	pb_row_put_u64(&row, in->wait_seq);
	pb_row_put_u64(&row, in->wait_ms);
	pb_row_put_u64(&row, in->written_ns);
	pb_row_put_text(&row, in->text);
	/* Behind what a shipper of before reads. */
	pb_row_put_u64(&row, in->sure.seq);
	pb_row_put_u64(&row, in->sure.digest);
	pb_mdb_put(&state->txn, PB_STATE_CURSORS, key,
	    pb_state_key(key, upstream, &in->key), row.bytes, row.len);
	pb_acks_encode(ack, &(struct pb_ack){ .acked = in->acked,
	    .released = in->released > in->acked ? in->released :
	    in->acked });
	pb_mdb_put(&state->txn, PB_STATE_ACKS, key,
	    pb_acks_key(key, upstream, &in->key), ack, sizeof(ack));
}

int
pb_state_commit(struct pb_state *state)
{
	int rc = pb_mdb_commit(&state->txn);

	atomic_store(&state->begun, false);
	pb_state_release(state);
	return rc;
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
	for (size_t t = 0; rc >= 0 && t < FORGOTTEN; t++) {
		unsigned table = forgotten[t];

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
		rc = pb_mdb_walk(&txn, PB_STATE_UPSTREAMS,
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
		len = pb_state_key(key, upstream, after);
		key[len++] = 0;
	}
	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, PB_STATE_CURSORS, key, len, cursor_page,
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
		rc = pb_mdb_get(&txn, PB_STATE_CURSORS, bytes,
		    pb_state_key(bytes, upstream, key), &value);
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
	enum pb_mdb_verdict verdict;
	char path[PATH_MAX];
	struct pb_state *state;
	int rc;

	*out = NULL;
	rc = pb_layout_path(path, store, "shipper", err);
	if (rc < 0)
		return rc;
	verdict = pb_mdb_probe(path, table_names, PB_STATE_TABLES, false);
	if (verdict == PB_MDB_STUCK && !write)
		return pb_err_set(err, PB_EBUSY, PB_MDB_STUCK_TEXT, path);
	if (verdict == PB_MDB_DAMAGED)
		return pb_err_set(err, PB_EFORMAT, "%s is damaged; Fix: stop "
		    "pb-shipper, move that directory away, start it again: it "
		    "asks the upstreams what they have, but knows no dead "
		    "letters, whose files stay in %s/dead-letters", path,
		    store);
	state = calloc(1, sizeof(*state));
	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	state->write = write;
	init_lock(&state->lock);
	rc = pb_mdb_open(&state->mdb, path, write ? PB_STATE_MAP_BYTES : 0,
	    table_names, PB_STATE_TABLES, write, err);
	if (rc < 0) {
		pthread_mutex_destroy(&state->lock);
		free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static void
init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

size_t
pb_state_key(uint8_t out[static PB_STATE_KEY_MAX], const char *upstream,
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

size_t
pb_state_split(const void *data, size_t len, size_t at,
    struct pb_stream_key *out)
{
	const char *text = data;
	size_t n;

	if (at > len)
		return 0;
	n = strnlen(text + at, len - at);
	if (n == len - at || n >= sizeof(out->node))
		return 0;
	memcpy(out->node, text + at, n + 1);
	at += n + 1;
	n = strnlen(text + at, len - at);
	if (n == len - at || n >= sizeof(out->interface))
		return 0;
	memcpy(out->interface, text + at, n + 1);
	at += n + 1;
	if (len - at < 8)
		return 0;
	out->epoch = pb_get_be64((const uint8_t *)text + at);
	return at + 8;
}

static int
upstream_page(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_upstream_row *out;
	struct pb_row row;

	if (page->count == page->max)
		return 1;
	out = &page->upstreams[page->count];
	if (key->len >= sizeof(out->name) ||
	    !pb_row_load(&row, ROW_VERSION, value))
		return 0;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, key->data, key->len);
	out->state = (enum pb_ship_state)pb_row_u64(&row);
	out->since_ns = pb_row_u64(&row);
	out->written_ns = pb_row_u64(&row);
	out->progress_ns = pb_row_u64(&row);
	out->retry_ns = pb_row_u64(&row);
	out->attempts = (uint32_t)pb_row_u64(&row);
	out->streams = (uint32_t)pb_row_u64(&row);
	out->refused = (uint32_t)pb_row_u64(&row);
	out->flight_bytes = pb_row_u64(&row);
	out->sent_bytes = pb_row_u64(&row);
	out->acked_bytes = pb_row_u64(&row);
	out->acked_packets = pb_row_u64(&row);
	pb_row_text(&row, out->url, sizeof(out->url));
	pb_row_text(&row, out->last_error, sizeof(out->last_error));
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
	if (cursor_decode(out, value) && pb_state_split(key->data, key->len,
	    name, &out->key) == key->len)
		page->count++;
	return 0;
}

static bool
cursor_decode(struct pb_cursor_row *out, const struct pb_mdb_value *value)
{
	struct pb_row row;

	memset(out, 0, sizeof(*out));
	if (!pb_row_load(&row, ROW_VERSION, value))
		return false;
	out->state = (enum pb_cursor_state)pb_row_u64(&row);
	out->acked = pb_row_u64(&row);
	out->sent = pb_row_u64(&row);
	out->released = pb_row_u64(&row);
	out->wait_seq = pb_row_u64(&row);
	out->wait_ms = pb_row_u64(&row);
	out->written_ns = pb_row_u64(&row);
	pb_row_text(&row, out->text, sizeof(out->text));
	out->sure.seq = pb_row_u64(&row);
	out->sure.digest = pb_row_u64(&row);
	return true;
}

/* The keys of all these tables begin with an upstream's name. */
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
