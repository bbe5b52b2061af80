/*
 * tests/unit/test_verify.c - every flipped bit is found, and put right
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>

#include "recorder/store/facts/journal.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/repair.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"
#include "tests/unit/valgrind.h"

struct scene {
	struct fixture	 f;
	struct pb_finding found[64];	/* the first of them */
	size_t		 count;
	struct pb_verify_sum sum;
	struct pb_repair *repair;
};

/* Two segments, gaps of every kind, a late fill; closed. */
static int
set_up(void **state)
{
	struct scene *s = test_calloc(1, sizeof(*s));
	struct fixture *f = &s->f;
	struct pb_chunk *gap;

	fixture_init(f, __LINE__);
	fixture_write(f, 1, 40, 60);
	gap = fixture_chunk(f, 41, 41, 10);
	gap->last_seq = 60;
	gap->gap = PB_GAP_DEAD_LETTERED;
	assert_int_equal(fixture_submit(f, gap), 0);
	fixture_wait(f);
	fixture_write(f, 61, 100, 60);
	fixture_write(f, 45, 50, 60);
	pb_store_close(f->store);
	f->store = NULL;
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *s = *state;

	if (s->f.store == NULL)
		fixture_open(&s->f);
	fixture_finish(&s->f);
	test_free(s);
	return 0;
}

static int
collect(void *arg, const struct pb_finding *finding)
{
	struct scene *s = arg;
	struct pb_err err;

	if (s->count < 64)
		s->found[s->count] = *finding;
	s->count++;
	if (s->repair != NULL)
		return pb_repair_note(s->repair, finding, &err);
	return 0;
}

