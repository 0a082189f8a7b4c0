/*
 * unixsock.c - AF_UNIX: connected pairs of sockets inside the one process
 *
 * Only socketpair() connects anything.  A lone socket can be made, as
 * programs do to ask a daemon something, but there is no daemon: connect()
 * finds nobody, and bind() is not supported.
 *
 * A socket has a queue of packets to be received, and appends to its peer's.
 * A stream reads across packets, up to and with the first that carries
 * rights, as Linux does; the other types read one packet each.
 *
 * Invariants: peer pointers are mutual until one side closes; `queued` of
 * the receiver counts against the sender's sndbuf.
 */
#include "unikernel/ipc/cmsg.h"
#include "unikernel/ipc/sock.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"

/* a packet of a stream is no longer than this */
#define CHUNK		0x8000u
/* counted for each packet, so that empty ones fill a queue too */
#define OVERHEAD	64u

struct packet {
	struct packet *next;
	struct rights *rights;
	u32 len, off;			/* off: what a stream has read */
	u8 data[];
};

struct unix_sock {
	struct sock sock;		/* the first: sock.c makes and frees */
	int connected;			/* was ever one of a pair */
	struct unix_sock *peer;		/* NULL once it closed */
	struct packet *head, *tail;	/* to be received */
	u32 queued;			/* bytes of them, with overhead */
};

static struct unix_sock *unix_of(struct sock *s)
{
	return (struct unix_sock *)s;
}

static void msg_gather(struct sock_msg *m, u8 *to, size_t n)
{
	m->len -= n;
	while (n > 0) {
		size_t k = MIN(n, m->iov->len);

		memcpy(to, m->iov->base, k);
		m->iov->base = (u8 *)m->iov->base + k;
		m->iov->len -= k;
		if (m->iov->len == 0)
			m->iov++;
		to += k;
		n -= k;
	}
}

static void msg_scatter(struct sock_msg *m, const u8 *from, size_t n)
{
	m->len -= n;
	while (n > 0) {
		size_t k = MIN(n, m->iov->len);

		memcpy(m->iov->base, from, k);
		m->iov->base = (u8 *)m->iov->base + k;
		m->iov->len -= k;
		if (m->iov->len == 0)
			m->iov++;
		from += k;
		n -= k;
	}
}

static u32 packet_cost(const struct packet *p)
{
	return p->len + OVERHEAD;
}

static int writable(const struct unix_sock *u)
{
	return !u->peer || u->peer->queued * 4 <= u->sock.sndbuf;
}

static void changed(struct unix_sock *u)
{
	thread_wake(&u->sock.readers, THREADS_MAX);
	thread_wake(&u->sock.writers, THREADS_MAX);
	epoll_mark(u->sock.file);
}

static int append(struct unix_sock *u, struct sock_msg *m, u32 len)
{
	struct unix_sock *to = u->peer;
	struct packet *p = kmalloc(sizeof(*p) + len);

	if (!p)
		return -ENOBUFS;
	p->next = NULL;
	p->len = len;
	p->off = 0;
	p->rights = m->rights;
	m->rights = NULL;
	msg_gather(m, p->data, len);
	if (to->tail)
		to->tail->next = p;
	else
		to->head = p;
	to->tail = p;
	to->queued += packet_cost(p);
	thread_wake(&to->sock.readers, THREADS_MAX);
	epoll_mark(to->sock.file);
	return 0;
}

/* takes the first packet off */
static void drop_first(struct unix_sock *u)
{
	struct packet *p = u->head;
	int was_writable = !u->peer || writable(u->peer);

	u->head = p->next;
	if (!u->head)
		u->tail = NULL;
	u->queued -= packet_cost(p);
	rights_drop(p->rights);
	kfree(p);
	if (!u->peer)
		return;
	thread_wake(&u->peer->sock.writers, THREADS_MAX);
	if (!was_writable && writable(u->peer))
		epoll_mark(u->peer->sock.file);
}

/* 0 when sending makes sense at all */
static int send_check(struct unix_sock *u)
{
	if (!u->connected)
		return -ENOTCONN;
	if (u->sock.err)
		return sock_error(&u->sock);
	if (u->sock.type == SOCK_DGRAM && !u->peer) {
		/* once refused, it has no peer any more, unix(7) */
		u->connected = 0;
		return -ECONNREFUSED;
	}
	if ((u->sock.shut & SEND_SHUTDOWN) || !u->peer ||
	    (u->peer->sock.shut & RCV_SHUTDOWN))
		return -EPIPE;
	return 0;
}

