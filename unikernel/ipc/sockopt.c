/*
 * sockopt.c - the system calls about shutdown, names and options
 *
 * Options of SOL_SOCKET, which all families have.  Those that Linux would
 * merely remember are taken and answered with what is in force here.
 */
#include "unikernel/task/task.h"
#include "unikernel/ipc/sock.h"
#include "unikernel/ipc/syspoll.h"

/* SOCK_MIN_SNDBUF, and a bound as net.core.wmem_max is one */
#define BUFFER_MIN	4608u
#define BUFFER_MAX	(2 * SOCK_BUFFER)

long sys_shutdown(int fd, int how)
{
	struct sock *s;
	int rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	return s->ops->shutdown(s, how + 1);
}

static long name_get(int fd, int peer, void *addr, unsigned *len)
{
	struct k_sockaddr_storage name;
	struct sock *s;
	unsigned room;
	long rc = sock_get(fd, &s);

	if (rc >= 0)
		rc = s->ops->getname(s, peer, &name);
	if (rc < 0)
		return rc;
	if (!user_ok(len, sizeof(*len), 1))
		return -EFAULT;
	if ((int)*len < 0)
		return -EINVAL;
	room = MIN(*len, (unsigned)rc);
	if (!user_ok(addr, room, 1))
		return -EFAULT;
	memcpy(addr, &name, room);
	*len = (unsigned)rc;
	return 0;
}

long sys_getsockname(int fd, void *addr, unsigned *len)
{
	return name_get(fd, 0, addr, len);
}

long sys_getpeername(int fd, void *addr, unsigned *len)
{
	return name_get(fd, 1, addr, len);
}

static int timeval_ns(const s64 *tv, u64 *ns)
{
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -EDOM;
	/* socket(7): zero means never; a negative one means at once */
	if (tv[0] < 0)
		*ns = 1;
	else if ((u64)tv[0] >= (1ull << 62) / NSEC_PER_SEC)
		*ns = 0;
	else
		*ns = (u64)tv[0] * NSEC_PER_SEC + (u64)tv[1] * 1000;
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
	return timeval_ns(tv, name == SO_RCVTIMEO ? &s->rcvtimeo
						    : &s->sndtimeo);
}

long sys_setsockopt(int fd, int level, int name, const void *value,
		    unsigned len)
{
	struct sock *s;
	int v, rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
		return timeout_set(s, name, value, len);
	if (len < sizeof(v))
		return -EINVAL;
	if (!user_ok(value, sizeof(v), 0))
		return -EFAULT;
	memcpy(&v, value, sizeof(v));
	switch (name) {
	case SO_SNDBUF:
		s->sndbuf = buffer_size(v);
		return 0;
	case SO_RCVBUF:
		s->rcvbuf = buffer_size(v);
		return 0;
	case SO_PASSCRED:
		s->passcred = v != 0;
		return 0;
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
	case SO_PRIORITY:
	case SO_LINGER:
		return 0;
	case SO_TYPE:
	case SO_ERROR:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ACCEPTCONN:
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
	case SO_TYPE:
		*v = s->type;
		break;
	case SO_ERROR:
		*v = -sock_error(s);
		break;
	case SO_SNDBUF:
		*v = (int)s->sndbuf;
		break;
	case SO_RCVBUF:
		*v = (int)s->rcvbuf;
		break;
	case SO_PASSCRED:
		*v = s->passcred;
		break;
	case SO_DOMAIN:
		*v = s->family;
		break;
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_REUSEPORT:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
	case SO_PRIORITY:
	case SO_PROTOCOL:
	case SO_ACCEPTCONN:
		break;
	case SO_LINGER:
		v[1] = 0;
		return 2 * sizeof(*v);
	case SO_PEERCRED:
		memcpy(buf, &self, sizeof(self));
		return sizeof(self);
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		ns = name == SO_RCVTIMEO ? s->rcvtimeo : s->sndtimeo;
		tv[0] = (s64)(ns / NSEC_PER_SEC);
		tv[1] = (s64)(ns % NSEC_PER_SEC / 1000);
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
	long rc = sock_get(fd, &s);

	if (rc < 0)
		return rc;
	if (!user_ok(len, sizeof(*len), 1))
		return -EFAULT;
	n = *len;
	if ((int)n < 0)
		return -EINVAL;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	rc = option_get(s, name, buf);
	if (rc < 0)
		return rc;
	n = (unsigned)MIN(n, (size_t)rc);
	if (!user_ok(value, n, 1))
		return -EFAULT;
	memcpy(value, buf, n);
	*len = n;
	return 0;
}
