/*
 * conf/conf_keys.c - every section, key, default and bound, in one table
 *
 * Promise: what the table does not know is refused, and what this version
 * cannot do is refused in words, never accepted and ignored.
 * Reason:  an operator who writes `forward = eth1` counts on it.
 */
#include "conf/conf_keys.h"

#include <string.h>

#include "conf/conf.h"

#define AUTHORITY_BYTES_MAX	268	/* 255 of a name, brackets, a port */

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define FIELD(type, member)						\
	.offset = offsetof(struct type, member),			\
	.room = sizeof(((struct type *)0)->member)
#define RESTART	.restart = true
#define LIVE	.live = true
#define TLS	.words = { "on", "off" }, .wrong = "neither on nor off; "	\
		"write off, or give tls_cert, tls_key and tls_ca"

/* `*out` is written where the text is good; base/text.h. */
typedef int scalar(const char *, uint64_t *, struct pb_err *);
typedef int parser(const struct pb_conf_key *, void *, const char *,
    struct pb_err *);

static parser	parse_text, parse_word, parse_path, parse_name, parse_interface,
		parse_number, parse_size, parse_span, parse_rate, parse_yes_no,
		parse_choice, parse_flows, parse_min_free, parse_address, parse_url,
		parse_proxy, parse_compress, parse_schedule, parse_priority,
		parse_allow, parse_streams, parse_outlet,
		parse_not_of_edge;

static bool	differs(const struct pb_conf_key *, const void *,
		    const void *);
static int	bounded(const struct pb_conf_key *, scalar *, const char *,
		    uint64_t *, struct pb_err *);
static bool	day_time(const char *, unsigned *);
static bool	is_authority(const char *, size_t);
static bool	is_port(const char *);
static bool	are_globs(const char *, size_t);
static bool	is_link(const char *);

/* A row says what it needs to; a field that it does not name is not set. */
static const struct pb_conf_key node_keys[] = {
	{ "name", parse_name, FIELD(pb_node_conf, name), RESTART,
	    .wrong = "no node name", .needed = "name = lon1" },
	{ "description", parse_text, FIELD(pb_node_conf, description),
	    RESTART },
	/* 32473 is reserved for examples: RFC 5612. */
	{ "pen", parse_number, FIELD(pb_node_conf, pen), RESTART,
	    .fallback = "32473", .min = "1", .max = "4294967295" },
};

static const struct pb_conf_key store_keys[] = {
	{ "path", parse_path, FIELD(pb_store_conf, path), RESTART,
	    .needed = "path = /var/lib/packetbroker" },
	{ "segment_size", parse_size, FIELD(pb_store_conf, segment_size),
	    RESTART, .fallback = "256MiB", .min = "1MiB", .max = "4GiB" },
	{ "segment_age", parse_span, FIELD(pb_store_conf, segment_age_ms),
	    RESTART, .fallback = "60s", .min = "1s" },
	{ "flush_interval", parse_span,
	    FIELD(pb_store_conf, flush_interval_ms), RESTART,
	    .fallback = "100ms", .min = "1ms", .max = "10s" },
	{ "retain_size", parse_size, FIELD(pb_store_conf, retain_size),
	    .fallback = "0" },
	{ "retain_age", parse_span, FIELD(pb_store_conf, retain_age_ms),
	    .fallback = "0" },
	{ "min_free", parse_min_free, FIELD(pb_store_conf, min_free),
	    .fallback = "5%" },
	/* A larger one is taken over. */
	{ "index_size", parse_size, FIELD(pb_store_conf, index_size),
	    RESTART, .fallback = "16GiB", .min = "1MiB", .max = "16TiB" },
	{ "flows", parse_flows, FIELD(pb_store_conf, flows), RESTART,
	    .fallback = "yes" },
};

