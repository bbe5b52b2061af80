/*
 * recorder/store/retain/retain_delete.c - deleting what was chosen
 *
 *	journal    why the numbers will be missing; one without room is owed
 *	           (retain_journal.c)
 *	commit     rows go, gaps come, the files are doomed
 *	unlink     the segment and its flow tables; a sync of each directory
 *	...        with a later commit the doomed rows go
 *
 * A crash after the commit leaves doomed names: the next start deletes
 * them.  A name that cannot be deleted now is tried again at each run.
 */
#include "recorder/store/retain/retain_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "recorder/store/facts/journal.h"

#define FACTS_MAX	(3 * RETAIN_BATCH)

static int	unlink_files(const struct pb_retain *,
		    const struct pb_open_info *, char [static PATH_MAX],
		    struct pb_err *);
static int	write_journal(struct retain_run *, struct pb_err *);
static bool	is_first(const struct retain_run *, size_t);
static int	journal_stream(struct retain_run *, size_t, struct pb_err *);
static void	add_fact(struct pb_fact *, size_t *, struct pb_fact);
static int	commit_rows(struct retain_run *, struct pb_err *);
static int	work_off(struct pb_retain *, struct pb_index *,
		    struct pb_err *);
static int	forget_gone(struct pb_retain *, struct pb_index *,
		    struct pb_err *);
static void	del_gone(const struct pb_retain *, struct pb_mdb_txn *);
static void	sync_doomed(struct pb_retain *);
static void	drop_gone(struct pb_retain *);
static bool	same_stream(const struct retain_doomed *,
		    const struct retain_doomed *);
static bool	is_live(struct pb_index *, const struct pb_open_info *);
static void	log_deleted(const struct retain_victim *);
static void	count_deleted(struct retain_run *);

int
pb_retain_recover(struct pb_retain *retain, struct pb_index *index,
    struct pb_err *err)
{
	const struct pb_open_info *row;
	struct pb_rows rows;
	int rc = 0;

	retain->doomed_count = 0;
	retain->owing = (struct retain_owing){ .some = true };
	pb_rows_all(&rows, index, PB_TABLE_DOOMED, NULL, err);
	while (rc == 0 && retain->doomed_count < RETAIN_DOOMED &&
	    (row = pb_rows_next(&rows)) != NULL) {
		if (row->first_seq == 0)
			continue;
		/* A rotten row names no file; a live one's stays. */
		retain->doomed[retain->doomed_count++] =
		    (struct retain_doomed){ .file = *row,
		    .gone = row->key.node[0] == '\0' || is_live(index, row) };
		/* More than a crash leaves: where others have put rows. */
		if (retain->doomed_count == RETAIN_DOOMED)
			rc = work_off(retain, index, err);
	}
	if (rc == 0)
		rc = rows.rc < 0 ? rows.rc : work_off(retain, index, err);
	return rc;
}

/* Journals as well: all of them, once. */
static int
work_off(struct pb_retain *retain, struct pb_index *index, struct pb_err *err)
{
	do {
		retain->owing.again_ms = 0;
		retain_unlink(retain, index);
	} while (retain->owing.at.stream != 0);
	return retain->doomed_count == 0 ? 0 :
	    forget_gone(retain, index, err);
}

void
pb_retain_claim(struct pb_retain *retain, struct pb_mdb_txn *txn,
    uint32_t stream, uint64_t first_seq)
{
	pb_index_del(txn, PB_TABLE_DOOMED, stream, first_seq);
	for (size_t i = 0; i < retain->doomed_count; i++)
		if (retain->doomed[i].file.stream == stream &&
		    retain->doomed[i].file.first_seq == first_seq)
			retain->doomed[i] =
			    retain->doomed[--retain->doomed_count];
}

int
retain_delete(struct retain_run *run, struct pb_err *err)
{
	int rc = write_journal(run, err);

	/* On a full disk the journal waits until there is room. */
	if (rc < 0 && rc != PB_ENOSPC)
		return rc;
	rc = commit_rows(run, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < run->count; i++) {
		run->view->changed(run->view->arg, &run->victim[i].stream);
		log_deleted(&run->victim[i]);
	}
	count_deleted(run);
	retain_unlink(run->retain, run->view->index);
	return 0;
}

void
retain_unlink(struct pb_retain *retain, struct pb_index *index)
{
	char path[PATH_MAX];
	struct pb_err err;

	for (size_t i = 0; i < retain->doomed_count; i++) {
		struct retain_doomed *doomed = &retain->doomed[i];

		if (doomed->gone || doomed->unlinked)
			continue;
		doomed->unlinked = unlink_files(retain, &doomed->file, path,
		    &err) == 0;
		if (!doomed->unlinked) {
			pb_owner_explain(retain->store, path, &err);
			retain_trouble(retain, "cannot delete", &err);
		}
	}
	sync_doomed(retain);
	if (retain_write_journals(retain, index, &err) < 0)
		retain_trouble(retain, "a journal does not know yet what was "
		    "deleted", &err);
}

