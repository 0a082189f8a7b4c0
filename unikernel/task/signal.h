/*
 * signal.h - Linux signals inside one process
 *
 * Signals come from the program itself (kill, tgkill, timers) and from
 * processor exceptions; nothing outside the guest can send one.  They are
 * delivered on the way back to the program, with Linux's rt_sigframe, so
 * that handlers, sigreturn and faulthandler work unmodified.  A fatal one
 * ends the invocation by DB_EXIT(128 + signal, signal).
 */
#ifndef UNIKERNEL_SIGNAL_H
#define UNIKERNEL_SIGNAL_H

#include "unikernel/lib/lib.h"

#define NSIG		65
#define SIGBIT(n)	(1ull << ((n) - 1))

#define K_SIGILL	4
#define K_SIGTRAP	5
#define K_SIGABRT	6
#define K_SIGBUS	7
#define K_SIGFPE	8
#define K_SIGKILL	9
#define K_SIGSEGV	11
#define K_SIGALRM	14
#define K_SIGCHLD	17
#define K_SIGCONT	18
#define K_SIGSTOP	19
#define K_SIGTSTP	20
#define K_SIGTTIN	21
#define K_SIGTTOU	22
#define K_SIGURG	23
#define K_SIGVTALRM	26
#define K_SIGPROF	27
#define K_SIGWINCH	28
#define K_SIGSYS	31
#define K_SIGRTMIN	32		/* from here on they queue */

#define SIG_UNBLOCKABLE	(SIGBIT(K_SIGKILL) | SIGBIT(K_SIGSTOP))
/* those an instruction raises are delivered before all others */
#define SIG_SYNCHRONOUS	(SIGBIT(K_SIGSEGV) | SIGBIT(K_SIGBUS) | \
			 SIGBIT(K_SIGILL) | SIGBIT(K_SIGTRAP) | \
			 SIGBIT(K_SIGFPE) | SIGBIT(K_SIGSYS))

#define K_SIG_DFL	0
#define K_SIG_IGN	1

#define K_SA_SIGINFO	0x00000004
#define K_SA_RESTORER	0x04000000
#define K_SA_ONSTACK	0x08000000
#define K_SA_RESTART	0x10000000
#define K_SA_NODEFER	0x40000000
#define K_SA_RESETHAND	0x80000000u

#define K_SI_USER	0
#define K_SI_KERNEL	0x80
#define K_SI_QUEUE	(-1)
#define K_SI_TIMER	(-2)
#define K_SI_TKILL	(-6)

#define K_SS_ONSTACK	1
#define K_SS_DISABLE	2
#define K_SS_AUTODISARM	0x80000000u
#define K_MINSIGSTKSZ	2048

struct regs;
struct thread;

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

_Static_assert(sizeof(struct k_siginfo) == 128, "siginfo_t");

struct sigqueue;

/* a bit may be set without an entry: memory was out, and the info is lost */
struct sigpending {
	u64 mask;
	struct sigqueue *head;
};

struct thread_signals {
	u64 blocked;
	union {
		u64 pending;		/* the mask alone */
		struct sigpending own;
	};
	u64 waiting_for;		/* blocked ones that end its wait */
	u64 alt_sp;
	u64 alt_size;
	u32 alt_flags;
	u64 saved_mask;			/* to restore after sigsuspend, ppoll */
	int saved_mask_valid;
	u64 trapno, error, cr2;		/* of its last exception */
};

/* pending and unblocked, and not ignored, for the thread */
int signal_pending(struct thread *t);
/*
 * To one thread, or to whichever takes it (t NULL).  1: queued; 0: ignored,
 * or pending already; -EAGAIN: too many are queued.  info NULL: SI_KERNEL.
 */
int signal_send(struct thread *t, int signo, const struct k_siginfo *info);
/* current's, or one of the process's, out of set: its number, 0 when none */
int signal_take(u64 set, struct k_siginfo *info);
/* what is pending for the thread or the process */
u64 signal_pending_set(struct thread *t);
/*
 * Takes one of set; waits for it until deadline.  Its number, -EAGAIN or
 * -EINTR.  rt_sigtimedwait and signalfd.
 */
int signal_wait(u64 set, struct k_siginfo *info, u64 deadline);
/* called on every return to the program; may rewrite *r or not return */
void signal_deliver(struct regs *r);
/* an exception at the program's own rip: deliver or die */
void signal_fault(struct regs *r, int signo, int code, u64 addr, u64 vector,
		  u64 error);
/* current gets it now, whatever it blocks or ignores */
void signal_force(int signo, const struct k_siginfo *info);
/* the action, and its replacement; flushes what became ignored */
struct k_sigaction signal_action(int signo);
void signal_action_set(int signo, const struct k_sigaction *act);
/* replaces the mask until the call returns (ppoll, pselect, sigsuspend) */
void signal_mask_temporarily(u64 mask);
/* a new process: nothing is pending, no timer is there */
void signal_pending_reset(void);
void signal_timer_reset(void);
/* what the process had asked a dying thread to take goes to another */
void signal_thread_exit(struct thread *t);

/* sigframe.c: the handler's frame and registers; -EFAULT: no room */
int sigframe_push(struct regs *r, int signo, const struct k_sigaction *act,
		  const struct k_siginfo *info);
/* on the alternate stack? */
int sigstack_active(const struct thread_signals *s, u64 sp);
long sigstack_set(struct thread_signals *s, const struct k_stack *ss);
void sigstack_get(const struct thread_signals *s, u64 sp, struct k_stack *ss);

/*
 * sigrestart.c: *r is an interrupted call (-EINTR).  Makes it begin again
 * where Linux would; act is the handler's action, NULL when none runs.
 */
void signal_restart(struct regs *r, const struct k_sigaction *act);
/* current's call answers EINTR, whoever handles the signal */
void signal_no_restart(void);

/* a signal is pending that descriptors may look for (signalfd.c sets it) */
extern void (*signal_pending_hook)(u64 bit);

/* timer.c: earliest timer, mono ns or ~0; fires what is due */
u64 signal_timer_next(void);
void signal_timer_run(u64 now);
/* timers that run, on any clock: they need ticks */
int signal_timer_armed(void);
/* the signal of a timer (info->pad) is being delivered, or was dropped */
void signal_timer_taken(struct k_siginfo *info);

long sys_rt_sigaction(int sig, const void *act, void *old, size_t size);
long sys_rt_sigprocmask(int how, const u64 *set, u64 *old, size_t size);
long sys_rt_sigreturn(void);
long sys_rt_sigpending(u64 *set, size_t size);
long sys_rt_sigsuspend(const u64 *set, size_t size);
long sys_rt_sigtimedwait(const u64 *set, void *info, const void *ts,
			 size_t size);
long sys_rt_sigqueueinfo(int pid, int sig, const void *info);
long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, const void *info);
long sys_sigaltstack(const void *ss, void *old);
long sys_kill(int pid, int sig);
long sys_tkill(int tid, int sig);
long sys_tgkill(int tgid, int tid, int sig);
long sys_pause(void);

long sys_alarm(unsigned seconds);
long sys_setitimer(int which, const void *value, void *old);
long sys_getitimer(int which, void *value);
long sys_timer_create(int clock, const void *sigevent, int *id);
long sys_timer_settime(int id, int flags, const void *value, void *old);
long sys_timer_gettime(int id, void *value);
long sys_timer_getoverrun(int id);
long sys_timer_delete(int id);

#endif
