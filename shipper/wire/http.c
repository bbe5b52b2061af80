/*
 * shipper/wire/http.c - requests under way, any number of peers, one thread
 *
 * A transfer is one request with its easy handle.  After a good answer the
 * handle is reset and kept for the next request; after a failure it is
 * thrown away, so that nothing of the failure lives on.
 *
 * Bodies lie in memory.  libcurl sends one again from its start when a
 * kept connection turns out to be dead, and needs the seek callback for
 * that: without it every such retry fails.
 *
 * A body waits (CURL_READFUNC_PAUSE) when its peer's rate allows nothing
 * now, and goes on when it does.
 */
#include "shipper/wire/http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "shipper/wire/curl.h"
#include "shipper/wire/sockets.h"

#define LOOK_MS_MIN		20u	/* between two looks for silence */
#define LOOKS			8u	/* while a request may be silent */
#define WANTED_BYTES	96u	/* of a header's value, and its NUL */
#define ANSWER_BUFFER_BYTES	(128L << 10)	/* of a large one */
#define URL_BYTES_MAX		8192u
#define UPLOAD_BUFFER_BYTES	(256L << 10)
#define KEEPALIVE_IDLE_S	30L
#define KEEPALIVE_INTERVAL_S	10L

struct transfer {
	struct pb_http	*http;
	CURL		*easy;
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
	char		 wanted[PB_HTTP_WANTED_MAX][WANTED_BYTES];
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
	struct pb_sockets sockets;
	uint64_t	 look_ms;	/* the next look for silence */
	uint64_t	 turn;		/* of libcurl's work */
};

static struct transfer	*transfer_create(struct pb_http *);
static void	transfer_destroy(struct transfer *);
static void	transfer_end(struct transfer *, bool);
static int	transfer_set(struct transfer *, struct pb_err *);
static CURLcode	set_common(const struct transfer *, const char *);
static CURLcode	set_proxy(const struct transfer *);
static CURLcode	set_tls(CURL *, const struct pb_http_peer *);
static CURLcode	set_body(struct transfer *);
static int	set_headers(struct transfer *);
static void	finished(CURL *, CURLcode);
static void	complete(struct transfer *, bool, int, const char *);
static void	explain(const struct transfer *, CURLcode,
		    char [static CURL_ERROR_SIZE]);
static void	explain_redirect(CURL *, char [static CURL_ERROR_SIZE]);
static long	connect_ms(const struct transfer *);
static uint64_t	silence_ms(const struct transfer *);
static uint64_t	look_for_silence(struct pb_http *, uint64_t);
static bool	has_moved(struct transfer *);
static bool	cut_one(struct pb_http *, uint64_t);
static uint64_t	resume(struct pb_http *, uint64_t);
static curl_socket_t on_open(void *, curlsocktype, struct curl_sockaddr *);
static int	on_close(void *, curl_socket_t);
static size_t	on_read(char *, size_t, size_t, void *);
static int	on_seek(void *, curl_off_t, int);
static int	on_turn(void *, curl_off_t, curl_off_t, curl_off_t,
		    curl_off_t);
static size_t	on_header(char *, size_t, size_t, void *);
static void	hear_head(const struct transfer *);
static void	take_header(const char *, size_t, const char *,
		    char [static WANTED_BYTES]);
static size_t	on_write(char *, size_t, size_t, void *);
static void	make_room(struct transfer *);
static bool	hear_lines(struct transfer *, size_t);
static bool	is_fresh(const struct transfer *);

int
pb_http_create(struct pb_http **out, unsigned requests_max,
    struct pb_err *err)
{
	struct pb_http *http;
	int rc = pb_curl_load(err);

