/*
 * cli/common/progress.c - a bar on standard error, where that is a terminal
 */
#include "cli/common/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define PERIOD_MS	100
#define BAR_COLUMNS	30

static void	amount(const struct pb_progress *, uint64_t,
		    char [static 24]);

void
pb_progress_begin(struct pb_progress *progress, const char *what,
    uint64_t total)
{
	progress->shown = isatty(STDERR_FILENO) == 1;
	progress->dirty = false;
	progress->what = what;
	progress->total = total;
	progress->things = false;
	/* What is done within the first period needs no bar. */
	progress->next_ms = pb_clock_mono_ms() + PERIOD_MS;
}

void
pb_progress_at(struct pb_progress *progress, uint64_t done)
{
	static const char full[] = "##############################";
	char have[24], all[24];
	uint64_t now;
	int columns;

	if (!progress->shown)
		return;
	now = pb_clock_mono_ms();
	if (now < progress->next_ms)
		return;
	progress->next_ms = now + PERIOD_MS;
	progress->dirty = true;
	if (progress->total > 0 && done > progress->total)
		done = progress->total;
	amount(progress, done, have);
	if (progress->total == 0) {
		fprintf(stderr, "\r%-10s %s\033[K", progress->what, have);
		fflush(stderr);
		return;
	}
	columns = (int)((double)done / (double)progress->total *
	    BAR_COLUMNS);
	amount(progress, progress->total, all);
	fprintf(stderr, "\r%-10s [%-*.*s] %s of %s\033[K", progress->what,
	    BAR_COLUMNS, columns, full, have, all);
	fflush(stderr);
}

void
pb_progress_end(struct pb_progress *progress)
{
	if (progress->dirty)
		fputs("\r\033[K", stderr);
	progress->dirty = false;
}

static void
amount(const struct pb_progress *progress, uint64_t value,
    char out[static 24])
{
	if (progress->things)
		snprintf(out, 24, "%llu", (unsigned long long)value);
	else
		pb_size_format(value, out);
}