static void
verify(struct scene *s)
{
	struct pb_verify_opts opts = { .store = s->f.dir, .alone = true,
	    .each = collect, .arg = s };
	struct pb_err err;

	s->count = 0;
	if (pb_verify(&opts, &s->sum, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(s->count, s->sum.findings);
}

static void
repair(struct scene *s)
{
	struct pb_rebuild_opts opts = { .store = s->f.dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE };
	struct pb_rebuild_sum sum;
	struct pb_err err;

	assert_int_equal(pb_repair_create(&s->repair, &opts, &err), 0);
	verify(s);
	if (pb_repair_finish(s->repair, &sum, &err) < 0)
		fail_msg("%s", err.text);
	pb_repair_destroy(s->repair);
	s->repair = NULL;
	verify(s);
	if (s->count > 0)
		fail_msg("after the repair: %s: %s", s->found[0].path,
		    s->found[0].text);
}

static void
segment_path(struct scene *s, uint64_t first, char out[PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, s->f.dir, &s->f.key, first,
	    false, NULL), 0);
}

static void
journal_path(struct scene *s, char out[PATH_MAX])
{
	assert_int_equal(pb_layout_stream(out, s->f.dir, &s->f.key, NULL), 0);
	strcat(out, "/journal");
}

static uint8_t *
load(const char *path, size_t *len)
{
	struct stat st;
	uint8_t *bytes;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	bytes = test_malloc(*len);
	assert_int_equal(read(fd, bytes, *len), *len);
	close(fd);
	return bytes;
}

static void
poke(const char *path, off_t at, uint8_t byte)
{
	struct timespec times[2];
	struct stat st;
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

/* Flip one bit of every byte of the file: each is found, in that file. */
static void
flip_all(struct scene *s, const char *path, size_t step)
{
	size_t len;
	uint8_t *bytes = load(path, &len);

	for (size_t at = 0; at < len; at += step) {
		poke(path, (off_t)at, bytes[at] ^ (uint8_t)(1 << (at % 8)));
		verify(s);
		if (s->count == 0)
			fail_msg("%s: byte %zu flipped, not found", path, at);
		assert_string_equal(s->found[0].path, path);
		/* A block of a type that means nothing shows at the next. */
		if (s->found[0].offset > at + 120)
			fail_msg("byte %zu flipped, found at %lu: %s", at,
			    s->found[0].offset, s->found[0].text);
		if (s->found[0].bytes > 0 &&
		    s->found[0].flaw == PB_FLAW_DIGEST)
			assert_true(at < s->found[0].offset +
			    s->found[0].bytes);
		poke(path, (off_t)at, bytes[at]);
	}
	verify(s);
	assert_int_equal(s->count, 0);
	test_free(bytes);
}

static void
a_store_as_it_was_written_has_no_finding(void **state)
{
	struct scene *s = *state;

	verify(s);
	if (s->count > 0)
		fail_msg("%s: %s", s->found[0].path, s->found[0].text);
	assert_int_equal(s->sum.packets, 86);
	assert_int_equal(s->sum.segments, 3);
}

static void
every_flipped_byte_of_a_segment_is_found(void **state)
{
	char path[PATH_MAX];

	segment_path(*state, 1, path);
	flip_all(*state, path, getenv("PB_FULL") != NULL ? 1 : 13);
	segment_path(*state, 45, path);
	flip_all(*state, path, getenv("PB_FULL") != NULL ? 1 : 13);
}

static void
every_flipped_byte_of_a_journal_is_found(void **state)
{
	char path[PATH_MAX];

	journal_path(*state, path);
	flip_all(*state, path, getenv("PB_FULL") != NULL ? 1 : 3);
}

static void
damage(struct scene *s, uint64_t first, off_t at, size_t len)
{
	char path[PATH_MAX];

	segment_path(s, first, path);
	for (size_t i = 0; i < len; i++)
		poke(path, at + (off_t)i, 0);
}

static long
packets_left(struct scene *s)
{
	uint64_t first, last;
	long count;

	fixture_open(&s->f);
	count = fixture_read(&s->f, &ALL, &first, &last);
	pb_store_close(s->f.store);
	s->f.store = NULL;
	return count;
}

static void
repair_keeps_the_packets_around_a_rotten_block(void **state)
{
	struct scene *s = *state;
	struct pb_gap_info gaps[8];
	struct pb_stream_info row;
	struct pb_index *index;
	struct pb_err err;
	int n;

	/* One block's length, among the packets behind the first filler. */
	damage(s, 1, 5000, 120);
	verify(s);
	assert_int_equal(s->found[0].segment_seq, 1);
	repair(s);
	assert_int_equal(pb_index_open(&index, s->f.dir, &err), 0);
	assert_int_equal(pb_index_stream(index, &s->f.key, &row, &err), 1);
	n = pb_index_rows_of(index, PB_TABLE_GAPS, row.id, 1, gaps, 8, &err);
	assert_true(n >= 4);
	assert_int_equal(gaps[0].reason, PB_GAP_DAMAGED);
	assert_in_range(gaps[0].last - gaps[0].first, 0, 2);
	assert_int_equal(row.packets, 86 - (gaps[0].last - gaps[0].first + 1));
	pb_index_close(index);
	assert_int_equal(packets_left(s), (long)row.packets);
}

static void
repair_keeps_doubtful_packets_and_a_copy(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX];
	size_t len;
	uint8_t *bytes;

	segment_path(s, 61, path);
	bytes = load(path, &len);
	poke(path, (off_t)len - 40, bytes[len - 40] ^ 1);
	test_free(bytes);
	verify(s);
	assert_int_equal(s->found[0].flaw, PB_FLAW_DIGEST);
	assert_int_equal(s->found[0].first, 61);
	assert_int_equal(s->found[0].last, 100);
	repair(s);
	shell("grep -q 'packets 61 to 100' '%s'/damaged/*.txt", s->f.dir);
}

static void
repair_rebuilds_a_rotten_header(void **state)
{
	struct scene *s = *state;

	damage(s, 61, 0, 60);
	verify(s);
	assert_int_equal(s->found[0].flaw, PB_FLAW_HEADER);
	repair(s);
	assert_int_equal(packets_left(s), 86);
}

static void
a_missing_file_is_a_gap_after_the_repair(void **state)
{
	struct scene *s = *state;
	struct pb_stream_info row;
	struct pb_index *index;
	char path[PATH_MAX];
	struct pb_err err;

	/* The last one: its numbers must not be given again. */
	segment_path(s, 61, path);
	assert_int_equal(unlink(path), 0);
	verify(s);
	assert_int_equal(s->found[0].flaw, PB_FLAW_MISSING);
	assert_int_equal(s->found[0].first, 61);
	assert_int_equal(s->found[0].last, 100);
	repair(s);
	assert_int_equal(pb_index_open(&index, s->f.dir, &err), 0);
	assert_int_equal(pb_index_stream(index, &s->f.key, &row, &err), 1);
	assert_int_equal(row.last_seq, 100);
	assert_int_equal(row.packets, 46);
	pb_index_close(index);
}

static void
copy(const char *from, const char *to)
{
	shell("cp -p '%s' '%s'", from, to);
}

static void
an_extra_file_with_known_numbers_is_set_aside(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX], other[PATH_MAX];

	segment_path(s, 1, path);
	segment_path(s, 20, other);
	copy(path, other);
	verify(s);
	assert_int_equal(s->found[0].flaw, PB_FLAW_EXTRA);
	assert_string_equal(s->found[0].path, other);
	repair(s);
	assert_int_not_equal(access(other, F_OK), 0);
	assert_int_equal(packets_left(s), 86);
}

