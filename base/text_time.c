/*
 * base/text_time.c - moments as people write them
 *
 * Promise: nanoseconds in, the same nanoseconds out; no time zone but the
 * one that stands in the text, and no locale.
 * Reason:  gmtime(3) takes a lock and strftime(3) reads the locale, and
 * pb_time_format() runs once for each packet that `pb query` prints.
 * Limit:   1970-01-01 to 2554-07-21, what 64 bits of nanoseconds hold.
 */
#include "base/text.h"

#include <string.h>

#include "base/clock.h"

#define SECONDS_PER_DAY		86400
#define SECONDS_MAX		(UINT64_MAX / PB_NS_PER_S)
#define HINT			"; write 2026-11-21T10:00:00Z, seconds since " \
				"1970, or -5m"

/* The Gregorian calendar, the same in every leap cycle of 400 years. */
#define DAYS_PER_ERA		146097
#define YEARS_PER_ERA		400
#define DAYS_TO_1970		719468	/* from 0000-03-01 */

static int	parse_ago(const char *, uint64_t, uint64_t *, struct pb_err *);
static int	parse_seconds(const char *, uint64_t *, struct pb_err *);
static int	parse_rfc3339(const char *, uint64_t *, struct pb_err *);
static bool	take_digits(const char **, int, int, int, int64_t *);
static bool	take_fraction(const char **, uint64_t *);
static bool	take_offset(const char **, int64_t *);
static int64_t	days_of_date(int64_t, int64_t, int64_t);
static void	date_of_days(int64_t, int64_t *, unsigned *, unsigned *);
static int	days_in_month(int64_t, int64_t);
static char	*put_digits(char *, uint64_t, int);

int
pb_parse_time(const char *text, uint64_t now_ns, uint64_t *ns,
    struct pb_err *err)
{
	size_t digits = strspn(text, "0123456789");

	if (text[0] == '-')
		return parse_ago(text, now_ns, ns, err);
	if (digits == 4 && text[4] == '-')
		return parse_rfc3339(text, ns, err);
	return parse_seconds(text, ns, err);
}

const char *
pb_time_format(uint64_t ns, char out[static PB_TIME_TEXT_MAX])
{
	uint64_t seconds = ns / PB_NS_PER_S;
	uint64_t clock = seconds % SECONDS_PER_DAY;
	unsigned month, day;
	int64_t year;
	char *p = out;

	date_of_days((int64_t)(seconds / SECONDS_PER_DAY), &year, &month,
	    &day);
	p = put_digits(p, (uint64_t)year, 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, clock / 3600, 2);
	*p++ = ':';
	p = put_digits(p, clock / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, clock % 60, 2);
	*p++ = '.';
	p = put_digits(p, ns % PB_NS_PER_S, 9);
	*p++ = 'Z';
	*p = '\0';
	return out;
}

/* Longer ago than 1970 is 1970: no packet is older. */
static int
parse_ago(const char *text, uint64_t now_ns, uint64_t *ns, struct pb_err *err)
{
	uint64_t ms;

	if (pb_parse_duration(text + 1, &ms, NULL) < 0)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is no time" HINT,
		    text);
	if (ms > now_ns / PB_NS_PER_MS)
		*ns = 0;
	else
		*ns = now_ns - ms * PB_NS_PER_MS;
	return 0;
}

static int
parse_seconds(const char *text, uint64_t *ns, struct pb_err *err)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t seconds = 0, fraction = 0;
	const char *p = text;

	/* Eleven digits pass the limit below and cannot wrap. */
	for (; digits <= 11 && *p >= '0' && *p <= '9'; p++)
		seconds = seconds * 10 + (uint64_t)(*p - '0');
	if (p == text || !take_fraction(&p, &fraction) || *p != '\0')
		return pb_err_set(err, PB_EINVAL, "'%.64s' is no time" HINT,
		    text);
	if (seconds >= SECONDS_MAX)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is too late; "
		    "times end in the year 2554", text);
	*ns = seconds * PB_NS_PER_S + fraction;
	return 0;
}

