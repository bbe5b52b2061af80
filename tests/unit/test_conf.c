/*
 * tests/unit/test_conf.c - a node's configuration: read, checked, refused
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/conf_fixture.h"

static void
bounds_are(const struct pb_conf_listen *listen, const uint64_t want[8])
{
	const uint64_t is[] = { listen->body_max, listen->memory_max,
	    listen->connections_max, listen->connections_per_peer,
	    listen->head_timeout_ms, listen->idle_timeout_ms,
	    listen->body_rate_min, listen->hold_ms };

	assert_memory_equal(is, want, sizeof(is));
}

static void
a_minimal_file_gets_every_default(void **state)
{
	struct pb_conf *conf = load_good(BASE "[capture eth0]\n"
	    "[listen]\naddress = [::1]:7152\n" CERTS
	    "[upstream core]\nurl = https://core\n" CERTS);

	(void)state;
	assert_string_equal(conf->file, file);
	assert_string_equal(conf->node.description, "");
	assert_int_equal(conf->node.pen, 32473);
	assert_int_equal(conf->store.segment_size, 256 << 20);
	assert_int_equal(conf->store.segment_age_ms, 60000);
	assert_int_equal(conf->store.flush_interval_ms, 100);
	assert_int_equal(conf->store.retain_size, 0);
	assert_int_equal(conf->store.retain_age_ms, 0);
	assert_int_equal(conf->store.min_free.bytes, 0);
	assert_int_equal(conf->store.min_free.percent, 5);
	assert_int_equal(conf->store.index_size, 16ull << 30);
	assert_int_equal(conf->store.flows, PB_CONF_FLOWS_YES);
	assert_int_equal(conf->captures, 1);
	assert_string_equal(conf->capture[0].interface, "eth0");
	assert_string_equal(conf->capture[0].filter, "");
	assert_int_equal(conf->capture[0].snaplen, 262144);
	assert_int_equal(conf->capture[0].buffer, 64 << 20);
	assert_int_equal(conf->capture[0].threads, 1);
	assert_true(conf->capture[0].promiscuous);
	assert_string_equal(conf->capture[0].timestamp_type, "");
	assert_string_equal(conf->capture[0].trailers, "none");
	assert_false(conf->capture[0].fcs);
	assert_int_equal(conf->capture[0].tai_utc, 37);
	assert_string_equal(conf->capture[0].timestamp_from, "capture");
	assert_true(conf->listen.present);
	assert_false(conf->listen.tls.off);
	assert_string_equal(conf->listen.allow, "*, relay:*");
	bounds_are(&conf->listen, (const uint64_t[]){ 16 << 20, 128 << 20,
	    2048, 256, 10000, 30000, 8000, 5000 });
	assert_int_equal(conf->upstreams, 1);
	assert_string_equal(conf->upstream[0].streams, "*");
	assert_int_equal(conf->upstream[0].retry_for_ms, 3600000);
	assert_int_equal(conf->upstream[0].dead_letters_max, 50ull << 30);
	assert_int_equal(conf->upstream[0].dead_letters_age_ms, 2592000000);
	assert_int_equal(conf->upstream[0].connect_timeout_ms, 10000);
	assert_int_equal(conf->upstream[0].answer_timeout_ms, 60000);
	assert_int_equal(conf->upstream[0].window, 64 << 20);
	assert_int_equal(conf->upstream[0].rate_limit, 0);
	assert_int_equal(conf->upstream[0].compress_level, 0);
	assert_false(conf->upstream[0].requeue_manual);
	pb_conf_destroy(conf);
}

/* The key's, or its section's where it is not given. */
static void
what_is_wrong_later_is_laid_at_its_line(void **state)
{
	static const char text[] = BASE "[capture eth0]\n[capture eth1]\n"
	    "snaplen = 99\nfilter = udp\n"
	    "[upstream a]\nurl = http://a\ntls = off\n"
	    "[capture eth2]\nfilter = tcp\n"
	    "[edge x]\nurl = http://x\ntls = off\n"
	    "[edge y]\nurl = http://y\ntls = off\n"
	    "[edge z]\nurl = http://z\ntls = off\nproxy = http://p.example:1\n";
	struct pb_conf *conf = load_good(text);
	const struct {
		enum pb_conf_kind kind;
		const void	*section;
		const char	*key, *line;
	} wrong[] = {
		{ PB_CONF_CAPTURE, &conf->capture[0], "filter",
		    "[capture eth0]" },
		{ PB_CONF_CAPTURE, &conf->capture[1], "filter",
		    "filter = udp" },
		{ PB_CONF_CAPTURE, &conf->capture[2], "filter",
		    "filter = tcp" },
		{ PB_CONF_UPSTREAM, conf->upstream, "filter",
		    "[upstream a]" },
		{ PB_CONF_EDGE, &conf->edge[1], "proxy", "[edge y]" },
		{ PB_CONF_EDGE, &conf->edge[2], "proxy", "proxy = " },
		{ PB_CONF_STORE, &conf->store, "min_free", "[store]" },
	};
	char want[PATH_MAX + 32];
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *at = strstr(text, wrong[i].line);
		unsigned line = 1;

		for (const char *c = text; c < at; c++)
			line += *c == '\n';
		snprintf(want, sizeof(want), "%s:%u: is wrong", file, line);
		pb_err_set(&err, PB_EINVAL, "is wrong");
		assert_int_equal(pb_conf_blame(conf, wrong[i].kind,
		    wrong[i].section, wrong[i].key, &err), PB_EINVAL);
		assert_string_equal(err.text, want);
	}
	pb_conf_destroy(conf);
}

