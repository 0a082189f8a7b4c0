/*
 * sock.c - a socket as an open file, and the families there are (sock.h)
 */
#include "unikernel/ipc/cmsg.h"
#include "unikernel/ipc/sock.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"

static const struct {
	int family;
	const struct sock_ops *ops;
} families[] = {
	{ AF_UNIX, &unix_ops },
};

static const struct file_ops sock_file_ops;

const struct sock_ops *sock_family(int family)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(families); i++)
		if (families[i].family == family)
			return families[i].ops;
	return NULL;
}

struct file *sock_new(int family, int type, int flags)
{
	const struct sock_ops *ops = sock_family(family);
	struct sock *s = kzalloc(ops->size);
	struct file *f;

	if (!s)
		return NULL;
	f = file_new(&sock_file_ops, O_RDWR | flags);
	if (!f) {
		kfree(s);
		return NULL;
	}
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->file = f;
	s->sndbuf = s->rcvbuf = SOCK_BUFFER;
	f->priv = s;
	f->mode = S_IFSOCK | 0777;
	return f;
}

int sock_get(int fd, struct sock **s)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &sock_file_ops)
		return -ENOTSOCK;
	*s = f->priv;
	return 0;
}

long sock_addr(struct k_sockaddr_storage *name, const void *addr, unsigned len)
{
	if (len < sizeof(name->family) || len > sizeof(*name))
		return -EINVAL;
	if (!user_ok(addr, len, 0))
		return -EFAULT;
	memcpy(name, addr, len);
	return len;
}

u64 sock_deadline(u64 timeout)
{
	return timeout ? now_mono() + timeout : NEVER;
}

int sock_sleep(struct sock *s, struct waitq *q, int flags, u64 deadline)
{
	int rc;

	if ((s->file->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT))
		return -EAGAIN;
	rc = thread_wait(q, deadline);
	if (rc == -EINTR && deadline != NEVER)
		signal_no_restart();
	/* SO_RCVTIMEO and SO_SNDTIMEO say EAGAIN, socket(7) */
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

int sock_error(struct sock *s)
{
	int rc = s->err;

	s->err = 0;
	return -rc;
}

static long sock_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct sock *s = f->priv;
	struct k_iovec iov = { buf, len };
	struct sock_msg m = { .iov = &iov, .len = len };
	long rc = s->ops->recv(s, &m);

	/* read(2) has nowhere to put them */
	rights_drop(m.rights);
	return rc;
}

static long sock_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	struct sock *s = f->priv;
	struct k_iovec iov = { (void *)buf, len };
	struct sock_msg m = { .iov = &iov, .len = len };

	return s->ops->send(s, &m);
}

static int sock_poll(struct file *f)
{
	struct sock *s = f->priv;

	return s->ops->poll(s);
}

static long sock_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	struct sock *s = f->priv;
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (!user_ok((void *)arg, sizeof(n), 1))
		return -EFAULT;
	n = s->ops->unread(s);
	memcpy((void *)arg, &n, sizeof(n));
	return 0;
}

static void sock_close(struct file *f)
{
	struct sock *s = f->priv;

	s->ops->release(s);
	kfree(s);
}

static const struct file_ops sock_file_ops = {
	.name = "socket",
	.read = sock_read,
	.write = sock_write,
	.poll = sock_poll,
	.ioctl = sock_ioctl,
	.close = sock_close,
};
