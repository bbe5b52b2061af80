/*
 * shipper/state/report.c - rows of a report, gathered and then written
 */
#include "shipper/state/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

void
pb_report_upstream(struct pb_report *report,
    const struct pb_upstream_row *row)
{
	if (PB_LIST_ROOM(report->upstream, report->upstreams_cap,
	    report->upstreams))
		report->upstream[report->upstreams++] = *row;
	else
		report->failed = true;
}

void
pb_report_cursor(struct pb_report *report, const char *upstream,
    const struct pb_cursor_row *row)
{
	struct pb_report_cursor *cursor;

	if (!PB_LIST_ROOM(report->cursor, report->cursors_cap,
	    report->cursors)) {
		report->failed = true;
		return;
	}
	cursor = &report->cursor[report->cursors++];
	snprintf(cursor->upstream, sizeof(cursor->upstream), "%s", upstream);
	cursor->row = *row;
}

int
pb_report_write(struct pb_report *report, struct pb_state *state,
    struct pb_err *err)
{
	bool failed = report->failed;
	int rc;

	if (pb_state_begin(state, err) == 0) {
		for (size_t i = 0; i < report->upstreams; i++)
			pb_state_put_upstream(state, &report->upstream[i]);
		for (size_t i = 0; i < report->cursors; i++)
			pb_state_put_cursor(state,
			    report->cursor[i].upstream,
			    &report->cursor[i].row);
	}
	rc = pb_state_commit(state);
	report->upstreams = report->cursors = 0;
	report->failed = false;
	if (rc == 0 && failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a report");
	return rc;
}

void
pb_report_finish(struct pb_report *report)
{
	free(report->upstream);
	free(report->cursor);
	memset(report, 0, sizeof(*report));
}
