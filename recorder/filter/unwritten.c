/*
 * recorder/filter/unwritten.c - words of memory that a program reads first
 *
 * libpcap 1.10.3 makes programs that read a word on a way that never wrote it:
 * of "not geneve and tcp", where headers have no fixed length, behind "or".
 * Its interpreter finds there what the stack had, so that the same filter
 * found other packets with the index than without.  Written first, with 0,
 * they have one answer.
 */
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"

#define ALL_WORDS	((1u << BPF_MEMWORDS) - 1)

static bool	find(const struct bpf_program *, uint32_t *);
static uint32_t	step_over(const struct bpf_insn *, uint32_t *);
static void	arrive(const struct bpf_program *, uint32_t *, unsigned);

bool
filter_write_first(struct bpf_program *program)
{
	unsigned length = program->bf_len, first = 0;
	struct bpf_insn *insn;
	uint32_t words;

	if (!find(program, &words))
		return false;
	if (words == 0)
		return true;
	insn = calloc(length + BPF_MEMWORDS, sizeof(*insn));
	if (insn == NULL)
		return false;
	/* A is 0 when a program begins. */
	for (uint32_t word = 0; word < BPF_MEMWORDS; word++)
		if ((words >> word & 1) != 0)
			insn[first++] = (struct bpf_insn){ .code = BPF_ST,
			    .k = word };
	memcpy(insn + first, program->bf_insns, length * sizeof(*insn));
	free(program->bf_insns);
	program->bf_insns = insn;
	program->bf_len = length + first;
	return true;
}

/* Jumps back lead to where more is written than when one first came there, so
 * that one pass will do. */
static bool
find(const struct bpf_program *program, uint32_t *words)
{
	uint32_t *unwritten = calloc(program->bf_len + 1, sizeof(*unwritten));

	*words = 0;
	if (unwritten == NULL)
		return false;
	unwritten[0] = ALL_WORDS;
	for (unsigned i = 0; i < program->bf_len; i++) {
		*words |= step_over(&program->bf_insns[i], &unwritten[i]);
		arrive(program, unwritten, i);
	}
	free(unwritten);
	return true;
}

/* Those that it reads and nobody may have written; what it writes is taken. */
static uint32_t
step_over(const struct bpf_insn *insn, uint32_t *unwritten)
{
	uint32_t word = 1u << insn->k % BPF_MEMWORDS;

	switch (BPF_CLASS(insn->code)) {
	case BPF_ST:
	case BPF_STX:
		*unwritten &= ~word;
		return 0;
	case BPF_LD:
	case BPF_LDX:
		return BPF_MODE(insn->code) == BPF_MEM ? *unwritten & word : 0;
	}
	return 0;
}

static void
arrive(const struct bpf_program *program, uint32_t *unwritten, unsigned at)
{
	const struct bpf_insn *insn = &program->bf_insns[at];
	unsigned left = program->bf_len - at - 1;

	if (BPF_CLASS(insn->code) == BPF_RET)
		return;
	if (BPF_CLASS(insn->code) != BPF_JMP) {
		unwritten[at + 1] |= unwritten[at];
	} else if (BPF_OP(insn->code) != BPF_JA) {
		unwritten[at + 1 + insn->jt] |= unwritten[at];
		unwritten[at + 1 + insn->jf] |= unwritten[at];
	} else if (insn->k < left) {
		unwritten[at + 1 + insn->k] |= unwritten[at];
	}
}
