/*
 * tests/fuzz/fuzz_summary.c - any bytes as a summary that is whole
 *
 * One byte says which filter is asked; behind the others their digest is
 * written, in memory of that size.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "pcapng/block.h"
#include "recorder/flow/summary.h"
#include "tests/fuzz/fuzz.h"

#define DIGEST_BYTES	8u
#define FILTERS		6u

static const char *const filters[FILTERS] = {
	"host 10.0.0.1 and tcp port 80", "src net 10.0.0.0/23 or vlan 7",
	"portrange 79-500 and ip[8] < 64", "tcp[tcpflags] & tcp-syn != 0",
	"ip6 host 2001:db8::1 or greater 500", "icmp[icmptype] = 8 or arp",
};

/* Each is asked in all inputs, so that what is kept of shapes grows old. */
static struct pb_question *
question_of(unsigned i)
{
	static struct pb_question *question[FILTERS];
	struct pb_filter *filter;

	if (question[i] == NULL) {
		MUST(pb_filter_create(&filter, filters[i],
		    PB_LINKTYPE_ETHERNET, NULL) == 0);
		MUST(pb_question_create(&question[i], filter, NULL) == 0);
	}
	return question[i];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_question *question;
	enum pb_verdict verdict;
	uint8_t *summary;

	if (size < 1)
		return 0;
	question = question_of(data[0] % FILTERS);
	size--;
	summary = malloc(size + DIGEST_BYTES);
	MUST(summary != NULL);
	memcpy(summary, data + 1, size);
	pb_put_le64(summary + size, pb_digest(summary, size));
	size += DIGEST_BYTES;
	verdict = pb_summary_verdict(summary, size, question);
	MUST(verdict >= PB_VERDICT_NONE && verdict <= PB_VERDICT_EACH);
	MUST(pb_summary_verdict(summary, size, question) == verdict);
	summary[size - 1] ^= 1;
	MUST(pb_summary_verdict(summary, size, question) == PB_VERDICT_EACH);
	free(summary);
	return 0;
}
