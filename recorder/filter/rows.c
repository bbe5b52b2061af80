/*
 * recorder/filter/rows.c - a filter asked about many rows at once
 *
 * Most folded programs do nothing but load, mask and test, and it is known
 * of each test what it tests.  Such a one is run for a run of rows at once:
 * each line has those that may come to it, which a test hands on to where it
 * holds, to where it fails, or to both.  Bytes are compared from the last to
 * the first, but where they are to be equal the lightest before all others; no
 * column is asked for before rows depend on it.  Of all other programs each
 * row is asked by the machine.
 */
#include "recorder/filter/rows.h"

#include <string.h>

#include "recorder/filter/rows_impl.h"

#define RUN		PB_ROWS_RUN
#define ROW_BYTES	128u	/* of a packet, that the machine is told */
#define NEAR_MAX	4u	/* runs in a row: there is one in most */
#define LANE		16u	/* rows that are compared at once */
#define LANES		(RUN / LANE)

/* A byte of each, and as what a comparison says: all bits, or none. */
typedef uint8_t lane
    __attribute__((vector_size(LANE), aligned(1), may_alias));

struct set {
	lane		 row[LANES];
};

/* Of the packets' bytes one, in a run of rows. */
struct byte {
	const struct set *ones, *unknown;
	bool		 known;		/* nothing is unknown */
	struct set	 same[2];	/* where all rows have the same */
	uint8_t		 room[2 * RUN];
};

struct run {
	struct plan	*plan;
	size_t		 first, rows;
	/* Who may come to a line; NULL: nobody.  As many as came to the line
	 * before are the same set. */
	const struct set *here[LINES_MAX];
	struct set	 own[LINES_MAX];
	struct set	 all, verdict;
	/* Of the loads' bytes those that were asked for. */
	bool		 asked[LOADS_MAX][LOAD_BYTES_MAX];
	struct byte	 byte[LOADS_MAX][LOAD_BYTES_MAX];
};

/* Of a test. */
struct outcome {
	bool		 fails;			/* it does, for all who come */
	struct set	 hold, fail;		/* who may */
};

static void	column_of(const struct pb_row_set *, uint32_t, size_t, size_t,
		    uint8_t *, struct pb_column *);
static const struct pb_lengths *lengths_of(struct plan *, size_t);
/* a run */
static void	do_runs(struct run *, uint8_t *);
static void	do_run(struct run *, uint8_t *);
static void	do_line(struct run *, unsigned);
static void	do_load(struct run *, unsigned);
static void	do_jump(struct run *, unsigned);
static void	give(struct set *, const struct set *, uint8_t);
static void	pass(struct run *, unsigned, const struct set *,
		    const struct set *);
static void	test_length(struct run *, const struct bpf_insn *,
		    struct outcome *);
static void	test_bits(struct run *, unsigned, struct outcome *);
static bool	may_be(struct run *, unsigned, uint32_t, uint8_t);
static bool	left_open(struct run *, unsigned, uint32_t,
		    struct outcome *);
static void	test_byte(struct outcome *, const struct bpf_insn *, uint8_t,
		    uint8_t, const struct byte *);
static void	test_equal(struct outcome *, uint8_t, uint8_t,
		    const struct byte *);
static const struct byte *read_byte(struct run *, uint32_t, uint32_t);
static const struct set *read_column(struct set *, const uint8_t *, size_t,
		    size_t);
static void	fill(struct set *, uint8_t);
static bool	any_of(const struct set *, const struct set *);
/* one by one */
static void	ask_each(uint8_t *, const struct pb_filter *, struct plan *);
static uint8_t	ask_row(struct plan *, size_t, const struct pb_filter *,
		    const struct pb_column *, size_t, uint64_t *);

uint32_t
pb_row_set_verdict(uint8_t *verdict, const struct pb_filter *filter,
    const struct pb_row_set *rows)
{
	struct plan plan;
	struct run run;

	if (filter->all) {
		memset(verdict, PB_VERDICT_ALL, rows->rows);
		return 0;
	}
	plan.rows = rows;
	run.plan = &plan;
	if (!rows_plan(&plan, filter)) {
		ask_each(verdict, filter, &plan);
		return 0;
	}
	do_runs(&run, verdict);
	if (plan.open > plan.spare) {
		plan.spare = plan.open = 0;
		memset(plan.ahead, 0, sizeof(plan.ahead));
		do_runs(&run, verdict);
	}
	if (plan.failed)
		memset(verdict, PB_VERDICT_EACH, rows->rows);
	return plan.open;
}

