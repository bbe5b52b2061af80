/*
 * recorder/filter/machine.c - the machine of packet filters, over what is
 * known
 *
 * Instruction by instruction what libpcap's bpf_filter() does (pcap/bpf.h):
 * a load past the captured bytes and a division by 0 end without a match.
 * So does a load of what Linux' kernel alone knows of a packet (SKF_AD_OFF,
 * 0xfffff000 on): no packet is that long.
 */
#include "recorder/filter/filter_impl.h"
#include "recorder/filter/values.h"

static struct step load(struct machine *, const struct bpf_insn *,
		    const struct pb_alike *);
static struct step reach(struct machine *, const struct pb_known *, uint32_t,
		    uint32_t, const struct pb_alike *);
static struct pb_known bytes_at(const struct pb_alike *, uint32_t, uint32_t);
static struct step calculate(struct machine *, const struct bpf_insn *);
static bool	shifts_too_far(const struct bpf_insn *);
static struct pb_known operand(const struct machine *,
		    const struct bpf_insn *);
static void	keep_origin(struct machine *, const struct bpf_insn *);

static const struct step on = { .goes_on = true };

void
machine_init(struct machine *machine, const struct pb_alike *packets)
{
	machine->a = machine->x = pb_known_number(0);
	for (size_t i = 0; i < BPF_MEMWORDS; i++)
		machine->mem[i] = pb_known_any();
	machine->origin = (struct origin){ 0 };
	machine->caplen_min = packets->caplen_min;
}

struct step
machine_step(struct machine *machine, const struct bpf_insn *insn,
    const struct pb_alike *packets)
{
	uint32_t word = insn->k % BPF_MEMWORDS;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		return load(machine, insn, packets);
	case BPF_ST:
		machine->mem[word] = machine->a;
		return on;
	case BPF_STX:
		machine->mem[word] = machine->x;
		return on;
	case BPF_ALU:
		return calculate(machine, insn);
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			machine->x = machine->a;
		else
			machine->a = machine->x;
		keep_origin(machine, insn);
		return on;
	}
	return (struct step){ .rejects = true, .goes_on = true };
}

unsigned
machine_test(const struct machine *machine, const struct bpf_insn *insn,
    const struct pb_alike *packets)
{
	struct pb_known b = operand(machine, insn);
	unsigned outcome = pb_known_test(BPF_OP(insn->code), &machine->a, &b);
	struct pb_places_test test = { machine->origin.at,
	    machine->origin.bytes, machine->origin.mask, &machine->a,
	    BPF_OP(insn->code), b.lo };

	if (outcome != (PB_MAY_HOLD | PB_MAY_FAIL) || test.bytes == 0 ||
	    packets->places == NULL || !pb_known_whole(&b))
		return outcome;
	return pb_places_test(packets->places, &test);
}

void
machine_assume(struct machine *machine, const struct bpf_insn *insn, bool held)
{
	struct pb_known b = operand(machine, insn);

	if (pb_known_whole(&b))
		machine->a = pb_known_after(BPF_OP(insn->code), &machine->a,
		    b.lo, held);
}

unsigned
machine_return(const struct machine *machine, const struct bpf_insn *insn)
{
	struct pb_known zero = pb_known_number(0), what = machine->a;
	unsigned is_zero;

	if (BPF_RVAL(insn->code) == BPF_K)
		what = pb_known_number(insn->k);
	is_zero = pb_known_test(BPF_JEQ, &what, &zero);
	return ((is_zero & PB_MAY_HOLD) != 0 ? PB_VERDICT_NONE : 0u) |
	    ((is_zero & PB_MAY_FAIL) != 0 ? PB_VERDICT_ALL : 0u);
}

