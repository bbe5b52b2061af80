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

static int	gone_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	list_gone(struct pb_letters_txn *, const char *,
		    const struct pb_stream_key *, uint64_t,
		    struct pb_letters_key *, size_t *);
static bool	too_old(const struct pb_letter *, uint64_t, uint64_t);
static void	redeem(struct pb_letters_txn *, const struct pb_letter *,
		    const struct pb_demotion *);
static int	bound(struct pb_letters *, const char *, uint64_t, uint64_t,
		    uint64_t, struct pb_err *);

/* Keys of GONE letters up to a number. */
struct gone {
	struct pb_letters_key stream;	/* the first part of the keys */
	uint64_t	 acked;
	size_t		 count;
	struct pb_letters_key *key;	/* PB_LETTERS_STEP of them */
};

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
	struct pb_letters_key gone[PB_LETTERS_STEP];
	struct pb_letters_txn t;
	struct pb_letter letter;
	size_t count;
	int rc;

	do {
		/* Mostly there is none, and nothing to write. */
		count = 0;
		rc = pb_letters_begin(&t, letters, false, err);
		if (rc == 0)
			list_gone(&t, upstream, key, acked, gone, &count);
		rc = pb_letters_end(&t, err);
		if (rc < 0 || count == 0)
			return rc;
		pb_letters_begin(&t, letters, true, err);
		for (size_t i = 0; i < count; i++)
			if (pb_letters_get(&t, &gone[i], &letter) == 1)
				pb_letters_remove(&t, &letter);
			else
				pb_mdb_del(t.txn, PB_STATE_GONE,
				    gone[i].bytes, gone[i].len);
		rc = pb_letters_end(&t, err);
	} while (rc == 0 && count == PB_LETTERS_STEP);
	return rc;
}

/* GONE letters of the stream that end at `acked` or before. */
static int
list_gone(struct pb_letters_txn *t, const char *upstream,
    const struct pb_stream_key *key, uint64_t acked,
    struct pb_letters_key *out, size_t *count)
{
	struct gone gone = { .acked = acked, .key = out };
	struct pb_letter letter;
	size_t kept = 0;
	int rc;

	pb_letters_key(&gone.stream, upstream, key, 0);
	gone.stream.len -= 8;
	rc = pb_mdb_walk(t->txn, PB_STATE_GONE, gone.stream.bytes,
	    gone.stream.len, gone_page, &gone);
	/* The last of them may reach past it. */
	for (size_t i = 0; rc >= 0 && i < gone.count; i++)
		if (pb_letters_get(t, &out[i], &letter) != 1 ||
		    letter.last <= acked)
			out[kept++] = out[i];
	*count = kept;
	return rc;
}

static int
gone_page(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct gone *gone = arg;
	const uint8_t *bytes = key->data;

	(void)value;
	if (gone->count == PB_LETTERS_STEP ||
	    key->len != gone->stream.len + 8 ||
	    memcmp(bytes, gone->stream.bytes, gone->stream.len) != 0 ||
	    pb_get_be64(bytes + gone->stream.len) > gone->acked)
		return 1;
	memcpy(gone->key[gone->count].bytes, bytes, key->len);
	gone->key[gone->count++].len = key->len;
	return 0;
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
