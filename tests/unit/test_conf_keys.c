/*
 * tests/unit/test_conf_keys.c - what keys may be, and which go together
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/conf_fixture.h"

static const struct refusal encryption_is_whole_or_spelled_out_as_off[] = {
	{ BASE "[listen]\naddress = a:1\n", 5, "[listen] tls_cert: "
	    "missing; give tls_cert, tls_key and tls_ca, or spell "
	    "out tls = off" },
	{ BASE "[listen]\naddress = a:1\ntls = on\n", 5,
	    "spell out tls = off" },
	{ BASE "[listen]\naddress = a:1\ntls_cert = /c\n"
	    "tls_key = /k\n", 5, "tls_ca: missing" },
	{ BASE "[listen]\naddress = a:1\ntls_cert = /c\n"
	    "tls_ca = /a\n", 5, "tls_key: missing" },
	{ BASE "[listen]\naddress = a:1\ntls = off\ntls_ca = /a\n", 8,
	    "tls_ca: given, but tls is off" },
	{ BASE "[listen]\naddress = a:1\ntls = no\n", 7,
	    "'no' is neither on nor off" },
	{ BASE "[listen]\naddress = a:1\ntls_cert =\n", 7, "empty" },
	{ BASE "[upstream c]\nurl = https://a\n", 5,
	    "[upstream c] tls_cert: missing" },
	{ BASE "[upstream c]\nurl = http://a\n", 6,
	    "url: http:// sends packets in the clear" },
	{ BASE "[upstream c]\nurl = http://a\n" CERTS, 6, "in the clear" },
	{ BASE "[upstream c]\nurl = http://a\ntls = off\n" CERTS, 8,
	    "tls_cert: given, but tls is off" },
	{ BASE "[upstream c]\nurl = https://a\ntls = off\n", 7,
	    "tls: off, but url begins with https://" },
	{ BASE "[upstream c]\nurl = https://a\ntls_key = /k\n"
	    "tls_ca = /a\n[capture e]\n", 5, "tls_cert: missing" },
	{ 0 },
};

#define CAPTURE	BASE "[capture x]\n"
static const struct values values_keep_their_bounds[] = {
	{ BASE, 4, "segment_size", { "1MiB", "4GiB" },
	    { "1048575", "4294967297" } },
	{ BASE, 4, "segment_age", { "1s" }, { "999ms" } },
	{ BASE, 4, "flush_interval", { "1ms", "10s" }, { "0", "10001ms" } },
	{ BASE, 4, "retain_size", { "512MiB" }, { "511MiB" } },
	{ BASE, 4, "retain_age", { "0", "60s" }, { "-1s", "59s" } },
	{ BASE, 4, "min_free", { "99%", "0%", "0", "1TiB", "5%" },
	    { "100%", "%", "5 %", "-5%", "99999999999999999999%" } },
	{ BASE, 4, "index_size", { "1MiB", "16TiB" }, { "1MiB1", "17TiB" } },
	{ BASE, 4, "flows", { "yes", "no", "all" }, { "some", "2" } },
	{ CAPTURE, 5, "snaplen", { "1", "262144" }, { "0", "262145" } },
	{ CAPTURE, 5, "buffer", { "1MiB", "2GiB" }, { "1023KiB", "2049MiB" } },
	{ CAPTURE, 5, "promiscuous", { "on" }, { "maybe" } },
	{ CAPTURE, 5, "timestamp_type",
	    { "host", "1234567890123456789012345678901" },
	    { "host adapter", "12345678901234567890123456789012" } },
	{ CAPTURE, 5, "fcs", { "yes", "off" }, { "4", "" } },
	{ CAPTURE, 5, "tai_utc", { "0", "255" }, { "256", "-1", "37s" } },
	{ CAPTURE, 5, "timestamp_from",
	    { "trailer:2", "1234567890123456789012345678901" },
	    { "trailer, outermost", "12345678901234567890123456789012" } },
	{ CAPTURE, 5, "threads", { "1", "32" }, { "0", "33", "-1", "two" } },
	{ 0 },
};

#define UP	BASE "[upstream c]\nurl = http://a\ntls = off\n"
static const struct refusal values_of_an_upstream_keep_their_bounds[] = {
	{ UP "window = 1023KiB\n", 8, "window: '1023KiB' is too "
	    "little; write at least 1MiB" },
	{ UP "window = 64\n", 8, "too little" },
	{ UP "rate_limit = 100\n", 8, "is no rate" },
	{ UP "rate_limit = 7kbit\n", 8, "rate_limit: bodies that come slower" },
	{ UP "rate_burst = 2GiB\n", 8, "rate_burst: '2GiB' is out of range" },
	{ UP "compress = gzip\n", 8, "compress: 'gzip' is no compression; "
	    "write none, zstd or zstd:3" },
	{ UP "compress = zstd:20\n", 8, "compress: '20'" },
	{ UP "compress = zstd:\n", 8, "compress: ''" },
	{ UP "snaplen = 0\n", 8, "snaplen: '0'" },
	{ UP "snaplen = 262145\n", 8, "snaplen: '262145'" },
	{ UP "priority = lon1\n", 8, "'lon1' names no stream" },
	{ UP "priority = a/1,a/2,a/3,a/4,a/5,a/6,a/7,*\n", 8,
	    "priority: 8 globs; write 7 at most" },
	{ UP "schedule =\n", 8, "schedule: empty; write 20:00-06:00" },
	{ UP "schedule = 20:00\n", 8, "schedule: '20:00' is no time of day; "
	    "write 20:00-06:00, several with commas" },
	{ UP "schedule = 20:00-06:00, 24:00-01:00\n", 8, "'24:00-01:00' is" },
	{ UP "schedule = 12:60-13:00\n", 8, "is no time of day" },
	{ UP "schedule = 12:00-12:00\n", 8, "is no time of day" },
	{ UP "schedule = 1:2,1:2,1:2\n", 8, "is no time of day" },
	{ UP "schedule = 01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,"
	    "01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00\n",
	    8, "schedule: more than 8 times of day" },
	{ UP "retry_for = 60\n", 8, "is no time span" },
	{ UP "dead_letters_max = lots\n", 8, "is no size" },
	{ UP "dead_letters_age = 30\n", 8, "is no time span" },
	{ UP "connect_timeout = 0\n", 8, "connect_timeout: '0' is "
	    "out of range; write 1s to 1h" },
	{ UP "answer_timeout = 2h\n", 8, "answer_timeout: '2h' is "
	    "out of range; write 1s to 1h" },
	{ UP "streams =\n", 8, "streams: empty" },
	{ UP "streams = lon1\n", 8, "'lon1' names no stream" },
	{ UP "streams = a/b, lon1\n", 8, "'lon1' names no stream" },
	{ NODE "[store]\npath = /x\nsegment_size = 2MiB\n"
	    "retain_size = 3MiB\n[capture e]\n", 6,
	    "[store] retain_size: less than two segments, the "
	    "open one and a sealed one; write at least 4.0 MiB" },
	{ NODE "[store]\npath = /x\nretain_age = 30s\n", 5,
	    "[store] retain_age: less than segment_age" },
	{ NODE "[store]\npath = /x\nmin_free = 100%\n", 5,
	    "[store] min_free: all of the file system" },
	{ NODE "[store]\npath = /x\nindex_size = 1GiB\n"
	    "retain_size = 40TiB\n", 5, "[store] index_size: full "
	    "before retain_size is reached; write at least 2.5 GiB" },
	{ NODE "[store]\npath = /x\npen = 1\n", 5, "unknown key" },
	{ "[node]\nname = a\npen = 0\n", 3, "from 1 to 4294967295" },
	{ "[node]\nname = a\npen = 4294967296\n", 3, "range" },
	{ 0 },
};

#define EDGE	BASE "[edge lon1]\nurl = http://a\ntls = off\n"
static const struct refusal an_edge_has_keys_of_its_own[] = {
	{ BASE "[edge]\n", 5, "[edge]: needs a name; write it like [edge "
	    "lon1]" },
	{ BASE "[edge lon1]\ntls = off\n", 5, "url: missing; write url = "
	    "https://lon1.example:7152" },
	{ BASE "[edge lon1]\nurl = http://a\n", 6, "spell out tls = off" },
	{ BASE "[edge lon1]\nurl = interface:eth1\n", 6, "url: an edge is a "
	    "node; write https://host:port" },
	{ EDGE "[edge lon1]\n", 8, "a second section of this name" },
	{ EDGE "proxy_auth = /a\n", 8, "there is no proxy" },
	{ EDGE CERTS, 8, "tls_cert: given, but tls is off" },
	{ EDGE "answer_timeout = 1s\n", 8, "write 2s to 1h" },
	{ EDGE "window = 1KiB\n", 8, "write 1MiB to 1GiB" },
	{ EDGE "streams = lon1\n", 8, "'lon1' names no stream" },
	{ EDGE "retry_for = 1h\n", 8, "retry_for: not of an edge: what waits, "
	    "waits at the edge; write it there, in [upstream NAME] with url = "
	    "pull: and this node's name" },
	{ EDGE "delivery = at-most-once\n", 8, "delivery: not of an edge" },
	{ EDGE "filter = tcp\n", 8, "filter: not of an edge: what waits" },
	{ EDGE "rate_limit = 1Mbit\n", 8, "rate_limit: not of an edge: what "
	    "waits, waits at the edge; write it there" },
	{ EDGE "schedule = 20:00-06:00\n", 8, "schedule: not of an edge: what "
	    "waits" },
	{ EDGE "requeue = manual\n", 8, "requeue: not of an edge: what waits, "
	    "waits at the edge, which gives dead letters in their turn" },
	{ EDGE "windov = 1MiB\n", 8, "unknown key; did you mean window?" },
	{ 0 },
};

static void
edges_are_dialled(void **state)
{
	struct pb_conf *conf = load_good(EDGE "[edge par1]\n"
	    "url = https://par1.example:7152/x/\n" CERTS
	    "streams = par1/*\nwindow = 2MiB\ncompress = zstd\n"
	    "connect_timeout = 2s\nanswer_timeout = 10s\n"
	    "proxy = http://p:3128\nproxy_auth = /auth\n");
	const struct pb_conf_edge *edge = pb_conf_edge(conf, "par1");

	(void)state;
	assert_int_equal(conf->edges, 2);
	assert_null(pb_conf_edge(conf, "fra1"));
	assert_ptr_equal(edge, &conf->edge[1]);
	assert_string_equal(edge->url, "https://par1.example:7152/x");
	assert_string_equal(edge->tls.cert, "/c");
	assert_string_equal(edge->streams, "par1/*");
	assert_int_equal(edge->window, 2 << 20);
	assert_true(edge->compress_zstd);
	assert_int_equal(edge->connect_timeout_ms, 2000);
	assert_int_equal(edge->answer_timeout_ms, 10000);
	assert_string_equal(edge->proxy, "http://p:3128");
	assert_string_equal(edge->proxy_auth, "/auth");
	edge = pb_conf_edge(conf, "lon1");
	assert_string_equal(edge->streams, "*");
	assert_int_equal(edge->window, 64 << 20);
	assert_int_equal(edge->answer_timeout_ms, 60000);
	pb_conf_destroy(conf);
}

#define OUT	BASE "[upstream c]\nurl = interface:eth1\n"
static const struct refusal an_interface_has_no_keys_of_a_connection[] = {
	{ OUT "tls = off\n", 7, "tls: given, but url is an interface" },
	{ OUT "tls_ca = /a\n", 7, "tls_ca: given" },
	{ OUT CERTS, 7, "tls_cert: given" },
	{ OUT "compress = zstd\n", 7, "compress: given" },
	{ OUT "rate_burst = 1MiB\n", 7, "rate_burst: given" },
	{ OUT "snaplen = 96\n", 7, "snaplen: given, but url is an interface, "
	    "where frames go out whole" },
	{ OUT "pace = slow\n", 7, "'slow' is no pace; write none or "
	    "original" },
	{ OUT "delivery = exactly-once\n", 7, "'exactly-once' is no "
	    "promise" },
	{ 0 },
}, a_node_has_no_keys_of_an_interface[] = {
	{ UP "pace = original\n", 8, "pace: not of an upstream that is a "
	    "node" },
	{ UP "delivery = at-most-once\n", 8, "delivery: not of" },
	{ 0 },
};

static const struct refusal what_is_captured_leaves_by_another_interface[] = {
	{ BASE "[capture eth1]\n[upstream c]\nurl = interface:eth1\n", 6,
	    "[upstream c] streams: [upstream c] would send what is captured "
	    "at eth1 out of it again; write streams there that leave "
	    "lon1/eth1 out" },
	{ OUT "streams = *\n[capture eth1]\n", 8, "[capture eth1]: "
	    "[upstream c] would send" },
	{ OUT "streams = lon1/eth?, par1/*\n[capture any]\n"
	    "[capture eth1]\n", 9, "[capture eth1]: [upstream c] would" },
	{ OUT "[capture any]\n", 7, "leave lon1/any out" },
	{ "[store]\npath = /store\n[capture eth1]\n[upstream c]\n"
	    "url = interface:eth1\n" NODE, 6, "[node]: [upstream c] would" },
	{ OUT "streams = */eth2\n[capture eth1]\nforward = eth2\n"
	    "[capture eth2]\n", 10, "packets go in a circle, eth1 -> eth2 "
	    "-> eth1: [upstream c] would send what comes in there out of it "
	    "again; write direction = in in [capture eth2], or streams that "
	    "leave lon1/eth2 out" },
	{ 0 },
};

