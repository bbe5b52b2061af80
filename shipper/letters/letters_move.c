/*
 * shipper/letters/letters_move.c - letters of upstreams that have no section
 *
 * A move is made as a demotion is (letters_demote.c): the new files are
 * listed and committed, linked, their directory synced; then the letters
 * change owner in one commit.  A crash before it leaves links that no letter
 * needs, one after it files of the old owner's: the next open deletes both.
 */
#include "shipper/letters/letters_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/below.h"

struct move {
	struct pb_letters *letters;
	const struct pb_letters_which *which;
	struct pb_letters_sum sum;
	size_t		 count;
	struct pb_letter from[PB_LETTERS_BATCH];
	struct pb_letter to[PB_LETTERS_BATCH];
	bool		 made[PB_LETTERS_BATCH];
};

static int	check(const struct pb_letters_which *, struct pb_err *);
static int	find(struct move *, struct pb_err *);
static bool	may_go(struct move *, const struct pb_letter *);
static int	link_one(void *, size_t, struct pb_err *);
static int	change(struct move *, struct pb_err *);
static void	give(struct pb_mdb_txn *, const struct pb_letter *);

int
pb_letters_move(struct pb_letters *letters,
    const struct pb_letters_which *which, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	struct move *move = calloc(1, sizeof(*move));
	struct pb_err later;
	int more = 0, rc;

	if (move == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	move->letters = letters;
	move->which = which;
	move->sum = *sum;
	rc = check(which, err);
	if (rc == 0)
		rc = more = find(move, err);
	if (rc >= 0 && move->count > 0)
		rc = pb_letters_make(letters, move->to, move->made,
		    move->count, link_one, move, err);
	if (rc >= 0 && move->count > 0)
		rc = change(move, err);
	if (rc >= 0)
		*sum = move->sum;
	else
		(void)pb_letters_tidy(letters, &later);
	free(move);
	if (rc < 0)
		return rc;
	if (more == 0 && sum->letters == 0 && sum->left > 0)
		return pb_err_set(err, PB_ENOENT, "%llu letters stay where "
		    "they are: their upstream is configured, their stream is "
		    "not for %s, or their file is not there",
		    (unsigned long long)sum->left, which->to);
	return more > 0;
}

static int
check(const struct pb_letters_which *which, struct pb_err *err)
{
	if (which->ships == NULL)
		return pb_err_set(err, PB_ENOENT, "to move dead letters a "
		    "configuration is needed that names the upstreams");
	if (!which->ships(which->arg, which->to, NULL))
		return pb_err_set(err, PB_ENOENT, "there is no [upstream %s]: "
		    "dead letters go to one that is configured", which->to);
	return 0;
}

/* The next letters to go: 1 where there may be more behind them. */
static int
find(struct move *move, struct pb_err *err)
{
	struct pb_letters_page page = { .which = move->which,
	    .out = move->from, .max = PB_LETTERS_BATCH,
	    .states = PB_LETTERS_IN_ANY };
	struct pb_mdb_txn txn;
	int more = 0, rc;

	rc = pb_letters_begin(move->letters, &txn, false, err);
	if (rc == 0)
		more = pb_letters_page(&txn, &page, &move->sum.after);
	rc = pb_letters_end(move->letters, &txn);
	for (size_t i = 0; rc == 0 && i < page.count; i++) {
		struct pb_letter *to = &move->to[move->count];

		if (!may_go(move, &move->from[i]))
			continue;
		*to = move->from[move->count] = move->from[i];
		snprintf(to->upstream, sizeof(to->upstream), "%s",
		    move->which->to);
		if (pb_letters_has_file(to))
			to->state = PB_LETTER_REQUEUED;
		move->count++;
	}
	return rc < 0 ? rc : more > 0;
}

static bool
may_go(struct move *move, const struct pb_letter *letter)
{
	const struct pb_letters_which *which = move->which;
	char name[PB_STREAM_NAME_MAX];
	bool goes = !pb_letters_has_upstream(which, letter) &&
	    which->ships(which->arg, which->to,
	    pb_stream_name(name, &letter->key));

	if (!goes && pb_letters_has_file(letter) && strcmp(letter->upstream,
	    which->to) != 0)
		move->sum.left++;
	return goes;
}

/* --- files and rows ----------------------------------------------------- */

/* 1; 0 where the letter has no file, or another one has its name: of a
 * segment that was written anew, so that its blocks stand elsewhere. */
static int
link_one(void *arg, size_t i, struct pb_err *err)
{
	struct move *move = arg;
	const struct pb_letter *from = &move->from[i], *to = &move->to[i];
	char old[PATH_MAX], new[PATH_MAX];
	struct stat a, b;
	int rc;

	rc = pb_layout_letter(old, move->letters->store, from->upstream,
	    &from->key, from->segment_seq, err);
	if (rc == 0)
		rc = pb_layout_letter(new, move->letters->store, to->upstream,
		    &to->key, to->segment_seq, err);
	if (rc < 0)
		return rc;
	if (pb_below_link(old, new) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	if (errno != EEXIST)
		return pb_err_sys(err, "dead letter: cannot link %s to %s",
		    old, new);
	return pb_below_stat(old, &a) == 0 && pb_below_stat(new, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Those that could not have a file there stay. */
static int
change(struct move *move, struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_letters_begin(move->letters, &txn, true, err);
	for (size_t i = 0; i < move->count; i++) {
		const struct pb_letter *from = &move->from[i];

		move->sum.left += !move->made[i];
		if (!move->made[i])
			continue;
		pb_letters_remove(&txn, from);
		/* What is gone, the store's own gap tells. */
		if (from->state != PB_LETTER_GONE)
			give(&txn, &move->to[i]);
		if (!pb_letters_has_file(from))
			continue;
		move->sum.letters++;
		move->sum.packets += from->last - from->first + 1;
	}
	return pb_letters_end(move->letters, &txn);
}

/* Numbers that have a letter there keep it, unless that is without packets:
 * here they are. */
static void
give(struct pb_mdb_txn *txn, const struct pb_letter *letter)
{
	pb_letters_take(txn, letter->upstream, &letter->key, letter->first,
	    letter->last, PB_LETTERS_IN(PB_LETTER_GONE));
	pb_letters_put_new(txn, letter);
}
