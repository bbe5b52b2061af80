/*
 * recorder/store/write/flows_older.c - flow tables for what came without
 *
 * Asked for (PB_FLOWS_ALL), the thread that makes tables goes through the
 * sealed segments in the order of the index, once, while it has nothing else
 * to do, and makes what they lack.  Each row is committed as others are, so
 * that a restart goes on there.
 *
 * Promise: what comes in is not held up by it: index blocks that end
 *          meanwhile come first.
 */
#include "recorder/store/mend/tables.h"
#include "recorder/store/write/flows.h"

#define ASK_PACKETS	1024u	/* between two looks at what else there is */

/* What a segment lacks. */
struct lack {
	struct pb_store		*store;
	struct pb_stream_info	 stream;
	struct pb_segment_info	 segment;
	struct pb_extent_info	 extent;	/* that has `first` */
	uint64_t		 first, last;
	uint64_t		 made;		/* up to here; or 0 */
	uint64_t		 changes;	/* of the store */
	unsigned		 packets;
};

static bool	step(struct flows_older *, struct lack *);
static int	next_segment(struct pb_index *, struct flows_older *,
		    struct pb_err *);
static int	look(struct pb_index *, uint64_t, struct lack *,
		    struct pb_err *);
static int	each(void *, const struct pb_flows_info *, struct pb_err *);
static bool	goes_on(void *);

bool
flows_older(struct pb_store *store, struct flows_older *older)
{
	struct lack lack = { .store = store,
	    .changes = atomic_load(&store->changes) };

	/* Another one, or the same again. */
	if (older->changes != lack.changes)
		*older = (struct flows_older){ .changes = lack.changes };
	return !older->ended && step(older, &lack);
}

/* A part of one segment; false where there is no more, or not now. */
static bool
step(struct flows_older *older, struct lack *lack)
{
	struct pb_tables tables = { .store = lack->store->path,
	    .stream = &lack->stream, .segment = &lack->segment,
	    .each = each, .goes_on = goes_on, .arg = lack };
	struct pb_err err = { .code = 0 };
	struct pb_index *index = index_hold(lack->store, &err);
	int rc = 1;

	if (index == NULL)
		return false;
	if (older->from == 0)
		rc = next_segment(index, older, &err);
	older->ended = rc <= 0;
	if (rc == 1) {
		lack->segment = older->segment;
		rc = look(index, older->from, lack, &err);
	}
	index_let_go(lack->store);
	if (older->ended)
		return false;
	if (rc == 1)
		rc = pb_tables_make(&tables, &lack->extent, lack->first,
		    lack->last, &err);
	else
		lack->last = older->segment.last_seq;
	if (rc == PB_EBUSY && lack->made > 0)
		older->from = lack->made + 1;
	if (rc == PB_EBUSY)
		return false;
	/* Whatever came of it, this part is not tried again. */
	older->from = lack->last < older->segment.last_seq ? lack->last + 1 :
	    0;
	return true;
}

/* The one behind the last: 1, 0, or an error. */
static int
next_segment(struct pb_index *index, struct flows_older *older,
    struct pb_err *err)
{
	struct pb_segment_info after = older->segment;
	int rc = pb_index_rows(index, PB_TABLE_SEGMENTS, older->begun ?
	    &after : NULL, &older->segment, 1, err);

	older->begun = true;
	older->from = older->segment.first_seq;
	return rc;
}

/* What it lacks from number `from` on: 1, 0, or an error. */
static int
look(struct pb_index *index, uint64_t from, struct lack *lack,
    struct pb_err *err)
{
	const struct pb_segment_info *segment = &lack->segment;
	struct pb_stream_key key;
	int rc = segment->sealed ? pb_tables_missing(index, segment, from,
	    &lack->first, &lack->last, err) : 0;

	if (rc == 1)
		rc = pb_index_stream_key(index, segment->stream, &key, err);
	if (rc == 1)
		rc = pb_index_stream(index, &key, &lack->stream, err);
	if (rc == 1)
		rc = pb_index_extent_below(index, segment->stream,
		    lack->first, &lack->extent, err);
	return rc == 1 && (lack->extent.segment_seq != segment->first_seq ||
	    lack->stream.id != segment->stream) ? 0 : rc;
}

static int
each(void *arg, const struct pb_flows_info *row, struct pb_err *err)
{
	struct lack *lack = arg;

	if (!flows_give(lack->store, &lack->stream.key, row,
	    lack->segment.created_ns, lack->changes))
		return pb_err_set(err, PB_EBUSY, "too many rows wait");
	lack->made = row->last_seq;
	return 0;
}

static bool
goes_on(void *arg)
{
	struct lack *lack = arg;

	return lack->packets++ % ASK_PACKETS != 0 ||
	    (atomic_load(&lack->store->changes) == lack->changes &&
	    flows_work_on(lack->store));
}
