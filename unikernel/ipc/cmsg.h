/*
 * cmsg.h - control messages: open files and credentials beside the bytes
 */
#ifndef UNIKERNEL_CMSG_H
#define UNIKERNEL_CMSG_H

#include "unikernel/ipc/sock.h"

/* open files on their way; each holds a reference */
struct rights {
	struct rights *link;
	unsigned n;
	struct file *file[];
};

struct rights *rights_copy(const struct rights *r);
/* gives up the references and r; r may be NULL */
void rights_drop(struct rights *r);

/* what the program's control buffer sends, to m; 0 or -errno */
long cmsg_parse(struct sock_msg *m, const void *control, size_t len);
/*
 * What came with m on s, into the header's control buffer, which is checked,
 * as far as it fits.  Descriptors are installed; flags and controllen say
 * what there is.
 */
void cmsg_put(struct k_msghdr *h, const struct sock *s,
	      const struct sock_msg *m);

#endif
