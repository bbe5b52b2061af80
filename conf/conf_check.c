/*
 * conf/conf_check.c - keys held against each other, and sections
 *
 * Promise: encryption is never off by accident.  It is off only where
 * `tls = off` is spelled out, and half of a key pair is an error.
 * Reason:  packets are as secret as what they carry.
 */
#include "conf/conf_keys.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

/* An extent of 1 MiB has a row of 76 bytes: with less than 64 for each
 * the index is full before the store is. */
#define INDEX_RATIO	16384u
#define RING_BYTES_MIN	(1u << 20)	/* of the buffer, for each thread */
#define SNAPLEN_ALL	262144u		/* cuts nothing */
/* Bits a second: [listen] body_rate_min where nothing else is said, and what
 * answers are given time for (shipper/wire/http.h). */
#define RATE_MIN	8000u
#define EDGES_MAX	PB_CAPTURES_MAX
#define CIRCLE_TEXT_MAX	240		/* bytes of its interfaces' names */

/* What is captured at `from` goes out at `to`. */
struct edge {
	const char	*from, *to;
	bool		 in_only;	/* what leaves there is not captured */
	int		 before;	/* the edge that led here, -1: none */
};

struct edges {
	int		 count;
	struct edge	 at[EDGES_MAX];
};

static int	check_tls(const struct pb_conf_tls *, const char **,
		    struct pb_err *);
static void	list_edges(const struct pb_conf *, struct edges *);
static int	way_back(struct edges *, int);
static int	refuse_circle(const struct edges *, int, struct pb_err *);
static int	check_interface(const struct pb_conf_upstream *,
		    const char **, struct pb_err *);
static int	check_pulled(const struct pb_conf_upstream *, const char **,
		    struct pb_err *);
static const char *connection_key(const struct pb_conf_upstream *);
static int	check_upstreams(const struct pb_conf *, struct pb_err *);
static int	check_way(const struct pb_conf *,
		    const struct pb_conf_upstream *,
		    const struct pb_conf_capture *, struct pb_err *);
static bool	sees_forwarded(const struct pb_conf *, const char *,
		    const struct pb_conf_capture *);
static int	check_peer(const struct pb_conf_upstream *, const char **,
		    struct pb_err *);
static int	check_connection(const char *, const struct pb_conf_tls *,
		    const char **, struct pb_err *);
static int	check_proxy(const char *, const char *, const char **,
		    struct pb_err *);

/* What could never be kept, whatever comes in. */
int
pb_conf_check_store(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_store_conf *store = section;
	char size[16];

	/* An open segment is never deleted. */
	if (store->retain_size != 0 &&
	    store->retain_size / 2 < store->segment_size) {
		*key = "retain_size";
		return pb_err_set(err, PB_EINVAL, "less than two segments, "
		    "the open one and a sealed one; write at least %s (twice "
		    "segment_size), or 0 for no bound",
		    pb_size_format(2 * store->segment_size, size));
	}
	if (store->retain_age_ms != 0 &&
	    store->retain_age_ms < store->segment_age_ms) {
		*key = "retain_age";
		return pb_err_set(err, PB_EINVAL, "less than segment_age: "
		    "what a segment holds is older when it is sealed; write "
		    "at least segment_age, or 0 for no bound");
	}
	if (store->min_free.percent >= 100) {
		*key = "min_free";
		return pb_err_set(err, PB_EINVAL, "all of the file system: "
		    "nothing could be stored; write less, like 5%%");
	}
	if (store->index_size < store->retain_size / INDEX_RATIO) {
		*key = "index_size";
		return pb_err_set(err, PB_EINVAL, "full before retain_size "
		    "is reached; write at least %s",
		    pb_size_format(store->retain_size / INDEX_RATIO, size));
	}
	return 0;
}

