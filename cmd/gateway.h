/*
 * gateway.h - functions over HTTP: POST /function/NAME and what goes with it
 */
#ifndef CMD_GATEWAY_H
#define CMD_GATEWAY_H

#include <ev.h>
#include <stdint.h>

#include "conf/err.h"
#include "vmm/pool.h"

struct gateway;

/*
 * fd is http_bind()'s, and the gateway's from here on, also when it fails.
 * The pool is the caller's and has to outlive the gateway's requests.
 */
int gateway_create(struct gateway **out, struct ev_loop *loop,
		   struct pool *pool, int fd, uint64_t request_max,
		   struct err *err);
/* the pool answers nothing more (it was destroyed): waiting requests get 503 */
void gateway_destroy(struct gateway *g);
const char *gateway_url(const struct gateway *g);
void gateway_set(struct gateway *g, uint64_t request_max);
/* accepts nothing new; done is called, once, when all is answered and sent */
void gateway_drain(struct gateway *g, void (*done)(void *arg), void *arg);

#endif