/* The segment and then its flow tables, which without it say nothing.
 * `path` is that which cannot be. */
static int
unlink_files(const struct pb_retain *retain, const struct pb_open_info *file,
    char path[static PATH_MAX], struct pb_err *err)
{
	int rc = pb_layout_segment(path, retain->store, &file->key,
	    file->first_seq, false, err);

	if (rc == 0 && pb_below_unlink(path) < 0 && errno != ENOENT)
		rc = pb_err_sys(err, "%s", path);
	if (rc == 0)
		rc = pb_layout_flows(path, retain->store, &file->key,
		    file->first_seq, err);
	if (rc == 0 && pb_below_unlink(path) < 0 && errno != ENOENT)
		rc = pb_err_sys(err, "%s", path);
	return rc;
}

/*
 * Why numbers are missing, for who builds the index anew.  A journal that has
 * no room holds up no other.
 */
static int
write_journal(struct retain_run *run, struct pb_err *err)
{
	struct pb_err one;
	int rc, failed = 0;

	for (size_t i = 0; i < run->count && (failed == 0 ||
	    failed == PB_ENOSPC); i++) {
		if (!is_first(run, i))
			continue;
		rc = journal_stream(run, i, &one);
		if (rc < 0 && (failed == 0 || rc != PB_ENOSPC)) {
			failed = rc;
			*err = one;
		}
	}
	return failed;
}

/* Of its stream, in the run. */
static bool
is_first(const struct retain_run *run, size_t at)
{
	size_t first = 0;

	while (run->victim[first].expiry.segment.stream !=
	    run->victim[at].expiry.segment.stream)
		first++;
	return first == at;
}

/* Of all victims of the stream of victim `first`, the first of them. */
static int
journal_stream(struct retain_run *run, size_t first, struct pb_err *err)
{
	static const struct { enum pb_fact_kind kind; enum pb_gap_reason why; }
	    says[PB_EXPIRY_PARTS] = {
		[PB_EXPIRY_ACKED] = { PB_FACT_EXPIRED, 0 },
		[PB_EXPIRY_RELEASED] = { PB_FACT_GAP, PB_GAP_DEAD_LETTERED },
		[PB_EXPIRY_LOST] = { PB_FACT_GAP, PB_GAP_EXPIRED },
	};
	const struct pb_expiry *head = &run->victim[first].expiry;
	struct pb_fact facts[FACTS_MAX];
	size_t count = 0;
	int rc;

	for (size_t i = first; i < run->count; i++) {
		const struct pb_expiry *e = &run->victim[i].expiry;
		struct pb_fact fact = { .time_ns = e->now_ns };

		if (e->segment.stream != head->segment.stream)
			continue;
		for (int part = 0; part < PB_EXPIRY_PARTS; part++) {
			fact.kind = says[part].kind;
			fact.reason = says[part].why;
			if (pb_expiry_part(e, (enum pb_expiry_part)part,
			    &fact.first, &fact.last))
				add_fact(facts, &count, fact);
		}
	}
	rc = pb_journal_append(run->retain->store, &head->key, facts, count,
	    err);
	run->victim[first].told = rc == 0;
	return rc;
}

/* One that goes on where the last one ended is a line with it. */
static void
add_fact(struct pb_fact *facts, size_t *count, struct pb_fact fact)
{
	struct pb_fact *last = *count > 0 ? &facts[*count - 1] : NULL;

	if (last != NULL && last->kind == fact.kind &&
	    last->reason == fact.reason && last->last + 1 == fact.first)
		last->last = fact.last;
	else
		facts[(*count)++] = fact;
}

static int
commit_rows(struct retain_run *run, struct pb_err *err)
{
	struct pb_retain *retain = run->retain;
	struct pb_mdb_txn txn;
	bool owes = false;
	int rc = pb_index_begin(run->view->index, &txn, err);

	if (rc < 0)
		return rc;
	del_gone(retain, &txn);
	for (size_t i = 0; i < run->count; i++) {
		pb_index_expire(&txn, &run->victim[i].expiry,
		    &run->victim[i].stream);
		if (!is_first(run, i) || run->victim[i].told)
			continue;
		retain_owe_journal(&txn, &run->victim[i].expiry);
		owes = true;
	}
	rc = pb_mdb_commit(&txn);
	if (rc < 0)
		return rc;
	retain->owing.some |= owes;
	retain->owing.more |= owes && retain->owing.at.stream != 0;
	drop_gone(retain);
	for (size_t i = 0; i < run->count; i++) {
		const struct pb_expiry *e = &run->victim[i].expiry;

		retain->doomed[retain->doomed_count++] =
		    (struct retain_doomed){ .file = { .key = e->key,
		    .stream = e->segment.stream,
		    .first_seq = e->segment.first_seq } };
	}
	return 0;
}

