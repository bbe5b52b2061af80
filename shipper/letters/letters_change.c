/*
 * shipper/letters/letters_change.c - dead letters: listed, sent again, purged
 *
 * Work comes in steps, each a short transaction, so that neither a reader
 * holds back pages nor a writer others.
 *
 * By themselves letters go again by no clock and no count, but by what the
 * upstream does: when their stream has moved past them.  So a flapping
 * upstream costs a row's change, and neither a restart nor a crash forgets
 * one.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

#define LOOK_ROWS	4096u	/* looked at in one step */

static int	change(struct pb_letters *, const struct pb_letters_which *,
		    enum pb_letter_state, struct pb_letters_sum *,
		    struct pb_err *);
static void	change_one(struct pb_mdb_txn *,
		    const struct pb_letters_which *, struct pb_letter *,
		    enum pb_letter_state, struct pb_letters_sum *);
static bool	wanted(const struct pb_letters_page *,
		    const struct pb_letter *);

int
pb_letters_list(struct pb_letters *letters,
    const struct pb_letters_which *which, struct pb_letter *after,
    struct pb_letter *out, size_t max, struct pb_err *err)
{
	struct pb_letters_page page = { .which = which, .out = out, .max = max,
	    .states = PB_LETTERS_IN_ANY };
	struct pb_mdb_txn txn;
	int more, rc;

	do {
		more = 0;
		rc = pb_letters_begin(letters, &txn, false, err);
		if (rc == 0)
			more = pb_letters_page(&txn, &page, after);
		rc = pb_letters_end(letters, &txn);
	} while (rc == 0 && more > 0 && page.count < max);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_letters_requeue(struct pb_letters *letters,
    const struct pb_letters_which *which, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	return change(letters, which, PB_LETTER_REQUEUED, sum, err);
}

int
pb_letters_purge(struct pb_letters *letters,
    const struct pb_letters_which *which, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	return change(letters, which, PB_LETTER_GONE, sum, err);
}

bool
pb_letters_goes_again(const struct pb_letter *letter)
{
	return letter->state == PB_LETTER_DEAD &&
	    letter->reason != PB_DEAD_MALFORMED &&
	    letter->reason != PB_DEAD_UNSURE;
}

int
pb_letters_dead(struct pb_letters *letters, const char *upstream,
    struct pb_letter *after, struct pb_letter *out, size_t *count,
    struct pb_err *err)
{
	struct pb_letters_total counts = { .letters = 0 };
	struct pb_letters_key at;
	struct pb_letter letter;
	struct pb_mdb_txn txn;
	unsigned looked = 0;
	int more = 0, rc;

