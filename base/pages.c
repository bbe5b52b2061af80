/*
 * base/pages.c - memory of one's own, which can lie in huge pages
 */
#include "base/pages.h"

#include <sys/mman.h>

/* More is asked for, and what lies around the aligned piece given back. */
uint8_t *
pb_pages_map(size_t bytes, int protection, int more)
{
	size_t spare = bytes >= PB_HUGE_BYTES ? PB_HUGE_BYTES : 0, before = 0;
	uint8_t *all = mmap(NULL, bytes + spare, protection,
	    MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	if (spare > 0)
		before = -(uintptr_t)all % PB_HUGE_BYTES;
	if (before > 0)
		munmap(all, before);
	if (spare > before)
		munmap(all + before + bytes, spare - before);
	return all + before;
}
