/*
 * recorder/capture/interfaces.c - what can be captured, for `pb interfaces`
 */
#include <linux/netlink.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "recorder/capture/pcap_open.h"
#include "recorder/capture/source.h"
#include "recorder/link/link.h"

#define TYPES_BYTES_MAX	256u	/* of the list of time stamp types */
#define LINKTYPE_BUFFER	(256 << 10)	/* a small ring: it only looks */

static int	tell(const pcap_if_t *, struct pb_buf *,
		    int (*)(const struct pb_interface_info *, void *), void *);
static void	list_types(pcap_t *, struct pb_buf *);
static const char *try_to_open(struct pb_pcap *, const char *,
		    struct pb_err *);
static void	try_netfilter(struct pb_err *);

int
pb_interfaces(int (*each)(const struct pb_interface_info *, void *),
    void *arg, struct pb_err *err)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	struct pb_buf types;
	pcap_if_t *list;
	int rc = 0;

	if (pcap_findalldevs(&list, errbuf) < 0)
		return pb_err_set(err, PB_ESYS, "interfaces: %s", errbuf);
	pb_buf_init(&types, TYPES_BYTES_MAX);
	for (pcap_if_t *at = list; at != NULL && rc == 0; at = at->next)
		rc = tell(at, &types, each, arg);
	pb_buf_finish(&types);
	pcap_freealldevs(list);
	return rc;
}

static int
tell(const pcap_if_t *device, struct pb_buf *types,
    int (*each)(const struct pb_interface_info *, void *), void *arg)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	struct pb_interface_info info = { .name = device->name };
	pcap_t *pcap = pcap_create(device->name, errbuf);
	size_t prefix = strlen("interface : ") + strlen(device->name);
	int phc = pb_link_phc(device->name);
	char clock[16] = "";
	struct pb_pcap opened;
	struct pb_err why;
	int rc;

	pb_buf_clear(types);
	info.description = device->description != NULL ?
	    device->description : "";
	info.up = (device->flags & PCAP_IF_UP) != 0;
	info.loopback = (device->flags & PCAP_IF_LOOPBACK) != 0;
	if (pcap != NULL)
		list_types(pcap, types);
	if (phc >= 0)
		snprintf(clock, sizeof(clock), "ptp%d", phc);
	info.adapter_clock = clock;
	info.linktype = try_to_open(&opened, device->name, &why);
	info.trouble = why.text;
	if (strncmp(why.text, "interface ", 10) == 0 &&
	    strlen(why.text) > prefix)
		info.trouble += prefix;
	info.timestamp_types = types->len > 0 ? pb_buf_cstr(types) : "host";
	rc = each(&info, arg);
	pb_pcap_close(&opened);
	if (pcap != NULL)
		pcap_close(pcap);
	return rc;
}

static void
list_types(pcap_t *pcap, struct pb_buf *out)
{
	int *types = NULL, count = pcap_list_tstamp_types(pcap, &types);

	for (int i = 0; i < count; i++) {
		const char *name = pcap_tstamp_type_val_to_name(types[i]);

		if (name != NULL)
			pb_buf_printf(out, "%s%s", out->len > 0 ? " " : "",
			    name);
	}
	if (types != NULL)
		pcap_free_tstamp_types(types);
}

/*
 * Opened as a capture would be, but for the adapter's clock, which is not to
 * be touched here.  netfilter's are not opened: a queue takes its packets, a
 * log may be another's.
 */
static const char *
try_to_open(struct pb_pcap *opened, const char *device, struct pb_err *err)
{
	struct pb_pcap_ask ask = { .capture = { .buffer = LINKTYPE_BUFFER,
	    .timestamp_type = "host" }, .hold_ms = 1 };
	const char *name;

	memset(opened, 0, sizeof(*opened));
	err->text[0] = '\0';
	if (strcmp(device, "nflog") == 0 || strcmp(device, "nfqueue") == 0) {
		try_netfilter(err);
		return "";
	}
	if (strlen(device) >= sizeof(ask.capture.interface)) {
		pb_err_set(err, PB_EINVAL, "its name is too long");
		return "";
	}
	strcpy(ask.capture.interface, device);
	if (pb_pcap_open(opened, &ask, NULL, 1, err) < 0)
		return "";
	name = pcap_datalink_val_to_name(pcap_datalink(opened->pcap));
	return name != NULL ? name : "";
}

/* What it lets only CAP_NET_ADMIN do stands for what that may do. */
static void
try_netfilter(struct pb_err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
	    NETLINK_NETFILTER), bytes = LINKTYPE_BUFFER;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
	    sizeof(bytes)) < 0)
		pb_err_set(err, PB_EACCES, "not permitted; run as root or "
		    "with CAP_NET_ADMIN");
	if (fd >= 0)
		close(fd);
}
