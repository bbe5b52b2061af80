/*
 * tests/unit/test_digests.c - runs of numbers in few bytes, and why numbers
 * are not there
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/read/absent.h"
#include "recorder/store/read/digests.h"
#include "tests/unit/store_fixture.h"

#define LENGTH	1000u
#define NUMBERS	3000u

static int
lend(void *arg, pb_index_use *use, void *use_arg, struct pb_err *err)
{
	struct fixture *f = arg;

	return use(use_arg, pb_store_index(f->store), err);
}

static struct pb_index_lender
lender_of(struct fixture *f)
{
	return (struct pb_index_lender){ .store = f->dir, .lend = lend,
	    .arg = f };
}

static struct pb_digests *
begin(struct fixture *f, uint64_t first, uint32_t caplen_max)
{
	struct pb_index_lender lender = lender_of(f);
	struct pb_digests *digests;

	assert_int_equal(pb_digests_create(&digests, &lender, &f->key, first,
	    caplen_max, NULL), 0);
	return digests;
}

static struct pb_digests_part
next(struct pb_digests *digests, uint64_t last)
{
	struct pb_digests_part part;
	struct pb_err err;
	int rc;

	while ((rc = pb_digests_next(digests, last, &part, &err)) == 0)
		continue;
	assert_int_equal(rc, 1);
	assert_int_equal(part.last, last);
	return part;
}

static struct pb_digests_part
one(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_digests *digests = begin(f, first, 0);
	struct pb_digests_part part = next(digests, last);

	assert_int_equal(part.first, first);
	pb_digests_destroy(digests);
	return part;
}

/* By docs/protocol.md, of packets of `len` bytes that are there. */
static uint64_t
wanted(uint64_t first, uint64_t last, uint32_t len, uint64_t but_first,
    uint64_t but_last)
{
	static uint8_t data[LENGTH], bytes[8 * NUMBERS];
	size_t count = 0;

	for (uint64_t seq = first; seq <= last; seq++) {
		struct pb_packet packet = { .time_ns = FIXTURE_TIME(seq),
		    .caplen = len, .origlen = LENGTH, .data = data };

		if (seq >= but_first && seq <= but_last)
			continue;
		fixture_packet(data, LENGTH, seq);
		pb_put_le64(bytes + 8 * count++,
		    pb_fingerprint(&packet, seq).digest);
	}
	return XXH3_64bits(bytes, 8 * count);
}

static void
fill(struct fixture *f)
{
	for (uint64_t first = 1; first < NUMBERS; first += 500)
		fixture_write(f, first, first + 499, LENGTH);
}

/* Several segments, and extents that end in the middle of parts. */
static void
any_parts_have_the_digest_that_the_protocol_says(void **state)
{
	static const uint64_t lengths[] = { 1, 2, 7, 64, 999, 1500 };
	struct fixture *f = *state;

	fill(f);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pb_digests *digests = begin(f, 3, 0);

		for (uint64_t at = 3; at + lengths[i] <= NUMBERS;
		    at += lengths[i]) {
			struct pb_digests_part part = next(digests,
			    at + lengths[i] - 1);

			assert_int_equal(part.first, at);
			assert_int_equal(part.packets, lengths[i]);
			assert_int_equal(part.damaged, 0);
			assert_true(part.digest == wanted(at, part.last,
			    LENGTH, 0, 0));
			assert_int_equal(part.time_ns,
			    FIXTURE_TIME(part.last));
			assert_int_equal(part.caplen, LENGTH);
		}
		pb_digests_destroy(digests);
	}
}

static bool
is_odd(void *arg, const struct pb_packet *packet)
{
	uint64_t *asked = arg;

	assert_int_equal(packet->caplen, LENGTH);
	++*asked;
	return packet->time_ns / 1000 % 2 == 1;
}

static void
what_passes_has_a_digest_of_its_own_and_longer_ones_are_counted(void **state)
{
	struct fixture *f = *state;
	struct pb_digests *digests;
	struct pb_digests_part part;
	uint64_t asked = 0;

	fill(f);
	digests = begin(f, 1, 0);
	pb_digests_sift(digests, is_odd, &asked);
	for (uint64_t at = 1; at < 1000; at++) {
		part = next(digests, at);
		assert_int_equal(part.packets, 1);
		assert_int_equal(part.passed, at % 2);
		assert_int_equal(part.passed_digest, part.passed != 0 ?
		    part.digest : 0);
		assert_int_equal(part.longer + part.passed_longer, 0);
	}
	assert_int_equal(asked, 999);
	pb_digests_destroy(digests);
	digests = begin(f, 1, LENGTH - 1);
	pb_digests_sift(digests, is_odd, &asked);
	part = next(digests, 500);
	assert_int_equal(part.longer, 500);
	assert_int_equal(part.passed_longer, part.passed);
	pb_digests_destroy(digests);
}

