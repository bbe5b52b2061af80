/*
 * recorder/filter/fold.c - a filter with all done that a shape decides
 *
 * Three passes over a program without loops: forward, what the machine knows
 * before each instruction, and the instruction made simpler by that;
 * backward, what nobody reads any more; then what is left, moved together.
 */
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"

#define DISTANCE_MAX	255u	/* of a conditional jump */

enum { LIVE_A = 1 << 16, LIVE_X = 1 << 17 };	/* below them, mem[] */

struct line {
	struct bpf_insn	 insn;		/* as it is now */
	struct machine	 machine;	/* before it */
	bool		 reached;
	bool		 rejects;
	uint32_t	 live;		/* what is read from here on */
	unsigned	 place;		/* in what is left */
};

struct fold {
	const struct pb_alike *shape;
	struct line	*line;
	unsigned	 lines;
};

static void	fold_program(struct fold *, const struct pb_filter *,
		    struct bpf_program *);
/* forward */
static void	know(struct fold *, unsigned);
static void	know_jump(struct fold *, unsigned);
static void	know_step(struct fold *, unsigned);
static void	arrive(struct fold *, unsigned, const struct machine *);
static void	simplify(struct bpf_insn *, const struct machine *);
static void	make(struct bpf_insn *, unsigned, uint32_t);
/* backward */
static void	drop_unread(struct fold *);
static uint32_t	reads(const struct bpf_insn *);
static uint32_t	writes(const struct bpf_insn *);
static uint32_t	live_behind(const struct fold *, unsigned);
/* what is left */
static void	reach_again(struct fold *);
static unsigned	target(const struct fold *, unsigned);
static unsigned	place_lines(struct fold *);
static bool	write_program(const struct fold *, struct bpf_insn *);

int
pb_filter_fold(struct pb_filter **out, const struct pb_filter *filter,
    const struct pb_alike *shape, struct pb_err *err)
{
	struct pb_filter *folded = calloc(1, sizeof(*folded));
	struct fold fold = { .shape = shape, .lines = filter->program.bf_len };

	*out = folded;
	if (folded != NULL)
		*folded = (struct pb_filter){ .all = filter->all,
		    .loops = filter->loops };
	if (filter->all && folded != NULL)
		return 0;
	fold.line = calloc(fold.lines + 1, sizeof(*fold.line));
	if (folded != NULL)
		folded->program.bf_insns = calloc(fold.lines + 1,
		    sizeof(*folded->program.bf_insns));
	if (folded == NULL || fold.line == NULL ||
	    folded->program.bf_insns == NULL) {
		pb_filter_destroy(folded);
		free(fold.line);
		*out = NULL;
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	}
	fold_program(&fold, filter, &folded->program);
	free(fold.line);
	return 0;
}

/* A program that loops (protochain does), or cannot be written, stays as it
 * is. */
static void
fold_program(struct fold *fold, const struct pb_filter *filter,
    struct bpf_program *out)
{
	const struct bpf_program *in = &filter->program;

	for (unsigned i = 0; i < fold->lines; i++)
		fold->line[i].insn = in->bf_insns[i];
	if (!filter->loops) {
		fold->line[0].reached = true;
		machine_init(&fold->line[0].machine, fold->shape);
		for (unsigned i = 0; i < fold->lines; i++)
			if (fold->line[i].reached)
				know(fold, i);
		drop_unread(fold);
		reach_again(fold);
		out->bf_len = place_lines(fold);
	}
	if (filter->loops || !write_program(fold, out->bf_insns)) {
		out->bf_len = in->bf_len;
		memcpy(out->bf_insns, in->bf_insns,
		    in->bf_len * sizeof(*in->bf_insns));
	}
}

static void
know(struct fold *fold, unsigned at)
{
	switch (BPF_CLASS(fold->line[at].insn.code)) {
	case BPF_RET:
		break;
	case BPF_JMP:
		know_jump(fold, at);
		break;
	default:
		know_step(fold, at);
	}
}

