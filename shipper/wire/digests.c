/*
 * shipper/wire/digests.c - what a node says of a run of numbers
 */
#include "shipper/wire/digests.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define WORD_BYTES	64

static const char *read_parts(struct pb_wire_digests *,
		    struct pb_json_doc *);
static const char *read_part(struct pb_digests_part *,
		    struct pb_json_doc *);
static void	read_facts(struct pb_digests_part *, struct pb_json_doc *);
static const char *read_absences(struct pb_wire_digests *,
		    struct pb_json_doc *);
static uint64_t	read_time(struct pb_json_doc *, const char *);

void
pb_wire_digests_words(char out[static PB_WIRE_DIGESTS_WORDS_MAX],
    const struct pb_digests_ask *ask)
{
	int len = snprintf(out, PB_WIRE_DIGESTS_WORDS_MAX, "/digests?first=%"
	    PRIu64 "&last=%" PRIu64 "&parts=%" PRIu64, ask->first, ask->last,
	    ask->parts);

	if (ask->snaplen != 0)
		len += snprintf(out + len, PB_WIRE_DIGESTS_WORDS_MAX -
		    (size_t)len, "&snaplen=%" PRIu64, ask->snaplen);
	if (ask->why != 0)
		snprintf(out + len, PB_WIRE_DIGESTS_WORDS_MAX - (size_t)len,
		    "&why=1");
}

int
pb_wire_digests_read(struct pb_wire_digests *out, struct pb_json_doc *doc,
    char text[static PB_WIRE_DIGESTS_TEXT])
{
	const struct pb_digests_ask *ask = &out->ask;
	const char *wrong;
	uint64_t last;

	out->parts = out->absences = 0;
	out->acked = pb_json_doc_u64(doc, "acked");
	out->first_seq = pb_json_doc_u64(doc, "first");
	wrong = doc->rc < 0 ? "acked and first are no numbers" :
	    read_parts(out, doc);
	if (wrong == NULL && ask->why != 0)
		wrong = read_absences(out, doc);
	last = out->parts == 0 ? 0 : out->part[out->parts - 1].last;
	if (wrong == NULL && out->parts == 0 && out->acked >= ask->first)
		wrong = "it says nothing of numbers that it has";
	else if (wrong == NULL && out->parts > 0 && last < ask->last &&
	    last < out->acked && last - ask->first + 1 < PB_WIRE_DIGESTS_MIN)
		wrong = "it ends before its time";
	if (wrong == NULL)
		return 0;
	snprintf(text, PB_WIRE_DIGESTS_TEXT, "its digests are not what was "
	    "asked for: %s", wrong);
	return PB_EFORMAT;
}

/* What is wrong, or NULL. */
static const char *
read_parts(struct pb_wire_digests *out, struct pb_json_doc *doc)
{
	const struct pb_digests_ask *ask = &out->ask;
	uint64_t end = out->acked < ask->last ? out->acked : ask->last;
	uint64_t next = ask->first, step;
	struct pb_json_doc item;

	step = end < next ? 0 : (end - next) / ask->parts + 1;
	while (pb_json_doc_item(doc, "parts", out->parts, &item)) {
		struct pb_digests_part *part = &out->part[out->parts];
		const char *wrong;

		if (out->parts == ask->parts)
			return "it has more parts";
		/* With reasons the last number may be a lower one. */
		if (out->parts > 0 && ask->why == 0 &&
		    part[-1].last - part[-1].first + 1 != step)
			return "a part has another length";
		*part = (struct pb_digests_part){ .first = next };
		wrong = read_part(part, &item);
		if (wrong != NULL)
			return wrong;
		if (part->last > end || part->last - next >= step)
			return "it goes on behind the last number";
		next = part->last + 1;
		out->parts++;
	}
	return doc->rc < 0 ? "there are no parts" : NULL;
}

static const char *
read_part(struct pb_digests_part *part, struct pb_json_doc *item)
{
	char digest[WORD_BYTES];

	part->last = pb_json_doc_u64(item, "last");
	part->packets = pb_json_doc_u64(item, "packets");
	if (item->rc < 0 || part->last < part->first ||
	    part->last > INT64_MAX ||
	    part->packets > part->last - part->first + 1)
		return "a part's numbers";
	if (part->packets > 0) {
		pb_json_doc_text(item, "xxh3", digest, sizeof(digest));
		if (pb_parse_hex64(digest, &part->digest, NULL) < 0)
			return "a part's digest";
	}
	if (pb_json_doc_has(item, "damaged"))
		part->damaged = pb_json_doc_u64(item, "damaged");
	if (pb_json_doc_has(item, "longer"))
		part->longer = pb_json_doc_u64(item, "longer");
	if (part->longer > part->packets)
		return "a part's longer packets";
	read_facts(part, item);
	return item->rc < 0 ? "a part's members" : NULL;
}

/* Of a packet that stands alone. */
static void
read_facts(struct pb_digests_part *part, struct pb_json_doc *item)
{
	uint64_t captured, length;

	if (!pb_json_doc_has(item, "captured"))
		return;
	part->time_ns = read_time(item, "time");
	captured = pb_json_doc_u64(item, "captured");
	length = pb_json_doc_u64(item, "length");
	if (captured > UINT32_MAX || length > UINT32_MAX)
		item->rc = PB_EFORMAT;
	part->caplen = (uint32_t)captured;
	part->origlen = (uint32_t)length;
}

static const char *
read_absences(struct pb_wire_digests *out, struct pb_json_doc *doc)
{
	char reason[WORD_BYTES];
	struct pb_json_doc item;

	if (out->parts == 0 && !pb_json_doc_has(doc, "absent"))
		return NULL;
	while (pb_json_doc_item(doc, "absent", out->absences, &item)) {
		struct pb_wire_absent *absent = &out->absent[out->absences];

		if (out->absences == PB_WIRE_ABSENT_MAX)
			return "it has more gaps than an answer may";
		*absent = (struct pb_wire_absent){ .first =
		    pb_json_doc_u64(&item, "first"),
		    .last = pb_json_doc_u64(&item, "last") };
		pb_json_doc_text(&item, "reason", reason, sizeof(reason));
		pb_utf8_clean(absent->reason, sizeof(absent->reason), reason,
		    strlen(reason));
		if (pb_json_doc_has(&item, "since"))
			absent->since_ns = read_time(&item, "since");
		if (item.rc < 0 || absent->first > absent->last)
			return "a gap's members";
		out->absences++;
	}
	return doc->rc < 0 ? "it does not say what is absent" : NULL;
}

static uint64_t
read_time(struct pb_json_doc *item, const char *key)
{
	char text[WORD_BYTES];
	uint64_t ns = 0;

	pb_json_doc_text(item, key, text, sizeof(text));
	if (item->rc == 0 && pb_parse_time(text, 0, &ns, NULL) < 0)
		item->rc = PB_EFORMAT;
	return ns;
}
