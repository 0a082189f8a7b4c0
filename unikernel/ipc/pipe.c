/*
 * pipe.c - pipes: one ring of bytes, two open files
 *
 * The ring starts at a page and doubles up to the pipe's capacity, so that a
 * pipe that carries a few bytes costs a page.  A write of up to PIPE_BUF bytes
 * is atomic.  end[] points to the open files while they live; the pipe goes
 * with the second of them.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define PIPE_CAP	0x10000u	/* unless F_SETPIPE_SZ changes it */
#define PIPE_CAP_MAX	0x100000u	/* fs.pipe-max-size */
#define PIPE_FIRST	0x1000u

enum { READER, WRITER };

struct pipe {
	u8 *buf;
	u32 size, head, len;		/* size: a power of two */
	u32 cap;			/* a power of two, >= PIPE_BUF */
	struct file *end[2];
	struct waitq wait[2];
};

static void pipe_copy_in(struct pipe *p, const u8 *from, u32 n)
{
	u32 at = (p->head + p->len) & (p->size - 1);
	u32 first = MIN(n, p->size - at);

	memcpy(p->buf + at, from, first);
	memcpy(p->buf, from + first, n - first);
	p->len += n;
}

static void pipe_copy_out(struct pipe *p, u8 *to, u32 n)
{
	u32 first = MIN(n, p->size - p->head);

	memcpy(to, p->buf + p->head, first);
	memcpy(to + first, p->buf, n - first);
	p->head = (p->head + n) & (p->size - 1);
	p->len -= n;
}

/* a ring with room for n more bytes, n within the capacity */
static int pipe_reserve(struct pipe *p, u32 n)
{
	u32 size = p->size ? p->size : PIPE_FIRST, len = p->len;
	u8 *buf;

	while (size < len + n)
		size *= 2;
	if (size == p->size)
		return 0;
	buf = kmalloc(size);
	if (!buf)
		return -ENOMEM;
	if (p->buf)
		pipe_copy_out(p, buf, len);
	kfree(p->buf);
	p->buf = buf;
	p->size = size;
	p->head = 0;
	p->len = len;
	return 0;
}

static void pipe_changed(struct pipe *p, int end)
{
	thread_wake(&p->wait[end], THREADS_MAX);
	if (p->end[end])
		epoll_mark(p->end[end]);
}

static long pipe_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct pipe *p = f->priv;
	int was_full, rc;
	u32 n;

	if (len == 0)
		return 0;
	while (p->len == 0) {
		if (!p->end[WRITER])
			return 0;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		rc = thread_wait(&p->wait[READER], NEVER);
		if (rc < 0)
			return rc;
	}
	was_full = p->cap - p->len < PIPE_BUF;
	n = (u32)MIN(len, p->len);
	pipe_copy_out(p, buf, n);
	/* a poller is told of room for PIPE_BUF only, a writer of any */
	if (was_full)
		pipe_changed(p, WRITER);
	else
		thread_wake(&p->wait[WRITER], THREADS_MAX);
	return n;
}

/* appends what fits now: > 0, or 0 when it would have to wait, or -errno */
static long pipe_append(struct pipe *p, const u8 *buf, size_t len, int atomic)
{
	u32 room = p->cap - p->len;
	u32 n = (u32)MIN(len, room);
	int rc;

	if (n == 0 || (atomic && n < len))
		return 0;
	rc = pipe_reserve(p, n);
	if (rc < 0)
		return rc;
	pipe_copy_in(p, buf, n);
	pipe_changed(p, READER);
	return n;
}

static long pipe_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	struct pipe *p = f->priv;
	size_t done = 0;
	long rc = 0;

	while (done < len) {
		if (!p->end[READER]) {
			signal_send(current, SIGPIPE, NULL);
			rc = -EPIPE;
			break;
		}
		rc = pipe_append(p, (const u8 *)buf + done, len - done,
				 len <= PIPE_BUF);
		if (rc < 0)
			break;
		done += (size_t)rc;
		if (rc > 0)
			continue;
		rc = -EAGAIN;
		if (f->flags & O_NONBLOCK)
			break;
		rc = thread_wait(&p->wait[WRITER], NEVER);
		if (rc < 0)
			break;
	}
	return done ? (long)done : rc;
}

static int pipe_poll_read(struct file *f)
{
	struct pipe *p = f->priv;

	return (p->len ? POLLIN : 0) | (p->end[WRITER] ? 0 : POLLHUP);
}

static int pipe_poll_write(struct file *f)
{
	struct pipe *p = f->priv;

	return (p->cap - p->len >= PIPE_BUF ? POLLOUT : 0) |
	       (p->end[READER] ? 0 : POLLERR);
}

static long pipe_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	struct pipe *p = f->priv;
	int *n = (int *)arg;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (!user_ok(n, sizeof(*n), 1))
		return -EFAULT;
	*n = (int)p->len;
	return 0;
}

static void pipe_close(struct file *f)
{
	struct pipe *p = f->priv;
	int end = p->end[WRITER] == f;

	p->end[end] = NULL;
	if (p->end[!end]) {
		pipe_changed(p, !end);
		return;
	}
	kfree(p->buf);
	kfree(p);
}

static long pipe_size(struct file *f, u64 want)
{
	struct pipe *p = f->priv;
	u32 cap = PIPE_BUF, old = p->cap;

	if (!want)
		return old;
	if (want > PIPE_CAP_MAX)
		return -EPERM;
	while (cap < want)
		cap *= 2;
	if (cap < p->len)
		return -EBUSY;
	/* the ring may be larger by now, and stays */
	p->cap = cap;
	if (cap > old)
		pipe_changed(p, WRITER);
	return cap;
}

static const struct file_ops reader_ops = {
	.name = "pipe",
	.read = pipe_read,
	.poll = pipe_poll_read,
	.ioctl = pipe_ioctl,
	.pipe_size = pipe_size,
	.close = pipe_close,
};

static const struct file_ops writer_ops = {
	.name = "pipe",
	.write = pipe_write,
	.poll = pipe_poll_write,
	.ioctl = pipe_ioctl,
	.pipe_size = pipe_size,
	.close = pipe_close,
};

/* the two ends; nothing is left over when memory is out */
static int pipe_create(struct file *end[2], int flags)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->cap = PIPE_CAP;
	end[READER] = file_new(&reader_ops, O_RDONLY | flags);
	end[WRITER] = file_new(&writer_ops, O_WRONLY | flags);
	if (!end[READER] || !end[WRITER])
		goto out;
	for (int i = 0; i < 2; i++) {
		p->end[i] = end[i];
		end[i]->priv = p;
		end[i]->mode = S_IFIFO | 0600;
	}
	return 0;
out:
	/* not a pipe's end yet: nothing for close() to do */
	for (int i = 0; i < 2; i++)
		if (end[i])
			kfree(end[i]);
	kfree(p);
	return -ENOMEM;
}

long sys_pipe2(int *fds, int flags)
{
	struct file *end[2];
	int rc;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (!user_ok(fds, 2 * sizeof(*fds), 1))
		return -EFAULT;
	rc = pipe_create(end, flags & O_NONBLOCK);
	if (rc < 0)
		return rc;
	return anon_install_pair(end[READER], end[WRITER],
				 (flags & O_CLOEXEC) != 0, fds);
}

long sys_pipe(int *fds)
{
	return sys_pipe2(fds, 0);
}
