/*
 * recorder/store/mend/repair.c - put right what verify finds
 */
#include "recorder/store/mend/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "base/sys.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/aside.h"
#include "recorder/store/mend/replay.h"
#include "recorder/store/mend/survey.h"

struct pb_repair {
	const struct pb_rebuild_opts *opts;
	struct pb_index	*index;		/* NULL: it cannot be read */
	/* What was found waits here: nothing is changed while verify still
	 * reads, and journals are written anew before facts are added. */
	FILE		*findings;
	uint64_t	 count;
	bool		 corrupt;	/* the index */
	struct pb_stream_key told;	/* the last segment said to be */
	uint64_t	 told_seq;	/* damaged; 0: none */
};

typedef int preparer(struct pb_repair *, const struct pb_finding *,
    struct pb_err *);

static preparer	rewrite, prepare;
static int	each_finding(struct pb_repair *, preparer *, struct pb_err *);
static int	damaged_gap(struct pb_repair *, const struct pb_finding *,
		    struct pb_err *);
static int	doubtful(struct pb_repair *, const struct pb_finding *,
		    struct pb_err *);
static int	extra(struct pb_repair *, const struct pb_finding *,
		    struct pb_err *);
static int	held_by(struct pb_repair *, const struct pb_finding *,
		    const struct pb_segment_info *, uint64_t *,
		    struct pb_err *);
static int	numbers_of(const char *, uint64_t, uint64_t *,
		    struct pb_err *);
static int	collect_facts(struct pb_index *, const struct pb_stream_info *,
		    struct pb_replay *, struct pb_err *);
static int	expired_facts(struct pb_index *, const struct pb_stream_info *,
		    struct pb_replay *, struct pb_err *);
static int	gap_facts(struct pb_index *, uint32_t, struct pb_replay *,
		    struct pb_err *);

int
pb_repair_create(struct pb_repair **out, const struct pb_rebuild_opts *opts,
    struct pb_err *err)
{
	struct pb_repair *repair = calloc(1, sizeof(*repair));

	*out = repair;
	if (repair == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	repair->opts = opts;
	repair->findings = tmpfile();
	if (repair->findings == NULL) {
		pb_repair_destroy(repair);
		*out = NULL;
		return pb_err_sys(err, "make a temporary file");
	}
	return 0;
}

void
pb_repair_destroy(struct pb_repair *repair)
{
	if (repair == NULL)
		return;
	if (repair->findings != NULL)
		fclose(repair->findings);
	pb_index_close(repair->index);
	free(repair);
}

int
pb_repair_note(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	struct pb_finding head = *finding;
	size_t path = strlen(finding->path) + 1;
	size_t text = strlen(finding->text) + 1;

	/* Names are short, room for them is not. */
	head.path_bytes = (uint16_t)path;
	head.text_bytes = (uint16_t)text;
	if (fwrite(&head, offsetof(struct pb_finding, path), 1,
	    repair->findings) != 1 ||
	    fwrite(finding->path, path, 1, repair->findings) != 1 ||
	    fwrite(finding->text, text, 1, repair->findings) != 1)
		return pb_err_sys(err, "write a temporary file");
	repair->count++;
	repair->corrupt |= finding->flaw == PB_FLAW_INDEX;
	return 0;
}

int
pb_repair_finish(struct pb_repair *repair, struct pb_rebuild_sum *sum,
    struct pb_err *err)
{
	int rc = 0;

