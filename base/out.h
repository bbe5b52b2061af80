/*
 * base/out.h - a descriptor that is written to in large pieces
 *
 * Rows and packets gather in a buffer and leave by write(2) when it is full
 * or flushed.  The error is sticky: after the first failure nothing more is
 * written, and the caller asks when it suits.  A reader that went away
 * (`pb query | head`) is a failure of its own kind, pb_out_gone(), because
 * it is no error.
 *
 * With a press (press.h) what leaves is compressed; pb_out_end() ends that.
 */
#ifndef PB_BASE_OUT_H
#define PB_BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/press.h"
#include "base/stop.h"

/* The largest piece that pb_out_room() can be asked for: a stored block
 * and the comments of its way fit in. */
#define PB_OUT_BYTES	(1u << 20)
/* So much is gathered where nothing else is said: more would be no faster, and
 * each page of it is new once. */
#define PB_OUT_GATHER_BYTES (128u << 10)

struct pb_out {
	int		 fd;		/* the caller's */
	const char	*name;		/* for errors; borrowed */
	const struct pb_stop *stop;	/* borrowed */
	struct pb_press	*press;		/* borrowed; NULL: as it is */
	uint64_t	 bytes;		/* put so far, before the press */
	size_t		 gather;	/* bytes that leave at once */
	struct pb_buf	 buf;
	struct pb_err	 err;		/* of the first failure */
	int		 rc;		/* its code, else 0 */
	bool		 gone;		/* ... was that nobody reads */
};

/* A write(2) that a signal interrupts is tried again unless `stop` (may be
 * NULL) was asked for. */
void	 pb_out_init(struct pb_out *out, int fd, const char *name,
	    const struct pb_stop *stop);
void	 pb_out_finish(struct pb_out *out);	/* does not flush */

/* Append; 0 or the sticky error. */
int	 pb_out_put(struct pb_out *out, const void *data, size_t len);
int	 pb_out_text(struct pb_out *out, const char *text);
int	 pb_out_printf(struct pb_out *out, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * Where the next `len` (at most PB_OUT_BYTES) bytes go, or NULL after a
 * failure; pb_out_took() then says how many were written there.
 */
uint8_t	*pb_out_room(struct pb_out *out, size_t len);
void	 pb_out_took(struct pb_out *out, size_t len);

/* Write what is there; 0 or the sticky error, its words in `err`. */
int	 pb_out_flush(struct pb_out *out, struct pb_err *err);
/* The same, and nothing more comes. */
int	 pb_out_end(struct pb_out *out, struct pb_err *err);

/* True once the reader has gone (EPIPE). */
bool	 pb_out_gone(const struct pb_out *out);

#endif
