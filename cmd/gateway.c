/*
 * gateway.c - functions over HTTP: POST /function/NAME and what goes with it
 *
 * A request is refused in the first callback where its head already says
 * why, before any of its body is read.  Otherwise the body is gathered, must
 * be JSON, and goes to the pool as the bytes that came; the connection is
 * suspended until the pool answers.
 *
 * Invariants: a struct request is in g->requests from the first callback to
 * the completed one; it is suspended exactly while it is RUNNING.  g->held is
 * the sum of its requests' `held`: what is gathered, and what is being sent.
 */
#include "cmd/gateway.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "cmd/answer.h"
#include "cmd/http.h"
#include "cmd/patience.h"

#define DISCARD_MAX	(8u << 20)	/* read and dropped before a 413 */
#define HELD_MAX	((size_t)512 << 20)	/* bodies of all callers */
#define TAKE_RATE	(64u << 10)	/* bytes/s that a caller must take */
#define RETRY_AFTER	"1"		/* seconds */

static const char stopping[] = "the server is stopping";

enum phase { READING, RUNNING, ANSWERED };

struct request {
	LIST_ENTRY(request) link;
	struct gateway *g;
	struct MHD_Connection *conn;
	enum phase phase;
	char *name;			/* of the function */
	char *body;
	size_t len, size, dropped, held;
	struct job job;
	struct MHD_Response *answer;	/* of ANSWERED */
	unsigned status;
};

struct gateway {
	struct http *http;
	struct pool *pool;
	uint64_t request_max;
	size_t held;			/* bytes */
	LIST_HEAD(, request) requests;
	int draining;
	struct ev_loop *loop;
	struct ev_timer drained;
	void (*done)(void *arg);
	void *done_arg;
};

/* answers */

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned status,
				     struct MHD_Response *r)
{
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static struct MHD_Response *error_response(const char *type, const char *text)
{
	size_t len = 0;
	char *json = answer_error(type, text, &len);

	return http_response(json, len, 1);
}

/* refuses; the connection cannot go on after a body that was not read */
static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status,
			      const char *type, const char *text)
{
	struct MHD_Response *r = error_response(type, text);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	return send_response(c, status, r);
}

static enum MHD_Result unavailable(struct MHD_Connection *c, const char *text)
{
	struct MHD_Response *r = error_response("Usetl.Unavailable", text);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER,
					RETRY_AFTER);
	return send_response(c, 503, r);
}

static enum MHD_Result no_function(struct MHD_Connection *c, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "no function '%.64s'; GET /function lists "
		 "those there are", name);
	return refuse(c, 404, "Usetl.NotFound", text);
}

static enum MHD_Result wrong_method(struct MHD_Connection *c, const char *allow)
{
	struct MHD_Response *r;
	char text[64];

	snprintf(text, sizeof(text), "the method here is %s", allow);
	r = error_response("Usetl.MethodNotAllowed", text);
	if (r) {
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	return send_response(c, 405, r);
}

static json_t *describe(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return json_pack("{s:s, s:s, s:s, s:b, s:{s:i, s:i, s:i}, s:i, s:I, "
			 "s:I, s:I, s:I}", "name", i.name, "handler", i.handler,
			 "digest", function_image(f)->digest,
			 "ready", i.ready,
			 "clones", "idle", (int)i.idle, "busy", (int)i.busy,
			 "coming", (int)i.coming, "queued", (int)i.queued,
			 "requests", (json_int_t)i.requests,
			 "errors", (json_int_t)i.errors,
			 "refreshes", (json_int_t)i.refreshes,
			 "run_us_p50", (json_int_t)i.run_us);
}

static enum MHD_Result send_list(struct gateway *g, struct MHD_Connection *c)
{
	json_t *list = json_array();
	struct function *f = NULL;
	char *text;

	while ((f = pool_next(g->pool, f)))
		json_array_append_new(list, describe(f));
	text = json_dumps(list, JSON_INDENT(2));
	json_decref(list);
	return send_response(c, 200, http_response(text, text ? strlen(text) :
						   0, 1));
}

static enum MHD_Result send_health(struct MHD_Connection *c)
{
	char *text = strdup("ok\n");

