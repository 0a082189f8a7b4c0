/*
 * jail.h - what the processes around a guest may still do
 *
 * This folder: what locks the process of a reference or a clone: seccomp
 * filters and what else it gives up.
 *
 * Two filters, compiled in the reference.  Its own is locked before the first
 * instruction of a guest and is everyone's that it forks; each clone locks a
 * stricter one on top once its VM stands, which costs it one system call.
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "vmm/tender/tender.h"

struct jail {
	struct sock_fprog prog;
};

/* jail.c: a clone's */
int jail_prepare(struct jail *j, const struct tender_ops *ops, struct err *err);
/*
 * No new privileges, then the filter; 0 or -errno.
 * remote: the process whose memory it may reach, and no other's (0: none's).
 */
int jail_lock(const struct jail *j, pid_t remote);
/* closes every descriptor but those listed, from this one on; 0 or -errno */
#define JAIL_NOT_STDIO	3
int jail_close_others(unsigned from, const int *keep, int n);

/* jail_ref.c: a reference's */
int jail_ref_prepare(struct jail *j, const struct tender_ops *ops,
		     struct err *err);
/*
 * Root becomes user uid, of no other group; 0: nothing changes.  It undoes
 * PR_SET_PDEATHSIG and PR_SET_DUMPABLE.
 */
int jail_user(uid_t uid, struct err *err);
/* may this process read another user's, as root may outside containers? */
int jail_may_trace(void);
/*
 * No new privileges, no files but those of /proc (an open descriptor) where
 * the kernel has Landlock, then the filter.
 */
int jail_ref_lock(const struct jail *j, int proc, struct err *err);

#endif
