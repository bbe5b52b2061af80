/*
 * recorder/query/plan.h - which packets of a stream are worth a look
 *
 * Leads a cursor (recorder/store/read/cursor.h) by what the index tells of
 * index blocks: one falls away by its times, by its summary, or flow by flow
 * by its table; what is left of it are numbers, and where in the file they
 * are.  What no row of the index speaks of, and what is wrong with a row, a
 * table, or a place in a file, is looked at packet by packet.
 *
 *	planner  what the plans of a search share: one a thread
 *	plan     of one stream; holds what is left of one index block
 */
#ifndef PB_QUERY_PLAN_H
#define PB_QUERY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/question.h"
#include "recorder/query/ask.h"
#include "recorder/query/explain.h"
#include "recorder/store/read/cursor.h"
#include "recorder/store/index/index.h"

/* Candidates that are no further apart are read together: what lies between
 * them costs as much as another call. */
#define PB_PLAN_NEAR_BYTES	(4u << 10)
/* So much of a file at once, and what is left of the group of packets that
 * share a mark: more would be no faster, and each page of it is new once. */
#define PB_PLAN_READ_BYTES	(256u << 10)

struct pb_planner;

/* `index`, `store` and `explain` are borrowed; what is done is counted in the
 * last. */
int	pb_planner_create(struct pb_planner **out, const char *store,
	    struct pb_explain *explain, struct pb_err *err);
void	pb_planner_destroy(struct pb_planner *planner);
/* What files it has open goes: another index speaks of others. */
void	pb_planner_close(struct pb_planner *planner);

struct pb_plan_opts {
	struct pb_index	*index;			/* borrowed */
	const struct pb_stream_info *stream;	/* copied */
	struct pb_range	 range;
	struct pb_question *question;		/* borrowed; NULL: no use is
						 * made of index blocks */
	/* Where it is not NULL, what is sure need not be handed out:
	 * pb_ask_count() counts it, others are told of each row. */
	pb_ask_sure	*sure;
	void		*arg;		/* of `sure` */
};

struct pb_plan;

int	pb_plan_create(struct pb_plan **out, struct pb_planner *planner,
	    const struct pb_plan_opts *opts, struct pb_err *err);
void	pb_plan_destroy(struct pb_plan *plan);

/* For pb_cursor_lead(): as long as the plan lives. */
struct pb_cursor_guide pb_plan_guide(struct pb_plan *plan);

/*
 * Of numbers *first .. *last, the next part that is worth a thread of its own:
 * a segment from its first index block on that does not fall away by its times
 * or its summary, or what lies in front of one.  1, 0 where there is none, or
 * an error.  What the plan has in hand stays.
 */
int	pb_plan_part(struct pb_plan *plan, uint64_t *first, uint64_t *last,
	    struct pb_err *err);
/* Only numbers first .. last are asked for from now on. */
void	pb_plan_seek(struct pb_plan *plan, uint64_t first, uint64_t last);

/* Do packets follow behind the run that was given last, in the same index block
 * and not next to it? */
bool	pb_plan_goes_on(const struct pb_plan *plan);

/* Give up what is held of an index block until it is asked for again. */
void	pb_plan_park(struct pb_plan *plan);

/*
 * Backwards: all that is worth a look in front of number `before` lies at or
 * in front of *last; first .. last is no more than is read at once, and the
 * guide's next run from *first on.  1, 0 where there is none, or an error.
 */
int	pb_plan_back(struct pb_plan *plan, uint64_t before, uint64_t *first,
	    uint64_t *last, struct pb_err *err);

/*
 * With `sure`: how many packets it has counted so far, which the guide has
 * left out.  False: something of the index was wrong, and the sum may be.
 */
bool	pb_plan_counted(const struct pb_plan *plan, uint64_t *packets);

#endif
