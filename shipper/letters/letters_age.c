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

static const char age_key[] = "age";

#define AGE(member)	PB_ROW_NUMBER(struct pb_age, member)
static const struct pb_row_field age_fields[] = {
	AGE(ms), AGE(boot), AGE(boottime_ms), AGE(synced_boot),
	AGE(synced_ms), AGE(synced_real_ms), AGE(known_ms), AGE(digest),
};
static const struct pb_row_shape age_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_age, age_fields);

int
letters_age_load(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_age *age = &letters->age;
	struct pb_mdb_value value;
	struct pb_age_now now;
	struct pb_letters_txn t;

	if (pb_letters_begin(&t, letters, false, err) == 0 &&
	    pb_mdb_get(t.txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    &value) == 1)
		(void)pb_row_load(&age_shape, age, &value);
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

	if (age.ms == t->letters->age_kept_ms)
		return;
	t->letters->age_kept_ms = age.ms;
	pb_age_sign(&age);
	pb_row_store(t->txn, PB_STATE_META, age_key, sizeof(age_key) - 1,
	    &age_shape, &age);
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