static void
what_others_captured_leaves_by_any_interface(void **state)
{
	(void)state;
	pb_conf_destroy(load_good(OUT "[capture eth0]\n"));
	pb_conf_destroy(load_good(OUT "streams = */eth2\n[capture eth1]\n"
	    "forward = eth2\n[capture eth2]\ndirection = in\n"));
	pb_conf_destroy(load_good(OUT "streams = par1/*, lon1/eth0\n"
	    "[capture eth1]\n[capture eth0]\n"));
	pb_conf_destroy(load_good(BASE "[capture eth1]\n[upstream c]\n"
	    "url = http://eth1\ntls = off\n"));
}

static void
an_upstream_may_be_an_interface(void **state)
{
	struct pb_conf *conf = load_good(OUT "filter = tcp port 443\n"
	    "pace = original\ndelivery = at-most-once\n"
	    "rate_limit = 10Mbit\n[upstream d]\nurl = interface:eth2\n"
	    "delivery = at-least-once\npace = none\n"
	    "[upstream e]\nurl = http://a\ntls = off\npace = none\n");

	(void)state;
	assert_string_equal(pb_conf_interface(&conf->upstream[0]), "eth1");
	assert_string_equal(conf->upstream[0].filter, "tcp port 443");
	assert_true(conf->upstream[0].pace_original);
	assert_true(conf->upstream[0].at_most_once);
	assert_string_equal(pb_conf_interface(&conf->upstream[1]), "eth2");
	assert_string_equal(conf->upstream[1].filter, "");
	assert_false(conf->upstream[1].pace_original);
	assert_false(conf->upstream[1].at_most_once);
	assert_null(pb_conf_interface(&conf->upstream[2]));
	pb_conf_destroy(conf);
}

