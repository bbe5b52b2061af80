/*
 * tests/unit/test_ring.c - what the kernel wrote beside each packet
 *
 * The ring is made by hand, in pages that stand alone: who reads outside of
 * them ends.  The kernel's answers are the test's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/capture/ring.h"

#define PAGE		4096u
#define RING		(4 * PAGE)
#define RESERVE		4u	/* libpcap's */
#define HEAD		48u	/* struct tpacket3_hdr, aligned */
#define SEC		1732233600u
#define NSEC		123456789u

/* What the kernel says. */
static struct {
	int version, head, reserve, fails;
} says;

int
getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int answer = option == PACKET_VERSION ? says.version :
	    option == PACKET_HDRLEN ? says.head : says.reserve;

	(void)fd;
	assert_int_equal(level, SOL_PACKET);
	assert_int_equal(*len, sizeof(answer));
	if (option == PACKET_HDRLEN)
		assert_int_equal(*(int *)value, TPACKET_V3);
	if (option == says.fails) {
		errno = ENOPROTOOPT;
		return -1;
	}
	memcpy(value, &answer, sizeof(answer));
	return 0;
}

struct made {
	uint8_t		*start;		/* of the ring */
	struct pb_ring	 ring;
	struct tpacket3_hdr *header;	/* of the last packet, */
	struct sockaddr_ll *from;
	const uint8_t	*data;		/* as libpcap gives it out */
	struct pcap_pkthdr packet;
};

