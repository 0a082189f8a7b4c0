/*
 * timer.c - timers that send signals: setitimer, alarm, timer_create
 *
 * Interval timers and POSIX timers are one thing here.  A timer's expiry is in
 * nanoseconds of its base: the monotonic clock, CPU time, or the wall clock.
 * The wall clock is the base of its absolute timers only, as these must follow
 * when it is set, which a clone's resume does.  The scheduler runs timers when
 * it wakes up and at ticks, which it asks for while a timer is armed.
 */
#include "unikernel/arch/clock.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define FAR		(1ull << 62)	/* later than any clock gets */
#define TIMERS_MAX	128

#define ITIMERS		(ITIMER_PROF + 1)

enum timer_base { BASE_MONO, BASE_REAL, BASE_CPU };

struct timer {
	enum timer_base base, clock;	/* now; at timer_create() */
	u64 expiry;			/* NEVER: disarmed */
	u64 interval;
	int notify, signo, tid;
	u64 value;			/* sigev_value */
	int posix;			/* 1 + id; 0: an interval timer */
	int queued;			/* its signal is pending */
	u64 overrun;			/* since it was queued */
	int overrun_last;		/* of the last signal delivered */
};

static struct timer itimers[ITIMERS] = {
	[ITIMER_REAL] = { BASE_MONO, BASE_MONO, .expiry = NEVER,
			  .signo = SIGALRM },
	[ITIMER_VIRTUAL] = { BASE_CPU, BASE_CPU, .expiry = NEVER,
			     .signo = SIGVTALRM },
	[ITIMER_PROF] = { BASE_CPU, BASE_CPU, .expiry = NEVER,
			  .signo = SIGPROF },
};
static struct timer *timers[TIMERS_MAX];
static int armed;

static u64 base_now(enum timer_base base)
{
	return base == BASE_MONO ? now_mono() :
	       base == BASE_REAL ? now_real() : now_cpu();
}

static void expiry_set(struct timer *t, u64 expiry)
{
	armed += (expiry != NEVER) - (t->expiry != NEVER);
	t->expiry = expiry;
}

int signal_timer_armed(void)
{
	return armed;
}

static void timer_send(struct timer *t, u64 expiries)
{
	struct k_siginfo info = { .signo = t->signo };
	struct thread *to = NULL;

	if (t->queued) {
		t->overrun += expiries;
		return;
	}
	if (t->notify == SIGEV_THREAD_ID) {
		to = thread_find(t->tid);
		if (!to)
			return;
	}
	if (t->posix) {
		info.code = SI_TIMER;
		info.pad = t->posix;
		info.fields[0] = (u32)(t->posix - 1);
		info.fields[1] = t->value;
	} else {
		info.code = SI_KERNEL;
	}
	t->overrun = expiries - 1;
	t->queued = t->posix;
	if (signal_send(to, t->signo, &info) != 1)
		t->queued = 0;
}

void signal_timer_taken(struct k_siginfo *info)
{
	struct timer *t = timers[info->pad - 1];

	info->pad = 0;
	if (!t)
		return;
	t->queued = 0;
	t->overrun_last = (int)MIN(t->overrun, (u64)INT32_MAX);
	info->fields[0] = (u32)info->fields[0] | (u64)t->overrun_last << 32;
}

static void timer_run(struct timer *t)
{
	u64 now, n = 1;

	if (t->expiry == NEVER)
		return;
	now = base_now(t->base);
	if (now < t->expiry)
		return;
	if (t->interval) {
		n += (now - t->expiry) / t->interval;
		expiry_set(t, t->expiry + n * t->interval);
	} else {
		expiry_set(t, NEVER);
	}
	if (t->notify != SIGEV_NONE)
		timer_send(t, n);
}

/* CPU time does not pass while we sleep, so it ends no sleep */
static u64 timer_due(const struct timer *t)
{
	u64 now;

	if (t->expiry == NEVER || t->base == BASE_CPU)
		return NEVER;
	if (t->base == BASE_MONO)
		return t->expiry;
	now = now_real();
	return now_mono() + (t->expiry > now ? t->expiry - now : 0);
}

static struct timer *timer_nth(int i)
{
	return i < ITIMERS ? &itimers[i] : timers[i - ITIMERS];
}

