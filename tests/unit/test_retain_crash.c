/*
 * tests/unit/test_retain_crash.c - retention across crashes and refusals, and
 * what it tells
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "recorder/store/facts/journal.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/repair.h"
#include "tests/unit/retain_fixture.h"

/* --- crashes and refusals ------------------------------------------------ */

static void
put_doomed(struct fixture *f, uint64_t first)
{
	struct pb_stream_info stream;
	struct pb_index *index;
	struct pb_mdb_txn txn;

	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	assert_int_equal(pb_index_stream(index, &f->key, &stream, NULL), 1);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_put(&txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = stream.id, .first_seq = first, .key = f->key });
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
}

static int
doomed_rows(struct fixture *f)
{
	struct pb_open_info row[4];

	return pb_index_rows(pb_store_index(f->store), PB_TABLE_DOOMED, NULL,
	    row, 4, NULL);
}

static void
a_start_deletes_what_a_crash_left_doomed(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd;

	write_runs(f, 2);
	path_of(f, 500, path);
	fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd >= 0);
	close(fd);
	put_doomed(f, 500);
	reopen(f, NULL, true);
	assert_false(is_there(f, 500));
	assert_int_equal(doomed_rows(f), 0);
	EXPECT(f, 1, 11);
}

static void
a_doomed_name_that_lives_again_is_left_alone(void **state)
{
	struct fixture *f = *state;

	write_runs(f, 2);
	put_doomed(f, 1);
	reopen(f, NULL, true);
	assert_true(is_there(f, 1));
	assert_int_equal(doomed_rows(f), 0);
}

static void
packets_that_come_again_after_they_expired_stay(void **state)
{
	struct fixture *f = *state;
	struct pb_open_info doomed[4];
	struct pb_gap_info gap[3];
	uint64_t first, last;
	int n;

	write_runs(f, 3);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	retain(f, (struct pb_retain_opts){ .size_max = 0 });
	settle_store(f);
	fixture_write(f, 1, 10, LEN);
	/* No crash from now on may take it for what it was. */
	n = pb_index_rows(pb_store_index(f->store), PB_TABLE_DOOMED, NULL,
	    doomed, 4, NULL);
	for (int i = 0; i < n; i++)
		assert_int_not_equal(doomed[i].first_seq, 1);
	reopen(f, NULL, true);
	assert_true(is_there(f, 1));
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 20);
	assert_int_equal(gaps(f, gap, 3), 2);
	assert_true(gap[0].closed_ns != 0);
	assert_gap(&gap[1], 11, 20, PB_GAP_EXPIRED);
}

static void
a_name_that_cannot_be_deleted_is_tried_again_and_said(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], want[PATH_MAX + 80];

	write_runs(f, 3);
	path_of(f, 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0750), 0);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) -
	    bytes_of(f, 1) });
	EXPECT(f, 11, 21);
	snprintf(want, sizeof(want), "cannot delete: %s: Is a directory",
	    path);
	expect_why(f, want);
	assert_int_equal(rmdir(path), 0);
	expect_why(f, "");
	/* The row goes with a later commit. */
	retain(f, (struct pb_retain_opts){ .size_max = 1 });
	EXPECT(f, 21);
	write_runs(f, 2);
	EXPECT(f, 41);
	assert_true(doomed_rows(f) <= 2);
}

/* --- telling ------------------------------------------------------------- */

static int
note_fact(void *arg, const struct pb_fact *fact)
{
	char *text = arg;

	if (fact->kind == PB_FACT_EXPIRED || fact->kind == PB_FACT_GAP)
		sprintf(text + strlen(text), "%s %" PRIu64 "-%" PRIu64 "\n",
		    fact->kind == PB_FACT_EXPIRED ? "acked" :
		    pb_gap_reason_name(fact->reason), fact->first,
		    fact->last);
	return 0;
}

static void
the_journal_knows_what_went_and_why(void **state)
{
	struct fixture *f = *state;
	struct pb_journal_news news;
	char text[1024] = "";

	write_runs(f, 5);
	ack(f, "core", 15, 30);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 41);
	assert_int_equal(pb_journal_read(f->dir, &f->key, note_fact, text,
	    &news, NULL), 0);
	assert_string_equal(text, "acked 1-15\ndead-lettered 16-30\n"
	    "expired 31-40\n");
}

