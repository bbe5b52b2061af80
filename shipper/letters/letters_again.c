/*
 * shipper/letters/letters_again.c - dead letters that go again by themselves
 *
 * No clock and no count decides, but what the upstream does: a letter goes
 * when its stream has moved past it.  So a flapping upstream costs a row's
 * change, and neither a restart nor a crash forgets one.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

static int	list_dead(struct pb_letters_txn *, const char *,
		    struct pb_letter *, struct pb_letter *, size_t *);
static int	requeue(struct pb_letters *, struct pb_letter *, size_t,
		    struct pb_letters_sum *, struct pb_err *);

bool
pb_letters_goes_again(const struct pb_letter *letter)
{
	return letter->state == PB_LETTER_DEAD &&
	    letter->reason != PB_DEAD_MALFORMED;
}

int
pb_letters_again(struct pb_letters *letters, const char *upstream,
    bool (*ready)(void *, const struct pb_letter *), void *arg,
    struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_letter found[PB_LETTERS_STEP], after = sum->after;
	struct pb_letters_total counts = { .letters = 0 };
	struct pb_letters_txn t;
	size_t count = 0, kept = 0;
	int more = 0, rc;

	rc = pb_letters_begin(&t, letters, false, err);
	if (rc == 0)
		pb_letters_counts(&t, upstream, &counts);
	if (counts.letters > 0)
		more = list_dead(&t, upstream, &after, found, &count);
	rc = pb_letters_end(&t, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (ready(arg, &found[i]))
			found[kept++] = found[i];
	if (rc == 0 && kept > 0)
		rc = requeue(letters, found, kept, sum, err);
	if (rc < 0)
		return rc;
	sum->after = after;
	return more > 0;
}

/* Those that may go, of PB_LETTERS_STEP from `*after` on, which moves: 1
 * where there may be more behind them. */
static int
list_dead(struct pb_letters_txn *t, const char *upstream,
    struct pb_letter *after, struct pb_letter *out, size_t *count)
{
	struct pb_letters_key at;
	struct pb_letter letter;
	int rc = 0;

	at.len = strnlen(upstream, PB_NAME_BYTES_MAX) + 1;
	memcpy(at.bytes, upstream, at.len - 1);
	at.bytes[at.len - 1] = 0;
	if (after->upstream[0] != '\0') {
		pb_letters_age_key(&at, after);
		at.bytes[at.len++] = 0;
	}
	for (unsigned i = 0; i < PB_LETTERS_STEP; i++) {
		rc = pb_letters_aged(t, &at, &letter);
		if (rc != 1)
			break;
		*after = letter;
		if (pb_letters_goes_again(&letter))
			out[(*count)++] = letter;
	}
	return rc;
}

static int
requeue(struct pb_letters *letters, struct pb_letter *letter, size_t count,
    struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_letters_txn t;
	uint64_t packets = 0;
	int rc;

	pb_letters_begin(&t, letters, true, err);
	for (size_t i = 0; i < count; i++) {
		packets += letter[i].last - letter[i].first + 1;
		pb_letters_remove(&t, &letter[i]);
		letter[i].state = PB_LETTER_REQUEUED;
		pb_letters_put(&t, &letter[i]);
	}
	rc = pb_letters_end(&t, err);
	if (rc < 0)
		return rc;
	sum->letters += count;
	sum->packets += packets;
	return 0;
}
