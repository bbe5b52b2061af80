/*
 * tests/unit/test_letters.c - dead letters: what happens to them
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>

#include "base/bytes.h"
#include "tests/unit/letters_fixture.h"
#include "tests/unit/old_kernel.h"
#include "tests/unit/temp.h"

/* --- demotion ----------------------------------------------------------- */

static void
each_segment_becomes_a_letter_with_a_hard_link(void **state)
{
	char link[PATH_MAX], segment[PATH_MAX];
	struct pb_letters_total t;
	struct pb_letter letter;
	uint64_t bytes = 0;
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	assert_int_equal(find(&b, "core", 1, &letter), 0);
	assert_int_equal(demote(&b, "core", 10, 3 * PER), 3 * PER);
	letter = assert_letter(&b, 1, 10, PER, PB_LETTER_DEAD);
	assert_string_equal(letter.upstream, "core");
	assert_string_equal(letter.key.interface, "eth0");
	assert_int_equal(letter.reason, PB_DEAD_STALE);
	assert_int_equal(letter.status, 400);
	assert_int_equal(letter.attempts, 7);
	assert_int_equal(letter.since_ns, NOW);
	assert_string_equal(letter.error, "it said no");
	assert_int_equal(letter.segment_seq, 1);
	assert_true(letter.offset >= letter.header_bytes);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_DEAD);
	assert_letter(&b, 3 * PER, 2 * PER + 1, 3 * PER, PB_LETTER_DEAD);
	assert_int_equal(find(&b, "core", 3 * PER + 1, &letter), 0);
	for (unsigned i = 0; i < 3; i++) {
		/* The open segment is linked as well. */
		letter_path(&b, "core", i * PER + 1, link);
		segment_path(&b, i * PER + 1, segment);
		assert_int_equal(inode(link), inode(segment));
		bytes += (uint64_t)size_of(link);
	}
	t = total(&b, "core");
	assert_int_equal(t.letters, 3);
	assert_int_equal(t.packets, 3 * PER - 9);
	assert_int_equal(t.requeued, 0);
	assert_int_equal(t.file_bytes, bytes);
	assert_int_equal(t.oldest_ns, NOW);
	assert_int_equal(total(&b, "other").letters, 0);
	bench_finish(&b);
}

static void
numbers_that_have_a_letter_keep_it(void **state)
{
	struct pb_err err;
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, 2);
	demote_rc(&b, "core", 20, 30, PB_DEAD_MALFORMED, NOW, &done, &err);
	assert_int_equal(done, 30);
	assert_int_equal(demote(&b, "core", 1, 2 * PER), 2 * PER);
	assert_letter(&b, 1, 1, 19, PB_LETTER_DEAD);
	assert_int_equal(assert_letter(&b, 20, 20, 30,
	    PB_LETTER_DEAD).reason, PB_DEAD_MALFORMED);
	assert_letter(&b, 31, 31, PER, PB_LETTER_DEAD);
	assert_int_equal(total(&b, "core").letters, 4);
	assert_int_equal(total(&b, "core").packets, 2 * PER);
	demote(&b, "core", 1, 2 * PER);
	assert_int_equal(total(&b, "core").packets, 2 * PER);
	bench_finish(&b);
}

/* Pieces that are refused one by one do not make a row each. */
static void
neighbours_in_a_file_that_say_the_same_are_one_letter(void **state)
{
	struct pb_err err;
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, 1);
	for (uint64_t at = 1; at <= 40; at += 10)
		assert_int_equal(demote_rc(&b, "core", at, at + 9,
		    PB_DEAD_MALFORMED, NOW + at, &done, &err), 0);
	assert_int_equal(demote_rc(&b, "core", 41, PER, PB_DEAD_FORBIDDEN,
	    NOW + 50, &done, &err), 0);
	assert_int_equal(assert_letter(&b, 5, 1, 40,
	    PB_LETTER_DEAD).since_ns, NOW + 1);
	assert_int_equal(assert_letter(&b, 41, 41, PER,
	    PB_LETTER_DEAD).reason, PB_DEAD_FORBIDDEN);
	assert_int_equal(total(&b, "core").letters, 2);
	assert_int_equal(total(&b, "core").packets, PER);
	bench_finish(&b);
}

