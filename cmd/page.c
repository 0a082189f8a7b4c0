/* page.c - what callers are answered without a function */
#include "cmd/page.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/answer.h"

#define RETRY_AFTER	"1"		/* seconds */

struct page_body {
	void *block;
	const char *text;		/* inside of it */
	size_t len;
};

static ssize_t body_read(void *arg, uint64_t at, char *buf, size_t max)
{
	const struct page_body *b = arg;

	if (at >= b->len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > b->len - at)
		max = b->len - at;
	memcpy(buf, b->text + at, max);
	return (ssize_t)max;
}

static void body_free(void *arg)
{
	struct page_body *b = arg;

	free(b->block);
	free(b);
}

/*
 * of a buffer the daemon sends as much at once as the kernel takes: megabytes
 */
static struct MHD_Response *in_parts(void *block, const char *text, size_t len)
{
	struct page_body *b = malloc(sizeof(*b));
	struct MHD_Response *r;

	if (!b)
		return NULL;
	*b = (struct page_body){ block, text, len };
	r = MHD_create_response_from_callback(len, PAGE_BLOCK, body_read, b,
					      body_free);
	if (!r)
		free(b);
	return r;
}

static void name_type(struct MHD_Response *r, int json)
{
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				json ? "application/json" : "text/plain");
}

struct MHD_Response *page_within(void *block, const char *text, size_t len)
{
	struct MHD_Response *r = in_parts(block, text, len);

	if (!r)
		free(block);
	else
		name_type(r, 1);
	return r;
}

struct MHD_Response *page_response(char *text, size_t len, int json)
{
	struct MHD_Response *r;

	if (!text)
		return NULL;
	r = len > PAGE_BLOCK ? in_parts(text, text, len) :
	    MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!r)
		free(text);
	else
		name_type(r, json);
	return r;
}

enum MHD_Result page_send(struct MHD_Connection *c, unsigned status,
			  struct MHD_Response *r)
{
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

void page_retry(struct MHD_Response *r)
{
	MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
}

void page_close(struct MHD_Response *r)
{
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
}

static struct MHD_Response *error_response(const char *type, const char *text)
{
	size_t len = 0;
	char *json = answer_error(type, text, &len);

	return page_response(json, len, 1);
}

enum MHD_Result page_refuse(struct MHD_Connection *c, unsigned status,
			    const char *type, const char *text)
{
	struct MHD_Response *r = error_response(type, text);

	if (r)
		page_close(r);
	if (r && status == 503)
		page_retry(r);
	return page_send(c, status, r);
}

enum MHD_Result page_cut_off(struct MHD_Connection *c, unsigned status,
			     const char *type, const char *text)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	size_t len = 0;
	char *json = answer_error(type, text, &len), head[256];
	struct iovec part[2] = { { head, 0 }, { json, len } };
	struct msghdr m = { .msg_iov = part, .msg_iovlen = 2 };

	part[0].iov_len = snprintf(head, sizeof(head), "HTTP/1.1 %u %s\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n"
		"%sConnection: close\r\n\r\n", status,
		MHD_get_reason_phrase_for(status), len, status == 503 ?
		"Retry-After: " RETRY_AFTER "\r\n" : "");
	/* Nothing is on its way to it, so that this has room: sent whole, or
	   it is cut off without a word. */
	if (i && json)
		sendmsg(i->connect_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(json);
	return MHD_NO;
}

enum MHD_Result page_unavailable(struct MHD_Connection *c, const char *text)
{
	struct MHD_Response *r = error_response("Usetl.Unavailable", text);

	if (r)
		page_retry(r);
	return page_send(c, 503, r);
}

enum MHD_Result page_no_function(struct MHD_Connection *c, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "no function '%.64s'; GET /function lists "
		 "those there are", name);
	return page_refuse(c, 404, "Usetl.NotFound", text);
}

enum MHD_Result page_wrong_method(struct MHD_Connection *c, const char *allow)
{
	struct MHD_Response *r;
	char text[64];

	snprintf(text, sizeof(text), "the method here is %s", allow);
	r = error_response("Usetl.MethodNotAllowed", text);
	if (r) {
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
		page_close(r);
	}
	return page_send(c, 405, r);
}

static json_t *describe(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return json_pack("{s:s, s:s, s:s, s:b, s:{s:i, s:i, s:i}, s:i, s:I, "
			 "s:I, s:I, s:I}", "name", i.name, "handler", i.handler,
			 "digest", i.digest,
			 "ready", i.ready,
			 "clones", "idle", (int)i.idle, "busy", (int)i.busy,
			 "coming", (int)i.coming, "queued", (int)i.queued,
			 "requests", (json_int_t)i.requests,
			 "errors", (json_int_t)i.errors,
			 "refreshes", (json_int_t)i.refreshes,
			 "run_us_p50", (json_int_t)i.run_us);
}

enum MHD_Result page_list(struct MHD_Connection *c, struct pool *pool)
{
	json_t *list = json_array();
	struct function *f = NULL;
	char *text;

	while ((f = pool_next(pool, f)))
		json_array_append_new(list, describe(f));
	text = json_dumps(list, JSON_INDENT(2));
	json_decref(list);
	return page_send(c, 200, page_response(text, text ? strlen(text) : 0,
					       1));
}

enum MHD_Result page_health(struct MHD_Connection *c)
{
	char *text = strdup("ok\n");

	return page_send(c, 200, page_response(text, 3, 0));
}
