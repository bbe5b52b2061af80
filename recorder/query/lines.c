/*
 * recorder/query/lines.c - a packet as a line: for people, or as a JSON object
 */
#include "recorder/query/lines.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "recorder/query/endpoints.h"

#define LINE_BYTES_MAX	(64u << 10)	/* sixteen nodes, escaped, fit */

static void	json_line(struct pb_lines *,
		    const struct pb_cursor_packet *, const struct pb_way *);
static void	text_line(struct pb_lines *,
		    const struct pb_cursor_packet *);
static void	way_lines(struct pb_lines *,
		    const struct pb_cursor_packet *, const struct pb_way *);
static bool	untimed(const struct pb_cursor_packet *);

int
pb_way_get(struct pb_way *way, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	const struct pb_identity *who = &cp->head->identity;
	struct pb_hop later[PB_HOPS_MAX];
	int hops = pb_hops_get(cp->packet.options, cp->packet.options_len,
	    later);

	if (hops < 0)
		return pb_err_set(err, PB_EFORMAT,
		    "%s/%s: packet %" PRIu64 " has malformed hop records",
		    who->node[0].name, who->interface, cp->seq);
	way->hop[0].seq = cp->seq;
	way->hop[0].time_ns = cp->packet.time_ns;
	way->nodes = 1;
	while (way->nodes <= hops && way->nodes < who->nodes) {
		way->hop[way->nodes] = later[way->nodes - 1];
		way->nodes++;
	}
	return 0;
}

void
pb_lines_init(struct pb_lines *lines, struct pb_out *out, bool json,
    bool way)
{
	lines->out = out;
	lines->json = json;
	lines->way = way;
	pb_buf_init(&lines->line, LINE_BYTES_MAX);
}

void
pb_lines_finish(struct pb_lines *lines)
{
	pb_buf_finish(&lines->line);
}

int
pb_lines_packet(struct pb_lines *lines, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	struct pb_way way;
	int rc;

	rc = pb_way_get(&way, cp, err);
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
	bool timeless = untimed(cp);
	struct pb_json json;
	char epoch[17];

	pb_hex64(who->epoch, epoch);
	pb_json_init(&json, &lines->line);
	pb_json_object(&json, NULL);
	if (timeless)
		pb_json_null(&json, "time");
	else
		pb_json_time(&json, "time", cp->packet.time_ns);
	pb_json_text(&json, "node", who->node[0].name);
	pb_json_text(&json, "interface", who->interface);
	pb_json_text(&json, "epoch", epoch);
	pb_json_u64(&json, "seq", cp->seq);
	pb_json_u64(&json, "caplen", cp->packet.caplen);
	pb_json_u64(&json, "len", cp->packet.origlen);
	pb_json_array(&json, "hops");
	for (int i = 0; i < way->nodes; i++) {
		pb_json_object(&json, NULL);
		pb_json_text(&json, "node", who->node[i].name);
		pb_json_text(&json, "description", who->node[i].description);
		pb_json_u64(&json, "seq", way->hop[i].seq);
		if (i == 0 && timeless)
			pb_json_null(&json, "time");
		else
			pb_json_time(&json, "time", way->hop[i].time_ns);
		pb_json_end(&json);
	}
	pb_json_end(&json);
	pb_json_end(&json);
	pb_buf_put(&lines->line, "\n", 1);
}

static void
text_line(struct pb_lines *lines, const struct pb_cursor_packet *cp)
{
	const struct pb_identity *who = &cp->head->identity;
	char time[PB_TIME_TEXT_MAX], ends[PB_ENDPOINTS_TEXT_MAX];
	char interface[3 * PB_IFNAME_BYTES_MAX + 1];

	/* No name of a distant interface steers this terminal. */
	pb_utf8_clean(interface, sizeof(interface), who->interface,
	    strlen(who->interface));
	pb_endpoints(cp->head->linktype, cp->packet.data, cp->packet.caplen,
	    ends);
	pb_buf_printf(&lines->line, "%s %s/%s %" PRIu64 " %" PRIu32 " %s\n",
	    untimed(cp) ? "-" : pb_time_format(cp->packet.time_ns, time),
	    who->node[0].name, interface, cp->seq, cp->packet.origlen, ends);
}

static void
way_lines(struct pb_lines *lines, const struct pb_cursor_packet *cp,
    const struct pb_way *way)
{
	for (int i = 0; i < way->nodes; i++) {
		pb_buf_str(&lines->line, "    ");
		pb_hop_comment(&lines->line, i + 1,
		    &cp->head->identity.node[i], way->hop[i].seq,
		    way->hop[i].time_ns);
		pb_buf_put(&lines->line, "\n", 1);
	}
}

static bool
untimed(const struct pb_cursor_packet *cp)
{
	return pb_untimed_get(cp->packet.options, cp->packet.options_len);
}
