/*
 * recorder/capture/direction.c - which way a packet went, as epb_flags say it
 */
#include "recorder/capture/direction.h"

#include "base/bytes.h"
#include "pcapng/block.h"

/* The LINKTYPE_LINUX_SLL header begins with it, all 16 bits; in that of
 * LINKTYPE_LINUX_SLL2 it is the 11th byte. */
unsigned
pb_direction_cooked(uint16_t linktype, const uint8_t *data, size_t caplen)
{
	if (linktype == PB_LINKTYPE_LINUX_SLL && caplen >= 2)
		return pb_get_be16(data);
	if (linktype == PB_LINKTYPE_LINUX_SLL2 && caplen >= 11)
		return data[10];
	return PB_TYPE_NONE;
}
