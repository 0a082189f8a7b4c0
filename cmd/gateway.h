/*
 * gateway.h - functions over HTTP
 *
 * The daemon and its life.  What it answers is in the table of routes
 * (route.h); one request that it has is a struct request (request.h).
 */
#ifndef CMD_GATEWAY_H
#define CMD_GATEWAY_H

#include <ev.h>
#include <stdint.h>

#include "conf/err.h"
#include "vmm/pool/pool.h"

struct gateway;
struct request;

struct gateway_opts {
	uint64_t request_max;		/* bytes of a body */
	unsigned connections;		/* at most, fewer if few descriptors */
	unsigned per_address;		/* see address.h; 0: no limit */
};

/*
 * fd is http_bind()'s, and the gateway's from here on, also when it fails.
 * The pool is the caller's and has to outlive the gateway's requests.
 */
int gateway_create(struct gateway **out, struct ev_loop *loop,
		   struct pool *pool, int fd, const struct gateway_opts *o,
		   struct err *err);
/* the pool answers nothing more (it was destroyed): waiting requests get 503 */
void gateway_destroy(struct gateway *g);
const char *gateway_url(const struct gateway *g);
void gateway_set(struct gateway *g, const struct gateway_opts *o);
/* accepts nothing new; done is called, once, when all is answered and sent */
void gateway_drain(struct gateway *g, void (*done)(void *arg), void *arg);

/* for routes */

/* NULL: it was destroyed, see gateway_destroy() */
struct pool *gateway_pool(const struct gateway *g);
/* gateway_drain() was called */
int gateway_is_draining(const struct gateway *g);
/* 503: the server is stopping; what gateway_stopping says, too */
int gateway_refuse(struct request *r);
extern const char gateway_stopping[];

#endif
