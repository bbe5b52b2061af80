/*
 * pcapng/ticks.c - an interface's own clock, in nanoseconds
 */
#include "pcapng/ticks.h"

#include "base/bytes.h"
#include "pcapng/block.h"
#include "pcapng/option.h"

#define POWER_DEFAULT	6u	/* 10^-6 */
#define BINARY		0x80u	/* set: a negative power of two */
#define DECIMAL_MAX	19u
#define BINARY_MAX	63u

int
pb_ticks_read(struct pb_ticks *out, const uint8_t *options, size_t len,
    struct pb_err *err)
{
	struct pb_option option;
	unsigned power = POWER_DEFAULT;
	bool binary = false;

	*out = (struct pb_ticks){ .mul = 1, .div = 1 };
	if (pb_option_find(options, len, PB_OPT_IF_TSRESOL, &option)) {
		if (option.len != 1)
			return pb_err_set(err, PB_EFORMAT, "if_tsresol has "
			    "%u bytes; 1 is right", option.len);
		binary = (option.value[0] & BINARY) != 0;
		power = option.value[0] & ~BINARY;
	}
	if (power > (binary ? BINARY_MAX : DECIMAL_MAX))
		return pb_err_set(err, PB_EFORMAT, "if_tsresol is %s^-%u; "
		    "10^-19 and 2^-63 are the finest that can be read",
		    binary ? "2" : "10", power);
	if (binary) {
		out->mul = PB_NS_PER_S;
		out->shift = power;
	}
	for (unsigned i = power; !binary && i < 9; i++)
		out->mul *= 10;
	for (unsigned i = 9; !binary && i < power; i++)
		out->div *= 10;
	if (pb_option_find(options, len, PB_OPT_IF_TSOFFSET, &option)) {
		if (option.len != 8)
			return pb_err_set(err, PB_EFORMAT, "if_tsoffset has "
			    "%u bytes; 8 is right", option.len);
		out->offset_s = (int64_t)pb_get_le64(option.value);
	}
	return 0;
}