#define LISTEN	BASE "[listen]\naddress = a:1\ntls = off\n"
#define UP_OF(name, url)						\
	"[upstream " name "]\nurl = " url "\n"				\
	"tls = off\n"
#define PULLED	LISTEN "allow = pull:c\n[upstream c]\nurl = pull:\n"
static const struct refusal bounds_on_peers_have_bounds[] = {
	{ LISTEN "body_max = 65535\n", 8, "body_max: '65535' is out "
	    "of range; write 64KiB to 64MiB" },
	{ LISTEN "body_max = 65MiB\n", 8, "64KiB to 64MiB" },
	{ LISTEN "body_max = 0\n", 8, "64KiB to 64MiB" },
	{ LISTEN "memory_max = 63MiB\n", 8, "64MiB to 1TiB" },
	{ LISTEN "connections_max = 0\n", 8, "from 1 to 65536" },
	{ LISTEN "connections_max = 65537\n", 8, "from 1 to 65536" },
	{ LISTEN "connections_per_peer = -1\n", 8, "from 0 to" },
	{ LISTEN "head_timeout = 999ms\n", 8, "1s to 1h" },
	{ LISTEN "idle_timeout = 0\n", 8, "1s to 1h" },
	{ LISTEN "idle_timeout = 61m\n", 8, "1s to 1h" },
	{ LISTEN "body_rate_min = 8\n", 8, "is no rate" },
	{ LISTEN "body_rate_min = 2Gbit\n", 8, "0 to 1Gbit" },
	{ LISTEN "hold = 99ms\n", 8, "100ms to 1m" },
	{ LISTEN "hold = 61s\n", 8, "100ms to 1m" },
	{ 0 },
};