static void
know_jump(struct fold *fold, unsigned at)
{
	struct line *line = &fold->line[at];
	struct machine machine = line->machine;
	struct bpf_insn insn = line->insn;
	unsigned outcome;

	if (BPF_OP(insn.code) == BPF_JA) {
		arrive(fold, at + 1 + insn.k, &machine);
		return;
	}
	outcome = machine_test(&machine, &insn, fold->shape);
	if (outcome == 0)	/* nobody comes here */
		outcome = PB_MAY_HOLD | PB_MAY_FAIL;
	if ((outcome & PB_MAY_HOLD) != 0) {
		machine_assume(&machine, &insn, true);
		arrive(fold, at + 1 + insn.jt, &machine);
		machine = line->machine;
	}
	if ((outcome & PB_MAY_FAIL) != 0) {
		machine_assume(&machine, &insn, false);
		arrive(fold, at + 1 + insn.jf, &machine);
	}
	if (outcome == PB_MAY_HOLD || insn.jt == insn.jf)
		make(&line->insn, BPF_JMP | BPF_JA, insn.jt);
	else if (outcome == PB_MAY_FAIL)
		make(&line->insn, BPF_JMP | BPF_JA, insn.jf);
	else if (BPF_SRC(insn.code) == BPF_X &&
	    pb_known_whole(&line->machine.x)) {
		line->insn.code = (u_short)(insn.code & ~BPF_X);
		line->insn.k = line->machine.x.lo;
	}
}

static void
know_step(struct fold *fold, unsigned at)
{
	struct line *line = &fold->line[at];
	struct machine machine = line->machine;
	struct step step = machine_step(&machine, &line->insn, fold->shape);

	line->rejects = step.rejects;
	if (!step.goes_on) {
		make(&line->insn, BPF_RET | BPF_K, 0);
		return;
	}
	simplify(&line->insn, &line->machine);
	if (!step.rejects) {
		uint32_t to = writes(&line->insn);

		if (to == LIVE_A && pb_known_whole(&machine.a))
			make(&line->insn, BPF_LD | BPF_IMM, machine.a.lo);
		else if (to == LIVE_X && pb_known_whole(&machine.x))
			make(&line->insn, BPF_LDX | BPF_IMM, machine.x.lo);
	}
	arrive(fold, at + 1, &machine);
}

/* One way more leads to the line `at`. */
static void
arrive(struct fold *fold, unsigned at, const struct machine *machine)
{
	struct line *line = &fold->line[at];
	struct machine *have = &line->machine;

	if (!line->reached) {
		line->reached = true;
		*have = *machine;
		return;
	}
	if (memcmp(&have->origin, &machine->origin, sizeof(have->origin)) != 0)
		have->origin.bytes = 0;
	have->a = pb_known_join(&have->a, &machine->a);
	have->x = pb_known_join(&have->x, &machine->x);
	for (size_t i = 0; i < BPF_MEMWORDS; i++)
		have->mem[i] = pb_known_join(&have->mem[i], &machine->mem[i]);
	if (have->caplen_min > machine->caplen_min)
		have->caplen_min = machine->caplen_min;
}

/* An X that is known becomes part of the instruction. */
static void
simplify(struct bpf_insn *insn, const struct machine *before)
{
	uint64_t at = (uint64_t)before->x.lo + insn->k;

	if (!pb_known_whole(&before->x))
		return;
	if (BPF_CLASS(insn->code) == BPF_LD &&
	    BPF_MODE(insn->code) == BPF_IND && at <= UINT32_MAX) {
		insn->code = (u_short)(BPF_LD | BPF_ABS |
		    BPF_SIZE(insn->code));
		insn->k = (uint32_t)at;
	} else if (BPF_CLASS(insn->code) == BPF_ALU &&
	    BPF_SRC(insn->code) == BPF_X && before->x.lo < SHIFT_END) {
		insn->code = (u_short)(insn->code & ~BPF_X);
		insn->k = before->x.lo;
	}
}

static void
make(struct bpf_insn *insn, unsigned code, uint32_t k)
{
	*insn = (struct bpf_insn){ .code = (u_short)code, .k = k };
}

/* What changes something that nobody reads, and rejects no packet, becomes a
 * jump to the next line. */
static void
drop_unread(struct fold *fold)
{
	for (unsigned i = fold->lines; i-- > 0; ) {
		struct line *line = &fold->line[i];
		uint32_t behind, to = writes(&line->insn);

		if (!line->reached)
			continue;
		behind = live_behind(fold, i);
		if (to != 0 && (to & behind) == 0 && !line->rejects) {
			make(&line->insn, BPF_JMP | BPF_JA, 0);
			line->live = behind;
			continue;
		}
		line->live = (behind & ~to) | reads(&line->insn);
	}
}

