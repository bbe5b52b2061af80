/*
 * shipper/wire/http_wait.c - waiting for the network, and for silence on it
 */
#include "shipper/wire/http_impl.h"

#include <stdio.h>

#include "base/clock.h"

#define LOOK_MS_MIN		20u	/* between two looks for silence */
#define LOOKS			8u	/* while a request may be silent */

static uint64_t	resume(struct pb_http *, uint64_t);
static uint64_t	look_for_silence(struct pb_http *, uint64_t);
static uint64_t	silence_ms(const struct transfer *);
static bool	has_moved(struct transfer *);
static bool	cut_one(struct pb_http *, uint64_t);

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
			http_finished(message->easy_handle,
			    message->data.result);
	if (rc != CURLM_OK)
		return pb_err_set(err, PB_ESYS, "wait for the network: %s",
		    pb_curl.curl_multi_strerror(rc));
	return 0;
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
		http_complete(t, false, 0, error);
		return true;
	}
	return false;
}