u64 signal_timer_next(void)
{
	u64 next = NEVER, due;
	struct timer *t;
	int i;

	for (i = 0; armed && i < ITIMERS + TIMERS_MAX; i++) {
		t = timer_nth(i);
		due = t ? timer_due(t) : NEVER;
		next = MIN(next, due);
	}
	return next;
}

void signal_timer_run(u64 now)
{
	int i;

	for (i = 0; armed && i < ITIMERS + TIMERS_MAX; i++)
		if (timer_nth(i))
			timer_run(timer_nth(i));
}

/* nanoseconds to expiry; for an armed timer at least 1 */
static u64 timer_left(const struct timer *t)
{
	u64 now;

	if (t->expiry == NEVER)
		return 0;
	now = base_now(t->base);
	return t->expiry > now ? t->expiry - now : 1;
}

static void timer_set(struct timer *t, u64 value, u64 interval, int absolute)
{
	u64 now;

	/* a disarmed timer loses its interval, unless it counts CPU time */
	t->interval = value || t->base == BASE_CPU ? interval : 0;
	t->overrun = 0;
	t->overrun_last = 0;
	t->base = t->clock == BASE_REAL && !absolute ? BASE_MONO : t->clock;
	if (!value) {
		expiry_set(t, NEVER);
		return;
	}
	task_looks++;
	now = absolute ? 0 : base_now(t->base);
	expiry_set(t, value > FAR - now ? FAR : now + value);
	/* a time in the past is due now, not at the next tick */
	timer_run(t);
}

static u64 to_ns(s64 sec, s64 nsec)
{
	return (u64)sec >= FAR / NSEC_PER_SEC ? FAR :
		(u64)sec * NSEC_PER_SEC + (u64)nsec;
}

static struct k_timespec timespec_of(u64 ns)
{
	return (struct k_timespec){
		(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC)
	};
}

static struct k_timeval timeval_of(u64 ns)
{
	/* rounded up, since 0 would mean that the timer is disarmed */
	u64 us = (ns + 999) / 1000;

	return (struct k_timeval){ (s64)(us / 1000000), (s64)(us % 1000000) };
}

static int timeval_bad(const struct k_timeval *tv)
{
	return tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000;
}

static int timespec_bad(const struct k_timespec *ts)
{
	return ts->sec < 0 || ts->nsec < 0 || (u64)ts->nsec >= NSEC_PER_SEC;
}

static struct k_itimerval itimer_value(const struct timer *t)
{
	return (struct k_itimerval){
		timeval_of(t->interval), timeval_of(timer_left(t))
	};
}

long sys_getitimer(int which, void *value)
{
	struct k_itimerval v;

	if (which < 0 || which >= ITIMERS)
		return -EINVAL;
	if (!user_ok(value, sizeof(v), 1))
		return -EFAULT;
	timer_run(&itimers[which]);
	v = itimer_value(&itimers[which]);
	memcpy(value, &v, sizeof(v));
	return 0;
}

long sys_setitimer(int which, const void *value, void *old)
{
	struct k_itimerval v = { 0 }, was;
	struct timer *t;

	if (which < 0 || which >= ITIMERS)
		return -EINVAL;
	if ((value && !user_ok(value, sizeof(v), 0)) ||
	    (old && !user_ok(old, sizeof(was), 1)))
		return -EFAULT;
	/* a NULL value disarms, as in Linux */
	if (value)
		memcpy(&v, value, sizeof(v));
	if (timeval_bad(&v.value) || timeval_bad(&v.interval))
		return -EINVAL;
	t = &itimers[which];
	timer_run(t);
	was = itimer_value(t);
	timer_set(t, to_ns(v.value.sec, v.value.usec * 1000),
		  to_ns(v.interval.sec, v.interval.usec * 1000), 0);
	if (old)
		memcpy(old, &was, sizeof(was));
	return 0;
}

long sys_alarm(unsigned seconds)
{
	struct timer *t = &itimers[ITIMER_REAL];
	u64 left;

	timer_run(t);
	left = timer_left(t);
	timer_set(t, seconds * NSEC_PER_SEC, 0, 0);
	/* rounded, but never to 0 while time is left, as in Linux */
	if (left && left < NSEC_PER_SEC)
		return 1;
	return (long)((left + NSEC_PER_SEC / 2) / NSEC_PER_SEC);
}

