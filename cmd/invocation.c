/* invocation.c - POST /function/NAME: a function is run with a body */
#include "cmd/invocation.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/answer.h"
#include "cmd/gateway.h"
#include "cmd/json.h"
#include "cmd/page.h"
#include "cmd/request.h"
#include "cmd/response.h"

/* its request's `own` */
struct invocation {
	struct gateway *g;
	struct request *r;
	struct json json;
	struct job job;
};

/* *len: of its body; *held: what it takes */
static struct MHD_Response *response(const struct job_result *res, size_t *len,
				     size_t *held)
{
	const int whole = res->outcome == JOB_OK || res->outcome == JOB_ERROR;
	void *block = NULL;
	char *json;

	if (whole && res->len > RESPONSE_BLOCK)
		block = job_result_take(res, held);
	if (block) {
		*len = res->len;
		*held += RESPONSE_BLOCK;
		return response_within(block, res->text, res->len);
	}
	json = answer_json(res, len);
	*held = *len + (*len > RESPONSE_BLOCK ? RESPONSE_BLOCK : 0);
	return response_text(json, *len, 1);
}

static void on_done(struct job *j, const struct job_result *res)
{
	struct invocation *i = (struct invocation *)((char *)j -
					offsetof(struct invocation, job));
	size_t len = 0, held = 0;
	struct MHD_Response *answer = response(res, &len, &held);
	char us[32];

	if (answer && res->stats.run_ns) {
		snprintf(us, sizeof(us), "%llu",
			 (unsigned long long)(res->stats.run_ns / 1000));
		response_header(answer, "X-Usetl-Run-Us", us);
	}
	request_resume(i->r, answer_status(res), answer, len, held);
}

static int not_json(struct invocation *i)
{
	char text[256];

	snprintf(text, sizeof(text), "the body is not JSON: line %u, column %u:"
		 " %s", i->json.line, i->json.column, i->json.wrong);
	return request_refuse(i->r, 400, "Usetl.BadRequest", text);
}

static int on_body(struct request *r, const char *data, size_t len)
{
	struct invocation *i = r->own;

	return json_feed(&i->json, data, len) < 0 ? not_json(i) :
	       request_gather(r, data, len);
}

static int on_end(struct request *r)
{
	struct invocation *i = r->own;
	struct pool *pool = gateway_pool(i->g);
	struct function *f;
	int rc;

	if (!pool)
		return gateway_refuse(r);
	f = pool_find(pool, r->clientele->name);
	if (!f)
		return page_no_function(r, r->clientele->name);
	if (r->came && json_end(&i->json) < 0)
		return not_json(i);
	/* no body is an empty event */
	if (!r->came && request_gather(r, "{}", 2) < 0)
		return -ENOMEM;
	i->job.event = r->body;
	i->job.event_len = r->came ? r->came : 2;
	i->job.done = on_done;
	rc = pool_submit(f, &i->job);
	if (rc == -E2BIG)
		return request_too_large(r);
	if (rc < 0)
		return request_unavailable(r, rc == -EAGAIN ?
					   "too many requests are waiting" :
					   "the function cannot boot");
	r->body = NULL;
	return request_suspend(r);
}

static void on_stop(struct request *r)
{
	struct invocation *i = r->own;
	struct job_result res = {
		.outcome = JOB_UNAVAILABLE, .text = gateway_stopping,
		.len = strlen(gateway_stopping),
	};

	on_done(&i->job, &res);
}

static void on_free(struct request *r)
{
	free(r->own);
}

static const struct request_ops ops = { on_body, on_end, on_stop, on_free };

int invocation_begin(struct gateway *g, struct request *r, const char *name)
{
	struct invocation *i;

	if (gateway_is_draining(g))
		return gateway_refuse(r);
	i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->g = g;
	i->r = r;
	json_begin(&i->json);
	r->own = i;
	r->ops = &ops;
	return request_enter(r, name);
}
