/*
 * unixsock.c - connected pairs of AF_UNIX sockets inside the one process
 *
 * A socket has a queue of packets to be received, and appends to its peer's.
 * A stream reads across packets, up to and with the first that carries
 * rights, as Linux does; the other types read one packet each.
 *
 * Invariants: peer pointers are mutual until one side closes; `queued` of
 * the receiver counts against the sender's sndbuf; a socket's file is the
 * only thing that keeps it.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"
#include "unikernel/ipc/unixsock.h"

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

static const struct file_ops sock_ops;

struct rights *rights_new(unsigned n)
{
	return kzalloc(sizeof(struct rights) + n * sizeof(struct file *));
}

struct rights *rights_copy(const struct rights *r)
{
	struct rights *c = rights_new(r->n);

	if (!c)
		return NULL;
	for (c->n = 0; c->n < r->n; c->n++)
		c->file[c->n] = file_hold(r->file[c->n]);
	return c;
}

void rights_drop(struct rights *r)
{
	/* closing a socket drops rights again: a list, not a recursion */
	static struct rights *list;
	static int dropping;

	if (!r)
		return;
	r->link = list;
	list = r;
	if (dropping)
		return;
	dropping = 1;
	while ((r = list)) {
		list = r->link;
		while (r->n > 0)
			file_put(r->file[--r->n]);
		kfree(r);
	}
	dropping = 0;
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

static int sock_writable(const struct sock *s)
{
	return !s->peer || s->peer->queued * 4 <= s->sndbuf;
}

static void sock_changed(struct sock *s)
{
	thread_wake(&s->readers, THREADS_MAX);
	thread_wake(&s->writers, THREADS_MAX);
	epoll_mark(s->file);
}

static int sock_append(struct sock *s, struct sock_msg *m, u32 len)
{
	struct sock *to = s->peer;
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
	thread_wake(&to->readers, THREADS_MAX);
	epoll_mark(to->file);
	return 0;
}

/* takes the first packet off */
static void sock_drop_first(struct sock *s)
{
	struct packet *p = s->head;
	int was_writable = !s->peer || sock_writable(s->peer);

	s->head = p->next;
	if (!s->head)
		s->tail = NULL;
	s->queued -= packet_cost(p);
	rights_drop(p->rights);
	kfree(p);
	if (!s->peer)
		return;
	thread_wake(&s->peer->writers, THREADS_MAX);
	if (!was_writable && sock_writable(s->peer))
		epoll_mark(s->peer->file);
}

static u64 sock_deadline(u64 timeout)
{
	return timeout ? now_mono() + timeout : NEVER;
}

static int sock_sleep(struct file *f, struct waitq *q, int flags, u64 deadline)
{
	int r;

	if ((f->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT))
		return -EAGAIN;
	r = thread_wait(q, deadline);
	if (r == -EINTR && deadline != NEVER)
		signal_no_restart();
	/* SO_RCVTIMEO and SO_SNDTIMEO say EAGAIN, socket(7) */
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* 0 when sending makes sense at all */
static int send_check(struct sock *s)
{
	int err = s->err;

	if (!s->connected)
		return -ENOTCONN;
	if (err) {
		s->err = 0;
		return -err;
	}
	if (s->type == SOCK_DGRAM && !s->peer) {
		/* once refused, it has no peer any more, unix(7) */
		s->connected = 0;
		return -ECONNREFUSED;
	}
	if ((s->shut & SEND_SHUTDOWN) || !s->peer ||
	    (s->peer->shut & RCV_SHUTDOWN))
		return -EPIPE;
	return 0;
}

/* appends all of it, or for a stream as much as it can */
static long send_all(struct file *f, struct sock *s, struct sock_msg *m)
{
	u64 deadline = sock_deadline(s->sndtimeo);
	size_t len = m->len;
	int stream = s->type == SOCK_STREAM;
	int r;

	for (;;) {
		r = send_check(s);
		if (r < 0)
			break;
		if (s->peer->queued >= s->sndbuf) {
			r = sock_sleep(f, &s->writers, m->flags, deadline);
			if (r < 0)
				break;
			continue;
		}
		r = sock_append(s, m, (u32)(stream ? MIN(m->len, CHUNK) :
					    m->len));
		if (r < 0 || !stream || m->len == 0)
			break;
	}
	return len > m->len ? (long)(len - m->len) : r;
}

long sock_send(struct file *f, struct sock_msg *m)
{
	struct sock *s = f->priv;
	long r;

	if (s->type == SOCK_STREAM && m->len == 0) {
		/* an empty write to a stream moves nothing, rights neither */
		r = send_check(s);
	} else if (s->type != SOCK_STREAM && m->len > s->sndbuf - 32) {
		return -EMSGSIZE;
	} else {
		r = send_all(f, s, m);
	}
	if (r == -EPIPE && s->type == SOCK_STREAM &&
	    !(m->flags & MSG_NOSIGNAL))
		signal_send(current, SIGPIPE, NULL);
	return r;
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
static size_t take_stream(struct sock *s, struct sock_msg *m, int *stop)
{
	struct packet *p = s->head;
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
				sock_drop_first(s);
		}
		p = next;
	}
	return done;
}