static void
a_shared_file_counts_once_and_goes_with_its_last_letter(void **state)
{
	struct pb_err err;
	struct bench b;
	uint64_t done, bytes;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, 10);
	bytes = total(&b, "core").file_bytes;
	assert_true(bytes > 0);
	demote_rc(&b, "core", 11, 20, PB_DEAD_MALFORMED, NOW, &done, &err);
	demote(&b, "core", 31, 40);
	demote(&b, "backup", 1, 10);
	assert_int_equal(total(&b, "core").file_bytes, bytes);
	assert_int_equal(total(&b, "core").letters, 3);
	for (uint64_t first = 1; first <= 31; first += first == 1 ? 10 : 20) {
		struct pb_letters_which which = { .upstream = "core",
		    .first = first };

		assert_true(has_file(&b, "core", 1));
		assert_int_equal(all(&b, pb_letters_purge, &which).letters,
		    1);
	}
	assert_false(has_file(&b, "core", 1));
	assert_int_equal(total(&b, "core").file_bytes, 0);
	assert_true(has_file(&b, "backup", 1));
	bench_finish(&b);
}

/* The file grows with its segment; what a later letter found is counted. */
static void
the_bytes_of_an_open_segment_are_those_of_its_last_letter(void **state)
{
	char path[PATH_MAX];
	struct bench b;
	uint64_t before;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, 10);
	before = total(&b, "core").file_bytes;
	fixture_write(&b.f, PER + 1, PER + 2000, PACKET);
	demote(&b, "core", PER + 1, PER + 2000);
	letter_path(&b, "core", 1, path);
	assert_true((uint64_t)size_of(path) > before);
	assert_int_equal(total(&b, "core").file_bytes, size_of(path));
	bench_finish(&b);
}

static void
put_gap(struct bench *b, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = pb_chunk_create();

	chunk->stream = b->f.stream;
	chunk->head = pb_head_ref(b->f.head);
	chunk->done = fixture_done;
	chunk->arg = &b->f;
	chunk->first_seq = first;
	chunk->last_seq = last;
	chunk->gap = PB_GAP_EXPIRED;
	assert_int_equal(fixture_submit(&b->f, chunk), 0);
	fixture_wait(&b->f);
}

static void
a_gap_of_the_store_is_no_letter_and_counts_as_done(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	put_gap(&b, PER + 1, PER + 30);
	fixture_write(&b.f, PER + 31, PER + 40, PACKET);
	put_gap(&b, PER + 41, PER + 60);
	assert_int_equal(demote(&b, "core", 1, PER + 50), PER + 50);
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	assert_letter(&b, PER + 1, PER + 31, PER + 40, PB_LETTER_DEAD);
	assert_int_equal(total(&b, "core").packets, PER + 10);
	/* Not past what the store has of the stream. */
	assert_int_equal(demote(&b, "core", PER + 50, 100000), PER + 60);
	bench_finish(&b);
}

/* As for numbers whose blocks were found damaged. */
static void
a_gap_within_an_extent_cuts_the_letter(void **state)
{
	struct pb_gap_info gap = { .first = 11, .last = 20,
	    .reason = PB_GAP_DAMAGED, .since_ns = NOW };
	struct pb_stream_info row;
	struct pb_mdb_txn txn;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	fixture_stream_row(&b.f, &row);
	gap.stream = row.id;
	assert_int_equal(pb_index_begin(pb_store_index(b.f.store), &txn,
	    NULL), 0);
	pb_index_put(&txn, PB_TABLE_GAPS, &gap);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	assert_int_equal(demote(&b, "core", 1, PER), PER);
	assert_letter(&b, 1, 1, 10, PB_LETTER_DEAD);
	assert_letter(&b, 11, 21, PER, PB_LETTER_DEAD);
	bench_finish(&b);
}

