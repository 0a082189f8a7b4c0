/*
 * fetch.h - HTTP on behalf of guests, by libcurl's multi interface on libev
 *
 * This folder: what the gateway does to send a function's HTTP requests and to
 * receive the responses: policy, transfers, and the connections of each
 * function.
 *
 * One engine per gateway.  A connection on which a request had a body, or any
 * method but GET and HEAD, is used for that request alone: a server that does
 * not read all of a body takes the rest for another request, and its answer
 * would be given to the next one.  Other connections are kept alive, for the
 * same function (owner) only.  Cookies are never kept.  HTTP/1.1 is spoken.
 *
 * A request is checked against the function's egress policy before it connects,
 * again for every address it connects to, and again at every redirect, which is
 * followed here and not by curl (at most FETCH_REDIRECTS; 303, and 301/302 for
 * POST, become GET as browsers do; Authorization, Cookie and Host go to the
 * first origin only).
 *
 * A body is handed on as the server sent it: the gateway adds no
 * Accept-Encoding to the request's own headers and decodes no content-encoding.
 *
 * A Host header must itself be allowed by the policy, as if it stood in the
 * URL.  Headers that describe the connection or the length are not passed on.
 * The certificates that https trusts are curl's, or those in the file that
 * SSL_CERT_FILE names.  Proxies in the environment and .netrc are ignored.
 *
 * The body of a response goes straight to where `sink` says: the engine asks
 * for room, writes there, and never holds a body itself.  The body of a request
 * is pulled by `read`.
 */
#ifndef ETLFS_FETCH_H
#define ETLFS_FETCH_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "etlfs/fetch/egress.h"

struct fetch_engine;
struct fetch;

#define FETCH_REDIRECTS	10

struct fetch_request {
	unsigned method;		/* UK_GET etc. */
	const char *url;		/* NUL-terminated; copied */
	const char *headers;		/* "Name: value\n" lines; copied */
	size_t headers_len;
	uint64_t body_len;
	int has_body;
	uint64_t timeout_ns;		/* 0: none */
	const struct egress *egress;	/* outlives the fetch */
	uint64_t owner;			/* the function's number, see share.h */

	/*
	 * Stores > 0 bytes at buf, or returns -errno.  off counts from 0, and
	 * goes back when a request is sent again.  Neither read nor sink may
	 * submit or cancel a fetch.
	 */
	ssize_t (*read)(void *arg, uint64_t off, void *buf, size_t len);
	/*
	 * Asks for room for at least need bytes at offset off of the body
	 * (total: the expected length, or 0 when unknown).  Returns a pointer
	 * and the room there, or NULL (the fetch fails with ENOSPC).
	 */
	void *(*sink)(void *arg, uint64_t off, size_t need, uint64_t total,
		      size_t *room);
	/* called once, from the loop, never from fetch_submit(); f is freed
	   after it returns */
	void (*done)(void *arg, struct fetch *f);
	void *arg;
};

struct fetch_result {
	int error;			/* 0 or -errno: see reason */
	const char *reason;		/* one line: method, URL, what failed */
	unsigned status;
	const char *url;		/* of the last hop */
	/* "Name: value\n" lines, of the last hop */
	const char *headers;
	size_t headers_len;
	uint64_t body_len;		/* bytes given to the sink */
	uint64_t sent_len;
};

/* sets SIGPIPE to ignored when it has its default, as TLS writes raise it */
int fetch_engine_create(struct fetch_engine **out, struct ev_loop *loop);
/* loads curl now rather than for the first fetch: 0 or -ENOMEM */
int fetch_engine_begin(struct fetch_engine *e);
/* drops what is in flight, as fetch_cancel() does */
void fetch_engine_destroy(struct fetch_engine *e);

/* -errno only when the request could not even be queued */
int fetch_submit(struct fetch_engine *e, const struct fetch_request *req,
		 struct fetch **out);
const struct fetch_result *fetch_result(const struct fetch *f);
/* drops f: none of its functions is called any more */
void fetch_cancel(struct fetch *f);

#endif
