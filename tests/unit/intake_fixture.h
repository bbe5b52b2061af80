/*
 * tests/unit/intake_fixture.h - loads in front of a writer that a test moves
 */
#ifndef PB_TESTS_INTAKE_FIXTURE_H
#define PB_TESTS_INTAKE_FIXTURE_H

#include "recorder/intake/intake.h"
#include "tests/unit/fake_store.h"
#include "tests/unit/ingest_body.h"

#define WAITS		1	/* outcome of a load that is not settled */
#define MEMORY_MAX	(128u << 20)
#define HOLD_MS		4000u

static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };
static const struct pb_node self = { "core", "" };

struct job {
	struct pb_load	load;
	struct image	*img;
	int		settled, taken;
};

static struct pb_intake *intake;
static int woken;

static inline void
on_settled(void *arg, struct pb_load *load)
{
	struct job *job = load->arg;
	struct pb_err err;

	(void)arg;
	job->settled++;
	if (load->rc == 0 && load->look.stream != NULL)
		load->rc = pb_look(&fake, &load->look, &load->last_packet,
		    &err);
}

static inline void
on_taken(void *arg, struct pb_load *load)
{
	struct job *job = load->arg;

	(void)arg;
	assert_null(load->body.data);
	job->taken++;
}

static inline void
on_wake(void *arg)
{
	(void)arg;
	woken++;
}

static inline int
setup(void **state)
{
	struct pb_intake_opts opts = {
		.store = &fake, .settled = on_settled, .taken = on_taken,
		.wake = on_wake, .memory_max = MEMORY_MAX, .hold_ms = HOLD_MS,
	};
	struct pb_err err;

	(void)state;
	fake_reset();
	woken = 0;
	return pb_intake_create(&intake, &opts, &err);
}

static inline int
teardown(void **state)
{
	(void)state;
	fake_write(SIZE_MAX, 0);
	pb_intake_collect(intake, 1000000);
	assert_int_equal(pb_intake_busy(intake), 0);
	pb_intake_destroy(intake);
	return 0;
}

static inline void
begin(struct job *job)
{
	struct pb_err err;

	memset(job, 0, sizeof(*job));
	job->load.arg = job;
	assert_int_equal(pb_intake_begin(intake, &job->load, &key, &err), 0);
}

/* A body that is said to be packets first .. last. */
static inline void
send_image(struct job *job, struct image *img, uint64_t first, uint64_t last,
    uint64_t now)
{
	job->img = img;
	job->load.first = first;
	job->load.last = last;
	job->load.body = (struct pb_body){
		.data = img->data, .len = img->len, .key = &key,
		.self = &self, .pen = BODY_PEN };
	pb_intake_offer(intake, &job->load, now);
}

static inline void
send_job(struct job *job, uint64_t first, uint64_t last, uint64_t now)
{
	send_image(job, body_image(&(struct body_opts){ .first = first,
	    .last = last }), first, last, now);
}

static inline void
offer(struct job *job, uint64_t first, uint64_t last, uint64_t now)
{
	begin(job);
	send_job(job, first, last, now);
}

/* As `sender`, about the end, or the last up to `at`. */
static inline void
ask(struct job *job, uint64_t sender, uint64_t at, uint64_t now)
{
	begin(job);
	job->load.ask = true;
	job->load.sender = sender;
	job->load.at = at;
	pb_intake_offer(intake, &job->load, now);
}

/* How the job ended; it is free for the next use if it did. */
static inline int
outcome(struct job *job)
{
	if (job->settled == 0)
		return WAITS;
	assert_int_equal(job->settled, 1);
	free(job->img);
	job->img = NULL;
	return job->load.rc;
}

static inline void
written(uint64_t now)
{
	fake_write(SIZE_MAX, 0);
	pb_intake_collect(intake, now);
}

#endif
