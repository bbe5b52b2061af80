/*
 * base/json.c - JSON: writing by hand, reading by jansson
 *
 * Promise: what is written is valid JSON (RFC 8259) on one line, whatever
 * bytes the text has; what is read is bounded before it is parsed.
 * Reason:  a tree a packet would cost more than the packet; a parser of our
 * own would be one more thing that a peer can attack.
 * Limit:   numbers read go up to 2^63 - 1, jansson's integer.
 */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define DIGITS_MAX	20	/* of a 64-bit number */

static void	begin(struct pb_json *, const char *);
static void	open_level(struct pb_json *, const char *, char, char);
static void	put_text(struct pb_buf *, const char *);
static void	put_escaped(struct pb_buf *, uint8_t);
static json_t	*member_of(const json_t *, const char *);
static const json_t *need(struct pb_json_doc *, const char *);
static void	wrong(struct pb_json_doc *, const json_t *, const char *,
		    const char *);

void
pb_json_init(struct pb_json *json, struct pb_buf *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
}

void
pb_json_object(struct pb_json *json, const char *key)
{
	open_level(json, key, '{', '}');
}

void
pb_json_array(struct pb_json *json, const char *key)
{
	open_level(json, key, '[', ']');
}

void
pb_json_end(struct pb_json *json)
{
	assert(json->depth > 0);
	json->depth--;
	pb_buf_put(json->out, &json->close[json->depth], 1);
}

void
pb_json_text(struct pb_json *json, const char *key, const char *text)
{
	begin(json, key);
	put_text(json->out, text);
}

void
pb_json_u64(struct pb_json *json, const char *key, uint64_t value)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	begin(json, key);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	pb_buf_put(json->out, digits + at, sizeof(digits) - at);
}

void
pb_json_number(struct pb_json *json, const char *key, const char *text)
{
	begin(json, key);
	pb_buf_str(json->out, text);
}

/* JSON has no word for infinity or not-a-number: they become null. */
void
pb_json_double(struct pb_json *json, const char *key, double value)
{
	char text[32];

	if (!isfinite(value)) {
		pb_json_null(json, key);
		return;
	}
	begin(json, key);
	/* The shorter form where it is the same number. */
	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	pb_buf_str(json->out, text);
}

void
pb_json_bool(struct pb_json *json, const char *key, bool value)
{
	begin(json, key);
	pb_buf_str(json->out, value ? "true" : "false");
}

void
pb_json_null(struct pb_json *json, const char *key)
{
	begin(json, key);
	pb_buf_str(json->out, "null");
}

void
pb_json_time(struct pb_json *json, const char *key, uint64_t ns)
{
	char text[PB_TIME_TEXT_MAX];

	pb_json_text(json, key, pb_time_format(ns, text));
}

int
pb_json_doc_open(struct pb_json_doc *doc, const char *body, size_t len,
    struct pb_err *err)
{
	char clean[3 * JSON_ERROR_TEXT_LENGTH];
	json_error_t why;

	*doc = (struct pb_json_doc){ .err = err };
	if (len > PB_JSON_BODY_MAX)
		return doc->rc = pb_err_set(err, PB_EFORMAT, "JSON body has "
		    "%zu bytes; at most %d", len, PB_JSON_BODY_MAX);
	doc->root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(doc->root))
		return 0;
	/* It quotes the body, byte for byte. */
	pb_utf8_clean(clean, sizeof(clean), why.text, strlen(why.text));
	doc->rc = pb_err_set(err, PB_EFORMAT, "body is no JSON object: %s",
	    doc->root == NULL ? clean : "it is another JSON value");
	pb_json_doc_close(doc);
	return doc->rc;
}

void
pb_json_doc_close(struct pb_json_doc *doc)
{
	json_decref(doc->root);
	doc->root = NULL;
}

bool
pb_json_doc_has(const struct pb_json_doc *doc, const char *key)
{
	return member_of(doc->root, key) != NULL;
}

uint64_t
pb_json_doc_u64(struct pb_json_doc *doc, const char *key)
{
	const json_t *member = need(doc, key);

	if (json_is_integer(member) && json_integer_value(member) >= 0)
		return (uint64_t)json_integer_value(member);
	wrong(doc, member, key, "no whole number of 0 or more");
	return 0;
}

double
pb_json_doc_double(struct pb_json_doc *doc, const char *key)
{
	const json_t *member = need(doc, key);

	if (json_is_number(member))
		return json_number_value(member);
	wrong(doc, member, key, "no number");
	return 0;
}

bool
pb_json_doc_bool(struct pb_json_doc *doc, const char *key)
{
	const json_t *member = need(doc, key);

	if (json_is_boolean(member))
		return json_is_true(member);
	wrong(doc, member, key, "neither true nor false");
	return false;
}