static const char every_key[] =
    "# all of them\n"
    "[node]                   ; who\n"
    "name = lon1              ; letters, digits, . _ -\n"
    "description = London, rack 4\n"
    "pen = 70000\n"
    "[store]\n"
    "path = /var/lib/packetbroker\n"
    "segment_size = 64MiB\n"
    "segment_age = 30s\n"
    "flush_interval = 50ms\n"
    "retain_size = 500GiB     ; 0 = no bound\n"
    "retain_age = 7d\n"
    "min_free = 20GiB\n"
    "index_size = 1GiB\n"
    "flows = all\n"
    "[capture eth0]           ; one section per interface\n"
    "description = ToR uplink\n"
    "filter = not port 22 and host a;b\n"
    "snaplen = 128\n"
    "buffer = 2GiB\n"
    "threads = 32\n"
    "promiscuous = no\n"
    "timestamp_type = adapter\n"
    "trailers = metamako, raw:4\n"
    "fcs = yes\n"
    "tai_utc = 38\n"
    "timestamp_from = trailer:2\n"
    "forward = eth1\n"
    "direction = in\n"
    "[capture any]\n"
    "[listen]\n"
    "address = 127.0.0.1:7152\n"
    "tls = off\n"
    "allow = lon1, par*, relay:par1\n"
    "body_max = 64KiB\n"
    "memory_max = 1GiB\n"
    "connections_max = 100\n"
    "connections_per_peer = 0\n"
    "head_timeout = 2s\n"
    "idle_timeout = 1m\n"
    "body_rate_min = 0\n"
    "hold = 500ms\n"
    "[upstream core]\n"
    "url = https://core.example:7152/path//\n"
    "tls_cert = /c.pem\n"
    "tls_key = /k.pem\n"
    "tls_ca = /a.pem\n"
    "streams = lon1/*, par1/eth?\n"
    "retry_for = 0\n"
    "dead_letters_max = 0\n"
    "dead_letters_age = 7d\n"
    "window = 1MiB\n"
    "rate_limit = 100Mbit\n"
    "rate_burst = 1MiB\n"
    "compress = zstd:7\n"
    "filter = not port 22\n"
    "snaplen = 96\n"
    "priority = lon1/eth0, *\n"
    "schedule = 20:00-06:30, 12:00-12:01\n"
    "requeue = manual\n"
    "connect_timeout = 1s\n"
    "answer_timeout = 5m\n"
    "[upstream backup]\n"
    "url = http://backup:1\n"
    "tls = off\n";

