/*
 * recorder/store/read/cursor_run.c - the run of numbers that a cursor is in
 */
#include "recorder/store/read/cursor_impl.h"

int
cursor_next_run(struct pb_cursor *cursor, struct pb_err *err)
{
	int rc = cursor->guide.next(cursor->guide.arg, cursor->next_seq,
	    &cursor->run, err);

	if (rc <= 0)
		return rc;
	cursor->led = true;
	cursor->page_at = 0;	/* it may begin in an extent that was met */
	if (cursor->next_seq < cursor->run.first_seq)
		cursor->next_seq = cursor->run.first_seq;
	return cursor->next_seq <= cursor->range.last_seq;
}

void
cursor_end_run(struct pb_cursor *cursor)
{
	if (!cursor->run.more)
		cursor_go_behind(cursor, cursor->run.last_seq);
	cursor->cut = cursor->led = false;
}

void
cursor_go_wrong(struct pb_cursor *cursor)
{
	cursor->guide.wrong(cursor->guide.arg, cursor->next_seq);
	cursor->known_end = cursor->file_at = 0;
	cursor->len = cursor->at = 0;
	cursor->cut = cursor->led = false;
}
