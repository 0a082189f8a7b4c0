/* request.c - one HTTP request, from its head until its answer is sent */
#include "cmd/request.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/callers.h"
#include "cmd/http.h"
#include "cmd/response.h"

#define HELD_MAX	((uint64_t)512 << 20)	/* bytes, of all functions */
#define TAKE_RATE	(64u << 10)	/* bytes/s that a caller must take */
#define HASTE_S		5.0		/* of patience, where bytes are short */
#define BODY_MIN	4096u		/* bytes allocated at first */
#define TICK_S		1.0

static const char crowded[] = "too much is being sent to and by this function";

/* its caller */

static void hold(struct request *r, size_t bytes)
{
	struct clientele *c = r->clientele;

	if (!c)
		return;
	clientele_hold(c, c->bytes.held + bytes - r->held);
	r->held = bytes;
}

/* has its caller sent or taken as much as may be asked for by then? */
static int is_quick(const struct request *r, double now)
{
	double due = (now - r->since - HASTE_S) * TAKE_RATE;

	if (r->phase == REQUEST_RUNS || due <= 0)
		return 1;
	return (r->phase == REQUEST_READS ? r->came :
		callers_taken(r->conn)) >= due;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct requests *rs = w->data;
	double now = ev_now(loop);
	struct request *r;

	if (LIST_EMPTY(&rs->list))
		ev_timer_stop(loop, w);
	LIST_FOREACH(r, &rs->list, link)
		if (r->clientele && clientele_is_crowded(r->clientele) &&
		    !is_quick(r, now))
			callers_end(r->conn);
	clienteles_pause(&rs->clienteles);
}

int request_enter(struct request *r, const char *function)
{
	if (r->length > 0 && (uint64_t)r->length > r->of->body_max)
		return request_too_large(r);
	r->clientele = clientele_get(&r->of->clienteles, function);
	if (!r->clientele)
		return -ENOMEM;
	if (clientele_is_crowded(r->clientele))
		return request_refuse(r, 503, "Usetl.Unavailable", crowded);
	return 0;
}

/* its body */

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

int request_gather(struct request *r, const char *data, size_t len)
{
	if (make_room(r, r->came + len) < 0)
		return -ENOMEM;
	memcpy(r->body + r->came, data, len);
	hold(r, r->came + len);
	return 0;
}

static int arrive(struct request *r, const char *data, size_t len)
{
	int rc;

	/* which may have changed since the head came */
	if (r->came + len > r->of->body_max)
		return request_too_large(r);
	if (r->clientele && holding_passes(&r->clientele->bytes, len))
		return request_refuse(r, 503, "Usetl.Unavailable", crowded);
	rc = r->ops->body(r, data, len);
	if (rc == 0)
		r->came += len;
	return rc;
}

/* its answer */

int request_answer(struct request *r, unsigned status,
		   struct MHD_Response *answer)
{
	return response_send(r->conn, status, answer);
}

int request_refuse(struct request *r, unsigned status, const char *type,
		   const char *text)
{
	struct MHD_Response *answer;

	if (r->arriving)
		return response_cut_off(r->conn, status, type, text);
	answer = response_error(type, text);
	if (answer)
		response_close(answer);
	if (answer && status == 503)
		response_retry(answer);
	return request_answer(r, status, answer);
}

int request_too_large(struct request *r)
{
	char text[128];

	snprintf(text, sizeof(text), "the body is larger than request.max, "
		 "%llu bytes", (unsigned long long)r->of->body_max);
	return request_refuse(r, 413, "Usetl.RequestTooLarge", text);
}

int request_unavailable(struct request *r, const char *text)
{
	struct MHD_Response *answer = response_error("Usetl.Unavailable",
						     text);

	if (answer)
		response_retry(answer);
	return request_answer(r, 503, answer);
}

int request_suspend(struct request *r)
{
	r->phase = REQUEST_RUNS;
	callers_set(r->conn, CALLER_SERVED, 0);
	MHD_suspend_connection(r->conn);
	return 0;
}

