/*
 * shipper/upstream/upstream_impl.h - what the files of upstream.h share
 *
 * Each calls those below it:
 *	upstream.c		carries out requests, and reports
 *	upstream_begin.c	what is remembered before it is sent
 *	upstream_letters.c	what the state machine asks of the store
 *	upstream_tasks.c	what is written down
 *	upstream_forks.c	the parts that streams go in
 */
#ifndef PB_SHIPPER_UPSTREAM_IMPL_H
#define PB_SHIPPER_UPSTREAM_IMPL_H

#include <time.h>

#include "shipper/feed/packing.h"
#include "shipper/ship/speed.h"
#include "shipper/state/forks.h"
#include "shipper/upstream/upstream.h"

/* A request's memory; kept for the next one while there are any. */
struct slot {
	struct pb_upstream *upstream;
	STAILQ_ENTRY(slot) link;	/* of upstream_begins */
	struct pb_sink_request request;
	struct pb_job	 job;		/* makes its payload */
	bool		 making;	/* it is not the sink's yet */
};

STAILQ_HEAD(slots, slot);

/* Requests that begin when it is durable how far their streams are. */
struct upstream_begins {
	struct slots	 waiting;
	struct slots	 written;	/* with the keeper, while `busy` */
	struct pb_news	 news;
	struct pb_job	 job;
	bool		 busy;
	int		 rc;
	struct pb_err	 err;
};

struct upstream_forks {
	uint32_t	 stream;	/* its id in the store */
	struct pb_forks	 forks;
};

/* What a stream of the state machine is. */
struct upstream_part {
	const struct pb_stream_info *stream;	/* in the store; borrowed */
	unsigned	 part;
	uint64_t	 base, top;	/* its numbers: base + 1 .. top */
	struct pb_stream_key key;	/* as the upstream knows it */
};

struct pb_upstream {
	struct pb_conf_upstream conf;
	struct pb_upstream_env env;
	struct pb_sink	*sink;
	struct pb_ship	*ship;
	struct slot	 slot[PB_SHIP_SLOTS];
	struct pb_packing packing;
	time_t		 looked;	/* at the clock, for the schedule */
	unsigned	 opens;		/* the minute it opens at, and 1; 0: it
					 * is open */
	struct upstream_forks *fork;	/* of the streams that have some */
	unsigned	 forks;
	struct pb_speed	 speed;
	struct pb_upstream_row row;	/* as last reported; written_ns 0:
					 * to be reported whatever it is */
	/* What was left out before its sink was made, as the row says. */
	struct pb_sink_left_out before;
	LIST_HEAD(, upstream_task) tasks;	/* with the keeper */
	struct upstream_begins begins;
	struct pb_letters_sum again;	/* letters that go again: how far, */
	bool		 reviving;	/* and some are with the keeper */
};

/* The request's packets are there: give them to the sink, or say that they
 * were not sent. */
void	upstream_submit(struct slot *slot, int rc, struct pb_err *err);
/* The row of a stream of the state machine; `cursor` is of its last part. */
void	upstream_report_cursor(const struct pb_upstream *u,
	    struct pb_news *news, struct pb_ship_cursor *cursor,
	    uint64_t now_ns);
/* The upstream's row, where packets were left out since the last one: it is
 * written with the cursors that have passed them. */
void	upstream_report_left_out(struct pb_upstream *u, struct pb_news *news,
	    uint64_t now_ns);

/* --- upstream_begin.c --------------------------------------------------- */

void	upstream_begins_init(struct pb_upstream *u);
/* The same as upstream_submit(), once how far the stream is, is durable. */
void	upstream_begin(struct slot *slot);
/* Those that have not begun are forgotten. */
void	upstream_begins_end(struct pb_upstream *u);

/* As in struct pb_ship_source; `arg` is the upstream. */
int	upstream_look(void *arg, uint32_t stream, uint64_t from,
	    const struct pb_mark *mark, size_t bytes_max, bool begin,
	    struct pb_piece *out, struct pb_err *err);
int	upstream_late(void *arg, uint32_t stream, uint64_t acked,
	    uint64_t from, const struct pb_mark *mark, size_t bytes_max,
	    struct pb_piece *out, struct pb_err *err);
int	upstream_demote(void *arg, uint32_t stream,
	    const struct pb_ship_dead *dead, uint64_t *done,
	    struct pb_err *err);
bool	upstream_sent(void *arg, uint32_t stream, uint64_t first,
	    uint64_t last);
bool	upstream_refuse(void *arg, uint32_t stream,
	    const struct pb_ship_dead *dead);
int	upstream_below(void *arg, uint32_t stream, uint64_t at,
	    uint32_t captured, struct pb_fingerprint *out, struct pb_err *err);
int	upstream_fork(void *arg, uint32_t stream, uint64_t last,
	    struct pb_err *err);
int	upstream_stay(void *arg, uint32_t stream);
uint64_t upstream_bytes(void *arg, uint32_t stream, uint64_t first,
	    uint64_t last);
unsigned upstream_rank(void *arg, uint32_t stream);
void	upstream_event(void *arg, enum pb_log_level level, uint32_t stream,
	    const char *text);

/* The stream `id` of the state machine; PB_ENOENT. */
int	upstream_part(const struct pb_upstream *u, uint32_t id,
	    struct upstream_part *out, struct pb_err *err);
/* The forks of a stream of the store; none for most. */
const struct pb_forks *upstream_forks(const struct pb_upstream *u,
	    uint32_t stream);
/* The stream `id` goes on in another part, the last one of `forks`: 1. */
int	upstream_take_fork(struct pb_upstream *u, uint32_t id,
	    const struct pb_forks *forks, struct pb_err *err);
/* How far the whole of it has come; `id` is that of any part. */
void	upstream_cursor(const struct pb_upstream *u, uint32_t id,
	    struct pb_ship_cursor *out);

/* --- upstream_tasks.c --------------------------------------------------- */

/* Letters first .. last are to be sent no more, or are dead again (false:
 * that waits to be written already): the state machine waits for that; or of
 * what is GONE of them it has been told. */
void	upstream_settle(struct pb_upstream *u, uint32_t id, uint64_t first,
	    uint64_t last);
/* Are so many of those with the keeper that no more are to be given? */
bool	upstream_settles_enough(const struct pb_upstream *u);
bool	upstream_dead_again(struct pb_upstream *u, uint32_t id,
	    const struct pb_ship_dead *dead);
void	upstream_told(struct pb_upstream *u, uint32_t id, uint64_t first,
	    uint64_t last);
/* Those that are not done are forgotten. */
void	upstream_tasks_end(struct pb_upstream *u);

/* The piece of a letter could not be read: `rc` and `text` say why. */
void	upstream_spoiled(struct pb_upstream *u,
	    const struct pb_action *action, int rc, const char *text);

#endif