int
pb_conf_check_capture(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_conf_capture *capture = section;

	if (capture->buffer < (uint64_t)capture->threads * RING_BYTES_MIN) {
		*key = "threads";
		return pb_err_set(err, PB_EINVAL, "they share buffer, and "
		    "each needs 1MiB of it; write fewer, or buffer = %uMiB",
		    (unsigned)capture->threads);
	}
	if (pb_conf_pseudo(capture->interface) &&
	    (capture->fcs || (capture->trailers[0] != '\0' &&
	    strcmp(capture->trailers, "none") != 0))) {
		*key = capture->fcs ? "fcs" : "trailers";
		return pb_err_set(err, PB_EINVAL, "%s is no network "
		    "interface, and only on the frames of one do they stand; "
		    "leave the key out", capture->interface);
	}
	if (capture->forward[0] != '\0' &&
	    pb_conf_pseudo(capture->interface)) {
		*key = "forward";
		return pb_err_set(err, PB_EINVAL, "%s is no network "
		    "interface, and only from one can packets go on to "
		    "another; leave the key out", capture->interface);
	}
	return 0;
}

bool
pb_conf_pseudo(const char *interface)
{
	/* libpcap's modules; most have numbers or more behind these. */
	static const char *const begins[] = { "nflog", "nfqueue", "usbmon",
	    "bluetooth", "dbus-" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(interface, begins[i], strlen(begins[i])) == 0)
			return true;
	return strcmp(interface, "any") == 0;
}

int
pb_conf_check_ways(const struct pb_conf *conf, const char **key,
    struct pb_err *err)
{
	struct edges edges;
	int last, rc = check_upstreams(conf, err);

	*key = "streams";
	if (rc < 0)
		return rc;
	list_edges(conf, &edges);
	for (int i = 0; i < edges.count; i++) {
		const struct edge *edge = &edges.at[i];

		*key = "forward";
		if (strcmp(edge->from, edge->to) == 0)
			return pb_err_set(err, PB_EINVAL, "%s is the captured "
			    "interface itself; name another, or leave the "
			    "key out", edge->to);
		/* Captured alone is not enough: it would be twice. */
		if (edge->in_only)
			continue;
		last = way_back(&edges, i);
		if (last >= 0)
			return refuse_circle(&edges, last, err);
	}
	return 0;
}

static void
list_edges(const struct pb_conf *conf, struct edges *out)
{
	out->count = 0;
	for (size_t i = 0; i < conf->captures; i++) {
		const struct pb_conf_capture *capture = &conf->capture[i];

		if (capture->forward[0] != '\0')
			out->at[out->count++] = (struct edge){
			    .from = capture->interface,
			    .to = capture->forward,
			    .in_only = capture->in_only };
	}
}

/* Breadth first from edge `start` on.  The edge that ends where that begins,
 * or -1; `before` of each leads back to `start`. */
static int
way_back(struct edges *edges, int start)
{
	int queue[EDGES_MAX], head = 0, tail = 0;
	bool seen[EDGES_MAX] = { false };

	edges->at[start].before = -1;
	seen[start] = true;
	queue[tail++] = start;
	while (head < tail) {
		int at = queue[head++];

		if (strcmp(edges->at[at].to, edges->at[start].from) == 0)
			return at;
		for (int i = 0; i < edges->count; i++) {
			if (seen[i] || strcmp(edges->at[i].from,
			    edges->at[at].to) != 0)
				continue;
			seen[i] = true;
			edges->at[i].before = at;
			queue[tail++] = i;
		}
	}
	return -1;
}

static int
refuse_circle(const struct edges *edges, int last, struct pb_err *err)
{
	char names[CIRCLE_TEXT_MAX] = "";
	int way[EDGES_MAX], count = 0;
	size_t len = 0;

	for (int at = last; at >= 0; at = edges->at[at].before)
		way[count++] = at;
	while (count-- > 0 && len < sizeof(names))
		len += (size_t)snprintf(names + len, sizeof(names) - len,
		    "%s -> ", edges->at[way[count]].from);
	return pb_err_set(err, PB_EINVAL, "packets go in a circle, %s%s%s, "
	    "and would be captured more than once; write direction = in in "
	    "[capture] of each of these, or leave forward out", names,
	    len < sizeof(names) ? "" : "... -> ", edges->at[last].to);
}

int
pb_conf_check_listen(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_conf_listen *listen = section;

	return check_tls(&listen->tls, key, err);
}