	*out = NULL;
	if (rc < 0)
		return rc;
	if (pb_curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return pb_err_set(err, PB_ENOMEM, "libcurl cannot start");
	http = calloc(1, sizeof(*http));
	if (http == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for HTTP");
	TAILQ_INIT(&http->busy);
	TAILQ_INIT(&http->idle);
	http->requests_max = requests_max;
	http->multi = pb_curl.curl_multi_init();
	if (http->multi == NULL) {
		free(http);
		return pb_err_set(err, PB_ENOMEM, "no memory for HTTP");
	}
	/* A connection for every request that may be under way is kept. */
	pb_curl.curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
	    (long)requests_max);
	*out = http;
	return 0;
}

void
pb_http_destroy(struct pb_http *http)
{
	struct transfer *t;

	if (http == NULL)
		return;
	while ((t = TAILQ_FIRST(&http->busy)) != NULL)
		transfer_end(t, false);
	while ((t = TAILQ_FIRST(&http->idle)) != NULL) {
		TAILQ_REMOVE(&http->idle, t, link);
		transfer_destroy(t);
	}
	pb_curl.curl_multi_cleanup(http->multi);
	pb_sockets_finish(&http->sockets);
	free(http);
	pb_curl.curl_global_cleanup();
}

int
pb_http_send(struct pb_http *http, const struct pb_http_request *request,
    struct pb_err *err)
{
	struct transfer *t = TAILQ_FIRST(&http->idle);
	int rc;

