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
static json_t	*member_of(json_t *, const char *);
static json_t	*load(const char *, size_t, const char *, json_t **,
		    struct pb_err *);

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
pb_json_get_u64(const char *body, size_t len, const char *key,
    uint64_t *out, struct pb_err *err)
{
	json_t *root, *member = load(body, len, key, &root, err);
	int rc = 0;

	if (member == NULL)
		return PB_EFORMAT;
	if (!json_is_integer(member) || json_integer_value(member) < 0)
		rc = pb_err_set(err, PB_EFORMAT, "JSON member '%s' is no "
		    "whole number of 0 or more", key);
	else
		*out = (uint64_t)json_integer_value(member);
	json_decref(root);
	return rc;
}

int
pb_json_get_bool(const char *body, size_t len, const char *key, bool *out,
    struct pb_err *err)
{
	json_t *root, *member = load(body, len, key, &root, err);
	int rc = 0;

	if (member == NULL)
		return PB_EFORMAT;
	if (!json_is_boolean(member))
		rc = pb_err_set(err, PB_EFORMAT, "JSON member '%s' is neither "
		    "true nor false", key);
	else
		*out = json_is_true(member);
	json_decref(root);
	return rc;
}

int
pb_json_get_text(const char *body, size_t len, const char *key, char *out,
    size_t room, struct pb_err *err)
{
	json_t *root, *member = load(body, len, key, &root, err);
	int rc = 0;

	if (member == NULL)
		return PB_EFORMAT;
	if (!json_is_string(member))
		rc = pb_err_set(err, PB_EFORMAT, "JSON member '%s' is no "
		    "text", key);
	else if (json_string_length(member) >= room)
		rc = pb_err_set(err, PB_EFORMAT, "JSON member '%s' has %zu "
		    "bytes; at most %zu", key, json_string_length(member),
		    room == 0 ? 0 : room - 1);
	else
		memcpy(out, json_string_value(member),
		    json_string_length(member) + 1);
	json_decref(root);
	return rc;
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

static json_t *
member_of(json_t *object, const char *key)
{
	const char *dot = strchr(key, '.');
	char name[32];

	if (dot == NULL)
		return json_object_get(object, key);
	snprintf(name, sizeof(name), "%.*s", (int)(dot - key), key);
	/* What is no object has no members. */
	return member_of(json_object_get(object, name), dot + 1);
}

/*
 * The member `key`, borrowed from `*root`, which the caller releases.
 * NULL with `err` written where there is none.
 */
static json_t *
load(const char *body, size_t len, const char *key, json_t **root,
    struct pb_err *err)
{
	json_t *object, *member;
	char clean[3 * JSON_ERROR_TEXT_LENGTH];
	json_error_t why;

	*root = NULL;
	if (len > PB_JSON_BODY_MAX) {
		pb_err_set(err, PB_EFORMAT, "JSON body has %zu bytes; at most "
		    "%d", len, PB_JSON_BODY_MAX);
		return NULL;
	}
	object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(object)) {
		/* It quotes the body, byte for byte. */
		pb_utf8_clean(clean, sizeof(clean), why.text,
		    strlen(why.text));
		pb_err_set(err, PB_EFORMAT, "body is no JSON object: %s",
		    object == NULL ? clean : "it is another JSON value");
		json_decref(object);
		return NULL;
	}
	member = member_of(object, key);
	if (member == NULL) {
		pb_err_set(err, PB_EFORMAT, "JSON member '%s' is missing",
		    key);
		json_decref(object);
		return NULL;
	}
	*root = object;
	return member;
}