static const struct values the_ends_of_those_bounds_are_taken[] = {
	{ LISTEN, 7, "body_max", { "64KiB", "64MiB" }, { NULL } },
	{ LISTEN, 7, "memory_max", { "64MiB", "1TiB" }, { NULL } },
	{ LISTEN, 7, "connections_max", { "1", "65536" }, { NULL } },
	{ LISTEN, 7, "hold", { "100ms", "1m" }, { NULL } },
	{ LISTEN, 7, "body_rate_min", { "0", "1Gbit" }, { NULL } },
	{ LISTEN, 7, "head_timeout", { "1s", "1h" }, { NULL } },
	{ 0 },
};

static const struct refusal each_thread_has_a_mebibyte_of_the_buffer[] = {
	{ CAPTURE "threads = 4\nbuffer = 3MiB\n", 6,
	    "threads: they share buffer, and each needs 1MiB of it; "
	    "write fewer, or buffer = 4MiB" },
	{ CAPTURE "buffer = 4095KiB\nthreads = 4\n", 7, "buffer = 4MiB" },
	{ 0 },
};

static void
threads_are_as_many_as_the_buffer_has_mebibytes(void **state)
{
	struct pb_conf *conf = load_good(BASE "[capture eth0]\n"
	    "buffer = 4MiB\nthreads = 4\n[capture eth1]\nthreads = 32\n"
	    "[capture eth2]\nbuffer = 1MiB\n");

	(void)state;
	assert_int_equal(conf->capture[0].threads, 4);
	assert_int_equal(conf->capture[1].threads, PB_CAPTURE_THREADS_MAX);
	assert_int_equal(conf->capture[2].threads, 1);
	pb_conf_destroy(conf);
}

