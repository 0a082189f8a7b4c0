/*
 * page.h - what callers are answered without a function: refusals, the list
 *
 * Each queues a response and is the callback's result.  A refusal closes the
 * connection: whatever of a body comes behind it is not looked at.
 */
#ifndef CMD_PAGE_H
#define CMD_PAGE_H

#include <microhttpd.h>
#include <stdint.h>

#include "vmm/pool/pool.h"

enum MHD_Result page_refuse(struct MHD_Connection *c, unsigned status,
			    const char *type, const char *text);
/*
 * The same while a body is on its way, when the daemon queues nothing: said
 * past it, whereupon it closes.
 */
enum MHD_Result page_cut_off(struct MHD_Connection *c, unsigned status,
			     const char *type, const char *text);
/* 503: later, perhaps; the connection goes on */
enum MHD_Result page_unavailable(struct MHD_Connection *c, const char *text);
/* 404 and 405, refusals */
enum MHD_Result page_no_function(struct MHD_Connection *c, const char *name);
enum MHD_Result page_wrong_method(struct MHD_Connection *c, const char *allow);
enum MHD_Result page_list(struct MHD_Connection *c, struct pool *pool);
enum MHD_Result page_health(struct MHD_Connection *c);

/* a response that owns `text` (malloc'ed); application/json when json */
struct MHD_Response *page_response(char *text, size_t len, int json);
/* what is sent of a longer response in one turn of the loop, from its buffer */
#define PAGE_BLOCK	(128u << 10)
/* one of JSON text inside of a block (malloc'ed) that it owns; a longer one */
struct MHD_Response *page_within(void *block, const char *text, size_t len);
/* queues r and gives it up; MHD_NO when it is NULL */
enum MHD_Result page_send(struct MHD_Connection *c, unsigned status,
			  struct MHD_Response *r);
/* to r: try again, so many seconds later */
void page_retry(struct MHD_Response *r);
void page_close(struct MHD_Response *r);

#endif