static void
a_segment_that_has_expired_is_left_alone(void **state)
{
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	segment_path(&b, PER + 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(demote(&b, "core", 1, 3 * PER), 3 * PER);
	assert_letter(&b, PER + 1, 2 * PER + 1, 3 * PER, PB_LETTER_DEAD);
	assert_int_equal(total(&b, "core").letters, 2);
	assert_false(has_file(&b, "core", PER + 1));
	bench_finish(&b);
}

static void
a_call_links_so_many_segments_and_says_how_far_it_came(void **state)
{
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, PB_LETTERS_BATCH + 2);
	done = demote(&b, "core", 1, (PB_LETTERS_BATCH + 2) * PER);
	assert_int_equal(done, PB_LETTERS_BATCH * PER);
	assert_int_equal(total(&b, "core").letters, PB_LETTERS_BATCH);
	done = demote(&b, "core", done + 1, (PB_LETTERS_BATCH + 2) * PER);
	assert_int_equal(done, (PB_LETTERS_BATCH + 2) * PER);
	assert_int_equal(total(&b, "core").letters, PB_LETTERS_BATCH + 2);
	bench_finish(&b);
}

/* Another file system, or no directory to be made: nothing has changed. */
static void
a_demotion_that_fails_leaves_all_as_it_was(void **state)
{
	char path[PATH_MAX];
	struct pb_err err;
	struct bench b;
	uint64_t done;
	/* Root can mount, and here for this process alone. */
	bool alone = unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;

	(void)state;
	bench_init(&b, 2);
	snprintf(path, sizeof(path), "%s/dead-letters", b.f.dir);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_true(demote_rc(&b, "core", 1, 2 * PER, PB_DEAD_STALE, NOW,
	    &done, &err) < 0);
	assert_int_equal(done, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/shm", path), 0);
	assert_true(demote_rc(&b, "core", 1, 2 * PER, PB_DEAD_STALE, NOW,
	    &done, &err) < 0);
	assert_non_null(strstr(err.text, "is no directory"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	if (alone && mount("tmpfs", path, "tmpfs", 0, NULL) == 0) {
		assert_true(demote_rc(&b, "core", 1, 2 * PER, PB_DEAD_STALE,
		    NOW, &done, &err) < 0);
		assert_non_null(strstr(err.text, "two file systems"));
		assert_non_null(strstr(err.text, "/segments/lon1/eth0/"));
		assert_non_null(strstr(err.text, "/dead-letters/core/"));
		assert_int_equal(done, 0);
		assert_int_equal(total(&b, "core").letters, 0);
		assert_int_equal(umount2(path, MNT_DETACH), 0);
	}
	/* The directories made there are empty and gone. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rows_of(&b, PB_STATE_LINKS), 0);
	demote(&b, "core", 1, 2 * PER);
	assert_int_equal(total(&b, "core").letters, 2);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	bench_finish(&b);
}

static void
another_file_in_the_way_is_replaced(void **state)
{
	char path[PATH_MAX], segment[PATH_MAX], dir[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	assert_int_equal(pb_layout_letters(dir, b.f.dir, "core", &b.f.key, NULL),
	    0);
	shell("mkdir -p '%.3000s'", dir);
	letter_path(&b, "core", 1, path);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	demote(&b, "core", 1, PER);
	segment_path(&b, 1, segment);
	assert_int_equal(inode(path), inode(segment));
	strcat(path, ".new");
	assert_int_equal(access(path, F_OK), -1);
	bench_finish(&b);
}

/* --- what becomes of them ----------------------------------------------- */

static void
a_requeued_letter_shrinks_and_goes_as_it_is_acknowledged(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	assert_int_equal(all(&b, pb_letters_requeue, &ANY).packets, PER);
	assert_letter(&b, 1, 1, PER, PB_LETTER_REQUEUED);
	assert_int_equal(total(&b, "core").letters, 0);
	assert_int_equal(total(&b, "core").packets, 0);
	assert_int_equal(total(&b, "core").requeued, 1);
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 1, 10,
	    NULL), 0);
	assert_letter(&b, 1, 11, PER, PB_LETTER_REQUEUED);
	/* Requests overtake each other. */
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 21, 30,
	    NULL), 0);
	assert_letter(&b, 1, 11, 20, PB_LETTER_REQUEUED);
	assert_letter(&b, 21, 31, PER, PB_LETTER_REQUEUED);
	assert_int_equal(total(&b, "core").requeued, 2);
	assert_true(has_file(&b, "core", 1));
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 1, PER,
	    NULL), 0);
	assert_int_equal(total(&b, "core").requeued, 0);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	assert_false(has_file(&b, "core", 1));
	bench_finish(&b);
}