	memset(sum, 0, sizeof(*sum));
	if (repair->count == 0)
		return 0;
	/* What could not be read was not verified either. */
	if (!repair->corrupt)
		rc = pb_index_open(&repair->index, repair->opts->store, err);
	if (rc == 0 && !repair->corrupt)
		rc = pb_repair_owed(repair->index, repair->opts->store, err);
	if (rc == 0 && !repair->corrupt)
		rc = each_finding(repair, rewrite, err);
	if (rc == 0 && !repair->corrupt)
		rc = each_finding(repair, prepare, err);
	pb_index_close(repair->index);
	repair->index = NULL;
	return rc < 0 ? rc : pb_rebuild(repair->opts, sum, err);
}

static int
each_finding(struct pb_repair *repair, preparer *each, struct pb_err *err)
{
	struct pb_finding finding;
	int rc = 0;

	rewind(repair->findings);
	for (uint64_t i = 0; rc == 0 && i < repair->count; i++) {
		if (fread(&finding, offsetof(struct pb_finding, path), 1,
		    repair->findings) != 1 || fread(finding.path,
		    finding.path_bytes, 1, repair->findings) != 1 ||
		    fread(finding.text, finding.text_bytes, 1,
		    repair->findings) != 1)
			return pb_err_sys(err, "read a temporary file");
		rc = each(repair, &finding, err);
	}
	return rc;
}

static int
prepare(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	switch (finding->flaw) {
	case PB_FLAW_MISSING:
	case PB_FLAW_SIZE:
	case PB_FLAW_HEADER:
	case PB_FLAW_BLOCK:
		return damaged_gap(repair, finding, err);
	case PB_FLAW_DIGEST:
		return doubtful(repair, finding, err);
	case PB_FLAW_EXTRA:
		return extra(repair, finding, err);
	case PB_FLAW_LEFTOVER:	/* rebuilding brings it to its end */
	case PB_FLAW_FLOWS:
	case PB_FLAW_JOURNAL:
	case PB_FLAW_GAP:
	case PB_FLAW_INDEX:
	case PB_FLAW_ROW:
	case PB_FLAW_HOLE:
	case PB_FLAW_SUMS:
		break;
	}
	return 0;
}

/* --- one finding -------------------------------------------------------- */

/*
 * All numbers of the segment are said to be damaged; rebuilding takes that
 * back for those that it finds whole.  So the ones at the segment's end
 * are not forgotten where they were the stream's last.
 */
static int
damaged_gap(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	struct pb_fact fact = { .kind = PB_FACT_GAP,
	    .reason = PB_GAP_DAMAGED,
	    .time_ns = pb_below_now_ns(repair->opts->store) };
	struct pb_segment_info rows[2];
	struct pb_stream_info stream;
	int rc = pb_index_stream(repair->index, &finding->key, &stream, err);

	if (rc == 1)
		rc = pb_index_rows_of(repair->index, PB_TABLE_SEGMENTS,
		    stream.id, finding->segment_seq, rows, 2, err);
	/* The row may be rotten as well: no number that was never given. */
	if (rc <= 0 || rows[0].first_seq != finding->segment_seq)
		return rc < 0 ? rc : 0;
	fact.first = rows[0].first_seq;
	fact.last = rows[0].last_seq;
	if (fact.last > stream.last_seq)
		fact.last = stream.last_seq;
	if (rc == 2 && fact.last >= rows[1].first_seq)
		fact.last = rows[1].first_seq - 1;
	/* One fact does for all that was found in a segment. */
	if (fact.last < fact.first || (repair->told_seq == fact.first &&
	    memcmp(&repair->told, &finding->key, sizeof(finding->key)) == 0))
		return 0;
	repair->told = finding->key;
	repair->told_seq = fact.first;
	return pb_journal_append(repair->opts->store, &finding->key, &fact, 1,
	    err);
}

/* The blocks are whole and stay; a copy of the file goes aside. */
static int
doubtful(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	char note[sizeof(finding->text) + 64], aside[PATH_MAX];
	int rc;

	snprintf(note, sizeof(note), "kept, and doubtful: %s", finding->text);
	rc = pb_aside_link(repair->opts->store, &finding->key,
	    finding->segment_seq, finding->path, note, aside, err);
	if (rc == 0)
		pb_log(PB_LOG_WARN, "repair", "%s file=%s aside=%s", note,
		    finding->path, aside);
	return rc;
}

/*
 * A file whose numbers another segment has as well is not taken in.  What
 * that one's row says does not count, but what its file holds: of a repair
 * that was cut short the row may be from before.
 */
static int
extra(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	struct pb_segment_info row;
	struct pb_stream_info stream;
	char aside[PATH_MAX];
	uint64_t last = 0, held = 0;
	int rc = pb_index_stream(repair->index, &finding->key, &stream, err);

	if (rc <= 0 || pb_below_look(finding->path) < 0)
		return rc < 0 ? rc : 0;	/* all of the stream is taken in */
	rc = numbers_of(finding->path, finding->segment_seq, &last, err);
	if (rc == 0)
		rc = pb_index_rows_of(repair->index, PB_TABLE_SEGMENTS,
		    stream.id, finding->segment_seq, &row, 1, err);
	if (rc <= 0 || row.first_seq > last)
		return rc < 0 ? rc : 0;
	rc = held_by(repair, finding, &row, &held, err);
	if (rc < 0 || held < finding->segment_seq)
		return rc;
	rc = pb_aside_move(repair->opts->store, &finding->key,
	    finding->segment_seq, finding->path,
	    "its numbers are in another segment as well", aside, err);
	if (rc == 0)
		pb_log(PB_LOG_WARN, "repair", "its numbers are in another "
		    "segment as well file=%s aside=%s", finding->path, aside);
	return rc;
}

/* The last number that the row's file holds; 0 where it is gone. */
static int
held_by(struct pb_repair *repair, const struct pb_finding *finding,
    const struct pb_segment_info *row, uint64_t *last, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc = pb_layout_segment(path, repair->opts->store, &finding->key,
	    row->first_seq, !row->sealed, err);

	*last = 0;
	if (rc < 0 || strcmp(path, finding->path) == 0 ||
	    pb_below_look(path) < 0)
		return rc;
	return numbers_of(path, row->first_seq, last, err);
}

/* The last number that the file holds without a break from its first on;
 * the one before its first if none. */
static int
numbers_of(const char *path, uint64_t first, uint64_t *last,
    struct pb_err *err)
{
	struct pb_survey survey;
	struct pb_head *head = NULL;
	uint64_t digest;
	size_t bytes = 0;
	int fd = pb_below_open(path, O_RDONLY, 0), rc;

