/*
 * cli/status/upstreams.h - what `pb status` and `pb upstreams` tell of
 * upstreams
 */
#ifndef PB_CLI_UPSTREAMS_H
#define PB_CLI_UPSTREAMS_H

#include "base/json.h"
#include "base/out.h"
#include "cli/common/table.h"
#include "shipper/operator/figures.h"

/* An object, all there is to know. */
void	pb_upstream_json(struct pb_json *json,
	    const struct pb_upstream_figures *up);
/* Its dead letters as a member of the object that is open. */
void	pb_upstream_json_letters(struct pb_json *json,
	    const struct pb_letters_total *dead);

/* For people: some lines; */
void	pb_upstream_say(struct pb_out *out,
	    const struct pb_upstream_figures *up, uint64_t now_ns);
/* or a row of a table. */
extern const struct pb_column pb_upstream_table[];

/* ", 9000 packets/s, 12.000 Mbit/s", and ", caught up in 5 min" where that is
 * known; nothing of what stands still. */
void	pb_upstream_say_speed(struct pb_out *out, uint64_t pps, uint64_t bps,
	    uint64_t left_ns);
/* "last error, 5 s ago: ..." in a line, or nothing. */
void	pb_upstream_say_error(struct pb_out *out, const char *text,
	    uint64_t error_ns, uint64_t now_ns);

#endif
