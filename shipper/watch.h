/*
 * shipper/watch.h - the recorder's index, and news of it
 *
 * Opens the index once it is there, tells when it has new commits and
 * which streams have grown, and notices when another index was put in its
 * place (a rebuilt one has other numbers for the same streams).
 */
#ifndef PB_SHIPPER_WATCH_H
#define PB_SHIPPER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/index/index.h"

struct pb_watch;

/* `store` is copied; nothing is opened yet. */
int	pb_watch_create(struct pb_watch **out, const char *store,
	    struct pb_err *err);
void	pb_watch_destroy(struct pb_watch *watch);

/*
 * Open the index: 1 open, 0 not there yet, or an error that may heal.
 * `*index` is the watch's, until pb_watch_close().
 */
int	pb_watch_open(struct pb_watch *watch, struct pb_index **index,
	    struct pb_err *err);
void	pb_watch_close(struct pb_watch *watch);

/* A descriptor that is readable when the index was written, or -1. */
int	pb_watch_fd(const struct pb_watch *watch);

/* Is the file that was opened still the one in the store? */
bool	pb_watch_same(const struct pb_watch *watch);

/*
 * Where there were commits since the last call, call `grown` for each
 * stream that is new or has a new durable end.  The table of streams is
 * bounded by PB_SHIP_STREAMS_MAX: those past it are left out and counted.
 */
int	pb_watch_scan(struct pb_watch *watch,
	    void (*grown)(void *arg, const struct pb_stream_info *stream),
	    void *arg, uint64_t now_ms, struct pb_err *err);
/* When to scan again, woken or not; UINT64_MAX: no need. */
uint64_t pb_watch_wake_ms(const struct pb_watch *watch);
unsigned pb_watch_left_out(const struct pb_watch *watch);

/* A known stream, as last seen; NULL where unknown. */
const struct pb_stream_info *pb_watch_stream(const struct pb_watch *watch,
	    uint32_t id);
/* Call `each` for all known streams. */
void	pb_watch_each(const struct pb_watch *watch,
	    void (*each)(void *arg, const struct pb_stream_info *stream),
	    void *arg);

#endif
