/*
 * cli/common/trailing.h - the options of those commands that read trailers of
 * packets that are there already
 */
#ifndef PB_CLI_TRAILING_H
#define PB_CLI_TRAILING_H

#include "cli/common/command.h"
#include "recorder/query/query.h"
#include "recorder/query/trailing.h"

struct pb_cli_trailing {		/* zeroed: nothing is asked for */
	struct pb_trailer_list list;
	bool		 given;		/* --trailers */
	bool		 fcs, strip, with_fcs, check_fcs;
};

/* Rows of their tables; the command's options have a struct pb_cli_trailing
 * at `at`. */
#define PB_CLI_TRAILERS(at)						\
	{ "trailers", 0, "LIST", at, pb_cli_trailers,			\
	    "what stands on the frames, whatever their interface says,\n" \
	    "from the wire's end inwards: metamako,raw:4, or none" },	\
	{ "fcs", 0, NULL, (at) + offsetof(struct pb_cli_trailing, fcs),	\
	    NULL, "and their last FCS is at their end" }
#define PB_CLI_STRIP_TRAILERS(at, words)				\
	{ "strip-trailers", 0, NULL,					\
	    (at) + offsetof(struct pb_cli_trailing, strip), NULL, words }

/* The value of --trailers into a struct pb_cli_trailing: 0 or PB_EINVAL. */
int	pb_cli_trailers(void *trailing, const char *text,
	    struct pb_err *err);

/* The list that is asked for, into `out`; false where the interfaces' own
 * are. */
bool	pb_cli_trailers_list(const struct pb_cli_trailing *trailing,
	    struct pb_trailer_list *out);

/* For a query, which `counts` only, or writes to a file: 0, or the status of
 * wrong usage, and said. */
int	pb_cli_trailing_check(const struct pb_cli_trailing *trailing,
	    bool counts);
/* And what it is to do, into `*out`: NULL where nothing is asked for. */
int	pb_cli_trailing_open(struct pb_trailing **out,
	    const struct pb_cli_trailing *trailing, uint32_t pen,
	    struct pb_err *err);
/* A query's packets alone, whose FCS no index knows: their number. */
int	pb_cli_trailing_count(struct pb_trailing *trailing,
	    struct pb_query *query, uint64_t *count, struct pb_err *err);
/* What came of it, on standard error: PB_EXIT_OK, or PB_EXIT_FAILED where an
 * FCS is wrong. */
int	pb_cli_trailing_told(const struct pb_cli_trailing *trailing,
	    const struct pb_trailing_counts *counts);

#endif
