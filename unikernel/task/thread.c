/*
 * thread.c - the scheduler: one run queue, first come, first served
 *
 * Invariants.  current is in no queue and its state is THREAD_RUN (or DEAD,
 * in thread_leave()).  A thread in THREAD_WAIT is in exactly one wait queue; a
 * thread in THREAD_RUN that is not current is in the run queue once.  Only
 * schedule() changes current.
 */
#include "unikernel/task/crash.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"
#include "unikernel/arch/xstate.h"

#define STACK_CANARY	0x5045454b5f53554bull

/* what thread_switch() leaves on the stack of a switched-out thread */
struct kframe {
	u64 r15, r14, r13, r12, rbx, rbp;
	u64 rip;
};

struct thread *current;
void (*thread_poll_hook)(void);
struct thread *thread_list;
int thread_count;
u64 current_kstack_top;

static struct thread *run_head, *run_tail;
/* the thread that ended last, to be freed from another stack */
static struct thread *zombie;
static int ticking_waiters;
static u64 ticks_seen;

static u64 get_fs_base(void)
{
	u64 v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static u64 get_gs_base(void)
{
	u64 v;

	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

static void run_push(struct thread *t)
{
	t->state = THREAD_RUN;
	t->run_next = NULL;
	if (run_tail)
		run_tail->run_next = t;
	else
		run_head = t;
	run_tail = t;
}

static struct thread *run_pop(void)
{
	struct thread *t = run_head;

	if (!t)
		return NULL;
	run_head = t->run_next;
	if (!run_head)
		run_tail = NULL;
	t->run_next = NULL;
	return t;
}

static void waitq_push(struct waitq *q, struct thread *t)
{
	t->waiting = q;
	t->wq_next = NULL;
	t->wq_prev = q->tail;
	if (q->tail)
		q->tail->wq_next = t;
	else
		q->head = t;
	q->tail = t;
}

static void waitq_remove(struct thread *t)
{
	struct waitq *q = t->waiting;

	if (t->wq_prev)
		t->wq_prev->wq_next = t->wq_next;
	else
		q->head = t->wq_next;
	if (t->wq_next)
		t->wq_next->wq_prev = t->wq_prev;
	else
		q->tail = t->wq_prev;
	t->waiting = NULL;
	t->wq_next = t->wq_prev = NULL;
}

/* pages of a libOS stack and of the vector area behind it */
static u64 kstack_pages(void)
{
	return (KSTACK_SIZE + ROUND_UP(xstate_size(), UK_PAGE)) / UK_PAGE;
}

/* saves what the processor holds of t, which runs and is switched out */
static void state_save(struct thread *t)
{
	t->fs_base = get_fs_base();
	t->gs_base = get_gs_base();
	xstate_save(t->xsave);
}

static void state_load(struct thread *t)
{
	__asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
	__asm__ volatile("wrgsbase %0" : : "r"(t->gs_base));
	xstate_load(t->xsave);
	t->xsave_valid = 0;
}

static void switch_to(struct thread *next)
{
	struct thread *prev = current;

	assert(*(u64 *)prev->kstack == STACK_CANARY);
	if (prev->state == THREAD_DEAD)
		zombie = prev;
	else
		state_save(prev);
	current = next;
	current_kstack_top = (u64)next->kstack + KSTACK_SIZE;
	state_load(next);
	thread_switch(&prev->ksp, next->ksp);
	thread_landed();
}

void thread_landed(void)
{
	struct thread *t = zombie;

	if (!t)
		return;
	zombie = NULL;
	pages_free((u64)t->kstack, kstack_pages());
	kfree(t);
}

/* makes threads runnable whose fetch, timer or deadline is due */
static void expire(void)
{
	struct thread *t, *first = NULL;
	u64 now;

	if (thread_poll_hook)
		thread_poll_hook();
	now = now_mono();
	signal_timer_run(now);
	/*
	 * Of the threads that wait for a futex only the one that is due first
	 * is woken.  Were all woken, each would wait again in the order in
	 * which it was woken, and a lock that is handed to the first in line
	 * (Python's) would go back and forth between two threads while others
	 * starve.
	 */
	for (t = thread_list; t; t = t->next) {
		if (t->state != THREAD_WAIT || t->deadline > now)
			continue;
		if (!t->futex_addr)
			thread_wake_one(t, -ETIMEDOUT);
		else if (!first || t->deadline < first->deadline)
			first = t;
	}
	if (first)
		thread_wake_one(first, -ETIMEDOUT);
}

/* no thread can run: sleep in the tender until something is due */
static void idle(void)
{
	u64 start = now_mono(), next = signal_timer_next();
	struct thread *t;

	for (t = thread_list; t; t = t->next)
		if (t->state == THREAD_WAIT)
			next = MIN(next, t->deadline);
	if (next > start) {
		doorbell((long)next, 0, 0, DB_WAIT);
		time_idle_ns += now_mono() - start;
		if (uk_ctl->flags & UK_CTL_OVERDUE)
			crash_overdue();
	}
	expire();
}

static void schedule(void)
{
	struct thread *next;

	while (!(next = run_pop()))
		idle();
	if (next != current)
		switch_to(next);
}

static int wait_on(struct waitq *q, u64 deadline, int interruptible)
{
	struct thread *t = current;

	if (interruptible && signal_pending(t))
		return -EINTR;
	if (deadline != NEVER && deadline <= now_mono())
		return -ETIMEDOUT;
	t->state = THREAD_WAIT;
	t->deadline = deadline;
	t->interruptible = interruptible;
	/* only another thread can end a futex wait without deadline */
	t->ticking = deadline != NEVER || !t->futex_addr;
	ticking_waiters += t->ticking;
	waitq_push(q, t);
	schedule();
	return t->wake_reason;
}

int thread_wait(struct waitq *q, u64 deadline)
{
	return wait_on(q, deadline, 1);
}

int thread_wait_uninterruptible(struct waitq *q, u64 deadline)
{
	return wait_on(q, deadline, 0);
}

void thread_wake_one(struct thread *t, int reason)
{
	if (t->state != THREAD_WAIT)
		return;
	waitq_remove(t);
	ticking_waiters -= t->ticking;
	t->wake_reason = reason;
	run_push(t);
}

int thread_wake(struct waitq *q, int n)
{
	int woken;

	for (woken = 0; woken < n && q->head; woken++)
		thread_wake_one(q->head, 0);
	return woken;
}

void thread_move(struct thread *t, struct waitq *to)
{
	waitq_remove(t);
	waitq_push(to, t);
}

void thread_yield(void)
{
	if (!run_head)
		return;
	run_push(current);
	schedule();
}

struct thread *thread_find(int tid)
{
	struct thread *t;

	for (t = thread_list; t && t->tid != tid; t = t->next)
		;
	return t;
}

int thread_tick(void)
{
	ticks_seen = uk_ctl->ticks;
	if (uk_ctl->flags & UK_CTL_OVERDUE)
		crash_overdue();
	/* the tender has something to do where no code runs */
	if (uk_ctl->flags & UK_CTL_RING)
		doorbell(0, 0, 0, DB_WAIT);
	expire();
	return run_head != NULL;
}

void thread_return(struct regs *r)
{
	u32 want;

	if (uk_ctl->ticks != ticks_seen && thread_tick())
		thread_yield();
	signal_deliver(r);
	want = run_head || ticking_waiters || signal_timer_armed();
	/* a write costs a page of every clone, so only a change is written */
	if (uk_out->want_tick != want)
		uk_out->want_tick = want;
}

static void list_add(struct thread *t)
{
	struct thread *last = thread_list;

	while (last && last->next)
		last = last->next;
	t->prev = last;
	if (last)
		last->next = t;
	else
		thread_list = t;
	thread_count++;
}

static void list_remove(struct thread *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		thread_list = t->next;
	if (t->next)
		t->next->prev = t->prev;
	thread_count--;
}

/*
 * Thread numbers count up and wrap around, skipping those in use.  Before READY
 * they stay below the numbers of later processes, and afterwards at or above
 * the lowest of these.
 */
static int tid_last = UK_PID_BOOT - 1;

void thread_ids_from(int tid)
{
	tid_last = tid;
}

static int tid_new(void)
{
	do {
		if (++tid_last == UK_PID_FIRST)
			tid_last = UK_PID_BOOT + 1;
		else if (tid_last > UK_PID_LAST)
			tid_last = UK_PID_FIRST;
	} while (thread_find(tid_last));
	return tid_last;
}

struct thread *thread_create(void)
{
	struct thread *t = kzalloc(sizeof(*t));
	struct kframe *f;

	if (!t)
		return NULL;
	t->kstack = (u8 *)pages_alloc_dirty(UK_ARENA_DATA, kstack_pages());
	if (!t->kstack) {
		kfree(t);
		return NULL;
	}
	*(u64 *)t->kstack = STACK_CANARY;
	t->xsave = t->kstack + KSTACK_SIZE;
	/* the page may have been used before, and XSAVE wants a zero header */
	memset(t->xsave, 0, xstate_size());
	t->regs = (struct regs *)(t->kstack + KSTACK_SIZE) - 1;
	f = (struct kframe *)t->regs - 1;
	memset(f, 0, sizeof(*f));
	f->rip = (u64)thread_begin;
	t->ksp = (u64)f;
	t->tid = tid_new();
	t->deadline = NEVER;
	t->sig.alt_flags = SS_DISABLE;
	return t;
}

/* makes t runnable, with its creator's vector state and GS base */
void thread_start(struct thread *t)
{
	xstate_save(t->xsave);
	t->gs_base = get_gs_base();
	list_add(t);
	run_push(t);
}

void thread_leave(void)
{
	current->state = THREAD_DEAD;
	list_remove(current);
	schedule();
	panic("a dead thread ran");
}

void thread_init(void)
{
	struct thread *t = thread_create();

	if (!t)
		panic("no memory for the first thread");
	memset(t->regs, 0, sizeof(*t->regs));
	t->regs->orig_rax = -1ull;
	list_add(t);
	current = t;
	current_kstack_top = (u64)t->kstack + KSTACK_SIZE;
	ticks_seen = uk_ctl->ticks;
}
