/*
 * http.h - libmicrohttpd on a libev loop, and the framing that it lets pass
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
 * What a request's head says about its framing: NULL when it is sound, or
 * one line that says what is wrong (answer 400 and close).  *length is the
 * body's, -1 when it is chunked, 0 when there is none.
 */
const char *http_framing(struct MHD_Connection *c, const char *version,
			 int64_t *length);

/* a response that owns `text` (malloc'ed); application/json when json */
struct MHD_Response *http_response(char *text, size_t len, int json);

#endif
