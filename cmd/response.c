/* response.c - libmicrohttpd's responses, made and sent */
#include "cmd/response.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/answer.h"

#define RETRY_AFTER	"1"		/* seconds */

struct response_body {
	void *block;
	const char *text;		/* inside of it */
	size_t len;
};

static ssize_t body_read(void *arg, uint64_t at, char *buf, size_t max)
{
	const struct response_body *b = arg;

	if (at >= b->len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > b->len - at)
		max = b->len - at;
	memcpy(buf, b->text + at, max);
	return (ssize_t)max;
}

static void body_free(void *arg)
{
	struct response_body *b = arg;

	free(b->block);
	free(b);
}

/*
 * of a buffer the daemon sends as much at once as the kernel takes: megabytes
 */
static struct MHD_Response *in_parts(void *block, const char *text, size_t len)
{
	struct response_body *b = malloc(sizeof(*b));
	struct MHD_Response *r;

	if (!b)
		return NULL;
	*b = (struct response_body){ block, text, len };
	r = MHD_create_response_from_callback(len, RESPONSE_BLOCK, body_read, b,
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

struct MHD_Response *response_within(void *block, const char *text, size_t len)
{
	struct MHD_Response *r = in_parts(block, text, len);

	if (!r)
		free(block);
	else
		name_type(r, 1);
	return r;
}

struct MHD_Response *response_text(char *text, size_t len, int json)
{
	struct MHD_Response *r;

	if (!text)
		return NULL;
	r = len > RESPONSE_BLOCK ? in_parts(text, text, len) :
	    MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!r)
		free(text);
	else
		name_type(r, json);
	return r;
}

int response_send(struct MHD_Connection *c, unsigned status,
		  struct MHD_Response *r)
{
	enum MHD_Result ok;

	if (!r)
		return -ENOMEM;
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok == MHD_YES ? 0 : -EIO;
}

void response_header(struct MHD_Response *r, const char *name,
		     const char *value)
{
	MHD_add_response_header(r, name, value);
}

void response_retry(struct MHD_Response *r)
{
	MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
}

void response_close(struct MHD_Response *r)
{
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
}

struct MHD_Response *response_error(const char *type, const char *text)
{
	size_t len = 0;
	char *json = answer_error(type, text, &len);

	return response_text(json, len, 1);
}

int response_cut_off(struct MHD_Connection *c, unsigned status,
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
	return -ECONNABORTED;
}
