/*
 * recorder/capture/attach.c - a source and its interface
 *
 * An interface that is taken down stays open: its packets come again when
 * it is up.  One that is deleted is known by its index, which a new one of
 * the same name does not have.  The stream's numbers run on over all of it.
 *
 * All lanes are opened and closed together, by the source's thread: the
 * threads of the further ones live no longer than an opening.
 */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/capture/describe.h"
#include "recorder/capture/fanout.h"
#include "recorder/capture/link.h"
#include "recorder/capture/source_impl.h"

static int	open_lanes(struct pb_source *, struct pb_pcap *, unsigned *,
		    struct pb_err *);
static int	open_handles(struct pb_source *, struct pb_pcap *, unsigned,
		    struct pb_err *);
static void	close_handles(struct pb_pcap *, unsigned);
static int	adopt(struct pb_source *, struct pb_pcap *, unsigned,
		    struct pb_err *);
static void	start_lanes(struct pb_source *, const struct pb_pcap *,
		    struct pb_head *, unsigned);
static void	leave_out(struct pb_source *, unsigned, const struct pb_err *);
static int	find_stream(struct pb_source *, uint16_t, struct pb_err *);
static void	end_lanes(struct pb_source *);
static void	tell_open(struct pb_source *, const struct pb_pcap *);

void
pb_attach_open(struct pb_source *src)
{
	struct pb_pcap fresh[PB_CAPTURE_THREADS_MAX];
	struct pb_err err;
	unsigned count;
	int rc;

	rc = open_lanes(src, fresh, &count, &err);
	if (rc == 0)
		rc = adopt(src, fresh, count, &err);
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
	struct pb_pcap fresh[PB_CAPTURE_THREADS_MAX];
	struct pb_link_state link;
	struct pb_err err;
	unsigned count = 0;
	bool another;
	int rc = 0;

	/* What libpcap says lives in the handle. */
	pb_log(PB_LOG_WARN, "capture", "lost interface=%s: %s",
	    src->capture.interface, why);
	pb_link_state(src->capture.interface, &link);
	another = link.index != 0 && link.index != src->lane[0].pcap.index;
	if (another)
		rc = open_lanes(src, fresh, &count, &err);
	pb_attach_close(src);
	if (another && rc == 0)
		rc = adopt(src, fresh, count, &err);
	if (rc < 0)
		pb_source_error(src, err.text);
	src->retry_ms = pb_clock_mono_ms();
}

void
pb_attach_close(struct pb_source *src)
{
	uint64_t one = 1;

	/* All lanes drain at the same time; the first hands over last, so
	 * that it can tell what the others found lost. */
	if (write(src->end_fd, &one, sizeof(one)) != sizeof(one))
		assert(!"eventfd refused");
	pb_lane_drain(&src->lane[0]);
	end_lanes(src);
}

