/*
 * recorder/intake/intake_ask.c - who asks, and what they are told
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
 *          everybody where another store has come.
 */
#include "recorder/intake/intake_impl.h"

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
intake_look(struct pb_intake *intake, struct pb_load *load)
{
	uint64_t changes = pb_store_changes(intake->opts.store), at;
	struct pb_intake_entry *entry = load->entry;
	struct pb_err err;
	int rc;

	load->last_packet.seq = 0;
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
	    entry->last.seq <= at) {
		load->last_packet = entry->last;
		rc = 1;
	} else {
		rc = pb_store_last(intake->opts.store, entry->stream, at,
		    load->at != 0, &load->last_packet, &err);
	}
	if (pb_store_changes(intake->opts.store) != changes)
		return PB_ESYS;
	if (rc == 1)
		return 0;
	/* Without it the sender goes by the number alone; so not where it may
	 * be known the next time. */
	load->last_packet.seq = 0;
	return rc == PB_ESYS || rc == PB_ENOMEM ? rc : 0;
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
