/*
 * recorder/store/write/store_age.c - the age of an open store (base/age.h)
 *
 * Segments remember at which age they were sealed: retention's order and
 * measure.  It goes to the disk with commits that happen anyway, with each
 * that seals, and by itself after KEEP_MS without one: so a power cut costs
 * a quiet store that much of its age, and then only where nobody vouches
 * for the wall clock.
 */
#include "base/clock.h"
#include "recorder/store/write/store_impl.h"

#define STEP_MS		1000u		/* less is not worth a row */
#define KEEP_MS		(10u * 60000u)	/* without a commit of others */

void
store_read_clocks(struct pb_store *store)
{
	store->now.mono_ms = pb_clock_mono_ms_by(store->clock);
	store->now.real_ns = pb_clock_real_ns_by(store->clock);
	pb_age_look(store->clock, &store->now.age);
}

void
store_age_load(struct pb_store *store, struct pb_mdb_txn *txn)
{
	pb_index_get_age(txn, &store->age);
	/* As of the last commit before: that is when recovery takes to have
	 * been sealed what it finds open. */
	store->age_sealed_ms = store->age.ms != 0 ? store->age.ms : 1;
	store_age_move(store);
	pb_index_put_age(txn, &store->age);
	store->age_kept_ms = store->age.ms;
}

void
store_age_move(struct pb_store *store)
{
	pb_age_move(&store->age, &store->now.age);
	/* What is sealed next lies behind what was sealed before. */
	if (store->age.ms <= store->age_sealed_ms)
		store->age.ms = store->age_sealed_ms + 1;
}

uint64_t
store_age_seal(struct pb_store *store)
{
	store->age_sealed_ms = store->age.ms;
	return store->age.ms;
}

void
store_age_put(struct pb_store *store, struct pb_mdb_txn *txn)
{
	if (store->age_sealed_ms <= store->age_kept_ms &&
	    store->age.ms - store->age_kept_ms < STEP_MS)
		return;
	pb_index_put_age(txn, &store->age);
	store->age_kept_ms = store->age.ms;
}

void
store_age_keep(struct pb_store *store)
{
	struct pb_mdb_txn txn;

	/* It may have been found gone since it was looked at. */
	if (store->away)
		return;
	store_age_move(store);
	if (store->age.ms - store->age_kept_ms < KEEP_MS)
		return;
	/* Where it fails it is tried again as late. */
	if (pb_index_begin(store->index, &txn, NULL) < 0)
		return;
	store_age_put(store, &txn);
	pb_mdb_commit(&txn);
}