static void
acknowledgements_leave_dead_letters_alone(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 1, PER,
	    NULL), 0);
	assert_int_equal(pb_letters_told(b.letters, "core", &b.f.key, 1, PER,
	    NULL), 0);
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	bench_finish(&b);
}

static void
what_was_refused_is_dead_again_and_the_rest_goes_on(void **state)
{
	struct pb_stream_info row;
	struct pb_demotion why = { .upstream = "core", .stream = &row,
	    .dead = { .first = 11, .last = 20,
	    .reason = PB_DEAD_MALFORMED, .status = 422, .attempts = 1,
	    .text = "worse" }, .now_ns = NOW + 5 };
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	fixture_stream_row(&b.f, &row);
	demote(&b, "core", 1, PER);
	all(&b, pb_letters_requeue, &ANY);
	assert_int_equal(pb_letters_refused(b.letters,
	    pb_store_index(b.f.store), &why, NULL), 0);
	assert_letter(&b, 1, 1, 10, PB_LETTER_REQUEUED);
	letter = assert_letter(&b, 11, 11, 20, PB_LETTER_DEAD);
	assert_int_equal(letter.reason, PB_DEAD_MALFORMED);
	assert_int_equal(letter.status, 422);
	assert_string_equal(letter.error, "worse");
	/* As old as it was: its age has a bound. */
	assert_int_equal(letter.since_ns, NOW);
	assert_letter(&b, 21, 21, PER, PB_LETTER_REQUEUED);
	assert_int_equal(total(&b, "core").packets, 10);
	why.dead.first = 21;
	why.dead.last = PER;
	assert_int_equal(pb_letters_refused(b.letters,
	    pb_store_index(b.f.store), &why, NULL), 0);
	assert_letter(&b, 25, 11, PER, PB_LETTER_DEAD);
	assert_true(has_file(&b, "core", 1));
	bench_finish(&b);
}

static void
a_purged_letter_is_gone_until_the_upstream_was_told(void **state)
{
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	demote(&b, "core", 1, 3 * PER);
	assert_int_equal(all(&b, pb_letters_purge, &ANY).letters, 3);
	assert_false(has_file(&b, "core", 1));
	assert_int_equal(total(&b, "core").letters, 0);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	assert_int_equal(total(&b, "core").oldest_ns, 0);
	/* Told at once of what lies together. */
	assert_letter(&b, 1, 1, 3 * PER, PB_LETTER_GONE);
	assert_int_equal(pb_letters_told(b.letters, "core", &b.f.key, 1,
	    3 * PER - 1, NULL), 0);
	assert_letter(&b, 1, 3 * PER, 3 * PER, PB_LETTER_GONE);
	assert_int_equal(pb_letters_told(b.letters, "core", &b.f.key, 1,
	    3 * PER, NULL), 0);
	assert_int_equal(find(&b, "core", 1, &letter), 0);
	bench_finish(&b);
}