	if (http->requests >= http->requests_max)
		return pb_err_set(err, PB_ELIMIT, "%u requests are under way",
		    http->requests);
	if (t != NULL)
		TAILQ_REMOVE(&http->idle, t, link);
	else
		t = transfer_create(http);
	if (t == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a request");
	t->request = *request;
	t->moved_ms = pb_clock_mono_ms();
	t->moved_at = 0;
	t->moved_queued = 0;
	memset(t->wanted, 0, sizeof(t->wanted));
	t->heard = 0;
	t->answer.max = request->answer_max > 0 && request->line == NULL ?
	    request->answer_max : PB_HTTP_ANSWER_MAX;
	TAILQ_INSERT_TAIL(&http->busy, t, link);
	http->requests++;
	rc = transfer_set(t, err);
	if (rc == 0 &&
	    pb_curl.curl_multi_add_handle(http->multi, t->easy) != CURLM_OK)
		rc = pb_err_set(err, PB_ENOMEM, "libcurl takes no request");
	if (rc < 0)
		transfer_end(t, false);
	return rc;
}

void
pb_http_cancel(struct pb_http *http, const void *owner)
{
	struct transfer *t = TAILQ_FIRST(&http->busy), *next;

	for (; t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->request.owner == owner)
			transfer_end(t, false);
	}
}

int
pb_http_wait(struct pb_http *http, const int *fds, unsigned count,
    uint64_t timeout_ms, struct pb_err *err)
{
	struct curl_waitfd extra[PB_HTTP_FDS_MAX];
	CURLMsg *message;
	CURLMcode rc;
	int left;

	if (count > PB_HTTP_FDS_MAX)
		return pb_err_set(err, PB_ELIMIT, "%u descriptors", count);
	for (unsigned i = 0; i < count; i++)
		extra[i] = (struct curl_waitfd){ .fd = fds[i],
		    .events = CURL_WAIT_POLLIN };
	timeout_ms = look_for_silence(http, resume(http, timeout_ms));
	/* Does not wait where a request was just added. */
	rc = pb_curl.curl_multi_poll(http->multi, extra, count,
	    timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms, NULL);
	http->turn++;
	if (rc == CURLM_OK)
		rc = pb_curl.curl_multi_perform(http->multi, &left);
	while ((message = pb_curl.curl_multi_info_read(http->multi,
	    &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			finished(message->easy_handle,
			    message->data.result);
	if (rc != CURLM_OK)
		return pb_err_set(err, PB_ESYS, "wait for the network: %s",
		    pb_curl.curl_multi_strerror(rc));
	return 0;
}

/* --- transfers ---------------------------------------------------------- */

static struct transfer *
transfer_create(struct pb_http *http)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->http = http;
	pb_buf_init(&t->answer, PB_HTTP_ANSWER_MAX);
	t->easy = pb_curl.curl_easy_init();
	if (t->easy == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static void
transfer_destroy(struct transfer *t)
{
	pb_curl.curl_easy_cleanup(t->easy);
	pb_curl.curl_slist_free_all(t->headers);
	pb_buf_finish(&t->answer);
	free(t);
}

/* Out of the busy ones; `reuse` where it ended well. */
static void
transfer_end(struct transfer *t, bool reuse)
{
	struct pb_http *http = t->http;

	pb_curl.curl_multi_remove_handle(http->multi, t->easy);
	TAILQ_REMOVE(&http->busy, t, link);
	http->requests--;
	if (!reuse) {
		transfer_destroy(t);
		return;
	}
	pb_curl.curl_easy_reset(t->easy);
	pb_curl.curl_slist_free_all(t->headers);
	t->headers = NULL;
	pb_buf_clear(&t->answer);
	t->error[0] = '\0';
	t->at = 0;
	t->paused = false;
	TAILQ_INSERT_HEAD(&http->idle, t, link);
}

static void
finished(CURL *easy, CURLcode code)
{
	char *private = NULL, error[CURL_ERROR_SIZE] = "";
	struct transfer *t;
	long status = 0;

	pb_curl.curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	t = (struct transfer *)(void *)private;
	if (code == CURLE_OK)
		pb_curl.curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE,
		    &status);
	else
		explain(t, code, error);
	if (status >= 300 && status <= 399)
		explain_redirect(easy, error);
	complete(t, code == CURLE_OK, (int)status, error);
}

/*
 * `done` may send: the transfer is given back before, and what the answer
 * points to is kept here until it returns.
 */
static void
complete(struct transfer *t, bool reuse, int status, const char *error)
{
	struct pb_http_answer answer = { .status = status, .error = error,
	    .too_large = t->answer.failed };
	struct pb_http_request request = t->request;
	char wanted[PB_HTTP_WANTED_MAX][WANTED_BYTES];
	struct pb_buf body = t->answer;
	curl_off_t after = 0;

	pb_buf_init(&t->answer, PB_HTTP_ANSWER_MAX);
	if (status != 0)
		pb_curl.curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER,
		    &after);
	answer.retry_after_ms = after > 0 ? (uint64_t)after * 1000 : 0;
	answer.fresh = is_fresh(t);
	memcpy(wanted, t->wanted, sizeof(wanted));
	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX; i++)
		answer.wanted[i] = wanted[i];
	transfer_end(t, reuse);
	answer.memory = &body;
	answer.body = pb_buf_cstr(&body);
	answer.len = body.len;
	request.done(request.arg, &answer);
	pb_buf_finish(&body);
}

/* What libcurl says, in words that do not change with its version where an
 * operator will meet them. */
static void
explain(const struct transfer *t, CURLcode code,
    char out[static CURL_ERROR_SIZE])
{
	const char *text = t->error[0] != '\0' ? t->error :
	    pb_curl.curl_easy_strerror(code);
	long number = 0;

	switch (code) {
	case CURLE_WRITE_ERROR:
		text = "its answer is too large";
		break;
	case CURLE_ABORTED_BY_CALLBACK:
		text = "the proxy's answer is too large";
		break;
	case CURLE_GOT_NOTHING:
		text = "it closed the connection without an answer";
		break;
	case CURLE_PARTIAL_FILE:
		text = "it closed the connection in the middle of its answer";
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		text = "its answer is not HTTP";
		break;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		pb_curl.curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
		if (number == ECONNRESET || number == EPIPE)
			text = "it reset the connection";
		break;
	case CURLE_OPERATION_TIMEDOUT:	/* the only time it keeps */
		snprintf(out, CURL_ERROR_SIZE, "no connection within %g s",
		    (double)connect_ms(t) / 1000);
		return;
	default:
		break;
	}
	snprintf(out, CURL_ERROR_SIZE, "%s", text);
}

static void
explain_redirect(CURL *easy, char out[static CURL_ERROR_SIZE])
{
	char where[CURL_ERROR_SIZE / 2];
	const char *url = NULL;

	pb_curl.curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &url);
	if (url == NULL)
		url = "nowhere";
	pb_utf8_clean(where, sizeof(where), url, strlen(url));
	snprintf(out, CURL_ERROR_SIZE, "redirects are not followed, correct "
	    "url; it points to %s", where);
}

static int
transfer_set(struct transfer *t, struct pb_err *err)
{
	char url[URL_BYTES_MAX];
	CURLcode rc;
	int n;

	n = snprintf(url, sizeof(url), "%s%s", t->request.peer->url,
	    t->request.path);
	t->request.path = NULL;
	if (n < 0 || (size_t)n >= sizeof(url))
		return pb_err_set(err, PB_ELIMIT, "an address longer than %u "
		    "bytes", URL_BYTES_MAX);
	if (set_headers(t) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory for headers");
	rc = set_common(t, url);
	if (rc == CURLE_OK)
		rc = set_tls(t->easy, t->request.peer);
	if (rc == CURLE_OK && t->request.body != NULL)
		rc = set_body(t);
	if (rc != CURLE_OK)
		return pb_err_set(err, PB_EINVAL, "%.200s: %s",
		    t->request.peer->url, pb_curl.curl_easy_strerror(rc));
	return 0;
}

#define SET(option, value) do {						\
	CURLcode set_rc_ =						\
	    pb_curl.curl_easy_setopt(easy, (option), (value));		\
	if (set_rc_ != CURLE_OK)					\
		return set_rc_;						\
} while (0)

static CURLcode
set_common(const struct transfer *t, const char *url)
{
	CURL *easy = t->easy;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, t);
	if (t->request.want != NULL) {
		SET(CURLOPT_HEADERFUNCTION, on_header);
		SET(CURLOPT_HEADERDATA, t);
	}
	if (t->answer.max > PB_HTTP_ANSWER_MAX)
		SET(CURLOPT_BUFFERSIZE, ANSWER_BUFFER_BYTES);
	SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_USERAGENT, "PacketBroker/" PB_VERSION);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms(t));
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, &t->http->sockets);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, &t->http->sockets);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else ending a request whose name is still being looked up waits
	 * for the look-up, and every other peer with it. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	if (t->request.peer->socket_path != NULL)
		SET(CURLOPT_UNIX_SOCKET_PATH, t->request.peer->socket_path);
	return set_proxy(t);
}