static const struct pb_conf_key capture_keys[] = {
	{ "description", parse_text, FIELD(pb_conf_capture, description) },
	{ "filter", parse_text, FIELD(pb_conf_capture, filter) },
	/* libpcap's largest, MAXIMUM_SNAPLEN. */
	{ "snaplen", parse_number, FIELD(pb_conf_capture, snaplen),
	    .fallback = "262144", .min = "1", .max = "262144" },
	/* libpcap keeps the number of bytes in an int. */
	{ "buffer", parse_size, FIELD(pb_conf_capture, buffer),
	    .fallback = "64MiB", .min = "1MiB", .max = "2GiB" },
	/* PB_CAPTURE_THREADS_MAX. */
	{ "threads", parse_number, FIELD(pb_conf_capture, threads),
	    .fallback = "1", .min = "1", .max = "32" },
	{ "promiscuous", parse_yes_no, FIELD(pb_conf_capture, promiscuous),
	    .fallback = "yes" },
	{ "timestamp_type", parse_word,
	    FIELD(pb_conf_capture, timestamp_type) },
	{ "trailers", parse_text, FIELD(pb_conf_capture, trailers),
	    .fallback = "none" },
	{ "fcs", parse_yes_no, FIELD(pb_conf_capture, fcs),
	    .fallback = "no" },
	{ "tai_utc", parse_number, FIELD(pb_conf_capture, tai_utc),
	    .fallback = "37", .min = "0", .max = "255" },
	{ "timestamp_from", parse_word,
	    FIELD(pb_conf_capture, timestamp_from), .fallback = "capture" },
	{ "forward", parse_outlet, FIELD(pb_conf_capture, forward) },
	{ "direction", parse_choice, FIELD(pb_conf_capture, in_only),
	    .fallback = "both", .words = { "both", "in" },
	    .wrong = "no direction; write both or in" },
};

static const struct pb_conf_key listen_keys[] = {
	{ "address", parse_address, FIELD(pb_conf_listen, address), RESTART,
	    .needed = "address = 127.0.0.1:7152" },
	{ "tls", parse_choice, FIELD(pb_conf_listen, tls.off), RESTART, TLS },
	{ "tls_cert", parse_path, FIELD(pb_conf_listen, tls.cert), RESTART },
	{ "tls_key", parse_path, FIELD(pb_conf_listen, tls.key), RESTART },
	{ "tls_ca", parse_path, FIELD(pb_conf_listen, tls.ca), RESTART },
	{ "allow", parse_allow, FIELD(pb_conf_listen, allow), RESTART,
	    .fallback = "*, relay:*" },
	/* PB_BODY_BYTES_MAX of recorder/intake. */
	{ "body_max", parse_size, FIELD(pb_conf_listen, body_max), RESTART,
	    .fallback = "16MiB", .min = "64KiB", .max = "64MiB" },
	/* The least holds the largest body there can be. */
	{ "memory_max", parse_size, FIELD(pb_conf_listen, memory_max),
	    RESTART, .fallback = "128MiB", .min = "64MiB", .max = "1TiB" },
	{ "connections_max", parse_number,
	    FIELD(pb_conf_listen, connections_max), RESTART,
	    .fallback = "2048", .min = "1", .max = "65536" },
	{ "connections_per_peer", parse_number,
	    FIELD(pb_conf_listen, connections_per_peer), RESTART,
	    .fallback = "256", .min = "0", .max = "65536" },
	{ "head_timeout", parse_span,
	    FIELD(pb_conf_listen, head_timeout_ms), RESTART,
	    .fallback = "10s", .min = "1s", .max = "1h" },
	{ "idle_timeout", parse_span,
	    FIELD(pb_conf_listen, idle_timeout_ms), RESTART,
	    .fallback = "30s", .min = "1s", .max = "1h" },
	{ "body_rate_min", parse_rate, FIELD(pb_conf_listen, body_rate_min),
	    RESTART, .fallback = "8kbit", .max = "1Gbit" },
	{ "hold", parse_span, FIELD(pb_conf_listen, hold_ms), RESTART,
	    .fallback = "5s", .min = "100ms", .max = "1m" },
};

