/*
 * process.h - the pages that a process tender shares with its guest
 *
 * They lie in SYS, where no page table of the KVM tender points, so the
 * libOS knows nothing of them:
 *
 *   PROC_RO     r--  struct process_ro: the tender's orders; 2 pages, the
 *		      second is the vector state to load
 *   PROC_LIST   r--  struct process_run[]: which pages to restore
 *   PROC_RW     rw-  struct process_rw: what the stub tells; 2 pages, the
 *		      second is vector state saved
 *   PROC_ALT    rw-  the signal stack; part of the snapshot
 *
 * [PROC_SHARED, PROC_SHARED_END) is memory that tender and child both map:
 * the pages above, and before them uk_clock, uk_ctl, uk_out, report and log.
 * The rest of RAM is the child's own, private over the snapshot; what lies
 * beyond the snapshot's spans is anonymous, so that reading it takes no memory.
 *
 * PROC_SNAP + address is the snapshot's content of an address, read-only: above
 * all that libOS and page tables know of.  It is no secret, the guest was it.
 * There is none before there is a snapshot.  Of what was placed in a shell, the
 * pages of the uppermost delta lie at PROC_LAST instead, as they are in its file:
 * one mapping.
 *
 * The child tells by `ring` (its futex) and waits for `seq` (its other one)
 * to change; beside these it has one system call, which drops pages of its
 * own.
 */
#ifndef VMM_PROCESS_H
#define VMM_PROCESS_H

#include "unikernel/abi.h"

#define PROC_SHARED	UK_CLOCK
#define PROC_RO		0x070111000
#define PROC_LOAD_AREA	0x070112000
#define PROC_LIST	0x070113000
#define PROC_LIST_SIZE	0x3000
#define PROC_RW		0x070116000
#define PROC_SAVE_AREA	0x070117000
#define PROC_SHARED_END	0x070118000
#define PROC_ALT	0x070120000
#define PROC_ALT_SIZE	0x10000
#define PROC_SNAP	(UK_END + 0x4a00000)	/* RAM_ASIDE from RAM */
#define PROC_LAST	(PROC_SNAP + UK_RAM_END)
#define PROC_LAST_END	(PROC_LAST + UK_RAM_END)

/* process_rw.kind: what the stub tells */
#define PROC_DOORBELL	2	/* regs are all of the program's */
#define PROC_TRAP	3 /* vector, error, cr2, cs, regs.rip/rsp/rflags */
#define PROC_TICK	4	/* a tick, outside libOS and stub; the same */
#define PROC_SAVED	5	/* vector state is at PROC_SAVE_AREA */
#define PROC_FAILED	6	/* regs.rax: -errno of the lock */
#define PROC_CLEAN	7	/* will be asleep at process_parked very soon */

/* process_ro.mode: how it goes on */
#define PROC_RET	1	/* from a doorbell, with rax */
#define PROC_SAVE	2 /* in a doorbell: save vector state, tell again */
#define PROC_ENTER	3	/* from a signal, into the libOS at rip */
#define PROC_BACK	4	/* from a signal, to where it came */
#define PROC_PARK	5	/* be clean, restore, wait at process_parked */
#define PROC_LOAD	6	/* from there only: take all of it and go */

/* process_run.op */
#define RUN_COPY	0	/* from PROC_SNAP */
#define RUN_ZERO	1	/* what lies beyond the snapshot */
#define RUN_DROP	2	/* either of them, by giving it back */
#define RUN_LAST	3	/* a copy from the page that the next entry names */

/* offsets for the stub */
#define RO_SEQ		(PROC_RO + 0)
#define RO_MODE		(PROC_RO + 4)
#define RO_RAX		(PROC_RO + 8)
#define RO_RIP		(PROC_RO + 16)
#define RO_SYSCALL	(PROC_RO + 24)
#define RO_TEXT		(PROC_RO + 32)
#define RO_TEXT_END	(PROC_RO + 40)
#define RO_XMASK	(PROC_RO + 48)
#define RO_FS		(PROC_RO + 56)
#define RO_GS		(PROC_RO + 64)
#define RO_REGS		(PROC_RO + 72)
#define RO_IRET		(PROC_RO + 216)
#define RO_RUNS		(PROC_RO + 256)
#define RO_TELL		(PROC_RO + 260)
#define RO_FPROG	(PROC_RO + 264)
#define RW_RING		(PROC_RW + 0)
#define RW_KIND		(PROC_RW + 4)
#define RW_REGS		(PROC_RW + 8)
#define RW_FS		(PROC_RW + 152)
#define RW_GS		(PROC_RW + 160)
#define RW_VECTOR	(PROC_RW + 168)
#define RW_ERROR	(PROC_RW + 176)
#define RW_CR2		(PROC_RW + 184)
#define RW_CS		(PROC_RW + 192)
#define RW_STACK	(PROC_RW + UK_PAGE)

