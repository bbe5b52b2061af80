/*
 * recorder/capture/pcap_open.c - an interface opened with all its options
 *
 * Nanoseconds, snap length, promiscuous mode, ring size, time stamp type
 * and filter, in the order in which libpcap wants them.
 */
#include "recorder/capture/pcap_open.h"

#include <limits.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "pcapng/block.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/linktype.h"
#include "recorder/link/link.h"

#define TYPES_MAX	3	/* time stamp types to try */
#define LOOK_MS		10u	/* at what poll(2) cannot wait for */
/* Half of what nfnetlink_log gathers packets for. */
#define NETLINK_HOLD_MS	550u
#define LINKTYPE_IPV4	228	/* of libpcap's queues */
#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

static int	err_pcap(struct pb_err *, const char *, int, const char *);
static int	compile_for(struct pb_pcap_filter *, const char *, uint16_t,
		    struct pb_err *);
static int	open_best(struct pb_pcap *, const struct pb_pcap_ask *,
		    unsigned, struct pb_err *);
static pcap_t	*create(const struct pb_conf_capture *, struct pb_err *);
static size_t	wanted_types(const struct pb_pcap_ask *, pcap_t *,
		    int[static TYPES_MAX]);
static const char *device_of(const char *, char [static PB_CONF_VALUE_MAX]);
static int	activate(pcap_t *, const struct pb_pcap_ask *, unsigned,
		    int, struct pb_err *);
static int	take_shape(struct pb_pcap *, const struct pb_conf_capture *,
		    struct pb_pcap_filter *, struct pb_err *);
static int	set_direction(struct pb_pcap *,
		    const struct pb_conf_capture *, struct pb_err *);
static int	set_filter(const struct pb_pcap *,
		    const struct pb_conf_capture *, struct pb_pcap_filter *,
		    struct pb_err *);
static int	compile_live(pcap_t *, const struct pb_conf_capture *,
		    struct pb_pcap_filter *, struct pb_err *);
static int	domain_of(pcap_t *);
static void	find_ring(struct pb_pcap *, const char *);
static int	set_reading(struct pb_pcap *, const struct pb_pcap_ask *,
		    struct pb_err *);
static uint32_t	snaplen_of(const struct pb_conf_capture *);
static int	buffer_of(const struct pb_conf_capture *, unsigned);
static void	prefer_sll2(pcap_t *);

/* Which link type the interface has is known once it is there: a filter that
 * suits none of the common ones suits none.  Names suit no netfilter log:
 * libpcap cannot look into its packets. */
int
pb_pcap_filter_names(struct pb_pcap_filter *out,
    const struct pb_conf_capture *capture, struct pb_err *err)
{
	/* The likely one first. */
	const uint16_t common[] = {
		strncmp(capture->interface, "nfqueue", 7) == 0 ?
		LINKTYPE_IPV4 : PB_LINKTYPE_ETHERNET, PB_LINKTYPE_ETHERNET,
		PB_LINKTYPE_LINUX_SLL2, PB_LINKTYPE_RAW, PB_LINKTYPE_NULL,
		127 /* IEEE802_11_RADIOTAP */, 239 /* NFLOG */,
	};
	struct pb_err other;
	int rc = PB_EINVAL;

	memset(out, 0, sizeof(*out));
	if (capture->filter[0] == '\0')
		return 0;
	for (size_t i = 0; i < COUNT(common) && rc == PB_EINVAL; i++) {
		rc = compile_for(out, capture->filter, common[i],
		    i == 0 ? err : &other);
		if (i > 0 && rc < 0 && rc != PB_EINVAL)
			*err = other;
	}
	return rc;
}

static int
compile_for(struct pb_pcap_filter *out, const char *text, uint16_t linktype,
    struct pb_err *err)
{
	int rc = pb_filter_create(&out->filter, text, linktype, err);

	out->linktype = linktype;
	if (rc < 0)
		return rc;
	rc = pb_filter_captures(out->filter, text, err);
	if (rc < 0)
		pb_pcap_filter_finish(out);
	return rc;
}

void
pb_pcap_filter_finish(struct pb_pcap_filter *filter)
{
	pb_filter_destroy(filter->filter);
	memset(filter, 0, sizeof(*filter));
}

int
pb_pcap_open(struct pb_pcap *out, const struct pb_pcap_ask *ask,
    struct pb_pcap_filter *filter, unsigned handles, struct pb_err *err)
{
	const struct pb_conf_capture *capture = &ask->capture;
	struct pb_link_state before, after;
	int rc;

