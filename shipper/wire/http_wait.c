/*
 * shipper/wire/http_wait.c - waiting for the network, and for silence on it
 *
 * libcurl says which sockets are to be watched, and when it wants to be asked
 * whatever they do (libcurl-multi(3), "multi_socket"): a turn costs what has
 * happened, however many requests are under way.
 */
#include "shipper/wire/http_impl.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_MAX		256	/* of sockets, in one turn */
#define LOOK_MS_MIN		20u	/* between two looks for silence */
#define LOOKS			8u	/* while a request may be silent */
#define NUDGE_MS		200u	/* between two, of what connects */

static int	on_socket(CURL *, curl_socket_t, int, void *, void *);
static int	on_timer(CURLM *, long, void *);
static int	wait_ms(const struct pb_http *, uint64_t, uint64_t);
static CURLMcode act(struct pb_http *);
static int	ready(uint32_t);
static uint64_t	nudge(struct pb_http *, uint64_t, uint64_t);
static bool	connects(struct transfer *);
static uint64_t	resume(struct pb_http *, uint64_t, uint64_t);
static uint64_t	look_for_silence(struct pb_http *, uint64_t, uint64_t);
static uint64_t	silence_ms(const struct transfer *);
static uint64_t	look_after_ms(const struct transfer *);
static bool	has_moved(struct transfer *);
static uint64_t	queued(const struct transfer *);
static bool	cut_one(struct pb_http *, uint64_t);

int
http_wait_create(struct pb_http *http, struct pb_err *err)
{
	http->timer_ms = http->look_ms = UINT64_MAX;
	http->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (http->epoll < 0)
		return pb_err_sys(err, "epoll_create1");
	pb_curl.curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION,
	    on_socket);
	pb_curl.curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	pb_curl.curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION,
	    on_timer);
	pb_curl.curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	return 0;
}

void
http_wait_for(struct pb_http *http, const struct transfer *t, uint64_t now_ms)
{
	uint64_t look_ms = now_ms + look_after_ms(t);

	if (http->look_ms > look_ms)
		http->look_ms = look_ms;
}

