/*
 * signal.c - which thread gets a signal, and what happens to it
 *
 * A signal for the process is given to one thread when it is sent, if any
 * does not block it, so that exactly one wait is interrupted; it stays with
 * the process only while every thread blocks it.  Ordinary signals are
 * pending once; those from SIGRTMIN on queue.
 *
 * Everything is delivered in signal_deliver(), on the way to the program.
 * Stopping is not possible (nobody could continue us): the stop signals do
 * nothing by default.
 */
#include "unikernel/task/crash.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"

#define QUEUED_MAX	1024

#define IGNORED_BY_DEFAULT (SIGBIT(K_SIGCHLD) | SIGBIT(K_SIGCONT) | \
			    SIGBIT(K_SIGURG) | SIGBIT(K_SIGWINCH) | \
			    SIGBIT(K_SIGSTOP) | SIGBIT(K_SIGTSTP) | \
			    SIGBIT(K_SIGTTIN) | SIGBIT(K_SIGTTOU))

struct sigqueue {
	struct sigqueue *next;
	int for_process;
	struct k_siginfo info;
};

static struct k_sigaction actions[NSIG];
static struct sigpending shared;	/* of the process */
static u64 ignored = IGNORED_BY_DEFAULT;	/* by their present actions */
static int queued;

void (*signal_pending_hook)(u64 bit);

u64 signal_pending_set(struct thread *t)
{
	return t->sig.own.mask | shared.mask;
}

int signal_pending(struct thread *t)
{
	return (signal_pending_set(t) & ~t->sig.blocked & ~ignored) != 0;
}

/* would it do something to t now, or end its sigwait? */
static int wants(struct thread *t, u64 bit)
{
	return !(t->sig.blocked & bit) || (t->sig.waiting_for & bit);
}

/* the thread for a signal to the process: Linux, too, likes the first best */
static struct thread *taker(u64 bit)
{
	struct thread *t;

	for (t = thread_list; t; t = t->next)
		if (wants(t, bit))
			return t;
	return NULL;
}

/*
 * 1, or 0 when an ordinary signal is pending already.  Without memory the
 * bit alone must do for an ordinary one; a queueing one gets -EAGAIN.
 */
static int queue_add(struct sigpending *p, int signo,
		     const struct k_siginfo *info, int for_process)
{
	struct sigqueue **q, *entry = NULL;

	if (signo < K_SIGRTMIN && (p->mask & SIGBIT(signo)))
		return 0;
	if (queued < QUEUED_MAX)
		entry = kmalloc(sizeof(*entry));
	if (!entry && signo >= K_SIGRTMIN)
		return -EAGAIN;
	p->mask |= SIGBIT(signo);
	if (!entry)
		return 1;
	for (q = &p->head; *q; q = &(*q)->next)
		;
	memset(entry, 0, sizeof(*entry));
	if (info)
		entry->info = *info;
	else
		entry->info.code = K_SI_KERNEL;
	entry->info.signo = signo;
	entry->for_process = for_process;
	*q = entry;
	queued++;
	return 1;
}

static void queue_unlink(struct sigqueue **q)
{
	struct sigqueue *entry = *q;

	*q = entry->next;
	kfree(entry);
	queued--;
}

/* the first entry of signo goes; its bit with the last */
static void queue_remove(struct sigpending *p, int signo,
			 struct k_siginfo *info)
{
	struct sigqueue **q, **first = NULL;

	memset(info, 0, sizeof(*info));
	info->signo = signo;
	info->code = K_SI_USER;
	p->mask &= ~SIGBIT(signo);
	for (q = &p->head; *q; q = &(*q)->next) {
		if ((*q)->info.signo != signo)
			continue;
		if (first) {
			p->mask |= SIGBIT(signo);
			break;
		}
		first = q;
	}
	if (!first)
		return;
	*info = (*first)->info;
	queue_unlink(first);
	if (info->pad)
		signal_timer_taken(info);
}

static int queue_take(struct sigpending *p, u64 set, struct k_siginfo *info)
{
	u64 got = p->mask & set;
	int signo;

	if (!got)
		return 0;
	if (got & SIG_SYNCHRONOUS)
		got &= SIG_SYNCHRONOUS;
	signo = __builtin_ctzll(got) + 1;
	queue_remove(p, signo, info);
	return signo;
}

int signal_take(u64 set, struct k_siginfo *info)
{
	int signo = queue_take(&current->sig.own, set, info);

	return signo ? signo : queue_take(&shared, set, info);
}

static void queue_flush(struct sigpending *p, int signo)
{
	struct k_siginfo info;

	while (p->mask & SIGBIT(signo))
		queue_remove(p, signo, &info);
}