static struct step
load(struct machine *machine, const struct bpf_insn *insn,
    const struct pb_alike *packets)
{
	bool is_x = BPF_CLASS(insn->code) == BPF_LDX;
	struct pb_known *to = is_x ? &machine->x : &machine->a;
	struct pb_known zero = pb_known_number(0), at = zero, four;
	struct step step;

	if (!is_x)
		machine->origin.bytes = 0;
	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		*to = pb_known_number(insn->k);
		return on;
	case BPF_LEN:
		*to = pb_known_range(packets->len_min, packets->len_max);
		return on;
	case BPF_MEM:
		*to = machine->mem[insn->k % BPF_MEMWORDS];
		return on;
	case BPF_IND:
		at = machine->x;
		break;
	}
	step = reach(machine, &at, insn->k, load_bytes(insn), packets);
	if (!step.goes_on)
		return step;
	*to = pb_known_whole(&at) ? bytes_at(packets, at.lo + insn->k,
	    load_bytes(insn)) : pb_known_bits(0, UINT32_MAX >>
	    (32 - 8 * load_bytes(insn)));
	if (!is_x && pb_known_whole(&at))
		machine->origin = (struct origin){ at.lo + insn->k,
		    load_bytes(insn), UINT32_MAX };
	if (BPF_MODE(insn->code) != BPF_MSH)
		return step;
	four = pb_known_number(0x0f);
	*to = pb_known_alu(BPF_AND, to, &four);
	four = pb_known_number(2);
	*to = pb_known_alu(BPF_LSH, to, &four);
	return step;
}

/* `size` bytes at `at` + `k`: all of them captured, in which packets? */
static struct step
reach(struct machine *machine, const struct pb_known *at, uint32_t k,
    uint32_t size, const struct pb_alike *packets)
{
	uint64_t least = (uint64_t)at->lo + k + size;
	uint64_t most = (uint64_t)at->hi + k + size;
	struct step step;

	step.rejects = most > machine->caplen_min;
	step.goes_on = least <= packets->caplen_max;
	if (step.goes_on && least > machine->caplen_min)
		machine->caplen_min = (uint32_t)least;
	return step;
}

static struct pb_known
bytes_at(const struct pb_alike *packets, uint32_t at, uint32_t size)
{
	uint32_t ones = 0, unknown = 0;

	for (uint32_t i = at; i < at + size; i++) {
		ones = ones << 8;
		unknown = unknown << 8;
		if (i < packets->bytes) {
			ones |= packets->ones[i];
			unknown |= packets->unknown[i];
		} else {
			unknown |= 0xff;
		}
	}
	return pb_known_bits(ones, unknown);
}

static struct step
calculate(struct machine *machine, const struct bpf_insn *insn)
{
	struct pb_known b = operand(machine, insn);
	unsigned op = BPF_OP(insn->code);
	struct step step = on;

	if (op == BPF_DIV || op == BPF_MOD) {
		step.rejects = b.lo == 0;
		step.goes_on = b.hi != 0;
		if (!step.goes_on)
			return step;
	}
	machine->a = shifts_too_far(insn) ? pb_known_any() :
	    pb_known_alu(op, &machine->a, &b);
	keep_origin(machine, insn);
	return step;
}

/* By a number: what that leaves C does not say, nor so libpcap.  An X of so
 * much shifts all out. */
static bool
shifts_too_far(const struct bpf_insn *insn)
{
	unsigned op = BPF_OP(insn->code);

	return (op == BPF_LSH || op == BPF_RSH) &&
	    BPF_SRC(insn->code) == BPF_K && insn->k >= SHIFT_END;
}

static struct pb_known
operand(const struct machine *machine, const struct bpf_insn *insn)
{
	return BPF_SRC(insn->code) == BPF_X ? machine->x :
	    pb_known_number(insn->k);
}

/* After an instruction that changed A: a mask keeps it, all others do not. */
static void
keep_origin(struct machine *machine, const struct bpf_insn *insn)
{
	struct pb_known b = operand(machine, insn);

	if (BPF_CLASS(insn->code) == BPF_ALU &&
	    BPF_OP(insn->code) == BPF_AND && pb_known_whole(&b))
		machine->origin.mask &= b.lo;
	else if (BPF_CLASS(insn->code) != BPF_MISC ||
	    BPF_MISCOP(insn->code) != BPF_TAX)
		machine->origin.bytes = 0;
}
