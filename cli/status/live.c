/*
 * cli/status/live.c - asking the recorder that runs on a store how it does
 */
#include "cli/status/live.h"

#include <errno.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/json.h"
#include "recorder/store/layout.h"
#include "shipper/wire/http.h"

struct asked {
	bool		 done;
	struct pb_buf	*body;
	int		 rc;
	struct pb_err	*err;
};

static void	on_answer(void *, const struct pb_http_answer *);
static void	read_capture(struct pb_json_doc *, struct pb_live_capture *);
static void	read_trailers(struct pb_json_doc *, struct pb_live_capture *);
static void	read_forward(struct pb_json_doc *, struct pb_live_capture *);

int
pb_live_ask(const char *store, struct pb_buf *body, struct pb_err *err)
{
	uint64_t now = pb_clock_mono_ms(), until = now + PB_LIVE_TIMEOUT_MS;
	struct asked asked = { .body = body, .err = err };
	struct pb_http_peer peer = { .url = "http://localhost",
	    .connect_ms = PB_LIVE_TIMEOUT_MS };
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
		rc = pb_http_create(&http, 1, err);
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
	struct pb_live_capture capture;
	struct pb_json_doc doc, item;
	int rc;

	pb_json_doc_open(&doc, body, len, err);
	for (size_t i = 0; pb_json_doc_item(&doc, "captures", i, &item); i++) {
		read_capture(&item, &capture);
		if (item.rc < 0)
			break;
		if (each != NULL)
			each(arg, &capture);
	}
	rc = doc.rc < 0 ? doc.rc : item.rc;
	pb_json_doc_close(&doc);
	if (rc < 0)
		pb_err_prefix(err, rc, "the recorder's answer");
	return rc;
}

int
pb_live_read(const char *body, size_t len, struct pb_live *out,
    struct pb_err *err)
{
	struct pb_json_doc doc;
	int rc;

	pb_json_doc_open(&doc, body, len, err);
	pb_json_doc_u64(&doc, "pid");
	rc = doc.rc;
	out->deleted_segments =
	    pb_json_doc_u64(&doc, "retention.deleted_segments");
	out->deleted_bytes = pb_json_doc_u64(&doc, "retention.deleted_bytes");
	out->expired =
	    pb_json_doc_u64(&doc, "retention.expired_unacked_packets");
	pb_json_doc_text(&doc, "retention.why", out->why, sizeof(out->why));
	pb_json_doc_text(&doc, "writer.last_error", out->trouble,
	    sizeof(out->trouble));
	pb_json_doc_text(&doc, "ingest.waits", out->listen_waits,
	    sizeof(out->listen_waits));
	out->log_left_out = pb_json_doc_u64(&doc, "log_lines_left_out");
	pb_json_doc_close(&doc);
	return rc;
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

static void
read_capture(struct pb_json_doc *item, struct pb_live_capture *out)
{
	pb_json_doc_text(item, "interface", out->interface,
	    sizeof(out->interface));
	pb_json_doc_text(item, "error", out->error, sizeof(out->error));
	out->up = pb_json_doc_bool(item, "up");
	out->packets = pb_json_doc_u64(item, "packets");
	out->bytes = pb_json_doc_u64(item, "bytes");
	out->dropped = pb_json_doc_u64(item, "kernel_dropped") +
	    pb_json_doc_u64(item, "interface_dropped") +
	    pb_json_doc_u64(item, "store_dropped");
	out->pps = pb_json_doc_double(item, "pps");
	out->bps = pb_json_doc_double(item, "bps");
	out->clock[0] = '\0';
	out->trailers = 0;
	if (pb_json_doc_has(item, "clock"))
		read_trailers(item, out);
	out->forward[0] = out->forward_error[0] = '\0';
	out->forwarding = false;
	out->forwarded = out->refused = 0;
	if (pb_json_doc_has(item, "forward"))
		read_forward(item, out);
}

static void
read_trailers(struct pb_json_doc *item, struct pb_live_capture *out)
{
	struct pb_json_doc one;

	pb_json_doc_text(item, "clock", out->clock, sizeof(out->clock));
	for (; out->trailers < PB_STAMPS_MAX && pb_json_doc_item(item,
	    "trailers", out->trailers, &one); out->trailers++) {
		struct pb_live_trailer *at = &out->trailer[out->trailers];

		pb_json_doc_text(&one, "trailer", at->trailer,
		    sizeof(at->trailer));
		at->parsed = pb_json_doc_u64(&one, "parsed");
		at->unparsed = pb_json_doc_u64(&one, "unparsed");
		if (one.rc < 0)
			item->rc = one.rc;
	}
}

static void
read_forward(struct pb_json_doc *item, struct pb_live_capture *out)
{
	pb_json_doc_text(item, "forward", out->forward,
	    sizeof(out->forward));
	pb_json_doc_text(item, "forward_error", out->forward_error,
	    sizeof(out->forward_error));
	out->forwarding = pb_json_doc_bool(item, "forwarding");
	out->forwarded = pb_json_doc_u64(item, "forwarded_packets");
	out->refused = pb_json_doc_u64(item, "forward_refused");
}