static const struct values an_address_has_a_host_and_a_port[] = {
	{ BASE "[listen]\ntls = off\n", 6, "address",
	    { "127.0.0.1:7152", "[::]:1", "[fe80::1%eth0]:65535",
	    "core.example:7152", "*:7152" },
	    { "127.0.0.1", ":7152", "a:0", "a:65536", "a:", "a:x", "::1:1",
	    "[::1]", "[::1]7152", "[]:1", "a b:1", "[::1:1", "::1]:1",
	    "a:1/", "http://a:1" } },
	{ 0 },
}, a_url_has_a_scheme_and_a_host[] = {
	{ BASE "[upstream c]\ntls = off\n", 6, "url", { "http://a",
	    "http://a:65535/b:c", "http://[::1]/", "http://[fe80::1%25e]:1" },
	    { "http://a:65536", "http://a:0", "http://a:", "http://a:x",
	    "http://a:1:2", "http://[::1", "http://[::1]2", "http://[]:1",
	    "http://::1:7152" } },
	{ BASE "[upstream c]\ntls = off\n", 6, "url", { "http://a" },
	    { "core.example", "core.example:7152", "ftp://a", "http://",
	    "https:///x", "http://:7152", "http://a?b=c", "http://a#b",
	    "http://user:secret@a", "http://a b", "HTTP://a" } },
	{ 0 },
}, an_interface_has_a_name_as_the_kernel_takes_it[] = {
	{ BASE "[upstream c]\n", 5, "url", { "interface:eth1",
	    "interface:123456789012345" }, { "interface:", "interface:a b",
	    "interface:a/b", "interface:a:b", "interface://eth1",
	    "interface:..", "interface:1234567890123456" } },
	{ 0 },
}, only_node_names_and_relays_can_be_allowed[] = {
	{ LISTEN, 7, "allow", { "lon1, par*, relay:par1", "*" },
	    { "", ",", "relay:", "peer:lon1", "lon1/eth0", "lon1; par1",
	    "relay:relay:a" } },
	{ LISTEN, 7, "allow", { "pull:a", "*, pull:a=x/*, pull:b=*" },
	    { "pull:", "pull:a*", "pull:a=", "pull:a=x", "pull:a=x/*|",
	    "pull:a=|x/*", "pull:a=x/*||y/*", "pull:=x/*", "pull:pull:a",
	    "relay:pull:a", "pull:a/b" } },
	{ 0 },
};