/* Where packets go is the configuration's word, not a variable's. */
static CURLcode
set_proxy(const struct transfer *t)
{
	const struct pb_http_peer *peer = t->request.peer;
	CURL *easy = t->easy;

	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_PROXY, peer->proxy == NULL ? "" : peer->proxy);
	SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
	if (peer->proxy_auth != NULL && peer->proxy_auth[0] != '\0')
		SET(CURLOPT_PROXYUSERPWD, peer->proxy_auth);
	SET(CURLOPT_XFERINFOFUNCTION, on_turn);
	SET(CURLOPT_XFERINFODATA, t);
	SET(CURLOPT_NOPROGRESS, peer->proxy == NULL ||
	    peer->proxy[0] == '\0' ? 1L : 0L);
	return CURLE_OK;
}

static CURLcode
set_tls(CURL *easy, const struct pb_http_peer *peer)
{
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (peer->ca != NULL && peer->ca[0] != '\0') {
		/* This one alone is trusted, not the system's as well. */
		SET(CURLOPT_CAINFO, peer->ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (peer->cert != NULL && peer->cert[0] != '\0')
		SET(CURLOPT_SSLCERT, peer->cert);
	if (peer->key != NULL && peer->key[0] != '\0')
		SET(CURLOPT_SSLKEY, peer->key);
	return CURLE_OK;
}

static CURLcode
set_body(struct transfer *t)
{
	CURL *easy = t->easy;

	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.len);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, t);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	return CURLE_OK;
}

#undef SET

static int
set_headers(struct transfer *t)
{
	/* Empty: no `Expect: 100-continue`, and no wait for its answer. */
	struct curl_slist *list = pb_curl.curl_slist_append(NULL, "Expect:");
	struct curl_slist *more;

	for (unsigned i = 0; list != NULL && i < PB_HTTP_HEADERS_MAX &&
	    t->request.header[i] != NULL; i++) {
		more = pb_curl.curl_slist_append(list, t->request.header[i]);
		if (more == NULL)
			pb_curl.curl_slist_free_all(list);
		list = more;
	}
	memset(t->request.header, 0, sizeof(t->request.header));
	t->headers = list;
	return list != NULL ? 0 : PB_ENOMEM;
}

/* --- the rate ----------------------------------------------------------- */

