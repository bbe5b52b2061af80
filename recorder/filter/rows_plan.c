/*
 * recorder/filter/rows_plan.c - which programs are run for many rows at once
 */
#include "recorder/filter/rows_impl.h"

#include <string.h>

static bool	plan_line(struct plan *, unsigned);
static bool	plan_load(struct plan *, unsigned, struct content *);
static bool	find_load(struct plan *, const struct bpf_insn *, uint32_t *);
static void	order_bytes(const struct plan *, struct load *);
static bool	plan_jump(struct plan *, unsigned);
static void	arrive(struct plan *, unsigned, const struct content *);

bool
rows_plan(struct plan *plan, const struct pb_filter *filter)
{
	plan->insn = filter->program.bf_insns;
	plan->lines = filter->program.bf_len;
	plan->loads = 0;
	plan->spare = plan->rows->spare;
	plan->open = 0;
	plan->lengths = NULL;
	plan->failed = false;
	if (plan->lines > LINES_MAX)
		return false;
	memset(plan->before, 0, sizeof(plan->before));
	memset(plan->ahead, 0, plan->lines * sizeof(plan->ahead[0]));
	arrive(plan, 0, &(struct content){ .what = OTHER });
	for (unsigned i = 0; i < plan->lines; i++)
		if (plan->before[i].what != NOTHING && !plan_line(plan, i))
			return false;
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
	order_bytes(plan, load);
	return true;
}

/* The lightest first; then from the last to the first, as hosts of a network
 * differ there. */
static void
order_bytes(const struct plan *plan, struct load *load)
{
	const struct pb_row_set *rows = plan->rows;
	uint32_t weight, least = UINT32_MAX, first = 0, n = 1;

	for (uint32_t b = load->bytes; b-- > 0; ) {
		weight = rows->weight(rows->arg, load->at + b);
		if (weight < least)
			first = b;
		if (weight < least)
			least = weight;
	}
	load->order[0] = (uint8_t)first;
	for (uint32_t b = load->bytes; b-- > 0; )
		if (b != first)
			load->order[n++] = (uint8_t)b;
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
