/*
 * tests/sim/store/check.c - is all there that was promised?
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/below.h"
#include "base/digest.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/mend/verify.h"
#include "recorder/store/read/cursor.h"
#include "tests/sim/store/world.h"

#define PAGE_ROWS	64

/* What the store says of each number of one stream. */
struct found {
	uint64_t	last;			/* durable end */
	uint64_t	first;			/* the lowest kept */
	uint16_t	try[WORLD_SEQS + 1];	/* of the packet, or what says
						 * that it was left out; 0:
						 * none */
	uint8_t		gap[WORLD_SEQS + 1];	/* its reason; 0: none */
	/* As the journal says: */
	bool		expired[WORLD_SEQS + 1];
	uint8_t		said[WORLD_SEQS + 1];	/* a bit for a gap's reason */
};

static void	check_source(struct world *, struct source *);
static bool	look(struct world *, struct source *, struct found *);
static bool	look_packets(struct world *, struct source *,
		    const struct pb_stream_info *, struct found *);
static void	look_left(struct world *, struct source *,
		    const struct pb_stream_info *, struct found *);
static void	note_left(void *, const struct pb_filtered *);
static bool	look_gaps(struct world *, const struct pb_stream_info *,
		    struct found *);
static uint16_t	try_of(const struct source *, const struct pb_packet *,
		    uint64_t);
static int	note_fact(void *, const struct pb_fact *);
static bool	is_retained(const struct world *);
static void	judge(struct world *, struct source *, const struct found *,
		    uint64_t);
static void	believe(struct source *, const struct found *, uint64_t);
static void	check_head(struct world *, const char *, const char *);
static int	tell_finding(void *, const struct pb_finding *);
static void	add_bytes(struct pb_digest *, const void *, size_t);
static void	add_stream(struct pb_index *, const struct pb_stream_info *,
		    struct pb_digest *);

void
world_check(struct world *world)
{
	for (unsigned i = 0; i < world->sources; i++)
		check_source(world, &world->source[i]);
	world->lost_index = world->cut = false;
}

static void
check_source(struct world *world, struct source *source)
{
	static struct found found;
	uint64_t top = source->top;

	memset(&found, 0, sizeof(found));
	if (!look(world, source, &found))
		return;
	if (found.last > top) {
		world_fail(world, "%s: ends at %llu, nobody sent more than "
		    "%llu", source->key.interface,
		    (unsigned long long)found.last, (unsigned long long)top);
		return;
	}
	for (uint64_t seq = 1; seq <= top && world->why[0] == '\0'; seq++)
		judge(world, source, &found, seq);
	world_check_flows(world, source);
	for (uint64_t seq = 1; seq <= top; seq++)
		believe(source, &found, seq);
	world_say(world, "%s ends at %llu", source->key.interface,
	    (unsigned long long)found.last);
}

static bool
is_retained(const struct world *world)
{
	const struct pb_retain_opts *retain = &world->opts.retain;

	return retain->size_max != 0 || retain->age_ms_max != 0 ||
	    retain->min_free_percent != 0;
}

/* One number: what was said of it against what there is. */
static void
judge(struct world *world, struct source *source, const struct found *found,
    uint64_t seq)
{
	const struct number *number = &source->number[seq];
	const char *name = source->key.interface, *why = NULL;
	bool is_there = found->try[seq] != 0, is_gap = found->gap[seq] != 0;
	bool damaged = world->damaged && found->gap[seq] == PB_GAP_DAMAGED;
	bool retained = is_retained(world);
	/* On a full disk the journal may not hear of what is deleted. */
	bool unwritten = world->tight && retained;

	if (seq > found->last) {
		if (is_there || is_gap)
			why = "is behind the end";
		else if (number->fate == FATE_KEPT ||
		    number->fate == FATE_MISSING || number->fate == FATE_GONE)
			why = "was promised and the stream ends before it";
	} else if (number->fate == FATE_KEPT) {
		if (is_there && found->try[seq] != number->kept)
			why = "has bytes of another try";
		else if (!is_there && !damaged && !unwritten && !(retained &&
		    found->expired[seq]))
			why = is_gap ? "was kept and is a gap" :
			    "was kept and is gone";
	} else if (number->fate == FATE_MISSING) {
		if (!is_there && !is_gap && !unwritten && !(retained &&
		    found->expired[seq]))
			why = "was a gap and is nothing";
	} else if (number->fate == FATE_GONE) {
		/* Its name was to go when the index was lost. */
		if (is_there && !world->lost_index)
			why = "was deleted and is back";
	} else if (!is_there && !is_gap && !found->expired[seq] &&
	    !unwritten) {
		why = "is a hole";
	}
	if (why == NULL && is_gap && !unwritten &&
	    (found->said[seq] & 1u << found->gap[seq]) == 0)
		why = "is a gap of which the journal does not know";
	if (why != NULL)
		world_fail(world, "%s: packet %llu %s (ends at %llu)", name,
		    (unsigned long long)seq, why,
		    (unsigned long long)found->last);
}

