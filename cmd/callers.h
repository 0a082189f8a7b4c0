/*
 * callers.h - connections of HTTP callers: how many, whose, and how long
 *
 * libmicrohttpd's own time-out starts again with each byte, so a caller that
 * sends or takes one byte now and then could hold a connection for ever.  Here
 * each connection has a time by which a head, a body, or the taking of an
 * answer must be complete.  A late one is shut down, which the daemon sees as
 * the end of the stream.
 *
 * The number of places is limited.  When all are taken and a caller comes, the
 * connection is shut down that has waited longest without a request; if there
 * is none, the one that has been sending a body for longest, then the one that
 * has been taking an answer.  A connection whose request is being served is
 * never shut down for this: if all are, the new one is.
 */
#ifndef CMD_CALLERS_H
#define CMD_CALLERS_H

#include <ev.h>
#include <microhttpd.h>
#include <stdint.h>

struct callers;

enum caller_state {
	CALLER_WAITS,			/* for the rest of its next head */
	CALLER_SENDS,			/* its body */
	CALLER_TAKES,			/* its answer */
	CALLER_SERVED,			/* its request is being answered */
};

#define FIRST_BYTE_S	10.0		/* for a new connection's first byte */
#define PATIENCE_S	60.0		/* for a whole head, or a whole body */

int callers_create(struct callers **out, struct ev_loop *loop);
/* to call after the daemon, which ends the connections, is stopped */
void callers_destroy(struct callers *t);
/*
 * connections in all and of one address, at most (0: no limit); see address.h
 */
void callers_limit(struct callers *t, unsigned places, unsigned per_address);

/*
 * The MHD_AcceptPolicyCallback and the MHD_OPTION_NOTIFY_CONNECTION callback;
 * arg is the struct callers.
 */
enum MHD_Result callers_accept(void *arg, const struct sockaddr *sa,
			       socklen_t len);
void callers_notify(void *arg, struct MHD_Connection *c, void **slot,
		    enum MHD_ConnectionNotificationCode what);

/* sets its state, in which it may be for so many seconds; 0: without limit */
void callers_set(struct MHD_Connection *c, enum caller_state state,
		 double seconds);
/* bytes that the caller's machine has acknowledged in this state */
uint64_t callers_taken(struct MHD_Connection *c);
/* shuts the connection down, which ends its request */
void callers_end(struct MHD_Connection *c);
/*
 * Where to keep the length of the target in its last request line; may be NULL.
 */
size_t *callers_target(struct MHD_Connection *c);

#endif
