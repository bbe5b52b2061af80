/*
 * recorder/filter/rows.c - a filter asked about many rows at once
 *
 * Most folded programs do nothing but load, mask and test, and it is known
 * of each test what it tests.  Such a one is read from its end: what is seen
 * from an instruction on follows from what is seen from those that can come
 * next, for a run of rows in one loop.  Of all others each row is asked by
 * the machine.
 */
#include "recorder/filter/rows.h"

#include <string.h>

#include "recorder/filter/filter_impl.h"

#define RUN		256u	/* rows at a time */
#define LINES_MAX	96u	/* of a program done so */
#define LOADS_MAX	24u	/* different ones, likewise */
#define ROW_BYTES	128u	/* of a packet, that the machine is told */
#define LOAD_BYTES_MAX	4u

/* What is in A. */
enum what { NOTHING = 0, BYTES, LENGTH, OTHER };

struct content {
	enum what	 what;
	uint32_t	 load;		/* which, of BYTES */
	uint32_t	 mask;
};

struct load {
	uint32_t	 at, bytes;
	struct pb_column column[LOAD_BYTES_MAX];
};

/* What a run of rows has there. */
struct bits {
	uint32_t	 ones[RUN], unknown[RUN];
};

struct plan {
	const struct bpf_insn *insn;
	unsigned	 lines;
	const struct pb_row_set *rows;
	struct load	 load[LOADS_MAX];
	unsigned	 loads;
	struct content	 before[LINES_MAX];	/* each line: what is in A */
	uint32_t	 least;		/* captured of any row */
};

/* A run: what is seen from each line on; lines may share it. */
struct run {
	const struct plan *plan;
	size_t		 first, rows;
	uint8_t		 seen[LINES_MAX][RUN];
	const uint8_t	*from[LINES_MAX];
	unsigned	 read;		/* the load that is in `bits`, + 1 */
	struct bits	 bits;
};

static bool	make_plan(struct plan *, const struct pb_filter *);
static bool	plan_line(struct plan *, unsigned);
static bool	plan_load(struct plan *, unsigned, struct content *);
static bool	find_load(struct plan *, const struct bpf_insn *, uint32_t *);
static bool	plan_jump(struct plan *, unsigned);
static void	arrive(struct plan *, unsigned, const struct content *);
static struct pb_column column_of(const struct pb_row_set *, uint32_t);
static const struct pb_lengths *lengths_of(const struct pb_row_set *, size_t);
/* a run */
static void	do_run(struct run *, uint8_t *);
static void	do_line(struct run *, unsigned);
static void	do_load(struct run *, unsigned);
static void	do_jump(struct run *, unsigned);
static void	read_load(struct run *, uint32_t);
static void	add_column(uint32_t *, const uint8_t *, size_t,
		    const struct run *);
static void	test_length(const struct run *, const struct bpf_insn *,
		    uint8_t *);
static void	test_bits(const struct bits *, const struct bpf_insn *,
		    uint32_t, uint8_t *);
/* one by one */
static void	ask_each(uint8_t *, const struct pb_filter *,
		    const struct pb_row_set *);

void
pb_row_set_verdict(uint8_t *verdict, const struct pb_filter *filter,
    const struct pb_row_set *rows)
{
	struct plan plan = { .rows = rows };
	struct run run = { .plan = &plan };

	if (filter->all) {
		memset(verdict, PB_VERDICT_ALL, rows->rows);
		return;
	}
	if (!make_plan(&plan, filter)) {
		ask_each(verdict, filter, rows);
		return;
	}
	for (size_t at = 0; at < rows->rows; at += RUN) {
		run.first = at;
		run.rows = rows->rows - at < RUN ? rows->rows - at : RUN;
		run.read = 0;
		do_run(&run, verdict + at);
	}
}

/* False: it is none that can be done so. */
static bool
make_plan(struct plan *plan, const struct pb_filter *filter)
{
	plan->insn = filter->program.bf_insns;
	plan->lines = filter->program.bf_len;
	if (plan->lines > LINES_MAX)
		return false;
	arrive(plan, 0, &(struct content){ .what = OTHER });
	for (unsigned i = 0; i < plan->lines; i++)
		if (plan->before[i].what != NOTHING && !plan_line(plan, i))
			return false;
	plan->least = UINT32_MAX;
	for (size_t i = 0; i < plan->rows->rows; i++) {
		uint32_t least = lengths_of(plan->rows, i)->caplen_min;

		if (plan->least > least)
			plan->least = least;
	}
	return true;
}

static bool
plan_line(struct plan *plan, unsigned at)
{
	const struct bpf_insn *insn = &plan->insn[at];
	struct content a = plan->before[at];

	switch (BPF_CLASS(insn->code)) {
	case BPF_RET:
		return BPF_RVAL(insn->code) == BPF_K;
	case BPF_JMP:
		return plan_jump(plan, at);
	case BPF_LD:
	case BPF_LDX:
		if (!plan_load(plan, at, &a))
			return false;
		break;
	case BPF_ALU:
		if (BPF_SRC(insn->code) == BPF_X && (BPF_OP(insn->code) ==
		    BPF_DIV || BPF_OP(insn->code) == BPF_MOD))
			return false;
		if (insn->code == (BPF_ALU | BPF_AND | BPF_K))
			a.mask &= insn->k;
		else
			a.what = OTHER;
		break;
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) != BPF_TAX)
			a.what = OTHER;
		break;
	}
	arrive(plan, at + 1, &a);
	return true;
}

