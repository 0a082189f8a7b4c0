/*
 * socket.c - the system calls that make, connect, send and receive
 *
 * What a family does about each is its own (sock.h).  socket() of a family
 * that there is not is refused, with one line that names the way out.
 */
#include "unikernel/ipc/cmsg.h"
#include "unikernel/ipc/sock.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/mem/mem.h"

/* a family and a type that exist: the type alone, or -errno */
static int sock_type(int family, int type, int protocol)
{
	const struct sock_ops *ops = sock_family(family);
	static int said;

	if (type & ~(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	if (!ops) {
		if (!said)
			log_printf("usetl: sockets are not available in a "
				   "usetl function; use usetl.get and "
				   "usetl.post, see usetl-python(7)\n");
		said = 1;
		return -EAFNOSUPPORT;
	}
	return ops->type(type & SOCK_TYPE_MASK, protocol);
}

long sys_socket(int family, int type, int protocol)
{
	int t = sock_type(family, type, protocol);
	struct file *f;

	if (t < 0)
		return t;
	f = sock_new(family, t, type & O_NONBLOCK);
	return f ? fd_install(f, 0, (type & O_CLOEXEC) != 0) : -ENOMEM;
}

long sys_socketpair(int family, int type, int protocol, int *fds)
{
	int t = sock_type(family, type, protocol);
	struct file *a, *b;

	if (t < 0)
		return t;
	if (!sock_family(family)->pair)
		return -EOPNOTSUPP;
	if (!user_ok(fds, 2 * sizeof(*fds), 1))
		return -EFAULT;
	a = sock_new(family, t, type & O_NONBLOCK);
	b = a ? sock_new(family, t, type & O_NONBLOCK) : NULL;
	if (!b) {
		if (a)
			file_put(a);
		return -ENOMEM;
	}
	sock_family(family)->pair(a->priv, b->priv);
	return anon_install_pair(a, b, (type & O_CLOEXEC) != 0, fds);
}

long sys_connect(int fd, const void *addr, unsigned len)
{
	struct sock *s;
	struct file *f;
	long rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	f = file_hold(s->file);
	rc = s->ops->connect(s, addr, len);
	file_put(f);
	return rc;
}

long sys_bind(int fd, const void *addr, unsigned len)
{
	struct sock *s;
	int rc = sock_get(fd, &s);

	return rc < 0 ? rc : s->ops->bind(s, addr, len);
}

long sys_listen(int fd, int backlog)
{
	struct sock *s;
	int rc = sock_get(fd, &s);

	return rc < 0 ? rc : s->ops->listen(s, backlog);
}

long sys_accept4(int fd, void *addr, unsigned *len, int flags)
{
	struct sock *s;
	struct file *f;
	long rc;

	if (flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	rc = sock_get(fd, &s);
	if (rc < 0)
		return rc;
	f = file_hold(s->file);
	rc = s->ops->accept(s, addr, len, flags);
	file_put(f);
	return rc;
}

long sys_accept(int fd, void *addr, unsigned *len)
{
	return sys_accept4(fd, addr, len, 0);
}

/* the message's vector, copied and checked: bytes in it, or -errno */
static long iov_copy(struct k_iovec **out, const struct k_msghdr *h, int write)
{
	struct k_iovec *iov;
	size_t i, len = 0;

	*out = NULL;
	if (h->iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (h->iovlen == 0)
		return 0;
	if (!user_ok(h->iov, h->iovlen * sizeof(*iov), 0))
		return -EFAULT;
	iov = kmalloc(h->iovlen * sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	*out = iov;
	memcpy(iov, h->iov, h->iovlen * sizeof(*iov));
	for (i = 0; i < h->iovlen; i++) {
		if (iov[i].len > INT64_MAX - len)
			return -EINVAL;
		if (iov[i].len && !user_ok(iov[i].base, iov[i].len, write))
			return -EFAULT;
		len += iov[i].len;
	}
	return (long)len;
}

static long send_header(int fd, const struct k_msghdr *h, int flags)
{
	struct sock_msg m = { .flags = flags };
	struct k_iovec *iov = NULL;
	struct file *f;
	struct sock *s;
	long rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	f = file_hold(s->file);
	rc = s->ops->address(s, &m, h->name, h->namelen);
	if (rc == 0)
		rc = iov_copy(&iov, h, 0);
	if (rc >= 0) {
		m.iov = iov;
		m.len = (size_t)rc;
		rc = h->control ? cmsg_parse(&m, h->control, h->controllen) : 0;
	}
	if (rc == 0)
		rc = s->ops->send(s, &m);
	rights_drop(m.rights);
	kfree(iov);
	file_put(f);
	return rc;
}

/*
 * The sender's address, if it has one, and its length, to where the program
 * wants them; what does not fit is cut off.  len may be written to.
 */
static long name_give(const struct sock_msg *m, void *addr, unsigned *len)
{
	unsigned n = MIN(*len, m->namelen);

	*len = m->namelen;
	if (n == 0)
		return 0;
	if (!user_ok(addr, n, 1))
		return -EFAULT;
	memcpy(addr, &m->name, n);
	return 0;
}

static long recv_header(int fd, struct k_msghdr *h, int flags)
{
	struct sock_msg m = { .flags = flags };
	struct k_iovec *iov = NULL;
	struct file *f;
	struct sock *s;
	long got, rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	f = file_hold(s->file);
	rc = iov_copy(&iov, h, 1);
	if (rc >= 0 && h->control && !user_ok(h->control, h->controllen, 1))
		rc = -EFAULT;
	if (rc < 0)
		goto out;
	m.iov = iov;
	m.len = (size_t)rc;
	rc = s->ops->recv(s, &m);
	if (rc < 0)
		goto out;
	h->flags = (u32)(flags & MSG_CMSG_CLOEXEC) |
		   (m.truncated ? MSG_TRUNC : 0);
	cmsg_put(h, s, &m);
	got = name_give(&m, h->name, &h->namelen);
	if (got < 0)
		rc = got;
out:
	rights_drop(m.rights);
	kfree(iov);
	file_put(f);
	return rc;
}

long sys_sendto(int fd, const void *buf, size_t len, int flags,
		const void *addr, unsigned addrlen)
{
	struct k_iovec iov = { (void *)buf, len };
	struct sock_msg m = { .iov = &iov, .len = len, .flags = flags };
	struct file *f;
	struct sock *s;
	long rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (len && !user_ok(buf, len, 0))
		return -EFAULT;
	rc = s->ops->address(s, &m, addr, addrlen);
	if (rc < 0)
		return rc;
	f = file_hold(s->file);
	rc = s->ops->send(s, &m);
	file_put(f);
	return rc;
}

long sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr,
		  unsigned *addrlen)
{
	struct k_iovec iov = { buf, len };
	struct sock_msg m = { .iov = &iov, .len = len, .flags = flags };
	struct file *f;
	struct sock *s;
	long got, rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if ((len && !user_ok(buf, len, 1)) ||
	    (addr && !user_ok(addrlen, sizeof(*addrlen), 1)))
		return -EFAULT;
	f = file_hold(s->file);
	rc = s->ops->recv(s, &m);
	rights_drop(m.rights);
	file_put(f);
	got = rc >= 0 && addr ? name_give(&m, addr, addrlen) : 0;
	return got < 0 ? got : rc;
}

long sys_sendmsg(int fd, const struct k_msghdr *msg, int flags)
{
	struct k_msghdr h;

	if (!user_ok(msg, sizeof(*msg), 0))
		return -EFAULT;
	h = *msg;
	return send_header(fd, &h, flags);
}

long sys_recvmsg(int fd, struct k_msghdr *msg, int flags)
{
	struct k_msghdr h;
	long rc;

	if (!user_ok(msg, sizeof(*msg), 1))
		return -EFAULT;
	h = *msg;
	rc = recv_header(fd, &h, flags);
	if (rc >= 0) {
		msg->namelen = h.namelen;
		msg->controllen = h.controllen;
		msg->flags = h.flags;
	}
	return rc;
}

long sys_sendmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags)
{
	unsigned i;
	long rc = 0;

	n = MIN(n, IOV_MAX);
	for (i = 0; i < n; i++) {
		if (!user_ok(&msg[i], sizeof(*msg), 1))
			rc = -EFAULT;
		else
			rc = sys_sendmsg(fd, &msg[i].hdr, flags);
		if (rc < 0)
			break;
		msg[i].len = (u32)rc;
	}
	return i ? (long)i : rc;
}

long sys_recvmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags,
		  struct k_timespec *ts)
{
	u64 deadline;
	unsigned i;
	long rc = poll_deadline(ts, &deadline);

	if (rc < 0)
		return rc;
	n = MIN(n, IOV_MAX);
	for (i = 0; i < n; i++) {
		if (!user_ok(&msg[i], sizeof(*msg), 1))
			rc = -EFAULT;
		else
			rc = sys_recvmsg(fd, &msg[i].hdr,
					 flags & ~MSG_WAITFORONE);
		if (rc < 0)
			break;
		msg[i].len = (u32)rc;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* looked at after each message only, recvmmsg(2) BUGS */
		if (ts && now_mono() >= deadline) {
			i++;
			break;
		}
	}
	return i ? (long)i : rc;
}
