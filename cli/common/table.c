/*
 * cli/common/table.c - rows for people or for machines
 */
#include "cli/common/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HELD_BYTES_MAX	(8u << 20)
#define LINE_BYTES_MAX	(256u << 10)

static const char *next_name(struct pb_table *);
static void	put_cell(struct pb_table *, const char *, bool);
static size_t	columns_of(const char *);
static int	print_held(struct pb_table *, struct pb_err *);
static void	print_headings(struct pb_table *);
static void	print_cell(struct pb_table *, size_t, const char *);

void
pb_table_init(struct pb_table *table, struct pb_out *out,
    const char *const *names, bool json)
{
	memset(table, 0, sizeof(*table));
	table->out = out;
	table->names = names;
	table->json = json;
	for (; names[table->count] != NULL; table->count++) {
		assert(table->count < PB_TABLE_COLUMNS_MAX);
		table->width[table->count] = strlen(names[table->count]);
	}
	pb_buf_init(&table->held, HELD_BYTES_MAX);
	pb_buf_init(&table->line, LINE_BYTES_MAX);
}

void
pb_table_finish(struct pb_table *table)
{
	pb_buf_finish(&table->held);
	pb_buf_finish(&table->line);
}

void
pb_table_text(struct pb_table *table, const char *text)
{
	if (table->json)
		pb_json_text(&table->object, next_name(table), text);
	else
		put_cell(table, text, false);
}

void
pb_table_u64(struct pb_table *table, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (table->json)
		pb_json_u64(&table->object, next_name(table), value);
	else
		put_cell(table, text, true);
}

void
pb_table_hex(struct pb_table *table, uint64_t value)
{
	char text[17];

	pb_hex64(value, text);
	pb_table_text(table, text);
}

void
pb_table_size(struct pb_table *table, uint64_t bytes)
{
	char text[16];

	if (table->json)
		pb_json_u64(&table->object, next_name(table), bytes);
	else
		put_cell(table, pb_size_format(bytes, text), true);
}

void
pb_table_time(struct pb_table *table, uint64_t ns, bool known)
{
	char text[PB_TIME_TEXT_MAX];

	if (!table->json)
		put_cell(table, known ? pb_time_format(ns, text) : "-", false);
	else if (known)
		pb_json_time(&table->object, next_name(table), ns);
	else
		pb_json_null(&table->object, next_name(table));
}

void
pb_table_bool(struct pb_table *table, bool value)
{
	if (table->json)
		pb_json_bool(&table->object, next_name(table), value);
	else
		put_cell(table, value ? "yes" : "no", false);
}

int
pb_table_row(struct pb_table *table, struct pb_err *err)
{
	assert(table->column == table->count);
	table->column = 0;
	if (table->json) {
		pb_json_end(&table->object);
		pb_buf_put(&table->line, "\n", 1);
		if (table->line.failed)
			return pb_err_set(err, PB_ELIMIT,
			    "a row is too long to print");
		if (pb_out_put(table->out, table->line.data,
		    table->line.len) < 0)
			return pb_out_flush(table->out, err);
		return 0;
	}
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

/* Of the next member; the object begins with its first. */
static const char *
next_name(struct pb_table *table)
{
	if (table->column == 0) {
		pb_buf_clear(&table->line);
		pb_json_init(&table->object, &table->line);
		pb_json_object(&table->object, NULL);
	}
	return table->names[table->column++];
}

static void
put_cell(struct pb_table *table, const char *text, bool right)
{
	size_t i = table->column++, width;
	char clean[PB_TABLE_CELL_MAX];

	pb_utf8_clean(clean, sizeof(clean), text, strlen(text));
	if (clean[0] == '\0')
		strcpy(clean, "-");
	width = columns_of(clean);
	if (!table->started && width > table->width[i])
		table->width[i] = width;
	table->right[i] = right;
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
		for (size_t i = 0; i < table->count; i++) {
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

	for (size_t i = 0; i < table->count; i++) {
		snprintf(heading, sizeof(heading), "%s", table->names[i]);
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
	bool last = i + 1 == table->count, right = table->right[i];

	pb_out_printf(table->out, "%*s", right ? pad : 0, "");
	pb_out_text(table->out, text);
	pb_out_printf(table->out, "%*s%s", right || last ? 0 : pad, "",
	    last ? "\n" : "  ");
}
