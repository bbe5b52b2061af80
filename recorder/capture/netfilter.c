/*
 * recorder/capture/netfilter.c - libpcap's netfilter, from several threads
 *
 * libpcap numbers what it asks netfilter by one counter of the process
 * (pcap-netfilter-linux.c of 1.10.3, seq_id), and what opens a log or a queue
 * waits for ever for the answer to a number that another thread has counted
 * on meanwhile.  Opening asks and waits; a queue's verdicts ask only.
 */
#include <pthread.h>
#include <string.h>

#include "recorder/capture/pcap_open.h"

/* A queue that is never empty must not keep an opening waiting. */
static pthread_rwlock_t questions =
    PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

int
pb_pcap_activate(pcap_t *pcap, const char *interface)
{
	int rc;

	if (strncmp(interface, "nflog", 5) != 0 &&
	    strncmp(interface, "nfqueue", 7) != 0)
		return pcap_activate(pcap);
	pthread_rwlock_wrlock(&questions);
	rc = pcap_activate(pcap);
	pthread_rwlock_unlock(&questions);
	return rc;
}

int
pb_pcap_dispatch(const struct pb_pcap *opened, int max, pcap_handler each,
    void *arg)
{
	int n;

	if (!opened->netlink)
		return pcap_dispatch(opened->pcap, max, each, arg);
	pthread_rwlock_rdlock(&questions);
	n = pcap_dispatch(opened->pcap, max, each, arg);
	pthread_rwlock_unlock(&questions);
	return n;
}
