/*
 * route.h - which function of the gateway answers which method and path
 *
 * A path is a pattern: its segments are literal, but for one NAME, a function's
 * name, which has to be there.  As a last segment NAME takes all that is left,
 * as no function has '/' in its name.  Rows of one path are its methods; what
 * answers GET answers HEAD, too.  The first row whose path fits decides the
 * path.
 *
 * To add a route: a row in route.c and a function.  The function is called when
 * the head has come, and answers (request_answer(), request_refuse()); or it
 * sets the request's ops, takes the body as it arrives and answers later.
 */
#ifndef CMD_ROUTE_H
#define CMD_ROUTE_H

#include <stddef.h>

struct gateway;
struct request;

struct route {
	const char *method;		/* NULL: the table's end */
	const char *path;
	/* name: what NAME is, valid in this call, or NULL */
	int (*begin)(struct gateway *g, struct request *r, const char *name);
};

#define ALLOW_MAX	64u		/* bytes of an Allow, with its NUL */

/* 404, 405, or its row's function; as that answers */
int route_request(struct gateway *g, struct request *r);

/* the rest is for this, and for its test */

/*
 * The first row whose path fits, or NULL.  *name points into path, and is cut
 * off there by a NUL.
 */
const struct route *route_find(const struct route *table, char *path,
			       const char **name);
/* the row of the same path for that method, or NULL */
const struct route *route_method(const struct route *table,
				 const char *path, const char *method);
/* the methods of that path, as in "GET, HEAD, POST" */
void route_allow(const struct route *table, const char *path,
		 char allow[ALLOW_MAX]);

#endif
