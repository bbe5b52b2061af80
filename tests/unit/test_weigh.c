/*
 * tests/unit/test_weigh.c - how much of the store some numbers take
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/store/read/weigh.h"
#include "tests/unit/store_fixture.h"

#define CHUNK	500u
#define CHUNKS	40u		/* some segments of 4 MiB */
#define LAST	(2 * CHUNKS * CHUNK)
#define EXTENT	9000u		/* more than it has packets */

/* Those of the second half are ten times as long. */
static void
write_all(struct fixture *f)
{
	for (uint64_t n = 0; n < 2 * CHUNKS; n++) {
		fixture_write(f, n * CHUNK + 1, (n + 1) * CHUNK,
		    n < CHUNKS ? 100 : 1000);
		fixture_wait(f);
	}
}

static uint64_t
weigh(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_stream_info row;
	uint64_t bytes = UINT64_MAX;
	struct pb_err err;

	fixture_stream_row(f, &row);
	assert_int_equal(pb_weigh(pb_store_index(f->store), row.id, first,
	    last, &bytes, &err), 0);
	return bytes;
}

static uint64_t
of_segments(struct fixture *f)
{
	const struct pb_segment_info *segment;
	struct pb_stream_info row;
	struct pb_rows rows;
	struct pb_err err;
	uint64_t sum = 0;

	fixture_stream_row(f, &row);
	pb_rows_of(&rows, pb_store_index(f->store), PB_TABLE_SEGMENTS, row.id,
	    0, &err);
	while ((segment = pb_rows_next(&rows)) != NULL)
		sum += segment->bytes;
	return sum;
}

static void
all_of_it_is_what_the_files_have(void **state)
{
	struct fixture *f = *state;

	write_all(f);
	assert_true(of_segments(f) > 3 * (4u << 20));
	assert_int_equal(weigh(f, 1, LAST), of_segments(f));
	assert_int_equal(weigh(f, 1, UINT64_MAX), of_segments(f));
	assert_int_equal(weigh(f, LAST + 1, UINT64_MAX), 0);
}

static void
parts_are_as_heavy_as_their_packets(void **state)
{
	struct fixture *f = *state;

	write_all(f);
	/* Each with its block and number: 56 bytes, but for rounding.  An
	 * extent has some of both. */
	for (uint64_t first = 1; first < LAST / 2 - EXTENT; first += 1777)
		assert_in_range(weigh(f, first, first + 1999),
		    2000 * 100, 2000 * 180);
	for (uint64_t first = LAST / 2 + EXTENT; first + 2000 < LAST;
	    first += 1777)
		assert_in_range(weigh(f, first, first + 1999),
		    2000 * 1000, 2000 * 1100);
	assert_in_range(weigh(f, LAST, LAST), 1000, 1100);
	for (uint64_t cut = 1; cut < LAST; cut += 3333)
		assert_in_range(weigh(f, 1, cut) + weigh(f, cut + 1, LAST),
		    of_segments(f) - of_segments(f) / 1000, of_segments(f));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_STORE(all_of_it_is_what_the_files_have),
		IN_STORE(parts_are_as_heavy_as_their_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
