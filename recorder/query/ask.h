/*
 * recorder/query/ask.h - a filter asked about the flows of a table
 *
 * Shape by shape, then row by row where the shape does not decide.  What it
 * says of a row it says of each packet of that row.
 */
#ifndef PB_QUERY_ASK_H
#define PB_QUERY_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/question.h"
#include "recorder/flow/table.h"

/*
 * Rows of a shape that the filter takes, all in time: verdict[i] is
 * PB_VERDICT_ALL.  Who need not look at the packets of such a row makes that
 * PB_VERDICT_NONE, and adds them to `*counted`.  0, or an error.
 */
typedef int pb_ask_sure(void *arg, struct pb_flow_table *table, size_t shape,
	    uint8_t *verdict, uint64_t *counted, struct pb_err *err);

struct pb_ask {
	struct pb_question *question;
	/* after <= time < before; 0, UINT64_MAX: all of the table is. */
	uint64_t	 after_ns, before_ns;
	pb_ask_sure	*sure;		/* NULL: all packets are looked at */
	void		*arg;		/* of `sure` */
	uint8_t		*of_packet;	/* |= what is said of each packet */
};

/* Packets, by what is said of their rows. */
struct pb_answer {
	uint64_t	 put;		/* PB_VERDICT_ALL, PB_VERDICT_EACH */
	uint64_t	 each;		/* of those, PB_VERDICT_EACH */
	uint64_t	 counted;	/* by `sure`: of neither */
};

/*
 * All shapes of the table; `of_packet` has pb_flow_table_packets() bytes, all
 * 0.  PB_EFORMAT: the table is rotten; PB_ENOMEM.  `out` is right in any case,
 * for what has been asked.
 */
int	pb_ask_table(const struct pb_ask *ask, struct pb_flow_table *table,
	    struct pb_answer *out, struct pb_err *err);

/* A pb_ask_sure for who wants their number alone. */
int	pb_ask_count(void *arg, struct pb_flow_table *table, size_t shape,
	    uint8_t *verdict, uint64_t *counted, struct pb_err *err);

#endif
