/*
 * spawn.c - threads begin and end
 *
 * A thread shares all with the process: address space, descriptors, working
 * directory, signal actions.  A clone() that would share less asks for another
 * process, which the libOS does not have, so task_refuse() answers.  The one
 * exception is a fork that means READY (fork.c).
 *
 * The process ends with its last thread, with the status of the first one
 * (Linux's group leader), or by exit_group().
 */
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define CLONE_THREADS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | \
			 CLONE_THREAD)
#define CLONE_KNOWN	(CLONE_THREADS | CLONE_SYSVSEM | CLONE_SETTLS | \
			 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
			 CLONE_DETACHED | CLONE_CHILD_SETTID)


static int leader_status;
static int leader_gone;

static long clone_check(u64 flags, u64 tls)
{
	if (!(flags & CLONE_THREAD))
		return task_refuse();
	if ((flags & CLONE_THREADS) != CLONE_THREADS || (flags & ~CLONE_KNOWN))
		return -ENOSYS;
	/* a non-canonical address would make wrfsbase fault in the libOS */
	if ((flags & CLONE_SETTLS) && tls >= CANONICAL_END)
		return -EPERM;
	if (thread_count >= THREADS_MAX)
		return -EAGAIN;
	return 0;
}

static void child_regs(struct thread *t, u64 stack)
{
	*t->regs = *current->regs;
	t->regs->rax = 0;
	/* a system call's return clobbers these two */
	t->regs->rcx = t->regs->rip;
	t->regs->r11 = t->regs->rflags;
	t->regs->orig_rax = -1ull;
	if (stack)
		t->regs->rsp = stack;
}

static u64 fs_base_now(void)
{
	u64 v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static long clone_thread(u64 flags, u64 stack, int *ptid, int *ctid, u64 tls)
{
	struct thread *t;
	long rc = clone_check(flags, tls);

	if (rc < 0)
		return rc;
	t = thread_create();
	if (!t)
		return -EAGAIN;
	child_regs(t, stack);
	t->fs_base = flags & CLONE_SETTLS ? tls : fs_base_now();
	t->sig.blocked = current->sig.blocked;
	memcpy(t->name, current->name, sizeof(t->name));
	if (flags & CLONE_CHILD_CLEARTID)
		t->clear_tid = (u32 *)ctid;
	/* Linux, too, ignores a bad pointer here */
	if ((flags & CLONE_PARENT_SETTID) && user_ok(ptid, sizeof(*ptid), 1))
		*ptid = t->tid;
	if ((flags & CLONE_CHILD_SETTID) && user_ok(ctid, sizeof(*ctid), 1))
		*ctid = t->tid;
	thread_start(t);
	return t->tid;
}

long sys_clone(u64 flags, u64 stack, int *ptid, int *ctid, u64 tls)
{
	/* the low byte is the exit signal, which a thread does not send */
	if (fork_hook && !(flags & (CLONE_VM | CLONE_THREAD)))
		return task_fork(flags & ~(u64)CSIGNAL, stack, ctid);
	return clone_thread(flags & ~(u64)CSIGNAL, stack, ptid, ctid, tls);
}

long sys_clone3(const void *args, size_t size)
{
	struct k_clone_args a;
	const u8 *rest = (const u8 *)args + sizeof(a);
	size_t i;

	if (size < sizeof(a))
		return -EINVAL;
	if (size > UK_PAGE)
		return -E2BIG;
	if (!user_ok(args, size, 0))
		return -EFAULT;
	memcpy(&a, args, sizeof(a));
	/* clone3(2): fields beyond those that we know must be zero */
	for (i = 0; i < size - sizeof(a); i++)
		if (rest[i])
			return -ENOSYS;
	if (a.flags & CSIGNAL)
		return -EINVAL;
	if ((a.flags & CLONE_THREAD) && a.exit_signal)
		return -EINVAL;
	if (!a.stack != !a.stack_size)
		return -EINVAL;
	return clone_thread(a.flags, a.stack + a.stack_size,
			    (int *)a.parent_tid, (int *)a.child_tid, a.tls);
}

long sys_set_tid_address(int *tidptr)
{
	current->clear_tid = (u32 *)tidptr;
	return current->tid;
}

long sys_gettid(void)
{
	return current->tid;
}

long sys_sched_yield(void)
{
	thread_yield();
	return 0;
}

long sys_exit_group(int status)
{
	if (status & 0xff)
		refused_tell();
	doorbell(status & 0xff, 0, 0, DB_EXIT);
	panic("DB_EXIT returned");
}

long sys_exit(int status)
{
	struct thread *t = current;

	robust_list_exit(t);
	if (t->clear_tid && user_ok(t->clear_tid, sizeof(u32), 1)) {
		*t->clear_tid = 0;
		futex_wake((u64)t->clear_tid, 1);
	}
	if (t->tid == task_ids.pid) {
		leader_status = status;
		leader_gone = 1;
	}
	if (thread_count == 1)
		sys_exit_group(leader_gone ? leader_status : status);
	signal_thread_exit(t);
	thread_leave();
}
