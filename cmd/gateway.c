/*
 * gateway.c - functions over HTTP: POST /function/NAME and what goes with it
 *
 * A request is refused in the first callback where its head already says
 * why, before any of its body is read.  Otherwise the body is gathered, and
 * read as JSON as it comes, and goes to the pool as the bytes that came; the
 * connection is suspended until the pool answers.
 *
 * What callers send and do not take is memory, and callers are connections:
 * of both each function has a share, so that those of one function cannot
 * shut the others.  Where one's share is short it takes no new requests and
 * callers of it who are slow go; where it is used up, nothing is run until
 * some of it is free.
 *
 * Invariants: a struct request is in g->requests from the first callback to
 * the completed one; it is suspended exactly while it is RUNNING.  What a
 * queue's bytes and requests hold is the sum of its requests'.
 */
#include "cmd/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "cmd/answer.h"
#include "cmd/callers.h"
#include "cmd/http.h"
#include "cmd/json.h"
#include "cmd/page.h"
#include "cmd/holding.h"
#include "conf/value.h"

#define HELD_MAX	((uint64_t)512 << 20)	/* bytes, of all functions */
#define TAKE_RATE	(64u << 10)	/* bytes/s that a caller must take */
#define HASTE_S		5.0		/* of patience, where bytes are short */
#define BODY_MIN	4096u		/* bytes allocated at first */
#define TICK_S		1.0
#define PATH_ROOM	(3 * (16 + VALUE_NAME_MAX))	/* all of it escaped */

static const char stopping[] = "the server is stopping";
static const char crowded[] = "too much is being sent to and by this function";

enum phase { READING, RUNNING, ANSWERED };

/* a function with callers, by its name: it outlives a struct function */
struct line {
	LIST_ENTRY(line) link;
	char *name;
	unsigned refs;			/* requests */
	struct holding bytes, places;
};

struct request {
	LIST_ENTRY(request) link;
	struct gateway *g;
	struct MHD_Connection *conn;
	enum phase phase;
	struct line *line;		/* NULL: it is for no function */
	int chunked;
	struct json json;
	char *body;
	size_t len, size, held;
	double since;			/* of READING, ANSWERED */
	struct job job;
	struct MHD_Response *answer;	/* of ANSWERED */
	unsigned status;
};

struct gateway {
	struct http *http;
	struct pool *pool;
	uint64_t request_max;
	struct store bytes, places;
	LIST_HEAD(, line) lines;
	LIST_HEAD(, request) requests;
	int draining;
	struct ev_loop *loop;
	struct ev_timer drained;
	struct ev_timer tick;		/* runs while there are requests */
	void (*done)(void *arg);
	void *done_arg;
};

/* shares */

static struct line *line_get(struct gateway *g, const char *name)
{
	struct line *l;

	LIST_FOREACH(l, &g->lines, link)
		if (!strcmp(l->name, name))
			break;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return NULL;
		l->name = strdup(name);
		if (!l->name) {
			free(l);
			return NULL;
		}
		l->bytes.of = &g->bytes;
		l->places.of = &g->places;
		LIST_INSERT_HEAD(&g->lines, l, link);
	}
	holding_set(&l->places, ++l->refs);
	return l;
}

static void line_put(struct line *l)
{
	holding_set(&l->places, --l->refs);
	if (l->refs)
		return;
	LIST_REMOVE(l, link);
	free(l->name);
	free(l);
}

/* the pool may have another function of that name by now */
static void line_pause(struct gateway *g, struct line *l)
{
	struct function *f = g->pool ? pool_find(g->pool, l->name) : NULL;

	if (f)
		function_pause(f, holding_passes(&l->bytes, 0));
}

static void hold(struct request *r, size_t bytes)
{
	struct line *l = r->line;

	if (!l)
		return;
	holding_set(&l->bytes, l->bytes.held + bytes - r->held);
	r->held = bytes;
	line_pause(r->g, l);
}

/* so much that new requests are refused: half, that what has begun can end */
static int is_crowded(const struct line *l)
{
	return holding_passes(&l->bytes, l->bytes.held) ||
	       holding_passes(&l->places, 1);
}

/* has its caller sent or taken as much as may be asked for by then? */
static int is_quick(const struct request *r, double now)
{
	double due = (now - r->since - HASTE_S) * TAKE_RATE;

	if (r->phase == RUNNING || due <= 0)
		return 1;
	return (r->phase == READING ? r->len : callers_taken(r->conn)) >= due;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct gateway *g = w->data;
	double now = ev_now(loop);
	struct request *r;
	struct line *l;

	if (LIST_EMPTY(&g->requests))
		ev_timer_stop(loop, w);
	LIST_FOREACH(r, &g->requests, link)
		if (r->line && is_crowded(r->line) && !is_quick(r, now))
			callers_end(r->conn);
	LIST_FOREACH(l, &g->lines, link)
		line_pause(g, l);
}