static bool
plan_load(struct plan *plan, unsigned at, struct content *a)
{
	const struct bpf_insn *insn = &plan->insn[at];
	bool is_a = BPF_CLASS(insn->code) == BPF_LD;
	struct content loaded = { .what = OTHER, .mask = UINT32_MAX };

	switch (BPF_MODE(insn->code)) {
	case BPF_ABS:
	case BPF_MSH:
		if (!find_load(plan, insn, &loaded.load))
			return false;
		loaded.what = BYTES;
		break;
	case BPF_LEN:
		loaded.what = LENGTH;
		break;
	case BPF_IND:
		return false;
	}
	if (is_a)
		*a = loaded;
	return true;
}

static bool
find_load(struct plan *plan, const struct bpf_insn *insn, uint32_t *out)
{
	uint32_t i = 0, bytes = load_bytes(insn);
	struct load *load;

	while (i < plan->loads && (plan->load[i].at != insn->k ||
	    plan->load[i].bytes != bytes))
		i++;
	*out = i;
	if (i < plan->loads)
		return true;
	if (i == LOADS_MAX)
		return false;
	load = &plan->load[plan->loads++];
	load->at = insn->k;
	load->bytes = bytes;
	for (uint32_t b = 0; b < bytes; b++)
		load->column[b] = column_of(plan->rows, insn->k + b);
	return true;
}

/* A length under a mask is left to the machine; so is a loop. */
static bool
plan_jump(struct plan *plan, unsigned at)
{
	const struct bpf_insn *insn = &plan->insn[at];
	const struct content *a = &plan->before[at];

	if (BPF_OP(insn->code) == BPF_JA) {
		if (insn->k >= plan->lines - at - 1)
			return false;
		arrive(plan, at + 1 + insn->k, a);
		return true;
	}
	if (BPF_SRC(insn->code) == BPF_X || a->what == OTHER ||
	    (a->what == LENGTH && a->mask != UINT32_MAX))
		return false;
	arrive(plan, at + 1 + insn->jt, a);
	arrive(plan, at + 1 + insn->jf, a);
	return true;
}

static void
arrive(struct plan *plan, unsigned at, const struct content *a)
{
	struct content *have = &plan->before[at];

	if (have->what == NOTHING)
		*have = *a;
	else if (have->what != a->what || have->load != a->load ||
	    have->mask != a->mask)
		have->what = OTHER;
}

static struct pb_column
column_of(const struct pb_row_set *rows, uint32_t at)
{
	static const uint8_t none, all = 0xff;
	struct pb_column column;

	if (rows->column(rows->arg, at, &column))
		return column;
	return (struct pb_column){ &none, &all, 0 };
}

static const struct pb_lengths *
lengths_of(const struct pb_row_set *rows, size_t row)
{
	return (const struct pb_lengths *)(const void *)
	    ((const char *)rows->lengths + row * rows->lengths_stride);
}

static void
do_run(struct run *run, uint8_t *verdict)
{
	const struct plan *plan = run->plan;

	for (unsigned i = plan->lines; i-- > 0; )
		if (plan->before[i].what != NOTHING)
			do_line(run, i);
	memcpy(verdict, run->from[0], run->rows);
}

static void
do_line(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	unsigned mode = BPF_MODE(insn->code);

	run->from[at] = run->seen[at];
	switch (BPF_CLASS(insn->code)) {
	case BPF_RET:
		memset(run->seen[at], insn->k == 0 ? PB_VERDICT_NONE :
		    PB_VERDICT_ALL, RUN);
		return;
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_JA)
			run->from[at] = run->from[at + 1 + insn->k];
		else
			do_jump(run, at);
		return;
	case BPF_LD:
	case BPF_LDX:
		if (mode == BPF_ABS || mode == BPF_MSH) {
			do_load(run, at);
			return;
		}
		break;
	}
	run->from[at] = run->from[at + 1];
}

/* Who has not all of the bytes is rejected. */
static void
do_load(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	uint64_t end = (uint64_t)insn->k + load_bytes(insn);

	if (end <= run->plan->least) {
		run->from[at] = run->from[at + 1];
		return;
	}
	memcpy(run->seen[at], run->from[at + 1], RUN);
	for (size_t i = 0; i < run->rows; i++) {
		const struct pb_lengths *row = lengths_of(run->plan->rows,
		    run->first + i);

		if (end > row->caplen_max)
			run->seen[at][i] = PB_VERDICT_NONE;
		else if (end > row->caplen_min)
			run->seen[at][i] |= PB_VERDICT_NONE;
	}
}

