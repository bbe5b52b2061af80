/*
 * recorder/store/mend/verify.c - is every bit as it was written?
 */
#include "recorder/store/mend/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/rebuild_impl.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/mend/verify_impl.h"

#define SCRATCH_BYTES	(256ull << 20)	/* address space */

static int	verify_all(struct verify *, struct pb_err *);
static int	check_index(struct verify *, struct pb_err *);
static int	read_all(const void *, struct pb_err *);
static int	each_stream(struct verify *, struct pb_err *);
static int	one_stream(struct verify *, const struct pb_stream_info *,
		    struct pb_err *);
static int	check_ids(struct verify *, const struct pb_stream_info *,
		    struct pb_err *);
static int	check_totals(struct verify *, const struct pb_index_totals *);
static int	check_ages(struct verify *, struct pb_err *);
static int	unknown_stream(void *, const struct pb_stream_key *,
		    const char *, struct pb_err *);
static int	open_scratch(struct verify *, struct pb_err *);
static bool	wanted(const struct verify *, const struct pb_stream_key *);

int
pb_verify(const struct pb_verify_opts *opts, struct pb_verify_sum *sum,
    struct pb_err *err)
{
	struct verify verify = { .opts = opts, .sum = sum };
	int rc;

	memset(sum, 0, sizeof(*sum));
	rc = check_index(&verify, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = pb_index_open(&verify.index, opts->store, err);
	if (rc < 0)
		return rc;
	rc = open_scratch(&verify, err);
	if (rc == 0)
		rc = verify_all(&verify, err);
	pb_index_close(verify.scratch);
	pb_index_close(verify.index);
	return rc;
}

static int
verify_all(struct verify *verify, struct pb_err *err)
{
	struct pb_index_totals totals;
	int rc = pb_index_totals(verify->index, &totals, err);

	if (rc < 0)
		return rc;
	verify->all = totals.bytes;
	rc = each_stream(verify, err);
	if (rc == 0)
		rc = rebuild_walk(verify->opts->store, unknown_stream, verify,
		    err);
	/* Beside a recorder they are never at rest. */
	if (rc == 0 && verify->opts->streams == NULL && verify->opts->alone)
		rc = check_totals(verify, &totals);
	if (rc == 0 && verify->opts->streams == NULL && verify->opts->alone)
		rc = check_ages(verify, err);
	return rc;
}

/* --- LMDB's file -------------------------------------------------------- */

/* 1 where it cannot be read, which is told; 0, or an error. */
static int
check_index(struct verify *verify, struct pb_err *err)
{
	struct pb_finding where = { .segment_seq = 0 };
	const char *store = verify->opts->store;
	int sig = 0, rc = pb_layout_path(where.path, store, "index/data.mdb",
	    err);

	if (rc < 0)
		return rc;
	rc = pb_rebuild_needed(store, err);
	if (rc == 0)
		return pb_err_set(err, PB_ENOENT, "there is no store in %s",
		    store);
	if (rc == 1)
		rc = pb_child_run(read_all, store, 0, &sig, err);
	if (sig != 0)
		rc = pb_err_set(err, PB_EFORMAT, "reading it ends in signal "
		    "%d", sig);
	if (rc < 0 && rc != PB_EFORMAT)
		return pb_err_prefix(err, rc, "read the index of %s", store);
	if (rc == 0)
		return 0;
	rc = verify_tell(verify, &where, PB_FLAW_INDEX, "%.180s: `pb reindex` "
	    "makes it again", err->text);
	return rc != 0 ? rc : 1;
}

static int
read_all(const void *store, struct pb_err *err)
{
	return pb_index_probe(store, true, err);
}

/* --- streams ------------------------------------------------------------ */

static int
each_stream(struct verify *verify, struct pb_err *err)
{
	const struct pb_stream_info *row;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_all(&rows, verify->index, PB_TABLE_STREAMS, NULL, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL)
		if (wanted(verify, &row->key))
			rc = one_stream(verify, row, err);
	return rc != 0 ? rc : rows.rc;
}

static int
one_stream(struct verify *verify, const struct pb_stream_info *info,
    struct pb_err *err)
{
	struct verify_stream stream = { .verify = verify, .info = *info };
	const struct pb_segment_info *row;
	struct pb_rows rows;
	int rc = check_ids(verify, info, err);

