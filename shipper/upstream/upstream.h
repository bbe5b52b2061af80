/*
 * shipper/upstream/upstream.h - one upstream: its machine, its requests
 *
 * Carries out what ship.h decides: builds bodies from the store and from
 * dead letters, gives them to its sink and tells back what came of it;
 * makes letters, and delivers those that were requeued.
 */
#ifndef PB_SHIPPER_UPSTREAM_H
#define PB_SHIPPER_UPSTREAM_H

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/store/facts/pulls.h"
#include "recorder/store/index/index.h"
#include "shipper/feed/feed.h"
#include "shipper/letters/letters.h"
#include "shipper/ship/ship.h"
#include "shipper/sink/sink.h"
#include "shipper/state/news.h"
#include "shipper/state/state.h"
#include "shipper/worker/worker.h"

struct pb_upstream;

/* What all upstreams share; borrowed until destroy. */
struct pb_upstream_env {
	const char	*store;
	struct pb_feed	*feed;		/* upstreams are its owners */
	struct pb_worker *worker;	/* makes payloads */
	struct pb_worker *keeper;	/* writes what becomes of letters */
	struct pb_index	*index;
	struct pb_letters *letters;
	struct pb_state	*state;		/* of the letters, and the reports */
	/* The stream with this id: it was given to pb_upstream_stream(). */
	const struct pb_stream_info *(*stream)(void *arg, uint32_t id);
	/* Is the store at its path?  A file that is missing where it is not
	 * says nothing. */
	bool	(*there)(void *arg);
	void		*arg;
};

/* `sink` is the upstream's from now on, also on failure. */
int	pb_upstream_create(struct pb_upstream **out,
	    const struct pb_conf_upstream *conf,
	    const struct pb_upstream_env *env, struct pb_sink *sink,
	    struct pb_err *err);
/* Its requests end where they are. */
void	pb_upstream_destroy(struct pb_upstream *upstream);

const struct pb_conf_upstream *pb_upstream_conf(
	    const struct pb_upstream *upstream);

/* May it become as `conf` is without an end?  If so, it does: nothing that is
 * under way ends. */
bool	pb_upstream_changes(const struct pb_upstream *upstream,
	    const struct pb_conf_upstream *conf);
void	pb_upstream_change(struct pb_upstream *upstream,
	    const struct pb_conf_upstream *conf);

/* A stream that is new or has grown; ignored where `streams` of the
 * configuration does not name it. */
int	pb_upstream_stream(struct pb_upstream *upstream,
	    const struct pb_stream_info *stream, struct pb_err *err);

/* Start what can be started. */
void	pb_upstream_run(struct pb_upstream *upstream, uint64_t now_ms);

/* See to what its sink has ended, where that has a thread of its own. */
void	pb_upstream_collect(struct pb_upstream *upstream);

/* Of one that is pulled: it asks, and may wait for so long; what it is to get
 * next of a stream cannot be read; and what it has of one (facts/pulls.h):
 * false where too much of what came late is being kept, say it again.  Of
 * consequence to no other. */
void	pb_upstream_asks(struct pb_upstream *upstream, uint64_t wait_ms,
	    uint64_t now_ms);
void	pb_upstream_stuck(struct pb_upstream *upstream,
	    const struct pb_stream_info *stream, const char *text,
	    uint64_t now_ms);
bool	pb_upstream_acked(struct pb_upstream *upstream,
	    const struct pb_stream_info *stream,
	    const struct pb_pull_news *news, uint64_t now_ms);

/* It is about to be destroyed: what its sink is sending, if that may take
 * long, ends here, and how far it came can be reported. */
void	pb_upstream_stop(struct pb_upstream *upstream);

/* What decides for it: who told the feed that something is known, or asks
 * for another try, tells it; it knows what is under way, and when time alone
 * makes pb_upstream_run() do something. */
struct pb_ship *pb_upstream_ship(struct pb_upstream *upstream);

/* Add to `news` what is new since the last time: true; or nothing is. */
bool	pb_upstream_report(struct pb_upstream *upstream,
	    struct pb_news *news, uint64_t now_ms, uint64_t now_ns);
/* That was not kept: report all of it again. */
void	pb_upstream_report_again(struct pb_upstream *upstream);
/* Has it begun or ended to back off since then? */
bool	pb_upstream_turned(const struct pb_upstream *upstream);

/* --- letters ------------------------------------------------------------ */

/* Letters of the stream were requeued or purged, by an operator where
 * `hurry`; or packets came late: see to them. */
void	pb_upstream_late(struct pb_upstream *upstream,
	    const struct pb_stream_info *stream, bool hurry);

/* Packets of streams that came late, and are to be letters. */
struct pb_lates {
	struct pb_late	*at;
	size_t		 count, cap;
	bool		 failed;	/* no memory for all of them */
};

/*
 * Packets first .. last of the stream came late: adds what of them the
 * upstream may have been told is a gap, be it when its `streams` were others.
 * Once that is a letter, durably, pb_upstream_late() is to be called.
 */
void	pb_upstream_fill(struct pb_upstream *upstream,
	    const struct pb_stream_info *stream, uint64_t first,
	    uint64_t last, struct pb_lates *out);

/*
 * Letters that go again by themselves are requeued, where the upstream takes
 * what is behind them, and what is waited for, and could not be written
 * down, is tried again; bounded work, for once a second.
 */
int	pb_upstream_again(struct pb_upstream *upstream, struct pb_err *err);

#endif
