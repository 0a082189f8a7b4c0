/*
 * chan.h - a reference's or clone's end of its socket to the gateway
 *
 * Blocking.  -ECONNRESET when the gateway is gone.
 */
#ifndef VMM_CHAN_H
#define VMM_CHAN_H

#include <stddef.h>
#include <sys/uio.h>

#include "vmm/proto.h"

#define CHAN_FDS	5

/* m->len is filled in from iov (n may be 0) */
int chan_send(int sock, struct msg *m, const struct iovec *iov, int n);
/*
 * One message without payload (the gateway sends no other); fds that came
 * with it, else -1, are the caller's.  -EINTR when a signal came first.
 */
int chan_recv(int sock, struct msg *m, int fds[CHAN_FDS]);
void chan_close_fds(int fds[CHAN_FDS]);
/*
 * Is a SNAPSHOT among the messages that chan_recv() would get?  Behind one with
 * descriptors nothing can be seen: then it may be.
 */
int chan_snapshot(int sock);
/* a message without payload, and all of fds with it; they stay the caller's */
int chan_send_fds(int sock, const struct msg *m, const int fds[CHAN_FDS]);

#endif
