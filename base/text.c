/*
 * base/text.c - numbers, names and globs as people write them
 *
 * Promise: a parser takes the whole string or nothing, and a number that
 * does not fit 64 bits is an error, never a wrapped value.
 * Reason:  what an operator mistypes must not become another size.
 * Not here: moments (text_time.c), encodings (text_code.c).
 */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WORD_BYTES_MAX		64	/* pb_nearest() looks no further */
#define DISTANCE_MAX		3
#define QUOTED			"'%.64s'"	/* so much of a wrong text */

struct unit {
	const char	*name;
	uint64_t	 factor;
};

static int	parse_scaled(const char *, const struct unit *, bool,
		    uint64_t *, const char *, struct pb_err *);
static const char *parse_digits(const char *, uint64_t *, bool *);
static size_t	distance(const char *, size_t, const char *, size_t);

static const struct unit size_units[] = {
	{ "B", 1 },
	{ "KiB", 1ull << 10 }, { "MiB", 1ull << 20 }, { "GiB", 1ull << 30 },
	{ "TiB", 1ull << 40 }, { "PiB", 1ull << 50 },
	{ "kB", 1000ull }, { "KB", 1000ull }, { "MB", 1000000ull },
	{ "GB", 1000000000ull }, { "TB", 1000000000000ull },
	{ "PB", 1000000000000000ull },
	{ NULL, 0 },
};

static const struct unit duration_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 },
	{ NULL, 0 },
};

static const struct unit span_units[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	{ "m", 60000000000 }, { "h", 3600000000000 },
	{ "d", 86400000000000 },
	{ NULL, 0 },
};

static const struct unit rate_units[] = {
	{ "bit", 1 }, { "kbit", 1000 }, { "Mbit", 1000000 },
	{ "Gbit", 1000000000 }, { "Tbit", 1000000000000 },
	{ NULL, 0 },
};

int
pb_parse_size(const char *text, uint64_t *bytes, struct pb_err *err)
{
	return parse_scaled(text, size_units, false, bytes, "size; write a "
	    "whole number of bytes or one with KiB, MiB, GiB, TiB, kB, MB, GB "
	    "or TB, like 256MiB", err);
}

int
pb_parse_duration(const char *text, uint64_t *ms, struct pb_err *err)
{
	return parse_scaled(text, duration_units, true, ms, "time span; write "
	    "a whole number with ms, s, m, h or d, like 60s", err);
}

int
pb_parse_span(const char *text, uint64_t *ns, struct pb_err *err)
{
	return parse_scaled(text, span_units, true, ns, "time span; write a "
	    "whole number with ns, us, ms, s, m, h or d, like 20us", err);
}

int
pb_parse_rate(const char *text, uint64_t *bits, struct pb_err *err)
{
	return parse_scaled(text, rate_units, true, bits, "rate; write a "
	    "whole number with bit, kbit, Mbit or Gbit, like 100Mbit", err);
}

int
pb_parse_bool(const char *text, bool *out, struct pb_err *err)
{
	static const char *const words[] = {	/* true where even */
		"yes", "no", "true", "false", "on", "off", "1", "0",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2 == 0;
			return 0;
		}
	}
	return pb_err_set(err, PB_EINVAL, QUOTED " is neither yes nor no",
	    text);
}

int
pb_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out,
    struct pb_err *err)
{
	uint64_t value;
	bool fits;
	const char *end = parse_digits(text, &value, &fits);

	if (end == NULL || *end != '\0')
		return pb_err_set(err, PB_EINVAL, QUOTED " is no whole "
		    "number; write one from %" PRIu64 " to %" PRIu64, text,
		    min, max);
	if (!fits || value < min || value > max)
		return pb_err_set(err, PB_EINVAL, QUOTED " is out of range; "
		    "write a number from %" PRIu64 " to %" PRIu64, text, min,
		    max);
	*out = value;
	return 0;
}

void
pb_hex64(uint64_t value, char out[static 17])
{
	snprintf(out, 17, "%016" PRIx64, value);
}

int
pb_parse_hex64(const char *text, uint64_t *out, struct pb_err *err)
{
	/* One spelling a value: it is a file name and a part of a URL. */
	if (strspn(text, "0123456789abcdef") != 16 || text[16] != '\0')
		return pb_err_set(err, PB_EINVAL, QUOTED " is not 16 "
		    "lower-case hex digits", text);
	*out = strtoull(text, NULL, 16);
	return 0;
}

const char *
pb_size_format(uint64_t bytes, char out[static 16])
{
	static const char units[] = "KMGTPE";
	unsigned shift = 10, i = 0;
	uint64_t whole, tenths;

	if (bytes < 1024) {
		snprintf(out, 16, "%u B", (unsigned)bytes);
		return out;
	}
	for (;;) {
		uint64_t rest = bytes & ((1ull << shift) - 1);

		whole = bytes >> shift;
		tenths = (rest * 10 + (1ull << (shift - 1))) >> shift;
		whole += tenths / 10;
		tenths %= 10;
		if (whole < 1024 || i == sizeof(units) - 2)
			break;
		shift += 10;
		i++;
	}
	snprintf(out, 16, "%u.%u %ciB", (unsigned)whole, (unsigned)tenths,
	    units[i]);
	return out;
}

