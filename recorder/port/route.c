/*
 * recorder/port/route.c - what a method and a path ask for
 */
#include "recorder/port/route.h"

#include <string.h>

#include "base/text.h"

#define STREAMS		"/v1/streams/"
#define PARTS		4	/* NODE, IFACE, EPOCH, and what of it */
#define EPOCH_DIGITS	16

struct part {
	const char	*at;
	size_t		 len;
};

static int	parse_stream(const char *, struct pb_route *,
		    struct pb_err *);
static size_t	split(const char *, struct part [static PARTS]);
static int	parse_key(const struct part [static PARTS],
		    struct pb_stream_key *, struct pb_err *);
static bool	part_is(const struct part *, const char *);

int
pb_route_parse(const char *method, const char *path, bool local,
    struct pb_route *out, struct pb_err *err)
{
	bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool post = strcmp(method, "POST") == 0;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (strcmp(path, "/v1/health") == 0)
		out->kind = PB_ROUTE_HEALTH;
	else if (strcmp(path, "/metrics") == 0)
		out->kind = PB_ROUTE_METRICS;
	else if (local && strcmp(path, "/v1/status") == 0)
		out->kind = PB_ROUTE_STATUS;
	else if (strncmp(path, STREAMS, strlen(STREAMS)) == 0)
		rc = parse_stream(path + strlen(STREAMS), out, err);
	else
		rc = pb_err_set(err, PB_ENOENT, "no such path; there are "
		    "/v1/streams/NODE/IFACE/EPOCH, its /packets and /gaps, "
		    "/v1/health and /metrics");
	if (rc < 0)
		return rc;
	if (out->kind == PB_ROUTE_PACKETS || out->kind == PB_ROUTE_GAPS) {
		out->allow = "POST";
		out->method_fits = post;
	} else {
		out->allow = "GET, HEAD";
		out->method_fits = get;
	}
	return 0;
}

static int
parse_stream(const char *path, struct pb_route *out, struct pb_err *err)
{
	struct part part[PARTS];
	size_t parts = split(path, part);

	out->kind = PB_ROUTE_STREAM;
	if (parts == PARTS && part_is(&part[3], "packets"))
		out->kind = PB_ROUTE_PACKETS;
	else if (parts == PARTS && part_is(&part[3], "gaps"))
		out->kind = PB_ROUTE_GAPS;
	else if (parts != PARTS - 1)
		return pb_err_set(err, PB_ENOENT, "no such path; a stream is "
		    STREAMS "NODE/IFACE/EPOCH, and takes POST at /packets and "
		    "/gaps below it");
	return parse_key(part, &out->key, err);
}

/* The parts between slashes; PARTS + 1 where there are more than PARTS. */
static size_t
split(const char *path, struct part part[static PARTS])
{
	size_t n = 0;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (n == PARTS)
			return PARTS + 1;
		part[n].at = path;
		part[n].len = len;
		n++;
		if (path[len] == '\0')
			return n;
		path += len + 1;
	}
}

static int
parse_key(const struct part part[static PARTS], struct pb_stream_key *key,
    struct pb_err *err)
{
	char epoch[EPOCH_DIGITS + 1];
	struct pb_err why;

	if (pb_percent_decode(key->node, sizeof(key->node), part[0].at,
	    part[0].len, &why) < 0 || !pb_name_valid(key->node))
		return pb_err_set(err, PB_EINVAL, "NODE in the path: 1 to %d "
		    "letters, digits, . _ -", PB_NAME_BYTES_MAX);
	if (pb_percent_decode(key->interface, sizeof(key->interface),
	    part[1].at, part[1].len, &why) < 0 || key->interface[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "IFACE in the path: 1 to %d "
		    "bytes, percent-encoded", PB_IFNAME_BYTES_MAX);
	if (part[2].len == EPOCH_DIGITS) {
		memcpy(epoch, part[2].at, EPOCH_DIGITS);
		epoch[EPOCH_DIGITS] = '\0';
		if (pb_parse_hex64(epoch, &key->epoch, &why) == 0 &&
		    key->epoch != 0)
			return 0;
	}
	return pb_err_set(err, PB_EINVAL, "EPOCH in the path: %d hex digits, "
	    "not all 0", EPOCH_DIGITS);
}

static bool
part_is(const struct part *part, const char *word)
{
	return part->len == strlen(word) &&
	    memcmp(part->at, word, part->len) == 0;
}