static const struct pb_conf_key upstream_keys[] = {
	{ "url", parse_url, FIELD(pb_conf_upstream, url),
	    .needed = "url = https://core.example:7152" },
	{ "tls", parse_choice, FIELD(pb_conf_upstream, tls.off), TLS },
	{ "tls_cert", parse_path, FIELD(pb_conf_upstream, tls.cert) },
	{ "tls_key", parse_path, FIELD(pb_conf_upstream, tls.key) },
	{ "tls_ca", parse_path, FIELD(pb_conf_upstream, tls.ca) },
	{ "streams", parse_streams, FIELD(pb_conf_upstream, streams),
	    .fallback = "*" },
	{ "retry_for", parse_span, FIELD(pb_conf_upstream, retry_for_ms),
	    .fallback = "1h" },
	{ "dead_letters_max", parse_size,
	    FIELD(pb_conf_upstream, dead_letters_max), .fallback = "50GiB" },
	{ "dead_letters_age", parse_span,
	    FIELD(pb_conf_upstream, dead_letters_age_ms), .fallback = "30d" },
	{ "requeue", parse_choice, FIELD(pb_conf_upstream, requeue_manual),
	    .fallback = "auto", .words = { "auto", "manual" },
	    .wrong = "no way to send dead letters again; write auto or "
	    "manual" },
	{ "window", parse_size, FIELD(pb_conf_upstream, window),
	    .fallback = "64MiB", .min = "1MiB" },
	{ "rate_limit", parse_rate, FIELD(pb_conf_upstream, rate_limit), LIVE,
	    .fallback = "0" },
	{ "rate_burst", parse_size, FIELD(pb_conf_upstream, rate_burst), LIVE,
	    .fallback = "0", .max = "1GiB" },
	{ "compress", parse_compress,
	    FIELD(pb_conf_upstream, compress_level), LIVE,
	    .fallback = "none", .min = "1", .max = "19" },
	{ "connect_timeout", parse_span,
	    FIELD(pb_conf_upstream, connect_timeout_ms),
	    .fallback = "10s", .min = "1s", .max = "1h" },
	{ "answer_timeout", parse_span,
	    FIELD(pb_conf_upstream, answer_timeout_ms),
	    .fallback = "60s", .min = "1s", .max = "1h" },
	{ "proxy", parse_proxy, FIELD(pb_conf_upstream, proxy) },
	{ "proxy_auth", parse_path, FIELD(pb_conf_upstream, proxy_auth) },
	{ "filter", parse_text, FIELD(pb_conf_upstream, filter), LIVE },
	{ "schedule", parse_schedule, FIELD(pb_conf_upstream, schedule),
	    LIVE },
	{ "priority", parse_priority, FIELD(pb_conf_upstream, priority),
	    LIVE },
	{ "snaplen", parse_number, FIELD(pb_conf_upstream, snaplen), LIVE,
	    .fallback = "262144", .min = "1", .max = "262144" },
	{ "pace", parse_choice, FIELD(pb_conf_upstream, pace_original),
	    .fallback = "none", .words = { "none", "original" },
	    .wrong = "no pace; write none or original" },
	{ "delivery", parse_choice, FIELD(pb_conf_upstream, at_most_once),
	    .fallback = "at-least-once",
	    .words = { "at-least-once", "at-most-once" },
	    .wrong = "no promise; write at-least-once or at-most-once" },
};

#define NOT_OF_EDGE(key, why)	{ key, parse_not_of_edge, .wrong = why }
#define AT_THE_EDGE	"what waits, waits at the edge; write it there, in "	\
		"[upstream NAME] with url = pull: and this node's name"
