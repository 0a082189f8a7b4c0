/*
 * poll.c - poll and select, and the one queue of everyone who waits
 *
 * There is no list of waiters per descriptor: whatever can turn a poll bit
 * on calls poll_notify(), which wakes every poller, and each looks again at
 * its own descriptors.  With one process and few of them, that is cheaper
 * than registering and unregistering at every call.
 *
 * Descriptors are looked up again at every look, so a file that another
 * thread closes meanwhile is never touched.
 */
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

/* Linux's file-position-independent defaults, <asm-generic/poll.h> */
#define POLL_READ	(POLLIN | POLLRDNORM)
#define POLL_WRITE	(POLLOUT | POLLWRNORM)

/* what each set of select() stands for, fs/select.c */
#define SELECT_IN	(POLL_READ | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_OUT	(POLL_WRITE | POLLWRBAND | POLLERR)
#define SELECT_EX	POLLPRI

#define SET_WORDS	(FD_MAX / 64)

struct waitq poll_queue;

struct select_sets {
	u64 in[SET_WORDS], out[SET_WORDS], ex[SET_WORDS];
};

void poll_notify(void)
{
	if (poll_queue.head)
		thread_wake(&poll_queue, THREADS_MAX);
}

int poll_file(struct file *f)
{
	int bits = POLLIN | POLLOUT;

	if (f->ops->poll)
		bits = f->ops->poll(f);
	if (bits & POLLIN)
		bits |= POLLRDNORM;
	if (bits & POLLOUT)
		bits |= POLLWRNORM;
	return bits;
}

int poll_sleep(u64 deadline)
{
	u64 timer;
	int rc;

	/*
	 * What expires here the caller may have missed when it looked: it
	 * does not sleep, but a timer that always expires must not keep it
	 * from its deadline and from signals.
	 */
	if (timerfd_run(&timer) > 0)
		timer = 0;
	rc = thread_wait(&poll_queue, MIN(deadline, timer));
	if (rc == -ETIMEDOUT && now_mono() < deadline)
		return 0;
	return rc;
}

static u64 deadline_after(u64 ns)
{
	u64 now = now_mono();

	if (ns == 0)
		return 0;
	return ns >= NEVER - now ? NEVER : now + ns;
}

static u64 deadline_ms(int ms)
{
	return ms < 0 ? NEVER : deadline_after((u64)ms * 1000000);
}

