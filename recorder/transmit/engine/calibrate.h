/*
 * recorder/transmit/engine/calibrate.h - which engine is fastest here?
 *
 * Engines send in turn, some rounds; of each its best turn counts, which the
 * rest of the machine disturbed least.  Pure: it is told what was sent and
 * how long that took, and says whose turn it is.
 */
#ifndef PB_TRANSMIT_CALIBRATE_H
#define PB_TRANSMIT_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/transmit/engine/outlet.h"

#define PB_CALIBRATION_ROUNDS	3u
#define PB_CALIBRATION_TURN_NS	5000000u	/* 45 ms of three engines */
#define PB_CALIBRATION_MARGIN	20u	/* faster by one in so many, or not */

struct pb_calibration {
	struct pb_trial {
		enum pb_engine	 engine;
		const char	*name;
		double		 best_ns;	/* a frame; 0: none was sent */
	} trial[PB_ENGINES];
	unsigned	 count;		/* trials, 1 at least */
	unsigned	 turn;		/* of them, whose it is */
	unsigned	 round;
	uint64_t	 frames, ns;	/* of this turn */
	uint64_t	 all_frames, all_bytes;
};

void	pb_calibration_init(struct pb_calibration *calibration);

/* In order of preference: a later one has to be faster by the margin. */
void	pb_calibration_add(struct pb_calibration *calibration,
	    enum pb_engine engine, const char *name);

/* No more turns of the one whose turn it is: it does not work. */
void	pb_calibration_drop(struct pb_calibration *calibration);

/* The engine whose turn it is; the best one when it is over. */
enum pb_engine pb_calibration_engine(const struct pb_calibration *calibration);

/* This much was sent in so many nanoseconds.  True: its turn is over, which
 * pb_calibration_next() takes note of, once it has drained. */
bool	pb_calibration_sent(struct pb_calibration *calibration,
	    uint64_t frames, uint64_t bytes, uint64_t ns);

/* The next one's turn; `ns` went by until the last one had drained.  False:
 * there is none, it is known which is best. */
bool	pb_calibration_next(struct pb_calibration *calibration, uint64_t ns);

/* "xdp: 1.93 Mpps of 64 bytes; sendmmsg 1.02, ring 0.40" */
void	pb_calibration_words(const struct pb_calibration *calibration,
	    char *text, size_t bytes);

#endif