static const struct pb_conf_key edge_keys[] = {
	{ "url", parse_url, FIELD(pb_conf_edge, url),
	    .needed = "url = https://lon1.example:7152" },
	{ "tls", parse_choice, FIELD(pb_conf_edge, tls.off), TLS },
	{ "tls_cert", parse_path, FIELD(pb_conf_edge, tls.cert) },
	{ "tls_key", parse_path, FIELD(pb_conf_edge, tls.key) },
	{ "tls_ca", parse_path, FIELD(pb_conf_edge, tls.ca) },
	{ "streams", parse_streams, FIELD(pb_conf_edge, streams),
	    .fallback = "*" },
	{ "window", parse_size, FIELD(pb_conf_edge, window),
	    .fallback = "16MiB", .min = "1MiB", .max = "1GiB" },
	{ "compress", parse_choice, FIELD(pb_conf_edge, compress_zstd),
	    .fallback = "none", .words = { "none", "zstd" },
	    .wrong = "no compression; write none or zstd" },
	{ "connect_timeout", parse_span,
	    FIELD(pb_conf_edge, connect_timeout_ms),
	    .fallback = "10s", .min = "1s", .max = "1h" },
	/* A question for news waits for half of it. */
	{ "answer_timeout", parse_span,
	    FIELD(pb_conf_edge, answer_timeout_ms),
	    .fallback = "60s", .min = "2s", .max = "1h" },
	{ "proxy", parse_proxy, FIELD(pb_conf_edge, proxy) },
	{ "proxy_auth", parse_path, FIELD(pb_conf_edge, proxy_auth) },
	NOT_OF_EDGE("retry_for", AT_THE_EDGE),
	NOT_OF_EDGE("dead_letters_max", AT_THE_EDGE),
	NOT_OF_EDGE("dead_letters_age", AT_THE_EDGE),
	NOT_OF_EDGE("requeue", "what waits, waits at the edge, which gives "
	    "dead letters in their turn; take it out"),
	NOT_OF_EDGE("rate_burst", AT_THE_EDGE),
	NOT_OF_EDGE("rate_limit", AT_THE_EDGE),
	NOT_OF_EDGE("schedule", AT_THE_EDGE),
	NOT_OF_EDGE("priority", AT_THE_EDGE),
	NOT_OF_EDGE("filter", AT_THE_EDGE),
	NOT_OF_EDGE("snaplen", AT_THE_EDGE),
	NOT_OF_EDGE("pace", "packets of an edge go into the store; take it "
	    "out"),
	NOT_OF_EDGE("delivery", "packets of an edge go into the store, each "
	    "once; take it out"),
};

#define PLACE(member)	offsetof(struct pb_conf, member)
const struct pb_conf_section pb_conf_sections[PB_CONF_KINDS] = {
	[PB_CONF_NODE] = { "node", PLACE(node),
	    sizeof(struct pb_node_conf), 1, node_keys, COUNT(node_keys) },
	[PB_CONF_STORE] = { "store", PLACE(store),
	    sizeof(struct pb_store_conf), 1, store_keys, COUNT(store_keys),
	    pb_conf_check_store },
	[PB_CONF_CAPTURE] = { "capture", PLACE(capture),
	    sizeof(struct pb_conf_capture), PB_CAPTURES_MAX, capture_keys,
	    COUNT(capture_keys), pb_conf_check_capture, "[capture eth0]",
	    { "", parse_interface, FIELD(pb_conf_capture, interface) } },
	[PB_CONF_LISTEN] = { "listen", PLACE(listen),
	    sizeof(struct pb_conf_listen), 1, listen_keys,
	    COUNT(listen_keys), pb_conf_check_listen },
	[PB_CONF_UPSTREAM] = { "upstream", PLACE(upstream),
	    sizeof(struct pb_conf_upstream), PB_UPSTREAMS_MAX, upstream_keys,
	    COUNT(upstream_keys), pb_conf_check_upstream, "[upstream core]",
	    { "", parse_name, FIELD(pb_conf_upstream, name),
	    .wrong = "no name" } },
	[PB_CONF_EDGE] = { "edge", PLACE(edge),
	    sizeof(struct pb_conf_edge), PB_EDGES_MAX, edge_keys,
	    COUNT(edge_keys), pb_conf_check_edge, "[edge lon1]",
	    { "", parse_name, FIELD(pb_conf_edge, name),
	    .wrong = "no name" }, .apart = true },
};

