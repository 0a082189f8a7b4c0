/*
 * sock.h - sockets: what all families have, and what each brings
 *
 *   socket.c	the system calls that make, connect, send and receive
 *   sockopt.c	those about shutdown, names and options
 *   cmsg.c	control messages, and the open files in them
 *   sock.c	a socket as an open file, and the families there are
 *   unixsock.c	AF_UNIX
 *
 * The calls check what the program gave them and ask the socket's family by
 * its sock_ops; they know none by name.
 */
#ifndef UNIKERNEL_SOCK_H
#define UNIKERNEL_SOCK_H

#include "unikernel/fs/vfs.h"
#include "unikernel/lib/kabi.h"

#define SOCK_BUFFER	212992u		/* net.core.wmem_default */

/* sock.shut, as the kernel's own sources have it: SHUT_* + 1 */
#define RCV_SHUTDOWN	1
#define SEND_SHUTDOWN	2

struct sock_ops;
struct rights;

/* a family's sockets begin with it; the file is the only thing that keeps it */
struct sock {
	const struct sock_ops *ops;
	int family, type;		/* AF_*, SOCK_* */
	struct file *file;
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
	struct k_sockaddr_storage name;	/* of whom it goes to, or comes from */
	unsigned namelen;		/* 0: nobody is named */
};

/*
 * All answer >= 0 or -errno.  addr and len are the program's, unchecked:
 * sock_addr() copies.  Those that sleep may do so: their caller holds the
 * socket's file.
 */
struct sock_ops {
	size_t size;			/* of one of its sockets */
	/* the type that socket(family, type, protocol) makes */
	int (*type)(int type, int protocol);
	/* two new ones become each other's peers; NULL: it has no pairs */
	void (*pair)(struct sock *a, struct sock *b);
	long (*bind)(struct sock *s, const void *addr, unsigned len);
	long (*listen)(struct sock *s, int backlog);
	/* the descriptor of a new connection; flags: O_NONBLOCK, O_CLOEXEC */
	long (*accept)(struct sock *s, void *addr, unsigned *len, int flags);
	long (*connect)(struct sock *s, const void *addr, unsigned len);
	/* whether m can go to addr, NULL: its peer; into m->name if needed */
	long (*address)(struct sock *s, struct sock_msg *m, const void *addr,
			unsigned len);
	/* bytes moved */
	long (*send)(struct sock *s, struct sock_msg *m);
	long (*recv)(struct sock *s, struct sock_msg *m);
	long (*shutdown)(struct sock *s, int shut);
	/* its own address, or its peer's: the length */
	long (*getname)(struct sock *s, int peer,
			struct k_sockaddr_storage *name);
	/* bits that hold now */
	int (*poll)(struct sock *s);
	/* bytes that a read can have now: FIONREAD */
	int (*unread)(struct sock *s);
	/* the file is gone; sock.c frees s */
	void (*release)(struct sock *s);
};

extern const struct sock_ops unix_ops;	/* unixsock.c */

/* the family's operations, or NULL */
const struct sock_ops *sock_family(int family);
/* a file around a socket, or NULL: memory is out */
struct file *sock_new(int family, int type, int flags);
/* 0, -EBADF or -ENOTSOCK; borrowed */
int sock_get(int fd, struct sock **s);
/*
 * The program's address, copied: its length, which is that of the family at
 * least, or -errno.
 */
long sock_addr(struct k_sockaddr_storage *name, const void *addr,
	       unsigned len);

/* when a call that begins now gives up; timeout: ns, 0: never */
u64 sock_deadline(u64 timeout);
/* 0, or -EAGAIN or -EINTR; flags: MSG_* of the call */
int sock_sleep(struct sock *s, struct waitq *q, int flags, u64 deadline);
/* s->err as -errno, which is then reported, or 0 */
int sock_error(struct sock *s);

#endif
