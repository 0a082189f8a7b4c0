/*
 * peer.c - the gateway's end of a reference's or clone's socket
 *
 * Invariants: in[0, in_len) holds the bytes received and not yet handed up,
 * beginning with a struct msg; either the read watcher runs, and these are
 * less than a message, or the timer `later` does; the queue's head is the only
 * message of which a part may have been sent, and the write watcher runs
 * exactly while the queue is not empty.
 *
 * A message's callback may destroy the peer: its socket is closed then, and its
 * memory stays until the callback returns.
 */
#include "vmm/pool/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conf/conf.h"
#include "unikernel/abi.h"

_Static_assert(CONF_RESPONSE_MAX == PEER_RESULT_MAX, "response.max, at most");

#define IN_SIZE		(32u << 10)	/* what a peer keeps for receiving */
#define IN_TURN		(256u << 10)	/* bytes received in one turn */

struct peer_out {
	struct peer_out *next;
	size_t len, sent;
	unsigned nfds;
	int fds[PEER_FDS];
	uint8_t data[];
};

struct peer {
	struct ev_loop *loop;
	struct ev_io rd, wr;
	struct ev_timer later;
	double hold;			/* s; set by a message's callback */
	const struct peer_ops *ops;
	void *arg;
	int handing;			/* a message's callback runs */
	int destroyed;			/* by it */
	uint8_t *in;
	size_t in_len, in_size;
	struct peer_out *head, **tail;
	size_t queued;
};

/* longest payload of each message that a peer may send; 0: none may be */
static uint32_t payload_max(uint32_t type, int *known)
{
	*known = 1;
	switch (type) {
	case MSG_READY:
		return sizeof(struct boot_stats) + PEER_LOG_MAX;
	case MSG_FETCH:
		return UK_URL_MAX + UK_HEADERS_MAX +
		       UK_EXTENTS * sizeof(struct proto_iov);
	case MSG_LOG:
		return PEER_LOG_MAX;
	case MSG_RESULT:
		return sizeof(struct run_stats) + PEER_RESULT_MAX +
		       PEER_LOG_MAX;
	case MSG_DIED:
		return sizeof(struct run_stats) + PEER_REPORT_MAX +
		       PEER_LOG_MAX;
	case MSG_IDLE:
		return sizeof(struct run_stats) + PEER_REPORT_MAX;
	case MSG_UP:
	case MSG_CANCEL:
	case MSG_CLONED:
	case MSG_SAVED:
		return 0;
	}
	*known = 0;
	return 0;
}

int64_t peer_parse(const uint8_t *buf, size_t len, struct msg *m,
		   const uint8_t **payload)
{
	uint32_t max;
	int known;

	if (len < sizeof(*m))
		return 0;
	memcpy(m, buf, sizeof(*m));
	max = payload_max(m->type, &known);
	if (!known || m->len > max)
		return -EPROTO;
	if (len - sizeof(*m) < m->len)
		return 0;
	*payload = buf + sizeof(*m);
	return (int64_t)sizeof(*m) + m->len;
}

int peer_report(const struct msg *m, const uint8_t *payload,
		struct peer_report *out)
{
	size_t rest;

	memset(out, 0, sizeof(*out));
	if (m->len < sizeof(out->stats))
		return -EPROTO;
	memcpy(&out->stats, payload, sizeof(out->stats));
	rest = m->len - sizeof(out->stats);
	if (m->type == MSG_IDLE) {
		out->text = (const char *)payload + sizeof(out->stats);
		out->text_len = rest;
		return 0;
	}
	if (m->a[1] > rest || m->a[2] != rest - m->a[1])
		return -EPROTO;
	out->code = m->a[0];
	out->status = m->a[3];
	out->text = (const char *)payload + sizeof(out->stats);
	out->text_len = m->a[1];
	out->log = out->text + m->a[1];
	out->log_len = m->a[2];
	out->log_lost = m->a[4];
	if (m->type == MSG_RESULT && out->code != UK_RESULT_OK &&
	    out->code != UK_RESULT_ERROR)
		return -EPROTO;
	return 0;
}

int peer_ready(const struct msg *m, const uint8_t *payload,
	       struct boot_stats *stats, const char **log, size_t *log_len)
{
	if (m->len < sizeof(*stats))
		return -EPROTO;
	memcpy(stats, payload, sizeof(*stats));
	*log = (const char *)payload + sizeof(*stats);
	*log_len = m->len - sizeof(*stats);
	return 0;
}

