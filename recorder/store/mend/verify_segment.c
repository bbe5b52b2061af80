/*
 * recorder/store/mend/verify_segment.c - one file and its rows
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/option.h"
#include "recorder/store/read/segment_file.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/mend/verify_impl.h"

/* One segment being verified. */
struct check {
	struct verify	*verify;
	struct verify_stream *stream;
	const struct pb_segment_info *row;
	struct pb_finding where;
	struct pb_survey survey;	/* what the file says so far */
	uint64_t	 next_offset;	/* of the next extent */
	bool		 damaged;	/* its sums need not be right */
	bool		 bad_head;	/* which has been told */
	uint64_t	 told_drops;	/* as the packets have them */
	uint64_t	 dropped;	/* as the index has it */
	int		 fd;
};

static int	check_segment(struct check *, struct pb_err *);
static int	check_file(struct check *, struct pb_err *);
static int	check_head(struct check *, struct pb_err *);
static int	check_header_digest(struct check *, uint64_t, struct pb_err *);
static int	check_extents(struct check *, struct pb_err *);
static int	check_extent(struct check *, const struct pb_extent_info *,
		    struct pb_err *);
static int	judge_extent(struct check *, const struct pb_extent_info *,
		    const struct pb_extent_info *);
static int	check_sums(struct check *);
static int	check_drops(struct check *, struct pb_err *);

int
verify_segment(struct verify_stream *stream,
    const struct pb_segment_info *row, struct pb_err *err)
{
	struct verify *verify = stream->verify;
	struct check check = { .verify = verify, .stream = stream,
	    .row = row };
	int rc;

	pb_survey_init(&check.survey);
	check.survey.segment.first_seq = row->first_seq;
	check.survey.one_extent = true;
	rc = check_segment(&check, err);
	pb_survey_finish(&check.survey);
	if (stream->first_seq == 0)
		stream->first_seq = row->first_seq;
	stream->packets += row->packets;
	stream->bytes += row->packet_bytes;
	stream->dropped += check.dropped;
	verify->sum->segments++;
	verify->unsealed += !row->sealed;
	verify->sum->packets += row->packets;
	verify->sum->bytes += row->bytes;
	return rc;
}

static int
check_segment(struct check *check, struct pb_err *err)
{
	const struct pb_segment_info *row = check->row;
	const struct pb_stream_info *info = &check->stream->info;
	const char *store = check->verify->opts->store;
	int rc = pb_layout_segment(check->where.path, store, &info->key,
	    row->first_seq, !row->sealed, err);

	if (rc < 0)
		return rc;
	check->where.key = info->key;
	check->where.segment_seq = row->first_seq;
	check->fd = pb_segment_open_file(store, &info->key, row->first_seq,
	    err);
	if (check->fd == PB_ENOENT) {
		check->where.first = row->first_seq;
		check->where.last = row->last_seq;
		check->damaged = true;
		rc = verify_tell(check->verify, &check->where, PB_FLAW_MISSING,
		    "the index has %" PRIu64
		    " packets of it and there is no file", row->packets);
		return rc != 0 ? rc : check_drops(check, err);
	}
	if (check->fd < 0)
		return check->fd;
	pb_file_advise(check->fd, POSIX_FADV_SEQUENTIAL);
	rc = check_file(check, err);
	/* What was read here is not worth room that capture could use. */
	pb_file_advise(check->fd, POSIX_FADV_DONTNEED);
	pb_file_close(check->fd);
	return rc;
}

static int
check_file(struct check *check, struct pb_err *err)
{
	const struct pb_segment_info *row = check->row;
	struct stat st;
	int rc = 0;

	if (pb_file_stat(check->fd, &st) < 0)
		return pb_err_sys(err, "look at %s", check->where.path);
	if ((uint64_t)st.st_size < row->bytes ||
	    ((uint64_t)st.st_size > row->bytes && row->sealed)) {
		check->damaged = true;
		check->where.offset = (uint64_t)st.st_size < row->bytes ?
		    (uint64_t)st.st_size : row->bytes;
		rc = verify_tell(check->verify, &check->where, PB_FLAW_SIZE,
		    "it has %lld bytes, the index says %" PRIu64,
		    (long long)st.st_size, row->bytes);
	}
	if (rc == 0 && row->sealed && row->sealed_at == 0)
		rc = verify_tell(check->verify, &check->where, PB_FLAW_ROW,
		    "the index does not say when it was sealed");
	if (rc == 0)
		rc = check_head(check, err);
	if (rc == 0)
		rc = check_extents(check, err);
	if (rc == 0 && !check->damaged)
		rc = check_sums(check);
	if (rc == 0)
		rc = check_drops(check, err);
	return rc;
}

