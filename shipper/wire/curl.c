/*
 * shipper/wire/curl.c - libcurl, loaded when somebody speaks HTTP
 */
#include "shipper/wire/curl.h"

#define CURL_LIBRARY	"libcurl.so.4"	/* its ABI since 2006 */

struct pb_curl pb_curl;

int
pb_curl_load(struct pb_err *err)
{
	static const char *const names[] = { PB_CURL_FUNCTIONS(PB_LATE_NAME) };

	if (pb_curl.curl_easy_cleanup != NULL)
		return 0;
	return pb_late_load(CURL_LIBRARY, names,
	    sizeof(names) / sizeof(names[0]), &pb_curl, err);
}
