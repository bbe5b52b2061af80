/*
 * tests/unit/test_fanout.c - several handles of one interface, one group
 *
 * The kernel's side is played by the test: what is asked of it, and what it
 * refuses.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "recorder/capture/pcap_open.h"
#include "tests/unit/fake_pcap.h"

#define HANDLES		3
#define GROUP		0xbeefu
#define MODE		(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER)

static struct {
	int		 fd[HANDLES + 1];
	unsigned	 value[HANDLES + 1];
	int		 calls;
	int		 refuse_at;	/* this call, from 0; -1: none */
	bool		 refuse_get;
} kernel;

int
setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	assert_int_equal(level, SOL_PACKET);
	assert_int_equal(option, PACKET_FANOUT);
	assert_int_equal(len, sizeof(unsigned));
	assert_true(kernel.calls < HANDLES);
	kernel.fd[kernel.calls] = fd;
	memcpy(&kernel.value[kernel.calls], value, sizeof(unsigned));
	if (kernel.calls++ == kernel.refuse_at) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int
getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	unsigned group = MODE << 16 | GROUP;

	assert_int_equal(level, SOL_PACKET);
	assert_int_equal(option, PACKET_FANOUT);
	assert_int_equal(fd, kernel.fd[0]);
	if (kernel.refuse_get) {
		errno = ENOPROTOOPT;
		return -1;
	}
	memcpy(value, &group, sizeof(group));
	*len = sizeof(group);
	return 0;
}

struct rig {
	struct pcap	 pcap[HANDLES];
	struct pb_pcap	 opened[HANDLES];
};

static void
rig_init(struct rig *rig, int refuse_at)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.refuse_at = refuse_at;
	memset(rig, 0, sizeof(*rig));
	for (int i = 0; i < HANDLES; i++) {
		fake_init(&rig->pcap[i], (uint8_t)i, 60);
		rig->opened[i].pcap = &rig->pcap[i];
		rig->opened[i].fd = rig->pcap[i].fd;
	}
}

static void
rig_finish(struct rig *rig)
{
	for (int i = 0; i < HANDLES; i++)
		pb_pcap_close(&rig->opened[i]);
}

static void
the_first_asks_for_a_group_and_the_others_join_it(void **state)
{
	struct pb_err err;
	struct rig rig;

	(void)state;
	rig_init(&rig, -1);
	assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 1, &err), 0);
	assert_int_equal(kernel.calls, HANDLES);
	for (int i = 0; i < HANDLES; i++) {
		assert_int_equal(kernel.fd[i], rig.pcap[i].fd);
		assert_int_equal(kernel.value[i], i == 0 ?
		    (unsigned)(MODE | PACKET_FANOUT_FLAG_UNIQUEID) << 16 :
		    (unsigned)MODE << 16 | GROUP);
	}
	rig_finish(&rig);
}

/* The first, one in the middle, the last; and nobody can be told the id. */
static void
a_kernel_that_refuses_is_told_from_an_interface_that_fails(void **state)
{
	struct pb_err err;
	struct rig rig;

	(void)state;
	for (int at = 0; at <= HANDLES; at++) {
		rig_init(&rig, at);
		kernel.refuse_get = at == HANDLES;
		assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 1, &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, "PACKET_FANOUT"));
		assert_int_equal(kernel.calls, at == HANDLES ? 1 : at + 1);
		rig_finish(&rig);
	}
	rig_init(&rig, -1);
	rig.pcap[1].fails = true;
	assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 1, &err),
	    PB_ESYS);
	assert_string_equal(err.text, "as told");
	rig_finish(&rig);
}

static void
what_came_before_the_group_was_whole_is_dropped(void **state)
{
	struct pb_err err;
	struct rig rig;

	(void)state;
	rig_init(&rig, -1);
	for (int i = 0; i < HANDLES; i++)
		fake_more(&rig.pcap[i], 1000 + (uint64_t)i);
	/* And what the slowest kernel gives out last. */
	fake_more(&rig.pcap[2], 1);
	rig.pcap[2].from_ms = pb_clock_mono_ms() + 2 * (3 + 10) - 1;
	assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 3, &err), 0);
	for (int i = 0; i < HANDLES; i++)
		assert_int_equal(rig.pcap[i].at, rig.pcap[i].until);
	rig_finish(&rig);
}

static void
a_ring_that_holds_more_than_one_look_takes_is_emptied(void **state)
{
	struct pb_err err;
	struct rig rig;

	(void)state;
	rig_init(&rig, -1);
	fake_more(&rig.pcap[0], 500000);
	rig.pcap[0].ms_per_look = 15;
	assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 1, &err), 0);
	assert_int_equal(rig.pcap[0].at, 500000);
	rig_finish(&rig);
}

static void
a_ring_that_never_ends_is_not_read_for_ever(void **state)
{
	struct pb_err err;
	struct rig rig;

	(void)state;
	rig_init(&rig, -1);
	fake_more(&rig.pcap[0], UINT32_MAX);
	rig.pcap[0].ms_per_look = 100;
	assert_int_equal(pb_fanout_join(rig.opened, HANDLES, 1, &err), 0);
	assert_true(rig.pcap[0].at < UINT32_MAX);
	rig_finish(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_first_asks_for_a_group_and_the_others_join_it),
		cmocka_unit_test(
		    a_kernel_that_refuses_is_told_from_an_interface_that_fails),
		cmocka_unit_test(
		    what_came_before_the_group_was_whole_is_dropped),
		cmocka_unit_test(
		    a_ring_that_holds_more_than_one_look_takes_is_emptied),
		cmocka_unit_test(a_ring_that_never_ends_is_not_read_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
