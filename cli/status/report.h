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
#include "cli/status/edges.h"
#include "cli/status/live.h"
#include "conf/conf.h"
#include "shipper/state/forks.h"
#include "shipper/letters/letters.h"
#include "shipper/state/state.h"

/* Configured ones, and as many that are configured no more. */
#define PB_REPORT_UPSTREAMS_MAX	(2u * PB_UPSTREAMS_MAX)

#define PB_REPORT_FORKS_MAX	16u	/* of an upstream; more are counted */

/* From a number on a stream has another epoch there: shipper/state/forks.h. */
struct pb_report_fork {
	char		 stream[PB_STREAM_NAME_MAX];
	uint64_t	 epoch;		/* before */
	struct pb_fork	 fork;
};

struct pb_report_upstream {
	struct pb_upstream_row row;	/* or its name and url alone */
	const char	*state;		/* in words; or `opens`: */
	char		 opens[24];	/* "waits for 20:00" */
	uint64_t	 streams;
	uint64_t	 backlog;	/* packets here and not there */
	/*
	 * How far it is behind, 0 without a backlog: the time since it last
	 * took something, or since the segment that waits longest was
	 * begun, whichever is less.
	 */
	uint64_t	 lag_ns;
	struct pb_letters_total dead;	/* its dead letters */
	unsigned	 forks;
	struct pb_report_fork fork[PB_REPORT_FORKS_MAX];
	const char	*requeue;	/* do they go by themselves: "auto"; or
					 * "manual" */
	/* What a crash does: "once", as a node drops repeats; or what
	 * `delivery` says of a local interface. */
	const char	*delivery;
};

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
	size_t		 upstreams;
	struct pb_report_upstream upstream[PB_REPORT_UPSTREAMS_MAX];
	struct pb_report_edges edges;
	size_t		 orphans;
	struct pb_report_orphans orphan[PB_UPSTREAMS_MAX];
};

/* `cli` has its configuration and outlives the report. */
int	pb_report_gather(struct pb_report *report, struct pb_cli *cli,
	    uint64_t now_ns, struct pb_err *err);
void	pb_report_finish(struct pb_report *report);

#endif
