/*
 * cli/audit/compare.c - one stream, at two nodes: is it the same?
 *
 * The descent says which numbers differ.  Runs that lie side by side are one
 * before it is asked why, and findings with the same reason are one after it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/compare_impl.h"

static int	sum_up(struct work *);
static int	compare_start(struct work *, uint64_t, uint64_t, uint64_t);
static int	compare_ends(struct work *, uint64_t, uint64_t);
static int	descend(struct work *, uint64_t, uint64_t);
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
	/* What comes here meanwhile may be there before the next question. */
	int rc = compare_ask(work, false, &work->there, &one);

	if (rc == 0)
		rc = compare_ask(work, true, &work->here, &one);
	if (rc < 0)
		return rc;
	work->sum->here = work->here.acked > 0;
	work->sum->there = work->there.acked > 0;
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
	struct pb_compare_finding finding = { .last = here };

	if (here > there && pair->acked > there) {
		finding.kind = PB_COMPARE_MISSING_THERE;
		finding.first = there + 1;
		finding.last = pair->acked < here ? pair->acked : here;
		strcpy(finding.why, "was acknowledged once");
		there = finding.last;
	} else if (there > here && pair->ships) {
		finding.kind = PB_COMPARE_MISSING_HERE;
		finding.first = here + 1;
		finding.last = there;
		strcpy(finding.why, "the stream ends before here");
		there = here;
	}
	if (here > there)
		work->sum->here_only = here - there;
	else
		work->sum->there_only = there - here;
	return finding.first > 0 ? compare_found(work, &finding) : 0;
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
			if (work->here.part[i].digest ==
			    work->there.part[i].digest)
				work->sum->same += work->here.part[i].packets;
		if (rc == 0)
			rc = pb_descent_take(&work->descent, work->here.part,
			    work->there.part, work->there.parts, on_leaf,
			    work);
	}
	return rc;
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
