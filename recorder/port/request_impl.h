/*
 * recorder/port/request_impl.h - inside a request
 *
 * request.c takes its head and its body, and knows who may ask; route.c finds
 * its handler in the table of service.c.  A handler has a serve_*.c.
 */
#ifndef PB_INGEST_REQUEST_IMPL_H
#define PB_INGEST_REQUEST_IMPL_H

#include "recorder/intake/room.h"
#include "recorder/port/request.h"
#include "recorder/port/route.h"
#include "recorder/store/read/digests.h"

#define DIGEST_PREFIX	"xxh3="
#define JSON_TYPE	"application/json"

struct pb_request {
	struct pb_service *service;
	void		(*wake)(void *);
	void		*arg;
	const struct pb_request_head *head;
	struct pb_route	 route;
	bool		 packed;	/* Content-Encoding: zstd */
	uint64_t	 first, last;	/* PB-First, PB-Last; 0: not said */
	bool		 has_digest;
	uint64_t	 digest;
	struct pb_digests_ask digests;
	bool		 wanted;	/* the body */
	struct pb_room	 room;		/* it */
	struct pb_load	 load;
	/* The answer. */
	bool		 parked;	/* the peer waits, wake it */
	bool		 answered;
	struct pb_answer answer;
	/* Where it is made while it is sent. */
	struct pb_reading *reading;
	size_t		 taken;		/* of the piece */
	uint64_t	 begin_ms;	/* somebody must, by then */
	void		(*dress)(struct pb_request *);
	const void	*made;		/* its maker's */
	struct pb_held	 held;		/* it is counted so */
	uint64_t	 wake_ms;	/* what waits is to say so; 0: no */
	struct pb_shaped shaped;	/* where the answer is */
	const struct pb_conf_upstream *puller;	/* who asks, where it pulls */
};

/* What serves a method at a path. */
struct pb_handler {
	/* What a body has at most; NULL: it takes none. */
	size_t		(*body_max)(const struct pb_request *request);
	bool		zstd;		/* such a body may be packed */
	bool		pulls;		/* for pullers: others may not */
	bool		pulls_too;	/* for them as well */
	/* Looks at what concerns it alone in the head; NULL: nothing. */
	int		(*head)(struct pb_request *request,
			    struct pb_err *err);
	/* All of the request is there.  It is answered now, or, where it was
	 * offered to the intake, when that settles it. */
	void		(*end)(struct pb_request *request);
	/* The intake has settled it, and nothing is wrong: answers. */
	void		(*settled)(struct pb_request *request);
};

extern const unsigned pb_statuses[PB_STATUSES];

extern const struct pb_handler serve_health, serve_metrics, serve_status,
    serve_question, serve_digests, serve_packets, serve_gaps, serve_streams,
    serve_streams_of, serve_offer, serve_acks;

/* The answer is in request->answer.body. */
void	request_answer(struct pb_request *request, unsigned status,
	    const char *type);
/* 200 `{"acked": N}`. */
void	request_answer_acked(struct pb_request *request, uint64_t acked);
/* 200, with what `maker` makes; it has no body yet. */
void	request_make(struct pb_request *request, const struct pb_maker *maker,
	    const char *type);
/*
 * The same for a puller: it may wait, until `wait_ms` from now at most, or is
 * made whole in `bytes` of memory: there is a bound on those.  `dress` sees
 * request->made, and the first piece there, and says in request->answer which
 * status and header fields it has.
 */
void	request_make_held(struct pb_request *request,
	    const struct pb_maker *maker, void (*dress)(struct pb_request *),
	    uint64_t wait_ms, size_t bytes);
/* The peer of `arg`, a request, waits: it is woken. */
void	request_wake(void *arg);
/* A header field of the answer. */
void	request_field(struct pb_request *request, const char *name,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One line for the peer, and, seldom enough, for the log; the status is
 * that of the error `rc`. */
void	request_fail(struct pb_request *request, int rc, const char *text);
/* The same for what intake/room.h says. */
void	request_fail_body(struct pb_request *request, int rc,
	    const char *text);

/* An error: one line for the peer, and, seldom enough, for the log. */
void	request_refuse(struct pb_request *request, unsigned status,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* request_head.c.  Path, rights and size: it is refused, or wants its body.
 * And as much of one that nobody will read is taken all the same. */
void	request_check(struct pb_request *request);
size_t	request_discard_max(const struct pb_request *request);

#endif