void
pb_attach_look(struct pb_source *src)
{
	struct pb_link_state link;

	if (!src->open) {
		src->retry_ms = pb_clock_mono_ms();
		return;
	}
	pb_link_state(src->capture.interface, &link);
	if (link.index != src->lane[0].pcap.index) {
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

/*
 * As many handles as there are threads to be, in one group; one with the
 * whole buffer where the kernel refuses groups.
 */
static int
open_lanes(struct pb_source *src, struct pb_pcap *fresh, unsigned *count,
    struct pb_err *err)
{
	struct pb_link_state link;
	int rc;

	*count = src->capture.threads;
	rc = open_handles(src, fresh, *count, err);
	if (rc < 0 || *count == 1)
		return rc;
	rc = pb_fanout_join(fresh, *count, src->hold_ms, err);
	if (rc == 0)
		return 0;
	pb_link_state(src->capture.interface, &link);
	if (link.index != fresh->index || !link.up)
		rc = PB_ESYS;	/* the group is not to blame */
	close_handles(fresh, *count);
	if (rc != PB_EINVAL)
		return pb_err_prefix(err, "interface %s",
		    src->capture.interface);
	pb_log(PB_LOG_WARN, "capture", "one thread instead of %u, for the "
	    "kernel shares nothing out among several interface=%s: %s; Fix: "
	    "threads = 1", *count, src->capture.interface, err->text);
	*count = 1;
	return open_handles(src, fresh, 1, err);
}

static int
open_handles(struct pb_source *src, struct pb_pcap *fresh, unsigned count,
    struct pb_err *err)
{
	for (unsigned i = 0; i < count; i++) {
		int rc = pb_pcap_open(&fresh[i], &src->capture, count,
		    src->hold_ms, src->host_clock, err);

		if (rc == 0 && fresh[i].index != fresh->index)
			rc = pb_err_set(err, PB_ENOENT, "interface %s: it "
			    "changed while it was opened",
			    src->capture.interface);
		if (rc < 0) {
			close_handles(fresh, i + 1);
			return rc;
		}
	}
	return 0;
}

static void
close_handles(struct pb_pcap *fresh, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pb_pcap_close(&fresh[i]);
}

/* Capture from `fresh`; on failure they are closed. */
static int
adopt(struct pb_source *src, struct pb_pcap *fresh, unsigned count,
    struct pb_err *err)
{
	/* Each further lane fills one chunk and keeps one in reserve. */
	unsigned chunks = PB_SOURCE_CHUNKS + 2 * (src->capture.threads - 1);
	struct pb_head *head = NULL;
	int rc;

	rc = find_stream(src, fresh->linktype, err);
	if (rc == 0 && src->pool == NULL)
		rc = pb_pool_create(&src->pool, chunks, err);
	if (rc == 0)
		rc = pb_describe(&head, &src->node, &src->capture, src->epoch,
		    fresh->linktype, err);
	if (rc < 0) {
		close_handles(fresh, count);
		return rc;
	}
	start_lanes(src, fresh, head, count);
	pb_head_unref(head);
	tell_open(src, fresh);
	return 0;
}

static void
start_lanes(struct pb_source *src, const struct pb_pcap *fresh,
    struct pb_head *head, unsigned count)
{
	struct pb_err err;

	for (unsigned i = 0; i < count; i++) {
		pb_lane_open(&src->lane[i], &fresh[i], count);
		pb_blocks_stream(&src->lane[i].blocks, src->pool, src->stream,
		    pb_head_ref(head), fresh->linktype);
	}
	src->open = true;
	src->link_up = true;
	src->lanes = count;
	for (unsigned i = 1; i < src->lanes; i++) {
		src->lane[i].runs = pb_lane_start(&src->lane[i], &err) == 0;
		if (!src->lane[i].runs)
			leave_out(src, i, &err);
	}
}

/* No thread for this lane and those behind it: what leaves the group leaves
 * its share to the others. */
static void
leave_out(struct pb_source *src, unsigned first, const struct pb_err *why)
{
	pb_log(PB_LOG_WARN, "capture", "%u threads instead of %u interface=%s: "
	    "%s", first, src->lanes, src->capture.interface, why->text);
	for (unsigned i = first; i < src->lanes; i++)
		pb_lane_close(&src->lane[i]);
	src->lanes = first;
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

/* The threads of the further lanes end, and each handle is closed. */
static void
end_lanes(struct pb_source *src)
{
	uint64_t ends;

	for (unsigned i = 1; i < src->lanes; i++) {
		if (src->lane[i].runs)
			pb_lane_join(&src->lane[i]);
		src->lane[i].runs = false;
	}
	if (read(src->end_fd, &ends, sizeof(ends)) != sizeof(ends))
		assert(!"eventfd refused");
	pb_lane_end(&src->lane[0]);
	for (unsigned i = 0; i < src->lanes; i++)
		pb_lane_close(&src->lane[i]);
	src->open = false;
}

static void
tell_open(struct pb_source *src, const struct pb_pcap *fresh)
{
	const char *asked = src->capture.timestamp_type;

	pb_source_error(src, "");
	pb_log(PB_LOG_INFO, "capture", "capturing interface=%s link_type=%u "
	    "timestamps=%s threads=%u next_seq=%llu", src->capture.interface,
	    (unsigned)fresh->linktype, fresh->timestamps, src->lanes,
	    (unsigned long long)pb_stream_next(src->stream));
	if (asked[0] != '\0' && strcmp(asked, fresh->timestamps) != 0)
		pb_log(PB_LOG_WARN, "capture", "no %s time stamps here, using "
		    "%s interface=%s", asked, fresh->timestamps,
		    src->capture.interface);
}
