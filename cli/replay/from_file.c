/*
 * cli/replay/from_file.c - a capture file, or a pipe, as a source of frames
 */
#include "cli/replay/from_file.h"

#include <stdlib.h>

#include "base/list.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/linktype.h"

static int	take_interface(struct pb_from_file *,
		    const struct pb_event *, struct pb_err *);
static int	way_of(const struct pb_from_file *, const struct pb_event *);
static int	take_packet(struct pb_from_file *, const struct pb_event *,
		    struct pb_source_frame *, struct pb_err *);
static int	refuse(const struct pb_from_file *, const struct pb_event *,
		    uint16_t, struct pb_err *);

void
pb_from_file_finish(struct pb_from_file *from)
{
	pb_capture_file_finish(&from->file);
	free(from->interface);
	from->interface = NULL;
}

int
pb_from_file_begin(void *arg, const struct pb_stop *stop, struct pb_err *err)
{
	struct pb_from_file *from = arg;

	from->interfaces = 0;
	return pb_capture_file_begin(&from->file, stop, err);
}

int
pb_from_file_next(void *arg, struct pb_source_frame *out, struct pb_err *err)
{
	struct pb_from_file *from = arg;
	struct pb_event event;
	int rc;

	for (;;) {
		rc = pb_capture_file_next(&from->file, &event, err);
		if (rc == PB_CAPTURE_FILE_IDLE)
			return PB_SOURCE_IDLE;
		if (rc != PB_CAPTURE_FILE_EVENT)
			return rc;
		rc = 0;
		if (event.kind == PB_EVENT_SECTION)
			from->interfaces = 0;
		else if (event.kind == PB_EVENT_INTERFACE)
			rc = take_interface(from, &event, err);
		else if (event.kind == PB_EVENT_PACKET)
			rc = take_packet(from, &event, out, err);
		if (rc != 0)
			return rc;
	}
}

static int
take_interface(struct pb_from_file *from, const struct pb_event *event,
    struct pb_err *err)
{
	struct pb_from_file_interface *interface;

	if (!PB_LIST_ROOM(from->interface, from->room, from->interfaces))
		return pb_err_set(err, PB_ENOMEM, "%s: no memory for an "
		    "interface", from->file.name);
	interface = &from->interface[from->interfaces++];
	*interface = (struct pb_from_file_interface){
		.linktype = event->linktype,
		.way = way_of(from, event),
	};
	if (from->original != NULL)
		pb_original_list(from->original, event->packet.options,
		    event->packet.options_len, &interface->list);
	return 0;
}

/* By any of its names. */
static int
way_of(const struct pb_from_file *from, const struct pb_event *event)
{
	int way = PB_WAYS_NONE;
	pb_capture_names name;
	unsigned names = pb_capture_file_names(&from->file, event, name);

	for (unsigned i = 0; i < names && way == PB_WAYS_NONE; i++)
		way = pb_ways_mapped(from->ways, name[i]);
	return way != PB_WAYS_NONE ? way : pb_ways_rest(from->ways);
}

/* PB_SOURCE_FRAME, PB_SOURCE_SKIP, an error; 0 where it is not asked for. */
static int
take_packet(struct pb_from_file *from, const struct pb_event *event,
    struct pb_source_frame *out, struct pb_err *err)
{
	const struct pb_from_file_interface *interface =
	    &from->interface[event->interface];
	const struct pb_packet *packet = &event->packet;
	bool foreign = interface->linktype != PB_LINKTYPE_ETHERNET;

	from->last = event->interface;
	if (foreign && from->skip)
		return PB_SOURCE_SKIP;
	if (!foreign && from->filter != NULL &&
	    !pb_filter_match(from->filter, packet))
		return 0;
	if (foreign || interface->way == PB_WAYS_NONE)
		return refuse(from, event, interface->linktype, err);
	*out = (struct pb_source_frame){
		.data = packet->data,
		.len = packet->caplen,
		.way = (uint8_t)interface->way,
		.timed = event->has_time && (packet->time_ns > 0 ||
		    !pb_untimed_get(packet->options, packet->options_len)),
		.cut = packet->caplen < packet->origlen,
		.time_ns = packet->time_ns,
	};
	return from->original == NULL ? PB_SOURCE_FRAME :
	    pb_original_frame(from->original, &interface->list, packet, out,
	    err);
}

static int
refuse(const struct pb_from_file *from, const struct pb_event *event,
    uint16_t linktype, struct pb_err *err)
{
	if (linktype == PB_LINKTYPE_ETHERNET)
		return pb_err_set(err, PB_EINVAL, "replay: no interface for "
		    "packets of interface %u of %s: give -i, or --map "
		    "'%u=INTERFACE'", event->interface, from->file.name,
		    event->interface);
	return pb_err_set(err, PB_EFORMAT, "%s: offset %llu: the packet is "
	    "%s (%u), which no Ethernet port can carry; --skip leaves such "
	    "packets out", from->file.name, (unsigned long long)event->offset,
	    pb_linktype_name(linktype), linktype);
}
