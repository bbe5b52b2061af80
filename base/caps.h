/*
 * base/caps.h - of capabilities(7), no more than what is needed
 */
#ifndef PB_BASE_CAPS_H
#define PB_BASE_CAPS_H

#include <stdint.h>

#include "base/err.h"

/* A set of one; `cap` as of <linux/capability.h>. */
#define PB_CAP(cap)	(1ull << (cap))

/*
 * Of the capabilities that the process has, keep those of the set `kept`, in
 * effect, and none for programs it starts.  For good; to be called before
 * threads are, which have those of who makes them.
 */
int	pb_caps_keep(uint64_t kept, struct pb_err *err);

#endif
