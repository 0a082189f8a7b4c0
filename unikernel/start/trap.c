/*
 * trap.c - processor exceptions, ticks, and the way back to the program
 *
 * An exception at the program's own rip becomes a Linux signal.  One inside
 * the libOS is our bug, for system calls look at no address that user_ok() has
 * not allowed, or the program wrote over us: crash.c.
 */
#include "unikernel/task/crash.h"
#include "unikernel/arch/regs.h"
#include "unikernel/start/entry.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/task/signal.h"
#include "unikernel/start/syscall.h"
#include "unikernel/task/thread.h"
#include "unikernel/arch/xstate.h"

#define CTL_OFFSET(field) __builtin_offsetof(__typeof__(*uk_ctl), field)
_Static_assert(CTL_OFFSET(trap.at.rip) == CTL_TRAP_RIP, "entry.h");
_Static_assert(CTL_OFFSET(trap.at.rsp) == CTL_TRAP_RSP, "entry.h");
_Static_assert(CTL_OFFSET(trap.at.rflags) == CTL_TRAP_RFLAGS, "entry.h");
_Static_assert(CTL_OFFSET(preempt.rip) == CTL_PREEMPT_RIP, "entry.h");
_Static_assert(CTL_OFFSET(preempt.rsp) == CTL_PREEMPT_RSP, "entry.h");
_Static_assert(CTL_OFFSET(preempt.rflags) == CTL_PREEMPT_RFLAGS, "entry.h");

#define SIGILL		4
#define SIGTRAP		5
#define SIGBUS		7
#define SIGFPE		8
#define SIGSEGV		11

#define SI_KERNEL	0x80
#define ILL_ILLOPN	2
#define FPE_INTDIV	1
#define FPE_FLTDIV	3
#define FPE_FLTOVF	4
#define FPE_FLTUND	5
#define FPE_FLTRES	6
#define FPE_FLTINV	7
#define SEGV_MAPERR	1
#define SEGV_ACCERR	2
#define BUS_ADRALN	1
#define TRAP_TRACE	2

static struct uk_trap trap_copy(void)
{
	return (struct uk_trap){
		.vector = uk_ctl->trap.vector,
		.error = uk_ctl->trap.error,
		.cr2 = uk_ctl->trap.cr2,
		.at = {
			uk_ctl->trap.at.rip, uk_ctl->trap.at.rsp,
			uk_ctl->trap.at.rflags,
		},
	};
}

/* which of the unmasked floating-point exceptions it was */
static int fpe_code(u32 unmasked)
{
	if (unmasked & 1)
		return FPE_FLTINV;
	if (unmasked & 4)
		return FPE_FLTDIV;
	if (unmasked & 8)
		return FPE_FLTOVF;
	if (unmasked & 0x12)
		return FPE_FLTUND;
	return unmasked & 0x20 ? FPE_FLTRES : SI_KERNEL;
}

static int x87_code(void)
{
	u16 status, control;

	__asm__ volatile("fnstsw %0" : "=m"(status));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	return fpe_code(status & ~control);
}

static int sse_code(void)
{
	u32 mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return fpe_code(mxcsr & ~(mxcsr >> 7));
}

/* Linux's signal, code and address for an exception */
struct fault {
	int signo, code;
	u64 addr;
};

static struct fault fault_of(const struct uk_trap *t)
{
	switch (t->vector) {
	case VEC_DE:
		return (struct fault){ SIGFPE, FPE_INTDIV, t->at.rip };
	case VEC_DB:
		return (struct fault){ SIGTRAP, TRAP_TRACE, t->at.rip };
	case VEC_BP:
		return (struct fault){ SIGTRAP, SI_KERNEL, 0 };
	case VEC_UD:
		return (struct fault){ SIGILL, ILL_ILLOPN, t->at.rip };
	case VEC_NP:
	case VEC_SS:
		return (struct fault){ SIGBUS, SI_KERNEL, 0 };
	case VEC_PF:
		return (struct fault){ SIGSEGV, t->error & PF_PRESENT ?
				       SEGV_ACCERR : SEGV_MAPERR, t->cr2 };
	case VEC_MF:
		return (struct fault){ SIGFPE, x87_code(), t->at.rip };
	case VEC_XM:
		return (struct fault){ SIGFPE, sse_code(), t->at.rip };
	case VEC_AC:
		return (struct fault){ SIGBUS, BUS_ADRALN, 0 };
	default:
		return (struct fault){ SIGSEGV, SI_KERNEL, 0 };
	}
}

void trap_in_libos(u64 rbp)
{
	struct uk_trap t = trap_copy();
	struct crash_at at = { t.at.rip, t.at.rsp, rbp };
	char what[96];

	if (t.vector == VEC_PF)
		k_snprintf(what, sizeof(what), "libOS: page fault at address "
			   "0x%lx, error 0x%lx", t.cr2, t.error);
	else
		k_snprintf(what, sizeof(what), "libOS: exception %lu, error "
			   "0x%lx", t.vector, t.error);
	crash_libos(&at, fault_of(&t).signo, what);
}

void trap_enter(struct regs *r)
{
	struct uk_trap t = trap_copy();
	struct fault f = fault_of(&t);

	if (crashing)
		crash_end();
	current->regs = r;
	signal_fault(r, f.signo, f.code, f.addr, t.vector, t.error);
}

/*
 * thread_return() sees the tick, as it sees those that come in the libOS.
 * The libOS touches no vector register: a switch saves them, if there is one.
 */
void preempt_enter(struct regs *r)
{
	current->regs = r;
}
