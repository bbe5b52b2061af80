/*
 * shipper/letters/letters_age.c - how old letters are, by no wall clock
 *
 * The shipper has an age of its own (base/age.h): it runs where no recorder
 * does.  A letter remembers at which age it was demoted.  The age is put
 * with each transaction of letters, so that none is younger than the row
 * says, and by itself after KEEP_MS without one.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

#define ROW_VERSION	1u
#define KEEP_MS		(10u * 60000u)
/* An age is numbers of 64 bits and nothing else. */
#define WORDS		(sizeof(struct pb_age) / sizeof(uint64_t))

static const char age_key[] = "age";

int
letters_age_load(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_age *age = &letters->age;
	struct pb_mdb_value value;
	struct pb_age_now now;
	struct pb_letters_txn t;
	uint64_t word[WORDS] = { 0 };
	struct pb_row row;

	if (pb_letters_begin(&t, letters, false, err) == 0 &&
	    pb_mdb_get(t.txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    &value) == 1 && pb_row_load(&row, ROW_VERSION, &value))
		for (size_t i = 0; i < WORDS; i++)
			word[i] = pb_row_u64(&row);
	memcpy(age, word, sizeof(*age));
	if (!pb_age_sound(age))
		memset(age, 0, sizeof(*age));
	letters->age_kept_ms = age->ms;
	pb_age_look(&now);
	pb_age_move(age, &now);
	return pb_letters_end(&t, err);
}

void
letters_age_put(struct pb_letters_txn *t)
{
	struct pb_age age = t->letters->age;
	uint64_t word[WORDS];
	struct pb_row row;

	if (age.ms == t->letters->age_kept_ms)
		return;
	t->letters->age_kept_ms = age.ms;
	pb_age_sign(&age);
	memcpy(word, &age, sizeof(word));
	pb_row_begin(&row, ROW_VERSION);
	for (size_t i = 0; i < WORDS; i++)
		pb_row_put_u64(&row, word[i]);
	pb_mdb_put(t->txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    row.bytes, row.len);
}

uint64_t
pb_letters_age(struct pb_letters *letters, const struct pb_age_now *now)
{
	struct pb_letters_txn t;
	struct pb_err later;
	uint64_t age_ms;

	pb_state_hold(letters->state);
	pb_age_move(&letters->age, now);
	if (letters->age.ms - letters->age_kept_ms >= KEEP_MS) {
		/* Where it fails it is tried again as late. */
		pb_letters_begin(&t, letters, true, &later);
		(void)pb_letters_end(&t, &later);
	}
	age_ms = letters->age.ms;
	pb_state_release(letters->state);
	return age_ms;
}

uint64_t
pb_letters_age_ms(const struct pb_letters *letters)
{
	return letters->age.ms;
}
