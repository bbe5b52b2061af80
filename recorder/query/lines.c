/*
 * recorder/query/lines.c - a packet as a line: for people, or as a JSON object
 */
#include "recorder/query/lines.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/text.h"
#include "pcapng/option.h"
#include "recorder/query/endpoints.h"

#define LINE_BYTES_MAX	(64u << 10)	/* sixteen nodes, escaped, fit */

static void	json_line(struct pb_lines *,
		    const struct pb_cursor_packet *, const struct pb_way *);
static void	json_stamps(struct pb_json *, const struct pb_stamped *);
static void	json_number(struct pb_json *, const char *,
		    const struct pb_stamp *, uint8_t, uint64_t);
static void	json_nodes(struct pb_lines *, struct pb_json *,
		    const struct pb_cursor_packet *, const struct pb_way *);
static void	json_repeat(struct pb_json *, const struct pb_repeat *);
static void	text_line(struct pb_lines *,
		    const struct pb_cursor_packet *);
static void	put_name(struct pb_buf *, const struct pb_head *, uint64_t);
static void	way_lines(struct pb_lines *,
		    const struct pb_cursor_packet *, const struct pb_way *);
static bool	untimed(const struct pb_cursor_packet *);
static const char *direction(const struct pb_cursor_packet *);

void
pb_lines_init(struct pb_lines *lines, struct pb_out *out, bool json,
    bool way)
{
	lines->out = out;
	lines->json = json;
	lines->way = way;
	lines->repeat = NULL;
	pb_stamper_init(&lines->stamper, NULL);
	pb_buf_init(&lines->line, LINE_BYTES_MAX);
}

void
pb_lines_finish(struct pb_lines *lines)
{
	pb_stamper_finish(&lines->stamper);
	pb_buf_finish(&lines->line);
}

