/*
 * recorder/query/ask_inner.h - rows of a shape asked at every depth of tags
 *
 * Slower than rows.h by far, a microsecond or two a row, and asked only where
 * a shape has tags.
 */
#ifndef PB_QUERY_ASK_INNER_H
#define PB_QUERY_ASK_INNER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/inner.h"
#include "recorder/flow/table.h"

/* verdict[i] of row i.  As pb_flow_table_column(). */
int	pb_ask_inner(const struct pb_inner *inner, struct pb_flow_table *table,
	    size_t shape, uint8_t *verdict, struct pb_err *err);

#endif
