/*
 * recorder/capture/blocks_impl.h - inside the blocks of a capture
 *
 * blocks.c has a packet's way; blocks_losses.c changes what is written
 * already, where packets were lost.
 */
#ifndef PB_CAPTURE_BLOCKS_IMPL_H
#define PB_CAPTURE_BLOCKS_IMPL_H

#include "pcapng/option.h"
#include "recorder/capture/blocks.h"

#define EPB_HEAD		28u	/* from a block's start to its data */
#define OPTION_HEAD		4u
#define DROPCOUNT_BYTES		PB_OPTION_BYTES(8)
#define OPT_END_BYTES		4u
#define TRAILER_BYTES		4u
/* Of statistics: six options. */
#define ISB_BYTES		(PB_ISB_HEAD + 6 * PB_OPTION_BYTES(8) + \
				OPT_END_BYTES + TRAILER_BYTES)

/*
 * Let the chunk's last packet tell what is lost: its block moves up behind
 * a statistics block, and its drop count is added or grows.
 */
void	pb_blocks_charge(struct pb_blocks *blocks, uint64_t count);

/*
 * Insert the interface's counters since its start at `at`, before the last
 * packet or behind it.  Packets that the store had no chunk for count as
 * osdrop: to a reader of the file both are packets that the interface
 * delivered and the file does not have.
 */
void	pb_blocks_statistics(struct pb_blocks *blocks, uint8_t *at);

#endif
