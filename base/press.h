/*
 * base/press.h - a stream made smaller on its way out: gzip or zstd
 *
 * With zip.h the one place that knows libzstd, and the one that knows zlib.
 * What comes out is one gzip member or one zstd frame, however often it is
 * flushed: Wireshark reads no further than the first frame of a .zst.
 */
#ifndef PB_BASE_PRESS_H
#define PB_BASE_PRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum pb_press_kind {
	PB_PRESS_NONE,
	PB_PRESS_GZIP,			/* RFC 1952 */
	PB_PRESS_ZSTD,			/* RFC 8878 */
};

/* What a call is to leave behind. */
enum pb_press_end {
	PB_PRESS_GO_ON,
	PB_PRESS_FLUSH,		/* all that was put can be read */
	PB_PRESS_END,		/* and nothing more comes */
};

#define PB_PRESS_BYTES	(128u << 10)	/* of one piece that comes out */

struct pb_press;

/* By the ending of a file's name: `.gz`, `.zst`. */
enum pb_press_kind pb_press_of_name(const char *name);

/*
 * PB_ENOMEM; `*out` is NULL for PB_PRESS_NONE.  One of `many` takes 96 KiB with
 * gzip and 192 KiB with zstd in place of 0.5 and 1.5 MiB, and leaves some 5 %
 * more.
 */
int	pb_press_create(struct pb_press **out, enum pb_press_kind kind,
	    bool many, struct pb_err *err);
void	pb_press_destroy(struct pb_press *press);	/* NULL is fine */

/*
 * Put `len` bytes in.  Each piece that comes out, PB_PRESS_BYTES at most, is
 * given to `put`, which borrows it; an error of `put` ends it and is
 * returned.  After PB_PRESS_END there is no other call.
 */
int	pb_press_put(struct pb_press *press, const void *data, size_t len,
	    enum pb_press_end end, int (*put)(void *arg, const void *data,
	    size_t len), void *arg, struct pb_err *err);

#endif
