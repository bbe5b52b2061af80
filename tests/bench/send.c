/*
 * tests/bench/send.c - numbered frames out of an interface, by an outlet
 *
 *	send IFACE ENGINE BYTES COUNT [BATCH [SECONDS_MAX [PAUSE_US]]]
 *
 * ENGINE is that of outlet.h, or bulk: auto, with much to send.  BYTES may
 * be a list, of which each frame has the next one: 60,1514.  A frame's
 * number stands in its bytes 14 to 17, and what follows it comes of that.
 * COUNT 0: until the time is over.  SIGTERM: no more of them.  PAUSE_US:
 * after each batch.  A line of JSON says what came of it,
 * `cpu_ns` the processor's time of a frame, that of start-up included;
 * status 0, or 1 and what failed.  While the interface is down it waits.
 *
 *	send --spin GAP_NS COUNT
 *
 * Sends nothing: it looks at the clock, until each of COUNT moments GAP_NS
 * apart, and says how late it was.  That is what a processor of this machine
 * can do at best.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/timing.h"
#include "recorder/transmit/engine/outlet.h"

#define BATCH		256u
#define SIZES_MAX	16u
#define FRAME_BYTES_MAX	65535u
#define TURN_NS		50000000u	/* of waiting */
#define DOWN_NS		1000000u

struct job {
	struct pb_outlet *outlet;
	unsigned	 sizes, size[SIZES_MAX];
	size_t		 stride;	/* between two frames in memory */
	unsigned	 batch;
	uint64_t	 count, until_ns, pause_ns;
	uint64_t	 down, skipped;
	struct pb_frame	 frame[BATCH];
	uint8_t		*memory;
};

static volatile sig_atomic_t stopped;

static void
make_frame(struct job *job, unsigned at, uint64_t number)
{
	uint8_t *data = job->memory + at * job->stride;
	unsigned len = job->size[number % job->sizes];
	uint32_t n = (uint32_t)number;

	job->frame[at] = (struct pb_frame){ .data = data, .len = len };
	data[14] = (uint8_t)(n >> 24);
	data[15] = (uint8_t)(n >> 16);
	data[16] = (uint8_t)(n >> 8);
	data[17] = (uint8_t)n;
}

static void
make_frames(struct job *job)
{
	static const uint8_t head[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1,
	    0x88, 0xb5 };	/* IEEE's EtherType for experiments */

	for (unsigned i = 0; i < job->sizes; i++)
		if (job->size[i] > job->stride)
			job->stride = job->size[i];
	job->stride += sizeof(head) + 4;
	job->memory = malloc(BATCH * job->stride);
	if (job->memory == NULL)
		abort();
	for (size_t i = 0; i < BATCH; i++) {
		uint8_t *data = job->memory + i * job->stride;

		for (size_t at = 0; at < job->stride; at++)
			data[at] = (uint8_t)(at * 7);
		memcpy(data, head, sizeof(head));
	}
}

static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

static bool
over(const struct job *job)
{
	return stopped || pb_clock_mono_ns() > job->until_ns;
}

static void
pause_for(uint64_t ns)
{
	const struct timespec time = { .tv_nsec = (long)ns };

	nanosleep(&time, NULL);
}

static int
turn(struct job *job, uint64_t *number, struct pb_err *err)
{
	unsigned count = job->batch;
	int rc;

	if (job->count - *number < count)
		count = (unsigned)(job->count - *number);
	for (unsigned i = 0; i < count; i++)
		make_frame(job, i, *number + i);
	for (unsigned at = 0; at < count; ) {
		rc = pb_outlet_send(job->outlet, job->frame + at, count - at,
		    err);
		if (rc > 0)
			at += (unsigned)rc;
		if (rc == 0)
			rc = pb_outlet_wait(job->outlet, TURN_NS, err);
		if (rc == PB_EFORMAT) {
			if (job->skipped++ == 0)
				fprintf(stderr, "skip: %s\n", err->text);
			at++;
		} else if (rc == PB_EBUSY) {
			if (job->down++ == 0)
				fprintf(stderr, "down: %s\n", err->text);
			pause_for(DOWN_NS);
		} else if (rc < 0) {
			return rc;
		}
		if (over(job)) {
			*number += at;
			return 0;
		}
	}
	*number += count;
	if (job->pause_ns > 0)
		pause_for(job->pause_ns);
	return 0;
}