/* A commit for those whose files are gone, and nothing else. */
static int
forget_gone(struct pb_retain *retain, struct pb_index *index,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(index, &txn, err);

	if (rc < 0)
		return rc;
	del_gone(retain, &txn);
	rc = pb_mdb_commit(&txn);
	if (rc == 0)
		drop_gone(retain);
	return rc;
}

static void
del_gone(const struct pb_retain *retain, struct pb_mdb_txn *txn)
{
	for (size_t i = 0; i < retain->doomed_count; i++)
		if (retain->doomed[i].gone)
			pb_index_del(txn, PB_TABLE_DOOMED,
			    retain->doomed[i].file.stream,
			    retain->doomed[i].file.first_seq);
}

/* Each directory once. */
static void
sync_doomed(struct pb_retain *retain)
{
	char dir[PATH_MAX];
	struct pb_err err;
	int rc;

	for (size_t i = 0; i < retain->doomed_count; i++) {
		const struct retain_doomed *first = &retain->doomed[i];

		if (first->gone || !first->unlinked)
			continue;
		rc = pb_layout_stream(dir, retain->store, &first->file.key,
		    &err);
		if (rc == 0)
			rc = pb_sync_dir(dir, &err);
		if (rc < 0 && rc != PB_ENOENT) {
			retain_trouble(retain, "cannot delete", &err);
			continue;
		}
		for (size_t k = i; k < retain->doomed_count; k++)
			if (retain->doomed[k].unlinked &&
			    same_stream(&retain->doomed[k], first))
				retain->doomed[k].gone = true;
	}
}

/* Their rows went with a commit. */
static void
drop_gone(struct pb_retain *retain)
{
	size_t kept = 0;

	for (size_t i = 0; i < retain->doomed_count; i++)
		if (!retain->doomed[i].gone)
			retain->doomed[kept++] = retain->doomed[i];
	retain->doomed_count = kept;
}

static bool
same_stream(const struct retain_doomed *a, const struct retain_doomed *b)
{
	return a->file.stream == b->file.stream &&
	    a->file.key.epoch == b->file.key.epoch;
}

/* A segment of that name has been made since, or may have been. */
static bool
is_live(struct pb_index *index, const struct pb_open_info *doomed)
{
	struct pb_segment_info row;

	return pb_index_segment(index, doomed->stream, doomed->first_seq,
	    &row, NULL) != 0;
}

static void
log_deleted(const struct retain_victim *victim)
{
	static const struct { const char *name, *have, *bound; }
	    reason[RETAIN_REASONS] = {
		[RETAIN_BY_AGE] = { "age", "age_s", "retain_age_s" },
		[RETAIN_BY_SIZE] = { "size", "stored", "retain_size" },
		[RETAIN_BY_FREE] = { "free", "free", "min_free" },
	};
	static const char *const acked[] = {
		[RETAIN_ACKED] = "yes",
		[RETAIN_RELEASED] = "released",
		[RETAIN_UNACKED] = "no",
	};
	const struct pb_segment_info *row = &victim->expiry.segment;
	char name[PB_STREAM_NAME_MAX];

	pb_log(victim->class == RETAIN_UNACKED ? PB_LOG_WARN : PB_LOG_INFO,
	    "retention", "deleted stream=%s first=%" PRIu64 " last=%" PRIu64
	    " bytes=%" PRIu64 " reason=%s acked=%s %s=%" PRIu64 " %s=%" PRIu64,
	    pb_stream_name(name, &victim->expiry.key), row->first_seq,
	    row->last_seq, row->bytes, reason[victim->reason].name,
	    acked[victim->class], reason[victim->reason].have, victim->have,
	    reason[victim->reason].bound, victim->bound);
}

static void
count_deleted(struct retain_run *run)
{
	struct pb_retain_stats *stats = &run->retain->stats;
	uint64_t first, last;

	for (size_t i = 0; i < run->count; i++) {
		const struct pb_expiry *e = &run->victim[i].expiry;

		stats->deleted_segments++;
		stats->deleted_bytes += e->segment.bytes;
		stats->bytes -= e->segment.bytes;
		stats->segments--;
		if (pb_expiry_part(e, PB_EXPIRY_LOST, &first, &last))
			stats->expired_packets += last - first + 1;
	}
}