int signal_send(struct thread *t, int signo, const struct k_siginfo *info)
{
	u64 bit = SIGBIT(signo);
	struct thread *to = t ? t : taker(bit);
	int rc;

	/* an ignored signal is kept where it is blocked: that may change */
	if ((ignored & bit) && to && !(to->sig.blocked & bit))
		return 0;
	rc = queue_add(to ? &to->sig.own : &shared, signo, info, !t);
	if (rc <= 0)
		return rc;
	if (to && to->state == THREAD_WAIT && to->interruptible &&
	    wants(to, bit))
		thread_wake_one(to, -EINTR);
	if (signal_pending_hook && (!to || (to->sig.blocked & bit)))
		signal_pending_hook(bit);
	return 1;
}

void signal_thread_exit(struct thread *t)
{
	struct sigpending p = t->sig.own;
	struct sigqueue *entry;
	struct k_siginfo info;

	t->sig.own.mask = 0;
	t->sig.own.head = NULL;
	t->sig.blocked = ~0ull;
	t->sig.waiting_for = 0;
	while ((entry = p.head)) {
		info = entry->info;
		if (entry->for_process)
			signal_send(NULL, info.signo, &info);
		else if (info.pad)
			signal_timer_taken(&info);
		queue_unlink(&p.head);
	}
}

/* a write that changes nothing costs a page of every clone all the same */
static void pending_drop(struct sigpending *p)
{
	if (p->mask)
		p->mask = 0;
	while (p->head)
		queue_unlink(&p->head);
}

void signal_pending_reset(void)
{
	struct thread *t;

	pending_drop(&shared);
	for (t = thread_list; t; t = t->next)
		pending_drop(&t->sig.own);
}

struct k_sigaction signal_action(int signo)
{
	return actions[signo];
}

void signal_action_set(int signo, const struct k_sigaction *act)
{
	u64 bit = SIGBIT(signo);
	struct thread *t;

	actions[signo] = *act;
	actions[signo].mask &= ~SIG_UNBLOCKABLE;
	if (act->handler == K_SIG_IGN ||
	    (act->handler == K_SIG_DFL && (bit & IGNORED_BY_DEFAULT)))
		ignored |= bit;
	else
		ignored &= ~bit;
	if (!(ignored & bit))
		return;
	queue_flush(&shared, signo);
	for (t = thread_list; t; t = t->next)
		queue_flush(&t->sig.own, signo);
}

void signal_mask_temporarily(u64 mask)
{
	struct thread_signals *s = &current->sig;

	s->saved_mask = s->blocked;
	s->saved_mask_valid = 1;
	s->blocked = mask & ~SIG_UNBLOCKABLE;
}

static void mask_restore(struct thread_signals *s)
{
	if (!s->saved_mask_valid)
		return;
	s->blocked = s->saved_mask;
	s->saved_mask_valid = 0;
}

void signal_force(int signo, const struct k_siginfo *info)
{
	struct thread_signals *s = &current->sig;
	u64 bit = SIGBIT(signo);
	struct k_sigaction dfl = { .handler = K_SIG_DFL };

	if ((s->blocked & bit) || (ignored & bit)) {
		signal_action_set(signo, &dfl);
		s->blocked &= ~bit;
	}
	queue_add(&s->own, signo, info, 0);
}

void signal_fault(struct regs *r, int signo, int code, u64 addr, u64 vector,
		  u64 error)
{
	struct k_siginfo info = { .signo = signo, .code = code };

	info.fields[0] = addr;
	current->sig.trapno = vector;
	current->sig.error = error;
	if (vector == 14)
		current->sig.cr2 = addr;
	crash_fault(r, signo, addr);
	signal_force(signo, &info);
	signal_deliver(r);
	crash_fault_handler(r->rsp);
}

/* runs the action of signo; a frame that does not fit is a fault of its own */
static void act_on(struct regs *r, int signo, const struct k_siginfo *info)
{
	struct k_sigaction act = actions[signo], dfl = { 0 };
	struct k_siginfo segv = { .signo = K_SIGSEGV, .code = K_SI_KERNEL };

	if (ignored & SIGBIT(signo))
		return;
	if (act.handler == K_SIG_DFL || signo == K_SIGKILL)
		crash_signal(r, signo, info);
	if (act.flags & K_SA_RESETHAND)
		signal_action_set(signo, &dfl);
	signal_restart(r, &act);
	if (sigframe_push(r, signo, &act, info) == 0)
		return;
	/* its own handler cannot help against a bad stack: Linux gives up */
	if (signo == K_SIGSEGV)
		crash_signal(r, signo, info);
	segv.fields[0] = r->rsp;
	signal_force(K_SIGSEGV, &segv);
}

void signal_deliver(struct regs *r)
{
	struct thread_signals *s = &current->sig;
	struct k_siginfo info;
	int signo;

	/* a call that did not fail by the signal restores the mask first */
	if (s->saved_mask_valid &&
	    (r->orig_rax == -1ull || r->rax != (u64)-EINTR))
		mask_restore(s);
	for (;;) {
		while ((signo = signal_take(~s->blocked, &info)))
			act_on(r, signo, &info);
		signal_restart(r, NULL);
		if (!s->saved_mask_valid)
			break;
		/* and what the old mask lets through */
		mask_restore(s);
	}
}
