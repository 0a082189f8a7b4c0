/*
 * sockopt.c - names and options of sockets
 *
 * Options that Linux would merely remember for an AF_UNIX pair are taken and
 * answered with what is in force here.
 */
#include "unikernel/start/syscall.h"
#include "unikernel/ipc/unixsock.h"

#define K_AF_UNIX	1

#define K_SOL_SOCKET	1
#define K_SO_DEBUG	1
#define K_SO_REUSEADDR	2
#define K_SO_TYPE	3
#define K_SO_ERROR	4
#define K_SO_BROADCAST	6
#define K_SO_SNDBUF	7
#define K_SO_RCVBUF	8
#define K_SO_KEEPALIVE	9
#define K_SO_PRIORITY	12
#define K_SO_LINGER	13
#define K_SO_REUSEPORT	15
#define K_SO_PASSCRED	16
#define K_SO_PEERCRED	17
#define K_SO_RCVTIMEO	20
#define K_SO_SNDTIMEO	21
#define K_SO_ACCEPTCONN	30
#define K_SO_PROTOCOL	38
#define K_SO_DOMAIN	39

/* SOCK_MIN_SNDBUF, and a bound as net.core.wmem_max is one */
#define BUFFER_MIN	4608u
#define BUFFER_MAX	(2 * SOCK_BUFFER)

struct k_ucred {
	s32 pid;
	u32 uid, gid;
};

static int sock_get(int fd, struct sock **s)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	*s = sock_of(f);
	return *s ? 0 : -ENOTSOCK;
}

long sys_shutdown(int fd, int how)
{
	struct sock *s;
	int r = sock_get(fd, &s);

	if (r < 0)
		return r;
	/* SHUT_RD, SHUT_WR, SHUT_RDWR are 0, 1, 2 */
	if (how < 0 || how > 2)
		return -EINVAL;
	return sock_shutdown(s, how + 1);
}

/* an AF_UNIX address without a name: the family alone */
static long name_put(void *addr, unsigned *len)
{
	u16 family = K_AF_UNIX;

	if (!user_ok(len, sizeof(*len), 1))
		return -EFAULT;
	if ((int)*len < 0)
		return -EINVAL;
	if (!user_ok(addr, MIN(*len, sizeof(family)), 1))
		return -EFAULT;
	memcpy(addr, &family, MIN(*len, sizeof(family)));
	*len = sizeof(family);
	return 0;
}

long sys_getsockname(int fd, void *addr, unsigned *len)
{
	struct sock *s;
	int r = sock_get(fd, &s);

	return r < 0 ? r : name_put(addr, len);
}

long sys_getpeername(int fd, void *addr, unsigned *len)
{
	struct sock *s;
	int r = sock_get(fd, &s);

	if (r < 0)
		return r;
	return s->peer ? name_put(addr, len) : -ENOTCONN;
}

static int timeval_ns(const s64 *tv, u64 *ns)
{
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -EDOM;
	/* socket(7): zero means never; a negative one means at once */
	if (tv[0] < 0)
		*ns = 1;
	else if ((u64)tv[0] >= (1ull << 62) / NSEC)
		*ns = 0;
	else
		*ns = (u64)tv[0] * NSEC + (u64)tv[1] * 1000;
	return 0;
}

static u32 buffer_size(int asked)
{
	/* Linux doubles it, for its own overhead: socket(7) */
	u64 size = 2 * (u64)(asked < 0 ? 0 : asked);

	return (u32)MAX(MIN(size, BUFFER_MAX), BUFFER_MIN);
}

static long timeout_set(struct sock *s, int name, const void *value,
			unsigned len)
{
	s64 tv[2];

	if (len < sizeof(tv))
		return -EINVAL;
	if (!user_ok(value, sizeof(tv), 0))
		return -EFAULT;
	memcpy(tv, value, sizeof(tv));
	return timeval_ns(tv, name == K_SO_RCVTIMEO ? &s->rcvtimeo
						    : &s->sndtimeo);
}

