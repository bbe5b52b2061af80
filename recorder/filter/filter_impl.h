/*
 * recorder/filter/filter_impl.h - what a filter is made of
 */
#ifndef PB_FILTER_FILTER_IMPL_H
#define PB_FILTER_FILTER_IMPL_H

#include <pcap/pcap.h>
#include <stdbool.h>

#include "recorder/filter/known.h"
#include "recorder/filter/verdict.h"

/* By so much X shifts all out (libpcap's interpreter), and a number by none
 * knows what. */
#define SHIFT_END	32u

struct pb_filter {
	bool			 all;		/* "": nothing was compiled */
	bool			 loops;		/* a jump goes back */
	bool			 wants_mask;	/* ip broadcast */
	struct bpf_program	 program;	/* malloc()ed, as libpcap's */
};

/* Some bits of the packet, as they stand there. */
struct origin {
	uint32_t	 at, bytes;	/* 0 bytes: it is none */
	uint32_t	 mask;
};

/* What the program's registers hold before an instruction. */
struct machine {
	struct pb_known	 a, x;
	struct origin	 origin;	/* of what is in A */
	struct pb_known	 mem[BPF_MEMWORDS];
	uint32_t	 caplen_min;	/* that of those who came so far */
};

/* What an instruction leads to. */
struct step {
	bool		 rejects;	/* it may end here, without a match */
	bool		 goes_on;	/* it may go on, with the machine */
};

/* A program that libpcap compiled; false where there is no memory. */
bool	filter_write_first(struct bpf_program *program);

/* How many a load takes of the packet. */
static inline uint32_t
load_bytes(const struct bpf_insn *insn)
{
	switch (BPF_SIZE(insn->code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	default:
		return 1;
	}
}

void	machine_init(struct machine *machine, const struct pb_alike *packets);

/* Run one instruction that is no jump and no return. */
struct step machine_step(struct machine *machine, const struct bpf_insn *insn,
	    const struct pb_alike *packets);

/* Of a jump: PB_MAY_HOLD, PB_MAY_FAIL; 0: no packet comes here.  And what is
 * known then. */
unsigned machine_test(const struct machine *machine,
	    const struct bpf_insn *insn, const struct pb_alike *packets);
void	machine_assume(struct machine *machine, const struct bpf_insn *insn,
	    bool held);

/* Of BPF_RET: PB_VERDICT_*. */
unsigned machine_return(const struct machine *machine,
	    const struct bpf_insn *insn);

#endif
