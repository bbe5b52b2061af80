/*
 * shipper/wire/fetch.c - the wire protocol as who pulls speaks it
 *
 * Whatever a node says is looked at here as far as the protocol goes; what
 * packets hold is our recorder's to check, against the digest that they came
 * with, and against the stream that was asked for.
 */
#include "shipper/wire/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "conf/conf.h"
#include "pcapng/block.h"

#define WHAT_BYTES	(3 * PB_PULL_CURSOR_MAX + 64)
#define HEADER_BYTES	128
#define EPOCH_BYTES	17
#define LIST_BYTES_MAX	((size_t)64u << 20)	/* read, never kept */

/* Headers of an answer, in the order of `wanted`. */
enum { FIRST, LAST, DIGEST, GAP, ENCODING, NEXT };
static const char *const headers[] = { "PB-First", "PB-Last", "PB-Digest",
	"PB-Gap", "Content-Encoding", "PB-Next", NULL };
_Static_assert(sizeof(headers) / sizeof(headers[0]) - 1 <=
    PB_HTTP_WANTED_MAX, "all are heard");

static int	start_list(struct pb_wire *, const struct pb_fetch_call *,
		    struct pb_http_request *, const struct pb_pull_action *,
		    unsigned, struct pb_err *);
static int	start_fetch(struct pb_wire *, struct pb_http_request *,
		    const struct pb_pull_action *, bool, struct pb_err *);
static int	start_ack(struct pb_wire *, struct pb_fetch_call *,
		    struct pb_http_request *, const struct pb_pull_action *,
		    struct pb_err *);
static void	on_head(void *, const struct pb_http_answer *);
static void	read_next(const char *, struct pb_pull_coming *);
static void	done(void *, const struct pb_http_answer *);
static void	on_line(void *, const char *, bool);
static void	read_cursor(struct pb_fetch_call *, struct pb_json_doc *);
static void	end_list(struct pb_fetch_call *, const struct pb_http_answer *,
		    struct pb_pull_answer *);
static bool	read_row(struct pb_json_doc *, struct pb_pull_row *);
static void	read_packets(const struct pb_http_answer *,
		    struct pb_pull_answer *);
static bool	read_gap(const char *, struct pb_pull_piece *);
static void	read_expired(struct pb_json_doc *, struct pb_pull_answer *);
static enum pb_pull_outcome outcome_of(const struct pb_fetch_call *,
		    const struct pb_http_answer *, bool);

int
pb_fetch_start(struct pb_wire *wire, struct pb_fetch_call *call,
    const struct pb_pull_action *action, unsigned wait_s, bool zstd,
    struct pb_err *err)
{
	struct pb_http_request request = { .done = done, .arg = call,
	    .owner = call };

	call->kind = action->kind;
	call->cursor[0] = '\0';
	call->spoilt = false;
	if (action->kind == PB_PULL_LIST)
		return start_list(wire, call, &request, action, wait_s, err);
	if (action->kind == PB_PULL_FETCH)
		return start_fetch(wire, &request, action, zstd, err);
	return start_ack(wire, call, &request, action, err);
}

void
pb_fetch_cancel(struct pb_wire *wire, struct pb_fetch_call *call)
{
	pb_http_cancel(wire->http, call);
}

static int
start_list(struct pb_wire *wire, const struct pb_fetch_call *call,
    struct pb_http_request *request, const struct pb_pull_action *action,
    unsigned wait_s, struct pb_err *err)
{
	struct pb_buf cursor;
	char what[WHAT_BYTES];

	pb_buf_init(&cursor, WHAT_BYTES);
	pb_percent_encode(&cursor, action->cursor);
	if (call->of != NULL)
		snprintf(what, sizeof(what), "/%s", call->of);
	else
		snprintf(what, sizeof(what), "?since=%s&wait=%u",
		    pb_buf_cstr(&cursor), action->wait ? wait_s : 0);
	pb_buf_finish(&cursor);
	request->answer_max = LIST_BYTES_MAX;
	request->line = on_line;
	return wire_request(wire, NULL, what, request, err);
}

