/*
 * cli/cmd_flows.c - `pb flows`: who talked to whom, and how much
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/common/select.h"
#include "cli/common/table.h"
#include "recorder/flow/key.h"
#include "recorder/query/endpoints.h"
#include "recorder/query/query.h"

struct opts {
	struct pb_select select;
	const char	*by;
	const char	*top;
	bool		 inner, directed, json, csv;
};

struct flows {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_query	*query;
	struct pb_conversations *conversations;
	enum pb_conversations_by by;
	uint64_t	 top;
	bool		 filtered;	/* a filter is asked */
};

#define ADDRESS_TEXT_MAX	INET6_ADDRSTRLEN

struct row {				/* as it is printed */
	struct pb_stream_key key;
	char		 protocol[PB_PROTOCOL_TEXT_MAX];
	char		 source[ADDRESS_TEXT_MAX];
	char		 destination[ADDRESS_TEXT_MAX];
	uint64_t	 source_port, destination_port;
	uint64_t	 packets, bytes;	/* of both directions */
	uint64_t	 packets_back, bytes_back;
	uint64_t	 first_time, last_time;
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	parse(struct flows *, struct pb_err *);
static int	run_flows(struct flows *, const char *, struct pb_err *);
/* rows */
static int	print(struct flows *, struct pb_err *);
static int	fill(void *, struct pb_table *, struct pb_err *);
static int	print_csv(struct flows *, struct pb_err *);
static void	csv_name(struct pb_out *, const char *);
static int	csv_row(struct pb_out *, const struct row *);
static void	make_row(const struct flows *, struct row *,
		    const struct pb_conversation *);
static void	address_text(char[static ADDRESS_TEXT_MAX], unsigned,
		    const uint8_t *);

#define SELECT	offsetof(struct opts, select)
static const struct pb_cli_option options[] = {
	{ .help = "What to select:" },
	PB_CLI_SELECT(SELECT),
	{ "inner", 0, NULL, offsetof(struct opts, inner), NULL,
	    "ask the filter at every depth of VLAN, MPLS and PPPoE" },
	{ .help = "How to show it:" },
	{ "directed", 0, NULL, offsetof(struct opts, directed), NULL,
	    "each direction of a conversation is a row" },
	{ "by", 0, "WHAT", offsetof(struct opts, by), NULL,
	    "order: bytes (the default), packets, or time, the latest\n"
	    "first" },
	{ "top", 0, "N", offsetof(struct opts, top), NULL,
	    "the first N rows" },
	PB_CLI_JSON(struct opts, "one JSON object a line"),
	{ "csv", 0, NULL, offsetof(struct opts, csv), NULL,
	    "comma-separated values, with a line of names" },
	{ 0 },
};

const struct pb_command pb_cmd_flows = {
	.name = "flows",
	.summary = "List who talked to whom: conversations, a row each",
	.operands = "[OPTION...] [FILTER...]",
	.before = PB_CLI_FILTER_HELP,
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"A conversation is a row for each stream that has it.  Its source is who\n"
"spoke first of what was found; bytes are those on the wire, of both\n"
"directions, and of the way back by themselves.  Flow tables of the index\n"
"are summed up as they are where they decide the filter; other packets are\n"
"looked at, and their number is said.  In frames of 802.11 the conversations\n"
"are those of stations.  More than a million conversations are not told\n"
"apart: the rest is counted, and said.\n",
	.init = init,
	.run = run,
};

#define ROW(member)	offsetof(struct row, member)
static const struct pb_column columns[] = {
	{ "node", PB_CELL_TEXT, ROW(key.node) },
	{ "interface", PB_CELL_TEXT, ROW(key.interface) },
	{ "epoch", PB_CELL_HEX, ROW(key.epoch) },
	{ "protocol", PB_CELL_TEXT, ROW(protocol) },
	{ "source", PB_CELL_TEXT, ROW(source) },
	{ "source_port", PB_CELL_U64, ROW(source_port) },
	{ "destination", PB_CELL_TEXT, ROW(destination) },
	{ "destination_port", PB_CELL_U64, ROW(destination_port) },
	{ "packets", PB_CELL_U64, ROW(packets) },
	{ "bytes", PB_CELL_SIZE, ROW(bytes) },
	{ "packets_back", PB_CELL_U64, ROW(packets_back) },
	{ "bytes_back", PB_CELL_SIZE, ROW(bytes_back) },
	{ "first_time", PB_CELL_TIME_MAX, ROW(first_time) },
	{ "last_time", PB_CELL_TIME_MAX, ROW(last_time) },
	{ 0 },
};

static void
init(void *arg)
{
	pb_select_init(&((struct opts *)arg)->select);
}

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	struct flows flows = { .opts = arg, .cli = cli };
	struct pb_buf filter;
	int rc;

