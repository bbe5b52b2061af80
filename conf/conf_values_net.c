/*
 * conf/conf_values_net.c - values of keys: addresses, hours, who and which
 */
#include "conf/conf_values.h"

#include <string.h>

#include "conf/conf.h"

#define AUTHORITY_BYTES_MAX	268	/* 255 of a name, brackets, a port */

static bool	is_authority(const char *, size_t);
static bool	is_port(const char *);
static bool	is_link(const char *);
static bool	day_time(const char *, unsigned *);
static bool	are_globs(const char *, size_t);

/* `host:port` or `[v6]:port`; a bare IPv6 address would hide its port. */
int
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

int
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

int
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

int
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

int
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

int
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

int
pb_conf_parse_pull(const char *item, size_t len, char name[static
    PB_NAME_BYTES_MAX + 1], const char **globs, size_t *globs_len)
{
	const size_t prefix = strlen(PB_CONF_PULL);
	size_t name_len;

	if (len < prefix || strncmp(item, PB_CONF_PULL, prefix) != 0)
		return 0;
	item += prefix;
	len -= prefix;
	name_len = strcspn(item, "=");
	if (name_len > len)
		name_len = len;
	*globs = name_len < len ? item + name_len + 1 : NULL;
	*globs_len = name_len < len ? len - name_len - 1 : 0;
	if (name_len > PB_NAME_BYTES_MAX || (*globs != NULL &&
	    *globs_len == 0))
		return -1;
	memcpy(name, item, name_len);
	name[name_len] = '\0';
	return pb_name_valid(name) ? 1 : -1;
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

int
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
int
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
int
parse_not_of_edge(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	(void)field;
	(void)value;
	return pb_err_set(err, PB_EINVAL, "not of an edge: %s", key->wrong);
}

/* As dev_valid_name() of the kernel has it. */
static bool
is_link(const char *text)
{
	return text[0] != '\0' && strlen(text) <= PB_LINK_NAME_MAX &&
	    strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	    strpbrk(text, " \t/:") == NULL;
}