static void
check_node_and_store(const struct pb_conf *conf)
{
	assert_string_equal(conf->node.name, "lon1");
	assert_string_equal(conf->node.description, "London, rack 4");
	assert_int_equal(conf->node.pen, 70000);
	assert_string_equal(conf->store.path, "/var/lib/packetbroker");
	assert_int_equal(conf->store.segment_size, 64 << 20);
	assert_int_equal(conf->store.segment_age_ms, 30000);
	assert_int_equal(conf->store.flush_interval_ms, 50);
	assert_int_equal(conf->store.retain_size, 500ull << 30);
	assert_int_equal(conf->store.retain_age_ms, 604800000);
	assert_int_equal(conf->store.min_free.bytes, 20ull << 30);
	assert_int_equal(conf->store.min_free.percent, 0);
	assert_int_equal(conf->store.index_size, 1 << 30);
	assert_int_equal(conf->store.flows, PB_CONF_FLOWS_ALL);
}

static void
check_network(const struct pb_conf *conf)
{
	const struct pb_conf_upstream *up = &conf->upstream[0];

	assert_string_equal(conf->listen.address, "127.0.0.1:7152");
	assert_true(conf->listen.tls.off);
	assert_string_equal(conf->listen.allow, "lon1, par*, relay:par1");
	assert_int_equal(conf->upstreams, 2);
	assert_int_equal(up[0].compress_level, 7);
	assert_int_equal(up[1].compress_level, 0);
	assert_int_equal(up[0].rate_burst, 1 << 20);
	assert_int_equal(up[1].rate_burst, 0);
	assert_string_equal(up[0].filter, "not port 22");
	assert_int_equal(up[0].snaplen, 96);
	assert_int_equal(up[1].snaplen, 262144);
	assert_string_equal(up[0].priority, "lon1/eth0, *");
	assert_string_equal(up[1].priority, "");
	assert_int_equal(up[0].schedule.count, 2);
	assert_int_equal(up[0].schedule.range[0].from, 20 * 60);
	assert_int_equal(up[0].schedule.range[0].to, 6 * 60 + 30);
	assert_int_equal(up[0].schedule.range[1].to, 12 * 60 + 1);
	assert_int_equal(up[1].schedule.count, 0);
	assert_true(up[0].requeue_manual);
	assert_false(up[1].requeue_manual);
	assert_string_equal(up->name, "core");
	assert_string_equal(up->url, "https://core.example:7152/path");
	assert_string_equal(up->tls.cert, "/c.pem");
	assert_string_equal(up->tls.key, "/k.pem");
	assert_string_equal(up->tls.ca, "/a.pem");
	assert_string_equal(up->streams, "lon1/*, par1/eth?");
	assert_int_equal(up->retry_for_ms, 0);
	assert_int_equal(up->dead_letters_max, 0);
	assert_int_equal(up->dead_letters_age_ms, 604800000);
	assert_int_equal(up->connect_timeout_ms, 1000);
	assert_int_equal(up->answer_timeout_ms, 300000);
	assert_int_equal(up->window, 1 << 20);
	assert_int_equal(up->rate_limit, 100000000);
	assert_string_equal(up[1].name, "backup");
	assert_string_equal(up[1].url, "http://backup:1");
	assert_true(up[1].tls.off);
}

static void
every_key_of_the_contract_reaches_its_field(void **state)
{
	struct pb_conf *conf = load_good(every_key);

	(void)state;
	check_node_and_store(conf);
	assert_int_equal(conf->captures, 2);
	assert_string_equal(conf->capture[0].description, "ToR uplink");
	assert_string_equal(conf->capture[0].filter,
	    "not port 22 and host a;b");
	assert_int_equal(conf->capture[0].snaplen, 128);
	assert_int_equal(conf->capture[0].buffer, 2ull << 30);
	assert_int_equal(conf->capture[0].threads, PB_CAPTURE_THREADS_MAX);
	assert_false(conf->capture[0].promiscuous);
	assert_string_equal(conf->capture[0].timestamp_type, "adapter");
	assert_string_equal(conf->capture[0].trailers, "metamako, raw:4");
	assert_true(conf->capture[0].fcs);
	assert_int_equal(conf->capture[0].tai_utc, 38);
	assert_string_equal(conf->capture[0].timestamp_from, "trailer:2");
	assert_string_equal(conf->capture[0].forward, "eth1");
	assert_true(conf->capture[0].in_only);
	assert_string_equal(conf->capture[1].forward, "");
	assert_false(conf->capture[1].in_only);
	assert_string_equal(conf->capture[1].interface, "any");
	assert_string_equal(conf->capture[1].timestamp_type, "");
	bounds_are(&conf->listen, (const uint64_t[]){ 65536, 1 << 30, 100, 0,
	    2000, 60000, 0, 500 });
	check_network(conf);
	pb_conf_destroy(conf);
}

