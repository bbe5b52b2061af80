/*
 * recorder/query/search_impl.h - inside a search
 *
 * search.c knows which streams there are and how far the rounds came;
 * search_input.c reads one of them.
 */
#ifndef PB_QUERY_SEARCH_IMPL_H
#define PB_QUERY_SEARCH_IMPL_H

#include "recorder/query/plan.h"
#include "recorder/query/search.h"

struct search_filter {
	uint16_t	 linktype;
	struct pb_filter *filter;	/* NULL: does not compile */
	struct pb_question *question;	/* NULL as well without the index */
	struct pb_inner	*inner;		/* NULL: not asked for */
};

struct search_input {
	struct pb_search *search;
	struct pb_stream_info info;
	struct pb_range	 range;
	uint64_t	 dealt;		/* all up to it */
	const struct search_filter *filter;
	bool		 distrusted;	/* the index was wrong: count without */
	/* While it is read. */
	struct pb_cursor *cursor;
	struct pb_plan	*plan;		/* NULL: none is needed */
	struct pb_backward *backward;	/* NULL: it is read forward */
	struct pb_runs	*runs;		/* NULL: none was asked for yet */
	uint64_t	 at;		/* the number that is read next */
	/* Of the extent that the last packet lies in, where runs are looked
	 * for: its last number, and the lowest time of all behind it. */
	uint64_t	 extent_last, floor;
};

/* How far the rounds before have come; the key first, by which it is found. */
struct search_done {
	struct pb_stream_key key;
	uint64_t	 last_seq;
};

struct pb_search {
	struct pb_index	*index;
	struct pb_search_opts opts;
	struct pb_explain explain;
	struct pb_planner *planner;
	struct search_input *input;
	size_t		 inputs, inputs_cap;
	struct search_filter **filter;	/* by link type */
	size_t		 filters, filters_cap;
	size_t		 passed_over;
	struct search_done *done;	/* sorted by key */
	size_t		 dones, dones_cap;
	bool		 cut;		/* the round was, short */
	struct pb_err	 filter_err;	/* of the first that failed */
};

/* search_input.c.  What is earliest of it, or backwards what is latest. */
uint64_t search_first(const struct search_input *input);
/* Open it to be read forward; `sure` is told of rows that need no look. */
int	search_forward(struct pb_search *search, struct search_input *input,
	    pb_ask_sure *sure, void *arg, struct pb_err *err);
/* Is it one that the filter takes?  `arg` is the input. */
bool	search_takes(void *arg, const struct pb_cursor_packet *cp);

/* The merge's source; `arg` is the search. */
int	search_next(void *arg, size_t i, struct pb_cursor_packet *out,
	    struct pb_err *err);
int	search_run(void *arg, size_t i, uint64_t before_ns,
	    uint64_t packets_max, struct pb_run *out, struct pb_err *err);
uint64_t search_floor(void *arg, size_t i);
void	search_park(void *arg, size_t i);
void	search_close(void *arg, size_t i);

#endif
