/*
 * cli/common/merging.c - the options of those commands that put the packets of
 * streams into one order
 */
#include "cli/common/merging.h"

#include <inttypes.h>

#include "base/text.h"
#include "cli/common/cli.h"

int
pb_cli_window(void *at, const char *text, struct pb_err *err)
{
	struct pb_cli_merging *merging = at;

	merging->windowed = true;
	if (pb_parse_span(text, &merging->window_ns, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--window");
}

int
pb_cli_dedup_window(void *at, const char *text, struct pb_err *err)
{
	struct pb_cli_merging *merging = at;

	merging->dedup_windowed = true;
	if (pb_parse_span(text, &merging->dedup_ns, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--dedup-window");
}

int
pb_cli_merging_check(const struct pb_cli_merging *merging,
    const char *command, bool backwards, bool prints)
{
	bool asked = merging->dedup || merging->mark;

	if (!asked && (merging->dedup_windowed || merging->ttl))
		return pb_cli_usage("%s: %s says what duplicates are; give "
		    "--dedup or --mark-duplicates as well", command,
		    merging->ttl ? "--dedup-ttl" : "--dedup-window");
	if (merging->dedup && merging->mark)
		return pb_cli_usage("%s: --dedup leaves duplicates out, "
		    "--mark-duplicates shows them; give one of them", command);
	if (merging->mark && !prints)
		return pb_cli_usage("%s: --mark-duplicates is for packets "
		    "that are printed; leave it out, or use --dedup", command);
	if (asked && backwards)
		return pb_cli_usage("%s: a duplicate is one that came later, "
		    "and --reverse begins with these; leave out one of them",
		    command);
	return 0;
}

void
pb_cli_merging_ask(const struct pb_cli_merging *merging,
    const struct pb_trailer_list *trailers, struct pb_repeats_opts *repeats,
    struct pb_query_opts *opts)
{
	*repeats = (struct pb_repeats_opts){
		.window_ns = merging->dedup_windowed ? merging->dedup_ns :
		    PB_REPEATS_WINDOW_NS,
		.routed = merging->ttl,
		.keep = merging->mark,
		.trailers = trailers,
	};
	opts->repeats = merging->dedup || merging->mark ? repeats : NULL;
	opts->window_ns = merging->windowed ? &merging->window_ns : NULL;
}

void
pb_cli_merging_told(const struct pb_cli_merging *merging,
    const struct pb_query *query)
{
	const struct pb_repeats *repeats = pb_query_repeats(query);
	uint64_t late = pb_query_late(query), forgotten;

	if (merging->windowed && merging->window_ns > 0 && late > 0)
		pb_cli_note("%" PRIu64 " packets are out of order by more "
		    "than --window, or than memory holds: they stand where "
		    "they came", late);
	if (repeats == NULL)
		return;
	forgotten = pb_repeats_forgotten(repeats);
	pb_cli_note("%" PRIu64 " packets are duplicates%s",
	    pb_repeats_count(repeats), merging->mark ? "" :
	    " and were left out");
	if (forgotten > 0)
		pb_cli_note("%" PRIu64 " packets were not remembered for all "
		    "of --dedup-window: it holds %u; give a shorter one",
		    forgotten, PB_REPEATS_MAX);
}
