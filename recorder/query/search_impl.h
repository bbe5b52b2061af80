/*
 * recorder/query/search_impl.h - inside a search
 *
 * search.c knows which streams there are and how far the rounds came;
 * search_filter.c what is asked of their packets; search_input.c reads one of
 * them, prefetch.c parts of it by other threads, which have a search each
 * (search_twin.c).
 */
#ifndef PB_QUERY_SEARCH_IMPL_H
#define PB_QUERY_SEARCH_IMPL_H

#include "recorder/query/plan.h"
#include "recorder/query/search.h"

struct search_filter {
	uint16_t	 linktype;
	bool		 borrowed;	/* `filter` is another search's */
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
	size_t		 most;		/* packets that are gathered at once */
	uint64_t	 before;	/* backwards: all from there on has
					 * been read */
	struct pb_err	 failed;	/* behind the last batch */
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
	struct pb_bytes	 bytes;		/* that are read for a merge */
	struct pb_err	 filter_err;	/* of the first that failed */
	struct pb_payload *twin_payload;	/* its own, of a twin */
};

/*
 * search_twin.c.  A search of the same, for another thread, that has no round:
 * it is given a part of a stream after the other, of which search_batch() then
 * reads.  `of` is borrowed until it is destroyed.
 */
int	search_twin(struct pb_search **out, const struct pb_search *of,
	    const struct pb_stop *stop, struct pb_err *err);
int	search_twin_part(struct pb_search *twin,
	    const struct search_input *input, uint64_t first, uint64_t last,
	    struct pb_err *err);

/* search_filter.c.  What is asked of packets of a link type: compiled once. */
int	search_filter_find(struct pb_search *search, uint16_t linktype,
	    struct search_filter **out, struct pb_err *err);
/* Does it compile for one of the link types that were asked for?  Where none
 * was: is it a filter at all? */
int	search_filters_check(struct pb_search *search, struct pb_err *err);
void	search_filters_free(struct pb_search *search);
/* The same as another search asks, which keeps it longer. */
int	search_filter_borrow(struct pb_search *search,
	    const struct search_filter *of, struct search_filter **out,
	    struct pb_err *err);

/* search.c.  Of zeroed memory. */
int	search_init(struct pb_search *search,
	    const struct pb_search_opts *opts, struct pb_err *err);

/* search_input.c.  What is earliest of it, or backwards what is latest. */
uint64_t search_first(const struct search_input *input);
/* Open it to be read forward; `sure` is told of rows that need no look. */
int	search_forward(struct pb_search *search, struct search_input *input,
	    pb_ask_sure *sure, void *arg, struct pb_err *err);
/* Of one that was opened, the next packet: 1, 0 at its end, or an error. */
int	search_next(struct pb_search *search, struct search_input *input,
	    struct pb_cursor_packet *out, struct pb_err *err);

/* What was read of files since the last time is counted. */
void	search_count_bytes(struct pb_search *search,
	    struct search_input *input);
/* Of one that was opened: go on with numbers first .. last. */
void	search_seek(struct search_input *input, uint64_t first, uint64_t last);

/* As a merge's source; `arg` is the search. */
int	search_batch(void *arg, size_t i, size_t bytes_max,
	    struct pb_batch *out, struct pb_err *err);
void	search_park(void *arg, size_t i);
void	search_close(void *arg, size_t i);

#endif
