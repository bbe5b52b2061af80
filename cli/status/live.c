/*
 * cli/status/live.c - asking the recorder that runs on a store how it does
 *
 * The list of captures is taken apart here, object by object, and each is
 * read by base/json.h, which knows flat objects.
 */
#include "cli/status/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/json.h"
#include "recorder/store/layout.h"
#include "shipper/http/http.h"

struct asked {
	bool		 done;
	struct pb_buf	*body;
	int		 rc;
	struct pb_err	*err;
};

static int	member_text(const char *, size_t, const char *, const char *,
		    char *, size_t, struct pb_err *);
static const char *object_of(const char *, size_t, const char *, size_t *,
		    struct pb_err *);
static void	on_answer(void *, const struct pb_http_answer *);
static const char *object_end(const char *, const char *);
static int	read_capture(const char *, size_t, struct pb_live_capture *,
		    struct pb_err *);
static double	read_double(const char *, size_t, const char *);

int
pb_live_ask(const char *store, struct pb_buf *body, struct pb_err *err)
{
	uint64_t now = pb_clock_mono_ms(), until = now + PB_LIVE_TIMEOUT_MS;
	struct pb_http_opts opts = { .requests_max = 1,
	    .connect_ms = PB_LIVE_TIMEOUT_MS };
	struct asked asked = { .body = body, .err = err };
	struct pb_http_peer peer = { .url = "http://localhost" };
	struct pb_http_request request = { .peer = &peer,
	    .path = "/v1/status", .done = on_answer, .arg = &asked };
	char path[PATH_MAX];
	struct pb_http *http;
	int rc;

	rc = pb_layout_path(path, store, "recorder.sock", err);
	if (rc == 0 && pb_below_access(path, W_OK) < 0 && errno == EACCES)
		return pb_err_set(err, PB_EACCES, "what it does just now it "
		    "tells the store's user alone (recorder.sock); 'sudo pb "
		    "status'");
	if (rc == 0)
		rc = pb_http_create(&http, &opts, err);
	if (rc < 0)
		return rc;
	peer.socket_path = path;
	rc = pb_http_send(http, &request, err);
	while (rc >= 0 && !asked.done && now < until) {
		rc = pb_http_wait(http, NULL, 0, until - now, err);
		now = pb_clock_mono_ms();
	}
	pb_http_destroy(http);
	if (rc >= 0 && !asked.done)
		return pb_err_set(err, PB_EBUSY, "the recorder does not "
		    "answer within %d ms", PB_LIVE_TIMEOUT_MS);
	return rc < 0 ? rc : asked.rc;
}

int
pb_live_captures(const char *body, size_t len,
    void (*each)(void *arg, const struct pb_live_capture *capture),
    void *arg, struct pb_err *err)
{
	static const char member[] = "\"captures\":[";
	struct pb_live_capture capture;
	const char *at, *end = body + len, *close;
	int rc;

	at = memmem(body, len, member, sizeof(member) - 1);
	if (at == NULL)
		return pb_err_set(err, PB_EFORMAT,
		    "the recorder's answer has no captures");
	at += sizeof(member) - 1;
	while (at < end && *at == '{') {
		close = object_end(at, end);
		if (close == NULL)
			break;
		rc = read_capture(at, (size_t)(close - at), &capture, err);
		if (rc < 0)
			return rc;
		if (each != NULL)
			each(arg, &capture);
		at = close;
		if (at < end && *at == ',')
			at++;
	}
	if (at >= end || *at != ']')
		return pb_err_set(err, PB_EFORMAT,
		    "the recorder's list of captures is malformed");
	return 0;
}

int
pb_live_retention(const char *body, size_t len,
    struct pb_live_retention *out, struct pb_err *err)
{
	size_t room;
	const char *at = object_of(body, len, "\"retention\":", &room, err);
	int rc;

	memset(out, 0, sizeof(*out));
	if (at == NULL)
		return PB_EFORMAT;
	rc = pb_json_get_u64(at, room, "deleted_segments",
	    &out->deleted_segments, err);
	if (rc == 0)
		rc = pb_json_get_u64(at, room, "deleted_bytes",
		    &out->deleted_bytes, err);
	if (rc == 0)
		rc = pb_json_get_u64(at, room, "expired_unacked_packets",
		    &out->expired, err);
	if (rc == 0)
		rc = pb_json_get_text(at, room, "why", out->why,
		    sizeof(out->why), err);
	return rc;
}