static void
numbers_that_are_not_there_are_not_counted(void **state)
{
	struct fixture *f = *state;
	struct pb_digests_part part;

	fixture_write(f, 1, 500, LENGTH);
	fixture_gap(f, 501, 600, PB_GAP_DEAD_LETTERED);
	fixture_write(f, 601, 1000, LENGTH);
	part = one(f, 1, 1000);
	assert_int_equal(part.packets, 900);
	assert_true(part.digest == wanted(1, 1000, LENGTH, 501, 600));
	part = one(f, 510, 520);
	assert_int_equal(part.packets, 0);
	assert_int_equal(part.digest, 0);
	part = one(f, 1001, 5000);
	assert_int_equal(part.packets, 0);
	/* Packets that come late are among them. */
	fixture_write(f, 501, 600, LENGTH);
	part = one(f, 1, 1000);
	assert_true(part.digest == wanted(1, 1000, LENGTH, 0, 0));
}

static void
a_part_can_be_cut_where_reading_has_come(void **state)
{
	struct fixture *f = *state;
	struct pb_digests *digests;
	struct pb_digests_part part;
	uint64_t at;

	fill(f);
	digests = begin(f, 1, 0);
	assert_false(pb_digests_cut(digests, &part));
	for (int i = 0; i < 3; i++)
		assert_int_equal(pb_digests_next(digests, NUMBERS, &part,
		    NULL), 0);
	assert_true(pb_digests_bytes(digests) > 0);
	assert_true(pb_digests_cut(digests, &part));
	assert_true(part.last > 1 && part.last < NUMBERS);
	assert_true(part.digest == wanted(1, part.last, LENGTH, 0, 0));
	at = part.last + 1;
	part = next(digests, NUMBERS);
	assert_int_equal(part.first, at);
	assert_true(part.digest == wanted(at, NUMBERS, LENGTH, 0, 0));
	pb_digests_destroy(digests);
}

static void
packets_can_be_taken_as_cut(void **state)
{
	struct fixture *f = *state;
	struct pb_digests *digests;
	struct pb_digests_part part;

	fill(f);
	digests = begin(f, 1, 60);
	part = next(digests, 400);
	assert_true(part.digest == wanted(1, 400, 60, 0, 0));
	assert_int_equal(part.caplen, 60);
	assert_int_equal(part.origlen, LENGTH);
	pb_digests_destroy(digests);
}

static void
segment_path(struct fixture *f, uint64_t seq, char path[static PATH_MAX],
    struct pb_extent_info *extent)
{
	struct pb_segment_info segment;
	struct pb_stream_info row;

	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_extent_below(pb_store_index(f->store),
	    row.id, seq, extent, NULL), 1);
	assert_int_equal(pb_index_segment(pb_store_index(f->store), row.id,
	    extent->segment_seq, &segment, NULL), 1);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key,
	    extent->segment_seq, !segment.sealed, NULL), 0);
}

static void
what_the_disk_has_changed_is_told(void **state)
{
	struct fixture *f = *state;
	struct pb_extent_info extent;
	struct pb_digests *digests;
	struct pb_digests_part part;
	char path[PATH_MAX];
	int fd;

	fill(f);
	segment_path(f, 1200, path, &extent);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	/* A byte of a packet's. */
	assert_int_equal(pwrite(fd, "!", 1, (off_t)extent.offset + 100), 1);
	part = one(f, extent.first_seq, extent.first_seq);
	assert_int_equal(part.packets, 1);
	assert_int_equal(part.damaged, extent.segment_seq);
	assert_true(part.digest != wanted(extent.first_seq, extent.first_seq,
	    LENGTH, 0, 0));
	part = one(f, extent.first_seq + 1, extent.last_seq);
	assert_int_equal(part.damaged, extent.segment_seq);
	assert_true(part.digest == wanted(extent.first_seq + 1,
	    extent.last_seq, LENGTH, 0, 0));
	part = one(f, extent.last_seq + 1, extent.last_seq + 10);
	assert_int_equal(part.damaged, 0);
	/* The length of a block: what is behind it cannot be found. */
	assert_int_equal(pwrite(fd, "\xff\xff", 2, (off_t)extent.offset + 4),
	    2);
	close(fd);
	digests = begin(f, extent.first_seq, 0);
	part = next(digests, extent.first_seq + 4);
	assert_int_equal(part.packets, 0);
	assert_int_equal(part.damaged, extent.segment_seq);
	part = next(digests, extent.last_seq + 5);
	assert_int_equal(part.packets, 5);
	assert_int_equal(part.damaged, extent.segment_seq);
	part = next(digests, extent.last_seq + 6);
	assert_int_equal(part.packets, 1);
	assert_int_equal(part.damaged, 0);
	pb_digests_destroy(digests);
}

static void
what_cannot_be_read_is_as_damaged(void **state)
{
	struct fixture *f = *state;
	struct pb_extent_info extent;
	struct pb_digests_part part;
	char path[PATH_MAX];

	fill(f);
	segment_path(f, 1, path, &extent);
	assert_int_equal(truncate(path, (off_t)extent.offset + 500), 0);
	part = one(f, 1, 10);
	assert_int_equal(part.packets, 0);
	assert_int_equal(part.damaged, extent.segment_seq);
	/* One that retention has just deleted is not. */
	assert_int_equal(unlink(path), 0);
	part = one(f, 1, extent.last_seq);
	assert_int_equal(part.packets, 0);
	assert_int_equal(part.damaged, 0);
}

