/*
 * cli/audit/side_store.c - a store at hand, as one side
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/side.h"
#include "recorder/store/read/absent.h"

/* An answer ends with the part in which so much was read, so that it can be
 * told how far an audit has come. */
#define ANSWER_BYTES	(64u << 20)

struct store {
	struct pb_side	 side;
	struct pb_index	*index;
	struct pb_index_lender lender;
	const struct pb_stop *stop;
	bool		(*passes)(void *, const struct pb_packet *);
	void		*passes_arg;
};

static int	ask(struct pb_side *, const struct pb_stream_key *,
		    struct pb_wire_digests *, struct pb_err *);
static int	make_parts(const struct store *, const struct pb_stream_key *,
		    const struct pb_wire_digests *, struct pb_digests_part *,
		    uint64_t, struct pb_err *);
static int	tell_absent(const struct store *,
		    const struct pb_stream_key *, struct pb_wire_digests *,
		    uint64_t *, struct pb_err *);
static int	next(const struct store *, struct pb_digests *, uint64_t,
		    struct pb_digests_part *, struct pb_err *);
static int	lend(void *, pb_index_use *, void *, struct pb_err *);
static void	destroy(struct pb_side *);

int
pb_side_store(struct pb_side **out, const char *path, struct pb_index *index,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	store->side = (struct pb_side){ .ask = ask, .destroy = destroy,
	    .name = path };
	store->index = index;
	store->lender = (struct pb_index_lender){ .store = path,
	    .lend = lend, .arg = store };
	store->stop = stop;
	*out = &store->side;
	return 0;
}

void
pb_side_destroy(struct pb_side *side)
{
	if (side != NULL)
		side->destroy(side);
}

void
pb_side_store_sift(struct pb_side *side,
    bool (*passes)(void *arg, const struct pb_packet *packet), void *arg)
{
	struct store *store = (struct store *)side;

	store->passes = passes;
	store->passes_arg = arg;
}

int
pb_side_store_match(struct pb_side *side, const struct pb_stream_key *key,
    const struct pb_wire_digests *of,
    struct pb_digests_part out[static PB_DIGESTS_PARTS_MAX],
    struct pb_err *err)
{
	int rc = make_parts((struct store *)side, key, of, out, UINT64_MAX,
	    err);

	return rc < 0 ? rc : 0;
}

/* So many parts of those that `of` has, or an error; fewer where `bytes_max`
 * were read. */
static int
make_parts(const struct store *store, const struct pb_stream_key *key,
    const struct pb_wire_digests *of, struct pb_digests_part *out,
    uint64_t bytes_max, struct pb_err *err)
{
	struct pb_digests *digests;
	unsigned n = 0;
	int rc = pb_digests_create(&digests, &store->lender, key,
	    of->ask.first, (uint32_t)of->ask.snaplen, err);

	if (rc < 0)
		return rc;
	if (store->passes != NULL)
		pb_digests_sift(digests, store->passes, store->passes_arg);
	for (; n < of->parts && rc == 0 &&
	    pb_digests_bytes(digests) < bytes_max; n++)
		rc = next(store, digests, of->part[n].last, &out[n], err);
	pb_digests_destroy(digests);
	return rc < 0 ? rc : (int)n;
}

/* By the rules of docs/protocol.md, but that an answer ends with a part. */
static int
ask(struct pb_side *side, const struct pb_stream_key *key,
    struct pb_wire_digests *out, struct pb_err *err)
{
	const struct store *store = (struct store *)side;
	const struct pb_digests_ask *what = &out->ask;
	struct pb_holding holding;
	uint64_t last, step, at = what->first;
	int rc = pb_holding_find(&store->lender, key, &holding, err);

	if (rc < 0)
		return rc;
	out->parts = out->absences = 0;
	out->acked = holding.last_seq;
	out->first_seq = holding.first_seq;
	last = what->last < out->acked ? what->last : out->acked;
	if (last < at)
		return 0;
	if (what->why != 0)
		rc = tell_absent(store, key, out, &last, err);
	step = (last - at) / what->parts + 1;
	for (; at <= last; out->parts++) {
		out->part[out->parts] = (struct pb_digests_part){ .first = at,
		    .last = last - at < step ? last : at + step - 1 };
		at = out->part[out->parts].last + 1;
	}
	if (rc == 0)
		rc = make_parts(store, key, out, out->part, ANSWER_BYTES, err);
	if (rc > 0)
		out->parts = (unsigned)rc;
	return rc < 0 ? rc : 0;
}

static int
tell_absent(const struct store *store, const struct pb_stream_key *key,
    struct pb_wire_digests *out, uint64_t *last, struct pb_err *err)
{
	struct pb_absent absent[PB_ABSENT_MAX];
	int n = pb_absent(&store->lender, key, out->ask.first, last, absent,
	    err);

	for (int i = 0; i < n; i++) {
		struct pb_wire_absent *to = &out->absent[i];
		const char *reason = pb_gap_reason_name(absent[i].reason);

		*to = (struct pb_wire_absent){ .first = absent[i].first,
		    .last = absent[i].last, .since_ns = absent[i].since_ns };
		snprintf(to->reason, sizeof(to->reason), "%s",
		    reason != NULL ? reason : "unknown");
	}
	out->absences = n > 0 ? (unsigned)n : 0;
	return n < 0 ? n : 0;
}

/* The part that ends at `last`. */
static int
next(const struct store *store, struct pb_digests *digests, uint64_t last,
    struct pb_digests_part *out, struct pb_err *err)
{
	int rc;

	do {
		if (pb_stopped(store->stop))
			return pb_err_set(err, PB_EBUSY, "stopped");
		rc = pb_digests_next(digests, last, out, err);
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

static int
lend(void *arg, pb_index_use *use, void *use_arg, struct pb_err *err)
{
	const struct store *store = arg;

	return use(use_arg, store->index, err);
}

static void
destroy(struct pb_side *side)
{
	free(side);
}
