/*
 * shipper/loop_impl.h - what the files of loop.h share
 *
 * loop.c turns; loop_store.c takes the store and its news, loop_report.c says
 * how it goes, loop_conf.c takes another configuration; loop_letters.c is what
 * dead letters and packets that come late add to a turn, loop_pulls.c who
 * pulls, loop_told.c what the recorder tells of this.
 */
#ifndef PB_SHIPPER_LOOP_IMPL_H
#define PB_SHIPPER_LOOP_IMPL_H

#include "recorder/store/home.h"
#include "shipper/edge/edges.h"
#include "shipper/operator/control.h"
#include "shipper/operator/hear.h"
#include "shipper/feed/feed.h"
#include "shipper/wire/http.h"
#include "shipper/letters/letters.h"
#include "shipper/loop.h"
#include "shipper/state/news.h"
#include "shipper/state/state.h"
#include "shipper/upstream/upstream.h"
#include "shipper/watch.h"
#include "shipper/worker/worker.h"

struct pb_loop {
	struct pb_conf	*conf;
	char		 store[PATH_MAX];	/* the path in use, whatever a
					 * reload says: the lock is on it */
	int		 signal_fd;
	int		 lock_fd;	/* -1: not taken yet */
	bool		 held;		/* the store is (base/below.h) */
	bool		 stopping;
	int		 wake_fd;	/* eventfd: a sink has ended requests */
	struct pb_http	*http;
	struct pb_worker *reader;	/* looks in files, makes payloads */
	struct pb_worker *keeper;	/* writes to the state */
	struct pb_state	*state;		/* NULL: not open yet */
	struct pb_home	 home;		/* of its file, while it is open */
	bool		 left;		/* one that was there has gone */
	struct pb_letters *letters;	/* opened and closed with it */
	struct pb_control *control;	/* NULL: cannot listen; says why */
	struct pb_hear	*hear;		/* likewise */
	struct pb_watch	*watch;
	struct pb_index	*index;		/* of `watch`; NULL: not open */
	struct pb_feed	*feed;		/* NULL: the index is not open */
	struct pb_upstream *upstream[PB_UPSTREAMS_MAX];
	size_t		 upstreams;
	struct pb_edges	*edges;		/* NULL: the index is not open */
	uint64_t	 look_ms;	/* next look for the store */
	uint64_t	 report_ms;	/* last report */
	struct pb_news	 news;		/* with the keeper while `reporting` */
	struct pb_job	 report_job;
	bool		 reporting;
	int		 report_rc;
	struct pb_err	 report_err;
	struct loop_work *work;		/* with letters */
	struct loop_told *told;
	uint64_t	 bound_ms;	/* next look at them */
	uint64_t	 fills_commits;	/* of the index, when last looked */
	bool		 fills_busy;	/* some become letters just now */
	bool		 left_out_said;
	uint64_t	 missed_ms;	/* some stream was not taken: when all
					 * are given again; 0: none */
	uint64_t	 sender;	/* who this process is, to upstreams */
	char		 said[PB_ERR_TEXT_MAX];	/* the last trouble logged */
};

/* --- loop_store.c ------------------------------------------------------- */

/*
 * Once a second: take the store if it has come, leave it if it has gone,
 * and the index if that was replaced.  Only a second shipper on the store is
 * an error, and only at the start.
 */
int	loop_store_look(struct pb_loop *loop, struct pb_err *err);
/* The index, and all that goes with it. */
void	loop_store_close(struct pb_loop *loop);
int	loop_upstream_start(struct pb_loop *loop,
	    const struct pb_conf_upstream *conf, struct pb_err *err);
/* A turn's part, with the index open: what streams have grown. */
void	loop_store_scan(struct pb_loop *loop, uint64_t now_ms);
/* One has, as pb_watch_each() tells it: to all upstreams. */
void	loop_store_grown(void *loop, const struct pb_stream_info *stream);
/* What the state has of those that have no section any more goes. */
int	loop_store_forget(struct pb_loop *loop, struct pb_err *err);

/* --- loop_report.c ------------------------------------------------------ */

bool	loop_report_due(const struct pb_loop *loop, uint64_t now_ms);
/* Gathered here, written by the keeper. */
void	loop_report(struct pb_loop *loop);
/* Before upstreams end: how long what waits has waited, too; and all that
 * is being written is. */
void	loop_report_last(struct pb_loop *loop);
/* Whatever is not written yet of it is not. */
void	loop_report_end(struct pb_loop *loop);

/* A trouble that stays is logged once. */
void	loop_say(struct pb_loop *loop, const char *text);

/* --- loop_conf.c -------------------------------------------------------- */

/* SIGHUP. */
void	loop_reload(struct pb_loop *loop);

/* --- loop_pulls.c ------------------------------------------------------- */

/* With loop->state.  Where it fails nothing is heard. */
int	loop_pulls_open(struct pb_loop *loop, struct pb_err *err);
void	loop_pulls_close(struct pb_loop *loop);
/* A turn's part: what the recorder says. */
void	loop_pulls_run(struct pb_loop *loop);

/* --- loop_told.c -------------------------------------------------------- */

int	loop_told_create(struct pb_loop *loop, struct pb_err *err);
void	loop_told_destroy(struct pb_loop *loop);
/* Readable when loop_told_collect() has something to do. */
int	loop_told_fd(const struct pb_loop *loop);
void	loop_told_collect(struct pb_loop *loop);
/* Before the state, the index or the configuration goes: nothing that is
 * under way looks at them any more.  May wait for a disk, as those do. */
void	loop_told_stop(struct pb_loop *loop);
/* PB_CONTROL_METRICS, as a handler: 0 with the file, 1 not yet, an error. */
int	loop_told(struct pb_loop *loop, struct pb_control_request *request,
	    struct pb_err *err);

/* --- loop_letters.c ----------------------------------------------------- */

/* With loop->state. */
int	loop_letters_open(struct pb_loop *loop, struct pb_err *err);
void	loop_letters_close(struct pb_loop *loop);

/* Another index: its fills are other ones. */
void	loop_letters_replaced(struct pb_loop *loop);

/* A turn's part: fills, bounds, what operators ask for. */
void	loop_letters_run(struct pb_loop *loop, uint64_t now_ms);

#endif
