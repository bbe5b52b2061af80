/*
 * shipper/letters/letters.c - dead letters: what happens to them
 *
 * Each change is one transaction of the shipper's environment, durable
 * when the call returns; or part of the one that the caller has begun.
 */
#include "shipper/letters/letters_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

static const char fill_key[] = "fill";

static bool	too_old(const struct pb_letter *, uint64_t, uint64_t);
static void	redeem(struct pb_letters_txn *, const struct pb_letter *,
		    const struct pb_demotion *);
static int	bound(struct pb_letters *, const char *, uint64_t, uint64_t,
		    uint64_t, struct pb_err *);
static int	drop_gone(struct pb_letters *, const struct pb_letters_key *,
		    uint64_t, struct pb_err *);
static struct pb_state_rows *gone_from(struct pb_state_rows *,
		    struct pb_letters_txn *, const struct pb_letters_key *);
static bool	next_gone(struct pb_letters_txn *, struct pb_state_rows *,
		    uint64_t, struct pb_letter *);

const char *
pb_letter_state_name(enum pb_letter_state state)
{
	switch (state) {
	case PB_LETTER_DEAD:
		return "dead";
	case PB_LETTER_REQUEUED:
		return "requeued";
	case PB_LETTER_LATE:
		return "late";
	case PB_LETTER_GONE:
		return "gone";
	}
	return "unknown";
}

