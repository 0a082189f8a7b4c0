/* patience.c - how long an HTTP caller may take over its part */
#include "cmd/patience.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define TICK_S	1.0

struct caller {
	LIST_ENTRY(caller) link;
	struct patience *p;
	int fd;				/* the daemon's */
	double until;			/* 0: for ever */
};

struct patience {
	struct ev_loop *loop;
	struct ev_timer tick;		/* runs while there are callers */
	LIST_HEAD(, caller) callers;
};

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct patience *p = w->data;
	double now = ev_now(loop);
	struct caller *c;

	if (LIST_EMPTY(&p->callers))
		ev_timer_stop(loop, w);
	LIST_FOREACH(c, &p->callers, link)
		if (c->until && c->until <= now) {
			c->until = 0;
			shutdown(c->fd, SHUT_RDWR);
		}
}

void patience_set(struct MHD_Connection *c, double seconds)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct caller *caller = i ? i->socket_context : NULL;

	if (caller)
		caller->until = seconds ? ev_now(caller->p->loop) + seconds : 0;
}

void patience_notify(void *arg, struct MHD_Connection *c, void **slot,
		     enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct patience *p = arg;
	struct caller *caller = *slot;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (caller)
			LIST_REMOVE(caller, link);
		free(caller);
		*slot = NULL;
		return;
	}
	caller = i ? calloc(1, sizeof(*caller)) : NULL;
	if (!caller)
		return;			/* it has the daemon's time-out */
	caller->p = p;
	caller->fd = i->connect_fd;
	caller->until = ev_now(p->loop) + PATIENCE_S;
	LIST_INSERT_HEAD(&p->callers, caller, link);
	*slot = caller;
	if (!ev_is_active(&p->tick))
		ev_timer_again(p->loop, &p->tick);
}

int patience_create(struct patience **out, struct ev_loop *loop)
{
	struct patience *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	LIST_INIT(&p->callers);
	ev_timer_init(&p->tick, on_tick, 0.0, TICK_S);
	p->tick.data = p;
	*out = p;
	return 0;
}

void patience_destroy(struct patience *p)
{
	if (!p)
		return;
	ev_timer_stop(p->loop, &p->tick);
	free(p);
}
