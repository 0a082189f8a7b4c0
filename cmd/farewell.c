/* farewell.c - connections that are over, until their callers know */
#include "cmd/farewell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_S	1.0
/* bytes read from one in a turn of the loop */
#define ONE_TURN ((size_t)256 << 10)

struct leaver {
	TAILQ_ENTRY(leaver) link;
	struct farewell *l;
	struct ev_io readable;
	double until;
	size_t left;			/* bytes that will still be dropped */
};

struct farewell {
	struct ev_loop *loop;
	struct ev_timer tick;		/* runs while there are any */
	TAILQ_HEAD(, leaver) all;	/* the oldest first */
	unsigned n, limit;
};

static void end(struct leaver *g)
{
	struct farewell *l = g->l;

	ev_io_stop(l->loop, &g->readable);
	close(g->readable.fd);
	TAILQ_REMOVE(&l->all, g, link);
	l->n--;
	free(g);
}

static void on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct leaver *g = w->data;
	size_t room = g->left < ONE_TURN ? g->left : ONE_TURN;
	/* for TCP, MSG_TRUNC drops the bytes without copying them (tcp(7)) */
	ssize_t n = recv(w->fd, NULL, room, MSG_TRUNC | MSG_DONTWAIT);

	if (n > 0)
		g->left -= n;
	else if (n == 0 || errno != EAGAIN)
		g->left = 0;
	if (!g->left)
		end(g);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct farewell *l = w->data;
	struct leaver *g;

	while ((g = TAILQ_FIRST(&l->all)) && g->until <= ev_now(loop))
		end(g);
	if (!g)
		ev_timer_stop(loop, w);
}

void farewell_limit(struct farewell *l, unsigned n)
{
	l->limit = n;
}

void farewell_add(struct farewell *l, int fd)
{
	struct leaver *g;
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	/* the caller has closed, too, or is gone */
	if (n == 0 || (n < 0 && errno != EAGAIN) || !l->limit)
		return;
	g = calloc(1, sizeof(*g));
	if (!g)
		return;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		free(g);
		return;
	}
	if (l->n >= l->limit)
		end(TAILQ_FIRST(&l->all));
	g->l = l;
	g->until = ev_now(l->loop) + FAREWELL_S;
	g->left = FAREWELL_BYTES;
	g->readable.data = g;
	ev_io_init(&g->readable, on_readable, fd, EV_READ);
	ev_io_start(l->loop, &g->readable);
	TAILQ_INSERT_TAIL(&l->all, g, link);
	l->n++;
	if (!ev_is_active(&l->tick))
		ev_timer_again(l->loop, &l->tick);
}

int farewell_create(struct farewell **out, struct ev_loop *loop)
{
	struct farewell *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	TAILQ_INIT(&l->all);
	ev_timer_init(&l->tick, on_tick, 0.0, TICK_S);
	l->tick.data = l;
	*out = l;
	return 0;
}

void farewell_destroy(struct farewell *l)
{
	if (!l)
		return;
	while (!TAILQ_EMPTY(&l->all))
		end(TAILQ_FIRST(&l->all));
	ev_timer_stop(l->loop, &l->tick);
	free(l);
}
