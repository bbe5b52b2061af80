/*
 * recorder/query/lines.h - a packet as a line: for people, or as a JSON object
 *
 *	TIME NODE/INTERFACE SEQUENCE LENGTH ENDPOINTS
 *	{"time":..., "node":..., ..., "hops":[{...}, ...]}
 *
 * The origin is the first of the nodes: its number is the sequence number,
 * its time the packet's, or, where that is a stamp's, the capture's.  What
 * switches stamped stands in front of it (seen/stamps.h).  A packet without a
 * time stamp has `-` or null.  Where its original FCS was checked, `fcs` is
 * `right` or `wrong`, and a line for people ends in `wrong-fcs`.  Of a
 * duplicate (seen/repeats.h) is said of which packet, as `duplicate-of
 * NODE/INTERFACE SEQUENCE` or "duplicate_of".
 */
#ifndef PB_QUERY_LINES_H
#define PB_QUERY_LINES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/out.h"
#include "recorder/query/seen/repeats.h"
#include "recorder/query/trailing.h"
#include "recorder/query/way.h"

struct pb_lines {
	struct pb_out	*out;		/* borrowed */
	bool		 json;
	bool		 way;		/* people: its way below the line */
	enum pb_fcs	 fcs;		/* of the next packet; the caller's */
	struct pb_stamper stamper;	/* without a list of its own */
	const struct pb_repeat *repeat;	/* of the next packet, borrowed; NULL:
					 * it is no duplicate */
	struct pb_buf	 line;
};

void	pb_lines_init(struct pb_lines *lines, struct pb_out *out, bool json,
	    bool way);
void	pb_lines_finish(struct pb_lines *lines);

int	pb_lines_packet(struct pb_lines *lines,
	    const struct pb_cursor_packet *cp, struct pb_err *err);

#endif
