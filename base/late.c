/*
 * base/late.c - libraries that are loaded when they are first needed
 */
#include "base/late.h"

#include <dlfcn.h>
#include <string.h>

int
pb_late_load(const char *soname, const char *const *names, size_t count,
    void *functions, struct pb_err *err)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL), *found;

	if (library == NULL)
		return pb_err_set(err, PB_ENOENT, "a library is missing: %s",
		    dlerror());
	/* From the last to the first, which tells that all are there. */
	for (size_t i = count; i-- > 0; ) {
		found = dlsym(library, names[i]);
		if (found == NULL)
			return pb_err_set(err, PB_ENOENT,
			    "the library %s has no %s()", soname, names[i]);
		/* A pointer to a function, as POSIX has dlsym() give it. */
		memcpy((char *)functions + i * sizeof(found), &found,
		    sizeof(found));
	}
	return 0;
}