static int
parse_rfc3339(const char *text, uint64_t *ns, struct pb_err *err)
{
	int64_t year, month, day, hour, minute, second, offset, at;
	uint64_t fraction = 0;
	const char *p = text;

	if (!take_digits(&p, 4, 0, 9999, &year) || *p++ != '-' ||
	    !take_digits(&p, 2, 1, 12, &month) || *p++ != '-' ||
	    !take_digits(&p, 2, 1, days_in_month(year, month), &day) ||
	    (*p != 'T' && *p != 't' && *p != ' '))
		goto wrong;
	p++;
	/* A leap second, :60, is the first of the next minute. */
	if (!take_digits(&p, 2, 0, 23, &hour) || *p++ != ':' ||
	    !take_digits(&p, 2, 0, 59, &minute) || *p++ != ':' ||
	    !take_digits(&p, 2, 0, 60, &second) ||
	    !take_fraction(&p, &fraction))
		goto wrong;
	if (*p == '\0')
		return pb_err_set(err, PB_EINVAL, "'%.64s' has no time zone; "
		    "add Z for UTC or an offset like +01:00", text);
	if (!take_offset(&p, &offset) || *p != '\0')
		goto wrong;
	at = days_of_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 +
	    minute * 60 + second - offset;
	if (at < 0 || (uint64_t)at >= SECONDS_MAX)
		return pb_err_set(err, PB_EINVAL, "'%.64s' is out of range; "
		    "times go from 1970 to 2554", text);
	*ns = (uint64_t)at * PB_NS_PER_S + fraction;
	return 0;
wrong:
	return pb_err_set(err, PB_EINVAL, "'%.64s' is no time" HINT, text);
}

/* Exactly `count` digits within [min, max]. */
static bool
take_digits(const char **at, int count, int min, int max, int64_t *out)
{
	const char *p = *at;
	int64_t value = 0;

	for (int i = 0; i < count; i++, p++) {
		if (*p < '0' || *p > '9')
			return false;
		value = value * 10 + (*p - '0');
	}
	if (value < min || value > max)
		return false;
	*at = p;
	*out = value;
	return true;
}

/* Nothing, or a point and one to nine digits, as nanoseconds. */
static bool
take_fraction(const char **at, uint64_t *ns)
{
	const char *p = *at;
	uint64_t value = 0;
	int digits;

	if (*p != '.')
		return true;
	p++;
	for (digits = 0; *p >= '0' && *p <= '9'; digits++, p++) {
		if (digits == 9)
			return false;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	if (digits == 0)
		return false;
	for (; digits < 9; digits++)
		value *= 10;
	*at = p;
	*ns = value;
	return true;
}

/* `Z` or `+hh:mm`: the seconds that the text's clock is ahead of UTC. */
static bool
take_offset(const char **at, int64_t *seconds)
{
	const char *p = *at;
	int64_t hours, minutes, sign;

	if (*p == 'Z' || *p == 'z') {
		*seconds = 0;
		*at = p + 1;
		return true;
	}
	if (*p != '+' && *p != '-')
		return false;
	sign = *p++ == '-' ? -1 : 1;
	if (!take_digits(&p, 2, 0, 23, &hours) || *p++ != ':' ||
	    !take_digits(&p, 2, 0, 59, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	*at = p;
	return true;
}

/*
 * Days since 1970-01-01.  Years begin in March, so that the leap day is
 * the last of its year and months before it count (153 * m + 2) / 5 days.
 */
static int64_t
days_of_date(int64_t year, int64_t month, int64_t day)
{
	int64_t m = (month + 9) % 12;	/* March is 0 */
	int64_t y = year + YEARS_PER_ERA - (month <= 2);

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 +
	    day - 1 - DAYS_PER_ERA - DAYS_TO_1970;
}

/* The inverse, for days from 1970 on. */
static void
date_of_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + DAYS_TO_1970, era = z / DAYS_PER_ERA;
	int64_t in_era = z % DAYS_PER_ERA;
	/* Take out the leap days before it, and every year has 365. */
	int64_t y = (in_era - in_era / 1460 + in_era / 36524 -
	    in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * in_year + 2) / 153;

	*day = (unsigned)(in_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = y + era * YEARS_PER_ERA + (*month <= 2);
}

static int
days_in_month(int64_t year, int64_t month)
{
	static const int days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
	};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 ||
	    year % 400 == 0))
		return 29;
	return days[month - 1];
}

static char *
put_digits(char *p, uint64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		p[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return p + count;
}
