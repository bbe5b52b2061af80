/*
 * tests/unit/test_press.c - what is written is compressed on its way out
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/out.h"

#define BYTES	(3u << 20)
#define ROOM	(8u << 20)

static uint8_t text[BYTES], packed[ROOM], back[ROOM];

struct sink {
	int		 fd;
	struct pb_out	 out;
	struct pb_press	*press;
};

static void
make_text(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < BYTES; i++) {
		x = x * 1664525u + 1013904223u;
		text[i] = (uint8_t)(i % 7 == 0 ? x >> 24 : i / 1000);
	}
}

static void
sink_init(struct sink *s, enum pb_press_kind kind, bool many)
{
	s->fd = memfd_create("press", 0);
	assert_true(s->fd >= 0);
	assert_int_equal(pb_press_create(&s->press, kind, many, NULL), 0);
	pb_out_init(&s->out, s->fd, "test", NULL);
	s->out.press = s->press;
}

static void
sink_finish(struct sink *s)
{
	pb_out_finish(&s->out);
	pb_press_destroy(s->press);
	close(s->fd);
}

/* What the file holds, unpacked; `whole` where it ends as it should, with
 * one member or frame. */
static size_t
unpack_gzip(size_t len, bool *whole)
{
	z_stream z = { .next_in = packed, .avail_in = (uInt)len,
	    .next_out = back, .avail_out = ROOM };

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	*whole = inflate(&z, Z_SYNC_FLUSH) == Z_STREAM_END &&
	    z.avail_in == 0;
	inflateEnd(&z);
	return ROOM - z.avail_out;
}

static size_t
unpack_zstd(size_t len, bool *whole)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { packed, len, 0 };
	ZSTD_outBuffer out = { back, ROOM, 0 };
	size_t rc = 1;

	while (in.pos < in.size && rc != 0) {
		rc = ZSTD_decompressStream(z, &out, &in);
		assert_false(ZSTD_isError(rc));
	}
	*whole = rc == 0 && in.pos == in.size;
	ZSTD_freeDStream(z);
	return out.pos;
}

static size_t
unpack(struct sink *s, enum pb_press_kind kind, bool *whole)
{
	ssize_t len = pread(s->fd, packed, ROOM, 0);

	assert_true(len > 0);
	return kind == PB_PRESS_GZIP ? unpack_gzip((size_t)len, whole) :
	    unpack_zstd((size_t)len, whole);
}

static const enum pb_press_kind kinds[] = { PB_PRESS_GZIP, PB_PRESS_ZSTD };

static void
a_name_tells_how_it_is_compressed(void **state)
{
	(void)state;
	assert_int_equal(pb_press_of_name("a.pcapng"), PB_PRESS_NONE);
	assert_int_equal(pb_press_of_name("-"), PB_PRESS_NONE);
	assert_int_equal(pb_press_of_name(".gz"), PB_PRESS_NONE);
	assert_int_equal(pb_press_of_name("a.pcapng.gz"), PB_PRESS_GZIP);
	assert_int_equal(pb_press_of_name("a.gz.pcapng"), PB_PRESS_NONE);
	assert_int_equal(pb_press_of_name("dir.gz/a.zst"), PB_PRESS_ZSTD);
}

static void
what_was_pressed_comes_back_as_one_piece(void **state)
{
	struct sink s;
	bool whole;
	size_t at, step;

	(void)state;
	make_text();
	for (size_t n = 0; n < 4; n++) {
		size_t k = n / 2;

		sink_init(&s, kinds[k], n % 2 == 1);
		for (at = 0, step = 1; at < BYTES; at += step) {
			step = step * 3 % 400009 + 1;
			if (step > BYTES - at)
				step = BYTES - at;
			assert_int_equal(pb_out_put(&s.out, text + at, step),
			    0);
			if (step % 5 == 0)
				assert_int_equal(pb_out_flush(&s.out, NULL),
				    0);
		}
		assert_int_equal(pb_out_end(&s.out, NULL), 0);
		assert_int_equal(s.out.bytes, BYTES);
		assert_true(lseek(s.fd, 0, SEEK_CUR) < BYTES / 2);
		assert_int_equal(unpack(&s, kinds[k], &whole), BYTES);
		assert_true(whole);
		assert_memory_equal(back, text, BYTES);
		sink_finish(&s);
	}
}

