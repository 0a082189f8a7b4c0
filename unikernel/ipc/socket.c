/*
 * socket.c - the socket system calls
 *
 * There is no network: only socketpair() of AF_UNIX connects anything, and
 * socket() of another family is refused, with one line that names the way
 * out.  A lone AF_UNIX socket can be made, as programs do to ask a daemon
 * something, but there is no daemon: connect() finds nobody, and bind() is
 * not supported.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/start/syscall.h"
#include "unikernel/ipc/unixsock.h"

#define CMSG_HEAD	sizeof(struct k_cmsghdr)

static int sock_get(int fd, struct file **f, struct sock **s)
{
	*f = fd_get(fd);
	if (!*f)
		return -EBADF;
	*s = sock_of(*f);
	return *s ? 0 : -ENOTSOCK;
}

/* a family and a type that exist: the type alone, or -errno */
static int sock_type(int family, int type, int protocol)
{
	static int said;

	if (type & ~(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	type &= SOCK_TYPE_MASK;
	if (family != AF_UNIX) {
		if (!said)
			log_printf("usetl: sockets are not available in a "
				   "usetl function; use usetl.get and "
				   "usetl.post, see usetl-python(7)\n");
		said = 1;
		return -EAFNOSUPPORT;
	}
	if (protocol != 0 && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		return SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM &&
	    type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	return type;
}

long sys_socket(int family, int type, int protocol)
{
	int t = sock_type(family, type, protocol);
	struct file *f;

	if (t < 0)
		return t;
	f = sock_new(t, type & O_NONBLOCK);
	return f ? fd_install(f, 0, (type & O_CLOEXEC) != 0) : -ENOMEM;
}

long sys_socketpair(int family, int type, int protocol, int *fds)
{
	int t = sock_type(family, type, protocol);
	struct file *a, *b;

	if (t < 0)
		return t;
	if (!user_ok(fds, 2 * sizeof(*fds), 1))
		return -EFAULT;
	a = sock_new(t, type & O_NONBLOCK);
	b = a ? sock_new(t, type & O_NONBLOCK) : NULL;
	if (!b) {
		if (a)
			file_put(a);
		return -ENOMEM;
	}
	sock_connect_pair(a, b);
	return anon_install_pair(a, b, (type & O_CLOEXEC) != 0, fds);
}

/* an address that nobody answers at, as the right error */
static long addr_nobody(const void *addr, unsigned len)
{
	const char *path = (const char *)addr + sizeof(u16);
	u16 family;

	if (len < sizeof(family) || len > 128)
		return -EINVAL;
	if (!user_ok(addr, len, 0))
		return -EFAULT;
	memcpy(&family, addr, sizeof(family));
	if (family != AF_UNIX || len > 110)
		return -EINVAL;
	if (len == sizeof(family))
		return -EINVAL;
	/* an abstract name; of the others there can be no socket file */
	return path[0] == 0 ? -ECONNREFUSED : -ENOENT;
}

long sys_connect(int fd, const void *addr, unsigned len)
{
	struct file *f;
	struct sock *s;
	int r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	if (s->connected && s->type != SOCK_DGRAM)
		return -EISCONN;
	return addr_nobody(addr, len);
}

long sys_bind(int fd, const void *addr, unsigned len)
{
	struct file *f;
	struct sock *s;
	int r = sock_get(fd, &f, &s);

	return r < 0 ? r : -EOPNOTSUPP;
}

/* listening needs a bound socket, and there are none */
long sys_listen(int fd, int backlog)
{
	struct file *f;
	struct sock *s;
	int r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	return s->type == SOCK_DGRAM ? -EOPNOTSUPP : -EINVAL;
}

long sys_accept4(int fd, void *addr, unsigned *len, int flags)
{
	if (flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	return sys_listen(fd, 0);
}

long sys_accept(int fd, void *addr, unsigned *len)
{
	return sys_accept4(fd, addr, len, 0);
}

/* the rights that a control buffer sends, to m; 0 or -errno */
static int rights_take(struct sock_msg *m, const u8 *data, size_t len)
{
	unsigned i, n = (unsigned)(len / sizeof(int));
	int fd;

	if (n > SCM_MAX_FD || m->rights)
		return -EINVAL;
	if (n == 0)
		return 0;
	m->rights = rights_new(n);
	if (!m->rights)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct file *f;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fd_get(fd);
		if (!f)
			return -EBADF;
		m->rights->file[m->rights->n++] = file_hold(f);
	}
	return 0;
}

static int control_parse(struct sock_msg *m, const u8 *control, size_t len)
{
	struct k_cmsghdr c;
	size_t at = 0;
	int r = 0;

	if (len && !user_ok(control, len, 0))
		return -EFAULT;
	while (r == 0 && at + CMSG_HEAD <= len) {
		memcpy(&c, control + at, sizeof(c));
		if (c.len < CMSG_HEAD || c.len > len - at)
			return -EINVAL;
		if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS)
			r = rights_take(m, control + at + CMSG_HEAD,
					c.len - CMSG_HEAD);
		else if (c.level == SOL_SOCKET &&
			 c.type != SCM_CREDENTIALS)
			r = -EINVAL;
		at += ROUND_UP(c.len, 8);
	}
	return r;
}

/* appends one control message, as far as it fits */
static void control_put(struct k_msghdr *h, size_t *used, int type,
			const void *data, size_t len)
{
	struct k_cmsghdr c = { CMSG_HEAD + len, SOL_SOCKET, type };
	size_t room = h->controllen - *used;
	u8 *to = (u8 *)h->control + *used;

	if (!h->control || room < CMSG_HEAD) {
		h->flags |= MSG_CTRUNC;
		return;
	}
	if (room < c.len) {
		h->flags |= MSG_CTRUNC;
		c.len = room;
	}
	memcpy(to, &c, sizeof(c));
	memcpy(to + CMSG_HEAD, data, c.len - CMSG_HEAD);
	*used += MIN(ROUND_UP(c.len, 8), room);
}

/* installs the rights that have room in the control buffer */
static void control_put_rights(struct k_msghdr *h, size_t *used,
			       const struct rights *r, int cloexec)
{
	size_t room = h->control ? h->controllen - *used : 0;
	int fds[SCM_MAX_FD], fd;
	unsigned n, max;

	max = room > CMSG_HEAD ?
	      (unsigned)((room - CMSG_HEAD) / sizeof(int)) : 0;
	for (n = 0; n < r->n && n < max; n++) {
		fd = fd_install(file_hold(r->file[n]), 0, cloexec);
		if (fd < 0)
			break;
		fds[n] = fd;
	}
	if (n > 0)
		control_put(h, used, SCM_RIGHTS, fds, n * sizeof(int));
	if (n < r->n)
		h->flags |= MSG_CTRUNC;
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

/* where a message without a connection goes: 0 for the peer, or -errno */
static long send_name(struct sock *s, const void *addr, unsigned len)
{
	if (!addr || len == 0)
		return 0;
	if (s->type == SOCK_STREAM)
		return s->connected ? -EISCONN : -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET)
		return 0;
	return addr_nobody(addr, len);
}

static long send_header(int fd, const struct k_msghdr *h, int flags)
{
	struct sock_msg m = { .flags = flags };
	struct k_iovec *iov = NULL;
	struct file *f;
	struct sock *s;
	long r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	file_hold(f);
	r = send_name(s, h->name, h->namelen);
	if (r == 0)
		r = iov_copy(&iov, h, 0);
	if (r >= 0) {
		m.iov = iov;
		m.len = (size_t)r;
		r = h->control ? control_parse(&m, h->control, h->controllen)
			       : 0;
	}
	if (r == 0)
		r = sock_send(f, &m);
	rights_drop(m.rights);
	kfree(iov);
	file_put(f);
	return r;
}

static long recv_header(int fd, struct k_msghdr *h, int flags)
{
	struct k_ucred self = { task_ids.pid, 0, 0 };
	struct sock_msg m = { .flags = flags };
	struct k_iovec *iov = NULL;
	size_t used = 0;
	struct file *f;
	struct sock *s;
	long r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	file_hold(f);
	r = iov_copy(&iov, h, 1);
	if (r >= 0 && h->control && !user_ok(h->control, h->controllen, 1))
		r = -EFAULT;
	if (r < 0)
		goto out;
	m.iov = iov;
	m.len = (size_t)r;
	r = sock_recv(f, &m);
	if (r < 0)
		goto out;
	h->namelen = 0;
	h->flags = (u32)(flags & MSG_CMSG_CLOEXEC) |
		   (m.truncated ? MSG_TRUNC : 0);
	if (s->passcred)
		control_put(h, &used, SCM_CREDENTIALS, &self, sizeof(self));
	if (m.rights)
		control_put_rights(h, &used, m.rights,
				   (flags & MSG_CMSG_CLOEXEC) != 0);
	h->controllen = used;
out:
	rights_drop(m.rights);
	kfree(iov);
	file_put(f);
	return r;
}

long sys_sendto(int fd, const void *buf, size_t len, int flags,
		const void *addr, unsigned addrlen)
{
	struct k_iovec iov = { (void *)buf, len };
	struct sock_msg m = { .iov = &iov, .len = len, .flags = flags };
	struct file *f;
	struct sock *s;
	long r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (len && !user_ok(buf, len, 0))
		return -EFAULT;
	r = send_name(s, addr, addrlen);
	if (r < 0)
		return r;
	file_hold(f);
	r = sock_send(f, &m);
	file_put(f);
	return r;
}

long sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr,
		  unsigned *addrlen)
{
	struct k_iovec iov = { buf, len };
	struct sock_msg m = { .iov = &iov, .len = len, .flags = flags };
	struct file *f;
	struct sock *s;
	long r = sock_get(fd, &f, &s);

	if (r < 0)
		return r;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if ((len && !user_ok(buf, len, 1)) ||
	    (addr && !user_ok(addrlen, sizeof(*addrlen), 1)))
		return -EFAULT;
	file_hold(f);
	r = sock_recv(f, &m);
	rights_drop(m.rights);
	file_put(f);
	/* the other one of a pair has no name */
	if (r >= 0 && addr)
		*addrlen = 0;
	return r;
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
	long r;

	if (!user_ok(msg, sizeof(*msg), 1))
		return -EFAULT;
	h = *msg;
	r = recv_header(fd, &h, flags);
	if (r >= 0) {
		msg->namelen = h.namelen;
		msg->controllen = h.controllen;
		msg->flags = h.flags;
	}
	return r;
}

long sys_sendmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags)
{
	unsigned i;
	long r = 0;

	n = MIN(n, IOV_MAX);
	for (i = 0; i < n; i++) {
		if (!user_ok(&msg[i], sizeof(*msg), 1))
			r = -EFAULT;
		else
			r = sys_sendmsg(fd, &msg[i].hdr, flags);
		if (r < 0)
			break;
		msg[i].len = (u32)r;
	}
	return i ? (long)i : r;
}

long sys_recvmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags,
		  struct k_timespec *ts)
{
	u64 deadline;
	unsigned i;
	long r = poll_deadline(ts, &deadline);

	if (r < 0)
		return r;
	n = MIN(n, IOV_MAX);
	for (i = 0; i < n; i++) {
		if (!user_ok(&msg[i], sizeof(*msg), 1))
			r = -EFAULT;
		else
			r = sys_recvmsg(fd, &msg[i].hdr,
					flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		msg[i].len = (u32)r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* looked at after each message only, recvmmsg(2) BUGS */
		if (ts && now_mono() >= deadline) {
			i++;
			break;
		}
	}
	return i ? (long)i : r;
}
