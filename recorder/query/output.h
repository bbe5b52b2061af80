/*
 * recorder/query/output.h - what `-w` writes: a file, or several
 *
 *	export.h	packets as a file's bytes
 *	split.h		where the next file begins, and its name
 *	target.h	a file that appears whole
 *	parts.h		several of them
 *
 * Compressed where the name ends so (base/press.h).  On an error, files that
 * were complete before keep their names; of the others nothing stays.
 */
#ifndef PB_QUERY_OUTPUT_H
#define PB_QUERY_OUTPUT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/stop.h"
#include "recorder/query/batch.h"
#include "recorder/query/split.h"

struct pb_output_opts {
	const char	*file;		/* borrowed; `-`: standard output */
	const char	*store;		/* in which no file may be */
	bool		 directly;	/* one file: seen while it grows */
	bool		 comments;	/* each packet's way as comments */
	bool		 pcap;		/* not pcapng */
	struct pb_split	 split;
	const struct pb_stop *stop;	/* borrowed, or NULL */
};

struct pb_output;

/* `pcap` or `pcapng` into a bool: is it pcap?  0 or PB_EINVAL. */
int	pb_output_format(void *pcap, const char *text, struct pb_err *err);

/* By the caller's rights; `kept` where they are about to go. */
int	pb_output_open(struct pb_output **out,
	    const struct pb_output_opts *opts, bool kept, struct pb_err *err);
/* What is not complete goes. */
void	pb_output_close(struct pb_output *output);	/* NULL is fine */

/* From here on what was there is overwritten.  `single`: all packets are of
 * one stream. */
int	pb_output_begin(struct pb_output *output, bool single,
	    struct pb_err *err);

int	pb_output_packet(struct pb_output *output,
	    const struct pb_cursor_packet *cp, struct pb_err *err);
/* All of a run, whose blocks are changed. */
int	pb_output_run(struct pb_output *output, struct pb_run *run,
	    struct pb_err *err);
/* An interface without packets, of a single file. */
int	pb_output_interface(void *output, const struct pb_head *head,
	    struct pb_err *err);

/* What was put can be read. */
int	pb_output_flush(struct pb_output *output, struct pb_err *err);
/* Nothing more comes: what is open is complete, and gets its name. */
int	pb_output_end(struct pb_output *output, struct pb_err *err);

/* Of a single file: the descriptor; has its reader gone; has it more than one
 * link type, which tcpdump does not read?  -1 and false of several. */
int	pb_output_fd(const struct pb_output *output);
bool	pb_output_gone(const struct pb_output *output);
bool	pb_output_mixed(const struct pb_output *output);

#endif