#define PULL	LISTEN "allow = *, pull:core1, pull:core2=lon1/*|par1/eth?\n"
static const struct refusal who_pulls_is_an_upstream_and_the_other_way_round[]
    = {
	{ LISTEN "allow = pull:a, pull:a\n", 0, "[listen] allow: pull:a is "
	    "there twice" },
	{ PULL UP_OF("core1", "http://a"), 0, "[upstream core1] url: packets "
	    "are sent there, and pull:core1 in allow" },
	{ PULL "[upstream core3]\nurl = pull:\n", 0, "[upstream core3] url: nobody may "
	    "pull under this name; write pull:core3" },
	{ BASE "[upstream core1]\nurl = pull:\n", 0, "nobody may pull" },
	{ PULL "[upstream core2]\nurl = pull:\nstreams = x/*\n", 0,
	    "[upstream core2] streams: pull:core2 in allow of [listen] names "
	    "others" },
	{ 0 },
}, who_pulls_is_sent_nothing[] = {
	{ PULLED "tls = off\n", 11, "tls: given, but it pulls" },
	{ PULLED CERTS, 11, "tls_cert: given, but it pulls" },
	{ PULLED "compress = zstd\n", 11, "compress: given" },
	{ PULLED "requeue = manual\n", 11, "requeue: given, but it pulls: "
	    "what it asks for it is given as it was stored, dead letters in "
	    "their turn" },
	{ PULLED "pace = original\n", 11, "pace: given" },
	{ PULLED "delivery = at-most-once\n", 11, "delivery: given" },
	{ PULLED "proxy = http://a:1\n", 11, "proxy: given, but it pulls: "
	    "write it into [edge] there" },
	{ 0 },
};

static void
who_may_pull_is_among_the_upstreams(void **state)
{
	struct pb_conf *conf = load_good("[upstream core1]\nurl = pull:\n"
	    "retry_for = 6h\n" PULL);

	(void)state;
	assert_int_equal(conf->upstreams, 2);
	assert_ptr_equal(pb_conf_puller(conf, "core1"), &conf->upstream[0]);
	assert_int_equal(conf->upstream[0].retry_for_ms, 6 * 3600000);
	assert_string_equal(conf->upstream[0].streams, "*");
	assert_ptr_equal(pb_conf_puller(conf, "core2"), &conf->upstream[1]);
	assert_int_equal(conf->upstream[1].retry_for_ms, 3600000);
	assert_string_equal(conf->upstream[1].streams, "lon1/*,par1/eth?");
	assert_null(pb_conf_puller(conf, "core3"));
	pb_conf_destroy(conf);
	conf = load_good(PULL "[upstream core2]\nurl = pull:\n"
	    "rate_limit = 8Mbit\nrate_burst = 1MiB\n"
	    "schedule = 20:00-06:00\npriority = lon1/eth0, *\n");
	assert_string_equal(pb_conf_puller(conf, "core2")->streams,
	    "lon1/*,par1/eth?");
	assert_int_equal(pb_conf_puller(conf, "core2")->rate_limit, 8000000);
	assert_int_equal(pb_conf_puller(conf, "core2")->schedule.count, 1);
	pb_conf_destroy(conf);
	conf = load_good(PULL UP_OF("other", "http://a"));
	assert_null(pb_conf_puller(conf, "other"));
	pb_conf_destroy(conf);
}

static const struct refusal trailers_stand_on_frames_of_networks_alone[] = {
	{ BASE "[capture any]\ntrailers = metamako\n", 6, "[capture any] "
	    "trailers: any is no network interface, and only on the frames "
	    "of one do they stand; leave the key out" },
	{ BASE "[capture nflog:3]\nfcs = yes\n", 6, "[capture nflog:3] "
	    "fcs: nflog:3 is no network interface" },
	{ 0 },
};

static const struct refusal packets_go_out_of_network_interfaces_alone[] = {
	{ BASE "[capture e]\nforward = any\n", 6, "[capture e] forward: "
	    "'any' is no network interface; write one like eth1" },
	{ BASE "[capture e]\nforward = nflog:3\n", 6, "no network" },
	{ BASE "[capture e]\nforward = eth1 eth2\n", 6, "no network" },
	{ BASE "[capture e]\nforward = a/b\n", 6, "no network" },
	{ BASE "[capture e]\nforward = sixteen-bytes-00\n", 6, "16 bytes "
	    "long; write at most 15" },
	{ BASE "[capture any]\nforward = eth1\n", 6, "[capture any] "
	    "forward: any is no network interface" },
	{ BASE "[capture usbmon1]\nsnaplen = 9\nforward = eth1\n", 7,
	    "usbmon1 is no network interface" },
	{ BASE "[capture e]\ndirection = out\n", 6, "direction: 'out' is "
	    "no direction; write both or in" },
	{ BASE "[capture e]\ndirection =\n", 6, "no direction" },
	{ 0 },
};

