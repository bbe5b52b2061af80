/*
 * base/memory.h - how much memory there is to be had
 */
#ifndef PB_BASE_MEMORY_H
#define PB_BASE_MEMORY_H

#include <stdint.h>

/*
 * Bytes that may be taken before something has to go: what proc_meminfo(5)
 * calls available, and no more than each memory cgroup leaves, the process's
 * own and those above it (cgroups(7); memory.max and memory.high of version
 * 2, memory.limit_in_bytes of version 1), with their inactive page cache.
 * UINT64_MAX where nobody says.  The files are looked for below `root`, ""
 * for the system's own.
 */
uint64_t pb_memory_available(const char *root);

#endif