/* The journal that has no room, and how many writes are refused; how many of
 * it when it is written anew. */
static char full[PATH_MAX], full_anew[PATH_MAX];
static int refusals, refusals_anew, error_anew;

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	char name[32], path[PATH_MAX] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (refusals + refusals_anew > 0 &&
	    readlink(name, path, sizeof(path) - 1) < 0)
		path[0] = '\0';
	if (refusals > 0 && strcmp(path, full) == 0) {
		refusals--;
		errno = ENOSPC;
		return -1;
	}
	if (refusals_anew > 0 && strcmp(path, full_anew) == 0) {
		refusals_anew--;
		errno = error_anew;
		return -1;
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, data, len, at);
}

/* The journal of eth1 has no room, for so many writes. */
static void
fill_journal(struct fixture *f, int writes, int anew, int error)
{
	use_stream(f, '1');
	assert_int_equal(pb_journal_path(full, f->dir, &f->key, NULL), 0);
	snprintf(full_anew, sizeof(full_anew), "%.*s.journal",
	    (int)(strlen(full) - strlen("journal")), full);
	refusals = writes;
	refusals_anew = anew;
	error_anew = error;
}

static void
expect_journal_of(struct fixture *f, const char *want)
{
	struct pb_journal_news news;
	char text[256] = "";

	assert_int_equal(pb_journal_read(f->dir, &f->key, note_fact, text,
	    &news, NULL), 0);
	assert_string_equal(text, want);
}

static void
expect_journal(struct fixture *f, char number, const char *want)
{
	use_stream(f, number);
	expect_journal_of(f, want);
}

/*
 * Goal:   on a full disk each journal that has room knows what went, once; and
 *         that which has none until files went, or until later, knows it then.
 * Method: three streams lose a segment in one run; the journal of the second
 *         one is full, first for one write, then for some more.
 */
static void
a_journal_without_room_holds_up_no_other(void **state)
{
	struct fixture *f = *state;

	for (int tries = 1; tries <= 2; tries++) {
		uint64_t first = 10 * (unsigned)tries - 9;

		for (char n = '0'; n <= '2'; n++) {
			use_stream(f, n);
			write_runs(f, tries == 1 ? 2 : 1);
		}
		fill_journal(f, 1, tries == 1 ? 0 : 3, EIO);
		retain(f, (struct pb_retain_opts){ .size_max = 1,
		    .upstreams = 1, .upstream = &core });
		EXPECT(f, first + 10);
		retain(f, (struct pb_retain_opts){ .size_max = 0 });
		settle_store(f);
		assert_int_equal(refusals + refusals_anew, 0);
		for (char n = '0'; n <= '2'; n++)
			expect_journal(f, n, tries == 1 ? "expired 1-10\n" :
			    n == '1' ? "expired 1-20\n" :
			    "expired 1-10\nexpired 11-20\n");
	}
	/* Nothing is owed any more. */
	fill_journal(f, 0, 1, EIO);
	reopen(f, NULL, false);
	assert_int_equal(refusals_anew, 1);
	refusals_anew = 0;
}

/* In a quiet store, too, once a second. */
static void
a_journal_without_room_is_said_and_tried_until_it_is_written(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;

	use_stream(f, '1');
	write_runs(f, 2);
	fill_journal(f, 1, 1000, ENOSPC);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) - 1 });
	EXPECT(f, 11);
	settle_store(f);
	assert_in_range(refusals_anew, 970, 999);
	pb_store_retain_stats(f->store, &stats);
	assert_non_null(strstr(stats.why,
	    "a journal does not know yet what was deleted: "));
	expect_journal(f, '1', "");
	refusals_anew = 0;
	expect_why(f, "");
	expect_journal(f, '1', "acked 1-10\n");
}

/*
 * Goal:   what a journal could not be told it is told by the next start, or by
 *         one after that, also where the numbers were acknowledged.
 */
