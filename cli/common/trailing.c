/*
 * cli/common/trailing.c - the options of those commands that read trailers of
 * packets that are there already
 */
#include "cli/common/trailing.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/common/cli.h"

#define TOLD_BYTES_MAX	(PB_STREAM_NAME_MAX + 160)

int
pb_cli_trailers(void *at, const char *text, struct pb_err *err)
{
	struct pb_cli_trailing *trailing = at;

	if (pb_trailer_list_parse(&trailing->list, text, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "--trailers");
	trailing->given = true;
	return 0;
}

bool
pb_cli_trailers_list(const struct pb_cli_trailing *trailing,
    struct pb_trailer_list *out)
{
	*out = trailing->list;
	out->fcs = trailing->fcs;
	out->tai_utc = PB_TAI_UTC;
	return trailing->given || trailing->fcs;
}

int
pb_cli_trailing_check(const struct pb_cli_trailing *trailing, bool counts)
{
	if (trailing->with_fcs && !trailing->strip)
		return pb_cli_usage("query: --with-fcs is about frames without "
		    "their trailers; give --strip-trailers as well");
	if (counts && (trailing->strip || (!trailing->check_fcs &&
	    (trailing->given || trailing->fcs))))
		return trailing->strip ?
		    pb_cli_usage("query: --count prints no frames; leave out "
		    "--strip-trailers") :
		    pb_cli_usage("query: --count looks at no trailer; leave "
		    "out %s, or have the FCS checked by --check-fcs",
		    trailing->given ? "--trailers" : "--fcs");
	return 0;
}

int
pb_cli_trailing_open(struct pb_trailing **out,
    const struct pb_cli_trailing *trailing, uint32_t pen, struct pb_err *err)
{
	struct pb_trailer_list list;
	bool given = pb_cli_trailers_list(trailing, &list);
	const struct pb_trailing_opts opts = {
		.list = given ? &list : NULL,
		.strip = trailing->strip,
		.with_fcs = trailing->with_fcs,
		.check_fcs = trailing->check_fcs,
		.pen = pen,
	};

	*out = NULL;
	if (!given && !trailing->strip && !trailing->check_fcs)
		return 0;
	return pb_trailing_create(out, &opts, err);
}

int
pb_cli_trailing_count(struct pb_trailing *trailing, struct pb_query *query,
    uint64_t *count, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	enum pb_fcs fcs;
	int rc;

	*count = 0;
	while ((rc = pb_query_next(query, &cp, err)) > 0) {
		rc = pb_trailing_packet(trailing, &cp, &fcs, err);
		if (rc < 0)
			break;
		++*count;
	}
	return rc;
}

/* A line each, where there is something to say. */
int
pb_cli_trailing_told(const struct pb_cli_trailing *trailing,
    const struct pb_trailing_counts *counts)
{
	uint64_t left = counts->unread +
	    (trailing->strip ? counts->unlisted : 0);
	char unread[TOLD_BYTES_MAX] = "", unlisted[TOLD_BYTES_MAX] = "";

	if (counts->unread > 0)
		snprintf(unread, sizeof(unread), "; of %" PRIu64 " they do "
		    "not parse (the first: %s, number %" PRIu64 ")",
		    counts->unread, counts->first, counts->first_seq);
	if (counts->unlisted > 0)
		snprintf(unlisted, sizeof(unlisted), "; for %" PRIu64 " there "
		    "is no list, which --trailers gives", counts->unlisted);
	if (left > 0)
		pb_cli_note("the trailers of %" PRIu64 " of %" PRIu64
		    " packets %s%s%s", left, counts->packets,
		    trailing->strip ? "stay on them" : "are not read", unread,
		    unlisted);
	if (trailing->check_fcs)
		pb_cli_note("the FCS of %" PRIu64 " packets is right, of %"
		    PRIu64 " wrong, and %" PRIu64 " have none",
		    counts->fcs_right, counts->fcs_wrong, counts->packets -
		    counts->fcs_right - counts->fcs_wrong);
	return trailing->check_fcs && counts->fcs_wrong > 0 ?
	    PB_EXIT_FAILED : PB_EXIT_OK;
}