static void
blanks_line_ends_and_a_byte_order_mark_do_not_matter(void **state)
{
	struct pb_conf *conf = load_good("\xef\xbb\xbf[ node ]\r\n"
	    "    name=lon1\r\n\tdescription   =  caf\xc3\xa9, rack 4  \r\n"
	    "\r\n; comment\r\n   # comment\r\n  [store] # here too\r\n"
	    "  path = /a b\r\n [capture   eth0  ]\r\n  snaplen = 96");

	(void)state;
	assert_string_equal(conf->node.name, "lon1");
	assert_string_equal(conf->node.description, "caf\xc3\xa9, rack 4");
	assert_string_equal(conf->store.path, "/a b");
	assert_string_equal(conf->capture[0].interface, "eth0");
	assert_int_equal(conf->capture[0].snaplen, 96);
	pb_conf_destroy(conf);
}

static void
long_names_of_upstreams_and_interfaces_stay_whole(void **state)
{
	char name[PB_NAME_BYTES_MAX + 1], interface[PB_IFNAME_BYTES_MAX + 1];
	char text[1024];
	struct pb_conf *conf;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(interface, 'i', sizeof(interface) - 1);
	interface[sizeof(interface) - 1] = '\0';
	snprintf(text, sizeof(text), BASE "[capture %s]\n[capture %.60s]\n"
	    "[upstream %s]\nurl = http://x\ntls = off\n[upstream %.60s]\n"
	    "url = http://x\ntls = off\n", interface, interface, name, name);
	conf = load_good(text);
	assert_string_equal(conf->capture[0].interface, interface);
	assert_int_equal(strlen(conf->capture[1].interface), 60);
	assert_string_equal(conf->upstream[0].name, name);
	assert_int_equal(strlen(conf->upstream[1].name), 60);
	pb_conf_destroy(conf);
	snprintf(text, sizeof(text), BASE "[capture %si]\n", interface);
	expect_refused(text, 5, "is no interface name");
	snprintf(text, sizeof(text), BASE "[upstream %sn]\n", name);
	expect_refused(text, 5, "is no name");
}

static const struct refusal unknown_sections_and_keys_suggest_the_nearest[] = {
	{ NODE "[store]\nretain_siz = 1\n", 4, "[store] retain_siz: "
	    "unknown key; did you mean retain_size?" },
	{ "[node]\nnam = x\n", 2, "[node] nam: unknown key; did you "
	    "mean name?" },
	{ BASE "[capture eth0]\nfliter = ip\n", 6, "[capture eth0] "
	    "fliter: unknown key; did you mean filter?" },
	{ BASE "[capture eth0]\ncores = 2\n", 6,
	    "cores: unknown key; there are description, filter" },
	{ BASE "[listen]\nport = 1\n", 6, "unknown key" },
	{ BASE "[upstream c]\ntls_certs = 1\n", 6, "did you mean tls_cert?" },
	{ BASE "[upstream c]\nName = 1\n", 6, "unknown key" },
	{ "[nod]\n", 1, "[nod]: unknown section; did you mean [node]?" },
	{ BASE "[captur eth0]\n", 5, "did you mean [capture]?" },
	{ BASE "[Store]\n", 5, "did you mean [store]?" },
	{ BASE "[dead-letters]\n", 5, "there are node, store" },
	{ "[]\n", 1, "unknown section" },
	{ 0 },
};