int
pb_conf_check_upstream(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_conf_upstream *upstream = section;

	if (pb_conf_interface(upstream) != NULL)
		return check_interface(upstream, key, err);
	*key = "rate_limit";
	if (upstream->rate_limit > 0 && upstream->rate_limit < RATE_MIN)
		return pb_err_set(err, PB_EINVAL, "bodies that come slower "
		    "than 8kbit are cut off; write 8kbit at least, or 0 for no "
		    "limit");
	return pb_conf_pulled(upstream) ? check_pulled(upstream, key, err) :
	    check_peer(upstream, key, err);
}

const char *
pb_conf_interface(const struct pb_conf_upstream *upstream)
{
	const size_t len = strlen(PB_CONF_INTERFACE);

	return strncmp(upstream->url, PB_CONF_INTERFACE, len) == 0 ?
	    upstream->url + len : NULL;
}

bool
pb_conf_pulled(const struct pb_conf_upstream *upstream)
{
	return strcmp(upstream->url, PB_CONF_PULL) == 0;
}

/* Nothing of it is about a connection that we open, or what we send. */
static int
check_pulled(const struct pb_conf_upstream *upstream, const char **key,
    struct pb_err *err)
{
	*key = upstream->requeue_manual ? "requeue" :
	    upstream->pace_original ? "pace" :
	    upstream->at_most_once ? "delivery" : NULL;
	if (*key != NULL)
		return pb_err_set(err, PB_EINVAL, "given, but it pulls: what "
		    "it asks for it is given as it was stored, dead letters in "
		    "their turn; take it out");
	*key = connection_key(upstream);
	return *key == NULL ? 0 : pb_err_set(err, PB_EINVAL, "given, but it "
	    "pulls: write it into [edge] there, and take it out here");
}

/* The first one that is about a connection; NULL: none is. */
static const char *
connection_key(const struct pb_conf_upstream *upstream)
{
	const struct pb_conf_tls *tls = &upstream->tls;

	return tls->off ? "tls" : tls->cert[0] != '\0' ? "tls_cert" :
	    tls->key[0] != '\0' ? "tls_key" : tls->ca[0] != '\0' ? "tls_ca" :
	    upstream->compress_level > 0 ? "compress" :
	    upstream->proxy[0] != '\0' ? "proxy" :
	    upstream->proxy_auth[0] != '\0' ? "proxy_auth" : NULL;
}

/* Nothing of it is about a connection. */
static int
check_interface(const struct pb_conf_upstream *upstream, const char **key,
    struct pb_err *err)
{
	*key = upstream->rate_burst != 0 ? "rate_burst" :
	    connection_key(upstream);
	if (*key != NULL)
		return pb_err_set(err, PB_EINVAL, "given, but url is an "
		    "interface, to which there is no connection; take it out");
	*key = "snaplen";
	return upstream->snaplen >= SNAPLEN_ALL ? 0 : pb_err_set(err,
	    PB_EINVAL, "given, but url is an interface, where frames go out "
	    "whole; take it out");
}

static int
check_peer(const struct pb_conf_upstream *upstream, const char **key,
    struct pb_err *err)
{
	int rc;

	*key = upstream->pace_original ? "pace" :
	    upstream->at_most_once ? "delivery" : NULL;
	if (*key != NULL)
		return pb_err_set(err, PB_EINVAL, "not of an upstream that is "
		    "a node, in this version; take it out, or write url = "
		    "interface:eth1");
	rc = check_proxy(upstream->proxy, upstream->proxy_auth, key, err);
	return rc < 0 ? rc : check_connection(upstream->url, &upstream->tls,
	    key, err);
}

int
pb_conf_check_edge(const void *section, const char **key, struct pb_err *err)
{
	const struct pb_conf_edge *edge = section;
	int rc;

	if (strncmp(edge->url, "http", 4) != 0) {
		*key = "url";
		return pb_err_set(err, PB_EINVAL, "an edge is a node; write "
		    "https://host:port");
	}
	rc = check_proxy(edge->proxy, edge->proxy_auth, key, err);
	return rc < 0 ? rc : check_connection(edge->url, &edge->tls, key, err);
}