void
pb_json_doc_text(struct pb_json_doc *doc, const char *key, char *out,
    size_t room)
{
	const json_t *member = need(doc, key);
	size_t len = json_string_length(member);

	if (!json_is_string(member))
		wrong(doc, member, key, "no text");
	else if (len >= room && doc->rc == 0)
		doc->rc = pb_err_set(doc->err, PB_EFORMAT, "JSON member '%s' "
		    "has %zu bytes; at most %zu", key, len,
		    room == 0 ? 0 : room - 1);
	if (json_is_string(member) && len < room)
		memcpy(out, json_string_value(member), len + 1);
	else if (room > 0)
		out[0] = '\0';
}

bool
pb_json_doc_pair(struct pb_json_doc *doc, const char *key, size_t i,
    uint64_t *first, uint64_t *second)
{
	const json_t *list = need(doc, key), *pair = json_array_get(list, i);
	const json_t *a = json_array_get(pair, 0), *b = json_array_get(pair, 1);

	if (json_is_array(list) && pair == NULL)
		return false;
	if (!json_is_integer(a) || !json_is_integer(b) ||
	    json_integer_value(a) < 0 || json_integer_value(b) < 0) {
		wrong(doc, list, key, "no list of pairs of numbers");
		return false;
	}
	*first = (uint64_t)json_integer_value(a);
	*second = (uint64_t)json_integer_value(b);
	return true;
}

bool
pb_json_doc_item(struct pb_json_doc *doc, const char *key, size_t i,
    struct pb_json_doc *item)
{
	const json_t *list = need(doc, key);

	*item = (struct pb_json_doc){ .err = doc->err,
	    .root = json_array_get(list, i) };
	if (!json_is_array(list))
		wrong(doc, list, key, "no list");
	else if (item->root != NULL && !json_is_object(item->root))
		wrong(doc, list, key, "no list of objects");
	return json_is_object(item->root);
}

/* What stands before a value: the comma, and the key in an object. */
static void
begin(struct pb_json *json, const char *key)
{
	if (json->depth > 0) {
		int level = json->depth - 1;

		assert((json->close[level] == '}') == (key != NULL));
		if (json->comma[level])
			pb_buf_put(json->out, ",", 1);
		json->comma[level] = true;
	}
	if (key != NULL) {
		put_text(json->out, key);
		pb_buf_put(json->out, ":", 1);
	}
}

static void
open_level(struct pb_json *json, const char *key, char opening, char closing)
{
	begin(json, key);
	assert(json->depth < PB_JSON_DEPTH_MAX);
	json->comma[json->depth] = false;
	json->close[json->depth] = closing;
	json->depth++;
	pb_buf_put(json->out, &opening, 1);
}

/* Runs of plain bytes go over in one piece. */
static void
put_text(struct pb_buf *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), run = 0;

	pb_buf_put(out, "\"", 1);
	while (run < left) {
		size_t n = pb_utf8_length(p + run, left - run);

		if (n > 0 && p[run] >= 0x20 && p[run] != '"' &&
		    p[run] != '\\') {
			run += n;
			continue;
		}
		pb_buf_put(out, p, run);
		if (n == 0)
			pb_buf_str(out, "\xef\xbf\xbd");	/* U+FFFD */
		else
			put_escaped(out, p[run]);
		p += run + 1;
		left -= run + 1;
		run = 0;
	}
	pb_buf_put(out, p, run);
	pb_buf_put(out, "\"", 1);
}

static void
put_escaped(struct pb_buf *out, uint8_t c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *found = strchr(plain, c);

	if (found != NULL)
		pb_buf_printf(out, "\\%c", letter[found - plain]);
	else
		pb_buf_printf(out, "\\u%04x", c);
}

/* What is no object has no members. */
static json_t *
member_of(const json_t *object, const char *key)
{
	const char *dot = strchr(key, '.');
	char name[32];

	if (dot == NULL)
		return json_object_get(object, key);
	snprintf(name, sizeof(name), "%.*s", (int)(dot - key), key);
	return member_of(json_object_get(object, name), dot + 1);
}

static const json_t *
need(struct pb_json_doc *doc, const char *key)
{
	const json_t *member = member_of(doc->root, key);

	if (member == NULL && doc->rc == 0)
		doc->rc = pb_err_set(doc->err, PB_EFORMAT, "JSON member '%s' "
		    "is missing", key);
	return member;
}

/* A member that is missing has been told already. */
static void
wrong(struct pb_json_doc *doc, const json_t *member, const char *key,
    const char *why)
{
	if (member != NULL && doc->rc == 0)
		doc->rc = pb_err_set(doc->err, PB_EFORMAT, "JSON member '%s' "
		    "is %s", key, why);
}
