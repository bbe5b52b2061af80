/*
 * recorder/capture/filter.c - tcpdump filters over packets in memory
 *
 * The filter is compiled for a handle without an interface and run by
 * libpcap's own interpreter, so that a query means what tcpdump means.
 * Host and port names in a filter are resolved when it is compiled.
 */
#include "recorder/capture/filter.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/capture/linktype.h"

struct pb_filter {
	bool			 all;		/* "": nothing was compiled */
	struct bpf_program	 program;
};

static bool	blank(const char *);

int
pb_filter_create(struct pb_filter **out, const char *text, uint16_t linktype,
    struct pb_err *err)
{
	struct pb_filter *filter = calloc(1, sizeof(*filter));
	pcap_t *dead = NULL;
	int rc = 0;

	if (filter == NULL)
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	filter->all = blank(text);
	if (filter->all)
		goto out;
	dead = pcap_open_dead(pb_linktype_to_dlt(linktype), PB_SNAPLEN);
	if (dead == NULL) {
		rc = pb_err_set(err, PB_ENOMEM, "filter: no memory");
		goto out;
	}
	/* Without a netmask "ip broadcast" is an error, not a wrong answer. */
	rc = pcap_compile(dead, &filter->program, text, 1,
	    PCAP_NETMASK_UNKNOWN);
	if (rc < 0 && pb_filter_lacks_name(pcap_geterr(dead)))
		rc = pb_err_set(err, PB_ENOENT, "filter: %s",
		    pcap_geterr(dead));
	else if (rc < 0)
		rc = pb_err_set(err, PB_EINVAL, "filter '%.160s': %s; see "
		    "pcap-filter(7)", text, pcap_geterr(dead));
out:
	if (dead != NULL)
		pcap_close(dead);
	if (rc < 0) {
		free(filter);
		return rc;
	}
	*out = filter;
	return 0;
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
bool
pb_filter_lacks_name(const char *words)
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
