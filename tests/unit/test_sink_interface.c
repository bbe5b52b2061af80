/*
 * tests/unit/test_sink_interface.c - packets out of a local interface: what
 * is told of them
 *
 * The interface is the loopback of a network namespace of its own; where
 * that cannot be made, what needs it is skipped.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "pcapng/block.h"
#include "shipper/sink/sink_interface.h"
#include "tests/unit/unit_section.h"

#define GIVE_UP_MS	30000u

struct bench {
	struct pb_conf_upstream conf;
	struct pb_sink	*sink;
	int		 wake;
	struct image	 img;
	struct pb_sink_request request;
	struct pb_answer answer;
	unsigned	 answers;
};

static bool private;			/* a namespace of our own */

static void
done(void *arg, unsigned request, struct pb_answer *answer)
{
	struct bench *b = arg;

	assert_int_equal(request, b->request.action.request);
	b->answer = *answer;
	b->answers++;
}

static struct bench *
bench_create(const char *url)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct pb_sink_opts opts = { .conf = &b->conf };

	assert_non_null(b);
	strcpy(b->conf.name, "out");
	strcpy(b->conf.url, url);
	b->wake = opts.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(b->wake >= 0);
	assert_int_equal(pb_sink_create(&b->sink, &opts, NULL), 0);
	assert_ptr_equal(b->sink->kind, &pb_sink_interface);
	b->sink->done = done;
	b->sink->arg = b;
	return b;
}

static void
bench_destroy(struct bench *b)
{
	pb_sink_destroy(b->sink);
	close(b->wake);
	free(b);
}

/* Packets 1 .. last, so far apart. */
static void
give(struct bench *b, uint64_t last, uint64_t gap_ns)
{
	section_make(&b->img, 1, last, 1700000000 * PB_NS_PER_S, gap_ns);
	b->request = (struct pb_sink_request){ .action = {
	    .kind = PB_ACTION_PACKETS, .request = 3, .stream = 7,
	    .piece = { .first = 1, .last = last } },
	    .linktype = PB_LINKTYPE_ETHERNET,
	    .payload = { .data = b->img.data, .len = b->img.len } };
	assert_int_equal(b->sink->kind->start(b->sink, &b->request, NULL), 0);
	assert_int_equal(b->answers, 0);
}

/* What came of it. */
static struct pb_answer *
answer(struct bench *b)
{
	struct pollfd fd = { .fd = b->wake, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, GIVE_UP_MS), 1);
	b->sink->kind->collect(b->sink);
	assert_int_equal(b->answers, 1);
	return &b->answer;
}

/* The loopback is up, in a namespace of its own. */
static int
make_loopback(void **state)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	(void)state;
	private = unshare(CLONE_NEWNET) == 0 ||
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
	if (!private)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	private = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

static void
of_a_gap_an_interface_that_is_there_knows_nothing(void **state)
{
	(void)state;
	for (int there = 0; there < (private ? 2 : 1); there++) {
		struct bench *b = bench_create(there ? "interface:lo" :
		    "interface:pb-none");

		b->request.action.kind = PB_ACTION_GAP;
		assert_int_equal(b->sink->kind->start(b->sink, &b->request,
		    NULL), 0);
		assert_int_equal(b->answers, 0);
		assert_int_equal(answer(b)->outcome, there ? PB_OUTCOME_HAS :
		    PB_OUTCOME_FAILED);
		bench_destroy(b);
	}
}

static void
packets_of_another_link_type_are_refused_in_words(void **state)
{
	struct bench *b = bench_create("interface:pb-none");

	(void)state;
	b->request.action.kind = PB_ACTION_PACKETS;
	b->request.linktype = PB_LINKTYPE_RAW;
	assert_int_equal(b->sink->kind->start(b->sink, &b->request, NULL), 0);
	assert_int_equal(answer(b)->outcome, PB_OUTCOME_REFUSED);
	assert_string_equal(b->answer.text, "interface pb-none carries "
	    "Ethernet frames, and these packets are of link type 101");
	bench_destroy(b);
}