static int
start_fetch(struct pb_wire *wire, struct pb_http_request *request,
    const struct pb_pull_action *action, bool zstd, struct pb_err *err)
{
	char what[WHAT_BYTES], to[HEADER_BYTES] = "", as[HEADER_BYTES] = "";

	if (action->to != 0)
		snprintf(to, sizeof(to), "&to=%" PRIu64, action->to);
	if (action->epoch != action->key->epoch)
		snprintf(as, sizeof(as), "&as=%016" PRIx64, action->epoch);
	snprintf(what, sizeof(what), "/packets?after=%" PRIu64 "&max_bytes=%zu"
	    "&wait=0%s%s", action->number, action->bytes_max, to, as);
	request->want = headers;
	request->head = on_head;
	request->answer_max = action->bytes_max + PB_PULL_SLACK;
	if (zstd)
		request->header[0] = "Accept-Encoding: zstd";
	return wire_request(wire, action->key, what, request, err);
}

static int
start_ack(struct pb_wire *wire, struct pb_fetch_call *call,
    struct pb_http_request *request, const struct pb_pull_action *action,
    struct pb_err *err)
{
	char first[HEADER_BYTES] = "";

	if (action->first != 0)
		snprintf(first, sizeof(first), ",\"first\":%" PRIu64,
		    action->first);
	request->body = (const uint8_t *)call->body;
	request->len = (size_t)snprintf(call->body, sizeof(call->body),
	    "{\"upstream\":\"%s\",\"acked\":%" PRIu64 "%s}", wire->node,
	    action->number, first);
	request->header[0] = "Content-Type: application/json";
	return wire_request(wire, action->key, "/acks", request, err);
}

/* --- answers -------------------------------------------------------------- */

static void
done(void *arg, const struct pb_http_answer *http)
{
	struct pb_fetch_call *call = arg;
	char text[PB_SHIP_TEXT_MAX] = "", said[PB_SHIP_TEXT_MAX + 64] = "";
	struct pb_pull_answer answer = { .text = said, .cursor = "",
	    .retry_after_ms = http->retry_after_ms, .fresh = http->fresh,
	    .cut = http->status == 0 };
	struct pb_json_doc doc;
	bool ours;

	if (http->status == 200 && call->kind == PB_PULL_LIST) {
		end_list(call, http, &answer);
	} else if (http->status == 200 && call->kind == PB_PULL_FETCH) {
		read_packets(http, &answer);
	} else {
		pb_json_doc_open(&doc, http->body, http->len, NULL);
		ours = wire_explain(text, sizeof(text), http, &doc);
		answer.outcome = outcome_of(call, http, ours);
		if (http->status == 410 && call->kind == PB_PULL_FETCH)
			read_expired(&doc, &answer);
		pb_json_doc_close(&doc);
		if (http->status != 0) {
			snprintf(said, sizeof(said), "%s %d: %s", ours ?
			    "status" : "something in front of it answered",
			    http->status, text);
			pb_utf8_clean(text, sizeof(text), said, strlen(said));
		}
		answer.text = text;
	}
	call->done(call->arg, &answer);
}

static enum pb_pull_outcome
outcome_of(const struct pb_fetch_call *call,
    const struct pb_http_answer *http, bool ours)
{
	enum pb_pull_kind kind = call->kind;

	switch (http->status) {
	case 0:
		return http->too_large && kind == PB_PULL_FETCH ?
		    PB_PULL_TOO_LARGE : PB_PULL_FAILED;
	case 200:
		return PB_PULL_DONE;	/* of an ack */
	case 204:
		return kind == PB_PULL_FETCH ? PB_PULL_NOTHING :
		    PB_PULL_FAILED;
	}
	if (!ours)
		return PB_PULL_FAILED;
	if (http->status == 404 && (kind == PB_PULL_FETCH ||
	    call->of != NULL))
		return PB_PULL_GONE;
	if (http->status == 409 && kind == PB_PULL_ACK)
		return PB_PULL_BEHIND;
	return http->status >= 400 && http->status <= 499 &&
	    http->status != 408 && http->status != 429 ? PB_PULL_REFUSED :
	    PB_PULL_FAILED;
}

