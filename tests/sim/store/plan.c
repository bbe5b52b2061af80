/*
 * tests/sim/store/plan.c - all that a seed makes happen to a store
 *
 * A run is some *lives*: the store is opened, works, and ends, in order or
 * because the process or the power goes, at any call, also while it is
 * opened.  After each the store is opened on what is left, and everything
 * promised must be there.  At the end verify finds nothing, and a store that
 * is opened and closed once more is the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/store/world.h"

#define LIVES		5
#define STEPS		60	/* of a life, at most */
#define OPENS		4	/* tries before faults are turned off */
#define LEAP_MS		90000u	/* of a wait */

static void	live(struct world *);
static void	step(struct world *);
static void	wait_a_while(struct world *);
static void	arm(struct world *, uint64_t);
static bool	rise(struct world *);
static void	quiet_end(struct world *);

bool
sim_run(uint64_t seed, bool verbose, char why[static 512])
{
	struct world *world = world_create(seed, verbose);
	uint64_t lives = 1 + chance_below(&world->chance, LIVES);
	bool good;

	pb_log_level(verbose ? PB_LOG_DEBUG : PB_LOG_ERROR + 1);
	for (uint64_t i = 0; i < lives && world->why[0] == '\0'; i++)
		live(world);
	if (world->why[0] == '\0')
		quiet_end(world);
	strcpy(why, world->why);
	good = why[0] == '\0';
	world_destroy(world);
	return good;
}

/* Opened with whatever happens, until it is open. */
static void
live(struct world *world)
{
	struct chance *c = &world->chance;
	uint64_t steps = 1 + chance_below(c, STEPS);
	bool power, failed;

	if (!rise(world))
		return;
	world_check(world);
	world_faults(world, chance_one_in(c, 2));
	if (!chance_one_in(c, 3))
		arm(world, 20 * steps);
	while (steps-- > 0 && !model_is_off(world->model) &&
	    world->why[0] == '\0')
		step(world);
	if (chance_one_in(c, 4) && !model_is_off(world->model)) {
		world_say(world, "the power goes between two calls");
		model_stop_at(world->model, 1, true);
	}
	world_close(world);
	failed = world->failed;
	power = model_is_cut(world->model);
	world_say(world, model_is_off(world->model) ? power ?
	    "the power is gone" : "the process is gone" : "closed");
	world_start(world);
	/* Not with the power: of what nobody was told a rebuild cannot know
	 * whether it is torn. */
	if (!power && chance_one_in(c, failed ? 2 : 8))
		world_lose_index(world);
	else if (!power && chance_one_in(c, 6))
		world_damage(world);
}

static bool
rise(struct world *world)
{
	struct chance *c = &world->chance;
	struct pb_err err;

	for (int i = 0; i < OPENS; i++) {
		bool last = i == OPENS - 1;

		/* A salvage writes what it keeps anew: somebody made room. */
		if (last && world->damaged)
			model_resize(world->model, 1u << 30);
		world_faults(world, !last && chance_one_in(c, 4));
		if (!last && chance_one_in(c, 3))
			arm(world, 100);
		err.text[0] = '\0';
		if (world_open(world, &err) == 0 &&
		    !model_is_off(world->model)) {
			world_faults(world, false);
			model_stop_at(world->model, 0, false);
			return true;
		}
		world_say(world, "not opened: %s", err.text);
		if (last)
			world_fail(world, "cannot be opened: %.400s",
			    err.text);
		world_close(world);
		world_start(world);
	}
	return false;
}

/* All stops at one of the next calls, or at one of those about some file, or
 * soon after something has failed. */
static void
arm(struct world *world, uint64_t calls)
{
	static const char *const names[] = { "journal", ".new", ".open",
	    ".pcapng", "data.mdb", ".flows" };
	struct chance *c = &world->chance;
	bool power = !world->lost_index && !chance_one_in(c, 3);

	switch (chance_below(c, 4)) {
	case 0:
		model_stop_on(world->model, names[chance_below(c, 6)],
		    1 + chance_below(c, 12), power);
		break;
	case 1:
		world->fragile = true;
		world->fragile_power = power;
		break;
	default:
		model_stop_at(world->model, 1 + chance_below(c, calls),
		    power);
	}
}

static void
step(struct world *world)
{
	static const size_t sizes[] = { 200, 2000, 30000, 120000 };
	struct chance *c = &world->chance;
	struct source *source =
	    &world->source[chance_below(c, world->sources)];

	switch (chance_below(c, 12)) {
	case 0:
		world_send_gap(world, source);
		break;
	case 1:
		world_send_late(world, source);
		break;
	case 2:
	case 3:
	case 4:
		world_send(world, source, sizes[chance_below(c, 4)]);
		break;
	case 5:
		wait_a_while(world);
		break;
	case 6:
		world_faults(world, chance_one_in(c, 2));
		break;
	default:
		world_wait(world, chance_below(c, 300));
		world_turn(world);
	}
}

/* Turn by turn, as the thread would wake. */
static void
wait_a_while(struct world *world)
{
	uint64_t until = world->mono_ms + chance_below(&world->chance,
	    chance_one_in(&world->chance, 8) ? LEAP_MS : 2000);
	int turns = 20;

	while (world->mono_ms < until && turns-- > 0) {
		world_wait(world, 1 + chance_below(&world->chance, 300));
		world_turn(world);
	}
	if (world->mono_ms < until)
		world_wait(world, until - world->mono_ms);
}

static void
quiet_end(struct world *world)
{
	struct pb_err err;
	uint64_t rows;

	model_resize(world->model, 1u << 30);
	if (!rise(world))
		return;
	world_check(world);
	rows = world_rows(world);
	world_close(world);
	world_verify(world);
	if (world_open(world, &err) < 0) {
		world_fail(world, "cannot be opened again: %.400s", err.text);
		return;
	}
	world_check(world);
	/* But for what retention takes meanwhile. */
	if (world->opts.retain.age_ms_max == 0 && rows != world_rows(world))
		world_fail(world, "opening and closing changed rows");
}