int
pb_letters_open(struct pb_letters **out, struct pb_state *state,
    const char *store, struct pb_err *err)
{
	struct pb_letters *letters = calloc(1, sizeof(*letters));

	*out = NULL;
	if (letters == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	letters->state = state;
	if (strlen(store) >= sizeof(letters->store)) {
		free(letters);
		return pb_err_set(err, PB_ELIMIT, "path of the store too "
		    "long");
	}
	strcpy(letters->store, store);
	if (state->write) {
		struct pb_err later;
		int rc = letters_age_load(letters, err);

		if (rc < 0) {
			free(letters);
			return rc;
		}
		/* A file that cannot be deleted now is tried again. */
		(void)pb_letters_settle(letters, &later);
	}
	*out = letters;
	return 0;
}

void
pb_letters_close(struct pb_letters *letters)
{
	free(letters);
}

/* --- the shipper -------------------------------------------------------- */

int
pb_letters_find(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t from, struct pb_letter *out,
    struct pb_err *err)
{
	struct pb_letters_txn t;
	int found = 0, rc;

	rc = pb_letters_begin(&t, letters, false, err);
	if (rc == 0)
		found = pb_letters_seek(&t, upstream, key, from, out);
	rc = pb_letters_end(&t, err);
	return rc < 0 ? rc : found;
}

int
pb_letters_late(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	struct pb_letter late = { .state = PB_LETTER_LATE, .key = *key,
	    .since_ns = pb_clock_real_ns() }, have;
	struct pb_letters_txn t;
	uint64_t from = first;

	if (first == 0 || first > last || last == UINT64_MAX)
		return pb_err_set(err, PB_EINVAL, "a late letter of no "
		    "packets");
	snprintf(late.upstream, sizeof(late.upstream), "%s", upstream);
	pb_letters_begin(&t, letters, true, err);
	/* What has a letter keeps it. */
	while (from <= last) {
		int there = pb_letters_seek(&t, upstream, key, from, &have);

		if (there < 0)
			break;
		late.first = from;
		late.last = there == 1 && have.first <= last ?
		    have.first - 1 : last;
		from = there == 1 && have.first <= last ? have.last + 1 :
		    last + 1;
		if (late.first <= late.last)
			pb_letters_put(&t, &late);
	}
	return pb_letters_end(&t, err);
}

int
pb_letters_fill(struct pb_letters *letters, uint64_t *number,
    struct pb_err *err)
{
	struct pb_mdb_value value;
	struct pb_letters_txn t;

	*number = 0;
	if (pb_letters_begin(&t, letters, false, err) == 0 &&
	    pb_mdb_get(t.txn, PB_STATE_META, fill_key, sizeof(fill_key) - 1,
	    &value) == 1 && value.len == 8)
		*number = pb_get_le64(value.data);
	return pb_letters_end(&t, err);
}

int
pb_letters_fill_done(struct pb_letters *letters, uint64_t number,
    struct pb_err *err)
{
	struct pb_letters_txn t;
	uint8_t value[8];

	pb_put_le64(value, number);
	pb_letters_begin(&t, letters, true, err);
	pb_mdb_put(t.txn, PB_STATE_META, fill_key, sizeof(fill_key) - 1,
	    value, sizeof(value));
	return pb_letters_end(&t, err);
}

int
pb_letters_told(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t acked, struct pb_err *err)
{
	struct pb_letters_key stream;
	int rc;

	pb_letters_key(&stream, upstream, key, 0);
	stream.len -= 8;
	do
		rc = drop_gone(letters, &stream, acked, err);
	while (rc == (int)PB_LETTERS_STEP);
	return rc < 0 ? rc : 0;
}

int
pb_letters_forget(struct pb_letters *letters, const char *upstream,
    struct pb_err *err)
{
	struct pb_letters_key name;

	pb_letters_name_key(&name, upstream);
	return drop_gone(letters, &name, UINT64_MAX, err);
}

/* Of the GONE letters whose keys begin so those that end at `acked` or
 * before, PB_LETTERS_STEP at most: how many.  Mostly there is none, and
 * nothing to write. */
static int
drop_gone(struct pb_letters *letters, const struct pb_letters_key *prefix,
    uint64_t acked, struct pb_err *err)
{
	struct pb_letters_txn t;
	struct pb_letter letter;
	struct pb_state_rows rows;
	int went = 0, rc;
	bool any;

	pb_letters_begin(&t, letters, false, err);
	any = next_gone(&t, gone_from(&rows, &t, prefix), acked, &letter);
	rc = pb_letters_end(&t, err);
	if (rc < 0 || !any)
		return rc;
	pb_letters_begin(&t, letters, true, err);
	gone_from(&rows, &t, prefix);
	while (went < (int)PB_LETTERS_STEP &&
	    next_gone(&t, &rows, acked, &letter)) {
		if (letter.first != 0)
			pb_letters_remove(&t, &letter);
		else
			pb_mdb_del(t.txn, PB_STATE_GONE, rows.at,
			    rows.len - 1);
		went++;
	}
	rc = pb_letters_end(&t, err);
	return rc < 0 ? rc : went;
}

static struct pb_state_rows *
gone_from(struct pb_state_rows *rows, struct pb_letters_txn *t,
    const struct pb_letters_key *prefix)
{
	pb_state_from(rows, t->txn, PB_STATE_GONE, prefix->bytes, prefix->len,
	    prefix->len);
	return rows;
}

/* `out->first` 0: a row without its letter. */
static bool
next_gone(struct pb_letters_txn *t, struct pb_state_rows *rows, uint64_t acked,
    struct pb_letter *out)
{
	while (pb_state_next(rows)) {
		size_t len = rows->len - 1;

		if (len < rows->prefix + 8 ||
		    pb_get_be64(rows->at + len - 8) > acked)
			return false;
		if (pb_letters_get(t, rows->at, len, out) != 1)
			out->first = 0;
		if (out->first == 0 || out->last <= acked)
			return true;
	}
	return false;
}

int
pb_letters_sent(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	struct pb_letters_txn t;
	struct pb_letter letter;
	uint64_t from = first;

	pb_letters_begin(&t, letters, true, err);
	while (from <= last && pb_letters_seek(&t, upstream, key, from,
	    &letter) == 1 && letter.first <= last) {
		if (letter.state == PB_LETTER_REQUEUED ||
		    letter.state == PB_LETTER_LATE)
			pb_letters_cut(&t, &letter, from > letter.first ?
			    from : letter.first, last);
		from = letter.last + 1;
	}
	return pb_letters_end(&t, err);
}

int
pb_letters_refused(struct pb_letters *letters, const char *upstream,
    const struct pb_stream_key *key, uint64_t first,
    const struct pb_demotion *why, struct pb_err *err)
{
	struct pb_letters_txn t;
	struct pb_letter letter;

	pb_letters_begin(&t, letters, true, err);
	if (pb_letters_seek(&t, upstream, key, first, &letter) == 1 &&
	    letter.first <= first)
		redeem(&t, &letter, why);
	return pb_letters_end(&t, err);
}

/* Of a REQUEUED letter what was refused is DEAD again: all of it, unless
 * `why` names a part. */
static void
redeem(struct pb_letters_txn *t, const struct pb_letter *letter,
    const struct pb_demotion *why)
{
	struct pb_letter dead = *letter;

	if (letter->state == PB_LETTER_LATE)
		pb_letters_remove(t, letter);
	if (letter->state != PB_LETTER_REQUEUED)
		return;
	if (why->first <= letter->last && why->last >= letter->first) {
		if (dead.first < why->first)
			dead.first = why->first;
		if (dead.last > why->last)
			dead.last = why->last;
	}
	dead.state = PB_LETTER_DEAD;
	dead.reason = why->reason;
	dead.status = why->status;
	dead.attempts = why->attempts;
	/* It is as old as it was: else its age would know no bound. */
	snprintf(dead.error, sizeof(dead.error), "%s",
	    why->error != NULL ? why->error : "");
	pb_letters_cut(t, letter, dead.first, dead.last);
	pb_letters_put(t, &dead);
}

int
pb_letters_bound(struct pb_letters *letters, const char *upstream,
    uint64_t bytes_max, uint64_t age_ms_max, uint64_t age_ms,
    struct pb_err *err)
{
	int rc;

	pb_state_hold(letters->state);
	rc = bound(letters, upstream, bytes_max, age_ms_max, age_ms, err);
	pb_state_release(letters->state);
	return rc;
}

static int
bound(struct pb_letters *letters, const char *upstream,
    uint64_t bytes_max, uint64_t age_ms_max, uint64_t age_ms,
    struct pb_err *err)
{
	struct pb_letters_total counts;
	struct pb_letters_txn t;
	struct pb_letter letter;
	struct pb_err later;
	int went = 0, due = 0, settled = 0, rc;

	/* What cannot be counted now is counted another time. */
	(void)pb_letters_measure(letters, &later);
	/* A file that cannot be deleted lifts no bound. */
	if (letters->unsettled)
		settled = pb_letters_settle(letters, err);
	rc = pb_letters_begin(&t, letters, false, &later);
	if (rc == 0) {
		pb_letters_counts(&t, upstream, &counts);
		due = pb_letters_oldest(&t, upstream, &letter) == 1 &&
		    ((bytes_max != 0 && counts.file_bytes > bytes_max) ||
		    too_old(&letter, age_ms_max, age_ms));
	}
	rc = pb_letters_end(&t, &later);
	if (rc < 0 && err != NULL)
		*err = later;
	if (rc < 0 || !due)
		return rc < 0 ? rc : settled;
	pb_letters_begin(&t, letters, true, err);
	while (went < (int)PB_LETTERS_STEP &&
	    pb_letters_oldest(&t, upstream, &letter) == 1) {
		pb_letters_counts(&t, upstream, &counts);
		if (!too_old(&letter, age_ms_max, age_ms) &&
		    (bytes_max == 0 || counts.file_bytes <= bytes_max))
			break;
		pb_letters_remove(&t, &letter);
		letter.state = PB_LETTER_GONE;
		pb_letters_put(&t, &letter);
		went++;
	}
	rc = pb_letters_end(&t, err);
	return rc < 0 ? rc : went;
}

static bool
too_old(const struct pb_letter *letter, uint64_t age_ms_max, uint64_t age_ms)
{
	return age_ms_max != 0 &&
	    pb_age_since(letter->since_at, age_ms) >= age_ms_max;
}

int
pb_letters_total(struct pb_letters *letters, const char *upstream,
    struct pb_letters_total *out, struct pb_err *err)
{
	struct pb_letters_txn t;
	struct pb_letter oldest;

	memset(out, 0, sizeof(*out));
	if (pb_letters_begin(&t, letters, false, err) == 0) {
		pb_letters_counts(&t, upstream, out);
		if (pb_letters_oldest(&t, upstream, &oldest) == 1)
			out->oldest_ns = oldest.since_ns;
	}
	return pb_letters_end(&t, err);
}
