/*
 * shipper/state/report.h - rows of a report, gathered by the one who knows
 * them and written by another
 */
#ifndef PB_SHIPPER_REPORT_H
#define PB_SHIPPER_REPORT_H

#include "shipper/state/state.h"

/* Zeroed, it has no rows.  One thread at a time. */
struct pb_report {
	struct pb_upstream_row *upstream;
	size_t		 upstreams, upstreams_cap;
	struct pb_report_cursor {
		char	 upstream[PB_NAME_BYTES_MAX + 1];
		struct pb_cursor_row row;
	}		*cursor;
	size_t		 cursors, cursors_cap;
	bool		 failed;	/* no memory for all of them */
};

void	pb_report_upstream(struct pb_report *report,
	    const struct pb_upstream_row *row);
void	pb_report_cursor(struct pb_report *report, const char *upstream,
	    const struct pb_cursor_row *row);

/* Write all of them, durably, and forget them.  On an error none is
 * written, or not all were gathered: they are to be gathered again. */
int	pb_report_write(struct pb_report *report, struct pb_state *state,
	    struct pb_err *err);

/* Give back its memory. */
void	pb_report_finish(struct pb_report *report);

#endif