int peer_fetch(const struct msg *m, const uint8_t *payload,
	       struct host_request *out, struct body_part *part)
{
	uint64_t rest = m->len, url_len = m->a[2], headers_len = m->a[3];
	const uint8_t *at;
	struct proto_iov iov;

	if (m->a[0] > UINT32_MAX || m->a[1] > UINT32_MAX || url_len > rest ||
	    headers_len > rest - url_len)
		return -EPROTO;
	rest -= url_len + headers_len;
	if (rest % sizeof(iov) || rest / sizeof(iov) > UK_EXTENTS)
		return -EPROTO;
	*out = (struct host_request){
		.ticket = m->a[0], .method = m->a[1],
		.url = (const char *)payload, .url_len = url_len,
		.headers = (const char *)payload + url_len,
		.headers_len = headers_len,
		.body = part, .parts = rest / sizeof(iov),
		.body_len = m->a[4], .timeout_ns = m->a[5],
	};
	/* they lie behind text, on no boundary */
	at = payload + url_len + headers_len;
	for (size_t i = 0; i < out->parts; i++) {
		memcpy(&iov, at + i * sizeof(iov), sizeof(iov));
		part[i] = (struct body_part){ iov.addr, iov.len };
	}
	return 0;
}

/* receiving */

static void release(struct peer *p)
{
	free(p->in);
	free(p);
}

static void fail(struct peer *p, int error)
{
	ev_io_stop(p->loop, &p->rd);
	ev_io_stop(p->loop, &p->wr);
	ev_timer_stop(p->loop, &p->later);
	p->ops->closed(p->arg, error);
}

/*
 * Hands up whole messages, all of them or as many as this turn allows: then
 * `later` is 1.  0 when the peer was destroyed meanwhile.
 */
static int hand_up(struct peer *p, int *later)
{
	const uint8_t *payload;
	size_t at = 0;
	struct msg m;
	int64_t n = 1;

	p->hold = 0;
	for (int i = 0; i < PEER_TURN && n > 0 && p->hold <= 0; i++) {
		n = peer_parse(p->in + at, p->in_len - at, &m, &payload);
		if (n <= 0)
			break;
		p->handing = 1;
		p->ops->message(p->arg, &m, payload);
		p->handing = 0;
		if (p->destroyed) {
			release(p);
			return 0;
		}
		at = p->in_len ? at + n : 0;
	}
	if (n < 0) {
		fail(p, n);
		return 0;
	}
	*later = n > 0;
	p->in_len -= at;
	if (at && p->in_len)
		memmove(p->in, p->in + at, p->in_len);
	return 1;
}

void *peer_take(struct peer *p, size_t *size)
{
	uint8_t *block = p->in, *in;
	struct msg m;

	memcpy(&m, p->in, sizeof(m));
	/* all that was received is this one message: see fit() */
	if (p->in_size <= IN_SIZE || p->in_len != sizeof(m) + m.len)
		return NULL;
	in = malloc(IN_SIZE);
	if (!in)
		return NULL;
	*size = p->in_size;
	p->in = in;
	p->in_size = IN_SIZE;
	p->in_len = 0;
	return block;
}

void peer_hold(struct peer *p, double seconds)
{
	if (seconds > p->hold)
		p->hold = seconds;
}

/* room for the rest of a message that has begun; gives memory back after */
static int fit(struct peer *p)
{
	size_t want = IN_SIZE;
	struct msg m;
	uint8_t *in;

	if (p->in_len >= sizeof(m)) {
		memcpy(&m, p->in, sizeof(m));
		if (sizeof(m) + m.len > want)
			want = sizeof(m) + m.len;
	}
	if (want == p->in_size)
		return 0;
	in = realloc(p->in, want);
	if (!in)
		return -ENOMEM;
	p->in = in;
	p->in_size = want;
	return 0;
}

/* what has come; then the rest of it later, or what comes next */
static void take(struct peer *p)
{
	int later;

	if (!hand_up(p, &later))
		return;
	if (later) {
		ev_io_stop(p->loop, &p->rd);
		ev_timer_set(&p->later, p->hold, 0.0);
		ev_timer_start(p->loop, &p->later);
	} else if (fit(p) < 0) {
		fail(p, -ENOMEM);
	} else {
		ev_io_start(p->loop, &p->rd);
	}
}

static void on_later(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	take(w->data);
}

static void readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct peer *p = w->data;
	size_t room = p->in_size - p->in_len;
	ssize_t n;

	/* while we take, it goes on sending */
	n = recv(w->fd, p->in + p->in_len, room < IN_TURN ? room : IN_TURN,
		 MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail(p, -errno);
		return;
	}
	if (n == 0) {
		fail(p, p->in_len ? -EPROTO : 0);
		return;
	}
	p->in_len += n;
	take(p);
}

