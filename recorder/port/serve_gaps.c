/*
 * recorder/port/serve_gaps.c - POST /v1/streams/NODE/IFACE/EPOCH/gaps
 */
#include "base/json.h"
#include "recorder/port/request_impl.h"

static size_t	body_max(const struct pb_request *);
static void	end(struct pb_request *);
static void	settled(struct pb_request *);
static int	parse(struct pb_request *, struct pb_err *);

const struct pb_handler serve_gaps = {
	.body_max = body_max, .end = end, .settled = settled,
};

static size_t
body_max(const struct pb_request *request)
{
	(void)request;
	return PB_JSON_BODY_MAX;
}

static void
end(struct pb_request *request)
{
	struct pb_err err = { 0 };
	int rc = parse(request, &err);

	if (rc < 0)
		request_fail(request, rc, err.text);
	else
		pb_intake_offer(request->service->intake, &request->load,
		    request->service->now_ms);
}

static void
settled(struct pb_request *request)
{
	request_answer_acked(request, request->load.last);
}

static int
parse(struct pb_request *request, struct pb_err *err)
{
	struct pb_load *load = &request->load;
	uint64_t linktype = PB_LINKTYPE_ETHERNET;
	struct pb_json_doc doc;
	char reason[32];

	if (request->room.len == 0)
		return pb_err_set(err, PB_EINVAL, "the body is empty");
	pb_json_doc_open(&doc, (const char *)request->room.data,
	    request->room.len, err);
	load->first = pb_json_doc_u64(&doc, "first");
	load->last = pb_json_doc_u64(&doc, "last");
	pb_json_doc_text(&doc, "reason", reason, sizeof(reason));
	if (pb_json_doc_has(&doc, "link_type"))
		linktype = pb_json_doc_u64(&doc, "link_type");
	pb_json_doc_close(&doc);
	if (doc.rc < 0)
		return doc.rc;
	if (load->first == 0 || load->first > load->last ||
	    load->last > PB_SEQ_MAX)
		return pb_err_set(err, PB_EINVAL, "first and last: numbers "
		    "from 1 on, first not past last");
	load->gap = pb_gap_reason_parse(reason);
	if (load->gap == 0)
		return pb_err_set(err, PB_EINVAL, "reason is dead-lettered, "
		    "expired, damaged, restored or filtered");
	if (linktype > UINT16_MAX)
		return pb_err_set(err, PB_EINVAL, "link_type is 0 to 65535");
	load->linktype = (uint16_t)linktype;
	return 0;
}
