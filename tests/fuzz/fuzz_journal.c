/*
 * tests/fuzz/fuzz_journal.c - any bytes as a stream's journal
 *
 * Byte 0: 1 puts the digest behind every line, since no fuzzer guesses it.
 * What is read is read the same again; an append changes nothing of it and
 * comes last; and the facts written anew are all there and nothing rotten.
 */
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/text.h"
#include "recorder/store/facts/journal.h"
#include "tests/fuzz/scratch.h"

#define INPUT_BYTES_MAX	(1u << 20)
#define FACTS_MAX	4096

struct facts {
	struct pb_fact	 fact[FACTS_MAX];
	size_t		 count;
	struct pb_journal_news news;
};

static const struct pb_stream_key key = {
	"lon1", "eth0", 0x0123456789abcdefull,
};
static char	path[PATH_MAX];

static void
prepare(void)
{
	char stream[PATH_MAX];

	scratch_make();
	MUST(pb_layout_stream(stream, scratch_root, &key, NULL) == 0);
	MUST(pb_mkdirs(stream, NULL) == 0);
	MUST(pb_journal_path(path, scratch_root, &key, NULL) == 0);
}

/* Lines of the input, each closed as the journal closes its own. */
static void
with_digests(struct pb_buf *out, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	char digest[17];

	while (data < end) {
		const uint8_t *stop = memchr(data, '\n',
		    (size_t)(end - data));
		size_t len = (size_t)((stop != NULL ? stop : end) - data);

		pb_buf_put(out, data, len);
		pb_hex64(XXH3_64bits(data, len), digest);
		pb_buf_printf(out, ",\"xxh3\":\"%s\"}", digest);
		if (stop != NULL)
			pb_buf_str(out, "\n");
		data += len + (stop != NULL);
	}
	MUST(!out->failed);
}

static int
take(void *arg, const struct pb_fact *fact)
{
	struct facts *facts = arg;

	MUST(fact->kind >= PB_FACT_STREAM && fact->kind <= PB_FACT_EXPIRED);
	if (fact->kind != PB_FACT_STREAM)
		MUST(fact->first >= 1 && fact->first <= fact->last);
	if (fact->kind == PB_FACT_GAP)
		MUST(pb_gap_reason_parse(pb_gap_reason_name(fact->reason)) ==
		    fact->reason);
	if (facts->count == FACTS_MAX)
		return 1;
	facts->fact[facts->count++] = *fact;
	return 0;
}

static bool
read_all(struct facts *out)
{
	int rc;

	out->count = 0;
	rc = pb_journal_read(scratch_root, &key, take, out, &out->news, NULL);
	MUST(rc == 0 || (rc == 1 && out->count == FACTS_MAX));
	return rc == 0;
}

static void
same(const struct facts *a, const struct facts *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		MUST(memcmp(&a->fact[i], &b->fact[i],
		    sizeof(a->fact[i])) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pb_fact gap = { .kind = PB_FACT_GAP, .first = 5,
	    .last = 9, .reason = PB_GAP_EXPIRED, .time_ns = 7 };
	static struct facts first, again;
	struct pb_buf lines;
	bool all;

	if (size == 0 || size > INPUT_BYTES_MAX)
		return 0;
	if (path[0] == '\0')
		prepare();
	pb_buf_init(&lines, 64 * INPUT_BYTES_MAX);
	if ((data[0] & 1) != 0)
		with_digests(&lines, data + 1, size - 1);
	else
		pb_buf_put(&lines, data + 1, size - 1);
	scratch_write(path, lines.data, lines.len);
	all = read_all(&first) && first.count + 1 < FACTS_MAX;
	read_all(&again);
	MUST(first.count == again.count);
	same(&first, &again, first.count);
	if (all) {
		MUST(first.news.bytes == lines.len);
		MUST(pb_journal_append(scratch_root, &key, &gap, 1, NULL) == 0);
		MUST(read_all(&again) && again.count == first.count + 1);
		MUST(!again.news.torn);
		MUST(again.news.rotten >= first.news.rotten);
		same(&first, &again, first.count);
		MUST(memcmp(&again.fact[first.count], &gap,
		    sizeof(gap)) == 0);
		MUST(pb_journal_replace(scratch_root, &key, first.fact,
		    first.count, NULL) == 0);
		MUST(read_all(&again) && again.count == first.count);
		MUST(again.news.rotten == 0 && !again.news.torn);
		same(&first, &again, first.count);
	}
	pb_buf_finish(&lines);
	return 0;
}
