/*
 * tests/unit/fake_outlet.h - an interface that does what a test says
 *
 * It stands in for recorder/transmit/engine/outlet.h.  Each call of send has
 * the next answer of a script: how many frames are taken at most, or an error;
 * behind its end all are taken.  Included by one file of a program; the
 * library's outlet is then left out by the linker.
 */
#ifndef PB_TESTS_FAKE_OUTLET_H
#define PB_TESTS_FAKE_OUTLET_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/transmit/engine/outlet.h"

#define FAKE_FRAMES_MAX	4096

struct pb_outlet {
	uint32_t	 bytes_max;
	const int	*script;	/* of send; ends with FAKE_END */
	int		 looks_down;	/* so many looks find it down */
	int		 stays;		/* of what was taken, at the end */
	bool		 down_at_end;
	unsigned	 sends, waits, looks;
	unsigned	 most;		/* frames of one call */
	uint8_t		 first[FAKE_FRAMES_MAX];	/* byte of each frame */
	uint32_t	 len[FAKE_FRAMES_MAX];
	unsigned	 frames;
};

#define FAKE_END	INT32_MAX

int
pb_outlet_send(struct pb_outlet *outlet, const struct pb_frame *frames,
    unsigned count, struct pb_err *err)
{
	unsigned taken = count;

	outlet->sends++;
	if (count > outlet->most)
		outlet->most = count;
	if (outlet->script != NULL && *outlet->script != FAKE_END) {
		int answer = *outlet->script++;

		if (answer < 0)
			return pb_err_set(err, answer, "fake: error %d",
			    answer);
		taken = (unsigned)answer < count ? (unsigned)answer : count;
	}
	for (unsigned i = 0; i < taken; i++, outlet->frames++) {
		if (outlet->frames == FAKE_FRAMES_MAX)
			abort();
		outlet->first[outlet->frames] = frames[i].data[0];
		outlet->len[outlet->frames] = frames[i].len;
	}
	return (int)taken;
}

int
pb_outlet_wait(struct pb_outlet *outlet, uint64_t ns_max, struct pb_err *err)
{
	(void)ns_max;
	(void)err;
	outlet->waits++;
	return 0;
}

int
pb_outlet_look(struct pb_outlet *outlet, struct pb_err *err)
{
	outlet->looks++;
	if (outlet->looks_down == 0)
		return 0;
	outlet->looks_down--;
	return pb_err_set(err, PB_EBUSY, "fake is down");
}

int
pb_outlet_drain(struct pb_outlet *outlet, uint64_t ns_max, struct pb_err *err)
{
	(void)ns_max;
	return outlet->down_at_end ? pb_err_set(err, PB_EBUSY, "fake is "
	    "down") : outlet->stays > 0;
}

unsigned
pb_outlet_waiting(const struct pb_outlet *outlet, uint64_t *bytes)
{
	*bytes = 0;
	for (int i = 0; i < outlet->stays; i++)
		*bytes += outlet->len[outlet->frames - 1 - (unsigned)i];
	return (unsigned)outlet->stays;
}

uint32_t
pb_outlet_bytes_max(const struct pb_outlet *outlet, bool tagged)
{
	return outlet->bytes_max + (tagged ? 4 : 0);
}

#endif
