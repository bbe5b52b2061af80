/*
 * tests/bench/trailers.c - what reading trailers costs
 *
 *	trailers [ROUNDS]
 *
 * Frames of mixed lengths lie in a chunk of 1 MiB, as those of a capture do,
 * and are read by a list and asked for their time.  A line for each list: ns
 * a packet of the processor's time, of the fastest round and of the one in the
 * middle, and the list.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "recorder/trailer/trailer.h"

#define CHUNK_BYTES	(1u << 20)
#define FRAMES_MAX	(CHUNK_BYTES / 64)
#define PASSES		10		/* of a chunk, in a round */
#define ROUNDS_MAX	1001
#define NOW_S		1700000000u
#define NOW_NS		(NOW_S * 1000000000ull)

static uint8_t chunk[CHUNK_BYTES];
static struct {
	uint32_t at, len;
} frame[FRAMES_MAX];
static unsigned frames;
static uint32_t end;			/* of what is in the chunk */

static void
put(uint64_t value, int bytes)
{
	while (bytes-- > 0)
		chunk[end++] = (uint8_t)(value >> 8 * bytes);
}

static void
metamako(unsigned n)
{
	put(NOW_S, 4);
	put(n, 4);
	put(1, 1);
	put(n, 2);
	put(n, 1);
	put(n * 2654435761u, 4);	/* an FCS that nobody looks at */
}

static void
metamako_extended(unsigned n)
{
	put(n << 8 | 0x21, 4);		/* a fraction, the final one */
	put(n << 8, 4);			/* a sequence number */
	put(NOW_S, 4);
	put(n, 4);
	put(3, 1);
	put(n, 2);
	put(n, 1);
	put(n * 2654435761u, 4);
}

static void
exablaze(unsigned n)
{
	put(n, 1);
	put(n, 1);
	put(NOW_S, 4);
	put(n * 11400714819323198485u, 5);
	put(0, 1);
	put(n * 2654435761u, 4);
}

static void
arista7280(unsigned n)
{
	uint8_t *head = chunk + frame[n].at;

	end -= 4;
	memmove(head + 26, head + 12, end - frame[n].at - 12);
	pb_put_be64(head + 12, 0xD28B000101100000);
	pb_put_be32(head + 18, NOW_S);
	pb_put_be32(head + 22, n);
	end += 14;
	put(n, 4);
}

static const struct {
	const char	*list;
	void		(*put[4])(unsigned n);
} rows[] = {
	{ "none", { NULL } },
	{ "metamako", { metamako } },
	{ "metamako,metamako", { metamako, metamako } },
	{ "metamako,metamako", { metamako_extended, metamako_extended } },
	{ "exablaze,metamako", { metamako, exablaze } },
	{ "exablaze,exablaze", { exablaze, exablaze } },
	{ "metamako,arista7280", { arista7280, metamako } },
	{ "exablaze,metamako,metamako", { metamako, metamako, exablaze } },
};

/* As many frames as the chunk has room for. */
static void
fill(void (*const *by)(unsigned))
{
	end = 0;
	for (frames = 0; end + 1600 < CHUNK_BYTES; frames++) {
		uint32_t bytes = 64 + frames * 7919u % 900;

		frame[frames].at = end;
		put(0x020000000002, 6);
		put(0x020000000001, 6);
		put(0x0800, 2);
		put(0x4500, 2);
		put(bytes - 14, 2);
		while (end - frame[frames].at < bytes)
			put(end, 1);
		put(frames, 4);
		for (int i = 0; by[i] != NULL; i++)
			by[i](frames);
		frame[frames].len = end - frame[frames].at;
	}
}

/* Of this thread alone: others may take the machine. */
static uint64_t
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * PB_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Nanoseconds of a round; all must have been read. */
static uint64_t
once(const struct pb_trailer_list *list)
{
	uint64_t begin = cpu_ns(), read = 0, chosen = 0;

	for (int pass = 0; pass < PASSES; pass++)
		for (unsigned i = 0; i < frames; i++) {
			struct pb_trailers got;

			pb_trailers_read(list, NULL, chunk + frame[i].at,
			    frame[i].len, frame[i].len, NOW_NS, &got);
			read += got.whole;
			chosen += pb_trailers_choose(&got,
			    PB_STAMP_INNERMOST) == 0;
		}
	begin = cpu_ns() - begin;
	if (read != (uint64_t)PASSES * frames ||
	    chosen != (list->count > 0 ? read : 0)) {
		fprintf(stderr, "trailers: %" PRIu64 " of %d frames were "
		    "read, %" PRIu64 " have a time\n", read,
		    (int)frames * PASSES, chosen);
		exit(1);
	}
	return begin;
}

static int
ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 101;

	if (argc > 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: trailers [ROUNDS], 1 to %d\n",
		    ROUNDS_MAX);
		return 2;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_trailer_list list = { .fcs = true };
		uint64_t ns[ROUNDS_MAX];
		double each;

		if (pb_trailer_list_parse(&list, rows[i].list, NULL) < 0)
			return 1;
		fill(rows[i].put);
		for (int round = 0; round < rounds; round++)
			ns[round] = once(&list);
		qsort(ns, (size_t)rounds, sizeof(ns[0]), ascending);
		each = 1.0 / (PASSES * (double)frames);
		printf("%6.1f %6.1f  %s%s\n", (double)ns[0] * each,
		    (double)ns[rounds / 2] * each, rows[i].list,
		    rows[i].put[0] == metamako_extended ? " (extended)" : "");
	}
	return 0;
}
