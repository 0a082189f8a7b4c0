/*
 * route_test.c - which row of a table answers a method and path
 */
#include <string.h>

#include "cmd/route.h"
#include "t/unit/tap.h"

static const struct route table[] = {
	{ "GET", "/", NULL },
	{ "GET", "/function", NULL },
	{ "POST", "/2015-03-31/functions/NAME/invocations", NULL },
	{ "PUT", "/2015-03-31/functions/NAME", NULL },
	{ "DELETE", "/2015-03-31/functions/NAME", NULL },
	{ "GET", "/2015-03-31/functions/NAME", NULL },
	{ "POST", "/function/NAME", NULL },
	{ NULL, NULL, NULL }
};

/* is it that row's path, and NAME that? */
static void finds(const char *path, int row, const char *name)
{
	char copy[256];
	const char *got = "none";
	const struct route *t;

	snprintf(copy, sizeof(copy), "%s", path);
	t = route_find(table, copy, &got);
	ok(row < 0 ? !t : t == &table[row] && (name ? got &&
	   !strcmp(got, name) : !got), "'%s' is row %d, NAME '%s': %d, '%s'",
	   path, row, name ? name : "", t ? (int)(t - table) : -1,
	   got ? got : "");
}

static void takes(int row, const char *method, int want)
{
	const struct route *t = route_method(table, table[row].path, method);

	ok(want < 0 ? !t : t == &table[want], "%s of '%s' is row %d: %d",
	   method, table[row].path, want, t ? (int)(t - table) : -1);
}

static void allows(int row, const char *want)
{
	char allow[ALLOW_MAX];

	route_allow(table, table[row].path, allow);
	ok(!strcmp(allow, want), "'%s' allows '%s': '%s'", table[row].path,
	   want, allow);
}

int main(void)
{
	finds("/", 0, NULL);
	finds("/function", 1, NULL);
	finds("/functions", -1, NULL);
	finds("", -1, NULL);
	finds("//", -1, NULL);
	finds("*", -1, NULL);
	finds("/function/f", 6, "f");
	finds("/function/NAME", 6, "NAME");
	/* which no function is called */
	finds("/function/", 6, "");
	finds("/function/f/", 6, "f/");
	finds("/function/f/g", 6, "f/g");
	finds("/2015-03-31/functions/f/invocations", 2, "f");
	finds("/2015-03-31/functions//invocations", 2, "");
	finds("/2015-03-31/functions/f/invocations/", 3, "f/invocations/");
	finds("/2015-03-31/functions/f/g/invocations", 3, "f/g/invocations");
	finds("/2015-03-31/functions/f", 3, "f");
	finds("/2015-03-31/functions", -1, NULL);

	takes(0, "GET", 0);
	takes(0, "HEAD", 0);
	takes(0, "POST", -1);
	takes(0, "get", -1);
	takes(2, "POST", 2);
	takes(2, "HEAD", -1);
	takes(3, "PUT", 3);
	takes(3, "DELETE", 4);
	takes(3, "HEAD", 5);
	takes(3, "POST", -1);
	takes(6, "POST", 6);

	allows(0, "GET, HEAD");
	allows(2, "POST");
	allows(3, "PUT, DELETE, GET, HEAD");
	return plan();
}
