/*
 * base/log.h - one line an event, on standard error
 *
 *	info capture: packets flow interface=eth0 link_type=1
 *
 * `level component: message`, details as key=value.  Lines are whole: one
 * write(2) each, so that threads and processes do not mix them.
 */
#ifndef PB_BASE_LOG_H
#define PB_BASE_LOG_H

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

#endif
