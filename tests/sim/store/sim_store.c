/*
 * tests/sim/store/sim_store.c - the store in a simulator
 *
 *	sim_store --seed N [-v]		one seed; what happens, with -v
 *	sim_store --seeds N [--from M]	N of them; ends at the first that fails
 *
 * A seed that fails is said with the line that repeats it: status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/store/world.h"

static int	usage(void);

int
main(int argc, char **argv)
{
	uint64_t from = 1, seeds = 1, failed = 0;
	bool verbose = false, all = false;
	char why[512];
	double start = (double)time(NULL);

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--all") == 0) {
			all = true;
		} else if (i + 1 == argc) {
			return usage();
		} else if (strcmp(argv[i], "--seed") == 0) {
			from = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seeds") == 0) {
			seeds = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--from") == 0) {
			from = strtoull(argv[++i], NULL, 10);
		} else {
			return usage();
		}
	}
	for (uint64_t seed = from; seed < from + seeds; seed++) {
		if (sim_run(seed, verbose, why))
			continue;
		printf("%s\nrepeat: %s --seed %llu -v\n", why, argv[0],
		    (unsigned long long)seed);
		failed++;
		if (!all)
			break;
	}
	if (failed == 0)
		printf("%llu seeds, nothing wrong, %.0f s\n",
		    (unsigned long long)seeds, (double)time(NULL) - start);
	return failed == 0 ? 0 : 1;
}

static int
usage(void)
{
	fprintf(stderr, "sim_store --seed N [-v] | --seeds N [--from M] "
	    "[--all]\n");
	return 2;
}
