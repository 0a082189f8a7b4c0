/*
 * callers.h - HTTP callers: how many connections, whose, and how long
 *
 * libmicrohttpd's own time-out runs from the last byte, so that a caller who
 * sends or takes one byte now and then holds a connection for ever.  Here
 * each connection has a time by which the whole of something must be done:
 * a head, a body, the taking of an answer.  One that is late is shut down,
 * which the daemon sees as the end of the stream.
 *
 * There is a number of places.  When a caller comes and all are taken, the
 * one goes that has waited longest without a request; when there is none,
 * the one who has been sending a body for longest, then the one who has been
 * taking an answer.  Who is being served is never put out: then the new one
 * goes.
 */
#ifndef CMD_CALLERS_H
#define CMD_CALLERS_H

#include <ev.h>
#include <microhttpd.h>
#include <stdint.h>

struct callers;

enum caller_state {
	CALLER_WAITS,			/* its next head is not whole */
	CALLER_SENDS,			/* a body */
	CALLER_TAKES,			/* an answer */
	CALLER_SERVED,			/* it is our turn */
};

#define FIRST_BYTE_S	10.0		/* of a new connection */
#define PATIENCE_S	60.0		/* for a head, and for a body */

int callers_create(struct callers **out, struct ev_loop *loop);
/* after the daemon, which ends the connections */
void callers_destroy(struct callers *t);
/* connections of all, and of one address (0: as many); see address.h */
void callers_limit(struct callers *t, unsigned places, unsigned per_address);

/* MHD_AcceptPolicyCallback and MHD_OPTION_NOTIFY_CONNECTION, of callers */
enum MHD_Result callers_accept(void *arg, const struct sockaddr *sa,
			       socklen_t len);
void callers_notify(void *arg, struct MHD_Connection *c, void **slot,
		    enum MHD_ConnectionNotificationCode what);

/* its state from now on, for so long; 0: for ever */
void callers_set(struct MHD_Connection *c, enum caller_state state,
		 double seconds);
/* bytes that its machine has taken since then */
uint64_t callers_taken(struct MHD_Connection *c);
/* its connection ends, and with it its request */
void callers_end(struct MHD_Connection *c);
/* the length of the target in its last request line; NULL: not known */
size_t *callers_target(struct MHD_Connection *c);

#endif
