/*
 * shipper/wire/http_set.c - what libcurl is told of a request
 */
#include "shipper/wire/http_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/sys.h"

#define URL_BYTES_MAX		8192u
#define ANSWER_BUFFER_MAX	((size_t)128 << 10)	/* of a large one */
#define UPLOAD_BUFFER_BYTES	(256L << 10)
#define KEEPALIVE_IDLE_S	30L
#define KEEPALIVE_INTERVAL_S	10L

static CURLcode	set_common(const struct transfer *, const char *);
static CURLcode	set_proxy(const struct transfer *);
static CURLcode	set_tls(CURL *, const struct pb_http_peer *);
static CURLcode	set_body(struct transfer *);
static int	set_headers(struct transfer *);

int
http_set(struct transfer *t, struct pb_err *err)
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
	SET(CURLOPT_WRITEFUNCTION, http_on_write);
	SET(CURLOPT_WRITEDATA, t);
	if (t->request.want != NULL) {
		SET(CURLOPT_HEADERFUNCTION, http_on_header);
		SET(CURLOPT_HEADERDATA, t);
	}
	/* A quarter of what may come, as long as it is under way. */
	if (t->answer.max > PB_HTTP_ANSWER_MAX)
		SET(CURLOPT_BUFFERSIZE, (long)(t->answer.max / 4 <
		    ANSWER_BUFFER_MAX ? t->answer.max / 4 :
		    ANSWER_BUFFER_MAX));
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
	/* The time of a connection may be over before the last address. */
	SET(CURLOPT_DNS_SHUFFLE_ADDRESSES, (t->http->missed &
	    http_bit(t->request.peer)) != 0 ? 1L : 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, http_connect_ms(t));
	SET(CURLOPT_OPENSOCKETFUNCTION, http_on_open);
	SET(CURLOPT_OPENSOCKETDATA, t);
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
	SET(CURLOPT_XFERINFOFUNCTION, http_on_turn);
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
	SET(CURLOPT_READFUNCTION, http_on_read);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKFUNCTION, http_on_seek);
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

long
http_connect_ms(const struct transfer *t)
{
	return t->request.peer->connect_ms > 0 ?
	    (long)t->request.peer->connect_ms : (long)PB_HTTP_CONNECT_MS;
}
