/*
 * shipper/sink/sink.c - where an upstream's packets go: the kinds
 */
#include "shipper/sink/sink.h"

#include <string.h>

#include "recorder/sift/sieve.h"
#include "shipper/sink/sink_http.h"
#include "shipper/sink/sink_interface.h"
#include "shipper/sink/sink_pull.h"
#include "shipper/wire/proxy.h"

static const struct pb_sink_kind *const kinds[] = { &pb_sink_http,
	&pb_sink_interface, &pb_sink_pull };

static int	check_one(const struct pb_conf *,
		    const struct pb_conf_upstream *, unsigned,
		    struct pb_err *);
static bool	takes(const struct pb_sink_kind *, const char *);

int
pb_sink_create(struct pb_sink **out, const struct pb_sink_opts *opts,
    struct pb_err *err)
{
	*out = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (takes(kinds[i], opts->conf->url))
			return kinds[i]->create(out, opts, err);
	return pb_err_set(err, PB_EINVAL, "nothing is known that goes to "
	    "%.200s", opts->conf->url);
}

int
pb_sink_check(const struct pb_conf *conf, const struct pb_conf *before,
    unsigned ms, struct pb_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < conf->upstreams; i++) {
		const struct pb_conf_upstream *one = &conf->upstream[i], *was;

		was = before == NULL ? NULL : pb_conf_upstream(before,
		    one->name);
		if (was == NULL || !pb_conf_same(PB_CONF_UPSTREAM, one, was,
		    false))
			rc = check_one(conf, one, ms, err);
	}
	return rc;
}

const char *
pb_sink_capability(const struct pb_conf *conf)
{
	for (size_t i = 0; i < conf->upstreams; i++)
		if (pb_conf_interface(&conf->upstream[i]) != NULL)
			return "+net_raw";
	return "";
}

void
pb_sink_destroy(struct pb_sink *sink)
{
	if (sink != NULL)
		sink->kind->destroy(sink);
}

static int
check_one(const struct pb_conf *conf, const struct pb_conf_upstream *one,
    unsigned ms, struct pb_err *err)
{
	char auth[PB_PROXY_AUTH_MAX];
	const char *key = "filter";
	int rc = pb_sieve_check(one->filter, ms, err);

	if (rc < 0) {
		pb_err_prefix(err, rc, "[upstream %s]", one->name);
	} else {
		key = "proxy_auth";
		rc = pb_proxy_auth_read(auth, one->proxy_auth, err);
		if (rc < 0)
			pb_err_prefix(err, rc, "[upstream %s] proxy_auth",
			    one->name);
	}
	return rc < 0 ? pb_conf_blame(conf, PB_CONF_UPSTREAM, one, key, err) :
	    0;
}

static bool
takes(const struct pb_sink_kind *kind, const char *url)
{
	size_t max = sizeof(kind->schemes) / sizeof(kind->schemes[0]);

	for (size_t i = 0; i < max && kind->schemes[i] != NULL; i++)
		if (strncmp(url, kind->schemes[i],
		    strlen(kind->schemes[i])) == 0)
			return true;
	return false;
}
