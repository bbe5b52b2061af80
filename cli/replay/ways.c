/*
 * cli/replay/ways.c - which packets go out of which interface
 */
#include "cli/replay/ways.h"

#include <net/if.h>
#include <string.h>

#include "base/text.h"

static int	add(struct pb_ways *, const char *, struct pb_err *);

int
pb_ways_interface(void *arg, const char *text, struct pb_err *err)
{
	struct pb_ways *ways = arg;
	int way;

	if (ways->rest > 0)
		return pb_err_set(err, PB_EINVAL, "-i: one interface has all "
		    "that --map does not send elsewhere; there are two");
	way = add(ways, text, err);
	if (way < 0)
		return pb_err_prefix(err, way, "-i");
	ways->rest = way + 1;
	return 0;
}

int
pb_ways_map(void *arg, const char *text, struct pb_err *err)
{
	struct pb_ways *ways = arg;
	const char *sign = strrchr(text, '=');
	int way;

	if (sign == NULL || sign == text || sign[1] == '\0')
		return pb_err_set(err, PB_EINVAL, "--map '%.80s': write "
		    "STREAM=INTERFACE, such as 'lon1/eth0=eth1'", text);
	if (ways->maps == PB_WAYS_MAX)
		return pb_err_set(err, PB_EINVAL, "--map: at most %u of them",
		    PB_WAYS_MAX);
	way = add(ways, sign + 1, err);
	if (way < 0)
		return pb_err_prefix(err, way, "--map");
	ways->map[ways->maps].glob = text;
	ways->map[ways->maps].glob_len = (size_t)(sign - text);
	ways->map[ways->maps++].way = way;
	return 0;
}

int
pb_ways_open(struct pb_ways *ways, const struct pb_outlet_opts *opts,
    bool wait, struct pb_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < ways->ways && rc == 0; i++) {
		rc = pb_outlet_open(&ways->way[i].outlet, ways->way[i].name,
		    opts, err);
		if (rc == 0)
			rc = pb_outlet_look(ways->way[i].outlet, err);
		if (rc == PB_EBUSY && wait)
			rc = 0;
	}
	return rc;
}

void
pb_ways_close(struct pb_ways *ways)
{
	for (size_t i = 0; i < ways->ways; i++) {
		pb_outlet_close(ways->way[i].outlet);
		ways->way[i].outlet = NULL;
	}
}

int
pb_ways_mapped(struct pb_ways *ways, const char *stream)
{
	for (size_t i = 0; i < ways->maps; i++)
		if (pb_glob_match_len(ways->map[i].glob,
		    ways->map[i].glob_len, stream)) {
			ways->map[i].matched = true;
			return ways->map[i].way;
		}
	return PB_WAYS_NONE;
}

int
pb_ways_rest(const struct pb_ways *ways)
{
	return ways->rest > 0 ? ways->rest - 1 : PB_WAYS_NONE;
}

/* Its number, the same for the same name. */
static int
add(struct pb_ways *ways, const char *name, struct pb_err *err)
{
	size_t i = 0;

	if (name[0] == '\0' || strlen(name) >= IF_NAMESIZE)
		return pb_err_set(err, PB_EINVAL, "'%.40s': no interface has "
		    "such a name; 'pb interfaces' lists those that there are",
		    name);
	while (i < ways->ways && strcmp(ways->way[i].name, name) != 0)
		i++;
	if (i < ways->ways)
		return (int)i;
	if (i == PB_WAYS_MAX)
		return pb_err_set(err, PB_EINVAL, "at most %u interfaces",
		    PB_WAYS_MAX);
	ways->way[ways->ways++] = (struct pb_way){ .name = name };
	return (int)i;
}
