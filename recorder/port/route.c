/*
 * recorder/port/route.c - what a method and a path ask for
 */
#include "recorder/port/route.h"

#include <string.h>

#include "base/text.h"

#define STREAMS		"/v1/streams/"
#define EPOCH_DIGITS	16

enum { NODE, IFACE, EPOCH, PARTS };	/* as they stand in a path */

struct part {
	const char	*at;
	size_t		 len;
};

static bool	matches(const char *, const char *,
		    struct part [static PARTS]);
static void	consider(struct pb_route *, const struct pb_route_row *,
		    const char *);
static int	parse_key(const struct part [static PARTS],
		    struct pb_stream_key *, struct pb_err *);

int
pb_route_find(struct pb_route *out, const struct pb_route_row *row,
    const char *method, const char *path, bool local, struct pb_err *err)
{
	struct part part[PARTS];
	bool found = false;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	for (; row->method != NULL && rc == 0; row++) {
		memset(part, 0, sizeof(part));
		if ((row->local && !local) || !matches(row->path, path, part))
			continue;
		found = true;
		consider(out, row, method);
		if (part[NODE].at != NULL)
			rc = parse_key(part, &out->key, err);
	}
	if (!found && strncmp(path, STREAMS, strlen(STREAMS)) == 0)
		return pb_err_set(err, PB_ENOENT, "no such path; a stream is "
		    PB_ROUTE_STREAM ", and takes POST at /packets and "
		    "/gaps, GET at /digests below it");
	if (!found)
		return pb_err_set(err, PB_ENOENT, "no such path; there are "
		    PB_ROUTE_STREAM ", its /packets, /gaps and /digests, "
		    "/v1/health and /metrics");
	return rc;
}

static bool
matches(const char *pattern, const char *path,
    struct part part[static PARTS])
{
	size_t n = 0;

	for (;;) {
		size_t want = strcspn(pattern, "/"), len = strcspn(path, "/");

		if (pattern[0] >= 'A' && pattern[0] <= 'Z')
			part[n++] = (struct part){ path, len };
		else if (len != want || memcmp(pattern, path, len) != 0)
			return false;
		if (pattern[want] == '\0' || path[len] == '\0')
			return pattern[want] == path[len];
		pattern += want + 1;
		path += len + 1;
	}
}

static void
consider(struct pb_route *out, const struct pb_route_row *row,
    const char *method)
{
	bool get = strcmp(row->method, "GET") == 0;

	if (out->allow[0] != '\0')
		strcat(out->allow, ", ");
	strcat(out->allow, get ? "GET, HEAD" : row->method);
	if (strcmp(method, row->method) == 0 ||
	    (get && strcmp(method, "HEAD") == 0))
		out->handler = row->handler;
}

static int
parse_key(const struct part part[static PARTS], struct pb_stream_key *key,
    struct pb_err *err)
{
	char epoch[EPOCH_DIGITS + 1];
	struct pb_err why;

	if (part[IFACE].at == NULL && part[NODE].len == 0)
		return pb_err_set(err, PB_ENOENT, "no such path; a node's "
		    "name follows here");
	if (pb_percent_decode(key->node, sizeof(key->node), part[NODE].at,
	    part[NODE].len, &why) < 0 || !pb_name_valid(key->node))
		return pb_err_set(err, PB_EINVAL, "NODE in the path: 1 to %d "
		    "letters, digits, . _ -", PB_NAME_BYTES_MAX);
	if (part[IFACE].at == NULL)
		return 0;
	if (pb_percent_decode(key->interface, sizeof(key->interface),
	    part[IFACE].at, part[IFACE].len, &why) < 0 ||
	    key->interface[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "IFACE in the path: 1 to %d "
		    "bytes, percent-encoded", PB_IFNAME_BYTES_MAX);
	if (part[EPOCH].len == EPOCH_DIGITS) {
		memcpy(epoch, part[EPOCH].at, EPOCH_DIGITS);
		epoch[EPOCH_DIGITS] = '\0';
		if (pb_parse_hex64(epoch, &key->epoch, &why) == 0 &&
		    key->epoch != 0)
			return 0;
	}
	return pb_err_set(err, PB_EINVAL, "EPOCH in the path: %d hex digits, "
	    "not all 0", EPOCH_DIGITS);
}
