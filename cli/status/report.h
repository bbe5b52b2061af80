/*
 * cli/status/report.h - what `pb status` tells, gathered
 *
 * From the index, the lock files, the file system, the recorder's local
 * socket and the shipper's state.  What is not there (no store yet, no
 * recorder, no shipper) is told as such and is no error.
 */
#ifndef PB_CLI_REPORT_H
#define PB_CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/common/cli.h"
#include "cli/status/live.h"
#include "conf/conf.h"
#include "shipper/operator/figures.h"

/* Dead letters of an upstream that is not configured. */
struct pb_report_orphans {
	char		 name[PB_NAME_BYTES_MAX + 1];
	struct pb_letters_total dead;
};

struct pb_report {
	const char	*node, *description, *store;	/* borrowed */
	bool		 there;		/* the store has an index */
	bool		 recorder, shipper;		/* running */
	pid_t		 recorder_pid, shipper_pid;
	struct pb_buf	 live;		/* the recorder's answer, or empty */
	char		 live_error[PB_ERR_TEXT_MAX];
	uint64_t	 streams, packets, bytes, dropped;
	uint64_t	 segments, disk_used, disk_free, disk_size;
	uint64_t	 oldest_ns;	/* segment sealed first; 0: none */
	/* The bounds of the configuration; 0: none. */
	uint64_t	 retain_size, retain_age_ms, retain_age_s, min_free;
	struct pb_live	 said;		/* by the recorder, or zeroed */
	struct pb_figures figures;	/* of upstreams and edges */
	size_t		 orphans;
	struct pb_report_orphans orphan[PB_UPSTREAMS_MAX];
};

/* `cli` has its configuration and outlives the report. */
int	pb_report_gather(struct pb_report *report, struct pb_cli *cli,
	    uint64_t now_ns, struct pb_err *err);
void	pb_report_finish(struct pb_report *report);

#endif
