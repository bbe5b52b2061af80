/*
 * recorder/store/index/index_gaps.c - the rows of gaps, within a transaction
 */
#include "recorder/store/index/index_rows.h"

static bool	find_gap(struct pb_mdb_txn *, uint32_t, uint64_t,
		    struct pb_gap_info *);
static bool	gap_before(struct pb_mdb_txn *, uint32_t, uint64_t,
		    struct pb_gap_info *);
static bool	next_gap(struct pb_mdb_txn *, uint32_t, uint64_t, uint64_t,
		    uint64_t *, struct pb_gap_info *);
static void	keep_outside(struct pb_mdb_txn *, const struct pb_gap_info *,
		    uint64_t, uint64_t);
static void	join(struct pb_mdb_txn *, struct pb_gap_info *,
		    const struct pb_gap_info *);

void
pb_index_add_gap(struct pb_mdb_txn *txn, const struct pb_gap_info *gap)
{
	struct pb_gap_info all = *gap, other;

	if (gap_before(txn, gap->stream, gap->first, &other) &&
	    other.last + 1 == gap->first)
		join(txn, &all, &other);
	if (find_gap(txn, gap->stream, gap->last + 1, &other) &&
	    other.first == gap->last + 1)
		join(txn, &all, &other);
	pb_index_put(txn, PB_TABLE_GAPS, &all);
}

void
pb_index_add_gap_around(struct pb_mdb_txn *txn, const struct pb_gap_info *gap)
{
	struct pb_gap_info part = *gap, other;
	uint64_t next;

	while (part.first <= gap->last && txn->rc == 0) {
		next = gap->last + 1;
		part.last = gap->last;
		if (find_gap(txn, gap->stream, part.first, &other) &&
		    other.first <= gap->last) {
			part.last = other.first - 1;
			next = other.last >= other.first ? other.last + 1 :
			    other.first + 1;
		}
		if (part.first <= part.last)
			pb_index_add_gap(txn, &part);
		part.first = next;
	}
}

void
pb_index_fill_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last, uint64_t now_ns)
{
	uint64_t from = 0, fill = pb_index_put_fill(txn, stream, first, last);
	struct pb_gap_info gap;

	while (next_gap(txn, stream, first, last, &from, &gap)) {
		if (gap.closed_ns != 0)
			continue;
		keep_outside(txn, &gap, first, last);
		if (gap.first < first)
			gap.first = first;
		if (gap.last > last)
			gap.last = last;
		gap.closed_ns = now_ns;
		gap.fill = (uint32_t)fill;
		pb_index_put(txn, PB_TABLE_GAPS, &gap);
	}
}

void
pb_index_reopen_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct pb_gap_info gap;
	uint64_t from = 0;

	while (next_gap(txn, stream, first, last, &from, &gap)) {
		if (gap.closed_ns == 0)
			continue;
		pb_index_del(txn, PB_TABLE_GAPS, stream, gap.first);
		gap.closed_ns = gap.fill = 0;
		pb_index_add_gap(txn, &gap);
	}
}

void
pb_index_cut_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last, bool closed_too)
{
	struct pb_gap_info gap;
	uint64_t from = 0;

	while (next_gap(txn, stream, first, last, &from, &gap))
		if (gap.closed_ns == 0 || closed_too)
			keep_outside(txn, &gap, first, last);
}

void
pb_index_forget_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct pb_gap_info gap;
	uint64_t from = 0;

	while (next_gap(txn, stream, first, last, &from, &gap))
		if (gap.closed_ns != 0 && gap.first >= first &&
		    gap.last <= last)
			pb_index_del(txn, PB_TABLE_GAPS, stream, gap.first);
}

/* The first gap that begins at `from` or behind it. */
static bool
find_gap(struct pb_mdb_txn *txn, uint32_t stream, uint64_t from,
    struct pb_gap_info *out)
{
	enum pb_row_found found;

	while ((found = pb_row_find(txn, PB_TABLE_GAPS, PB_ROW_FROM, stream,
	    from, out)) == PB_ROW_ROTTEN && out->first < UINT64_MAX)
		from = out->first + 1;
	return found == PB_ROW_SOUND;
}

/* The last gap that begins before `first`. */
static bool
gap_before(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    struct pb_gap_info *out)
{
	return first > 0 && pb_row_find(txn, PB_TABLE_GAPS, PB_ROW_UP_TO,
	    stream, first - 1, out) == PB_ROW_SOUND;
}

/*
 * The next gap that touches first .. last, `*from` 0: the first of them.
 * What is put meanwhile before the one that was given, or behind `last`, is
 * not met.
 */
static bool
next_gap(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last, uint64_t *from, struct pb_gap_info *out)
{
	/* One that begins before may reach into the range. */
	if (*from == 0)
		*from = gap_before(txn, stream, first, out) &&
		    out->last >= first ? out->first : first;
	do {
		if (!find_gap(txn, stream, *from, out) || out->first > last)
			return false;
		*from = out->first + 1;
	} while (out->last < first);
	return true;
}

/* Of the gap that stays which is not in first .. last. */
static void
keep_outside(struct pb_mdb_txn *txn, const struct pb_gap_info *gap,
    uint64_t first, uint64_t last)
{
	struct pb_gap_info before = *gap, behind = *gap;

	pb_index_del(txn, PB_TABLE_GAPS, gap->stream, gap->first);
	before.last = first - 1;
	if (gap->first < first)
		pb_index_put(txn, PB_TABLE_GAPS, &before);
	behind.first = last + 1;
	if (gap->last > last)
		pb_index_put(txn, PB_TABLE_GAPS, &behind);
}

/* `other` ends or begins beside `all`: one row, where both say the same. */
static void
join(struct pb_mdb_txn *txn, struct pb_gap_info *all,
    const struct pb_gap_info *other)
{
	if (all->closed_ns != 0 || other->closed_ns != 0 ||
	    all->reason != other->reason)
		return;
	pb_index_del(txn, PB_TABLE_GAPS, all->stream, other->first);
	if (other->first < all->first)
		all->first = other->first;
	else
		all->last = other->last;
	if (other->since_ns < all->since_ns)
		all->since_ns = other->since_ns;
}
