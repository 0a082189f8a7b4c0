/*
 * timerfd.c - a timer behind a descriptor
 *
 * A timer keeps its next expiry in its own clock's nanoseconds (a setting of
 * the wall clock, as a clone's resume is one, moves absolute wall clock
 * timers with it) and NEVER when disarmed.  Nothing ticks: whoever looks
 * lets it expire, and whoever sleeps asks timerfd_run() for how long.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

struct timerfd {
	int clock;
	int real;			/* next is wall clock time */
	u64 next, interval;
	u64 ticks;			/* expiries not read yet */
	struct file *file;
	struct waitq readers;
	struct timerfd *link;
};

static struct timerfd *timers;

static u64 timer_now(const struct timerfd *t)
{
	return t->real ? now_real() : now_mono();
}

/* whether it expired now */
static int timer_run(struct timerfd *t)
{
	u64 now, n = 1;

	if (t->next == NEVER)
		return 0;
	now = timer_now(t);
	if (now < t->next)
		return 0;
	if (t->interval) {
		n += (now - t->next) / t->interval;
		t->next += n * t->interval;
	} else {
		t->next = NEVER;
	}
	t->ticks += n;
	thread_wake(&t->readers, THREADS_MAX);
	epoll_mark(t->file);
	return 1;
}

/* its next expiry in mono ns */
static u64 timer_deadline(const struct timerfd *t)
{
	u64 now;

	if (t->next == NEVER || !t->real)
		return t->next;
	now = now_real();
	return now_mono() + (t->next > now ? t->next - now : 0);
}

int timerfd_run(u64 *next)
{
	struct timerfd *t;
	u64 deadline;
	int n = 0;

	*next = NEVER;
	for (t = timers; t; t = t->link) {
		n += timer_run(t);
		deadline = timer_deadline(t);
		*next = MIN(*next, deadline);
	}
	return n;
}

static long timerfd_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct timerfd *t = f->priv;
	int rc;

	if (len < sizeof(t->ticks))
		return -EINVAL;
	for (timer_run(t); t->ticks == 0; timer_run(t)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		rc = thread_wait(&t->readers, timer_deadline(t));
		if (rc == -EINTR)
			return rc;
	}
	memcpy(buf, &t->ticks, sizeof(t->ticks));
	t->ticks = 0;
	return sizeof(t->ticks);
}

static int timerfd_poll(struct file *f)
{
	struct timerfd *t = f->priv;

	timer_run(t);
	return t->ticks ? POLLIN : 0;
}

static void timerfd_close(struct file *f)
{
	struct timerfd **p, *t = f->priv;

	for (p = &timers; *p; p = &(*p)->link) {
		if (*p == t) {
			*p = t->link;
			break;
		}
	}
	kfree(t);
}

static const struct file_ops timerfd_ops = {
	.name = "[timerfd]",
	.read = timerfd_read,
	.poll = timerfd_poll,
	.close = timerfd_close,
};

long sys_timerfd_create(int clock, int flags)
{
	struct timerfd *t;
	int fd;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC &&
	    clock != CLOCK_BOOTTIME && clock != CLOCK_REALTIME_ALARM &&
	    clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->clock = clock;
	t->next = NEVER;
	fd = anon_install(&timerfd_ops, t, 0600, O_RDWR | flags);
	if (fd < 0)
		return fd;
	t->file = fd_get(fd);
	t->link = timers;
	timers = t;
	return fd;
}

static int timerfd_get(int fd, struct timerfd **t)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &timerfd_ops)
		return -EINVAL;
	*t = f->priv;
	return 0;
}

/* nanoseconds, saturated; -EINVAL */
static int timer_ns(const struct k_timespec *ts, u64 *ns)
{
	if (ts->sec < 0 || ts->nsec < 0 || (u64)ts->nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if ((u64)ts->sec >= (1ull << 62) / NSEC_PER_SEC)
		*ns = 1ull << 62;
	else
		*ns = (u64)ts->sec * NSEC_PER_SEC + (u64)ts->nsec;
	return 0;
}

static void timer_value(struct timerfd *t, struct k_itimerspec *v)
{
	u64 left = 0;

	if (t->next != NEVER) {
		u64 now = timer_now(t);

		/* armed is never told as 0, which means disarmed */
		left = t->next > now ? t->next - now : 1;
	}
	v->value.sec = (s64)(left / NSEC_PER_SEC);
	v->value.nsec = (s64)(left % NSEC_PER_SEC);
	v->interval.sec = (s64)(t->interval / NSEC_PER_SEC);
	v->interval.nsec = (s64)(t->interval % NSEC_PER_SEC);
}

static void timer_set(struct timerfd *t, u64 value, u64 interval, int flags)
{
	int real = t->clock == CLOCK_REALTIME ||
		   t->clock == CLOCK_REALTIME_ALARM;

	t->ticks = 0;
	t->interval = interval;
	t->real = real && (flags & TFD_TIMER_ABSTIME);
	if (value == 0)
		t->next = NEVER;
	else if (flags & TFD_TIMER_ABSTIME)
		t->next = value;
	else
		t->next = now_mono() + value;
	/* sleepers must reckon with the new expiry */
	thread_wake(&t->readers, THREADS_MAX);
	poll_notify();
}

long sys_timerfd_settime(int fd, int flags, const struct k_itimerspec *value,
			 struct k_itimerspec *old)
{
	struct k_itimerspec v;
	struct timerfd *t;
	u64 first, interval;
	int rc;

	if (!user_ok(value, sizeof(*value), 0) ||
	    (old && !user_ok(old, sizeof(*old), 1)))
		return -EFAULT;
	v = *value;
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) ||
	    timer_ns(&v.value, &first) < 0 ||
	    timer_ns(&v.interval, &interval) < 0)
		return -EINVAL;
	rc = timerfd_get(fd, &t);
	if (rc < 0)
		return rc;
	timer_run(t);
	if (old)
		timer_value(t, old);
	task_looks += first != 0;
	timer_set(t, first, interval, flags);
	return 0;
}

long sys_timerfd_gettime(int fd, struct k_itimerspec *value)
{
	struct timerfd *t;
	int rc = timerfd_get(fd, &t);

	if (rc < 0)
		return rc;
	if (!user_ok(value, sizeof(*value), 1))
		return -EFAULT;
	timer_run(t);
	timer_value(t, value);
	return 0;
}