/* To a node: the url, and what is said of TLS. */
static int
check_connection(const char *url, const struct pb_conf_tls *tls,
    const char **key, struct pb_err *err)
{
	bool https = strncmp(url, "https://", 8) == 0;

	if (https && tls->off) {
		*key = "tls";
		return pb_err_set(err, PB_EINVAL, "off, but url begins with "
		    "https://; write http://, or take tls = off out");
	}
	if (!https && !tls->off) {
		*key = "url";
		return pb_err_set(err, PB_EINVAL, "http:// sends packets in "
		    "the clear; write https://, or spell out tls = off");
	}
	return check_tls(tls, key, err);
}

static int
check_proxy(const char *proxy, const char *proxy_auth, const char **key,
    struct pb_err *err)
{
	if (proxy_auth[0] == '\0' || proxy[0] != '\0')
		return 0;
	*key = "proxy_auth";
	return pb_err_set(err, PB_EINVAL, "given, but there is no proxy; "
	    "write proxy = http://proxy.example:3128, or take it out");
}

/* Past the queueing discipline, what the shipper sends closes no circle. */
static int
check_upstreams(const struct pb_conf *conf, struct pb_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < conf->upstreams; i++)
		for (size_t j = 0; rc == 0 && j < conf->captures; j++)
			rc = check_way(conf, &conf->upstream[i],
			    &conf->capture[j], err);
	return rc;
}

/* Does it capture what another one forwards from interface `from`? */
static bool
sees_forwarded(const struct pb_conf *conf, const char *from,
    const struct pb_conf_capture *capture)
{
	for (size_t i = 0; i < conf->captures && !capture->in_only; i++)
		if (strcmp(conf->capture[i].interface, from) == 0 &&
		    strcmp(conf->capture[i].forward, capture->interface) == 0)
			return true;
	return false;
}

/* What was captured at an interface does not leave by it again. */
static int
check_way(const struct pb_conf *conf, const struct pb_conf_upstream *upstream,
    const struct pb_conf_capture *capture, struct pb_err *err)
{
	char stream[PB_NAME_BYTES_MAX + PB_IFNAME_BYTES_MAX + 2];
	const char *to = pb_conf_interface(upstream);

	snprintf(stream, sizeof(stream), "%s/%s", conf->node.name,
	    capture->interface);
	/* Whose streams they are is not known before [node]. */
	if (to == NULL || conf->node.name[0] == '\0' ||
	    !pb_glob_list_match(upstream->streams, stream))
		return 0;
	if (sees_forwarded(conf, to, capture))
		return pb_err_set(err, PB_EINVAL, "packets go in a circle, "
		    "%s -> %s -> %s: [upstream %s] would send what comes in "
		    "there out of it again; write direction = in in [capture "
		    "%s], or streams that leave %.300s out", to,
		    capture->interface, to, upstream->name,
		    capture->interface, stream);
	if (strcmp(capture->interface, to) != 0 &&
	    strcmp(capture->interface, "any") != 0)
		return 0;
	return pb_err_set(err, PB_EINVAL, "[upstream %s] would send what is "
	    "captured at %s out of it again; write streams there that leave "
	    "%.300s out", upstream->name, to, stream);
}

/* Off, or a certificate, its key and the authority of the other side. */
static int
check_tls(const struct pb_conf_tls *tls, const char **key,
    struct pb_err *err)
{
	const char *given = tls->cert[0] != '\0' ? "tls_cert" :
	    tls->key[0] != '\0' ? "tls_key" :
	    tls->ca[0] != '\0' ? "tls_ca" : NULL;
	const char *absent = tls->cert[0] == '\0' ? "tls_cert" :
	    tls->key[0] == '\0' ? "tls_key" :
	    tls->ca[0] == '\0' ? "tls_ca" : NULL;

	if (tls->off && given != NULL) {
		*key = given;
		return pb_err_set(err, PB_EINVAL, "given, but tls is off; "
		    "take one of the two out");
	}
	if (!tls->off && absent != NULL) {
		*key = absent;
		return pb_err_set(err, PB_EINVAL, "missing; give tls_cert, "
		    "tls_key and tls_ca, or spell out tls = off");
	}
	return 0;
}
