/*
 * kabi_signal.h - Linux's ABI of signals (kabi.h has the rule)
 */
#ifndef UNIKERNEL_KABI_SIGNAL_H
#define UNIKERNEL_KABI_SIGNAL_H

#include "unikernel/lib/types.h"

#define _NSIG		64		/* the highest */

#define SIGILL		4
#define SIGTRAP		5
#define SIGABRT		6
#define SIGBUS		7
#define SIGFPE		8
#define SIGKILL		9
#define SIGSEGV		11
#define SIGPIPE		13
#define SIGALRM		14
#define SIGCHLD		17
#define SIGCONT		18
#define SIGSTOP		19
#define SIGTSTP		20
#define SIGTTIN		21
#define SIGTTOU		22
#define SIGURG		23
#define SIGVTALRM	26
#define SIGPROF		27
#define SIGWINCH	28
#define SIGSYS		31
#define SIGRTMIN	32		/* from here on they queue */

#define SIG_DFL		0
#define SIG_IGN		1

#define SIG_BLOCK	0
#define SIG_UNBLOCK	1
#define SIG_SETMASK	2

#define SA_SIGINFO	0x00000004
#define SA_RESTORER	0x04000000
#define SA_ONSTACK	0x08000000
#define SA_RESTART	0x10000000
#define SA_NODEFER	0x40000000
#define SA_RESETHAND	0x80000000u

#define SI_USER		0
#define SI_KERNEL	0x80
#define SI_QUEUE	(-1)
#define SI_TIMER	(-2)
#define SI_TKILL	(-6)

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

#define SS_ONSTACK	1
#define SS_DISABLE	2
#define SS_AUTODISARM	0x80000000u
#define MINSIGSTKSZ	2048

/* what a handler's frame says of itself: k_ucontext.flags, k_fpx_sw_bytes */
#define UC_FP_XSTATE		1
#define UC_SIGCONTEXT_SS	2
#define UC_STRICT_RESTORE_SS	4
#define FP_XSTATE_MAGIC1	0x46505853u
#define FP_XSTATE_MAGIC2	0x46505845u
#define FP_XSTATE_MAGIC2_SIZE	4

/* what sys_rt_sigaction takes */
struct k_sigaction {
	u64 handler, flags, restorer, mask;
};

struct k_stack {
	u64 sp;
	u32 flags, pad;
	u64 size;
};

/*
 * As Linux lays out siginfo_t.  pad is 0 in what the program sees; inside the
 * libOS it is 1 + the number of the POSIX timer that sent the signal.
 */
struct k_siginfo {
	int signo, err, code, pad;
	u64 fields[14];
};

struct k_sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2;
	u64 fpstate;
	u64 reserved[8];
};

struct k_ucontext {
	u64 flags, link;
	struct k_stack stack;
	struct k_sigcontext mc;
	u64 sigmask;
};

struct k_rt_sigframe {
	u64 restorer;
	struct k_ucontext uc;
	struct k_siginfo info;
};

/* bytes 464..511 of the legacy area of an XSAVE image in a frame */
struct k_fpx_sw_bytes {
	u32 magic1, extended_size;
	u64 xfeatures;
	u32 xstate_size, padding[7];
};

_Static_assert(sizeof(struct k_sigaction) == 32, "struct sigaction");
_Static_assert(sizeof(struct k_stack) == 24, "stack_t");
_Static_assert(sizeof(struct k_siginfo) == 128, "siginfo_t");
_Static_assert(sizeof(struct k_sigcontext) == 256, "struct sigcontext");
_Static_assert(sizeof(struct k_ucontext) == 304, "struct ucontext");
_Static_assert(sizeof(struct k_rt_sigframe) == 440, "struct rt_sigframe");
_Static_assert(sizeof(struct k_fpx_sw_bytes) == 48, "struct _fpx_sw_bytes");
#endif
