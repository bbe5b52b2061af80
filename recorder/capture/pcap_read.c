/*
 * recorder/capture/pcap_read.c - what of a lane is libpcap's: packets from
 * its handle into blocks, and its counters
 *
 * Here alone packets are met on their way in; what captures by other means
 * has a file like this.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/direction.h"
#include "recorder/capture/source_impl.h"

#define CLOCKS_APART_NS		PB_NS_PER_S	/* then an adapter is wrong */
/* Small packets lie so close that the processor fetches ahead by itself. */
#define AHEAD_BYTES		3072u
#define AHEAD_CAPLEN_MIN	256u
#define CACHE_LINE		64u

static void	on_packet(u_char *, const struct pcap_pkthdr *,
		    const u_char *);
static void	on_trailed(u_char *, const struct pcap_pkthdr *,
		    const u_char *);
static bool	put_trailed(struct pb_lane *, uint64_t, const uint8_t *,
		    uint32_t, uint32_t, uint32_t);
static uint32_t	other_flags(const struct pb_pcap *, const uint8_t *,
		    uint32_t);
static uint64_t	prove_clock(struct pb_lane *, uint64_t);
static uint32_t	socket_drops(int, uint32_t);

int
pb_pcap_read(struct pb_lane *lane, int max)
{
	pcap_handler each = lane->source->stamping.list.count > 0 ?
	    on_trailed : on_packet;
	int n;

	/* Where nothing comes it shall not wait on. */
	if (lane->pcap.waits)
		pcap_breakloop(lane->pcap.pcap);
	errno = 0;
	n = pb_pcap_dispatch(&lane->pcap, max, each, lane);
	/* libpcap's netfilter takes an empty socket for an error. */
	if (n == PCAP_ERROR_BREAK || (n == PCAP_ERROR && errno == EAGAIN))
		return 0;
	if (n < 0)
		snprintf(lane->why, sizeof(lane->why), "%s",
		    pcap_geterr(lane->pcap.pcap));
	return n;
}

/* What the kernel lost it counts by socket, what the interface lost is the
 * same for all lanes: the first one tells it, with packets or without. */
bool
pb_pcap_count(const struct pb_lane *lane, struct pb_losses *now)
{
	struct pcap_stat stat;

	if (pcap_stats(lane->pcap.pcap, &stat) < 0)
		return false;
	now->received = stat.ps_recv;
	now->kernel = lane->pcap.ring ? stat.ps_drop :
	    socket_drops(lane->pcap.fd, stat.ps_drop);
	now->interface = lane->index == 0 ? stat.ps_ifdrop : 0;
	return true;
}

/*
 * The kernel wrote the ring on another processor, through small pages that
 * no hardware fetches across: what will be read two or three packets from
 * here is on its way meanwhile.  An address that is none does no harm.
 */
static inline __attribute__((always_inline)) void
fetch_ahead(const uint8_t *data, uint32_t caplen)
{
	const uint8_t *at = data + AHEAD_BYTES;
	const uint8_t *end = at + caplen + PB_LANE_FRAME_BYTES;

	for (; at < end; at += CACHE_LINE)
		__builtin_prefetch(at);
}

static inline __attribute__((always_inline)) uint32_t
flags_of(struct pb_pcap *pcap, const struct pcap_pkthdr *header,
    const uint8_t *data)
{
	uint32_t flags = pb_direction_flags(pb_ring_type(&pcap->mapped,
	    header, data));

	return __builtin_expect(flags != 0, 1) ? flags :
	    other_flags(pcap, data, header->caplen);
}

/* What both kinds of packets have in common; `trailed` is a constant. */
static inline __attribute__((always_inline)) void
take(struct pb_lane *lane, const struct pcap_pkthdr *header,
    const uint8_t *data, bool trailed)
{
	uint64_t time_ns = (uint64_t)header->ts.tv_sec * PB_NS_PER_S +
	    (uint64_t)header->ts.tv_usec * lane->pcap.unit_ns;
	uint32_t caplen = header->caplen, flags;
	bool room;

	/* Not all that libpcap reads asks for it. */
	if (__builtin_expect(caplen > lane->pcap.snaplen, 0))
		caplen = lane->pcap.snaplen;
	if (caplen >= AHEAD_CAPLEN_MIN)
		fetch_ahead(data, caplen);
	if (__builtin_expect(lane->pcap.unproven, 0))
		time_ns = prove_clock(lane, time_ns);
	flags = flags_of(&lane->pcap, header, data);
	room = trailed ? put_trailed(lane, time_ns, data, caplen,
	    header->len, flags) : pb_blocks_packet(&lane->blocks, time_ns,
	    data, caplen, header->len, flags);
	if (__builtin_expect(!room && lane->pause_until_ms == 0, 0)) {
		lane->paused = true;
		pcap_breakloop(lane->pcap.pcap);
	}
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	take((struct pb_lane *)(void *)user, header, data, false);
}

static void
on_trailed(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	take((struct pb_lane *)(void *)user, header, data, true);
}

static bool
put_trailed(struct pb_lane *lane, uint64_t time_ns, const uint8_t *data,
    uint32_t caplen, uint32_t len, uint32_t flags)
{
	struct pb_stamped stamped;

	return pb_stamping_packet(&lane->source->stamping, &lane->stamping,
	    data, caplen, len, &time_ns, &stamped) ?
	    pb_blocks_stamped(&lane->blocks, time_ns, data, caplen, len,
	    flags, &stamped) : pb_blocks_packet(&lane->blocks, time_ns, data,
	    caplen, len, flags);
}

/* A cooked capture is the one place where libpcap tells the direction.
 * Elsewhere it is known where nothing but what comes in is captured. */
static __attribute__((noinline)) uint32_t
other_flags(const struct pb_pcap *pcap, const uint8_t *data, uint32_t caplen)
{
	uint32_t flags = pb_direction_flags(pb_direction_cooked(
	    pcap->linktype, data, caplen));

	return flags == 0 && pcap->in_only ? PB_FLAG_INBOUND : flags;
}

/*
 * An adapter's free-running clock is better than the host's only where
 * something disciplines it; else it may stand in 1970, or run on TAI.
 * Nobody asked for it by name, so it has to agree with the host's first.
 * What was stamped before the kernel was told gets the time of reading.
 */
static uint64_t
prove_clock(struct pb_lane *lane, uint64_t time_ns)
{
	uint64_t host_ns = pb_clock_real_ns();
	uint64_t apart = host_ns > time_ns ? host_ns - time_ns :
	    time_ns - host_ns;

	if (apart <= CLOCKS_APART_NS) {
		lane->pcap.unproven = false;
		return time_ns;
	}
	if (!lane->host_clock) {
		pb_pcap_use_host_clock(&lane->pcap);
		pb_lane_clock(lane);
	}
	lane->host_clock = true;
	if (!atomic_exchange(&lane->source->host_clock, true))
		pb_log(PB_LOG_WARN, "capture", "the adapter's clock is not "
		    "the host's, using host time stamps interface=%s "
		    "apart_ms=%llu; Fix: discipline it, or set "
		    "timestamp_type", lane->source->capture.interface,
		    (unsigned long long)(apart / PB_NS_PER_MS));
	return host_ns;
}

/*
 * What the kernel had no room for, where libpcap does not know: at least a
 * packet each time, several where a netlink message had several.
 */
static uint32_t
socket_drops(int fd, uint32_t known)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t len = sizeof(memory);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) < 0 ||
	    len < sizeof(memory))
		return known;
	return memory[SK_MEMINFO_DROPS];
}
