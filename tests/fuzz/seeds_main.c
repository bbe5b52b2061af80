/*
 * tests/fuzz/seeds_main.c - run a fuzz target over files, without a fuzzer
 *
 *	fuzz_reader FILE|FOLDER ...
 *
 * Every file, and every file below every folder, is one input.  Status 0
 * where all ran; a target that finds a fault aborts.
 */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX	(64u << 20)
#define FOLDERS_OPEN_MAX 16

int		LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t	inputs;

static int
run_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t size = (size_t)st->st_size;
	uint8_t *data;
	FILE *file;

	(void)ftw;
	if (type != FTW_F)
		return 0;
	if (size > INPUT_BYTES_MAX) {
		fprintf(stderr, "%s: larger than %u bytes\n", path,
		    INPUT_BYTES_MAX);
		return 1;
	}
	data = malloc(size + (size == 0));
	file = fopen(path, "rb");
	if (data == NULL || file == NULL ||
	    fread(data, 1, size, file) != size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|FOLDER ...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int rc = nftw(argv[i], run_file, FOLDERS_OPEN_MAX, FTW_PHYS);

		if (rc < 0)
			perror(argv[i]);
		if (rc != 0)
			return 1;
	}
	printf("%zu inputs\n", inputs);
	return 0;
}
