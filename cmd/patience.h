/*
 * patience.h - how long an HTTP caller may take over its part
 *
 * libmicrohttpd's own time-out runs from the last byte, so that a caller who
 * sends or takes one byte now and then holds a connection for ever.  Here
 * each connection has a time by which the whole of something must be done:
 * a head, a body, the taking of an answer.  One that is late is shut down,
 * which the daemon sees as the end of the stream.
 */
#ifndef CMD_PATIENCE_H
#define CMD_PATIENCE_H

#include <ev.h>
#include <microhttpd.h>

struct patience;

#define PATIENCE_S	60.0		/* for a head, and for a body */

int patience_create(struct patience **out, struct ev_loop *loop);
/* after the daemon, which ends the connections */
void patience_destroy(struct patience *p);
/* MHD_OPTION_NOTIFY_CONNECTION, with the patience as its argument */
void patience_notify(void *arg, struct MHD_Connection *c, void **slot,
		     enum MHD_ConnectionNotificationCode what);
/* c has so long from now on, 0: for ever (it is our turn) */
void patience_set(struct MHD_Connection *c, double seconds);

#endif
