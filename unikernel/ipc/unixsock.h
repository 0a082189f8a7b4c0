/*
 * unixsock.h - connected pairs of AF_UNIX sockets inside the one process
 */
#ifndef UNIKERNEL_UNIXSOCK_H
#define UNIKERNEL_UNIXSOCK_H

#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define RCV_SHUTDOWN		1
#define SEND_SHUTDOWN		2

#define SOCK_BUFFER		212992u	/* net.core.wmem_default */

/* open files on their way; each holds a reference */
struct rights {
	struct rights *link;
	unsigned n;
	struct file *file[];
};

struct rights *rights_new(unsigned n);
struct rights *rights_copy(const struct rights *r);
/* gives up the references and r; r may be NULL */
void rights_drop(struct rights *r);

struct packet;

struct sock {
	int type;
	int connected;			/* was ever one of a pair */
	struct sock *peer;		/* NULL once it closed */
	struct file *file;
	struct packet *head, *tail;	/* to be received */
	u32 queued;			/* bytes of them, with overhead */
	int shut;			/* RCV_SHUTDOWN, SEND_SHUTDOWN */
	int err;			/* reported once, positive */
	int passcred;
	u32 sndbuf, rcvbuf;
	u64 sndtimeo, rcvtimeo;		/* ns, 0: none */
	struct waitq readers, writers;
};

/*
 * One message.  iov (the libOS's own copy, checked) and len are used up as
 * bytes move.  rights: sending takes them once it moved anything; receiving
 * leaves the caller those that arrived.
 */
struct sock_msg {
	struct k_iovec *iov;
	size_t len;
	int flags;			/* MSG_* asked for */
	int truncated;			/* received: not all of it */
	struct rights *rights;
};

/* a file around a socket of that type, or NULL */
struct file *sock_new(int type, int flags);
void sock_connect_pair(struct file *a, struct file *b);
struct sock *sock_of(struct file *f);	/* NULL: not a socket */

/* bytes moved, or -errno; either may sleep, the caller holds f */
long sock_send(struct file *f, struct sock_msg *m);
long sock_recv(struct file *f, struct sock_msg *m);
long sock_shutdown(struct sock *s, int shut);

#endif
