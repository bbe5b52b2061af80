/*
 * tests/fuzz/fuzz_flows.c - any change to what the index knows of packets
 *
 * A store is made once: packets of mixed traffic, and two index blocks of most
 * of them.  Each run changes the bytes of their flow tables, or their rows, and
 * asks a filter: forward, backward, counted, and who talked to whom.
 *
 *	byte 0	bit 0: digests are made right again; bit 1: also inside of tags;
 *		the others: which filter
 *	byte 1	which packets: by number, by time, both; else all
 *	then, four bytes each, a change: what, 16 bits where, a byte (of a
 *	number what is added, 128 more)
 *
 * Of a row any byte of its value is another one, its digest's too; where
 * digests are made right again, of its members.
 *
 * With digests that are wrong each answer is that of a search without an index.
 * With right ones a table, or a row, lies: packets may be missing then, but
 * none comes twice or that the filter does not match.
 */
#include <string.h>

#include "recorder/query/talks.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_table.h"
#include "tests/fuzz/scratch.h"
#include "tests/unit/mixed_traffic.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/table_mend.h"

#define BLOCK		420u	/* packets of one: enough for a table */
#define PACKETS		1000u
#define TALKS		60u
#define FIRST		101u	/* of the first block */
#define CHANGES_MAX	64u
#define RANGES		4u

enum { FLOWS, FLOWS_NUMBER, ROW, CUT, CHANGES };

static const char *const filters[] = {
	"tcp", "udp port 53", "ip6", "vlan", "len > 200",
	"tcp[tcpflags] & tcp-syn != 0", "not (port 443 or port 80)",
	"src net 10.0.0.0/9", "ip[8] < 60", "ether[20:2] > 0x8000", "",
};
#define FILTERS		(sizeof(filters) / sizeof(filters[0]))

/* What a search without an index finds. */
struct found {
	bool		 known;
	size_t		 packets;
	uint64_t	 seq[PACKETS];
};

struct asked {
	struct pb_select select;
	struct pb_search_opts opts;
	struct found	*truth;
};

/* A row, also as it is stored. */
struct row {
	struct pb_flows_info info;
	uint8_t		 value[sizeof(struct pb_flows_info) + 8];
	size_t		 len;
};

static struct fixture store;
static struct row made[2];
static uint8_t	*flows;			/* the file with their tables */
static size_t	 flows_len;
static char	 flows_path[PATH_MAX];
static uint64_t	 begins;		/* the first packet's time */
static struct found truths[FILTERS][RANGES][2];

/* --- the store ------------------------------------------------------------ */

static struct pb_chunk *
make_chunk(struct mixed *mixed)
{
	struct pb_chunk *chunk = pb_chunk_create();
	uint8_t options[PB_OPTION_BYTES(8)];
	struct mixed_packet made_up;

	MUST(chunk != NULL);
	chunk->stream = store.stream;
	chunk->head = pb_head_ref(store.head);
	chunk->done = fixture_done;
	chunk->arg = &store;
	chunk->first_seq = 1;
	chunk->last_seq = PACKETS;
	for (uint64_t seq = 1; seq <= PACKETS; seq++) {
		struct pb_packet packet = { .data = made_up.data,
		    .options = options, .options_len = sizeof(options) };

		mixed_next(mixed, &made_up);
		packet.time_ns = begins + 1000 * seq;
		packet.origlen = made_up.len;
		packet.caplen = made_up.len < MIXED_BYTES ? made_up.len :
		    MIXED_BYTES;
		pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
		pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0,
		    &packet), seq, packet.time_ns, packet.caplen);
	}
	MUST(chunk->len <= chunk->cap);
	return chunk;
}

/* Its row, and its table behind those that are there. */
static void
make_block(struct pb_flows_info *row, const uint8_t *file, size_t size,
    uint64_t first)
{
	struct pb_index_block *block = pb_index_block_create(NULL, 0, 1, 1);
	struct pb_packet packet;
	struct pb_block epb;
	struct pb_buf table;
	uint64_t seq;

	MUST(block != NULL);
	for (size_t at = 0; pb_scan_block(file + at, size - at, &epb) == 1;
	    at += epb.len)
		if (epb.type == PB_BLOCK_EPB && pb_scan_epb(&epb, &packet) ==
		    0 && pb_packet_seq(&packet, &seq) && seq >= first && seq <
		    first + BLOCK)
			MUST(pb_index_block_packet(block,
			    PB_LINKTYPE_ETHERNET, &packet, seq, seq, at,
			    epb.len));
	pb_buf_init(&table, PB_FLOW_TABLE_BYTES_MAX);
	MUST(pb_index_block_end(block, row, &table, NULL, NULL) == 1);
	MUST(row->table_bytes > 0);
	MUST(pb_index_table_append(store.dir, &store.key, row, &table,
	    NULL) == 0);
	pb_buf_finish(&table);
	pb_index_block_destroy(block);
}

