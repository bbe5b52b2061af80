/*
 * shipper/state/news.h - rows for the state, gathered by the one who knows
 * them and written by another
 */
#ifndef PB_SHIPPER_NEWS_H
#define PB_SHIPPER_NEWS_H

#include "shipper/state/edges.h"
#include "shipper/state/state.h"

/* Zeroed, it has no rows.  One thread at a time. */
struct pb_news {
	struct pb_upstream_row *upstream;
	size_t		 upstreams, upstreams_cap;
	struct pb_news_cursor {
		char	 upstream[PB_NAME_BYTES_MAX + 1];
		struct pb_cursor_row row;
	}		*cursor;
	size_t		 cursors, cursors_cap;
	struct pb_edge_row *edge;
	size_t		 edges, edges_cap;
	bool		 failed;	/* no memory for all of them */
};

void	pb_news_upstream(struct pb_news *news,
	    const struct pb_upstream_row *row);
void	pb_news_edge(struct pb_news *news, const struct pb_edge_row *row);
void	pb_news_cursor(struct pb_news *news, const char *upstream,
	    const struct pb_cursor_row *row);

/* Write all of them, durably, and forget them.  On an error none is
 * written, or not all were gathered: they are to be gathered again. */
int	pb_news_write(struct pb_news *news, struct pb_state *state,
	    struct pb_err *err);

/* Give back its memory. */
void	pb_news_finish(struct pb_news *news);

#endif
