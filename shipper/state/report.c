/*
 * shipper/state/report.c - rows of a report, gathered and then written
 */
#include "shipper/state/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void	*room(struct pb_report *, void *, size_t, size_t *, size_t);

void
pb_report_upstream(struct pb_report *report,
    const struct pb_upstream_row *row)
{
	struct pb_upstream_row *rows = room(report, report->upstream,
	    report->upstreams, &report->upstreams_cap, sizeof(*rows));

	if (rows == NULL)
		return;
	report->upstream = rows;
	rows[report->upstreams++] = *row;
}

void
pb_report_cursor(struct pb_report *report, const char *upstream,
    const struct pb_cursor_row *row)
{
	struct pb_report_cursor *rows = room(report, report->cursor,
	    report->cursors, &report->cursors_cap, sizeof(*rows));

	if (rows == NULL)
		return;
	report->cursor = rows;
	rows += report->cursors++;
	snprintf(rows->upstream, sizeof(rows->upstream), "%s", upstream);
	rows->row = *row;
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

/* The rows, with room for one more behind `count`; or NULL. */
static void *
room(struct pb_report *report, void *rows, size_t count, size_t *cap,
    size_t bytes)
{
	size_t want = *cap > 0 ? *cap * 2 : 16;
	void *grown = rows;

	if (count == *cap) {
		grown = realloc(rows, want * bytes);
		if (grown == NULL)
			report->failed = true;
		else
			*cap = want;
	}
	return grown;
}