static void
an_extra_file_that_fills_a_gap_is_taken_in(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX], kept[PATH_MAX];

	segment_path(s, 45, path);
	snprintf(kept, sizeof(kept), "%s/kept", s->f.dir);
	copy(path, kept);
	assert_int_equal(unlink(path), 0);
	repair(s);
	assert_int_equal(packets_left(s), 80);
	copy(kept, path);
	verify(s);
	assert_int_equal(s->found[0].flaw, PB_FLAW_EXTRA);
	repair(s);
	assert_int_equal(packets_left(s), 86);
}

/* What the index says of the stream, changed by `change`. */
static void
spoil_rows(struct scene *s, void (*change)(struct pb_mdb_txn *,
    struct pb_stream_info *, struct pb_segment_info *,
    struct pb_extent_info *, struct pb_gap_info *))
{
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_stream_info stream;
	struct pb_gap_info gap;
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_err err;

	assert_int_equal(pb_index_open_write(&index, s->f.dir, 64u << 20,
	    &err), 0);
	assert_int_equal(pb_index_stream(index, &s->f.key, &stream, &err), 1);
	assert_int_equal(pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream.id,
	    1, &segment, 1, &err), 1);
	assert_int_equal(pb_index_rows_of(index, PB_TABLE_EXTENTS, stream.id,
	    1, &extent, 1, &err), 1);
	assert_int_equal(pb_index_rows_of(index, PB_TABLE_GAPS, stream.id, 1,
	    &gap, 1, &err), 1);
	assert_int_equal(pb_index_begin(index, &txn, &err), 0);
	change(&txn, &stream, &segment, &extent, &gap);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
}

#define SPOILER(name, statements)					\
static void								\
name(struct pb_mdb_txn *txn, struct pb_stream_info *stream,		\
    struct pb_segment_info *segment, struct pb_extent_info *extent,	\
    struct pb_gap_info *gap)						\
{									\
	(void)stream; (void)segment; (void)extent; (void)gap;		\
	statements							\
}
#define STREAM(name, what) SPOILER(name, what; \
	pb_index_put_stream(txn, stream);)
#define SEGMENT(name, what) SPOILER(name, what; \
	pb_index_put_segment(txn, segment);)
#define EXTENT(name, what) SPOILER(name, what; \
	pb_index_put(txn, PB_TABLE_EXTENTS, extent);)
#define GAP(name, what) SPOILER(name, what; \
	pb_index_put(txn, PB_TABLE_GAPS, gap);)

STREAM(stream_packets, stream->packets ^= 1)
STREAM(stream_bytes, stream->bytes ^= 64)
STREAM(stream_dropped, stream->dropped ^= 8)
STREAM(stream_first, stream->first_seq ^= 2)
STREAM(stream_last, stream->last_seq ^= 256)
STREAM(stream_linktype, stream->linktype ^= 1)
STREAM(stream_created, stream->created_ns ^= 1)
SEGMENT(segment_last, segment->last_seq ^= 1)
SEGMENT(segment_packets, segment->packets ^= 1)
SEGMENT(segment_size, segment->bytes ^= 4096)
SEGMENT(segment_captured, segment->packet_bytes ^= 1)
SEGMENT(segment_first_time, segment->first_time ^= 1)
SEGMENT(segment_last_time, segment->last_time ^= 1)
SEGMENT(segment_header, segment->header_bytes ^= 4)
SEGMENT(segment_digest, segment->header_digest ^= 1)
EXTENT(extent_last, extent->last_seq ^= 1)
EXTENT(extent_segment, extent->segment_seq ^= 2)
EXTENT(extent_offset, extent->offset ^= 4)
EXTENT(extent_bytes, extent->bytes ^= 4)
EXTENT(extent_first_time, extent->first_time ^= 1)
EXTENT(extent_digest, extent->digest ^= 1)
GAP(gap_last, gap->last ^= 8)
GAP(gap_reason, gap->reason = PB_GAP_EXPIRED)
GAP(gap_since, gap->since_ns ^= 1)
GAP(gap_closed, gap->closed_ns ^= 1)
SPOILER(no_segment, pb_index_del_segment(txn, segment->stream,
    segment->first_seq);)
