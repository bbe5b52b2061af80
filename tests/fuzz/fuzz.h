/*
 * tests/fuzz/fuzz.h - what every fuzz target has
 *
 * A target is one function over any bytes.  It aborts where a promise is
 * broken; `make fuzz` links a fuzzer to it, `make test` seeds_main.c.
 */
#ifndef PB_FUZZ_FUZZ_H
#define PB_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
		    __LINE__, #x);					\
		abort();						\
	}								\
} while (0)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
