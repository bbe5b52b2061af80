/*
 * shipper/state/row.c - rows of the shipper's tables: numbers and texts
 */
#include "shipper/state/row.h"

#include <string.h>

#include "base/bytes.h"

void
pb_row_begin(struct pb_row *row, uint8_t version)
{
	row->bytes[0] = version;
	row->len = row->at = 1;
}

void
pb_row_put_u64(struct pb_row *row, uint64_t value)
{
	if (row->len + 8 > sizeof(row->bytes))
		return;
	pb_put_le64(row->bytes + row->len, value);
	row->len += 8;
}

void
pb_row_put_text(struct pb_row *row, const char *text)
{
	size_t len = strlen(text);

	if (row->len + 2 + len > sizeof(row->bytes))
		return;
	pb_put_le16(row->bytes + row->len, (uint16_t)len);
	memcpy(row->bytes + row->len + 2, text, len);
	row->len += 2 + len;
}

bool
pb_row_load(struct pb_row *row, uint8_t version,
    const struct pb_mdb_value *value)
{
	if (value->len == 0 || value->len > sizeof(row->bytes))
		return false;
	memcpy(row->bytes, value->data, value->len);
	row->len = value->len;
	row->at = 1;
	return row->bytes[0] == version;
}

uint64_t
pb_row_u64(struct pb_row *row)
{
	uint64_t value;

	if (row->len - row->at < 8) {
		row->at = row->len;
		return 0;
	}
	value = pb_get_le64(row->bytes + row->at);
	row->at += 8;
	return value;
}

void
pb_row_text(struct pb_row *row, char *out, size_t room)
{
	size_t len = 0, keep;

	if (row->len - row->at >= 2) {
		len = pb_get_le16(row->bytes + row->at);
		row->at += 2;
	}
	if (len > row->len - row->at)
		len = row->len - row->at;
	keep = len < room ? len : room - 1;
	memcpy(out, row->bytes + row->at, keep);
	out[keep] = '\0';
	row->at += len;
}

void
pb_row_pack(struct pb_row *row, const void *from,
    const struct pb_row_field *field, size_t fields)
{
	for (size_t i = 0; i < fields; i++) {
		const uint8_t *at = (const uint8_t *)from + field[i].at;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64 = 0;

		if (field[i].text) {
			pb_row_put_text(row, (const char *)at);
			continue;
		}
		if (field[i].bytes == sizeof(u16)) {
			memcpy(&u16, at, sizeof(u16));
			u64 = u16;
		} else if (field[i].bytes == sizeof(u32)) {
			memcpy(&u32, at, sizeof(u32));
			u64 = u32;
		} else {
			memcpy(&u64, at, sizeof(u64));
		}
		pb_row_put_u64(row, u64);
	}
}

void
pb_row_unpack(struct pb_row *row, void *to, const struct pb_row_field *field,
    size_t fields)
{
	for (size_t i = 0; i < fields; i++) {
		uint8_t *at = (uint8_t *)to + field[i].at;
		uint64_t u64;
		uint32_t u32;
		uint16_t u16;

		if (field[i].text) {
			pb_row_text(row, (char *)at, field[i].bytes);
			continue;
		}
		u64 = pb_row_u64(row);
		u32 = (uint32_t)u64;
		u16 = (uint16_t)u64;
		memcpy(at, field[i].bytes == sizeof(u16) ? (void *)&u16 :
		    field[i].bytes == sizeof(u32) ? (void *)&u32 :
		    (void *)&u64, field[i].bytes);
	}
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