void request_resume(struct request *r, unsigned status,
		    struct MHD_Response *answer, size_t len, size_t held)
{
	r->status = status;
	r->answer = answer;
	if (answer && status == 503)
		response_retry(answer);
	/* the daemon takes a line feed alone for the end of a chunk's line:
	   nothing behind such a body may pass for a request */
	if (answer && r->length < 0)
		response_close(answer);
	hold(r, held);
	callers_set(r->conn, CALLER_TAKES, PATIENCE_S + len / TAKE_RATE);
	r->since = ev_now(r->of->loop);
	r->phase = REQUEST_ANSWERED;
	http_resume(r->of->http, r->conn);
}

/* the daemon's callbacks */

static int begin(struct requests *rs, struct MHD_Connection *c,
		 const char *method, const char *target, const char *version,
		 void **slot)
{
	struct request *r = calloc(1, sizeof(*r));
	const char *wrong;

	if (!r)
		return -ENOMEM;
	r->of = rs;
	r->conn = c;
	LIST_INSERT_HEAD(&rs->list, r, link);
	*slot = r;
	r->since = ev_now(rs->loop);
	if (!ev_is_active(&rs->tick))
		ev_timer_again(rs->loop, &rs->tick);
	callers_set(c, CALLER_SENDS, PATIENCE_S);
	if (http_head(c, method, target, version, &r->head) < 0)
		return -ENOMEM;
	wrong = framing_check(c, &r->head, &r->length);
	return wrong ? request_refuse(r, 400, "Usetl.BadRequest", wrong) :
	       rs->head(rs->arg, r);
}

static int go_on(struct request *r, const char *data, size_t *n)
{
	struct MHD_Response *answer = r->answer;
	size_t len = *n;
	int rc;

	switch (r->phase) {
	case REQUEST_READS:
		*n = 0;
		if (!r->ops)
			return 0;
		if (!len)
			return r->ops->end(r);
		r->arriving = 1;
		rc = arrive(r, data, len);
		r->arriving = 0;
		return rc;
	case REQUEST_ANSWERED:
		r->answer = NULL;
		return request_answer(r, r->status, answer);
	case REQUEST_RUNS:
		break;
	}
	return 0;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c,
				  const char *target, const char *method,
				  const char *version, const char *data,
				  size_t *n, void **slot)
{
	int rc = *slot ? go_on(*slot, data, n) :
		 begin(arg, c, method, target, version, slot);

	return rc < 0 ? MHD_NO : MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **slot,
			 enum MHD_RequestTerminationCode how)
{
	struct requests *rs = arg;
	struct request *r = *slot;

	*slot = NULL;
	if (!r)
		return;
	LIST_REMOVE(r, link);
	hold(r, 0);
	if (r->clientele)
		clientele_put(r->clientele);
	/* for the next head */
	callers_set(c, CALLER_WAITS, PATIENCE_S);
	if (r->answer)
		MHD_destroy_response(r->answer);
	if (r->ops)
		r->ops->free(r);
	free(r->body);
	free(r);
	if (LIST_EMPTY(&rs->list))
		rs->none(rs->arg);
}

int requests_open(struct requests *rs, int fd, struct err *err)
{
	rs->clienteles.bytes.size = HELD_MAX;
	LIST_INIT(&rs->clienteles.list);
	LIST_INIT(&rs->list);
	ev_timer_init(&rs->tick, on_tick, 0.0, TICK_S);
	rs->tick.data = rs;
	return http_create(&rs->http, rs->loop, fd, on_request, on_completed,
			   rs, err);
}

void requests_close(struct requests *rs)
{
	struct request *r;

	rs->clienteles.pool = NULL;
	LIST_FOREACH(r, &rs->list, link)
		if (r->phase == REQUEST_RUNS)
			r->ops->stop(r);
	http_run(rs->http);
	http_destroy(rs->http);
	ev_timer_stop(rs->loop, &rs->tick);
}
