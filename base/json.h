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
/* One that has more digits than these: `text` is a number of JSON. */
void	pb_json_number(struct pb_json *json, const char *key,
	    const char *text);
void	pb_json_bool(struct pb_json *json, const char *key, bool value);
void	pb_json_null(struct pb_json *json, const char *key);
/* RFC 3339, ns, UTC, as a string. */
void	pb_json_time(struct pb_json *json, const char *key, uint64_t ns);

/*
 * A small document of others, parsed once and asked for its members; `a.b`
 * is member b of the object that is member a.  Callers read straight down:
 * the first that is wrong is in `rc` and the words in what open was given as
 * `err`, and what is read with an error is 0, false or "".
 */
struct pb_json_doc {
	struct json_t	*root;		/* private */
	struct pb_err	*err;		/* borrowed; NULL: nobody asks */
	int		 rc;		/* 0, or PB_EFORMAT */
};

/* PB_EFORMAT where it is no JSON object, or larger than PB_JSON_BODY_MAX;
 * members are missing then.  In any case the caller closes it. */
int	pb_json_doc_open(struct pb_json_doc *doc, const char *body,
	    size_t len, struct pb_err *err);
void	pb_json_doc_close(struct pb_json_doc *doc);

bool	pb_json_doc_has(const struct pb_json_doc *doc, const char *key);
/* PB_EFORMAT where it is missing, of another type or out of range. */
uint64_t pb_json_doc_u64(struct pb_json_doc *doc, const char *key);
double	pb_json_doc_double(struct pb_json_doc *doc, const char *key);
bool	pb_json_doc_bool(struct pb_json_doc *doc, const char *key);
void	pb_json_doc_text(struct pb_json_doc *doc, const char *key, char *out,
	    size_t room);
/* Pair `i` of a list of pairs of whole numbers, as [[1,2],[7,9]].  False behind
 * the last one. */
bool	pb_json_doc_pair(struct pb_json_doc *doc, const char *key, size_t i,
	    uint64_t *first, uint64_t *second);
/* Object `i` of a list: borrowed from `doc`, not to be closed, with an `rc`
 * of its own.  False behind the last one. */
bool	pb_json_doc_item(struct pb_json_doc *doc, const char *key, size_t i,
	    struct pb_json_doc *item);

#endif