static const struct refusal headers_need_their_shape[] = {
	{ "[node\nname = x\n", 1, "without its ]" },
	{ "[node] name = x\n", 1, "stands behind a section header" },
	{ "[node x]\n", 1, "[node x]: takes no name; write [node]" },
	{ BASE "[capture]\n", 5, "needs a name; write it like [capture eth0]" },
	{ BASE "[upstream  ]\n", 5, "[upstream core]" },
	{ BASE "[capture a b]\n", 5, "'a b' is no interface name" },
	{ BASE "[capture a/b]\n", 5, "is no interface name" },
	{ BASE "[upstream a/b]\n", 5, "'a/b' is no name" },
	{ BASE "[upstream ..]\n", 5, "is no name" },
	{ "name = x\n", 1, "name: stands before the first section" },
	{ "[node]\nname\n", 2, "neither a [section] nor a key" },
	{ "[node]\nname lon1\n[store]\n", 2, "neither a [section]" },
	{ 0 },
};

static const struct refusal a_section_or_key_given_twice_is_refused[] = {
	{ "[node]\nname = a\nname = b\n", 3, "[node] name: given "
	    "already in line 2" },
	{ NODE "[node]\ndescription = x\n", 3, "a second section" },
	{ NODE "[node]\n", 3, "[node]: a second section" },
	{ BASE "[capture eth0]\nsnaplen = 1\n[capture eth0]\n"
	    "filter = ip\n", 7, "[capture eth0]: a second section" },
	{ BASE "[capture eth0]\n[capture eth0]\n", 6, "second" },
	{ BASE "[capture eth0]\n[capture eth1]\n[capture  eth0]\n",
	    7, "second" },
	{ BASE "[upstream c]\nurl = http://a\ntls = off\n"
	    "[upstream c]\n", 8, "second" },
	{ BASE "[listen]\naddress = a:1\ntls = off\n[listen]\n", 8, "second" },
	{ BASE "[capture e]\nforward =\nforward =\n", 7, "given" },
	{ 0 },
};

static const struct refusal what_every_node_needs_must_be_there[] = {
	{ "", 0, "no [node] section" },
	{ "# nothing\n", 0, "no [node] section" },
	{ NODE, 0, "no [store] section" },
	{ "[store]\npath = /x\n", 0, "no [node] section" },
	{ "[node]\ndescription = x\n", 1, "[node] name: missing" },
	{ "[node]\n[store]\npath = /x\n", 1, "[node] name: missing" },
	{ NODE "[store]\nsegment_age = 1s\n", 3, "[store] path: missing" },
	{ NODE "[store]\npath =\n", 4, "path: empty" },
	{ "[node]\nname =\n", 2, "is no node name" },
	{ "[node]\nname = a b\n", 2, "'a b' is no node name" },
	{ "[node]\nname = ..\n", 2, "is no node name" },
	{ BASE "[listen]\ntls = off\n", 5, "[listen] address: missing" },
	{ BASE "[upstream c]\ntls = off\n", 5, "[upstream c] url: missing" },
	{ 0 },
};

/* `key = xxx...`, the line `len` bytes long without its newline. */
static char *
text_with_line(const char *before, const char *key, size_t len)
{
	size_t used = strlen(before) + strlen(key) + 3;
	char *text = malloc(strlen(before) + len + 2);

	assert_non_null(text);
	sprintf(text, "%s%s = ", before, key);
	memset(text + used, 'x', strlen(before) + len - used);
	strcpy(text + strlen(before) + len, "\n");
	return text;
}

static void
a_long_line_is_whole_or_refused_but_never_cut(void **state)
{
	static const char before[] = BASE "[capture e]\n";
	char *text = text_with_line(before, "filter", 9 + 4095);
	struct pb_conf *conf = load_good(text);

	(void)state;
	assert_int_equal(strlen(conf->capture[0].filter), 4095);
	pb_conf_destroy(conf);
	free(text);
	text = text_with_line(before, "filter", 9 + 4096);
	expect_refused(text, 6, "filter: 4096 bytes long; write at most 4095");
	free(text);
	text = text_with_line(before, "filter", 100000);
	expect_refused(text, 6, "line too long");
	free(text);
	text = text_with_line(BASE, "#", 100000);
	expect_refused(text, 5, "line too long");
	free(text);
	text = text_with_line("[node]\n", "description", 14 + 256);
	expect_refused(text, 2, "description: 256 bytes long; write at most "
	    "255");
	free(text);
}

