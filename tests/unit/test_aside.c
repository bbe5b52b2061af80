/*
 * tests/unit/test_aside.c - work that may wait for long
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/aside.h"

static bool no_threads;
static sem_t begins, may_end;
static _Atomic int dropped;

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
	    void *);

	if (no_threads)
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, start, arg);
}

static void
work(void *arg)
{
	int *calls = arg;

	sem_post(&begins);
	sem_wait(&may_end);
	++*calls;
}

static void
drop(void *arg)
{
	(void)arg;
	dropped++;
}

static struct pb_aside *
start(int *calls)
{
	struct pb_aside *aside;
	struct pb_err err;

	sem_init(&begins, 0, 0);
	sem_init(&may_end, 0, 0);
	dropped = *calls = 0;
	assert_int_equal(pb_aside_start(&aside, work, drop, calls, true,
	    &err), 0);
	sem_wait(&begins);
	return aside;
}

static void
its_end_is_waited_for(void **state)
{
	int calls;
	struct pb_aside *aside = start(&calls);

	(void)state;
	assert_false(pb_aside_wait(aside, -1, 0));
	sem_post(&may_end);
	assert_true(pb_aside_wait(aside, -1, -1));
	assert_true(pb_aside_wait(aside, -1, 0));
	assert_int_equal(calls, 1);
	pb_aside_leave(aside);
	for (int i = 0; i < 1000 && dropped == 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(dropped, 1);
}

static void
who_is_told_to_stop_leaves_it_and_it_puts_itself_away(void **state)
{
	int calls, stop_fd = eventfd(1, EFD_CLOEXEC);
	struct pb_aside *aside = start(&calls);

	(void)state;
	assert_false(pb_aside_wait(aside, stop_fd, -1));
	pb_aside_leave(aside);
	assert_int_equal(dropped, 0);
	sem_post(&may_end);
	for (int i = 0; i < 1000 && dropped == 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(dropped, 1);
	assert_int_equal(calls, 1);
	close(stop_fd);
	pb_aside_leave(NULL);
}

static void
without_a_thread_it_is_done_at_once_or_not_at_all(void **state)
{
	struct pb_aside *aside = NULL;
	struct pb_err err;
	int calls = 0;

	(void)state;
	sem_init(&begins, 0, 0);
	sem_init(&may_end, 0, 1);
	dropped = 0;
	no_threads = true;
	assert_int_equal(pb_aside_start(&aside, work, drop, &calls, true,
	    &err), PB_ESYS);
	assert_null(aside);
	assert_int_equal(dropped, 1);
	assert_int_equal(calls, 0);
	assert_int_equal(pb_aside_start(&aside, work, drop, &calls, false,
	    &err), 0);
	assert_true(pb_aside_wait(aside, -1, 0));
	assert_int_equal(calls, 1);
	pb_aside_leave(aside);
	assert_int_equal(dropped, 2);
	no_threads = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_end_is_waited_for),
		cmocka_unit_test(
		    without_a_thread_it_is_done_at_once_or_not_at_all),
		cmocka_unit_test(
		    who_is_told_to_stop_leaves_it_and_it_puts_itself_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
