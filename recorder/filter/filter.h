/*
 * recorder/filter/filter.h - tcpdump filters over packets in memory
 *
 * The one place, with source.c, that knows libpcap.
 */
#ifndef PB_FILTER_FILTER_H
#define PB_FILTER_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/block.h"

struct pb_filter;
struct pcap;

/*
 * Compile `text` (pcap-filter(7)) for a link type; "" matches all.
 * PB_EINVAL with libpcap's own words; PB_ENOENT where a name in it is not known
 * (now).  Names are looked up meanwhile, which may take long.
 */
int	pb_filter_create(struct pb_filter **out, const char *text,
	    uint16_t linktype, struct pb_err *err);
/* The same for a handle of libpcap, with what its kernel alone knows of a
 * packet, as a tag that the card took off.  PB_EINVAL where it cannot stand in
 * the way of packets, too. */
int	pb_filter_create_live(struct pb_filter **out, const char *text,
	    struct pcap *handle, struct pb_err *err);
/*
 * May `filter`, of `text`, stand in the way of packets?  0, or PB_EINVAL and
 * what to write instead: not where its program loops (protochain), for of some
 * packets libpcap's interpreter never comes to an end.
 */
int	pb_filter_captures(const struct pb_filter *filter, const char *text,
	    struct pb_err *err);

/* Is one compiled, by whichever thread?  Nobody can break that off, and
 * hundreds of `or` take libpcap minutes.  For handlers of signals, too. */
bool	pb_filter_compiling(void);

void	pb_filter_destroy(struct pb_filter *filter);

/* Comes to an end for each packet: a program that loops is left, without a
 * match, after as many instructions as pb_filter_verdict() (verdict.h). */
bool	pb_filter_match(const struct pb_filter *filter,
	    const struct pb_packet *packet);

/* What the handle gives out from now on; libpcap's code.  "" changes
 * nothing. */
int	pb_filter_install(struct pb_filter *filter, struct pcap *handle);

/*
 * Its program as the kernel takes it (linux/filter.h), which for one of
 * pb_filter_create_live() means the same on any socket and in any rule of
 * that link type.  NULL or "": one that takes all.  How many instructions;
 * 0 where it has more than the kernel takes.
 */
#define PB_FILTER_CODE_MAX	4096u	/* BPF_MAXINSNS */
struct sock_filter;
unsigned pb_filter_code(const struct pb_filter *filter,
	    struct sock_filter *out);

#endif