/* invocations */

/* *len: of its body; *held: what it takes */
static struct MHD_Response *response(const struct job_result *res, size_t *len,
				     size_t *held)
{
	const int whole = res->outcome == JOB_OK || res->outcome == JOB_ERROR;
	void *block = NULL;
	char *json;

	if (whole && res->len > PAGE_BLOCK)
		block = job_result_take(res, held);
	if (block) {
		*len = res->len;
		*held += PAGE_BLOCK;
		return page_within(block, res->text, res->len);
	}
	json = answer_json(res, len);
	*held = *len + (*len > PAGE_BLOCK ? PAGE_BLOCK : 0);
	return page_response(json, *len, 1);
}

static void on_done(struct job *j, const struct job_result *res)
{
	struct request *r = (struct request *)((char *)j -
					       offsetof(struct request, job));
	size_t len = 0, held = 0;
	char us[32];

	r->status = answer_status(res);
	r->answer = response(res, &len, &held);
	if (r->answer && res->stats.run_ns) {
		snprintf(us, sizeof(us), "%llu",
			 (unsigned long long)(res->stats.run_ns / 1000));
		MHD_add_response_header(r->answer, "X-Usetl-Run-Us", us);
	}
	if (r->answer && r->status == 503)
		page_retry(r->answer);
	/* the daemon takes a line feed alone for the end of a chunk's line:
	   nothing behind such a body may pass for a request */
	if (r->answer && r->chunked)
		page_close(r->answer);
	free(r->body);
	r->body = NULL;
	hold(r, held);
	callers_set(r->conn, CALLER_TAKES, PATIENCE_S + len / TAKE_RATE);
	r->since = ev_now(r->g->loop);
	r->phase = ANSWERED;
	http_resume(r->g->http, r->conn);
}

/* page_refuse(), or page_cut_off() while a body is on its way */
typedef enum MHD_Result refuse_fn(struct MHD_Connection *c, unsigned status,
				  const char *type, const char *text);

static enum MHD_Result too_large(struct request *r, refuse_fn *refuse)
{
	char text[128];

	snprintf(text, sizeof(text), "the body is larger than request.max, "
		 "%llu bytes", (unsigned long long)r->g->request_max);
	return refuse(r->conn, 413, "Usetl.RequestTooLarge", text);
}

static enum MHD_Result not_json(struct request *r, refuse_fn *refuse)
{
	char text[256];

	snprintf(text, sizeof(text), "the body is not JSON: line %u, column %u:"
		 " %s", r->json.line, r->json.column, r->json.wrong);
	return refuse(r->conn, 400, "Usetl.BadRequest", text);
}

static enum MHD_Result submit(struct request *r)
{
	struct function *f;
	int rc;

	if (!r->g->pool)
		return page_refuse(r->conn, 503, "Usetl.Unavailable", stopping);
	f = pool_find(r->g->pool, r->line->name);
	if (!f)
		return page_no_function(r->conn, r->line->name);
	if (r->len && json_end(&r->json) < 0)
		return not_json(r, page_refuse);
	r->job.event = r->len ? r->body : "{}";
	r->job.event_len = r->len ? r->len : 2;
	r->job.done = on_done;
	rc = pool_submit(f, &r->job);
	if (rc == -E2BIG)
		return too_large(r, page_refuse);
	if (rc < 0)
		return page_unavailable(r->conn, rc == -EAGAIN ?
					"too many requests are waiting" :
					"the function cannot boot");
	r->phase = RUNNING;
	callers_set(r->conn, CALLER_SERVED, 0);
	MHD_suspend_connection(r->conn);
	return MHD_YES;
}

/* what a head announces takes no memory before it comes */
static int make_room(struct request *r, size_t len)
{
	size_t size = r->size ? r->size : BODY_MIN;
	char *body;

	while (size < len)
		size *= 2;
	if (size == r->size)
		return 0;
	body = realloc(r->body, size);
	if (!body)
		return -ENOMEM;
	r->body = body;
	r->size = size;
	return 0;
}

static enum MHD_Result gather(struct request *r, const char *data, size_t *n)
{
	size_t len = *n;

