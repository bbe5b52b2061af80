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

/* An extent of 1 MiB has a row of 76 bytes: with less than 64 for each
 * the index is full before the store is. */
#define INDEX_RATIO	16384u
#define RING_BYTES_MIN	(1u << 20)	/* of the buffer, for each thread */

static int	check_tls(const struct pb_conf_tls *, const char **,
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
	return 0;
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
	bool https = strncmp(upstream->url, "https://", 8) == 0;

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