SPOILER(no_extent, pb_index_del(txn, PB_TABLE_EXTENTS, extent->stream,
    extent->first_seq);)
SPOILER(no_gap, pb_index_del(txn, PB_TABLE_GAPS, gap->stream, gap->first);)
SPOILER(a_drop, pb_index_put(txn, PB_TABLE_DROPS, &(struct pb_drop_info){
    .stream = stream->id, .seq = 7, .count = 3, .time_ns = 1 });)

static void
every_wrong_row_of_the_index_is_found_and_put_right(void **state)
{
	static const struct {
		const char *name;
		void (*change)(struct pb_mdb_txn *, struct pb_stream_info *,
		    struct pb_segment_info *, struct pb_extent_info *,
		    struct pb_gap_info *);
	} rows[] = {
#define ROW(name) { #name, name }
		ROW(stream_packets), ROW(stream_bytes), ROW(stream_dropped),
		ROW(stream_first), ROW(stream_last), ROW(stream_linktype),
		ROW(stream_created), ROW(segment_last), ROW(segment_packets),
		ROW(segment_size), ROW(segment_captured),
		ROW(segment_first_time), ROW(segment_last_time),
		ROW(segment_header), ROW(segment_digest), ROW(extent_last),
		ROW(extent_segment), ROW(extent_offset), ROW(extent_bytes),
		ROW(extent_first_time), ROW(extent_digest), ROW(gap_last),
		ROW(gap_reason), ROW(gap_since), ROW(gap_closed),
		ROW(no_segment), ROW(no_extent), ROW(no_gap), ROW(a_drop),
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		spoil_rows(s, rows[i].change);
		verify(s);
		if (s->count == 0)
			fail_msg("%s was not found", rows[i].name);
		repair(s);
		assert_int_equal(packets_left(s), 86);
		verify(s);
		if (s->count > 0)
			fail_msg("after %s: %s: %s", rows[i].name,
			    s->found[0].path, s->found[0].text);
	}
}

static void
append_fact(struct scene *s, enum pb_fact_kind kind, uint64_t first,
    uint64_t last, uint64_t time_ns)
{
	const struct pb_fact fact = { .kind = kind, .first = first,
	    .last = last, .time_ns = time_ns,
	    .reason = kind == PB_FACT_GAP ? PB_GAP_DEAD_LETTERED : 0 };

	assert_int_equal(pb_journal_append(s->f.dir, &s->f.key, &fact, 1,
	    NULL), 0);
}

/* The journal is written first: of packets that are still there, of a gap
 * that came again and is shorter, of numbers behind the end. */
static void
facts_whose_commit_failed_are_no_findings(void **state)
{
	struct scene *s = *state;
	struct pb_chunk *gap;

	append_fact(s, PB_FACT_EXPIRED, 45, 50, 7);
	append_fact(s, PB_FACT_GAP, 101, 119, 7);
	fixture_open(&s->f);
	gap = fixture_chunk(&s->f, 101, 101, 10);
	gap->last_seq = 110;
	gap->gap = PB_GAP_DEAD_LETTERED;
	assert_int_equal(fixture_submit(&s->f, gap), 0);
	fixture_wait(&s->f);
	pb_store_close(s->f.store);
	s->f.store = NULL;
	append_fact(s, PB_FACT_GAP, 111, 130, 7);
	verify(s);
	if (s->count > 0)
		fail_msg("%s: %s", s->found[0].path, s->found[0].text);
}

static void
take_rows(struct scene *s)
{
	struct pb_segment_info row;
	struct pb_stream_info stream;
	struct pb_index *index;
	struct pb_mdb_txn txn;

	if (pb_index_open_write(&index, s->f.dir, 64u << 20, NULL) < 0 ||
	    pb_index_stream(index, &s->f.key, &stream, NULL) != 1 ||
	    pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream.id, 61, &row, 1,
	    NULL) != 1 || pb_index_begin(index, &txn, NULL) < 0)
		child_exit(1);
	pb_index_remove(&txn, &row);
	child_exit(pb_mdb_commit(&txn) < 0);
}

/* Once, between two segments; another process, as the recorder is one. */
static void
retain(void *arg, uint64_t bytes, uint64_t all)
{
	struct scene *s = arg;
	char path[PATH_MAX];
	int status;
	pid_t pid;

	(void)bytes;
	(void)all;
	segment_path(s, 61, path);
	if (access(path, F_OK) < 0)
		return;
	append_fact(s, PB_FACT_EXPIRED, 61, 100, 7);
	pid = fork();
	if (pid == 0)
		take_rows(s);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(unlink(path), 0);
}

