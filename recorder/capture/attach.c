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
#include "pcapng/block.h"
#include "recorder/capture/opening.h"
#include "recorder/capture/source_impl.h"
#include "recorder/filter/linktype.h"
#include "recorder/link/link.h"

#define STORE_RETRY_MS	1000u

static int	open_handles(struct pb_source *, struct pb_handles *,
		    struct pb_err *);
static int	check_frames(const struct pb_source *, uint16_t,
		    struct pb_err *);
static void	tell_slow(void *);
static void	retry_later(struct pb_source *);
static void	use(struct pb_source *, int, struct pb_handles *,
		    struct pb_err *);
static int	adopt(struct pb_source *, struct pb_handles *,
		    struct pb_err *);
static void	start_lanes(struct pb_source *, const struct pb_handles *,
		    struct pb_head *);
static void	leave_out(struct pb_source *, unsigned, const struct pb_err *);
static int	find_stream(struct pb_source *, uint16_t, struct pb_err *);
static void	end_lanes(struct pb_source *);
static void	tell_open(struct pb_source *);

void
pb_attach_open(struct pb_source *src)
{
	struct pb_handles fresh;
	struct pb_err err;
	int rc;

	pb_link_state(src->capture.interface, &src->seen);
	rc = open_handles(src, &fresh, &err);
	if (rc < 0)
		retry_later(src);
	else	/* What the store refuses it may take again any moment. */
		src->retry_ms = pb_clock_mono_ms() + STORE_RETRY_MS;
	use(src, rc, &fresh, &err);
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
	bool soon = pb_clock_mono_ms() - src->opened_ms <
	    PB_SOURCE_RETRY_MS_MAX;
	struct pb_handles fresh;
	struct pb_err err;
	bool another;
	int rc = 0;

	/* What libpcap says lives in the handle. */
	if (!soon || !src->unsteady)
		pb_log(PB_LOG_WARN, "capture", "lost interface=%s: %s",
		    src->capture.interface, why);
	src->unsteady = soon;
	pb_link_state(src->capture.interface, &src->seen);
	another = src->seen.index != 0 &&
	    src->seen.index != src->lane[0].pcap.index;
	if (another)
		rc = open_handles(src, &fresh, &err);
	pb_attach_close(src);
	src->retry_ms = pb_clock_mono_ms();
	if (another)
		use(src, rc, &fresh, &err);
	if (soon && !src->open)
		retry_later(src);
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

	pb_link_state(src->capture.interface, &link);
	if (!src->open) {
		if (link.index != src->seen.index || link.up != src->seen.up)
			src->retry_ms = pb_clock_mono_ms();
		return;
	}
	if (link.index != src->lane[0].pcap.index) {
		pb_attach_lost(src, "it vanished");
		return;
	}
	if (link.up == src->link_up)
		return;
	src->link_up = link.up;
	pb_source_error(src, link.up ? "" : "the interface is down");
	if (!link.up)
		return;
	src->logged[0] = '\0';
	pb_log(PB_LOG_INFO, "capture", "up again interface=%s",
	    src->capture.interface);
}

void
pb_attach_steady(struct pb_source *src)
{
	if (!src->open || src->lane[0].now_ms < src->opened_ms +
	    PB_SOURCE_RETRY_MS_MAX)
		return;
	src->unsteady = false;
	src->wait_ms = 0;
	if (!src->told)
		tell_open(src);
}

/* Later each time. */
static void
retry_later(struct pb_source *src)
{
	src->wait_ms = src->wait_ms == 0 ? PB_SOURCE_RETRY_MS :
	    2 * src->wait_ms;
	if (src->wait_ms > PB_SOURCE_RETRY_MS_MAX)
		src->wait_ms = PB_SOURCE_RETRY_MS_MAX;
	src->retry_ms = pb_clock_mono_ms() + src->wait_ms;
}

/* As far as the source is not told to end meanwhile. */
static int
open_handles(struct pb_source *src, struct pb_handles *fresh,
    struct pb_err *err)
{
	const struct pb_pcap_ask ask = { .capture = src->capture,
	    .hold_ms = src->hold_ms, .host_clock = src->host_clock };
	int rc = pb_opening_run(&ask, src->stop_fd, tell_slow, src, fresh,
	    err);

	if (rc != 0)
		return rc;
	rc = check_frames(src, fresh->at[0].linktype, err);
	if (rc < 0)
		pb_handles_close(fresh);
	return rc;
}

