/*
 * base/log.c - one line an event, on standard error
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static _Atomic int lowest = PB_LOG_INFO;

void
pb_log_level(enum pb_log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

void
pb_log(enum pb_log_level level, const char *component, const char *fmt, ...)
{
	char line[PB_LOG_LINE_MAX];
	int saved = errno, used;
	size_t len;
	va_list ap;

	if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	used = snprintf(line, sizeof(line), "%s %s: ", level_names[level],
	    component);
	if (used < 0 || (size_t)used >= sizeof(line) - 2)
		return;
	va_start(ap, fmt);
	vsnprintf(line + used, sizeof(line) - (size_t)used - 1, fmt, ap);
	va_end(ap);
	len = strlen(line);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* A full pipe or a closed terminal must not stop a daemon. */
	if (write(STDERR_FILENO, line, len) < 0)
		errno = 0;
	errno = saved;
}
