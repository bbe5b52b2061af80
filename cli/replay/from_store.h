/*
 * cli/replay/from_store.h - packets of the store as a source of frames
 *
 * In the order of pb_query_run().  Streams are looked at before the first
 * packet: an Ethernet port carries no other link type, and each one needs a
 * way out.
 */
#ifndef PB_CLI_FROM_STORE_H
#define PB_CLI_FROM_STORE_H

#include "cli/common/cli.h"
#include "cli/replay/original.h"
#include "cli/replay/ways.h"
#include "recorder/query/query.h"

struct pb_from_store {
	/* the caller's, before it begins; all of it borrowed */
	struct pb_cli	*cli;		/* pb_cli_enter() */
	struct pb_ways	*ways;
	const struct pb_select *select;
	const char	*filter;
	bool		 inner;
	bool		 skip;		/* leave other link types out */
	struct pb_original *original;	/* what they become; NULL: nothing */
	/* private; zeroed */
	struct pb_query_opts opts;
	struct pb_query	*query;
	struct pb_run	 run;
	size_t		 at;		/* in the run */
	bool		 yielded;
	struct pb_head	*head;		/* of the last packet; a reference */
	int		 way;		/* its; PB_WAYS_NONE: left out */
	struct pb_trailer_list list;	/* of its interface */
};

/* As a source: `begin` and `next` of a struct pb_source. */
int	pb_from_store_begin(void *from, const struct pb_stop *stop,
	    struct pb_err *err);
int	pb_from_store_next(void *from, struct pb_source_frame *out,
	    struct pb_err *err);

/* Zeroed memory is fine. */
void	pb_from_store_finish(struct pb_from_store *from);

#endif
