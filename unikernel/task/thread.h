/*
 * thread.h - threads of the program, one vCPU
 *
 * This folder: threads and what the one process is: scheduling, futexes,
 * signals, timers, ids, fork, the report of a crash, and the way back to the
 * program.
 *
 * Inside the libOS nothing is pre-empted: a thread gives up the CPU in
 * thread_wait() or thread_yield() only.  Outside it, the tender's tick enters
 * preempt, which may switch.  Every thread has a libOS stack; its saved program
 * registers lie at the top of it.
 *
 * The vector registers, and the FS and GS bases, are always the current
 * thread's own: the libOS never touches them, and a switch exchanges them.
 */
#ifndef UNIKERNEL_THREAD_H
#define UNIKERNEL_THREAD_H

#include "unikernel/lib/lib.h"
#include "unikernel/arch/regs.h"
#include "unikernel/task/signal.h"

#define THREADS_MAX	1024
#define NEVER		(~0ull)		/* never reached: no deadline */

/* the program's registers; entry.S knows the layout by regs.h */
struct regs {
	u64 r15, r14, r13, r12, rbp, rbx;
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 orig_rax;		/* system call number, or -1 */
	u64 rip, rflags, rsp;
};

_Static_assert(offsetof(struct regs, r15) == REG_R15, "regs.h");
_Static_assert(offsetof(struct regs, rbx) == REG_RBX, "regs.h");
_Static_assert(offsetof(struct regs, r11) == REG_R11, "regs.h");
_Static_assert(offsetof(struct regs, rax) == REG_RAX, "regs.h");
_Static_assert(offsetof(struct regs, rcx) == REG_RCX, "regs.h");
_Static_assert(offsetof(struct regs, rdi) == REG_RDI, "regs.h");
_Static_assert(offsetof(struct regs, orig_rax) == REG_ORIG_RAX, "regs.h");
_Static_assert(offsetof(struct regs, rip) == REG_RIP, "regs.h");
_Static_assert(offsetof(struct regs, rflags) == REG_RFLAGS, "regs.h");
_Static_assert(offsetof(struct regs, rsp) == REG_RSP, "regs.h");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "regs.h");

struct waitq {
	struct thread *head, *tail;
};

enum thread_state { THREAD_RUN, THREAD_WAIT, THREAD_DEAD };

struct thread {
	struct regs *regs;		/* the program's, while in the libOS */
	u64 ksp;		/* libOS stack pointer while switched out */
	u8 *kstack;			/* KSTACK_SIZE bytes, then xsave */
	u8 *xsave;			/* vector state while switched out */
	int xsave_valid;		/* it must be loaded on return */
	int tid;
	enum thread_state state;
	u64 fs_base, gs_base;		/* while switched out */
	/* monotonic ns while waiting, or NEVER */
	u64 deadline;
	int wake_reason;		/* 0, -ETIMEDOUT, -EINTR */
	int interruptible;		/* the wait ends with a signal */
	int ticking;			/* the wait may end at a tick */
	struct waitq *waiting;
	struct thread *wq_next, *wq_prev;
	struct thread *next, *prev;	/* all threads */
	struct thread *run_next;	/* run queue */
	u32 *clear_tid;		/* set_tid_address, CLONE_CHILD_CLEARTID */
	void *robust_list;
	size_t robust_len;
	u64 futex_addr;			/* what it waits for, in futex.c */
	u32 futex_bits;
	char name[16];
	struct thread_signals sig;
};

extern struct thread *current;
extern struct thread *thread_list;	/* all threads, oldest first */
extern int thread_count;
/* top of current's libOS stack: the entries put struct regs below it */
extern u64 current_kstack_top;

/*
 * Makes the running context the first thread; called once by boot, after
 * mem_init().  Its libOS stack is a new one: boot stays on its own until it has
 * filled *current->regs (orig_rax -1) and leaves by leave_start().
 */
void thread_init(void);

/*
 * Called after DB_WAIT and at ticks: lets devices make threads runnable whose
 * wait is over.  dev/ sets it; NULL when there are no devices.
 */
extern void (*thread_poll_hook)(void);

/*
 * Sleeps until thread_wake() on q, until deadline (monotonic ns or NEVER), or
 * until a signal is pending and unblocked.  0, -ETIMEDOUT or -EINTR.  A caller
 * re-checks its condition: wake-ups may be spurious.  When no thread can run,
 * the libOS rings DB_WAIT.
 */
int thread_wait(struct waitq *q, u64 deadline);
/* the same, but signals do not end it */
int thread_wait_uninterruptible(struct waitq *q, u64 deadline);
/* wakes up to n waiters, first come, first served; returns how many it woke */
int thread_wake(struct waitq *q, int n);
void thread_wake_one(struct thread *t, int reason);
/* moves a waiting thread to the end of another queue, still waiting */
void thread_move(struct thread *t, struct waitq *to);
void thread_yield(void);
struct thread *thread_find(int tid);

/* wakes threads whose deadline passed; true when the tick should switch */
int thread_tick(void);
/*
 * The last thing before every return to the program: sees ticks that came while
 * in the libOS, lets the next thread run, delivers signals, asks for ticks when
 * they are needed.  *r may be another context afterwards (orig_rax -1).
 */
void thread_return(struct regs *r);

/* sets the number after which those of new threads begin */
void thread_ids_from(int tid);

/* for spawn.c: complete but for regs, TLS and signals; not runnable yet */
struct thread *thread_create(void);
void thread_start(struct thread *t);
/* ends current; the next thread that runs frees it */
void thread_leave(void) __attribute__((noreturn));

/* in leave.c, on every way back: signals, due switches, vector state */
void leave_return(struct regs *r);

/* in iret.S: on to the program at r, on the current thread's libOS stack */
void ret_to_user_full(void);
void leave_start(struct regs *r) __attribute__((noreturn));

/* switch.S */
void thread_switch(u64 *save_ksp, u64 load_ksp);
void thread_begin(void);
/* called by switch.S when it runs on the next thread's stack */
void thread_landed(void);

/* in futex.c: wakes up to n threads that wait at addr */
int futex_wake(u64 addr, int n);

/* in robust.c: marks the robust mutexes that t still holds */
void robust_list_exit(struct thread *t);

long sys_clone(u64 flags, u64 stack, int *ptid, int *ctid, u64 tls);
long sys_clone3(const void *args, size_t size);
long sys_futex(u32 *addr, int op, u32 val, u64 timeout, u32 *addr2, u32 val3);
long sys_exit(int status);
long sys_exit_group(int status);
long sys_set_tid_address(int *tidptr);
long sys_set_robust_list(void *head, size_t len);
long sys_get_robust_list(int tid, u64 *head, size_t *len);
long sys_gettid(void);
long sys_sched_yield(void);

#endif
