/*
 * cli/commands.h - the commands of `pb`: each is a file, cmd_NAME.c
 */
#ifndef PB_CLI_COMMANDS_H
#define PB_CLI_COMMANDS_H

#include "cli/common/command.h"

extern const struct pb_command pb_cmd_status, pb_cmd_streams,
    pb_cmd_segments, pb_cmd_query, pb_cmd_flows, pb_cmd_import, pb_cmd_gaps,
    pb_cmd_dlq, pb_cmd_verify, pb_cmd_reindex, pb_cmd_interfaces,
    pb_cmd_replay, pb_cmd_trailers, pb_cmd_latency, pb_cmd_audit,
    pb_cmd_upstreams;

/* In the order of `pb help`; NULL ends them. */
extern const struct pb_command *const pb_commands[];

#endif