/* Until too many are left open. */
static void
do_runs(struct run *run, uint8_t *verdict)
{
	struct plan *plan = run->plan;
	size_t rows = plan->rows->rows;

	for (size_t at = 0; at < rows && plan->open <= plan->spare; at += RUN) {
		run->first = at;
		run->rows = rows - at < RUN ? rows - at : RUN;
		do_run(run, verdict + at);
	}
}

static void
column_of(const struct pb_row_set *rows, uint32_t at, size_t first,
    size_t count, uint8_t *room, struct pb_column *out)
{
	static const uint8_t none, all = 0xff;

	if (!rows->column(rows->arg, at, first, count, room, out))
		*out = (struct pb_column){ &none, &all, 0 };
}

/* NULL where there are none. */
static const struct pb_lengths *
lengths_of(struct plan *plan, size_t row)
{
	const struct pb_row_set *rows = plan->rows;

	if (plan->lengths == NULL && !plan->failed) {
		plan->lengths = rows->lengths(rows->arg);
		plan->failed = plan->lengths == NULL;
	}
	return plan->failed ? NULL : (const struct pb_lengths *)(const void *)
	    ((const char *)plan->lengths + row * rows->lengths_stride);
}

static void
do_run(struct run *run, uint8_t *verdict)
{
	unsigned lines = run->plan->lines;

	memset(run->here, 0, lines * sizeof(run->here[0]));
	memset(run->asked, 0, run->plan->loads * sizeof(run->asked[0]));
	fill(&run->verdict, 0);
	if (run->rows < RUN)
		fill(&run->all, 0);
	memset(&run->all, 0xff, run->rows);
	run->here[0] = &run->all;
	for (unsigned i = 0; i < lines; i++)
		if (run->here[i] != NULL)
			do_line(run, i);
	memcpy(verdict, &run->verdict, run->rows);
}

static void
do_line(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	const struct set *here = run->here[at];
	unsigned mode = BPF_MODE(insn->code);

	switch (BPF_CLASS(insn->code)) {
	case BPF_RET:
		give(&run->verdict, here, insn->k == 0 ? PB_VERDICT_NONE :
		    PB_VERDICT_ALL);
		return;
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_JA)
			pass(run, at + 1 + insn->k, here, NULL);
		else
			do_jump(run, at);
		return;
	case BPF_LD:
	case BPF_LDX:
		if (mode == BPF_ABS || mode == BPF_MSH)
			do_load(run, at);
		break;
	}
	pass(run, at + 1, run->here[at], NULL);
}

/* Who has not all of the bytes is rejected. */
static void
do_load(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	uint64_t end = (uint64_t)insn->k + load_bytes(insn);
	uint8_t *here = (uint8_t *)&run->own[at];
	uint8_t *verdict = (uint8_t *)&run->verdict;

	if (end <= run->plan->rows->caplen_min)
		return;
	if (run->here[at] != &run->own[at])
		run->own[at] = *run->here[at];
	run->here[at] = &run->own[at];
	for (size_t i = 0; i < run->rows; i++) {
		const struct pb_lengths *row = lengths_of(run->plan,
		    run->first + i);

		if (row == NULL)
			return;
		if (end > row->caplen_min)
			verdict[i] |= here[i] & PB_VERDICT_NONE;
		if (end > row->caplen_max)
			here[i] = 0;
	}
}

static void
do_jump(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	const struct set *here = run->here[at];
	struct outcome outcome;

	outcome.fails = false;
	if (run->plan->before[at].what == LENGTH)
		test_length(run, insn, &outcome);
	else
		test_bits(run, at, &outcome);
	if (!outcome.fails)
		pass(run, at + 1 + insn->jt, here, &outcome.hold);
	pass(run, at + 1 + insn->jf, here, outcome.fails ? NULL :
	    &outcome.fail);
}

static void
give(struct set *verdict, const struct set *who, uint8_t what)
{
	for (unsigned i = 0; i < LANES; i++)
		verdict->row[i] |= who->row[i] & what;
}

/* Those of `who` that `may` go on with line `at`; with NULL all of them. */
static void
pass(struct run *run, unsigned at, const struct set *who,
    const struct set *may)
{
	const struct set *there = run->here[at];
	struct set *own = &run->own[at];

	if (may == NULL && there == NULL) {
		run->here[at] = who;
		return;
	}
	if (may == NULL)
		may = who;
	else if (!any_of(who, may))
		return;
	for (unsigned i = 0; i < LANES; i++)
		own->row[i] = (who->row[i] & may->row[i]) |
		    (there == NULL ? (lane){ 0 } : there->row[i]);
	run->here[at] = own;
}

/* As pb_known_test() has it. */
static void
test_length(struct run *run, const struct bpf_insn *insn,
    struct outcome *out)
{
	struct pb_known k = pb_known_number(insn->k);
	uint8_t *hold = (uint8_t *)&out->hold, *fail = (uint8_t *)&out->fail;