_Static_assert(COUNT(capture_keys) <= PB_CONF_KEYS_MAX &&
    COUNT(listen_keys) <= PB_CONF_KEYS_MAX &&
    COUNT(upstream_keys) <= PB_CONF_KEYS_MAX &&
    COUNT(edge_keys) <= PB_CONF_KEYS_MAX, "the longest sections fit");

int
pb_conf_defaults(enum pb_conf_kind kind, void *section, struct pb_err *err)
{
	const struct pb_conf_section *s = &pb_conf_sections[kind];

	for (size_t i = 0; i < s->count; i++) {
		const struct pb_conf_key *key = &s->keys[i];
		int rc;

		if (key->fallback == NULL)
			continue;
		rc = key->parse(key, (char *)section + key->offset,
		    key->fallback, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

const struct pb_conf_key *
pb_conf_key_find(enum pb_conf_kind kind, const char *name)
{
	const struct pb_conf_section *s = &pb_conf_sections[kind];

	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	return NULL;
}

bool
pb_conf_same(enum pb_conf_kind kind, const void *a, const void *b, bool fixed)
{
	const struct pb_conf_section *s = &pb_conf_sections[kind];

	for (size_t i = 0; i < s->count; i++)
		if ((s->keys[i].restart || !fixed) &&
		    differs(&s->keys[i], a, b))
			return false;
	return true;
}

bool
pb_conf_goes_on(enum pb_conf_kind kind, const void *a, const void *b)
{
	const struct pb_conf_section *s = &pb_conf_sections[kind];

	for (size_t i = 0; i < s->count; i++)
		if (!s->keys[i].live && differs(&s->keys[i], a, b))
			return false;
	return true;
}

static bool
differs(const struct pb_conf_key *key, const void *a, const void *b)
{
	return memcmp((const char *)a + key->offset,
	    (const char *)b + key->offset, key->room) != 0;
}

/* --- names in section headers --- */

static int
parse_interface(const struct pb_conf_key *key, void *field,
    const char *value, struct pb_err *err)
{
	if (strlen(value) > PB_IFNAME_BYTES_MAX ||
	    strpbrk(value, " \t/") != NULL)
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no interface "
		    "name; write at most %d bytes without blanks and slashes",
		    value, PB_IFNAME_BYTES_MAX);
	return parse_text(key, field, value, err);
}

/* "" is none. */
static int
parse_outlet(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strpbrk(value, " \t/:") != NULL || pb_conf_pseudo(value))
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no network "
		    "interface; write one like eth1", value);
	return parse_text(key, field, value, err);
}

static int
parse_name(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (!pb_name_valid(value))
		return pb_err_set(err, PB_EINVAL, "'%.100s' is %s; write 1 "
		    "to %d letters, digits, . _ -", value, key->wrong,
		    PB_NAME_BYTES_MAX);
	return parse_text(key, field, value, err);
}

/* --- text --- */

static int
parse_text(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strlen(value) >= key->room)
		return pb_err_set(err, PB_EINVAL, "%zu bytes long; write at "
		    "most %zu", strlen(value), key->room - 1);
	/* To its end: fields are compared as bytes. */
	strncpy(field, value, key->room);
	return 0;
}

static int
parse_word(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strpbrk(value, " \t,") != NULL)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is more than one "
		    "word; write one", value);
	return parse_text(key, field, value, err);
}