	memset(out, 0, sizeof(*out));
	pb_link_state(capture->interface, &before);
	rc = open_best(out, ask, handles, err);
	if (rc < 0)
		return rc;
	pb_link_state(capture->interface, &after);
	out->index = after.index;
	if (before.index != after.index)
		rc = pb_err_set(err, PB_ENOENT, "interface %s: it changed "
		    "while it was opened", capture->interface);
	else
		rc = take_shape(out, capture, filter, err);
	if (rc == 0)
		rc = set_reading(out, ask, err);
	if (rc < 0)
		pb_pcap_close(out);
	else if (out->ring)
		find_ring(out, capture->interface);
	return rc;
}

void
pb_pcap_close(struct pb_pcap *opened)
{
	if (opened->pcap != NULL)
		pcap_close(opened->pcap);
	memset(opened, 0, sizeof(*opened));
}

void
pb_pcap_use_host_clock(struct pb_pcap *opened)
{
	int none = 0;

	/* Opening again would lose packets; packet(7), PACKET_TIMESTAMP, can
	 * change while a ring is in use. */
	(void)setsockopt(opened->fd, SOL_PACKET, PACKET_TIMESTAMP, &none,
	    sizeof(none));
	opened->timestamps = "host";
}

/* With the best type of time stamps that it takes.  Which there are is asked
 * of the handle that is then activated: libpcap 1.10.3 keeps a descriptor of
 * each one that never was. */
static int
open_best(struct pb_pcap *out, const struct pb_pcap_ask *ask,
    unsigned handles, struct pb_err *err)
{
	pcap_t *pcap = create(&ask->capture, err);
	int types[TYPES_MAX] = { 0 }, rc = PB_EINVAL;
	size_t count = pcap == NULL ? 0 : wanted_types(ask, pcap, types);

	for (size_t i = 0; i < count && pcap != NULL; i++) {
		rc = activate(pcap, ask, handles, types[i], err);
		if (rc == 0) {
			out->pcap = pcap;
			out->timestamps = pcap_tstamp_type_val_to_name(
			    types[i]);
			out->unproven = types[i] ==
			    PCAP_TSTAMP_ADAPTER_UNSYNCED &&
			    ask->capture.timestamp_type[0] == '\0';
			return 0;
		}
		if (i + 1 < count)
			pcap = create(&ask->capture, err);
	}
	return pcap == NULL ? PB_ESYS : rc;
}

static pcap_t *
create(const struct pb_conf_capture *capture, struct pb_err *err)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "", device[PB_CONF_VALUE_MAX];
	pcap_t *pcap = pcap_create(device_of(capture->interface, device),
	    errbuf);

	if (pcap == NULL)
		err_pcap(err, capture->interface, PCAP_ERROR, errbuf);
	return pcap;
}

/* The types to try in turn; the host's is last and always there. */
static size_t
wanted_types(const struct pb_pcap_ask *ask, pcap_t *pcap,
    int types[static TYPES_MAX])
{
	static const int best[] = { PCAP_TSTAMP_ADAPTER,
	    PCAP_TSTAMP_ADAPTER_UNSYNCED };
	int asked, has_count, *has = NULL;
	size_t count = 0;

	asked = pcap_tstamp_type_name_to_val(ask->capture.timestamp_type);
	has_count = ask->host_clock ? 0 : pcap_list_tstamp_types(pcap, &has);
	for (size_t b = 0; b < (asked < 0 ? COUNT(best) : 1); b++)
		for (int i = 0; i < has_count; i++)
			if (has[i] == (asked < 0 ? best[b] : asked) &&
			    has[i] != PCAP_TSTAMP_HOST && count <= b)
				types[count++] = has[i];
	if (has != NULL)
		pcap_free_tstamp_types(has);
	types[count++] = PCAP_TSTAMP_HOST;
	return count;
}

/*
 * libpcap's name for it.  libdbus ends a process whose bus, opened by its
 * name, ends, and starts a bus where there is none; not so by its address.
 */
static const char *
device_of(const char *interface, char out[static PB_CONF_VALUE_MAX])
{
	bool all = strcmp(interface, "dbus-system") == 0;
	const char *address = getenv(all ? "DBUS_SYSTEM_BUS_ADDRESS" :
	    "DBUS_SESSION_BUS_ADDRESS");
	char path[64];

	if (!all && strcmp(interface, "dbus-session") != 0)
		return interface;
	snprintf(path, sizeof(path), "unix:path=/run/user/%u/bus",
	    (unsigned)getuid());
	if (address == NULL)
		address = all ? "unix:path=/run/dbus/system_bus_socket" : path;
	snprintf(out, PB_CONF_VALUE_MAX, "dbus://%s", address);
	return out;
}

