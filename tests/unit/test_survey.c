/*
 * tests/unit/test_survey.c - what a file says, wherever its blocks lie
 *
 * Files of some megabytes, so that blocks and extents lie across the edges
 * of the windows in which they are read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/digest.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/store/mend/survey.h"

#define PACKETS		120u
#define BYTES_MAX	(16u << 20)

/* Whole blocks without a head, and where each of them ends. */
struct file {
	struct pb_buf	 bytes;
	size_t		 end[4 * PACKETS];
	uint64_t	 seq[4 * PACKETS];	/* 0: no packet */
	unsigned	 blocks;
	uint32_t	 seed;
};

/* A page that the disk does not give, so many times. */
static off_t	bad_page;
static unsigned	bad_times;

ssize_t
pread(int fd, void *out, size_t len, off_t at)
{
	if (bad_times > 0 && at < bad_page + (off_t)PB_PAGE_BYTES &&
	    bad_page < at + (off_t)len) {
		bad_times--;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, out, len, at);
}

static uint32_t
draw(struct file *file, uint32_t below)
{
	file->seed = file->seed * 1664525u + 1013904223u;
	return (file->seed >> 8) % below;
}

static void
note(struct file *file, uint64_t seq)
{
	file->end[file->blocks] = file->bytes.len;
	file->seq[file->blocks++] = seq;
}

static void
add_packet(struct file *file, uint64_t seq, uint32_t len)
{
	static uint8_t data[PB_CAPLEN_MAX];
	uint8_t options[PB_OPTION_BYTES(8)], *at;
	struct pb_packet packet = { .time_ns = 1000 * seq, .caplen = len,
	    .origlen = len, .data = data, .options = options,
	    .options_len = sizeof(options) };

	memset(data, (int)seq, len);
	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	at = pb_buf_reserve(&file->bytes, pb_epb_bytes(len, sizeof(options)));
	assert_non_null(at);
	file->bytes.len += pb_build_epb(at, 0, &packet);
	note(file, seq);
}

static void
add_filler(struct file *file, size_t len)
{
	uint8_t *at = pb_buf_reserve(&file->bytes, len);

	assert_non_null(at);
	pb_build_filler(at, len, 1, PB_PEN_EXAMPLE);
	file->bytes.len += len;
	note(file, 0);
}

/* Packets of all sizes, fillers between some of them. */
static void
make(struct file *file, uint32_t seed)
{
	*file = (struct file){ .seed = seed };
	pb_buf_init(&file->bytes, BYTES_MAX);
	for (uint64_t seq = 1; seq <= PACKETS; seq++) {
		if (draw(file, 3) == 0)
			add_filler(file, PB_FILLER_BYTES_MIN +
			    4 * draw(file, 2000));
		add_packet(file, seq, draw(file, draw(file, 4) == 0 ?
		    PB_CAPLEN_MAX : 60000));
	}
}

static int
open_file(const struct file *file, size_t len)
{
	int fd = memfd_create("survey", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->bytes.data, len), len);
	return fd;
}

static void
survey(struct pb_survey *out, const struct file *file, size_t len)
{
	int fd = open_file(file, len);
	struct pb_err err;

	pb_survey_init(out);
	out->segment.first_seq = 1;
	if (pb_survey_read(out, fd, 0, len, &err) < 0)
		fail_msg("%s", err.text);
	close(fd);
}

/* One behind the other, none too large but for a tail, each with the digest of
 * its bytes. */
static void
check_extents(const struct pb_survey *s, const struct file *file)
{
	uint64_t at = 0, seq = 1;

	for (size_t i = 0; i < s->count; i++) {
		const struct pb_extent_info *e = &s->extents[i];

		assert_int_equal(e->offset, at);
		assert_int_equal(e->first_seq, seq);
		assert_true(e->last_seq >= seq);
		assert_true(e->bytes <= (i + 1 < s->count ?
		    PB_EXTENT_BYTES_MAX : PB_EXTENT_READ_MAX));
		assert_int_equal(e->first_time, 1000 * seq);
		assert_int_equal(e->last_time, 1000 * e->last_seq);
		assert_int_equal(e->digest, pb_digest(file->bytes.data + at,
		    e->bytes));
		at += e->bytes;
		seq = e->last_seq + 1;
	}
	assert_int_equal(at, s->good);
	assert_int_equal(seq, s->segment.last_seq + 1);
}

static void
every_block_of_a_large_file_is_in_one_extent(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		struct pb_survey s;
		struct file file;

		make(&file, seed);
		assert_true(file.bytes.len > 4u << 20);
		survey(&s, &file, file.bytes.len);
		assert_null(s.why);
		assert_int_equal(s.good, file.bytes.len);
		assert_int_equal(s.segment.packets, PACKETS);
		assert_int_equal(s.segment.last_seq, PACKETS);
		check_extents(&s, &file);
		pb_survey_finish(&s);
		pb_buf_finish(&file.bytes);
	}
}

static void
a_file_cut_anywhere_keeps_its_whole_blocks(void **state)
{
	struct file file;

	(void)state;
	make(&file, 42);
	for (int i = 0; i < 150; i++) {
		size_t cut = draw(&file, (uint32_t)file.bytes.len), whole = 0;
		uint64_t last = 0;
		struct pb_survey s;

		for (unsigned b = 0; b < file.blocks && file.end[b] <= cut;
		    b++) {
			whole = file.end[b];
			last = file.seq[b] != 0 ? file.seq[b] : last;
		}
		survey(&s, &file, cut);
		assert_int_equal(s.segment.packets, last);
		assert_int_equal(s.good, last > 0 ? whole : 0);
		if (cut > whole)
			assert_string_equal(s.why, "a block is cut short");
		check_extents(&s, &file);
		pb_survey_finish(&s);
	}
	pb_buf_finish(&file.bytes);
}

