/*
 * shipper/pull/pull_trouble.c - what goes wrong with a stream of an edge
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "shipper/pull/pull_impl.h"

static void	wait_for(struct pb_pull *, struct pb_pull_stream *,
		    const char *, uint64_t);

void
pull_unsure(struct pb_pull_stream *s)
{
	s->certainty = PULL_UNSURE;
	s->parts = pull_forks(s)->count;
	s->doubt = false;
}

/* Not this time.  What was under way then, and fails as well, is the same
 * failure: nothing but acks begins before `retry_ms`. */
void
pull_trouble(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	uint64_t wait;

	if (s->certainty == PULL_UNSURE && s->refused &&
	    pull->now_ms < s->retry_ms)
		return;
	pull_unsure(s);
	s->troubles++;
	wait = pb_backoff_ms(pull->random, s->troubles);
	if (answer->retry_after_ms > wait)
		wait = answer->retry_after_ms < PB_RETRY_AFTER_MS_MAX ?
		    answer->retry_after_ms : PB_RETRY_AFTER_MS_MAX;
	if (s->troubles == PB_TROUBLES_MAX)
		pull_event(pull, PB_LOG_WARN, s, "%s", answer->text);
	wait_for(pull, s, answer->text, wait);
}

/* As long as something stays as it is: less and less often.  What is refused
 * together is so once. */
void
pull_refuse(struct pb_pull *pull, struct pb_pull_stream *s,
    const char *fmt, ...)
{
	char text[PB_SHIP_TEXT_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pull_unsure(s);
	if (s->refused && pull->now_ms < s->retry_ms && s->text != NULL &&
	    strcmp(s->text, text) == 0)
		return;
	if (s->text == NULL || strcmp(s->text, text) != 0)
		pull_event(pull, PB_LOG_ERROR, s, "%s", text);
	wait_for(pull, s, text, pb_doubled_ms(PB_REFUSED_MS_FIRST,
	    s->troubles++, PB_REFUSED_MS_MAX));
}

/* Until more is listed, too: a node that gets its packets again has more all
 * the time. */
void
pull_behind(struct pb_pull *pull, struct pb_pull_stream *s, uint64_t there)
{
	char text[PB_SHIP_TEXT_MAX];

	snprintf(text, sizeof(text), "its numbers went back to %" PRIu64
	    ", and packets up to %" PRIu64 " are here: it goes on once it has "
	    "passed that, or has other packets", there, s->here);
	pull_unsure(s);
	if (!s->behind)
		pull_event(pull, PB_LOG_WARN, s, "%s", text);
	s->behind = true;
	wait_for(pull, s, text, pb_doubled_ms(PB_REFUSED_MS_FIRST,
	    s->troubles++, PB_REFUSED_MS_MAX));
}

static void
wait_for(struct pb_pull *pull, struct pb_pull_stream *s, const char *text,
    uint64_t ms)
{
	char stream[PB_STREAM_NAME_MAX], line[PB_SHIP_TEXT_MAX * 2];
	char clean[PB_SHIP_TEXT_MAX];

	free(s->text);
	s->text = strdup(text);		/* without memory it has none */
	s->refused = true;
	s->retry_ms = pull->now_ms + ms;
	snprintf(line, sizeof(line), "%s: %s", pb_stream_name(stream, &s->key),
	    text);
	/* Whatever an interface is called there. */
	pb_utf8_clean(clean, sizeof(clean), line, strlen(line) <
	    sizeof(clean) ? strlen(line) : sizeof(clean) - 1);
	pull_error(pull, clean);
}

void
pull_released(struct pb_pull_stream *s)
{
	free(s->text);
	s->text = NULL;
	s->refused = s->behind = false;
	s->troubles = 0;
}
