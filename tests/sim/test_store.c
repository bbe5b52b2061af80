/*
 * tests/sim/test_store.c - the real store on a modelled disk, some seeds of it
 *
 * `make sim SEEDS=N` runs more; a seed that fails is repeated by
 * build/tests/sim/store/sim_store --seed N -v.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/below.h"
#include "base/sys.h"
#include "tests/sim/store/check.c"
#include "tests/sim/store/mdb_memory.c"
#include "tests/sim/store/model_disk.c"
#include "tests/sim/store/model_platter.c"
#include "tests/sim/store/plan.c"
#include "tests/sim/store/world.c"

#define SEEDS	200

static void
what_is_done_is_kept_whatever_happens(void **state)
{
	char why[512];

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		if (!sim_run(seed, false, why))
			fail_msg("seed %llu: %s", (unsigned long long)seed,
			    why);
}

static void
a_directory_that_could_not_be_synced_is_not_there(void **state)
{
	struct model *model = model_create(1, MODEL_LOOSE, 1u << 20);
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_below_mount("/m", model_disk(model), &err), 0);
	model_faults(model, MODEL_SYNCS, 1);
	assert_true(pb_mkdirs("/m/a/b", &err) < 0);
	assert_int_equal(pb_below_look("/m/a"), -1);
	model_faults(model, 0, 0);
	assert_int_equal(pb_mkdirs("/m/a/b", &err), 0);
	model_cut(model);
	assert_int_equal(pb_below_look("/m/a/b"), 0);
	pb_below_release("/m");
	model_destroy(model);
}

/* Made by somebody who was ended before he synced them. */
static void
directories_that_were_there_are_synced_as_well(void **state)
{
	struct pb_err err;

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct model *model = model_create(seed, MODEL_LOOSE,
		    1u << 20);

		assert_int_equal(pb_below_mount("/m", model_disk(model),
		    &err), 0);
		assert_int_equal(pb_below_mkdir("/m/a", 0750), 0);
		assert_int_equal(pb_below_mkdir("/m/a/b", 0750), 0);
		assert_int_equal(pb_mkdirs_sync("/m/a/b", &err), 0);
		model_cut(model);
		assert_int_equal(pb_below_look("/m/a/b"), 0);
		pb_below_release("/m");
		model_destroy(model);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_done_is_kept_whatever_happens),
		cmocka_unit_test(
		    a_directory_that_could_not_be_synced_is_not_there),
		cmocka_unit_test(
		    directories_that_were_there_are_synced_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
