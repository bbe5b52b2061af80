/*
 * tests/fuzz/fuzz_hop.c - any bytes as an option list with options of ours,
 * and as the head of a segment
 */
#include <string.h>

#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "recorder/store/head.h"
#include "tests/fuzz/fuzz.h"

#define LIST_BYTES_MAX	(1u << 20)

static bool
walkable(const uint8_t *list, size_t len)
{
	struct pb_option_walk walk;
	struct pb_option option;
	int rc;

	walk = (struct pb_option_walk){ list, len };
	while ((rc = pb_option_next(&walk, &option)) == 1)
		;
	return rc == 0 && walk.left == 0;
}

/* An identity that is read can be written, and is read again the same. */
static void
identity(const uint8_t *list, size_t len)
{
	static struct pb_identity first, again;
	struct pb_buf out;
	struct pb_err err;

	memset(&first, 0, sizeof(first));
	memset(&again, 0, sizeof(again));
	if (pb_identity_get(list, len, &first, &err) != 1)
		return;
	MUST(first.nodes >= 1 && first.nodes <= PB_HOPS_MAX);
	pb_buf_init(&out, LIST_BYTES_MAX);
	MUST(pb_identity_put(&out, PB_PEN_EXAMPLE, &first) == 0);
	MUST(pb_identity_get(out.data, out.len, &again, &err) == 1);
	MUST(first.epoch == again.epoch && first.nodes == again.nodes);
	MUST(first.first_seq == again.first_seq);
	MUST(strcmp(first.interface, again.interface) == 0);
	for (int i = 0; i < first.nodes; i++) {
		MUST(strcmp(first.node[i].name, again.node[i].name) == 0);
		MUST(strcmp(first.node[i].description,
		    again.node[i].description) == 0);
		MUST(pb_hop_comment(&out, i + 1, &first.node[i], first.epoch,
		    first.first_seq) == 0);
	}
	pb_buf_finish(&out);
}

static void
hops(const uint8_t *list, size_t len)
{
	struct pb_hop before[PB_HOPS_MAX], after[PB_HOPS_MAX];
	struct pb_hop hop = { .time_ns = 1, .seq = 2 };
	uint8_t *grown = malloc(len + PB_HOP_GROWTH_MAX);
	int had = pb_hops_get(list, len, before), has;
	size_t bytes;

	MUST(grown != NULL);
	bytes = pb_hops_append(grown, list, len, PB_PEN_EXAMPLE, &hop);
	MUST(bytes > len && bytes <= len + PB_HOP_GROWTH_MAX);
	MUST(walkable(grown, bytes));
	has = pb_hops_get(grown, bytes, after);
	if (had < 0 || had == PB_HOPS_MAX - 1) {
		MUST(has < 0);
	} else {
		MUST(has == had + 1);
		MUST(had == 0 || memcmp(before, after,
		    (size_t)had * sizeof(hop)) == 0);
		MUST(after[had].time_ns == 1 && after[had].seq == 2);
	}
	MUST(pb_untimed_get(grown, bytes) == pb_untimed_get(list, len));
	free(grown);
}

/* A head that is read can be built, and is read again the same. */
static void
head(const uint8_t *data, size_t size)
{
	struct pb_head *first, *again;
	size_t bytes, back;
	struct pb_buf out;
	int rc;

	rc = pb_head_parse(&first, data, size, &bytes, NULL);
	MUST(rc == 0 || rc == PB_EFORMAT || rc == PB_ELIMIT);
	if (rc < 0)
		return;
	MUST(bytes <= size && first->identity.first_seq != 0);
	pb_buf_init(&out, PB_HEAD_BYTES_MAX);
	MUST(pb_head_build(first, PB_PEN_EXAMPLE, first->identity.first_seq,
	    &out) == 0);
	MUST(pb_head_parse(&again, out.data, out.len, &back, NULL) == 0);
	MUST(back == out.len && again->hash == first->hash);
	MUST(again->linktype == first->linktype);
	MUST(again->identity.first_seq == first->identity.first_seq);
	MUST(again->identity.epoch == first->identity.epoch);
	pb_head_unref(first);
	pb_head_unref(again);
	pb_buf_finish(&out);
}

/* The list as a section header's. */
static void
head_of_list(const uint8_t *list, size_t len)
{
	struct pb_buf out;

	pb_buf_init(&out, 2 * LIST_BYTES_MAX);
	MUST(pb_build_shb(&out, list, len) == 0);
	MUST(pb_build_idb(&out, PB_LINKTYPE_ETHERNET, 0, NULL, 0) == 0);
	head(out.data, out.len);
	pb_buf_finish(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_hop out[PB_HOPS_MAX];

	pb_hops_get(data, size, out);
	pb_untimed_get(data, size);
	identity(data, size);
	head(data, size);
	if (size <= LIST_BYTES_MAX && walkable(data, size)) {
		hops(data, size);
		head_of_list(data, size);
	}
	return 0;
}
