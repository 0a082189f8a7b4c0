/*
 * control.h - who talks to a server's control socket (controlsock.h)
 *
 * On the gateway's loop, and nothing in it waits for a peer: a connection has 5 s
 * to say its order and 10 to take the answer, and CONTROL_MAX are there at a
 * time.  One more takes the place of the oldest that says nothing; where all have
 * said theirs, it waits in the socket's own queue.
 */
#ifndef CMD_CONTROL_H
#define CMD_CONTROL_H

#include <ev.h>
#include <stddef.h>

#include "cmd/controlsock.h"
#include "vmm/pool/pool.h"

#define CONTROL_MAX	8

struct control;
struct control_peer;

/* s is taken over, also when it fails; 0 or -ENOMEM */
int control_create(struct control **out, struct ev_loop *loop,
		   struct pool *pool, const struct controlsock *s);
/* before the pool ends; takes NULL */
void control_destroy(struct control *c);

/*
 * For controlverb.c.  An order is answered once, at once or later: text is
 * malloc'ed and taken over, NULL says that there was no memory; fds, which may
 * be NULL, are taken over.
 */
void control_answer(struct control_peer *p, char *text, size_t len,
		    const int *fds, unsigned nfds);
/* one line */
void control_refuse(struct control_peer *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct pool *control_pool(const struct control_peer *p);

/* what an order that goes on has; its peer may go before it has ended */
struct control_task {
	struct control_peer *peer;
	void (*forget)(struct control_task *t);	/* the peer is gone; frees t */
};
void control_wait(struct control_peer *p, struct control_task *t);

/* controlverb.c: line is whole, without its end */
void control_order(struct control_peer *p, char *line);

#endif