/* From here on what is there counts. */
static void
believe(struct source *source, const struct found *found, uint64_t seq)
{
	struct number *number = &source->number[seq];

	if (seq > found->last) {
		number->fate = FATE_NONE;
		number->count = 0;
	} else if (found->try[seq] != 0) {
		number->fate = FATE_KEPT;
		number->kept = number->tries[0] = found->try[seq];
		number->count = 1;
	} else {
		number->fate = found->gap[seq] != 0 ? FATE_MISSING :
		    FATE_GONE;
		number->count = 0;
	}
}

/* --- looking ------------------------------------------------------------- */

static bool
look(struct world *world, struct source *source, struct found *found)
{
	struct pb_index *index = pb_store_index(world->store);
	struct pb_journal_news news;
	struct pb_stream_info row;
	struct pb_err err = { .code = 0 };
	int rc = pb_index_stream(index, &source->key, &row, &err);

	if (rc == 0)
		return true;
	if (rc == 1) {
		found->last = row.last_seq;
		found->first = row.first_seq;
		if (!look_gaps(world, &row, found) ||
		    !look_packets(world, source, &row, found))
			return false;
		if (source->thin)
			look_left(world, source, &row, found);
		rc = pb_journal_read(WORLD_STORE, &source->key, note_fact,
		    found, &news, &err);
		/* Of a line across two sectors that was not synced a power cut
		 * may leave the second: nobody was told of it. */
		if (rc == 0 && news.rotten > source->rotten + world->cut &&
		    !world->damaged)
			world_fail(world, "%s: a rotten line in the journal",
			    source->key.interface);
		source->rotten = news.rotten;
	}
	if (rc < 0)
		world_fail(world, "%s: %.300s", source->key.interface,
		    err.text);
	return rc >= 0;
}

static bool
look_packets(struct world *world, struct source *source,
    const struct pb_stream_info *row, struct found *found)
{
	const struct pb_range all = { 1, UINT64_MAX, 0, UINT64_MAX };
	struct pb_cursor_packet p;
	struct pb_cursor *cursor;
	struct pb_err err = { .code = 0 };
	int rc = pb_cursor_create(&cursor, pb_store_index(world->store),
	    WORLD_STORE, row, &all, &err);

	if (rc < 0)
		cursor = NULL;
	while (rc >= 0 && (rc = pb_cursor_next(cursor, &p, &err)) == 1) {
		uint16_t try = p.seq <= source->top ?
		    try_of(source, &p.packet, p.seq) : 0;

		if (try == 0 || found->try[p.seq] != 0) {
			world_fail(world, "%s: packet %llu %s",
			    source->key.interface, (unsigned long long)p.seq,
			    try == 0 ? "is not what was sent" :
			    "is there twice");
			rc = 0;
			break;
		}
		found->try[p.seq] = try;
	}
	pb_cursor_destroy(cursor);
	if (rc < 0)
		world_fail(world, "%s: reading: %.300s",
		    source->key.interface, err.text);
	return world->why[0] == '\0';
}

struct left {
	struct world	*world;
	struct source	*source;
	struct found	*found;
};

