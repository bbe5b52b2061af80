/*
 * tests/fuzz/fuzz_conf.c - any bytes as a configuration file
 *
 * What is taken keeps the rules that the programs rely on, and is taken
 * the same a second time; what is not is told in one line that begins with
 * the file's name.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "conf/conf.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_BYTES_MAX	(256u << 10)

static char path[64];

static void
put_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
		MUST(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pb_pwrite_all(fd, data, size, 0, NULL) == 0);
}

/* Off only where it is spelled out; else nothing is missing. */
static void
check_tls(const struct pb_conf_tls *tls, const uint8_t *data, size_t size)
{
	if (tls->off)
		MUST(memmem(data, size, "tls", 3) != NULL);
	MUST(tls->off == (tls->cert[0] == '\0'));
	MUST(tls->off == (tls->key[0] == '\0'));
	MUST(tls->off == (tls->ca[0] == '\0'));
}

static void
check_upstream(const struct pb_conf *conf, size_t n, const uint8_t *data,
    size_t size)
{
	const struct pb_conf_upstream *up = &conf->upstream[n];

	MUST(pb_name_valid(up->name));
	for (size_t i = 0; i < n; i++)
		MUST(strcmp(up->name, conf->upstream[i].name) != 0);
	MUST(strncmp(up->url, up->tls.off ? "http://" : "https://",
	    up->tls.off ? 7 : 8) == 0);
	MUST(up->url[strlen(up->url) - 1] != '/');
	MUST(up->window > 0);
	check_tls(&up->tls, data, size);
}

static void
check(const struct pb_conf *conf, const uint8_t *data, size_t size)
{
	const struct pb_store_conf *store = &conf->store;

	MUST(strcmp(conf->file, path) == 0);
	MUST(pb_name_valid(conf->node.name));
	MUST(store->path[0] != '\0');
	MUST(store->segment_size > 0 && store->segment_age_ms > 0);
	MUST(store->flush_interval_ms > 0 && store->index_size > 0);
	MUST(store->retain_size == 0 ||
	    store->retain_size >= store->segment_size);
	MUST(store->min_free.percent < 100);
	MUST(store->min_free.bytes == 0 || store->min_free.percent == 0);
	MUST(conf->captures <= PB_CAPTURES_MAX);
	MUST(conf->upstreams <= PB_UPSTREAMS_MAX);
	if (conf->listen.present) {
		MUST(strchr(conf->listen.address, ':') != NULL);
		check_tls(&conf->listen.tls, data, size);
	}
	for (size_t n = 0; n < conf->captures; n++) {
		const struct pb_conf_capture *capture = &conf->capture[n];

		MUST(capture->interface[0] != '\0');
		MUST(capture->snaplen > 0);
		for (size_t i = 0; i < n; i++)
			MUST(strcmp(capture->interface,
			    conf->capture[i].interface) != 0);
	}
	for (size_t n = 0; n < conf->upstreams; n++)
		check_upstream(conf, n, data, size);
}

static void
same(const struct pb_conf *a, const struct pb_conf *b)
{
	MUST(memcmp(&a->node, &b->node, sizeof(a->node)) == 0);
	MUST(memcmp(&a->store, &b->store, sizeof(a->store)) == 0);
	MUST(memcmp(&a->listen, &b->listen, sizeof(a->listen)) == 0);
	MUST(a->captures == b->captures && a->upstreams == b->upstreams);
	MUST(memcmp(a->capture, b->capture, a->captures *
	    sizeof(*a->capture)) == 0);
	MUST(memcmp(a->upstream, b->upstream, a->upstreams *
	    sizeof(*a->upstream)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_conf *conf = NULL, *again = NULL;
	struct pb_err err = { 0 };
	int rc;

	if (size > TEXT_BYTES_MAX)
		return 0;
	put_file(data, size);
	rc = pb_conf_load(&conf, path, &err);
	MUST(rc == 0 || rc == PB_EINVAL);
	MUST(pb_conf_load(&again, path, NULL) == rc);
	if (rc == 0) {
		check(conf, data, size);
		same(conf, again);
	} else {
		MUST(conf == NULL && err.code == rc);
		MUST(strncmp(err.text, path, strlen(path)) == 0);
		for (const char *c = err.text; *c != '\0'; c++)
			MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	pb_conf_destroy(conf);
	pb_conf_destroy(again);
	return 0;
}