	*n = 0;
	/* which may have changed since the head came */
	if (r->len + len > r->g->request_max)
		return too_large(r, page_cut_off);
	if (holding_passes(&r->line->bytes, len))
		return page_cut_off(r->conn, 503, "Usetl.Unavailable", crowded);
	if (json_feed(&r->json, data, len) < 0)
		return not_json(r, page_cut_off);
	if (make_room(r, r->len + len) < 0)
		return MHD_NO;
	memcpy(r->body + r->len, data, len);
	r->len += len;
	hold(r, r->len);
	return MHD_YES;
}

/* it is for a function: is there room? */
static enum MHD_Result enter(struct request *r, const char *name,
			     int64_t length)
{
	struct gateway *g = r->g;
	struct line *l;

	if (length > 0 && (uint64_t)length > g->request_max)
		return too_large(r, page_refuse);
	r->chunked = length < 0;
	l = line_get(g, name);
	if (!l)
		return MHD_NO;
	r->line = l;
	if (is_crowded(l))
		return page_refuse(r->conn, 503, "Usetl.Unavailable", crowded);
	json_begin(&r->json);
	return MHD_YES;
}

/* the head has come: refuse, answer, or make ready for the body */
static enum MHD_Result begin(struct request *r, const struct request_head *h)
{
	static const char prefix[] = "/function/";
	int is_get = !strcmp(h->method, "GET") || !strcmp(h->method, "HEAD");
	struct MHD_Connection *c = r->conn;
	struct gateway *g = r->g;
	const char *wrong;
	char path[PATH_ROOM];
	int64_t length;

	wrong = framing_check(c, h, &length);
	if (wrong)
		return page_refuse(c, 400, "Usetl.BadRequest", wrong);
	if (!g->pool)
		return page_refuse(c, 503, "Usetl.Unavailable", stopping);
	/* what does not fit names nothing, escaped or not */
	snprintf(path, sizeof(path), "%s", h->target);
	framing_unescape(path);
	if (!strcmp(path, "/healthz"))
		return is_get ? page_health(c) :
		       page_wrong_method(c, "GET, HEAD");
	if (!strcmp(path, "/function"))
		return is_get ? page_list(c, g->pool) :
		       page_wrong_method(c, "GET, HEAD");
	if (strncmp(path, prefix, sizeof(prefix) - 1))
		return page_refuse(c, 404, "Usetl.NotFound", "no such page; "
				   "functions are at /function/NAME");
	if (!pool_find(g->pool, path + sizeof(prefix) - 1))
		return page_no_function(c, path + sizeof(prefix) - 1);
	if (strcmp(h->method, "POST"))
		return page_wrong_method(c, "POST");
	if (g->draining)
		return page_refuse(c, 503, "Usetl.Unavailable", stopping);
	return enter(r, path + sizeof(prefix) - 1, length);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *n, void **slot)
{
	struct request *r = *slot;
	struct MHD_Response *answer;
	struct request_head h;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return MHD_NO;
		r->g = arg;
		r->conn = c;
		LIST_INSERT_HEAD(&r->g->requests, r, link);
		*slot = r;
		r->since = ev_now(r->g->loop);
		if (!ev_is_active(&r->g->tick))
			ev_timer_again(r->g->loop, &r->g->tick);
		callers_set(c, CALLER_SENDS, PATIENCE_S);
		if (http_head(c, method, url, version, &h) < 0)
			return MHD_NO;
		return begin(r, &h);
	}
	switch (r->phase) {
	case READING:
		return *n ? gather(r, data, n) : submit(r);
	case ANSWERED:
		answer = r->answer;
		r->answer = NULL;
		return page_send(c, r->status, answer);
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
	if (r->line)
		line_put(r->line);
	/* for the next head */
	callers_set(c, CALLER_WAITS, PATIENCE_S);
	if (r->answer)
		MHD_destroy_response(r->answer);
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

void gateway_set(struct gateway *g, const struct gateway_opts *o)
{
	g->request_max = o->request_max;
	g->places.size = http_limit(g->http, o->connections, o->per_address);
}

int gateway_create(struct gateway **out, struct ev_loop *loop,
		   struct pool *pool, int fd, const struct gateway_opts *o,
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
	g->bytes.size = HELD_MAX;
	LIST_INIT(&g->requests);
	LIST_INIT(&g->lines);
	/* from the loop, so that nobody stops the daemon inside a callback */
	ev_timer_init(&g->drained, on_drained, 0.0, 0.0);
	ev_timer_init(&g->tick, on_tick, 0.0, TICK_S);
	g->drained.data = g->tick.data = g;
	r = http_create(&g->http, loop, fd, on_request, on_completed, g,
			err);
	if (r < 0) {
		free(g);
		return r;
	}
	gateway_set(g, o);
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
	ev_timer_stop(g->loop, &g->tick);
	free(g);
}