static void
make_value(struct row *row)
{
	uint8_t key[PB_MDB_KEY_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;

	MUST(pb_index_begin(pb_store_index(store.store), &txn, NULL) == 0);
	pb_index_put(&txn, PB_TABLE_FLOWS, &row->info);
	MUST(pb_mdb_get(&txn, PB_TABLE_FLOWS, key, pb_row_key(key,
	    PB_TABLE_FLOWS, &row->info), &value) == 1);
	MUST(value.len <= sizeof(row->value));
	memcpy(row->value, value.data, value.len);
	row->len = value.len;
	pb_mdb_abort(&txn);
}

static uint8_t *
read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	MUST(fd >= 0 && fstat(fd, &st) == 0);
	data = calloc(1, (size_t)st.st_size + PB_FLOW_BEHIND);
	MUST(data != NULL && pread(fd, data, (size_t)st.st_size, 0) ==
	    st.st_size);
	close(fd);
	*size = (size_t)st.st_size;
	return data;
}

static void
leave(void)
{
	pb_store_close(store.store);
	pb_head_unref(store.head);
	free(flows);
}

static void
make_store(void)
{
	char path[PATH_MAX];
	struct mixed mixed;
	uint8_t *file;
	size_t size;

	pb_log_level(PB_LOG_ERROR + 1);
	scratch_make();
	atexit(leave);
	store.stepped = true;
	MUST((size_t)snprintf(store.dir, sizeof(store.dir), "%s/s",
	    scratch_root) < sizeof(store.dir));
	strcpy(store.key.node, "lon1");
	strcpy(store.key.interface, "eth0");
	store.key.epoch = 1;
	store.head = fixture_head(&store.key, "London");
	fixture_open(&store);
	mixed_init(&mixed, TALKS, false, 1);
	begins = mixed.time_ns;
	MUST(fixture_submit(&store, make_chunk(&mixed)) == 0);
	fixture_wait(&store);
	mixed_finish(&mixed);
	MUST(pb_layout_segment(path, store.dir, &store.key, 1, true,
	    NULL) == 0);
	file = read_file(path, &size);
	make_block(&made[0].info, file, size, FIRST);
	make_block(&made[1].info, file, size, FIRST + BLOCK);
	make_value(&made[0]);
	make_value(&made[1]);
	free(file);
	MUST(pb_layout_flows(flows_path, store.dir, &store.key, 1, NULL) == 0);
	flows = read_file(flows_path, &flows_len);
}

/* --- what is changed ------------------------------------------------------ */

static void
change_row(struct row *row, uint32_t at, uint8_t value)
{
	struct pb_flows_info *info = &row->info;
	size_t from = offsetof(struct pb_flows_info, last_seq);
	size_t end = offsetof(struct pb_flows_info, summary) +
	    info->summary_bytes;

	((uint8_t *)info)[from + at % (end - from)] ^= value;
	if (info->summary_bytes > PB_SUMMARY_BYTES_MAX)
		info->summary_bytes = PB_SUMMARY_BYTES_MAX;
	row->value[at % row->len] ^= value;
}

/* How long the file is. */
static size_t
change(uint8_t *file, struct row *row, const uint8_t *data, size_t size)
{
	size_t len = flows_len;

	for (size_t i = 0; i < CHANGES_MAX && size >= 4;
	    i++, data += 4, size -= 4) {
		uint32_t at = pb_get_le16(data + 1);
		uint8_t *to = file + at % (flows_len - 3);

		switch (data[0] % CHANGES) {
		case FLOWS:
			*to ^= data[3];
			break;
		case FLOWS_NUMBER:
			pb_put_le32(to, pb_get_le32(to) +
			    data[3] - 128u);
			break;
		case ROW:
			change_row(&row[data[0] / CHANGES % 2], at, data[3]);
			break;
		case CUT:
			len = at % (flows_len + 1);
			break;
		}
	}
	return len;
}

static void
mend(uint8_t *file, struct row *row)
{
	for (int i = 0; i < 2; i++) {
		struct pb_flows_info *info = &row[i].info;
		uint32_t bytes = info->summary_bytes;

		table_mend(file + made[i].info.table_at,
		    made[i].info.table_bytes);
		if (bytes >= 8)
			pb_put_le64(info->summary + bytes - 8,
			    pb_digest(info->summary, bytes - 8));
	}
	/* A row may have the other's table. */
	for (int i = 0; i < 2; i++)
		if (row[i].info.table_at <= flows_len - HEAD_BYTES)
			row[i].info.table_digest = pb_get_le64(file +
			    row[i].info.table_at + HEAD_DIGEST);
}