#define WAY(from, to)	"[capture " from "]\nforward = " to "\n"
#define IN			"direction = in\n"

static const struct refusal a_circle_is_named[] = {
	{ BASE WAY("e", "e"), 6, "[capture e] forward: e is the captured "
	    "interface itself" },
	{ BASE WAY("e", "e") IN, 6, "itself" },
	{ BASE WAY("e", "f") WAY("f", "e"), 8, "[capture f] forward: "
	    "packets go in a circle, e -> f -> e, and would be captured more "
	    "than once; write direction = in in [capture] of each" },
	{ BASE WAY("e", "f") IN WAY("f", "e"), 9, "circle, f -> e -> "
	    "f," },
	{ BASE WAY("e", "f") WAY("f", "e") IN, 8, "circle, e -> f -> "
	    "e," },
	/* What leads into it is none of it. */
	{ BASE WAY("x", "a") WAY("a", "b") WAY("b", "c")
	    "[capture y]\n" WAY("c", "a"), 13, "circle, a -> b -> c -> "
	    "a," },
	{ 0 },
};

static void
what_does_not_go_in_a_circle_is_taken(void **state)
{
	static const char *const text[] = {
		BASE WAY("e", "f") "[capture f]\n",
		BASE WAY("e", "f") WAY("f", "g") WAY("g", "h"),
		BASE WAY("e", "f") WAY("g", "f"),
		BASE WAY("e", "f") IN WAY("f", "e") IN,
		BASE WAY("e", "f") IN WAY("f", "e") IN
		    WAY("g", "e"),
		BASE "[capture e]\nforward =\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(text); i++)
		pb_conf_destroy(load_good(text[i]));
}

/* The longest there can be, of the longest names. */
static void
a_long_circle_is_one_line(void **state)
{
	struct pb_buf text;

	(void)state;
	pb_buf_init(&text, 65536);
	pb_buf_str(&text, BASE);
	for (unsigned i = 0; i < PB_CAPTURES_MAX; i++)
		pb_buf_printf(&text, "[capture interface-%05u]\n"
		    "forward = interface-%05u\n", i,
		    (i + 1) % PB_CAPTURES_MAX);
	expect_refused(pb_buf_cstr(&text), 4 + 2 * PB_CAPTURES_MAX,
	    "packets go in a circle, interface-00000 -> interface-00001");
	expect_refused(pb_buf_cstr(&text), 4 + 2 * PB_CAPTURES_MAX,
	    "... -> interface-00000, and would be captured more than once; "
	    "write direction = in in [capture] of each of these, or leave "
	    "forward out");
	pb_buf_finish(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		REFUSED(encryption_is_whole_or_spelled_out_as_off),
		REFUSED(an_interface_has_no_keys_of_a_connection),
		REFUSED(a_node_has_no_keys_of_an_interface),
		cmocka_unit_test(an_upstream_may_be_an_interface),
		REFUSED(what_is_captured_leaves_by_another_interface),
		cmocka_unit_test(what_others_captured_leaves_by_any_interface),
		VALUES(an_interface_has_a_name_as_the_kernel_takes_it),
		VALUES(values_keep_their_bounds),
		REFUSED(an_edge_has_keys_of_its_own),
		cmocka_unit_test(edges_are_dialled),
		REFUSED(values_of_an_upstream_keep_their_bounds),
		REFUSED(bounds_on_peers_have_bounds),
		VALUES(the_ends_of_those_bounds_are_taken),
		REFUSED(each_thread_has_a_mebibyte_of_the_buffer),
		cmocka_unit_test(
		    threads_are_as_many_as_the_buffer_has_mebibytes),
		VALUES(an_address_has_a_host_and_a_port),
		VALUES(a_url_has_a_scheme_and_a_host),
		VALUES(only_node_names_and_relays_can_be_allowed),
		REFUSED(who_pulls_is_an_upstream_and_the_other_way_round),
		REFUSED(who_pulls_is_sent_nothing),
		cmocka_unit_test(who_may_pull_is_among_the_upstreams),
		REFUSED(trailers_stand_on_frames_of_networks_alone),
		REFUSED(packets_go_out_of_network_interfaces_alone),
		REFUSED(a_circle_is_named),
		cmocka_unit_test(what_does_not_go_in_a_circle_is_taken),
		cmocka_unit_test(a_long_circle_is_one_line),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
