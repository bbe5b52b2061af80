/*
 * conf/conf_keys.c - every section, key, default and bound, in one table
 *
 * Promise: what the table does not know is refused, and what this version
 * cannot do is refused in words, never accepted and ignored.
 * Reason:  an operator who writes `forward = eth1` counts on it.
 */
#include "conf/conf_values.h"

#include <string.h>

#include "conf/conf.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define FIELD(type, member)						\
	.offset = offsetof(struct type, member),			\
	.room = sizeof(((struct type *)0)->member)
#define RESTART	.restart = true
#define LIVE	.live = true
#define TLS	.words = { "on", "off" }, .wrong = "neither on nor "	\
		"off; write off, or give tls_cert, tls_key and tls_ca"

static bool	differs(const struct pb_conf_key *, const void *,
		    const void *);

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
#define AT_THE_EDGE	"what waits, waits at the edge; write it there, " \
		"in [upstream NAME] with url = pull: and this node's name"
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
	    .fallback = "64MiB", .min = "1MiB", .max = "1GiB" },
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