static void
a_stream_that_is_not_there_has_nothing(void **state)
{
	struct fixture *f = *state;
	struct pb_index_lender lender = lender_of(f);
	struct pb_holding holding;
	struct pb_digests_part part;

	f->key.epoch++;
	part = one(f, 1, 1000);
	assert_int_equal(part.packets, 0);
	assert_int_equal(pb_holding_find(&lender, &f->key, &holding, NULL),
	    0);
	assert_false(holding.known);
	assert_int_equal(holding.last_seq, 0);
	f->key.epoch--;
}

/* --- why ---------------------------------------------------------------- */

static int
absent(struct fixture *f, uint64_t first, uint64_t *last,
    struct pb_absent out[static PB_ABSENT_MAX])
{
	struct pb_index_lender lender = lender_of(f);

	return pb_absent(&lender, &f->key, first, last, out, NULL);
}

static void
gaps_say_why(void **state)
{
	struct fixture *f = *state;
	struct pb_absent out[PB_ABSENT_MAX];
	uint64_t last = 100;

	fixture_gap(f, 1, 9, PB_GAP_DEAD_LETTERED);
	fixture_write(f, 10, 20, LENGTH);
	fixture_gap(f, 21, 40, PB_GAP_DEAD_LETTERED);
	fixture_write(f, 41, 50, LENGTH);
	fixture_gap(f, 51, 60, PB_GAP_DEAD_LETTERED);
	fixture_write(f, 51, 60, LENGTH);	/* late */
	assert_int_equal(absent(f, 5, &last, out), 3);
	assert_int_equal(last, 100);
	assert_int_equal(out[0].first, 1);
	assert_int_equal(out[0].last, 9);
	assert_int_equal(out[0].reason, PB_GAP_DEAD_LETTERED);
	assert_true(out[0].since_ns > 0);
	assert_int_equal(out[1].first, 21);
	/* And what is below the first packet, behind that. */
	assert_int_equal(out[2].first, 5);
	assert_int_equal(out[2].last, 9);
	assert_int_equal(out[2].reason, PB_GAP_EXPIRED);
	last = 20;
	assert_int_equal(absent(f, 10, &last, out), 0);
}

static void
more_gaps_than_fit_end_the_run(void **state)
{
	struct fixture *f = *state;
	struct pb_absent out[PB_ABSENT_MAX];
	uint64_t last = 1000, seq = 1;

	for (int i = 0; i < 70; i++, seq += 4) {
		fixture_write(f, seq, seq + 1, LENGTH);
		fixture_gap(f, seq + 2, seq + 3, PB_GAP_DEAD_LETTERED);
	}
	assert_int_equal(absent(f, 1, &last, out), 64);
	assert_int_equal(last, 256);
	assert_int_equal(out[63].last, 256);
	last = 1000;
	assert_int_equal(absent(f, 257, &last, out), 6);
	assert_int_equal(last, 1000);
}

/* Packets that came late may outlive their neighbours. */
static void
what_has_expired_between_others_is_told_by_the_journal(void **state)
{
	struct fixture *f = *state;
	const struct pb_fact facts[] = {
		{ .kind = PB_FACT_EXPIRED, .first = 11, .last = 20,
		    .time_ns = 7 },
		{ .kind = PB_FACT_EXPIRED, .first = 21, .last = 25,
		    .time_ns = 7 },
		{ .kind = PB_FACT_EXPIRED, .first = 90, .last = 95 },
	};
	struct pb_absent out[PB_ABSENT_MAX];
	uint64_t last = 50;

	fixture_write(f, 1, 100, LENGTH);
	assert_int_equal(pb_journal_append(f->dir, &f->key, facts, 3, NULL),
	    0);
	assert_int_equal(absent(f, 5, &last, out), 1);
	assert_int_equal(out[0].first, 11);
	assert_int_equal(out[0].last, 25);
	assert_int_equal(out[0].since_ns, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(any_parts_have_the_digest_that_the_protocol_says),
		IN_STORE(numbers_that_are_not_there_are_not_counted),
		IN_STORE(a_part_can_be_cut_where_reading_has_come),
		IN_STORE(packets_can_be_taken_as_cut),
		IN_STORE(
		    what_passes_has_a_digest_of_its_own_and_longer_ones_are_counted),
		IN_STORE(what_the_disk_has_changed_is_told),
		IN_STORE(what_cannot_be_read_is_as_damaged),
		IN_STORE(a_stream_that_is_not_there_has_nothing),
		IN_STORE(gaps_say_why),
		IN_STORE(more_gaps_than_fit_end_the_run),
		IN_STORE(
		    what_has_expired_between_others_is_told_by_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
