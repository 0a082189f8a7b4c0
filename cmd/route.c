/* route.c - which function of the gateway answers which method and path */
#include "cmd/route.h"

#include <stdio.h>
#include <string.h>

#include "cmd/framing.h"
#include "cmd/gateway.h"
#include "cmd/invocation.h"
#include "cmd/page.h"
#include "cmd/request.h"
#include "conf/value.h"

#define PATH_ROOM	(3 * (64 + VALUE_NAME_MAX))	/* all of it escaped */

static const struct route routes[] = {
	{ "GET", "/healthz", page_health },
	{ "GET", "/function", page_list },
	{ "POST", "/function/NAME", invocation_begin },
	{ NULL, NULL, NULL }
};

/* where NAME begins in a pattern that has one, else its end */
static const char *name_in(const char *pattern)
{
	const char *s = strstr(pattern, "/NAME");

	return s ? s + 1 : pattern + strlen(pattern);
}

static int fits(const char *pattern, char *path, const char **name)
{
	const char *behind, *at = name_in(pattern);
	size_t before = at - pattern;
	char *end;

	*name = NULL;
	if (!*at)
		return !strcmp(path, pattern);
	if (strncmp(path, pattern, before))
		return 0;
	behind = at + strlen("NAME");
	end = path + before;
	end += strcspn(end, *behind ? "/" : "");
	if (strcmp(end, behind))
		return 0;
	*end = '\0';
	*name = path + before;
	return 1;
}

const struct route *route_find(const struct route *table, char *path,
			       const char **name)
{
	for (const struct route *t = table; t->method; t++)
		if (fits(t->path, path, name))
			return t;
	return NULL;
}

static int answers(const struct route *t, const char *method)
{
	return !strcmp(t->method, method) ||
	       (!strcmp(t->method, "GET") && !strcmp(method, "HEAD"));
}

const struct route *route_method(const struct route *table, const char *path,
				 const char *method)
{
	for (const struct route *t = table; t->method; t++)
		if (!strcmp(t->path, path) && answers(t, method))
			return t;
	return NULL;
}

void route_allow(const struct route *table, const char *path,
		 char allow[ALLOW_MAX])
{
	size_t len = 0;

	*allow = '\0';
	for (const struct route *t = table; t->method; t++)
		if (!strcmp(t->path, path) && len < ALLOW_MAX)
			len += snprintf(allow + len, ALLOW_MAX - len, "%s%s%s",
					len ? ", " : "", t->method,
					strcmp(t->method, "GET") ? "" :
					", HEAD");
}

int route_request(struct gateway *g, struct request *r)
{
	char path[PATH_ROOM], allow[ALLOW_MAX];
	const struct route *t;
	const char *name;

	/* what does not fit names nothing, escaped or not */
	snprintf(path, sizeof(path), "%s", r->head.target);
	framing_unescape(path);
	t = route_find(routes, path, &name);
	if (!t)
		return request_refuse(r, 404, "Usetl.NotFound", "no such page; "
				      "functions are at /function/NAME");
	if (name && !pool_find(gateway_pool(g), name))
		return page_no_function(r, name);
	route_allow(routes, t->path, allow);
	t = route_method(routes, t->path, r->head.method);
	return t ? t->begin(g, r, name) : page_wrong_method(r, allow);
}
