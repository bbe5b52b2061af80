/*
 * tests/unit/test_store_looks.c - looks at files of a store on a disk that
 * hangs
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "recorder/intake/intake.h"
#include "tests/unit/stepped.h"

#define LOOKS		4
#define PATIENCE_S	20	/* then the disk goes on, and the test fails */

struct asked {
	pthread_t	 thread;
	struct pb_store	*store;
	struct pb_look	 look;
	struct pb_fingerprint last;
	int		 rc;
};

static _Thread_local bool slow;
static sem_t hangs, go_on;
static atomic_int impatient;
static atomic_bool broken;		/* the disk, once it goes on */

/* The disk: a read of a thread that is `slow` hangs. */
ssize_t
pread(int fd, void *to, size_t len, off_t offset)
{
	struct timespec until = { .tv_sec = time(NULL) + PATIENCE_S };

	if (slow) {
		sem_post(&hangs);
		if (sem_timedwait(&go_on, &until) < 0)
			impatient++;
		slow = false;
		if (broken) {
			errno = EIO;
			return -1;
		}
	}
	return syscall(SYS_pread64, fd, to, len, offset);
}

static void *
look_slowly(void *arg)
{
	struct asked *asked = arg;
	struct pb_err err;

	slow = true;
	asked->rc = pb_look(asked->store, &asked->look, &asked->last, &err);
	return NULL;
}

/* Returns when all of them hang. */
static void
begin(const struct fixture *f, struct asked asked[LOOKS])
{
	impatient = 0;
	sem_init(&hangs, 0, 0);
	sem_init(&go_on, 0, 0);
	for (int i = 0; i < LOOKS; i++) {
		asked[i] = (struct asked){ .store = f->store, .look = {
			f->stream, pb_stream_durable(f->stream), i % 2 == 0, 0,
			pb_store_changes(f->store) } };
		assert_int_equal(pthread_create(&asked[i].thread, NULL,
		    look_slowly, &asked[i]), 0);
	}
	for (int i = 0; i < LOOKS; i++)
		sem_wait(&hangs);
}

static void
end(struct asked asked[LOOKS])
{
	for (int i = 0; i < LOOKS; i++)
		sem_post(&go_on);
	for (int i = 0; i < LOOKS; i++)
		pthread_join(asked[i].thread, NULL);
	assert_int_equal(impatient, 0);
}

static void
the_index_grows_while_looks_hang(void **state)
{
	struct asked asked[LOOKS];
	struct fixture *f = *state;

	broken = false;
	fixture_write(f, 1, 100, 100);
	begin(f, asked);
	assert_int_equal(pb_store_resize(f->store, 128u << 20, NULL), 0);
	end(asked);
	for (int i = 0; i < LOOKS; i++) {
		assert_int_equal(asked[i].rc, 0);
		assert_int_equal(asked[i].last.seq, 100);
	}
}

/* Whether the one that was is still read, or is not. */
static void
a_look_tells_nothing_where_another_store_came_meanwhile(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, 1, 100, 100);
	for (int i = 0; i < 2; i++) {
		struct pb_store_stats stats = { .away = false };
		struct asked asked[LOOKS];

		broken = i == 1;
		begin(f, asked);
		shell("S='%s'; mv $S $S.away", f->dir);
		while (!stats.away) {
			step(f, 250);
			pb_store_stats(f->store, &stats);
		}
		shell("S='%s'; mkdir $S", f->dir);
		while (stats.away) {
			step(f, 250);
			pb_store_stats(f->store, &stats);
		}
		fixture_write(f, 101 + 100 * (uint64_t)i,
		    200 + 100 * (uint64_t)i, 200);
		end(asked);
		for (int k = 0; k < LOOKS; k++) {
			assert_int_equal(asked[k].rc, PB_ESYS);
			assert_int_equal(asked[k].last.seq, 0);
		}
		shell("rm -r '%s.away'", f->dir);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED(the_index_grows_while_looks_hang),
		STEPPED(
	    a_look_tells_nothing_where_another_store_came_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
