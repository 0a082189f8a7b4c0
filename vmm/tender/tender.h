/*
 * tender.h - the waist: what differs between the ways to run a guest
 *
 * In this folder is what runs a guest: a tender for each way, and what its
 * guest finds in memory at power-on.  Whoever uses a tender does not know
 * which it is.  A tender runs one vCPU in the calling thread.  All calls
 * answer 0 or -errno.
 *
 * kvm	    (kvm.c) a virtual machine over this process's own memory
 * process  (process.c) a locked child, whose memory is reached from outside
 */
#ifndef VMM_TENDER_H
#define VMM_TENDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "conf/words.h"
#include "vmm/tender/jail_rule.h"

struct tender;
struct ram;
struct uk_trap;

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
	TENDER_TRAP,			/* an exception: ask trap() */
	TENDER_INTR,			/* a signal came, or a tick */
	TENDER_BROKEN,		/* anything else: the guest is finished */
};

#define TENDER_FDS	7

/* how a process that is to have a guest's memory comes to know of it */
struct tender_wait {
	int (*get)(void *arg);		/* waits for it; 0 or -errno */
	void *arg;
	int fd[2];			/* that stay open for that, or -1 */
};

struct tender_ops {
	const char *name;
	const struct tender_jail *jail;
	int (*check)(struct err *err);
	/* host-wide things, once, before any create; inherited by fork */
	int (*init)(struct err *err);
	int (*create)(struct tender **out, struct ram *ram, struct err *err);
	/* what this tender's stub page holds, before the first create */
	void (*stubs)(struct ram *ram);
	/*
	 * Guest [addr, addr + len) is host memory at p.  The caller numbers
	 * its mappings by slots, from 0; unmap names the slot and address of
	 * one of them.
	 */
	int (*map)(struct tender *t, unsigned slot, uint64_t addr,
		   uint64_t len, void *p, int readonly);
	int (*unmap)(struct tender *t, unsigned slot, uint64_t addr);
	/* the first one, after all map calls of a new guest, makes the vCPU */
	int (*load)(struct tender *t, const struct cpu_state *s);
	/*
	 * Before the first load: of that, all that does not need to know what is
	 * in the guest's memory.  Who has its pages calls w->get, which lays in
	 * them what is to be there, and the load ends once it has.  NULL: a
	 * load does it, and what is laid later is there.
	 */
	int (*stand)(struct tender *t, const struct tender_wait *w);
	int lays;			/* the first load heeds ram.there */
	/*
	 * Before a rollback touches memory: the guest is where no code of its
	 * own can run until the next load.  NULL: it always is, between runs.
	 */
	int (*settle)(struct tender *t);
	int (*save)(struct tender *t, struct cpu_state *s);
	/*
	 * To prove a rollback: is what neither memory nor save() shows (of a
	 * process: its signals) as it was made?  -EUCLEAN when not.  NULL:
	 * there is nothing else.
	 */
	int (*verify)(struct tender *t);
	enum tender_exit (*run)(struct tender *t);
	/*
	 * The guest rang and is to wait, for as long as it takes: is it where
	 * no code of its own runs?  -errno: it was not, or is over, and is
	 * ended.  NULL: it always is, between runs.
	 */
	int (*rest)(struct tender *t, int over);
	/*
	 * Where a guest's first touch of a page is slow, and before any guest
	 * has run: these pages of RAM have been touched, as far as that goes.
	 * A load has to come next.  NULL: there is nothing to gain.
	 */
	void (*touch)(struct tender *t, const uint32_t *page, size_t n);
	/* async-signal-safe: the current or next run answers TENDER_INTR */
	void (*kick)(struct tender *t);
	/* a tick has found it between runs; or NULL */
	void (*idle)(struct tender *t);
	/*
	 * After TENDER_INTR: regs->rip is where the guest is, or -errno; it may
	 * have gone on until here.  NULL: it always is.
	 */
	int (*locate)(struct tender *t);
	/*
	 * The last TENDER_TRAP: what happened; the next run enters the libOS
	 * at entry.  -EFAULT, and broken says why, when no program's
	 * instruction did it.
	 */
	int (*trap)(struct tender *t, struct uk_trap *facts, uint64_t entry);
	/* its open descriptors (-1: none), to be kept when others close */
	void (*descriptors)(struct tender *t, int fd[TENDER_FDS]);
	void (*destroy)(struct tender *t);
};

/* fields that every tender has at its start */
struct tender {
	const struct tender_ops *ops;
	/* the process in which the guest runs, from load on; 0: in this one */
	pid_t remote;
	struct cpu_regs *regs;		/* valid after run; see regs_dirty */
	int regs_dirty;			/* regs were changed: take them */
	unsigned vector;		/* of TENDER_TRAP */
	uint64_t exits;
	enum {				/* with TENDER_BROKEN: */
		TENDER_OWN_DOING,
		TENDER_KILLED,		/* somebody ended its process, */
		TENDER_KILLED_IDLE,	/* or it ended before this run began */
	} killed;
	char broken[256];	/* TENDER_BROKEN: one line that says why */
};

extern const struct tender_ops tender_kvm, tender_process;

/* the processor that guests get here; set by init and create */
struct tender_cpu {
	uint64_t xcr0;
	unsigned xsave_size;		/* of the standard format */
	uint64_t tsc_khz;
	uint64_t signature;		/* of what a guest can tell of it: two
					   that differ are of different ones */
};
extern struct tender_cpu tender_cpu;

/*
 * A debugger is to attach to guests' processes: set before create, inherited
 * by fork.  They let it, and the libOS's text can take its breakpoints.
 */
extern int tender_debug;

#endif
