/*
 * base/pages.h - memory of one's own, which can lie in huge pages
 */
#ifndef PB_BASE_PAGES_H
#define PB_BASE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define PB_HUGE_BYTES	((size_t)2 << 20)	/* of x86-64 and arm64 */

/*
 * `bytes` of private memory, all zero, with the `protection` of mmap(2) and
 * of its flags what is in `more`; from an edge where a huge page may begin,
 * if it is as large as one.  NULL where there is none.  It ends with
 * munmap(2).
 */
uint8_t	*pb_pages_map(size_t bytes, int protection, int more);

#endif
