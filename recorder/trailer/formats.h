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

/* What is left of a frame. */
struct peel {
	const struct pb_trailer_list *list;
	const struct pb_trailer *trailer;	/* the one that is due */
	struct pb_trailer_key *key;	/* its context, or NULL */
	const uint8_t	*frame;
	uint32_t	 end;		/* so many bytes, from the first on */
	uint32_t	 type_at;	/* offset of the EtherType, behind the
					 * stamps that were taken out */
	uint64_t	 capture_ns;
	bool		 had_fcs;	/* an FCS was behind what is due */
	bool		 fcs;		/* what is left ends with one */
	struct pb_trailers *out;	/* for holes and keyframes */
};

/*
 * Take what the format puts on a frame off the peel, and fill in the stamp,
 * which is zeroed but for its format.  False where it is not there: then the
 * peel's end and type_at are not looked at again.
 */
typedef bool peel_function(struct peel *peel, struct pb_stamp *stamp);

struct pb_trailer_format {
	const char	*name;
	enum pb_stamp_format number;
	peel_function	*take;
	struct {			/* what stands behind `name:` */
		unsigned	 min, max;	/* max 0: nothing may */
		bool		 needed;
		bool		 hexadecimal;
	}		 argument;
	bool		 says_scale;	/* TAI or UTC: @tai has no meaning */
	bool		 keyframes;	/* needs a context */
};

extern const struct pb_trailer_format pb_trailer_formats[];
#define PB_TRAILER_FORMATS	11u

peel_function	pb_take_metamako, pb_take_exablaze, pb_take_vss,
		pb_take_ixia, pb_take_arista7280, pb_take_arista7150,
		pb_take_mac48, pb_take_ttag, pb_take_broadcom, pb_take_raw;

/* Are so many bytes behind the EtherType? */
static inline bool
peel_has(const struct peel *peel, uint32_t bytes)
{
	return peel->end >= peel->type_at + 2 + bytes;
}

/* The EtherType behind VLAN tags that a later switch put on; it is there. */
uint32_t	pb_peel_vlans(const struct peel *peel);

/* What a format with an end of `bytes` begins at; it has them. */
static inline const uint8_t *
peel_tail(struct peel *peel, uint32_t bytes)
{
	peel->end -= bytes;
	return peel->frame + peel->end;
}

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

/* A clock that shows the first hour of 1970 is not set. */
#define STAMP_SECONDS_MIN	3600u

/* A whole time, in UTC or, with `tai`, ahead of it. */
static inline void
stamp_time(const struct peel *peel, struct pb_stamp *stamp, bool tai,
    uint64_t ns)
{
	int64_t ahead = tai ? peel->list->tai_utc : 0;

	stamp->time_ns = ns;
	if (ns <= STAMP_SECONDS_MIN * PB_NS_PER_S)
		return;
	stamp->time_ns = ns - (uint64_t)(ahead * (int64_t)PB_NS_PER_S);
	stamp->flags |= PB_STAMP_TIMED;
}

/*
 * The lower part of a time, which wraps after `range_ns`: the moment nearest
 * to the capture's time.  One that is further off than a clock that is kept
 * would be is adrift.
 */
void	pb_stamp_extend(const struct peel *peel, struct pb_stamp *stamp,
	    bool tai, uint64_t low_ns, uint64_t range_ns);

/* The checksum of IP (RFC 1071); 0 of what has its own in it and is right. */
uint16_t	pb_ip_checksum(const uint8_t *at, uint32_t len);

#endif
