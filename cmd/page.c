/* page.c - what callers are answered without a function */
#include "cmd/page.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd/describe.h"
#include "cmd/gateway.h"
#include "cmd/request.h"
#include "cmd/response.h"

int page_no_function(struct request *r, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "no function '%.64s'; GET /function lists "
		 "those there are", name);
	return request_refuse(r, 404, "Usetl.NotFound", text);
}

int page_wrong_method(struct request *r, const char *allow)
{
	struct MHD_Response *answer;
	char text[128];

	snprintf(text, sizeof(text), "the method here is %s", allow);
	answer = response_error("Usetl.MethodNotAllowed", text);
	if (answer) {
		response_header(answer, "Allow", allow);
		response_close(answer);
	}
	return request_answer(r, 405, answer);
}

static json_t *describe(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:i, s:I, s:I, s:I, s:o, "
			 "s:I}",
			 "name", i.name, "handler", i.handler,
			 "digest", i.digest,
			 "ready", i.ready,
			 "clones", describe_clones(&i),
			 "queued", (int)i.queued,
			 "requests", (json_int_t)i.requests,
			 "errors", (json_int_t)i.errors,
			 "refreshes", (json_int_t)i.refreshes,
			 "starts", describe_starts(&i),
			 "run_us_p50", (json_int_t)i.run_us);
}

int page_list(struct gateway *g, struct request *r, const char *name)
{
	json_t *list = json_array();
	struct function *f = NULL;
	char *text;

	while ((f = pool_next(gateway_pool(g), f)))
		json_array_append_new(list, describe(f));
	text = json_dumps(list, JSON_INDENT(2));
	json_decref(list);
	return request_answer(r, 200, response_text(text, text ? strlen(text) :
						    0, 1));
}

int page_health(struct gateway *g, struct request *r, const char *name)
{
	char *text = strdup("ok\n");

	return request_answer(r, 200, response_text(text, 3, 0));
}
