/*
 * shipper/upstream/upstream_forks.c - the parts that a stream goes in
 *
 * The store has one stream; an upstream that has other packets of it from
 * some number on gets it in parts, each under an epoch of its own (forks.h).
 * Limit: streams with forks are few: their list is simply walked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/store/read/weigh.h"
#include "shipper/upstream/upstream_impl.h"

static const struct pb_forks none;

static struct upstream_forks *kept(const struct pb_upstream *, uint32_t);
static int	add(struct pb_upstream *, uint32_t, const struct pb_forks *,
		    struct pb_err *);
static int	load(struct pb_upstream *, const struct pb_stream_info *,
		    struct pb_err *);
static int	take_part(struct pb_upstream *,
		    const struct pb_stream_info *, unsigned, struct pb_err *);
static int	recall(const struct pb_upstream *,
		    const struct pb_stream_info *, uint32_t,
		    struct pb_cursor_row *, struct pb_err *);
static void	remember(struct pb_upstream *, const struct pb_cursor_row *,
		    uint32_t, bool);
static void	say_forked(struct pb_upstream *, uint32_t,
		    const struct pb_fork *);

const struct pb_forks *
upstream_forks(const struct pb_upstream *u, uint32_t stream)
{
	const struct upstream_forks *forks = kept(u, stream);

	return forks != NULL ? &forks->forks : &none;
}

int
upstream_part(const struct pb_upstream *u, uint32_t id,
    struct upstream_part *out, struct pb_err *err)
{
	uint32_t stream = PB_PART_STREAM(id);
	const struct pb_forks *forks = upstream_forks(u, stream);

	memset(out, 0, sizeof(*out));
	out->part = PB_PART_OF(id);
	out->stream = u->env.stream(u->env.arg, stream);
	if (out->stream == NULL || out->part > forks->count)
		return pb_err_set(err, PB_ENOENT, "stream %" PRIu32 " has gone",
		    stream);
	out->base = pb_forks_base(forks, out->part);
	out->top = pb_forks_top(forks, out->part);
	out->key = out->stream->key;
	out->key.epoch = pb_forks_epoch(forks, out->part, out->key.epoch);
	return 0;
}

int
pb_upstream_stream(struct pb_upstream *u, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	char name[PB_STREAM_NAME_MAX];
	int rc = 0;

	if (!pb_glob_list_match(u->conf.streams,
	    pb_stream_name(name, &stream->key)))
		return 0;
	if (PB_PART_OF(stream->id) != 0)
		return pb_err_set(err, PB_ELIMIT, "a stream with number %"
		    PRIu32 " is not shipped", stream->id);
	for (unsigned part = 0; rc >= 0 &&
	    part <= upstream_forks(u, stream->id)->count; part++)
		rc = take_part(u, stream, part, err);
	return rc < 0 ? rc : 0;
}

uint64_t
upstream_bytes(void *arg, uint32_t id, uint64_t first, uint64_t last)
{
	const struct pb_upstream *u = arg;
	uint64_t bytes = 0;
	struct pb_err err;

	/* A figure for people: what cannot be read counts as nothing. */
	(void)pb_weigh(u->env.index, PB_PART_STREAM(id), first, last, &bytes,
	    &err);
	return bytes;
}

unsigned
upstream_rank(void *arg, uint32_t id)
{
	const struct pb_upstream *u = arg;
	const struct pb_stream_info *stream =
	    u->env.stream(u->env.arg, PB_PART_STREAM(id));
	char name[PB_STREAM_NAME_MAX];

	return stream == NULL ? 0 : pb_conf_rank(u->conf.priority,
	    pb_stream_name(name, &stream->key));
}

void
upstream_event(void *arg, enum pb_log_level level, uint32_t id,
    const char *text)
{
	struct pb_upstream *u = arg;
	struct upstream_part part;
	char name[PB_STREAM_NAME_MAX];

	if (id == 0 || upstream_part(u, id, &part, NULL) < 0)
		pb_log(level, "shipper", "%s upstream=%s", text, u->conf.name);
	else
		pb_log(level, "shipper", "%s upstream=%s stream=%s "
		    "epoch=%016" PRIx64, text, u->conf.name,
		    pb_stream_name(name, &part.key), part.key.epoch);
}

void
pb_upstream_late(struct pb_upstream *u, const struct pb_stream_info *stream,
    bool hurry)
{
	unsigned parts = upstream_forks(u, stream->id)->count + 1;

	for (unsigned part = 0; part < parts; part++)
		pb_ship_late(u->ship, PB_PART_ID(stream->id, part), hurry);
}

int
upstream_below(void *arg, uint32_t id, uint64_t at, uint32_t captured,
    struct pb_fingerprint *out, struct pb_err *err)
{
	struct pb_upstream *u = arg;
	struct upstream_part part;
	int rc = upstream_part(u, id, &part, err);

	return rc < 0 ? rc : pb_feed_packet(u->env.feed, part.stream, at,
	    true, &(struct pb_feed_want){ .owner = u, .id = id,
	    .captured = captured }, out, err);
}

/* The part that it goes on in is a stream of the state machine, too. */
int
upstream_take_fork(struct pb_upstream *u, uint32_t id,
    const struct pb_forks *forks, struct pb_err *err)
{
	struct upstream_part part;
	int rc = upstream_part(u, id, &part, err);

	if (rc == 0)
		rc = add(u, part.stream->id, forks, err);
	if (rc == 0)
		rc = take_part(u, part.stream, forks->count, err);
	if (rc < 0)
		return rc;
	say_forked(u, id, &forks->at[forks->count - 1]);
	return 1;
}

