/*
 * tests/unit/fake_pcap.h - a libpcap that gives what a test tells it to give
 *
 * These take the library's place in the program that includes them.  Packet
 * n of a handle has its lane in the first byte and n in the next eight; its
 * descriptor is readable while there are packets.
 */
#ifndef PB_TEST_FAKE_PCAP_H
#define PB_TEST_FAKE_PCAP_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "recorder/capture/pcap_open.h"

struct pcap {
	uint8_t		 lane;
	int		 fd;
	uint32_t	 caplen;
	uint64_t	 at;		/* packets given out */
	_Atomic uint64_t until;		/* packets there are */
	_Atomic uint64_t from_ms;	/* and none before that time */
	_Atomic bool	 fails;		/* the next look, once */
	_Atomic uint32_t dropped, ifdropped;
	bool		 broken;	/* pcap_breakloop() */
	unsigned	 ms_per_look;	/* how slow it is */
	bool		 empty_fails;	/* as libpcap's netfilter */
	bool		 waits;		/* as D-Bus: for a packet, one a look,
					 * or for 100 ms once broken off */
	struct timeval	 time;		/* of its packets, 0: now */
};

static inline void
fake_init(struct pcap *pcap, uint8_t lane, uint32_t caplen)
{
	*pcap = (struct pcap){ .lane = lane, .caplen = caplen };
	pcap->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(pcap->fd >= 0);
}

/* Some more packets. */
static inline void
fake_more(struct pcap *pcap, uint64_t packets)
{
	uint64_t one = 1;

	pcap->until += packets;
	assert_int_equal(write(pcap->fd, &one, sizeof(one)), sizeof(one));
}

static inline void
fake_header(const struct pcap *pcap, struct pcap_pkthdr *header)
{
	uint64_t now = pb_clock_real_ns();

	header->ts = pcap->time;
	if (pcap->time.tv_sec == 0) {
		header->ts.tv_sec = (time_t)(now / PB_NS_PER_S);
		header->ts.tv_usec = (suseconds_t)(now % PB_NS_PER_S);
	}
	header->caplen = header->len = pcap->caplen;
}

int
pcap_dispatch(pcap_t *pcap, int count, pcap_handler each, u_char *user)
{
	static _Thread_local uint8_t data[1 << 18];
	struct pcap_pkthdr header;
	uint64_t drained;
	int n = 0;

	if (atomic_exchange(&pcap->fails, false))
		return PCAP_ERROR;
	if (pcap->ms_per_look > 0)
		poll(NULL, 0, (int)pcap->ms_per_look);
	if (pb_clock_mono_ms() < pcap->from_ms)
		return 0;
	if (pcap->empty_fails && pcap->at == pcap->until) {
		errno = EAGAIN;
		return PCAP_ERROR;
	}
	if (pcap->waits) {
		while (pcap->at == pcap->until) {
			poll(NULL, 0, 100);
			if (pcap->broken) {
				pcap->broken = false;
				return PCAP_ERROR_BREAK;
			}
		}
		fake_header(pcap, &header);
		pb_put_le64(data + 1, pcap->at++);
		each(user, &header, data);
		return 1;
	}
	fake_header(pcap, &header);
	for (; n < count && pcap->at < pcap->until && !pcap->broken; n++) {
		data[0] = pcap->lane;
		pb_put_le64(data + 1, pcap->at++);
		each(user, &header, data);
	}
	if (pcap->broken) {
		pcap->broken = false;
		return PCAP_ERROR_BREAK;
	}
	if (pcap->at == pcap->until && read(pcap->fd, &drained,
	    sizeof(drained)) > 0 && pcap->at < pcap->until)
		fake_more(pcap, 0);
	return n;
}

void
pcap_breakloop(pcap_t *pcap)
{
	pcap->broken = true;
}

int
pcap_stats(pcap_t *pcap, struct pcap_stat *stat)
{
	stat->ps_recv = (unsigned)pcap->at;
	stat->ps_drop = pcap->dropped;
	stat->ps_ifdrop = pcap->ifdropped;
	return 0;
}

char *
pcap_geterr(pcap_t *pcap)
{
	static char words[] = "as told";

	(void)pcap;
	return words;
}

void
pcap_close(pcap_t *pcap)
{
	close(pcap->fd);
	pcap->fd = -1;
}

#endif