const char *
pb_span_format(uint64_t ns, char out[static PB_SPAN_TEXT_MAX])
{
	uint64_t s = ns / PB_NS_PER_S;

	if (s < 60)
		snprintf(out, PB_SPAN_TEXT_MAX, "%.1f s", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(out, PB_SPAN_TEXT_MAX, "%" PRIu64 " min", s / 60);
	else if (s < 2 * 86400)
		snprintf(out, PB_SPAN_TEXT_MAX, "%" PRIu64 " h %" PRIu64
		    " min", s / 3600, s % 3600 / 60);
	else
		snprintf(out, PB_SPAN_TEXT_MAX, "%" PRIu64 " days", s / 86400);
	return out;
}

bool
pb_name_valid(const char *name)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._-";
	size_t len = strnlen(name, PB_NAME_BYTES_MAX + 1);

	if (len == 0 || len > PB_NAME_BYTES_MAX)
		return false;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strspn(name, allowed) == len;
}

bool
pb_glob_match(const char *glob, const char *text)
{
	return pb_glob_match_len(glob, strlen(glob), text);
}

bool
pb_list_next(const char **list, const char **item, size_t *len)
{
	static const char between[] = ", \t\r\n";

	*item = *list + strspn(*list, between);
	*len = strcspn(*item, between);
	*list = *item + *len;
	return *len > 0;
}

bool
pb_glob_list_match(const char *list, const char *text)
{
	const char *item;
	size_t len;

	while (pb_list_next(&list, &item, &len))
		if (pb_glob_match_len(item, len, text))
			return true;
	return false;
}

const char *
pb_nearest(const char *word, const char *const *words, size_t count)
{
	size_t len = strnlen(word, WORD_BYTES_MAX + 1);
	size_t best = DISTANCE_MAX + 1;
	const char *nearest = NULL;

	if (len > WORD_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other = strnlen(words[i], WORD_BYTES_MAX + 1), d;

		if (other > WORD_BYTES_MAX)
			continue;
		d = distance(word, len, words[i], other);
		if (d < best && d < len) {
			best = d;
			nearest = words[i];
		}
	}
	return nearest;
}

/*
 * A whole number and one of `units`; without a unit only 0, or
 * any number where `unit_needed` is false.  `right`: what it is not, and what
 * to write.
 */
static int
parse_scaled(const char *text, const struct unit *units, bool unit_needed,
    uint64_t *out, const char *right, struct pb_err *err)
{
	static const struct unit none = { "", 1 };
	const struct unit *unit = units;
	uint64_t value;
	bool fits;
	const char *end = parse_digits(text, &value, &fits);

	if (end != NULL && *end == '\0' && (!unit_needed || value == 0))
		unit = &none;
	else
		while (unit->name != NULL && (end == NULL ||
		    strcmp(end, unit->name) != 0))
			unit++;
	if (unit->name == NULL)
		return pb_err_set(err, PB_EINVAL, QUOTED " is no %s", text,
		    right);
	if (!fits || value > UINT64_MAX / unit->factor)
		return pb_err_set(err, PB_EINVAL, QUOTED " is too large; "
		    "write at most %" PRIu64 "%s", text,
		    UINT64_MAX / unit->factor, unit->name);
	*out = value * unit->factor;
	return 0;
}

/* Where the digits end, or NULL: there are none.  Do they fit 64 bits? */
static const char *
parse_digits(const char *text, uint64_t *out, bool *fits)
{
	char *end;

	/* strtoull(3) takes blanks and a sign as well. */
	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	*fits = errno != ERANGE;
	return end;
}

/*
 * Only the last `*` is ever tried again: what an earlier one might take
 * instead, the last one can take too.  Hence at most len * len steps.
 */
bool
pb_glob_match_len(const char *glob, size_t len, const char *text)
{
	size_t g = 0, star = SIZE_MAX;
	const char *resume = text;

	while (*text != '\0') {
		if (g < len && glob[g] == '*') {
			star = g++;
			resume = text;
		} else if (g < len && (glob[g] == '?' || glob[g] == *text)) {
			g++;
			text++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (g < len && glob[g] == '*')
		g++;
	return g == len;
}

/* Levenshtein distance of two words of at most WORD_BYTES_MAX bytes. */
static size_t
distance(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t row[WORD_BYTES_MAX + 1];

	for (size_t j = 0; j <= blen; j++)
		row[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			size_t above = row[j], d = diagonal;

			if (a[i - 1] != b[j - 1])
				d++;
			if (above + 1 < d)
				d = above + 1;
			if (row[j - 1] + 1 < d)
				d = row[j - 1] + 1;
			row[j] = d;
			diagonal = above;
		}
	}
	return row[blen];
}
