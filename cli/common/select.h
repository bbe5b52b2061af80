/*
 * cli/common/select.h - the options of those commands that read packets of the
 * store
 */
#ifndef PB_CLI_SELECT_H
#define PB_CLI_SELECT_H

#include "cli/common/command.h"
#include "recorder/query/select.h"

/* Rows of their tables; the command's options have a struct pb_select at
 * `at`. */
#define PB_CLI_SELECT(at)						\
	{ "stream", 0, "GLOB", at, pb_select_stream,			\
	    "streams whose node/interface matches; can be repeated" },	\
	{ "after", 0, "T", at, pb_select_after,				\
	    "packets of that time or later: RFC 3339, seconds since" },	\
	{ "before", 0, "T", at, pb_select_before,			\
	    "1970, or -5m for five minutes ago; packets before T" }
#define PB_CLI_SELECT_SEQ(at)						\
	{ "seq", 0, "A-B", at, pb_select_seq,				\
	    "sequence numbers, both included; also A- and A" }

/* What stands before their options in a command's help. */
#define PB_CLI_FILTER_HELP						\
	"FILTER is a tcpdump filter (pcap-filter(7)), quoted or not; "	\
	"options and\n"							\
	"its words can be mixed, and -- ends the options.\n"

#endif