int
pb_live_listen(const char *body, size_t len, char *out, size_t room,
    struct pb_err *err)
{
	return member_text(body, len, "\"ingest\":", "waits", out, room, err);
}

int
pb_live_trouble(const char *body, size_t len, char *out, size_t room,
    struct pb_err *err)
{
	return member_text(body, len, "\"writer\":", "last_error", out, room,
	    err);
}

/* A text of the object that is this member's value. */
static int
member_text(const char *body, size_t len, const char *member,
    const char *name, char *out, size_t room, struct pb_err *err)
{
	size_t bytes;
	const char *at = object_of(body, len, member, &bytes, err);

	out[0] = '\0';
	return at == NULL ? PB_EFORMAT : pb_json_get_text(at, bytes, name,
	    out, room, err);
}

/* The object that is this member's value, or NULL. */
static const char *
object_of(const char *body, size_t len, const char *member, size_t *room,
    struct pb_err *err)
{
	const char *at = memmem(body, len, member, strlen(member));
	const char *end;

	if (at != NULL) {
		at += strlen(member);
		end = object_end(at, body + len);
		if (end != NULL) {
			*room = (size_t)(end - at);
			return at;
		}
	}
	pb_err_set(err, PB_EFORMAT, "the recorder's answer has no %s", member);
	return NULL;
}

static void
on_answer(void *arg, const struct pb_http_answer *answer)
{
	struct asked *asked = arg;

	asked->done = true;
	if (answer->status == 200 &&
	    pb_buf_put(asked->body, answer->body, answer->len) == 0)
		return;
	asked->rc = pb_err_set(asked->err, PB_ESYS,
	    "the recorder does not say how it does: %s", answer->status == 0 ?
	    answer->error : answer->body);
}

/* Behind the brace that closes the object at `at`; NULL without one. */
static const char *
object_end(const char *at, const char *end)
{
	bool quoted = false;
	int depth = 0;

	for (; at < end; at++) {
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (!quoted && *at == '{')
			depth++;
		else if (!quoted && *at == '}' && --depth == 0)
			return at + 1;
	}
	return NULL;
}

static int
read_capture(const char *text, size_t len, struct pb_live_capture *out,
    struct pb_err *err)
{
	uint64_t kernel, interface, store;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = pb_json_get_text(text, len, "interface", out->interface,
	    sizeof(out->interface), err);
	if (rc == 0)
		rc = pb_json_get_text(text, len, "error", out->error,
		    sizeof(out->error), err);
	if (rc == 0)
		rc = pb_json_get_u64(text, len, "packets", &out->packets,
		    err);
	if (rc == 0)
		rc = pb_json_get_u64(text, len, "bytes", &out->bytes, err);
	if (rc == 0)
		rc = pb_json_get_u64(text, len, "kernel_dropped", &kernel,
		    err);
	if (rc == 0)
		rc = pb_json_get_u64(text, len, "interface_dropped",
		    &interface, err);
	if (rc == 0)
		rc = pb_json_get_u64(text, len, "store_dropped", &store,
		    err);
	if (rc < 0)
		return rc;
	out->dropped = kernel + interface + store;
	out->up = memmem(text, len, "\"up\":true", 9) != NULL;
	out->pps = read_double(text, len, "\"pps\":");
	out->bps = read_double(text, len, "\"bps\":");
	return 0;
}

/*
 * The number behind a member's name.  Within a text the quotes of such a
 * name would be escaped, so it is found where it is a name.
 */
static double
read_double(const char *text, size_t len, const char *name)
{
	const char *at = memmem(text, len, name, strlen(name));
	char number[40] = "";
	size_t n;

	if (at == NULL)
		return 0;
	at += strlen(name);
	for (n = 0; n + 1 < sizeof(number) && at + n < text + len &&
	    strchr("0123456789+-.eE", at[n]) != NULL; n++)
		number[n] = at[n];
	return strtod(number, NULL);
}
