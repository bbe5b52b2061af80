/*
 * cli/audit/compare.c - one stream, at two nodes: is it the same?
 *
 * The descent says which numbers differ.  Runs that lie side by side are one
 * before it is asked why, and findings with the same reason are one after it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/compare_impl.h"

static int	sum_up(struct work *);
static int	compare_start(struct work *, uint64_t, uint64_t, uint64_t);
static int	compare_ends(struct work *, uint64_t, uint64_t);
static int	tell_ends(struct work *, struct pb_compare_finding *);
static int	tell_spreads(struct work *);
static int	descend(struct work *, uint64_t, uint64_t);
static void	settle(struct work *, struct pb_digests_part *,
		    const struct pb_digests_part *);
static int	on_leaf(void *, const struct pb_digests_part *,
		    const struct pb_digests_part *);
static int	end_finding(struct work *);

int
pb_compare_run(const struct pb_compare *compare,
    const struct pb_compare_pair *pair, struct pb_compare_sum *sum,
    struct pb_err *err)
{
	struct work *work = calloc(1, sizeof(*work));
	int rc;

	if (work == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	memset(sum, 0, sizeof(*sum));
	work->compare = compare;
	work->pair = pair;
	work->sum = sum;
	work->err = err;
	rc = sum_up(work);
	free(work);
	return rc;
}

const char *
pb_compare_word(enum pb_compare_kind kind)
{
	static const char *const word[] = {
		[PB_COMPARE_DIFFERS] = "differs",
		[PB_COMPARE_CUT] = "cut",
		[PB_COMPARE_MISSING_HERE] = "missing_here",
		[PB_COMPARE_MISSING_THERE] = "missing_there",
		[PB_COMPARE_NOT_COMPARED] = "not_compared",
	};

	return word[kind];
}

static int
sum_up(struct work *work)
{
	const struct pb_compare_pair *pair = work->pair;
	const struct pb_digests_ask one = { .first = pair->first,
	    .last = pair->first, .parts = 1 };
	uint64_t here, there, both;
	/* What goes over meanwhile is asked for where it goes first. */
	int rc = compare_ask(work, pair->comes, pair->comes ? &work->here :
	    &work->there, &one);

	if (rc == 0)
		rc = compare_ask(work, !pair->comes, pair->comes ?
		    &work->there : &work->here, &one);
	if (rc < 0)
		return rc;
	work->sum->here = work->here.acked > 0;
	work->sum->there = work->there.acked > 0;
	work->sum->here_first = work->here.first_seq;
	work->sum->there_first = work->there.first_seq;
	here = work->here.acked < pair->last ? work->here.acked : pair->last;
	there = work->there.acked < pair->last ? work->there.acked :
	    pair->last;
	both = here < there ? here : there;
	rc = compare_start(work, work->here.first_seq, work->there.first_seq,
	    both);
	if (rc == 0)
		rc = compare_explain_run(work);
	if (rc >= 0)
		rc = compare_ends(work, here, there);
	if (rc == 0)
		rc = tell_spreads(work);
	return rc < 0 ? rc : end_finding(work);
}

/* The lowest numbers kept; 0: there is no packet. */
static int
compare_start(struct work *work, uint64_t here, uint64_t there, uint64_t last)
{
	uint64_t low, high;

	here = here == 0 ? last + 1 : here;
	there = there == 0 ? last + 1 : there;
	if (here < work->pair->first)
		here = work->pair->first;
	if (there < work->pair->first)
		there = work->pair->first;
	low = here < there ? here : there;
	high = here < there ? there : here;
	if (high > last + 1)
		high = last + 1;
	if (low < high)
		work->run = (struct run){ .here = there < here, .first = low,
		    .last = high - 1 };
	work->sum->first = high;
	work->sum->last = last;
	return descend(work, high, last);
}

