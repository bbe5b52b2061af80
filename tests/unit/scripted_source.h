/*
 * tests/unit/scripted_source.h - a source of frames that does what a test says
 *
 * A script is a text, a step each character:
 *	a..z	a frame of `bytes` that begins with that character, captured
 *		`gap_ns` after the one before
 *	A..Z	the same, but of 2,000 bytes
 *	0	a frame without a time
 *	.	a frame of 13 bytes
 *	-	a packet that is left out
 *	_	nothing for now
 *	!	an error
 */
#ifndef PB_TESTS_SCRIPTED_SOURCE_H
#define PB_TESTS_SCRIPTED_SOURCE_H

#include <ctype.h>
#include <string.h>

#include "recorder/transmit/ahead.h"

struct scripted_source {
	const char	*script;
	const char	*grown;		/* from the second loop on, or NULL */
	uint32_t	 bytes;
	uint64_t	 gap_ns;
	const char	*at;
	uint64_t	 time_ns;
	unsigned	 loops;
	uint8_t		 data[2048];
};

static int
scripted_begin(void *arg, const struct pb_stop *stop, struct pb_err *err)
{
	struct scripted_source *source = arg;

	(void)stop;
	(void)err;
	source->at = source->loops++ > 0 && source->grown != NULL ?
	    source->grown : source->script;
	source->time_ns = 1000;
	return 0;
}

static int
scripted_next(void *arg, struct pb_source_frame *out, struct pb_err *err)
{
	struct scripted_source *source = arg;
	char c = *source->at;

	if (c == '\0')
		return PB_SOURCE_END;
	source->at++;
	if (c == '-')
		return PB_SOURCE_SKIP;
	if (c == '_')
		return PB_SOURCE_IDLE;
	if (c == '!')
		return pb_err_set(err, PB_EFORMAT, "scripted");
	memset(source->data, c, sizeof(source->data));
	*out = (struct pb_source_frame){
		.data = source->data,
		.len = c == '.' ? 13 : isupper((unsigned char)c) ? 2000 :
		    source->bytes,
		.way = c == 'z',
		.timed = c != '0',
		.time_ns = source->time_ns,
	};
	source->time_ns += source->gap_ns;
	return PB_SOURCE_FRAME;
}

#endif
