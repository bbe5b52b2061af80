/*
 * recorder/query/split.c - one file or several
 */
#include "recorder/query/split.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/press.h"
#include "base/text.h"

static bool	has_unit(const char *);
static int	wrong(const char *, struct pb_err *);
static const char *last_dot(const char *, const char *);

int
pb_split_parse(void *arg, const char *text, struct pb_err *err)
{
	struct pb_split *split = arg;
	uint64_t n;

	/* Given twice, the last one counts, and it alone. */
	memset(split, 0, sizeof(*split));
	if (strcmp(text, "stream") == 0) {
		split->kind = PB_SPLIT_STREAM;
	} else if (pb_parse_duration(text, &n, NULL) == 0 && n > 0) {
		if (pb_parse_span(text, &split->ns, err) < 0)
			return pb_err_prefix(err, PB_EINVAL, "--split");
		split->kind = PB_SPLIT_TIME;
	} else if (has_unit(text) && pb_parse_size(text, &n, NULL) == 0 &&
	    n > 0) {
		split->kind = PB_SPLIT_BYTES;
		split->bytes = n;
	} else {
		return wrong(text, err);
	}
	return 0;
}

uint64_t
pb_split_end(const struct pb_split *split, uint64_t time_ns)
{
	uint64_t start;

	if (split->kind != PB_SPLIT_TIME)
		return UINT64_MAX;
	start = time_ns - time_ns % split->ns;
	return start > UINT64_MAX - split->ns ? UINT64_MAX :
	    start + split->ns;
}

size_t
pb_split_stem(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash != NULL ? slash + 1 : path;
	const char *end = file + strlen(file);

	if (pb_press_of_name(file) != PB_PRESS_NONE)
		end = last_dot(file, end);
	return (size_t)(last_dot(file, end) - path);
}

const char *
pb_split_by_number(char out[static PB_SPLIT_WORD_MAX], unsigned number,
    uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / PB_NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(out, PB_SPLIT_WORD_MAX, "_%05u_%04d%02d%02d%02d%02d%02d",
	    number, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	return out;
}

/* Neither part has a `+` in it, so that no two streams have one name. */
const char *
pb_split_by_stream(char out[static PB_SPLIT_WORD_MAX], const char *node,
    const char *interface)
{
	struct pb_buf word;

	pb_buf_init(&word, PB_SPLIT_WORD_MAX - 1);
	pb_buf_str(&word, "_");
	pb_percent_encode(&word, node);
	pb_buf_str(&word, "+");
	pb_percent_encode(&word, interface);
	snprintf(out, PB_SPLIT_WORD_MAX, "%s", pb_buf_cstr(&word));
	pb_buf_finish(&word);
	return out;
}

/* The last dot of a name that ends at `end`, or `end`; not the one that
 * hides a file. */
static const char *
last_dot(const char *name, const char *end)
{
	for (const char *at = end; at > name + 1; at--)
		if (at[-1] == '.')
			return at - 1;
	return end;
}

/* 60 may be meant as seconds, or as packets: as bytes it is a file a packet. */
static bool
has_unit(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && (text[len - 1] < '0' || text[len - 1] > '9');
}

static int
wrong(const char *text, struct pb_err *err)
{
	return pb_err_set(err, PB_EINVAL, "--split '%.40s': is no size or time "
	    "above 0, nor 'stream'; write 100MiB, 1h or stream", text);
}
