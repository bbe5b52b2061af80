/*
 * cli/latency/span.c - latencies for people: in a unit of their size
 */
#include "cli/latency/span.h"

#include <stdio.h>
#include <string.h>

const char *
pb_span_text(double ns, char out[static PB_SPAN_TEXT_MAX])
{
	static const struct {
		double		 ns;
		const char	*name;
	} unit[] = {
		{ 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" },
	};
	double size = ns < 0 ? -ns : ns;
	char number[PB_SPAN_TEXT_MAX];
	size_t i = 0, len;

	/* What would be rounded to 1000 of a unit is 1 of the next. */
	while (i < 3 && size < unit[i].ns * (1 - 0.5e-6))
		i++;
	len = (size_t)snprintf(number, sizeof(number), "%.3f",
	    ns / unit[i].ns);
	while (number[len - 1] == '0')
		number[--len] = '\0';
	if (number[len - 1] == '.')
		number[--len] = '\0';
	snprintf(out, PB_SPAN_TEXT_MAX, "%.24s %s",
	    strcmp(number, "-0") == 0 ? "0" : number, unit[i].name);
	return out;
}
