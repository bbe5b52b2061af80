/*
 * recorder/sift/sift.c - a section without what an upstream is not to get
 */
#include "recorder/sift/sift.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/build.h"
#include "pcapng/filtered.h"
#include "pcapng/hop.h"
#include "recorder/store/fingerprint.h"

/* One section on its way. */
struct sifting {
	const struct pb_sift *sift;
	struct pb_buf	*out;
	uint32_t	 pen;
	struct pb_filtered run;		/* to be said; last 0: none */
	struct pb_packet left;		/* its last packet, unless */
	bool		 known;		/* run.digest is of it */
	struct pb_sifted is;
};

static int	take(struct sifting *, const struct pb_block *);
static int	take_packet(struct sifting *, const struct pb_block *);
static void	leave_out(struct sifting *, const struct pb_packet *,
		    uint64_t);
static int	put_cut(struct sifting *, struct pb_packet *);
static bool	add_run(struct sifting *, const struct pb_block *);
static int	say_run(struct sifting *);
static void	read_pen(struct sifting *, const struct pb_block *);

struct pb_sift *
pb_sift_create(struct pb_filter *filter, uint32_t snaplen)
{
	struct pb_sift *sift = calloc(1, sizeof(*sift));

	if (sift == NULL)
		return NULL;
	sift->refs = 1;
	sift->filter = filter;
	sift->snaplen = snaplen;
	return sift;
}

struct pb_sift *
pb_sift_ref(struct pb_sift *sift)
{
	if (sift != NULL)
		atomic_fetch_add(&sift->refs, 1);
	return sift;
}

void
pb_sift_unref(struct pb_sift *sift)
{
	if (sift == NULL || atomic_fetch_sub(&sift->refs, 1) > 1)
		return;
	pb_filter_destroy(sift->filter);
	free(sift);
}

int
pb_sift_section(const struct pb_sift *sift, const uint8_t *section,
    size_t len, struct pb_buf *out, struct pb_sifted *sifted)
{
	struct sifting sifting = { .sift = sift, .out = out,
	    .pen = PB_PEN_EXAMPLE };
	struct pb_block block;
	int rc = 0;

	while (rc == 0 && pb_scan_block(section, len, &block) == 1) {
		rc = take(&sifting, &block);
		section += block.len;
		len -= block.len;
	}
	if (rc == 0)
		rc = say_run(&sifting);
	if (rc == 0 && len > 0)
		rc = pb_buf_put(out, section, len);
	*sifted = sifting.is;
	return rc;
}

static int
take(struct sifting *s, const struct pb_block *block)
{
	if (block->type == PB_BLOCK_EPB)
		return take_packet(s, block);
	if (block->type == PB_BLOCK_SHB)
		read_pen(s, block);
	return add_run(s, block) ? 0 :
	    pb_buf_put(s->out, block->at, block->len);
}

/* What is no packet goes: it is the receiver's to say so. */
static int
take_packet(struct sifting *s, const struct pb_block *block)
{
	const struct pb_sift *sift = s->sift;
	struct pb_packet packet;
	uint64_t seq;
	int rc;

	if (pb_scan_epb(block, &packet) < 0 || !pb_packet_seq(&packet, &seq))
		packet.caplen = 0;
	else if (sift->filter != NULL &&
	    !pb_filter_match(sift->filter, &packet)) {
		leave_out(s, &packet, seq);
		return 0;
	}
	rc = say_run(s);
	if (rc < 0)
		return rc;
	return packet.caplen > sift->snaplen ? put_cut(s, &packet) :
	    pb_buf_put(s->out, block->at, block->len);
}

static int
put_cut(struct sifting *s, struct pb_packet *packet)
{
	uint8_t *at;

	packet->caplen = s->sift->snaplen;
	at = pb_buf_reserve(s->out, pb_epb_bytes(packet->caplen,
	    packet->options_len));
	if (at == NULL)
		return PB_ENOMEM;
	s->out->len += pb_build_epb(at, 0, packet);
	s->is.cut++;
	return 0;
}

static void
leave_out(struct sifting *s, const struct pb_packet *packet, uint64_t seq)
{
	if (s->run.last == 0)
		s->run.first = seq;
	s->run.last = seq;
	s->run.time_ns = packet->time_ns;
	s->left = *packet;
	s->known = false;
	s->is.filtered++;
}

/* Does the block say what an earlier node has left out?  Then it is of the
 * run. */
static bool
add_run(struct sifting *s, const struct pb_block *block)
{
	struct pb_filtered more;

	if (pb_scan_filtered(block, &more) != 1)
		return false;
	if (s->run.last != 0)
		more.first = s->run.first;
	s->run = more;
	s->known = true;
	return true;
}

static int
say_run(struct sifting *s)
{
	uint8_t block[PB_FILTERED_BYTES];

	if (s->run.last == 0)
		return 0;
	if (!s->known)
		s->run.digest = pb_fingerprint(&s->left, s->run.last).digest;
	pb_build_filtered(block, &s->run, s->pen);
	s->run.last = 0;
	return pb_buf_put(s->out, block, sizeof(block));
}

/* What the section's own options are under. */
static void
read_pen(struct sifting *s, const struct pb_block *block)
{
	const uint8_t *options;
	struct pb_option own;
	size_t len;

	if (pb_scan_options(block, &options, &len, NULL) == 0 &&
	    pb_own_find(options, len, PB_OWN_SEGMENT, &own))
		s->pen = pb_get_le32(own.value);
}