static int
parse_path(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (value[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "empty; write a path");
	return parse_text(key, field, value, err);
}

/* --- numbers with and without units --- */

static int
parse_number(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	uint64_t min = 0, max = UINT32_MAX, number;
	int rc = 0;

	if (key->min != NULL)
		rc = pb_parse_u64(key->min, 0, UINT32_MAX, &min, err);
	if (rc == 0 && key->max != NULL)
		rc = pb_parse_u64(key->max, 0, UINT32_MAX, &max, err);
	if (rc == 0)
		rc = pb_parse_u64(value, min, max, &number, err);
	if (rc == 0)
		*(uint32_t *)field = (uint32_t)number;
	return rc;
}

static int
parse_size(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_size, value, field, err);
}

static int
parse_span(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_duration, value, field, err);
}

static int
parse_rate(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_rate, value, field, err);
}

static int
bounded(const struct pb_conf_key *key, scalar *parse, const char *value,
    uint64_t *out, struct pb_err *err)
{
	uint64_t number, min = 0, max = UINT64_MAX;
	int rc = parse(value, &number, err);

	if (rc == 0 && key->min != NULL)
		rc = parse(key->min, &min, err);
	if (rc == 0 && key->max != NULL)
		rc = parse(key->max, &max, err);
	if (rc < 0)
		return rc;
	if (number >= min && number <= max) {
		*out = number;
		return 0;
	}
	if (key->max == NULL)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is too little; "
		    "write at least %s", value, key->min);
	return pb_err_set(err, PB_EINVAL, "'%.64s' is out of range; write "
	    "%s to %s", value, key->min != NULL ? key->min : "0", key->max);
}

static int
parse_yes_no(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	(void)key;
	return pb_parse_bool(value, field, err);
}

/* One of two words: false and true. */
static int
parse_choice(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	bool second = strcmp(value, key->words[1]) == 0;

	if (!second && strcmp(value, key->words[0]) != 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is %s", value,
		    key->wrong);
	*(bool *)field = second;
	return 0;
}

/* yes, no, or all. */
static int
parse_flows(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	enum pb_conf_flows flows = PB_CONF_FLOWS_ALL;
	bool yes = true;
	int rc = 0;

	(void)key;
	if (strcmp(value, "all") != 0) {
		rc = pb_parse_bool(value, &yes, NULL);
		flows = yes ? PB_CONF_FLOWS_YES : PB_CONF_FLOWS_NO;
	}
	if (rc < 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is none of yes, no "
		    "and all", value);
	*(enum pb_conf_flows *)field = flows;
	return 0;
}

/* `5%` of the file system, or a size. */
static int
parse_min_free(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	struct pb_min_free *free = field;
	size_t len = strlen(value), digits = strspn(value, "0123456789");
	uint64_t percent = 0, bytes = 0;
	char number[8];
	int rc;

	(void)key;
	if (len == 0 || value[len - 1] != '%') {
		rc = pb_parse_size(value, &bytes, NULL);
	} else if (digits != len - 1 || digits >= sizeof(number)) {
		rc = PB_EINVAL;
	} else {
		memcpy(number, value, digits);
		number[digits] = '\0';
		rc = pb_parse_u64(number, 0, 100, &percent, NULL);
	}
	if (rc < 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is neither a "
		    "percentage nor a size; write 0%% to 100%%, or one like "
		    "20GiB", value);
	free->bytes = bytes;
	free->percent = (unsigned)percent;
	return 0;
}

/* --- the network --- */

/* `host:port` or `[v6]:port`; a bare IPv6 address would hide its port. */
static int
parse_address(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	const char *colon = strrchr(value, ':');

	if (colon == NULL || !is_port(colon + 1) ||
	    !is_authority(value, strlen(value)) ||
	    strpbrk(value, " \t/") != NULL)
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no address; "
		    "write host:port or [IPv6]:port, like 0.0.0.0:7152",
		    value);
	return parse_text(key, field, value, err);
}

