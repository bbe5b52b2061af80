/*
 * cli/replay/from_store.c - packets of the store as a source of frames
 */
#include "cli/replay/from_store.h"

#include <string.h>

#include "pcapng/hop.h"
#include "recorder/filter/linktype.h"

static int	open_query(struct pb_from_store *, const struct pb_stop *,
		    struct pb_err *);
static int	look_at_streams(const struct pb_from_store *,
		    struct pb_err *);
static int	way_of(const struct pb_from_store *, const char *);
static void	take_head(struct pb_from_store *, const struct pb_head *);

int
pb_from_store_begin(void *arg, const struct pb_stop *stop,
    struct pb_err *err)
{
	struct pb_from_store *from = arg;
	int rc;

	pb_from_store_finish(from);
	rc = open_query(from, stop, err);
	return rc < 0 ? rc : look_at_streams(from, err);
}

int
pb_from_store_next(void *arg, struct pb_source_frame *out,
    struct pb_err *err)
{
	struct pb_from_store *from = arg;
	struct pb_cursor_packet cp;
	const struct pb_packet *packet = &cp.packet;
	int rc = 0;

	while (from->run.head == NULL ||
	    (rc = pb_run_packet(&from->run, &from->at, &cp, err)) == 0) {
		from->at = 0;
		rc = pb_query_run(from->query, UINT64_MAX, &from->run, err);
		if (rc <= 0)
			return rc;
	}
	if (rc < 0)
		return rc;
	if (cp.head != from->head)
		take_head(from, cp.head);
	if (from->way == PB_WAYS_NONE)
		return PB_SOURCE_SKIP;
	*out = (struct pb_source_frame){
		.data = packet->data,
		.len = packet->caplen,
		.way = (uint8_t)from->way,
		.timed = packet->time_ns > 0 ||
		    !pb_untimed_get(packet->options, packet->options_len),
		.cut = packet->caplen < packet->origlen,
		.time_ns = packet->time_ns,
	};
	return from->original == NULL ? PB_SOURCE_FRAME :
	    pb_original_frame(from->original, &from->list, packet, out, err);
}

void
pb_from_store_finish(struct pb_from_store *from)
{
	pb_query_close(from->query);
	from->query = NULL;
	pb_head_unref(from->head);
	from->head = NULL;
	from->run = (struct pb_run){ .head = NULL };
}

static int
open_query(struct pb_from_store *from, const struct pb_stop *stop,
    struct pb_err *err)
{
	if (!from->yielded) {
		/* This thread alone: who keeps time does not stand back. */
		from->opts = (struct pb_query_opts){
			.store = from->cli->store,
			.select = from->select,
			.filter = from->filter,
			.inner = from->inner,
			.once = pb_cli_yield(from->cli),
			.stop = stop,
			.open = pb_cli_open_index,
			.close = pb_cli_close_index,
			.arg = from->cli,
		};
		from->yielded = true;
	}
	return pb_query_open(&from->query, &from->opts, err);
}

static int
look_at_streams(const struct pb_from_store *from, struct pb_err *err)
{
	const struct pb_stream_info *info;
	char name[PB_STREAM_NAME_MAX];

	for (size_t i = 0; i < pb_query_streams(from->query); i++) {
		info = pb_query_stream(from->query, i);
		pb_stream_name(name, &info->key);
		if (info->linktype == PB_LINKTYPE_ETHERNET &&
		    way_of(from, name) == PB_WAYS_NONE)
			return pb_err_set(err, PB_EINVAL, "replay: no "
			    "interface for the stream %s: give -i, or --map "
			    "'%s=INTERFACE', or leave it out with --stream",
			    name, name);
		if (info->linktype != PB_LINKTYPE_ETHERNET && !from->skip)
			return pb_err_set(err, PB_EFORMAT, "the stream %s is "
			    "%s (%u), which no Ethernet port can carry; "
			    "--skip leaves such packets out", name,
			    pb_linktype_name(info->linktype), info->linktype);
	}
	return 0;
}

static int
way_of(const struct pb_from_store *from, const char *stream)
{
	int way = pb_ways_mapped(from->ways, stream);

	return way != PB_WAYS_NONE ? way : pb_ways_rest(from->ways);
}

/* Packets of a segment have one head. */
static void
take_head(struct pb_from_store *from, const struct pb_head *head)
{
	char name[PB_STREAM_NAME_MAX];
	struct pb_stream_key key = { .epoch = head->identity.epoch };

	strcpy(key.node, head->identity.node[0].name);
	strcpy(key.interface, head->identity.interface);
	pb_head_unref(from->head);
	from->head = pb_head_ref((struct pb_head *)head);
	from->way = head->linktype == PB_LINKTYPE_ETHERNET ?
	    way_of(from, pb_stream_name(name, &key)) : PB_WAYS_NONE;
	if (from->original != NULL)
		pb_original_list(from->original, head->idb_options.data,
		    head->idb_options.len, &from->list);
}