static void
only_text_is_read(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "[node]\nname = a\0b\n", 18 },
		{ "[node]\nname = a\x1b[2J\n", 20 },
		{ "[node]\nname = caf\xe9\n", 19 },
		{ "[node]\nname = a\rb\n", 18 },
		{ "[node]\n\x7f" "ELF\n", 12 },
	};
	struct pb_conf *conf = NULL;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(load_bytes(&conf, rows[i].bytes, rows[i].len,
		    &err), PB_EINVAL);
		assert_non_null(strstr(err.text, "t.conf:2: "));
		assert_non_null(strstr(err.text, "no UTF-8 text"));
	}
}

static void
the_number_of_sections_is_bounded(void **state)
{
	struct pb_buf text;

	(void)state;
	pb_buf_init(&text, 65536);
	pb_buf_str(&text, BASE);
	for (int i = 0; i < PB_CAPTURES_MAX; i++)
		pb_buf_printf(&text, "[capture e%d]\n", i);
	for (int i = 0; i < PB_UPSTREAMS_MAX; i++)
		pb_buf_printf(&text, "[upstream u%d]\nurl = http://a\n"
		    "tls = off\n", i);
	pb_conf_destroy(load_good(pb_buf_cstr(&text)));
	pb_buf_str(&text, "[capture x]\n");
	expect_refused(pb_buf_cstr(&text), 4 + 64 + 3 * 64 + 1,
	    "[capture x]: one section of this kind too many; write at most "
	    "64");
	pb_buf_finish(&text);
}

static void
a_file_that_cannot_be_read_gives_one_clear_line(void **state)
{
	struct pb_conf *conf = NULL;
	struct pb_err err;
	char *longest = malloc(PATH_MAX + 1);

	(void)state;
	unlink(file);
	assert_int_equal(pb_conf_load(&conf, file, &err), PB_ENOENT);
	assert_non_null(strstr(err.text, "open configuration /tmp/"));
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(pb_conf_load(&conf, home, &err), PB_ESYS);
	assert_non_null(strstr(err.text, "read configuration /tmp/"));
	assert_non_null(strstr(err.text, "Is a directory"));
	assert_int_equal(pb_conf_load(&conf, file, NULL), PB_ENOENT);
	assert_non_null(longest);
	memset(longest, 'x', PATH_MAX);
	longest[PATH_MAX] = '\0';
	assert_int_equal(pb_conf_load(&conf, longest, &err), PB_EINVAL);
	free(longest);
	assert_null(conf);
}

static void
a_store_alone_has_the_defaults(void **state)
{
	char longest[PATH_MAX + 1];
	struct pb_conf *conf = NULL;

	(void)state;
	memset(longest, 'x', PATH_MAX);
	longest[PATH_MAX] = '\0';
	assert_int_equal(pb_conf_for_store(&conf, "", NULL), PB_EINVAL);
	assert_int_equal(pb_conf_for_store(&conf, longest, NULL), PB_EINVAL);
	assert_int_equal(pb_conf_for_store(&conf, "/s", NULL), 0);
	assert_string_equal(conf->store.path, "/s");
	assert_string_equal(conf->file, "");
	assert_int_equal(conf->store.segment_size, 256 << 20);
	assert_int_equal(conf->store.min_free.percent, 5);
	assert_int_equal(conf->node.pen, 32473);
	assert_false(conf->listen.present);
	assert_int_equal(conf->captures, 0);
	pb_conf_destroy(conf);
	pb_conf_destroy(NULL);
}

/* However it is written, and with what a longer default left behind. */
static void
sections_that_say_the_same_are_the_same(void **state)
{
	struct pb_conf *a = load_good(BASE "[listen]\naddress = a:1\n"
	    "tls = off\nallow = x\n[upstream u]\nurl = http://h\n"
	    "tls = off\n");
	struct pb_conf *b = load_good(BASE "retain_age = 1d\n[upstream u]\n"
	    "tls = off\nretry_for = 60m\nurl = http://h//\n"
	    "[listen]\ntls = off\nallow = x\nhold = 5000ms\n"
	    "address = a:1\n");

	(void)state;
	assert_true(pb_conf_same(PB_CONF_NODE, &a->node, &b->node, false));
	assert_true(pb_conf_same(PB_CONF_LISTEN, &a->listen, &b->listen,
	    false));
	assert_true(pb_conf_same(PB_CONF_UPSTREAM, a->upstream, b->upstream,
	    false));
	/* A reload takes that over. */
	assert_true(pb_conf_same(PB_CONF_STORE, &a->store, &b->store, true));
	assert_false(pb_conf_same(PB_CONF_STORE, &a->store, &b->store,
	    false));
	pb_conf_destroy(a);
	pb_conf_destroy(b);
}

