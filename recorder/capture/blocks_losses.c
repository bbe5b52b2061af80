/*
 * recorder/capture/blocks_losses.c - losses told in blocks that are written
 */
#include "recorder/capture/blocks_impl.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "recorder/store/write/fill.h"

static uint64_t	high_first(uint64_t);

void
pb_blocks_charge(struct pb_blocks *blocks, uint64_t count)
{
	bool counts = blocks->last == blocks->counted;
	uint64_t told = 0, time_ns;
	uint8_t *epb, *end;
	uint32_t len;

	pb_blocks_statistics(blocks, blocks->last);
	epb = blocks->last;
	len = pb_get_le32(epb + 4);
	time_ns = (uint64_t)pb_get_le32(epb + 12) << 32 |
	    pb_get_le32(epb + 16);
	end = epb + len - TRAILER_BYTES - OPT_END_BYTES;
	if (counts) {
		end -= DROPCOUNT_BYTES;
		told = pb_get_le64(end + OPTION_HEAD);
	} else {
		len += DROPCOUNT_BYTES;
		blocks->chunk->len += DROPCOUNT_BYTES;
	}
	end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, told + count);
	pb_put_le32(end, PB_OPT_END);
	pb_put_le32(end + OPT_END_BYTES, len);
	pb_put_le32(epb + 4, len);
	pb_fill_drops(blocks->chunk, blocks->chunk->last_seq, count, time_ns);
}

void
pb_blocks_statistics(struct pb_blocks *blocks, uint8_t *at)
{
	const struct pb_counts *counts = blocks->counts;
	uint64_t now_ns = pb_clock_real_ns();
	const struct {
		uint16_t code;
		uint64_t value;
	} option[] = {
		{ PB_OPT_ISB_STARTTIME, high_first(counts->start_ns) },
		{ PB_OPT_ISB_ENDTIME, high_first(now_ns) },
		{ PB_OPT_ISB_IFRECV, pb_counted(&counts->received) },
		{ PB_OPT_ISB_IFDROP, pb_counted(&counts->interface) },
		{ PB_OPT_ISB_OSDROP, pb_counted(&counts->kernel) +
		    pb_counted(&counts->store) },
		{ PB_OPT_ISB_USRDELIV, pb_counted(&counts->packets) },
	};
	uint8_t *end = at + PB_ISB_HEAD;

	memmove(at + ISB_BYTES, at, (size_t)(pb_fill_at(blocks->chunk) - at));
	blocks->chunk->len += ISB_BYTES;
	if (at == blocks->last) {
		blocks->last += ISB_BYTES;
		pb_fill_moved(blocks->chunk, ISB_BYTES);
	}
	pb_put_le32(at, PB_BLOCK_ISB);
	pb_put_le32(at + 4, ISB_BYTES);
	pb_put_le32(at + 8, 0);
	pb_put_le64(at + 12, high_first(now_ns));
	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		end = pb_option_at_u64(end, option[i].code, option[i].value);
	pb_put_le32(end, PB_OPT_END);
	pb_put_le32(end + OPT_END_BYTES, ISB_BYTES);
}

/* Times in a statistics block: the high word first (draft, 4.6). */
static uint64_t
high_first(uint64_t time_ns)
{
	return time_ns << 32 | time_ns >> 32;
}
