/*
 * invocation.h - POST /function/NAME: a function is run with a request's body
 *
 * The body is gathered, and read as JSON as it comes, and goes to the pool as
 * the bytes that came; the request is suspended until the pool answers.
 */
#ifndef CMD_INVOCATION_H
#define CMD_INVOCATION_H

struct gateway;
struct request;

/* a route (route.h) */
int invocation_begin(struct gateway *g, struct request *r, const char *name);

#endif
