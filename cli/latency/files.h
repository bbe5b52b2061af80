/*
 * cli/latency/files.h - packets of capture files, in the order of their times
 *
 * Each file is an input of a merge (recorder/query/merge.h), which is read as
 * it is needed: of none is more in memory than that holds.  An interface of a
 * file is to the asker what a stream of a store is, with a head of its own.
 *
 * A tap sees an interface by a glob of any of its names (capture_file.h), and
 * by one of its file: as it was named, or without directories.
 */
#ifndef PB_CLI_LATENCY_FILES_H
#define PB_CLI_LATENCY_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "recorder/query/seen/tap.h"

#define PB_FILES_MAX		16u
#define PB_FILES_INTERFACES_MAX	4096u	/* that differ, of all files */

struct pb_files_opts {			/* all of it borrowed */
	const char *const *name;	/* `-` is standard input */
	size_t		 names;
	const char	*filter;	/* pcap-filter(7); "": all */
	bool		 inner;		/* at every depth: filter/inner.h */
	uint64_t	 after_ns, before_ns;	/* after <= time < before */
	const struct pb_stop *stop;
};

struct pb_files;

/* PB_EINVAL where the filter is none, PB_ESYS where a file cannot be opened;
 * `opts` is copied. */
int	pb_files_open(struct pb_files **out, const struct pb_files_opts *opts,
	    struct pb_err *err);
void	pb_files_close(struct pb_files *files);

/*
 * The next packet, borrowed until the next call, and its place in the order of
 * all, ns: 1; 0 at the end of all; or an error.  Its number in a stream is
 * not told.
 */
int	pb_files_next(struct pb_files *files, struct pb_cursor_packet *out,
	    uint64_t *place_ns, struct pb_err *err);

/* Is the interface with that head, which a packet came with, at the tap? */
bool	pb_files_seen(void *files, const struct pb_tap *tap,
	    const struct pb_head *head);

/* Was any interface at the tap so far? */
bool	pb_files_any(const struct pb_files *files, const struct pb_tap *tap);

/* Packets out of order by more than the merge's window; and those of link
 * types that the filter says nothing of. */
uint64_t pb_files_late(const struct pb_files *files);
uint64_t pb_files_passed_over(const struct pb_files *files);

/* At the end: 0, or why the first file that was cut short, or is damaged, was
 * not read to its end; `err` may be NULL. */
int	pb_files_error(const struct pb_files *files, struct pb_err *err);

#endif
