/*
 * base/err.h - how every layer reports a failure
 *
 * A function that can fail returns 0 (or a count) or one of the negative
 * codes below, and puts one clear line into the caller's `struct pb_err`:
 * what failed, where, and what would be right.  The layer that knows the
 * name writes the line, once; layers above pass it on.
 */
#ifndef PB_BASE_ERR_H
#define PB_BASE_ERR_H

#include <stdarg.h>

#define PB_ERR_TEXT_MAX	512

enum {
	PB_OK = 0,
	PB_ESYS = -1,		/* the system refused; err->sys is errno */
	PB_ENOMEM = -2,		/* no memory */
	PB_EINVAL = -3,		/* wrong usage or configuration */
	PB_EFORMAT = -4,	/* malformed bytes from disk, wire or user */
	PB_ENOENT = -5,		/* not there */
	PB_EEXIST = -6,		/* there already */
	PB_ENOSPC = -7,		/* disk, map or budget full; may heal */
	PB_EBUSY = -8,		/* held by another process, or not now */
	PB_ELIMIT = -9,		/* a named bound was reached */
	PB_EORDER = -10,	/* sequence numbers do not follow */
	PB_EDIGEST = -11,	/* bytes do not match their digest */
	PB_EACCES = -12,	/* not allowed */
	PB_ELOOP = -13,		/* the packets have been here before */
};

struct pb_err {
	int	 code;
	int	 sys;			/* errno of PB_ESYS, else 0 */
	char	 text[PB_ERR_TEXT_MAX];	/* one line, no newline */
};

/*
 * Fill `err` (NULL is allowed: nothing is kept) and return `code`, so that
 * callers write `return pb_err_set(err, PB_EFORMAT, "...", ...);`.
 */
int	pb_err_set(struct pb_err *err, int code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/*
 * The same for a failed system call: appends ": strerror(errno)".  Returns
 * PB_ENOSPC for ENOSPC and EDQUOT, PB_ENOMEM for ENOMEM, PB_ENOENT for
 * ENOENT, PB_EEXIST for EEXIST, else PB_ESYS.  errno is left as it was.
 */
int	pb_err_sys(struct pb_err *err, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Put "context: " before the text of `err` (NULL is allowed), which is of
 * the failure `code`; returns that. */
int	pb_err_prefix(struct pb_err *err, int code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

#endif
