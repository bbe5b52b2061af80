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
	size_t		 bytes_max;	/* of `out`; where it is full, */
	bool		 full;
	size_t		 good;		/* it ends here */
	struct pb_sifted is;
};

static int	take(struct sifting *, const struct pb_block *);
static int	take_packet(struct sifting *, const struct pb_block *);
static int	take_run(struct sifting *, const struct pb_filtered *);
static bool	fits(struct sifting *, size_t);
static void	took(struct sifting *, uint64_t);
static void	leave_out(struct sifting *, const struct pb_packet *,
		    uint64_t);
static int	put_cut(struct sifting *, struct pb_packet *);
static int	say_first(struct sifting *, uint64_t);
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
    size_t len, size_t bytes_max, struct pb_buf *out,
    struct pb_sifted *sifted)
{
	struct sifting sifting = { .sift = sift, .out = out,
	    .pen = PB_PEN_EXAMPLE,
	    .bytes_max = bytes_max < SIZE_MAX - out->len ?
	    out->len + bytes_max : SIZE_MAX };
	struct pb_block block;
	int rc = 0;

	while (rc == 0 && pb_scan_block(section, len, &block) == 1) {
		rc = take(&sifting, &block);
		if (sifting.full)
			break;
		section += block.len;
		len -= block.len;
	}
	/* What was to go before a packet comes with it. */
	if (sifting.full)
		out->len = sifting.good;
	if (rc == 0)
		rc = say_run(&sifting);
	if (rc == 0 && len > 0 && !sifting.full)
		rc = pb_buf_put(out, section, len);
	*sifted = sifting.is;
	return rc;
}

static int
take(struct sifting *s, const struct pb_block *block)
{
	struct pb_filtered run;

	if (block->type == PB_BLOCK_EPB)
		return take_packet(s, block);
	if (block->type == PB_BLOCK_SHB)
		read_pen(s, block);
	return pb_scan_filtered(block, &run) == 1 ? take_run(s, &run) :
	    pb_buf_put(s->out, block->at, block->len);
}

/* What is no packet goes: it is the receiver's to say so. */
static int
take_packet(struct sifting *s, const struct pb_block *block)
{
	const struct pb_sift *sift = s->sift;
	struct pb_packet packet;
	uint64_t seq = s->is.last;
	size_t bytes = block->len;
	int rc;

	if (pb_scan_epb(block, &packet) < 0 || !pb_packet_seq(&packet, &seq))
		packet.caplen = 0;
	else if (sift->filter != NULL &&
	    !pb_filter_match(sift->filter, &packet)) {
		if (!fits(s, 0))
			return 0;
		leave_out(s, &packet, seq);
		return say_first(s, seq);
	}
	if (packet.caplen > sift->snaplen)
		bytes = pb_epb_bytes(sift->snaplen, packet.options_len);
	if (!fits(s, bytes))
		return 0;
	rc = say_run(s);
	if (rc == 0)
		rc = packet.caplen > sift->snaplen ? put_cut(s, &packet) :
		    pb_buf_put(s->out, block->at, block->len);
	took(s, seq);
	return rc;
}

/* What an earlier node has left out is of the run. */
static int
take_run(struct sifting *s, const struct pb_filtered *run)
{
	uint64_t first = s->run.last != 0 ? s->run.first : run->first;

	if (!fits(s, 0))
		return 0;
	s->run = *run;
	s->run.first = first;
	s->known = true;
	return say_first(s, run->last);
}

/* With what is to be said of a run; something is there. */
static bool
fits(struct sifting *s, size_t bytes)
{
	s->full = s->is.last != 0 && s->out->len + PB_FILTERED_BYTES + bytes >
	    s->bytes_max;
	return !s->full;
}

static void
took(struct sifting *s, uint64_t last)
{
	s->is.last = last;
	s->good = s->out->len;
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

/* The run that goes up to `last`, where it begins the section. */
static int
say_first(struct sifting *s, uint64_t last)
{
	int rc = s->is.last == 0 && s->sift->first_apart ? say_run(s) : 0;

	took(s, last);
	return rc;
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