static void
what_was_flushed_can_be_read_already(void **state)
{
	struct sink s;
	bool whole;

	(void)state;
	make_text();
	for (size_t k = 0; k < 2; k++) {
		sink_init(&s, kinds[k], false);
		pb_out_put(&s.out, text, 1000);
		assert_int_equal(pb_out_flush(&s.out, NULL), 0);
		assert_int_equal(unpack(&s, kinds[k], &whole), 1000);
		assert_false(whole);
		sink_finish(&s);
	}
}

static void
nothing_at_all_is_a_whole_file_as_well(void **state)
{
	struct sink s;
	bool whole;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		sink_init(&s, kinds[k], false);
		assert_int_equal(pb_out_end(&s.out, NULL), 0);
		assert_int_equal(unpack(&s, kinds[k], &whole), 0);
		assert_true(whole);
		sink_finish(&s);
	}
}

static void
a_full_disk_is_said_of_what_is_compressed_too(void **state)
{
	struct pb_press *press;
	struct pb_out out;
	struct pb_err err;
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	make_text();
	assert_true(fd >= 0);
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(pb_press_create(&press, kinds[k], false,
		    NULL), 0);
		pb_out_init(&out, fd, "the disk", NULL);
		out.press = press;
		pb_out_put(&out, text, BYTES);
		assert_int_equal(pb_out_end(&out, &err), PB_ENOSPC);
		assert_non_null(strstr(err.text, "the disk"));
		assert_int_equal(pb_out_end(&out, &err), PB_ENOSPC);
		pb_out_finish(&out);
		pb_press_destroy(press);
	}
	close(fd);
}

static size_t
allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static int
nowhere(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

/* Method: each has taken more than its window. */
static void
many_at_once_take_little(void **state)
{
	enum { MANY = 100 };
	static const size_t most[] = { 96u << 10, 192u << 10 };
	struct pb_press *press[MANY];
	size_t before;

	(void)state;
	make_text();
	for (size_t k = 0; k < 2; k++) {
		before = allocated();
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(pb_press_create(&press[i], kinds[k],
			    true, NULL), 0);
			assert_int_equal(pb_press_put(press[i], text,
			    1u << 20, PB_PRESS_GO_ON, nowhere, NULL, NULL),
			    0);
		}
		assert_true(allocated() - before <= MANY * most[k]);
		for (size_t i = 0; i < MANY; i++)
			pb_press_destroy(press[i]);
	}
}

static void
what_fills_the_buffer_leaves_in_order(void **state)
{
	struct sink s;

	(void)state;
	make_text();
	sink_init(&s, PB_PRESS_NONE, false);
	pb_out_put(&s.out, text, 10);
	pb_out_put(&s.out, text + 10, PB_OUT_BYTES + 7);
	pb_out_put(&s.out, text + 17 + PB_OUT_BYTES, 20);
	assert_int_equal(pb_out_end(&s.out, NULL), 0);
	assert_int_equal(s.out.bytes, PB_OUT_BYTES + 37);
	assert_int_equal(pread(s.fd, back, ROOM, 0), PB_OUT_BYTES + 37);
	assert_memory_equal(back, text, PB_OUT_BYTES + 37);
	sink_finish(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_tells_how_it_is_compressed),
		cmocka_unit_test(what_was_pressed_comes_back_as_one_piece),
		cmocka_unit_test(what_was_flushed_can_be_read_already),
		cmocka_unit_test(nothing_at_all_is_a_whole_file_as_well),
		cmocka_unit_test(
		    a_full_disk_is_said_of_what_is_compressed_too),
		cmocka_unit_test(many_at_once_take_little),
		cmocka_unit_test(what_fills_the_buffer_leaves_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