static void
a_purge_takes_requeued_letters_and_requeue_only_dead_ones(void **state)
{
	struct pb_letters_which one = { .first = PER + 1 };
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "core", 1, 2 * PER);
	assert_int_equal(all(&b, pb_letters_requeue, &one).letters, 1);
	assert_int_equal(all(&b, pb_letters_requeue, &one).letters, 0);
	assert_int_equal(all(&b, pb_letters_requeue, &ANY).letters, 1);
	assert_int_equal(all(&b, pb_letters_purge, &ANY).letters, 2);
	assert_int_equal(all(&b, pb_letters_requeue, &ANY).letters, 0);
	bench_finish(&b);
}

static void
late_packets_are_letters_without_a_file(void **state)
{
	struct pb_stream_info row;
	struct pb_demotion why = { .upstream = "core", .stream = &row,
	    .dead = { .first = 13, .last = 15,
	    .reason = PB_DEAD_FORBIDDEN } };
	struct pb_late late[2] = { { .upstream = "core", .first = 10,
	    .last = 14 }, { .upstream = "core", .first = 15, .last = 40 } };
	struct bench b;
	struct pb_err err;
	struct pb_seen seen = { "core", 77 };

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 20, 29);
	fixture_stream_row(&b.f, &row);
	late[0].key = late[1].key = b.f.key;
	/* In one transaction with how far the fills have been looked at. */
	assert_int_equal(pb_letters_late(b.letters, late, 2, &seen, 1,
	    &err), 0);
	seen.fill = 0;
	assert_int_equal(pb_letters_seen(b.letters, &seen, 1, &err), 0);
	assert_int_equal(seen.fill, 77);
	assert_letter(&b, 1, 10, 19, PB_LETTER_LATE);
	assert_letter(&b, 20, 20, 29, PB_LETTER_DEAD);
	assert_letter(&b, 30, 30, 40, PB_LETTER_LATE);
	assert_int_equal(total(&b, "core").requeued, 2);
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 10, 12,
	    &err), 0);
	assert_letter(&b, 1, 13, 19, PB_LETTER_LATE);
	/* What was refused is dead as any other, the rest goes on. */
	assert_int_equal(pb_letters_refused(b.letters,
	    pb_store_index(b.f.store), &why, &err), 0);
	assert_letter(&b, 1, 13, 15, PB_LETTER_DEAD);
	assert_true(has_file(&b, "core", 1));
	assert_letter(&b, 16, 16, 19, PB_LETTER_LATE);
	assert_int_equal(total(&b, "core").requeued, 2);
	assert_int_equal(total(&b, "core").packets, 13);
	/* All or none. */
	seen.fill = 78;
	late[0].first = late[0].last = 5;
	late[1].first = 50;
	assert_int_equal(pb_letters_late(b.letters, late, 2, &seen, 1, &err),
	    PB_EINVAL);
	/* So is the number that no packet has. */
	late[1].last = UINT64_MAX;
	assert_int_equal(pb_letters_late(b.letters, late, 2, &seen, 1, &err),
	    PB_EINVAL);
	seen.fill = 0;
	assert_int_equal(pb_letters_seen(b.letters, &seen, 1, &err), 0);
	assert_int_equal(seen.fill, 77);
	assert_letter(&b, 16, 16, 19, PB_LETTER_LATE);
	bench_finish(&b);
}

static int
row_of(struct bench *b, unsigned table, const void *key, size_t len,
    uint64_t *out)
{
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc;

	assert_int_equal(pb_mdb_begin(b->state->mdb, false, &txn, NULL), 0);
	rc = pb_mdb_get(&txn, table, key, len, &value);
	*out = rc == 1 && value.len == 8 ? pb_get_le64(value.data) : 0;
	pb_mdb_abort(&txn);
	return rc;
}

/*
 * Goal:   what a shipper of an older version had of late packets counts for
 *         retention at once.
 * Method: its rows: late letters alone, and one number for all upstreams.
 */