static void
look_left(struct world *world, struct source *source,
    const struct pb_stream_info *row, struct found *found)
{
	struct left left = { world, source, found };

	world_each_filtered(world, source, row, note_left, &left);
}

/* Of one try, which has left out just these. */
static void
note_left(void *arg, const struct pb_filtered *run)
{
	struct left *left = arg;
	uint16_t try = (uint16_t)(run->digest >> WORLD_TRY_AT);

	for (uint64_t seq = run->first; seq <= run->last; seq++) {
		bool is_sent = false;

		for (unsigned i = 0; seq <= left->source->top &&
		    i < left->source->number[seq].count; i++)
			is_sent |= left->source->number[seq].tries[i] == try;
		if (!is_sent || !world_left_out(left->source, seq, try) ||
		    left->found->try[seq] != 0) {
			world_fail(left->world, "%s: number %llu was not left "
			    "out, or is there twice",
			    left->source->key.interface,
			    (unsigned long long)seq);
			return;
		}
		left->found->try[seq] = try;
	}
}

static uint16_t
try_of(const struct source *source, const struct pb_packet *packet,
    uint64_t seq)
{
	const struct number *number = &source->number[seq];
	static uint8_t data[PB_CAPLEN_MAX];
	uint32_t len;

	for (unsigned i = 0; i < number->count; i++) {
		if (world_left_out(source, seq, number->tries[i]))
			continue;
		world_packet(source, seq, number->tries[i], data, &len);
		if (len == packet->caplen &&
		    memcmp(data, packet->data, len) == 0)
			return number->tries[i];
	}
	return 0;
}

static bool
look_gaps(struct world *world, const struct pb_stream_info *row,
    struct found *found)
{
	struct pb_gap_info gap[PAGE_ROWS];
	uint64_t from = 1;
	struct pb_err err;
	int n;

	do {
		n = pb_index_rows_of(pb_store_index(world->store),
		    PB_TABLE_GAPS, row->id, from, gap, PAGE_ROWS, &err);
		if (n < 0)
			world_fail(world, "gaps: %.300s", err.text);
		for (int i = 0; i < n; i++) {
			from = gap[i].last + 1;
			for (uint64_t seq = gap[i].first; seq <= gap[i].last &&
			    seq <= WORLD_SEQS; seq++)
				if (gap[i].closed_ns == 0)
					found->gap[seq] =
					    (uint8_t)gap[i].reason;
		}
	} while (n == PAGE_ROWS);
	return n >= 0;
}

static int
note_fact(void *arg, const struct pb_fact *fact)
{
	struct found *found = arg;

	for (uint64_t seq = fact->first; seq <= fact->last &&
	    seq <= WORLD_SEQS; seq++) {
		if (fact->kind == PB_FACT_EXPIRED)
			found->expired[seq] = true;
		if (fact->kind == PB_FACT_GAP)
			found->said[seq] |= (uint8_t)(1u << fact->reason);
	}
	return 0;
}

/* --- heads --------------------------------------------------------------- */

void
world_check_heads(struct world *world)
{
	char dir[PATH_MAX];

	for (unsigned i = 0; i < world->sources && !world->damaged; i++) {
		struct pb_dir *folder = pb_layout_stream(dir, WORLD_STORE,
		    &world->source[i].key, NULL) < 0 ? NULL :
		    pb_below_opendir(dir);
		struct pb_segment_name file;
		const char *name;

		while (folder != NULL && (name = pb_dir_next(folder)) != NULL)
			if (pb_layout_parse(name, &file))
				check_head(world, dir, name);
		pb_dir_close(folder);
	}
}

static void
check_head(struct world *world, const char *dir, const char *name)
{
	char path[PATH_MAX + 256];
	struct pb_head *head;
	struct pb_err err;
	uint64_t digest;
	size_t bytes;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = pb_below_open(path, O_RDONLY, 0);
	if (fd < 0 || pb_survey_head(fd, &head, &bytes, &digest, &err) < 0) {
		world_fail(world, "%s: no reader can open it", path);
		return;
	}
	pb_head_unref(head);
	pb_file_close(fd);
}

