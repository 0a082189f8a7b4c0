/*
 * schedcall.c - scheduling as the program may ask for it
 *
 * Threads take turns (thread.c); policy, priority and affinity are checked
 * as Linux checks them, and change nothing.
 */
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define RR_NS		100000000
#define CPU_BYTES	8		/* size of the kernel's mask */

static int nice_value;

static int exists(int pid)
{
	return pid == 0 || pid == task_ids.pid || thread_find(pid);
}

static int is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int is_policy(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE || is_realtime(policy);
}

long sys_sched_setparam(int pid, const int *param)
{
	if (pid < 0 || !param)
		return -EINVAL;
	if (!user_ok(param, sizeof(*param), 0))
		return -EFAULT;
	if (!exists(pid))
		return -ESRCH;
	return *param ? -EINVAL : 0;
}

long sys_sched_getparam(int pid, int *param)
{
	if (pid < 0 || !param)
		return -EINVAL;
	if (!exists(pid))
		return -ESRCH;
	if (!user_ok(param, sizeof(*param), 1))
		return -EFAULT;
	*param = 0;
	return 0;
}

long sys_sched_setscheduler(int pid, int policy, const int *param)
{
	if (pid < 0 || !param || !is_policy(policy & ~SCHED_RESET_ON_FORK))
		return -EINVAL;
	if (!user_ok(param, sizeof(*param), 0))
		return -EFAULT;
	if (!exists(pid))
		return -ESRCH;
	if (is_realtime(policy & ~SCHED_RESET_ON_FORK))
		return -EPERM;
	return *param ? -EINVAL : 0;
}

long sys_sched_getscheduler(int pid)
{
	if (pid < 0)
		return -EINVAL;
	return exists(pid) ? SCHED_NORMAL : -ESRCH;
}

long sys_sched_get_priority_max(int policy)
{
	if (!is_policy(policy))
		return -EINVAL;
	return is_realtime(policy) ? MAX_RT_PRIO - 1 : 0;
}

long sys_sched_get_priority_min(int policy)
{
	if (!is_policy(policy))
		return -EINVAL;
	return is_realtime(policy) ? 1 : 0;
}

long sys_sched_rr_get_interval(int pid, struct k_timespec *ts)
{
	if (pid < 0)
		return -EINVAL;
	if (!exists(pid))
		return -ESRCH;
	if (!user_ok(ts, sizeof(*ts), 1))
		return -EFAULT;
	*ts = (struct k_timespec){ 0, RR_NS };
	return 0;
}

long sys_sched_setaffinity(int pid, size_t len, const u8 *mask)
{
	u64 wanted = 0;

	if (!user_ok(mask, len, 0))
		return -EFAULT;
	if (!exists(pid))
		return -ESRCH;
	memcpy(&wanted, mask, MIN(len, sizeof(wanted)));
	return wanted & ((1ull << uk_ctl->cpus) - 1) ? 0 : -EINVAL;
}

long sys_sched_getaffinity(int pid, size_t len, u8 *mask)
{
	u64 cpus = (1ull << uk_ctl->cpus) - 1;

	if (len < CPU_BYTES || len % sizeof(u64))
		return -EINVAL;
	if (!exists(pid))
		return -ESRCH;
	if (!user_ok(mask, CPU_BYTES, 1))
		return -EFAULT;
	memcpy(mask, &cpus, CPU_BYTES);
	return CPU_BYTES;
}

/* as the system call returns it: 20 - nice, so that it is never negative */
long sys_getpriority(int which, int who)
{
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	if (which < PRIO_USER && !exists(who))
		return -ESRCH;
	return 20 - nice_value;
}

long sys_setpriority(int which, int who, int nice)
{
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	if (which < PRIO_USER && !exists(who))
		return -ESRCH;
	nice_value = nice < MIN_NICE ? MIN_NICE : MIN(nice, MAX_NICE);
	return 0;
}

long sys_getcpu(u32 *cpu, u32 *node, void *cache)
{
	if ((cpu && !user_ok(cpu, sizeof(*cpu), 1)) ||
	    (node && !user_ok(node, sizeof(*node), 1)))
		return -EFAULT;
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}