/* --- the list ------------------------------------------------------------- */

/* A line a stream, as it comes, and the cursor.  One that cannot be read spoils
 * it all. */
static void
on_line(void *arg, const char *line, bool fresh)
{
	struct pb_fetch_call *call = arg;
	struct pb_pull_row row;
	struct pb_json_doc doc;

	if (line[0] == '\0' || call->spoilt)
		return;
	pb_json_doc_open(&doc, line, strlen(line), NULL);
	if (pb_json_doc_has(&doc, "cursor"))
		read_cursor(call, &doc);
	else if (read_row(&doc, &row))
		call->row(call->arg, &row, fresh);
	else
		call->spoilt = true;
	call->spoilt |= doc.rc < 0;
	pb_json_doc_close(&doc);
}

static void
read_cursor(struct pb_fetch_call *call, struct pb_json_doc *doc)
{
	char filter[PB_CONF_VALUE_MAX] = "";
	uint64_t snaplen = 0;

	pb_json_doc_text(doc, "cursor", call->cursor, sizeof(call->cursor));
	if (call->gets == NULL)
		return;
	if (pb_json_doc_has(doc, "filter"))
		pb_json_doc_text(doc, "filter", filter, sizeof(filter));
	if (pb_json_doc_has(doc, "snaplen"))
		snaplen = pb_json_doc_u64(doc, "snaplen");
	call->gets(call->arg, filter, snaplen < PB_CAPLEN_MAX ?
	    (uint32_t)snaplen : 0);
}

static void
end_list(struct pb_fetch_call *call, const struct pb_http_answer *http,
    struct pb_pull_answer *answer)
{
	/* The last one may have no newline. */
	on_line(call, http->body, http->fresh);
	answer->outcome = call->spoilt ? PB_PULL_BROKEN :
	    call->cursor[0] != '\0' ? PB_PULL_DONE : PB_PULL_FAILED;
	answer->cursor = call->cursor;
	answer->text = call->spoilt ? "its list of streams cannot be read" :
	    "its list of streams has no cursor";
}

static bool
read_row(struct pb_json_doc *doc, struct pb_pull_row *row)
{
	char epoch[EPOCH_BYTES];
	uint64_t linktype;

	memset(row, 0, sizeof(*row));
	pb_json_doc_text(doc, "node", row->key.node, sizeof(row->key.node));
	pb_json_doc_text(doc, "interface", row->key.interface,
	    sizeof(row->key.interface));
	pb_json_doc_text(doc, "epoch", epoch, sizeof(epoch));
	row->durable = pb_json_doc_u64(doc, "durable");
	row->first = pb_json_doc_u64(doc, "first");
	linktype = pb_json_doc_u64(doc, "link_type");
	row->linktype = (uint16_t)linktype;
	while (pb_json_doc_has(doc, "late") && row->lates < PB_PULL_LATE_MAX &&
	    pb_json_doc_pair(doc, "late", row->lates, &row->late[row->lates].
	    first, &row->late[row->lates].last))
		row->lates++;
	return doc->rc == 0 && pb_name_valid(row->key.node) &&
	    row->key.interface[0] != '\0' && linktype <= UINT16_MAX &&
	    pb_parse_hex64(epoch, &row->key.epoch, NULL) == 0 &&
	    row->key.epoch != 0;
}

/* --- packets -------------------------------------------------------------- */

static void
on_head(void *arg, const struct pb_http_answer *http)
{
	const struct pb_fetch_call *call = arg;
	struct pb_pull_coming coming = { .nexts = 0 };

	if (pb_parse_u64(http->wanted[FIRST], 1, INT64_MAX, &coming.first,
	    NULL) < 0 || pb_parse_u64(http->wanted[LAST], coming.first,
	    INT64_MAX, &coming.last, NULL) < 0)
		return;
	read_next(http->wanted[NEXT], &coming);
	call->coming(call->arg, &coming);
}

