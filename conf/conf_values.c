/*
 * conf/conf_values.c - values of keys: names, texts, numbers
 */
#include "conf/conf_values.h"

#include <string.h>

#include "conf/conf.h"

/* `*out` is written where the text is good; base/text.h. */
typedef int scalar(const char *, uint64_t *, struct pb_err *);

static int	bounded(const struct pb_conf_key *, scalar *, const char *,
		    uint64_t *, struct pb_err *);

int
parse_interface(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strlen(value) > PB_IFNAME_BYTES_MAX ||
	    strpbrk(value, " \t/") != NULL)
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no interface "
		    "name; write at most %d bytes without blanks and slashes",
		    value, PB_IFNAME_BYTES_MAX);
	return parse_text(key, field, value, err);
}

/* "" is none. */
int
parse_outlet(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strpbrk(value, " \t/:") != NULL || pb_conf_pseudo(value))
		return pb_err_set(err, PB_EINVAL, "'%.100s' is no network "
		    "interface; write one like eth1", value);
	return parse_text(key, field, value, err);
}

int
parse_name(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (!pb_name_valid(value))
		return pb_err_set(err, PB_EINVAL, "'%.100s' is %s; write 1 "
		    "to %d letters, digits, . _ -", value, key->wrong,
		    PB_NAME_BYTES_MAX);
	return parse_text(key, field, value, err);
}

int
parse_text(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strlen(value) >= key->room)
		return pb_err_set(err, PB_EINVAL, "%zu bytes long; write at "
		    "most %zu", strlen(value), key->room - 1);
	/* To its end: fields are compared as bytes. */
	strncpy(field, value, key->room);
	return 0;
}

int
parse_word(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (strpbrk(value, " \t,") != NULL)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is more than one "
		    "word; write one", value);
	return parse_text(key, field, value, err);
}

int
parse_path(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	if (value[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "empty; write a path");
	return parse_text(key, field, value, err);
}

int
parse_number(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	uint64_t min = 0, max = UINT32_MAX, number;
	int rc = 0;

	if (key->min != NULL)
		rc = pb_parse_u64(key->min, 0, UINT32_MAX, &min, err);
	if (rc == 0 && key->max != NULL)
		rc = pb_parse_u64(key->max, 0, UINT32_MAX, &max, err);
	if (rc == 0)
		rc = pb_parse_u64(value, min, max, &number, err);
	if (rc == 0)
		*(uint32_t *)field = (uint32_t)number;
	return rc;
}

int
parse_size(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_size, value, field, err);
}

int
parse_span(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_duration, value, field, err);
}

int
parse_rate(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	return bounded(key, pb_parse_rate, value, field, err);
}

static int
bounded(const struct pb_conf_key *key, scalar *parse, const char *value,
    uint64_t *out, struct pb_err *err)
{
	uint64_t number, min = 0, max = UINT64_MAX;
	int rc = parse(value, &number, err);

	if (rc == 0 && key->min != NULL)
		rc = parse(key->min, &min, err);
	if (rc == 0 && key->max != NULL)
		rc = parse(key->max, &max, err);
	if (rc < 0)
		return rc;
	if (number >= min && number <= max) {
		*out = number;
		return 0;
	}
	if (key->max == NULL)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is too little; "
		    "write at least %s", value, key->min);
	return pb_err_set(err, PB_EINVAL, "'%.64s' is out of range; write "
	    "%s to %s", value, key->min != NULL ? key->min : "0", key->max);
}

int
parse_yes_no(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	(void)key;
	return pb_parse_bool(value, field, err);
}

/* One of two words: false and true. */
int
parse_choice(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	bool second = strcmp(value, key->words[1]) == 0;

	if (!second && strcmp(value, key->words[0]) != 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is %s", value,
		    key->wrong);
	*(bool *)field = second;
	return 0;
}

/* yes, no, or all. */
int
parse_flows(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	enum pb_conf_flows flows = PB_CONF_FLOWS_ALL;
	bool yes = true;
	int rc = 0;

	(void)key;
	if (strcmp(value, "all") != 0) {
		rc = pb_parse_bool(value, &yes, NULL);
		flows = yes ? PB_CONF_FLOWS_YES : PB_CONF_FLOWS_NO;
	}
	if (rc < 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is none of yes, no "
		    "and all", value);
	*(enum pb_conf_flows *)field = flows;
	return 0;
}

/* `5%` of the file system, or a size. */
int
parse_min_free(const struct pb_conf_key *key, void *field, const char *value,
    struct pb_err *err)
{
	struct pb_min_free *free = field;
	size_t len = strlen(value), digits = strspn(value, "0123456789");
	uint64_t percent = 0, bytes = 0;
	char number[8];
	int rc;

	(void)key;
	if (len == 0 || value[len - 1] != '%') {
		rc = pb_parse_size(value, &bytes, NULL);
	} else if (digits != len - 1 || digits >= sizeof(number)) {
		rc = PB_EINVAL;
	} else {
		memcpy(number, value, digits);
		number[digits] = '\0';
		rc = pb_parse_u64(number, 0, 100, &percent, NULL);
	}
	if (rc < 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is neither a "
		    "percentage nor a size; write 0%% to 100%%, or one like "
		    "20GiB", value);
	free->bytes = bytes;
	free->percent = (unsigned)percent;
	return 0;
}
