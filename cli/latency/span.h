/*
 * cli/latency/span.h - latencies for people: in a unit of their size
 */
#ifndef PB_CLI_LATENCY_SPAN_H
#define PB_CLI_LATENCY_SPAN_H

#define PB_SPAN_TEXT_MAX	32

/* `349.5 ns`, `12.345 us`, `-1.2 ms`, `3 s`: three decimals at most. */
const char *pb_span_text(double ns, char out[static PB_SPAN_TEXT_MAX]);

#endif
