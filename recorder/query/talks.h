/*
 * recorder/query/talks.h - the conversations of the packets of a search
 *
 * What the index knows of flows that the filter takes is added as it is; all
 * other packets are read, and added one by one.
 */
#ifndef PB_QUERY_TALKS_H
#define PB_QUERY_TALKS_H

#include "recorder/query/conversations.h"
#include "recorder/query/search.h"

/* Of the round; the number of a conversation's stream is its input
 * (pb_search_stream()). */
int	pb_talks_gather(struct pb_search *search,
	    struct pb_conversations *out, struct pb_err *err);

#endif
