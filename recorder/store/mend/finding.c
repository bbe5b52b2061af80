/*
 * recorder/store/mend/finding.c - one finding of a verification
 */
#include <stdarg.h>
#include <stdio.h>

#include "recorder/store/mend/verify_impl.h"

static bool	is_gone(struct verify *, const struct pb_finding *);

const char *
pb_flaw_name(enum pb_flaw flaw)
{
	static const char *const names[] = {
		[PB_FLAW_INDEX] = "index", [PB_FLAW_MISSING] = "missing",
		[PB_FLAW_SIZE] = "size", [PB_FLAW_HEADER] = "header",
		[PB_FLAW_DIGEST] = "digest", [PB_FLAW_BLOCK] = "block",
		[PB_FLAW_ROW] = "row", [PB_FLAW_JOURNAL] = "journal",
		[PB_FLAW_GAP] = "gap", [PB_FLAW_HOLE] = "hole",
		[PB_FLAW_SUMS] = "sums", [PB_FLAW_EXTRA] = "extra",
		[PB_FLAW_LEFTOVER] = "leftover", [PB_FLAW_FLOWS] = "flows",
	};

	return flaw >= PB_FLAW_INDEX && flaw <= PB_FLAW_FLOWS ?
	    names[flaw] : "unknown";
}

int
verify_tell(struct verify *verify, const struct pb_finding *where,
    enum pb_flaw flaw, const char *text, ...)
{
	struct pb_finding finding = *where;
	va_list ap;

	if (flaw != PB_FLAW_EXTRA && is_gone(verify, where))
		return 0;
	verify->rehearsed++;
	if (verify->rehearsal)
		return 0;
	finding.flaw = flaw;
	va_start(ap, text);
	vsnprintf(finding.text, sizeof(finding.text), text, ap);
	va_end(ap);
	verify->sum->findings++;
	return verify->opts->each(verify->opts->arg, &finding);
}

/* Retention took it away while it was looked at. */
static bool
is_gone(struct verify *verify, const struct pb_finding *where)
{
	struct pb_stream_info stream;
	struct pb_segment_info row;

	if (verify->opts->alone || where->segment_seq == 0 ||
	    pb_index_stream(verify->index, &where->key, &stream, NULL) != 1)
		return false;
	return pb_index_segment(verify->index, stream.id, where->segment_seq,
	    &row, NULL) == 0;
}