static long take_packet(struct sock *s, struct sock_msg *m)
{
	struct packet *p = s->head;
	u32 n = (u32)MIN(m->len, p->len);
	long r = m->flags & MSG_TRUNC ? p->len : n;

	m->truncated = n < p->len;
	take_rights(p, m);
	msg_scatter(m, p->data, n);
	if (!(m->flags & MSG_PEEK))
		sock_drop_first(s);
	return r;
}

/* nothing is there: an error, the end (1), or 0 after a sleep */
static int recv_empty(struct file *f, struct sock *s, int flags, u64 deadline)
{
	int err = s->err;

	if (!s->connected && s->type != SOCK_DGRAM)
		return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	if (err) {
		s->err = 0;
		return -err;
	}
	if (s->shut & RCV_SHUTDOWN)
		return 1;
	return sock_sleep(f, &s->readers, flags, deadline);
}

long sock_recv(struct file *f, struct sock_msg *m)
{
	struct sock *s = f->priv;
	u64 deadline = sock_deadline(s->rcvtimeo);
	size_t done = 0;
	int stop = 0, r = 0;

	for (;;) {
		if (s->head && s->type != SOCK_STREAM)
			return take_packet(s, m);
		done += take_stream(s, m, &stop);
		if (m->len == 0 || stop)
			break;
		if (done && (!(m->flags & MSG_WAITALL) ||
			     (m->flags & MSG_PEEK)))
			break;
		r = recv_empty(f, s, m->flags, deadline);
		if (r != 0)
			break;
	}
	if (done || r > 0)
		return (long)done;
	return r;
}

long sock_shutdown(struct sock *s, int shut)
{
	struct sock *peer = s->peer;

	s->shut |= shut;
	/* the other side of a connection hears of it */
	if (peer && s->type != SOCK_DGRAM)
		peer->shut |= (shut & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) |
			      (shut & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0);
	sock_changed(s);
	if (peer)
		sock_changed(peer);
	return 0;
}

static long sock_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct k_iovec iov = { buf, len };
	struct sock_msg m = { .iov = &iov, .len = len };
	long r = sock_recv(f, &m);

	/* read(2) has nowhere to put them */
	rights_drop(m.rights);
	return r;
}

static long sock_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	struct k_iovec iov = { (void *)buf, len };
	struct sock_msg m = { .iov = &iov, .len = len };

	return sock_send(f, &m);
}

static int sock_poll(struct file *f)
{
	struct sock *s = f->priv;
	int bits = 0;

	if (s->err)
		bits |= POLLERR;
	if (s->shut == (RCV_SHUTDOWN | SEND_SHUTDOWN))
		bits |= POLLHUP;
	if (s->shut & RCV_SHUTDOWN)
		bits |= POLLRDHUP | POLLIN;
	if (s->head)
		bits |= POLLIN;
	if (!s->connected && s->type != SOCK_DGRAM)
		bits |= POLLHUP;
	if (sock_writable(s))
		bits |= POLLOUT;
	return bits;
}

static long sock_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	struct sock *s = f->priv;
	struct packet *p;
	int n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (!user_ok((void *)arg, sizeof(n), 1))
		return -EFAULT;
	for (p = s->head; p; p = p->next) {
		n += (int)(p->len - p->off);
		if (s->type != SOCK_STREAM)
			break;
	}
	memcpy((void *)arg, &n, sizeof(n));
	return 0;
}

static void sock_close(struct file *f)
{
	struct sock *peer, *s = f->priv;
	int unread = s->head != NULL;

	peer = s->peer;
	if (peer) {
		peer->peer = NULL;
		s->peer = NULL;
		if (s->type != SOCK_DGRAM) {
			peer->shut = RCV_SHUTDOWN | SEND_SHUTDOWN;
			if (unread)
				peer->err = ECONNRESET;
		}
		sock_changed(peer);
	}
	while (s->head)
		sock_drop_first(s);
	kfree(s);
}

static const struct file_ops sock_ops = {
	.name = "socket",
	.read = sock_read,
	.write = sock_write,
	.poll = sock_poll,
	.ioctl = sock_ioctl,
	.close = sock_close,
};

struct file *sock_new(int type, int flags)
{
	struct sock *s = kzalloc(sizeof(*s));
	struct file *f;

	if (!s)
		return NULL;
	f = file_new(&sock_ops, O_RDWR | flags);
	if (!f) {
		kfree(s);
		return NULL;
	}
	s->type = type;
	s->file = f;
	s->sndbuf = s->rcvbuf = SOCK_BUFFER;
	f->priv = s;
	f->mode = S_IFSOCK | 0777;
	return f;
}

void sock_connect_pair(struct file *a, struct file *b)
{
	struct sock *s = a->priv, *t = b->priv;

	s->peer = t;
	t->peer = s;
	s->connected = t->connected = 1;
}

struct sock *sock_of(struct file *f)
{
	return f->ops == &sock_ops ? f->priv : NULL;
}
