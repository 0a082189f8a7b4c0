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

#include "unikernel/lib/kabi_signal.h"
#include "unikernel/lib/lib.h"

#define SIGBIT(n)	(1ull << ((n) - 1))

#define SIG_UNBLOCKABLE	(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
/* signals that an instruction raises are delivered before all others */
#define SIG_SYNCHRONOUS	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | \
			 SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | \
			 SIGBIT(SIGFPE) | SIGBIT(SIGSYS))

struct regs;
struct thread;

struct sigqueue;

/* A bit may be set without an entry: then there was no memory for the info. */
struct sigpending {
	u64 mask;
	struct sigqueue *head;
};

struct thread_signals {
	u64 blocked;
	union {
		u64 pending;		/* the bits alone */
		struct sigpending own;
	};
	u64 waiting_for;		/* blocked signals that end its wait */
	u64 alt_sp;
	u64 alt_size;
	u32 alt_flags;
	u64 saved_mask;			/* to restore after sigsuspend, ppoll */
	int saved_mask_valid;
	u64 trapno, error, cr2;		/* of its latest exception */
};

/* whether the thread has a pending signal, not blocked and not ignored */
int signal_pending(struct thread *t);
/*
 * Sends to t, or for NULL to the process.  1: queued; 0: ignored, or pending
 * already; -EAGAIN: too many are queued.  info NULL means SI_KERNEL.
 */
int signal_send(struct thread *t, int signo, const struct k_siginfo *info);
/*
 * Takes one of set that is pending for current or the process: its number or 0.
 */
int signal_take(u64 set, struct k_siginfo *info);
/* what is pending for the thread or the process */
u64 signal_pending_set(struct thread *t);
/*
 * For rt_sigtimedwait and signalfd: takes one of set, or waits for one until
 * deadline.  Returns its number, -EAGAIN or -EINTR.
 */
int signal_wait(u64 set, struct k_siginfo *info, u64 deadline);
/* called on every return to the program; may change *r, or end the guest */
void signal_deliver(struct regs *r);
/* a processor exception at the program's rip: delivered, or fatal */
void signal_fault(struct regs *r, int signo, int code, u64 addr, u64 vector,
		  u64 error);
/* delivers the signal to current even if it blocks or ignores it */
void signal_force(int signo, const struct k_siginfo *info);
/* reads and replaces an action; drops pending signals that are now ignored */
struct k_sigaction signal_action(int signo);
void signal_action_set(int signo, const struct k_sigaction *act);
/* replaces the mask until the call returns (ppoll, pselect, sigsuspend) */
void signal_mask_temporarily(u64 mask);
/* for a new process: nothing is pending and no timer exists */
void signal_pending_reset(void);
void signal_timer_reset(void);
/* hands a dying thread's pending signals of the process to other threads */
void signal_thread_exit(struct thread *t);

/*
 * In sigframe.c: pushes the handler's frame and sets its registers; -EFAULT
 * when there is no room.
 */
int sigframe_push(struct regs *r, int signo, const struct k_sigaction *act,
		  const struct k_siginfo *info);
/* whether sp lies on the alternate stack */
int sigstack_active(const struct thread_signals *s, u64 sp);
long sigstack_set(struct thread_signals *s, const struct k_stack *ss);
void sigstack_get(const struct thread_signals *s, u64 sp, struct k_stack *ss);

/*
 * In sigrestart.c: *r is an interrupted call (-EINTR).  Makes it begin again
 * where Linux would; act is the handler's action, NULL when none runs.
 */
void signal_restart(struct regs *r, const struct k_sigaction *act);
/* makes current's call answer EINTR, whatever SA_RESTART says */
void signal_no_restart(void);

/* signalfd.c sets it: called when a signal becomes pending that it may watch */
extern void (*signal_pending_hook)(u64 bit);

/*
 * In timer.c: when the earliest timer is due, in monotonic ns, or ~0; and a
 * function that fires what is due.
 */
u64 signal_timer_next(void);
void signal_timer_run(u64 now);
/* whether a timer of any clock runs, which needs ticks */
int signal_timer_armed(void);
/* to call when a timer's signal (info->pad) is delivered or dropped */
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