/* One try with one time stamp type; without an error the handle is open. */
static int
activate(pcap_t *pcap, const struct pb_pcap_ask *ask, unsigned handles,
    int type, struct pb_err *err)
{
	const struct pb_conf_capture *capture = &ask->capture;
	int rc, rc_type;

	pcap_set_snaplen(pcap, (int)snaplen_of(capture));
	pcap_set_promisc(pcap, capture->promiscuous);
	pcap_set_timeout(pcap, (int)ask->hold_ms);
	pcap_set_buffer_size(pcap, buffer_of(capture, handles));
	/* Where the device has microseconds only, they will do. */
	pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
	rc_type = type == PCAP_TSTAMP_HOST ? 0 :
	    pcap_set_tstamp_type(pcap, type);
	rc = pb_pcap_activate(pcap, capture->interface);
	if (rc >= 0 && rc_type != 0)
		rc = PCAP_WARNING_TSTAMP_TYPE_NOTSUP;
	/* Warnings (above 0) leave the handle open: no promiscuous mode on
	 * `any` is as it should be, another clock than asked for is not. */
	if (rc < 0 || rc == PCAP_WARNING_TSTAMP_TYPE_NOTSUP) {
		rc = err_pcap(err, capture->interface, rc,
		    pcap_geterr(pcap));
		pcap_close(pcap);
		return rc;
	}
	return 0;
}

/* What the open handle is, and the last settings, which need to know. */
static int
take_shape(struct pb_pcap *out, const struct pb_conf_capture *capture,
    struct pb_pcap_filter *filter, struct pb_err *err)
{
	int rc;

	rc = set_direction(out, capture, err);
	if (rc < 0)
		return rc;
	prefer_sll2(out->pcap);
	rc = pb_linktype_of_dlt(pcap_datalink(out->pcap), &out->linktype,
	    err);
	if (rc < 0)
		return pb_err_prefix(err, rc, "interface %s",
		    capture->interface);
	rc = set_filter(out, capture, filter, err);
	if (rc < 0)
		return rc;
	out->unit_ns = pcap_get_tstamp_precision(out->pcap) ==
	    PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
	return 0;
}

/*
 * packet(7), PACKET_IGNORE_OUTGOING (since Linux 4.20): what leaves the
 * interface never comes to the socket, and costs nothing.  libpcap's way looks
 * at each packet here; it is for those that came before, and for kernels
 * where a group of sockets (fanout.c) knows no such option.
 */
static int
set_direction(struct pb_pcap *out, const struct pb_conf_capture *capture,
    struct pb_err *err)
{
	int one = 1;

	if (!capture->in_only)
		return 0;
	if (domain_of(out->pcap) != AF_PACKET)
		return pb_err_set(err, PB_EINVAL, "interface %s: no network "
		    "interface, and without directions; take direction = in "
		    "out", capture->interface);
	(void)setsockopt(pcap_get_selectable_fd(out->pcap), SOL_PACKET,
	    PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (pcap_setdirection(out->pcap, PCAP_D_IN) < 0)
		return err_pcap(err, capture->interface, PCAP_ERROR,
		    pcap_geterr(out->pcap));
	out->in_only = true;
	return 0;
}

/*
 * How it is waited for and read.  Beside network interfaces, libpcap has
 * netlink and Bluetooth sockets, the devices of usbmon, and D-Bus, which has
 * neither a descriptor nor a mode that does not block.
 */
static int
set_reading(struct pb_pcap *out, const struct pb_pcap_ask *ask,
    struct pb_err *err)
{
	const struct pb_conf_capture *capture = &ask->capture;
	const struct timeval *look = pcap_get_required_select_timeout(
	    out->pcap);
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	int domain = domain_of(out->pcap), buffer = buffer_of(capture, 1);

	out->fd = pcap_get_selectable_fd(out->pcap);
	out->waits = pcap_setnonblock(out->pcap, 1, errbuf) < 0;
	if (out->waits && out->fd >= 0)
		return err_pcap(err, capture->interface, PCAP_ERROR, errbuf);
	out->ring = domain == AF_PACKET;
	out->netlink = domain == AF_NETLINK;
	out->hold_ms = out->netlink ? NETLINK_HOLD_MS : ask->hold_ms;
	/* MON_IOCG_STATS: lost since it was last asked. */
	out->counts_anew = strncmp(capture->interface, "usbmon", 6) == 0;
	out->snaplen = snaplen_of(capture);
	out->look_ms = LOOK_MS;
	if (look != NULL)
		out->look_ms = (unsigned)(look->tv_sec * 1000 +
		    look->tv_usec / 1000);
	/* libpcap asks for what every user may have, if for anything. */
	if (!out->ring)
		(void)setsockopt(out->fd, SOL_SOCKET, SO_RCVBUFFORCE,
		    &buffer, sizeof(buffer));
	return 0;
}

/*
 * On packet sockets libpcap compiles some words otherwise than for packets in
 * memory (gencode.c, bpf_codegen_flags: `vlan`, for the card takes the tag
 * off; `inbound`), so there the program of an open handle must be used.  The
 * others filter in this process, as for packets in memory.
 */
static int
set_filter(const struct pb_pcap *opened,
    const struct pb_conf_capture *capture, struct pb_pcap_filter *filter,
    struct pb_err *err)
{
	pcap_t *pcap = opened->pcap;
	int rc;

