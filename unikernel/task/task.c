/*
 * task.c - the one process: its ids, and what it cannot do
 */
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

struct task_ids task_ids = {
	.pid = UK_PID_BOOT, .pgid = UK_PID_BOOT, .sid = UK_PID_BOOT,
};

char task_program[PATH_MAX];
u32 task_looks;

long task_refuse(void)
{
	static int told;

	if (!told)
		log_printf("usetl: processes are not available in a usetl "
			   "function; use threads, see usetl-python(7)\n");
	told = 1;
	return -ENOSYS;
}

long sys_fork(void)
{
	return fork_hook ? task_fork(0, 0, NULL) : task_refuse();
}

long sys_vfork(void)
{
	return task_refuse();
}

long sys_execve(const char *path, const void *argv, const void *envp)
{
	return task_refuse();
}

long sys_execveat(int dir, const char *path, const void *argv,
		  const void *envp, int flags)
{
	return task_refuse();
}

#define WSTATES		(WSTOPPED | WEXITED | WCONTINUED)
#define WCLONES		(int)(__WNOTHREAD | __WALL | __WCLONE)

long sys_wait4(int pid, int *status, int options, void *usage)
{
	return options & ~(WNOHANG | WUNTRACED | WCONTINUED | WCLONES) ?
		-EINVAL : -ECHILD;
}

long sys_waitid(int type, int id, void *info, int options, void *usage)
{
	if (options & ~(WNOHANG | WNOWAIT | WSTATES | WCLONES) ||
	    !(options & WSTATES) || type < 0 || type > P_PIDFD)
		return -EINVAL;
	return -ECHILD;
}

long sys_ptrace(long req, int pid, void *addr, void *data)
{
	return -EPERM;
}

long sys_getpid(void)
{
	return task_ids.pid;
}

long sys_getppid(void)
{
	return task_ids.ppid;
}

static int is_self(int pid)
{
	return pid == 0 || pid == task_ids.pid;
}

long sys_getpgrp(void)
{
	return task_ids.pgid;
}

long sys_getpgid(int pid)
{
	return is_self(pid) ? task_ids.pgid : -ESRCH;
}

long sys_getsid(int pid)
{
	return is_self(pid) ? task_ids.sid : -ESRCH;
}

long sys_setpgid(int pid, int pgid)
{
	if (pgid < 0)
		return -EINVAL;
	if (!is_self(pid))
		return -ESRCH;
	/* a session's leader stays in its group */
	if (task_ids.sid == task_ids.pid)
		return -EPERM;
	/* a new group of its own, or one that exists */
	if (pgid && pgid != task_ids.pid && pgid != task_ids.pgid &&
	    pgid != task_ids.sid)
		return -EPERM;
	task_ids.pgid = pgid ? pgid : task_ids.pid;
	return 0;
}

long sys_setsid(void)
{
	if (task_ids.pgid == task_ids.pid)
		return -EPERM;
	task_ids.pgid = task_ids.sid = task_ids.pid;
	return task_ids.pid;
}

#define TIMERSLACK_NS		50000

/* the program passes 16 bytes, NUL included */
static long set_name(const char *name)
{
	long len = user_strlen(name, sizeof(current->name) - 1);

	if (len == -EFAULT)
		return -EFAULT;
	if (len < 0)
		len = sizeof(current->name) - 1;
	memset(current->name, 0, sizeof(current->name));
	memcpy(current->name, name, len);
	return 0;
}

static long put_int(u64 addr, int value)
{
	if (!user_ok((void *)addr, sizeof(int), 1))
		return -EFAULT;
	*(int *)addr = value;
	return 0;
}

long sys_prctl(int op, u64 a, u64 b, u64 c, u64 d)
{
	switch (op) {
	case PR_SET_NAME:
		return set_name((const char *)a);
	case PR_GET_NAME:
		if (!user_ok((void *)a, sizeof(current->name), 1))
			return -EFAULT;
		memcpy((void *)a, current->name, sizeof(current->name));
		return 0;
	case PR_SET_PDEATHSIG:
		return a > _NSIG ? -EINVAL : 0;
	case PR_GET_PDEATHSIG:
	case PR_GET_CHILD_SUBREAPER:
		return put_int(a, 0);
	case PR_SET_DUMPABLE:
	case PR_SET_KEEPCAPS:
		return a > 1 ? -EINVAL : 0;
	case PR_SET_TIMERSLACK:
	case PR_SET_CHILD_SUBREAPER:
	case PR_SET_THP_DISABLE:
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		return a == 1 && !b && !c && !d ? 0 : -EINVAL;
	case PR_GET_DUMPABLE:
	case PR_GET_NO_NEW_PRIVS:
		return 1;
	case PR_GET_TIMERSLACK:
		return TIMERSLACK_NS;
	case PR_GET_KEEPCAPS:
	case PR_GET_SECCOMP:
	case PR_GET_THP_DISABLE:
	case PR_CAPBSET_READ:
		return 0;
	default:
		return -EINVAL;
	}
}

/* the libOS uses neither base, so the registers always hold the program's */
static long get_base(u64 addr, u64 base)
{
	if (!user_ok((void *)addr, sizeof(base), 1))
		return -EFAULT;
	*(u64 *)addr = base;
	return 0;
}

long sys_arch_prctl(int op, u64 addr)
{
	u64 base;

	switch (op) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= CANONICAL_END)
			return -EPERM;
		if (op == ARCH_SET_FS)
			__asm__ volatile("wrfsbase %0" :: "r"(addr));
		else
			__asm__ volatile("wrgsbase %0" :: "r"(addr));
		return 0;
	case ARCH_GET_FS:
		__asm__ volatile("rdfsbase %0" : "=r"(base));
		return get_base(addr, base);
	case ARCH_GET_GS:
		__asm__ volatile("rdgsbase %0" : "=r"(base));
		return get_base(addr, base);
	default:
		return -EINVAL;
	}
}

long sys_personality(u32 persona)
{
	return persona == ~0u || persona == 0 ? 0 : -EINVAL;
}

/*
 * There is one CPU and no pre-emption in the libOS, so every other thread has
 * passed a barrier before this returns.
 */

long sys_membarrier(int cmd, unsigned flags, int cpu)
{
	const int known = MEMBARRIER_CMD_GLOBAL |
		MEMBARRIER_CMD_PRIVATE_EXPEDITED |
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

	if (flags)
		return -EINVAL;
	if (cmd == MEMBARRIER_CMD_QUERY)
		return known;
	return cmd & known && !(cmd & (cmd - 1)) ? 0 : -EINVAL;
}
