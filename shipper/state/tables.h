/*
 * shipper/state/tables.h - the tables, for those who keep rows in them
 *
 * Private to shipper/state/ and shipper/letters/.
 */
#ifndef PB_SHIPPER_TABLES_H
#define PB_SHIPPER_TABLES_H

#include "recorder/store/facts/acks.h"
#include "recorder/store/index/mdb.h"
#include "shipper/state/state.h"

/* In the order of state.c's names. */
enum pb_state_table {
	PB_STATE_UPSTREAMS,
	PB_STATE_CURSORS,
	PB_STATE_ACKS,
	PB_STATE_LETTERS,
	PB_STATE_AGES,
	PB_STATE_LINKS,
	PB_STATE_FILES,
	PB_STATE_COUNTS,
	PB_STATE_META,
	PB_STATE_TABLES,
};

struct pb_state {
	struct pb_mdb	*mdb;
	struct pb_mdb_txn txn;		/* between begin and commit */
	bool		 write;
};

#endif