	if (filter == NULL || capture->filter[0] == '\0')
		return 0;
	if (filter->filter == NULL || filter->linktype != opened->linktype ||
	    (!filter->live && domain_of(pcap) == AF_PACKET)) {
		rc = compile_live(pcap, capture, filter, err);
		if (rc < 0)
			return rc;
		filter->linktype = opened->linktype;
	}
	rc = pb_filter_install(filter->filter, pcap);
	if (rc < 0)
		return err_pcap(err, capture->interface, rc,
		    pcap_geterr(pcap));
	return 0;
}

/* The names are asked for once more: nothing comes in meanwhile that the
 * filter does not want. */
static int
compile_live(pcap_t *pcap, const struct pb_conf_capture *capture,
    struct pb_pcap_filter *filter, struct pb_err *err)
{
	struct bpf_insn none = { .code = BPF_RET | BPF_K };
	struct bpf_program shut = { .bf_len = 1, .bf_insns = &none };
	int rc = pcap_setfilter(pcap, &shut);

	if (rc < 0)
		return err_pcap(err, capture->interface, rc,
		    pcap_geterr(pcap));
	pb_pcap_filter_finish(filter);
	rc = pb_filter_create_live(&filter->filter, capture->filter, pcap,
	    err);
	if (rc == PB_EINVAL)
		return pb_err_prefix(err, rc, "interface %s",
		    capture->interface);
	filter->live = rc == 0;
	return rc;
}

/* A cooked capture has the type in each packet. */
static void
find_ring(struct pb_pcap *opened, const char *interface)
{
	struct pb_err err;

	if (opened->linktype == PB_LINKTYPE_LINUX_SLL ||
	    opened->linktype == PB_LINKTYPE_LINUX_SLL2 ||
	    opened->unit_ns != 1)
		return;
	if (pb_ring_find(&opened->mapped, opened->fd, &err) < 0)
		pb_log(PB_LOG_INFO, "capture", "packets do not tell their "
		    "direction interface=%s: %s", interface, err.text);
}

static uint32_t
snaplen_of(const struct pb_conf_capture *capture)
{
	return capture->snaplen == 0 || capture->snaplen > PB_SNAPLEN ?
	    PB_SNAPLEN : capture->snaplen;
}

static int
buffer_of(const struct pb_conf_capture *capture, unsigned handles)
{
	uint64_t bytes = capture->buffer / handles;

	return bytes > INT_MAX ? INT_MAX : (int)bytes;
}

static int
domain_of(pcap_t *pcap)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);

	(void)getsockopt(pcap_get_selectable_fd(pcap), SOL_SOCKET, SO_DOMAIN,
	    &domain, &len);
	return domain;
}

/* `any` offers two cooked headers; the second names the interface. */
static void
prefer_sll2(pcap_t *pcap)
{
	int *links = NULL, count;

	if (pcap_datalink(pcap) != DLT_LINUX_SLL)
		return;
	count = pcap_list_datalinks(pcap, &links);
	for (int i = 0; i < count; i++)
		if (links[i] == DLT_LINUX_SLL2)
			(void)pcap_set_datalink(pcap, DLT_LINUX_SLL2);
	if (count >= 0)
		pcap_free_datalinks(links);
}

/* libpcap's codes and words as ours: the one mapper. */
static int
err_pcap(struct pb_err *err, const char *interface, int code,
    const char *words)
{
	switch (code) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return pb_err_set(err, PB_ENOENT, "interface %s: not there",
		    interface);
	case PCAP_ERROR_IFACE_NOT_UP:
		return pb_err_set(err, PB_EBUSY, "interface %s: down",
		    interface);
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return pb_err_set(err, PB_EACCES, "interface %s: not "
		    "permitted; run as root or with CAP_NET_RAW", interface);
	case PCAP_ERROR_CANTSET_TSTAMP_TYPE:
	case PCAP_WARNING_TSTAMP_TYPE_NOTSUP:
		return pb_err_set(err, PB_ENOENT, "interface %s: no such time "
		    "stamps", interface);
	default:
		return pb_err_set(err, PB_ESYS, "interface %s: %s", interface,
		    words[0] != '\0' ? words : pcap_statustostr(code));
	}
}
