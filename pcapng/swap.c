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

/* So many numbers of so many bytes are the value. */
static const struct {
	enum options_of	of;
	uint16_t	code;
	unsigned	bytes, count;
} numbers[] = {
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_SPEED, 8, 1 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TZONE, 4, 1 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TSOFFSET, 8, 1 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_TXSPEED, 8, 1 },
	{ OPTIONS_OF_INTERFACE, PB_OPT_IF_RXSPEED, 8, 1 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_FLAGS, 4, 1 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_DROPCOUNT, 8, 1 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_PACKETID, 8, 1 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_QUEUE, 4, 1 },
	{ OPTIONS_OF_PACKET, PB_OPT_EPB_PROCESSID_THREADID, 4, 2 },
	{ OPTIONS_OF_OLD_PACKET, PB_OPT_EPB_FLAGS, 4, 1 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_STARTTIME, 4, 2 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_ENDTIME, 4, 2 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_IFRECV, 8, 1 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_IFDROP, 8, 1 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_FILTERACCEPT, 8, 1 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_OSDROP, 8, 1 },
	{ OPTIONS_OF_STATISTICS, PB_OPT_ISB_USRDELIV, 8, 1 },
};

static int	list_measure(bool, const uint8_t *, size_t, size_t *, bool *);
static int	list_copy(struct pb_buf *, enum options_of, bool,
		    const uint8_t *, size_t);
static bool	kept(enum options_of, uint16_t);
static void	swap_value(enum options_of, uint16_t, uint8_t *, size_t);
static void	swap_numbers(uint8_t *, unsigned, unsigned);
static void	swap_filter(uint8_t *, size_t);

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

/*
 * Walk the list once: `*end` is its length up to opt_endofopt, `*zeroed`
 * whether all its padding is zero.
 */
static int
list_measure(bool big, const uint8_t *list, size_t len, size_t *end,
    bool *zeroed)
{
	struct pb_option_walk walk = { list, len };
	struct pb_option option;
	int rc;

	*zeroed = true;
	while ((rc = pb_option_next_of(&walk, big, &option)) == 1)
		for (const uint8_t *p = option.value + option.len; p < walk.at;
		    p++)
			*zeroed &= *p == 0;
	*end = len - walk.left;
	return rc;
}

/* Append the measured list to `scratch`, each option made canonical. */
static int
list_copy(struct pb_buf *scratch, enum options_of of, bool big,
    const uint8_t *list, size_t len)
{
	struct pb_option_walk walk = { list, len };
	struct pb_option option;
	int rc = 0;

	while (rc == 0 && pb_option_next_of(&walk, big, &option) == 1) {
		if (!kept(of, option.code))
			continue;
		rc = pb_option_put(scratch, option.code, option.value,
		    option.len);
		if (rc == 0 && big)
			swap_value(of, option.code, scratch->data +
			    scratch->len - pb_round_up(option.len, 4),
			    option.len);
	}
	return rc;
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
			swap_numbers(value, PEN_BYTES, 1);
		return;
	}
	/* A kind, and what it says of the rest. */
	if (of == OPTIONS_OF_INTERFACE && code == PB_OPT_IF_FILTER && len > 0 &&
	    value[0] == 1)
		swap_filter(value + 1, len - 1);
	else if (of == OPTIONS_OF_PACKET && code == PB_OPT_EPB_VERDICT &&
	    len == 9 && (value[0] == 1 || value[0] == 2))
		swap_numbers(value + 1, 8, 1);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].of == of && numbers[i].code == code &&
		    numbers[i].bytes * numbers[i].count == len)
			swap_numbers(value, numbers[i].bytes,
			    numbers[i].count);
}

static void
swap_numbers(uint8_t *at, unsigned bytes, unsigned count)
{
	for (; count > 0; count--, at += bytes)
		if (bytes == 8)
			pb_put_le64(at, pb_get_be64(at));
		else
			pb_put_le32(at, pb_get_be32(at));
}

static void
swap_filter(uint8_t *at, size_t len)
{
	if (len % BPF_BYTES != 0)
		return;
	for (size_t i = 0; i < len; i += BPF_BYTES) {
		pb_put_le16(at + i, pb_get_be16(at + i));
		pb_put_le32(at + i + 4, pb_get_be32(at + i + 4));
	}
}
