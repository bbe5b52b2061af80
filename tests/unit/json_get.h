/*
 * tests/unit/json_get.h - one member of a JSON document
 *
 * 0 and the member, or the error: then a number stays as it is.
 */
#ifndef PB_TESTS_JSON_GET_H
#define PB_TESTS_JSON_GET_H

#include "base/json.h"

static inline int
json_get_u64(const char *body, size_t len, const char *key, uint64_t *out,
    struct pb_err *err)
{
	struct pb_json_doc doc;
	uint64_t value;

	pb_json_doc_open(&doc, body, len, err);
	value = pb_json_doc_u64(&doc, key);
	if (doc.rc == 0)
		*out = value;
	pb_json_doc_close(&doc);
	return doc.rc;
}

/* Its text is "" after an error. */
static inline int
json_get_text(const char *body, size_t len, const char *key, char *out,
    size_t room, struct pb_err *err)
{
	struct pb_json_doc doc;

	pb_json_doc_open(&doc, body, len, err);
	pb_json_doc_text(&doc, key, out, room);
	pb_json_doc_close(&doc);
	return doc.rc;
}

#endif
