/*
 * recorder/intake/intake_entry.c - the streams that requests speak of, who
 * asks about them, and what they are told
 *
 * Two edges from one image send other packets under the same numbers.  So a
 * sender says who it is (PB-Sender), and a stream is open to the one that
 * asked last: what others send is refused until they have asked again, and
 * been told which packet is the last here.  That shows them whether it is
 * one of theirs.
 *
 * Promise: what a sender is told covers all that was taken of others before
 *          its question; nothing of others is taken after it, unless they
 *          have asked since.
 * Reason:  the question waits for what is being written, rather than being
 *          refused: refused, it would never be answered beside a sender
 *          that always has something under way.
 * Limit:   it is kept in memory; who is forgotten asks again, and so does
 *          everybody where another store has come.  ENTRIES_MAX of them, so
 *          that asking for names costs a peer more than us; an entry that
 *          nobody uses is forgotten after IDLE_MS.  Where a sender has said
 *          who it is that is later; senders of ours ask about idle streams
 *          every ten minutes.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/intake/intake_impl.h"

#define ENTRIES_MAX	(2u * PB_STREAMS_OPEN_MAX)
#define IDLE_MS		60000u
#define ASKED_IDLE_MS	1500000u

_Static_assert(offsetof(struct pb_intake_entry, key) == 0,
    "an entry is found by its key");

static int	order(const void *, const void *);
static bool	entry_idle(const struct pb_intake *,
		    const struct pb_intake_entry *, uint64_t);
static void	forget(struct pb_intake *, struct pb_intake_entry *);

struct pb_intake_entry *
intake_entry(struct pb_intake *intake, const struct pb_stream_key *key,
    struct pb_err *err)
{
	struct pb_intake_entry *entry, **found;

	found = tfind(key, &intake->tree, order);
	if (found != NULL)
		return *found;
	if (intake->entries >= ENTRIES_MAX) {
		pb_err_set(err, PB_ELIMIT, "more than %u streams are spoken "
		    "of; ask again in a minute", ENTRIES_MAX);
		return NULL;
	}
	entry = calloc(1, sizeof(*entry));
	if (entry != NULL)
		entry->key = *key;
	if (entry == NULL || tsearch(entry, &intake->tree, order) == NULL) {
		free(entry);
		pb_err_set(err, PB_ENOMEM, "no memory");
		return NULL;
	}
	TAILQ_INSERT_TAIL(&intake->all, entry, link);
	intake->entries++;
	return entry;
}

/* By their keys, which stand first.  A balanced tree: whatever names a peer
 * chooses, they are found. */
static int
order(const void *a, const void *b)
{
	return pb_stream_key_order(a, b);
}

int
intake_find_stream(struct pb_intake *intake, struct pb_intake_entry *entry,
    struct pb_err *err)
{
	int rc;

	if (entry->stream != NULL)
		return 0;
	rc = pb_store_stream_find(intake->opts.store, &entry->key,
	    &entry->stream, err);
	return rc < 0 ? intake_store_failed(rc) : 0;
}

int
intake_store_failed(int rc)
{
	if (rc == PB_EORDER)
		return PB_EBUSY;
	return rc == PB_ENOSPC ? rc : PB_ESYS;
}

void
intake_sweep(struct pb_intake *intake, uint64_t now_ms)
{
	struct pb_intake_entry *entry, *next;

	for (entry = TAILQ_FIRST(&intake->all); entry != NULL; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (entry_idle(intake, entry, now_ms))
			forget(intake, entry);
	}
}

static bool
entry_idle(const struct pb_intake *intake,
    const struct pb_intake_entry *entry, uint64_t now_ms)
{
	bool keep = entry->sender != 0 && intake->entries < ENTRIES_MAX / 2;
	unsigned loads = 0;

	for (int i = LOAD_COMING; i <= LOAD_WRITING; i++)
		loads += entry->loads[i];
	return loads == 0 && entry->chunks == 0 &&
	    now_ms - entry->used_ms >= (keep ? ASKED_IDLE_MS : IDLE_MS);
}

static void
forget(struct pb_intake *intake, struct pb_intake_entry *entry)
{
	tdelete(entry, &intake->tree, order);
	TAILQ_REMOVE(&intake->all, entry, link);
	intake->entries--;
	pb_head_unref(entry->head);
	free(entry);
}

void
intake_free_entries(struct pb_intake *intake)
{
	struct pb_intake_entry *entry;

	while ((entry = TAILQ_FIRST(&intake->all)) != NULL)
		forget(intake, entry);
}

/* --- who asks ------------------------------------------------------------ */

void
intake_asks(struct pb_intake *intake, struct pb_load *load, uint64_t next)
{
	struct pb_intake_entry *entry = load->entry;

	intake_catch_up(entry, pb_store_changes(intake->opts.store));
	load->first = load->last = 0;
	/* A look further back is no word on who may send. */
	if (load->sender == 0 || load->at != 0)
		return;
	if (load->sender != entry->sender)
		entry->others = next - 1;
	entry->sender = load->sender;
	/* Who asks again has not been told of it, perhaps. */
	load->last = entry->others;
}

bool
intake_answerable(const struct pb_load *load)
{
	const struct pb_intake_entry *entry = load->entry;

	/* What failed is not there, and never will be. */
	return entry->chunks == 0 || entry->stream == NULL ||
	    pb_stream_durable(entry->stream) >= load->last;
}

int
intake_tell(struct pb_intake *intake, struct pb_load *load)
{
	uint64_t changes = pb_store_changes(intake->opts.store), at;
	struct pb_intake_entry *entry = load->entry;

	load->last_packet.seq = 0;
	load->look.stream = NULL;
	load->acked = 0;
	intake_catch_up(entry, changes);
	if (entry->stream == NULL)
		return 0;
	/* One number for both: the writer goes on meanwhile. */
	load->acked = at = pb_stream_durable(entry->stream);
	if (load->at != 0 && load->at < at)
		at = load->at;
	/* With chunks out, what is durable may not have been told yet. */
	if (load->at == 0 && entry->chunks == 0 && entry->last.seq != 0 &&
	    entry->last.seq <= at)
		load->last_packet = entry->last;
	else
		load->look = (struct pb_look){ entry->stream, at,
		    load->at != 0, load->captured, changes };
	return pb_store_changes(intake->opts.store) == changes ? 0 : PB_ESYS;
}

int
pb_look(struct pb_store *store, const struct pb_look *look,
    struct pb_fingerprint *out, struct pb_err *err)
{
	int rc = pb_store_last(store, look->stream, look->at, look->checked,
	    look->captured, out, err);

	if (pb_store_changes(store) != look->changes)
		rc = PB_ESYS;
	if (rc == 1)
		return 0;
	/* Without it the sender goes by the number alone; so not where it may
	 * be known the next time. */
	out->seq = 0;
	return rc != PB_ESYS && rc != PB_ENOMEM ? 0 : pb_err_set(err, rc,
	    "the last packet cannot be read now");
}

bool
intake_fenced(struct pb_intake *intake, const struct pb_load *load)
{
	intake_catch_up(load->entry, pb_store_changes(intake->opts.store));
	return load->sender != 0 && load->sender != load->entry->sender;
}

void
intake_catch_up(struct pb_intake_entry *entry, uint64_t changes)
{
	if (entry->changes >= changes)
		return;
	entry->changes = changes;
	entry->last.seq = 0;
	entry->sender = 0;
}
