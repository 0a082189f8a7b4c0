/*
 * callers.c - connections of HTTP callers: how many, whose, and how long
 *
 * Invariants: a connection is in the list of its state, the one that has been
 * in that state longest at the head, until it is shut down; then it is in
 * `going` until the daemon has noticed.  t->n counts those that are not in
 * `going`.
 */
#include "cmd/callers.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "cmd/address.h"
#include "cmd/farewell.h"

#define TICK_S	1.0
#define CLOSE_WAIT 8		/* TCP_CLOSE_WAIT of the other header, netinet/tcp.h */

struct caller {
	TAILQ_ENTRY(caller) link;
	struct callers *t;
	struct address *address;	/* NULL: not counted */
	int fd;				/* owned by the daemon */
	enum caller_state state;
	int going;
	int heard;			/* a byte has arrived */
	double since, until;		/* until 0: without limit */
	uint64_t taken;			/* bytes, before this state began */
	size_t target;
};

TAILQ_HEAD(caller_list, caller);

struct callers {
	struct ev_loop *loop;
	struct ev_timer tick;		/* runs while there are callers */
	struct addresses *addresses;
	struct farewell *farewell;
	struct caller_list in[CALLER_SERVED + 1], going;
	unsigned n, places, per_address;
};

static struct caller *caller_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* what the kernel knows of its TCP stream, or zeros */
static struct tcp_info stream_of(const struct caller *caller)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	getsockopt(caller->fd, IPPROTO_TCP, TCP_INFO, &i, &len);
	return i;
}

static void leave(struct caller *caller)
{
	TAILQ_REMOVE(caller->going ? &caller->t->going :
		     &caller->t->in[caller->state], caller, link);
	if (!caller->going)
		caller->t->n--;
}

static void end(struct caller *caller)
{
	if (caller->going)
		return;
	leave(caller);
	caller->going = 1;
	TAILQ_INSERT_TAIL(&caller->t->going, caller, link);
	shutdown(caller->fd, SHUT_RDWR);
}

/* A first byte in time gives the rest of the head more time: whether it did. */
static int is_patient(struct caller *caller)
{
	if (caller->heard || !stream_of(caller).tcpi_bytes_received)
		return 0;
	caller->heard = 1;
	caller->until = caller->since + PATIENCE_S;
	return caller->until > ev_now(caller->t->loop);
}

/*
 * It has closed before all of its request came, and nothing of it is left to
 * be read.  The daemon, which is told of changes alone, does not hear of an end
 * that came together with the last bytes.
 */
static int is_gone(const struct caller *caller)
{
	int left = 0;

	return caller->state != CALLER_TAKES &&
	       caller->state != CALLER_SERVED &&
	       stream_of(caller).tcpi_state == CLOSE_WAIT &&
	       ioctl(caller->fd, FIONREAD, &left) == 0 && !left;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct callers *t = w->data;
	double now = ev_now(loop);
	struct caller *c, *after;
	int some = !TAILQ_EMPTY(&t->going);

	for (int i = 0; i <= CALLER_SERVED; i++)
		for (c = TAILQ_FIRST(&t->in[i]); c; c = after) {
			after = TAILQ_NEXT(c, link);
			some = 1;
			if ((c->until && c->until <= now && !is_patient(c)) ||
			    is_gone(c))
				end(c);
		}
	if (!some)
		ev_timer_stop(loop, w);
}

static void set(struct caller *caller, enum caller_state state, double seconds)
{
	double now = ev_now(caller->t->loop);

	TAILQ_REMOVE(&caller->t->in[caller->state], caller, link);
	caller->state = state;
	TAILQ_INSERT_TAIL(&caller->t->in[state], caller, link);
	caller->since = now;
	caller->until = seconds ? now + seconds : 0;
}

void callers_set(struct MHD_Connection *c, enum caller_state state,
		 double seconds)
{
	struct caller *caller = caller_of(c);

	if (!caller || caller->going)
		return;
	caller->heard = 1;
	set(caller, state, seconds);
	if (state == CALLER_TAKES)
		caller->taken = stream_of(caller).tcpi_bytes_acked;
}

uint64_t callers_taken(struct MHD_Connection *c)
{
	struct caller *caller = caller_of(c);

	return caller ? stream_of(caller).tcpi_bytes_acked - caller->taken : 0;
}

void callers_end(struct MHD_Connection *c)
{
	struct caller *caller = caller_of(c);

	if (caller)
		end(caller);
}

size_t *callers_target(struct MHD_Connection *c)
{
	struct caller *caller = caller_of(c);

	return caller ? &caller->target : NULL;
}

/* places */

/*
 * The connection to shut down for lack of places: the first one of the first
 * list that is not empty.
 */
static struct caller *least(struct callers *t, struct caller *newcomer)
{
	struct caller *c;

	for (int i = 0; i < CALLER_SERVED; i++) {
		c = TAILQ_FIRST(&t->in[i]);
		if (c && c != newcomer)
			return c;
	}
	return newcomer;
}

static void come(struct callers *t, struct MHD_Connection *c, void **slot)
{
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *sa =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct caller *caller = fd ? calloc(1, sizeof(*caller)) : NULL;

	if (!caller)
		/* the daemon's own time-out applies to it */
		return;
	caller->t = t;
	caller->fd = fd->connect_fd;
	caller->address = sa ? address_get(t->addresses, sa->client_addr) :
			  NULL;
	TAILQ_INSERT_TAIL(&t->in[CALLER_WAITS], caller, link);
	t->n++;
	set(caller, CALLER_WAITS, FIRST_BYTE_S);
	*slot = caller;
	if (t->n > t->places)
		end(least(t, caller));
	if (!ev_is_active(&t->tick))
		ev_timer_again(t->loop, &t->tick);
}

void callers_notify(void *arg, struct MHD_Connection *c, void **slot,
		    enum MHD_ConnectionNotificationCode what)
{
	struct callers *t = arg;
	struct caller *caller = *slot;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		come(t, c, slot);
		return;
	}
	if (!caller)
		return;
	/* the daemon closes fd when this returns */
	if (!caller->going)
		farewell_add(t->farewell, caller->fd);
	leave(caller);
	address_put(t->addresses, caller->address);
	free(caller);
	*slot = NULL;
}

enum MHD_Result callers_accept(void *arg, const struct sockaddr *sa,
			       socklen_t len)
{
	struct callers *t = arg;

	return t->per_address &&
	       addresses_count(t->addresses, sa) >= t->per_address ? MHD_NO :
	       MHD_YES;
}

void callers_limit(struct callers *t, unsigned places, unsigned per_address)
{
	t->places = places;
	t->per_address = per_address;
	farewell_limit(t->farewell, places / 4);
}

int callers_create(struct callers **out, struct ev_loop *loop)
{
	struct callers *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	for (int i = 0; i <= CALLER_SERVED; i++)
		TAILQ_INIT(&t->in[i]);
	TAILQ_INIT(&t->going);
	ev_timer_init(&t->tick, on_tick, 0.0, TICK_S);
	t->tick.data = t;
	rc = addresses_create(&t->addresses);
	if (rc == 0)
		rc = farewell_create(&t->farewell, loop);
	if (rc < 0) {
		callers_destroy(t);
		return rc;
	}
	*out = t;
	return 0;
}

void callers_destroy(struct callers *t)
{
	if (!t)
		return;
	ev_timer_stop(t->loop, &t->tick);
	farewell_destroy(t->farewell);
	addresses_destroy(t->addresses);
	free(t);
}
