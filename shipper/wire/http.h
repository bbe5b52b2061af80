/*
 * shipper/wire/http.h - requests under way, any number of peers, one thread
 *
 * The one place that knows libcurl.  A bounded pool of handles over one
 * curl_multi; a request is started, and its `done` is called from within
 * pb_http_wait() once.  Nothing here blocks but the wait itself.
 *
 * Requests are HTTP/1.1 over kept connections, without `Expect:` and
 * without redirects, and through the proxy that is named, never one of the
 * environment; answers are bounded, to 64 KiB where nothing else is said.  A
 * name is looked up for each connection, and all its addresses are tried.
 *
 * A request fails `silence_ms` after the last byte of it that the peer's
 * machine has acknowledged: until then the whole answer must be there.  Each
 * byte of the answer's body buys a millisecond more, never ahead of time: one
 * that drips, or has no end, holds nothing for ever, and one that comes at 8
 * kbit/s is heard to its end.
 */
#ifndef PB_SHIPPER_HTTP_H
#define PB_SHIPPER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rate.h"

#define PB_HTTP_ANSWER_MAX	65536u	/* bytes of an answer's body */
#define PB_HTTP_FDS_MAX		24u	/* beside libcurl's own */
#define PB_HTTP_HEADERS_MAX	7u	/* of a request, beside our own */
#define PB_HTTP_WANTED_MAX	6u	/* of an answer */
#define PB_HTTP_VALUE_MAX	256u	/* of one of them, and its NUL */
#define PB_HTTP_CONNECT_MS	10000u
#define PB_HTTP_SILENCE_MS	60000u

struct pb_http;

/* Whom to ask: borrowed while requests are under way. */
struct pb_http_peer {
	const char	*url;		/* https://host:port, no slash */
	const char	*socket_path;	/* a unix socket instead, or NULL */
	/* PEM files; NULL or "": none. */
	const char	*cert, *key, *ca;
	/* http://host:port of a proxy that is asked to CONNECT (RFC 9110,
	 * 9.3.6), and user:password for it (basic: RFC 7617); likewise. */
	const char	*proxy, *proxy_auth;
	struct pb_rate	*rate;		/* of what is sent, or NULL */
	uint64_t	connect_ms;	/* 0: PB_HTTP_CONNECT_MS */
	uint64_t	silence_ms;	/* 0: PB_HTTP_SILENCE_MS */
};

struct pb_http_answer {
	int		 status;	/* 0: no answer */
	const char	*body;		/* NUL-terminated; borrowed */
	size_t		 len;
	uint64_t	 retry_after_ms; /* 0: not said */
	const char	*error;		/* why there was none, or none to go
					 * by (a redirect); else "" */
	/* Values of the headers that were wanted; "" where not there, or
	 * longer than any of ours. */
	const char	*wanted[PB_HTTP_WANTED_MAX];
	bool		 too_large;	/* no answer: it has more bytes than
					 * answer_max */
	/* It came over a connection that was made for it: perhaps of another
	 * peer than the answers before it. */
	bool		 fresh;
	/* The memory of `body`: who wants to keep it copies this, and zeroes
	 * what is here. */
	struct pb_buf	*memory;
};

struct pb_http_request {
	const struct pb_http_peer *peer;
	const char	*path;		/* begins with a slash; copied */
	/* NULL: GET; else POST, borrowed until done or cancelled. */
	const uint8_t	*body;
	size_t		 len;
	const char	*header[PB_HTTP_HEADERS_MAX]; /* NULL ends; copied */
	/* Names of headers of the answer; NULL: none.  Borrowed as the body. */
	const char	*const *want;		/* NULL ends */
	size_t		answer_max;	/* bytes; 0: PB_HTTP_ANSWER_MAX */
	/* NULL: none.  Each line of a body with status 200, as it comes, ended
	 * by a NUL instead of its newline; what is behind the last one is the
	 * answer's body.  A line has at most PB_HTTP_ANSWER_MAX bytes, all of
	 * them answer_max.  `fresh` as of the answer.  It must not send. */
	void		(*line)(void *arg, const char *line, bool fresh);
	/* NULL: none.  The head of an answer with status 200 is there, with
	 * what was wanted; its body comes.  It must not send. */
	void		(*head)(void *arg, const struct pb_http_answer *);
	void		(*done)(void *arg, const struct pb_http_answer *);
	void		*arg;
	const void	*owner;		/* for pb_http_cancel() */
};

int	pb_http_create(struct pb_http **out, unsigned requests_max,
	    struct pb_err *err);
/* Requests under way end without their `done`. */
void	pb_http_destroy(struct pb_http *http);

/* Start.  PB_ELIMIT when requests_max are under way; PB_ENOMEM. */
int	pb_http_send(struct pb_http *http,
	    const struct pb_http_request *request, struct pb_err *err);

/* End all requests of `owner` without calling their `done`. */
void	pb_http_cancel(struct pb_http *http, const void *owner);

/*
 * Wait for at most `timeout_ms` until something happens on the network or
 * one of `fds` is readable, then do what can be done and call `done` for
 * what has ended.  `done` may send and must not destroy.
 */
int	pb_http_wait(struct pb_http *http, const int *fds, unsigned count,
	    uint64_t timeout_ms, struct pb_err *err);

#endif