/* `LAST/BYTES, LAST/BYTES, ...`, as far as it can be read. */
static void
read_next(const char *text, struct pb_pull_coming *out)
{
	char copy[PB_HTTP_VALUE_MAX], *rest = copy, *item, *bytes;
	uint64_t above = out->last, size;

	snprintf(copy, sizeof(copy), "%s", text);
	while (out->nexts < PB_PULL_NEXT_MAX &&
	    (item = strsep(&rest, ",")) != NULL) {
		struct pb_pull_next *next = &out->next[out->nexts];

		bytes = strchr(item, '/');
		if (bytes == NULL)
			return;
		*bytes++ = '\0';
		item += strspn(item, " \t");
		if (pb_parse_u64(item, above + 1, INT64_MAX, &above, NULL) <
		    0 || pb_parse_u64(bytes, 1, PB_PULL_BYTES_MAX, &size,
		    NULL) < 0)
			return;
		*next = (struct pb_pull_next){ above, (size_t)size };
		out->nexts++;
	}
}

static void
read_packets(const struct pb_http_answer *http, struct pb_pull_answer *answer)
{
	const char *const *said = http->wanted;
	struct pb_pull_piece *piece = &answer->piece;
	size_t prefix = strlen(PB_WIRE_DIGEST);
	bool good;

	if (said[GAP][0] != '\0') {
		answer->outcome = read_gap(said[GAP], piece) ? PB_PULL_DONE :
		    PB_PULL_FAILED;
		answer->text = "its PB-Gap is not A-B; reason=R";
		return;
	}
	piece->packed = strcasecmp(said[ENCODING], "zstd") == 0;
	good = (piece->packed || said[ENCODING][0] == '\0' ||
	    strcasecmp(said[ENCODING], "identity") == 0) && http->len > 0 &&
	    pb_parse_u64(said[FIRST], 1, INT64_MAX, &piece->first, NULL) == 0 &&
	    pb_parse_u64(said[LAST], piece->first, INT64_MAX, &piece->last,
	    NULL) == 0 &&
	    strncmp(said[DIGEST], PB_WIRE_DIGEST, prefix) == 0 &&
	    pb_parse_hex64(said[DIGEST] + prefix, &piece->digest, NULL) == 0;
	answer->outcome = good ? PB_PULL_DONE : PB_PULL_FAILED;
	answer->text = "its packets come without PB-First, PB-Last and "
	    "PB-Digest as they should be";
	if (good) {
		piece->body = *http->memory;
		memset(http->memory, 0, sizeof(*http->memory));
	}
}

/* `A-B; reason=R` */
static bool
read_gap(const char *text, struct pb_pull_piece *piece)
{
	char copy[HEADER_BYTES], *dash, *semicolon, *reason;

	snprintf(copy, sizeof(copy), "%s", text);
	dash = strchr(copy, '-');
	semicolon = strchr(copy, ';');
	if (dash == NULL || semicolon == NULL || dash > semicolon)
		return false;
	*dash = *semicolon = '\0';
	reason = semicolon + 1 + strspn(semicolon + 1, " \t");
	if (strncmp(reason, "reason=", 7) != 0)
		return false;
	piece->reason = pb_gap_reason_parse(reason + 7);
	return piece->reason != 0 &&
	    pb_parse_u64(copy, 1, INT64_MAX, &piece->first, NULL) == 0 &&
	    pb_parse_u64(dash + 1, piece->first, INT64_MAX, &piece->last,
	    NULL) == 0;
}

/* What is first: all before it is a gap.  The machine looks whether that is
 * what it asked for; `first` of the piece is its to say. */
static void
read_expired(struct pb_json_doc *doc, struct pb_pull_answer *answer)
{
	uint64_t first = pb_json_doc_u64(doc, "first");

	if (first < 2 || first > INT64_MAX)
		return;
	answer->outcome = PB_PULL_DONE;
	answer->piece = (struct pb_pull_piece){ .last = first - 1,
	    .reason = PB_GAP_EXPIRED };
}
