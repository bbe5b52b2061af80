/*
 * shipper/wire/http_hear.c - what libcurl calls while a request is under way
 *
 * Bodies lie in memory.  libcurl sends one again from its start when a
 * kept connection turns out to be dead, and needs the seek callback for
 * that: without it every such retry fails.
 *
 * A body waits (CURL_READFUNC_PAUSE) when its peer's rate allows nothing
 * now, and goes on when it does.
 */
#include "shipper/wire/http_impl.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"

/* Of a unix socket: a body goes over in fewer turns of both ends.  The system
 * gives what it allows (net.core.wmem_max). */
#define UNIX_SEND_BYTES	(1 << 20)

static void	hear_head(const struct transfer *);
static void	take_header(const char *, size_t, const char *,
		    char [static PB_HTTP_VALUE_MAX]);
static void	make_room(struct transfer *);
static bool	hear_lines(struct transfer *, size_t);

curl_socket_t
http_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	static const int bytes = UNIX_SEND_BYTES;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
	struct transfer *t = arg;

	(void)purpose;
	t->connects = true;
	if (fd >= 0 && address->family == AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes,
		    sizeof(bytes));
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

size_t
http_on_read(char *to, size_t size, size_t count, void *arg)
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
			http_pause(t, true);
			return CURL_READFUNC_PAUSE;
		}
	}
	if (len > 0)
		memcpy(to, t->request.body + t->at, len);
	t->at += len;
	return len;
}

int
http_on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > t->request.len)
		return CURL_SEEKFUNC_FAIL;
	t->at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* A line of an answer's head; `100 Continue` has one of its own. */
size_t
http_on_header(char *line, size_t size, size_t count, void *arg)
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
	    .fresh = http_is_fresh(t) };
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
    char out[static PB_HTTP_VALUE_MAX])
{
	size_t at = strlen(name);

	if (len <= at || strncasecmp(line, name, at) != 0 || line[at] != ':')
		return;
	at++;
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	while (len > at && strchr(" \t\r\n", line[len - 1]) != NULL)
		len--;
	if (len - at < PB_HTTP_VALUE_MAX)
		pb_utf8_clean(out, PB_HTTP_VALUE_MAX, line + at, len - at);
}

size_t
http_on_write(char *data, size_t size, size_t count, void *arg)
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
int
http_on_turn(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
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
 * as it comes.  One that is too large need not come. */
static void
make_room(struct transfer *t)
{
	curl_off_t length = 0;

	pb_curl.curl_easy_getinfo(t->easy,
	    CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (t->request.line == NULL && length > (curl_off_t)t->answer.max)
		t->answer.failed = true;
	else if (length > (curl_off_t)PB_HTTP_ANSWER_MAX &&
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
		    http_is_fresh(t));
		at += len + 1;
	}
	pb_buf_consume(&t->answer, at);
	return !t->answer.failed;
}

bool
http_is_fresh(const struct transfer *t)
{
	long connects = 0;

	pb_curl.curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects > 0;
}
