/*
 * recorder/filter/linktype.c - DLT_ numbers and LINKTYPE_ numbers
 *
 * Source: pcap-linktype(7), https://www.tcpdump.org/linktypes.html.  Up to
 * DLT_FDDI and from DLT_MATCHING_MIN on the two are the same by agreement;
 * the numbers between were given out by each system on its own.
 */
#include "recorder/filter/linktype.h"

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

/* Those whose numbers differ on some system. */
static const struct {
	int		dlt;
	uint16_t	linktype;
} moved[] = {
	{ DLT_ATM_RFC1483, 100 },
	{ DLT_RAW, 101 },
	{ DLT_SLIP_BSDOS, 102 },
	{ DLT_PPP_BSDOS, 103 },
	{ DLT_ATM_CLIP, 106 },
	{ DLT_LOOP, 108 },
	{ DLT_ENC, 109 },
	{ DLT_PFSYNC, 246 },
	{ DLT_PKTAP, 258 },
};

/* Below the matching range, the same in files as on Linux. */
static const int kept[] = {
	DLT_REDBACK_SMARTEDGE, DLT_PPP_SERIAL, DLT_PPP_ETHER,
	DLT_SYMANTEC_FIREWALL,
};

int
pb_linktype_of_dlt(int dlt, uint16_t *linktype, struct pb_err *err)
{
	bool same = (dlt >= 0 && dlt <= DLT_FDDI) ||
	    (dlt >= DLT_MATCHING_MIN && dlt <= UINT16_MAX);

	for (size_t i = 0; i < COUNT(moved); i++) {
		if (moved[i].dlt == dlt) {
			*linktype = moved[i].linktype;
			return 0;
		}
	}
	for (size_t i = 0; i < COUNT(kept); i++)
		same = same || kept[i] == dlt;
	if (!same)
		return pb_err_set(err, PB_EINVAL, "link type DLT %d has no "
		    "LINKTYPE number, so no file can hold its packets", dlt);
	*linktype = (uint16_t)dlt;
	return 0;
}

int
pb_linktype_to_dlt(uint16_t linktype)
{
	for (size_t i = 0; i < COUNT(moved); i++)
		if (moved[i].linktype == linktype)
			return moved[i].dlt;
	return linktype;
}

const char *
pb_linktype_name(uint16_t linktype)
{
	const char *name = pcap_datalink_val_to_name(
	    pb_linktype_to_dlt(linktype));

	return name != NULL ? name : "unknown";
}