int poll_deadline(const struct k_timespec *ts, u64 *deadline)
{
	struct k_timespec t;

	*deadline = NEVER;
	if (!ts)
		return 0;
	if (!user_ok(ts, sizeof(*ts), 0))
		return -EFAULT;
	t = *ts;
	if (t.sec < 0 || t.nsec < 0 || (u64)t.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	/* past 2^63 ns nobody can tell it from for ever */
	if ((u64)t.sec < (1ull << 63) / NSEC_PER_SEC)
		*deadline = deadline_after((u64)t.sec * NSEC_PER_SEC +
					   (u64)t.nsec);
	return 0;
}

/* Linux leaves what is left of the time in a caller's timeout */
static u64 deadline_left(u64 deadline)
{
	u64 now = now_mono();

	return deadline > now ? deadline - now : 0;
}

static void timespec_left(struct k_timespec *ts, u64 deadline)
{
	u64 left;

	if (!ts || deadline == NEVER || !user_ok(ts, sizeof(*ts), 1))
		return;
	left = deadline_left(deadline);
	ts->sec = (s64)(left / NSEC_PER_SEC);
	ts->nsec = (s64)(left % NSEC_PER_SEC);
}

static int poll_one(struct pollfd *p)
{
	struct file *f;

	if (p->fd < 0)
		return 0;
	f = fd_get(p->fd);
	if (!f)
		return POLLNVAL;
	return poll_file(f) & (p->events | POLLERR | POLLHUP);
}

static long poll_wait(struct pollfd *fds, unsigned n, u64 deadline)
{
	unsigned i;
	long ready;
	int rc = 0;

	if (n > FD_MAX)
		return -EINVAL;
	if (n && !user_ok(fds, n * sizeof(*fds), 1))
		return -EFAULT;
	for (;;) {
		for (ready = 0, i = 0; i < n; i++) {
			fds[i].revents = (short)poll_one(&fds[i]);
			ready += fds[i].revents != 0;
		}
		/* look once more after the deadline before giving up */
		if (ready || deadline == 0 || rc == -ETIMEDOUT)
			return ready;
		rc = poll_sleep(deadline);
		if (rc == -EINTR)
			return rc;
	}
}

long sys_poll(struct pollfd *fds, unsigned n, int ms)
{
	return poll_wait(fds, n, deadline_ms(ms));
}

long poll_mask(const u64 *mask, size_t size)
{
	if (!mask)
		return 0;
	if (size != sizeof(*mask))
		return -EINVAL;
	if (!user_ok(mask, sizeof(*mask), 0))
		return -EFAULT;
	signal_mask_temporarily(*mask);
	return 0;
}

long sys_ppoll(struct pollfd *fds, unsigned n, struct k_timespec *ts,
	       const u64 *mask, size_t size)
{
	u64 deadline;
	long rc = poll_deadline(ts, &deadline);

	if (rc == 0)
		rc = poll_mask(mask, size);
	if (rc < 0)
		return rc;
	rc = poll_wait(fds, n, deadline);
	timespec_left(ts, deadline);
	return rc;
}

static int set_has(const u64 *set, int fd)
{
	return set[fd / 64] >> (fd % 64) & 1;
}

/* one look: bits that hold go to res; how many, or -EBADF */
static long select_look(int n, const struct select_sets *ask,
			struct select_sets *res)
{
	struct file *f;
	long ready = 0;
	int fd, bits;

	memset(res, 0, sizeof(*res));
	for (fd = 0; fd < n; fd++) {
		u64 bit = 1ull << (fd % 64);

		if (!((ask->in[fd / 64] | ask->out[fd / 64] |
		       ask->ex[fd / 64]) & bit))
			continue;
		f = fd_get(fd);
		if (!f)
			return -EBADF;
		bits = poll_file(f);
		if (set_has(ask->in, fd) && (bits & SELECT_IN)) {
			res->in[fd / 64] |= bit;
			ready++;
		}
		if (set_has(ask->out, fd) && (bits & SELECT_OUT)) {
			res->out[fd / 64] |= bit;
			ready++;
		}
		if (set_has(ask->ex, fd) && (bits & SELECT_EX)) {
			res->ex[fd / 64] |= bit;
			ready++;
		}
	}
	return ready;
}

/* bytes of a user's set of n descriptors: whole words, as in Linux */
static size_t set_bytes(int n)
{
	return (size_t)(n + 63) / 64 * 8;
}

static int set_read(u64 *to, const u64 *from, int n)
{
	memset(to, 0, SET_WORDS * sizeof(*to));
	if (!from)
		return 0;
	if (!user_ok(from, set_bytes(n), 1))
		return -EFAULT;
	memcpy(to, from, set_bytes(n));
	return 0;
}

static void set_write(u64 *to, const u64 *from, int n)
{
	if (to)
		memcpy(to, from, set_bytes(n));
}

static long select_wait(int n, u64 *in, u64 *out, u64 *ex, u64 deadline)
{
	struct select_sets ask, res;
	long ready;
	int rc = 0;

	if (n < 0)
		return -EINVAL;
	n = MIN(n, FD_MAX);
	if (set_read(ask.in, in, n) < 0 || set_read(ask.out, out, n) < 0 ||
	    set_read(ask.ex, ex, n) < 0)
		return -EFAULT;
	for (;;) {
		ready = select_look(n, &ask, &res);
		if (ready < 0)
			return ready;
		if (ready || deadline == 0 || rc == -ETIMEDOUT)
			break;
		rc = poll_sleep(deadline);
		if (rc == -EINTR)
			return rc;
	}
	set_write(in, res.in, n);
	set_write(out, res.out, n);
	set_write(ex, res.ex, n);
	return ready;
}

long sys_select(int n, u64 *in, u64 *out, u64 *ex, void *timeval)
{
	s64 *tv = timeval;
	u64 deadline = NEVER, left;
	long rc;

	if (tv) {
		if (!user_ok(tv, 16, 0))
			return -EFAULT;
		if (tv[0] < 0 || tv[1] < 0)
			return -EINVAL;
		/* Linux allows a second and more of microseconds here */
		if ((u64)tv[0] < (1ull << 62) / NSEC_PER_SEC &&
		    (u64)tv[1] < (1ull << 62) / 1000)
			deadline = deadline_after((u64)tv[0] * NSEC_PER_SEC +
						  (u64)tv[1] * 1000);
	}
	rc = select_wait(n, in, out, ex, deadline);
	if (tv && deadline != NEVER && user_ok(tv, 16, 1)) {
		left = deadline_left(deadline);
		tv[0] = (s64)(left / NSEC_PER_SEC);
		tv[1] = (s64)(left % NSEC_PER_SEC / 1000);
	}
	return rc;
}

long sys_pselect6(int n, u64 *in, u64 *out, u64 *ex,
		  struct k_timespec *ts, const void *mask)
{
	const struct k_sigset_argpack *arg = mask;
	u64 deadline;
	long rc = poll_deadline(ts, &deadline);

	if (rc == 0 && arg)
		rc = user_ok(arg, sizeof(*arg), 0) ?
		    poll_mask(arg->set, arg->size) : -EFAULT;
	if (rc < 0)
		return rc;
	rc = select_wait(n, in, out, ex, deadline);
	timespec_left(ts, deadline);
	return rc;
}
