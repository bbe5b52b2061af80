/*
 * cli/replay/asked.c - what `pb replay` is asked for: its options
 */
#include "cli/replay/asked.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

static int	check_source(const struct pb_replay_asked *, bool);
static int	take_file(void *, const char *, struct pb_err *);
static int	take_loop(void *, const char *, struct pb_err *);
static int	take_down(void *, const char *, struct pb_err *);
static int	take_engine(void *, const char *, struct pb_err *);
static int	take_dst(void *, const char *, struct pb_err *);
static int	take_src(void *, const char *, struct pb_err *);

#define SELECT	offsetof(struct pb_replay_asked, select)
#define WAYS	offsetof(struct pb_replay_asked, ways)
#define SPEED	offsetof(struct pb_replay_asked, speed)
#define REWRITE	offsetof(struct pb_replay_asked, rewrite)
#define TRAILING offsetof(struct pb_replay_asked, trailing)
const struct pb_cli_option pb_replay_options[] = {
	{ .help = "What to send (default: what the store has):" },
	PB_CLI_SELECT(SELECT),
	PB_CLI_SELECT_SEQ(SELECT),
	{ "inner", 0, NULL, offsetof(struct pb_replay_asked, inner), NULL,
	    "ask the filter at every depth of VLAN, MPLS and PPPoE" },
	{ "read", 'r', "FILE", offsetof(struct pb_replay_asked, file),
	    take_file,
	    "packets of a pcap or pcapng file instead, `-` for\n"
	    "standard input, which goes out as it comes" },
	{ "limit", 0, "N", SELECT, pb_select_limit,
	    "N packets in all, loops included" },
	{ "loop", 0, "N", offsetof(struct pb_replay_asked, loops), take_loop,
	    "N times, one after the other; 0: until interrupted" },
	{ "preload", 0, NULL, offsetof(struct pb_replay_asked, preload), NULL,
	    "read all of it before the first packet is sent, where\n"
	    "half of the free memory is enough" },
	{ .help = "Where to:" },
	{ "interface", 'i', "IFACE", WAYS, pb_ways_interface,
	    "the interface that all goes out of, but for --map" },
	{ "map", 0, "GLOB=IFACE", WAYS, pb_ways_map,
	    "streams whose node/interface matches go out of IFACE;\n"
	    "can be repeated, the first that matches counts" },
	{ .help = "When (default: with the distances it was captured with):" },
	{ "speed", 0, "X", SPEED, pb_speed_times,
	    "X times as fast; 0.5 is half" },
	{ "pps", 0, "N", SPEED, pb_speed_pps, "N packets a second" },
	{ "mbps", 0, "N", SPEED, pb_speed_mbps,
	    "N million bits a second, of frames without FCS, preamble\n"
	    "and gap" },
	{ "top", 0, NULL, SPEED, pb_speed_top, "as fast as it goes" },
	{ "gap-max", 0, "T", SPEED, pb_speed_gap_max,
	    "no silence is longer than T, such as 100ms or 2s" },
	{ "no-spin", 0, NULL, offsetof(struct pb_replay_asked, no_spin), NULL,
	    "sleep until a packet is due rather than look at the clock\n"
	    "for the last of it: less exact, and a processor less" },
	{ .help = "What does not fit:" },
	{ "truncate", 0, NULL, offsetof(struct pb_replay_asked, truncate), NULL,
	    "cut packets that are too long for the interface's MTU" },
	{ "skip", 0, NULL, offsetof(struct pb_replay_asked, skip), NULL,
	    "leave out what cannot be sent: too long, too short, or\n"
	    "not Ethernet" },
	{ "on-down", 0, "WHAT", offsetof(struct pb_replay_asked, wait_down),
	    take_down,
	    "a link goes down: stop, the default, or wait for it" },
	{ .help = "As what:" },
	PB_CLI_STRIP_TRAILERS(TRAILING,
	    "as they were before the first switch that stamped them;\n"
	    "frames that do not parse go out as they are"),
	PB_CLI_TRAILERS(TRAILING),
	{ "dst-mac", 0, "MAC", REWRITE, take_dst,
	    "another destination address" },
	{ "src-mac", 0, "MAC", REWRITE, take_src,
	    "another source address" },
	{ "vlan", 0, "N", REWRITE, pb_rewrite_vlan_parse,
	    "number N in the outermost VLAN tag, or in a new one where\n"
	    "there is none; `none` takes all tags off" },
	{ .help = "How:" },
	{ "engine", 0, "ENGINE", offsetof(struct pb_replay_asked, engine),
	    take_engine,
	    "auto, sendmmsg, xdp or ring" },
	PB_CLI_JSON(struct pb_replay_asked, "the report as a JSON object"),
	{ 0 },
};