static void
no_key_escapes_a_comparison(void **state)
{
	static union {
		struct pb_conf		whole;
		struct pb_conf_capture	capture;
		struct pb_conf_listen	listen;
		struct pb_conf_upstream	upstream;
	} a, b;

	(void)state;
	for (enum pb_conf_kind kind = 0; kind < PB_CONF_KINDS; kind++) {
		const struct pb_conf_section *s = &pb_conf_sections[kind];

		for (size_t i = 0; i < s->count; i++) {
			unsigned char *field = (unsigned char *)&b +
			    s->keys[i].offset;

			if (s->keys[i].room == 0)
				continue;	/* of a later version */
			*field ^= 1;
			assert_false(pb_conf_same(kind, &a, &b, false));
			assert_int_equal(pb_conf_same(kind, &a, &b, true),
			    !s->keys[i].restart);
			assert_int_equal(pb_conf_goes_on(kind, &a, &b),
			    s->keys[i].live);
			*field ^= 1;
		}
		assert_true(pb_conf_same(kind, &a, &b, false));
	}
}

static void
the_file_is_found_in_its_order(void **state)
{
	char found[PATH_MAX];
	struct pb_err err;

	(void)state;
	pb_conf_destroy(load_good(BASE));
	setenv("PB_CONFIG", file, 1);
	assert_int_equal(pb_conf_find(found, "/given", &err), 0);
	assert_string_equal(found, "/given");
	assert_int_equal(pb_conf_find(found, NULL, &err), 0);
	assert_string_equal(found, file);
	assert_int_equal(chdir(home), 0);
	assert_int_equal(rename("t.conf", "packetbroker.conf"), 0);
	/* Named and not there: no other one takes its place. */
	setenv("PB_CONFIG", "/nowhere/x.conf", 1);
	assert_int_equal(pb_conf_find(found, NULL, &err), 0);
	assert_string_equal(found, "/nowhere/x.conf");
	unsetenv("PB_CONFIG");
	assert_int_equal(pb_conf_find(found, NULL, &err), 0);
	assert_string_equal(found, "./packetbroker.conf");
	assert_int_equal(rename("packetbroker.conf", "t.conf"), 0);
	if (access("/etc/packetbroker/packetbroker.conf", F_OK) < 0) {
		assert_int_equal(pb_conf_find(found, NULL, &err), PB_ENOENT);
		assert_non_null(strstr(err.text, "$PB_CONFIG"));
		assert_non_null(strstr(err.text, "./packetbroker.conf"));
		assert_non_null(strstr(err.text,
		    "/etc/packetbroker/packetbroker.conf"));
	}
	assert_int_equal(chdir(back), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minimal_file_gets_every_default),
		cmocka_unit_test(what_is_wrong_later_is_laid_at_its_line),
		cmocka_unit_test(every_key_of_the_contract_reaches_its_field),
		cmocka_unit_test(
		    blanks_line_ends_and_a_byte_order_mark_do_not_matter),
		cmocka_unit_test(
		    long_names_of_upstreams_and_interfaces_stay_whole),
		REFUSED(unknown_sections_and_keys_suggest_the_nearest),
		REFUSED(headers_need_their_shape),
		REFUSED(a_section_or_key_given_twice_is_refused),
		REFUSED(what_every_node_needs_must_be_there),
		cmocka_unit_test(a_long_line_is_whole_or_refused_but_never_cut),
		cmocka_unit_test(only_text_is_read),
		cmocka_unit_test(the_number_of_sections_is_bounded),
		cmocka_unit_test(
		    a_file_that_cannot_be_read_gives_one_clear_line),
		cmocka_unit_test(a_store_alone_has_the_defaults),
		cmocka_unit_test(sections_that_say_the_same_are_the_same),
		cmocka_unit_test(no_key_escapes_a_comparison),
		cmocka_unit_test(the_file_is_found_in_its_order),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