/* appends all of it, or for a stream as much as it can */
static long send_all(struct unix_sock *u, struct sock_msg *m)
{
	u64 deadline = sock_deadline(u->sock.sndtimeo);
	size_t len = m->len;
	int stream = u->sock.type == SOCK_STREAM;
	int rc;

	for (;;) {
		rc = send_check(u);
		if (rc < 0)
			break;
		if (u->peer->queued >= u->sock.sndbuf) {
			rc = sock_sleep(&u->sock, &u->sock.writers, m->flags,
					deadline);
			if (rc < 0)
				break;
			continue;
		}
		rc = append(u, m, (u32)(stream ? MIN(m->len, CHUNK) : m->len));
		if (rc < 0 || !stream || m->len == 0)
			break;
	}
	return len > m->len ? (long)(len - m->len) : rc;
}

static long unix_send(struct sock *s, struct sock_msg *m)
{
	long rc;

	if (s->type == SOCK_STREAM && m->len == 0) {
		/* an empty write to a stream moves nothing, rights neither */
		rc = send_check(unix_of(s));
	} else if (s->type != SOCK_STREAM && m->len > s->sndbuf - 32) {
		return -EMSGSIZE;
	} else {
		rc = send_all(unix_of(s), m);
	}
	if (rc == -EPIPE && s->type == SOCK_STREAM &&
	    !(m->flags & MSG_NOSIGNAL))
		signal_send(current, SIGPIPE, NULL);
	return rc;
}

/* the packet's rights to the message, a copy when it is only peeked at */
static int take_rights(struct packet *p, struct sock_msg *m)
{
	if (!p->rights)
		return 0;
	if (m->flags & MSG_PEEK) {
		m->rights = rights_copy(p->rights);
	} else {
		m->rights = p->rights;
		p->rights = NULL;
	}
	return 1;
}

/* bytes of a stream that are there; *stop: what follows is for later */
static size_t take_stream(struct unix_sock *u, struct sock_msg *m, int *stop)
{
	struct packet *p = u->head;
	size_t done = 0;
	u32 n;

	while (p && m->len > 0 && !*stop) {
		struct packet *next = p->next;

		n = (u32)MIN(m->len, p->len - p->off);
		*stop = take_rights(p, m);
		msg_scatter(m, p->data + p->off, n);
		done += n;
		if (!(m->flags & MSG_PEEK)) {
			p->off += n;
			if (p->off == p->len)
				drop_first(u);
		}
		p = next;
	}
	return done;
}

static long take_packet(struct unix_sock *u, struct sock_msg *m)
{
	struct packet *p = u->head;
	u32 n = (u32)MIN(m->len, p->len);
	long rc = m->flags & MSG_TRUNC ? p->len : n;

	m->truncated = n < p->len;
	take_rights(p, m);
	msg_scatter(m, p->data, n);
	if (!(m->flags & MSG_PEEK))
		drop_first(u);
	return rc;
}

/* nothing is there: an error, the end (1), or 0 after a sleep */
static int recv_empty(struct unix_sock *u, int flags, u64 deadline)
{
	struct sock *s = &u->sock;

	if (!u->connected && s->type != SOCK_DGRAM)
		return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	if (s->err)
		return sock_error(s);
	if (s->shut & RCV_SHUTDOWN)
		return 1;
	return sock_sleep(s, &s->readers, flags, deadline);
}

static long unix_recv(struct sock *s, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(s);
	u64 deadline = sock_deadline(s->rcvtimeo);
	size_t done = 0;
	int stop = 0, rc = 0;

	for (;;) {
		if (u->head && s->type != SOCK_STREAM)
			return take_packet(u, m);
		done += take_stream(u, m, &stop);
		if (m->len == 0 || stop)
			break;
		if (done && (!(m->flags & MSG_WAITALL) ||
			     (m->flags & MSG_PEEK)))
			break;
		rc = recv_empty(u, m->flags, deadline);
		if (rc != 0)
			break;
	}
	if (done || rc > 0)
		return (long)done;
	return rc;
}

