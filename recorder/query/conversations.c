/*
 * recorder/query/conversations.c - who talked to whom, and how much
 *
 * An array, and a hash table of places in it.  Within a row the lower end
 * comes first, so that both directions find it; the first speaker is turned
 * to the front at the end.
 */
#include "recorder/query/conversations.h"

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/list.h"

#define SLOTS_FIRST	1024u
#define MAC_BYTES	6u

struct pb_conversations {
	bool		 directed;
	struct pb_conversation *row;
	size_t		 rows, rows_cap;
	uint32_t	*slot;		/* place + 1; 0: none */
	size_t		 slots;		/* a power of two */
	uint64_t	 left_out;	/* of streams before the last */
	uint64_t	 left_of_last;
	uint32_t	 last;		/* stream that left some out */
};

/* What makes two of them one. */
struct ends {
	uint32_t	 stream;
	uint16_t	 ethertype;
	uint8_t		 ip, protocol;
	struct end {
		uint8_t		 address[16];
		uint16_t	 port;
	} end[2];
	uint16_t	 ports;
};

static void	ends_of(struct ends *, const struct pb_flow_key *, uint32_t);
static bool	is_row(const struct pb_conversation *, const struct ends *);
static uint32_t	*find_slot(const struct pb_conversations *,
		    const struct ends *);
static bool	more_slots(struct pb_conversations *);
static void	ends_of_row(struct ends *, const struct pb_conversation *);
static void	leave_out(struct pb_conversations *, const struct pb_talk *);
static void	begin_row(struct pb_conversation *, const struct ends *);
static void	turn(struct pb_conversation *);
static uint64_t	first_of(const struct pb_conversation *);
static int	by_bytes(const void *, const void *);
static int	by_packets(const void *, const void *);
static int	by_time(const void *, const void *);

int
pb_conversations_create(struct pb_conversations **out, bool directed,
    struct pb_err *err)
{
	struct pb_conversations *c = calloc(1, sizeof(*c));

	*out = c;
	if (c == NULL || !more_slots(c)) {
		free(c);
		*out = NULL;
		return pb_err_set(err, PB_ENOMEM, "no memory for flows");
	}
	c->directed = directed;
	return 0;
}

void
pb_conversations_destroy(struct pb_conversations *c)
{
	if (c == NULL)
		return;
	free(c->row);
	free(c->slot);
	free(c);
}

int
pb_conversations_add(struct pb_conversations *c,
    const struct pb_flow_key *key, const struct pb_talk *talk,
    struct pb_err *err)
{
	struct pb_conversation *row;
	struct ends ends, back;
	uint32_t *slot;
	int way = 0;

	ends_of(&ends, key, talk->stream);
	if (!c->directed && memcmp(&ends.end[0], &ends.end[1],
	    sizeof(ends.end[0])) > 0) {
		back = ends;
		ends.end[0] = back.end[1];
		ends.end[1] = back.end[0];
		way = 1;
	}
	slot = find_slot(c, &ends);
	if (*slot == 0) {
		if (c->rows == PB_CONVERSATIONS_MAX) {
			leave_out(c, talk);
			return 0;
		}
		if (!PB_LIST_ROOM(c->row, c->rows_cap, c->rows))
			return pb_err_set(err, PB_ENOMEM, "no memory for "
			    "%zu flows", c->rows);
		begin_row(&c->row[c->rows], &ends);
		*slot = (uint32_t)++c->rows;
		if (c->rows > c->slots / 2 && !more_slots(c))
			return pb_err_set(err, PB_ENOMEM, "no memory for "
			    "%zu flows", c->rows);
		slot = find_slot(c, &ends);
	}
	row = &c->row[*slot - 1];
	row->packets[way] += talk->packets;
	row->bytes[way] += talk->bytes;
	if (talk->first_time < row->first_time[way])
		row->first_time[way] = talk->first_time;
	if (talk->last_time > row->last_time[way])
		row->last_time[way] = talk->last_time;
	return 0;
}

void
pb_conversations_forget(struct pb_conversations *c, uint32_t stream)
{
	struct ends ends;

	if (c->last == stream)
		c->left_of_last = 0;
	for (size_t i = 0; i < c->rows; i++)
		if (c->row[i].stream == stream) {
			ends_of_row(&ends, &c->row[i]);
			begin_row(&c->row[i], &ends);
		}
}

size_t
pb_conversations_sort(struct pb_conversations *c,
    enum pb_conversations_by by, const struct pb_conversation **out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->rows; i++) {
		if (c->row[i].packets[0] + c->row[i].packets[1] == 0)
			continue;
		c->row[n] = c->row[i];
		if (c->row[n].first_time[1] < c->row[n].first_time[0])
			turn(&c->row[n]);
		n++;
	}
	c->rows = n;
	if (n > 0)
		qsort(c->row, n, sizeof(*c->row), by == PB_BY_BYTES ?
		    by_bytes : by == PB_BY_PACKETS ? by_packets : by_time);
	*out = c->row;
	return n;
}

uint64_t
pb_conversations_left_out(const struct pb_conversations *c)
{
	return c->left_out + c->left_of_last;
}