/* sending */

static ssize_t send_parts(int fd, struct iovec *iov, int n_iov,
			  const int *fds, unsigned nfds)
{
	union {
		char buf[CMSG_SPACE(PEER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n_iov };
	struct cmsghdr *c;
	ssize_t n;

	if (nfds) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

static void drop_out(struct peer *p)
{
	struct peer_out *o = p->head;

	p->head = o->next;
	if (!p->head)
		p->tail = &p->head;
	p->queued -= o->len - o->sent;
	for (unsigned i = 0; i < o->nfds; i++)
		close(o->fds[i]);
	free(o);
}

static void writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct peer *p = w->data;

	while (p->head) {
		struct peer_out *o = p->head;
		struct iovec iov = { o->data + o->sent, o->len - o->sent };
		ssize_t n = send_parts(w->fd, &iov, 1, o->fds, o->nfds);

		if (n < 0) {
			fail(p, n);
			return;
		}
		if (n == 0)
			return;
		/* descriptors went with the first byte */
		while (o->nfds)
			close(o->fds[--o->nfds]);
		o->sent += n;
		p->queued -= n;
		if (o->sent < o->len)
			return;
		drop_out(p);
	}
	ev_io_stop(loop, w);
}

static int enqueue(struct peer *p, const struct msg *m, const void *payload,
		   size_t skip, const int *fds, unsigned nfds)
{
	size_t len = sizeof(*m) + m->len;
	struct peer_out *o;

	if (len - skip > PEER_QUEUE_MAX - p->queued)
		return -ENOBUFS;
	o = calloc(1, sizeof(*o) + len);
	if (!o)
		return -ENOMEM;
	memcpy(o->data, m, sizeof(*m));
	if (m->len)
		memcpy(o->data + sizeof(*m), payload, m->len);
	o->len = len;
	o->sent = skip;
	for (; o->nfds < nfds; o->nfds++) {
		o->fds[o->nfds] = fcntl(fds[o->nfds], F_DUPFD_CLOEXEC, 0);
		if (o->fds[o->nfds] < 0) {
			int rc = -errno;

			while (o->nfds)
				close(o->fds[--o->nfds]);
			free(o);
			return rc;
		}
	}
	*p->tail = o;
	p->tail = &o->next;
	p->queued += len - skip;
	ev_io_start(p->loop, &p->wr);
	return 0;
}

int peer_send(struct peer *p, const struct msg *m, const void *payload,
	      const int *fds, unsigned nfds)
{
	struct iovec iov[2] = {
		{ (void *)m, sizeof(*m) },
		{ (void *)payload, m->len },
	};
	ssize_t n = 0;

	if (nfds > PEER_FDS)
		return -EINVAL;
	if (!p->head) {
		n = send_parts(p->wr.fd, iov, m->len ? 2 : 1, fds, nfds);
		if (n < 0)
			return n;
		if ((size_t)n == sizeof(*m) + m->len)
			return 0;
		if (n)
			nfds = 0;
	}
	return enqueue(p, m, payload, n, fds, nfds);
}

int peer_create(struct peer **out, struct ev_loop *loop, int fd,
		const struct peer_ops *ops, void *arg)
{
	struct peer *p = calloc(1, sizeof(*p));
	int flags = fcntl(fd, F_GETFL);

	if (p)
		p->in = malloc(IN_SIZE);
	if (!p || !p->in || flags < 0) {
		int rc = flags < 0 ? -errno : -ENOMEM;

		free(p ? p->in : NULL);
		free(p);
		close(fd);
		return rc;
	}
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	p->loop = loop;
	p->ops = ops;
	p->arg = arg;
	p->in_size = IN_SIZE;
	p->tail = &p->head;
	ev_io_init(&p->rd, readable, fd, EV_READ);
	ev_io_init(&p->wr, writable, fd, EV_WRITE);
	ev_timer_init(&p->later, on_later, 0.0, 0.0);
	p->rd.data = p->wr.data = p->later.data = p;
	ev_io_start(loop, &p->rd);
	*out = p;
	return 0;
}

void peer_destroy(struct peer *p)
{
	if (!p)
		return;
	ev_io_stop(p->loop, &p->rd);
	ev_io_stop(p->loop, &p->wr);
	ev_timer_stop(p->loop, &p->later);
	while (p->head)
		drop_out(p);
	close(p->rd.fd);
	p->destroyed = 1;
	if (!p->handing)
		release(p);
}
