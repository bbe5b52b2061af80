/*
 * recorder/port/shaper.h - when, and how fast, a puller is answered
 *
 * `schedule`, `rate_limit`, `rate_burst` and `priority` of an [upstream] with
 * `url = pull:`.  Answers with packets that find the rate used up stand in a
 * line and are woken; no thread waits for one.  First in it is the one that
 * began to be sent first, so that each gets what the rate gives, one after the
 * other; then those of the stream with the first place in `priority`, as they
 * came.  One whose peer takes nothing just now does not stand there, and holds
 * up nobody.
 *
 * One thread, that of ingest, but for what says otherwise.  Limit: an answer
 * has its place in itself, so the line is as long as there may be answers
 * (PB_HELD_ANSWERS_MAX).
 */
#ifndef PB_INGEST_SHAPER_H
#define PB_INGEST_SHAPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/rate.h"
#include "conf/conf.h"

/* An answer takes no longer than that by its rate, where that is more than the
 * least there is: it holds up those with a place before it. */
#define PB_SHAPER_ANSWER_S	5u

struct pb_shaper;

/* An answer under way; the caller's, zeroed: it waits for no rate. */
struct pb_shaped {
	TAILQ_ENTRY(pb_shaped) link;	/* of the line */
	struct pb_shaper *shaper;
	bool		 waits;		/* it stands there */
	bool		 begun;
	unsigned	 rank;
	uint64_t	 number;	/* as they came */
	void		(*wake)(void *arg);
	void		*arg;
};

struct pb_shaper {
	pthread_mutex_t	 lock;		/* of what a reload changes: */
	struct pb_rate	 rate;
	struct pb_conf_schedule schedule;
	char		 priority[PB_CONF_LIST_MAX];
	TAILQ_HEAD(, pb_shaped) line;
	uint64_t	 answers;	/* so many came */
};

void	pb_shaper_init(struct pb_shaper *shaper,
	    const struct pb_conf_upstream *section, uint64_t now_ms);
/* Nobody stands in its line. */
void	pb_shaper_finish(struct pb_shaper *shaper);
/* Its section says that from now on; who waits goes on waiting.  Any
 * thread. */
void	pb_shaper_change(struct pb_shaper *shaper,
	    const struct pb_conf_upstream *section, uint64_t now_ms);

/* Are these not its hours?  Any thread. */
bool	pb_shaper_closed(struct pb_shaper *shaper, uint64_t now_ns);

/* What may be sent within a second; SIZE_MAX: there is no rate.  Any
 * thread. */
size_t	pb_shaper_second(struct pb_shaper *shaper);

/* What an answer has of `bytes`, and `least` of them, at most. */
size_t	pb_shaper_bytes(struct pb_shaper *shaper, size_t bytes, size_t least);

/* Wake the first in line, if it may go on.  Milliseconds until that, -1:
 * nobody waits. */
int	pb_shaper_tick(struct pb_shaper *shaper, uint64_t now_ms);

/* An answer with packets of this stream (node/interface) begins.  False:
 * there is no rate, it is sent as any other. */
bool	pb_shaped_begin(struct pb_shaped *shaped, struct pb_shaper *shaper,
	    const char *stream, void (*wake)(void *arg), void *arg);
/* Of `want` bytes, which are not 0, how many may be sent now; it has `left` to
 * send, with them.  0: it waits, and is to ask again when it was woken. */
size_t	pb_shaped_take(struct pb_shaped *shaped, size_t want, size_t left,
	    uint64_t now_ms);
/* It has ended, or never began. */
void	pb_shaped_end(struct pb_shaped *shaped);

#endif
