/*
 * shipper/letters/letters_demote.c - from numbers that wait to dead letters
 *
 *	plan    what the store has of them, a letter a segment
 *	intend  the files are listed in table `files`, committed
 *	link    they are made, their directory is synced
 *	keep    the letters' rows are committed, those of `files` deleted
 *
 * A crash anywhere leaves the rows of `files` and, at worst, links that
 * no letter needs: the next open deletes them.
 */
#include "shipper/letters/letters_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "shipper/state/recorded.h"

/* Letters and gaps that one call passes over. */
#define STEPS_MAX	(4u * PB_LETTERS_BATCH)
/* Requeued letters that one call takes back, a commit each. */
#define BACK_MAX	16u

struct plan {
	struct pb_letters *letters;
	struct pb_index	*index;
	const struct pb_demotion *why;
	uint64_t	 from;		/* all before it is seen to */
	uint64_t	 last;
	unsigned	 back;		/* taken back */
	size_t		 count;
	struct pb_letter letter[PB_LETTERS_BATCH];
	struct pb_extent_info extent;	/* at `from` */
};

static int	step(struct plan *, struct pb_err *);
static int	in_store(struct plan *, uint64_t, struct pb_err *);
static int	run_of(struct plan *, uint64_t *, struct pb_err *);
static void	write_letter(const struct plan *,
		    const struct pb_segment_info *, struct pb_letter *);
static int	link_all(void *, struct pb_err *);
static int	keep(void *, struct pb_err *);
static int	demote(struct pb_letters *, struct pb_index *,
		    const struct pb_demotion *, uint64_t *, struct pb_err *);
static int	drop_late(struct plan *, struct pb_err *);

int
pb_letters_demote(struct pb_letters *letters, struct pb_index *index,
    const struct pb_demotion *demotion, uint64_t *done, struct pb_err *err)
{
	int rc;

	pb_state_hold(letters->state);
	rc = demote(letters, index, demotion, done, err);
	pb_state_release(letters->state);
	return rc;
}

static int
demote(struct pb_letters *letters, struct pb_index *index,
    const struct pb_demotion *demotion, uint64_t *done, struct pb_err *err)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	unsigned steps = 0;
	int rc = 0;

	/* Files are made between two commits. */
	assert(!pb_state_is_mine(letters->state));
	*done = demotion->first - 1;
	if (plan == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	plan->letters = letters;
	plan->index = index;
	plan->why = demotion;
	plan->from = demotion->first;
	plan->last = demotion->last < demotion->stream->last_seq ?
	    demotion->last : demotion->stream->last_seq;
	rc = drop_late(plan, err);
	while (rc == 0 && plan->from <= plan->last &&
	    plan->count < PB_LETTERS_BATCH && plan->back < BACK_MAX &&
	    steps++ < STEPS_MAX)
		rc = step(plan, err);
	if (rc == 0 && plan->count > 0)
		rc = pb_letters_make(letters, plan->letter, plan->count,
		    link_all, keep, plan, err);
	if (rc == 0)
		*done = plan->from <= plan->last ? plan->from - 1 :
		    plan->last;
	free(plan);
	return rc;
}

/* --- plan --------------------------------------------------------------- */

/*
 * What came late and is now to be a dead letter needs a file of its own.
 * Such letters are few; mostly the upstream has none that is to be sent.
 */
static int
drop_late(struct plan *plan, struct pb_err *err)
{
	const struct pb_demotion *why = plan->why;
	struct pb_letters_total total;
	struct pb_letters_txn t;
	struct pb_letter letter;
	uint64_t from = why->first;
	int rc = pb_letters_total(plan->letters, why->upstream, &total, err);

	if (rc < 0 || total.requeued == 0)
		return rc;
	pb_letters_begin(&t, plan->letters, true, err);
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		if (pb_letters_seek(&t, why->upstream, &why->stream->key,
		    from, &letter) != 1 || letter.first > why->last)
			break;
		if (letter.state == PB_LETTER_LATE)
			pb_letters_cut(&t, &letter, from > letter.first ?
			    from : letter.first, why->last);
		from = letter.last + 1;
	}
	return pb_letters_end(&t, err);
}

/* One letter more, or one thing passed over. */
static int
step(struct plan *plan, struct pb_err *err)
{
	struct pb_letter have;
	uint64_t last = plan->last;
	int rc;

	rc = pb_letters_find(plan->letters, plan->why->upstream,
	    &plan->why->stream->key, plan->from, &have, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && have.first <= plan->from) {
		/* It waited in vain, and would hold up what is fresh. */
		rc = have.state != PB_LETTER_REQUEUED ? 0 :
		    pb_letters_refused(plan->letters, plan->why->upstream,
		    &plan->why->stream->key, plan->from, plan->why, err);
		plan->back += have.state == PB_LETTER_REQUEUED;
		plan->from = have.last + 1;
		return rc;
	}
	if (rc == 1 && have.first <= last)
		last = have.first - 1;
	return in_store(plan, last, err);
}