int
pb_http_wait(struct pb_http *http, const int *fds, unsigned count,
    uint64_t timeout_ms, struct pb_err *err)
{
	struct pollfd polled[PB_HTTP_FDS_MAX + 1];
	uint64_t now_ms = pb_clock_mono_ms();
	CURLMsg *message;
	CURLMcode rc;
	int left;

	if (count > PB_HTTP_FDS_MAX)
		return pb_err_set(err, PB_ELIMIT, "%u descriptors", count);
	for (unsigned i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	polled[count] = (struct pollfd){ .fd = http->epoll,
	    .events = POLLIN };
	timeout_ms = look_for_silence(http, resume(http, nudge(http,
	    timeout_ms, now_ms), now_ms), now_ms);
	if (poll(polled, count + 1, wait_ms(http, timeout_ms, now_ms)) < 0 &&
	    errno != EINTR)
		return pb_err_sys(err, "wait for the network");
	http->turn++;
	rc = act(http);
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

/* As long as nothing is to be done; libcurl has it where a request was just
 * added. */
static int
wait_ms(const struct pb_http *http, uint64_t timeout_ms, uint64_t now_ms)
{
	if (http->timer_ms <= now_ms)
		return 0;
	if (http->timer_ms - now_ms < timeout_ms)
		timeout_ms = http->timer_ms - now_ms;
	return timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
}

/* What has happened, libcurl is told. */
static CURLMcode
act(struct pb_http *http)
{
	struct epoll_event event[EVENTS_MAX];
	int n = epoll_wait(http->epoll, event, EVENTS_MAX, 0), running;
	CURLMcode rc = CURLM_OK;

	/* One that has gone meanwhile it does not know. */
	for (int i = 0; i < n && rc == CURLM_OK; i++)
		rc = pb_curl.curl_multi_socket_action(http->multi,
		    event[i].data.fd, ready(event[i].events), &running);
	if (rc == CURLM_OK && pb_clock_mono_ms() >= http->timer_ms) {
		http->timer_ms = UINT64_MAX;
		rc = pb_curl.curl_multi_socket_action(http->multi,
		    CURL_SOCKET_TIMEOUT, 0, &running);
	}
	return rc;
}

static int
ready(uint32_t events)
{
	return (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
	    (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	    (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

/* Where the system cannot watch one, the silence on it ends its request: an
 * error from here would be the end of all. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct pb_http *http = arg;
	struct epoll_event event = { .data.fd = fd,
	    .events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
	    (what & CURL_POLL_OUT ? EPOLLOUT : 0) };
	struct transfer *t;
	char *private = NULL;

	(void)unused;
	pb_curl.curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	t = (struct transfer *)(void *)private;
	if (what == CURL_POLL_REMOVE) {
		/* It may be closed. */
		(void)epoll_ctl(http->epoll, EPOLL_CTL_DEL, fd, NULL);
		if (t != NULL && t->fd == fd)
			t->fd = CURL_SOCKET_BAD;
		return 0;
	}
	if (epoll_ctl(http->epoll, EPOLL_CTL_MOD, fd, &event) < 0)
		(void)epoll_ctl(http->epoll, EPOLL_CTL_ADD, fd, &event);
	if (t != NULL)
		t->fd = fd;
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct pb_http *http = arg;

	(void)multi;
	http->timer_ms = timeout_ms < 0 ? UINT64_MAX :
	    pb_clock_mono_ms() + (uint64_t)timeout_ms;
	return 0;
}

/* --- connecting --------------------------------------------------------- */

/*
 * Each of a name's addresses has a part of the time, after which libcurl
 * closes its socket.  It begins with the next one when it looks again, and of
 * 7.88 nothing makes it look, but the end of all of the time: there is no
 * socket to be told of, and it has set no timer.  Who goes on looks at once.
 * Returns how long to wait at most.
 */
static uint64_t
nudge(struct pb_http *http, uint64_t timeout_ms, uint64_t now_ms)
{
	bool due = now_ms - http->nudge_ms >= NUDGE_MS, any = false;
	struct transfer *t;

	TAILQ_FOREACH(t, &http->busy, link) {
		if (!connects(t))
			continue;
		any = true;
		if (!due)
			continue;
		pb_curl.curl_easy_pause(t->easy, CURLPAUSE_RECV);
		pb_curl.curl_easy_pause(t->easy, CURLPAUSE_CONT);
		http->timer_ms = now_ms;
	}
	if (due)
		http->nudge_ms = now_ms;
	return any && timeout_ms > NUDGE_MS ? NUDGE_MS : timeout_ms;
}

static bool
connects(struct transfer *t)
{
	curl_off_t took_us = 0;

	if (t->connects && pb_curl.curl_easy_getinfo(t->easy,
	    CURLINFO_CONNECT_TIME_T, &took_us) == CURLE_OK && took_us > 0)
		t->connects = false;
	return t->connects;
}

/* --- the rate ----------------------------------------------------------- */

/*
 * Of the paused ones of each rate, let the one go on that has waited the
 * longest, where the rate allows it.  Returns how long to wait at most.
 */
static uint64_t
resume(struct pb_http *http, uint64_t timeout_ms, uint64_t now_ms)
{
	struct transfer *last = TAILQ_LAST(&http->busy, transfers), *t, *next;
	bool more = http->paused > 0 && last != NULL;
	uint64_t wait;

	if (!more)
		return timeout_ms;
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
			http_pause(t, false);
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
look_for_silence(struct pb_http *http, uint64_t timeout_ms, uint64_t now_ms)
{
	struct transfer *t;

	if (now_ms >= http->look_ms) {
		TAILQ_FOREACH(t, &http->busy, link)
			if (has_moved(t))
				t->moved_ms = now_ms;
		while (cut_one(http, now_ms))
			continue;
		http->look_ms = UINT64_MAX;
		TAILQ_FOREACH(t, &http->busy, link)
			http_wait_for(http, t, now_ms);
	}
	return http->look_ms - now_ms < timeout_ms ?
	    http->look_ms - now_ms : timeout_ms;
}

static uint64_t
silence_ms(const struct transfer *t)
{
	return t->request.peer->silence_ms > 0 ?
	    t->request.peer->silence_ms : PB_HTTP_SILENCE_MS;
}

static uint64_t
look_after_ms(const struct transfer *t)
{
	uint64_t ms = silence_ms(t) / LOOKS;

	return ms > LOOK_MS_MIN ? ms : LOOK_MS_MIN;
}

/* Since the last look: did its bytes go to the kernel, or from there to
 * the peer?  One that its rate holds is not the peer's fault. */
static bool
has_moved(struct transfer *t)
{
	uint64_t waits = queued(t);
	bool moved = t->paused || t->at != t->moved_at ||
	    waits != t->moved_queued;

	t->moved_at = t->at;
	t->moved_queued = waits;
	return moved;
}

/* What the kernel holds for the peer: tcp(7), SIOCOUTQ. */
static uint64_t
queued(const struct transfer *t)
{
	int bytes;

	return t->fd != CURL_SOCKET_BAD &&
	    ioctl(t->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ?
	    (uint64_t)bytes : 0;
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
