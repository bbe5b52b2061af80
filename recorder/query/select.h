/*
 * recorder/query/select.h - which packets: streams, times, numbers, how many
 *
 * What stands in --stream, --after, --before, --seq and --limit, parsed
 * and checked.  The index cuts by all of it before a packet is looked at.
 */
#ifndef PB_QUERY_SELECT_H
#define PB_QUERY_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/read/cursor.h"

#define PB_SELECT_GLOBS_MAX	64

struct pb_select {
	const char	*glob[PB_SELECT_GLOBS_MAX];	/* borrowed */
	size_t		 globs;		/* 0: every stream */
	struct pb_range	 range;
	uint64_t	 limit;		/* UINT64_MAX: none */
	uint64_t	 now_ns;	/* that -5m is before; when it began */
};

void	pb_select_init(struct pb_select *select);

/*
 * One option each of a struct pb_select: 0, or PB_EINVAL with what would be
 * right.  `text` is borrowed as long as the selection lives.
 */
int	pb_select_stream(void *select, const char *text, struct pb_err *err);
int	pb_select_after(void *select, const char *text, struct pb_err *err);
int	pb_select_before(void *select, const char *text, struct pb_err *err);
/* `A-B`, `A-` or `A`; numbers count from 1. */
int	pb_select_seq(void *select, const char *text, struct pb_err *err);
int	pb_select_limit(void *select, const char *text, struct pb_err *err);

/* True where the stream can hold packets that are asked for. */
bool	pb_select_match(const struct pb_select *select,
	    const struct pb_stream_info *info);

/* True where its name is asked for. */
bool	pb_select_named(const struct pb_select *select,
	    const struct pb_stream_info *info);

/* True where nothing but whole streams was asked for. */
bool	pb_select_whole(const struct pb_select *select);

/*
 * Call `each` for the streams of the index in the order of their names,
 * those whose name matches `glob` (NULL: all).  Nonzero from `each` ends
 * it and is returned; pages of rows, not all at once.
 */
int	pb_streams_each(struct pb_index *index, const char *glob,
	    int (*each)(void *arg, const struct pb_stream_info *info,
	    struct pb_err *err), void *arg, struct pb_err *err);

#endif