static void
verify_beside(struct scene *s, void (*progress)(void *, uint64_t, uint64_t))
{
	struct pb_verify_opts opts = { .store = s->f.dir, .each = collect,
	    .progress = progress, .arg = s };
	struct pb_err err;

	s->count = 0;
	if (pb_verify(&opts, &s->sum, &err) < 0)
		fail_msg("%s", err.text);
}

/* Beside a recorder: one that is gone is no finding, one that is rotten is. */
static void
a_segment_that_goes_while_it_is_looked_at_is_no_finding(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX];

	verify_beside(s, retain);
	if (s->count > 0)
		fail_msg("%s: %s", s->found[0].path, s->found[0].text);
	segment_path(s, 61, path);
	assert_int_not_equal(access(path, F_OK), 0);
	damage(s, 1, 5000, 8);
	verify_beside(s, NULL);
	assert_int_equal(s->found[0].segment_seq, 1);
}

/* In another process, as the recorder is one. */
static void
rot_row(void *arg, uint64_t bytes, uint64_t all)
{
	struct pb_segment_info row = { .stream = 1, .first_seq = 61,
	    .last_seq = UINT64_MAX };
	struct scene *s = arg;
	struct pb_index *index;
	struct pb_mdb_txn txn;
	int status;
	pid_t pid = fork();

	(void)bytes;
	(void)all;
	if (pid == 0) {
		if (pb_index_open_write(&index, s->f.dir, 64u << 20, NULL) <
		    0 || pb_index_begin(index, &txn, NULL) < 0)
			child_exit(1);
		pb_index_put(&txn, PB_TABLE_SEGMENTS, &row);
		child_exit(pb_mdb_commit(&txn) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
a_segment_whose_row_cannot_be_read_again_is_not_gone(void **state)
{
	struct scene *s = *state;
	bool told = false;

	damage(s, 61, 5000, 8);
	verify_beside(s, rot_row);
	for (size_t i = 0; i < s->count; i++)
		told |= s->found[i].segment_seq == 61 &&
		    s->found[i].flaw != PB_FLAW_EXTRA;
	assert_true(told);
}

static void
a_rotten_line_of_a_journal_is_one_finding(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX];

	journal_path(s, path);
	shell("echo rot >>'%s'", path);
	verify(s);
	assert_int_equal(s->count, 1);
	assert_int_equal(s->found[0].flaw, PB_FLAW_JOURNAL);
	verify_beside(s, NULL);
	assert_int_equal(s->count, 1);
}

static void
a_corrupt_index_is_a_finding_and_no_crash(void **state)
{
	struct scene *s = *state;
	char path[PATH_MAX];
	size_t len;
	uint8_t *bytes;

	snprintf(path, sizeof(path), "%s/index/data.mdb", s->f.dir);
	bytes = load(path, &len);
	for (size_t page = 2; page < len / 4096; page++) {
		for (off_t i = 0; i < 200; i++)
			poke(path, (off_t)page * 4096 + i, 0xff);
		verify(s);	/* does not die */
		for (off_t i = 0; i < 200; i++)
			poke(path, (off_t)page * 4096 + i,
			    bytes[page * 4096 + (size_t)i]);
	}
	for (off_t i = 0; i < 8192; i++)
		poke(path, i, 0xff);
	verify(s);
	assert_int_equal(s->count, 1);
	assert_int_equal(s->found[0].flaw, PB_FLAW_INDEX);
	test_free(bytes);
	repair(s);
	assert_int_equal(packets_left(s), 86);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_store_as_it_was_written_has_no_finding),
		T(every_flipped_byte_of_a_segment_is_found),
		T(every_flipped_byte_of_a_journal_is_found),
		T(repair_keeps_the_packets_around_a_rotten_block),
		T(repair_keeps_doubtful_packets_and_a_copy),
		T(repair_rebuilds_a_rotten_header),
		T(a_missing_file_is_a_gap_after_the_repair),
		T(an_extra_file_with_known_numbers_is_set_aside),
		T(an_extra_file_that_fills_a_gap_is_taken_in),
		T(every_wrong_row_of_the_index_is_found_and_put_right),
		T(facts_whose_commit_failed_are_no_findings),
		T(a_segment_that_goes_while_it_is_looked_at_is_no_finding),
		T(a_segment_whose_row_cannot_be_read_again_is_not_gone),
		T(a_rotten_line_of_a_journal_is_one_finding),
		T(a_corrupt_index_is_a_finding_and_no_crash),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
