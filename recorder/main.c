/*
 * recorder/main.c - pb-recorder: options, signals, exit status
 *
 * Exit status: 0 done; 1 failed while running; 2 wrong usage or
 * configuration.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "conf/conf.h"
#include "recorder/port/ingest.h"
#include "recorder/recorder.h"

#define EXIT_USAGE	2
#define TICK_MS		1000
#define USAGE		"usage: pb-recorder [-c FILE] [-t] [-V] [-h]"

static int	check(const char *);
static int	run(const char *);
static int	load(struct pb_conf **, const char *, struct pb_err *);
static int	take_signals(struct pb_err *);
static void	raise_files(void);
static void	serve(struct pb_recorder *, const char *, int);
static void	reload(struct pb_recorder *, const char *);
static void	help(void);

int
main(int argc, char **argv)
{
	const char *file = NULL;
	bool check_only = false;
	int option;

	pb_files_standard();
	pb_memory_keep();
	opterr = 0;
	while ((option = getopt(argc, argv, "c:tVh")) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 't':
			check_only = true;
			break;
		case 'V':
			puts("pb-recorder " PB_VERSION);
			return 0;
		case 'h':
			help();
			return 0;
		default:
			fprintf(stderr, "pb-recorder: -%c: unknown, or its "
			    "argument is missing; " USAGE "\n", optopt);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pb-recorder: '%s': no arguments are taken; "
		    USAGE "\n", argv[optind]);
		return EXIT_USAGE;
	}
	return check_only ? check(file) : run(file);
}

static int
check(const char *given)
{
	struct pb_conf *conf;
	struct pb_err err;
	int rc = load(&conf, given, &err);

	if (rc > 0)
		fprintf(stderr, "pb-recorder: %s; it would be waited for\n",
		    err.text);
	/* It starts without them, and waits: who asks wants to know. */
	if (rc >= 0) {
		rc = pb_ingest_check(conf, &err);
		if (rc < 0)
			pb_conf_destroy(conf);
	}
	if (rc < 0) {
		fprintf(stderr, "pb-recorder: %s\n", err.text);
		return EXIT_USAGE;
	}
	printf("%s: ok\n", conf->file);
	pb_conf_destroy(conf);
	return 0;
}

static int
run(const char *given)
{
	struct pb_recorder *recorder;
	struct pb_conf *conf;
	struct pb_err err;
	char file[PATH_MAX];
	int signals;

	if (load(&conf, given, &err) < 0) {
		pb_log(PB_LOG_ERROR, "recorder", "%s", err.text);
		return EXIT_USAGE;
	}
	if (pb_owner_refuses(conf->store.path, "pb-recorder",
	    "+net_raw,+net_admin", &err) < 0) {
		pb_log(PB_LOG_ERROR, "recorder", "%s", err.text);
		pb_conf_destroy(conf);
		return EXIT_USAGE;
	}
	snprintf(file, sizeof(file), "%s", conf->file);
	signals = take_signals(&err);
	if (signals < 0) {
		pb_conf_destroy(conf);
		pb_log(PB_LOG_ERROR, "recorder", "%s", err.text);
		return EXIT_FAILURE;
	}
	pb_log_start();
	raise_files();
	/* What was captured is nobody else's business. */
	umask(027);
	pb_log(PB_LOG_INFO, "recorder", "starting version=" PB_VERSION
	    " node=%s store=%s configuration=%s", conf->node.name,
	    conf->store.path, file);
	if (pb_recorder_start(&recorder, conf, &err) < 0) {
		pb_log(PB_LOG_ERROR, "recorder", "%s", err.text);
		close(signals);
		return EXIT_FAILURE;
	}
	pb_notify("READY=1");
	serve(recorder, file, signals);
	pb_notify("STOPPING=1");
	pb_recorder_stop(recorder);
	close(signals);
	pb_log(PB_LOG_INFO, "recorder", "stopped");
	return 0;
}

/* Find, read and check. */
static int
load(struct pb_conf **out, const char *given, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc;

	rc = pb_conf_find(path, given, err);
	if (rc < 0)
		return rc;
	rc = pb_conf_load(out, path, err);
	if (rc < 0)
		return rc;
	rc = pb_recorder_check(*out, err);
	if (rc < 0)
		pb_conf_destroy(*out);
	return rc;
}

/*
 * Signals come through a descriptor, in the main thread alone: blocked
 * here, before any thread starts, they are blocked in all of them.
 */
static int
take_signals(struct pb_err *err)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (errno != 0)
		return pb_err_sys(err, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return pb_err_sys(err, "signalfd");
	return fd;
}

/* Many peers and many streams: as many files as we may have. */
static void
raise_files(void)
{
	struct pb_err err;

	if (pb_files_raise(&err) < 0)
		pb_log(PB_LOG_WARN, "recorder", "%s", err.text);
}

/* Until told to end. */
static void
serve(struct pb_recorder *recorder, const char *file, int signals)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };
	struct signalfd_siginfo info;

	for (;;) {
		poll(&fd, 1, TICK_MS);
		pb_recorder_tick(recorder, pb_clock_mono_ms());
		while (read(signals, &info, sizeof(info)) ==
		    (ssize_t)sizeof(info)) {
			if (info.ssi_signo != SIGHUP) {
				pb_log(PB_LOG_INFO, "recorder", "stopping "
				    "signal=%u", info.ssi_signo);
				return;
			}
			reload(recorder, file);
		}
	}
}

static void
reload(struct pb_recorder *recorder, const char *file)
{
	struct pb_conf *fresh;
	struct pb_err err;
	char state[64];
	int rc;

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)pb_clock_mono_ms() * 1000);
	pb_notify(state);
	rc = load(&fresh, file, &err);
	if (rc >= 0)
		rc = pb_recorder_reload(recorder, fresh, &err);
	if (rc < 0)
		pb_log(PB_LOG_ERROR, "recorder", "not reloaded: %s", err.text);
	else
		pb_log(PB_LOG_INFO, "recorder", "reloaded configuration=%s",
		    file);
	pb_notify("READY=1");
}

static void
help(void)
{
	puts(USAGE "\n"
	    "Captures packets, takes in those of other nodes, and stores "
	    "them.\n"
	    "  -c FILE  the configuration; default $PB_CONFIG, "
	    "./packetbroker.conf,\n"
	    "           /etc/packetbroker/packetbroker.conf\n"
	    "  -t       check the configuration and exit\n"
	    "  -V       print the version\n"
	    "  -h       print this");
}
