/*
 * conf/conf_pull.c - who pulls: `pull:` items of `allow`, and upstreams
 *
 *	pull:NAME		may take all streams
 *	pull:NAME=GLOB|GLOB	those whose node/interface matches one of them
 *
 * Promise: who may pull is an upstream, with `url = pull:`, and the other way
 * round; so that what it has is kept, and waited for.  A section that is not
 * there says what sections say by default.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf_keys.h"

/* An item of `allow`. */
struct puller {
	char	 name[PB_NAME_BYTES_MAX + 1];
	char	 streams[PB_CONF_LIST_MAX];	/* as in [upstream]; "": all */
};

static bool	next_puller(const char **, struct puller *);
static int	pair(struct pb_conf *, const struct puller *, struct pb_err *);
static int	add(struct pb_conf *, const struct puller *, struct pb_err *);
static bool	is_named(const char *, const char *);

int
pb_conf_pair_pullers(struct pb_conf *conf, struct pb_err *err)
{
	const char *list = conf->listen.present ? conf->listen.allow : "";
	const char *at = list;
	struct puller puller;
	int rc = 0;

	while (rc == 0 && next_puller(&at, &puller)) {
		if (is_named(at, puller.name))
			return pb_err_set(err, PB_EINVAL, "[listen] allow: "
			    "pull:%s is there twice; write pull:%s=GLOB|GLOB",
			    puller.name, puller.name);
		rc = pair(conf, &puller, err);
	}
	for (size_t i = 0; rc == 0 && i < conf->upstreams; i++)
		if (pb_conf_pulled(&conf->upstream[i]) &&
		    !is_named(list, conf->upstream[i].name))
			rc = pb_err_set(err, PB_EINVAL, "[upstream %s] url: "
			    "nobody may pull under this name; write pull:%s "
			    "into allow of [listen]", conf->upstream[i].name,
			    conf->upstream[i].name);
	return rc;
}

/* What is wrong with items was said when they were read. */
static bool
next_puller(const char **list, struct puller *out)
{
	const char *item, *globs;
	size_t len, globs_len;

	while (pb_list_next(list, &item, &len)) {
		if (pb_conf_parse_pull(item, len, out->name, &globs,
		    &globs_len) != 1 || globs_len >= sizeof(out->streams))
			continue;
		snprintf(out->streams, sizeof(out->streams), "%.*s",
		    (int)globs_len, globs != NULL ? globs : "");
		for (char *c = out->streams; *c != '\0'; c++)
			if (*c == '|')
				*c = ',';
		return true;
	}
	return false;
}

static int
pair(struct pb_conf *conf, const struct puller *puller, struct pb_err *err)
{
	struct pb_conf_upstream *upstream = NULL;

	for (size_t i = 0; i < conf->upstreams; i++)
		if (strcmp(conf->upstream[i].name, puller->name) == 0)
			upstream = &conf->upstream[i];
	if (upstream == NULL)
		return add(conf, puller, err);
	if (!pb_conf_pulled(upstream))
		return pb_err_set(err, PB_EINVAL, "[upstream %s] url: packets "
		    "are sent there, and pull:%s in allow of [listen] lets it "
		    "take them as well; write url = " PB_CONF_PULL ", or take "
		    "pull:%s out", puller->name, puller->name, puller->name);
	if (puller->streams[0] == '\0' ||
	    strcmp(puller->streams, upstream->streams) == 0)
		return 0;
	if (strcmp(upstream->streams, "*") != 0)
		return pb_err_set(err, PB_EINVAL, "[upstream %s] streams: "
		    "pull:%s in allow of [listen] names others; write them in "
		    "one of the two places", puller->name, puller->name);
	strcpy(upstream->streams, puller->streams);
	return 0;
}

static int
add(struct pb_conf *conf, const struct puller *puller, struct pb_err *err)
{
	struct pb_conf_upstream *upstream = &conf->upstream[conf->upstreams];
	int rc;

	if (conf->upstreams == PB_UPSTREAMS_MAX)
		return pb_err_set(err, PB_EINVAL, "[listen] allow: pull:%s is "
		    "one upstream too many; write at most %d", puller->name,
		    PB_UPSTREAMS_MAX);
	memset(upstream, 0, sizeof(*upstream));
	rc = pb_conf_defaults(PB_CONF_UPSTREAM, upstream, err);
	if (rc < 0)
		return rc;
	strcpy(upstream->name, puller->name);
	strcpy(upstream->url, PB_CONF_PULL);
	if (puller->streams[0] != '\0')
		strcpy(upstream->streams, puller->streams);
	conf->upstreams++;
	return 0;
}

static bool
is_named(const char *list, const char *name)
{
	struct puller puller;

	while (next_puller(&list, &puller))
		if (strcmp(puller.name, name) == 0)
			return true;
	return false;
}
