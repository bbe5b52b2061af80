/*
 * shipper/operator/figures.h - how upstreams and edges do, in numbers
 *
 * The one place that they come from: for `pb status` and `pb upstreams`,
 * whether or not a shipper runs, and for the metrics that a running one
 * tells.  What waits is found in the index and the cursors; what only the
 * shipper knows (its state, how fast it goes) is in the rows it writes.
 */
#ifndef PB_SHIPPER_FIGURES_H
#define PB_SHIPPER_FIGURES_H

#include "base/buf.h"
#include "conf/conf.h"
#include "recorder/store/index/index.h"
#include "shipper/letters/letters.h"
#include "shipper/state/edges.h"
#include "shipper/state/forks.h"
#include "shipper/state/state.h"

#define PB_FIGURES_FORKS_MAX	16u	/* of an upstream; more are counted */
/* What waits for less is on its way: it counts as caught up. */
#define PB_FIGURES_FRESH_NS	(2 * (uint64_t)PB_NS_PER_S)

/* From a number on a stream has another epoch there: shipper/state/forks.h. */
struct pb_figures_fork {
	char		 stream[PB_STREAM_NAME_MAX];
	uint64_t	 epoch;		/* before */
	struct pb_fork	 fork;
};

struct pb_upstream_figures {
	struct pb_upstream_row row;	/* or its name and url alone */
	const char	*state;		/* in words; or `opens`: */
	char		 opens[24];	/* "waits for 20:00" */
	uint64_t	 streams;
	uint64_t	 refused;	/* of them, waiting or refused */
	uint64_t	 backlog;	/* packets here and not there */
	uint64_t	 backlog_bytes;	/* those of segments that have them */
	uint64_t	 waits_ns;	/* for how long the oldest has */
	/*
	 * How far it is behind, 0 without a backlog: the time since it last
	 * took something, or since the segment that waits longest was
	 * begun, whichever is less.
	 */
	uint64_t	 lag_ns;
	uint64_t	 bps;		/* bits a second, now */
	/* Until it has caught up, as it goes now; UINT64_MAX: never, or not
	 * known. */
	uint64_t	 left_ns;
	struct pb_letters_total dead;	/* its dead letters */
	unsigned	 forks;
	struct pb_figures_fork fork[PB_FIGURES_FORKS_MAX];
	const char	*requeue;	/* do they go by themselves: "auto"; or
					 * "manual" */
	/* What a crash does: "once", as a node drops repeats; or what
	 * `delivery` says of a local interface. */
	const char	*delivery;
};

struct pb_edge_figures {
	struct pb_edge_row row;		/* or its name and url alone */
	const char	*state;
	uint64_t	 streams;
	uint64_t	 refused;	/* streams that wait, or are refused */
	uint64_t	 backlog_bytes;	/* as many as such packets have had so
					 * far; UINT64_MAX: not known yet */
	uint64_t	 lag_ns;	/* since it last gave something, or fell
					 * behind; 0 without a backlog */
	uint64_t	 bps, left_ns;	/* as above */
};

/* Zeroed, it has none. */
struct pb_figures {
	size_t		 upstreams, edges;
	struct pb_upstream_figures *upstream;
	struct pb_edge_figures *edge;
};

struct pb_figures_from {
	struct pb_state	*state;		/* NULL: no shipper has ever run */
	struct pb_letters *letters;	/* with it */
	struct pb_index	*index;		/* NULL: there is none */
	const struct pb_conf *conf;	/* those of it are told, met or not */
	bool		 runs;		/* a shipper does */
	uint64_t	 now_ns;
};

/* All upstreams and edges, by name: 0, or an error.  pb_figures_finish() in
 * any case. */
int	pb_figures_gather(struct pb_figures *out,
	    const struct pb_figures_from *from, struct pb_err *err);
void	pb_figures_finish(struct pb_figures *figures);

/* NULL where there is none of that name. */
struct pb_upstream_figures *pb_figures_upstream(
	    const struct pb_figures *figures, const char *name);

/* As Prometheus text, appended. */
void	pb_figures_metrics(const struct pb_figures *figures,
	    struct pb_buf *out);

#endif
