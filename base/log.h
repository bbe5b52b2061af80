/*
 * base/log.h - one line an event, on standard error
 *
 *	info capture: packets flow interface=eth0 link_type=1
 *
 * `level component: message`, details as key=value.  Lines are whole: one
 * write(2) each, so that threads and processes do not mix them.
 *
 * A daemon never waits for who reads its log: see pb_log_start().
 */
#ifndef PB_BASE_LOG_H
#define PB_BASE_LOG_H

#include <stdint.h>

enum pb_log_level {
	PB_LOG_DEBUG,
	PB_LOG_INFO,
	PB_LOG_WARN,
	PB_LOG_ERROR,
};

#define PB_LOG_LINE_MAX	1024	/* longer lines are cut */

/* Lines below `level` are dropped; the start value is PB_LOG_INFO. */
void	pb_log_level(enum pb_log_level level);

/*
 * Write one line.  Newlines and control characters in the message become
 * '?', so that no peer's name can forge a line.  Never fails, never
 * allocates; safe from any thread.
 */
void	pb_log(enum pb_log_level level, const char *component,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * From now on a thread writes the lines and pb_log() waits for nothing: with
 * 256 KiB of lines that nobody took, further ones are left out.  They are
 * counted, and a line says how many as soon as lines are taken again.  What
 * is left at exit(3) has a second to be taken.
 */
void	pb_log_start(void);

/* Lines left out since then, those included that could not be written. */
uint64_t pb_log_left_out(void);

#endif