int
pb_lines_packet(struct pb_lines *lines, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	struct pb_way way;
	int rc;

	rc = pb_way_get(&way, &lines->stamper, cp, err);
	if (rc < 0)
		return rc;
	pb_buf_clear(&lines->line);
	if (lines->json)
		json_line(lines, cp, &way);
	else
		text_line(lines, cp);
	if (lines->way && !lines->json)
		way_lines(lines, cp, &way);
	if (lines->line.failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a line");
	if (pb_out_put(lines->out, lines->line.data, lines->line.len) < 0)
		return pb_out_flush(lines->out, err);
	return 0;
}

static void
json_line(struct pb_lines *lines, const struct pb_cursor_packet *cp,
    const struct pb_way *way)
{
	const struct pb_identity *who = &cp->head->identity;
	struct pb_json json;
	char epoch[17];

	pb_hex64(who->epoch, epoch);
	pb_json_init(&json, &lines->line);
	pb_json_object(&json, NULL);
	if (untimed(cp))
		pb_json_null(&json, "time");
	else
		pb_json_time(&json, "time", cp->packet.time_ns);
	pb_json_text(&json, "node", who->node[0].name);
	pb_json_text(&json, "interface", who->interface);
	pb_json_text(&json, "epoch", epoch);
	pb_json_u64(&json, "seq", cp->seq);
	pb_json_u64(&json, "caplen", cp->packet.caplen);
	pb_json_u64(&json, "len", cp->packet.origlen);
	if (direction(cp) != NULL)
		pb_json_text(&json, "direction", direction(cp));
	if (lines->fcs != PB_FCS_UNKNOWN)
		pb_json_text(&json, "fcs", lines->fcs == PB_FCS_RIGHT ?
		    "right" : "wrong");
	if (way->stamped.count > 0)
		pb_json_u64(&json, "time_from", way->stamped.from);
	if (lines->repeat != NULL)
		json_repeat(&json, lines->repeat);
	pb_json_array(&json, "hops");
	json_stamps(&json, &way->stamped);
	json_nodes(lines, &json, cp, way);
	pb_json_end(&json);
	pb_json_end(&json);
	pb_buf_put(&lines->line, "\n", 1);
}

/* What is not known is null, so that all have the same members. */
static void
json_stamps(struct pb_json *json, const struct pb_stamped *stamped)
{
	for (unsigned i = 0; i < stamped->count; i++) {
		const struct pb_stamp *at = &stamped->at[i];
		char time[PB_STAMP_TIME_MAX];
		const char *word;

		pb_json_object(json, NULL);
		pb_json_text(json, "trailer",
		    pb_stamp_format_name(at->format));
		json_number(json, "device", at, PB_STAMP_PLACED, at->device);
		json_number(json, "port", at, PB_STAMP_PLACED, at->port);
		json_number(json, "seq", at, PB_STAMP_SEQUENCED, at->seq);
		if ((at->flags & PB_STAMP_TIMED) != 0)
			pb_json_text(json, "time", pb_stamp_time(at, time));
		else
			pb_json_null(json, "time");
		pb_json_array(json, "flags");
		for (unsigned n = 0; (word = pb_stamp_word(at, n)) != NULL;
		    n++)
			pb_json_text(json, NULL, word);
		pb_json_end(json);
		pb_json_end(json);
	}
}

static void
json_number(struct pb_json *json, const char *key,
    const struct pb_stamp *stamp, uint8_t known, uint64_t number)
{
	if ((stamp->flags & known) != 0)
		pb_json_u64(json, key, number);
	else
		pb_json_null(json, key);
}

/* Beside stamps of other clocks the origin says which one is its own. */
static void
json_nodes(struct pb_lines *lines, struct pb_json *json,
    const struct pb_cursor_packet *cp, const struct pb_way *way)
{
	const struct pb_identity *who = &cp->head->identity;
	char clock[PB_INTERFACE_TEXT_MAX];

	for (int i = 0; i < way->nodes; i++) {
		pb_json_object(json, NULL);
		pb_json_text(json, "node", who->node[i].name);
		pb_json_text(json, "description", who->node[i].description);
		pb_json_u64(json, "seq", way->hop[i].seq);
		if (i == 0 && untimed(cp))
			pb_json_null(json, "time");
		else
			pb_json_time(json, "time", way->hop[i].time_ns);
		if (i == 0 && way->stamped.count > 0) {
			pb_interface_word(lines->stamper.last->text, "clock",
			    clock);
			if (clock[0] != '\0')
				pb_json_text(json, "clock", clock);
		}
		pb_json_end(json);
	}
}

static void
json_repeat(struct pb_json *json, const struct pb_repeat *repeat)
{
	const struct pb_identity *who = &repeat->head->identity;
	char epoch[17];

	pb_hex64(who->epoch, epoch);
	pb_json_object(json, "duplicate_of");
	pb_json_text(json, "node", who->node[0].name);
	pb_json_text(json, "interface", who->interface);
	pb_json_text(json, "epoch", epoch);
	pb_json_u64(json, "seq", repeat->seq);
	pb_json_end(json);
}

static void
text_line(struct pb_lines *lines, const struct pb_cursor_packet *cp)
{
	char time[PB_TIME_TEXT_MAX], ends[PB_ENDPOINTS_TEXT_MAX];

	pb_endpoints(cp->head->linktype, cp->packet.data, cp->packet.caplen,
	    ends);
	pb_buf_printf(&lines->line, "%s ", untimed(cp) ? "-" :
	    pb_time_format(cp->packet.time_ns, time));
	put_name(&lines->line, cp->head, cp->seq);
	pb_buf_printf(&lines->line, " %" PRIu32 " %s%s", cp->packet.origlen,
	    ends, lines->fcs == PB_FCS_WRONG ? " wrong-fcs" : "");
	if (lines->repeat != NULL) {
		pb_buf_str(&lines->line, " duplicate-of ");
		put_name(&lines->line, lines->repeat->head,
		    lines->repeat->seq);
	}
	pb_buf_put(&lines->line, "\n", 1);
}

/* No name of a distant interface steers this terminal. */
static void
put_name(struct pb_buf *line, const struct pb_head *head, uint64_t seq)
{
	const struct pb_identity *who = &head->identity;
	char interface[3 * PB_IFNAME_BYTES_MAX + 1];

	pb_utf8_clean(interface, sizeof(interface), who->interface,
	    strlen(who->interface));
	pb_buf_printf(line, "%s/%s %" PRIu64, who->node[0].name, interface,
	    seq);
}

static void
way_lines(struct pb_lines *lines, const struct pb_cursor_packet *cp,
    const struct pb_way *way)
{
	size_t before;

	for (unsigned n = 0;; n++) {
		before = lines->line.len;
		pb_buf_str(&lines->line, "    ");
		if (!pb_way_comment(way, cp, n, &lines->line))
			break;
		pb_buf_put(&lines->line, "\n", 1);
	}
	lines->line.len = before;
}

static bool
untimed(const struct pb_cursor_packet *cp)
{
	return pb_untimed_get(cp->packet.options, cp->packet.options_len);
}

/* epb_flags, draft section 4.3.1: bits 0 and 1; NULL: it is not known. */
static const char *
direction(const struct pb_cursor_packet *cp)
{
	static const char *const words[] = { NULL, "in", "out", NULL };
	struct pb_option flags;

	if (!pb_option_find(cp->packet.options, cp->packet.options_len,
	    PB_OPT_EPB_FLAGS, &flags) || flags.len != 4)
		return NULL;
	return words[pb_get_le32(flags.value) & 3];
}