static int
run(struct job *job, struct pb_err *err)
{
	uint64_t start_ns = pb_clock_mono_ns(), number = 0, ns, cpu_ns;
	struct pb_outlet_stats stats;
	const char *why, *name;
	int rc = 0, left = 0;

	while (rc == 0 && number < job->count && !over(job))
		rc = turn(job, &number, err);
	if (rc == 0)
		left = pb_outlet_drain(job->outlet, PB_OUTLET_DRAIN_NS_MAX,
		    err);
	ns = pb_clock_mono_ns() - start_ns;
	cpu_ns = (uint64_t)clock() * (PB_NS_PER_S / CLOCKS_PER_SEC);
	pb_outlet_stats(job->outlet, &stats);
	name = pb_outlet_engine(job->outlet, &why);
	printf("{\"packets\": %llu, \"bytes\": %llu, \"refused\": %llu, "
	    "\"full\": %llu, \"skipped\": %llu, \"down\": %llu, \"left\": %d, "
	    "\"seconds\": %.6f, \"mpps\": %.4f, \"cpu_ns\": %.0f, "
	    "\"engine\": \"%s\", \"why\": \"%s\"}\n",
	    (unsigned long long)stats.packets,
	    (unsigned long long)stats.bytes, (unsigned long long)stats.refused,
	    (unsigned long long)stats.full, (unsigned long long)job->skipped,
	    (unsigned long long)job->down, left, (double)ns / 1e9,
	    (double)stats.packets * 1e3 / (double)ns, (double)cpu_ns /
	    (double)(stats.packets + 1), name, why);
	return rc < 0 ? rc : left < 0 ? left : 0;
}

static int
parse(struct job *job, char **argv, int argc)
{
	double seconds = argc > 6 ? atof(argv[6]) : 1e6;

	for (char *at = argv[3]; job->sizes < SIZES_MAX; at++) {
		job->size[job->sizes] = (unsigned)strtoul(at, &at, 10);
		if (job->size[job->sizes++] > FRAME_BYTES_MAX)
			return -1;
		if (*at != ',')
			break;
	}
	job->count = strtoull(argv[4], NULL, 10);
	if (job->count == 0)
		job->count = UINT64_MAX;
	job->batch = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : BATCH;
	if (job->batch == 0 || job->batch > BATCH)
		return -1;
	job->pause_ns = argc > 7 ? strtoull(argv[7], NULL, 10) * 1000 : 0;
	job->until_ns = pb_clock_mono_ns() + (uint64_t)(seconds * 1e9);
	return 0;
}

static int
spin(uint64_t gap_ns, uint64_t count)
{
	static struct pb_timing late;
	uint64_t due = pb_clock_mono_ns() + gap_ns, now;

	for (uint64_t i = 0; i < count; i++, due += gap_ns) {
		do
			now = pb_clock_mono_ns();
		while (now < due);
		pb_timing_add(&late, now - due);
	}
	printf("{\"p50\": %llu, \"p99\": %llu, \"p999\": %llu, "
	    "\"max\": %llu}\n",
	    (unsigned long long)pb_timing_find(&late, 500),
	    (unsigned long long)pb_timing_find(&late, 990),
	    (unsigned long long)pb_timing_find(&late, 999),
	    (unsigned long long)late.max);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct job job;
	struct pb_outlet_opts opts = { .engine = PB_ENGINE_AUTO };
	struct pb_err err;
	int rc = 0;

	if (argc == 4 && strcmp(argv[1], "--spin") == 0)
		return spin(strtoull(argv[2], NULL, 10),
		    strtoull(argv[3], NULL, 10));
	if (argc < 5 || parse(&job, argv, argc) < 0) {
		fprintf(stderr, "send IFACE ENGINE BYTES COUNT "
		    "[BATCH [SECONDS_MAX [PAUSE_US]]]\n");
		return 2;
	}
	opts.bulk = strcmp(argv[2], "bulk") == 0;
	if (!opts.bulk)
		rc = pb_engine_parse(&opts.engine, argv[2], &err);
	if (rc == 0)
		rc = pb_outlet_open(&job.outlet, argv[1], &opts, &err);
	if (rc == 0) {
		make_frames(&job);
		signal(SIGTERM, stop);
		rc = run(&job, &err);
	}
	if (rc < 0)
		fprintf(stderr, "send: %s\n", err.text);
	pb_outlet_close(job.outlet);
	free(job.memory);
	return rc < 0 ? 1 : 0;
}
