/*
 * eventfd.c - a counter behind a descriptor
 *
 * Invariant: count <= EVENT_MAX; a write that would pass it waits.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define EVENT_MAX	(~0ull - 1)

struct eventfd {
	u64 count;
	int semaphore;
	struct waitq readers, writers;
};

static long eventfd_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct eventfd *e = f->priv;
	u64 n;
	int rc;

	if (len < sizeof(n))
		return -EINVAL;
	while (e->count == 0) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		rc = thread_wait(&e->readers, NEVER);
		if (rc < 0)
			return rc;
	}
	n = e->semaphore ? 1 : e->count;
	e->count -= n;
	memcpy(buf, &n, sizeof(n));
	thread_wake(&e->writers, THREADS_MAX);
	epoll_mark(f);
	return sizeof(n);
}

static long eventfd_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	struct eventfd *e = f->priv;
	u64 n;
	int rc;

	if (len < sizeof(n))
		return -EINVAL;
	memcpy(&n, buf, sizeof(n));
	if (n > EVENT_MAX)
		return -EINVAL;
	while (n > EVENT_MAX - e->count) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		rc = thread_wait(&e->writers, NEVER);
		if (rc < 0)
			return rc;
	}
	e->count += n;
	thread_wake(&e->readers, THREADS_MAX);
	epoll_mark(f);
	return sizeof(n);
}

static int eventfd_poll(struct file *f)
{
	struct eventfd *e = f->priv;

	return (e->count ? POLLIN : 0) | (e->count < EVENT_MAX ? POLLOUT : 0);
}

static void eventfd_close(struct file *f)
{
	kfree(f->priv);
}

static const struct file_ops eventfd_ops = {
	.name = "[eventfd]",
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.close = eventfd_close,
};

long sys_eventfd2(unsigned init, int flags)
{
	struct eventfd *e;

	if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->count = init;
	e->semaphore = flags & EFD_SEMAPHORE;
	return anon_install(&eventfd_ops, e, 0600,
			    O_RDWR | (flags & (O_CLOEXEC | O_NONBLOCK)));
}

long sys_eventfd(unsigned init)
{
	return sys_eventfd2(init, 0);
}
