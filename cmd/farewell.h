/*
 * farewell.h - connections that are over, until their callers know
 *
 * To close a socket on which unread bytes have arrived sends a reset, and a
 * reset destroys what the peer has not read yet: the refusal of a body that is
 * still being sent would get lost.  So the server goes on reading and dropping
 * what comes, until the caller closes or for a limited time and number of bytes
 * (RFC 9112, section 9.6).
 */
#ifndef CMD_FAREWELL_H
#define CMD_FAREWELL_H

#include <ev.h>

struct farewell;

#define FAREWELL_S	10.0		/* at most, for each */
#define FAREWELL_BYTES	((size_t)64 << 20)

int farewell_create(struct farewell **out, struct ev_loop *loop);
/* closes all of them */
void farewell_destroy(struct farewell *l);
/* keeps at most n; beyond that the oldest is closed */
void farewell_limit(struct farewell *l, unsigned n);
/*
 * To call when fd is shut down for writing and about to be closed: a copy of it
 * is kept while the caller may still be sending.
 */
void farewell_add(struct farewell *l, int fd);

#endif
