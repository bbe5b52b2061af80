/*
 * recorder/retention.c - what is kept: from the configuration to the store
 */
#include "recorder/retention.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static bool	disk_size(const char *, uint64_t *);

_Static_assert(PB_UPSTREAMS_MAX <= PB_RETAIN_UPSTREAMS_MAX &&
    PB_CONF_LIST_MAX <= PB_RETAIN_STREAMS_MAX, "all upstreams fit");

int
pb_retention_check(const struct pb_conf *conf, struct pb_err *err)
{
	const struct pb_store_conf *store = &conf->store;
	char want[16], have[16];
	uint64_t size;

	/* What is not mounted yet is looked at when it is used. */
	if (!disk_size(store->path, &size))
		return 0;
	pb_size_format(size, have);
	if (store->min_free.bytes >= size) {
		pb_err_set(err, PB_EINVAL, "[store] min_free: %s, but "
		    "the file system of %s has %s in all; write less, like "
		    "5%%", pb_size_format(store->min_free.bytes, want),
		    store->path, have);
		return pb_conf_blame(conf, PB_CONF_STORE, store, "min_free",
		    err);
	}
	if (store->retain_size > size && store->min_free.bytes == 0 &&
	    store->min_free.percent == 0) {
		pb_err_set(err, PB_EINVAL, "[store] retain_size: %s, "
		    "but the file system of %s has %s in all; write less, or "
		    "set min_free, like 5%%",
		    pb_size_format(store->retain_size, want), store->path,
		    have);
		return pb_conf_blame(conf, PB_CONF_STORE, store,
		    "retain_size", err);
	}
	return 0;
}

int
pb_retention_apply(struct pb_store *store, const struct pb_conf *conf,
    struct pb_err *err)
{
	struct pb_retain_opts opts = {
		.size_max = conf->store.retain_size,
		.age_ms_max = conf->store.retain_age_ms,
		.min_free_bytes = conf->store.min_free.bytes,
		.min_free_percent = conf->store.min_free.percent,
		.upstreams = conf->upstreams,
	};
	struct pb_retain_upstream *upstream;
	int rc;

	upstream = calloc(conf->upstreams + 1, sizeof(*upstream));
	if (upstream == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	for (size_t i = 0; i < conf->upstreams; i++) {
		strcpy(upstream[i].name, conf->upstream[i].name);
		strcpy(upstream[i].streams, conf->upstream[i].streams);
	}
	opts.upstream = upstream;
	rc = pb_store_retain(store, &opts, err);
	free(upstream);
	return rc;
}

void
pb_retention_json(struct pb_store *store, struct pb_json *json)
{
	struct pb_retain_stats stats;

	pb_store_retain_stats(store, &stats);
	pb_json_object(json, "retention");
	pb_json_u64(json, "bytes", stats.bytes);
	pb_json_u64(json, "segments", stats.segments);
	pb_json_u64(json, "retain_size", stats.size_max);
	pb_json_u64(json, "retain_age_s", stats.age_ms_max / 1000);
	pb_json_u64(json, "min_free", stats.min_free);
	pb_json_u64(json, "free", stats.free);
	if (stats.oldest_ns != 0)
		pb_json_time(json, "oldest", stats.oldest_ns);
	else
		pb_json_null(json, "oldest");
	pb_json_u64(json, "deleted_segments", stats.deleted_segments);
	pb_json_u64(json, "deleted_bytes", stats.deleted_bytes);
	pb_json_u64(json, "expired_unacked_packets", stats.expired_packets);
	pb_json_text(json, "why", stats.why);
	pb_json_end(json);
}

/* Of the file system that holds `path`, or will. */
static bool
disk_size(const char *path, uint64_t *size)
{
	char at[PATH_MAX];
	struct statvfs fs;
	char *slash;

	if (strlen(path) >= sizeof(at))
		return false;
	strcpy(at, path);
	while (statvfs(at, &fs) < 0) {
		slash = strrchr(at, '/');
		if (slash == NULL || strcmp(at, "/") == 0)
			return false;
		slash[slash == at ? 1 : 0] = '\0';
	}
	*size = (uint64_t)fs.f_blocks * fs.f_frsize;
	return true;
}