static int clock_base(int clock, enum timer_base *base)
{
	if (clock >= 0 && clock_is_real(clock))
		*base = BASE_REAL;
	else if (clock >= 0 && clock_is_mono(clock))
		*base = BASE_MONO;
	else if (clock == CLOCK_PROCESS_CPUTIME_ID ||
		 clock == CLOCK_THREAD_CPUTIME_ID || clock < 0)
		*base = BASE_CPU;
	else
		return -EINVAL;
	return 0;
}

static int sigevent_bad(const struct k_sigevent *ev)
{
	switch (ev->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		if (!thread_find(ev->tid))
			return 1;
		/* fall through */
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return ev->signo <= 0 || ev->signo > _NSIG;
	default:
		return 1;
	}
}

static int timer_slot(void)
{
	int i;

	for (i = 0; i < TIMERS_MAX; i++)
		if (!timers[i])
			return i;
	return -EAGAIN;
}

long sys_timer_create(int clock, const void *sigevent, int *id)
{
	struct k_sigevent ev = { .signo = SIGALRM };
	enum timer_base base;
	struct timer *t;
	int slot = timer_slot();

	if (clock_base(clock, &base) < 0)
		return -EINVAL;
	if (slot < 0)
		return slot;
	if ((sigevent && !user_ok(sigevent, sizeof(ev), 0)) ||
	    !user_ok(id, sizeof(*id), 1))
		return -EFAULT;
	ev.value = (u64)slot;
	if (sigevent)
		memcpy(&ev, sigevent, sizeof(ev));
	if (sigevent_bad(&ev))
		return -EINVAL;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -EAGAIN;
	t->base = t->clock = base;
	t->expiry = NEVER;
	t->notify = ev.notify;
	t->signo = ev.signo;
	t->tid = ev.tid;
	t->value = ev.value;
	t->posix = 1 + slot;
	timers[slot] = t;
	*id = slot;
	return 0;
}

static struct timer *timer_find(int id)
{
	return id >= 0 && id < TIMERS_MAX ? timers[id] : NULL;
}

static struct k_itimerspec timer_value(const struct timer *t)
{
	return (struct k_itimerspec){
		timespec_of(t->interval), timespec_of(timer_left(t))
	};
}

long sys_timer_settime(int id, int flags, const void *value, void *old)
{
	struct k_itimerspec v, was;
	struct timer *t;

	if (!value)
		return -EINVAL;
	if (!user_ok(value, sizeof(v), 0) ||
	    (old && !user_ok(old, sizeof(was), 1)))
		return -EFAULT;
	memcpy(&v, value, sizeof(v));
	t = timer_find(id);
	if (!t || timespec_bad(&v.value) || timespec_bad(&v.interval))
		return -EINVAL;
	timer_run(t);
	was = timer_value(t);
	timer_set(t, to_ns(v.value.sec, v.value.nsec),
		  to_ns(v.interval.sec, v.interval.nsec),
		  flags & TIMER_ABSTIME);
	if (old)
		memcpy(old, &was, sizeof(was));
	return 0;
}

long sys_timer_gettime(int id, void *value)
{
	struct timer *t = timer_find(id);
	struct k_itimerspec v;

	if (!t)
		return -EINVAL;
	if (!user_ok(value, sizeof(v), 1))
		return -EFAULT;
	timer_run(t);
	v = timer_value(t);
	memcpy(value, &v, sizeof(v));
	return 0;
}

long sys_timer_getoverrun(int id)
{
	struct timer *t = timer_find(id);

	return t ? t->overrun_last : -EINVAL;
}

long sys_timer_delete(int id)
{
	struct timer *t = timer_find(id);

	if (!t)
		return -EINVAL;
	expiry_set(t, NEVER);
	/* its signal may stay pending; signal_timer_taken() copes */
	timers[id] = NULL;
	kfree(t);
	return 0;
}

void signal_timer_reset(void)
{
	int i;

	for (i = 0; i < ITIMERS; i++) {
		if (itimers[i].expiry != NEVER)
			expiry_set(&itimers[i], NEVER);
		if (itimers[i].interval)
			itimers[i].interval = 0;
	}
	for (i = 0; i < TIMERS_MAX; i++)
		if (timers[i])
			sys_timer_delete(i);
}