static int
check_head(struct check *check, struct pb_err *err)
{
	const struct pb_stream_info *info = &check->stream->info;
	struct pb_head *head = NULL;
	uint64_t digest;
	size_t bytes = 0;
	int rc = pb_survey_head(check->fd, &head, &bytes, &digest, err);
	bool fits = rc == 0 && pb_head_fits(head, &info->key, info->linktype,
	    check->row->first_seq);

	pb_head_unref(head);
	check->where.offset = 0;
	check->where.bytes = check->row->header_bytes;
	if (rc < 0 && rc != PB_EFORMAT)
		return rc;
	check->bad_head = rc == PB_EFORMAT || !fits;
	if (rc == PB_EFORMAT)
		return verify_tell(check->verify, &check->where, PB_FLAW_HEADER,
		    "its section and interface cannot be read: %.150s",
		    err->text);
	if (!fits)
		return verify_tell(check->verify, &check->where, PB_FLAW_HEADER,
		    "it says it is another stream's or begins with another "
		    "number");
	if (bytes != check->row->header_bytes)
		return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
		    "its header has %zu bytes, the index says %" PRIu32, bytes,
		    check->row->header_bytes);
	return 0;
}

/* All that stands before the first extent. */
static int
check_header_digest(struct check *check, uint64_t bytes, struct pb_err *err)
{
	uint64_t digest;
	int rc;

	if (check->bad_head)
		return 0;
	check->where.offset = 0;
	check->where.bytes = bytes;
	if (bytes > PB_SURVEY_EXTENT_MAX)
		return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
		    "the index says its first extent is at %" PRIu64, bytes);
	rc = pb_survey_digest(check->fd, bytes, &digest, err);
	if (rc < 0 || (rc == 1 && digest == check->row->header_digest))
		return rc < 0 ? rc : 0;
	return verify_tell(check->verify, &check->where, PB_FLAW_HEADER,
	    "its header does not match its digest");
}

static int
check_extents(struct check *check, struct pb_err *err)
{
	const struct pb_segment_info *row = check->row;
	struct verify *verify = check->verify;
	const struct pb_extent_info *extent;
	uint64_t from = row->first_seq;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_of(&rows, verify->index, PB_TABLE_EXTENTS, row->stream, from,
	    err);
	while (rc == 0 && (extent = pb_rows_next(&rows)) != NULL &&
	    extent->first_seq <= row->last_seq) {
		/* It has grown since: what the segment's row says is looked
		 * at, no more. */
		if (!verify->opts->alone && !row->sealed &&
		    extent->offset + extent->bytes > row->bytes) {
			check->damaged = true;
			from = row->last_seq + 1;
			break;
		}
		rc = check_extent(check, extent, err);
		from = pb_runs_next(from, extent->first_seq,
		    extent->last_seq);
	}
	if (rc == 0)
		rc = rows.rc;
	if (rc != 0 || (from > row->last_seq &&
	    (check->damaged || check->next_offset == row->bytes)))
		return rc;
	check->where.offset = check->next_offset;
	check->where.first = from <= row->last_seq ? from : 0;
	check->where.last = from <= row->last_seq ? row->last_seq : 0;
	check->damaged = true;
	return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
	    "the index has no extent for the rest of it");
}

static int
check_extent(struct check *check, const struct pb_extent_info *extent,
    struct pb_err *err)
{
	static const struct pb_extent_info none;
	struct verify *verify = check->verify;
	struct pb_survey *survey = &check->survey;
	int rc = 0;