static void
make(struct made *made)
{
	uint8_t *alone = mmap(NULL, RING + 2 * PAGE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(made, 0, sizeof(*made));
	assert_true(alone != MAP_FAILED);
	made->start = alone + PAGE;
	assert_int_equal(mprotect(made->start, RING, PROT_READ | PROT_WRITE),
	    0);
	pb_ring_init(&made->ring, made->start, RING, RESERVE);
}

static void
unmake(struct made *made)
{
	assert_int_equal(munmap(made->start - PAGE, RING + 2 * PAGE), 0);
}

/* As tpacket_rcv() and libpcap do: a packet of 100 bytes on the wire, behind
 * `length` of them the network's; tagged, libpcap puts its tag back. */
static void
put(struct made *made, size_t at, unsigned length, bool tagged, uint8_t type)
{
	unsigned tag = tagged ? 4 : 0;
	unsigned net = (HEAD + 20 + (length < 16 ? 16 : length) + 15) / 16 *
	    16 + RESERVE;

	made->header = (void *)(made->start + at);
	made->from = (void *)(made->start + at + HEAD);
	*made->header = (struct tpacket3_hdr){ .tp_sec = SEC,
	    .tp_nsec = NSEC, .tp_len = 100 - tag, .tp_snaplen = 100 - tag,
	    .tp_net = (uint16_t)net, .tp_mac = (uint16_t)(net - length) };
	*made->from = (struct sockaddr_ll){ .sll_family = AF_PACKET,
	    .sll_pkttype = type };
	made->data = made->start + at + net - length - tag;
	made->packet = (struct pcap_pkthdr){ .ts = { SEC, NSEC },
	    .caplen = 100, .len = 100 };
}

static unsigned
type_of(struct made *made)
{
	return pb_ring_type(&made->ring, &made->packet, made->data);
}

static void
a_packet_has_the_type_that_stands_beside_it(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	for (unsigned type = 0; type < 8; type++)
		for (unsigned length = 0; length <= 64; length++) {
			put(&made, 48, length, false, (uint8_t)type);
			assert_int_equal(type_of(&made), type);
			put(&made, PAGE + 8, length, true, (uint8_t)type);
			assert_int_equal(type_of(&made), type);
		}
	unmake(&made);
}

static void
packets_with_tags_and_without_may_take_turns(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	for (unsigned i = 0; i < 1000; i++) {
		/* In by hardware that takes tags off, and out with them. */
		put(&made, 48 + i % 13 * 8, i % 3 == 0 ? 14 : 14 + i % 4 * 4,
		    i % 3 == 0 && i % 2 == 0, (uint8_t)(i % 5));
		assert_int_equal(type_of(&made), i % 5);
	}
	unmake(&made);
}

static void
a_packet_that_was_cut_has_its_type_all_the_same(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	for (unsigned caplen = 0; caplen <= 100; caplen++) {
		put(&made, 48, 14, false, 4);
		made.packet.caplen = caplen;
		assert_int_equal(type_of(&made), 4);
		/* By the kernel. */
		made.header->tp_snaplen = caplen;
		assert_int_equal(type_of(&made), 4);
	}
	unmake(&made);
}

static void
expect_none(struct made *made)
{
	assert_int_equal(type_of(made), PB_TYPE_NONE);
	put(made, 48, 14, false, 0);
	assert_int_equal(type_of(made), 0);
}

static void
a_header_that_says_something_else_is_none(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	put(&made, 48, 14, false, 0);
	made.header->tp_mac -= 2;
	expect_none(&made);
	made.header->tp_mac += 8;
	expect_none(&made);
	made.header->tp_sec++;
	expect_none(&made);
	made.header->tp_nsec--;
	expect_none(&made);
	made.header->tp_len++;
	expect_none(&made);
	made.header->tp_snaplen--;
	expect_none(&made);
	made.from->sll_family = AF_INET;
	expect_none(&made);
	/* The tag counts in all three or in none. */
	made.header->tp_mac += 4;
	expect_none(&made);
	made.header->tp_len -= 4;
	expect_none(&made);
	/* Nothing but a tag was put in. */
	made.header->tp_mac += 8;
	made.header->tp_len -= 8;
	expect_none(&made);
	memset(made.header, 0, HEAD);
	expect_none(&made);
	memset(made.start, 0xff, RING);
	expect_none(&made);
	unmake(&made);
}

/* It is this packet's, but for how far it is. */
static void
a_header_at_another_distance_is_not_taken(void **state)
{
	struct tpacket3_hdr header;
	struct made made;

	(void)state;
	make(&made);
	put(&made, PAGE, 14, false, 0);
	header = *made.header;
	for (unsigned distance = 56; distance < 128; distance++) {
		memset(made.start, 0, RING);
		made.data = made.start + PAGE + distance;
		made.from = (void *)(made.start + PAGE + HEAD);
		made.from->sll_family = AF_PACKET;
		*made.header = header;
		assert_int_equal(type_of(&made), distance == header.tp_mac ?
		    0 : PB_TYPE_NONE);
	}
	unmake(&made);
}

/* A page before it and a page behind it cannot be read. */
static void
nothing_outside_of_the_ring_is_read(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	put(&made, 0, 14, false, 4);
	assert_int_equal(type_of(&made), PB_TYPE_NONE);
	for (size_t i = 0; i < RING + 2 * PAGE; i++) {
		made.data = made.start - PAGE + i;
		assert_int_equal(type_of(&made), PB_TYPE_NONE);
	}
	made.data = NULL;
	assert_int_equal(type_of(&made), PB_TYPE_NONE);
	made.data = (const uint8_t *)UINTPTR_MAX;
	assert_int_equal(type_of(&made), PB_TYPE_NONE);
	unmake(&made);
}

/* The first packet of a ring lies behind the words of its block. */
static void
the_first_packet_and_the_last_have_their_types(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	for (unsigned length = 0; length < 40; length++) {
		put(&made, 48, length, false, 1);
		assert_int_equal(type_of(&made), 1);
		put(&made, RING - 96, length, false, 2);
		made.packet.caplen = made.header->tp_snaplen = 0;
		assert_int_equal(type_of(&made), made.data <
		    made.start + RING ? 2 : PB_TYPE_NONE);
	}
	unmake(&made);
}

static void
without_a_ring_no_packet_has_a_type(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	put(&made, 48, 14, false, 4);
	for (size_t bytes = 0; bytes <= 100; bytes++) {
		pb_ring_init(&made.ring, made.start, bytes, RESERVE);
		assert_int_equal(type_of(&made), PB_TYPE_NONE);
	}
	memset(&made.ring, 0, sizeof(made.ring));
	assert_int_equal(type_of(&made), PB_TYPE_NONE);
	unmake(&made);
}

/* --- which ring it is ---------------------------------------------------- */

static void
kernel_says(int version, int head, int reserve, int fails)
{
	says.version = version;
	says.head = head;
	says.reserve = reserve;
	says.fails = fails;
}

static void
the_ring_of_a_socket_is_found_where_it_is_mapped(void **state)
{
	struct made made;
	struct pb_err err;
	int fd = memfd_create("ring", MFD_CLOEXEC);

	(void)state;
	memset(&made, 0, sizeof(made));
	kernel_says(TPACKET_V3, HEAD, RESERVE, -1);
	assert_int_equal(ftruncate(fd, RING), 0);
	made.start = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	assert_true(made.start != MAP_FAILED);
	assert_int_equal(pb_ring_find(&made.ring, fd, &err), 0);
	put(&made, 48, 14, true, 3);
	assert_int_equal(type_of(&made), 3);
	made.data = made.start + RING - 1;
	assert_int_equal(type_of(&made), PB_TYPE_NONE);
	assert_int_equal(made.ring.first + made.ring.bytes,
	    (uintptr_t)made.start + RING);
	munmap(made.start, RING);
	close(fd);
}

static void
refused(int fd, const char *why)
{
	struct pb_ring ring = { .bytes = 1 };
	struct pb_err err;

	assert_int_equal(pb_ring_find(&ring, fd, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, why));
	assert_int_equal(ring.bytes, 0);
}

static void
a_ring_of_another_kind_is_left_alone(void **state)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);
	void *at;

	(void)state;
	assert_int_equal(ftruncate(fd, RING), 0);
	at = mmap(NULL, RING, PROT_READ, MAP_SHARED, fd, 0);
	kernel_says(TPACKET_V2, HEAD, RESERVE, -1);
	refused(fd, "version 2,");
	kernel_says(TPACKET_V3 + 1, HEAD, RESERVE, -1);
	refused(fd, "version 4,");
	kernel_says(TPACKET_V3, 64, RESERVE, -1);
	refused(fd, "headers of 64 bytes");
	kernel_says(TPACKET_V3, HEAD, -1, -1);
	refused(fd, "in reserve");
	kernel_says(TPACKET_V3, HEAD, RESERVE, PACKET_VERSION);
	refused(fd, "Protocol not available");
	kernel_says(TPACKET_V3, HEAD, RESERVE, PACKET_HDRLEN);
	refused(fd, "Protocol not available");
	kernel_says(TPACKET_V3, HEAD, RESERVE, PACKET_RESERVE);
	refused(fd, "Protocol not available");
	munmap(at, RING);
	close(fd);
}

