/*
 * thread.h - threads of the program, one vCPU
 *
 * Inside the libOS nothing is pre-empted: a thread gives up the CPU in
 * thread_wait() or thread_yield() only.  Outside it, the tender's tick enters
 * preempt, which may switch.  Every thread has a libOS stack; its saved
 * program registers lie at the top of it.
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
#define NEVER		(~0ull)		/* a deadline that does not come */

/* program registers; entry.S knows the layout by regs.h */
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
	struct regs *regs;		/* program's, while in the libOS */
	u64 ksp;		/* libOS stack pointer while switched out */
	u8 *kstack;			/* KSTACK_SIZE bytes, then xsave */
	u8 *xsave;			/* vector state while switched out */
	int xsave_valid;		/* must be restored on return */
	int tid;
	enum thread_state state;
	u64 fs_base, gs_base;		/* while switched out */
	u64 deadline;			/* mono ns while waiting, NEVER: none */
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
extern struct thread *thread_list;	/* all that live, oldest first */
extern int thread_count;
/* top of current's libOS stack: the entries put struct regs below it */
extern u64 current_kstack_top;

/*
 * The first thread, in the running context; called once by boot, after
 * mem_init().  Its libOS stack is a new one: boot stays on its own until it
 * fills *current->regs (orig_rax -1) and leaves by user_start().
 */
void thread_init(void);

/*
 * What devices do when they are looked at: after DB_WAIT and at ticks.  Makes
 * threads runnable whose wait is over.  NULL: there are none (dev/ sets it).
 */
extern void (*thread_poll_hook)(void);

/*
 * Sleeps until thread_wake() on q, or until deadline (mono ns, ~0: never), or
 * until a signal is pending and unblocked.  0, -ETIMEDOUT or -EINTR.  A
 * caller re-checks its condition: wake-ups may be spurious.  When no thread
 * can run, the libOS rings DB_WAIT.
 */
int thread_wait(struct waitq *q, u64 deadline);
/* the same, not ended by signals */
int thread_wait_uninterruptible(struct waitq *q, u64 deadline);
/* wakes up to n waiters (first come, first served); how many it woke */
int thread_wake(struct waitq *q, int n);
void thread_wake_one(struct thread *t, int reason);
/* a waiting thread goes to the end of another queue, still waiting */
void thread_move(struct thread *t, struct waitq *to);
void thread_yield(void);
struct thread *thread_find(int tid);

/* runs whoever's deadline passed; true when the tick should switch */
int thread_tick(void);
/*
 * The last thing before every return to the program: sees ticks that came
 * while in the libOS, rotates, delivers signals, asks for ticks when they
 * are needed.  *r may be another context then (orig_rax -1).
 */
void thread_return(struct regs *r);

/* numbers of threads to come go up from here; never below it again */
void thread_ids_from(int tid);

/* for clone.c: all but regs, TLS and signals is filled; not runnable yet */
struct thread *thread_create(void);
void thread_start(struct thread *t);
/* current is gone; the next thread that runs frees it */
void thread_leave(void) __attribute__((noreturn));

/* switch.S */
void thread_switch(u64 *save_ksp, u64 load_ksp);
void thread_begin(void);
/* thread.c, for switch.S: now on a stack of its own */
void thread_landed(void);

/*
 * fork.c.  fork_hook: set while a fork() is READY; it rings for it, calls
 * task_begin(), and returns in the child, 0 or -errno.  task_fork() is
 * that fork: 0, in the child; or -errno.
 */
extern long (*fork_hook)(void);
long task_fork(u64 flags, u64 stack, int *ctid);
/* READY has returned: the process is another one */
void task_begin(void);

/* futex.c: wakes up to n that wait at addr */
int futex_wake(u64 addr, int n);

/* robust.c: mutexes that current still holds tell the next owner */
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