/* What the store has at plan->from, up to `last`. */
static int
in_store(struct plan *plan, uint64_t last, struct pb_err *err)
{
	const struct pb_stream_info *stream = plan->why->stream;
	struct pb_segment_info segment;
	struct pb_letter *letter;
	struct pb_gap_info gap;
	int rc;

	rc = pb_index_rows_of(plan->index, PB_TABLE_EXTENTS, stream->id,
	    plan->from, &plan->extent, 1, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || plan->extent.first_seq > plan->from) {
		if (rc == 1 && plan->extent.first_seq <= last)
			last = plan->extent.first_seq - 1;
		plan->from = last + 1;
		return 0;
	}
	rc = pb_recorded_gap(plan->index, stream->id, plan->from, last,
	    &gap, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && gap.first <= plan->from) {
		plan->from = (gap.last < last ? gap.last : last) + 1;
		return 0;
	}
	if (rc == 1)
		last = gap.first - 1;
	rc = pb_recorded_segment(plan->index, &plan->extent, &segment, err);
	if (rc == PB_ENOENT) {
		/* It expires right now: a gap. */
		plan->from = plan->extent.last_seq + 1;
		return 0;
	}
	if (rc < 0)
		return rc;
	letter = &plan->letter[plan->count];
	write_letter(plan, &segment, letter);
	rc = run_of(plan, &last, err);
	if (rc < 0)
		return rc;
	letter->last = last;
	plan->count++;
	plan->from = last + 1;
	return 0;
}

/* How far the numbers from plan->from on follow each other within its
 * segment, `*last` at most. */
static int
run_of(struct plan *plan, uint64_t *last, struct pb_err *err)
{
	uint64_t segment_seq = plan->extent.segment_seq, to = plan->from;
	const struct pb_extent_info *extent;
	struct pb_rows rows;

	pb_rows_of(&rows, plan->index, PB_TABLE_EXTENTS, plan->why->stream->id,
	    to, err);
	while (to <= *last && (extent = pb_rows_next(&rows)) != NULL &&
	    extent->segment_seq == segment_seq && extent->first_seq <= to)
		to = extent->last_seq + 1;
	if (rows.rc == 0 && to <= *last)
		*last = to - 1;
	return rows.rc;
}

/* All but its last number: what begins at plan->from, in its extent. */
static void
write_letter(const struct plan *plan, const struct pb_segment_info *segment,
    struct pb_letter *out)
{
	const struct pb_demotion *why = plan->why;

	*out = (struct pb_letter){ .key = why->stream->key,
	    .first = plan->from, .state = PB_LETTER_DEAD,
	    .reason = why->reason, .status = why->status,
	    .attempts = why->attempts, .since_ns = why->now_ns,
	    .since_at = pb_age_key(why->age_ms),
	    .segment_seq = segment->first_seq,
	    .header_bytes = segment->header_bytes,
	    .offset = plan->extent.offset,
	    .linktype = why->stream->linktype };
	snprintf(out->upstream, sizeof(out->upstream), "%s", why->upstream);
	snprintf(out->error, sizeof(out->error), "%s",
	    why->error != NULL ? why->error : "");
}

/* --- files and rows ----------------------------------------------------- */

/* Letters whose segment has expired meanwhile are dropped from the plan:
 * the store has a gap there now, with its reason. */
static int
link_all(void *arg, struct pb_err *err)
{
	struct plan *plan = arg;
	char dir[PATH_MAX];
	size_t linked = 0;
	int rc;

	rc = pb_letters_dir(dir, plan->letters->store, plan->why->upstream,
	    &plan->why->stream->key, err);
	if (rc == 0)
		rc = pb_mkdirs(dir, err);
	for (size_t i = 0; i < plan->count && rc == 0; i++) {
		rc = pb_letters_link(plan->letters, &plan->letter[i], err);
		if (rc == 1)
			plan->letter[linked++] = plan->letter[i];
		rc = rc < 0 ? rc : 0;
	}
	plan->count = linked;
	if (rc == 0 && linked > 0)
		rc = pb_sync_dir(dir, err);
	return rc;
}

/* The transaction's end settles what was listed and not made. */
static int
keep(void *arg, struct pb_err *err)
{
	struct plan *plan = arg;
	struct pb_letters_txn t;

	pb_letters_begin(&t, plan->letters, true, err);
	for (size_t i = 0; i < plan->count; i++)
		pb_letters_put(&t, &plan->letter[i]);
	return pb_letters_end(&t, err);
}
