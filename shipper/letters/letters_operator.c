/*
 * shipper/letters/letters_operator.c - dead letters: listing, requeue and purge
 *
 * Work comes in steps, each a short transaction, so that neither a reader
 * holds back pages nor a writer the shipper's loop.
 */
#include "shipper/letters/letters_impl.h"

#define LOOK_ROWS	4096u	/* looked at in one step */

static int	change(struct pb_letters *, const struct pb_letters_which *,
		    enum pb_letter_state, struct pb_letters_sum *,
		    struct pb_err *);
static void	change_one(struct pb_letters_txn *,
		    const struct pb_letters_which *, struct pb_letter *,
		    enum pb_letter_state, struct pb_letters_sum *);
static int	on_page(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	wanted(const struct pb_letters_page *, const struct pb_letter *);

int
pb_letters_list(struct pb_letters *letters,
    const struct pb_letters_which *which, struct pb_letter *after,
    struct pb_letter *out, size_t max, struct pb_err *err)
{
	struct pb_letters_page page = { .which = which, .out = out, .max = max,
	    .dead = true, .requeued = true, .others = true };
	struct pb_letters_txn t;
	int more, rc;

	do {
		more = 0;
		rc = pb_letters_begin(&t, letters, false, err);
		if (rc == 0)
			more = pb_letters_page(&t, &page, after);
		rc = pb_letters_end(&t, err);
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

/* One step: find letters and change their state, in one transaction. */
static int
change(struct pb_letters *letters, const struct pb_letters_which *which,
    enum pb_letter_state to, struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_letter found[PB_LETTERS_STEP], after = sum->after;
	struct pb_letters_page page = { .which = which, .out = found,
	    .max = PB_LETTERS_STEP, .dead = true,
	    .requeued = to == PB_LETTER_GONE,
	    .others = to == PB_LETTER_GONE && which->ships != NULL };
	struct pb_letters_sum done = *sum;
	struct pb_letters_txn t;
	int more, rc;

	/* Most letters may not match: look before writing. */
	rc = pb_letters_begin(&t, letters, false, err);
	more = rc == 0 ? pb_letters_page(&t, &page, &after) : 0;
	rc = pb_letters_end(&t, err);
	if (rc == 0 && page.count > 0) {
		pb_letters_begin(&t, letters, true, err);
		for (size_t i = 0; i < page.count; i++)
			change_one(&t, which, &found[i], to, &done);
		rc = pb_letters_end(&t, err);
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
change_one(struct pb_letters_txn *t, const struct pb_letters_which *which,
    struct pb_letter *letter, enum pb_letter_state to,
    struct pb_letters_sum *sum)
{
	bool has_upstream = pb_letters_has_upstream(which, letter);
	bool has_file = letter->state == PB_LETTER_DEAD ||
	    letter->state == PB_LETTER_REQUEUED;

	if (to == PB_LETTER_REQUEUED ? !has_upstream :
	    has_upstream && !has_file) {
		sum->left += to == PB_LETTER_REQUEUED;
		return;
	}
	pb_letters_remove(t, letter);
	if (has_file) {
		sum->letters++;
		sum->packets += letter->last - letter->first + 1;
	}
	letter->state = to;
	/* Nobody is to be told. */
	if (has_upstream)
		pb_letters_put(t, letter);
}

bool
pb_letters_has_upstream(const struct pb_letters_which *which,
    const struct pb_letter *letter)
{
	return which->ships == NULL ||
	    which->ships(which->arg, letter->upstream, NULL);
}

int
pb_letters_page(struct pb_letters_txn *t, struct pb_letters_page *page,
    struct pb_letter *after)
{
	struct pb_letters_key from = { .len = 0 };

	page->looked = 0;
	page->after = after;
	if (after->upstream[0] != '\0') {
		pb_letters_key(&from, after->upstream, &after->key,
		    after->first);
		from.bytes[from.len++] = 0;
	}
	return pb_mdb_walk(t->txn, PB_STATE_LETTERS, from.bytes, from.len,
	    on_page, page);
}

static int
on_page(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct pb_letters_page *page = arg;
	struct pb_letter *out = &page->out[page->count];

	if (page->count == page->max || page->looked == LOOK_ROWS)
		return 1;
	if (!pb_letters_parse(out, key, value))
		return 0;
	page->looked++;
	*page->after = *out;
	if (wanted(page, out))
		page->count++;
	return 0;
}

static bool
wanted(const struct pb_letters_page *page, const struct pb_letter *letter)
{
	const struct pb_letters_which *which = page->which;
	char name[PB_STREAM_NAME_MAX];

	if (letter->state == PB_LETTER_DEAD ? !page->dead :
	    letter->state == PB_LETTER_REQUEUED ? !page->requeued :
	    !page->others)
		return false;
	return (which->first == 0 || letter->first == which->first) &&
	    (which->upstream == NULL ||
	    pb_glob_match(which->upstream, letter->upstream)) &&
	    (which->stream == NULL || pb_glob_match(which->stream,
	    pb_stream_name(name, &letter->key)));
}
