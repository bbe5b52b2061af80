/*
 * recorder/capture/interfaces.c - what can be captured, for `pb interfaces`
 */
#include <net/if.h>
#include <pcap/pcap.h>
#include <string.h>

#include "base/buf.h"
#include "recorder/capture/source.h"

#define TYPES_BYTES_MAX	256u	/* of the list of time stamp types */
#define LINKTYPE_BUFFER	(256 << 10)	/* a small ring: it only looks */

static int	tell(const pcap_if_t *, struct pb_buf *,
		    int (*)(const struct pb_interface_info *, void *), void *);
static void	list_types(pcap_t *, struct pb_buf *);
static const char *linktype_name(pcap_t *, const char *);

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
	int rc;

	pb_buf_clear(types);
	info.description = device->description != NULL ?
	    device->description : "";
	info.up = (device->flags & PCAP_IF_UP) != 0;
	info.loopback = (device->flags & PCAP_IF_LOOPBACK) != 0;
	info.linktype = "";
	if (pcap != NULL) {
		list_types(pcap, types);
		info.linktype = linktype_name(pcap, device->name);
	}
	info.timestamp_types = types->len > 0 ? pb_buf_cstr(types) : "host";
	rc = each(&info, arg);
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
 * Only an opened device tells its link type.  Opening some of libpcap's
 * pseudo devices disturbs others (a netfilter queue takes its packets), so
 * only network interfaces and `any` are opened.
 */
static const char *
linktype_name(pcap_t *pcap, const char *device)
{
	const char *name;

	if (if_nametoindex(device) == 0 && strcmp(device, "any") != 0)
		return "";
	pcap_set_snaplen(pcap, 64);
	pcap_set_buffer_size(pcap, LINKTYPE_BUFFER);
	if (pcap_activate(pcap) < 0)
		return "";
	name = pcap_datalink_val_to_name(pcap_datalink(pcap));
	return name != NULL ? name : "";
}
