/*
 * cli/audit/compare_why.c - why numbers differ, or are missing
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit/compare_impl.h"

#define CHANGED		"it has changed while it was compared"

static int	look(struct work *, uint64_t);
static int	explain_some(struct work *, uint64_t, uint64_t *);
static int	explain_piece(struct work *, uint64_t, uint64_t);
static int	count_packets(struct work *, struct pb_compare_finding *);
static void	say_why(const struct work *, struct pb_compare_finding *);
static const struct pb_wire_absent *reason_of(const struct pb_wire_digests *,
		    uint64_t, uint64_t *);
static bool	is_fine(const struct work *, const char *);
static int	explain_bytes(struct work *, const struct pb_digests_part *,
		    const struct pb_digests_part *,
		    struct pb_compare_finding *);
static int	explain_length(struct work *, uint64_t,
		    const struct pb_digests_part *,
		    struct pb_compare_finding *);
static void	say_damage(struct pb_compare_finding *,
		    const struct pb_digests_part *,
		    const struct pb_digests_part *);

/* ENOUGH: no more is looked into. */
static int
look(struct work *work, uint64_t first)
{
	struct pb_compare_finding rest = { .kind = PB_COMPARE_NOT_COMPARED,
	    .first = first, .last = work->sum->last,
	    .why = "too much differs" };
	int rc;

	if (work->looks++ < PB_COMPARE_LOOKS_MAX)
		return 0;
	work->run.last = 0;
	rc = compare_found(work, &rest);
	return rc < 0 ? rc : ENOUGH;
}

int
compare_explain_run(struct work *work)
{
	const struct run run = work->run;
	uint64_t first = run.first, last;
	int rc = 0;

	while (run.last != 0 && first <= run.last && rc == 0) {
		rc = look(work, first);
		if (rc == 0)
			rc = explain_some(work, first, &last);
		first = last + 1;
	}
	work->run = (struct run){ .last = 0 };
	return rc;
}

/* As far as one answer goes: to `*last`. */
static int
explain_some(struct work *work, uint64_t first, uint64_t *last)
{
	const struct pb_digests_ask what = { .first = first,
	    .last = work->run.last, .parts = 1, .why = 1 };
	uint64_t at = first, end;
	int rc = compare_ask(work, work->run.here, &work->why, &what);

	*last = what.last;
	if (rc < 0)
		return rc;
	if (work->why.parts > 0)
		*last = work->why.part[0].last;
	if (work->why.parts > 0 && work->why.part[0].packets > 0 &&
	    !work->again)
		return compare_again(work, first, *last);
	for (; at <= *last && rc == 0; at = end + 1) {
		end = *last;
		(void)reason_of(&work->why, at, &end);
		rc = explain_piece(work, at, end);
	}
	return rc;
}

/* Numbers of a run that have one reason, or none. */
static int
explain_piece(struct work *work, uint64_t first, uint64_t last)
{
	struct pb_compare_finding finding = { .first = first, .last = last,
	    .kind = work->run.here ? PB_COMPARE_MISSING_HERE :
	    PB_COMPARE_MISSING_THERE };
	int rc = count_packets(work, &finding);

	if (rc <= 0)
		return rc;
	say_why(work, &finding);
	return compare_found(work, &finding);
}

/* So many the other one has of them: 1; 0 where it has none of these. */
static int
count_packets(struct work *work, struct pb_compare_finding *finding)
{
	const struct pb_digests_ask what = { .first = finding->first,
	    .last = finding->last, .parts = 1 };
	const struct pb_digests_part *part = &work->more.part[0];
	const struct run *run = &work->run;
	bool sifted = work->compare->sifts && !run->here;
	int rc;

	if (run->packets == 0 && !sifted)
		return 1;
	if (!sifted && run->packets == run->last - run->first + 1) {
		finding->packets = finding->last - finding->first + 1;
		return 1;
	}
	rc = compare_ask(work, !run->here, &work->more, &what);
	if (rc < 0)
		return rc;
	if (work->more.parts == 0)
		return 0;
	finding->packets = sifted ? part->passed : part->packets;
	compare_spread(&work->sum->filtered, part->first, part->last,
	    part->packets - finding->packets);
	return finding->packets > 0;
}

/* As the side that lacks them has said. */
static void
say_why(const struct work *work, struct pb_compare_finding *finding)
{
	const struct pb_wire_digests *said = &work->why;
	const struct pb_digests_part *part = &said->part[0];
	uint64_t end = finding->last;
	const struct pb_wire_absent *absent = reason_of(said, finding->first,
	    &end);

	/* What is missing between packets was left out, if it has not
	 * rotted. */
	if (absent != NULL && said->parts > 0 && part->damaged != 0 &&
	    strcmp(absent->reason, "filtered") == 0)
		absent = NULL;
	if (absent != NULL) {
		snprintf(finding->why, sizeof(finding->why), "%s",
		    absent->reason);
		finding->since_ns = absent->since_ns;
		finding->fine = is_fine(work, absent->reason);
		if (!finding->fine && strcmp(absent->reason, "filtered") == 0)
			strcpy(finding->why, "filtered, but not by the "
			    "section's filter");
	} else if (said->parts > 0 && part->packets > 0) {
		strcpy(finding->why, CHANGED);
	} else if (said->parts > 0 && part->damaged != 0) {
		snprintf(finding->why, sizeof(finding->why), "damaged: segment "
		    "%" PRIu64, part->damaged);
	}
}

