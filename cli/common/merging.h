/*
 * cli/common/merging.h - the options of those commands that put the packets of
 * streams into one order
 */
#ifndef PB_CLI_MERGING_H
#define PB_CLI_MERGING_H

#include "cli/common/command.h"
#include "recorder/query/query.h"

struct pb_cli_merging {			/* zeroed: nothing is asked for */
	uint64_t	 window_ns;	/* --window, */
	bool		 windowed;	/* where that is given */
	uint64_t	 dedup_ns;	/* --dedup-window, likewise */
	bool		 dedup_windowed;
	bool		 dedup, ttl, mark;
};

/* Rows of their tables; the command's options have a struct pb_cli_merging
 * at `at`. */
#define PB_CLI_WINDOW(at)						\
	{ "window", 0, "T", at, pb_cli_window,				\
	    "put packets in order that come up to T late in their\n"	\
	    "stream, like 2s (default: 10ms); 0: as they came" }
#define PB_CLI_DEDUP(at)						\
	{ "dedup", 0, NULL,						\
	    (at) + offsetof(struct pb_cli_merging, dedup), NULL,	\
	    "leave out packets that another stream had before: the\n"	\
	    "same bytes, but for trailers of switches" },		\
	{ "dedup-window", 0, "T", at, pb_cli_dedup_window,		\
	    "no longer before than T (default: 1ms)" },			\
	{ "dedup-ttl", 0, NULL,						\
	    (at) + offsetof(struct pb_cli_merging, ttl), NULL,		\
	    "the same, but for MAC addresses, tags, TTL or hop limit,\n" \
	    "and padding, too" },					\
	{ "mark-duplicates", 0, NULL,					\
	    (at) + offsetof(struct pb_cli_merging, mark), NULL,		\
	    "say of which packet it is a duplicate, and leave none out" }

/* The values of --window and --dedup-window into a struct pb_cli_merging: 0 or
 * PB_EINVAL. */
int	pb_cli_window(void *merging, const char *text, struct pb_err *err);
int	pb_cli_dedup_window(void *merging, const char *text,
	    struct pb_err *err);

/* For a command that goes backwards, or prints no packets: 0, or the status
 * of wrong usage, and said. */
int	pb_cli_merging_check(const struct pb_cli_merging *merging,
	    const char *command, bool backwards, bool prints);

/* What a query is to do; `merging`, `trailers` (NULL: as the streams say) and
 * `repeats`, which is filled, are borrowed from there on. */
void	pb_cli_merging_ask(const struct pb_cli_merging *merging,
	    const struct pb_trailer_list *trailers,
	    struct pb_repeats_opts *repeats, struct pb_query_opts *opts);

/* What came of it, on standard error, where there is something to say. */
void	pb_cli_merging_told(const struct pb_cli_merging *merging,
	    const struct pb_query *query);

#endif
