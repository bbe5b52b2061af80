/*
 * recorder/capture/look.c - some packets of an interface, looked at and not
 * kept
 */
#include "recorder/capture/look.h"

#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "recorder/capture/pcap_open.h"
#include "recorder/filter/linktype.h"

#define RING_BYTES	(32u << 20)
#define WAIT_MS		50	/* between looks at the clock and the stop */

struct looking {
	const struct pb_capture_look *look;
	struct pb_pcap	 pcap;
	uint64_t	 packets;
};

static int	look_on(struct looking *, struct pb_err *);
static void	on_packet(u_char *, const struct pcap_pkthdr *,
		    const u_char *);

int
pb_capture_look(const struct pb_capture_look *look, struct pb_err *err)
{
	struct looking looking = { .look = look };
	struct pb_pcap_ask ask = {
		.capture = {
			.snaplen = PB_SNAPLEN,
			.buffer = RING_BYTES,
			.threads = 1,
			.promiscuous = true,
		},
		.hold_ms = WAIT_MS,
	};
	int rc;

	snprintf(ask.capture.interface, sizeof(ask.capture.interface), "%s",
	    look->interface);
	rc = pb_pcap_open(&looking.pcap, &ask, NULL, 1, err);
	if (rc < 0)
		return rc;
	if (looking.pcap.linktype != PB_LINKTYPE_ETHERNET)
		rc = pb_err_set(err, PB_EINVAL, "interface %s: is %s, and "
		    "trailers stand on Ethernet frames", look->interface,
		    pb_linktype_name(looking.pcap.linktype));
	else
		rc = look_on(&looking, err);
	pb_pcap_close(&looking.pcap);
	return rc;
}

static int
look_on(struct looking *looking, struct pb_err *err)
{
	const struct pb_capture_look *look = looking->look;
	uint64_t end_ms = pb_clock_mono_ms() + look->ms_max;
	struct pollfd fd = { .fd = looking->pcap.fd, .events = POLLIN };

	while (looking->packets < look->packets_max &&
	    !pb_stopped(look->stop) && pb_clock_mono_ms() < end_ms) {
		(void)poll(&fd, 1, WAIT_MS);
		if (pb_pcap_dispatch(&looking->pcap, -1, on_packet,
		    looking) == PCAP_ERROR)
			return pb_err_set(err, PB_ESYS, "interface %s: %s",
			    look->interface,
			    pcap_geterr(looking->pcap.pcap));
	}
	return 0;
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct looking *looking = (struct looking *)(void *)user;
	const struct pb_capture_look *look = looking->look;
	struct pb_packet packet = {
		.time_ns = (uint64_t)header->ts.tv_sec * PB_NS_PER_S +
		    (uint64_t)header->ts.tv_usec * looking->pcap.unit_ns,
		.caplen = header->caplen,
		.origlen = header->len,
		.data = data,
	};

	if (looking->packets < look->packets_max)
		look->each(look->arg, &packet);
	looking->packets++;
}
