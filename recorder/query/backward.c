/*
 * recorder/query/backward.c - the packets of a stream, the last one first
 */
#include "recorder/query/backward.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/list.h"

/* A piece and its options, in memory, all of it wanted. */
#define HELD_BYTES_MAX	(2 * PB_EXTENT_READ_MAX)

struct held {
	struct pb_cursor_packet cp;	/* its pointers are not set */
	size_t		 at;		/* in `bytes`: data, then options */
};

struct pb_backward {
	struct pb_backward_opts opts;
	uint64_t	 before;	/* all from there on is done with */
	struct held	*held;		/* by number */
	size_t		 count, cap;
	struct pb_buf	 bytes;
	struct pb_head	*head;		/* of the packet handed out */
};

static int	fill(struct pb_backward *, struct pb_err *);
static int	hold(struct pb_backward *, const struct pb_cursor_packet *,
		    struct pb_err *);
static void	drop(struct pb_backward *);

int
pb_backward_create(struct pb_backward **out,
    const struct pb_backward_opts *opts, struct pb_err *err)
{
	struct pb_backward *backward = calloc(1, sizeof(*backward));
	struct pb_cursor_guide guide = pb_plan_guide(opts->plan);

	*out = backward;
	if (backward == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	backward->opts = *opts;
	backward->before = opts->range.last_seq + 1;
	pb_buf_init(&backward->bytes, HELD_BYTES_MAX);
	pb_cursor_lead(opts->cursor, &guide);
	return 0;
}

void
pb_backward_destroy(struct pb_backward *backward)
{
	if (backward == NULL)
		return;
	drop(backward);
	pb_head_unref(backward->head);
	free(backward->held);
	pb_buf_finish(&backward->bytes);
	free(backward);
}

int
pb_backward_next(struct pb_backward *backward, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct held *held;
	int rc;

	pb_head_unref(backward->head);
	backward->head = NULL;
	while (backward->count == 0) {
		rc = fill(backward, err);
		if (rc <= 0)
			return rc;
	}
	held = &backward->held[--backward->count];
	*out = held->cp;
	out->packet.data = backward->bytes.data + held->at;
	out->packet.options = out->packet.data + out->packet.caplen;
	backward->head = (struct pb_head *)out->head;
	backward->before = out->seq;
	return 1;
}

void
pb_backward_park(struct pb_backward *backward)
{
	if (backward->count > 0)
		drop(backward);
	pb_buf_finish(&backward->bytes);
	pb_buf_init(&backward->bytes, HELD_BYTES_MAX);
	pb_cursor_park(backward->opts.cursor);
	pb_plan_park(backward->opts.plan);
}

/* The piece in front of what is done with: 1, or 0 where there is none. */
static int
fill(struct pb_backward *backward, struct pb_err *err)
{
	struct pb_backward_opts *opts = &backward->opts;
	struct pb_cursor_packet cp;
	uint64_t first, last;
	int rc;

	rc = pb_plan_back(opts->plan, backward->before, &first, &last, err);
	if (rc <= 0)
		return rc;
	if (first < opts->range.first_seq)
		first = opts->range.first_seq;
	pb_buf_clear(&backward->bytes);
	pb_cursor_seek(opts->cursor, first, last);
	while ((rc = pb_cursor_next(opts->cursor, &cp, err)) > 0)
		if (opts->take(opts->arg, &cp) &&
		    hold(backward, &cp, err) < 0) {
			rc = PB_ENOMEM;
			break;
		}
	if (rc < 0) {
		drop(backward);
		return rc;
	}
	backward->before = first;
	return 1;
}

static int
hold(struct pb_backward *backward, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	const struct pb_packet *packet = &cp->packet;
	struct held *held;

	if (!PB_LIST_ROOM(backward->held, backward->cap, backward->count))
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	held = &backward->held[backward->count];
	held->cp = *cp;
	held->at = backward->bytes.len;
	pb_buf_put(&backward->bytes, packet->data, packet->caplen);
	pb_buf_put(&backward->bytes, packet->options, packet->options_len);
	if (backward->bytes.failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	backward->count++;
	if (cp->head != NULL)
		pb_head_ref((struct pb_head *)cp->head);
	return 0;
}

static void
drop(struct pb_backward *backward)
{
	while (backward->count > 0)
		pb_head_unref((struct pb_head *)
		    backward->held[--backward->count].cp.head);
	pb_buf_clear(&backward->bytes);
}
