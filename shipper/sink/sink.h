/*
 * shipper/sink/sink.h - where an upstream's packets go
 *
 * A way to hand packets over is a file of this folder, found by the scheme
 * of the upstream's url.  Its requests have the numbers of the state
 * machine's, below PB_SHIP_SLOTS; what came of them it says in the machine's
 * words (struct pb_answer), whatever it speaks itself.
 *
 * What it is given to send is what its kind says (struct pb_ship_way), as
 * a pcapng section; one that is `pulled` gets numbers alone.
 */
#ifndef PB_SHIPPER_SINK_H
#define PB_SHIPPER_SINK_H

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/sift/payload.h"
#include "recorder/store/layout.h"
#include "shipper/ship/ship.h"
#include "shipper/wire/http.h"

struct pb_sink;

/* It stays as it is until the request ends. */
struct pb_sink_request {
	struct pb_action action;	/* its number, what it says */
	struct pb_stream_key key;	/* as the upstream knows it */
	uint16_t	linktype;
	unsigned	coming;		/* others that are being made ready */
	struct pb_payload payload;	/* of PACKETS */
};

/* What it is made of; borrowed until destroy, but for `conf`. */
struct pb_sink_opts {
	const struct pb_conf_upstream *conf;
	struct pb_http	*http;
	uint64_t	sender;		/* who this process is: PB-Sender */
	int		wake;		/* eventfd(2) of who collects */
	uint64_t	now_ms;
};

/* Packets that went by without being sent, since it was made. */
struct pb_sink_left_out {
	uint64_t	filtered;	/* by `filter` */
	uint64_t	unfit;		/* it cannot carry them */
	char		text[PB_SHIP_TEXT_MAX];	/* why not the last one */
	/* Not left out: streams that were given a clock of their own. */
	uint64_t	apart;
	uint64_t	apart_ns;	/* how far the last one is behind */
};

struct pb_sink_kind {
	const char	*schemes[2];	/* of its urls, as they begin */
	struct pb_ship_way way;
	/* What of it the configuration changes; NULL: nothing. */
	void	(*fit)(struct pb_ship_way *way,
		    const struct pb_conf_upstream *conf);
	int	(*create)(struct pb_sink **out,
		    const struct pb_sink_opts *opts, struct pb_err *err);
	/* Its requests end where they are. */
	void	(*destroy)(struct pb_sink *sink);
	/* Start what the action says: ask which packets it has (unless it is
	 * `remembered`), send a unit, tell a gap, which one that is
	 * `remembered` has only where it is there to take packets.  The end is
	 * told by `done` later; on an error nothing was started. */
	int	(*start)(struct pb_sink *sink,
		    const struct pb_sink_request *request,
		    struct pb_err *err);
	/* NULL: `done` comes from pb_http_wait().  Else call it here, for
	 * what has ended; pb_sink_opts.wake became readable. */
	void	(*collect)(struct pb_sink *sink);
	/* What is under way ends at once, its `done` within the call, and
	 * nothing more is started.  NULL: it ends by itself. */
	void	(*stop)(struct pb_sink *sink);
	/* What packets of this link type are freed of before `start`, as of
	 * pb_sieves_find().  NULL: of nothing. */
	int	(*sift)(struct pb_sink *sink, uint16_t linktype,
		    struct pb_sift **out, struct pb_err *err);
	/* From now on the configuration is `conf`, which differs in keys that
	 * are taken while it goes on; borrowed.  NULL: it takes none. */
	void	(*change)(struct pb_sink *sink,
		    const struct pb_conf_upstream *conf);
	/* Of one that is `pulled`: it asks, and may wait for so long; */
	void	(*asks)(struct pb_sink *sink, uint64_t wait_ms,
		    uint64_t now_ms);
	/* so many packets of what it has were left out; */
	void	(*leaves_out)(struct pb_sink *sink, uint64_t packets);
	/* it has these of what came late; */
	void	(*has_late)(struct pb_sink *sink, uint32_t stream,
		    uint64_t first, uint64_t last);
	/* and is it away, or as good as that, where it has acknowledged nothing
	 * for so long of what waits?  In words, or NULL. */
	const char *(*away)(struct pb_sink *sink, uint64_t owes_ms,
		    uint64_t now_ms);
	/* NULL: it takes all that it is sent. */
	void	(*left_out)(struct pb_sink *sink,
		    struct pb_sink_left_out *out);
};

/* What all of them begin with. */
struct pb_sink {
	const struct pb_sink_kind *kind;
	void	(*done)(void *arg, unsigned request,
		    struct pb_answer *answer);
	void	*arg;
};

/* What is wrong with upstreams that only their kinds know; not with those that
 * are the same in `before`, which may be NULL.  Names in a filter are waited
 * for, `ms` at most, and may be unknown.  0, or PB_EINVAL; `err` names the
 * line and the section. */
int	pb_sink_check(const struct pb_conf *conf, const struct pb_conf *before,
	    unsigned ms, struct pb_err *err);

/* The capability that the upstreams need, as setpriv(1) takes it, or "". */
const char *pb_sink_capability(const struct pb_conf *conf);

/* Of the kind of the url in `conf`; who uses it sets `done`.
 * PB_EINVAL: there is none. */
int	pb_sink_create(struct pb_sink **out, const struct pb_sink_opts *opts,
	    struct pb_err *err);
void	pb_sink_destroy(struct pb_sink *sink);	/* NULL is fine */

#endif