static void
do_jump(struct run *run, unsigned at)
{
	const struct bpf_insn *insn = &run->plan->insn[at];
	const struct content *a = &run->plan->before[at];
	const uint8_t *jt = run->from[at + 1 + insn->jt];
	const uint8_t *jf = run->from[at + 1 + insn->jf];
	uint8_t outcome[RUN];

	if (a->what == LENGTH) {
		memset(outcome, 0, sizeof(outcome));
		test_length(run, insn, outcome);
	} else {
		read_load(run, a->load);
		test_bits(&run->bits, insn, a->mask, outcome);
	}
	for (unsigned i = 0; i < RUN; i++) {
		uint8_t hold = (uint8_t)-(outcome[i] >> 1 & 1);
		uint8_t fail = (uint8_t)-(outcome[i] & 1);

		run->seen[at][i] = (jt[i] & hold) | (jf[i] & fail);
	}
}

static void
read_load(struct run *run, uint32_t which)
{
	const struct load *load = &run->plan->load[which];
	struct bits *bits = &run->bits;

	if (run->read == which + 1)
		return;
	run->read = which + 1;
	memset(bits, 0, sizeof(*bits));
	for (uint32_t b = 0; b < load->bytes; b++) {
		const struct pb_column *column = &load->column[b];

		for (unsigned i = 0; b > 0 && i < RUN; i++) {
			bits->ones[i] <<= 8;
			bits->unknown[i] <<= 8;
		}
		add_column(bits->ones, column->ones, column->stride, run);
		add_column(bits->unknown, column->unknown, column->stride,
		    run);
	}
}

static void
add_column(uint32_t *to, const uint8_t *column, size_t stride,
    const struct run *run)
{
	uint8_t bytes[RUN];

	if (stride == 0 && *column == 0)
		return;
	if (stride == 0)
		memset(bytes, *column, sizeof(bytes));
	else if (run->rows == RUN)
		memcpy(bytes, column + run->first, RUN);
	else {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, column + run->first, run->rows);
	}
	for (unsigned i = 0; i < RUN; i++)
		to[i] |= bytes[i];
}

/* PB_MAY_FAIL 1, PB_MAY_HOLD 2; as pb_known_test() has it. */
static void
test_length(const struct run *run, const struct bpf_insn *insn,
    uint8_t *outcome)
{
	struct pb_known k = pb_known_number(insn->k);

	for (size_t i = 0; i < run->rows; i++) {
		const struct pb_lengths *row = lengths_of(run->plan->rows,
		    run->first + i);
		struct pb_known len = pb_known_range(row->len_min,
		    row->len_max);

		outcome[i] = (uint8_t)pb_known_test(BPF_OP(insn->code), &len,
		    &k);
	}
}

/* The same, of bits alone, and all of the run. */
static void
test_bits(const struct bits *bits, const struct bpf_insn *insn, uint32_t mask,
    uint8_t *outcome)
{
	const uint32_t *ones = bits->ones, *unknown = bits->unknown;
	uint32_t k = insn->k;

	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		for (unsigned i = 0; i < RUN; i++) {
			uint32_t least = ones[i] & mask;
			uint32_t doubt = unknown[i] & mask;
			uint32_t other = least ^ k;

			outcome[i] = (uint8_t)(((other & ~doubt) == 0) << 1 |
			    ((other | doubt) != 0));
		}
		break;
	case BPF_JGT:
	case BPF_JGE:
		/* From 2^32 on nothing is as large. */
		if (BPF_OP(insn->code) == BPF_JGT && k++ == UINT32_MAX) {
			memset(outcome, PB_MAY_FAIL, RUN);
			break;
		}
		for (unsigned i = 0; i < RUN; i++) {
			uint32_t least = ones[i] & mask;
			uint32_t most = (ones[i] | unknown[i]) & mask;

			outcome[i] = (uint8_t)((most >= k) << 1 |
			    (least < k));
		}
		break;
	default:
		for (unsigned i = 0; i < RUN; i++) {
			uint32_t some = ones[i] & mask & k;
			uint32_t any = (ones[i] | unknown[i]) & mask & k;

			outcome[i] = (uint8_t)((any != 0) << 1 | (some == 0));
		}
	}
}

static void
ask_each(uint8_t *verdict, const struct pb_filter *filter,
    const struct pb_row_set *rows)
{
	uint8_t ones[ROW_BYTES], unknown[ROW_BYTES];
	struct pb_column column[ROW_BYTES];
	uint64_t steps = PB_ROWS_STEPS(rows->rows);

	for (uint32_t at = 0; at < ROW_BYTES; at++)
		column[at] = column_of(rows, at);
	for (size_t i = 0; i < rows->rows; i++) {
		const struct pb_lengths *row = lengths_of(rows, i);
		struct pb_alike alike = { .ones = ones, .unknown = unknown,
		    .bytes = ROW_BYTES, .caplen_min = row->caplen_min,
		    .caplen_max = row->caplen_max, .len_min = row->len_min,
		    .len_max = row->len_max };

		for (uint32_t at = 0; at < ROW_BYTES; at++) {
			const struct pb_column *c = &column[at];

			ones[at] = c->ones[i * c->stride];
			unknown[at] = c->unknown[i * c->stride];
		}
		verdict[i] = (uint8_t)pb_filter_verdict_within(filter, &alike,
		    &steps);
	}
}