static void
an_interface_that_is_not_there_has_failed(void **state)
{
	struct bench *b = bench_create("interface:pb-none");

	(void)state;
	give(b, 5, 0);
	assert_int_equal(answer(b)->outcome, PB_OUTCOME_FAILED);
	assert_non_null(strstr(b->answer.text, "pb-none"));
	assert_int_equal(b->answer.acked, 0);
	bench_destroy(b);
}

static void
what_went_out_is_had(void **state)
{
	struct pb_sink_left_out left;
	struct bench *b;

	(void)state;
	if (!private)
		skip();
	b = bench_create("interface:lo");
	give(b, 1000, 0);
	assert_int_equal(answer(b)->outcome, PB_OUTCOME_HAS);
	b->sink->kind->left_out(b->sink, &left);
	assert_int_equal(left.filtered, 0);
	assert_int_equal(left.unfit, 0);
	bench_destroy(b);
}

/* The second packet is due in a second, and the tenth in nine. */
static struct bench *
begin_slowly(void)
{
	struct bench *b;

	if (!private)
		skip();
	b = bench_create("interface:lo");
	b->conf.pace_original = true;
	pb_sink_destroy(b->sink);
	assert_int_equal(pb_sink_create(&b->sink, &(struct pb_sink_opts){
	    .conf = &b->conf, .wake = b->wake }, NULL), 0);
	b->sink->done = done;
	b->sink->arg = b;
	give(b, 10, PB_NS_PER_S);
	return b;
}

static void
a_unit_that_takes_long_is_cut_and_what_went_is_told(void **state)
{
	struct bench *b = begin_slowly();

	(void)state;
	assert_int_equal(answer(b)->outcome, PB_OUTCOME_PART);
	assert_in_range(b->answer.acked, 1, 9);
	bench_destroy(b);
}

static void
who_is_stopped_tells_how_far_it_came_at_once(void **state)
{
	const struct timespec while_it_sends = { .tv_nsec = 200000000 };
	struct bench *b = begin_slowly();

	(void)state;
	nanosleep(&while_it_sends, NULL);
	b->sink->kind->stop(b->sink);
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->answer.outcome, PB_OUTCOME_PART);
	assert_in_range(b->answer.acked, 0, 9);
	assert_true(b->sink->kind->start(b->sink, &b->request, NULL) < 0);
	bench_destroy(b);
}

/* With a unit under way. */
static void
its_end_waits_for_nothing(void **state)
{
	(void)state;
	bench_destroy(begin_slowly());
}

/* But not of an upstream that goes on as it is. */
static void
a_filter_that_is_none_is_told(void **state)
{
	static struct pb_conf conf, before;
	struct pb_conf_upstream *one = &conf.upstream[0];
	struct pb_err err;

	(void)state;
	conf.upstreams = 1;
	*one = (struct pb_conf_upstream){ .name = "out",
	    .filter = "no such thing" };
	assert_int_equal(pb_sink_check(&conf, &before, GIVE_UP_MS, &err),
	    PB_EINVAL);
	assert_memory_equal(err.text, "[upstream out]: filter", 22);
	before = conf;
	assert_int_equal(pb_sink_check(&conf, &before, GIVE_UP_MS, &err), 0);
	assert_int_equal(pb_sink_check(&conf, NULL, GIVE_UP_MS, &err),
	    PB_EINVAL);
	strcpy(one->filter, "host pb-no-such-name.invalid");
	assert_int_equal(pb_sink_check(&conf, &before, GIVE_UP_MS, &err), 0);
	strcpy(one->filter, "tcp port 443");
	assert_int_equal(pb_sink_check(&conf, NULL, GIVE_UP_MS, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    of_a_gap_an_interface_that_is_there_knows_nothing),
		cmocka_unit_test(
		    packets_of_another_link_type_are_refused_in_words),
		cmocka_unit_test(an_interface_that_is_not_there_has_failed),
		cmocka_unit_test(what_went_out_is_had),
		cmocka_unit_test(
		    a_unit_that_takes_long_is_cut_and_what_went_is_told),
		cmocka_unit_test(who_is_stopped_tells_how_far_it_came_at_once),
		cmocka_unit_test(its_end_waits_for_nothing),
		cmocka_unit_test(a_filter_that_is_none_is_told),
	};

	return cmocka_run_group_tests(tests, make_loopback, NULL);
}
