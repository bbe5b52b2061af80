/*
 * recorder/store/fingerprint.c - is it the same packet at two nodes?
 */
#include "recorder/store/fingerprint.h"

#include "base/bytes.h"
#include "base/digest.h"
#include "pcapng/filtered.h"

#define FACTS_BYTES	24u

struct pb_fingerprint
pb_fingerprint(const struct pb_packet *packet, uint64_t seq)
{
	_Alignas(PB_DIGEST_ALIGN) struct pb_digest digest;
	uint8_t facts[FACTS_BYTES];

	pb_put_le64(facts, seq);
	pb_put_le64(facts + 8, packet->time_ns);
	pb_put_le32(facts + 16, packet->caplen);
	pb_put_le32(facts + 20, packet->origlen);
	pb_digest_begin(&digest);
	pb_digest_add(&digest, facts, sizeof(facts));
	pb_digest_add(&digest, packet->data, packet->caplen);
	return (struct pb_fingerprint){ .seq = seq,
	    .digest = pb_digest_end(&digest),
	    .captured = packet->caplen < packet->origlen ?
	    packet->caplen : 0 };
}

int
pb_fingerprint_block(const struct pb_block *block, struct pb_fingerprint *out)
{
	struct pb_filtered filtered;
	struct pb_packet packet;
	uint64_t seq;
	int rc;

	if (block->type == PB_BLOCK_EPB) {
		if (pb_scan_epb(block, &packet) < 0 ||
		    !pb_packet_seq(&packet, &seq) || seq == 0)
			return PB_EFORMAT;
		*out = pb_fingerprint(&packet, seq);
		return 1;
	}
	rc = pb_scan_filtered(block, &filtered);
	if (rc <= 0 || filtered.digest == 0)
		return rc < 0 ? rc : 0;
	*out = (struct pb_fingerprint){ .seq = filtered.last,
	    .digest = filtered.digest };
	return 1;
}

bool
pb_fingerprint_last(const uint8_t *data, size_t len,
    struct pb_fingerprint *out)
{
	struct pb_block block;
	int rc = 0;

	while (rc == 0 && len >= 4) {
		uint32_t bytes = pb_get_le32(data + len - 4);

		if (bytes > len || pb_scan_block(data + len - bytes, bytes,
		    &block) != 1)
			return false;
		rc = pb_fingerprint_block(&block, out);
		len -= bytes;
	}
	return rc == 1;
}

bool
pb_fingerprint_first(const uint8_t *data, size_t len,
    struct pb_fingerprint *out)
{
	struct pb_block block;
	int rc = 0;

	while (rc == 0 && pb_scan_block(data, len, &block) == 1) {
		rc = pb_fingerprint_block(&block, out);
		data += block.len;
		len -= block.len;
	}
	return rc == 1;
}
