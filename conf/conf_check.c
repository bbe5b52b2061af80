/*
 * conf/conf_check.c - keys of one section held against each other
 *
 * Promise: encryption is never off by accident.  It is off only where
 * `tls = off` is spelled out, and half of a key pair is an error.
 * Reason:  packets are as secret as what they carry.
 */
#include "conf/conf_keys.h"

#include <string.h>

#include "conf/conf.h"

static int	missing(const char **, const char *, const char *,
		    struct pb_err *);
static int	check_tls(const struct pb_conf_tls *, const char **,
		    struct pb_err *);

int
pb_conf_check_node(const void *section, const char **key, struct pb_err *err)
{
	const struct pb_node_conf *node = section;

	if (node->name[0] == '\0')
		return missing(key, "name", "write name = lon1", err);
	return 0;
}

int
pb_conf_check_store(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_store_conf *store = section;

	if (store->path[0] == '\0')
		return missing(key, "path", "write path = "
		    "/var/lib/packetbroker", err);
	if (store->retain_size != 0 &&
	    store->retain_size < store->segment_size) {
		*key = "retain_size";
		return pb_err_set(err, PB_EINVAL, "less than one segment "
		    "(segment_size); write at least that, or 0 for no bound");
	}
	return 0;
}

int
pb_conf_check_listen(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_conf_listen *listen = section;

	if (listen->address[0] == '\0')
		return missing(key, "address", "write address = "
		    "127.0.0.1:7152", err);
	return check_tls(&listen->tls, key, err);
}

int
pb_conf_check_upstream(const void *section, const char **key,
    struct pb_err *err)
{
	const struct pb_conf_upstream *upstream = section;
	bool https = strncmp(upstream->url, "https://", 8) == 0;

	if (upstream->url[0] == '\0')
		return missing(key, "url", "write url = "
		    "https://core.example:7152", err);
	if (https && upstream->tls.off) {
		*key = "tls";
		return pb_err_set(err, PB_EINVAL, "off, but url begins with "
		    "https://; write http://, or take tls = off out");
	}
	if (!https && !upstream->tls.off) {
		*key = "url";
		return pb_err_set(err, PB_EINVAL, "http:// sends packets in "
		    "the clear; write https://, or spell out tls = off");
	}
	return check_tls(&upstream->tls, key, err);
}

static int
missing(const char **key, const char *name, const char *hint,
    struct pb_err *err)
{
	*key = name;
	return pb_err_set(err, PB_EINVAL, "missing; %s", hint);
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
	if (!tls->off && absent != NULL)
		return missing(key, absent, "give tls_cert, tls_key and "
		    "tls_ca, or spell out tls = off", err);
	return 0;
}