/*
 * Of the paused ones of each rate, let the one go on that has waited the
 * longest, where the rate allows it.  Returns how long to wait at most.
 */
static uint64_t
resume(struct pb_http *http, uint64_t timeout_ms)
{
	struct transfer *last = TAILQ_LAST(&http->busy, transfers), *t, *next;
	uint64_t now_ms = pb_clock_mono_ms(), wait;
	bool more = last != NULL;

	TAILQ_FOREACH(t, &http->busy, link)
		if (t->paused)
			t->request.peer->rate->offered = false;
	for (t = TAILQ_FIRST(&http->busy); more; t = next) {
		next = TAILQ_NEXT(t, link);
		more = t != last;
		if (!t->paused || t->request.peer->rate->offered)
			continue;
		wait = pb_rate_wait_ms(t->request.peer->rate, now_ms);
		if (wait == 0) {
			t->request.peer->rate->offered = true;
			t->paused = false;
			TAILQ_REMOVE(&http->busy, t, link);
			TAILQ_INSERT_TAIL(&http->busy, t, link);
			pb_curl.curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
		if (wait < timeout_ms)
			timeout_ms = wait;
	}
	return timeout_ms;
}

/* --- silence ------------------------------------------------------------ */

/* End the requests whose peers are silent; how long to wait at most. */
static uint64_t
look_for_silence(struct pb_http *http, uint64_t timeout_ms)
{
	uint64_t now_ms = pb_clock_mono_ms(), next = UINT64_MAX, span;
	struct transfer *t;

	if (now_ms >= http->look_ms) {
		TAILQ_FOREACH(t, &http->busy, link)
			if (has_moved(t))
				t->moved_ms = now_ms;
		while (cut_one(http, now_ms))
			continue;
	}
	TAILQ_FOREACH(t, &http->busy, link) {
		span = silence_ms(t) / LOOKS;
		if (span < next)
			next = span;
	}
	if (next == UINT64_MAX)
		return timeout_ms;
	if (next < LOOK_MS_MIN)
		next = LOOK_MS_MIN;
	if (now_ms >= http->look_ms || http->look_ms > now_ms + next)
		http->look_ms = now_ms + next;
	next = http->look_ms - now_ms;
	return next < timeout_ms ? next : timeout_ms;
}

static long
connect_ms(const struct transfer *t)
{
	return t->request.peer->connect_ms > 0 ?
	    (long)t->request.peer->connect_ms : (long)PB_HTTP_CONNECT_MS;
}

static uint64_t
silence_ms(const struct transfer *t)
{
	return t->request.peer->silence_ms > 0 ?
	    t->request.peer->silence_ms : PB_HTTP_SILENCE_MS;
}

/* Since the last look: did its bytes go to the kernel, or from there to
 * the peer?  One that its rate holds is not the peer's fault. */
static bool
has_moved(struct transfer *t)
{
	uint64_t queued;
	long port = 0;
	bool moved;

	pb_curl.curl_easy_getinfo(t->easy, CURLINFO_LOCAL_PORT, &port);
	queued = pb_sockets_queued(&t->http->sockets, (uint16_t)port);
	moved = t->paused || t->at != t->moved_at ||
	    queued != t->moved_queued;
	t->moved_at = t->at;
	t->moved_queued = queued;
	return moved;
}

/* One at a time: its `done` may change the list. */
static bool
cut_one(struct pb_http *http, uint64_t now_ms)
{
	char error[CURL_ERROR_SIZE];
	struct transfer *t;

	TAILQ_FOREACH(t, &http->busy, link) {
		if (now_ms < t->moved_ms + silence_ms(t))
			continue;
		snprintf(error, sizeof(error), "no answer, and no byte taken "
		    "for %g s", (double)silence_ms(t) / 1000);
		complete(t, false, 0, error);
		return true;
	}
	return false;
}

/* --- libcurl calls us --------------------------------------------------- */

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd;

	(void)purpose;
	fd = pb_sockets_open(arg, address->family, address->socktype,
	    address->protocol);
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	pb_sockets_close(arg, fd);
	return 0;
}