long sys_setsockopt(int fd, int level, int name, const void *value,
		    unsigned len)
{
	struct sock *s;
	int v, r = sock_get(fd, &s);

	if (r < 0)
		return r;
	if (level != K_SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == K_SO_RCVTIMEO || name == K_SO_SNDTIMEO)
		return timeout_set(s, name, value, len);
	if (len < sizeof(v))
		return -EINVAL;
	if (!user_ok(value, sizeof(v), 0))
		return -EFAULT;
	memcpy(&v, value, sizeof(v));
	switch (name) {
	case K_SO_SNDBUF:
		s->sndbuf = buffer_size(v);
		return 0;
	case K_SO_RCVBUF:
		s->rcvbuf = buffer_size(v);
		return 0;
	case K_SO_PASSCRED:
		s->passcred = v != 0;
		return 0;
	case K_SO_DEBUG:
	case K_SO_REUSEADDR:
	case K_SO_BROADCAST:
	case K_SO_KEEPALIVE:
	case K_SO_PRIORITY:
	case K_SO_LINGER:
		return 0;
	case K_SO_TYPE:
	case K_SO_ERROR:
	case K_SO_PROTOCOL:
	case K_SO_DOMAIN:
	case K_SO_ACCEPTCONN:
	default:
		return -ENOPROTOOPT;
	}
}

/* what the option is, into buf: its length or -errno */
static long option_get(struct sock *s, int name, void *buf)
{
	struct k_ucred self = { task_ids.pid, 0, 0 };
	u64 ns;
	s64 *tv = buf;
	int *v = buf;

	*v = 0;
	switch (name) {
	case K_SO_TYPE:
		*v = s->type;
		break;
	case K_SO_ERROR:
		*v = s->err;
		s->err = 0;
		break;
	case K_SO_SNDBUF:
		*v = (int)s->sndbuf;
		break;
	case K_SO_RCVBUF:
		*v = (int)s->rcvbuf;
		break;
	case K_SO_PASSCRED:
		*v = s->passcred;
		break;
	case K_SO_DOMAIN:
		*v = K_AF_UNIX;
		break;
	case K_SO_DEBUG:
	case K_SO_REUSEADDR:
	case K_SO_REUSEPORT:
	case K_SO_BROADCAST:
	case K_SO_KEEPALIVE:
	case K_SO_PRIORITY:
	case K_SO_PROTOCOL:
	case K_SO_ACCEPTCONN:
		break;
	case K_SO_LINGER:
		v[1] = 0;
		return 2 * sizeof(*v);
	case K_SO_PEERCRED:
		memcpy(buf, &self, sizeof(self));
		return sizeof(self);
	case K_SO_RCVTIMEO:
	case K_SO_SNDTIMEO:
		ns = name == K_SO_RCVTIMEO ? s->rcvtimeo : s->sndtimeo;
		tv[0] = (s64)(ns / NSEC);
		tv[1] = (s64)(ns % NSEC / 1000);
		return 2 * sizeof(*tv);
	default:
		return -ENOPROTOOPT;
	}
	return sizeof(*v);
}

long sys_getsockopt(int fd, int level, int name, void *value, unsigned *len)
{
	u64 buf[2];
	struct sock *s;
	unsigned n;
	long r = sock_get(fd, &s);

	if (r < 0)
		return r;
	if (!user_ok(len, sizeof(*len), 1))
		return -EFAULT;
	n = *len;
	if ((int)n < 0)
		return -EINVAL;
	if (level != K_SOL_SOCKET)
		return -EOPNOTSUPP;
	r = option_get(s, name, buf);
	if (r < 0)
		return r;
	n = (unsigned)MIN(n, (size_t)r);
	if (!user_ok(value, n, 1))
		return -EFAULT;
	memcpy(value, buf, n);
	*len = n;
	return 0;
}
