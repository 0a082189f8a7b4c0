/* control.c - connections to a server's control socket (control.h) */
#include "cmd/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_S		5.0
#define SEND_S		10.0
#define WAIT_S		600.0		/* for what was ordered */

static const char no_memory[] = "error out of memory\n";

struct control_peer {
	struct control *c;
	LIST_ENTRY(control_peer) link;
	int fd;
	struct ev_io io;
	struct ev_timer timer;
	char line[CONTROL_LINE];
	size_t len;			/* of it */
	int ordered;			/* it was whole */
	struct control_task *task;	/* of an order that goes on */
	char *answer;			/* malloc'ed; NULL: none yet */
	size_t answer_len, sent;
	int fds[CONTROL_FDS];
	unsigned nfds;
};

struct control {
	struct ev_loop *loop;
	struct pool *pool;
	struct controlsock sock;
	struct ev_io io;
	LIST_HEAD(, control_peer) peers;
	unsigned n;
};

static void fds_close(struct control_peer *p)
{
	for (unsigned i = 0; i < p->nfds; i++)
		close(p->fds[i]);
	p->nfds = 0;
}

static void peer_end(struct control_peer *p)
{
	struct control *c = p->c;

	if (p->task)
		p->task->forget(p->task);
	LIST_REMOVE(p, link);
	ev_io_stop(c->loop, &p->io);
	ev_timer_stop(c->loop, &p->timer);
	close(p->fd);
	fds_close(p);
	free(p->answer);
	free(p);
	if (c->n-- == CONTROL_MAX)
		ev_io_start(c->loop, &c->io);
}

static void watch(struct control_peer *p, int events, double seconds)
{
	struct ev_loop *loop = p->c->loop;

	ev_io_stop(loop, &p->io);
	ev_io_set(&p->io, p->fd, events);
	ev_io_start(loop, &p->io);
	ev_timer_stop(loop, &p->timer);
	ev_timer_set(&p->timer, seconds, 0.0);
	ev_timer_start(loop, &p->timer);
}

/* descriptors ride on the first byte */
static ssize_t send_some(struct control_peer *p)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(p->fds))];
	} control = { .bytes = "" };
	struct iovec iov = { p->answer + p->sent, p->answer_len - p->sent };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (p->nfds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(p->nfds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(p->nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), p->fds,
		       p->nfds * sizeof(int));
	}
	return sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_writable(struct control_peer *p)
{
	ssize_t n = send_some(p);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		fds_close(p);
		p->sent += (size_t)n;
	}
	if (n <= 0 || p->sent == p->answer_len)
		peer_end(p);
}

/* what it says after its order is nothing; its end is one */
static void on_more(struct control_peer *p)
{
	char rest[CONTROL_LINE];
	ssize_t n = recv(p->fd, rest, sizeof(rest), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		peer_end(p);
}

static void on_readable(struct control_peer *p)
{
	/* descriptors that come along are dropped: there is no room for them */
	ssize_t n = recv(p->fd, p->line + p->len, sizeof(p->line) - p->len,
			 MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		peer_end(p);
		return;
	}
	p->len += (size_t)n;
	end = memchr(p->line, '\n', p->len);
	if (!end && p->len < sizeof(p->line))
		return;
	p->ordered = 1;
	/* nothing of it that a line would not have */
	if (!end || memchr(p->line, '\0', (size_t)(end - p->line))) {
		control_refuse(p, "an order is one line of up to %d bytes",
			       CONTROL_LINE - 1);
		return;
	}
	*end = '\0';
	watch(p, EV_READ, WAIT_S);
	control_order(p, p->line);
}

static void on_io(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct control_peer *p = w->data;

	if (p->answer)
		on_writable(p);
	else if (p->ordered)
		on_more(p);
	else
		on_readable(p);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	peer_end(w->data);
}

static int allowed(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

/*
 * Place for one more where all are taken: that of whoever has said nothing for
 * the longest time.  Who has an order stays.
 */
static void make_room(struct control *c)
{
	struct control_peer *p, *silent = NULL;

	LIST_FOREACH(p, &c->peers, link)	/* the oldest is the last */
		if (!p->ordered)
			silent = p;
	if (silent)
		peer_end(silent);
}

static void peer_begin(struct control *c, int fd)
{
	struct control_peer *p = calloc(1, sizeof(*p));

	if (!p) {
		close(fd);
		return;
	}
	p->c = c;
	p->fd = fd;
	LIST_INSERT_HEAD(&c->peers, p, link);
	c->n++;
	ev_io_init(&p->io, on_io, fd, EV_READ);
	ev_init(&p->timer, on_timer);
	p->io.data = p->timer.data = p;
	if (allowed(fd))
		watch(p, EV_READ, READ_S);
	else
		control_refuse(p, "only the server's user and root are heard");
}

static void on_connection(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct control *c = w->data;
	int fd;

	if (c->n == CONTROL_MAX)
		make_room(c);
	/* all have orders: it is heard when one of them ends */
	if (c->n == CONTROL_MAX) {
		ev_io_stop(loop, w);
		return;
	}
	fd = accept4(c->sock.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		peer_begin(c, fd);
}

/* text is taken over */
static void answer(struct control_peer *p, char *text, size_t len)
{
	p->task = NULL;
	p->ordered = 1;
	p->answer = text ? text : strdup(no_memory);
	p->answer_len = text ? len : sizeof(no_memory) - 1;
	if (!p->answer) {
		fds_close(p);
		p->answer_len = 0;	/* it ends with its next event */
		p->answer = calloc(1, 1);
	}
	watch(p, EV_WRITE, SEND_S);
}

void control_answer(struct control_peer *p, char *text, size_t len,
		    const int *fds, unsigned nfds)
{
	char *whole = text ? malloc(len + 3) : NULL;

	if (nfds)
		memcpy(p->fds, fds, nfds * sizeof(*fds));
	p->nfds = nfds;
	if (whole) {
		memcpy(whole, "ok\n", 3);
		memcpy(whole + 3, text, len);
	} else {
		fds_close(p);
	}
	free(text);
	answer(p, whole, len + 3);
}

void control_refuse(struct control_peer *p, const char *fmt, ...)
{
	char why[1024], *whole = NULL;
	int len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	/* a report has more lines, and some of it is a guest's */
	why[strcspn(why, "\n")] = '\0';
	for (char *s = why; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	len = asprintf(&whole, "error %s\n", why);
	answer(p, len < 0 ? NULL : whole, (size_t)len);
}

struct pool *control_pool(const struct control_peer *p)
{
	return p->c->pool;
}

void control_wait(struct control_peer *p, struct control_task *t)
{
	t->peer = p;
	p->task = t;
}

int control_create(struct control **out, struct ev_loop *loop,
		   struct pool *pool, const struct controlsock *s)
{
	struct control *c = calloc(1, sizeof(*c));
	struct controlsock gone = *s;

	if (!c) {
		controlsock_close(&gone);
		return -ENOMEM;
	}
	c->loop = loop;
	c->pool = pool;
	c->sock = *s;
	ev_io_init(&c->io, on_connection, s->fd, EV_READ);
	c->io.data = c;
	ev_io_start(loop, &c->io);
	*out = c;
	return 0;
}

void control_destroy(struct control *c)
{
	struct control_peer *p;

	if (!c)
		return;
	while ((p = LIST_FIRST(&c->peers)))
		peer_end(p);
	ev_io_stop(c->loop, &c->io);
	controlsock_close(&c->sock);
	free(c);
}
