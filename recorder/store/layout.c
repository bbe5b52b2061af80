/*
 * recorder/store/layout.c - where things are in a store
 */
#include "recorder/store/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_DIGITS	20	/* of a file's name */

static const char *number_of(const char *, uint64_t *);
static int	print_path(char [static PATH_MAX], struct pb_err *,
		    const char *, ...) __attribute__((format(printf, 3, 4)));

int
pb_layout_path(char out[static PATH_MAX], const char *store, const char *name,
    struct pb_err *err)
{
	return print_path(out, err, "%s/%s", store, name);
}

int
pb_layout_url(char out[static PATH_MAX], const struct pb_stream_key *key,
    struct pb_err *err)
{
	struct pb_buf text;
	char epoch[17];
	int rc;

	pb_buf_init(&text, PATH_MAX - 1);
	pb_hex64(key->epoch, epoch);
	pb_percent_encode(&text, key->node);
	pb_buf_str(&text, "/");
	pb_percent_encode(&text, key->interface);
	pb_buf_str(&text, "/");
	pb_buf_str(&text, epoch);
	if (text.failed)
		rc = pb_err_set(err, PB_ELIMIT, "stream name too long");
	else
		rc = print_path(out, err, "%s", pb_buf_cstr(&text));
	pb_buf_finish(&text);
	return rc;
}

int
pb_layout_stream(char out[static PATH_MAX], const char *store,
    const struct pb_stream_key *key, struct pb_err *err)
{
	char url[PATH_MAX];
	int rc = pb_layout_url(url, key, err);

	if (rc < 0)
		return rc;
	return print_path(out, err, "%s/segments/%s", store, url);
}

int
pb_layout_segment(char out[static PATH_MAX], const char *store,
    const struct pb_stream_key *key, uint64_t first_seq, bool open,
    struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_stream(dir, store, key, err);

	if (rc < 0)
		return rc;
	return print_path(out, err, "%s/%020llu.pcapng%s", dir,
	    (unsigned long long)first_seq, open ? ".open" : "");
}

int
pb_layout_flows(char out[static PATH_MAX], const char *store,
    const struct pb_stream_key *key, uint64_t first_seq, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_stream(dir, store, key, err);

	return rc < 0 ? rc : print_path(out, err, "%s/%020llu.flows", dir,
	    (unsigned long long)first_seq);
}

int
pb_layout_letters(char out[static PATH_MAX], const char *store,
    const char *upstream, const struct pb_stream_key *key, struct pb_err *err)
{
	char url[PATH_MAX];
	struct pb_buf name;
	int rc = pb_layout_url(url, key, err);

	if (rc < 0)
		return rc;
	pb_buf_init(&name, PATH_MAX);
	pb_percent_encode(&name, upstream);
	rc = name.failed ? pb_err_set(err, PB_ELIMIT, "name too long") :
	    print_path(out, err, "%s/dead-letters/%s/%s", store,
	    pb_buf_cstr(&name), url);
	pb_buf_finish(&name);
	return rc;
}

int
pb_layout_letter(char out[static PATH_MAX], const char *store,
    const char *upstream, const struct pb_stream_key *key,
    uint64_t segment_seq, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_letters(dir, store, upstream, key, err);

	return rc < 0 ? rc : print_path(out, err, "%s/%020llu.pcapng", dir,
	    (unsigned long long)segment_seq);
}

bool
pb_layout_parse(const char *name, struct pb_segment_name *out)
{
	const char *rest = number_of(name, &out->first);

	out->open = rest != NULL && strcmp(rest, ".pcapng.open") == 0;
	return rest != NULL && (out->open || strcmp(rest, ".pcapng") == 0);
}

bool
pb_layout_parse_flows(const char *name, uint64_t *first_seq)
{
	const char *rest = number_of(name, first_seq);

	return rest != NULL && strcmp(rest, ".flows") == 0;
}

const char *
pb_stream_name(char out[static PB_STREAM_NAME_MAX],
    const struct pb_stream_key *key)
{
	snprintf(out, PB_STREAM_NAME_MAX, "%s/%s", key->node, key->interface);
	return out;
}

/* What stands behind it; NULL where it is none. */
static const char *
number_of(const char *name, uint64_t *number)
{
	*number = 0;
	for (int i = 0; i < NUMBER_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9' ||
		    *number > (UINT64_MAX - 9) / 10)
			return NULL;
		*number = *number * 10 + (uint64_t)(name[i] - '0');
	}
	return *number > 0 ? name + NUMBER_DIGITS : NULL;
}

static int
print_path(char out[static PATH_MAX], struct pb_err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATH_MAX)
		return pb_err_set(err, PB_ELIMIT, "path longer than %d bytes",
		    PATH_MAX - 1);
	return 0;
}
