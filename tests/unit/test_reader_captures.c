/*
 * tests/unit/test_reader_captures.c - capture files that others made
 *
 * Public captures, where the folder PB_CAPTURES (default
 * ../shared/captures) has them: valid ones read to their end, those made to
 * be refused are refused, in pieces of any size, and cut at any byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>

#include "tests/unit/reader_run.h"

/* Files that their makers made to be refused; all others are valid. */
static const char *const malformed[] = {
	"python-pcapng/test_data/test007.ntar",
	"python-pcapng/test_data/test010.ntar",
	"libpcap/tests/linktype-reserved-field-not-zero.pcap",
	"libpcap/tests/pcap-invalid-version-1.pcap",
	"libpcap/tests/pcap-invalid-version-2.pcap",
	"libpcap/tests/pcapng-invalid-vers-1.pcapng",
	"libpcap/tests/pcapng-invalid-vers-2.pcapng",
	"libpcap/tests/shb-option-too-long.pcapng",
};

#define FILE_BYTES_MAX	(8u << 20)
#define SLOW_BYTES_MAX	(64u << 10)	/* small pieces up to this size */
#define CUT_BYTES_MAX	1536u		/* cut at every byte up to this */

static void	(*visit)(const char *, const uint8_t *, size_t);
static size_t	visited;

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static bool
is_malformed(const char *path)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		if (ends_with(path, malformed[i]))
			return true;
	return false;
}

static int
each_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint8_t *data;
	FILE *file;

	(void)ftw;
	if (type != FTW_F || (!ends_with(path, ".pcap") &&
	    !ends_with(path, ".pcapng") && !ends_with(path, ".ntar")))
		return 0;
	assert_true((size_t)st->st_size <= FILE_BYTES_MAX);
	data = malloc((size_t)st->st_size + 1);
	assert_non_null(data);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(data, 1, (size_t)st->st_size, file),
	    st->st_size);
	fclose(file);
	visit(path, data, (size_t)st->st_size);
	visited++;
	free(data);
	return 0;
}

/* Skips the test, with a message, where there are no captures. */
static void
for_each_capture(void (*what)(const char *, const uint8_t *, size_t))
{
	const char *folder = getenv("PB_CAPTURES");

	if (folder == NULL || folder[0] == '\0')
		folder = "../shared/captures";
	visit = what;
	visited = 0;
	nftw(folder, each_file, 16, FTW_PHYS);
	if (visited == 0) {
		print_message("skipped: no captures in %s; PB_CAPTURES "
		    "names their folder\n", folder);
		skip();
	}
}

static void
in_pieces(const char *path, const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 4096, 7, 3, 2, 1 };
	static struct outcome whole, part;

	run(data, len, WHOLE, &whole);
	if (whole.rc != (is_malformed(path) ? PB_EFORMAT : PB_READ_END))
		fail_msg("%s: %d %s", path, whole.rc, whole.err.text);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		if (len > SLOW_BYTES_MAX && i > 0)
			break;
		run(data, len, pieces[i], &part);
		if (part.rc != whole.rc || part.events != whole.events ||
		    part.digest != whole.digest ||
		    strcmp(part.err.text, whole.err.text) != 0)
			fail_msg("%s differs in pieces of %zu", path,
			    pieces[i]);
	}
}

static void
at_every_byte(const char *path, const uint8_t *data, size_t len)
{
	static struct outcome whole, part;

	if (len > CUT_BYTES_MAX)
		return;
	run(data, len, WHOLE, &whole);
	for (size_t cut = 0; cut < len; cut++) {
		run(data, cut, WHOLE, &part);
		if ((part.rc != PB_READ_END && part.rc != PB_EFORMAT) ||
		    part.events > whole.events)
			fail_msg("%s cut at %zu: %d %s", path, cut, part.rc,
			    part.err.text);
	}
}

static void
captures_give_the_same_events_in_any_pieces(void **state)
{
	(void)state;
	for_each_capture(in_pieces);
}

static void
captures_cut_at_any_byte_end_or_are_refused(void **state)
{
	(void)state;
	for_each_capture(at_every_byte);
}

#define TEST(f)	cmocka_unit_test_setup(f, start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(captures_give_the_same_events_in_any_pieces),
		TEST(captures_cut_at_any_byte_end_or_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