static void
late_letters_of_an_older_version_are_kept_from_retention(void **state)
{
	struct pb_upstream_row core = { .name = "core" };
	struct pb_seen seen[2] = { { "core", 0 }, { "new", 0 } };
	struct pb_letters_key key;
	struct pb_mdb_txn txn;
	uint8_t number[8];
	struct bench b;
	uint64_t last;

	(void)state;
	bench_init(&b, 1);
	come_late(&b, "core", 10, 14, 7);
	assert_int_equal(pb_state_begin(b.state, NULL), 0);
	pb_state_put_upstream(b.state, &core);
	assert_int_equal(pb_state_commit(b.state), 0);
	pb_letters_key(&key, "core", &b.f.key, 10);
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	pb_mdb_del(&txn, PB_STATE_ACKS, key.bytes, key.len);
	pb_mdb_del(&txn, PB_STATE_ACKS, "core", 5);
	pb_put_le64(number, 9);
	pb_mdb_put(&txn, PB_STATE_META, "fill", 4, number, sizeof(number));
	assert_int_equal(pb_mdb_commit(&txn), 0);
	close_letters(&b);
	for (int again = 0; again < 2; again++) {
		open_letters(&b);
		assert_int_equal(row_of(&b, PB_STATE_ACKS, key.bytes, key.len,
		    &last), 1);
		assert_int_equal(last, 14);
		assert_int_equal(pb_letters_seen(b.letters, seen, 2, NULL), 0);
		assert_int_equal(seen[0].fill, 9);
		assert_int_equal(seen[1].fill, 0);
		assert_int_equal(row_of(&b, PB_STATE_META, "fill", 4, &last),
		    0);
		assert_int_equal(total(&b, "core").requeued, 1);
		close_letters(&b);
	}
	open_letters(&b);
	bench_finish(&b);
}

static bool
keep_none(void *arg, const char *upstream)
{
	(void)arg;
	(void)upstream;
	return false;
}

/* An upstream that has lost its section and gets it again begins anew with
 * what came late; what of it was a letter is one still. */
static void
late_letters_outlive_their_upstreams_section(void **state)
{
	struct pb_seen seen = { "core", 0 };
	struct pb_letters_key key;
	struct bench b;
	uint64_t last;

	(void)state;
	bench_init(&b, 1);
	come_late(&b, "core", 10, 14, 7);
	pb_letters_key(&key, "core", &b.f.key, 10);
	assert_int_equal(pb_state_forget(b.state, keep_none, NULL, NULL), 0);
	assert_int_equal(pb_letters_seen(b.letters, &seen, 1, NULL), 0);
	assert_int_equal(seen.fill, 0);
	assert_int_equal(row_of(&b, PB_STATE_ACKS, key.bytes, key.len, &last),
	    1);
	assert_int_equal(last, 14);
	assert_letter(&b, 1, 10, 14, PB_LETTER_LATE);
	bench_finish(&b);
}

static void
what_is_not_committed_has_not_happened(void **state)
{
	struct pb_letter letter;
	struct pb_mdb_txn txn;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	all(&b, pb_letters_requeue, &ANY);
	letter = assert_letter(&b, 1, 1, PER, PB_LETTER_REQUEUED);
	for (int rc = PB_ENOSPC;; rc = 0) {
		assert_int_equal(pb_letters_begin(b.letters, &txn, true,
		    NULL), 0);
		pb_letters_remove(&txn, &letter);
		/* Something in it fails, or not. */
		txn.rc = rc;
		assert_int_equal(pb_letters_end(b.letters, &txn), rc);
		if (rc == 0)
			break;
		assert_letter(&b, 1, 1, PER, PB_LETTER_REQUEUED);
		assert_int_equal(keep_bounds(&b, "core", 0, 0, NOW), 0);
		assert_true(has_file(&b, "core", 1));
	}
	assert_int_equal(find(&b, "core", 1, &letter), 0);
	assert_false(has_file(&b, "core", 1));
	bench_finish(&b);
}

/* --- bounds ------------------------------------------------------------- */

