/*
 * recorder/capture/stamping.h - trailers of the frames of an interface, read
 * as they are captured
 *
 * What a list finds gives packets their time (`timestamp_from`), and is kept
 * beside those whose frame does not tell all (pcapng/stamp.h).  A frame that
 * does not fit is captured all the same, and counted; the first one is told
 * loudly, with what it and those behind it look like.
 *
 * Frames that have no trailer, such as those that switches send themselves, may
 * end as if they had one.  So a stamp that is further off the capture's clock
 * than PB_STAMPING_APART_NS gives its packet no time, and the first is told.
 */
#ifndef PB_CAPTURE_STAMPING_H
#define PB_CAPTURE_STAMPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "conf/conf.h"
#include "recorder/trailer/trailer.h"

#define PB_STAMPING_APART_NS	(30 * 86400 * PB_NS_PER_S)

/* Frames that came to each trailer of the list, the outermost first: what is
 * inside of one that does not parse is not looked for. */
struct pb_stamping_counts {
	uint64_t	parsed[PB_STAMPS_MAX];
	uint64_t	unparsed[PB_STAMPS_MAX];
	uint64_t	keyframes;	/* which have no stamps */
};

/* Of an interface; all lanes. */
struct pb_stamping {
	struct pb_trailer_list list;	/* of none: nothing is read */
	int		 choice;	/* enum pb_stamp_choice */
	_Atomic bool	 told;		/* of the first that does not fit */
	_Atomic bool	 told_apart;	/* of the first that is far off */
	struct {
		_Atomic uint64_t parsed[PB_STAMPS_MAX];
		_Atomic uint64_t unparsed[PB_STAMPS_MAX];
		_Atomic uint64_t keyframes;
	}		 sum;
};

/* Of one lane. */
struct pb_stamping_lane {
	struct pb_trailer_context context;
	struct pb_stamping_counts fresh;	/* not in the sum yet */
	struct pb_trailer_guess *guess;	/* while it looks, or NULL */
	unsigned	 shown;		/* frames, to it */
	uint64_t	 until_ms;	/* then it has looked enough; 0: the
					 * time is not known yet */
	uint64_t	 apart_ns;	/* of a stamp that is far off; or 0 */
};

/*
 * What `capture` asks for; `out` is zeroed before.  PB_EINVAL, naming the
 * key, which `*key` is as well: no such trailer or choice, a time from a
 * trailer that is not in the list, a list that needs all frames in one order
 * with several threads.
 */
int	pb_stamping_init(struct pb_stamping *out,
	    const struct pb_conf_capture *capture, const char **key,
	    struct pb_err *err);

/*
 * Read a frame captured at `*time_ns`, which becomes the packet's time.
 * True where `out` is to stand beside it.  On the lane's thread.
 */
bool	pb_stamping_packet(struct pb_stamping *stamping,
	    struct pb_stamping_lane *lane, const uint8_t *frame,
	    uint32_t caplen, uint32_t len, uint64_t *time_ns,
	    struct pb_stamped *out);

/* On the lane's thread, now and then: what it counted becomes part of the
 * sum, and what it has looked at for long enough is told. */
void	pb_stamping_turn(struct pb_stamping *stamping,
	    struct pb_stamping_lane *lane, const char *interface,
	    uint64_t now_ms);

/* Nothing more comes of this lane: what it has seen is told. */
void	pb_stamping_end(struct pb_stamping *stamping,
	    struct pb_stamping_lane *lane, const char *interface);

/* Any thread. */
void	pb_stamping_counts(const struct pb_stamping *stamping,
	    struct pb_stamping_counts *out);

#endif
