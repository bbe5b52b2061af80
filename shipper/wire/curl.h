/*
 * shipper/wire/curl.h - libcurl, loaded when somebody speaks HTTP
 *
 * It brings thirty other libraries, and loading them takes longer than a query
 * of an index (base/late.h).  curl.curl_NAME() is curl_NAME(), as soon as
 * pb_curl_load() has said that it is there.
 */
#ifndef PB_SHIPPER_WIRE_CURL_H
#define PB_SHIPPER_WIRE_CURL_H

#include <curl/curl.h>

#include "base/late.h"

/* Macros that would stand in front of the functions. */
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

#define PB_CURL_FUNCTIONS(of) \
	of(curl_easy_cleanup) of(curl_easy_getinfo) of(curl_easy_init) \
	of(curl_easy_pause) of(curl_easy_reset) of(curl_easy_setopt) \
	of(curl_easy_strerror) of(curl_global_cleanup) of(curl_global_init) \
	of(curl_multi_add_handle) of(curl_multi_cleanup) \
	of(curl_multi_info_read) of(curl_multi_init) \
	of(curl_multi_remove_handle) of(curl_multi_setopt) \
	of(curl_multi_socket_action) of(curl_multi_strerror) \
	of(curl_slist_append) of(curl_slist_free_all)

struct pb_curl {
	PB_CURL_FUNCTIONS(PB_LATE_MEMBER)
};
extern struct pb_curl pb_curl;

/* Any number of times, one thread at a time; PB_ENOENT: pb_late_load(). */
int	pb_curl_load(struct pb_err *err);

#endif
