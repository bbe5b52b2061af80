/*
 * recorder/filter/verdict.c - a filter asked about packets that are alike
 *
 * Every way through the program that the packets can take is walked, one
 * after the other; what is put off waits on a stack.  Once both answers have
 * been seen, or after STEPS_MAX instructions (protochain loops), it is "look
 * at each".
 */
#include "recorder/filter/verdict.h"

#include "recorder/filter/filter_impl.h"

#define STEPS_MAX	4096u
#define WAYS_MAX	32u

struct way {
	struct machine	 machine;
	unsigned	 at;		/* the instruction that is next */
};

struct walk {
	const struct bpf_program *program;
	const struct pb_alike *packets;
	unsigned	 seen;		/* PB_VERDICT_* */
	unsigned	 steps;		/* that are left */
	unsigned	 ways;		/* that wait */
	struct way	 way[WAYS_MAX];
};

static void	walk_way(struct walk *, struct way *);
static bool	jump(struct walk *, struct way *, const struct bpf_insn *);

enum pb_verdict
pb_filter_verdict(const struct pb_filter *filter,
    const struct pb_alike *packets)
{
	uint64_t steps = STEPS_MAX;

	return pb_filter_verdict_within(filter, packets, &steps);
}

enum pb_verdict
pb_filter_verdict_within(const struct pb_filter *filter,
    const struct pb_alike *packets, uint64_t *steps)
{
	unsigned most = *steps < STEPS_MAX ? (unsigned)*steps : STEPS_MAX;
	struct walk walk;
	struct way way;

	if (filter->all)
		return PB_VERDICT_ALL;
	if (filter->program.bf_insns[0].code == (BPF_RET | BPF_K))
		return filter->program.bf_insns[0].k != 0 ? PB_VERDICT_ALL :
		    PB_VERDICT_NONE;
	walk.program = &filter->program;
	walk.packets = packets;
	walk.seen = 0;
	walk.steps = most;
	walk.ways = 1;
	machine_init(&walk.way[0].machine, packets);
	walk.way[0].at = 0;
	while (walk.ways > 0 && walk.seen != PB_VERDICT_EACH) {
		way = walk.way[--walk.ways];
		walk_way(&walk, &way);
	}
	*steps -= most - walk.steps;
	/* Where nothing was seen no packet can be like that. */
	return walk.seen == 0 ? PB_VERDICT_EACH : (enum pb_verdict)walk.seen;
}

/* To its end, putting off what branches. */
static void
walk_way(struct walk *walk, struct way *way)
{
	struct step step = { .goes_on = true };

	while (step.goes_on && walk->seen != PB_VERDICT_EACH) {
		const struct bpf_insn *insn =
		    &walk->program->bf_insns[way->at++];

		if (walk->steps == 0) {
			walk->seen = PB_VERDICT_EACH;
			return;
		}
		walk->steps--;
		if (BPF_CLASS(insn->code) == BPF_RET) {
			walk->seen |= machine_return(&way->machine, insn);
			return;
		}
		if (BPF_CLASS(insn->code) == BPF_JMP) {
			if (!jump(walk, way, insn))
				return;
			continue;
		}
		step = machine_step(&way->machine, insn, walk->packets);
		if (step.rejects)
			walk->seen |= PB_VERDICT_NONE;
	}
}

/* False: the way ends here, since no packet goes it, or too many ways wait. */
static bool
jump(struct walk *walk, struct way *way, const struct bpf_insn *insn)
{
	unsigned outcome;
	struct way *other;

	if (BPF_OP(insn->code) == BPF_JA) {
		way->at += insn->k;
		return true;
	}
	outcome = machine_test(&way->machine, insn, walk->packets);
	if (outcome == 0)
		return false;
	if (outcome == (PB_MAY_HOLD | PB_MAY_FAIL) && insn->jt != insn->jf) {
		if (walk->ways == WAYS_MAX) {
			walk->seen = PB_VERDICT_EACH;
			return false;
		}
		other = &walk->way[walk->ways++];
		*other = *way;
		other->at += insn->jf;
		machine_assume(&other->machine, insn, false);
		machine_assume(&way->machine, insn, true);
	}
	way->at += (outcome & PB_MAY_HOLD) != 0 ? insn->jt : insn->jf;
	return true;
}