	if (flows.opts->json && flows.opts->csv)
		return pb_cli_usage("flows: --json and --csv are two ways to "
		    "print; give one of them");
	rc = parse(&flows, err);
	if (rc < 0)
		return rc;
	rc = pb_cli_filter(&filter, "flows", operand);
	if (rc == 0)
		rc = run_flows(&flows, pb_buf_cstr(&filter), err);
	pb_buf_finish(&filter);
	return rc;
}

static int
parse(struct flows *flows, struct pb_err *err)
{
	const char *by = flows->opts->by;

	flows->top = UINT64_MAX;
	if (flows->opts->top != NULL &&
	    pb_parse_u64(flows->opts->top, 1, UINT64_MAX, &flows->top,
	    err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "--top");
	if (by == NULL || strcmp(by, "bytes") == 0)
		flows->by = PB_BY_BYTES;
	else if (strcmp(by, "packets") == 0)
		flows->by = PB_BY_PACKETS;
	else if (strcmp(by, "time") == 0)
		flows->by = PB_BY_TIME;
	else
		return pb_err_set(err, PB_EINVAL, "--by %s: there is bytes, "
		    "packets and time", by);
	return 0;
}

static int
run_flows(struct flows *flows, const char *filter, struct pb_err *err)
{
	struct pb_query_opts opts = {
		.store = flows->cli->store,
		.select = &flows->opts->select,
		.filter = filter,
		.inner = flows->opts->inner,
		.stop = &pb_cli_stop,
		.open = pb_cli_open_index,
		.close = pb_cli_close_index,
		.arg = flows->cli,
	};
	int rc;

	flows->filtered = filter[0] != '\0';
	pb_cli_catch_signals();
	rc = pb_cli_enter(flows->cli, false, err);
	if (rc == 0) {
		opts.once = pb_cli_yield(flows->cli);
		rc = pb_conversations_create(&flows->conversations,
		    flows->opts->directed, err);
	}
	if (rc == 0)
		rc = pb_query_open(&flows->query, &opts, err);
	if (rc == 0)
		rc = pb_query_talks(flows->query, flows->conversations, err);
	if (rc == 0 && pb_cli_stopped() == 0)
		rc = print(flows, err);
	pb_query_close(flows->query);
	pb_conversations_destroy(flows->conversations);
	if (pb_cli_stopped() != 0)
		pb_cli_die(pb_cli_stopped());
	return rc;
}

static int
print(struct flows *flows, struct pb_err *err)
{
	uint64_t left_out = pb_conversations_left_out(flows->conversations);
	size_t passed_over = pb_query_passed_over(flows->query);
	uint64_t looked_at = pb_query_explain(flows->query)->asked;
	int rc;

	rc = flows->opts->csv ? print_csv(flows, err) :
	    pb_table_print(columns, flows->opts->json, fill, flows, err);
	if (flows->filtered && looked_at > 0)
		pb_cli_note("%" PRIu64 " packets were looked at one by one: "
		    "no flow table decides the filter for them", looked_at);
	if (passed_over > 0)
		pb_cli_note("the filter says nothing of the link type of %zu "
		    "streams; they are left out", passed_over);
	if (left_out > 0)
		pb_cli_note("more than %u conversations: %" PRIu64 " packets "
		    "of others are in no row; narrow it with a filter, "
		    "--stream, --after or --before", PB_CONVERSATIONS_MAX,
		    left_out);
	return rc;
}

static int
fill(void *arg, struct pb_table *table, struct pb_err *err)
{
	struct flows *flows = arg;
	const struct pb_conversation *found;
	size_t count = pb_conversations_sort(flows->conversations, flows->by,
	    &found);
	struct row row;
	int rc = 0;

	for (size_t i = 0; i < count && i < flows->top && rc == 0; i++) {
		make_row(flows, &row, &found[i]);
		rc = pb_table_row(table, &row, err);
	}
	return rc;
}

/* RFC 4180, but for the ends of lines. */
static int
print_csv(struct flows *flows, struct pb_err *err)
{
	const struct pb_conversation *found;
	size_t count = pb_conversations_sort(flows->conversations, flows->by,
	    &found);
	struct pb_out out;
	struct row row;
	int rc = 0;

	pb_cli_out(&out);
	pb_out_text(&out, "node,interface,epoch,protocol,source,source_port,"
	    "destination,destination_port,packets,bytes,packets_back,"
	    "bytes_back,first_time,last_time\n");
	for (size_t i = 0; i < count && i < flows->top && rc == 0; i++) {
		make_row(flows, &row, &found[i]);
		rc = csv_row(&out, &row);
	}
	rc = pb_out_flush(&out, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_out_finish(&out);
	return rc;
}

/* With its comma. */
static void
csv_name(struct pb_out *out, const char *name)
{
	if (strpbrk(name, ",\"\n") == NULL) {
		pb_out_printf(out, "%s,", name);
		return;
	}
	pb_out_text(out, "\"");
	for (; *name != '\0'; name++)
		pb_out_printf(out, "%s%c", *name == '"' ? "\"" : "", *name);
	pb_out_text(out, "\",");
}

static int
csv_row(struct pb_out *out, const struct row *row)
{
	char first[PB_TIME_TEXT_MAX], last[PB_TIME_TEXT_MAX];

	csv_name(out, row->key.node);
	csv_name(out, row->key.interface);
	return pb_out_printf(out, "%016" PRIx64 ",%s,%s,%" PRIu64 ",%s,%"
	    PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%s\n",
	    row->key.epoch, row->protocol, row->source, row->source_port,
	    row->destination, row->destination_port, row->packets, row->bytes,
	    row->packets_back, row->bytes_back,
	    pb_time_format(row->first_time, first),
	    pb_time_format(row->last_time, last));
}

static void
make_row(const struct flows *flows, struct row *out,
    const struct pb_conversation *c)
{
	const struct pb_stream_info *stream = pb_query_stream(flows->query,
	    c->stream);
	char number[PB_PROTOCOL_TEXT_MAX];

	memset(out, 0, sizeof(*out));
	out->key = stream->key;
	if (pb_flow_is_wireless(stream->linktype))
		strcpy(out->protocol, "802.11");
	else if (c->ethertype == ETH_P_ARP || c->ethertype == ETH_P_RARP)
		strcpy(out->protocol, c->ethertype == ETH_P_ARP ? "arp" :
		    "rarp");
	else if (c->ip != 0)
		snprintf(out->protocol, sizeof(out->protocol), "%s",
		    pb_protocol_name(c->protocol, number));
	else
		snprintf(out->protocol, sizeof(out->protocol), "0x%04x",
		    c->ethertype);
	address_text(out->source, c->ip, c->address[0]);
	address_text(out->destination, c->ip, c->address[1]);
	out->source_port = c->port[0];
	out->destination_port = c->port[1];
	out->packets = c->packets[0] + c->packets[1];
	out->bytes = c->bytes[0] + c->bytes[1];
	out->packets_back = c->packets[1];
	out->bytes_back = c->bytes[1];
	out->first_time = c->first_time[0];
	out->last_time = c->last_time[0] > c->last_time[1] ?
	    c->last_time[0] : c->last_time[1];
}

static void
address_text(char out[static ADDRESS_TEXT_MAX], unsigned ip,
    const uint8_t *a)
{
	if (ip == 0)
		snprintf(out, ADDRESS_TEXT_MAX,
		    "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3],
		    a[4], a[5]);
	else
		inet_ntop(ip == 6 ? AF_INET6 : AF_INET, a, out,
		    ADDRESS_TEXT_MAX);
}
