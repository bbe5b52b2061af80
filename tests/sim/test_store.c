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
#include "tests/sim/store/check_filtered.c"
#include "tests/sim/store/check_flows.c"
#include "tests/sim/store/child_here.c"
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

static void
write_packets(struct world *world)
{
	world_send(world, &world->source[0], 20000);
	for (int i = 0; i < 10; i++) {
		world_wait(world, 300);
		world_turn(world);
	}
	assert_int_equal(world->pending, 0);
}

/*
 * As a roll-back leaves a segment that had its sealed name already: cut, and
 * nobody has synced it, when the process ends and the index is lost.
 */
static void
what_a_rebuild_has_seen_of_a_file_a_power_cut_does_not_change(void **state)
{
	struct world *world = world_create(1, false);
	struct pb_stream_info stream;
	struct pb_segment_info row;
	char path[PATH_MAX];
	struct pb_err err;
	int fd;

	(void)state;
	pb_log_level(PB_LOG_ERROR + 1);
	world->opts.segment_size = 4u << 20;
	world->opts.segment_age_ms = 60000;
	memset(&world->opts.retain, 0, sizeof(world->opts.retain));
	model_resize(world->model, 1u << 30);
	assert_int_equal(world_open(world, &err), 0);
	write_packets(world);
	assert_int_equal(pb_index_stream(pb_store_index(world->store),
	    &world->source[0].key, &stream, &err), 1);
	assert_int_equal(pb_index_rows_of(pb_store_index(world->store),
	    PB_TABLE_SEGMENTS, stream.id, 1, &row, 1, &err), 1);
	write_packets(world);
	world_close(world);
	assert_int_equal(pb_layout_segment(path, WORLD_STORE,
	    &world->source[0].key, 1, false, &err), 0);
	fd = pb_below_open(path, O_RDWR, 0);
	assert_true(fd >= 0);
	assert_int_equal(pb_file_truncate(fd, row.bytes), 0);
	pb_file_close(fd);
	world_lose_index(world);
	assert_int_equal(world_open(world, &err), 0);
	world_close(world);
	model_cut(world->model);
	world_verify(world);
	assert_string_equal(world->why, "");
	world_destroy(world);
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
		cmocka_unit_test(
		    what_a_rebuild_has_seen_of_a_file_a_power_cut_does_not_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
