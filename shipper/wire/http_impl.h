/*
 * shipper/wire/http_impl.h - inside requests
 *
 * http.c begins and ends them, http_set.c tells libcurl what one is,
 * http_hear.c is what libcurl calls, http_wait.c the loop.
 */
#ifndef PB_SHIPPER_HTTP_IMPL_H
#define PB_SHIPPER_HTTP_IMPL_H

#include <string.h>
#include <sys/queue.h>

#include "base/digest.h"
#include "shipper/wire/curl.h"
#include "shipper/wire/http.h"


struct transfer {
	struct pb_http	*http;
	CURL		*easy;
	curl_socket_t	 fd;		/* that it waits for; or
					 * CURL_SOCKET_BAD */
	bool		 connects;	/* a socket was made for it */
	struct curl_slist *headers;
	struct pb_http_request request;	/* path and headers not kept */
	size_t		 at;		/* sent of the body */
	bool		 paused;	/* by the rate */
	uint64_t	 turn;		/* of the loop, in which libcurl */
	size_t		 asked;		/* so often asked to go on */
	uint64_t	 moved_ms;	/* when bytes were seen to move */
	size_t		 moved_at;	/* `at` then, */
	uint64_t	 moved_queued;	/* and what the kernel held */
	struct pb_buf	 answer;
	size_t		 heard;		/* of it, in lines */
	char		 wanted[PB_HTTP_WANTED_MAX][PB_HTTP_VALUE_MAX];
	char		 error[CURL_ERROR_SIZE];
	TAILQ_ENTRY(transfer) link;
};
TAILQ_HEAD(transfers, transfer);

struct pb_http {
	CURLM		*multi;
	unsigned	 requests_max;
	struct transfers busy;
	struct transfers idle;		/* reset handles, for reuse */
	unsigned	 requests;
	int		 epoll;		/* sockets that are waited for */
	uint64_t	 timer_ms;	/* libcurl has something to do then */
	uint64_t	 look_ms;	/* the next look for silence */
	uint64_t	 nudge_ms;	/* when libcurl was last nudged */
	unsigned	 paused;	/* transfers, by their rates */
	uint64_t	 missed;	/* peers that were not reached in time,
					 * each a bit of http_bit() */
	uint64_t	 turn;		/* of libcurl's work */
};

/* http.c.  It is over: `done`, and nothing of it is left.  `reuse` where it
 * ended well. */
void	http_complete(struct transfer *t, bool reuse, int status,
	    const char *error);
/* libcurl says so. */
void	http_finished(CURL *easy, CURLcode code);

/* http_set.c */
int	http_set(struct transfer *t, struct pb_err *err);
long	http_connect_ms(const struct transfer *t);

/* A peer's, which others may have as well. */
static inline uint64_t
http_bit(const struct pb_http_peer *peer)
{
	return (uint64_t)1 << pb_digest(peer->url, strlen(peer->url)) % 64;
}

/* By its rate; libcurl may ask again for what waits. */
static inline void
http_pause(struct transfer *t, bool paused)
{
	t->http->paused += paused && !t->paused;
	t->http->paused -= !paused && t->paused;
	t->paused = paused;
}

/* http_wait.c.  Before the first wait, and where a request has begun. */
int	http_wait_create(struct pb_http *http, struct pb_err *err);
void	http_wait_for(struct pb_http *http, const struct transfer *t,
	    uint64_t now_ms);

/* http_hear.c */
curl_socket_t http_on_open(void *, curlsocktype, struct curl_sockaddr *);
size_t	http_on_read(char *, size_t, size_t, void *);
int	http_on_seek(void *, curl_off_t, int);
int	http_on_turn(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
size_t	http_on_header(char *, size_t, size_t, void *);
size_t	http_on_write(char *, size_t, size_t, void *);
/* Was its connection made for it? */
bool	http_is_fresh(const struct transfer *t);

#endif
