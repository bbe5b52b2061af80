/*
 * recorder/recorder_impl.h - inside the recorder
 *
 * recorder.c starts and stops its parts; report.c tells of them, on the
 * threads of the port's readers.
 */
#ifndef PB_RECORDER_IMPL_H
#define PB_RECORDER_IMPL_H

#include <pthread.h>

#include "base/json.h"
#include "recorder/capture/source.h"
#include "recorder/port/ingest.h"
#include "recorder/recorder.h"
#include "recorder/store/write/store.h"

/* One captured interface, and its rates. */
struct capture {
	struct pb_source	*source;
	struct pb_conf_capture	 conf;
	size_t			 number;	/* of all that were started */
	uint64_t		 packets, bytes;	/* at the last sample */
	double			 pps;		/* packets a second */
	double			 bps;		/* bits a second */
};

struct pb_recorder {
	struct pb_conf		*conf;	/* as started: ingest borrows it */
	struct pb_store		*store;
	struct pb_ingest	*ingest;
	uint64_t		 started_ms, sampled_ms;
	/* The store, as last looked at, and what capture had counted as not
	 * kept when it went. */
	bool			 away;
	uint64_t		 returns, unkept;
	pthread_mutex_t		 lock;	/* of what follows */
	size_t			 captures, started;
	struct capture		 capture[PB_CAPTURES_MAX];
};

/* As struct pb_ingest_opts has them: a part each call, true where more
 * follows. */
bool	pb_report_status(void *recorder, size_t part, struct pb_json *json);
bool	pb_report_metrics(void *recorder, size_t part, struct pb_buf *out);

#endif
