/*
 * recorder/filter/linktype.h - libpcap's DLT_ numbers and the LINKTYPE_
 * numbers that files carry
 *
 * A DLT_ number is the operating system's and may differ between systems;
 * a LINKTYPE_ number means the same everywhere and is what we store.
 */
#ifndef PB_FILTER_LINKTYPE_H
#define PB_FILTER_LINKTYPE_H

#include <stdint.h>

#include "base/err.h"

/* The LINKTYPE_ of a DLT_.  PB_EINVAL for one without a number in files. */
int	pb_linktype_of_dlt(int dlt, uint16_t *linktype, struct pb_err *err);

/* The DLT_ of a LINKTYPE_; numbers unknown here stand for themselves. */
int	pb_linktype_to_dlt(uint16_t linktype);

/* What libpcap calls it, for people: `EN10MB`; "unknown". */
const char *pb_linktype_name(uint16_t linktype);

#endif
