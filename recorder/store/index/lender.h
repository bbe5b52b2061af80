/*
 * recorder/store/index/lender.h - an index for the length of a call
 *
 * In a recorder the index of a store may go, and that of another one be there
 * instead.  So who reads beside the writer keeps nothing of it: neither the
 * index nor the ids of streams.
 */
#ifndef PB_STORE_LENDER_H
#define PB_STORE_LENDER_H

#include "recorder/store/index/index.h"

typedef int	pb_index_use(void *arg, struct pb_index *index,
	    struct pb_err *err);

struct pb_index_lender {
	const char	*store;		/* its path; borrowed */
	/* The answer of `use`; or an error where there is no index now. */
	int		(*lend)(void *arg, pb_index_use *use, void *use_arg,
			    struct pb_err *err);
	void		*arg;
};

#endif
