/*
 * recorder/query/way.c - a packet's way
 */
#include "recorder/query/way.h"

#include <inttypes.h>

int
pb_way_get(struct pb_way *way, struct pb_stamper *stamper,
    const struct pb_cursor_packet *cp, struct pb_err *err)
{
	const struct pb_identity *who = &cp->head->identity;
	struct pb_hop later[PB_HOPS_MAX];
	int hops = pb_hops_get(cp->packet.options, cp->packet.options_len,
	    later);

	if (hops < 0)
		return pb_err_set(err, PB_EFORMAT,
		    "%s/%s: packet %" PRIu64 " has malformed hop records",
		    who->node[0].name, who->interface, cp->seq);
	if (pb_stamper_read(stamper, cp->head, &cp->packet,
	    &way->stamped) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory for streams");
	way->hop[0].seq = cp->seq;
	way->hop[0].time_ns = way->stamped.capture_ns;
	way->nodes = 1;
	while (way->nodes <= hops && way->nodes < who->nodes) {
		way->hop[way->nodes] = later[way->nodes - 1];
		way->nodes++;
	}
	return 0;
}

bool
pb_way_comment(const struct pb_way *way, const struct pb_cursor_packet *cp,
    unsigned n, struct pb_buf *out)
{
	unsigned node = n - way->stamped.count;

	if (n < way->stamped.count) {
		pb_stamp_comment(out, n + 1, &way->stamped);
		return true;
	}
	if (node >= (unsigned)way->nodes)
		return false;
	pb_hop_comment(out, (int)node + 1, &cp->head->identity.node[node],
	    way->hop[node].seq, way->hop[node].time_ns);
	return true;
}