/* The first that speaks of `number`, or NULL; and up to where that is so. */
static const struct pb_wire_absent *
reason_of(const struct pb_wire_digests *said, uint64_t number, uint64_t *end)
{
	for (unsigned i = 0; i < said->absences; i++) {
		const struct pb_wire_absent *absent = &said->absent[i];

		if (absent->first > number && absent->first <= *end)
			*end = absent->first - 1;
		if (absent->first > number || absent->last < number)
			continue;
		if (absent->last < *end)
			*end = absent->last;
		return absent;
	}
	return NULL;
}

/* What its bounds or its epoch took from a node is no loss; what a filter did
 * neither, unless it is known which, and that is another one. */
static bool
is_fine(const struct work *work, const char *reason)
{
	return strcmp(reason, "expired") == 0 ||
	    strcmp(reason, "restored") == 0 ||
	    (strcmp(reason, "filtered") == 0 && !work->pair->ships &&
	    (!work->pair->comes || work->pair->sifted));
}

/* Both have one: what is another about it? */
int
compare_explain_packet(struct work *work, uint64_t number)
{
	const struct pb_digests_ask what = { .first = number, .last = number,
	    .parts = 1, .why = 1 };
	struct pb_compare_finding finding = { .kind = PB_COMPARE_DIFFERS,
	    .first = number, .last = number, .packets = 1 };
	const struct pb_digests_part *here = &work->why.part[0],
	    *there = &work->more.part[0];
	int rc = look(work, number);

	if (rc == 0)
		rc = compare_ask(work, true, &work->why, &what);
	if (rc == 0)
		rc = compare_ask(work, false, &work->more, &what);
	if (rc != 0)
		return rc;
	if (work->why.parts == 0 || work->more.parts == 0 ||
	    here->packets == 0 || there->packets == 0) {
		if (!work->again)
			return compare_again(work, number, number);
		strcpy(finding.why, CHANGED);
		return compare_found(work, &finding);
	}
	if (here->digest == there->digest) {
		compare_same(work, here, there);
		return 0;
	}
	rc = explain_bytes(work, here, there, &finding);
	say_damage(&finding, here, there);
	return rc < 0 ? rc : compare_found(work, &finding);
}

static int
explain_bytes(struct work *work, const struct pb_digests_part *here,
    const struct pb_digests_part *there, struct pb_compare_finding *finding)
{
	const char *why = "other bytes";

	if (here->time_ns != there->time_ns)
		why = "another time";
	else if (here->origlen != there->origlen)
		why = "another length";
	else if (here->caplen > there->caplen && there->caplen > 0)
		return explain_length(work, here->first, there, finding);
	else if (here->caplen < there->caplen && here->caplen > 0)
		return explain_length(work, here->first, here, finding);
	strcpy(finding->why, why);
	return 0;
}

/* One side has fewer bytes of it, as `less` says: are they the first ones of
 * the other's? */
static int
explain_length(struct work *work, uint64_t number,
    const struct pb_digests_part *less, struct pb_compare_finding *finding)
{
	bool here = less == &work->why.part[0];
	const struct pb_compare *compare = work->compare;
	struct pb_side *longer = here ? compare->there : compare->here;
	struct pb_wire_digests *said = &work->cut;
	int rc;

	said->ask = (struct pb_digests_ask){ .first = number, .last = number,
	    .parts = 1, .snaplen = less->caplen };
	rc = longer->ask(longer, here ? &work->pair->there :
	    &work->pair->here, said, work->err);
	if (rc < 0)
		return rc;
	if (said->parts > 0 && said->part[0].digest == less->digest)
		finding->kind = PB_COMPARE_CUT;
	snprintf(finding->why, sizeof(finding->why), "%s%u bytes of it %s",
	    finding->kind == PB_COMPARE_CUT ? "" : "other bytes, and ",
	    less->caplen, here ? "here" : "there");
	return 0;
}

static void
say_damage(struct pb_compare_finding *finding,
    const struct pb_digests_part *here, const struct pb_digests_part *there)
{
	size_t len = strlen(finding->why);

	if (here->damaged != 0)
		snprintf(finding->why + len, sizeof(finding->why) - len,
		    "; damaged here: segment %" PRIu64, here->damaged);
	len = strlen(finding->why);
	if (there->damaged != 0)
		snprintf(finding->why + len, sizeof(finding->why) - len,
		    "; damaged there: segment %" PRIu64, there->damaged);
}