static void
a_ring_that_is_not_mapped_once_and_whole_is_left_alone(void **state)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);
	void *at, *again;

	(void)state;
	kernel_says(TPACKET_V3, HEAD, RESERVE, -1);
	assert_int_equal(ftruncate(fd, RING), 0);
	refused(fd, "mapped 0 times");
	at = mmap(NULL, RING - PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	refused(fd, "mapped 0 times");
	munmap(at, RING - PAGE);
	at = mmap(NULL, RING, PROT_READ, MAP_SHARED, fd, 0);
	again = mmap(NULL, RING, PROT_READ, MAP_SHARED, fd, 0);
	refused(fd, "mapped 2 times");
	munmap(at, RING);
	munmap(again, RING);
	at = mmap(NULL, RING, PROT_WRITE, MAP_SHARED, fd, 0);
	refused(fd, "mapped 0 times");
	munmap(at, RING);
	close(fd);
	refused(fd, "Bad file descriptor");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_has_the_type_that_stands_beside_it),
		cmocka_unit_test(packets_with_tags_and_without_may_take_turns),
		cmocka_unit_test(
		    a_packet_that_was_cut_has_its_type_all_the_same),
		cmocka_unit_test(a_header_that_says_something_else_is_none),
		cmocka_unit_test(a_header_at_another_distance_is_not_taken),
		cmocka_unit_test(nothing_outside_of_the_ring_is_read),
		cmocka_unit_test(
		    the_first_packet_and_the_last_have_their_types),
		cmocka_unit_test(without_a_ring_no_packet_has_a_type),
		cmocka_unit_test(
		    the_ring_of_a_socket_is_found_where_it_is_mapped),
		cmocka_unit_test(a_ring_of_another_kind_is_left_alone),
		cmocka_unit_test(
		    a_ring_that_is_not_mapped_once_and_whole_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