static uint32_t
reads(const struct bpf_insn *insn)
{
	uint32_t source = BPF_SRC(insn->code) == BPF_X ? LIVE_X : 0;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEM)
			return 1u << (insn->k % BPF_MEMWORDS);
		return BPF_MODE(insn->code) == BPF_IND ? LIVE_X : 0;
	case BPF_ST:
		return LIVE_A;
	case BPF_STX:
		return LIVE_X;
	case BPF_ALU:
		return LIVE_A | source;
	case BPF_JMP:
		return BPF_OP(insn->code) == BPF_JA ? 0 : LIVE_A | source;
	case BPF_RET:
		return BPF_RVAL(insn->code) == BPF_A ? LIVE_A : 0;
	default:
		return BPF_MISCOP(insn->code) == BPF_TAX ? LIVE_A : LIVE_X;
	}
}

static uint32_t
writes(const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_ALU:
		return LIVE_A;
	case BPF_LDX:
		return LIVE_X;
	case BPF_ST:
	case BPF_STX:
		return 1u << (insn->k % BPF_MEMWORDS);
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TAX ? LIVE_X : LIVE_A;
	default:
		return 0;
	}
}

static uint32_t
live_behind(const struct fold *fold, unsigned at)
{
	const struct bpf_insn *insn = &fold->line[at].insn;
	const struct line *next = &fold->line[at + 1];

	if (BPF_CLASS(insn->code) == BPF_RET)
		return 0;
	if (BPF_CLASS(insn->code) != BPF_JMP)
		return next->live;
	if (BPF_OP(insn->code) == BPF_JA)
		return next[insn->k].live;
	return next[insn->jt].live | next[insn->jf].live;
}

/* Jumps lead to where something is done; what no way leads to is gone. */
static void
reach_again(struct fold *fold)
{
	for (unsigned i = 0; i < fold->lines; i++)
		fold->line[i].reached = i == 0;
	for (unsigned i = 0; i < fold->lines; i++) {
		const struct bpf_insn *insn = &fold->line[i].insn;

		if (!fold->line[i].reached ||
		    BPF_CLASS(insn->code) == BPF_RET)
			continue;
		if (BPF_CLASS(insn->code) != BPF_JMP) {
			fold->line[i + 1].reached = true;
		} else if (BPF_OP(insn->code) == BPF_JA) {
			fold->line[target(fold, i)].reached = true;
		} else {
			fold->line[target(fold, i + 1 + insn->jt)].reached =
			    true;
			fold->line[target(fold, i + 1 + insn->jf)].reached =
			    true;
		}
	}
}

/* Where one who comes to line `at` does something. */
static unsigned
target(const struct fold *fold, unsigned at)
{
	while (fold->line[at].insn.code == (BPF_JMP | BPF_JA))
		at += 1 + fold->line[at].insn.k;
	return at;
}

/* How many lines are left: a jump to the line that follows is none. */
static unsigned
place_lines(struct fold *fold)
{
	unsigned next = fold->lines, left = 0;

	for (unsigned i = fold->lines; i-- > 0; ) {
		if (!fold->line[i].reached)
			continue;
		if (fold->line[i].insn.code == (BPF_JMP | BPF_JA) &&
		    target(fold, i) == next)
			fold->line[i].reached = false;
		else
			next = i;
	}
	for (unsigned i = 0; i < fold->lines; i++)
		if (fold->line[i].reached)
			fold->line[i].place = left++;
	return left;
}

/* False where a conditional jump would have to go too far. */
static bool
write_program(const struct fold *fold, struct bpf_insn *out)
{
	for (unsigned i = 0; i < fold->lines; i++) {
		const struct line *line = &fold->line[i];
		unsigned from = line->place + 1, jt, jf;

		if (!line->reached)
			continue;
		*out = line->insn;
		if (BPF_CLASS(out->code) == BPF_JMP) {
			bool always = BPF_OP(out->code) == BPF_JA;

			jt = fold->line[target(fold, always ? i : i + 1 +
			    out->jt)].place - from;
			jf = always ? 0 : fold->line[target(fold, i + 1 +
			    out->jf)].place - from;
			if (!always && (jt > DISTANCE_MAX ||
			    jf > DISTANCE_MAX))
				return false;
			if (always)
				out->k = jt;
			out->jt = always ? 0 : (u_char)jt;
			out->jf = (u_char)jf;
		}
		out++;
	}
	return true;
}
