/*
 * sigcall.c - the system calls about signals
 */
#include "unikernel/task/signal.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

static int valid(int sig)
{
	return sig >= 1 && sig <= _NSIG;
}

long sys_rt_sigaction(int sig, const void *act, void *old, size_t size)
{
	struct k_sigaction new, was;

	if (size != sizeof(u64) || !valid(sig) ||
	    (act && (SIGBIT(sig) & SIG_UNBLOCKABLE)))
		return -EINVAL;
	if ((act && !user_ok(act, sizeof(new), 0)) ||
	    (old && !user_ok(old, sizeof(was), 1)))
		return -EFAULT;
	was = signal_action(sig);
	if (act) {
		memcpy(&new, act, sizeof(new));
		signal_action_set(sig, &new);
	}
	if (old)
		memcpy(old, &was, sizeof(was));
	return 0;
}

long sys_rt_sigprocmask(int how, const u64 *set, u64 *old, size_t size)
{
	u64 was = current->sig.blocked, mask;

	if (size != sizeof(u64))
		return -EINVAL;
	if ((set && !user_ok(set, sizeof(*set), 0)) ||
	    (old && !user_ok(old, sizeof(*old), 1)))
		return -EFAULT;
	if (set) {
		mask = *set;
		if (how == SIG_BLOCK)
			mask |= was;
		else if (how == SIG_UNBLOCK)
			mask = was & ~mask;
		else if (how != SIG_SETMASK)
			return -EINVAL;
		current->sig.blocked = mask & ~SIG_UNBLOCKABLE;
	}
	if (old)
		*old = was;
	return 0;
}

long sys_rt_sigpending(u64 *set, size_t size)
{
	if (size > sizeof(*set))
		return -EINVAL;
	if (!user_ok(set, sizeof(*set), 1))
		return -EFAULT;
	*set = signal_pending_set(current) & current->sig.blocked;
	return 0;
}

static long wait_for_signal(void)
{
	struct waitq nobody = { NULL, NULL };

	/* the signal may have become ignored by a sigaction() since */
	while (!signal_pending(current))
		thread_wait(&nobody, NEVER);
	return -EINTR;
}

long sys_pause(void)
{
	return wait_for_signal();
}

long sys_rt_sigsuspend(const u64 *set, size_t size)
{
	if (size != sizeof(*set))
		return -EINVAL;
	if (!user_ok(set, sizeof(*set), 0))
		return -EFAULT;
	signal_mask_temporarily(*set);
	return wait_for_signal();
}

int signal_wait(u64 set, struct k_siginfo *info, u64 deadline)
{
	struct waitq nobody = { NULL, NULL };
	int signo, rc = 0;

	set &= ~SIG_UNBLOCKABLE;
	for (;;) {
		signo = signal_take(set, info);
		if (signo)
			return signo;
		if (rc == -EINTR)
			return rc;
		/* a signal does not interrupt a call that does not wait */
		if (rc == -ETIMEDOUT || deadline <= now_mono())
			return -EAGAIN;
		current->sig.waiting_for = set;
		rc = thread_wait(&nobody, deadline);
		current->sig.waiting_for = 0;
	}
}

long sys_rt_sigtimedwait(const u64 *set, void *info, const void *ts,
			 size_t size)
{
	struct k_timespec t;
	struct k_siginfo got;
	u64 deadline = NEVER;
	int signo;

	if (size != sizeof(*set))
		return -EINVAL;
	if (!user_ok(set, sizeof(*set), 0) ||
	    (info && !user_ok(info, sizeof(got), 1)) ||
	    (ts && !user_ok(ts, sizeof(t), 0)))
		return -EFAULT;
	if (ts) {
		memcpy(&t, ts, sizeof(t));
		if (t.sec < 0 || t.nsec < 0 || (u64)t.nsec >= NSEC_PER_SEC)
			return -EINVAL;
		if ((u64)t.sec < INT64_MAX / NSEC_PER_SEC)
			deadline = now_mono() + (u64)t.sec * NSEC_PER_SEC +
				   (u64)t.nsec;
	}
	signo = signal_wait(*set, &got, deadline);
	if (signo > 0 && info) {
		got.pad = 0;
		memcpy(info, &got, sizeof(got));
	}
	return signo;
}

/* with sig 0 it only checks whether a signal could be sent */
static long send(struct thread *t, int sig, struct k_siginfo *info)
{
	if (sig < 0 || sig > _NSIG)
		return -EINVAL;
	if (!sig)
		return 0;
	info->signo = sig;
	return MIN(signal_send(t, sig, info), 0);
}

static long send_plain(struct thread *t, int sig, int code)
{
	struct k_siginfo info = { .code = code };

	/* si_pid; the upper half, si_uid, is 0 */
	info.fields[0] = (u32)task_ids.pid;
	return send(t, sig, &info);
}

long sys_kill(int pid, int sig)
{
	if (sig < 0 || sig > _NSIG)
		return -EINVAL;
	/* the parent process exists, but cannot be signalled */
	if (pid == task_ids.ppid && pid)
		return -EPERM;
	/* 0 and -pgid: the own group; a thread's number: the process */
	if (pid != task_ids.pid && pid != 0 && pid != -task_ids.pgid &&
	    !thread_find(pid))
		return -ESRCH;
	return send_plain(NULL, sig, SI_USER);
}

long sys_tkill(int tid, int sig)
{
	struct thread *t;

	if (tid <= 0)
		return -EINVAL;
	t = thread_find(tid);
	return t ? send_plain(t, sig, SI_TKILL) : -ESRCH;
}

long sys_tgkill(int tgid, int tid, int sig)
{
	if (tgid <= 0)
		return -EINVAL;
	return tgid == task_ids.pid ? sys_tkill(tid, sig) : -ESRCH;
}

static long send_queued(struct thread *t, int sig, const void *info)
{
	struct k_siginfo copy;

	if (!user_ok(info, sizeof(copy), 0))
		return -EFAULT;
	memcpy(&copy, info, sizeof(copy));
	copy.pad = 0;		/* the libOS's own field; 0: not a timer's */
	return send(t, sig, &copy);
}

long sys_rt_sigqueueinfo(int pid, int sig, const void *info)
{
	return pid == task_ids.pid ? send_queued(NULL, sig, info) : -ESRCH;
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, const void *info)
{
	struct thread *t;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	t = tgid == task_ids.pid ? thread_find(tid) : NULL;
	return t ? send_queued(t, sig, info) : -ESRCH;
}

long sys_sigaltstack(const void *ss, void *old)
{
	struct thread_signals *s = &current->sig;
	u64 sp = current->regs->rsp;
	struct k_stack new, was;
	long rc;

	if ((ss && !user_ok(ss, sizeof(new), 0)) ||
	    (old && !user_ok(old, sizeof(was), 1)))
		return -EFAULT;
	sigstack_get(s, sp, &was);
	if (ss) {
		memcpy(&new, ss, sizeof(new));
		if (s->alt_size && sigstack_active(s, sp))
			return -EPERM;
		rc = sigstack_set(s, &new);
		if (rc < 0)
			return rc;
	}
	if (old)
		memcpy(old, &was, sizeof(was));
	return 0;
}
