/*
 * recorder/store/write/flows_impl.h - the work on flow tables, as its own files
 * know it
 */
#ifndef PB_STORE_WRITE_FLOWS_IMPL_H
#define PB_STORE_WRITE_FLOWS_IMPL_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "recorder/store/write/flows.h"

/* An index block that has ended. */
struct flow_job {
	struct pb_stream_key	 key;
	struct pb_index_block	*block;
	uint64_t		 bytes;		/* of its packets */
	/* Of its segment, and of its store: no other one of that name. */
	uint64_t		 created_ns, changes;
	struct pb_flows_info	 row;
	bool			 made, put;
	STAILQ_ENTRY(flow_job)	 link;
};
STAILQ_HEAD(flow_jobs, flow_job);

struct flow_work {
	struct pb_flow_pool	*pool;		/* of index blocks */
	pthread_t		 thread;
	pthread_mutex_t		 mutex;		/* of what is marked (m) */
	pthread_cond_t		 more, idle;
	bool			 runs;		/* (w) */
	bool			 stops, busy;	/* (m) */
	bool			 left;		/* (m) rows have: there is
						 * room */
	bool			 troubled;	/* the thread's: it was told */
	struct flows_older	 older;		/* the thread's */
	/* Memory that tables are made in, likewise; or NULL. */
	struct pb_flow_table_work	*tables;
	struct pb_buf		 table;
	unsigned		 jobs;		/* (m) in all lists, */
	unsigned		 waiting;	/* (m) and in the first */
	uint64_t		 bytes;		/* (m) of those */
	unsigned		 refused;	/* (w) by them, since rows were
						 * put */
	struct flow_jobs		 todo, ready;	/* (m) */
	struct flow_jobs		 putting;	/* (w) */
	bool			 full;		/* (w) the index; it was told */
};

/* flows_rows.c */
void	flow_job_destroy(struct flow_work *work, struct flow_job *job);
/* For status; NULL: one that got none. */
void	flows_count(struct pb_store *store,
	    const struct pb_flows_info *row);

#endif
