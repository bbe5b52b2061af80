/*
 * cli/audit/report.h - what an audit says, for people or for machines
 */
#ifndef PB_AUDIT_REPORT_H
#define PB_AUDIT_REPORT_H

#include "base/out.h"
#include "cli/audit/compare.h"

struct pb_report {
	struct pb_out	*out;		/* borrowed */
	bool		 json;
	const char	*here, *there;	/* for the report's head; borrowed, */
	const char	*with;		/* and what `there` is: `upstream`,
					 * `edge`, `store` */
	const char	*filter;	/* of the section; borrowed.  NULL or
					 * "": none */
	uint32_t	 snaplen;	/* packets as if cut to it; or 0 */
	bool		 listed;	/* which streams are there alone is
					 * known */
	/* What all streams come to. */
	uint64_t	 streams, identical, same, filtered, cut, differences,
			 questions;
};

void	pb_report_begin(struct pb_report *report);
int	pb_report_finding(struct pb_report *report,
	    const struct pb_compare_pair *pair,
	    const struct pb_compare_finding *finding, struct pb_err *err);
/* A stream, behind its findings. */
int	pb_report_stream(struct pb_report *report,
	    const struct pb_compare_pair *pair,
	    const struct pb_compare_sum *sum, struct pb_err *err);
/* All of it; are they identical? */
bool	pb_report_end(struct pb_report *report);

#endif