static void
ends_of(struct ends *out, const struct pb_flow_key *key, uint32_t stream)
{
	const uint8_t *address = (const uint8_t *)key->address;
	size_t bytes = MAC_BYTES;

	memset(out, 0, sizeof(*out));
	out->stream = stream;
	/* Whichever way they go and whatever they are: who speaks to whom. */
	if (!pb_flow_is_wireless(key->linktype)) {
		out->ethertype = key->ethertype;
		out->protocol = key->protocol;
	}
	/* Where there is a transport header there is IP before it. */
	if (key->transport != 0) {
		/* Of IPv4 the addresses end with the first of the words; behind
		 * labels no type tells. */
		out->ip = key->ethertype == ETH_P_IPV6 || (key->address[1] |
		    key->address[2] | key->address[3]) != 0 ? 6 : 4;
		bytes = out->ip == 6 ? 16 : 4;
	} else if (key->port[0] != 0 && (key->ethertype == ETH_P_ARP ||
	    key->ethertype == ETH_P_RARP)) {
		/* It has an operation, so the addresses are those it names. */
		out->ip = 4;
		bytes = 4;
	}
	memcpy(out->end[0].address, address, bytes);
	memcpy(out->end[1].address, address + bytes, bytes);
	/* A MAC frame has the destination first. */
	if (out->ip == 0) {
		memcpy(out->end[0].address, address + bytes, bytes);
		memcpy(out->end[1].address, address, bytes);
	}
	out->ports = (key->bits & PB_FLOW_PORTS) != 0;
	if (out->ports) {
		out->end[0].port = key->port[0];
		out->end[1].port = key->port[1];
	}
}

/* The slot that has it, or where it goes: at most half of them are taken. */
static uint32_t *
find_slot(const struct pb_conversations *c, const struct ends *ends)
{
	size_t i = pb_digest(ends, sizeof(*ends)) & (c->slots - 1);

	while (c->slot[i] != 0 && !is_row(&c->row[c->slot[i] - 1], ends))
		i = (i + 1) & (c->slots - 1);
	return &c->slot[i];
}

static bool
is_row(const struct pb_conversation *row, const struct ends *ends)
{
	struct ends its;

	ends_of_row(&its, row);
	return memcmp(&its, ends, sizeof(its)) == 0;
}

static bool
more_slots(struct pb_conversations *c)
{
	size_t slots = c->slots == 0 ? SLOTS_FIRST : 2 * c->slots;
	uint32_t *slot = calloc(slots, sizeof(*slot));
	struct ends ends;

	if (slot == NULL)
		return false;
	free(c->slot);
	c->slot = slot;
	c->slots = slots;
	for (size_t i = 0; i < c->rows; i++) {
		ends_of_row(&ends, &c->row[i]);
		*find_slot(c, &ends) = (uint32_t)i + 1;
	}
	return true;
}

static void
ends_of_row(struct ends *out, const struct pb_conversation *row)
{
	memset(out, 0, sizeof(*out));
	out->stream = row->stream;
	out->ethertype = row->ethertype;
	out->ip = row->ip;
	out->protocol = row->protocol;
	out->ports = row->ports;
	for (int i = 0; i < 2; i++) {
		memcpy(out->end[i].address, row->address[i],
		    sizeof(row->address[i]));
		out->end[i].port = row->port[i];
	}
}

static void
leave_out(struct pb_conversations *c, const struct pb_talk *talk)
{
	if (c->last != talk->stream) {
		c->left_out += c->left_of_last;
		c->left_of_last = 0;
		c->last = talk->stream;
	}
	c->left_of_last += talk->packets;
}

static void
begin_row(struct pb_conversation *row, const struct ends *ends)
{
	memset(row, 0, sizeof(*row));
	row->stream = ends->stream;
	row->ethertype = ends->ethertype;
	row->ip = ends->ip;
	row->protocol = ends->protocol;
	row->ports = ends->ports != 0;
	for (int i = 0; i < 2; i++) {
		memcpy(row->address[i], ends->end[i].address,
		    sizeof(row->address[i]));
		row->port[i] = ends->end[i].port;
		row->first_time[i] = UINT64_MAX;
	}
}

/* The other direction first. */
static void
turn(struct pb_conversation *row)
{
	struct pb_conversation was = *row;

	for (int i = 0; i < 2; i++) {
		memcpy(row->address[i], was.address[1 - i],
		    sizeof(row->address[i]));
		row->port[i] = was.port[1 - i];
		row->packets[i] = was.packets[1 - i];
		row->bytes[i] = was.bytes[1 - i];
		row->first_time[i] = was.first_time[1 - i];
		row->last_time[i] = was.last_time[1 - i];
	}
}

static int
order(uint64_t a, uint64_t b, const struct pb_conversation *x,
    const struct pb_conversation *y)
{
	if (a != b)
		return a > b ? -1 : 1;
	return (first_of(x) > first_of(y)) - (first_of(x) < first_of(y));
}

static uint64_t
first_of(const struct pb_conversation *row)
{
	return row->first_time[0];
}

static int
by_bytes(const void *a, const void *b)
{
	const struct pb_conversation *x = a, *y = b;

	return order(x->bytes[0] + x->bytes[1], y->bytes[0] + y->bytes[1],
	    x, y);
}

static int
by_packets(const void *a, const void *b)
{
	const struct pb_conversation *x = a, *y = b;

	return order(x->packets[0] + x->packets[1],
	    y->packets[0] + y->packets[1], x, y);
}

static int
by_time(const void *a, const void *b)
{
	const struct pb_conversation *x = a, *y = b;
	uint64_t last_x = x->last_time[0] > x->last_time[1] ?
	    x->last_time[0] : x->last_time[1];
	uint64_t last_y = y->last_time[0] > y->last_time[1] ?
	    y->last_time[0] : y->last_time[1];

	return order(last_x, last_y, x, y);
}