void
pb_replay_asked_init(void *arg)
{
	struct pb_replay_asked *opts = arg;

	pb_select_init(&opts->select);
	opts->loops = 1;
	pb_speed_init(&opts->speed);
}

int
pb_replay_asked_check(const struct pb_replay_asked *opts, bool store)
{
	if (opts->ways.ways == 0)
		return pb_cli_usage("replay: no interface; give -i IFACE, or "
		    "--map STREAM=IFACE");
	if (opts->speed.given > 1)
		return pb_cli_usage("replay: --speed, --pps, --mbps and --top "
		    "are four ways to say when; give one of them");
	if (opts->speed.pace.gap_ns_max < UINT64_MAX &&
	    opts->speed.pace.kind != PB_PACE_OWN)
		return pb_cli_usage("replay: --gap-max is about the packets' "
		    "own timing; leave out --pps, --mbps or --top");
	if (opts->truncate && opts->skip)
		return pb_cli_usage("replay: --truncate and --skip are two "
		    "things to do with what is too long; give one of them");
	if ((opts->trailing.given || opts->trailing.fcs) &&
	    !opts->trailing.strip)
		return pb_cli_usage("replay: %s says what --strip-trailers "
		    "takes off; give both", opts->trailing.given ?
		    "--trailers" : "--fcs");
	if (opts->select.limit == 0)
		return pb_cli_usage("replay: --limit 0 sends nothing");
	return opts->file == NULL ? 0 : check_source(opts, store);
}

/* Of -r. */
static int
check_source(const struct pb_replay_asked *opts, bool store)
{
	if (store || opts->select.globs > 0 ||
	    !pb_select_whole(&opts->select))
		return pb_cli_usage("replay: -r reads a file; -c, --store, "
		    "--stream, --after, --before and --seq are about a store");
	if (opts->inner)
		return pb_cli_usage("replay: --inner asks a store; leave out "
		    "it or -r");
	if (strcmp(opts->file, "-") == 0 && opts->loops != 1 &&
	    !opts->preload)
		return pb_cli_usage("replay: standard input can be read once; "
		    "--preload keeps it for --loop");
	return 0;
}

static int
take_file(void *at, const char *text, struct pb_err *err)
{
	if (*(const char **)at != NULL)
		return pb_err_set(err, PB_EINVAL, "-r: one file; 'pb import' "
		    "brings several together in a store");
	*(const char **)at = text;
	return 0;
}

static int
take_loop(void *at, const char *text, struct pb_err *err)
{
	if (pb_parse_u64(text, 0, UINT64_MAX, at, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--loop");
}

static int
take_down(void *at, const char *text, struct pb_err *err)
{
	bool wait = strcmp(text, "wait") == 0;

	if (!wait && strcmp(text, "stop") != 0)
		return pb_err_set(err, PB_EINVAL, "--on-down '%.40s': there is "
		    "wait and stop", text);
	*(bool *)at = wait;
	return 0;
}

static int
take_engine(void *at, const char *text, struct pb_err *err)
{
	if (pb_engine_parse(at, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--engine");
}

static int
take_dst(void *at, const char *text, struct pb_err *err)
{
	struct pb_rewrite *rewrite = at;

	if (pb_mac_parse(&rewrite->dst, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--dst-mac");
}

static int
take_src(void *at, const char *text, struct pb_err *err)
{
	struct pb_rewrite *rewrite = at;

	if (pb_mac_parse(&rewrite->src, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--src-mac");
}