/* Bytes of others would be taken for stamps, and those for times. */
static int
check_frames(const struct pb_source *src, uint16_t linktype,
    struct pb_err *err)
{
	const struct pb_trailer_list *list = &src->stamping.list;

	if (linktype == PB_LINKTYPE_ETHERNET ||
	    (list->count == 0 && !list->fcs))
		return 0;
	return pb_err_set(err, PB_EINVAL, "interface %s: is %s, and trailers "
	    "and an FCS stand on Ethernet frames; take trailers and fcs out",
	    src->capture.interface, pb_linktype_name(linktype));
}

static void
tell_slow(void *arg)
{
	pb_source_waits(arg, "filter: its names are being looked up");
}

/* What came of open_handles(). */
static void
use(struct pb_source *src, int rc, struct pb_handles *fresh,
    struct pb_err *err)
{
	if (rc > 0)
		src->stopping = true;
	if (rc == 0)
		rc = adopt(src, fresh, err);
	if (rc < 0)
		pb_source_error(src, err->text);
}

/* Capture from `fresh`; on failure they are closed. */
static int
adopt(struct pb_source *src, struct pb_handles *fresh, struct pb_err *err)
{
	uint16_t linktype = fresh->at[0].linktype;
	/* Each further lane fills one chunk and keeps one in reserve. */
	unsigned chunks = PB_SOURCE_CHUNKS + 2 * (src->capture.threads - 1);
	struct pb_head *head = NULL;
	int rc;

	rc = find_stream(src, linktype, err);
	if (rc == 0 && src->pool == NULL)
		rc = pb_pool_create(&src->pool, chunks,
		    pb_store_flows(src->store), err);
	if (rc == 0)
		rc = pb_source_describe(src, fresh->at[0].timestamps,
		    pb_stream_key(src->stream)->epoch, &head, err);
	if (rc < 0) {
		pb_handles_close(fresh);
		return rc;
	}
	src->clock = fresh->at[0].timestamps;
	start_lanes(src, fresh, head);
	pb_head_unref(head);
	if (src->forward != NULL)
		pb_forward_take(src->forward, fresh->at[0].index,
		    fresh->filter);
	pb_filter_destroy(fresh->filter);
	pb_source_error(src, "");
	src->told = false;
	src->opened_ms = pb_clock_mono_ms();
	if (!src->unsteady)
		tell_open(src);
	return 0;
}

static void
start_lanes(struct pb_source *src, const struct pb_handles *fresh,
    struct pb_head *head)
{
	struct pb_err err;

	src->open = true;
	src->link_up = true;
	src->lanes = fresh->count;
	for (unsigned i = 0; i < src->lanes; i++) {
		pb_lane_open(&src->lane[i], &fresh->at[i], src->lanes);
		pb_blocks_stream(&src->lane[i].blocks, src->pool, src->stream,
		    pb_head_ref(head));
	}
	for (unsigned i = 1; i < src->lanes; i++)
		if (pb_lane_start(&src->lane[i], &err) < 0)
			leave_out(src, i, &err);
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
	src->linktype = linktype;
	return 0;
}

/* The threads of the further lanes end, and each handle is closed. */
static void
end_lanes(struct pb_source *src)
{
	uint64_t ends;

	for (unsigned i = 1; i < src->lanes; i++)
		pb_lane_join(&src->lane[i]);
	if (read(src->end_fd, &ends, sizeof(ends)) != sizeof(ends))
		assert(!"eventfd refused");
	pb_lane_end(&src->lane[0]);
	for (unsigned i = 0; i < src->lanes; i++)
		pb_lane_close(&src->lane[i]);
	src->open = false;
}

/* Where it comes and goes, not before it stays. */
static void
tell_open(struct pb_source *src)
{
	const char *asked = src->capture.timestamp_type;
	const char *stamps = src->lane[0].pcap.timestamps;

	src->told = true;
	src->logged[0] = '\0';
	pb_log(PB_LOG_INFO, "capture", "capturing interface=%s link_type=%u "
	    "timestamps=%s threads=%u next_seq=%llu", src->capture.interface,
	    (unsigned)src->linktype, stamps, src->lanes,
	    (unsigned long long)pb_stream_next(src->stream));
	if (asked[0] != '\0' && strcmp(asked, stamps) != 0)
		pb_log(PB_LOG_WARN, "capture", "no %s time stamps here, using "
		    "%s interface=%s", asked, stamps, src->capture.interface);
}
