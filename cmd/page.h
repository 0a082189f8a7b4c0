/*
 * page.h - what callers are answered without a function: refusals, the list
 *
 * Each answers the request, and is its route's answer (request.h).
 */
#ifndef CMD_PAGE_H
#define CMD_PAGE_H

struct gateway;
struct request;

/* 404 and 405, refusals; allow: as the header has it, "GET, HEAD" */
int page_no_function(struct request *r, const char *name);
int page_wrong_method(struct request *r, const char *allow);

/* routes (route.h) */
int page_health(struct gateway *g, struct request *r, const char *name);
int page_list(struct gateway *g, struct request *r, const char *name);

#endif
