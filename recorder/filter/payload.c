/*
 * recorder/filter/payload.c - an expression looked for in what packets carry
 */
#include "recorder/filter/payload.h"

#include <hs/hs.h>
#include <linux/if_ether.h>
#include <linux/ppp_defs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/late.h"
#include "pcapng/dissect.h"
#include "recorder/filter/tag.h"

#define FRONT_BYTES	256u	/* of a packet, that has its tags */
#define TCP_HEADER_MIN	20u
#define HS_LIBRARY	"libhs.so.5"	/* Vectorscan's has the name, too */
#define HS_FUNCTIONS(of) \
	of(hs_alloc_scratch) of(hs_compile) of(hs_free_compile_error) \
	of(hs_free_database) of(hs_free_scratch) of(hs_scan)

static struct {
	HS_FUNCTIONS(PB_LATE_MEMBER)
} hyperscan;

struct pb_payload {
	hs_database_t	*database;
	hs_scratch_t	*scratch;
	bool		 twin;		/* the database is another's */
};

static int	load(struct pb_err *);
static int	compile_error(const char *, hs_error_t, hs_compile_error_t *,
		    struct pb_err *);
static int	found(unsigned, unsigned long long, unsigned long long,
		    unsigned, void *);
static uint32_t	behind_tags(const struct pb_tag_link *, const uint8_t *,
		    uint32_t, uint16_t *);
static bool	says_ip(const struct pb_tag_link *, uint16_t);
static uint32_t	behind_ip(const struct pb_headers *, const uint8_t *,
		    uint32_t);

int
pb_payload_create(struct pb_payload **out, const char *expression,
    struct pb_err *err)
{
	struct pb_payload *payload;
	hs_compile_error_t *why = NULL;
	hs_error_t rc;
	int code = load(err);

	*out = NULL;
	if (code < 0)
		return code;
	payload = calloc(1, sizeof(*payload));
	if (payload == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an "
		    "expression");
	/* The first place is enough.  "a*" is everywhere, as PCRE has it. */
	rc = hyperscan.hs_compile(expression, HS_FLAG_DOTALL |
	    HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY, HS_MODE_BLOCK, NULL,
	    &payload->database, &why);
	if (rc == HS_SUCCESS)
		rc = hyperscan.hs_alloc_scratch(payload->database,
		    &payload->scratch);
	if (rc != HS_SUCCESS) {
		pb_payload_destroy(payload);
		return compile_error(expression, rc, why, err);
	}
	*out = payload;
	return 0;
}

int
pb_payload_twin(struct pb_payload **out, const struct pb_payload *of,
    struct pb_err *err)
{
	struct pb_payload *payload = calloc(1, sizeof(*payload));

	*out = payload;
	if (payload == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an "
		    "expression");
	payload->database = of->database;
	payload->twin = true;
	if (hyperscan.hs_alloc_scratch(payload->database,
	    &payload->scratch) == HS_SUCCESS)
		return 0;
	free(payload);
	*out = NULL;
	return pb_err_set(err, PB_ENOMEM, "no memory for an expression");
}

void
pb_payload_destroy(struct pb_payload *payload)
{
	if (payload == NULL)
		return;
	hyperscan.hs_free_scratch(payload->scratch);
	if (!payload->twin)
		hyperscan.hs_free_database(payload->database);
	free(payload);
}

bool
pb_payload_match(const struct pb_payload *payload, uint16_t linktype,
    const struct pb_packet *packet)
{
	uint32_t at = pb_payload_begins(linktype, packet->data,
	    packet->caplen);

	return hyperscan.hs_scan(payload->database,
	    (const char *)packet->data + at, packet->caplen - at, 0,
	    payload->scratch, found, NULL) == HS_SCAN_TERMINATED;
}

uint32_t
pb_payload_begins(uint16_t linktype, const uint8_t *data, uint32_t caplen)
{
	struct pb_headers headers;
	struct pb_tag_link link;
	uint16_t type;
	uint32_t at = 0;

	if (!pb_tag_link(&link, linktype)) {
		if (pb_dissect(&headers, linktype, data, caplen) == 0)
			return caplen;
		return behind_ip(&headers, data, caplen);
	}
	if (caplen < link.bytes)
		return caplen;
	at = behind_tags(&link, data, caplen, &type);
	if (!says_ip(&link, type))
		return at;
	(void)pb_dissect(&headers, PB_LINKTYPE_RAW, data + at, caplen - at);
	return at + behind_ip(&headers, data + at, caplen - at);
}

static int
load(struct pb_err *err)
{
	static const char *const names[] = { HS_FUNCTIONS(PB_LATE_NAME) };

	if (hyperscan.hs_alloc_scratch != NULL)
		return 0;
	return pb_late_load(HS_LIBRARY, names,
	    sizeof(names) / sizeof(names[0]), &hyperscan, err);
}

/* `why` ends here. */
static int
compile_error(const char *expression, hs_error_t rc, hs_compile_error_t *why,
    struct pb_err *err)
{
	int code;

	if (rc == HS_ARCH_ERROR)
		code = pb_err_set(err, PB_ENOENT, "this processor cannot "
		    "search for expressions: Hyperscan does not run on it");
	else if (rc == HS_COMPILER_ERROR && why != NULL)
		code = pb_err_set(err, PB_EINVAL, "expression '%.160s': %s",
		    expression, why->message);
	else
		code = pb_err_set(err, PB_ENOMEM, "no memory for an "
		    "expression");
	hyperscan.hs_free_compile_error(why);
	return code;
}

/* Once is enough: nonzero ends the search. */
static int
found(unsigned id, unsigned long long from, unsigned long long to,
    unsigned flags, void *arg)
{
	(void)id;
	(void)from;
	(void)to;
	(void)flags;
	(void)arg;
	return 1;
}

/* Where the link header and all tags end, and what they say that follows. */
static uint32_t
behind_tags(const struct pb_tag_link *link, const uint8_t *data,
    uint32_t caplen, uint16_t *type)
{
	uint32_t len = caplen < FRONT_BYTES ? caplen : FRONT_BYTES;
	uint8_t front[FRONT_BYTES], *now = front;
	uint32_t at = link->bytes;
	struct pb_tag tag;

	*type = pb_get_be16(data + link->type_at);
	if (!pb_tag_find_in(&tag, link, data, caplen))
		return at;
	memcpy(front, data, len);
	while (pb_tag_find_in(&tag, link, now, len)) {
		now = pb_tag_take(&tag, link, now);
		len -= tag.bytes;
		at += tag.bytes;
		*type = tag.type;
	}
	return at;
}

static bool
says_ip(const struct pb_tag_link *link, uint16_t type)
{
	if (link->ppp)
		return type == PPP_IP || type == PPP_IPV6;
	return type == ETH_P_IP || type == ETH_P_IPV6;
}

/* Behind the transport header, or what there is in front of it. */
static uint32_t
behind_ip(const struct pb_headers *headers, const uint8_t *data,
    uint32_t caplen)
{
	uint32_t at = (uint32_t)(headers->ip != 0 ? headers->transport :
	    headers->network), bytes = 0;

	if (headers->ip != 0 && !headers->fragment)
		switch (headers->protocol) {
		case IPPROTO_TCP:
			bytes = TCP_HEADER_MIN;
			if (caplen - at > 12 && (data[at + 12] >> 4) > 5)
				bytes = (data[at + 12] >> 4) * 4u;
			break;
		case IPPROTO_UDP:
			bytes = 8;
			break;
		case IPPROTO_SCTP:
			bytes = 12;
			break;
		}
	return bytes < caplen - at ? at + bytes : caplen;
}
