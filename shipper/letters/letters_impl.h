/*
 * shipper/letters/letters_impl.h - dead letters: rows, transactions, files
 *
 * Private to shipper/letters/.  letters_rows.c keeps the tables in step
 * with each other, letters_file.c the files with the tables, letters_txn.c
 * does both at the end of a change.
 */
#ifndef PB_SHIPPER_LETTERS_IMPL_H
#define PB_SHIPPER_LETTERS_IMPL_H

#include "shipper/letters/letters.h"
#include "shipper/state/row.h"
#include "shipper/state/tables.h"

/* Rows of table `files` that are settled in one go. */
#define PB_LETTERS_SETTLE	256u
/* Files whose size is looked at again in one go. */
#define PB_LETTERS_MEASURE	16u

/* KEY and a number: of a letter, or of a file (its segment's); an age, with
 * SINCE besides; a zero byte behind it, for the next one. */
#define PB_LETTERS_KEY_MAX	(PB_ACKS_KEY_MAX + 16 + 1)
struct pb_letters_key {
	size_t		len;
	uint8_t		bytes[PB_LETTERS_KEY_MAX];
};

struct pb_letters {
	struct pb_state	*state;
	char		 store[PATH_MAX];
	/* The file whose size is looked at next; none: from the start. */
	struct pb_letters_key measured;
	struct pb_age	 age;		/* of a writer */
	uint64_t	 age_kept_ms;	/* as it was put last */
};

/*
 * Begin; end it whatever happened: writes are committed, with the age, and
 * files dropped that lost their last letter.
 */
int	pb_letters_begin(struct pb_letters *letters, struct pb_mdb_txn *txn,
	    bool write, struct pb_err *err);
int	pb_letters_end(struct pb_letters *letters, struct pb_mdb_txn *txn);

/* --- rows --------------------------------------------------------------- */

void	pb_letters_key(struct pb_letters_key *out, const char *upstream,
	    const struct pb_stream_key *key, uint64_t number);
/* And back; false for bytes that are no such key. */
bool	pb_letters_key_parse(char upstream[static PB_NAME_BYTES_MAX + 1],
	    struct pb_stream_key *key, uint64_t *number, const void *bytes,
	    size_t len);

/* A row; false where it is malformed. */
bool	pb_letters_parse(struct pb_letter *out,
	    const struct pb_mdb_value *key, const struct pb_mdb_value *value);

/* As pb_letters_find(): 1, 0 or the transaction's error. */
int	pb_letters_seek(struct pb_mdb_txn *txn, const char *upstream,
	    const struct pb_stream_key *key, uint64_t from,
	    struct pb_letter *out);

/* The letter with this very key: 1, 0 or the error. */
int	pb_letters_get(struct pb_mdb_txn *txn, const void *key, size_t len,
	    struct pb_letter *out);
/* NAME and its NUL, which the keys of an upstream's rows begin with. */
void	pb_letters_name_key(struct pb_letters_key *out, const char *upstream);
/* Has a letter in its state a file of its own? */
static inline bool
pb_letters_has_file(const struct pb_letter *letter)
{
	return letter->state == PB_LETTER_DEAD ||
	    letter->state == PB_LETTER_REQUEUED;
}

/* Rows of all tables that speak of the letter.  What went wrong shows at
 * the end.  A file that loses its last letter is listed in `files`. */
void	pb_letters_remove(struct pb_mdb_txn *txn,
	    const struct pb_letter *in);
/* Of the upstream, the last fill that rows of late packets know of. */
void	pb_letters_put_seen(struct pb_mdb_txn *txn, const char *upstream,
	    uint64_t fill);
/* What an older version kept otherwise, once. */
int	pb_letters_adopt(struct pb_letters *letters, struct pb_err *err);
/* Add, as one with the neighbours that say the same. */
void	pb_letters_put(struct pb_mdb_txn *txn, const struct pb_letter *in);
/* The same, but for numbers that have a letter. */
void	pb_letters_put_new(struct pb_mdb_txn *txn,
	    const struct pb_letter *in);
/* Take first .. last out of the letter; what is left of it stays. */
void	pb_letters_cut(struct pb_mdb_txn *txn, const struct pb_letter *in,
	    uint64_t first, uint64_t last);

/* The next letter of the stream that touches `*from` .. last; `*from` moves
 * behind it.  False where there is none. */
bool	pb_letters_next(struct pb_mdb_txn *txn, const char *upstream,
	    const struct pb_stream_key *key, uint64_t *from, uint64_t last,
	    struct pb_letter *out);
/* Take first .. last out of all letters of the stream in these states. */
#define PB_LETTERS_IN(state)	(1u << (state))
#define PB_LETTERS_IN_ANY	(~0u)
void	pb_letters_take(struct pb_mdb_txn *txn, const char *upstream,
	    const struct pb_stream_key *key, uint64_t first, uint64_t last,
	    unsigned states);

/* The place of a letter with a file among its upstream's, by age. */
void	pb_letters_age_key(struct pb_letters_key *out,
	    const struct pb_letter *letter);
/* The first DEAD or REQUEUED letter at `*at` (NAME \0: the oldest) or behind
 * it; `*at` moves behind it: 1, 0, the error. */
int	pb_letters_aged(struct pb_mdb_txn *txn, struct pb_letters_key *at,
	    struct pb_letter *out);
/* The oldest of the upstream: likewise. */
int	pb_letters_oldest(struct pb_mdb_txn *txn, const char *upstream,
	    struct pb_letter *out);

/* Sums of an upstream; `oldest_ns` is left 0. */
void	pb_letters_counts(struct pb_mdb_txn *txn, const char *upstream,
	    struct pb_letters_total *out);

/* The bytes that a file counts with, 0 where it has no letter; and more of
 * them, where it has grown. */
uint64_t pb_letters_bytes(struct pb_mdb_txn *txn,
	    const struct pb_letters_key *file);
void	pb_letters_grow(struct pb_mdb_txn *txn,
	    const struct pb_letters_key *file, uint64_t bytes);

/* --- files -------------------------------------------------------------- */

/*
 * Make the files of letters that are about to get their rows, durably: they
 * are listed, committed, and `link` makes one each: 1; 0 where it cannot
 * have one; or an error, after which the caller settles.  `made`: those that
 * have one, or need none.
 */
int	pb_letters_make(struct pb_letters *letters,
	    const struct pb_letter *letter, bool *made, size_t count,
	    int (*link)(void *arg, size_t i, struct pb_err *err), void *arg,
	    struct pb_err *err);

/* Link the letter's segment and fill in file_bytes: 1; 0 the segment has
 * expired; or an error.  The directory is to be there. */
int	pb_letters_link(struct pb_letters *letters, struct pb_letter *letter,
	    struct pb_err *err);

/*
 * A segment that was open when it was linked grows on under its letter.
 * Look at the size of some files, others at each call, so that a file
 * counts with all its bytes before long.
 */
int	pb_letters_measure(struct pb_letters *letters, struct pb_err *err);

/* --- operators ---------------------------------------------------------- */

/* Letters that match, found in one step. */
struct pb_letters_page {
	const struct pb_letters_which *which;
	struct pb_letter *out;
	size_t		 max, count;
	unsigned	 states;	/* wanted: PB_LETTERS_IN() */
};

/* 1: there may be more rows behind `*after`, which has moved; or 0. */
int	pb_letters_page(struct pb_mdb_txn *txn,
	    struct pb_letters_page *page, struct pb_letter *after);

/* Is the letter's upstream configured, as far as anybody knows? */
bool	pb_letters_has_upstream(const struct pb_letters_which *which,
	    const struct pb_letter *letter);

#endif
