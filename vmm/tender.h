/*
 * tender.h - the waist: what differs between the ways to run a guest
 *
 * Above it nothing knows which tender runs: memory (ram.h), doorbells
 * (doorbell.h), clones (clone.h) and rollback are shared.  A tender runs one
 * vCPU in the calling thread.  All calls answer 0 or -errno.
 */
#ifndef VMM_TENDER_H
#define VMM_TENDER_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"

struct tender;
struct ram;

/* general registers; the order is struct kvm_regs's */
struct cpu_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
};

/*
 * All the state that a guest can change outside its memory.  Everything else
 * (segments, control registers, MSRs) is constant: the guest runs at CPL 3.
 */
struct cpu_state {
	struct cpu_regs regs;
	uint64_t fs_base, gs_base;
	uint64_t xcr0;			/* set by create, never by the guest */
	uint8_t xsave[4096];		/* standard format */
};

enum tender_exit {
	TENDER_DOORBELL,		/* nr in regs.rcx, answer to regs.rax */
	TENDER_TRAP,			/* vector, cr2 valid; see tender_trap() */
	TENDER_INTR,			/* a signal, or tender_kick() */
	TENDER_BROKEN,			/* anything else: the guest is finished */
};

struct tender_ops {
	const char *name;
	int (*check)(struct err *err);
	/* host-wide things, once, before any create; inherited by fork */
	int (*init)(struct err *err);
	int (*create)(struct tender **out, struct err *err);
	/* guest [addr, addr + len) is host memory at p */
	int (*map)(struct tender *t, unsigned slot, uint64_t addr,
		   uint64_t len, void *p, int readonly);
	int (*unmap)(struct tender *t, unsigned slot);
	/* the first one, after all map calls of a new guest, makes the vCPU */
	int (*load)(struct tender *t, const struct cpu_state *s);
	int (*save)(struct tender *t, struct cpu_state *s);
	enum tender_exit (*run)(struct tender *t);
	/* async-signal-safe: the current or next run answers TENDER_INTR */
	void (*kick)(struct tender *t);
	/* the faulting address of the last TENDER_TRAP */
	uint64_t (*fault_address)(struct tender *t);
	/* its open descriptors (-1: none), to be kept when others close */
	void (*descriptors)(struct tender *t, int fd[2]);
	void (*destroy)(struct tender *t);
};

/* fields that every tender has at its start */
struct tender {
	const struct tender_ops *ops;
	struct cpu_regs *regs;		/* valid after run; see regs_dirty */
	int regs_dirty;			/* regs were changed: take them */
	unsigned vector;		/* of TENDER_TRAP */
	uint64_t exits;
	char broken[256];		/* TENDER_BROKEN: one line that says why */
};

extern const struct tender_ops tender_kvm;

/* xcr0 and xsave size that guests get here; valid after init */
uint64_t tender_xcr0(void);
unsigned tender_xsave_size(void);
uint64_t tender_tsc_khz(void);

#endif