/* Where one has come further than the other. */
static int
compare_ends(struct work *work, uint64_t here, uint64_t there)
{
	const struct pb_compare_pair *pair = work->pair;
	struct pb_compare_finding finding = { .first = 0 };

	if (here > there && pair->acked > there) {
		finding.kind = PB_COMPARE_MISSING_THERE;
		finding.first = there + 1;
		finding.last = pair->acked < here ? pair->acked : here;
		strcpy(finding.why, "was acknowledged once");
		there = finding.last;
	} else if (there > here && pair->ships && work->sum->here) {
		finding.kind = PB_COMPARE_MISSING_HERE;
		finding.first = here + 1;
		finding.last = there;
		strcpy(finding.why, "the stream ends before here");
		there = here;
	} else if (there > here && !work->sum->here) {
		finding.kind = PB_COMPARE_MISSING_HERE;
		finding.first = work->sum->there_first;
		finding.last = there;
		strcpy(finding.why, pair->acked > 0 ? "this store has lost "
		    "the stream, which was sent from it" :
		    "this store does not know the stream");
	} else if (here > there && !work->sum->there && !pair->ships) {
		finding.kind = PB_COMPARE_MISSING_THERE;
		finding.first = work->sum->here_first;
		finding.last = here;
		strcpy(finding.why, "the other does not know the stream");
	}
	if (here > there)
		work->sum->here_only = here - there;
	else
		work->sum->there_only = there - here;
	return tell_ends(work, &finding);
}

/* A stream of which no packet is left misses none. */
static int
tell_ends(struct work *work, struct pb_compare_finding *finding)
{
	if (finding->first == 0)
		return 0;
	if (finding->first < work->pair->first)
		finding->first = work->pair->first;
	return finding->first > finding->last ? 0 :
	    compare_found(work, finding);
}

/* What the section has left out, and cut off. */
static int
tell_spreads(struct work *work)
{
	const struct pb_compare_spread *filtered = &work->sum->filtered;
	const struct pb_compare_spread *cut = &work->sum->cut;
	struct pb_compare_finding finding = { .fine = true,
	    .kind = PB_COMPARE_MISSING_THERE, .first = filtered->first,
	    .last = filtered->last, .packets = filtered->packets,
	    .why = "filtered" };
	int rc = filtered->packets > 0 ? compare_found(work, &finding) : 0;

	if (rc < 0 || cut->packets == 0 || !work->compare->tells_cut)
		return rc;
	finding.kind = PB_COMPARE_CUT;
	finding.first = cut->first;
	finding.last = cut->last;
	finding.packets = cut->packets;
	snprintf(finding.why, sizeof(finding.why), "cut by snaplen %u",
	    work->compare->snaplen);
	return compare_found(work, &finding);
}

static int
descend(struct work *work, uint64_t first, uint64_t last)
{
	const struct pb_compare *compare = work->compare;
	struct pb_digests_ask what;
	int rc = 0;

	pb_descent_begin(&work->descent, first, last);
	while (rc == 0 && pb_descent_next(&work->descent, &what)) {
		compare->progress(compare->arg, what.first -
		    work->sum->first);
		rc = compare_ask(work, false, &work->there, &what);
		work->here.ask = work->there.ask;
		if (rc == 0 && work->there.parts == 0)
			return pb_err_set(work->err, PB_ESYS, "%s has no "
			    "packet %" PRIu64 " any more: its store has "
			    "changed", compare->there->name, what.first);
		if (rc == 0)
			rc = pb_side_store_match(compare->here,
			    &work->pair->here, &work->there, work->here.part,
			    work->err);
		for (unsigned i = 0; rc == 0 && i < work->there.parts; i++)
			settle(work, &work->here.part[i],
			    &work->there.part[i]);
		if (rc == 0)
			rc = pb_descent_take(&work->descent, work->here.part,
			    work->there.part, work->there.parts, on_leaf,
			    work);
	}
	return rc;
}