	fill(&out->hold, 0);
	fill(&out->fail, 0);
	for (size_t i = 0; i < run->rows; i++) {
		const struct pb_lengths *row = lengths_of(run->plan,
		    run->first + i);
		struct pb_known len;
		unsigned may;

		if (row == NULL)
			return;
		len = pb_known_range(row->len_min, row->len_max);
		may = pb_known_test(BPF_OP(insn->code), &len, &k);
		hold[i] = (may & PB_MAY_HOLD) != 0 ? 0xff : 0;
		fail[i] = (may & PB_MAY_FAIL) != 0 ? 0xff : 0;
	}
}

/* The same, of bits alone: what is as large as k, or equal to it, is so byte
 * by byte: the last one first, but of what is to be equal the lightest. */
static void
test_bits(struct run *run, unsigned at, struct outcome *out)
{
	struct bpf_insn insn = run->plan->insn[at];
	const struct content *a = &run->plan->before[at];
	const struct load *load = &run->plan->load[a->load];
	static const struct set none;
	static const struct byte nothing = { &none, &none, .known = true };
	bool equal = BPF_OP(insn.code) == BPF_JEQ;
	bool sets = BPF_OP(insn.code) == BPF_JSET;
	bool above = BPF_OP(insn.code) == BPF_JGT;

	fill(&out->hold, sets ? 0 : 0xff);
	fill(&out->fail, sets ? 0xff : 0);
	/* From 2^32 on nothing is as large. */
	if ((above && insn.k++ == UINT32_MAX) || (!sets &&
	    (uint64_t)insn.k >> 8 * load->bytes != 0)) {
		out->fails = true;
		return;
	}
	for (uint32_t i = 0; i < load->bytes; i++) {
		uint32_t b = equal ? load->order[i] : load->bytes - 1 - i;
		unsigned shift = 8 * (load->bytes - 1 - b);
		uint8_t mask = (uint8_t)(a->mask >> shift);
		uint8_t k = (uint8_t)(insn.k >> shift);

		if (sets && (mask & k) == 0)
			continue;
		if (equal && i > 1 && left_open(run, at, b, out))
			return;
		out->fails = equal && mask == 0xff && !may_be(run, at, b, k);
		if (out->fails)
			return;
		test_byte(out, &insn, mask, k, mask == 0 ? &nothing :
		    read_byte(run, a->load, b));
		out->fails = equal && !any_of(run->here[at], &out->hold);
		if (out->fails)
			return;
	}
	/* Where a byte differs, all do. */
	for (unsigned i = 0; equal && i < LANES; i++)
		out->fail.row[i] |= ~out->hold.row[i];
}

/* Is there a row in the run of which byte `b` may be `k`? */
static bool
may_be(struct run *run, unsigned at, uint32_t b, uint8_t k)
{
	struct plan *plan = run->plan;
	const struct load *load = &plan->load[plan->before[at].load];
	struct ahead *ahead = &plan->ahead[at][b];
	size_t end = run->first + run->rows;

	if (ahead->row <= run->first && ahead->near < NEAR_MAX) {
		ahead->row = plan->rows->find(plan->rows->arg, load->at + b,
		    k, run->first);
		ahead->near = ahead->row < end ? ahead->near + 1 : 0;
	}
	return ahead->row < end;
}

/* Of rows that may hold by two bytes it is not asked further: hosts of one
 * network would all be left open by one. */
static bool
left_open(struct run *run, unsigned at, uint32_t b, struct outcome *out)
{
	struct plan *plan = run->plan;
	const struct load *load = &plan->load[plan->before[at].load];
	const uint8_t *here = (const uint8_t *)run->here[at];
	const uint8_t *hold = (const uint8_t *)&out->hold;

	if (plan->spare == 0 || plan->rows->weight(plan->rows->arg,
	    load->at + b) == 0)
		return false;
	for (size_t i = 0; i < run->rows; i++)
		plan->open += (here[i] & hold[i]) != 0;
	fill(&out->fail, 0xff);
	return true;
}

static void
test_byte(struct outcome *out, const struct bpf_insn *insn, uint8_t mask,
    uint8_t k, const struct byte *byte)
{
	static const struct set none;
	const lane *ones = byte->ones->row;
	const lane *unknown = byte->known ? none.row : byte->unknown->row;
	lane *hold = out->hold.row, *fail = out->fail.row;

	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		test_equal(out, mask, k, byte);
		break;
	case BPF_JGT:
	case BPF_JGE:
		for (unsigned i = 0; i < LANES; i++) {
			lane least = ones[i] & mask;
			lane most = least | (unknown[i] & mask);

			hold[i] = (lane)(most > k) |
			    ((lane)(most == k) & hold[i]);
			fail[i] = (lane)(least < k) |
			    ((lane)(least == k) & fail[i]);
		}
		break;
	default:
		mask &= k;
		for (unsigned i = 0; i < LANES; i++) {
			lane some = ones[i] & mask;
			lane any = some | (unknown[i] & mask);

			hold[i] |= (lane)(any != 0);
			fail[i] &= (lane)(some == 0);
		}
	}
}

