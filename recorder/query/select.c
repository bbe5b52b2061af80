/*
 * recorder/query/select.c - which packets: streams, times, numbers, how many
 */
#include "recorder/query/select.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define SEQ_TEXT_MAX	64	/* two 20-digit numbers and a dash fit */

static int	check_times(const struct pb_select *, struct pb_err *);
static int	seq_wrong(const char *, struct pb_err *);

void
pb_select_init(struct pb_select *select)
{
	memset(select, 0, sizeof(*select));
	select->range.first_seq = 1;
	select->range.last_seq = UINT64_MAX;
	select->range.before_ns = UINT64_MAX;
	select->limit = UINT64_MAX;
	select->now_ns = pb_clock_real_ns();
}

int
pb_select_stream(void *arg, const char *text, struct pb_err *err)
{
	struct pb_select *select = arg;

	if (select->globs == PB_SELECT_GLOBS_MAX)
		return pb_err_set(err, PB_EINVAL,
		    "--stream: at most %d of them", PB_SELECT_GLOBS_MAX);
	if (text[0] == '\0')
		return pb_err_set(err, PB_EINVAL,
		    "--stream: is empty; give a pattern of node/interface, "
		    "such as 'edge1/*'");
	select->glob[select->globs++] = text;
	return 0;
}

int
pb_select_after(void *arg, const char *text, struct pb_err *err)
{
	struct pb_select *select = arg;

	if (pb_parse_time(text, select->now_ns, &select->range.after_ns,
	    err) == 0)
		return check_times(select, err);
	return pb_err_prefix(err, PB_EINVAL, "--after");
}

int
pb_select_before(void *arg, const char *text, struct pb_err *err)
{
	struct pb_select *select = arg;

	if (pb_parse_time(text, select->now_ns, &select->range.before_ns,
	    err) == 0)
		return check_times(select, err);
	return pb_err_prefix(err, PB_EINVAL, "--before");
}

/* Where they are equal nothing is in between, and that is no mistake. */
static int
check_times(const struct pb_select *select, struct pb_err *err)
{
	if (select->range.after_ns <= select->range.before_ns)
		return 0;
	return pb_err_set(err, PB_EINVAL, "--before is earlier than --after: "
	    "no packet is in between; write the earlier time behind --after");
}

int
pb_select_seq(void *arg, const char *text, struct pb_err *err)
{
	struct pb_select *select = arg;
	char first[SEQ_TEXT_MAX], *dash;
	uint64_t from, to;

	if (strlen(text) >= sizeof(first))
		return seq_wrong(text, err);
	strcpy(first, text);
	dash = strchr(first, '-');
	if (dash != NULL)
		*dash = '\0';
	if (pb_parse_u64(first, 1, UINT64_MAX, &from, NULL) < 0)
		return seq_wrong(text, err);
	to = dash != NULL ? UINT64_MAX : from;
	if (dash != NULL && dash[1] != '\0' &&
	    pb_parse_u64(dash + 1, 1, UINT64_MAX, &to, NULL) < 0)
		return seq_wrong(text, err);
	if (to < from)
		return pb_err_set(err, PB_EINVAL,
		    "--seq %s: ends before it starts; write %llu-%llu", text,
		    (unsigned long long)to, (unsigned long long)from);
	select->range.first_seq = from;
	select->range.last_seq = to;
	return 0;
}

int
pb_select_limit(void *arg, const char *text, struct pb_err *err)
{
	struct pb_select *select = arg;

	if (pb_parse_u64(text, 0, UINT64_MAX, &select->limit, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--limit");
}

bool
pb_select_match(const struct pb_select *select,
    const struct pb_stream_info *info)
{
	const struct pb_range *range = &select->range;

	return info->packets > 0 && info->last_seq >= range->first_seq &&
	    info->first_seq <= range->last_seq &&
	    info->last_time >= range->after_ns &&
	    info->first_time < range->before_ns &&
	    pb_select_named(select, info);
}

bool
pb_select_named(const struct pb_select *select,
    const struct pb_stream_info *info)
{
	char name[PB_STREAM_NAME_MAX];
	size_t i = 0;

	if (select->globs == 0)
		return true;
	pb_stream_name(name, &info->key);
	while (i < select->globs && !pb_glob_match(select->glob[i], name))
		i++;
	return i < select->globs;
}

bool
pb_select_whole(const struct pb_select *select)
{
	const struct pb_range *range = &select->range;

	return range->first_seq == 1 && range->last_seq == UINT64_MAX &&
	    range->after_ns == 0 && range->before_ns == UINT64_MAX;
}

int
pb_streams_each(struct pb_index *index, const char *glob,
    int (*each)(void *arg, const struct pb_stream_info *info,
    struct pb_err *err), void *arg, struct pb_err *err)
{
	const struct pb_stream_info *row;
	char name[PB_STREAM_NAME_MAX];
	struct pb_rows rows;
	int rc = 0;

	pb_rows_all(&rows, index, PB_TABLE_STREAMS, NULL, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL)
		if (glob == NULL ||
		    pb_glob_match(glob, pb_stream_name(name, &row->key)))
			rc = each(arg, row, err);
	return rc != 0 ? rc : rows.rc;
}

static int
seq_wrong(const char *text, struct pb_err *err)
{
	return pb_err_set(err, PB_EINVAL,
	    "--seq '%.*s': is no range of sequence numbers; write 17, 17-42 "
	    "or 17- (they count from 1)", SEQ_TEXT_MAX, text);
}