static int unix_type(int type, int protocol)
{
	if (protocol != 0 && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		return SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM &&
	    type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	return type;
}

static void unix_pair(struct sock *a, struct sock *b)
{
	struct unix_sock *u = unix_of(a), *v = unix_of(b);

	u->peer = v;
	v->peer = u;
	u->connected = v->connected = 1;
}

static long unix_bind(struct sock *s, const void *addr, unsigned len)
{
	return -EOPNOTSUPP;
}

/* listening needs a bound socket, and there are none */
static long unix_listen(struct sock *s, int backlog)
{
	return s->type == SOCK_DGRAM ? -EOPNOTSUPP : -EINVAL;
}

static long unix_accept(struct sock *s, void *addr, unsigned *len, int flags)
{
	return unix_listen(s, 0);
}

/* an address that nobody answers at, as the right error */
static long nobody(const void *addr, unsigned len)
{
	struct k_sockaddr_storage name;
	long rc = sock_addr(&name, addr, len);

	if (rc < 0)
		return rc;
	if (name.family != AF_UNIX || len > sizeof(struct k_sockaddr_un) ||
	    len == sizeof(name.family))
		return -EINVAL;
	/* an abstract name; of the others there can be no socket file */
	return name.rest[0] == 0 ? -ECONNREFUSED : -ENOENT;
}

static long unix_connect(struct sock *s, const void *addr, unsigned len)
{
	if (unix_of(s)->connected && s->type != SOCK_DGRAM)
		return -EISCONN;
	return nobody(addr, len);
}

static long unix_address(struct sock *s, struct sock_msg *m, const void *addr,
			 unsigned len)
{
	if (!addr || len == 0)
		return 0;
	if (s->type == SOCK_STREAM)
		return unix_of(s)->connected ? -EISCONN : -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET)
		return 0;
	return nobody(addr, len);
}

static long unix_shutdown(struct sock *s, int shut)
{
	struct unix_sock *peer = unix_of(s)->peer;

	s->shut |= shut;
	/* the other side of a connection hears of it */
	if (peer && s->type != SOCK_DGRAM)
		peer->sock.shut |= (shut & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) |
				   (shut & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0);
	changed(unix_of(s));
	if (peer)
		changed(peer);
	return 0;
}

/* of a pair none has a name: the family alone */
static long unix_getname(struct sock *s, int peer,
			 struct k_sockaddr_storage *name)
{
	if (peer && !unix_of(s)->peer)
		return -ENOTCONN;
	name->family = AF_UNIX;
	return sizeof(name->family);
}

static int unix_poll(struct sock *s)
{
	struct unix_sock *u = unix_of(s);
	int bits = 0;

	if (s->err)
		bits |= POLLERR;
	if (s->shut == (RCV_SHUTDOWN | SEND_SHUTDOWN))
		bits |= POLLHUP;
	if (s->shut & RCV_SHUTDOWN)
		bits |= POLLRDHUP | POLLIN;
	if (u->head)
		bits |= POLLIN;
	if (!u->connected && s->type != SOCK_DGRAM)
		bits |= POLLHUP;
	if (writable(u))
		bits |= POLLOUT;
	return bits;
}

static int unix_unread(struct sock *s)
{
	struct packet *p;
	int n = 0;

	for (p = unix_of(s)->head; p; p = p->next) {
		n += (int)(p->len - p->off);
		if (s->type != SOCK_STREAM)
			break;
	}
	return n;
}

static void unix_release(struct sock *s)
{
	struct unix_sock *u = unix_of(s), *peer = u->peer;
	int unread = u->head != NULL;

	if (peer) {
		peer->peer = NULL;
		u->peer = NULL;
		if (s->type != SOCK_DGRAM) {
			peer->sock.shut = RCV_SHUTDOWN | SEND_SHUTDOWN;
			if (unread)
				peer->sock.err = ECONNRESET;
		}
		changed(peer);
	}
	while (u->head)
		drop_first(u);
}

const struct sock_ops unix_ops = {
	.size = sizeof(struct unix_sock),
	.type = unix_type,
	.pair = unix_pair,
	.bind = unix_bind,
	.listen = unix_listen,
	.accept = unix_accept,
	.connect = unix_connect,
	.address = unix_address,
	.send = unix_send,
	.recv = unix_recv,
	.shutdown = unix_shutdown,
	.getname = unix_getname,
	.poll = unix_poll,
	.unread = unix_unread,
	.release = unix_release,
};
