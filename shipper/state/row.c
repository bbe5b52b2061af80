/*
 * shipper/state/row.c - rows of the shipper's tables
 */
#include "shipper/state/row.h"

#include <string.h>

#include "base/bytes.h"

static size_t	put_text(uint8_t *, size_t, const char *);
static void	take_text(struct pb_mdb_value *, char *, size_t);
static uint64_t	take_number(struct pb_mdb_value *);
static void	skip(struct pb_mdb_value *, size_t);
static uint64_t	number_at(const uint8_t *, size_t);
static void	set_number(uint8_t *, size_t, uint64_t);

void
pb_row_store(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, const struct pb_row_shape *shape, const void *from)
{
	uint8_t row[PB_ROW_BYTES_MAX] = { shape->version };
	size_t len = 1, used = 1;

	for (size_t i = 0; i < shape->fields; i++) {
		const struct pb_row_field *field = &shape->field[i];
		const uint8_t *at = (const uint8_t *)from + field->at;
		uint64_t number;

		if (field->text) {
			len += put_text(row + len, sizeof(row) - len,
			    (const char *)at);
			used = len;
		} else if (sizeof(row) - len >= 8) {
			number = number_at(at, field->bytes);
			pb_put_le64(row + len, number);
			len += 8;
			used = number != 0 ? len : used;
		}
	}
	/* What is not there is read as zero. */
	pb_mdb_put(txn, table, key, key_len, row, used);
}

bool
pb_row_load(const struct pb_row_shape *shape, void *to,
    const struct pb_mdb_value *value)
{
	struct pb_mdb_value left = *value;

	memset(to, 0, shape->bytes);
	if (left.len == 0 || left.len > PB_ROW_BYTES_MAX ||
	    *(const uint8_t *)left.data != shape->version)
		return false;
	skip(&left, 1);
	for (size_t i = 0; i < shape->fields; i++) {
		const struct pb_row_field *field = &shape->field[i];
		uint8_t *at = (uint8_t *)to + field->at;

		if (field->text)
			take_text(&left, (char *)at, field->bytes);
		else
			set_number(at, field->bytes, take_number(&left));
	}
	return true;
}

static size_t
put_text(uint8_t *to, size_t room, const char *text)
{
	size_t len = strlen(text);

	if (2 + len > room)
		return 0;
	pb_put_le16(to, (uint16_t)len);
	memcpy(to + 2, text, len);
	return 2 + len;
}

static void
take_text(struct pb_mdb_value *left, char *out, size_t room)
{
	size_t len = 0;

	if (left->len >= 2) {
		len = pb_get_le16(left->data);
		skip(left, 2);
	}
	if (len > left->len)
		len = left->len;
	memcpy(out, left->data, len < room ? len : room - 1);
	skip(left, len);
}

/* Behind what is not whole there is nothing. */
static uint64_t
take_number(struct pb_mdb_value *left)
{
	uint64_t value = left->len >= 8 ? pb_get_le64(left->data) : 0;

	skip(left, left->len >= 8 ? 8 : left->len);
	return value;
}

static void
skip(struct pb_mdb_value *left, size_t bytes)
{
	left->data = (const uint8_t *)left->data + bytes;
	left->len -= bytes;
}

static uint64_t
number_at(const uint8_t *at, size_t bytes)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	if (bytes == sizeof(u16)) {
		memcpy(&u16, at, sizeof(u16));
		return u16;
	}
	if (bytes == sizeof(u32)) {
		memcpy(&u32, at, sizeof(u32));
		return u32;
	}
	memcpy(&u64, at, sizeof(u64));
	return u64;
}

static void
set_number(uint8_t *at, size_t bytes, uint64_t value)
{
	uint32_t u32 = (uint32_t)value;
	uint16_t u16 = (uint16_t)value;

	memcpy(at, bytes == sizeof(u16) ? (const void *)&u16 :
	    bytes == sizeof(u32) ? (const void *)&u32 :
	    (const void *)&value, bytes);
}

void
pb_state_from(struct pb_state_rows *rows, struct pb_mdb_txn *txn,
    unsigned table, const void *key, size_t len, size_t prefix)
{
	rows->txn = txn;
	rows->table = table;
	rows->prefix = prefix;
	rows->len = len > 0 ? len : 1;
	rows->at[0] = 0;
	memcpy(rows->at, key, len);
}

bool
pb_state_next(struct pb_state_rows *rows)
{
	if (pb_mdb_find(rows->txn, rows->table, rows->at, rows->len,
	    &rows->key, &rows->value) != 1 ||
	    rows->key.len < rows->prefix || rows->key.len >= PB_MDB_KEY_MAX ||
	    memcmp(rows->key.data, rows->at, rows->prefix) != 0)
		return false;
	/* The next key is this one with a zero byte behind it, or greater. */
	memcpy(rows->at, rows->key.data, rows->key.len);
	rows->at[rows->key.len] = 0;
	rows->len = rows->key.len + 1;
	return true;
}