/* in struct cpu_regs */
#define R_RAX	0
#define R_RBX	8
#define R_RCX	16
#define R_RDX	24
#define R_RSI	32
#define R_RDI	40
#define R_RSP	48
#define R_RBP	56
#define R_R8	64
#define R_R9	72
#define R_R10	80
#define R_R11	88
#define R_R12	96
#define R_R13	104
#define R_R14	112
#define R_R15	120
#define R_RIP	128
#define R_RFLAGS 136

/* what the trampoline unmaps: everything that is not the guest's */
#define PROC_TOP	0x7ffffffff000

#ifndef __ASSEMBLER__
#include <linux/filter.h>
#include <stdatomic.h>
#include <stddef.h>

#include "vmm/memory/ram.h"
#include "vmm/tender/tender.h"

#define PROC_FILTER_MAX	64

struct process_ro {
	_Atomic uint32_t seq;
	uint32_t mode;
	uint64_t rax, rip;
	uint64_t syscall, text, text_end;
	uint64_t xmask, fs, gs;
	struct cpu_regs regs;
	uint64_t iret[5];		/* rip, cs, rflags, rsp, ss */
	uint32_t runs;			/* that PARK takes from PROC_LIST */
	uint32_t tell;			/* a tick is told from the libOS too */
	struct {
		uint16_t len, pad[3];
		uint64_t filter;	/* guest address */
	} fprog;
	struct sock_filter filter[PROC_FILTER_MAX];
};

struct process_run {
	uint32_t page;			/* address / UK_PAGE */
	uint32_t n : 30, op : 2;
};
#define PROC_RUNS	(PROC_LIST_SIZE / sizeof(struct process_run))

struct process_rw {
	_Atomic uint32_t ring;
	uint32_t kind;
	struct cpu_regs regs;
	uint64_t fs, gs;
	uint64_t vector, error, cr2, cs;
};

#define PROC_AT(s, field, at, page) \
	_Static_assert(offsetof(struct s, field) == (at) - (page), #field)
PROC_AT(process_ro, mode, RO_MODE, PROC_RO);
PROC_AT(process_ro, rax, RO_RAX, PROC_RO);
PROC_AT(process_ro, rip, RO_RIP, PROC_RO);
PROC_AT(process_ro, syscall, RO_SYSCALL, PROC_RO);
PROC_AT(process_ro, text_end, RO_TEXT_END, PROC_RO);
PROC_AT(process_ro, xmask, RO_XMASK, PROC_RO);
PROC_AT(process_ro, gs, RO_GS, PROC_RO);
PROC_AT(process_ro, regs, RO_REGS, PROC_RO);
PROC_AT(process_ro, iret, RO_IRET, PROC_RO);
PROC_AT(process_ro, runs, RO_RUNS, PROC_RO);
PROC_AT(process_ro, tell, RO_TELL, PROC_RO);
PROC_AT(process_ro, fprog, RO_FPROG, PROC_RO);
PROC_AT(process_rw, kind, RW_KIND, PROC_RW);
PROC_AT(process_rw, regs, RW_REGS, PROC_RW);
PROC_AT(process_rw, fs, RW_FS, PROC_RW);
PROC_AT(process_rw, vector, RW_VECTOR, PROC_RW);
PROC_AT(process_rw, cs, RW_CS, PROC_RW);
_Static_assert(offsetof(struct cpu_regs, rsp) == R_RSP, "cpu_regs");
_Static_assert(offsetof(struct cpu_regs, r15) == R_R15, "cpu_regs");
_Static_assert(offsetof(struct cpu_regs, rflags) == R_RFLAGS, "cpu_regs");
_Static_assert((PROC_SNAP - UK_END) % RAM_ALIAS == RAM_ASIDE &&
	       UK_END % RAM_ALIAS == 0, "PROC_SNAP is aside of RAM");
_Static_assert(sizeof(struct process_ro) <= UK_PAGE, "process_ro is a page");
_Static_assert(sizeof(struct process_run) == 8, "process_run");

/* the stub page, in this program's read-only data */
extern const uint8_t process_stub[], process_stub_end[];
/* in it, as offsets from its start */
extern const uint8_t process_wait[], process_parked[], process_leave[];
extern const uint8_t process_on_syscall[], process_on_trap[], process_on_tick[];
extern const uint8_t process_restorer[];

static inline uint64_t process_stub_at(const uint8_t *label)
{
	return UK_STUB + (uint64_t)(label - process_stub);
}

/* process_check.c */
int process_check(struct err *err);
int process_init(struct err *err);

/* process_child.c */
struct process_child {
	struct ram *ram;
	void *windows;			/* of host windows 1 and up, or NULL */
	uint64_t windows_size;
	const struct tender_wait *wait;	/* before it goes on; or NULL */
};

/* the child's filter, into ro */
void process_filter_set(struct process_ro *ro);
/*
 * forks; the child ends up in process_leave.  Its pid, and a pidfd, or -errno
 */
pid_t process_child_start(const struct process_child *c, int *pidfd);
#endif
#endif
