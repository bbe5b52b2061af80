/*
 * base/metrics.c - numbers a program tells of itself
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <string.h>

static uint64_t	value_of(const struct pb_metric *, const void *);
static void	put_name(struct pb_buf *, const char *,
		    const struct pb_metric *);

void
pb_metrics_json(struct pb_json *json, const struct pb_metric *metric,
    size_t count, const void *facts)
{
	for (size_t i = 0; i < count; i++)
		if (metric[i].size == sizeof(bool))
			pb_json_bool(json, metric[i].key,
			    value_of(&metric[i], facts) != 0);
		else
			pb_json_u64(json, metric[i].key,
			    value_of(&metric[i], facts));
}

void
pb_metrics_text(struct pb_buf *out, const char *group,
    const struct pb_metric *metric, size_t count, const void *facts)
{
	for (size_t i = 0; i < count; i++) {
		pb_metric_head(out, group, &metric[i]);
		pb_metric_value(out, group, &metric[i], NULL, facts);
	}
}

void
pb_metric_head(struct pb_buf *out, const char *group,
    const struct pb_metric *metric)
{
	pb_buf_str(out, "# HELP ");
	put_name(out, group, metric);
	pb_buf_printf(out, " %s\n# TYPE ", metric->help);
	put_name(out, group, metric);
	pb_buf_str(out, metric->gauge ? " gauge\n" : " counter\n");
}

void
pb_metric_value(struct pb_buf *out, const char *group,
    const struct pb_metric *metric, const struct pb_label *labels,
    const void *facts)
{
	put_name(out, group, metric);
	for (const struct pb_label *at = labels; at != NULL && at->name != NULL;
	    at++) {
		pb_buf_printf(out, "%s%s=", at == labels ? "{" : ",",
		    at->name);
		pb_buf_quoted(out, at->text);
	}
	if (labels != NULL)
		pb_buf_str(out, "}");
	pb_buf_printf(out, " %" PRIu64 "\n", value_of(metric, facts));
}

static uint64_t
value_of(const struct pb_metric *metric, const void *facts)
{
	const char *at = (const char *)facts + metric->at;
	uint64_t value;

	if (metric->size == sizeof(bool))
		return *(const bool *)at;
	memcpy(&value, at, sizeof(value));
	return value;
}

static void
put_name(struct pb_buf *out, const char *group,
    const struct pb_metric *metric)
{
	pb_buf_printf(out, "pb_%s%s%s%s", group, group[0] != '\0' ? "_" : "",
	    metric->key, metric->gauge ? "" : "_total");
}
