/*
 * pcapng/swap.c - option lists of either byte order in canonical form
 *
 * One table says which options are numbers.  Numbers and the PEN of custom
 * options are turned to little-endian; octets, texts and options that the
 * table does not know stay as they came, and so does a number whose length
 * is not the draft's: nobody can say what it is.
 *
 * A list that is canonical already, the usual case, is not copied.
 */
#include <string.h>

#include "pcapng/option.h"
#include "pcapng/reader_impl.h"

#define PEN_BYTES	4u
#define BPF_BYTES	8u	/* an instruction: u16, u8, u8, u32 */

enum shape {
	SHAPE_OCTETS,
	SHAPE_U32,
	SHAPE_U64,
	SHAPE_U32S,		/* two of 32 bits */
	SHAPE_FILTER,		/* kind; kind 1: BPF instructions */
	SHAPE_VERDICT,		/* kind; kinds 1 and 2: u64 */
};

static const struct {
	enum options_of	of;
	uint16_t	code;
	enum shape	shape;
} numbers[] = {
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_SPEED, SHAPE_U64 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TZONE, SHAPE_U32 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_FILTER, SHAPE_FILTER },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TSOFFSET, SHAPE_U64 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TXSPEED, SHAPE_U64 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_RXSPEED, SHAPE_U64 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_FLAGS, SHAPE_U32 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_DROPCOUNT, SHAPE_U64 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_PACKETID, SHAPE_U64 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_QUEUE, SHAPE_U32 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_VERDICT, SHAPE_VERDICT },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_PROCESSID_THREADID, SHAPE_U32S },
	{ OPTIONS_OF_OLD_PACKET, PB_OPT_EPB_FLAGS, SHAPE_U32 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_STARTTIME, SHAPE_U32S },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_ENDTIME, SHAPE_U32S },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_IFRECV, SHAPE_U64 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_IFDROP, SHAPE_U64 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_FILTERACCEPT, SHAPE_U64 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_OSDROP, SHAPE_U64 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_USRDELIV, SHAPE_U64 },
};

static int	list_measure(bool, const uint8_t *, size_t, size_t *, bool *);
static int	list_copy(struct pb_buf *, enum options_of, bool,
		    const uint8_t *, size_t);
static bool	kept(enum options_of, uint16_t);
static void	swap_value(enum options_of, uint16_t, uint8_t *, size_t);
static enum shape shape_of(enum options_of, uint16_t);
static void	swap_filter(uint8_t *, size_t);
static void	swap16(uint8_t *);
static void	swap32(uint8_t *);
static void	swap64(uint8_t *);

int
pb_options_canonical(struct pb_buf *scratch, enum options_of of, bool big,
    const uint8_t *list, size_t len, const uint8_t **out, size_t *out_len)
{
	bool zeroed;
	int rc = list_measure(big, list, len, &len, &zeroed);

	if (rc < 0)
		return rc;
	if (len > PB_OPTIONS_BYTES_MAX)
		return PB_ELIMIT;
	*out = list;
	*out_len = len;
	if (!big && zeroed && of != OPTIONS_OF_OLD_PACKET)
		return 0;
	rc = list_copy(scratch, of, big, list, len);
	*out = scratch->data;
	*out_len = scratch->len;
	return rc;
}

/* --- helpers ------------------------------------------------------------- */

static uint16_t
get16(bool big, const uint8_t *at)
{
	return big ? pb_get_be16(at) : pb_get_le16(at);
}

/*
 * Walk the list once: `*end` is its length up to opt_endofopt, `*zeroed`
 * whether all its padding is zero.
 */
static int
list_measure(bool big, const uint8_t *list, size_t len, size_t *end,
    bool *zeroed)
{
	size_t at = 0, value, whole;

	*zeroed = true;
	while (at < len) {
		if (len - at < PB_OPTION_HEAD)
			return PB_EFORMAT;
		if (get16(big, list + at) == PB_OPT_END)
			break;
		value = get16(big, list + at + 2);
		whole = PB_OPTION_BYTES(value);
		if (whole > len - at)
			return PB_EFORMAT;
		for (size_t i = PB_OPTION_HEAD + value; i < whole; i++)
			if (list[at + i] != 0)
				*zeroed = false;
		at += whole;
	}
	*end = at;
	return 0;
}

/* Append the measured list to `scratch`, each option made canonical. */
static int
list_copy(struct pb_buf *scratch, enum options_of of, bool big,
    const uint8_t *list, size_t len)
{
	int rc;

	for (size_t at = 0; at < len; ) {
		uint16_t code = get16(big, list + at);
		uint16_t value = get16(big, list + at + 2);

		if (kept(of, code)) {
			rc = pb_option_put(scratch, code,
			    list + at + PB_OPTION_HEAD, value);
			if (rc < 0)
				return rc;
			if (big)
				swap_value(of, code, scratch->data +
				    scratch->len - pb_round_up(value, 4),
				    value);
		}
		at += PB_OPTION_BYTES(value);
	}
	return 0;
}

/*
 * A Packet Block has two options of its own, flags and hash, and they are
 * their twins.  Other codes that an Enhanced Packet Block gives a meaning
 * never had one there, so they would turn into claims nobody made.
 */
static bool
kept(enum options_of of, uint16_t code)
{
	return of != OPTIONS_OF_OLD_PACKET || code <= PB_OPT_EPB_HASH ||
	    code > PB_OPT_EPB_PROCESSID_THREADID;
}

/* From big-endian, in place. */
static void
swap_value(enum options_of of, uint16_t code, uint8_t *value, size_t len)
{
	if (pb_option_is_custom(code)) {
		if (len >= PEN_BYTES)
			swap32(value);
		return;
	}
	switch (shape_of(of, code)) {
	case SHAPE_U32:
		if (len == 4)
			swap32(value);
		break;
	case SHAPE_U64:
		if (len == 8)
			swap64(value);
		break;
	case SHAPE_U32S:
		if (len == 8) {
			swap32(value);
			swap32(value + 4);
		}
		break;
	case SHAPE_FILTER:
		if (len > 0 && value[0] == 1)
			swap_filter(value + 1, len - 1);
		break;
	case SHAPE_VERDICT:
		if (len == 9 && (value[0] == 1 || value[0] == 2))
			swap64(value + 1);
		break;
	case SHAPE_OCTETS:
		break;
	}
}

static enum shape
shape_of(enum options_of of, uint16_t code)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].of == of && numbers[i].code == code)
			return numbers[i].shape;
	return SHAPE_OCTETS;
}

static void
swap_filter(uint8_t *at, size_t len)
{
	if (len % BPF_BYTES != 0)
		return;
	for (size_t i = 0; i < len; i += BPF_BYTES) {
		swap16(at + i);
		swap32(at + i + 4);
	}
}

static void
swap16(uint8_t *at)
{
	pb_put_le16(at, pb_get_be16(at));
}

static void
swap32(uint8_t *at)
{
	pb_put_le32(at, pb_get_be32(at));
}

static void
swap64(uint8_t *at)
{
	pb_put_le64(at, pb_get_be64(at));
}
