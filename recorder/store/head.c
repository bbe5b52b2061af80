/*
 * recorder/store/head.c - Section Header and Interface Description Block
 * of the segments of a stream
 */
#include "recorder/store/head.h"

#include <stdlib.h>
#include <string.h>

#include "base/age.h"
#include "base/digest.h"
#include "base/sys.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/reader.h"
#include "pcapng/scan.h"

/* Options of one block; PB_OPTIONS_BYTES_MAX and a little of ours. */
#define HEAD_OPTIONS_MAX	(PB_OPTIONS_BYTES_MAX + 16384u)

static int	copy_shb(struct pb_buf *, const uint8_t *, size_t);
static bool	counts_nanoseconds(const uint8_t *, size_t);
static bool	shb_keeps(const struct pb_option *);
static bool	idb_keeps(const struct pb_option *);
static int	hash_head(struct pb_head *);

int
pb_head_create(struct pb_head **out, const struct pb_identity *identity,
    uint16_t linktype, const uint8_t *shb, size_t shb_len,
    const uint8_t *idb, size_t idb_len, struct pb_err *err)
{
	struct pb_head *head = calloc(1, sizeof(*head));
	int rc;

	if (head == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	head->refs = 1;
	head->identity = *identity;
	head->identity.first_seq = 0;
	head->linktype = linktype;
	pb_buf_init(&head->shb_options, HEAD_OPTIONS_MAX);
	pb_buf_init(&head->idb_options, HEAD_OPTIONS_MAX);
	rc = copy_shb(&head->shb_options, shb, shb_len);
	if (rc == 0)
		rc = pb_option_copy(&head->idb_options, idb, idb_len,
		    idb_keeps);
	if (rc == 0 && (head->shb_options.len > PB_OPTIONS_BYTES_MAX ||
	    head->idb_options.len > PB_OPTIONS_BYTES_MAX))
		rc = PB_ELIMIT;
	if (rc == 0)
		rc = hash_head(head);
	if (rc < 0) {
		pb_head_unref(head);
		return pb_err_set(err, rc, rc == PB_ELIMIT ? "the options of "
		    "the section or interface block take more than %u bytes" :
		    "the options of the section or interface block are "
		    "malformed or too large (%u bytes at most)",
		    PB_OPTIONS_BYTES_MAX);
	}
	*out = head;
	return 0;
}

struct pb_head *
pb_head_ref(struct pb_head *head)
{
	if (head != NULL)
		__atomic_add_fetch(&head->refs, 1, __ATOMIC_RELAXED);
	return head;
}

void
pb_head_unref(struct pb_head *head)
{
	if (head == NULL ||
	    __atomic_sub_fetch(&head->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pb_buf_finish(&head->shb_options);
	pb_buf_finish(&head->idb_options);
	free(head);
}

int
pb_head_build(const struct pb_head *head, uint32_t pen, uint64_t first_seq,
    struct pb_buf *out)
{
	struct pb_identity identity = head->identity;
	struct pb_buf options;
	int rc;

	identity.first_seq = first_seq;
	pb_buf_init(&options, HEAD_OPTIONS_MAX + 16384u);
	pb_buf_put(&options, head->shb_options.data, head->shb_options.len);
	rc = pb_identity_put(&options, pen, &identity);
	if (rc == 0 && options.failed)
		rc = PB_ENOMEM;
	if (rc == 0)
		rc = pb_build_shb(out, options.data, options.len);
	if (rc == 0)
		rc = pb_build_idb(out, head->linktype, PB_SNAPLEN,
		    head->idb_options.data, head->idb_options.len);
	pb_buf_finish(&options);
	return rc;
}

int
pb_head_parse(struct pb_head **out, const uint8_t *data, size_t len,
    size_t *bytes, struct pb_err *err)
{
	const uint8_t *shb_options, *idb_options;
	size_t shb_len, idb_len;
	struct pb_identity identity;
	struct pb_block shb, idb;
	uint16_t linktype;
	int rc;

	if (pb_scan_block(data, len, &shb) != 1 || shb.type != PB_BLOCK_SHB ||
	    pb_scan_options(&shb, &shb_options, &shb_len, NULL) < 0)
		return pb_err_set(err, PB_EFORMAT, "offset 0: no whole "
		    "Section Header Block");
	if (pb_scan_block(data + shb.len, len - shb.len, &idb) != 1 ||
	    idb.type != PB_BLOCK_IDB ||
	    pb_scan_options(&idb, &idb_options, &idb_len, &linktype) < 0)
		return pb_err_set(err, PB_EFORMAT, "offset %u: no whole "
		    "Interface Description Block", shb.len);
	rc = pb_identity_get(shb_options, shb_len, &identity, err);
	if (rc == 0)
		return pb_err_set(err, PB_EFORMAT, "offset 0: the section "
		    "header does not say which stream this is");
	if (rc < 0)
		return rc;
	rc = pb_head_create(out, &identity, linktype, shb_options, shb_len,
	    idb_options, idb_len, err);
	if (rc < 0)
		return rc;
	(*out)->identity.first_seq = identity.first_seq;
	*bytes = (size_t)shb.len + idb.len;
	return 0;
}

int
pb_head_read(struct pb_head **out, int fd, uint32_t bytes, struct pb_err *err)
{
	struct pb_buf head;
	size_t used;
	ssize_t got;
	int rc;

	pb_buf_init(&head, PB_HEAD_BYTES_MAX);
	if (pb_buf_reserve(&head, bytes) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(fd, head.data, bytes, 0, err);
	rc = got < 0 ? (int)got : pb_head_parse(out, head.data, (size_t)got,
	    &used, err);
	pb_buf_finish(&head);
	return rc;
}

bool
pb_head_readable(const uint8_t *data, size_t bytes)
{
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, used;
	int rc;

	if (pb_reader_create(&reader, NULL) < 0)
		return false;
	while ((rc = pb_reader_next(reader, data + at, bytes - at, true, &used,
	    &event, NULL)) == PB_READ_EVENT)
		at += used;
	pb_reader_destroy(reader);
	return rc == PB_READ_END && counts_nanoseconds(data, bytes);
}

/* Every file of ours does, from 1970 on (docs/format.md): another value is
 * rot, and would move all its packets in time. */
static bool
counts_nanoseconds(const uint8_t *data, size_t bytes)
{
	const uint8_t *options;
	struct pb_option option;
	struct pb_block block;
	size_t len;

	while (pb_scan_block(data, bytes, &block) == 1) {
		if (block.type == PB_BLOCK_IDB)
			return pb_scan_options(&block, &options, &len,
			    NULL) == 0 && pb_option_find(options, len,
			    PB_OPT_IF_TSRESOL, &option) && option.len == 1 &&
			    option.value[0] == 9 && !pb_option_find(options,
			    len, PB_OPT_IF_TSOFFSET, &option);
		data += block.len;
		bytes -= block.len;
	}
	return false;
}

bool
pb_head_fits(const struct pb_head *head, const struct pb_stream_key *key,
    uint16_t linktype, uint64_t first_seq)
{
	const struct pb_identity *identity = &head->identity;

	return identity->epoch == key->epoch &&
	    identity->first_seq == first_seq &&
	    head->linktype == linktype &&
	    strcmp(identity->node[0].name, key->node) == 0 &&
	    strcmp(identity->interface, key->interface) == 0;
}

int
pb_head_put_begun(struct pb_buf *header, uint64_t now_ns, uint32_t pen,
    uint64_t age_ms)
{
	if (pb_buf_reserve(header, PB_BEGUN_BYTES) == NULL)
		return PB_ENOMEM;
	pb_build_begun(header->data + header->len, now_ns, pen, age_ms);
	header->len += PB_BEGUN_BYTES;
	return 0;
}

uint64_t
pb_head_begun(int fd, uint64_t header_bytes)
{
	uint8_t bytes[PB_BEGUN_BYTES];
	struct pb_block block;
	uint64_t age_ms = 0;

	if (pb_pread_all(fd, bytes, sizeof(bytes), header_bytes, NULL) ==
	    (ssize_t)sizeof(bytes) &&
	    pb_scan_block(bytes, sizeof(bytes), &block) == 1)
		age_ms = pb_scan_begun(&block);
	return age_ms < PB_AGE_BASE ? age_ms : 0;
}

/* Our name as writer where there is none. */
static int
copy_shb(struct pb_buf *out, const uint8_t *list, size_t len)
{
	struct pb_option option;
	int rc = 0;

	if (!pb_option_find(list, len, PB_OPT_SHB_USERAPPL, &option))
		rc = pb_option_put_text(out, PB_OPT_SHB_USERAPPL,
		    "PacketBroker " PB_VERSION);
	return rc < 0 ? rc : pb_option_copy(out, list, len, shb_keeps);
}

static bool
shb_keeps(const struct pb_option *option)
{
	return !pb_own_option(option, PB_OWN_SEGMENT);
}

/* Times are nanoseconds since 1970 in every file of ours. */
static bool
idb_keeps(const struct pb_option *option)
{
	return option->code != PB_OPT_IF_TSRESOL &&
	    option->code != PB_OPT_IF_TSOFFSET;
}

/* Two heads that build the same bytes have the same hash. */
static int
hash_head(struct pb_head *head)
{
	struct pb_buf bytes;
	int rc;

	pb_buf_init(&bytes, PB_HEAD_BYTES_MAX);
	rc = pb_head_build(head, PB_PEN_EXAMPLE, 1, &bytes);
	if (rc == 0)
		head->hash = pb_digest(bytes.data, bytes.len);
	pb_buf_finish(&bytes);
	return rc;
}
