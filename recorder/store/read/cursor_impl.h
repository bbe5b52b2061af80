/*
 * recorder/store/read/cursor_impl.h - inside a cursor
 *
 * cursor.c steps through the blocks in hand; cursor_run.c knows which numbers
 * it goes on with, cursor_extent.c where the index has them; cursor_load.c
 * reads their bytes.
 */
#ifndef PB_STORE_CURSOR_IMPL_H
#define PB_STORE_CURSOR_IMPL_H

#include <limits.h>
#include <sys/types.h>

#include "recorder/store/read/cursor.h"

#define EXTENT_PAGE	64

struct pb_cursor {
	struct pb_index		*index;
	char			 store[PATH_MAX];
	struct pb_stream_key	 key;
	uint32_t		 stream;
	struct pb_range		 range;
	uint64_t		 next_seq;
	struct pb_cursor_guide	 guide;		/* .next is NULL: none */
	struct pb_cursor_run	 run;
	bool			 led;		/* `run` is the guide's */
	/* Extents ahead, from the index. */
	struct pb_extent_info	 page[EXTENT_PAGE];
	uint64_t		 floor[EXTENT_PAGE];	/* of each, the lowest
							 * time behind it */
	int			 page_len, page_at;
	/* The segment in hand. */
	uint64_t		 segment_seq;	/* 0: none */
	int			 fd;
	struct pb_head		*head;
	/* The bytes in hand: [file_at, file_at + len) of the segment. */
	struct pb_bytes		 own;		/* they are there, or */
	struct pb_bytes		*into;		/* where the caller said */
	size_t			 bytes_max;	/* of them; 0: no bound */
	bool			 cut;		/* by it: there are more, */
	uint32_t		 block;		/* the next one of so many */
	size_t			 len, at;
	uint64_t		 file_at;
	uint64_t		 known_end;	/* blocks were read so far */
	uint64_t		 last_seq;	/* of their extent or run */
	/* Of a run with a place: its next packet, counted from 0, and its
	 * number; 0: that is not known yet. */
	uint64_t		 nth, expected;
	uint64_t		 bytes;		/* read, not yet told */
	ssize_t			(*read)(int, void *, size_t, uint64_t,
				    struct pb_err *);
};

/* Is it told where the run is? */
static inline bool
cursor_placed(const struct pb_cursor *cursor)
{
	return cursor->run.segment_seq != 0;
}

/* Of such a place, have all packets been read? */
static inline bool
cursor_is_read(const struct pb_cursor *cursor)
{
	const struct pb_cursor_run *run = &cursor->run;

	return cursor->nth == (run->packets != 0 ? run->packets :
	    run->last_seq - run->first_seq + 1);
}

/* What is said of a number of the run. */
static inline enum pb_verdict
cursor_verdict(const struct pb_cursor *cursor, uint64_t seq)
{
	const struct pb_cursor_run *run = &cursor->run;

	return run->verdict_of == NULL ? run->verdict :
	    (enum pb_verdict)run->verdict_of[cursor_placed(cursor) ?
	    cursor->nth : seq - run->first_seq];
}

/* Is that worth a look? */
static inline bool
cursor_wanted(enum pb_verdict verdict)
{
	return (verdict & PB_VERDICT_ALL) != 0;
}

/* Numbers up to that have been read. */
static inline void
cursor_go_behind(struct pb_cursor *cursor, uint64_t seq)
{
	if (cursor->next_seq <= seq)
		cursor->next_seq = seq + 1;
}

/* cursor_run.c.  The guide's next run: 1, or 0 where there is none. */
int	cursor_next_run(struct pb_cursor *cursor, struct pb_err *err);
/* All of the run has been read. */
void	cursor_end_run(struct pb_cursor *cursor);
/* What is left of the run is looked for by extents, as if it had not been
 * tried. */
void	cursor_go_wrong(struct pb_cursor *cursor);
/* cursor_load.c.  Bytes that are next: 1, also where there is nothing in them;
 * 0 at the durable end, or an error. */
int	cursor_load(struct pb_cursor *cursor, struct pb_err *err);
void	cursor_drop_segment(struct pb_cursor *cursor);

/* cursor_extent.c.  The first extent at or behind the position that the range
 * touches: 1, 0 where there is none, or an error. */
int	cursor_next_extent(struct pb_cursor *cursor,
	    struct pb_extent_info *out, struct pb_err *err);

#endif
