/*
 * recorder/capture/attach.c - a source and its interface
 *
 * An interface that is taken down stays open: its packets come again when
 * it is up.  One that is deleted is known by its index, which a new one of
 * the same name does not have.  The stream's numbers run on over all of it.
 */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/describe.h"
#include "recorder/capture/link.h"
#include "recorder/capture/source_impl.h"

/* A tick of the slowest kernel's clock (HZ=100), which rounds ring_ms up. */
#define TICK_MS		10u
#define DRAIN_MS_MAX	3000u	/* over PAUSE_MS: then all is read, if lost */

static int	adopt(struct pb_source *, struct pb_pcap *, struct pb_err *);
static int	find_stream(struct pb_source *, uint16_t, struct pb_err *);
static void	drain(struct pb_source *);

void
pb_attach_open(struct pb_source *src)
{
	struct pb_pcap fresh;
	struct pb_err err;
	int rc;

	rc = pb_pcap_open(&fresh, &src->capture, src->ring_ms,
	    src->host_clock, &err);
	if (rc == 0)
		rc = adopt(src, &fresh, &err);
	if (rc < 0) {
		pb_source_error(src, err.text);
		src->retry_ms = pb_clock_mono_ms() + PB_SOURCE_RETRY_MS;
	}
}

/*
 * The interface is gone, or failed.  Where another one has its name already
 * (deleted and made again) that one is opened before the old one's last
 * packets are waited for, so that nothing is missed meanwhile.  Else it is
 * closed first: two openings of one interface see each packet twice.
 */
void
pb_attach_lost(struct pb_source *src, const char *why)
{
	struct pb_link_state link;
	struct pb_pcap fresh;
	struct pb_err err;
	bool another;
	int rc = 0;

	/* What libpcap says lives in the handle. */
	pb_log(PB_LOG_WARN, "capture", "lost interface=%s: %s",
	    src->capture.interface, why);
	pb_link_state(src->capture.interface, &link);
	another = link.index != 0 && link.index != src->pcap.index;
	if (another)
		rc = pb_pcap_open(&fresh, &src->capture, src->ring_ms,
		    src->host_clock, &err);
	pb_attach_close(src);
	if (another && rc == 0)
		rc = adopt(src, &fresh, &err);
	if (rc < 0)
		pb_source_error(src, err.text);
	src->retry_ms = pb_clock_mono_ms();
}

void
pb_attach_close(struct pb_source *src)
{
	drain(src);
	src->sampled_ms = 0;
	pb_blocks_handover(&src->blocks, PB_HANDOVER_END);
	pb_pcap_close(&src->pcap);
	src->open = false;
	src->busy = false;
	src->paused = false;
}

void
pb_attach_look(struct pb_source *src)
{
	struct pb_link_state link;

	if (!src->open) {
		src->retry_ms = src->now_ms;
		return;
	}
	pb_link_state(src->capture.interface, &link);
	if (link.index != src->pcap.index) {
		pb_attach_lost(src, "it vanished");
		return;
	}
	if (link.up == src->link_up)
		return;
	src->link_up = link.up;
	pb_source_error(src, link.up ? "" : "the interface is down");
	if (link.up)
		pb_log(PB_LOG_INFO, "capture", "up again interface=%s",
		    src->capture.interface);
}

/* Capture from `fresh`; on failure it is closed. */
static int
adopt(struct pb_source *src, struct pb_pcap *fresh, struct pb_err *err)
{
	struct pb_head *head = NULL;
	uint64_t next;
	int rc;

	rc = find_stream(src, fresh->linktype, err);
	if (rc < 0)
		goto fail;
	rc = pb_describe(&head, &src->node, &src->capture, src->epoch,
	    fresh->linktype, err);
	if (rc < 0)
		goto fail;
	/* Chunks that wait for the store's queue are not in its count yet. */
	next = src->blocks.stream == src->stream ? src->blocks.next_seq :
	    pb_stream_next(src->stream);
	rc = pb_blocks_stream(&src->blocks, src->stream, head,
	    fresh->linktype, next, err);
	if (rc < 0)
		goto fail;
	pb_losses_opened(&src->blocks.losses);
	src->pcap = *fresh;
	src->open = true;
	src->link_up = true;
	pb_source_error(src, "");
	pb_log(PB_LOG_INFO, "capture", "capturing interface=%s link_type=%u "
	    "timestamps=%s next_seq=%llu", src->capture.interface,
	    (unsigned)fresh->linktype, fresh->timestamps,
	    (unsigned long long)next);
	if (src->capture.timestamp_type[0] != '\0' &&
	    strcmp(src->capture.timestamp_type, fresh->timestamps) != 0)
		pb_log(PB_LOG_WARN, "capture", "no %s time stamps here, using "
		    "%s interface=%s", src->capture.timestamp_type,
		    fresh->timestamps, src->capture.interface);
	return 0;
fail:
	pb_head_unref(head);
	pb_pcap_close(fresh);
	return rc;
}

/* The stream goes on where the link type is what it was. */
static int
find_stream(struct pb_source *src, uint16_t linktype, struct pb_err *err)
{
	struct pb_stream_key key;
	struct pb_stream *stream;
	int rc;

	if (src->stream != NULL && src->linktype == linktype)
		return 0;
	memset(&key, 0, sizeof(key));
	memcpy(key.node, src->node.name, sizeof(key.node));
	memcpy(key.interface, src->capture.interface, sizeof(key.interface));
	rc = pb_store_own_epoch(src->store, key.node, key.interface,
	    linktype, src->capture.snaplen, &key.epoch, err);
	if (rc < 0)
		return rc;
	rc = pb_store_stream(src->store, &key, linktype,
	    src->capture.snaplen, true, &stream, err);
	if (rc < 0)
		return rc;
	src->stream = stream;
	src->epoch = key.epoch;
	src->linktype = linktype;
	return 0;
}

/*
 * The kernel gives out a part of the ring when it is full or after ring_ms,
 * so the last packets come up to that much later; where the ring is behind
 * or the store is, it takes as long as it takes, up to DRAIN_MS_MAX.  Errors
 * of an interface that is gone stand before its packets: they are passed
 * over.
 */
static void
drain(struct pb_source *src)
{
	uint64_t begun_ms = pb_clock_mono_ms();
	uint64_t quiet_ms = begun_ms + 2 * src->ring_ms + TICK_MS;

	do {
		struct pollfd fd = { .fd = src->paused ? -1 : src->pcap.fd,
		    .events = POLLIN };

		poll(&fd, 1, (int)src->ring_ms);
		src->now_ms = pb_clock_mono_ms();
		(void)pb_source_read(src);
		pb_blocks_submit(&src->blocks);
	} while (src->now_ms < quiet_ms || ((src->busy || src->paused) &&
	    src->now_ms < begun_ms + DRAIN_MS_MAX));
}