static void
put(const uint8_t *data, size_t size, bool lies)
{
	struct row row[2] = { made[0], made[1] };
	uint8_t *file = malloc(flows_len), key[PB_MDB_KEY_MAX];
	struct pb_mdb_txn txn;
	size_t len;

	MUST(file != NULL);
	memcpy(file, flows, flows_len);
	len = change(file, row, data, size);
	if (lies)
		mend(file, row);
	scratch_write(flows_path, file, len);
	free(file);
	MUST(pb_index_begin(pb_store_index(store.store), &txn, NULL) == 0);
	for (int i = 0; i < 2; i++)
		if (lies)
			pb_index_put(&txn, PB_TABLE_FLOWS, &row[i].info);
		else
			pb_mdb_put(&txn, PB_TABLE_FLOWS, key, pb_row_key(key,
			    PB_TABLE_FLOWS, &row[i].info), row[i].value,
			    row[i].len);
	MUST(pb_mdb_commit(&txn) == 0);
}

/* --- what is asked -------------------------------------------------------- */

static struct pb_search *
search(const struct asked *asked, bool backwards, bool no_index)
{
	struct pb_search_opts opts = asked->opts;
	struct pb_search *out;

	opts.select = &asked->select;
	opts.backwards = backwards;
	opts.no_index = no_index;
	MUST(pb_search_create(&out, pb_store_index(store.store), &opts,
	    NULL) == 0);
	return out;
}

static void
find(const struct asked *asked, bool backwards, bool no_index,
    struct found *out)
{
	struct pb_search *its = search(asked, backwards, no_index);
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	size_t input;
	int rc;

	out->packets = 0;
	MUST(pb_search_merge(its, &merge, NULL) == 0);
	while ((rc = pb_merge_next(merge, &cp, &input, NULL)) == 1) {
		MUST(out->packets < PACKETS);
		out->seq[out->packets++] = cp.seq;
	}
	MUST(rc == 0);
	pb_merge_destroy(merge);
	pb_search_destroy(its);
}

static void
choose(struct asked *out, uint8_t what, uint8_t range)
{
	uint32_t filter = what / 4 % FILTERS, which = range % RANGES;
	bool inner = what / 2 % 2 == 1;

	memset(out, 0, sizeof(*out));
	pb_select_init(&out->select);
	out->opts.store = store.dir;
	out->opts.filter = filters[filter];
	out->opts.inner = inner;
	if ((which & 1) != 0) {
		out->select.range.first_seq = FIRST + BLOCK / 3;
		out->select.range.last_seq = FIRST + 2 * BLOCK - BLOCK / 3;
	}
	if ((which & 2) != 0) {
		out->select.range.after_ns = begins + 1000 * (FIRST + 50);
		out->select.range.before_ns = begins + 1000 * (FIRST + BLOCK +
		    50);
	}
	out->truth = &truths[filter][which][inner];
	if (!out->truth->known)
		find(out, false, true, out->truth);
	out->truth->known = true;
}

/* All of the truth, or where something lies some of it, in its order. */
static void
check_found(const struct asked *asked, bool backwards, bool lies)
{
	const struct found *truth = asked->truth;
	struct found now;
	size_t at = 0;

	find(asked, backwards, false, &now);
	MUST(lies || now.packets == truth->packets);
	for (size_t i = 0; i < now.packets; i++, at++) {
		while (lies && at < truth->packets && now.seq[i] !=
		    truth->seq[backwards ? truth->packets - 1 - at : at])
			at++;
		MUST(at < truth->packets && now.seq[i] ==
		    truth->seq[backwards ? truth->packets - 1 - at : at]);
	}
}

/* Packets of all conversations. */
static uint64_t
talk(const struct asked *asked)
{
	struct pb_search *its = search(asked, false, false);
	const struct pb_conversation *row;
	struct pb_conversations *c;
	uint64_t packets = 0;
	size_t rows;

	MUST(pb_conversations_create(&c, false, NULL) == 0);
	MUST(pb_talks_gather(its, c, NULL) == 0);
	rows = pb_conversations_sort(c, PB_BY_BYTES, &row);
	for (size_t i = 0; i < rows; i++)
		packets += row[i].packets[0] + row[i].packets[1];
	pb_conversations_destroy(c);
	pb_search_destroy(its);
	return packets;
}

static void
check_counted(const struct asked *asked, bool lies)
{
	struct pb_search *its = search(asked, false, false);
	uint64_t count, talked = talk(asked);

	MUST(pb_search_count(its, UINT64_MAX, &count, NULL) == 0);
	MUST(lies || (count == asked->truth->packets && talked == count));
	pb_search_destroy(its);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct asked asked;
	bool lies;

	if (store.store == NULL)
		make_store();
	if (size < 2)
		return 0;
	lies = data[0] % 2 == 1;
	choose(&asked, data[0], data[1]);
	put(data + 2, size - 2, lies);
	check_found(&asked, false, lies);
	check_found(&asked, true, lies);
	check_counted(&asked, lies);
	return 0;
}