	return send_response(c, 200, http_response(text, 3, 0));
}

/* invocations */

/* what callers send and take slowly is memory: here is how much */
static void hold(struct request *r, size_t bytes)
{
	struct gateway *g = r->g;

	g->held += bytes - r->held;
	r->held = bytes;
	if (g->pool)
		pool_pause(g->pool, g->held > HELD_MAX);
}

static void on_done(struct job *j, const struct job_result *res)
{
	struct request *r = (struct request *)((char *)j -
					       offsetof(struct request, job));
	size_t len = 0;
	char *json = answer_json(res, &len), us[32];

	r->status = answer_status(res);
	r->answer = http_response(json, len, 1);
	if (r->answer && res->stats.run_ns) {
		snprintf(us, sizeof(us), "%llu",
			 (unsigned long long)(res->stats.run_ns / 1000));
		MHD_add_response_header(r->answer, "X-Usetl-Run-Us", us);
	}
	if (r->answer && r->status == 503)
		MHD_add_response_header(r->answer, MHD_HTTP_HEADER_RETRY_AFTER,
					RETRY_AFTER);
	free(r->body);
	r->body = NULL;
	hold(r, len);
	patience_set(r->conn, PATIENCE_S + len / TAKE_RATE);
	r->phase = ANSWERED;
	http_resume(r->g->http, r->conn);
}

/* NULL, or what is wrong with the body, and where */
static const char *check_body(struct request *r, char *buf, size_t size)
{
	json_error_t e;
	json_t *o;

	/* only its form counts: numbers of any size are the function's */
	o = json_loadb(r->body, r->len, JSON_DECODE_ANY | JSON_ALLOW_NUL |
		       JSON_DECODE_INT_AS_REAL, &e);
	if (!o) {
		snprintf(buf, size, "the body is not JSON: line %d, column %d:"
			 " %s", e.line, e.column, e.text);
		return buf;
	}
	json_decref(o);
	return NULL;
}

static enum MHD_Result too_large(struct gateway *g, struct MHD_Connection *c)
{
	char text[128];

	snprintf(text, sizeof(text), "the body is larger than request.max, "
		 "%llu bytes", (unsigned long long)g->request_max);
	return refuse(c, 413, "Usetl.RequestTooLarge", text);
}

static enum MHD_Result submit(struct request *r)
{
	struct function *f;
	char buf[256];
	const char *wrong;
	int rc;

	if (!r->g->pool)
		return refuse(r->conn, 503, "Usetl.Unavailable", stopping);
	f = pool_find(r->g->pool, r->name);
	if (!f)
		return no_function(r->conn, r->name);
	if (r->dropped)
		return too_large(r->g, r->conn);
	wrong = r->len ? check_body(r, buf, sizeof(buf)) : NULL;
	if (wrong)
		return refuse(r->conn, 400, "Usetl.BadRequest", wrong);
	r->job.event = r->len ? r->body : "{}";
	r->job.event_len = r->len ? r->len : 2;
	r->job.done = on_done;
	rc = pool_submit(f, &r->job);
	if (rc == -E2BIG)
		return too_large(r->g, r->conn);
	if (rc < 0)
		return unavailable(r->conn, rc == -EAGAIN ?
				   "too many requests are waiting" :
				   "the function cannot boot");
	r->phase = RUNNING;
	patience_set(r->conn, 0);
	MHD_suspend_connection(r->conn);
	return MHD_YES;
}

static enum MHD_Result gather(struct request *r, const char *data, size_t *n)
{
	size_t len = *n, size;
	char *body;

