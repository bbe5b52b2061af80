/*
 * shipper/state/news.c - rows for the state, gathered and then written
 */
#include "shipper/state/news.h"

#include "base/list.h"

void
pb_news_upstream(struct pb_news *news, const struct pb_upstream_row *row)
{
	if (PB_LIST_ROOM(news->upstream, news->upstreams_cap,
	    news->upstreams))
		news->upstream[news->upstreams++] = *row;
	else
		news->failed = true;
}

void
pb_news_edge(struct pb_news *news, const struct pb_edge_row *row)
{
	if (PB_LIST_ROOM(news->edge, news->edges_cap, news->edges))
		news->edge[news->edges++] = *row;
	else
		news->failed = true;
}

void
pb_news_cursor(struct pb_news *news, const char *upstream,
    const struct pb_cursor_row *row)
{
	struct pb_news_cursor *c;

	if (!PB_LIST_ROOM(news->cursor, news->cursors_cap, news->cursors)) {
		news->failed = true;
		return;
	}
	c = &news->cursor[news->cursors++];
	strcpy(c->upstream, upstream);
	c->row = *row;
}

int
pb_news_write(struct pb_news *news, struct pb_state *state,
    struct pb_err *err)
{
	bool failed = news->failed;
	int rc;

	if (pb_state_begin(state, err) == 0) {
		for (size_t i = 0; i < news->upstreams; i++)
			pb_state_put_upstream(state, &news->upstream[i]);
		for (size_t i = 0; i < news->cursors; i++)
			pb_state_put_cursor(state, news->cursor[i].upstream,
			    &news->cursor[i].row);
		for (size_t i = 0; i < news->edges; i++)
			pb_state_put_edge(state, &news->edge[i]);
	}
	rc = pb_state_commit(state);
	news->upstreams = news->cursors = news->edges = 0;
	news->failed = false;
	if (rc == 0 && failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a report");
	return rc;
}

void
pb_news_finish(struct pb_news *news)
{
	free(news->upstream);
	free(news->cursor);
	free(news->edge);
	memset(news, 0, sizeof(*news));
}
