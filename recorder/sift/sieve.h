/*
 * recorder/sift/sieve.h - the filter of an upstream, once its names are known
 *
 * Host and port names in a filter are looked up when it is compiled, which
 * may take long, and nobody is to wait for that.
 */
#ifndef PB_SIFT_SIEVE_H
#define PB_SIFT_SIEVE_H

#include "base/aside.h"
#include "base/err.h"
#include "recorder/filter/filter.h"

/* Zeroed, it has not been asked for. */
struct pb_sieve {
	struct pb_filter *filter;	/* NULL: not known, or all is wanted */
	struct pb_aside	*aside;
	struct sieve_work *work;
};

/*
 * Make the filter `text`, of packets of a link type; "" has none.  Waits for
 * `ms_max`.  PB_EBUSY: it is not known yet, ask again; PB_ENOENT: a name is
 * not known; PB_EINVAL: it is no filter.  `err` begins with "filter: ".
 */
int	pb_sieve_make(struct pb_sieve *sieve, const char *text,
	    uint16_t linktype, unsigned ms_max, struct pb_err *err);

/* Is `text` a filter?  Names in it are waited for, `ms_max`, and may be
 * unknown.  0, or PB_EINVAL. */
int	pb_sieve_check(const char *text, unsigned ms_max, struct pb_err *err);

/* It may be made again. */
void	pb_sieve_finish(struct pb_sieve *sieve);

#endif