/* As an import leaves them: they fill what is left of a chunk. */
static void
blocks_behind_the_last_packet_are_kept_wherever_extents_end(void **state)
{
	(void)state;
	for (uint32_t lead = 0; lead < 40000; lead += 4000) {
		struct file file = { .seed = 1 };
		struct pb_survey s;

		pb_buf_init(&file.bytes, BYTES_MAX);
		for (uint64_t seq = 1; seq <= 16; seq++)
			add_packet(&file, seq, 60000 + lead / 16);
		for (int i = 0; i < 60; i++) {
			add_filler(&file, 4000);
			/* A block that we do not know. */
			file.bytes.data[file.end[file.blocks - 2]] = 0x77;
		}
		survey(&s, &file, file.bytes.len);
		assert_null(s.why);
		assert_int_equal(s.good, file.bytes.len);
		check_extents(&s, &file);
		pb_survey_finish(&s);
		pb_buf_finish(&file.bytes);
	}
}

static void
a_rotten_block_ends_what_is_kept_and_the_next_packet_is_found(void **state)
{
	struct file file;

	(void)state;
	make(&file, 7);
	for (unsigned b = 1; b + 2 < file.blocks; b += 5) {
		size_t at = file.end[b - 1];
		uint64_t found = 0, seq = 0, last = 0;
		uint8_t *length = file.bytes.data + at + 4, was = *length;
		struct pb_survey s;
		struct pb_survey_numbers wanted;
		unsigned next = b + 1;
		int fd;

		for (unsigned i = 0; i < b; i++)
			last = file.seq[i] != 0 ? file.seq[i] : last;
		*length ^= 8;
		survey(&s, &file, file.bytes.len);
		assert_non_null(s.why);
		assert_int_equal(s.segment.last_seq, last);
		check_extents(&s, &file);
		fd = open_file(&file, file.bytes.len);
		wanted = (struct pb_survey_numbers){ .after = last,
		    .last = PACKETS, .reach = PACKETS };
		assert_int_equal(pb_survey_resync(fd, at, file.bytes.len,
		    &wanted, &found, &seq, NULL), 1);
		while (file.seq[next] == 0)
			next++;
		assert_int_equal(seq, file.seq[next]);
		assert_int_equal(found, file.end[next - 1]);
		close(fd);
		pb_survey_finish(&s);
		*length = was;
	}
	pb_buf_finish(&file.bytes);
}

static void
an_extent_is_read_as_one_however_large_it_is(void **state)
{
	struct pb_survey s;
	struct file file;
	struct pb_err err;
	size_t end;
	int fd;

	(void)state;
	make(&file, 3);
	end = file.end[file.blocks - 40];
	fd = open_file(&file, file.bytes.len);
	pb_survey_init(&s);
	s.segment.first_seq = 1;
	s.one_extent = true;
	assert_int_equal(pb_survey_read(&s, fd, 0, end, &err), 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.good, end);
	assert_true(end > PB_EXTENT_READ_MAX / 2);
	assert_int_equal(s.extents[0].digest, pb_digest(file.bytes.data,
	    end));
	pb_survey_finish(&s);
	close(fd);
	pb_buf_finish(&file.bytes);
}

/* Three packets of 60,000 bytes; in the second one's middle lies the page. */
static void
three_packets(struct file *file)
{
	*file = (struct file){ 0 };
	pb_buf_init(&file->bytes, BYTES_MAX);
	for (uint64_t seq = 1; seq <= 3; seq++)
		add_packet(file, seq, 60000);
	bad_page = 90112;
	assert_true((size_t)bad_page > file->end[0] &&
	    (size_t)bad_page + PB_PAGE_BYTES < file->end[1]);
}

static void
a_packet_that_the_disk_does_not_give_is_not_kept_as_zeros(void **state)
{
	struct pb_survey s;
	struct file file;

	(void)state;
	three_packets(&file);
	bad_times = UINT_MAX;
	survey(&s, &file, file.bytes.len);
	assert_true(s.unread);
	assert_int_equal(s.good, file.end[0]);
	assert_int_equal(s.segment.last_seq, 1);
	bad_times = 0;
	pb_survey_finish(&s);
	pb_buf_finish(&file.bytes);
}

static void
what_the_disk_gives_when_it_is_asked_again_is_kept_as_it_is(void **state)
{
	struct pb_survey s;
	struct file file;

	(void)state;
	three_packets(&file);
	bad_times = 2;	/* all at once, then the page alone */
	survey(&s, &file, file.bytes.len);
	assert_int_equal(s.segment.last_seq, 3);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.extents[0].digest, pb_digest(file.bytes.data,
	    file.bytes.len));
	pb_survey_finish(&s);
	pb_buf_finish(&file.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_packet_that_the_disk_does_not_give_is_not_kept_as_zeros),
		cmocka_unit_test(
		    what_the_disk_gives_when_it_is_asked_again_is_kept_as_it_is),
		cmocka_unit_test(every_block_of_a_large_file_is_in_one_extent),
		cmocka_unit_test(a_file_cut_anywhere_keeps_its_whole_blocks),
		cmocka_unit_test(
		    blocks_behind_the_last_packet_are_kept_wherever_extents_end),
		cmocka_unit_test(
		    a_rotten_block_ends_what_is_kept_and_the_next_packet_is_found),
		cmocka_unit_test(an_extent_is_read_as_one_however_large_it_is),
	};

	return cmocka_run_group_tests_name("survey", tests, NULL, NULL);
}
