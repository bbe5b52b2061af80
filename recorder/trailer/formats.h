/*
 * recorder/trailer/formats.h - private: a frame peeled from outside in, and
 * what each format is to the reader
 *
 * A format is a row of the table in formats.c and one function in a file of
 * its own, which takes what its switch put on the frame off the peel.
 */
#ifndef PB_TRAILER_FORMATS_H
#define PB_TRAILER_FORMATS_H

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "recorder/trailer/trailer.h"

#define ETHERNET_TYPE_AT	12u	/* behind both addresses */
#define FCS_BYTES		4u
#define FRAME_MIN		60u	/* of Ethernet, without its FCS */
#define IPV4_HEADER		20u

/* What is left of a frame: a trailer's tail, and an FCS behind it, are off. */
struct peel {
	const struct pb_trailer_list *list;
	const struct pb_trailer *trailer;	/* the one that is due */
	struct pb_trailer_context *context;	/* or NULL */
	const uint8_t	*frame;
	uint64_t	 capture_ns;
	struct pb_trailers *out;	/* for holes and keyframes */
	uint32_t	 end;		/* so many bytes, from the first on */
	uint32_t	 type_at;	/* offset of the EtherType, behind the
					 * stamps that were taken out */
	bool		 had_fcs;	/* an FCS was behind what is due */
	uint32_t	 carried;	/* pb_peel_carried() */
	bool		 ip;		/* and it is an IP packet */
	bool		 bare;		/* nothing is behind it: no trailer */
};

/*
 * Read what the format puts on a frame, from `tail` on, which has the bytes
 * that the list says; take more off the peel where there is more.  The stamp
 * is zeroed but for its format.  False where it is not there: then the peel
 * is not looked at again.
 */
typedef bool peel_function(struct peel *peel, const uint8_t *tail,
		    struct pb_stamp *stamp);

struct pb_trailer_format {
	const char	*name;
	enum pb_stamp_format number;
	peel_function	*take;		/* NULL: opaque bytes, no stamp */
	uint8_t		 tail;		/* bytes, without an argument's: none
					 * where that is an EtherType */
	bool		 keeps_fcs;	/* the frame inside has its FCS */
	bool		 says_scale;	/* TAI or UTC: @tai has no meaning */
	bool		 keyframes;	/* needs a context */
	struct {			/* what stands behind `name:` */
		uint16_t	 min, max;	/* max 0: nothing may */
		bool		 needed;
		bool		 hexadecimal;
		bool		 bytes;	/* of the tail */
	}		 argument;
};

extern const struct pb_trailer_format pb_trailer_formats[];
#define PB_TRAILER_FORMATS	11u

peel_function	pb_take_metamako, pb_take_exablaze, pb_take_vss,
		pb_take_ixia, pb_take_arista7280, pb_take_arista7150,
		pb_take_mac48, pb_take_ttag, pb_take_broadcom;

/* Are so many bytes behind the EtherType? */
static inline bool
peel_has(const struct peel *peel, uint32_t bytes)
{
	return peel->end >= peel->type_at + 2 + bytes;
}

/* The EtherType behind VLAN tags that a later switch put on; it is there. */
uint32_t	pb_peel_vlans(const struct peel *peel);

/*
 * Where what the frame carries ends, by its own word: the end of an IP packet
 * (RFC 791, RFC 8200), an 802.3 length, PTP (IEEE 1588), LLDP (802.1AB), ARP.
 * 0 where that is not known.  The frame may be shorter; it was never read past
 * `end`.  `*ip`: it is an IP packet.
 */
uint32_t	pb_peel_carried(const struct peel *peel, bool *ip);

/* A stamp that took bytes out of the header. */
static inline void
peel_hole(struct peel *peel, uint32_t at, uint32_t bytes)
{
	struct pb_trailers *out = peel->out;

	out->hole[out->holes].at = (uint16_t)at;
	out->hole[out->holes].bytes = (uint16_t)bytes;
	out->holes++;
	peel->type_at = at + bytes;
}

/* A clock that shows a year before 2000 is not set: it counts from when its
 * switch was started, or from where its system does (1970, 1980). */
#define STAMP_SECONDS_MIN	946684800u

/* A whole time, in UTC or, with `tai`, ahead of it: its flag. */
static inline unsigned
stamp_time(const struct peel *peel, struct pb_stamp *stamp, bool tai,
    uint64_t ns)
{
	stamp->time_ns = ns;
	if (ns <= STAMP_SECONDS_MIN * PB_NS_PER_S)
		return 0;
	if (tai)
		stamp->time_ns -= (uint64_t)(peel->list->tai_utc *
		    (int64_t)PB_NS_PER_S);
	return PB_STAMP_TIMED;
}

/*
 * The lower part of a time, which wraps after `range_ns`: the moment nearest
 * to the capture's time.  One that is further off than a clock that is kept
 * would be is adrift.  Returns its flags.
 */
unsigned	pb_stamp_extend(const struct peel *peel,
		    struct pb_stamp *stamp, bool tai, uint64_t low_ns,
		    uint64_t range_ns);

/* Another trailer at the end of a list, which has room for it. */
void		pb_trailer_add(struct pb_trailer_list *list,
		    const struct pb_trailer_format *format,
		    unsigned argument, bool tai);

/* The checksum of IP (RFC 1071); 0 of what has its own in it and is right. */
uint16_t	pb_ip_checksum(const uint8_t *at, uint32_t len);

#endif
