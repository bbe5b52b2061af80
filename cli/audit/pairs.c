/*
 * cli/audit/pairs.c - which streams of two nodes are to be the same
 *
 * Limit: parts are few: their list is simply walked.
 */
#include "cli/audit/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/query/select.h"
#include "recorder/store/read/peek.h"
#include "shipper/state/edges.h"

/* Numbers first .. last of `whole` at one node are `epoch` at the other. */
struct pb_pairs_part {
	struct pb_stream_key whole;
	uint64_t	epoch, first, last;
	bool		there;		/* that is the other store's name */
};

/* A stream's store, and the other one. */
struct pb_pairs_sides {
	const char	*store;
	struct pb_index	*index, *other;
	struct pb_state	*state, *other_state;
};

static int	take_parts(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	take_parts_there(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	forks_between(const struct pb_pairs_sides *,
		    const struct pb_stream_info *, struct pb_forks *,
		    struct pb_err *);
static int	dialled_forks(const struct pb_pairs_sides *,
		    const struct pb_stream_info *, struct pb_forks *,
		    struct pb_err *);
static int	is_named_by(const struct pb_pairs_sides *,
		    const struct pb_stream_info *, const struct pb_fork *,
		    struct pb_err *);
static int	all_forks(struct pb_state *, const struct pb_stream_key *,
		    struct pb_index *, struct pb_forks *, struct pb_err *);
static void	put_in_order(struct pb_forks *, const struct pb_fork *);
static int	keep(struct pb_pairs *, const struct pb_stream_key *,
		    const struct pb_forks *, bool, struct pb_err *);
static int	stream_here(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	parts_of(struct pb_pairs *, const struct pb_stream_key *,
		    uint64_t, struct pb_err *);
static int	stream_there(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	streams_of_edge(struct pb_pairs *, struct pb_err *);
static int	stream_of_edge(struct pb_pairs *,
		    const struct pb_stream_key *, bool, struct pb_err *);
static int	streams_at_upstream(struct pb_pairs *, struct pb_err *);
static bool	concerns(const struct pb_pairs *,
		    const struct pb_stream_key *);
static const struct pb_pairs_part *part_named(const struct pb_pairs *,
		    const struct pb_stream_key *, bool);
static bool	same_interface(const struct pb_stream_key *,
		    const struct pb_stream_key *);
static int	acked_once(struct pb_pairs *, const struct pb_stream_key *,
		    uint64_t *, struct pb_err *);

int
pb_pairs_each(struct pb_pairs *pairs, int (*each)(void *arg,
    const struct pb_compare_pair *pair, struct pb_err *err), void *arg,
    struct pb_err *err)
{
	int rc = 0;

	pairs->each = each;
	pairs->arg = arg;
	pairs->part = NULL;
	pairs->parts = 0;
	if (pairs->other == NULL && pairs->upstream == NULL)
		return streams_of_edge(pairs, err);
	rc = pb_streams_each(pairs->index, pairs->glob, take_parts, pairs,
	    err);
	if (rc == 0 && pairs->other != NULL)
		rc = pb_streams_each(pairs->other, pairs->glob,
		    take_parts_there, pairs, err);
	if (rc == 0)
		rc = pb_streams_each(pairs->index, pairs->glob, stream_here,
		    pairs, err);
	if (rc == 0 && pairs->other != NULL)
		rc = pb_streams_each(pairs->other, pairs->glob, stream_there,
		    pairs, err);
	if (rc == 0 && pairs->other == NULL)
		rc = streams_at_upstream(pairs, err);
	free(pairs->part);
	return rc;
}

/* --- parts -------------------------------------------------------------- */

static int
take_parts(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_pairs *pairs = arg;
	const struct pb_pairs_sides sides = { pairs->store, pairs->index,
	    pairs->other, pairs->state, pairs->other_state };
	struct pb_forks forks = { .count = 0 };
	int rc = 0;

	if (pairs->other != NULL)
		rc = forks_between(&sides, stream, &forks, err);
	else if (pairs->state != NULL)
		rc = pb_forks_load(pairs->state, pairs->upstream,
		    &stream->key, &forks, err);
	return rc < 0 ? rc : keep(pairs, &stream->key, &forks, true, err);
}

static int
take_parts_there(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_pairs *pairs = arg;
	const struct pb_pairs_sides sides = { pairs->other_store,
	    pairs->other, pairs->index, pairs->other_state, pairs->state };
	struct pb_forks forks;
	int rc = forks_between(&sides, stream, &forks, err);

	return rc < 0 ? rc : keep(pairs, &stream->key, &forks, false, err);
}

/* Parts of a stream, that the other store has under names of their own: who
 * dialled this one gave them, or this one's shipper did. */
static int
forks_between(const struct pb_pairs_sides *sides,
    const struct pb_stream_info *stream, struct pb_forks *out,
    struct pb_err *err)
{
	int rc = 0;

	out->count = 0;
	if (sides->other_state != NULL)
		rc = dialled_forks(sides, stream, out, err);
	if (rc == 0 && out->count == 0 && sides->state != NULL)
		rc = all_forks(sides->state, &stream->key, sides->other, out,
		    err);
	return rc;
}

/* Of which of its edges this is the store, it does not know: the packet that
 * a fork was named by tells, for two of one image have the same stream. */
static int
dialled_forks(const struct pb_pairs_sides *sides,
    const struct pb_stream_info *stream, struct pb_forks *out,
    struct pb_err *err)
{
	char after[PB_NAME_BYTES_MAX + 1] = "";
	struct pb_edge_row edge;
	int rc, named = 0;

	while ((rc = pb_state_edges(sides->other_state, after, &edge, 1,
	    err)) == 1) {
		strcpy(after, edge.name);
		rc = pb_forks_load_edge(sides->other_state, edge.name,
		    &stream->key, out, err);
		if (rc == 0 && out->count > 0)
			rc = named = is_named_by(sides, stream, &out->at[0],
			    err);
		if (rc != 0)
			break;
	}
	if (named != 1)
		out->count = 0;
	return rc < 0 ? rc : 0;
}

/* 1 or 0; one whose packet has gone is believed. */
static int
is_named_by(const struct pb_pairs_sides *sides,
    const struct pb_stream_info *stream, const struct pb_fork *fork,
    struct pb_err *err)
{
	struct pb_fingerprint first;
	int rc = pb_peek_above(sides->index, sides->store, &stream->key,
	    stream->id, fork->first, &first, err);

	return rc < 0 ? rc : rc == 0 || pb_fork_epoch(stream->key.epoch,
	    fork->first - 1, first.digest) == fork->epoch;
}

/* Those that any upstream was given, and that are in `index`. */
static int
all_forks(struct pb_state *state, const struct pb_stream_key *key,
    struct pb_index *index, struct pb_forks *out, struct pb_err *err)
{
	struct pb_stream_key part = *key;
	struct pb_forks seen = { 0 };
	struct pb_stream_info info;
	struct pb_fork fork;
	int rc = 0;

	out->count = 0;
	while (seen.count < PB_FORKS_MAX && (rc = pb_forks_find(state, key, 1,
	    INT64_MAX, &seen, &fork, err)) == 1) {
		seen.at[seen.count++] = fork;
		part.epoch = fork.epoch;
		rc = pb_index_stream(index, &part, &info, err);
		if (rc < 0)
			break;
		if (rc == 1)
			put_in_order(out, &fork);
	}
	return rc < 0 ? rc : 0;
}

static void
put_in_order(struct pb_forks *forks, const struct pb_fork *fork)
{
	unsigned at = forks->count++;

	for (; at > 0 && forks->at[at - 1].first > fork->first; at--)
		forks->at[at] = forks->at[at - 1];
	forks->at[at] = *fork;
}

static int
keep(struct pb_pairs *pairs, const struct pb_stream_key *whole,
    const struct pb_forks *forks, bool there, struct pb_err *err)
{
	struct pb_pairs_part *grown;

	if (forks->count == 0)
		return 0;
	grown = realloc(pairs->part, (pairs->parts + forks->count) *
	    sizeof(*grown));
	if (grown == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pairs->part = grown;
	for (unsigned part = 1; part <= forks->count; part++)
		grown[pairs->parts++] = (struct pb_pairs_part){ *whole,
		    forks->at[part - 1].epoch, forks->at[part - 1].first,
		    part < forks->count ? pb_forks_top(forks, part) :
		    INT64_MAX, there };
	return 0;
}

/* --- pairs -------------------------------------------------------------- */

static int
stream_here(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_pairs *pairs = arg;
	struct pb_compare_pair pair = { .here = stream->key,
	    .there = stream->key, .first = 1, .last = INT64_MAX,
	    .ships = pairs->other == NULL };
	char name[PB_STREAM_NAME_MAX];
	uint64_t acked = 0;
	int rc;

	if (pairs->other == NULL && !pb_glob_list_match(pairs->streams,
	    pb_stream_name(name, &stream->key)))
		return 0;
	/* It is compared as a part of the other's. */
	if (part_named(pairs, &stream->key, false) != NULL)
		return 0;
	for (size_t i = 0; i < pairs->parts; i++)
		if (pb_stream_key_same(&pairs->part[i].whole, &stream->key) &&
		    pairs->part[i].first <= pair.last)
			pair.last = pairs->part[i].first - 1;
	rc = acked_once(pairs, &stream->key, &acked, err);
	if (rc < 0)
		return rc;
	pair.acked = acked < pair.last ? acked : pair.last;
	rc = pairs->each(pairs->arg, &pair, err);
	return rc != 0 ? rc : parts_of(pairs, &stream->key, acked, err);
}

static int
parts_of(struct pb_pairs *pairs, const struct pb_stream_key *whole,
    uint64_t acked, struct pb_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < pairs->parts && rc == 0; i++) {
		const struct pb_pairs_part *part = &pairs->part[i];
		struct pb_compare_pair pair = { .here = *whole,
		    .there = *whole, .first = part->first,
		    .last = part->last, .ships = pairs->other == NULL };

		if (!pb_stream_key_same(&part->whole, whole))
			continue;
		if (part->there)
			pair.there.epoch = part->epoch;
		else
			pair.here.epoch = part->epoch;
		if (acked >= part->first)
			pair.acked = acked < part->last ? acked : part->last;
		rc = pairs->each(pairs->arg, &pair, err);
	}
	return rc;
}

/* Of the other store what has not been met. */
static int
stream_there(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_pairs *pairs = arg;
	struct pb_compare_pair pair = { .here = stream->key,
	    .there = stream->key, .first = 1, .last = INT64_MAX };
	struct pb_stream_info info;
	int rc;

	if (part_named(pairs, &stream->key, true) != NULL)
		return 0;
	rc = pb_index_stream(pairs->index, &stream->key, &info, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = pairs->each(pairs->arg, &pair, err);
	return rc != 0 ? rc : parts_of(pairs, &stream->key, 0, err);
}

/* --- what another node lists -------------------------------------------- */

/* What is not known here may be by the time that the others are compared. */
static int
streams_of_edge(struct pb_pairs *pairs, struct pb_err *err)
{
	struct pb_listing listed = { 0 };
	struct pb_stream_info info;
	int rc = pairs->list(pairs->arg, &listed, err);
	bool sifted = listed.filter[0] != '\0';
	size_t rest = 0;

	for (size_t i = 0; i < listed.count && rc >= 0; i++) {
		const struct pb_stream_key key = listed.key[i];

		if (!concerns(pairs, &key))
			continue;
		rc = pb_index_stream(pairs->index, &key, &info, err);
		if (rc == 0)
			listed.key[rest++] = key;
		else if (rc == 1)
			rc = stream_of_edge(pairs, &key, sifted, err);
	}
	for (size_t i = 0; i < rest && rc >= 0; i++)
		rc = stream_of_edge(pairs, &listed.key[i], sifted, err);
	pb_listing_clear(&listed);
	return rc < 0 ? rc : 0;
}

/* It has one epoch there; here each part that it was forked into has one
 * (pull/pull_fork.c). */
static int
stream_of_edge(struct pb_pairs *pairs, const struct pb_stream_key *key,
    bool sifted, struct pb_err *err)
{
	struct pb_compare_pair pair = { .here = *key, .there = *key,
	    .comes = true, .sifted = sifted };
	struct pb_forks forks = { .count = 0 };
	int rc = pairs->state == NULL ? 0 : pb_forks_load_edge(pairs->state,
	    pairs->edge, key, &forks, err);

	for (unsigned part = 0; part <= forks.count && rc == 0; part++) {
		pair.here.epoch = pb_forks_epoch(&forks, part, key->epoch);
		pair.first = pb_forks_base(&forks, part) + 1;
		pair.last = part < forks.count ? pb_forks_top(&forks, part) :
		    INT64_MAX;
		rc = pairs->each(pairs->arg, &pair, err);
	}
	return rc;
}

/* Of what is this node's own, and neither known here nor a part. */
static int
streams_at_upstream(struct pb_pairs *pairs, struct pb_err *err)
{
	struct pb_compare_pair pair = { .first = 1, .last = INT64_MAX,
	    .ships = true };
	struct pb_listing listed = { 0 };
	struct pb_stream_info info;
	int rc = pairs->list(pairs->arg, &listed, err);

	for (size_t i = 0; i < listed.count && rc >= 0; i++) {
		pair.here = pair.there = listed.key[i];
		pair.acked = 0;
		if (!concerns(pairs, &pair.here) ||
		    part_named(pairs, &pair.here, true) != NULL)
			continue;
		rc = pb_index_stream(pairs->index, &pair.here, &info, err);
		if (rc != 0)
			continue;
		rc = acked_once(pairs, &pair.here, &pair.acked, err);
		if (rc == 0)
			rc = pairs->each(pairs->arg, &pair, err);
	}
	pb_listing_clear(&listed);
	return rc < 0 ? rc : 0;
}

/* Whatever it says: of an edge's streams those that are fetched, of an
 * upstream's this node's. */
static bool
concerns(const struct pb_pairs *pairs, const struct pb_stream_key *key)
{
	bool own = strcmp(key->node, pairs->node) == 0;
	char name[PB_STREAM_NAME_MAX];

	pb_stream_name(name, key);
	return own == (pairs->upstream != NULL) &&
	    pb_glob_list_match(pairs->streams, name) &&
	    (pairs->glob == NULL || pb_glob_match(pairs->glob, name));
}

/* --- names -------------------------------------------------------------- */

/* The part that is this stream there, or here. */
static const struct pb_pairs_part *
part_named(const struct pb_pairs *pairs, const struct pb_stream_key *key,
    bool there)
{
	for (size_t i = 0; i < pairs->parts; i++)
		if (pairs->part[i].there == there &&
		    pairs->part[i].epoch == key->epoch &&
		    same_interface(&pairs->part[i].whole, key))
			return &pairs->part[i];
	return NULL;
}

static bool
same_interface(const struct pb_stream_key *a, const struct pb_stream_key *b)
{
	return strcmp(a->node, b->node) == 0 &&
	    strcmp(a->interface, b->interface) == 0;
}

/* What the upstream has acknowledged so far; a row that cannot be read says
 * nothing. */
static int
acked_once(struct pb_pairs *pairs, const struct pb_stream_key *key,
    uint64_t *acked, struct pb_err *err)
{
	struct pb_cursor_row row;
	int rc;

	if (pairs->other != NULL || pairs->state == NULL)
		return 0;
	rc = pb_state_cursor(pairs->state, pairs->upstream, key, &row, err);
	if (rc == 1)
		*acked = row.acked;
	return rc == PB_EFORMAT || rc >= 0 ? 0 : rc;
}
