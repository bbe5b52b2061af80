/*
 * base/late.h - libraries that are loaded when they are first needed
 *
 * What a library brings with it can take longer to load than `pb` needs for
 * its answer: one that few commands need is no part of the program.  Whoever
 * needs it lists its functions,
 *
 *	#define FUNCTIONS(of)	of(thing_make) of(thing_free)
 *	static struct { FUNCTIONS(PB_LATE_MEMBER) } thing;
 *	static const char *const names[] = { FUNCTIONS(PB_LATE_NAME) };
 *
 * and calls them as thing.thing_make() once they have been loaded.
 */
#ifndef PB_BASE_LATE_H
#define PB_BASE_LATE_H

#include <stddef.h>

#include "base/err.h"

#define PB_LATE_MEMBER(name)	__typeof__(name) *name;
#define PB_LATE_NAME(name)	#name,

/*
 * Load `soname` and put the `count` functions of these names into the pointers
 * at `functions`, in that order; all of them are there where the first is, and
 * the library stays for good.  One thread at a time.  PB_ENOENT: the library,
 * or a function of it, is not on this system.
 */
int	pb_late_load(const char *soname, const char *const *names,
	    size_t count, void *functions, struct pb_err *err);

#endif