	verify->sum->streams++;
	pb_rows_of(&rows, verify->index, PB_TABLE_SEGMENTS, info->id, 1, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL) {
		rc = verify_segment(&stream, row, err);
		if (rc == 0)
			rc = verify_flows(&stream, row, err);
	}
	if (rc == 0)
		rc = rows.rc;
	if (rc == 0)
		rc = verify_stream(&stream, err);
	if (rc == 0)
		rc = verify_folder(verify, &info->key, info, err);
	return rc;
}

static int
check_ids(struct verify *verify, const struct pb_stream_info *info,
    struct pb_err *err)
{
	struct pb_finding where = { .key = info->key };
	struct pb_stream_key key;
	int rc = pb_index_stream_key(verify->index, info->id, &key, err);

	if (rc < 0)
		return rc;
	if (rc == 1 && memcmp(&key, &info->key, sizeof(key)) == 0)
		return 0;
	return verify_tell(verify, &where, PB_FLAW_SUMS,
	    "its id %" PRIu32 " is %s", info->id, rc == 0 ? "not listed" :
	    "another stream's as well");
}

/* A folder of a stream that has no row. */
static int
unknown_stream(void *arg, const struct pb_stream_key *key, const char *path,
    struct pb_err *err)
{
	struct verify *verify = arg;
	struct pb_stream_info info;
	int rc = pb_index_stream(verify->index, key, &info, err);

	(void)path;
	if (rc != 0 || !wanted(verify, key))
		return rc < 0 ? rc : 0;
	return verify_folder(verify, key, NULL, err);
}

static bool
wanted(const struct verify *verify, const struct pb_stream_key *key)
{
	char name[PB_STREAM_NAME_MAX];

	return verify->opts->streams == NULL || pb_glob_list_match(
	    verify->opts->streams, pb_stream_name(name, key));
}

/* --- the index with itself ---------------------------------------------- */

static int
check_totals(struct verify *verify, const struct pb_index_totals *totals)
{
	const struct pb_verify_sum *sum = verify->sum;
	struct pb_finding where = { .segment_seq = 0 };

	if (totals->segments == sum->segments && totals->bytes == sum->bytes)
		return 0;
	return verify_tell(verify, &where, PB_FLAW_SUMS, "the index counts %"
	    PRIu64 " segments with %" PRIu64 " bytes and lists %" PRIu64
	    " with %" PRIu64, totals->segments, totals->bytes, sum->segments,
	    sum->bytes);
}

/* Every sealed segment once, and nothing else, in the order of age. */
static int
check_ages(struct verify *verify, struct pb_err *err)
{
	struct pb_finding where = { .segment_seq = 0 };
	const struct pb_age_info *row;
	struct pb_segment_info segment;
	struct pb_rows rows;
	uint64_t count = 0;
	int have, rc = 0;

	pb_rows_all(&rows, verify->index, PB_TABLE_AGES, NULL, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL) {
		have = pb_index_rows_of(verify->index, PB_TABLE_SEGMENTS,
		    row->stream, row->first_seq, &segment, 1, err);
		count++;
		if (have < 0)
			return have;
		if (have == 1 && segment.first_seq == row->first_seq &&
		    segment.sealed_at == row->sealed_at &&
		    segment.bytes == row->bytes)
			continue;
		rc = verify_tell(verify, &where, PB_FLAW_SUMS, "the order of "
		    "age has a segment %" PRIu64 " of stream %" PRIu32
		    " that is not so", row->first_seq, row->stream);
	}
	if (rc == 0)
		rc = rows.rc;
	/* All are sealed but what recovery will seal. */
	if (rc == 0 && (count > verify->sum->segments || count +
	    verify->unsealed < verify->sum->segments))
		rc = verify_tell(verify, &where, PB_FLAW_SUMS, "the order of "
		    "age has %" PRIu64 " segments of %" PRIu64, count,
		    verify->sum->segments - verify->unsealed);
	return rc;
}

/* --- scratch ------------------------------------------------------------ */

/* Its names go at once: an end by a signal leaves nothing behind. */
static int
open_scratch(struct verify *verify, struct pb_err *err)
{
	const char *where = getenv("TMPDIR");
	char dir[PATH_MAX], path[PATH_MAX + 16];
	int rc = snprintf(dir, sizeof(dir), "%s/pb-verify-XXXXXX",
	    where != NULL && where[0] != '\0' ? where : "/tmp");

	if (rc < 0 || (size_t)rc >= sizeof(dir) || mkdtemp(dir) == NULL)
		return pb_err_sys(err, "make a directory %s", dir);
	/* Made here it needs no sync. */
	snprintf(path, sizeof(path), "%s/gaps", dir);
	rc = mkdir(path, 0700) < 0 ? pb_err_sys(err, "make %s", path) :
	    pb_index_open_named(&verify->scratch, dir, "gaps", SCRATCH_BYTES,
	    err);
	(void)rebuild_remove(path, NULL);
	rmdir(dir);
	return rc;
}
