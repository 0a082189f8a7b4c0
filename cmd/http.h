/*
 * http.h - libmicrohttpd on a libev loop
 *
 * The daemon has no thread: its epoll descriptor and its timeout are the
 * loop's.  A connection that waits is suspended; http_resume() wakes it, and
 * all that were woken in one turn of the loop are run together at its end.
 */
#ifndef CMD_HTTP_H
#define CMD_HTTP_H

#include <ev.h>
#include <microhttpd.h>
#include <stddef.h>

#include "cmd/framing.h"
#include "conf/err.h"

struct http;

/*
 * Takes ADDR:PORT ([ADDR]:PORT for IPv6, port 0: any), without listening yet:
 * a descriptor for http_create(), or -errno.
 */
int http_bind(const char *listen, struct err *err);
/* listens; owns fd from here on, also when it fails */
int http_create(struct http **out, struct ev_loop *loop, int fd,
		MHD_AccessHandlerCallback handler,
		MHD_RequestCompletedCallback completed, void *arg,
		struct err *err);
/* whether that is what it says; 0 or -EINVAL */
int http_listen_check(const char *listen, struct err *err);
/* nothing may be suspended any more */
void http_destroy(struct http *h);
/* "http://127.0.0.1:8080", as bound */
const char *http_url(const struct http *h);
/* accepts no more connections */
void http_quiesce(struct http *h);
/* connections that are open */
unsigned http_connections(struct http *h);
void http_resume(struct http *h, struct MHD_Connection *c);
/* lets the daemon work now: for the way out, when the loop has ended */
void http_run(struct http *h);

/*
 * So many connections at a time, of all and of one address (0: as many);
 * see callers.h.  The first, or what descriptors there are for them.
 */
unsigned http_limit(struct http *h, unsigned places, unsigned per_address);
/* what the first callback of a request is told; 0 or -ENOMEM */
int http_head(struct MHD_Connection *c, const char *method, const char *target,
	      const char *version, struct request_head *h);

#endif
