/*
 * base/metrics.h - numbers a program tells of itself
 *
 * A table says which fields of a struct are told, and how they are called;
 * written as members of a JSON object, or as Prometheus text, where each
 * family is in one run after its type.
 */
#ifndef PB_BASE_METRICS_H
#define PB_BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

struct pb_metric {
	const char	*key;		/* a counter's name adds `_total` */
	const char	*help;		/* a sentence */
	bool		 gauge;		/* else a counter */
	size_t		 at, size;	/* of the field: uint64_t, or bool */
};

#define PB_COUNTER(key, type, field, help)				\
	{ (key), (help), false, offsetof(type, field),			\
	    sizeof(((type *)0)->field) }
#define PB_GAUGE(key, type, field, help)				\
	{ (key), (help), true, offsetof(type, field),			\
	    sizeof(((type *)0)->field) }

/* `count` fields of `facts` as members of the object that is open. */
void	pb_metrics_json(struct pb_json *json, const struct pb_metric *metric,
	    size_t count, const void *facts);
/* As families of one value each: pb_GROUP_KEY; group "": pb_KEY. */
void	pb_metrics_text(struct pb_buf *out, const char *group,
	    const struct pb_metric *metric, size_t count, const void *facts);

/* A family with labels: its head, then its values one by one. */
void	pb_metric_head(struct pb_buf *out, const char *group,
	    const struct pb_metric *metric);
struct pb_label {
	const char	*name;		/* NULL ends a list of them */
	const char	*text;		/* is escaped */
};
/* `labels` NULL: it has none. */
void	pb_metric_value(struct pb_buf *out, const char *group,
	    const struct pb_metric *metric, const struct pb_label *labels,
	    const void *facts);

#endif
