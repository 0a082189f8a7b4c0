/*
 * gateway.c - functions over HTTP: the daemon and its life
 *
 * A request is refused in the first callback where its head already says
 * why, before any of its body is read.
 */
#include "cmd/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/http.h"
#include "cmd/request.h"
#include "cmd/route.h"

const char gateway_stopping[] = "the server is stopping";

struct gateway {
	struct requests requests;	/* and http, and the pool */
	int draining;
	struct ev_loop *loop;
	struct ev_timer drained;
	void (*done)(void *arg);
	void *done_arg;
};

struct pool *gateway_pool(const struct gateway *g)
{
	return g->requests.clienteles.pool;
}

int gateway_is_draining(const struct gateway *g)
{
	return g->draining;
}

int gateway_refuse(struct request *r)
{
	return request_refuse(r, 503, "Usetl.Unavailable", gateway_stopping);
}

static int on_head(void *arg, struct request *r)
{
	struct gateway *g = arg;

	return gateway_pool(g) ? route_request(g, r) : gateway_refuse(r);
}

static void on_none(void *arg)
{
	struct gateway *g = arg;

	if (g->draining)
		ev_timer_start(g->loop, &g->drained);
}

static void on_drained(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct gateway *g = w->data;

	if (g->done && LIST_EMPTY(&g->requests.list)) {
		void (*done)(void *) = g->done;

		g->done = NULL;
		done(g->done_arg);
	}
}

void gateway_drain(struct gateway *g, void (*done)(void *arg), void *arg)
{
	if (g->draining)
		return;
	g->draining = 1;
	g->done = done;
	g->done_arg = arg;
	http_quiesce(g->requests.http);
	if (LIST_EMPTY(&g->requests.list))
		ev_timer_start(g->loop, &g->drained);
}

const char *gateway_url(const struct gateway *g)
{
	return http_url(g->requests.http);
}

void gateway_set(struct gateway *g, const struct gateway_opts *o)
{
	struct requests *rs = &g->requests;

	rs->body_max = o->request_max;
	rs->clienteles.places.size = http_limit(rs->http, o->connections,
						o->per_address);
}

int gateway_create(struct gateway **out, struct ev_loop *loop,
		   struct pool *pool, int fd, const struct gateway_opts *o,
		   struct err *err)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int rc;

	if (!g) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	g->loop = loop;
	/* from the loop, so that nobody stops the daemon inside a callback */
	ev_timer_init(&g->drained, on_drained, 0.0, 0.0);
	g->drained.data = g;
	g->requests = (struct requests){
		.loop = loop, .clienteles.pool = pool, .head = on_head,
		.none = on_none, .arg = g,
	};
	rc = requests_open(&g->requests, fd, err);
	if (rc < 0) {
		free(g);
		return rc;
	}
	gateway_set(g, o);
	*out = g;
	return 0;
}

void gateway_destroy(struct gateway *g)
{
	if (!g)
		return;
	requests_close(&g->requests);
	ev_timer_stop(g->loop, &g->drained);
	free(g);
}
