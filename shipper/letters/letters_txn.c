/*
 * shipper/letters/letters_txn.c - dead letters: opened, and changed
 *
 * Each change is one transaction of the shipper's environment, durable when
 * its call returns; files that it left without a letter are dropped then.
 *
 * The shipper has an age of its own (base/age.h), by which letters get old:
 * it runs where no recorder does.  A letter remembers at which age it was
 * demoted.  The age is put with each transaction of letters, so that none is
 * younger than the row says, and by itself after KEEP_MS without one.
 */
#include "shipper/letters/letters_impl.h"

#include <stdlib.h>
#include <string.h>

#define ROW_VERSION	1u
#define KEEP_MS		(10u * 60000u)

static const char age_key[] = "age";

#define AGE(member)	PB_ROW_NUMBER(struct pb_age, member)
static const struct pb_row_field age_fields[] = {
	AGE(ms), AGE(boot), AGE(boottime_ms), AGE(synced_boot),
	AGE(synced_ms), AGE(synced_real_ms), AGE(known_ms), AGE(digest),
};
static const struct pb_row_shape age_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_age, age_fields);

static int	load_age(struct pb_letters *, struct pb_err *);
static void	put_age(struct pb_letters *, struct pb_mdb_txn *);

int
pb_letters_open(struct pb_letters **out, struct pb_state *state,
    const char *store, struct pb_err *err)
{
	struct pb_letters *letters = calloc(1, sizeof(*letters));
	struct pb_err later;
	int rc = 0;

	*out = NULL;
	if (letters == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	letters->state = state;
	if (strlen(store) >= sizeof(letters->store))
		rc = pb_err_set(err, PB_ELIMIT, "path of the store too long");
	else
		strcpy(letters->store, store);
	if (rc == 0 && state->write)
		rc = load_age(letters, err);
	if (rc == 0 && state->write)
		rc = pb_letters_adopt(letters, err);
	if (rc < 0) {
		free(letters);
		return rc;
	}
	/* A file that cannot be deleted now is tried again. */
	if (state->write)
		(void)pb_letters_tidy(letters, &later);
	*out = letters;
	return 0;
}

void
pb_letters_close(struct pb_letters *letters)
{
	free(letters);
}

int
pb_letters_begin(struct pb_letters *letters, struct pb_mdb_txn *txn,
    bool write, struct pb_err *err)
{
	pb_mdb_begin(letters->state->mdb, write, txn, err);
	if (write)
		put_age(letters, txn);
	return txn->rc;
}

int
pb_letters_end(struct pb_letters *letters, struct pb_mdb_txn *txn)
{
	struct pb_err later;
	int rc = txn->rc;

	if (!txn->write) {
		pb_mdb_abort(txn);
		return rc;
	}
	rc = pb_mdb_commit(txn);
	/* The rows are right; a file in the way is tried again. */
	if (rc == 0)
		(void)pb_letters_tidy(letters, &later);
	return rc;
}

uint64_t
pb_letters_age(struct pb_letters *letters, const struct pb_age_now *now)
{
	struct pb_mdb_txn txn;
	struct pb_err later;

	pb_age_move(&letters->age, now);
	if (letters->age.ms - letters->age_kept_ms >= KEEP_MS) {
		/* Where it fails it is tried again as late. */
		pb_letters_begin(letters, &txn, true, &later);
		(void)pb_letters_end(letters, &txn);
	}
	return letters->age.ms;
}

uint64_t
pb_letters_age_ms(const struct pb_letters *letters)
{
	return letters->age.ms;
}

static int
load_age(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_age *age = &letters->age;
	struct pb_mdb_value value;
	struct pb_age_now now;
	struct pb_mdb_txn txn;

	if (pb_letters_begin(letters, &txn, false, err) == 0 &&
	    pb_mdb_get(&txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    &value) == 1)
		(void)pb_row_load(&age_shape, age, &value);
	if (!pb_age_sound(age))
		memset(age, 0, sizeof(*age));
	letters->age_kept_ms = age->ms;
	pb_age_look(NULL, &now);
	pb_age_move(age, &now);
	return pb_letters_end(letters, &txn);
}

static void
put_age(struct pb_letters *letters, struct pb_mdb_txn *txn)
{
	struct pb_age age = letters->age;

	if (age.ms == letters->age_kept_ms)
		return;
	letters->age_kept_ms = age.ms;
	pb_age_sign(&age);
	pb_row_store(txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    &age_shape, &age);
}
