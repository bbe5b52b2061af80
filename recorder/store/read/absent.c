/*
 * recorder/store/read/absent.c - why numbers are not there
 */
#include "recorder/store/read/absent.h"

#include "recorder/store/facts/journal.h"

#define GAPS_MAX	(PB_ABSENT_MAX / 4)	/* so many fit in any case */

struct search {
	const struct pb_stream_key *key;
	uint64_t	 first, last;
	struct pb_stream_info stream;
	bool		 found;
	struct pb_absent *out;
	size_t		 count;
};

static int	find_stream(void *, struct pb_index *, struct pb_err *);
static int	find_gaps(void *, struct pb_index *, struct pb_err *);
static int	find_filtered(struct search *, struct pb_index *,
		    struct pb_err *);
static int	take_fact(void *, const struct pb_fact *);
static void	add(struct search *, uint64_t, uint64_t, enum pb_gap_reason,
		    uint64_t);

int
pb_holding_find(const struct pb_index_lender *lender,
    const struct pb_stream_key *key, struct pb_holding *out,
    struct pb_err *err)
{
	struct search search = { .key = key };
	int rc = lender->lend(lender->arg, find_stream, &search, err);

	*out = (struct pb_holding){ .known = search.found };
	if (search.found) {
		out->first_seq = search.stream.first_seq;
		out->last_seq = search.stream.last_seq;
	}
	return rc < 0 ? rc : 0;
}

int
pb_absent(const struct pb_index_lender *lender,
    const struct pb_stream_key *key, uint64_t first, uint64_t *last,
    struct pb_absent out[static PB_ABSENT_MAX], struct pb_err *err)
{
	struct search search = { .key = key, .first = first, .last = *last,
	    .out = out };
	struct pb_journal_news news;
	uint64_t below;
	int rc = lender->lend(lender->arg, find_gaps, &search, err);

	if (rc < 0 || !search.found)
		return rc < 0 ? rc : 0;
	*last = search.last;
	below = search.stream.first_seq != 0 ? search.stream.first_seq - 1 :
	    search.stream.last_seq;
	if (first <= below)
		add(&search, first, below < *last ? below : *last,
		    PB_GAP_EXPIRED, 0);
	if (*last > below)
		rc = pb_journal_read(lender->store, key, take_fact, &search,
		    &news, err);
	return rc < 0 ? rc : (int)search.count;
}

static int
find_stream(void *arg, struct pb_index *index, struct pb_err *err)
{
	struct search *search = arg;
	int rc = pb_index_stream(index, search->key, &search->stream, err);

	search->found = rc == 1;
	return rc;
}

static int
find_gaps(void *arg, struct pb_index *index, struct pb_err *err)
{
	struct search *search = arg;
	const struct pb_gap_info *row;
	struct pb_rows rows;
	int rc = find_stream(search, index, err);

	if (rc <= 0)
		return rc;
	pb_rows_of(&rows, index, PB_TABLE_GAPS, search->stream.id,
	    search->first, err);
	while ((row = pb_rows_next(&rows)) != NULL &&
	    row->first <= search->last) {
		if (row->closed_ns != 0 || row->last < search->first)
			continue;
		add(search, row->first, row->last, row->reason,
		    row->since_ns);
		if (search->count == GAPS_MAX && row->last < search->last)
			search->last = row->last;
	}
	return rows.rc < 0 ? rows.rc : find_filtered(search, index, err);
}

/* Of segments with numbers that were left out, those that are not there. */
static int
find_filtered(struct search *search, struct pb_index *index,
    struct pb_err *err)
{
	const struct pb_segment_info *row;
	struct pb_rows rows;

	pb_rows_of(&rows, index, PB_TABLE_SEGMENTS, search->stream.id,
	    search->first, err);
	while ((row = pb_rows_next(&rows)) != NULL &&
	    row->first_seq <= search->last) {
		if (row->last_seq < search->first || pb_segment_empty(row) ||
		    pb_segment_filtered(row) == 0)
			continue;
		add(search, row->first_seq, row->last_seq, PB_GAP_FILTERED,
		    0);
		if (search->count == 2 * GAPS_MAX &&
		    row->last_seq < search->last)
			search->last = row->last_seq;
	}
	return rows.rc;
}

/* What retention says of numbers that no gap speaks of. */
static int
take_fact(void *arg, const struct pb_fact *fact)
{
	struct search *search = arg;

	if (fact->kind == PB_FACT_EXPIRED && fact->last >= search->first &&
	    fact->first <= search->last)
		add(search, fact->first, fact->last, PB_GAP_EXPIRED,
		    fact->time_ns);
	return 0;
}

/* One that goes on where the last one ended is a row with it. */
static void
add(struct search *search, uint64_t first, uint64_t last,
    enum pb_gap_reason reason, uint64_t since_ns)
{
	struct pb_absent *before = search->count == 0 ? NULL :
	    &search->out[search->count - 1];

	if (before != NULL && before->last + 1 == first &&
	    before->reason == reason && before->since_ns == since_ns)
		before->last = last;
	else if (search->count < PB_ABSENT_MAX)
		search->out[search->count++] = (struct pb_absent){ first,
		    last, reason, since_ns };
}
