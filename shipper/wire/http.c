/*
 * shipper/wire/http.c - requests under way, any number of peers, one thread
 *
 * A transfer is one request with its easy handle.  After a good answer the
 * handle is reset and kept for the next request; after a failure it is
 * thrown away, so that nothing of the failure lives on.
 */
#include "shipper/wire/http_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static struct transfer	*transfer_create(struct pb_http *);
static void	transfer_destroy(struct transfer *);
static void	transfer_end(struct transfer *, bool);
static void	give_up(const struct transfer *);
static void	explain(const struct transfer *, CURLcode,
		    char [static CURL_ERROR_SIZE]);
static void	explain_redirect(CURL *, char [static CURL_ERROR_SIZE]);

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
	rc = http->multi == NULL ? pb_err_set(err, PB_ENOMEM, "no memory for "
	    "HTTP") : http_wait_create(http, err);
	if (rc < 0) {
		pb_curl.curl_multi_cleanup(http->multi);
		free(http);
		return rc;
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
	close(http->epoll);
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
	t->connects = false;
	t->answer.max = request->answer_max > 0 && request->line == NULL ?
	    request->answer_max : PB_HTTP_ANSWER_MAX;
	TAILQ_INSERT_TAIL(&http->busy, t, link);
	http->requests++;
	http_wait_for(http, t, t->moved_ms);
	rc = http_set(t, err);
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

/* --- transfers ---------------------------------------------------------- */

static struct transfer *
transfer_create(struct pb_http *http)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->http = http;
	t->fd = CURL_SOCKET_BAD;
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

	if (!reuse)
		give_up(t);
	pb_curl.curl_multi_remove_handle(http->multi, t->easy);
	TAILQ_REMOVE(&http->busy, t, link);
	http->requests--;
	http_pause(t, false);
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
	TAILQ_INSERT_HEAD(&http->idle, t, link);
}

/* What the kernel still has of it goes with the connection (socket(7),
 * SO_LINGER): sent when a link is there again it would come behind what was
 * sent over another one, such as an ack behind a later one. */
static void
give_up(const struct transfer *t)
{
	static const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	if (t->fd != CURL_SOCKET_BAD)
		(void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &none,
		    sizeof(none));
}

void
http_finished(CURL *easy, CURLcode code)
{
	char *private = NULL, error[CURL_ERROR_SIZE] = "";
	struct transfer *t;
	long status = 0;

	pb_curl.curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	t = (struct transfer *)(void *)private;
	if (code == CURLE_OPERATION_TIMEDOUT)
		t->http->missed |= http_bit(t->request.peer);
	else if (code == CURLE_OK)
		t->http->missed &= ~http_bit(t->request.peer);
	if (code == CURLE_OK)
		pb_curl.curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE,
		    &status);
	else
		explain(t, code, error);
	if (status >= 300 && status <= 399)
		explain_redirect(easy, error);
	http_complete(t, code == CURLE_OK, (int)status, error);
}

/*
 * `done` may send: the transfer is given back before, and what the answer
 * points to is kept here until it returns.
 */
void
http_complete(struct transfer *t, bool reuse, int status, const char *error)
{
	struct pb_http_answer answer = { .status = status, .error = error,
	    .too_large = t->answer.failed };
	struct pb_http_request request = t->request;
	char wanted[PB_HTTP_WANTED_MAX][PB_HTTP_VALUE_MAX];
	struct pb_buf body = t->answer;
	curl_off_t after = 0;

	pb_buf_init(&t->answer, PB_HTTP_ANSWER_MAX);
	if (status != 0)
		pb_curl.curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER,
		    &after);
	answer.retry_after_ms = after > 0 ? (uint64_t)after * 1000 : 0;
	answer.fresh = http_is_fresh(t);
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
		    (double)http_connect_ms(t) / 1000);
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
