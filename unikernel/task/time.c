/*
 * time.c - clocks and sleeping
 *
 * All time comes from the clock page (clock.h).  CPU time is the time since
 * boot less what was slept in DB_WAIT, as the one vCPU does nothing else.  It
 * is that of the process; threads are not counted separately.
 */
#include "unikernel/arch/clock.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

u64 time_idle_ns;
static u64 boot_mono;

u64 now_mono(void)
{
	return clock_read(0);
}

u64 now_real(void)
{
	return clock_read(1);
}

u64 now_cpu(void)
{
	u64 now = now_mono(), used;

	if (!boot_mono)
		boot_mono = now;
	used = now - boot_mono;
	return used > time_idle_ns ? used - time_idle_ns : 0;
}

void now_cpu_reset(void)
{
	boot_mono = now_mono();
	time_idle_ns = 0;
}

/*
 * A negative id is a CPU clock of one process or thread: ~pid << 3, or-ed with
 * 4 for a thread and 0..2 for which time.  -EINVAL for another process.
 */
static long clock_cpu_ns(int id, u64 *ns)
{
	int pid = ~(id >> 3);

	if ((id & 3) == 3)
		return -EINVAL;
	if (pid && pid != task_ids.pid && !((id & 4) && thread_find(pid)))
		return -EINVAL;
	*ns = now_cpu();
	return 0;
}

static long clock_ns(int id, u64 *ns)
{
	if (id < 0)
		return clock_cpu_ns(id, ns);
	if (clock_is_real(id))
		*ns = now_real();
	else if (clock_is_mono(id))
		*ns = now_mono();
	else if (id == CLOCK_PROCESS_CPUTIME_ID ||
		 id == CLOCK_THREAD_CPUTIME_ID)
		*ns = now_cpu();
	else
		return -EINVAL;
	return 0;
}

static struct k_timespec to_timespec(u64 ns)
{
	return (struct k_timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

/* 0 and *ns, which is capped when it is too large, or -EINVAL */
static long from_timespec(const struct k_timespec *ts, u64 *ns)
{
	if (ts->sec < 0 || ts->nsec < 0 || ts->nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*ns = ts->sec >= INT64_MAX / NSEC_PER_SEC ? INT64_MAX :
		(u64)(ts->sec * NSEC_PER_SEC + ts->nsec);
	return 0;
}

long sys_clock_gettime(int id, struct k_timespec *ts)
{
	u64 ns = 0;
	long rc = clock_ns(id, &ns);

	if (rc < 0)
		return rc;
	if (!user_ok(ts, sizeof(*ts), 1))
		return -EFAULT;
	*ts = to_timespec(ns);
	return 0;
}

long sys_clock_getres(int id, struct k_timespec *ts)
{
	u64 ns;
	long rc = clock_ns(id, &ns);

	if (rc < 0 || !ts)
		return rc;
	if (!user_ok(ts, sizeof(*ts), 1))
		return -EFAULT;
	*ts = (struct k_timespec){ 0, 1 };
	return 0;
}

long sys_clock_settime(int id, const struct k_timespec *ts)
{
	return -EPERM;
}

long sys_settimeofday(const s64 *tv, const int *tz)
{
	return -EPERM;
}

long sys_gettimeofday(s64 *tv, int *tz)
{
	u64 us = now_real() / 1000;

	if ((tv && !user_ok(tv, 16, 1)) || (tz && !user_ok(tz, 8, 1)))
		return -EFAULT;
	if (tv) {
		tv[0] = us / 1000000;
		tv[1] = us % 1000000;
	}
	if (tz)
		tz[0] = tz[1] = 0;
	return 0;
}

long sys_time(s64 *t)
{
	s64 now = now_real() / NSEC_PER_SEC;

	if (t && !user_ok(t, sizeof(*t), 1))
		return -EFAULT;
	if (t)
		*t = now;
	return now;
}

long sys_times(s64 *tms)
{
	if (tms) {
		if (!user_ok(tms, 32, 1))
			return -EFAULT;
		memset(tms, 0, 32);
		tms[0] = now_cpu() / (NSEC_PER_SEC / USER_HZ);
	}
	return now_mono() / (NSEC_PER_SEC / USER_HZ);
}

/* 0 or -EINTR */
static long sleep_until(u64 deadline)
{
	struct waitq nobody = { NULL, NULL };

	while (now_mono() < deadline)
		if (thread_wait(&nobody, deadline) == -EINTR)
			return -EINTR;
	return 0;
}

long sys_nanosleep(const struct k_timespec *req, struct k_timespec *rem)
{
	return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, req, rem);
}

/* when `ns` of clock id, absolute or relative, is due on the monotonic clock */
static u64 due(int id, int absolute, u64 ns)
{
	u64 mono = now_mono(), now = 0;

	if (absolute) {
		clock_ns(id, &now);
		ns = ns > now ? ns - now : 0;
	}
	return ns > INT64_MAX - mono ? INT64_MAX : mono + ns;
}

long sys_clock_nanosleep(int id, int flags, const struct k_timespec *req,
			 struct k_timespec *rem)
{
	struct k_timespec ts;
	u64 deadline, ns, now;
	long rc;

	if (!clock_is_real(id) && !clock_is_mono(id))
		return id == CLOCK_PROCESS_CPUTIME_ID ? -EOPNOTSUPP : -EINVAL;
	if (!user_ok(req, sizeof(*req), 0))
		return -EFAULT;
	ts = *req;
	rc = from_timespec(&ts, &ns);
	if (rc < 0)
		return rc;
	deadline = due(id, flags & TIMER_ABSTIME, ns);
	rc = sleep_until(deadline);
	if (rc < 0 && rem && !(flags & TIMER_ABSTIME)) {
		if (!user_ok(rem, sizeof(*rem), 1))
			return -EFAULT;
		now = now_mono();
		*rem = to_timespec(deadline > now ? deadline - now : 0);
	}
	return rc;
}