static size_t
on_read(char *to, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct pb_rate *rate = t->request.peer->rate;
	size_t len = t->request.len - t->at;

	if (len > size * count)
		len = size * count;
	if (len > 0 && rate != NULL) {
		uint64_t now_ms = pb_clock_mono_ms();

		len = pb_rate_take(rate, len, now_ms);
		if (len == 0) {
			t->paused = true;
			return CURL_READFUNC_PAUSE;
		}
	}
	if (len > 0)
		memcpy(to, t->request.body + t->at, len);
	t->at += len;
	return len;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > t->request.len)
		return CURL_SEEKFUNC_FAIL;
	t->at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* A line of an answer's head; `100 Continue` has one of its own. */
static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	const char *const *want = t->request.want;

	if (size * count > 5 && memcmp(line, "HTTP/", 5) == 0)
		memset(t->wanted, 0, sizeof(t->wanted));
	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX && want[i] != NULL; i++)
		take_header(line, size * count, want[i], t->wanted[i]);
	if (size * count == 2 && t->request.head != NULL)
		hear_head(t);
	return size * count;
}

/* The empty line behind it. */
static void
hear_head(const struct transfer *t)
{
	struct pb_http_answer answer = { .body = "", .error = "",
	    .fresh = is_fresh(t) };
	long status = 0;

	pb_curl.curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return;
	answer.status = (int)status;
	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX; i++)
		answer.wanted[i] = t->wanted[i];
	t->request.head(t->request.arg, &answer);
}

static void
take_header(const char *line, size_t len, const char *name,
    char out[static WANTED_BYTES])
{
	size_t at = strlen(name);

	if (len <= at || strncasecmp(line, name, at) != 0 || line[at] != ':')
		return;
	at++;
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	while (len > at && strchr(" \t\r\n", line[len - 1]) != NULL)
		len--;
	if (len - at < WANTED_BYTES)
		pb_utf8_clean(out, WANTED_BYTES, line + at, len - at);
}

static size_t
on_write(char *data, size_t size, size_t count, void *arg)
{
	uint64_t now_ms = pb_clock_mono_ms();
	struct transfer *t = arg;

	if (t->answer.len == 0)
		make_room(t);
	if (pb_buf_put(&t->answer, data, size * count) < 0 ||
	    !hear_lines(t, size * count))
		return 0;
	t->moved_ms += size * count;
	if (t->moved_ms > now_ms)
		t->moved_ms = now_ms;
	return size * count;
}

/* libcurl reads what a proxy says to CONNECT byte by byte, asks for each,
 * and comes back when no more is there: one that talks on and on would have
 * this thread for itself.  Past the CONNECT it asks a few times a turn. */
static int
on_turn(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
    curl_off_t up)
{
	struct transfer *t = arg;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	if (t->turn != t->http->turn)
		t->asked = 0;
	t->turn = t->http->turn;
	return ++t->asked > PB_HTTP_ANSWER_MAX;
}

/* Of a large answer at once, where it says how large it is: memory is touched
 * as it comes. */
static void
make_room(struct transfer *t)
{
	curl_off_t length = 0;

	pb_curl.curl_easy_getinfo(t->easy,
	    CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length > (curl_off_t)PB_HTTP_ANSWER_MAX &&
	    (uint64_t)length <= t->answer.max)
		(void)pb_buf_reserve(&t->answer, (size_t)length);
}

/* Those that are whole with the last `came` bytes; false: it is too large. */
static bool
hear_lines(struct transfer *t, size_t came)
{
	const struct pb_http_request *request = &t->request;
	size_t at = 0, len;
	long status = 0;
	uint8_t *end;

	pb_curl.curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (request->line == NULL || status != 200)
		return true;
	t->heard += came;
	t->answer.failed = t->heard > request->answer_max;
	while (!t->answer.failed && (end = memchr(t->answer.data + at, '\n',
	    t->answer.len - at)) != NULL) {
		len = (size_t)(end - t->answer.data) - at;
		*end = '\0';
		request->line(request->arg, (const char *)t->answer.data + at,
		    is_fresh(t));
		at += len + 1;
	}
	pb_buf_consume(&t->answer, at);
	return !t->answer.failed;
}

static bool
is_fresh(const struct transfer *t)
{
	long connects = 0;

	pb_curl.curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects > 0;
}