/* What retention and people are to know: of all parts together. */
void
upstream_cursor(const struct pb_upstream *u, uint32_t id,
    struct pb_ship_cursor *out)
{
	uint32_t stream = PB_PART_STREAM(id);
	const struct pb_forks *forks = upstream_forks(u, stream);
	struct pb_ship_cursor one;
	bool behind = false;

	for (unsigned part = 0; part <= forks->count; part++) {
		uint64_t base = pb_forks_base(forks, part);
		uint64_t top = pb_forks_top(forks, part);

		if (base >= top || !pb_ship_cursor(u->ship,
		    PB_PART_ID(stream, part), &one))
			continue;
		/* The last part's; or the first's that is not all there. */
		if (behind && one.text[0] == '\0')
			continue;
		if (!behind) {
			*out = one;
			if (out->acked < base)
				out->acked = base;
			if (out->acked > top)
				out->acked = top;
			if (out->released > top)
				out->released = top;
			behind = out->acked < top;
		} else if (out->text[0] == '\0') {
			out->state = one.state;
			out->text = one.text;
		}
	}
}

/* --- parts -------------------------------------------------------------- */

static struct upstream_forks *
kept(const struct pb_upstream *u, uint32_t stream)
{
	for (unsigned i = 0; i < u->forks; i++)
		if (u->fork[i].stream == stream)
			return &u->fork[i];
	return NULL;
}

/* The stream's forks, in the place of those that were known. */
static int
add(struct pb_upstream *u, uint32_t stream, const struct pb_forks *forks,
    struct pb_err *err)
{
	struct upstream_forks *at = kept(u, stream), *grown;

	if (at == NULL) {
		grown = realloc(u->fork, (u->forks + 1) * sizeof(*grown));
		if (grown == NULL)
			return pb_err_set(err, PB_ENOMEM, "no memory");
		u->fork = grown;
		at = &grown[u->forks++];
	}
	at->stream = stream;
	at->forks = *forks;
	return 0;
}

/* The forks of a stream that is new, before anything is sent of it. */
static int
load(struct pb_upstream *u, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_ship_cursor cursor;
	struct pb_forks found;
	int rc;

	if (pb_ship_cursor(u->ship, stream->id, &cursor))
		return 0;
	rc = pb_forks_load(u->env.state, u->conf.name, &stream->key, &found,
	    err);
	if (rc == 0 && found.count > 0)
		rc = add(u, stream->id, &found, err);
	return rc;
}

static int
take_part(struct pb_upstream *u, const struct pb_stream_info *stream,
    unsigned part, struct pb_err *err)
{
	const struct pb_forks *forks;
	uint64_t end = stream->last_seq, top;
	uint32_t id = PB_PART_ID(stream->id, part);
	int rc = part == 0 ? load(u, stream, err) : 0;
	struct pb_cursor_row row;
	int known;

	if (rc < 0)
		return rc;
	known = recall(u, stream, id, &row, err);
	if (known < 0)
		return known;
	forks = upstream_forks(u, stream->id);
	top = pb_forks_top(forks, part);
	/* An older copy may not have come so far. */
	if (part > 0 && end <= pb_forks_base(forks, part))
		return 0;
	rc = pb_ship_stream(u->ship, id, stream->own, end < top ? end : top,
	    err);
	if (rc != 1)
		return rc;
	pb_ship_part(u->ship, id, pb_forks_base(forks, part),
	    part < forks->count);
	if (known == 1)
		remember(u, &row, id, part == forks->count);
	return 0;
}

/* What was reported last of a stream that is new to the state machine: 1.
 * That it cannot be read is an error where it is all that is known. */
static int
recall(const struct pb_upstream *u, const struct pb_stream_info *stream,
    uint32_t id, struct pb_cursor_row *row, struct pb_err *err)
{
	struct pb_ship_cursor cursor;
	int rc;

	if (pb_ship_cursor(u->ship, id, &cursor))
		return 0;
	rc = pb_state_cursor(u->env.state, u->conf.name, &stream->key, row,
	    err);
	return rc < 0 && !u->sink->kind->way.remembered ? 0 : rc;
}

static void
remember(struct pb_upstream *u, const struct pb_cursor_row *row, uint32_t id,
    bool last)
{
	struct pb_ship_cursor memory = { .acked = row->acked,
	    .released = row->released, .wait_seq = row->wait_seq,
	    .wait_ms = row->wait_ms };

	if (last)
		memory.sure = row->sure;
	memcpy(memory.unsure, row->unsure, sizeof(memory.unsure));
	pb_ship_remember(u->ship, id, &memory);
}

static void
say_forked(struct pb_upstream *u, uint32_t id, const struct pb_fork *fork)
{
	char line[PB_SHIP_TEXT_MAX];

	snprintf(line, sizeof(line), "it has other packets under the numbers "
	    "past %" PRIu64 ": was an older copy of the store put back, or "
	    "does another node run on one? From %" PRIu64 " on ours are "
	    "epoch %016" PRIx64 " there", fork->first - 1, fork->first,
	    fork->epoch);
	upstream_event(u, PB_LOG_WARN, id, line);
}