	if (fd < 0)
		return pb_err_sys(err, "open %s", path);
	pb_survey_init(&survey);
	survey.segment.first_seq = first;
	survey.segment.last_seq = first - 1;
	rc = pb_survey_head(fd, &head, &bytes, &digest, err);
	pb_head_unref(head);
	if (rc == 0)
		rc = pb_survey_read(&survey, fd, bytes, INT64_MAX, err);
	*last = survey.segment.last_seq;
	pb_survey_finish(&survey);
	pb_file_close(fd);
	return rc == PB_EFORMAT ? 0 : rc;
}

static int
rewrite(struct pb_repair *repair, const struct pb_finding *finding,
    struct pb_err *err)
{
	struct pb_stream_info stream;
	int rc = finding->flaw != PB_FLAW_JOURNAL ? 0 :
	    pb_index_stream(repair->index, &finding->key, &stream, err);

	return rc <= 0 ? rc : pb_repair_journal(repair->index,
	    repair->opts->store, &stream, err);
}

/* --- a journal from the index ------------------------------------------- */

int
pb_repair_owed(struct pb_index *index, const char *store, struct pb_err *err)
{
	const struct pb_open_info *row;
	struct pb_stream_info stream;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_all(&rows, index, PB_TABLE_DOOMED, NULL, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL) {
		if (row->first_seq != 0 || row->key.node[0] == '\0')
			continue;
		/* Of a rotten row nothing can be told. */
		if (pb_index_stream(index, &row->key, &stream, err) == 1)
			rc = pb_repair_journal(index, store, &stream, err);
	}
	return rc < 0 ? rc : rows.rc;
}

int
pb_repair_journal(struct pb_index *index, const char *store,
    const struct pb_stream_info *stream, struct pb_err *err)
{
	struct pb_replay facts = { .store = store };
	int rc = collect_facts(index, stream, &facts, err);

	if (rc == 0)
		rc = pb_journal_replace(store, &stream->key, facts.facts,
		    facts.count, err);
	pb_replay_finish(&facts);
	return rc;
}

static int
collect_facts(struct pb_index *index, const struct pb_stream_info *stream,
    struct pb_replay *facts, struct pb_err *err)
{
	struct pb_fact row = pb_fact_of_stream(stream);
	int rc = pb_replay_add(facts, &row) ? 0 : pb_err_set(err, PB_ENOMEM,
	    "no memory");

	if (rc == 0)
		rc = expired_facts(index, stream, facts, err);
	return rc < 0 ? rc : gap_facts(index, stream->id, facts, err);
}

/* What is neither held nor a gap was deleted on purpose. */
static int
expired_facts(struct pb_index *index, const struct pb_stream_info *stream,
    struct pb_replay *facts, struct pb_err *err)
{
	struct pb_fact fact = { .kind = PB_FACT_EXPIRED,
	    .time_ns = pb_below_now_ns(facts->store) };
	struct pb_runs held = { NULL, 0, 0 }, known = { NULL, 0, 0 };
	struct pb_holes holes = { .runs = &known, .next = 1,
	    .end = stream->last_seq };
	struct pb_run hole;
	int rc = pb_known_held(index, stream->id, &held, err);

	if (rc == 0)
		rc = pb_known(index, stream->id, &held, NULL, &known, err);
	while (rc >= 0 && pb_holes_next(&holes, &hole)) {
		fact.first = hole.first;
		fact.last = hole.last;
		if (!pb_replay_add(facts, &fact))
			rc = pb_err_set(err, PB_ENOMEM, "no memory");
	}
	free(held.at);
	free(known.at);
	return rc;
}

static int
gap_facts(struct pb_index *index, uint32_t stream, struct pb_replay *facts,
    struct pb_err *err)
{
	const struct pb_gap_info *row;
	struct pb_rows rows;
	bool fits = true;

	pb_rows_of(&rows, index, PB_TABLE_GAPS, stream, 1, err);
	while ((row = pb_rows_next(&rows)) != NULL) {
		struct pb_fact fact = pb_fact_of_gap(row);

		fits &= pb_replay_add(facts, &fact);
		fact.kind = PB_FACT_FILL;
		fact.time_ns = row->closed_ns;
		if (row->closed_ns != 0)
			fits &= pb_replay_add(facts, &fact);
	}
	if (rows.rc == 0 && !fits)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	return rows.rc;
}