static void
at_the_bound_of_bytes_the_oldest_go(void **state)
{
	struct pb_err err;
	struct bench b;
	uint64_t done, sum, kept;

	(void)state;
	bench_init(&b, 4);
	/* The third is the oldest, then the first. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(demote_rc(&b, "core", i * PER + 1,
		    (i + 1) * PER, PB_DEAD_STALE, NOW + (i == 2 ? 0 : i + 1),
		    &done, &err), 0);
	demote(&b, "other", 1, PER);
	sum = total(&b, "core").file_bytes;
	kept = assert_letter(&b, PER + 1, PER + 1, 2 * PER,
	    PB_LETTER_DEAD).file_bytes + assert_letter(&b, 3 * PER + 1,
	    3 * PER + 1, 4 * PER, PB_LETTER_DEAD).file_bytes;
	assert_int_equal(keep_bounds(&b, "core", sum, 0, NOW), 0);
	assert_int_equal(keep_bounds(&b, "core", 0, 0, NOW),
	    0);
	assert_int_equal(keep_bounds(&b, "core", kept, 0, NOW), 2);
	assert_letter(&b, 1, 1, PER, PB_LETTER_GONE);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_DEAD);
	assert_letter(&b, 2 * PER + 1, 2 * PER + 1, 3 * PER, PB_LETTER_GONE);
	assert_false(has_file(&b, "core", 1));
	assert_true(has_file(&b, "core", PER + 1));
	assert_false(has_file(&b, "core", 2 * PER + 1));
	assert_true(has_file(&b, "other", 1));
	assert_int_equal(total(&b, "core").letters, 2);
	assert_int_equal(total(&b, "core").packets, 2 * PER);
	assert_int_equal(total(&b, "core").file_bytes, kept);
	assert_int_equal(total(&b, "core").oldest_ns, NOW + 2);
	bench_finish(&b);
}

/*
 * Goal:   the bound of bytes is one of what the disk holds, also where a
 *         segment was open, and small, when it was linked.
 * Method: few packets are demoted, many come behind them into that file.
 */
static void
a_file_that_grows_after_it_was_linked_counts_as_it_is(void **state)
{
	struct pb_letters_total before;
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, 10);
	before = total(&b, "core");
	fixture_write(&b.f, PER + 1, PER + 2000, PACKET);
	letter_path(&b, "core", 1, path);
	assert_true((uint64_t)size_of(path) > 2 * before.file_bytes);
	assert_int_equal(keep_bounds(&b, "core", 0, 0, NOW),
	    0);
	assert_int_equal(total(&b, "core").file_bytes, size_of(path));
	assert_int_equal(keep_bounds(&b, "core",
	    2 * before.file_bytes, 0, NOW), 1);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	assert_false(has_file(&b, "core", 1));
	bench_finish(&b);
}

/* More files than one call looks at: each of them has its turn. */
static void
all_files_are_measured_turn_by_turn(void **state)
{
	const unsigned count = 2 * PB_LETTERS_MEASURE + 3;
	struct pb_letters_total before;
	struct bench b;

	(void)state;
	bench_init(&b, count);
	for (unsigned i = 0; i < count; i++)
		demote(&b, i % 2 == 0 ? "core" : "spare", i * PER + 1,
		    (i + 1) * PER);
	/* The last one is open: it grows. */
	before = total(&b, "core");
	fixture_write(&b.f, count * PER + 1, count * PER + 500, PACKET);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(keep_bounds(&b, "spare", 0, 0,
		    NOW), 0);
	assert_true(total(&b, "core").file_bytes >
	    before.file_bytes + 500 * PACKET);
	bench_finish(&b);
}

static void
at_the_bound_of_age_the_old_ones_go(void **state)
{
	struct pb_err err;
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, 2);
	demote_rc(&b, "core", 1, PER, PB_DEAD_STALE, NOW, &done, &err);
	demote_rc(&b, "core", PER + 1, 2 * PER, PB_DEAD_STALE,
	    NOW + 1000000000, &done, &err);
	assert_int_equal(keep_bounds(&b, "core", 0, 5000,
	    NOW + 4999), 0);
	/* Never a negative age. */
	assert_int_equal(keep_bounds(&b, "core", 0, 5000, 1), 0);
	assert_int_equal(keep_bounds(&b, "core", 0, 5000,
	    NOW + 5000), 1);
	assert_letter(&b, 1, 1, PER, PB_LETTER_GONE);
	assert_int_equal(total(&b, "core").letters, 1);
	bench_finish(&b);
}