/* Where the other has just what passes, or nothing, as if no more were here. */
static void
settle(struct work *work, struct pb_digests_part *here,
    const struct pb_digests_part *there)
{
	bool passed = there->packets == here->passed &&
	    there->digest == here->passed_digest;

	if (work->compare->sifts && here->digest != there->digest &&
	    (passed || there->packets == 0)) {
		if (passed)
			compare_spread(&work->sum->filtered, here->first,
			    here->last, here->packets - here->passed);
		here->packets = here->passed;
		here->digest = here->passed_digest;
		here->longer = here->passed_longer;
	}
	if (here->packets == there->packets && here->digest == there->digest)
		compare_same(work, here, there);
}

void
compare_same(struct work *work, const struct pb_digests_part *here,
    const struct pb_digests_part *there)
{
	work->sum->same += here->packets;
	if (here->longer != there->longer)
		compare_spread(&work->sum->cut, here->first, here->last,
		    here->longer > there->longer ? here->longer -
		    there->longer : there->longer - here->longer);
}

void
compare_spread(struct pb_compare_spread *spread, uint64_t first,
    uint64_t last, uint64_t packets)
{
	if (packets == 0)
		return;
	if (spread->packets == 0 || first < spread->first)
		spread->first = first;
	if (last > spread->last)
		spread->last = last;
	spread->packets += packets;
}

int
compare_again(struct work *work, uint64_t first, uint64_t last)
{
	struct work *again = calloc(1, sizeof(*again));
	int rc;

	if (again == NULL)
		return pb_err_set(work->err, PB_ENOMEM, "no memory");
	again->compare = work->compare;
	again->pair = work->pair;
	again->sum = work->sum;
	again->err = work->err;
	again->looks = work->looks;
	again->finding = work->finding;
	again->again = true;
	rc = descend(again, first, last);
	if (rc == 0)
		rc = compare_explain_run(again);
	work->looks = again->looks;
	work->finding = again->finding;
	free(again);
	return rc;
}

static int
on_leaf(void *arg, const struct pb_digests_part *here,
    const struct pb_digests_part *there)
{
	struct work *work = arg;
	struct run *run = &work->run;
	bool missing_here = here->packets == 0;
	int rc;

	if (here->packets > 0 && there->packets > 0) {
		rc = compare_explain_run(work);
		return rc != 0 ? rc : compare_explain_packet(work, here->first);
	}
	if (run->last == 0 || run->here != missing_here ||
	    run->last + 1 != here->first) {
		rc = compare_explain_run(work);
		if (rc != 0)
			return rc;
		*run = (struct run){ .here = missing_here,
		    .first = here->first };
	}
	run->last = here->last;
	run->packets += here->packets + there->packets;
	return 0;
}

int
compare_ask(struct work *work, bool here, struct pb_wire_digests *out,
    const struct pb_digests_ask *what)
{
	const struct pb_compare *compare = work->compare;
	struct pb_side *side = here ? compare->here : compare->there;

	out->ask = *what;
	out->ask.snaplen = compare->snaplen;
	return side->ask(side, here ? &work->pair->here : &work->pair->there,
	    out, work->err);
}

int
compare_found(struct work *work, const struct pb_compare_finding *finding)
{
	struct pb_compare_finding *last = &work->finding;
	int rc;

	if (last->last != 0 && last->last + 1 == finding->first &&
	    last->kind == finding->kind && last->fine == finding->fine &&
	    last->since_ns == finding->since_ns &&
	    (last->packets == 0) == (finding->packets == 0) &&
	    strcmp(last->why, finding->why) == 0) {
		last->last = finding->last;
		last->packets += finding->packets;
		return 0;
	}
	rc = end_finding(work);
	*last = *finding;
	return rc;
}

static int
end_finding(struct work *work)
{
	const struct pb_compare *compare = work->compare;
	struct pb_compare_finding finding = work->finding;

	work->finding.last = 0;
	if (finding.last == 0)
		return 0;
	work->sum->differences += !finding.fine;
	return compare->found(compare->arg, work->pair, &finding, work->err);
}
