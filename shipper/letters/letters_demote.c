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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/store/read/recorded.h"

/* Letters and gaps that one call passes over. */
#define STEPS_MAX	(4u * PB_LETTERS_BATCH)

struct plan {
	struct pb_letters *letters;
	struct pb_index	*index;
	const struct pb_demotion *why;
	uint64_t	 from;		/* all before it is seen to */
	uint64_t	 last;
	bool		 others;	/* letters there that are to go */
	size_t		 count;
	struct pb_letter letter[PB_LETTERS_BATCH];
	bool		 made[PB_LETTERS_BATCH];
	struct pb_extent_info extent;	/* at `from` */
};

static int	step(struct plan *, struct pb_err *);
static int	in_store(struct plan *, uint64_t, struct pb_err *);
static int	run_of(struct plan *, uint64_t *, struct pb_err *);
static void	write_letter(const struct plan *,
		    const struct pb_segment_info *, struct pb_letter *);
static int	link_one(void *, size_t, struct pb_err *);
static int	keep(struct plan *, uint64_t, struct pb_err *);
static void	give_up(struct pb_mdb_txn *, const struct pb_demotion *,
		    uint64_t);
static void	set_error(struct pb_letter *, const struct pb_demotion *);

int
pb_letters_demote(struct pb_letters *letters, struct pb_index *index,
    const struct pb_demotion *demotion, uint64_t *done, struct pb_err *err)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct pb_err later;
	unsigned steps = 0;
	uint64_t end;
	int rc = 0;

	*done = demotion->dead.first - 1;
	if (plan == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	plan->letters = letters;
	plan->index = index;
	plan->why = demotion;
	plan->from = demotion->dead.first;
	plan->last = demotion->dead.last < demotion->stream->last_seq ?
	    demotion->dead.last : demotion->stream->last_seq;
	while (rc == 0 && plan->from <= plan->last &&
	    plan->count < PB_LETTERS_BATCH && steps++ < STEPS_MAX)
		rc = step(plan, err);
	end = plan->from <= plan->last ? plan->from - 1 : plan->last;
	if (rc == 0 && plan->count > 0)
		rc = pb_letters_make(letters, plan->letter, plan->made,
		    plan->count, link_one, plan, err);
	if (rc == 0 && (plan->count > 0 || plan->others))
		rc = keep(plan, end, err);
	if (rc == 0)
		*done = end;
	else
		(void)pb_letters_tidy(letters, &later);
	free(plan);
	return rc;
}

int
pb_letters_refused(struct pb_letters *letters, struct pb_index *index,
    const struct pb_demotion *why, struct pb_err *err)
{
	struct pb_demotion rest = *why;
	uint64_t done;
	int rc;

	do {
		rc = pb_letters_demote(letters, index, &rest, &done, err);
		if (rc < 0 || done < rest.dead.first)
			return rc;
		rest.dead.first = done + 1;
	} while (done < rest.dead.last);
	return 0;
}

/* --- plan --------------------------------------------------------------- */

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
		/* What waited in vain would hold up what is fresh; what came
		 * late needs a file now. */
		plan->others |= have.state == PB_LETTER_REQUEUED ||
		    have.state == PB_LETTER_LATE;
		if (have.state != PB_LETTER_LATE) {
			plan->from = have.last + 1;
			return 0;
		}
		if (have.last < last)
			last = have.last;
	} else if (rc == 1 && have.first <= last)
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
	    .reason = why->dead.reason, .status = why->dead.status,
	    .attempts = why->dead.attempts, .since_ns = why->now_ns,
	    .since_at = pb_age_key(why->age_ms),
	    .segment_seq = segment->first_seq,
	    .header_bytes = segment->header_bytes,
	    .offset = plan->extent.offset,
	    .linktype = why->stream->linktype };
	snprintf(out->upstream, sizeof(out->upstream), "%s", why->upstream);
	set_error(out, why);
}

/* --- files and rows ----------------------------------------------------- */

/* One whose segment has expired meanwhile gets none: the store has a gap
 * there now, with its reason. */
static int
link_one(void *arg, size_t i, struct pb_err *err)
{
	struct plan *plan = arg;

	return pb_letters_link(plan->letters, &plan->letter[i], err);
}

static int
keep(struct plan *plan, uint64_t end, struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_letters_begin(plan->letters, &txn, true, err);
	give_up(&txn, plan->why, end);
	for (size_t i = 0; i < plan->count; i++)
		if (plan->made[i])
			pb_letters_put(&txn, &plan->letter[i]);
	return pb_letters_end(plan->letters, &txn);
}

/* Of why->dead.first .. last what was to be sent again is dead again, what came
 * late is no letter of that kind any more. */
static void
give_up(struct pb_mdb_txn *txn, const struct pb_demotion *why, uint64_t last)
{
	const struct pb_stream_key *key = &why->stream->key;
	uint64_t from = why->dead.first;
	struct pb_letter dead;

	while (pb_letters_next(txn, why->upstream, key, &from, last, &dead)) {
		enum pb_letter_state was = dead.state;

		if (was != PB_LETTER_REQUEUED && was != PB_LETTER_LATE)
			continue;
		pb_letters_cut(txn, &dead, why->dead.first, last);
		if (was == PB_LETTER_LATE)
			continue;
		if (dead.first < why->dead.first)
			dead.first = why->dead.first;
		if (dead.last > last)
			dead.last = last;
		/* It is as old as it was: else its age would know no bound. */
		dead.state = PB_LETTER_DEAD;
		dead.reason = why->dead.reason;
		dead.status = why->dead.status;
		dead.attempts = why->dead.attempts;
		set_error(&dead, why);
		pb_letters_put(txn, &dead);
	}
}

static void
set_error(struct pb_letter *letter, const struct pb_demotion *why)
{
	snprintf(letter->error, sizeof(letter->error), "%s",
	    why->dead.text != NULL ? why->dead.text : "");
}