/* --- listing ------------------------------------------------------------ */

static void
letters_are_listed_page_by_page_and_by_glob(void **state)
{
	struct pb_letters_which which = { .upstream = "co*",
	    .stream = "lon1/*" };
	struct pb_letter after = { .first = 0 }, page[2];
	unsigned count = 0;
	struct bench b;
	int n;

	(void)state;
	bench_init(&b, 5);
	demote(&b, "core", 1, 5 * PER);
	demote(&b, "backup", 1, 5 * PER);
	while ((n = pb_letters_list(b.letters, &which, &after, page, 2,
	    NULL)) > 0)
		for (int i = 0; i < n; i++) {
			assert_string_equal(page[i].upstream, "core");
			assert_int_equal(page[i].first, count++ * PER + 1);
		}
	assert_int_equal(n, 0);
	assert_int_equal(count, 5);
	which.stream = "par*";
	memset(&after, 0, sizeof(after));
	assert_int_equal(pb_letters_list(b.letters, &which, &after, page, 2,
	    NULL), 0);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_segment_becomes_a_letter_with_a_hard_link),
		cmocka_unit_test(numbers_that_have_a_letter_keep_it),
		cmocka_unit_test(
		    neighbours_in_a_file_that_say_the_same_are_one_letter),
		cmocka_unit_test(
		    a_shared_file_counts_once_and_goes_with_its_last_letter),
		cmocka_unit_test(
		    the_bytes_of_an_open_segment_are_those_of_its_last_letter),
		cmocka_unit_test(
		    a_gap_of_the_store_is_no_letter_and_counts_as_done),
		cmocka_unit_test(a_gap_within_an_extent_cuts_the_letter),
		cmocka_unit_test(a_segment_that_has_expired_is_left_alone),
		cmocka_unit_test(
		    a_call_links_so_many_segments_and_says_how_far_it_came),
		cmocka_unit_test(a_demotion_that_fails_leaves_all_as_it_was),
		cmocka_unit_test(another_file_in_the_way_is_replaced),
		cmocka_unit_test(
		    a_requeued_letter_shrinks_and_goes_as_it_is_acknowledged),
		cmocka_unit_test(acknowledgements_leave_dead_letters_alone),
		cmocka_unit_test(
		    what_was_refused_is_dead_again_and_the_rest_goes_on),
		cmocka_unit_test(
		    a_purged_letter_is_gone_until_the_upstream_was_told),
		cmocka_unit_test(
		    a_purge_takes_requeued_letters_and_requeue_only_dead_ones),
		cmocka_unit_test(late_packets_are_letters_without_a_file),
		cmocka_unit_test(
		    late_letters_of_an_older_version_are_kept_from_retention),
		cmocka_unit_test(late_letters_outlive_their_upstreams_section),
		cmocka_unit_test(what_is_not_committed_has_not_happened),
		cmocka_unit_test(at_the_bound_of_bytes_the_oldest_go),
		cmocka_unit_test(
		    a_file_that_grows_after_it_was_linked_counts_as_it_is),
		cmocka_unit_test(all_files_are_measured_turn_by_turn),
		cmocka_unit_test(at_the_bound_of_age_the_old_ones_go),
		cmocka_unit_test(letters_are_listed_page_by_page_and_by_glob),
	};
	const struct CMUnitTest again[] = {
		cmocka_unit_test(
		    each_segment_becomes_a_letter_with_a_hard_link),
		cmocka_unit_test(another_file_in_the_way_is_replaced),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	/* Where directories are entered one by one. */
	if (refuse_openat2() == 0)
		failed += cmocka_run_group_tests(again, NULL, NULL);
	return failed;
}