/* What may fail because it does not hold comes later. */
static void
test_equal(struct outcome *out, uint8_t mask, uint8_t k,
    const struct byte *byte)
{
	const lane *ones = byte->ones->row;

	if (byte->known) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < LANES; i++)
			out->hold.row[i] &= (lane)((ones[i] & mask) == k);
		return;
	}
	for (unsigned i = 0; i < LANES; i++) {
		lane other = (ones[i] & mask) ^ k;
		lane doubt = byte->unknown->row[i] & mask;

		out->hold.row[i] &= (lane)((other & ~doubt) == 0);
		out->fail.row[i] |= (lane)((other | doubt) != 0);
	}
}

/* Byte `which` of a load, in the run's rows. */
static const struct byte *
read_byte(struct run *run, uint32_t load, uint32_t which)
{
	struct byte *byte = &run->byte[load][which];
	struct pb_column column;

	if (run->asked[load][which])
		return byte;
	run->asked[load][which] = true;
	column_of(run->plan->rows, run->plan->load[load].at + which,
	    run->first, run->rows, byte->room, &column);
	byte->ones = read_column(&byte->same[0], column.ones, column.stride,
	    run->rows);
	byte->known = column.unknown == NULL;
	if (!byte->known)
		byte->unknown = read_column(&byte->same[1], column.unknown,
		    column.stride, run->rows);
	return byte;
}

/* As it is, or in `room`. */
static const struct set *
read_column(struct set *room, const uint8_t *column, size_t stride,
    size_t rows)
{
	if (stride != 0 && rows == RUN)
		return (const struct set *)(const void *)column;
	fill(room, stride == 0 ? *column : 0);
	if (stride != 0)
		memcpy(room, column, rows);
	return room;
}

static void
fill(struct set *set, uint8_t byte)
{
	memset(set, byte, sizeof(*set));
}

/* Is somebody in both? */
static bool
any_of(const struct set *a, const struct set *b)
{
	uint64_t some[2];
	lane any = { 0 };

#pragma GCC unroll 8
	for (unsigned i = 0; i < LANES; i++)
		any |= a->row[i] & b->row[i];
	memcpy(some, &any, sizeof(some));
	return (some[0] | some[1]) != 0;
}

static void
ask_each(uint8_t *verdict, const struct pb_filter *filter,
    struct plan *plan)
{
	static const struct set none;
	uint64_t steps = PB_ROWS_STEPS(plan->rows->rows);
	struct pb_column column[ROW_BYTES];
	uint8_t room[ROW_BYTES][2 * RUN];
	size_t rows = plan->rows->rows, first, count;

	for (first = 0; first < rows && !plan->failed; first += count) {
		count = rows - first < RUN ? rows - first : RUN;
		for (uint32_t at = 0; at < ROW_BYTES; at++) {
			column_of(plan->rows, at, first, count, room[at],
			    &column[at]);
			if (column[at].unknown == NULL)
				column[at].unknown = (const uint8_t *)&none;
		}
		for (size_t i = 0; i < count; i++)
			verdict[first + i] = ask_row(plan, first + i, filter,
			    column, i, &steps);
	}
	if (plan->failed)
		memset(verdict, PB_VERDICT_EACH, rows);
}

/* Row `row`, the `i`-th of the columns. */
static uint8_t
ask_row(struct plan *plan, size_t row, const struct pb_filter *filter,
    const struct pb_column *column, size_t i, uint64_t *steps)
{
	const struct pb_lengths *lengths = lengths_of(plan, row);
	uint8_t ones[ROW_BYTES], unknown[ROW_BYTES];
	struct pb_alike alike = { .ones = ones, .unknown = unknown,
	    .bytes = ROW_BYTES };

	if (lengths == NULL)
		return PB_VERDICT_EACH;
	alike.caplen_min = lengths->caplen_min;
	alike.caplen_max = lengths->caplen_max;
	alike.len_min = lengths->len_min;
	alike.len_max = lengths->len_max;
	for (uint32_t at = 0; at < ROW_BYTES; at++) {
		ones[at] = column[at].ones[i * column[at].stride];
		unknown[at] = column[at].unknown[i * column[at].stride];
	}
	return (uint8_t)pb_filter_verdict_within(filter, &alike, steps);
}
