/*
 * tests/unit/option_u32.h - options of 32 bits, which only tests look at
 */
#ifndef TESTS_OPTION_U32_H
#define TESTS_OPTION_U32_H

#include "base/bytes.h"
#include "pcapng/option.h"

static inline int
put_u32(struct pb_buf *out, uint16_t code, uint32_t value)
{
	uint8_t bytes[4];

	pb_put_le32(bytes, value);
	return pb_option_put(out, code, bytes, sizeof(bytes));
}

static inline bool
find_u32(const uint8_t *list, size_t len, uint16_t code, uint32_t *out)
{
	struct pb_option option;

	if (!pb_option_find(list, len, code, &option) || option.len != 4)
		return false;
	*out = pb_get_le32(option.value);
	return true;
}

#endif
