/*
 * shipper/letters/letters.c - dead letters: what happens to them
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

static int	take(struct pb_letters *, const char *,
		    const struct pb_stream_key *, uint64_t, uint64_t,
		    unsigned, struct pb_err *);
static int	forget_gone(struct pb_letters *, const char *,
		    struct pb_err *);
static bool	next_gone(struct pb_state_rows *, struct pb_letter *);
static bool	is_due(struct pb_mdb_txn *, const char *,
		    const struct pb_letters_bounds *, struct pb_letter *);

const char *
pb_letter_state_name(enum pb_letter_state state)
{
	static const char *const names[] = { [PB_LETTER_DEAD] = "dead",
	    [PB_LETTER_REQUEUED] = "requeued", [PB_LETTER_LATE] = "late",
	    [PB_LETTER_GONE] = "gone" };

	if (state >= PB_LETTER_DEAD && state <= PB_LETTER_GONE)
		return names[state];
	return "unknown";
}

/* --- the shipper -------------------------------------------------------- */

int
pb_letters_find(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t from, struct pb_letter *out,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int found = 0, rc;

	rc = pb_letters_begin(letters, &txn, false, err);
	if (rc == 0)
		found = pb_letters_seek(&txn, upstream, key, from, out);
	rc = pb_letters_end(letters, &txn);
	return rc < 0 ? rc : found;
}

/* No files, and no age: so any thread may. */
int
pb_letters_late(struct pb_letters *letters, const struct pb_late *late,
    size_t count, const struct pb_seen *seen, size_t seens,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_mdb_begin(letters->state->mdb, true, &txn, err);
	for (size_t i = 0; i < count; i++, late++) {
		struct pb_letter letter = { .state = PB_LETTER_LATE,
		    .key = late->key, .first = late->first,
		    .last = late->last, .since_ns = pb_clock_real_ns() };

		if (late->first == 0 || late->first > late->last ||
		    late->last == UINT64_MAX) {
			txn.rc = pb_err_set(err, PB_EINVAL, "a late letter of "
			    "no packets");
			break;
		}
		strcpy(letter.upstream, late->upstream);
		pb_letters_put_new(&txn, &letter);
	}
	for (size_t i = 0; i < seens; i++)
		pb_letters_put_seen(&txn, seen[i].upstream, seen[i].fill);
	return pb_mdb_commit(&txn);
}

int
pb_letters_seen(struct pb_letters *letters, struct pb_seen *seen,
    size_t seens, struct pb_err *err)
{
	uint8_t key[PB_ACKS_KEY_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;

	(void)pb_letters_begin(letters, &txn, false, err);
	for (size_t i = 0; i < seens; i++)
		seen[i].fill = pb_mdb_get(&txn, PB_STATE_ACKS, key,
		    pb_acks_seen_key(key, seen[i].upstream), &value) == 1 &&
		    value.len == 8 ? pb_get_le64(value.data) : 0;
	return pb_letters_end(letters, &txn);
}

int
pb_letters_told(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	return take(letters, upstream, key, first, last,
	    PB_LETTERS_IN(PB_LETTER_GONE), err);
}

int
pb_letters_sent(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	return take(letters, upstream, key, first, last,
	    PB_LETTERS_IN(PB_LETTER_REQUEUED) |
	    PB_LETTERS_IN(PB_LETTER_LATE), err);
}

static int
take(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    unsigned states, struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_letters_begin(letters, &txn, true, err);
	pb_letters_take(&txn, upstream, key, first, last, states);
	return pb_letters_end(letters, &txn);
}

int
pb_letters_bound(struct pb_letters *letters, const char *upstream,
    const struct pb_letters_bounds *bounds, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_letter letter;
	struct pb_err later;
	int went = 0, tidied, rc = 0;
	bool due;

	if (bounds->nobody)
		rc = forget_gone(letters, upstream, err);
	if (rc < 0)
		return rc;
	/* What cannot be counted now is counted another time. */
	(void)pb_letters_measure(letters, &later);
	/* A file that cannot be deleted lifts no bound. */
	tidied = pb_letters_tidy(letters, err);
	pb_letters_begin(letters, &txn, false, err);
	due = is_due(&txn, upstream, bounds, &letter);
	rc = pb_letters_end(letters, &txn);
	if (rc < 0 || !due)
		return rc < 0 ? rc : tidied < 0 ? tidied : 0;
	pb_letters_begin(letters, &txn, true, err);
	while (went < (int)PB_LETTERS_STEP &&
	    is_due(&txn, upstream, bounds, &letter)) {
		pb_letters_remove(&txn, &letter);
		letter.state = PB_LETTER_GONE;
		if (!bounds->nobody)
			pb_letters_put(&txn, &letter);
		went++;
	}
	rc = pb_letters_end(letters, &txn);
	return rc < 0 ? rc : went;
}

/* What is GONE would be told to the next one of that name, which may get it
 * from the store.  PB_LETTERS_STEP of them; mostly there is none, and nothing
 * to write. */
static int
forget_gone(struct pb_letters *letters, const char *upstream,
    struct pb_err *err)
{
	struct pb_letters_key name;
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	struct pb_letter letter;
	unsigned went = 0;
	bool any;
	int rc;

	pb_letters_name_key(&name, upstream);
	pb_letters_begin(letters, &txn, false, err);
	pb_state_from(&rows, &txn, PB_STATE_LETTERS, name.bytes, name.len,
	    name.len);
	any = next_gone(&rows, &letter);
	rc = pb_letters_end(letters, &txn);
	if (rc < 0 || !any)
		return rc;
	pb_letters_begin(letters, &txn, true, err);
	pb_state_from(&rows, &txn, PB_STATE_LETTERS, name.bytes, name.len,
	    name.len);
	while (went++ < PB_LETTERS_STEP && next_gone(&rows, &letter))
		pb_letters_remove(&txn, &letter);
	return pb_letters_end(letters, &txn);
}

static bool
next_gone(struct pb_state_rows *rows, struct pb_letter *out)
{
	while (pb_state_next(rows))
		if (pb_letters_parse(out, &rows->key, &rows->value) &&
		    out->state == PB_LETTER_GONE)
			return true;
	return false;
}

/* The upstream's oldest letter with a file, where that is to go. */
static bool
is_due(struct pb_mdb_txn *txn, const char *upstream,
    const struct pb_letters_bounds *bounds, struct pb_letter *oldest)
{
	struct pb_letters_total counts;

	if (pb_letters_oldest(txn, upstream, oldest) != 1)
		return false;
	pb_letters_counts(txn, upstream, &counts);
	return (bounds->bytes_max != 0 &&
	    counts.file_bytes > bounds->bytes_max) ||
	    (bounds->age_ms_max != 0 && pb_age_since(oldest->since_at,
	    bounds->age_ms) >= bounds->age_ms_max);
}

int
pb_letters_total(struct pb_letters *letters, const char *upstream,
    struct pb_letters_total *out, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_letter oldest;

	memset(out, 0, sizeof(*out));
	if (pb_letters_begin(letters, &txn, false, err) == 0) {
		pb_letters_counts(&txn, upstream, out);
		if (pb_letters_oldest(&txn, upstream, &oldest) == 1)
			out->oldest_ns = oldest.since_ns;
	}
	return pb_letters_end(letters, &txn);
}
