/*
 * shipper/pull/pull_line.c - streams of an edge in their lines, and words
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "shipper/pull/pull_impl.h"

static void	join(struct pb_pull *, struct pb_pull_stream *,
		    enum pull_line);

void
pull_wake(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->line == PULL_READY)
		return;
	pull_leave(pull, s);
	join(pull, s, PULL_READY);
}

void
pull_at(struct pb_pull *pull, uint64_t ms)
{
	if (ms < pull->wake_ms)
		pull->wake_ms = ms;
}

void
pull_starve(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->line == PULL_NONE)
		join(pull, s, PULL_STARVED);
}

void
pull_leave(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->line == PULL_READY)
		TAILQ_REMOVE(&pull->ready, s, link);
	else if (s->line == PULL_STARVED)
		TAILQ_REMOVE(&pull->starved, s, link);
	s->line = PULL_NONE;
}

static void
join(struct pb_pull *pull, struct pb_pull_stream *s, enum pull_line line)
{
	TAILQ_INSERT_TAIL(line == PULL_READY ? &pull->ready : &pull->starved,
	    s, link);
	s->line = line;
}

void
pull_error(struct pb_pull *pull, const char *text)
{
	pb_utf8_clean(pull->last_error, sizeof(pull->last_error), text,
	    strlen(text));
	pull->failures++;
	pull->error_ms = pull->now_ms;
}

void
pull_event(const struct pb_pull *pull, enum pb_log_level level,
    const struct pb_pull_stream *s, const char *fmt, ...)
{
	char text[PB_SHIP_TEXT_MAX + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pull->opts.event(pull->opts.arg, level, s != NULL ? &s->key : NULL,
	    text);
}