	if (check->next_offset == 0) {
		rc = check_header_digest(check, extent->offset, err);
		check->next_offset = extent->offset;
	}
	if (rc != 0)
		return rc;
	check->where.offset = extent->offset;
	check->where.bytes = extent->bytes;
	check->where.first = extent->first_seq;
	check->where.last = extent->last_seq;
	if (extent->offset != check->next_offset ||
	    extent->segment_seq != check->row->first_seq ||
	    extent->bytes > PB_SURVEY_EXTENT_MAX) {
		check->damaged = true;
		return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
		    "the index says an extent is at %" PRIu64 " of segment %"
		    PRIu64 " with %" PRIu32 " bytes, where %" PRIu64
		    " is expected", extent->offset, extent->segment_seq,
		    extent->bytes, check->next_offset);
	}
	check->next_offset += extent->bytes;
	pb_survey_reset(survey);
	survey->segment.last_seq = extent->first_seq - 1;
	rc = pb_survey_read(survey, check->fd, extent->offset,
	    extent->offset + extent->bytes, err);
	if (rc < 0)
		return pb_err_prefix(err, rc, "%s", check->where.path);
	check->told_drops += survey->dropped;
	verify->done += extent->bytes;
	if (verify->opts->progress != NULL)
		verify->opts->progress(verify->opts->arg, verify->done,
		    verify->all);
	return judge_extent(check, extent, survey->count > 0 ?
	    &survey->extents[0] : &none);
}

/* What the index says of an extent, and what was read of it. */
static int
judge_extent(struct check *check, const struct pb_extent_info *extent,
    const struct pb_extent_info *read)
{
	const struct pb_survey *survey = &check->survey;
	bool whole = survey->good == check->next_offset;

	if (whole && !survey->unread && read->digest == extent->digest &&
	    read->first_seq == extent->first_seq &&
	    read->last_seq == extent->last_seq &&
	    read->first_time == extent->first_time &&
	    read->last_time == extent->last_time)
		return 0;
	check->damaged = true;
	if (survey->unread)
		return verify_tell(check->verify, &check->where, PB_FLAW_BLOCK,
		    "packets %" PRIu64 " to %"
		    PRIu64 " cannot be read: read %" PRIu32 " bytes at %"
		    PRIu64 ": %s", extent->first_seq, extent->last_seq,
		    extent->bytes, extent->offset, strerror(EIO));
	if (whole && read->digest != extent->digest)
		return verify_tell(check->verify, &check->where, PB_FLAW_DIGEST,
		    "packets %" PRIu64 " to %" PRIu64 " do not match their "
		    "digest", extent->first_seq, extent->last_seq);
	if (whole)
		return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
		    "the extent holds packets %" PRIu64 " to %" PRIu64 ", the "
		    "index says otherwise, or other times", read->first_seq,
		    read->last_seq);
	check->where.offset = survey->good;
	check->where.bytes = check->next_offset - survey->good;
	return verify_tell(check->verify, &check->where, PB_FLAW_BLOCK,
	    "%s at offset %" PRIu64 ", in packets %" PRIu64 " to %" PRIu64,
	    survey->why != NULL ? survey->why : "the file ends",
	    check->where.offset, extent->first_seq, extent->last_seq);
}

static int
check_sums(struct check *check)
{
	const struct pb_segment_info *row = check->row;
	const struct pb_segment_info *sum = &check->survey.segment;

	if (sum->packets == row->packets && sum->last_seq == row->last_seq &&
	    sum->packet_bytes == row->packet_bytes &&
	    sum->first_time == row->first_time &&
	    sum->last_time == row->last_time)
		return 0;
	check->where.offset = check->where.bytes = 0;
	check->where.first = row->first_seq;
	check->where.last = row->last_seq;
	return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
	    "it holds %" PRIu64 " packets with %" PRIu64 " bytes up to %"
	    PRIu64 ", the index says %" PRIu64 " with %" PRIu64 " up to %"
	    PRIu64 ", or other times", sum->packets, sum->packet_bytes,
	    sum->last_seq, row->packets, row->packet_bytes, row->last_seq);
}

static int
check_drops(struct check *check, struct pb_err *err)
{
	const struct pb_segment_info *row = check->row;
	const struct pb_drop_info *drop;
	struct pb_rows rows;
	uint64_t sum = 0;

	pb_rows_of(&rows, check->verify->index, PB_TABLE_DROPS, row->stream,
	    row->first_seq, err);
	while ((drop = pb_rows_next(&rows)) != NULL &&
	    drop->seq <= row->last_seq)
		sum += drop->count;
	if (rows.rc < 0)
		return rows.rc;
	check->dropped = sum;
	if (check->damaged || sum == check->told_drops)
		return 0;
	check->where.offset = check->where.bytes = 0;
	return verify_tell(check->verify, &check->where, PB_FLAW_ROW,
	    "its packets tell of %" PRIu64 " drops, the index of %" PRIu64,
	    check->told_drops, sum);
}
