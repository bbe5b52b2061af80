/*
 * base/json.h - JSON: writing by hand, reading by jansson
 *
 * Writing is on the path of every packet that `pb query --json` prints, so
 * it appends to a buffer without building a tree.  Reading is for small
 * bodies from peers: bounded, and the one place that knows jansson.
 */
#ifndef PB_BASE_JSON_H
#define PB_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PB_JSON_DEPTH_MAX	8
#define PB_JSON_BODY_MAX	65536	/* bytes of a JSON body we read */

struct pb_json {
	struct pb_buf	*out;		/* borrowed */
	int		 depth;
	bool		 comma[PB_JSON_DEPTH_MAX];	/* not the first */
	char		 close[PB_JSON_DEPTH_MAX];	/* `}` or `]` */
};

void	pb_json_init(struct pb_json *json, struct pb_buf *out);

/* `key` is NULL inside arrays and at the top.  Text is escaped (RFC 8259);
 * bytes that are not UTF-8 become U+FFFD. */
void	pb_json_object(struct pb_json *json, const char *key);
void	pb_json_array(struct pb_json *json, const char *key);
void	pb_json_end(struct pb_json *json);		/* either */
void	pb_json_text(struct pb_json *json, const char *key, const char *text);
void	pb_json_u64(struct pb_json *json, const char *key, uint64_t value);
void	pb_json_double(struct pb_json *json, const char *key, double value);
void	pb_json_bool(struct pb_json *json, const char *key, bool value);
void	pb_json_null(struct pb_json *json, const char *key);
/* RFC 3339, ns, UTC, as a string. */
void	pb_json_time(struct pb_json *json, const char *key, uint64_t ns);

/*
 * Read one member of a small JSON object; `a.b` is member b of the object
 * that is member a.  PB_EFORMAT where the body is no
 * JSON object, is larger than PB_JSON_BODY_MAX, or the member is missing or
 * of another type or out of range.
 */
int	pb_json_get_u64(const char *body, size_t len, const char *key,
	    uint64_t *out, struct pb_err *err);
int	pb_json_get_bool(const char *body, size_t len, const char *key,
	    bool *out, struct pb_err *err);
int	pb_json_get_text(const char *body, size_t len, const char *key,
	    char *out, size_t room, struct pb_err *err);

#endif
