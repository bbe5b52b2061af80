/*
 * cli/replay/ways.h - which packets go out of which interface
 *
 * What -i and --map say: the first --map whose pattern matches a packet's
 * stream, or else -i.
 */
#ifndef PB_CLI_WAYS_H
#define PB_CLI_WAYS_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/transmit/ahead.h"

#define PB_WAYS_NONE		(-1)

struct pb_ways {		/* zeroed: there are none */
	struct pb_way	 way[PB_WAYS_MAX];
	size_t		 ways;
	struct {
		const char	*glob;		/* borrowed; `=` ends it */
		size_t		 glob_len;
		int		 way;
		bool		 matched;	/* a stream so far */
	}		 map[PB_WAYS_MAX];
	size_t		 maps;
	int		 rest;		/* 1 + way of -i, or 0 */
};

/* Options of a struct pb_ways; `text` is borrowed.  PB_EINVAL. */
int	pb_ways_interface(void *ways, const char *text, struct pb_err *err);
int	pb_ways_map(void *ways, const char *text, struct pb_err *err);

/* Open all of them.  One that is down is an error (PB_EBUSY) unless `wait`;
 * else as pb_outlet_open(). */
int	pb_ways_open(struct pb_ways *ways, const struct pb_outlet_opts *opts,
	    bool wait, struct pb_err *err);
void	pb_ways_close(struct pb_ways *ways);

/* The way of a stream of that name, or PB_WAYS_NONE; of --map alone, and of
 * -i. */
int	pb_ways_mapped(struct pb_ways *ways, const char *stream);
int	pb_ways_rest(const struct pb_ways *ways);

#endif
