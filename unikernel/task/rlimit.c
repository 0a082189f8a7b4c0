/*
 * rlimit.c - resource limits
 *
 * Those of address space, files and threads are the libOS's own and fixed; any
 * other that a program sets is kept and reported, and not enforced.  libc gives
 * each thread a stack of the stack limit's size, so that limit shrinks with the
 * guest's memory, and follows it until a program has set it.
 */
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define STACK_MIN	0x100000

static u64 limits[RLIM_NLIMITS][2];
static int limits_made;
static int stack_chosen;		/* by the program */

static void limit_set(int res, u64 soft, u64 hard)
{
	limits[res][0] = soft;
	limits[res][1] = hard;
}

static u64 stack_usual(void)
{
	u64 stack = ROUND_DOWN(uk_ctl->mem_limit / 64, UK_PAGE);

	return MIN(MAX(stack, STACK_MIN), UK_STACK_END - UK_STACK_BASE);
}

static void limits_make(void)
{
	int i;

	if (limits_made)
		return;
	limits_made = 1;
	for (i = 0; i < RLIM_NLIMITS; i++)
		limit_set(i, RLIM_INFINITY, RLIM_INFINITY);
	limit_set(RLIMIT_CORE, 0, 0);
	limit_set(RLIMIT_NPROC, THREADS_MAX, THREADS_MAX);
	limit_set(RLIMIT_NOFILE, FD_MAX, FD_MAX);
	limit_set(RLIMIT_MSGQUEUE, 0, 0);
	limit_set(RLIMIT_NICE, 0, 0);
	limit_set(RLIMIT_RTPRIO, 0, 0);
}

long sys_prlimit64(int pid, int res, const u64 *lim, u64 *old)
{
	u64 new[2], was[2];

	if (res < 0 || res >= RLIM_NLIMITS)
		return -EINVAL;
	if (pid && pid != task_ids.pid && !thread_find(pid))
		return -ESRCH;
	if (lim && !user_ok(lim, sizeof(new), 0))
		return -EFAULT;
	limits_make();
	memcpy(was, limits[res], sizeof(was));
	if (res == RLIMIT_STACK && !stack_chosen) {
		was[0] = stack_usual();
		task_looks++;
	}
	if (lim) {
		memcpy(new, lim, sizeof(new));
		if (new[0] > new[1])
			return -EINVAL;
		if (new[1] > was[1])
			return -EPERM;
		memcpy(limits[res], new, sizeof(new));
		stack_chosen |= res == RLIMIT_STACK;
	}
	if (!old)
		return 0;
	if (!user_ok(old, sizeof(was), 1))
		return -EFAULT;
	memcpy(old, was, sizeof(was));
	return 0;
}

long sys_getrlimit(int res, u64 *lim)
{
	return user_ok(lim, 16, 1) ? sys_prlimit64(0, res, NULL, lim) :
		-EFAULT;
}

long sys_setrlimit(int res, const u64 *lim)
{
	return user_ok(lim, 16, 0) ? sys_prlimit64(0, res, lim, NULL) :
		-EFAULT;
}
