/*
 * response.h - libmicrohttpd's responses, made and sent
 *
 * What makes one answers NULL when there is no memory.  It is the caller's
 * until response_send() takes it.
 */
#ifndef CMD_RESPONSE_H
#define CMD_RESPONSE_H

#include <stddef.h>

struct MHD_Connection;
struct MHD_Response;

/* what is sent of a longer response in one turn of the loop, from its buffer */
#define RESPONSE_BLOCK	(128u << 10)

/* owns `text` (malloc'ed), also when it fails; application/json when json */
struct MHD_Response *response_text(char *text, size_t len, int json);
/* JSON text inside of a block (malloc'ed) that it owns; a longer one */
struct MHD_Response *response_within(void *block, const char *text,
				     size_t len);
/* an error object (answer.h) */
struct MHD_Response *response_error(const char *type, const char *text);

void response_header(struct MHD_Response *r, const char *name,
		     const char *value);
/* try again, so many seconds later */
void response_retry(struct MHD_Response *r);
/* the connection ends behind it */
void response_close(struct MHD_Response *r);

/* queues r and gives it up; 0, or -errno: when r is NULL, too */
int response_send(struct MHD_Connection *c, unsigned status,
		  struct MHD_Response *r);
/*
 * An error while a body is on its way, when the daemon queues nothing: said
 * past it, whereupon it has to close.  Always -ECONNABORTED, which is for it.
 */
int response_cut_off(struct MHD_Connection *c, unsigned status,
		     const char *type, const char *text);

#endif
