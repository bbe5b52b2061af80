/*
 * recorder/filter/filter.c - tcpdump filters over packets in memory
 *
 * The filter is compiled for a file of that link type, one without packets,
 * and run by libpcap's own interpreter, so that a query means what `tcpdump -r`
 * means: for no file libpcap would ask the kernel for a packet's direction, and
 * take this system's number of IPv6 for that of each.
 * Host and port names in a filter are resolved when it is compiled.
 */
#include "recorder/filter/filter.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"
#include "recorder/filter/linktype.h"

#define PCAP_MAGIC	0xa1b2c3d4u	/* draft-ietf-opsawg-pcap, 4 */

static bool	lacks_name(const char *);
static bool	blank(const char *);

int
pb_filter_create(struct pb_filter **out, const char *text, uint16_t linktype,
    struct pb_err *err)
{
	struct pcap_file_header head = { .magic = PCAP_MAGIC,
	    .version_major = PCAP_VERSION_MAJOR,
	    .version_minor = PCAP_VERSION_MINOR, .snaplen = PB_SNAPLEN,
	    .linktype = linktype };
	char why[PCAP_ERRBUF_SIZE];
	FILE *file = fmemopen(&head, sizeof(head), "r");
	pcap_t *handle = file == NULL ? NULL : pcap_fopen_offline(file, why);
	int rc;

	if (handle == NULL) {
		if (file != NULL)
			fclose(file);
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	}
	rc = pb_filter_create_live(out, text, handle, err);
	pcap_close(handle);
	return rc;
}

int
pb_filter_create_live(struct pb_filter **out, const char *text,
    struct pcap *handle, struct pb_err *err)
{
	struct pb_filter *filter = calloc(1, sizeof(*filter));
	int rc = 0;

	if (filter == NULL)
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	filter->all = blank(text);
	/* Without a netmask "ip broadcast" is an error, not a wrong answer. */
	if (!filter->all)
		rc = pcap_compile(handle, &filter->program, text, 1,
		    PCAP_NETMASK_UNKNOWN);
	if (rc < 0) {
		free(filter);
		if (lacks_name(pcap_geterr(handle)))
			return pb_err_set(err, PB_ENOENT, "filter: %s",
			    pcap_geterr(handle));
		return pb_err_set(err, PB_EINVAL, "filter '%.160s': %s; see "
		    "pcap-filter(7)", text, pcap_geterr(handle));
	}
	*out = filter;
	return 0;
}

int
pb_filter_install(struct pb_filter *filter, struct pcap *handle)
{
	return filter->all ? 0 : pcap_setfilter(handle, &filter->program);
}

void
pb_filter_destroy(struct pb_filter *filter)
{
	if (filter == NULL)
		return;
	if (!filter->all)
		pcap_freecode(&filter->program);
	free(filter);
}

bool
pb_filter_match(const struct pb_filter *filter, const struct pb_packet *packet)
{
	struct pcap_pkthdr header = { 0 };

	if (filter->all)
		return true;
	header.caplen = packet->caplen;
	header.len = packet->origlen;
	return pcap_offline_filter(&filter->program, &header,
	    packet->data) != 0;
}

/* gencode.c: host and network names come from the resolver, which may have
 * no answer yet; ports and protocols from files of the machine. */
static bool
lacks_name(const char *words)
{
	return strncmp(words, "unknown host ", 13) == 0 ||
	    strncmp(words, "unknown network ", 16) == 0 ||
	    strncmp(words, "unknown ether host ", 19) == 0;
}

static bool
blank(const char *text)
{
	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	return *text == '\0';
}