static int
parse_url(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	const char *host = strstr(value, "://");
	char *url = field;
	size_t len, host_len;
	int rc;

	len = strlen(PB_CONF_INTERFACE);
	if (strncmp(value, PB_CONF_INTERFACE, len) == 0)
		return is_link(value + len) ?
		    parse_text(key, field, value, err) :
		    pb_err_set(err, PB_EINVAL, "'%.100s' names no interface; "
		    "write interface:eth1", value);
	if (strcmp(value, PB_CONF_PULL) == 0)
		return parse_text(key, field, value, err);
	if (strncmp(value, "https://", 8) != 0 &&
	    strncmp(value, "http://", 7) != 0)
		goto wrong;
	host += 3;
	host_len = strcspn(host, "/");
	/* What follows is our path; user names and passwords have no use. */
	if (!is_authority(host, host_len) ||
	    strpbrk(host, " \t?#@\\") != NULL)
		goto wrong;
	rc = parse_text(key, field, value, err);
	if (rc < 0)
		return rc;
	len = strlen(url);
	while (url[len - 1] == '/')
		url[--len] = '\0';
	return 0;
wrong:
	return pb_err_set(err, PB_EINVAL, "'%.100s' is no address of a peer; "
	    "write https://host:port, interface:eth1, or pull: for one that "
	    "comes for its packets itself", value);
}

static int
parse_proxy(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	const char *host = value + 7, *port;

	if (strncmp(value, "http://", 7) == 0 && host[0] != ':' &&
	    (port = strrchr(host, ':')) != NULL && is_port(port + 1) &&
	    strpbrk(host, " \t/?#@\\") == NULL)
		return parse_text(key, field, value, err);
	return pb_err_set(err, PB_EINVAL, "'%.100s' is no address of a proxy; "
	    "write http://proxy.example:3128, and name and password in the "
	    "file that proxy_auth names", value);
}

static int
parse_compress(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strncmp(value, "zstd:", 5) == 0)
		return parse_number(key, field, value + 5, err);
	if (strcmp(value, "none") != 0 && strcmp(value, "zstd") != 0)
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no "
		    "compression; write none, zstd or zstd:3", value);
	*(uint32_t *)field = value[0] == 'z' ? 1 : 0;
	return 0;
}

/* --- lists --- */

static int
parse_schedule(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	struct pb_conf_schedule schedule = { .count = 0 };
	const char *at = value, *item;
	size_t len;

	(void)key;
	while (pb_list_next(&at, &item, &len)) {
		unsigned from, to;

		if (schedule.count == PB_CONF_RANGES_MAX)
			return pb_err_set(err, PB_EINVAL, "more than %u times "
			    "of day", PB_CONF_RANGES_MAX);
		if (len != 11 || item[5] != '-' || !day_time(item, &from) ||
		    !day_time(item + 6, &to) || from == to)
			return pb_err_set(err, PB_EINVAL, "'%.*s' is no time "
			    "of day; write 20:00-06:00, several with commas",
			    (int)(len < 40 ? len : 40), item);
		schedule.range[schedule.count].from = (uint16_t)from;
		schedule.range[schedule.count++].to = (uint16_t)to;
	}
	if (schedule.count == 0)
		return pb_err_set(err, PB_EINVAL, "empty; write 20:00-06:00, "
		    "or take it out");
	memcpy(field, &schedule, sizeof(schedule));
	return 0;
}

/* Five bytes, HH:MM. */
static bool
day_time(const char *text, unsigned *minute)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : text[i] < '0' || text[i] > '9')
			return false;
	*minute = (unsigned)((text[0] - '0') * 10 + text[1] - '0') * 60 +
	    (unsigned)((text[3] - '0') * 10 + text[4] - '0');
	return text[3] < '6' && *minute < 24 * 60;
}

