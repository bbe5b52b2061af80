/*
 * cli/commands.c - the commands of `pb`, in the order of `pb help`
 */
#include "cli/commands.h"

#include <stddef.h>

const struct pb_command *const pb_commands[] = {
	&pb_cmd_status,
	&pb_cmd_streams,
	&pb_cmd_segments,
	&pb_cmd_upstreams,
	&pb_cmd_query,
	&pb_cmd_flows,
	&pb_cmd_latency,
	&pb_cmd_replay,
	&pb_cmd_import,
	&pb_cmd_gaps,
	&pb_cmd_dlq,
	&pb_cmd_verify,
	&pb_cmd_audit,
	&pb_cmd_reindex,
	&pb_cmd_interfaces,
	&pb_cmd_trailers,
	NULL,
};