static void
a_start_writes_the_journal_that_had_no_room(void **state)
{
	struct fixture *f = *state;

	use_stream(f, '1');
	write_runs(f, 4);
	ack(f, "core", 15, 15);
	fill_journal(f, 1, 1000, EIO);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 31);
	expect_journal(f, '1', "");
	assert_int_equal(doomed_rows(f), 4);	/* three files, and this */
	reopen(f, NULL, true);
	expect_journal(f, '1', "");
	assert_int_equal(doomed_rows(f), 1);
	refusals_anew = 0;
	reopen(f, NULL, true);
	expect_journal(f, '1', "acked 1-15\nexpired 16-30\n");
	assert_int_equal(doomed_rows(f), 0);
}

static int
each_finding(void *arg, const struct pb_finding *finding)
{
	(void)arg;
	print_message("%s: %s\n", finding->path, finding->text);
	return 0;
}

/* Who gives the index up asks for it first. */
static void
a_journal_that_is_owed_is_no_difference(void **state)
{
	struct fixture *f = *state;
	struct pb_verify_opts opts = { .store = f->dir, .alone = true,
	    .each = each_finding };
	struct pb_verify_sum sum;
	struct pb_index *index;

	use_stream(f, '1');
	write_runs(f, 4);
	ack(f, "core", 15, 15);
	fill_journal(f, 1, 1000, EIO);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 31);
	pb_store_close(f->store);
	f->store = NULL;
	expect_journal_of(f, "");
	assert_int_equal(pb_verify(&opts, &sum, NULL), 0);
	assert_int_equal(sum.findings, 0);
	refusals_anew = 0;
	assert_int_equal(pb_index_open(&index, f->dir, NULL), 0);
	assert_int_equal(pb_repair_owed(index, f->dir, NULL), 0);
	pb_index_close(index);
	expect_journal_of(f, "acked 1-15\nexpired 16-30\n");
	assert_int_equal(pb_verify(&opts, &sum, NULL), 0);
	assert_int_equal(sum.findings, 0);
}

static void
each_deletion_is_a_line_with_its_reason_and_numbers(void **state)
{
	struct fixture *f = *state;
	uint64_t all, one, two, max;
	char want[1024], got[4096];
	int saved = dup(STDERR_FILENO), fd;
	char path[80];
	ssize_t len;

	write_runs(f, 3);
	ack(f, "core", 10, 10);
	all = stored(f);
	one = bytes_of(f, 1);
	two = bytes_of(f, 11);
	max = all - one - two;
	snprintf(path, sizeof(path), "%s/log", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDERR_FILENO);
	pb_log_level(PB_LOG_INFO);
	retain(f, (struct pb_retain_opts){ .size_max = max, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	pb_log_level(PB_LOG_ERROR + 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = pread(fd, got, sizeof(got) - 1, 0);
	close(fd);
	got[len > 0 ? len : 0] = '\0';
	snprintf(want, sizeof(want),
	    "info retention: deleted stream=lon1/eth0 first=1 last=10 bytes=%"
	    PRIu64 " reason=size acked=yes stored=%" PRIu64 " retain_size=%"
	    PRIu64 "\nwarn retention: deleted stream=lon1/eth0 first=11 "
	    "last=20 bytes=%" PRIu64 " reason=size acked=no stored=%" PRIu64
	    " retain_size=%" PRIu64 "\n", one, all, max, two, all - one, max);
	assert_string_equal(got, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RETAINED(a_start_deletes_what_a_crash_left_doomed),
		RETAINED(a_doomed_name_that_lives_again_is_left_alone),
		RETAINED(packets_that_come_again_after_they_expired_stay),
		RETAINED(a_name_that_cannot_be_deleted_is_tried_again_and_said),
		RETAINED(the_journal_knows_what_went_and_why),
		RETAINED(a_journal_without_room_holds_up_no_other),
		RETAINED(
		    a_journal_without_room_is_said_and_tried_until_it_is_written),
		RETAINED(a_start_writes_the_journal_that_had_no_room),
		RETAINED(a_journal_that_is_owed_is_no_difference),
		RETAINED(each_deletion_is_a_line_with_its_reason_and_numbers),
	};

	return cmocka_run_group_tests_name("retention and crashes", tests, NULL, NULL);
}
