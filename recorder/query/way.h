/*
 * recorder/query/way.h - a packet's way: switches that stamped it, the node
 * that captured it, the nodes after that
 */
#ifndef PB_QUERY_WAY_H
#define PB_QUERY_WAY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "recorder/query/seen/stamps.h"
#include "recorder/store/read/cursor.h"

struct pb_way {
	struct pb_stamped stamped;
	/* The origin and the nodes after it, as far as there are records. */
	int		 nodes;
	struct pb_hop	 hop[PB_HOPS_MAX];	/* [0] is the origin's: when it
						 * was captured */
};

/* PB_EFORMAT, naming the packet, where its hop records are malformed;
 * PB_ENOMEM. */
int	pb_way_get(struct pb_way *way, struct pb_stamper *stamper,
	    const struct pb_cursor_packet *cp, struct pb_err *err);

/* Its comment `n`, from 0 on, appended to `out`: one for each stamp
 * (pb_stamp_comment()), then for each node (pb_hop_comment()).  False past
 * the last. */
bool	pb_way_comment(const struct pb_way *way,
	    const struct pb_cursor_packet *cp, unsigned n,
	    struct pb_buf *out);

#endif
