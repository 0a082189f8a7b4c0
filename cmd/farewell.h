/*
 * farewell.h - connections that are over, until their callers know
 *
 * Who closes a socket on bytes that nobody read sends a reset, and that takes
 * along the answer which the caller has not read yet: a body that is refused
 * before all of it has come would be refused without a word.  So what still
 * comes is dropped here until the caller has heard and closes, for a while
 * and up to a number of bytes (RFC 9112, section 9.6).
 */
#ifndef CMD_FAREWELL_H
#define CMD_FAREWELL_H

#include <ev.h>

struct farewell;

#define FAREWELL_S	10.0		/* at most, each */
#define FAREWELL_BYTES	((size_t)64 << 20)

int farewell_create(struct farewell **out, struct ev_loop *loop);
/* closes them */
void farewell_destroy(struct farewell *l);
/* at most so many: then the oldest goes */
void farewell_limit(struct farewell *l, unsigned n);
/*
 * fd is shut down for writing and about to be closed; a copy of it lingers
 * if its caller may still be sending.
 */
void farewell_add(struct farewell *l, int fd);

#endif
