/*
 * tests/unit/test_feed_rot.c - request bodies from a file that rots
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "tests/unit/feed_fixture.h"

#define PACKET	100u		/* bytes of packets here */
#define BLOCK	(pb_epb_bytes(PACKET, PB_OPTION_BYTES(8)))

struct bench {
	struct fixture f;
	struct feed_fixture feed;
};

static void
bench_init(struct bench *b)
{
	fixture_init(&b->f, __LINE__);
	memset(&b->feed, 0, sizeof(b->feed));
	feed_start(&b->feed, &b->f);
}

static void
bench_finish(struct bench *b)
{
	feed_stop(&b->feed);
	fixture_finish(&b->f);
}

/* From the first number on. */
static int
look(struct bench *b, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	static const struct pb_mark no_mark;
	struct pb_stream_info row;

	fixture_stream_row(&b->f, &row);
	return feed_look(&b->feed, &row, 1, UINT64_MAX, &no_mark, bytes_max,
	    out, err);
}

/* A slow link gets an extent in pieces: none of one that rots. */
static void
damage_is_noticed_in_an_extent_that_goes_in_pieces(void **state)
{
	size_t small = 5 * BLOCK;
	struct pb_piece whole, p;
	struct pb_err err;
	char path[PATH_MAX];
	struct bench b;
	int fd;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	assert_int_equal(look(&b, PB_SHIP_PIECE_BYTES, &whole, &err), 0);
	assert_int_equal(look(&b, small, &p, &err), 0);
	assert_true(p.last < 50);
	assert_false(p.whole);
	assert_int_equal(pb_layout_segment(path, b.f.dir, &b.f.key, 1, true,
	    NULL), 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "?", 1, (off_t)whole.offset + 40), 1);
	close(fd);
	assert_int_equal(look(&b, small, &p, &err), PB_EDIGEST);
	assert_non_null(strstr(err.text, "does not match its digest"));
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    damage_is_noticed_in_an_extent_that_goes_in_pieces),
	};

	return cmocka_run_group_tests_name("feed rot", tests, NULL, NULL);
}
