/*
 * cli/common/table.c - rows for people or for machines
 */
#include "cli/common/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/common/cli.h"

#define HELD_BYTES_MAX	(8u << 20)

static int	json_row(struct pb_table *, const void *, struct pb_err *);
static bool	is_known(const struct pb_column *, uint64_t);
static bool	is_number(const struct pb_column *);
static void	hold_cell(struct pb_table *, size_t, const char *);
static size_t	columns_of(const char *);
static int	print_held(struct pb_table *, struct pb_err *);
static void	print_headings(struct pb_table *);
static void	print_cell(struct pb_table *, size_t, const char *);

void
pb_table_init(struct pb_table *table, struct pb_out *out,
    const struct pb_column *columns, bool json)
{
	memset(table, 0, sizeof(*table));
	table->out = out;
	table->column = columns;
	table->json = json;
	for (; columns->name != NULL; columns++, table->columns++) {
		assert(table->columns < PB_TABLE_COLUMNS_MAX);
		table->width[table->columns] = strlen(columns->name);
	}
	pb_buf_init(&table->held, HELD_BYTES_MAX);
}

void
pb_table_finish(struct pb_table *table)
{
	pb_buf_finish(&table->held);
}

int
pb_table_row(struct pb_table *table, const void *row, struct pb_err *err)
{
	char text[PB_STREAM_NAME_MAX];

	if (table->json)
		return json_row(table, row, err);
	for (size_t i = 0; i < table->columns; i++)
		hold_cell(table, i, pb_column_text(&table->column[i], row,
		    text));
	table->rows++;
	if (table->started || table->rows == PB_TABLE_ROWS_HELD ||
	    table->held.len > HELD_BYTES_MAX / 2)
		return print_held(table, err);
	return 0;
}

int
pb_table_end(struct pb_table *table, struct pb_err *err)
{
	if (!table->json && table->rows > 0 && print_held(table, err) < 0)
		return err->code;
	return pb_out_flush(table->out, err);
}

int
pb_table_print(const struct pb_column *columns, bool json,
    int (*fill)(void *arg, struct pb_table *table, struct pb_err *err),
    void *arg, struct pb_err *err)
{
	struct pb_table table;
	struct pb_out out;
	int rc;

	pb_cli_out(&out);
	pb_table_init(&table, &out, columns, json);
	rc = fill(arg, &table, err);
	if (rc == 0)
		rc = pb_table_end(&table, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_table_finish(&table);
	pb_out_finish(&out);
	return rc;
}

void
pb_columns_json(struct pb_json *json, const struct pb_column *column,
    const void *row)
{
	char text[PB_STREAM_NAME_MAX];

	for (; column->name != NULL; column++) {
		const char *at = (const char *)row + column->at;

		if (column->cell == PB_CELL_BOOL)
			pb_json_bool(json, column->name, *(const bool *)at);
		else if (column->cell >= PB_CELL_SIZE &&
		    column->cell != PB_CELL_HEX &&
		    !is_known(column, *(const uint64_t *)at))
			pb_json_null(json, column->name);
		else if (is_number(column))
			pb_json_u64(json, column->name,
			    *(const uint64_t *)at);
		else if (column->cell == PB_CELL_SECONDS)
			pb_json_double(json, column->name,
			    (double)*(const uint64_t *)at / 1e9);
		else
			pb_json_text(json, column->name,
			    pb_column_text(column, row, text));
	}
}

const char *
pb_column_text(const struct pb_column *column, const void *row,
    char out[static PB_STREAM_NAME_MAX])
{
	const void *at = (const char *)row + column->at;
	const uint64_t *number = at;

	switch (column->cell) {
	case PB_CELL_TEXT:
		return at;
	case PB_CELL_WORD:
		return *(const char *const *)at;
	case PB_CELL_STREAM:
		return pb_stream_name(out, at);
	case PB_CELL_BOOL:
		return *(const bool *)at ? "yes" : "no";
	case PB_CELL_SIZE:
		return is_known(column, *number) ?
		    pb_size_format(*number, out) : "-";
	case PB_CELL_SECONDS:
		return is_known(column, *number) ?
		    pb_span_format(*number, out) : "-";
	case PB_CELL_HEX:
		pb_hex64(*number, out);
		return out;
	case PB_CELL_U64:
		snprintf(out, PB_STREAM_NAME_MAX, "%" PRIu64, *number);
		return out;
	default:
		if (!is_known(column, *number))
			return "-";
		pb_time_format(*number, out);
		if (column->cell == PB_CELL_TIME_SECOND)
			strcpy(out + strlen("2026-11-21T10:00:00"), "Z");
		return out;
	}
}

static int
json_row(struct pb_table *table, const void *row, struct pb_err *err)
{
	struct pb_json json;

	pb_buf_clear(&table->held);
	pb_json_init(&json, &table->held);
	pb_json_object(&json, NULL);
	pb_columns_json(&json, table->column, row);
	pb_json_end(&json);
	pb_buf_put(&table->held, "\n", 1);
	if (table->held.failed)
		return pb_err_set(err, PB_ELIMIT,
		    "a row is too long to print");
	if (pb_out_put(table->out, table->held.data, table->held.len) < 0)
		return pb_out_flush(table->out, err);
	return 0;
}

static bool
is_known(const struct pb_column *column, uint64_t value)
{
	return value != (column->cell == PB_CELL_TIME ||
	    column->cell == PB_CELL_TIME_SECOND ? 0 : UINT64_MAX);
}

static bool
is_number(const struct pb_column *column)
{
	return column->cell == PB_CELL_U64 || column->cell == PB_CELL_SIZE;
}

static void
hold_cell(struct pb_table *table, size_t i, const char *text)
{
	char clean[PB_TABLE_CELL_MAX];
	size_t width;

	pb_utf8_clean(clean, sizeof(clean), text, strlen(text));
	if (clean[0] == '\0')
		strcpy(clean, "-");
	width = columns_of(clean);
	if (!table->started && width > table->width[i])
		table->width[i] = width;
	pb_buf_put(&table->held, clean, strlen(clean) + 1);
}

/* Characters of UTF-8: one column each is near enough for names. */
static size_t
columns_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int
print_held(struct pb_table *table, struct pb_err *err)
{
	const char *cell = (const char *)table->held.data;

	if (table->held.failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a table");
	if (!table->started)
		print_headings(table);
	table->started = true;
	for (size_t row = 0; row < table->rows; row++)
		for (size_t i = 0; i < table->columns; i++) {
			print_cell(table, i, cell);
			cell += strlen(cell) + 1;
		}
	pb_buf_clear(&table->held);
	table->rows = 0;
	return table->out->rc < 0 ? pb_out_flush(table->out, err) : 0;
}

static void
print_headings(struct pb_table *table)
{
	char heading[64], *p;

	for (size_t i = 0; i < table->columns; i++) {
		snprintf(heading, sizeof(heading), "%s",
		    table->column[i].name);
		for (p = heading; *p != '\0'; p++)
			*p = *p == '_' ? ' ' :
			    (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		print_cell(table, i, heading);
	}
}

/* Nothing is behind the last one. */
static void
print_cell(struct pb_table *table, size_t i, const char *text)
{
	size_t have = columns_of(text), want = table->width[i];
	int pad = have < want ? (int)(want - have) : 0;
	bool right = is_number(&table->column[i]);
	bool last = i + 1 == table->columns;

	pb_out_printf(table->out, "%*s", right ? pad : 0, "");
	pb_out_text(table->out, text);
	pb_out_printf(table->out, "%*s%s", right || last ? 0 : pad, "",
	    last ? "\n" : "  ");
}