	*n = 0;
	if (r->dropped || len > r->g->request_max - r->len) {
		r->dropped += len;
		return r->dropped < DISCARD_MAX ? MHD_YES : MHD_NO;
	}
	if (r->len + len > r->size) {
		size = 2 * (r->len + len);
		if (r->g->held > HELD_MAX || size > HELD_MAX - r->g->held)
			return MHD_NO;
		body = realloc(r->body, size);
		if (!body)
			return MHD_NO;
		r->body = body;
		r->size = size;
		hold(r, size);
	}
	memcpy(r->body + r->len, data, len);
	r->len += len;
	return MHD_YES;
}

/* the head has come: refuse, answer, or make ready for the body */
static enum MHD_Result begin(struct request *r, const char *url,
			     const char *method, const char *version)
{
	static const char prefix[] = "/function/";
	struct MHD_Connection *c = r->conn;
	struct gateway *g = r->g;
	int is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
	const char *wrong;
	int64_t length;

	wrong = http_framing(c, version, &length);
	if (wrong)
		return refuse(c, 400, "Usetl.BadRequest", wrong);
	if (!g->pool)
		return refuse(c, 503, "Usetl.Unavailable", stopping);
	if (!strcmp(url, "/healthz"))
		return is_get ? send_health(c) : wrong_method(c, "GET, HEAD");
	if (!strcmp(url, "/function"))
		return is_get ? send_list(g, c) : wrong_method(c, "GET, HEAD");
	if (strncmp(url, prefix, sizeof(prefix) - 1))
		return refuse(c, 404, "Usetl.NotFound", "no such page; "
			      "functions are at /function/NAME");
	url += sizeof(prefix) - 1;
	if (!pool_find(g->pool, url))
		return no_function(c, url);
	if (strcmp(method, "POST"))
		return wrong_method(c, "POST");
	if (g->draining)
		return refuse(c, 503, "Usetl.Unavailable", stopping);
	if (g->held > HELD_MAX / 2)
		return refuse(c, 503, "Usetl.Unavailable",
			      "too much is being sent and received");
	if (length > 0 && (uint64_t)length > g->request_max)
		return too_large(g, c);
	r->name = strdup(url);
	r->size = length > 0 ? length : 0;
	r->body = r->size ? malloc(r->size) : NULL;
	hold(r, r->size);
	return r->name && (r->body || !r->size) ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *n, void **slot)
{
	struct request *r = *slot;
	struct MHD_Response *answer;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return MHD_NO;
		r->g = arg;
		r->conn = c;
		LIST_INSERT_HEAD(&r->g->requests, r, link);
		*slot = r;
		patience_set(c, PATIENCE_S);
		return begin(r, url, method, version);
	}
	switch (r->phase) {
	case READING:
		return *n ? gather(r, data, n) : submit(r);
	case ANSWERED:
		answer = r->answer;
		r->answer = NULL;
		return send_response(c, r->status, answer);
	case RUNNING:
		break;
	}
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **slot,
			 enum MHD_RequestTerminationCode how)
{
	struct gateway *g = arg;
	struct request *r = *slot;

	*slot = NULL;
	if (!r)
		return;
	LIST_REMOVE(r, link);
	hold(r, 0);
	/* for the next head */
	patience_set(c, PATIENCE_S);
	if (r->answer)
		MHD_destroy_response(r->answer);
	free(r->name);
	free(r->body);
	free(r);
	if (g->draining && LIST_EMPTY(&g->requests))
		ev_timer_start(g->loop, &g->drained);
}

/* the gateway */

static void on_drained(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct gateway *g = w->data;

	if (g->done && LIST_EMPTY(&g->requests)) {
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
	http_quiesce(g->http);
	if (LIST_EMPTY(&g->requests))
		ev_timer_start(g->loop, &g->drained);
}

const char *gateway_url(const struct gateway *g)
{
	return http_url(g->http);
}

void gateway_set(struct gateway *g, uint64_t request_max)
{
	g->request_max = request_max;
}

int gateway_create(struct gateway **out, struct ev_loop *loop,
		   struct pool *pool, int fd, uint64_t request_max,
		   struct err *err)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r;

	if (!g) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	g->loop = loop;
	g->pool = pool;
	g->request_max = request_max;
	LIST_INIT(&g->requests);
	/* from the loop, so that nobody stops the daemon inside a callback */
	ev_timer_init(&g->drained, on_drained, 0.0, 0.0);
	g->drained.data = g;
	r = http_create(&g->http, loop, fd, on_request, on_completed, g,
			err);
	if (r < 0) {
		free(g);
		return r;
	}
	*out = g;
	return 0;
}

void gateway_destroy(struct gateway *g)
{
	struct job_result res = {
		.outcome = JOB_UNAVAILABLE, .text = stopping,
		.len = sizeof(stopping) - 1,
	};
	struct request *r;

	if (!g)
		return;
	g->pool = NULL;
	LIST_FOREACH(r, &g->requests, link)
		if (r->phase == RUNNING)
			on_done(&r->job, &res);
	http_run(g->http);
	ev_timer_stop(g->loop, &g->drained);
	http_destroy(g->http);
	free(g);
}
