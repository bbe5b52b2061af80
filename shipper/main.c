/*
 * shipper/main.c - pb-shipper: moves packets to the upstreams
 */
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "conf/conf.h"
#include "shipper/loop.h"
#include "shipper/edge/edges.h"
#include "shipper/sink/sink.h"
#include "shipper/wire/curl.h"

#define FILTER_MS	2000u	/* for names in a filter */

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void	usage(FILE *);
static int	check(struct pb_conf *, const char *);
static void	raise_files(void);
static int	give_up_rights(const struct pb_conf *, struct pb_err *);
static int	run(struct pb_conf *, struct pb_err *);

int
main(int argc, char **argv)
{
	const char *given = NULL;
	char path[PATH_MAX];
	struct pb_conf *conf;
	struct pb_err err;
	bool test = false;
	int opt;

	pb_files_standard();
	pb_memory_keep();
	while ((opt = getopt(argc, argv, "c:tVh")) != -1) {
		switch (opt) {
		case 'c':
			given = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'V':
			puts("pb-shipper " PB_VERSION);
			return EXIT_DONE;
		case 'h':
			usage(stdout);
			return EXIT_DONE;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pb-shipper: unexpected argument '%s'\n",
		    argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (pb_conf_find(path, given, &err) < 0 ||
	    pb_conf_load(&conf, path, &err) < 0) {
		fprintf(stderr, "pb-shipper: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (!test && pb_owner_refuses(conf->store.path, "pb-shipper",
	    pb_sink_capability(conf), &err) < 0) {
		pb_log(PB_LOG_ERROR, "shipper", "%s", err.text);
		pb_conf_destroy(conf);
		return EXIT_USAGE;
	}
	/* Before a thread looks up the names in filters. */
	if (give_up_rights(conf, &err) < 0) {
		fprintf(stderr, "pb-shipper: %s\n", err.text);
		pb_conf_destroy(conf);
		return EXIT_FAILED;
	}
	if (pb_sink_check(conf, NULL, FILTER_MS, &err) < 0 ||
	    pb_edges_check(conf, &err) < 0) {
		fprintf(stderr, "pb-shipper: %s\n", err.text);
		pb_conf_destroy(conf);
		return EXIT_USAGE;
	}
	if (test)
		return check(conf, path);
	if (run(conf, &err) < 0) {
		pb_log(PB_LOG_ERROR, "shipper", "%s", err.text);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static void
usage(FILE *to)
{
	fputs("usage: pb-shipper [-c FILE] [-t] [-V] [-h]\n"
	    "  -c FILE  configuration; default: $PB_CONFIG, "
	    "./packetbroker.conf,\n"
	    "           /etc/packetbroker/packetbroker.conf\n"
	    "  -t       check the configuration and exit\n"
	    "  -V       print the version and exit\n"
	    "  -h       print this and exit\n", to);
}

/* What can be said without a store: the configuration of `path`, which has
 * been read and goes, and what is loaded at the start. */
static int
check(struct pb_conf *conf, const char *path)
{
	struct pb_err err;
	int rc = pb_curl_load(&err);

	pb_conf_destroy(conf);
	if (rc < 0) {
		fprintf(stderr, "pb-shipper: %s\n", err.text);
		return EXIT_FAILED;
	}
	printf("%s: ok\n", path);
	return EXIT_DONE;
}

/* A local interface takes one capability, and no other is kept.  Root, who
 * runs it by hand without one, stays root. */
static int
give_up_rights(const struct pb_conf *conf, struct pb_err *err)
{
	bool sends = pb_sink_capability(conf)[0] != '\0';

	return sends || geteuid() != 0 ?
	    pb_caps_keep(sends ? PB_CAP(CAP_NET_RAW) : 0, err) : 0;
}

/* Each request under way holds a connection: 64 upstreams, 17 each; and an
 * edge has one, or some. */
static void
raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int
run(struct pb_conf *conf, struct pb_err *err)
{
	struct pb_loop *loop;
	sigset_t signals;
	int fd, rc;

	raise_files();
	/* As pb-recorder: its group may read. */
	umask(027);
	/* A peer that hangs up is an answer, no reason to die. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0) {
		pb_conf_destroy(conf);
		return pb_err_sys(err, "signalfd");
	}
	pb_log_start();
	pb_log(PB_LOG_INFO, "shipper", "started version=%s node=%s",
	    PB_VERSION, conf->node.name);
	rc = pb_loop_create(&loop, conf, fd, err);
	if (rc == 0) {
		pb_notify("READY=1");
		rc = pb_loop_run(loop, err);
		pb_loop_destroy(loop);
	}
	close(fd);
	return rc;
}