/* --- verify -------------------------------------------------------------- */

void
world_verify(struct world *world)
{
	struct pb_verify_opts opts = { .store = WORLD_STORE, .alone = true,
	    .each = tell_finding, .arg = world };
	struct pb_verify_sum sum;
	struct pb_err err = { .code = 0 };
	int rc = pb_verify(&opts, &sum, &err);

	if (rc < 0)
		world_fail(world, "verify: %.400s", err.text);
}

static int
tell_finding(void *arg, const struct pb_finding *finding)
{
	struct world *world = arg;

	/* What a crash leaves, and the next line takes away. */
	if (strstr(finding->text, "last line is cut short") != NULL)
		return 0;
	/* Counted above. */
	for (unsigned i = 0; i < world->sources; i++)
		if (world->source[i].rotten > 0 && strstr(finding->text,
		    "not what was written") != NULL)
			return 0;
	if (finding->flaw == PB_FLAW_HOLE && world->tight &&
	    is_retained(world))
		return 0;
	world_fail(world, "verify: %s: %s %.160s: %.200s",
	    finding->key.interface, pb_flaw_name(finding->flaw),
	    finding->path, finding->text);
	return 0;
}

/* --- rows ---------------------------------------------------------------- */

uint64_t
world_rows(struct world *world)
{
	struct pb_index *index = pb_store_index(world->store);
	struct pb_digest *digest = aligned_alloc(PB_DIGEST_ALIGN,
	    sizeof(*digest));
	struct pb_stream_info row;
	struct pb_err err;
	uint64_t sum;

	assert(digest != NULL);
	pb_digest_begin(digest);
	for (unsigned i = 0; i < world->sources; i++)
		if (pb_index_stream(index, &world->source[i].key, &row,
		    &err) == 1)
			add_stream(index, &row, digest);
	sum = pb_digest_end(digest);
	free(digest);
	return sum;
}

static void
add_bytes(struct pb_digest *digest, const void *data, size_t len)
{
	pb_digest_add(digest, data, len);
}

static void
add_stream(struct pb_index *index, const struct pb_stream_info *row,
    struct pb_digest *digest)
{
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_gap_info gap;
	struct pb_drop_info drop;
	struct pb_err err;
	uint64_t from;

	memset(&segment, 0, sizeof(segment));
	memset(&extent, 0, sizeof(extent));
	memset(&gap, 0, sizeof(gap));
	memset(&drop, 0, sizeof(drop));
	add_bytes(digest, &row->id, sizeof(row->id));
	add_bytes(digest, &row->first_seq, sizeof(row->first_seq));
	add_bytes(digest, &row->last_seq, sizeof(row->last_seq));
	add_bytes(digest, &row->packets, sizeof(row->packets));
	add_bytes(digest, &row->bytes, sizeof(row->bytes));
	add_bytes(digest, &row->dropped, sizeof(row->dropped));
	add_bytes(digest, &row->first_time, sizeof(row->first_time));
	add_bytes(digest, &row->last_time, sizeof(row->last_time));
	for (from = 1; pb_index_rows_of(index, PB_TABLE_SEGMENTS, row->id,
	    from, &segment, 1, &err) == 1; from = segment.last_seq + 1)
		add_bytes(digest, &segment, sizeof(segment));
	for (from = 1; pb_index_rows_of(index, PB_TABLE_EXTENTS, row->id, from,
	    &extent, 1, &err) == 1; from = extent.last_seq + 1)
		add_bytes(digest, &extent, sizeof(extent));
	for (from = 1; pb_index_rows_of(index, PB_TABLE_GAPS, row->id, from,
	    &gap, 1, &err) == 1; from = gap.last + 1)
		add_bytes(digest, &gap, sizeof(gap));
	for (from = 1; pb_index_rows_of(index, PB_TABLE_DROPS, row->id, from,
	    &drop, 1, &err) == 1; from = drop.seq + 1)
		add_bytes(digest, &drop, sizeof(drop));
}
