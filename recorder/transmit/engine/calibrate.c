/*
 * recorder/transmit/engine/calibrate.c - which engine is fastest here?
 */
#include "recorder/transmit/engine/calibrate.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NS_OF_MPPS	1e3	/* a frame, of a million a second */

static const struct pb_trial *best(const struct pb_calibration *);

void
pb_calibration_init(struct pb_calibration *calibration)
{
	memset(calibration, 0, sizeof(*calibration));
}

void
pb_calibration_add(struct pb_calibration *calibration, enum pb_engine engine,
    const char *name)
{
	assert(calibration->count < PB_ENGINES);
	calibration->trial[calibration->count++] = (struct pb_trial){
	    .engine = engine, .name = name };
}

void
pb_calibration_drop(struct pb_calibration *calibration)
{
	unsigned turn = calibration->turn;

	assert(calibration->count > 1 && turn < calibration->count);
	calibration->count--;
	memmove(&calibration->trial[turn], &calibration->trial[turn + 1],
	    (calibration->count - turn) * sizeof(calibration->trial[0]));
	calibration->frames = 0;
	calibration->ns = 0;
	if (calibration->turn == calibration->count) {
		calibration->turn = 0;
		calibration->round++;
	}
}

enum pb_engine
pb_calibration_engine(const struct pb_calibration *calibration)
{
	if (calibration->round >= PB_CALIBRATION_ROUNDS)
		return best(calibration)->engine;
	return calibration->trial[calibration->turn].engine;
}

bool
pb_calibration_sent(struct pb_calibration *calibration, uint64_t frames,
    uint64_t bytes, uint64_t ns)
{
	calibration->frames += frames;
	calibration->ns += ns;
	calibration->all_frames += frames;
	calibration->all_bytes += bytes;
	return calibration->ns >= PB_CALIBRATION_TURN_NS &&
	    calibration->frames > 0;
}

bool
pb_calibration_next(struct pb_calibration *calibration, uint64_t ns)
{
	struct pb_trial *trial = &calibration->trial[calibration->turn];
	double each;

	assert(calibration->frames > 0);
	each = (double)(calibration->ns + ns) / (double)calibration->frames;
	if (trial->best_ns <= 0 || each < trial->best_ns)
		trial->best_ns = each;
	calibration->frames = 0;
	calibration->ns = 0;
	if (++calibration->turn == calibration->count) {
		calibration->turn = 0;
		calibration->round++;
	}
	return calibration->round < PB_CALIBRATION_ROUNDS;
}

void
pb_calibration_words(const struct pb_calibration *calibration, char *text,
    size_t bytes)
{
	const struct pb_trial *first = best(calibration);
	const char *between = "; ";
	size_t used;

	if (first->best_ns <= 0) {
		snprintf(text, bytes, "not compared");
		return;
	}
	snprintf(text, bytes, "%s: %.2f Mpps of %llu bytes", first->name,
	    NS_OF_MPPS / first->best_ns,
	    (unsigned long long)(calibration->all_bytes /
	    calibration->all_frames));
	for (unsigned i = 0; i < calibration->count; i++) {
		const struct pb_trial *trial = &calibration->trial[i];

		if (trial == first || trial->best_ns <= 0)
			continue;
		used = strlen(text);
		snprintf(text + used, bytes - used, "%s%s %.2f", between,
		    trial->name, NS_OF_MPPS / trial->best_ns);
		between = ", ";
	}
}

static const struct pb_trial *
best(const struct pb_calibration *calibration)
{
	const struct pb_trial *best = &calibration->trial[0];

	for (unsigned i = 1; i < calibration->count; i++) {
		const struct pb_trial *trial = &calibration->trial[i];

		if (trial->best_ns > 0 && (best->best_ns <= 0 ||
		    trial->best_ns * (PB_CALIBRATION_MARGIN + 1) <
		    best->best_ns * PB_CALIBRATION_MARGIN))
			best = trial;
	}
	return best;
}