	pb_letters_name_key(&at, upstream);
	if (after->upstream[0] != '\0') {
		pb_letters_age_key(&at, after);
		at.bytes[at.len++] = 0;
	}
	rc = pb_letters_begin(letters, &txn, false, err);
	if (rc == 0)
		pb_letters_counts(&txn, upstream, &counts);
	while (counts.letters > 0 && looked++ < PB_LETTERS_STEP) {
		more = pb_letters_aged(&txn, &at, &letter);
		if (more != 1)
			break;
		*after = letter;
		if (pb_letters_goes_again(&letter))
			out[(*count)++] = letter;
	}
	rc = pb_letters_end(letters, &txn);
	return rc < 0 ? rc : more > 0;
}

int
pb_letters_revive(struct pb_letters *letters, const struct pb_letter *letter,
    size_t count, struct pb_letters_sum *sum, struct pb_err *err)
{
	static const struct pb_letters_which any;
	struct pb_letters_sum done = *sum;
	struct pb_mdb_txn txn;
	struct pb_letter now;
	int rc;

	pb_letters_begin(letters, &txn, true, err);
	for (size_t i = 0; i < count; i++)
		if (pb_letters_seek(&txn, letter[i].upstream, &letter[i].key,
		    letter[i].first, &now) == 1 &&
		    now.first == letter[i].first &&
		    now.last == letter[i].last && pb_letters_goes_again(&now))
			change_one(&txn, &any, &now, PB_LETTER_REQUEUED, &done);
	rc = pb_letters_end(letters, &txn);
	if (rc == 0)
		*sum = done;
	return rc;
}

int
pb_letters_upstreams(struct pb_letters *letters, const char *after,
    char (*out)[PB_NAME_BYTES_MAX + 1], size_t max, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	size_t count = 0;
	int rc;

	pb_letters_begin(letters, &txn, false, err);
	/* The NUL behind a name makes the first key behind it. */
	pb_state_from(&rows, &txn, PB_STATE_COUNTS, after,
	    after[0] != '\0' ? strlen(after) + 1 : 0, 0);
	while (count < max && pb_state_next(&rows)) {
		if (rows.key.len == 0 || rows.key.len > PB_NAME_BYTES_MAX)
			continue;
		memcpy(out[count], rows.key.data, rows.key.len);
		out[count++][rows.key.len] = '\0';
	}
	rc = pb_letters_end(letters, &txn);
	return rc < 0 ? rc : (int)count;
}

/* One step: find letters and change their state, in one transaction. */
static int
change(struct pb_letters *letters, const struct pb_letters_which *which,
    enum pb_letter_state to, struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_letter found[PB_LETTERS_STEP], after = sum->after;
	struct pb_letters_page page = { .which = which, .out = found,
	    .max = PB_LETTERS_STEP, .states = to == PB_LETTER_REQUEUED ?
	    PB_LETTERS_IN(PB_LETTER_DEAD) : which->ships != NULL ?
	    PB_LETTERS_IN_ANY : PB_LETTERS_IN(PB_LETTER_DEAD) |
	    PB_LETTERS_IN(PB_LETTER_REQUEUED) };
	struct pb_letters_sum done = *sum;
	struct pb_mdb_txn txn;
	int more, rc;

	/* Most letters may not match: look before writing. */
	rc = pb_letters_begin(letters, &txn, false, err);
	more = rc == 0 ? pb_letters_page(&txn, &page, &after) : 0;
	rc = pb_letters_end(letters, &txn);
	if (rc == 0 && page.count > 0) {
		pb_letters_begin(letters, &txn, true, err);
		for (size_t i = 0; i < page.count; i++)
			change_one(&txn, which, &found[i], to, &done);
		rc = pb_letters_end(letters, &txn);
	}
	if (rc < 0)
		return rc;
	*sum = done;
	sum->after = after;
	if (more == 0 && sum->letters == 0 && sum->left > 0)
		return pb_err_set(err, PB_ENOENT, "the upstream of these "
		    "letters is not configured, so nobody would send them; "
		    "'pb dlq move --to NAME' gives them to one that is");
	return more > 0;
}

static void
change_one(struct pb_mdb_txn *txn, const struct pb_letters_which *which,
    struct pb_letter *letter, enum pb_letter_state to,
    struct pb_letters_sum *sum)
{
	bool has_upstream = pb_letters_has_upstream(which, letter);
	bool has_file = pb_letters_has_file(letter);

	if (to == PB_LETTER_REQUEUED ? !has_upstream :
	    has_upstream && !has_file) {
		sum->left += to == PB_LETTER_REQUEUED;
		return;
	}
	pb_letters_remove(txn, letter);
	if (has_file) {
		sum->letters++;
		sum->packets += letter->last - letter->first + 1;
	}
	letter->state = to;
	/* Nobody is to be told. */
	if (has_upstream)
		pb_letters_put(txn, letter);
}

bool
pb_letters_has_upstream(const struct pb_letters_which *which,
    const struct pb_letter *letter)
{
	return which->ships == NULL ||
	    which->ships(which->arg, letter->upstream, NULL);
}

int
pb_letters_page(struct pb_mdb_txn *txn, struct pb_letters_page *page,
    struct pb_letter *after)
{
	struct pb_letters_key from = { .len = 0 };
	unsigned looked = 0;
	struct pb_state_rows rows;

	if (after->upstream[0] != '\0') {
		pb_letters_key(&from, after->upstream, &after->key,
		    after->first);
		from.bytes[from.len++] = 0;
	}
	pb_state_from(&rows, txn, PB_STATE_LETTERS, from.bytes, from.len,
	    0);
	while (page->count < page->max && looked < LOOK_ROWS) {
		struct pb_letter *out = &page->out[page->count];

		if (!pb_state_next(&rows))
			return txn->rc;
		if (!pb_letters_parse(out, &rows.key, &rows.value))
			continue;
		looked++;
		*after = *out;
		page->count += wanted(page, out);
	}
	return 1;
}

static bool
wanted(const struct pb_letters_page *page, const struct pb_letter *letter)
{
	const struct pb_letters_which *which = page->which;
	char name[PB_STREAM_NAME_MAX];

	return (page->states & PB_LETTERS_IN(letter->state)) != 0 &&
	    (which->first == 0 || letter->first == which->first) &&
	    (which->upstream == NULL ||
	    pb_glob_match(which->upstream, letter->upstream)) &&
	    (which->stream == NULL || pb_glob_match(which->stream,
	    pb_stream_name(name, &letter->key)));
}