static int
parse_allow(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._-*?";
	const char *at = value, *item;
	size_t len, count = 0;

	for (; pb_list_next(&at, &item, &len); count++) {
		size_t skip = strncmp(item, "relay:", 6) == 0 ? 6 : 0;
		char name[PB_NAME_BYTES_MAX + 1];
		const char *globs;
		size_t globs_len;
		int pull = pb_conf_parse_pull(item, len, name, &globs,
		    &globs_len);

		if (pull < 0 || (pull > 0 && !are_globs(globs, globs_len)))
			return pb_err_set(err, PB_EINVAL, "'%.*s' names no "
			    "puller; write pull:core1, or with streams "
			    "pull:core1=lon1/*|par1/*", len > 64 ? 64 :
			    (int)len, item);
		if (pull > 0)
			continue;
		if (len == skip || strspn(item + skip, allowed) < len - skip)
			return pb_err_set(err, PB_EINVAL, "'%.*s' names no "
			    "node; write a name or glob, or one behind "
			    "relay:", len > 64 ? 64 : (int)len, item);
	}
	if (count == 0)
		return pb_err_set(err, PB_EINVAL, "empty; write node names, "
		    "or * for all");
	return parse_text(key, field, value, err);
}

/* One or more, each with a slash or a wildcard in it, as of streams. */
static bool
are_globs(const char *list, size_t len)
{
	const char *end = list + len;

	for (const char *next; list != NULL; list = next) {
		next = memchr(list, '|', (size_t)(end - list));
		len = (size_t)((next != NULL ? next : end) - list);
		if (memchr(list, '/', len) == NULL &&
		    memchr(list, '*', len) == NULL &&
		    memchr(list, '?', len) == NULL)
			return false;
		if (next != NULL)
			next++;
	}
	return true;
}

static int
parse_streams(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	const char *at = value, *item;
	size_t len, count = 0;

	for (; pb_list_next(&at, &item, &len); count++)
		/* A stream has a slash in it: this would match none. */
		if (memchr(item, '/', len) == NULL &&
		    memchr(item, '*', len) == NULL &&
		    memchr(item, '?', len) == NULL)
			return pb_err_set(err, PB_EINVAL, "'%.*s' names no "
			    "stream; write node/interface, like lon1/*",
			    len > 64 ? 64 : (int)len, item);
	if (count == 0)
		return pb_err_set(err, PB_EINVAL, "empty; write globs on "
		    "node/interface, or * for all");
	return parse_text(key, field, value, err);
}

/* Their ranks, and one behind them, are as many as the shipper has. */
static int
parse_priority(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	const char *at = value, *item;
	size_t len, count = 0;

	while (pb_list_next(&at, &item, &len))
		count++;
	if (count > PB_CONF_PRIORITIES_MAX)
		return pb_err_set(err, PB_EINVAL, "%zu globs; write %u at "
		    "most", count, PB_CONF_PRIORITIES_MAX);
	return parse_streams(key, field, value, err);
}

/* It stands in [upstream NAME], and means nothing here. */
static int
parse_not_of_edge(const struct pb_conf_key *key, void *field,
    const char *value, struct pb_err *err)
{
	(void)field;
	(void)value;
	return pb_err_set(err, PB_EINVAL, "not of an edge: %s", key->wrong);
}

/* --- small things --- */

/* A host, or an IPv6 address in brackets, and a port or none. */
static bool
is_authority(const char *text, size_t len)
{
	char copy[AUTHORITY_BYTES_MAX + 1], *port;

	if (len > AUTHORITY_BYTES_MAX)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	port = copy[0] == '[' ? copy + 1 + strcspn(copy + 1, "[]") :
	    copy + strcspn(copy, ":[]");
	if (copy[0] == '[' ? port - copy < 3 || *port++ != ']' : port == copy)
		return false;
	return *port == '\0' || (*port == ':' && is_port(port + 1));
}

static bool
is_port(const char *text)
{
	uint64_t port;

	return pb_parse_u64(text, 1, 65535, &port, NULL) == 0;
}

/* As dev_valid_name() of the kernel has it. */
static bool
is_link(const char *text)
{
	return text[0] != '\0' && strlen(text) <= PB_LINK_NAME_MAX &&
	    strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	    strpbrk(text, " \t/:") == NULL;
}
